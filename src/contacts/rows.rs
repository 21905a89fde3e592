//! Reading a file of contacts row by row: CSV with a header, or JSON lines, told apart by what is in it.

use std::fmt;
use std::io::{self, BufRead, Read as _, Write};

use csv::{ByteRecord, ReaderBuilder, WriterBuilder};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::record::{Field, Record};
use super::writer::unguarded;
use super::{Contact, Defaults};

/// A longer line of JSON is no contact.
const MAX_LINE: u64 = 64 * 1_024;

/// The file is none of contacts.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// It begins neither with a header nor with an object.
    #[error(
        "line {0}: neither CSV with a header that names email or phone (such as email,firstName,lastName), nor JSON \
         lines (such as {{\"email\":\"jan@barasek.com\"}})"
    )]
    Unknown(u64),
    /// The header names a field twice.
    #[error("line {0}: the header names {1} twice")]
    Repeated(u64, &'static str),
    /// It cannot be read.
    #[error("{0}")]
    Read(#[from] io::Error),
}

/// A row of the file.
pub struct Row {
    /// The line that it begins at, from 1.
    pub line: u64,
    record: Record,
    raw: Raw,
}

/// A row as it stands in the file.
enum Raw {
    Csv(ByteRecord),
    Json(Vec<u8>),
}

impl Row {
    /// The contact, or all that is wrong with the row. The row itself is kept for [`Rejects`].
    ///
    /// # Errors
    /// What is wrong with which field: `email: …`.
    pub fn read(&mut self, defaults: &Defaults) -> Result<Contact, Vec<String>> {
        Contact::read(std::mem::take(&mut self.record), defaults)
    }
}

/// The rows of a file.
pub struct Rows<R> {
    input: Input<R>,
    /// The lines before the first row.
    offset: u64,
}

enum Input<R> {
    Csv { reader: csv::Reader<R>, header: ByteRecord, fields: Vec<Option<Field>>, delimiter: u8 },
    Json { input: R, line: u64 },
}

impl<R: BufRead> Rows<R> {
    /// Finds out what the file is. An empty file is CSV without rows.
    ///
    /// # Errors
    /// When it is neither CSV nor JSON lines, or cannot be read.
    pub fn open(mut input: R) -> Result<Self, FormatError> {
        let blank = skip_blank(&mut input)?;
        if input.fill_buf()?.first() == Some(&b'{') {
            return Ok(Self { input: Input::Json { input, line: blank }, offset: 0 });
        }
        let mut first = Vec::new();
        input.by_ref().take(MAX_LINE).read_until(b'\n', &mut first)?;
        let line = blank + 1;
        let (delimiter, header, fields) = read_header(&first).ok_or(FormatError::Unknown(line))?;
        let repeated = Field::ALL.into_iter().find(|field| fields.iter().flatten().filter(|f| *f == field).count() > 1);
        if let Some(field) = repeated {
            return Err(FormatError::Repeated(line, field.name()));
        }
        let reader = ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(input);
        Ok(Self { input: Input::Csv { reader, header, fields, delimiter }, offset: line })
    }

    /// The columns that are no fields of a contact, and are left out.
    #[must_use]
    pub fn unknown_columns(&self) -> Vec<String> {
        let Input::Csv { header, fields, .. } = &self.input else { return Vec::new() };
        let unknown = header.iter().zip(fields).filter(|(_, field)| field.is_none());
        unknown.map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect()
    }

    /// A place for rows of this file that are not taken.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn rejects<W: Write>(&self, output: W) -> io::Result<Rejects<W>> {
        Ok(match &self.input {
            Input::Csv { header, delimiter, .. } => {
                let mut writer = WriterBuilder::new().flexible(true).delimiter(*delimiter).from_writer(output);
                writer.write_byte_record(header)?;
                Rejects::Csv(Box::new(writer))
            }
            Input::Json { .. } => Rejects::Json(output),
        })
    }

    fn read_row(&mut self) -> io::Result<Option<Row>> {
        match &mut self.input {
            Input::Csv { reader, fields, .. } => {
                let mut raw = ByteRecord::new();
                if !reader.read_byte_record(&mut raw)? {
                    return Ok(None);
                }
                let line = self.offset + raw.position().map_or(0, csv::Position::line);
                Ok(Some(Row { line, record: read_cells(&raw, fields), raw: Raw::Csv(raw) }))
            }
            Input::Json { input, line } => loop {
                let Some(raw) = read_line(input)? else { return Ok(None) };
                *line += 1;
                if !raw.trim_ascii().is_empty() {
                    return Ok(Some(Row { line: *line, record: read_object(&raw), raw: Raw::Json(raw) }));
                }
            },
        }
    }
}

/// Row by row; an error when the file cannot be read any further.
impl<R: BufRead> Iterator for Rows<R> {
    type Item = io::Result<Row>;

    fn next(&mut self) -> Option<io::Result<Row>> {
        self.read_row().transpose()
    }
}

/// Rows that were not taken, in the form of the file that they come from.
pub enum Rejects<W: Write> {
    /// With the same header.
    Csv(Box<csv::Writer<W>>),
    /// Line by line.
    Json(W),
}

impl<W: Write> Rejects<W> {
    /// Adds a row.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&mut self, row: &Row) -> io::Result<()> {
        match (self, &row.raw) {
            (Self::Csv(writer), Raw::Csv(raw)) => Ok(writer.write_byte_record(raw)?),
            (Self::Json(output), Raw::Json(raw)) => {
                output.write_all(raw.trim_ascii_end())?;
                output.write_all(b"\n")
            }
            _ => Ok(()),
        }
    }

    /// Writes what is still in memory.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Csv(writer) => writer.flush(),
            Self::Json(output) => output.flush(),
        }
    }
}

/// Skips a byte order mark and empty lines. Gives the number of these.
fn skip_blank(input: &mut impl BufRead) -> io::Result<u64> {
    let mut lines = 0;
    if input.fill_buf()?.starts_with("\u{feff}".as_bytes()) {
        input.consume("\u{feff}".len());
    }
    while let Some(first) = input.fill_buf()?.first().copied().filter(u8::is_ascii_whitespace) {
        lines += u64::from(first == b'\n');
        input.consume(1);
    }
    Ok(lines)
}

/// The header that names the most fields, among them email or phone, with its delimiter. Of an empty file,
/// the header of an export.
fn read_header(line: &[u8]) -> Option<(u8, ByteRecord, Vec<Option<Field>>)> {
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

fn read_cells(raw: &ByteRecord, fields: &[Option<Field>]) -> Record {
    if raw.len() != fields.len() {
        return Record::unreadable(format!("has {} cells instead of {}", raw.len(), fields.len()));
    }
    let mut record = Record::default();
    for (cell, field) in raw.iter().zip(fields) {
        let Some(field) = *field else { continue };
        match std::str::from_utf8(cell) {
            Ok(text) => record.set(field, unguarded(text).to_owned()),
            Err(_) => record.note(field, "not UTF-8"),
        }
    }
    record
}

/// A line with its end; `None` at the end of the file. Of a line that is too long, the beginning.
fn read_line(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    if input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.len() as u64 == MAX_LINE && line.last() != Some(&b'\n') {
        input.skip_until(b'\n')?;
    }
    Ok(Some(line))
}

fn read_object(line: &[u8]) -> Record {
    if line.len() as u64 == MAX_LINE {
        return Record::unreadable(format!("longer than {MAX_LINE} bytes"));
    }
    let members = match serde_json::from_slice::<Members>(line) {
        Ok(members) => members.0,
        Err(error) => return Record::unreadable(format!("not a JSON object: {error}")),
    };
    let mut record = Record::default();
    for (name, value) in members {
        let Some(field) = Field::named(&name) else { continue };
        match value {
            Value::Null => {}
            Value::String(text) => record.set(field, text),
            Value::Bool(flag) => record.set(field, flag.to_string()),
            _ => record.note(field, "neither a string, true, false nor null"),
        }
    }
    record
}

/// The members of a JSON object, also those that are there twice.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}
