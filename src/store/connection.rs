//! How a connection is opened and set up: every pragma in one place, each with its reason.

use std::path::{Path, PathBuf};
use std::time::Duration;

use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};

use super::place::{check_place, make_private, real_path, refuse_wal_alone};
use super::{OpenError, schema};

/// How long a command waits for the lock that a busy server takes again and again: seconds.
const COMMAND_PATIENCE: i32 = 10;

/// How many seconds the writer waits for a lock that another process has: a command writes for milliseconds, so
/// that two seconds mean that something is wrong, and that nobody should wait any longer.
const WRITER_PATIENCE: i32 = 2;

/// How long the writer waits for readers when it empties the WAL. Look-ups take microseconds, and those that begin
/// meanwhile are not in the way; who reads for longer is not waited for.
const READER_TIMEOUT: Duration = Duration::from_millis(20);

/// Waits for a lock, `SECONDS` at most, and asks for it every millisecond. SQLite's own time-out asks ten times
/// a second in the end: between a busy server and an import, one of both would hardly ever get it.
fn wait_for_lock<const SECONDS: i32>(tries: i32) -> bool {
    std::thread::sleep(Duration::from_millis(1));
    tries < SECONDS * 1_000
}

/// What is left of a WAL that had grown beyond it: 64 MiB. In the ordinary course of things it is begun anew at
/// a quarter of that, and a batch more.
pub const WAL_LIMIT: u32 = 64 << 20;

/// Opens a connection that reads and writes, and makes the file when it is not there. A file that is no
/// database of this program is left as it is.
pub(super) fn open_writer(path: &Path) -> Result<Connection, OpenError> {
    refuse_unsafe_library()?;
    check_place(path)?;
    let unusable = |cause| OpenError::Unusable { path: path.to_owned(), cause };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    make_private(&real_path(path));
    let connection = open(path, flags).map_err(unusable)?;
    schema::recognise(&connection).map_err(|error| OpenError::at(path, error))?;
    match set_up_writing(&connection).map_err(unusable)?.as_str() {
        "wal" => Ok(connection),
        mode => Err(OpenError::NoWal { path: path.to_owned(), mode: mode.to_owned() }),
    }
}

/// Opens a connection that reads and writes a file that is there, of the current schema or an earlier one.
pub(super) fn open_existing(path: &Path) -> Result<Connection, OpenError> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.len() > 0 => open_writer(path),
        // With nothing in it, it stays so.
        _ => refuse_wal_alone(path).and(Err(OpenError::Missing(path.to_owned()))),
    }
}

/// Opens a file that is there, and leaves it as it is: its journal mode too.
pub(super) fn open_unchanged(path: &Path) -> rusqlite::Result<Connection> {
    open(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

/// Opens a file that is there and may be damaged: closing it leaves its WAL as it is, too.
pub(super) fn open_untouched(path: &Path) -> rusqlite::Result<Connection> {
    let connection = open_unchanged(path)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

fn open(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(absolute(path), flags)?;
    set_up(&connection)?;
    Ok(connection)
}

const READER_FLAGS: OpenFlags = OpenFlags::SQLITE_OPEN_READ_ONLY.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// Opens `size` connections that only read.
pub(super) fn open_reader_pool(path: &Path, size: u32) -> Result<r2d2::Pool<SqliteConnectionManager>, OpenError> {
    let manager =
        SqliteConnectionManager::file(absolute(path)).with_flags(READER_FLAGS).with_init(|c| set_up_reading(c));
    r2d2::Pool::builder()
        .max_size(size)
        // Connections are kept for good: reopening one costs its page cache, and closing the last
        // one its WAL.
        .max_lifetime(None)
        .idle_timeout(None)
        // A file on this machine does not go away; asking it each time would be a query for a query.
        .test_on_check_out(false)
        .connection_timeout(Duration::from_secs(2))
        .build(manager)
        .map_err(|cause| OpenError::Readers { path: path.to_owned(), cause })
}

/// SQLite before 3.51.3 can lose commits when a WAL is reset: <https://sqlite.org/wal.html>, section 11.
fn refuse_unsafe_library() -> Result<(), OpenError> {
    if rusqlite::version_number() < 3_051_003 {
        return Err(OpenError::UnsafeLibrary(rusqlite::version()));
    }
    Ok(())
}

/// An absolute path, which SQLite cannot take for a URI as it takes one that begins with `file:`.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Lets the connection wait for locks no longer than the writer does.
pub(super) fn wait_briefly(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_handler(Some(wait_for_lock::<WRITER_PATIENCE>))
}

fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_handler(Some(wait_for_lock::<COMMAND_PATIENCE>))?;
    // All statements of the service stay compiled.
    connection.set_prepared_statement_cache_capacity(64);
    // A damaged or prepared file cannot make SQLite run or write what it should not.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // A misspelt column is an error and not a text.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    connection.pragma_update(None, "foreign_keys", true)
}

/// Gives the journal mode that the file is in.
fn set_up_writing(connection: &Connection) -> rusqlite::Result<String> {
    // A commit is on the disk when it is answered; NORMAL would lose the last ones at a power cut.
    connection.pragma_update(None, "synchronous", "full")?;
    // On macOS, only this makes the disk write what it has in its own memory.
    connection.pragma_update(None, "fullfsync", true)?;
    // What is deleted is overwritten, also in pages that are free: old addresses do not stay in the file.
    connection.pragma_update(None, "secure_delete", true)?;
    // 16 MiB of WAL before its pages are moved into the database: each page that several commits
    // changed is then moved once.
    connection.pragma_update(None, "wal_autocheckpoint", 4_000)?;
    // After a burst, the WAL shrinks again.
    connection.pragma_update(None, "journal_size_limit", WAL_LIMIT)?;
    // Readers and the writer do not wait for each other.
    enter_wal(connection)
}

/// Gives the journal mode in which the file is then. Another process that opens a new file at the same time has a lock for
/// a moment, and for this one alone SQLite does not wait.
fn enter_wal(connection: &Connection) -> rusqlite::Result<String> {
    let mut tries = 0;
    loop {
        match connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0)) {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && wait_for_lock::<COMMAND_PATIENCE>(tries) =>
            {
                tries += 1;
            }
            mode => return mode,
        }
    }
}

/// Brings the WAL into the database and removes it. Unless nobody else has the database open, SQLite is busy.
pub(super) fn leave_wal(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "delete")?;
    refuse_wal(connection)
}

/// Leaves the WAL, and keeps all others from reading and writing as long as the connection lives.
pub(super) fn lock_out_others(connection: &Connection) -> rusqlite::Result<()> {
    leave_wal(connection)?;
    connection.execute_batch("BEGIN EXCLUSIVE")?;
    // Whoever came in between has brought back the WAL, in which readers are not locked out.
    refuse_wal(connection)
}

fn refuse_wal(connection: &Connection) -> rusqlite::Result<()> {
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    match mode.as_str() {
        "delete" => Ok(()),
        _ => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), None)),
    }
}

fn set_up_reading(connection: &Connection) -> rusqlite::Result<()> {
    set_up(connection)?;
    connection.pragma_update(None, "query_only", true)?;
    // Who has read has the WAL open: then the writer may close and open the database, and both files stay what they are.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
}

/// Moves all of the WAL into the database and cuts it down to nothing. Says whether that was possible: a reader, or
/// another writer, can be in the way.
pub(super) fn empty_wal(connection: &Connection) -> rusqlite::Result<bool> {
    let is_blocked: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    Ok(!is_blocked)
}

/// The same for the writer, which waits for nobody who reads.
pub(super) fn empty_wal_unless_read(connection: &Connection) -> rusqlite::Result<bool> {
    connection.busy_timeout(READER_TIMEOUT)?;
    let emptied = empty_wal(connection);
    wait_briefly(connection)?;
    emptied
}

/// What is wrong, a line each; of what SQLite finds, no more than the first ten.
pub(super) fn find_damage(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut damage = Vec::new();
    let mut check = connection.prepare("PRAGMA integrity_check(10)")?;
    let mut rows = check.query([])?;
    while let Some(row) = rows.next()? {
        let found: String = row.get(0)?;
        // One row can have many, below the name of the database.
        damage.extend(found.lines().filter(|line| *line != "ok" && !line.starts_with("***")).map(str::to_owned));
    }
    let mut orphans = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = orphans.query([])?;
    while let Some(row) = rows.next()? {
        let (table, number): (String, Option<i64>) = (row.get(0)?, row.get(1)?);
        damage.push(format!("row {} of {table} refers to a row that is not there", number.unwrap_or_default()));
    }
    Ok(damage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_waited_for_as_many_seconds_as_said() {
        assert!(wait_for_lock::<2>(1_999));
        assert!(!wait_for_lock::<2>(2_000));
    }

    #[test]
    fn a_path_that_looks_like_a_uri_is_a_path() {
        assert!(absolute(Path::new("file:a.db?mode=memory")).ends_with("file:a.db?mode=memory"));
        assert!(absolute(Path::new("file:a.db?mode=memory")).starts_with("/"));
    }

    #[test]
    fn a_reader_is_set_up_like_the_others_and_cannot_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        drop(open_writer(&path).unwrap());
        let reader = open_reader_pool(&path, 1).unwrap().get().unwrap();
        for setting in ["query_only", "foreign_keys"] {
            assert!(reader.pragma_query_value(None, setting, |row| row.get::<_, bool>(0)).unwrap(), "{setting}");
        }
    }

    #[test]
    fn a_connection_that_is_back_in_the_wal_locks_nobody_out() {
        let folder = tempfile::tempdir().unwrap();
        let connection = open(&folder.path().join("a.db"), OpenFlags::default()).unwrap();
        connection.pragma_update(None, "journal_mode", "wal").unwrap();
        assert_eq!(refuse_wal(&connection).unwrap_err().sqlite_error_code(), Some(ffi::ErrorCode::DatabaseBusy));
        connection.pragma_update(None, "journal_mode", "delete").unwrap();
        refuse_wal(&connection).unwrap();
    }
}
