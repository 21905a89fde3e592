//! The log: one line an event on standard error, for people or for programs.
//!
//! What is logged may have come from outside, so nothing in a line can end it, begin another or
//! move the terminal's cursor.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::mem::take;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use env_logger::{Env, Target};
use log::kv::{self, Key, Value, VisitSource, VisitValue};
use log::{Level, Record};
use serde_json::{Map, Value as Json};

use crate::config::LogFormat;

/// Text that may wait to be written: the lines of half a second under full load.
const MAX_WAITING_BYTES: usize = 4 << 20;

/// For how long lines are gathered before they are written together: under load, one system call and one
/// woken thread for hundreds of lines, and nobody sees the delay.
const GATHERING: Duration = Duration::from_millis(10);

/// Starts the log. What is logged is chosen by `RUST_LOG`, by default everything from `info` on, but
/// for the HTTP server's own news: its start and stop are ours too, and a request that is no HTTP is its
/// sender's error.
///
/// Lines are written by a thread of their own, so that nobody waits for whoever reads the log. When that one
/// stalls, lines are lost, and counted.
///
/// # Errors
/// When the system gives no thread.
pub fn start(format: LogFormat) -> io::Result<Log> {
    let log = Log::default();
    let writer = log.clone();
    std::thread::Builder::new().name("log".to_owned()).spawn(move || writer.keep_writing())?;
    let mut builder =
        env_logger::Builder::from_env(Env::default().default_filter_or("info,actix_server=warn,actix_http=off"));
    match format {
        LogFormat::Text => builder.format(|out, record| writeln!(out, "{}", text_line(record, &now()))),
        LogFormat::Json => builder.format(|out, record| writeln!(out, "{}", json_line(record, &now()))),
    };
    builder.target(Target::Pipe(Box::new(log.clone()))).init();
    Ok(log)
}

/// The lines under way between whoever logs and standard error.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<(Mutex<Lines>, Condvar)>);

#[derive(Debug, Default)]
struct Lines {
    waiting: Vec<u8>,
    /// Lines for which there was no room.
    lost: usize,
    is_writing: bool,
}

impl Log {
    /// Waits until everything is written, but not for a reader who has stalled.
    pub fn finish(&self) {
        for _ in 0..100 {
            let lines = self.lines();
            if lines.waiting.is_empty() && !lines.is_writing {
                return;
            }
            drop(lines);
            std::thread::sleep(GATHERING);
        }
    }

    fn keep_writing(&self) {
        loop {
            let (lines, first) = (self.lines(), &self.0.1);
            drop(first.wait_while(lines, |lines| lines.waiting.is_empty()));
            std::thread::sleep(GATHERING);
            let mut lines = self.lines();
            lines.is_writing = true;
            let (text, lost) = (take(&mut lines.waiting), take(&mut lines.lost));
            drop(lines);
            write_out(&text, lost);
            self.lines().is_writing = false;
        }
    }

    /// A panic cannot leave a text and two numbers half changed.
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// There is nowhere to say that this failed.
fn write_out(text: &[u8], lost: usize) {
    let mut out = io::stderr().lock();
    let _ = out.write_all(text);
    if lost > 0 {
        let _ = writeln!(out, "{} WARN  {lost} lines were lost here, for they were not read in time", now());
    }
}

/// Takes a line at each write, as the logger does it.
impl io::Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut lines = self.lines();
        if lines.waiting.len() + line.len() > MAX_WAITING_BYTES {
            lines.lost += 1;
        } else {
            if lines.waiting.is_empty() {
                self.0.1.notify_one();
            }
            lines.waiting.extend_from_slice(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A log has the real time, also in tests that move the service's clock.
#[expect(clippy::disallowed_methods, reason = "a log has the real time")]
fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}

fn text_line(record: &Record<'_>, at: &str) -> String {
    let mut line = format!("{at} {:5} ", record.level());
    push_printable(&mut line, &record.args().to_string());
    for (name, value) in fields(record) {
        let _ = write!(line, " {name}=");
        match value {
            Json::String(text) => push_printable(&mut line, &text),
            other => push_printable(&mut line, &other.to_string()),
        }
    }
    line
}

fn json_line(record: &Record<'_>, at: &str) -> String {
    let mut line = Map::new();
    line.insert("at".to_owned(), at.into());
    line.insert("level".to_owned(), level(record.level()).into());
    line.insert("message".to_owned(), record.args().to_string().into());
    line.extend(fields(record));
    let mut printable = String::new();
    push_printable(&mut printable, &Json::Object(line).to_string());
    printable
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}

/// Appends `text` with everything that is not plainly visible written as `<U+202E>`. (In JSON, control
/// characters are escaped already, and what is left stands in texts, where this is as good as any.)
fn push_printable(line: &mut String, text: &str) {
    for character in text.chars() {
        let is_hidden = character.is_control()
            || matches!(
                character,
                '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
            );
        if is_hidden {
            let _ = write!(line, "<U+{:04X}>", u32::from(character));
        } else {
            line.push(character);
        }
    }
}

/// The fields of a record that have a value.
fn fields(record: &Record<'_>) -> Vec<(String, Json)> {
    let mut fields = Fields(Vec::new());
    // Only a visitor can make a visit fail, and this one does not.
    let _ = record.key_values().visit(&mut fields);
    fields.0
}

struct Fields(Vec<(String, Json)>);

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        let mut json = ToJson(Json::Null);
        value.visit(&mut json)?;
        if !json.0.is_null() {
            self.0.push((key.to_string(), json.0));
        }
        Ok(())
    }
}

struct ToJson(Json);

impl VisitValue<'_> for ToJson {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), kv::Error> {
        self.0 = value.to_string().into();
        Ok(())
    }

    fn visit_null(&mut self) -> Result<(), kv::Error> {
        self.0 = Json::Null;
        Ok(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), kv::Error> {
        self.0 = value.into();
        Ok(())
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), kv::Error> {
        self.0 = value.into();
        Ok(())
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), kv::Error> {
        self.0 = value.into();
        Ok(())
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), kv::Error> {
        self.0 = value.into();
        Ok(())
    }
}
