//! A line of JSON as a row.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, BufRead, Read as _};

use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::{Deserializer, Value};

use super::record::{Field, Record};

/// A longer line is no contact.
pub(super) const MAX_LINE: u64 = 64 * 1_024;

/// So many members that are no fields are told of: each line could have others.
const MAX_UNKNOWN: usize = 20;

/// A line with its end; `None` at the end of the file. Of a line that is too long, the beginning, which is too long.
pub(super) fn read_line(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    if input.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.len() as u64 > MAX_LINE && line.last() != Some(&b'\n') {
        input.skip_until(b'\n')?;
    }
    Ok(Some(line))
}

/// What the line says. Members that are no fields are added to `unknown`.
pub(super) fn read_object(line: &[u8], unknown: &mut BTreeSet<String>) -> Record {
    if line.len() as u64 > MAX_LINE {
        return Record::unreadable(format!("longer than {MAX_LINE} bytes"));
    }
    // The last line may have no end, which is not what is wrong with it.
    let mut object = Deserializer::from_slice(line.trim_ascii_end());
    let record = object.deserialize_map(Members { unknown });
    match record.and_then(|record| object.end().map(|()| record)) {
        Ok(record) => record,
        Err(error) => {
            // Of what was meant to be one, it helps to know where it breaks off.
            let cause = if line.trim_ascii_start().starts_with(b"{") { format!(": {error}") } else { String::new() };
            // For the parser every line is the first.
            let cause = cause.rsplit_once(" at line ").map_or(cause.as_str(), |(cause, _)| cause);
            Record::unreadable(format!("not a JSON object{cause}"))
        }
    }
}

/// The members of a JSON object, also those that are there twice. What is in one that is no field is skipped unread.
struct Members<'u> {
    unknown: &'u mut BTreeSet<String>,
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = Record;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Record, A::Error> {
        let mut record = Record::default();
        while let Some(name) = members.next_key::<String>()? {
            let Some(field) = Field::named(&name) else {
                members.next_value::<IgnoredAny>()?;
                if self.unknown.len() < MAX_UNKNOWN {
                    self.unknown.insert(name);
                }
                continue;
            };
            match members.next_value()? {
                Value::Null => {}
                Value::String(text) => record.set(field, &text),
                Value::Bool(flag) => record.set(field, if flag { "true" } else { "false" }),
                _ => record.note(field, "must be a string, true, false or null"),
            }
        }
        Ok(record)
    }
}
