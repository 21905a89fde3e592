//! A backup: a copy of the database, also while a server works on it.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rustix::process::geteuid;

use super::copy::{Contents, PendingCopy, refuse_files_of, refuse_journals, refuse_served};
use super::place::{in_real_folder, real_path};
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
    let place = std::path::absolute(file).map_err(&failed)?;
    // Somebody else's link could lead anywhere: it is replaced and not followed.
    let is_others_link =
        std::fs::symlink_metadata(&place).is_ok_and(|found| found.is_symlink() && found.uid() != geteuid().as_raw());
    let place = if is_others_link { in_real_folder(&place) } else { real_path(&place) };
    refuse_files_of(database, &place)?;
    match std::fs::metadata(&place) {
        Ok(found) if !found.is_file() => return Err(CopyError::NotAFile { path: place }),
        Ok(found) if found.len() > 0 && !is_database(&place).map_err(&failed)? => {
            return Err(CopyError::NotABackup { path: place });
        }
        Err(cause) if cause.kind() != ErrorKind::NotFound => return Err(failed(cause)),
        _ => {}
    }
    refuse_journals(&place)?;
    refuse_served(&place)?;
    Ok(place)
}

fn is_database(path: &Path) -> std::io::Result<bool> {
    let mut beginning = Vec::new();
    File::open(path)?.take(16).read_to_end(&mut beginning)?;
    Ok(beginning == b"SQLite format 3\0")
}
