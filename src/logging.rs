//! The log: one line an event on standard error, for people or for programs.
//!
//! What is logged may have come from outside, so nothing in a line can end it, begin another or
//! move the terminal's cursor.

use std::fmt::{self, Display, Write as _};
use std::io::{self, Write as _};
use std::mem::take;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use env_logger::{Env, Target};
use humantime::Rfc3339Timestamp;
use log::kv::{self, Key, Value, VisitSource, VisitValue};
use log::{Level, Record};

use crate::config::LogFormat;
use crate::domain::is_invisible;

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
    let line: Layout = match format {
        LogFormat::Text => text_line,
        LogFormat::Json => json_line,
    };
    std::thread::Builder::new().name("log".to_owned()).spawn(move || writer.keep_writing(line))?;
    let mut builder =
        env_logger::Builder::from_env(Env::default().default_filter_or("info,actix_server=warn,actix_http=off"));
    builder.format(move |out, record| writeln!(out, "{}", line(record)));
    builder.target(Target::Pipe(Box::new(log.clone()))).init();
    Ok(log)
}

/// What a line looks like.
type Layout = fn(&Record<'_>) -> String;

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

    fn keep_writing(&self, line: Layout) {
        loop {
            let (lines, first) = (self.lines(), &self.0.1);
            drop(first.wait_while(lines, |lines| lines.waiting.is_empty()));
            std::thread::sleep(GATHERING);
            let mut lines = self.lines();
            lines.is_writing = true;
            let (text, lost) = (take(&mut lines.waiting), take(&mut lines.lost));
            drop(lines);
            write_out(&text, lost, line);
            self.lines().is_writing = false;
        }
    }

    /// A panic cannot leave a text and two numbers half changed.
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// There is nowhere to say that this failed.
fn write_out(text: &[u8], lost: usize, line: Layout) {
    let mut out = io::stderr().lock();
    let _ = out.write_all(text);
    if lost > 0 {
        let _ = writeln!(out, "{}", lost_line(lost, line));
    }
}

fn lost_line(lost: usize, line: Layout) -> String {
    let args = format_args!("{lost} log lines were lost here: they were not read in time");
    line(&Record::builder().level(Level::Warn).args(args).build())
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
fn now() -> Rfc3339Timestamp {
    humantime::format_rfc3339_millis(SystemTime::now())
}

/// Every request makes a line: one allocation, instead of one for each field and value.
const USUAL_LENGTH: usize = 512;

fn text_line(record: &Record<'_>) -> String {
    let mut line = String::with_capacity(USUAL_LENGTH);
    let _ = write!(line, "{} {:5} ", now(), record.level());
    let _ = write!(Printable(&mut line), "{}", record.args());
    visit_fields(record, |name, value| {
        let _ = write!(line, " {name}=");
        let _ = match value {
            Field::Text(text) => Printable(&mut line).write_str(text),
            Field::Plain(value) => write!(line, "{value}"),
        };
    });
    line
}

fn json_line(record: &Record<'_>) -> String {
    let mut json = String::with_capacity(USUAL_LENGTH);
    let _ = write!(json, r#"{{"at":"{}","level":"{}","message":"#, now(), level(record.level()));
    push_json(&mut json, &record.args().to_string());
    visit_fields(record, |name, value| {
        let _ = write!(json, r#","{name}":"#);
        match value {
            Field::Text(text) => push_json(&mut json, text),
            Field::Plain(value) => _ = write!(json, "{value}"),
        }
    });
    json.push('}');
    // Control characters are escaped by now, and what else is hidden stands in texts, where this is as good as any.
    let mut line = String::with_capacity(json.len());
    let _ = Printable(&mut line).write_str(&json);
    line
}

fn push_json(json: &mut String, text: &str) {
    // A text is always JSON.
    json.push_str(&serde_json::to_string(text).unwrap_or_default());
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

/// Appends what is written with everything that is not plainly visible as `<U+202E>`.
struct Printable<'l>(&'l mut String);

impl fmt::Write for Printable<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return self.0.write_str(text);
        }
        text.chars().try_for_each(|character| self.write_char(character))
    }

    fn write_char(&mut self, character: char) -> fmt::Result {
        // Also joiners, and what separates lines.
        let is_hidden =
            is_invisible(character) || matches!(character, '\u{200c}' | '\u{200d}' | '\u{2028}' | '\u{2029}');
        if is_hidden { write!(self.0, "<U+{:04X}>", u32::from(character)) } else { self.0.write_char(character) }
    }
}

/// The value of a field.
enum Field<'v> {
    /// A text, with whatever stands in it.
    Text(&'v str),
    /// A number or a truth value, which looks the same everywhere.
    Plain(&'v dyn Display),
}

/// Shows the fields of a record that have a value.
fn visit_fields(record: &Record<'_>, show: impl FnMut(&str, Field<'_>)) {
    // Only a visitor can make a visit fail, and this one does not.
    let _ = record.key_values().visit(&mut Fields(show));
}

struct Fields<F>(F);

impl<'kvs, F: FnMut(&str, Field<'_>)> VisitSource<'kvs> for Fields<F> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        value.visit(&mut Named { name: key.as_str(), show: &mut self.0 })
    }
}

/// A field, of which the value is still to come.
struct Named<'f, F> {
    name: &'f str,
    show: &'f mut F,
}

impl<F: FnMut(&str, Field<'_>)> Named<'_, F> {
    fn show(&mut self, value: Field<'_>) {
        (self.show)(self.name, value);
    }
}

impl<F: FnMut(&str, Field<'_>)> VisitValue<'_> for Named<'_, F> {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), kv::Error> {
        self.show(Field::Text(&value.to_string()));
        Ok(())
    }

    fn visit_str(&mut self, value: &str) -> Result<(), kv::Error> {
        self.show(Field::Text(value));
        Ok(())
    }

    fn visit_null(&mut self) -> Result<(), kv::Error> {
        Ok(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), kv::Error> {
        self.show(Field::Plain(&value));
        Ok(())
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), kv::Error> {
        self.show(Field::Plain(&value));
        Ok(())
    }

    /// (None of ours is beyond the numbers that JSON has.)
    fn visit_f64(&mut self, value: f64) -> Result<(), kv::Error> {
        self.show(Field::Plain(&value));
        Ok(())
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), kv::Error> {
        self.show(Field::Plain(&value));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_lines_were_lost_is_said_in_the_form_of_the_log() {
        let message = "7 log lines were lost here: they were not read in time";
        assert_eq!(lost_line(7, text_line)[24..], format!(" WARN  {message}"));
        let line: serde_json::Value = serde_json::from_str(&lost_line(7, json_line)).unwrap();
        assert_eq!((&line["level"], &line["message"]), (&"warn".into(), &message.into()));
    }
}
