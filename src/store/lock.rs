//! One server for each database: the throttle and the quotas live in the server's memory.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::OpenError;
use super::place::{beside, check_access, make_private, real_path};

/// Held while a server runs. The system releases it when the process ends, however it ends.
#[derive(Debug)]
pub struct ServerLock(File);

impl ServerLock {
    /// Takes the lock: a file beside the database, for the database itself is SQLite's to lock.
    ///
    /// # Errors
    /// When another server has it, or the file cannot be made.
    pub fn take(database: &Path) -> Result<Self, OpenError> {
        check_access(database)?;
        // Whichever name the file goes by, its lock is the same.
        let path = beside(&real_path(database), ".lock");
        let failed = |cause| OpenError::Lock { path: path.clone(), cause };
        // Whoever can open it can lock it.
        make_private(&path);
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse(database.to_owned())),
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
