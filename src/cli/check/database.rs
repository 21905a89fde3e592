//! What `check` says of the database.

use std::path::Path;

use super::{Finding, State, check_mode};
use crate::cli::Context;
use crate::domain::{Digest, Timestamp};
use crate::store::{Database, KeySource, KeyState, OpenError, StoreError, check_place};

/// What the database knows that matters to other checks.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The keys in force that were made on the command line.
    pub(super) keys_made: usize,
    /// The keys that the command line ended, and that open nothing although they may stand in the file.
    pub(super) keys_ended: Vec<Digest>,
    /// When the newest of what is recorded happened.
    pub(super) newest: Option<Timestamp>,
}

/// Also gives the facts, unless the database cannot be asked.
pub(super) fn check(context: &Context) -> (Vec<Finding>, Option<Facts>) {
    let path = &context.config.database.path;
    let (mut findings, facts) = match Database::open_existing(path) {
        Ok(mut database) => (check_content(path, &database), ask(&mut database, context.clock.now()).ok()),
        Err(OpenError::Missing { .. }) => (vec![check_missing(path)], Some(Facts::default())),
        Err(OpenError::Older { found, known, .. }) => {
            let message = format!("version {found}: the server upgrades it to {known}");
            (vec![Finding::new("schema", State::Ok, message)], None)
        }
        Err(error @ OpenError::Newer { .. }) => (vec![wrong("schema", &error)], None),
        Err(error) => (vec![wrong("database", &error)], None),
    };
    findings.extend(check_mode("database file", path, "the customers' addresses"));
    (findings, facts)
}

fn check_content(path: &Path, database: &Database) -> Vec<Finding> {
    let mut findings = match database.find_damage() {
        Err(error) => vec![wrong("database", &error)],
        Ok(damage) if damage.is_empty() => {
            vec![Finding::new("database", State::Ok, format!("{} is intact", path.display()))]
        }
        Ok(damage) => damage.iter().map(|damage| wrong("database", damage)).collect(),
    };
    findings.push(Finding::new("schema", State::Ok, format!("version {}, as it should be", Database::VERSION)));
    findings
}

/// Whether the server can make the database.
fn check_missing(path: &Path) -> Finding {
    let message = format!("{} does not exist yet: the server creates it", path.display());
    check_place(path).map_or_else(|error| wrong("database", &error), |()| Finding::new("database", State::Ok, message))
}

fn ask(database: &mut Database, now: Timestamp) -> Result<Facts, StoreError> {
    database.read(|tx| {
        let keys = tx.list_keys()?.into_iter().filter(|key| key.source == KeySource::Cli);
        let (made, ended): (Vec<_>, Vec<_>) = keys.partition(|key| key.state(now) == KeyState::Active);
        let keys_ended = ended.into_iter().map(|key| key.digest).collect();
        Ok(Facts { keys_made: made.len(), keys_ended, newest: tx.find_newest_moment()? })
    })
}

fn wrong(subject: &'static str, error: &impl ToString) -> Finding {
    Finding::new(subject, State::Wrong, error.to_string())
}
