//! `attempts --follow`

use std::time::Duration;

use super::ShownAttempt;
use crate::cli::Context;
use crate::cli::output::{fixed_line, is_reader_gone, print_line};
use crate::domain::AttemptId;
use crate::store::{AttemptFilter, AttemptRow, Database};

/// Between two looks at the database.
const INTERVAL: Duration = Duration::from_millis(500);

/// So many new attempts are read at once: each look is short, however many there are.
const PAGE: usize = 1_000;

/// Prints what there is and what comes, until the process is ended or nobody reads any more.
///
/// Each look is a transaction of its own: one that stayed open would keep the WAL from being reset.
pub(super) fn run(context: &Context, database: &mut Database, filter: AttemptFilter) -> anyhow::Result<()> {
    let lines = Lines::begin(context, database)?;
    let mut last = print_newest(&lines, database, &filter)?;
    let filter = AttemptFilter { limit: PAGE, ..filter };
    while !is_reader_gone()? {
        let (attempts, next) = database.read(|tx| tx.list_attempts_after(last, &filter))?;
        last = next;
        let is_all = attempts.len() < PAGE;
        lines.print(attempts)?;
        if is_all {
            std::thread::sleep(INTERVAL);
        }
    }
    Ok(())
}

/// Prints the newest attempts, the newest last. Gives after which to go on.
fn print_newest(lines: &Lines, database: &mut Database, filter: &AttemptFilter) -> anyhow::Result<Option<AttemptId>> {
    let (attempts, last) = database.read(|tx| anyhow::Ok((tx.list_attempts(filter)?, tx.find_newest_attempt()?)))?;
    lines.print(attempts.into_iter().rev())?;
    Ok(last)
}

/// How attempts are printed, of which the widest is not known yet.
struct Lines {
    json: bool,
    /// The width of each column of [`ShownAttempt::HEAD`]; what is wider moves the rest of its line.
    widths: [usize; 9],
}

impl Lines {
    /// Prints the head, for people.
    fn begin(context: &Context, database: &mut Database) -> anyhow::Result<Self> {
        let organisations = database.read(|tx| tx.list_organisations())?;
        let names = organisations.iter().map(|organisation| organisation.name.chars().count());
        let organisation = names.fold("organisation".len(), usize::max);
        let lines = Self { json: context.output.json, widths: [24, organisation, 9, 7, 5, 32, 16, 15, 0] };
        if !lines.json {
            print_line(&fixed_line(lines.widths, ShownAttempt::HEAD))?;
        }
        Ok(lines)
    }

    fn print(&self, attempts: impl IntoIterator<Item = AttemptRow>) -> anyhow::Result<()> {
        for attempt in attempts {
            let attempt = ShownAttempt::from(attempt);
            let line = if self.json {
                serde_json::to_string(&attempt)?
            } else {
                fixed_line(self.widths, attempt.cells().each_ref().map(String::as_str))
            };
            print_line(&line)?;
        }
        Ok(())
    }
}
