//! What a line of the log looks like: for people, or as JSON.
//!
//! What is logged may have come from outside, so nothing in a line can end it, begin another or
//! move the terminal's cursor.

use std::fmt::{self, Display, Write as _};
use std::time::SystemTime;

use humantime::Rfc3339Timestamp;
use log::kv::{self, Key, Value, VisitSource, VisitValue};
use log::{Level, Record};

use crate::domain::is_invisible;

/// A log has the real time, also in tests that move the service's clock.
#[expect(clippy::disallowed_methods, reason = "a log has the real time")]
fn now() -> Rfc3339Timestamp {
    humantime::format_rfc3339_millis(SystemTime::now())
}

/// Every request makes a line: one allocation, instead of one for each field and value.
const USUAL_LENGTH: usize = 512;

/// The line for people.
pub(super) fn text_line(record: &Record<'_>) -> String {
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

/// The line for programs.
pub(super) fn json_line(record: &Record<'_>) -> String {
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
