//! What commands print: a table or sentences for people, JSON for programs.

use std::io::{self, Write as _};

use anyhow::Context as _;
use comfy_table::{ContentArrangement, Table, presets};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;

use crate::domain::is_invisible;

/// Standard output, in the form that was asked for.
pub(super) struct Output {
    /// Whether JSON was asked for.
    pub(super) json: bool,
}

impl Output {
    /// Prints `value` as JSON, or as what `text` makes of it.
    pub(super) fn print<T: Serialize>(&self, value: &T, text: impl FnOnce(&T) -> String) -> anyhow::Result<()> {
        let text = if self.json { serde_json::to_string_pretty(value)? } else { text(value) };
        print_line(&text)
    }

    /// Says what was done.
    pub(super) fn done(&self, message: String) -> anyhow::Result<()> {
        self.print(&Done { message }, |done| done.message.clone())
    }
}

/// That something was done.
#[derive(Serialize)]
struct Done {
    message: String,
}

/// So many things in words: `1 customer`, `2 customers`.
pub(super) fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Prints a line, or several, on standard output.
pub(super) fn print_line(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()).context(NOT_PRINTED)
}

/// What failed when standard output is full: the command itself may have done what it was to do.
pub(super) const NOT_PRINTED: &str = "cannot write to standard output";

/// Says something to people on standard error, in one line, beside a result that a program may read.
pub(super) fn note(text: &str) {
    // What was done stays done, whoever hears of it.
    let _ = writeln!(io::stderr(), "{}", printable(text));
}

/// Prints an error on standard error, in one line.
pub(super) fn print_error(error: &anyhow::Error) {
    let line = printable(&format!("{error:#}"));
    // There is nowhere else to say that this failed.
    let _ = writeln!(io::stderr(), "magic-auth: {line}");
}

/// Whether somebody like `head` has read enough and closed the pipe: no error of the command's.
pub(super) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// A table with a line under its head, or `nothing` when it has no rows.
pub(super) fn table<const COLUMNS: usize>(
    head: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
    nothing: &str,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(head);
    table.add_rows(rows.into_iter().map(|row| row.map(|cell| printable(&cell))));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    if table.is_empty() {
        return nothing.to_owned();
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// The text without what a terminal would take for orders, or what turns the direction of its line: it may be anybody's.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|character| if is_invisible(character) { ' ' } else { character }).collect()
}

/// A cell for a value that may be missing.
pub(super) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// A line of a table that is printed as it comes: each cell is as wide as its column or wider.
pub(super) fn fixed_line<const COLUMNS: usize>(widths: [usize; COLUMNS], cells: [&str; COLUMNS]) -> String {
    let cells = widths.into_iter().zip(cells).map(|(width, cell)| format!("{:width$}", printable(cell)));
    cells.collect::<Vec<_>>().join("  ")
}

/// Whether the pipe of standard output has been closed by its reader, as nothing else would tell a command
/// that has nothing to write for the time being.
pub(super) fn is_reader_gone() -> io::Result<bool> {
    let out = io::stdout();
    let mut watched = [PollFd::new(&out, PollFlags::empty())];
    poll(&mut watched, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
    Ok(watched[0].revents().intersects(PollFlags::ERR | PollFlags::HUP))
}
