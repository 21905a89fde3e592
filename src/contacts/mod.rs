//! Customers as files: what an import reads and an export writes, as CSV or as JSON lines.
//!
//! A file is read row by row ([`Rows`]), a row becomes a [`Contact`], whose values are valid, or a list of all that is
//! wrong with it, and an [`Importer`] brings contacts into the database. The other way, a [`ContactWriter`] writes
//! customers so that an import of the file makes the same customers again.

mod cells;
mod import;
mod lines;
mod object;
mod record;
mod rows;
mod writer;

pub use import::{ImportReport, Importer, Untaken};
pub use record::{Contact, Defaults};
pub use rows::{FormatError, Rejects, Row, Rows};
pub use writer::{ContactWriter, Form, is_export};
