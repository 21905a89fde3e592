//! `key …`: how one is named, and the commands that make or end one.

mod list;
mod rotate;

use anyhow::{Context as _, anyhow, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use super::Context;
use super::organisation::OrganisationArg;
use crate::config::Period;
use crate::domain::{ApiKey, KeyKind, Permission, Permissions, Timestamp};
use crate::keys;
use crate::store::{KeyRow, KeySource, NewKey};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Make a key and print it: the only time that it is shown
    Create {
        #[command(flatten)]
        organisation: OrganisationArg,
        /// What the key is for: `root` has no quota and no throttle
        #[arg(long)]
        kind: Kind,
        /// For how long it is valid, such as 365d [default: until it is revoked]
        #[arg(long, value_name = "PERIOD")]
        expires: Option<Period>,
        /// What the key may do, separated by commas [default: everything]
        #[arg(long, value_name = "PERMISSIONS", value_delimiter = ',', value_parser = permission_parser())]
        only: Option<Vec<Permission>>,
    },
    /// List all keys: prefix and last four characters, never the key
    List,
    /// Replace a key: print a new one like it, and let the old one expire after a while
    Rotate {
        /// Its last four characters, as `key list` shows them, with or without the prefix
        #[arg(value_name = "HINT")]
        hint: String,
        /// For how long the old key stays in force, but never longer than its own expiry
        #[arg(long, value_name = "PERIOD", default_value = "24h")]
        overlap: Period,
    },
    /// Revoke a key for good; running servers refuse it when this returns
    Revoke {
        /// Its last four characters, as `key list` shows them, with or without the prefix; or the whole key
        #[arg(value_name = "HINT")]
        hint: String,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Kind {
    Prod,
    Dev,
    Root,
}

impl From<Kind> for KeyKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Prod => Self::Prod,
            Kind::Dev => Self::Dev,
            Kind::Root => Self::Root,
        }
    }
}

/// Reads one of the names, which help texts and completions list.
fn permission_parser() -> impl clap::builder::TypedValueParser<Value = Permission> {
    PossibleValuesParser::new(Permission::ALL.map(Permission::as_str)).try_map(|name| name.parse())
}

pub(super) fn run(context: &Context, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Create { organisation, kind, expires, only } => {
            let permissions = only.map_or(Permissions::ALL, Permissions::only);
            create(context, &organisation, kind.into(), &permissions, expires)
        }
        Command::List => list::run(context),
        Command::Rotate { hint, overlap } => rotate::run(context, &hint, overlap),
        Command::Revoke { hint } => revoke(context, &hint),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Created<'k> {
    api_key: &'k str,
    expires_at: Option<Timestamp>,
}

fn create(
    context: &Context,
    organisation: &OrganisationArg,
    kind: KeyKind,
    permissions: &Permissions,
    expires: Option<Period>,
) -> anyhow::Result<()> {
    let (mut database, organisation) = context.open_organisation(&context.config.database.path, organisation)?;
    let now = context.clock.now();
    let key = ApiKey::generate(kind);
    let expires_at = expires.map(|period| now + period.get());
    let new = NewKey { organisation, key: &key, permissions, expires_at };
    database.write(|tx| tx.insert_key(&new, now))?;
    wait_for_servers();
    let created = Created { api_key: key.expose(), expires_at };
    show_once(context, &key, &created, "revoke it")
}

/// Prints a key that was made: alone or, for programs, with what is known of it. When that fails, nobody will
/// ever know the key, and `advice` says what to do.
fn show_once(context: &Context, key: &ApiKey, made: &impl Serialize, advice: &str) -> anyhow::Result<()> {
    let printed = context.output.print(made, |_| key.expose().to_owned());
    printed.map_err(|error| anyhow!("the key {} was made but not shown ({error:#}): {advice}", key.label()))
}

fn revoke(context: &Context, hint: &str) -> anyhow::Result<()> {
    let now = context.clock.now();
    let revoked = context.open_database()?.write(|tx| {
        let keys = tx.list_keys()?;
        let is_revoked = |row: &KeyRow| row.revoked_at.is_some();
        // Those in force are meant first. One that has only left the configuration would come back with it.
        let are_all_revoked = keys.iter().filter(|row| is_named(row, hint)).all(is_revoked);
        let can = |row: &KeyRow| !is_revoked(row) || (are_all_revoked && row.source == KeySource::Config);
        let row = find_by_hint(keys, hint, now, can, "give the whole key")?;
        tx.revoke_key(row.id, now)?;
        anyhow::Ok(row)
    })?;
    wait_for_servers();
    context.output.done(format!("Revoked {}.", name(&revoked)))
}

/// The one key that the hint names, of those that `can` be meant; `advice` is for when even the prefix does not tell which.
fn find_by_hint(
    rows: Vec<KeyRow>,
    hint: &str,
    now: Timestamp,
    can: impl Fn(&KeyRow) -> bool,
    advice: &str,
) -> anyhow::Result<KeyRow> {
    let meant = rows.into_iter().filter(|row| is_named(row, hint));
    let (mut matching, others): (Vec<_>, Vec<_>) = meant.partition(can);
    match (matching.len(), others.last()) {
        (1, _) => matching.pop(),
        (0, None) => None,
        (0, Some(other)) => {
            bail!("{} is already {}: create another with magic-auth key create", name(other), other.state(now).as_str())
        }
        _ => {
            let shown: Vec<_> = matching.iter().map(name).collect();
            bail!("several keys end like this: add the prefix, or {advice}: {}", shown.join(", "))
        }
    }
    .context("there is no such key: see magic-auth key list")
}

/// Whether the hint is the key's last four characters, also with its prefix before, or the whole key.
fn is_named(row: &KeyRow, hint: &str) -> bool {
    match ApiKey::parse(hint) {
        Ok(whole) => whole.digest() == row.digest,
        Err(_) => hint == row.hint || hint == row.label() || hint == format!("{}{}", row.kind.prefix(), row.hint),
    }
}

/// A key as a sentence names one.
fn name(row: &KeyRow) -> String {
    format!("{} of {}", row.label(), row.organisation_name)
}

/// A running server looks at the keys again within [`keys::MAX_AGE`]. After twice that time it has, so
/// that what this command did is in force when it returns.
fn wait_for_servers() {
    std::thread::sleep(keys::MAX_AGE * 2);
}
