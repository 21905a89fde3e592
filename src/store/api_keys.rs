//! The table `api_keys`: digests, never keys.

use rusqlite::{OptionalExtension as _, Row, params};

use super::{StoreError, Tx};
use crate::domain::{ApiKey, ApiKeyId, Digest, KeyKind, OrganisationId, Permissions, Timestamp, UnknownPermission};

/// Who has the say about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The configuration file: leaving it revokes the key.
    Config,
    /// The command line.
    Cli,
}

impl KeySource {
    /// The name in the database and in tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Cli => "cli",
        }
    }
}

/// A key to be kept.
#[derive(Debug)]
pub struct NewKey<'k> {
    /// Whose key it is.
    pub organisation: OrganisationId,
    /// The key, of which only the digest and a hint are kept.
    pub key: &'k ApiKey,
    /// What it may do.
    pub permissions: &'k Permissions,
    /// When it stops being valid; `None`: never.
    pub expires_at: Option<Timestamp>,
}

/// A key as it is kept.
#[derive(Clone, Debug)]
pub struct KeyRow {
    /// Its row.
    pub id: ApiKeyId,
    /// Whose key it is.
    pub organisation: OrganisationId,
    /// The organisation's name.
    pub organisation_name: String,
    /// The SHA-256 of the key.
    pub digest: Digest,
    /// What the key is for.
    pub kind: KeyKind,
    /// The last four characters.
    pub hint: String,
    /// Who has the say about it.
    pub source: KeySource,
    /// What it may do: nothing, when a newer program wrote what this one does not know. (An error of this one
    /// row, so that the others can be read.)
    pub permissions: Result<Permissions, UnknownPermission>,
    /// When it was made or first read from the configuration.
    pub created_at: Timestamp,
    /// When it stops being valid.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When another one was made in its place.
    pub rotated_at: Option<Timestamp>,
}

/// Whether a key opens anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It is in force.
    Active,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
}

impl KeyState {
    /// The name in tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// What becomes of a key of the configuration.
#[derive(Debug)]
pub enum ConfigKey {
    /// It is in force.
    InForce,
    /// It is in force, and was one of this organisation until now.
    MovedFrom(String),
    /// The command line has the say about it, and has ended it or made it for another organisation.
    NotInForce,
}

impl KeyRow {
    /// How logs, tables and messages name the key.
    #[must_use]
    pub fn label(&self) -> String {
        self.kind.label(&self.hint)
    }

    /// Whether the key opens anything at this moment.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> KeyState {
        match (self.revoked_at, self.expires_at) {
            (Some(_), _) => KeyState::Revoked,
            (None, Some(end)) if end <= now => KeyState::Expired,
            _ => KeyState::Active,
        }
    }
}

const SELECT: &str = "SELECT k.id, k.organisation_id, o.name, k.digest, k.prefix, k.hint, k.source,
        k.permissions, k.created_at, k.expires_at, k.revoked_at, k.rotated_at
    FROM api_keys AS k JOIN organisations AS o ON o.id = k.organisation_id";

impl Tx<'_> {
    /// Keeps a key that the command line made.
    ///
    /// # Errors
    /// When the database has the key already.
    pub fn insert_key(&self, new: &NewKey<'_>, now: Timestamp) -> Result<(), StoreError> {
        self.insert_key_of(KeySource::Cli, new, now)
    }

    /// Keeps a key that stands in the configuration, and revives it when it had left it. A key that
    /// the command line made or revoked stays as it is.
    pub fn upsert_config_key(&self, new: &NewKey<'_>, now: Timestamp) -> Result<ConfigKey, StoreError> {
        let Some(row) = self.find_key(&new.key.digest())? else {
            self.insert_key_of(KeySource::Config, new, now)?;
            return Ok(ConfigKey::InForce);
        };
        let is_moved = row.organisation != new.organisation;
        if row.source == KeySource::Cli {
            let is_in_force = row.state(now) == KeyState::Active && !is_moved;
            return Ok(if is_in_force { ConfigKey::InForce } else { ConfigKey::NotInForce });
        }
        let sql = "UPDATE api_keys SET organisation_id = ?2, revoked_at = NULL WHERE id = ?1";
        self.update_one(sql, params![row.id, new.organisation])?;
        Ok(if is_moved { ConfigKey::MovedFrom(row.organisation_name) } else { ConfigKey::InForce })
    }

    fn insert_key_of(&self, source: KeySource, new: &NewKey<'_>, now: Timestamp) -> Result<(), StoreError> {
        let sql = "INSERT INTO api_keys
                (organisation_id, digest, prefix, hint, source, created_at, expires_at, permissions)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let values = params![
            new.organisation,
            new.key.digest(),
            new.key.kind().prefix(),
            new.key.hint(),
            source.as_str(),
            now,
            new.expires_at,
            new.permissions.to_list(),
        ];
        self.execute(sql, values).map(drop)
    }

    /// Revokes the keys of the configuration that are not among `present`. Gives their number.
    pub fn revoke_config_keys_except(&self, present: &[Digest], now: Timestamp) -> Result<usize, StoreError> {
        let mut revoked = 0;
        for row in self.list_keys()? {
            let has_left = row.source == KeySource::Config && !present.contains(&row.digest);
            if has_left && row.revoked_at.is_none() {
                self.update_one("UPDATE api_keys SET revoked_at = ?2 WHERE id = ?1", params![row.id, now])?;
                revoked += 1;
            }
        }
        Ok(revoked)
    }

    /// Revokes a key for good: from now on the command line has the say about it, so that it stays
    /// revoked although it may still stand in the configuration.
    ///
    /// # Errors
    /// When there is no such key.
    pub fn revoke_key(&self, id: ApiKeyId, now: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE api_keys SET revoked_at = coalesce(revoked_at, ?2), source = 'cli' WHERE id = ?1";
        self.update_one(sql, params![id, now])
    }

    /// Lets a key in whose place there is another now expire at `end`, unless it does so earlier. From now on the
    /// command line has the say about it, as about one that was revoked.
    ///
    /// # Errors
    /// When there is no such key.
    pub fn replace_key(&self, id: ApiKeyId, end: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE api_keys
            SET expires_at = min(coalesce(expires_at, ?2), ?2), rotated_at = ?3, source = 'cli' WHERE id = ?1";
        self.update_one(sql, params![id, end, now])
    }

    /// All keys, also those that expired or were revoked, in the order they were made.
    pub fn list_keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        let mut statement = self.prepare(&format!("{SELECT} ORDER BY k.id"))?;
        statement.query_and_then([], read_key)?.collect()
    }

    /// The keys that were not revoked: what a server has to know.
    pub fn list_unrevoked_keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        let mut statement = self.prepare(&format!("{SELECT} WHERE k.revoked_at IS NULL"))?;
        statement.query_and_then([], read_key)?.collect()
    }

    fn find_key(&self, digest: &Digest) -> Result<Option<KeyRow>, StoreError> {
        let mut statement = self.prepare(&format!("{SELECT} WHERE k.digest = ?1"))?;
        statement.query_row([digest], |row| Ok(read_key(row))).optional()?.transpose()
    }
}

fn read_key(row: &Row<'_>) -> Result<KeyRow, StoreError> {
    let permissions = row.get::<_, Option<String>>(7)?;
    let kind = row.get_ref(4)?.as_str().ok().and_then(KeyKind::from_prefix);
    let source = match row.get_ref(6)?.as_str() {
        Ok("config") => KeySource::Config,
        Ok("cli") => KeySource::Cli,
        _ => return Err(StoreError::InvalidValue("source of a key")),
    };
    Ok(KeyRow {
        id: row.get(0)?,
        organisation: row.get(1)?,
        organisation_name: row.get(2)?,
        digest: row.get(3)?,
        kind: kind.ok_or(StoreError::InvalidValue("prefix of a key"))?,
        hint: row.get(5)?,
        source,
        permissions: permissions.map_or(Ok(Permissions::ALL), |list| Permissions::parse_list(&list)),
        created_at: row.get(8)?,
        expires_at: row.get(9)?,
        revoked_at: row.get(10)?,
        rotated_at: row.get(11)?,
    })
}
