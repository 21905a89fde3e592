//! What can go wrong with the store.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::ErrorCode;

/// What to do about a database that is damaged.
pub(super) const REMEDY: &str = "restore a sound backup (magic-auth restore)";

/// What SQLite says and, of a damaged database, what to do.
fn told(cause: &rusqlite::Error) -> String {
    match cause.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt) => format!("{cause}: {REMEDY}"),
        _ => cause.to_string(),
    }
}

/// An operation failed. The texts tell the cause, and are for the log, not for the caller of the service.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Too many jobs wait for the writer already.
    #[error("the write queue is full")]
    Overloaded,
    /// The database refused a statement.
    #[error("database error: {}", told(.0))]
    Database(rusqlite::Error),
    /// The transaction that the job shared with others was not committed.
    #[error("the transaction failed: {0}")]
    Batch(Arc<BatchError>),
    /// The file was moved away under the server.
    #[error(
        "the database or its -wal was removed or replaced while it was open: put it back, or stop the server, restore a backup, and start it again"
    )]
    FileGone,
    /// No reader could be had.
    #[error("no connection to read with: {0}")]
    Reader(r2d2::Error),
    /// The job panicked.
    #[error("a job panicked")]
    Panicked,
    /// A write that concerns one row concerned another number of them.
    #[error("a write changed {0} rows instead of one")]
    RowCount(usize),
    /// A value in the database breaks its rules.
    #[error("the database holds an invalid {0}")]
    InvalidValue(&'static str),
    /// A reader keeps the WAL from being emptied.
    #[error("a command or program that reads the database keeps its -wal from being emptied: end it, and try again")]
    Blocked,
    /// What was read last is too old to be believed.
    #[error("the database could not be read for too long")]
    Stale,
    /// The writer has ended.
    #[error("the writer has stopped")]
    Stopped,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl From<r2d2::Error> for StoreError {
    fn from(error: r2d2::Error) -> Self {
        Self::Reader(error)
    }
}

/// Why a batch was not committed.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// SQLite could not begin, save, or commit.
    #[error("{0}")]
    Database(#[from] rusqlite::Error),
    /// A job met an error, such as a full disk, at which SQLite gives up the whole transaction.
    #[error("{0}")]
    Job(String),
    /// The database could not be opened again after an earlier failure.
    #[error("{0}")]
    Open(#[from] OpenError),
    /// The file was moved away under the server.
    #[error("{}", StoreError::FileGone)]
    FileGone,
}

impl BatchError {
    pub(super) fn is_busy(&self) -> bool {
        let Self::Database(error) = self else { return false };
        error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
    }
}

/// The database cannot be used at all. Each message is one line and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no such file, or there is nothing in it yet.
    #[error("there is no database {}: start the server once, or name another configuration with --config", .0.display())]
    Missing(PathBuf),
    /// What was named is there and not a file.
    #[error("the database {} is not a file: name a file in [database] path", .0.display())]
    NotAFile(PathBuf),
    /// The folder is not there.
    #[error("the folder {} for the database does not exist: create it, or name another in [database] path", .0.display())]
    NoFolder(PathBuf),
    /// The file is gone, or empty, and its WAL is not.
    #[error("the database {} is missing or empty, but its -wal is there and holds what was written last: put the file back, restore a backup, or delete the -wal too to begin anew", .0.display())]
    WalAlone(PathBuf),
    /// Nothing can be made in the folder.
    #[error("the database cannot be created in the folder {}: {cause}", path.display())]
    ForbiddenFolder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The file is this user's, and its mode does not let it be read and written.
    #[error("user {user} may not read and write the database {}: run chmod 600 on it", path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// The number of the user whose it is, and who runs this.
        user: u32,
    },
    /// Nothing can be made beside the file, as SQLite does.
    #[error("cannot write in the folder {}, where the database is: move the database into a folder of user {user}'s own, or let that user write there", path.display())]
    FolderOfOthers {
        /// The folder.
        path: PathBuf,
        /// The number of the user who runs this.
        user: u32,
    },
    /// The system does not let this user read and write the file.
    #[error("the database {} belongs to user {owner}, and user {user} may not use it: run this as {owner}, or chown it and the files beside it", path.display())]
    NotTheOwner {
        /// The file.
        path: PathBuf,
        /// The number of the user whose it is.
        owner: u32,
        /// The number of the user who runs this.
        user: u32,
    },
    /// The file is on a file system that can only be read.
    #[error("the database {} is read-only here: look in the system log for a disk error or, under systemd, add its folder to ReadWritePaths=", .0.display())]
    ReadOnly(PathBuf),
    /// It cannot be told whether a file is there.
    #[error("cannot look at {}: {cause}", path.display())]
    Look {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: io::Error,
    },
    /// Another file took the place of the one that was being opened.
    #[error("the database {} or its -wal was removed or replaced while it was being opened: try again; if it is missing, put it back", .0.display())]
    Replaced(PathBuf),
    /// SQLite cannot open or set up the file.
    #[error("cannot open the database {}: {}", path.display(), told(cause))]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        cause: rusqlite::Error,
    },
    /// The readers cannot be opened.
    #[error("cannot open the database {}: {cause}", path.display())]
    Readers {
        /// The file.
        path: PathBuf,
        /// What the pool says.
        cause: r2d2::Error,
    },
    /// The file belongs to a newer program.
    #[error("the database {} has version {found}, but this program knows only {known}: use a newer magic-auth", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The file's version.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// The file belongs to an older program and may not be changed now.
    #[error("the database {} has version {found} instead of {known}: start the server once to upgrade it", path.display())]
    Older {
        /// The file.
        path: PathBuf,
        /// The file's version.
        found: i64,
        /// The current version.
        known: i64,
    },
    /// The file is a database, but not one of this program.
    #[error("the database {} was not made by magic-auth: name another file in [database] path", .0.display())]
    Foreign(PathBuf),
    /// The file system cannot do what a WAL needs.
    #[error("the database {} cannot be used in WAL mode, but only in mode {mode}: put it on a local file system", path.display())]
    NoWal {
        /// The file.
        path: PathBuf,
        /// The journal mode that SQLite is in.
        mode: String,
    },
    /// The SQLite library is one that can lose commits.
    #[error("the SQLite library {0} can lose commits in WAL mode: 3.51.3 or newer is needed")]
    UnsafeLibrary(&'static str),
    /// Another server has the file.
    #[error("another magic-auth server is using the database {}: stop it first, or name another file in [database] path", .0.display())]
    InUse(PathBuf),
    /// The lock beside the file cannot be made.
    #[error("cannot lock the database with {}: {cause}", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The system gives no thread for the writer.
    #[error("cannot start the writer's thread: {0}")]
    Thread(io::Error),
}

impl OpenError {
    pub(super) fn at(path: &Path, error: super::schema::SchemaError) -> Self {
        use super::schema::{SchemaError, VERSION};
        let path = path.to_owned();
        match error {
            SchemaError::Database(cause) => Self::Unusable { path, cause },
            SchemaError::Newer(found) => Self::Newer { path, found, known: VERSION },
            // Whoever was to make it was killed before anything was in it.
            SchemaError::Older(0) => Self::Missing(path),
            SchemaError::Older(found) => Self::Older { path, found, known: VERSION },
            SchemaError::Foreign => Self::Foreign(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::{Error, ffi};

    use super::*;

    #[test]
    fn a_lock_that_is_waited_for_in_vain_is_no_failure_of_the_file() {
        let failure = |code| BatchError::Database(Error::SqliteFailure(ffi::Error::new(code), None));
        assert!(failure(ffi::SQLITE_BUSY).is_busy());
        assert!(!failure(ffi::SQLITE_IOERR_FSYNC).is_busy());
        assert!(!BatchError::FileGone.is_busy());
    }
}
