//! One server for each database: the throttle and the quotas live in the server's memory.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use super::place::{check_place, make_private};
use super::{OpenError, folder_of};

/// Held while a server runs. The system releases it when the process ends, however it ends.
#[derive(Debug)]
pub struct ServerLock(File);

impl ServerLock {
    /// Takes the lock: a file beside the database, for the database itself is SQLite's to lock.
    ///
    /// # Errors
    /// When another server has it, or the file cannot be made.
    pub fn take(database: &Path) -> Result<Self, OpenError> {
        check_place(database)?;
        // Whichever name the file goes by, its lock is the same.
        let mut path = real_path(database).into_os_string();
        path.push(".lock");
        let failed = |cause| OpenError::Lock { path: path.clone().into(), cause };
        // Whoever can open it can lock it.
        make_private(path.as_ref());
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: database.to_owned() }),
            Err(TryLockError::Error(cause)) => Err(failed(cause)),
        }
    }
}

impl Drop for ServerLock {
    fn drop(&mut self) {
        // Closing is not enough: a child that this process is starting has the file open, too, until it is a program.
        let _ = self.0.unlock();
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
    let in_folder = || Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?));
    in_folder().unwrap_or_else(|| path.to_owned())
}
