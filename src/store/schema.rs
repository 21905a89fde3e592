//! The schema and its upgrades. `schema.sql` is always the whole current schema; the number of its
//! version is in the file's `user_version`.

use rusqlite::{Connection, TransactionBehavior};

/// The current schema, for a new file.
const SCHEMA: &str = include_str!("../../schema.sql");

/// What turns version n into version n + 1, from n = 1. Never change a step that was released.
const UPGRADES: &[&str] = &[
    // 1: permissions of keys, people who were forgotten, telephones that are unique, referrals of an import, and what is
    // known of addresses.
    "ALTER TABLE api_keys ADD COLUMN permissions TEXT;
    ALTER TABLE customers ADD COLUMN erased_at INTEGER;
    ALTER TABLE customers ADD COLUMN countries TEXT;
    CREATE UNIQUE INDEX customers_by_phone ON customers (organisation_id, phone) WHERE phone IS NOT NULL;
    CREATE TABLE pending_referrals (
        customer_id INTEGER PRIMARY KEY REFERENCES customers (id),
        cu_ref_no   TEXT    NOT NULL
    ) STRICT;
    CREATE TABLE attempts_with_denied (
        id              INTEGER PRIMARY KEY,
        organisation_id INTEGER NOT NULL REFERENCES organisations (id),
        api_key_id      INTEGER NOT NULL REFERENCES api_keys (id),
        customer_id     INTEGER REFERENCES customers (id),
        mailbox         INTEGER,
        email           TEXT,
        ip              TEXT,
        outcome         TEXT    NOT NULL
            CHECK (outcome IN ('OK', 'E001', 'E002', 'E003', 'E004', 'E005', 'E006', 'E007', 'denied')),
        at              INTEGER NOT NULL,
        count           INTEGER NOT NULL DEFAULT 1,
        new_country     INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    INSERT INTO attempts_with_denied SELECT *, 0 FROM login_attempts;
    DROP TABLE login_attempts;
    ALTER TABLE attempts_with_denied RENAME TO login_attempts;
    CREATE TABLE ip_intelligence (
        ip          TEXT    PRIMARY KEY,
        country     TEXT,
        city        TEXT,
        asn         INTEGER,
        as_name     TEXT,
        flags       TEXT,
        facts       TEXT    NOT NULL,
        due_at      INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;",
    // 2: the check of the outcome costs less.
    "CREATE TABLE attempts_with_cheap_check (
        id              INTEGER PRIMARY KEY,
        organisation_id INTEGER NOT NULL REFERENCES organisations (id),
        api_key_id      INTEGER NOT NULL REFERENCES api_keys (id),
        customer_id     INTEGER REFERENCES customers (id),
        mailbox         INTEGER,
        email           TEXT,
        ip              TEXT,
        outcome         TEXT    NOT NULL
            CHECK (outcome = 'OK' OR outcome = 'denied' OR outcome GLOB 'E00[1-7]'),
        at              INTEGER NOT NULL,
        count           INTEGER NOT NULL DEFAULT 1,
        new_country     INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    INSERT INTO attempts_with_cheap_check SELECT * FROM login_attempts;
    DROP TABLE login_attempts;
    ALTER TABLE attempts_with_cheap_check RENAME TO login_attempts;",
    // 3: a key is rotated once.
    "ALTER TABLE api_keys ADD COLUMN rotated_at INTEGER;",
];

/// The version of [`SCHEMA`].
pub(super) const VERSION: i64 = version_after(UPGRADES);

/// Why a file does not have, and cannot get, the current schema.
#[derive(Debug, thiserror::Error)]
pub(super) enum SchemaError {
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
    #[error("version {0} is newer than this program")]
    Newer(i64),
    #[error("version {0} is older than this program")]
    Older(i64),
    #[error("not a database of this program")]
    Foreign,
}

/// Brings the file to the current schema, one transaction for each step. Gives the version that it had, 0 for an empty one.
pub(super) fn upgrade(connection: &mut Connection) -> Result<i64, SchemaError> {
    let found = version(connection)?;
    upgrade_with(connection, SCHEMA, UPGRADES)?;
    Ok(found)
}

/// Refuses a file that is somebody else's or newer, before anything about it is changed. Gives its version,
/// which is 0 for an empty file.
pub(super) fn recognise(connection: &Connection) -> Result<i64, SchemaError> {
    // All of it on one state of the file: somebody else may be making it.
    let _state = connection.unchecked_transaction()?;
    match version(connection)? {
        0 if is_empty(connection)? => Ok(0),
        found if found < 1 || !has_our_tables(connection)? => Err(SchemaError::Foreign),
        newer if newer > VERSION => Err(SchemaError::Newer(newer)),
        known => Ok(known),
    }
}

/// Refuses a file that has not the current schema.
pub(super) fn check(connection: &Connection) -> Result<(), SchemaError> {
    match recognise(connection)? {
        VERSION => Ok(()),
        older => Err(SchemaError::Older(older)),
    }
}

#[expect(clippy::cast_possible_wrap, reason = "there are not 2^63 upgrades")]
const fn version_after(upgrades: &[&str]) -> i64 {
    upgrades.len() as i64 + 1
}

fn upgrade_with(connection: &mut Connection, schema: &str, upgrades: &[&str]) -> Result<(), SchemaError> {
    let newest = version_after(upgrades);
    if version(connection)? == newest {
        return Ok(());
    }
    loop {
        // The version is read again under the lock: another process may be upgrading too.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found = version(&transaction)?;
        let step = match found {
            0 if is_empty(&transaction)? => schema,
            0 => return Err(SchemaError::Foreign),
            _ if found == newest => return Ok(()),
            _ => {
                *usize::try_from(found - 1).ok().and_then(|step| upgrades.get(step)).ok_or(SchemaError::Newer(found))?
            }
        };
        transaction.execute_batch(step)?;
        let reached = if found == 0 { newest } else { found + 1 };
        transaction.pragma_update(None, "user_version", reached)?;
        transaction.commit()?;
    }
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| row.get(0))
}

/// Whether the tables are there that every version has. Other programs count versions too.
fn has_our_tables(connection: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*) = 6 FROM sqlite_schema WHERE type = 'table'
        AND name IN ('organisations', 'api_keys', 'customers', 'bans', 'sessions', 'login_attempts')";
    connection.query_row(sql, [], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the file says its tables and indexes are, but for comments, spacing and quotes.
    fn description(connection: &Connection) -> Vec<String> {
        let uncommented = |sql: String| -> String {
            let lines = sql.lines().map(|line| line.split("--").next().unwrap_or_default());
            let words = lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ");
            words.replace(" ,", ",").replace("( ", "(").replace(" )", ")").replace('"', "")
        };
        connection
            .prepare("SELECT type || ' ' || name || ': ' || coalesce(sql, '') FROM sqlite_schema ORDER BY type, name")
            .unwrap()
            .query_map([], |row| row.get(0).map(uncommented))
            .unwrap()
            .collect::<rusqlite::Result<_>>()
            .unwrap()
    }

    fn fresh() -> Connection {
        Connection::open_in_memory().unwrap()
    }

    #[test]
    fn a_file_without_the_current_schema_is_refused_and_said_why() {
        let mut current = fresh();
        upgrade(&mut current).unwrap();
        check(&current).unwrap();
        let refusal = |change: &str| {
            let file = fresh();
            file.execute_batch(change).unwrap();
            check(&file).unwrap_err().to_string()
        };
        assert_eq!(refusal(""), "version 0 is older than this program");
        assert_eq!(refusal("CREATE TABLE a (b)"), "not a database of this program");
        assert_eq!(refusal("CREATE TABLE a (b); PRAGMA user_version = 1"), "not a database of this program");
        assert_eq!(refusal("CREATE TABLE a (b); PRAGMA user_version = 99"), "not a database of this program");
        assert_eq!(refusal(&format!("{SCHEMA}; PRAGMA user_version = 99")), "version 99 is newer than this program");
    }

    #[test]
    fn every_earlier_version_is_upgraded_to_the_schema_of_a_new_file() {
        let mut new = fresh();
        upgrade(&mut new).unwrap();
        for released in 1..=VERSION {
            let frozen = format!("{}/tests/schemas/{released}.sql", env!("CARGO_MANIFEST_DIR"));
            let frozen = std::fs::read_to_string(frozen).expect("each version has a frozen copy in tests/schemas");
            let mut old = fresh();
            old.execute_batch(&frozen).unwrap();
            old.pragma_update(None, "user_version", released).unwrap();
            old.execute_batch(
                "INSERT INTO organisations VALUES (1, 'shop', 1);
                INSERT INTO api_keys (organisation_id, digest, prefix, hint, source, created_at)
                    VALUES (1, zeroblob(32), 'PROD', 'hint', 'cli', 1);
                INSERT INTO login_attempts (organisation_id, api_key_id, mailbox, ip, outcome, at)
                    VALUES (1, 1, 7, '192.0.2.1', 'E006', 5)",
            )
            .unwrap();
            assert_eq!(recognise(&old).unwrap(), released);
            upgrade(&mut old).unwrap();
            assert_eq!(description(&old), description(&new), "version {released}");
            let kept: String = old
                .query_row(
                    "SELECT concat_ws(' ', mailbox, ip, outcome, at, count, new_country) FROM login_attempts",
                    [],
                    |row| row.get(0),
                )
                .unwrap();
            assert_eq!(kept, "7 192.0.2.1 E006 5 1 0");
            check(&old).unwrap();
        }
    }

    const STEPS: [&str; 2] = ["CREATE TABLE b (x)", "CREATE TABLE c (x)"];
    const WHOLE: &str = "CREATE TABLE a (x); CREATE TABLE b (x); CREATE TABLE c (x);";

    #[test]
    fn a_file_is_upgraded_step_by_step() {
        let mut old = fresh();
        upgrade_with(&mut old, "CREATE TABLE a (x)", &[]).unwrap();
        assert_eq!(version(&old).unwrap(), 1);
        upgrade_with(&mut old, WHOLE, &STEPS).unwrap();
        let mut new = fresh();
        upgrade_with(&mut new, WHOLE, &STEPS).unwrap();
        assert_eq!(description(&old), description(&new));
        assert_eq!((version(&old).unwrap(), version(&new).unwrap()), (3, 3));
    }

    #[test]
    fn a_step_that_fails_leaves_the_version_before_it() {
        let mut file = fresh();
        upgrade_with(&mut file, "CREATE TABLE a (x)", &[]).unwrap();
        let broken = ["CREATE TABLE b (x)", "CREATE TABLE c (x); CREATE TABLE a (x)"];
        assert!(upgrade_with(&mut file, WHOLE, &broken).is_err());
        assert_eq!(version(&file).unwrap(), 2);
        assert_eq!(description(&file).len(), 2);
        upgrade_with(&mut file, WHOLE, &STEPS).unwrap();
        assert_eq!(version(&file).unwrap(), 3);
    }

    #[test]
    fn a_newer_file_is_refused_and_left_alone() {
        let mut file = fresh();
        upgrade(&mut file).unwrap();
        let before = description(&file);
        file.pragma_update(None, "user_version", VERSION + 1).unwrap();
        assert!(matches!(upgrade(&mut file), Err(SchemaError::Newer(found)) if found == VERSION + 1));
        assert!(matches!(recognise(&file), Err(SchemaError::Newer(_))));
        assert!(matches!(check(&file), Err(SchemaError::Newer(_))));
        assert_eq!(description(&file), before);
    }

    #[test]
    fn somebody_elses_database_is_refused_and_left_alone() {
        let mut file = fresh();
        file.execute_batch("CREATE TABLE notes (x)").unwrap();
        assert!(matches!(recognise(&file), Err(SchemaError::Foreign)));
        assert!(matches!(upgrade(&mut file), Err(SchemaError::Foreign)));
        for version in [-1, 1, VERSION] {
            file.pragma_update(None, "user_version", version).unwrap();
            assert!(matches!(recognise(&file), Err(SchemaError::Foreign)), "{version}");
        }
        assert_eq!(description(&file).len(), 1);
    }
}
