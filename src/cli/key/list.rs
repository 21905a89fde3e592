//! `key list`

use serde::Serialize;

use crate::cli::Context;
use crate::cli::output::{or_dash, table};
use crate::domain::Timestamp;
use crate::store::KeyRow;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedKey {
    organisation: String,
    key: String,
    hint: String,
    source: &'static str,
    state: &'static str,
    permissions: Option<Vec<&'static str>>,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
}

pub(super) fn run(context: &Context) -> anyhow::Result<()> {
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
                shown(key.permissions.as_deref()),
                key.created_at.to_string(),
                or_dash(key.expires_at),
                or_dash(key.revoked_at),
            ]
        });
        let head = ["organisation", "key", "source", "state", "permissions", "created", "expires", "revoked"];
        table(head, rows, "There are no keys yet: make one with magic-auth key create.")
    })
}

fn listed(row: KeyRow, now: Timestamp) -> ListedKey {
    ListedKey {
        key: row.label(),
        source: row.source.as_str(),
        state: row.state(now).as_str(),
        permissions: row.permissions.map_or_else(|_| Some(Vec::new()), |permissions| permissions.names()),
        organisation: row.organisation_name,
        hint: row.hint,
        created_at: row.created_at,
        expires_at: row.expires_at,
        revoked_at: row.revoked_at,
    }
}

fn shown(permissions: Option<&[&str]>) -> String {
    match permissions {
        None => "all".to_owned(),
        Some([]) => "none".to_owned(),
        Some(names) => names.join(","),
    }
}
