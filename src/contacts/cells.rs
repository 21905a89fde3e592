//! A row of CSV as a row of contacts.

use std::io::{self, BufRead, ErrorKind};

use csv::{ByteRecord, ReaderBuilder};

use super::lines::{END, Lines, MAX_ROW};
use super::record::{Field, Record};
use super::writer::{unguarded, unwrapped};

/// The header that names the most fields, among them email or phone, with its delimiter. Of an empty file,
/// the header of an export.
pub(super) fn read_header(line: &[u8]) -> Option<(u8, ByteRecord, Vec<Option<Field>>)> {
    if line.is_empty() {
        let header: ByteRecord = Field::ALL.map(Field::name).iter().collect();
        return Some((b',', header, Field::ALL.map(Some).to_vec()));
    }
    let read = |delimiter| {
        let mut header = ByteRecord::new();
        let mut reader = ReaderBuilder::new().has_headers(false).delimiter(delimiter).from_reader(line);
        reader.read_byte_record(&mut header).ok()?;
        header.trim();
        let fields: Vec<_> = header.iter().map(|name| std::str::from_utf8(name).ok().and_then(Field::named)).collect();
        Some((delimiter, header, fields))
    };
    let headers = [b',', b';', b'\t'].into_iter().filter_map(read);
    let best = headers.max_by_key(|(_, _, fields)| fields.iter().flatten().count())?;
    best.2.iter().flatten().any(|field| [Field::Email, Field::Phone].contains(field)).then_some(best)
}

/// The next row, with the number of the line that it begins at.
pub(super) fn read_record<R: BufRead>(reader: &mut csv::Reader<Lines<R>>) -> io::Result<Option<(u64, ByteRecord)>> {
    let mut raw = ByteRecord::new();
    reader.get_mut().begin_row();
    if !reader.read_byte_record(&mut raw).map_err(unwrapped)? {
        return Ok(None);
    }
    let (lines, text) = (reader.get_ref(), raw.as_slice());
    // Of a row, line ends are kept in quoted cells only.
    let begin = |text: &[u8]| lines.number().saturating_sub(memchr::memchr_iter(b'\n', text).count() as u64);
    if lines.is_cut() {
        let line = begin(text.strip_suffix(END).unwrap_or(text));
        let problem = format!(
            "the row that begins at line {line} is longer than {MAX_ROW} bytes: perhaps a quote in it is not closed"
        );
        return Err(io::Error::new(ErrorKind::InvalidData, problem));
    }
    if lines.has_ended() && text == END.trim_ascii() {
        return Ok(None);
    }
    if let Some(rest) = text.strip_suffix(END).filter(|_| lines.has_ended()) {
        let line = begin(rest.strip_suffix(b"\n").unwrap_or(rest));
        let problem = format!("the row that begins at line {line} has a quote that is not closed");
        return Err(io::Error::new(ErrorKind::InvalidData, problem));
    }
    Ok(Some((begin(text), raw)))
}

/// What the cells say.
pub(super) fn read_cells(raw: &ByteRecord, fields: &[Option<Field>]) -> Record {
    if raw.len() != fields.len() {
        return Record::unreadable(format!("has {} cells instead of {}", raw.len(), fields.len()));
    }
    let mut record = Record::default();
    for (cell, field) in raw.iter().zip(fields) {
        let Some(field) = *field else { continue };
        match std::str::from_utf8(cell) {
            Ok(text) => record.set(field, &unguarded(text)),
            Err(_) => record.note(field, "not UTF-8"),
        }
    }
    record
}
