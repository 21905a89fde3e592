//! `key create`, `key list`, `key revoke`

use anyhow::{Context as _, anyhow, bail};
use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use super::output::{or_dash, table};
use super::{Context, find_organisation};
use crate::config::Period;
use crate::domain::{ApiKey, KeyKind, Timestamp};
use crate::keys;
use crate::store::{Database, KeyRow, KeyState, NewKey};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a key and print it: the only time that it is shown
    Create {
        /// Whose key; may be left out when there is only one organisation
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
        /// What the key is for: `root` has no quota and no throttle
        #[arg(long)]
        kind: Kind,
        /// For how long it is valid, such as 365d [default: until it is revoked]
        #[arg(long, value_name = "PERIOD")]
        expires: Option<Period>,
    },
    /// List all keys: prefix and last four characters, never the key
    List,
    /// Revoke a key for good; running servers refuse it when this returns
    Revoke {
        /// Its last four characters, as `key list` shows them, also with the prefix; or the whole key
        #[arg(value_name = "HINT")]
        hint: String,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
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

pub(super) fn run(context: &Context, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Create { organisation, kind, expires } => create(context, organisation.as_deref(), kind, expires),
        Command::List => list(context),
        Command::Revoke { hint } => revoke(context, &hint),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Created<'k> {
    api_key: &'k str,
    expires_at: Option<String>,
}

fn create(context: &Context, name: Option<&str>, kind: Kind, expires: Option<Period>) -> anyhow::Result<()> {
    let path = &context.config.database.path;
    // The first key may be made before the server has been started for the first time.
    let configured = &context.config.organisations;
    if !path.exists() && !configured.iter().any(|known| name.is_none_or(|name| name == known.name.as_str())) {
        bail!("there is no such organisation: add an [[organisation]] to the configuration");
    }
    let mut database = if path.exists() { context.open_database()? } else { Database::open(path)? };
    let now = context.clock.now();
    let key = ApiKey::generate(kind.into());
    let expires_at = expires.map(|period| now + period.get());
    database.write(|tx| {
        for organisation in configured {
            tx.upsert_organisation(organisation.name.as_str(), now)?;
        }
        let organisation = find_organisation(tx, name)?;
        tx.insert_key(&NewKey { organisation, key: &key, expires_at }, now)?;
        anyhow::Ok(())
    })?;
    wait_for_servers();
    let created = Created { api_key: key.expose(), expires_at: expires_at.map(|at| at.to_string()) };
    let printed = context.output.print(&created, |created| created.api_key.to_owned());
    printed.map_err(|error| anyhow!("the key {} was made but not shown ({error}): revoke it", key.hint()))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedKey {
    organisation: String,
    key: String,
    hint: String,
    source: &'static str,
    state: &'static str,
    created_at: String,
    expires_at: Option<String>,
    revoked_at: Option<String>,
}

fn list(context: &Context) -> anyhow::Result<()> {
    let rows = context.open_database()?.read(|tx| anyhow::Ok(tx.list_keys()?))?;
    let now = context.clock.now();
    let keys: Vec<ListedKey> = rows.into_iter().map(|row| listed(row, now)).collect();
    context.output.print(&keys, |keys| {
        let rows = keys.iter().map(|key| {
            [
                key.organisation.clone(),
                key.key.clone(),
                key.source.to_owned(),
                key.state.to_owned(),
                key.created_at.clone(),
                or_dash(key.expires_at.as_ref()),
                or_dash(key.revoked_at.as_ref()),
            ]
        });
        let head = ["organisation", "key", "source", "state", "created", "expires", "revoked"];
        table(head, rows, "There are no keys yet: make one with magic-auth key create.")
    })
}

fn listed(row: KeyRow, now: Timestamp) -> ListedKey {
    let state = match row.state(now) {
        KeyState::Active => "active",
        KeyState::Expired => "expired",
        KeyState::Revoked => "revoked",
    };
    ListedKey {
        key: row.label(),
        organisation: row.organisation_name,
        hint: row.hint,
        source: row.source.as_str(),
        state,
        created_at: row.created_at.to_string(),
        expires_at: row.expires_at.map(|at| at.to_string()),
        revoked_at: row.revoked_at.map(|at| at.to_string()),
    }
}

fn revoke(context: &Context, hint: &str) -> anyhow::Result<()> {
    let now = context.clock.now();
    let revoked = context.open_database()?.write(|tx| {
        let rows = tx.list_keys()?;
        let row = find_by_hint(rows, hint)?;
        tx.revoke_key(row.id, now)?;
        anyhow::Ok(row)
    })?;
    wait_for_servers();
    context.output.done(format!("Revoked {} of {}.", revoked.label(), revoked.organisation_name))
}

/// The one key, not yet revoked, that the hint names: its last four characters, also with its prefix before, or
/// the whole key.
fn find_by_hint(rows: Vec<KeyRow>, hint: &str) -> anyhow::Result<KeyRow> {
    let whole = ApiKey::parse(hint).ok().map(|key| key.digest());
    let names = |row: &KeyRow| {
        if whole.is_some() {
            return whole == Some(row.digest);
        }
        let prefix = row.kind.prefix();
        [row.hint.clone(), format!("{prefix}{}", row.hint), row.label()].iter().any(|name| name == hint)
    };
    let mut matching: Vec<KeyRow> = rows.into_iter().filter(|row| row.revoked_at.is_none() && names(row)).collect();
    match matching.len() {
        0 | 1 => matching.pop().context("there is no such key, or it is revoked already: see magic-auth key list"),
        _ => {
            let shown: Vec<_> =
                matching.iter().map(|row| format!("{} of {}", row.label(), row.organisation_name)).collect();
            bail!("several keys end so, say the prefix too: {}", shown.join(", "))
        }
    }
}

/// A running server looks at the keys again within [`keys::MAX_AGE`]. After twice that time it has, so
/// that what this command did is in force when it returns.
fn wait_for_servers() {
    std::thread::sleep(keys::MAX_AGE * 2);
}
