//! One server for each database: the throttle and the quotas live in the server's memory.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::OpenError;

/// Held while a server runs. The system releases it when the process ends, however it ends.
#[derive(Debug)]
pub struct ServerLock {
    _file: File,
}

impl ServerLock {
    /// Takes the lock: a file beside the database, for the database itself is SQLite's to lock.
    ///
    /// # Errors
    /// When another server has it, or the file cannot be made.
    pub fn take(database: &Path) -> Result<Self, OpenError> {
        let mut path = database.as_os_str().to_owned();
        path.push(".lock");
        let failed = |cause| OpenError::Lock { path: path.clone().into(), cause };
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: database.to_owned() }),
            Err(TryLockError::Error(cause)) => Err(failed(cause)),
        }
    }
}
