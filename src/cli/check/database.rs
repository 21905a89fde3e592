//! What `check` says of the database.

use std::path::Path;

use super::{Finding, State, check_mode};
use crate::cli::Context;
use crate::domain::{Digest, Timestamp};
use crate::store::{Database, KeySource, KeyState, OpenError, StoreError, check_place};

/// What the database knows that matters to other checks.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The keys in force that were made on the command line: the organisation of each.
    pub(super) keys_made: Vec<String>,
    /// The keys that the command line ended, and that open nothing although they may stand in the file.
    pub(super) keys_ended: Vec<Digest>,
    /// The customers that are not found by their address as `email.canonicalization` is now.
    kept_otherwise: (usize, Vec<String>),
    /// When the newest of what is recorded happened.
    pub(super) newest: Option<Timestamp>,
}

/// Also gives the facts, unless the database cannot be asked.
pub(super) fn check(context: &Context) -> (Vec<Finding>, Option<Facts>) {
    let path = &context.config.database.path;
    let (mut findings, facts) = match Database::open_existing(path) {
        Ok(mut database) => (check_content(path, &database), ask(context, &mut database).ok()),
        Err(OpenError::Missing(_)) => (vec![check_missing(path)], Some(Facts::default())),
        Err(OpenError::Older { found, known, .. }) => {
            let message = format!("version {found}: the server upgrades it to {known}");
            (vec![Finding::new("schema", State::Ok, message)], None)
        }
        Err(error @ OpenError::Newer { .. }) => (vec![wrong("schema", &error)], None),
        Err(error) => (vec![wrong("database", &error)], None),
    };
    findings.extend(facts.as_ref().and_then(check_canonicalization));
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

/// Whether the customers are kept as they are looked for.
fn check_canonicalization(facts: &Facts) -> Option<Finding> {
    let (count, oldest) = &facts.kept_otherwise;
    let customers = match count {
        0 => return None,
        1 => "1 customer is".to_owned(),
        count => format!("{count} customers are"),
    };
    let more = if *count > oldest.len() { ", …" } else { "" };
    let message = format!(
        "{customers} kept under another setting and cannot be found by address: change it back, or give each the new form \
         with magic-auth customer set-email CUREFNO ADDRESS ({}{more})",
        oldest.join(", ")
    );
    Some(Finding::new("email.canonicalization", State::Warning, message))
}

fn ask(context: &Context, database: &mut Database) -> Result<Facts, StoreError> {
    let (now, rules) = (context.clock.now(), context.config.email.canonicalization);
    database.read(|tx| {
        let keys = tx.list_keys()?.into_iter().filter(|key| key.source == KeySource::Cli);
        let (made, ended): (Vec<_>, Vec<_>) = keys.partition(|key| key.state(now) == KeyState::Active);
        let keys_made = made.into_iter().map(|key| key.organisation_name).collect();
        let keys_ended = ended.into_iter().map(|key| key.digest).collect();
        let kept_otherwise = tx.list_kept_otherwise(rules, 3)?;
        Ok(Facts { keys_made, keys_ended, kept_otherwise, newest: tx.find_newest_moment()? })
    })
}

fn wrong(subject: &'static str, error: &impl ToString) -> Finding {
    Finding::new(subject, State::Wrong, error.to_string())
}
