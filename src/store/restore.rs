//! A restored database: a checked copy of a backup takes the place of the database, which is kept beside it.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode};

use super::copy::{Contents, JOURNALS, PendingCopy, refuse_files_of, refuse_journals};
use super::place::{beside, look_at, real_path, sync_folder_of};
use super::schema::{self, SchemaError};
use super::{CopyError, OpenError, ServerLock, connection};
use crate::domain::Timestamp;

/// What a restoration has done.
#[derive(Debug)]
pub struct Restored {
    /// What the database holds now.
    pub contents: Contents,
    /// The earlier database, with its journal when it was damaged; empty when there was none.
    pub kept: Vec<PathBuf>,
}

/// Puts a checked copy of the backup `file` in the place of the database. The earlier database is kept beside
/// it, under a name with the time `now`.
///
/// At no moment is there no database, or one beside a journal that is not its own: the earlier database is
/// brought into one file, gets its second name, and is replaced in one step.
///
/// # Errors
/// When a server or another program uses the database, `file` is no sound backup, or the system refuses.
pub fn restore(database: &Path, file: &Path, now: Timestamp) -> Result<Restored, CopyError> {
    let database = real_path(&std::path::absolute(database).map_err(CopyError::write(database))?);
    refuse_files_of(&database, file)?;
    if look_at(file).map_err(CopyError::read(file))?.is_some_and(|found| !found.is_file()) {
        return Err(CopyError::NotAFile(file.to_owned()));
    }
    let copy = PendingCopy::beside(&database)?;
    let _lock = ServerLock::take(&database).map_err(|error| match error {
        OpenError::InUse(path) => CopyError::InUse(path),
        other => other.into(),
    })?;
    refuse_journals(file)?;
    copy.fill(file)?;
    let contents = copy.check(file)?;

    let earlier = look_at(&database).map_err(CopyError::read(&database))?;
    let mut seized = None;
    if let Some(earlier) = &earlier {
        copy.give_to_owner_of(earlier)?;
        // SQLite would delete the WAL of a file with nothing in it.
        if earlier.len() > 0 {
            seized = seize(&database)?;
        }
    }
    let kept = beside(&database, &format!(".before-restore-{}", now.to_string().replace(':', "")));
    let kept = set_aside(&database, earlier.is_some(), &kept).map_err(CopyError::write(&kept))?;
    copy.put_in_place()?;
    drop(seized);
    Ok(Restored { contents, kept })
}

/// Brings the database into one file and locks it, so that nobody reads or writes it while the connection
/// lives. `None`: the file is too damaged for that.
fn seize(database: &Path) -> Result<Option<Connection>, CopyError> {
    let is_locked = |cause: &rusqlite::Error| cause.sqlite_error_code() == Some(ErrorCode::DatabaseBusy);
    match try_to_seize(database) {
        Ok(connection) => Ok(Some(connection)),
        Err(SchemaError::Database(cause)) if is_locked(&cause) => Err(CopyError::Busy(database.to_owned())),
        Err(SchemaError::Database(_)) => Ok(None),
        Err(error) => Err(OpenError::at(database, error).into()),
    }
}

fn try_to_seize(database: &Path) -> Result<Connection, SchemaError> {
    let connection = connection::open_untouched(database)?;
    match schema::recognise(&connection) {
        // Also what a newer program made may be replaced: by what was backed up before the upgrade.
        Ok(_) | Err(SchemaError::Newer(_)) => {}
        Err(error) => return Err(error),
    }
    connection::lock_out_others(&connection)?;
    Ok(connection)
}

/// Gives the database, if it is there, a second name, and a new one to the journals of a damaged one or of one that
/// has gone. Says which names.
fn set_aside(database: &Path, is_there: bool, kept: &Path) -> io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    if is_there {
        std::fs::hard_link(database, kept)?;
        names.push(kept.to_owned());
    }
    for suffix in JOURNALS {
        match std::fs::rename(beside(database, suffix), beside(kept, suffix)) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            renamed => {
                renamed?;
                names.push(beside(kept, suffix));
            }
        }
    }
    sync_folder_of(database)?;
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_cannot_be_looked_at_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let [database, backup] = ["magic-auth.db", "backup"].map(|name| folder.path().join(name));
        drop(crate::store::Database::open(&backup).unwrap());
        std::os::unix::fs::symlink(&database, &database).unwrap();
        let error = restore(&database, &backup, Timestamp::from_millis(0)).unwrap_err();
        assert!(matches!(error, CopyError::Read { .. }), "{error}");
        assert!(database.is_symlink());
    }

    #[test]
    fn a_journal_that_cannot_be_set_aside_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let [database, kept] = ["magic-auth.db", "kept"].map(|name| folder.path().join(name));
        std::fs::write(beside(&database, "-wal"), "of a damaged one").unwrap();
        std::fs::create_dir(beside(&kept, "-wal")).unwrap();
        set_aside(&database, false, &kept).unwrap_err();
        assert!(beside(&database, "-wal").is_file());
    }
}
