//! `key rotate`

use anyhow::{anyhow, bail};
use serde::Serialize;

use super::{find_by_hint, name, show_once, wait_for_servers};
use crate::cli::Context;
use crate::cli::output::note;
use crate::config::Period;
use crate::domain::{ApiKey, Timestamp};
use crate::store::{KeyRow, KeySource, KeyState, NewKey, Tx};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rotated<'k> {
    api_key: &'k str,
    expires_at: Option<Timestamp>,
    replaces: Replaced,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Replaced {
    key: String,
    expires_at: Timestamp,
}

pub(super) fn run(context: &Context, hint: &str, overlap: Period) -> anyhow::Result<()> {
    if ApiKey::parse(hint).is_ok() {
        bail!(
            "name the key by its last four characters (see magic-auth key list): others on this machine can read what \
             stands on a command line, and the key stays in force for now"
        );
    }
    let now = context.clock.now();
    let end = now + overlap.get();
    let (old, new, expires_at) = context.open_database()?.write(|tx| {
        let is_active = |row: &KeyRow| row.state(now) == KeyState::Active;
        let old = find_by_hint(tx.list_keys()?, hint, now, is_active, "create another, then revoke this one")?;
        // The file would no longer control it, and everybody knows it.
        if ApiKey::is_digest_of_demo(&old.digest) {
            bail!(
                "{} is a published demo key: create another (magic-auth key create), and remove it from api_keys",
                name(&old)
            );
        }
        // It would be given the life that the old one has left.
        if let Some(at) = old.rotated_at {
            bail!(
                "{} was already replaced at {at}: rotate the key that was created then (see magic-auth key list)",
                name(&old)
            );
        }
        let (new, expires_at) = insert_like(tx, &old, now)?;
        tx.replace_key(old.id, end, now)?;
        anyhow::Ok((old, new, expires_at))
    })?;
    wait_for_servers();
    let end = old.expires_at.map_or(end, |earlier| earlier.min(end));
    let rotated =
        Rotated { api_key: new.expose(), expires_at, replaces: Replaced { key: old.label(), expires_at: end } };
    let advice = format!("revoke it and create another (magic-auth key create) before {} expires at {end}", name(&old));
    show_once(context, &new, &rotated, &advice)?;
    if !context.output.json {
        note(&replacement(&new, expires_at, &old, end));
    }
    Ok(())
}

/// Makes a key of the same organisation, kind, permissions and length of life.
fn insert_like(tx: &Tx<'_>, old: &KeyRow, now: Timestamp) -> anyhow::Result<(ApiKey, Option<Timestamp>)> {
    let permissions = old.permissions.as_ref().map_err(|error| {
        anyhow!("{} has a permission that this version does not know ({error}): use a newer magic-auth", name(old))
    })?;
    let key = ApiKey::generate(old.kind);
    let expires_at = old.expires_at.map(|end| now + end.since(old.created_at));
    tx.insert_key(&NewKey { organisation: old.organisation, key: &key, permissions, expires_at }, now)?;
    Ok((key, expires_at))
}

/// What happens with the two keys, and what is left to do.
fn replacement(new: &ApiKey, new_end: Option<Timestamp>, old: &KeyRow, old_end: Timestamp) -> String {
    let expiry = new_end.map_or_else(String::new, |end| format!(" The new key expires at {end}."));
    let leave = match old.source {
        KeySource::Config => " Remove the old one from the configuration, which no longer controls it.",
        KeySource::Cli => "",
    };
    format!("{} replaces {}, which stays in force until {old_end}.{expiry}{leave}", new.label(), name(old))
}
