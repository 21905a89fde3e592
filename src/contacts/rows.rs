//! Reading a file of contacts row by row: CSV with a header, or JSON lines, told apart by what is in it.

use std::collections::BTreeSet;
use std::io::{self, BufRead, Chain, Cursor, Read as _, Write};

use csv::{ByteRecord, ReaderBuilder, WriterBuilder};

use super::cells::{fields_of, guess_delimiter, has_carriage_returns, peek_header, read_cells, read_record};
use super::lines::Lines;
use super::object::{read_line, read_object};
use super::record::{Field, Record};
use super::writer::unwrapped;
use super::{Contact, Defaults};

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
    /// Its lines end as those of old Macs.
    #[error("line {0}: lines end in a bare carriage return: save the file with Unix or Windows line endings")]
    CarriageReturns(u64),
    /// It cannot be read.
    #[error(transparent)]
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

    /// How many bytes it has in the file, or somewhat fewer.
    pub(super) fn bytes(&self) -> usize {
        match &self.raw {
            Raw::Csv(cells) => cells.as_slice().len(),
            Raw::Json(line) => line.len(),
        }
    }
}

/// The rows of a file.
pub struct Rows<R>(Input<R>);

enum Input<R> {
    Csv { reader: csv::Reader<Lines<Whole<R>>>, header: ByteRecord, fields: Vec<Option<Field>>, delimiter: u8 },
    Json { input: R, line: u64, unknown: BTreeSet<String> },
}

/// A file from the beginning on, of which something was read already.
type Whole<R> = Chain<Cursor<Vec<u8>>, R>;

impl<R: BufRead> Rows<R> {
    /// Finds out what the file is. An empty file is CSV without rows.
    ///
    /// # Errors
    /// When it is neither CSV nor JSON lines, or cannot be read.
    pub fn open(mut input: R) -> Result<Self, FormatError> {
        let blank = skip_blank(&mut input)?;
        if input.fill_buf()?.first() == Some(&b'{') {
            return Ok(Self(Input::Json { input, line: blank, unknown: BTreeSet::new() }));
        }
        let line = blank + 1;
        let beginning = peek_header(&mut input)?;
        let (delimiter, has_carriage_returns) = (guess_delimiter(&beginning), has_carriage_returns(&beginning));
        let lines = Lines::behind(blank, Cursor::new(beginning).chain(input));
        let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(lines);
        let Some((_, mut header)) = read_record(&mut reader)? else { return Err(FormatError::Unknown(line)) };
        header.trim();
        let fields = fields_of(&header);
        if !fields.iter().flatten().any(|field| [Field::Email, Field::Phone].contains(field)) {
            return Err(FormatError::Unknown(line));
        }
        let repeated = Field::ALL.into_iter().find(|field| fields.iter().flatten().filter(|f| *f == field).count() > 1);
        if let Some(field) = repeated {
            return Err(FormatError::Repeated(line, field.name()));
        }
        if has_carriage_returns {
            return Err(FormatError::CarriageReturns(line));
        }
        Ok(Self(Input::Csv { reader, header, fields, delimiter }))
    }

    /// The columns that are no fields of a contact, and are left out; of JSON lines, such members of those that were
    /// read, or some of them if there are many.
    #[must_use]
    pub fn unknown_columns(&self) -> Vec<String> {
        match &self.0 {
            Input::Csv { header, fields, .. } => {
                let unknown = header.iter().zip(fields).filter(|(_, field)| field.is_none());
                unknown.map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect()
            }
            Input::Json { unknown, .. } => unknown.iter().cloned().collect(),
        }
    }

    /// A place for rows of this file that are not taken.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn rejects<W: Write>(&self, output: W) -> io::Result<Rejects<W>> {
        Ok(match &self.0 {
            Input::Csv { header, delimiter, .. } => {
                let mut writer = WriterBuilder::new().flexible(true).delimiter(*delimiter).from_writer(output);
                writer.write_byte_record(header).map_err(unwrapped)?;
                Rejects::Csv(Box::new(writer))
            }
            Input::Json { .. } => Rejects::Json(output),
        })
    }

    fn read_row(&mut self) -> io::Result<Option<Row>> {
        match &mut self.0 {
            Input::Csv { reader, fields, .. } => {
                let Some((line, raw)) = read_record(reader)? else { return Ok(None) };
                Ok(Some(Row { line, record: read_cells(&raw, fields), raw: Raw::Csv(raw) }))
            }
            Input::Json { input, line, unknown } => loop {
                let Some(raw) = read_line(input)? else { return Ok(None) };
                *line += 1;
                if !raw.trim_ascii().is_empty() {
                    return Ok(Some(Row { line: *line, record: read_object(&raw, unknown), raw: Raw::Json(raw) }));
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
            (Self::Csv(writer), Raw::Csv(raw)) => writer.write_byte_record(raw).map_err(unwrapped),
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
    // No tabs, which may stand before the first column's name.
    while let Some(first) = input.fill_buf()?.first().copied().filter(|first| b" \r\n".contains(first)) {
        lines += u64::from(first == b'\n');
        input.consume(1);
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;
    use proptest::prelude::*;

    /// The line of each row, up to the end or to where the file cannot be read any further.
    fn lines(file: &[u8]) -> Vec<u64> {
        let defaults = Defaults { country: None, is_authorized: true, created_at: Timestamp::from_millis(0) };
        let Ok(rows) = Rows::open(file) else { return Vec::new() };
        let read = |row: io::Result<Row>| {
            let mut row = row.ok()?;
            drop(row.read(&defaults));
            Some(row.line)
        };
        rows.map_while(read).collect()
    }

    /// A cell as the writer of a file quotes it.
    fn cell() -> impl Strategy<Value = String> {
        "[a,;\"\n\r]{0,4}".prop_map(|text| format!("\"{}\"", text.replace('"', "\"\"")))
    }

    proptest! {
        #[test]
        fn reading_any_file_ends_without_a_panic(
            bytes: Vec<u8>,
            near in "(\"?\n?email\"?[,;\n\r]|\\{\"email\":)[a\"',;\n\r\\{\\}\u{0}]{0,30}",
        ) {
            let _ = (lines(&bytes), lines(near.as_bytes()));
        }

        #[test]
        fn a_row_begins_at_the_line_that_an_editor_shows(
            header in "(email|\"\r?\nemail\"),(note|\"no\r?\nte\")",
            rows in prop::collection::vec((prop::collection::vec(cell(), 2), 0..3_usize), 1..6),
            end in "\r?\n",
            has_last_end: bool,
        ) {
            let mut file = header + &end;
            let mut expected = Vec::new();
            for (cells, blank) in rows {
                file += &end.repeat(blank);
                expected.push(file.matches('\n').count() as u64 + 1);
                file += &(cells.join(",") + &end);
            }
            let file = if has_last_end { file.as_str() } else { file.strip_suffix(&end).unwrap() };
            prop_assert_eq!(lines(file.as_bytes()), expected, "{:?}", file);
        }

        #[test]
        fn a_quote_that_is_never_closed_is_an_error(text in "[a,\n\r]{0,8}", before in "(b,b\n){0,3}") {
            let file = format!("email,note\n{before}a,\"{text}");
            let last = Rows::open(file.as_bytes()).unwrap().last().unwrap();
            let line = before.matches('\n').count() + 2;
            let expected = format!("the row that begins at line {line} has a quote that is not closed");
            prop_assert_eq!(last.err().unwrap().to_string(), expected);
        }
    }
}
