//! Where the database is, and what stands beside it: what keeps a file from being there or from being opened, said before
//! SQLite says less.

use std::ffi::OsString;
use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, fsync};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::OpenError;

/// Checks that there is a file which this user may read and write, or a folder in which it can be made, and that nothing
/// would be lost by making it.
///
/// # Errors
/// What is in the way, and what to do about it.
pub fn check_place(path: &Path) -> Result<(), OpenError> {
    check_access(path)?;
    refuse_wal_alone(path)
}

/// Refuses a WAL without its database: SQLite deletes one whose file has nothing in it.
pub(super) fn refuse_wal_alone(path: &Path) -> Result<(), OpenError> {
    // In this order, for who makes a database makes its WAL last.
    let has_wal = wal_size(path) > 0;
    let is_empty = std::fs::metadata(path).map_or(true, |metadata| metadata.len() == 0);
    if has_wal && is_empty { Err(OpenError::WalAlone(path.to_owned())) } else { Ok(()) }
}

/// Checks that this user may read and write the file and make others beside it or, when there is no file, make one.
pub(super) fn check_access(path: &Path) -> Result<(), OpenError> {
    let real = real_path(path);
    let folder = folder_of(&real);
    let Ok(metadata) = std::fs::metadata(path) else { return check_folder(folder) };
    if metadata.is_dir() {
        return Err(OpenError::NotAFile(path.to_owned()));
    }
    let user = geteuid().as_raw();
    access(path, Access::READ_OK | Access::WRITE_OK)
        .map_err(|cause| refused(path.to_owned(), metadata.uid(), user, cause))?;
    access(folder, TO_MAKE_FILES).map_err(|cause| match cause {
        Errno::ROFS => OpenError::ReadOnly(path.to_owned()),
        _ => OpenError::FolderOfOthers { path: folder.to_owned(), user },
    })
}

/// What a folder has to grant.
const TO_MAKE_FILES: Access = Access::WRITE_OK.union(Access::EXEC_OK);

fn refused(path: PathBuf, owner: u32, user: u32, cause: Errno) -> OpenError {
    match cause {
        Errno::ROFS => OpenError::ReadOnly(path),
        _ if owner == user => OpenError::Mode { path, user },
        _ => OpenError::NotTheOwner { path, owner, user },
    }
}

fn check_folder(folder: &Path) -> Result<(), OpenError> {
    let forbidden = |cause| OpenError::ForbiddenFolder { path: folder.to_owned(), cause };
    if !is_folder(folder).map_err(forbidden)? {
        return Err(OpenError::NoFolder(folder.to_owned()));
    }
    access(folder, TO_MAKE_FILES).map_err(|cause| forbidden(cause.into()))
}

/// What stands there, if anything does. That it cannot be told is another matter.
pub(super) fn look_at(path: &Path) -> io::Result<Option<Metadata>> {
    match std::fs::metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(cause),
    }
}

/// Whether there is such a folder.
pub(super) fn is_folder(path: &Path) -> io::Result<bool> {
    Ok(look_at(path)?.is_some_and(|found| found.is_dir()))
}

/// Makes a file that is not there yet, for nobody but its owner to open. So is one that is there with nothing in it. When
/// that fails, whoever opens the file says why in a moment.
pub(super) fn make_private(path: &Path) {
    drop(std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path));
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0) {
        drop(std::fs::set_permissions(path, Permissions::from_mode(0o600)));
    }
}

/// The path without links, as SQLite goes it: what belongs to a database stands beside that. Of a file that is not there
/// yet, the path of its folder without links.
#[must_use]
pub fn real_path(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match (path.canonicalize(), path.read_link()) {
            (Ok(real), _) => return real,
            (Err(_), Ok(target)) => path = folder_of(&path).join(target),
            (Err(_), Err(_)) => break,
        }
    }
    in_real_folder(&path)
}

/// So many links to links are followed, as by the system.
const MAX_LINKS: usize = 40;

/// The path whose folder is without links; the last part is as it is.
pub(super) fn in_real_folder(path: &Path) -> PathBuf {
    let in_folder = || Some(folder_of(path).canonicalize().ok()?.join(path.file_name()?));
    in_folder().unwrap_or_else(|| path.to_owned())
}

/// Where a file is written: where one's own link leads, but in the place of somebody else's, who could let it lead anywhere.
///
/// # Errors
/// When the path is empty, or there is no current folder.
pub fn place_of(file: &Path) -> io::Result<PathBuf> {
    let place = std::path::absolute(file)?;
    let is_others_link =
        std::fs::symlink_metadata(&place).is_ok_and(|found| found.is_symlink() && found.uid() != geteuid().as_raw());
    Ok(if is_others_link { in_real_folder(&place) } else { real_path(&place) })
}

/// The folder that a file is in.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// How many bytes the WAL of this database has; none when there is no WAL.
#[must_use]
pub fn wal_size(path: &Path) -> u64 {
    std::fs::metadata(wal_of(path)).map_or(0, |metadata| metadata.len())
}

/// SQLite puts it beside the file, and not beside a link to it.
pub(super) fn wal_of(path: &Path) -> PathBuf {
    beside(&real_path(path), "-wal")
}

/// The path with `suffix` at its end.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Brings a file to the disk. On macOS that also empties the disk's own memory, which network shares do not know how to do.
///
/// # Errors
/// When it cannot be brought there.
pub fn sync(file: &File) -> io::Result<()> {
    match file.sync_all() {
        Err(cause) if matches!(Errno::from_io_error(&cause), Some(Errno::NOTSUP | Errno::INVAL | Errno::NOTTY)) => {
            Ok(fsync(file)?)
        }
        synced => synced,
    }
}

/// What stands in the folder of `path` stands there also after a power cut.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    sync(&File::open(folder_of(path))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Database;

    #[test]
    fn a_folder_is_no_database_and_its_own_has_to_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |path: &Path| check_place(path).unwrap_err().to_string();
        assert!(refused(folder.path()).ends_with("is not a file: name a file in [database] path"));
        let nowhere = folder.path().join("a/magic-auth.db");
        assert!(
            refused(&nowhere)
                .ends_with("/a for the database does not exist: create it, or name another in [database] path")
        );
        check_place(&folder.path().join("magic-auth.db")).unwrap();
    }

    #[test]
    fn a_disk_that_can_only_be_read_is_not_taken_for_somebody_elses_file_nor_is_ones_own() {
        let told = |user, cause| refused("a.db".into(), 998, user, cause).to_string();
        assert!(told(998, Errno::ROFS).contains("a.db is read-only here"));
        assert!(told(7, Errno::ACCESS).contains("a.db belongs to user 998, and user 7 may not use it"));
        assert_eq!(told(998, Errno::ACCESS), "user 998 may not read and write the database a.db: run chmod 600 on it");
    }

    #[test]
    fn a_file_with_nothing_in_it_is_made_private_before_there_is_something() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        drop(Database::open(&path).unwrap());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
