//! A row of CSV as a row of contacts.

use std::io::{self, BufRead, ErrorKind, Read as _};

use csv::{ByteRecord, ReaderBuilder};

use super::lines::{END, Lines, MAX_ROW};
use super::object::MAX_LINE;
use super::record::{Field, Record};
use super::writer::{export_header, unguarded, unwrapped};

/// The lines of the header, or the beginning of long ones: as many as quotes hold together. Of an empty file, the header
/// of an export.
pub(super) fn peek_header(input: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut input = input.take(MAX_LINE);
    let mut lines = Vec::new();
    while input.read_until(b'\n', &mut lines)? > 0 && memchr::memchr_iter(b'"', &lines).count() % 2 == 1 {}
    Ok(if lines.is_empty() { export_header().into_bytes() } else { lines })
}

/// Whether a line ends in a carriage return alone; within quotes, none ends.
pub(super) fn has_carriage_returns(header: &[u8]) -> bool {
    let mut is_quoted = false;
    header.windows(2).any(|pair| {
        is_quoted ^= pair[0] == b'"';
        !is_quoted && pair[0] == b'\r' && !b"\r\n".contains(&pair[1])
    })
}

/// With which the header names the most fields; of several that do, the last of these.
pub(super) fn guess_delimiter(header: &[u8]) -> u8 {
    let count_fields = |delimiter: &u8| {
        let mut cells = ByteRecord::new();
        let mut reader = ReaderBuilder::new().has_headers(false).delimiter(*delimiter).from_reader(header);
        reader.read_byte_record(&mut cells).map_or(0, |_| fields_of(&cells).iter().flatten().count())
    };
    [b'\t', b';', b','].into_iter().max_by_key(count_fields).unwrap_or(b',')
}

/// The field of each column, if it is one.
pub(super) fn fields_of(header: &ByteRecord) -> Vec<Option<Field>> {
    header.iter().map(|name| Field::named(std::str::from_utf8(name).ok()?)).collect()
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
            Err(_) => record.note(field, "not UTF-8: save the file as UTF-8"),
        }
    }
    record
}
