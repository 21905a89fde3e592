//! A backup: a copy of the database, also while a server works on it.

use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use rusqlite::types::{ToSqlOutput, ValueRef};

use super::copy::{Contents, PendingCopy, refuse_files_of, refuse_journals, refuse_served};
use super::place::{look_at, place_of};
use super::schema::{self, SchemaError};
use super::{CopyError, connection};

/// Copies the database as it is at one moment into `file`, which then is one whole file and has been checked.
/// An earlier backup is replaced, once the new one is there.
///
/// It reads in one transaction: nobody waits for it. (SQLite's other way, page by page, begins again after
/// each commit.)
///
/// # Errors
/// When the database is damaged or newer than this program, or `file` cannot be written or is no backup.
pub fn back_up(database: &Path, file: &Path) -> Result<Contents, CopyError> {
    let place = place_of_backup(database, file)?;
    let connection = connection::open_existing(database)?;
    let copy = PendingCopy::beside(&place)?;
    // Any bytes may be the name of a file.
    let name = ToSqlOutput::Borrowed(ValueRef::Text(copy.path().as_os_str().as_bytes()));
    connection.execute("VACUUM INTO ?1", [name]).map_err(CopyError::unusable(database))?;
    drop(connection);
    let contents = copy.check(database)?;
    copy.put_in_place()?;
    Ok(contents)
}

/// Where the backup goes. What is there already must be a backup.
fn place_of_backup(database: &Path, file: &Path) -> Result<PathBuf, CopyError> {
    let failed = CopyError::write(file);
    let place = place_of(file).map_err(&failed)?;
    refuse_files_of(database, &place)?;
    refuse_journals(&place)?;
    match look_at(&place).map_err(failed)? {
        Some(found) if !found.is_file() => return Err(CopyError::NotAFile(place)),
        Some(found) if found.len() > 0 => {
            refuse_served(&place)?;
            refuse_what_is_no_backup(&place)?;
        }
        _ => {}
    }
    Ok(place)
}

/// Refuses what is no database of this program, of whichever version, as far as a damaged one still tells.
fn refuse_what_is_no_backup(place: &Path) -> Result<(), CopyError> {
    File::open(place).map_err(CopyError::write(place))?;
    let found = connection::open_unchanged(place).map_err(SchemaError::from).and_then(|file| schema::recognise(&file));
    match found {
        Ok(1..) | Err(SchemaError::Newer(_)) => Ok(()),
        Err(SchemaError::Database(cause)) if cause.sqlite_error_code() != Some(ErrorCode::NotADatabase) => {
            Err(CopyError::unusable(place)(cause))
        }
        _ => Err(CopyError::NotABackup(place.to_owned())),
    }
}
