//! The log: one line an event on standard error, for people or for programs.
//!
//! Lines are written by a thread of their own, so that nobody waits for whoever reads the log.

mod layout;

use std::io::{self, Write as _};
use std::mem::take;
use std::sync::Arc;
use std::time::Duration;

use env_logger::Target;
use log::{Level, LevelFilter, Record, warn};
use parking_lot::{Condvar, Mutex};

use crate::config::LogFormat;
use layout::{json_line, text_line};

/// Text that may wait to be written: the lines of half a second under full load.
const MAX_WAITING_BYTES: usize = 4 << 20;

/// For how long lines are gathered before they are written together: under load, one system call and one
/// woken thread for hundreds of lines, and nobody sees the delay.
const GATHERING: Duration = Duration::from_millis(10);

/// Everything from `info` on, but for the HTTP server's own news: its start and stop are ours too, and a request that
/// is no HTTP is its sender's error.
const DEFAULT_FILTERS: &str = "info,actix_server=warn,actix_http=off";

/// Starts the log. What is logged is chosen by `RUST_LOG`.
///
/// When whoever reads the log stalls, or a disk that it is on is full, lines are lost, and counted.
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
    let chosen = std::env::var("RUST_LOG").unwrap_or_default();
    let hides_errors = hides_errors(&chosen);
    let filters = if chosen.trim().is_empty() || hides_errors { DEFAULT_FILTERS } else { &chosen };
    let mut builder = env_logger::Builder::new();
    builder.parse_filters(filters).format(move |out, record| writeln!(out, "{}", line(record)));
    builder.target(Target::Pipe(Box::new(log.clone()))).init();
    if hides_errors {
        warn!(
            "RUST_LOG={chosen} would hide errors, so it is not used: write a level (error, warn, info, debug, trace or \
             off), and more of a module after it, as in info,magic_auth::sign_in=debug"
        );
    }
    Ok(log)
}

/// Whether not even errors would be logged, although nobody said `off`: a word that is no level is taken for a module.
fn hides_errors(filters: &str) -> bool {
    let is_off = filters.trim().parse() == Ok(LevelFilter::Off);
    let error = Record::builder().target("magic_auth").level(Level::Error).build();
    !is_off && !env_logger::Builder::new().parse_filters(filters).build().matches(&error)
}

/// What a line looks like.
type Layout = fn(&Record<'_>) -> String;

/// The lines under way between whoever logs and standard error.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Buffer>);

#[derive(Debug, Default)]
struct Buffer {
    lines: Mutex<Lines>,
    has_lines: Condvar,
}

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
            let lines = self.0.lines.lock();
            if lines.waiting.is_empty() && !lines.is_writing {
                return;
            }
            drop(lines);
            std::thread::sleep(GATHERING);
        }
    }

    fn keep_writing(&self, line: Layout) {
        let mut is_torn = false;
        loop {
            let Buffer { lines, has_lines } = &*self.0;
            has_lines.wait_while(&mut lines.lock(), |lines| lines.waiting.is_empty());
            std::thread::sleep(GATHERING);
            let mut filled = lines.lock();
            filled.is_writing = true;
            let (text, lost) = (take(&mut filled.waiting), take(&mut filled.lost));
            drop(filled);
            let unwritten;
            (unwritten, is_torn) = write_out(&mut io::stderr().lock(), &text, lost, is_torn, line);
            let mut lines = lines.lock();
            lines.lost += unwritten;
            lines.is_writing = false;
        }
    }
}

/// Writes the lines, behind the end of one that is torn, and how many were lost. Says how many lines could not be written,
/// and whether the last one is torn.
fn write_out(out: &mut impl io::Write, text: &[u8], lost: usize, is_torn: bool, line: Layout) -> (usize, bool) {
    let mut whole = if is_torn { b"\n".to_vec() } else { Vec::new() };
    whole.extend_from_slice(text);
    if lost > 0 {
        whole.extend_from_slice(lost_line(lost, line).as_bytes());
        whole.push(b'\n');
    }
    let written = write_as_much_as_possible(out, &whole);
    let (written, unwritten) = whole.split_at(written);
    // The end of the torn line is no line.
    let count = memchr::memchr_iter(b'\n', unwritten).count() - usize::from(is_torn && written.is_empty());
    let is_torn = written.last().map_or(is_torn, |last| *last != b'\n');
    // What was lost before is lost still when nothing says so.
    (if lost > 0 && count > 0 { count - 1 + lost } else { count }, is_torn)
}

/// A full disk, or a reader who has stalled and does not let anybody wait, takes a part only.
fn write_as_much_as_possible(out: &mut impl io::Write, text: &[u8]) -> usize {
    let mut written = 0;
    while written < text.len() {
        match out.write(&text[written..]) {
            Ok(0) => break,
            Ok(length) => written += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    written
}

fn lost_line(lost: usize, line: Layout) -> String {
    let args = format_args!("{lost} log lines were lost here: they could not be written in time");
    line(&Record::builder().level(Level::Warn).args(args).build())
}

/// Takes a line at each write, as the logger does it.
impl io::Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut lines = self.0.lines.lock();
        if lines.waiting.len() + line.len() > MAX_WAITING_BYTES {
            lines.lost += 1;
        } else {
            if lines.waiting.is_empty() {
                self.0.has_lines.notify_one();
            }
            lines.waiting.extend_from_slice(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes and no more.
    struct Stalled(usize, Vec<u8>);

    impl io::Write for Stalled {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let length = text.len().min(self.0);
            self.0 -= length;
            self.1.extend_from_slice(&text[..length]);
            if length == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(length) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_could_not_be_written_is_counted_and_a_torn_line_has_an_end() {
        let mut out = Stalled(5, Vec::new());
        assert_eq!(write_out(&mut out, b"one\ntwo\nthree\n", 0, false, text_line), (2, true));
        assert_eq!(write_out(&mut out, b"four\n", 2, true, text_line), (2 + 1, true));
        out.0 = 1_000;
        assert_eq!(write_out(&mut out, b"five\n", 3, true, text_line), (0, false));
        let told = String::from_utf8(out.1).unwrap();
        let lines: Vec<_> = told.lines().collect();
        assert_eq!(lines[..3], ["one", "t", "five"]);
        assert!(lines[3].ends_with("3 log lines were lost here: they could not be written in time"), "{told}");
    }

    #[test]
    fn what_would_hide_errors_is_not_what_anybody_meant() {
        for filters in
            ["", "info", "WARN", "off", " off", "magic_auth=debug", "info,magic_auth::sign_in=debug", "error"]
        {
            assert!(!hides_errors(filters), "{filters}");
        }
        for filters in
            ["inf", "magic-auth=debug", "magic-auth", "info debug", "level=debug", "info/foo", "magic_auth::sign_in"]
        {
            assert!(hides_errors(filters), "{filters}");
        }
    }

    #[test]
    fn no_more_waits_for_a_reader_who_has_stalled_than_may_and_the_rest_is_counted() {
        let mut log = Log::default();
        let line = [b'x'; 1_024];
        for _ in 0..MAX_WAITING_BYTES / line.len() + 7 {
            log.write_all(&line).unwrap();
        }
        let lines = log.0.lines.lock();
        assert_eq!((lines.waiting.len(), lines.lost), (MAX_WAITING_BYTES, 7));
    }

    #[test]
    fn that_lines_were_lost_is_said_in_the_form_of_the_log() {
        let message = "7 log lines were lost here: they could not be written in time";
        assert_eq!(lost_line(7, text_line)[24..], format!(" WARN  {message}"));
        let line: serde_json::Value = serde_json::from_str(&lost_line(7, json_line)).unwrap();
        assert_eq!((&line["level"], &line["message"]), (&"warn".into(), &message.into()));
    }
}
