//! Writing customers as a file of contacts.

use std::borrow::Cow;
use std::io::{self, BufRead as _, BufReader, Read, Write};

use serde::Serialize;
use serde_json::{Map, Value};

use super::object::MAX_LINE;
use super::record::Field;
use crate::domain::Timestamp;
use crate::store::CustomerRow;

/// The form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// CSV with a header.
    Csv,
    /// One JSON object a line.
    JsonLines,
}

/// Writes customers row by row.
pub enum ContactWriter<W: Write> {
    /// As CSV.
    Csv(Box<csv::Writer<W>>),
    /// As JSON lines.
    JsonLines(W),
}

/// A customer as a row, its fields in the order of [`Field::ALL`].
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Exported<'c> {
    email: Option<Cow<'c, str>>,
    phone: Option<&'c str>,
    first_name: Option<Cow<'c, str>>,
    last_name: Option<Cow<'c, str>>,
    company_name: Option<Cow<'c, str>>,
    cu_ref_no: &'c str,
    referral_id: Option<&'c str>,
    registered: bool,
    email_authorized: bool,
    banned: bool,
    ban_reason: Option<Cow<'c, str>>,
    ban_expires_at: Option<Timestamp>,
    created_at: Timestamp,
}

impl<W: Write> ContactWriter<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(form: Form, output: W) -> io::Result<Self> {
        if form == Form::JsonLines {
            return Ok(Self::JsonLines(output));
        }
        let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(output);
        writer.write_record(Field::ALL.map(Field::name)).map_err(unwrapped)?;
        Ok(Self::Csv(Box::new(writer)))
    }

    /// Writes a customer.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&mut self, customer: &CustomerRow) -> io::Result<()> {
        match self {
            Self::Csv(writer) => writer.serialize(exported(customer, guarded)).map_err(unwrapped),
            Self::JsonLines(output) => {
                serde_json::to_writer(&mut *output, &exported(customer, Cow::Borrowed))?;
                output.write_all(b"\n")
            }
        }
    }

    /// Writes what is still in memory.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Csv(writer) => writer.flush(),
            Self::JsonLines(output) => output.flush(),
        }
    }
}

/// The first line of an export as CSV.
pub(super) fn export_header() -> String {
    Field::ALL.map(Field::name).join(",") + "\n"
}

/// Whether the file begins as one that a [`ContactWriter`] has written.
///
/// # Errors
/// When it cannot be read.
pub fn is_export(file: impl Read) -> io::Result<bool> {
    let mut first = Vec::new();
    BufReader::new(file.take(MAX_LINE)).read_until(b'\n', &mut first)?;
    let has_all_fields = |object: Map<String, Value>| Field::ALL.iter().all(|field| object.contains_key(field.name()));
    Ok(first.trim_ascii_end() == export_header().trim_ascii_end().as_bytes()
        || serde_json::from_slice(&first).is_ok_and(has_all_fields))
}

/// What the system says, which a closed pipe is known by.
pub(super) fn unwrapped(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(cause) => cause,
        kind => io::Error::other(format!("{kind:?}")),
    }
}

fn exported<'c>(customer: &'c CustomerRow, text: impl Fn(&'c str) -> Cow<'c, str>) -> Exported<'c> {
    let account = &customer.account;
    let guard = |value: &'c Option<String>| value.as_deref().map(&text);
    let ban = customer.ban.as_ref();
    Exported {
        email: guard(&account.email),
        // Digits and a space behind a plus: harmless.
        phone: account.phone.as_deref(),
        first_name: guard(&account.first_name),
        last_name: guard(&account.last_name),
        company_name: guard(&account.company_name),
        cu_ref_no: &account.cu_ref_no,
        referral_id: customer.referred_by.as_deref(),
        registered: customer.registered_at.is_some(),
        email_authorized: customer.email_authorized_at.is_some(),
        banned: ban.is_some(),
        ban_reason: ban.map(|ban| text(&ban.reason)),
        ban_expires_at: ban.and_then(|ban| ban.expires_at),
        created_at: customer.created_at,
    }
}

/// A text that a spreadsheet would take for a formula gets an apostrophe before it, for customers choose their own
/// names. So does one that looks like such a text: [`unguarded`] takes one off again. Where semicolons separate cells, what
/// stands behind one is a cell of its own.
fn guarded(text: &str) -> Cow<'_, str> {
    map_cells(text, |cell| if is_formula(cell) { format!("'{cell}").into() } else { cell.into() })
}

/// The text of a cell without its guards.
pub(super) fn unguarded(text: &str) -> Cow<'_, str> {
    map_cells(text, |cell| match cell.strip_prefix('\'') {
        Some(rest) if is_formula(rest) => rest.into(),
        _ => cell.into(),
    })
}

fn map_cells<'t>(text: &'t str, change: impl Fn(&'t str) -> Cow<'t, str>) -> Cow<'t, str> {
    if !text.contains(SEPARATOR) {
        return change(text);
    }
    text.split(SEPARATOR).map(change).collect::<Vec<_>>().join(SEPARATOR).into()
}

const SEPARATOR: &str = ";";

/// Whether it begins as one, also behind what may be taken off: guards, spaces, and quotes.
fn is_formula(cell: &str) -> bool {
    let begin = cell.trim_start_matches(['\'', '"', ' ']);
    begin.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_formula_is_guarded_and_other_text_is_not() {
        assert_eq!(guarded("=HYPERLINK(1)"), "'=HYPERLINK(1)");
        assert_eq!(guarded("'=x"), "''=x");
        assert_eq!(guarded("x;=1+1;y; \"@z"), "x;'=1+1;y;' \"@z");
        assert_eq!(guarded("a;b"), "a;b");
        assert_eq!(guarded("O'Brien"), "O'Brien");
        assert_eq!(guarded("'Ndrangheta"), "'Ndrangheta");
        assert_eq!(unguarded("+420 777123456"), "+420 777123456");
    }

    proptest! {
        #[test]
        fn what_is_guarded_is_read_back_and_is_no_formula(text in "['=+@a;\" \\-]{0,8}|\\PC*") {
            let cell = guarded(&text);
            prop_assert_eq!(unguarded(&cell), text.as_str());
            for part in cell.split(SEPARATOR) {
                prop_assert!(part.starts_with('\'') || !is_formula(part));
            }
        }
    }
}
