//! The file that the writer has open: which one it is, and how long its log may become.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use log::error;
use rusqlite::Connection;

use super::BatchError;
use super::connection::{self, wait_for_lock};
use super::copy::beside;

/// How many seconds the writer waits for a lock that another process has: a command writes for milliseconds, so
/// that two seconds mean that something is wrong, and that nobody should wait any longer.
const PATIENCE: i32 = 2;

/// How long the writer waits for readers when it empties the WAL. Look-ups take microseconds, and those that begin
/// meanwhile are not in the way; who reads for longer is not waited for.
const READER_TIMEOUT: Duration = Duration::from_millis(20);

/// The open database, and which files it was when it was opened.
pub(super) struct OpenFile {
    pub(super) connection: Connection,
    inodes: [Option<(u64, u64)>; 2],
}

impl OpenFile {
    pub(super) fn new(connection: Connection, path: &Path) -> Self {
        if let Err(error) = connection.busy_handler(Some(wait_for_lock::<PATIENCE>)) {
            error!("the writer waits longer for locks than it should: {error}");
        }
        Self { connection, inodes: inodes(path) }
    }

    /// That the database and its WAL are still where they were. When somebody has removed or replaced one of
    /// them, what is committed into the old one will be found by nobody.
    pub(super) fn check_it_is_there(&self, path: &Path) -> Result<(), BatchError> {
        if inodes(path) == self.inodes { Ok(()) } else { Err(BatchError::FileGone) }
    }

    /// Moves all of the WAL into the database, unless somebody is in the way. Says whether that was possible.
    pub(super) fn empty_wal(&self) -> rusqlite::Result<bool> {
        self.connection.busy_timeout(READER_TIMEOUT)?;
        let emptied = connection::empty_wal(&self.connection);
        self.connection.busy_handler(Some(wait_for_lock::<PATIENCE>))?;
        emptied
    }
}

/// Device and inode of the database and of its WAL. (They are asked for, never opened: closing them would
/// release SQLite's locks.)
fn inodes(path: &Path) -> [Option<(u64, u64)>; 2] {
    [path, &beside(path, "-wal")].map(|path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.dev(), metadata.ino()))
    })
}

/// How many bytes the WAL of this database has; none when there is no WAL.
pub(super) fn wal_size(path: &Path) -> u64 {
    std::fs::metadata(beside(path, "-wal")).map_or(0, |metadata| metadata.len())
}
