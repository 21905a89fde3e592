//! The files of an open database: which they are, and whether they are still there.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use log::{error, info};

use super::place::{look_at, wal_of};
use super::{BatchError, OpenError};

/// Which files the database and its WAL are: device and inode. (They are asked for, never opened: closing them would
/// release SQLite's locks.)
#[derive(Debug)]
pub(super) struct Files {
    pub(super) path: PathBuf,
    wal: PathBuf,
    inodes: [Inode; 2],
    /// What was found last.
    are_gone: AtomicBool,
}

/// Device and number.
pub(super) type Inode = (u64, u64);

impl Files {
    /// The files of a database that has just been opened. `before` is what stood at its path before that: if it is another
    /// file now, nobody knows which of the two was opened.
    pub(super) fn opened(path: &Path, before: Option<Inode>) -> Result<Self, OpenError> {
        let wal = wal_of(path);
        match (inode(path)?, inode(&wal)?) {
            (Some(file), Some(of_wal)) if before.is_none_or(|before| before == file) => {
                let path = path.to_owned();
                Ok(Self { path, wal, inodes: [file, of_wal], are_gone: AtomicBool::new(false) })
            }
            _ => Err(OpenError::Replaced(path.to_owned())),
        }
    }

    /// Checks that they are still where they were. When somebody has removed or replaced one of them, what is committed
    /// there will not be found by who has the old ones open.
    pub(super) fn check_they_are_there(&self) -> Result<(), BatchError> {
        let are_gone = [inode(&self.path)?, inode(&self.wal)?] != self.inodes.map(Some);
        match (self.are_gone.swap(are_gone, Ordering::Relaxed), are_gone) {
            (false, true) => error!("{}", BatchError::FileGone),
            (true, false) => info!("the database is where it was"),
            _ => {}
        }
        if are_gone { Err(BatchError::FileGone) } else { Ok(()) }
    }

    /// Whether they were not, when somebody last looked.
    pub(super) fn were_gone(&self) -> bool {
        self.are_gone.load(Ordering::Relaxed)
    }
}

/// `None`: there is no such file. That it cannot be told may pass.
pub(super) fn inode(path: &Path) -> Result<Option<Inode>, OpenError> {
    let found = look_at(path).map_err(|cause| OpenError::Look { path: path.to_owned(), cause })?;
    Ok(found.map(|metadata| (metadata.dev(), metadata.ino())))
}
