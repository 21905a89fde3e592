//! A copy of a database on its way: written under a temporary name, checked, and put in its place in one
//! step. Whatever ends the program before that step leaves the place as it was.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use tempfile::NamedTempFile;

use super::error::REMEDY;
use super::place::{beside, folder_of, in_real_folder, is_folder, real_path, sync, sync_folder_of};
use super::schema::{self, SchemaError};
use super::{OpenError, connection};

/// Why a copy was not made, or not put in its place. Each message is one line and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The database cannot be opened or is not of this program.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A server has the database open.
    #[error("a magic-auth server is using the database {}: stop it first", .0.display())]
    InUse(PathBuf),
    /// Another program has the database open.
    #[error("another program has the database {} open: end it, or wait for it, and try again", .0.display())]
    Busy(PathBuf),
    /// The database belongs to another user, to whom the system does not let a file be given.
    #[error("the database {} belongs to another user: run this command as the server's user", .0.display())]
    NotTheOwner(PathBuf),
    /// The file that was named is the database, or one that belongs to it.
    #[error("{} is the database itself or belongs to it: name another file", .0.display())]
    IsDatabase(PathBuf),
    /// What was named is there and not a file.
    #[error("{} is not a file: name one", .0.display())]
    NotAFile(PathBuf),
    /// The file that would be replaced is no database.
    #[error("{} already exists and is not a backup: name another file", .0.display())]
    NotABackup(PathBuf),
    /// What SQLite would take for a part of the copy stands beside its place.
    #[error("{} is beside it, so the file may be a database in use: name a stand-alone file, such as magic-auth backup makes", .0.display())]
    HasJournal(PathBuf),
    /// The lock of a server stands beside the file that would be replaced.
    #[error("{} is beside it, so the file is a server's database and no backup: name another file", .0.display())]
    HasLock(PathBuf),
    /// The folder is not there.
    #[error("the folder {} does not exist: create it first", .0.display())]
    NoFolder(PathBuf),
    /// The copy is no database of this program.
    #[error("{} is not a magic-auth backup: name another file", .0.display())]
    Foreign(PathBuf),
    /// The copy is damaged, and so is what it is a copy of.
    #[error("{} is damaged: {finding}: {REMEDY}", path.display())]
    Damaged {
        /// What was copied.
        path: PathBuf,
        /// The first of what is wrong.
        finding: String,
    },
    /// SQLite cannot read or copy a file.
    #[error("cannot copy {}: {cause}", path.display())]
    Unusable {
        /// What was to be copied.
        path: PathBuf,
        /// What SQLite says.
        cause: rusqlite::Error,
    },
    /// The system does not let a file be read.
    #[error("cannot read {}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The system does not let a file be written or replaced.
    #[error("cannot write {}: {cause}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
}

impl CopyError {
    pub(super) fn unusable(path: &Path) -> impl Fn(rusqlite::Error) -> Self {
        |cause| match cause.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged { path: path.to_owned(), finding: cause.to_string() },
            _ => Self::Unusable { path: path.to_owned(), cause },
        }
    }

    pub(super) fn read(path: &Path) -> impl Fn(io::Error) -> Self {
        |cause| Self::Read { path: path.to_owned(), cause }
    }

    pub(super) fn write(path: &Path) -> impl Fn(io::Error) -> Self {
        |cause| Self::Write { path: path.to_owned(), cause }
    }
}

/// What a copy holds.
#[derive(Clone, Copy, Debug)]
pub struct Contents {
    /// The version of its schema.
    pub version: i64,
    /// The customers of all organisations, guests too.
    pub customers: i64,
    /// Its length.
    pub bytes: u64,
}

/// A copy under a temporary name. Dropping it deletes it.
#[derive(Debug)]
pub(super) struct PendingCopy {
    file: NamedTempFile,
    place: PathBuf,
}

impl PendingCopy {
    /// Makes an empty file beside `place`, for nobody but its owner to read.
    pub(super) fn beside(place: &Path) -> Result<Self, CopyError> {
        Ok(Self { file: temporary_beside(place)?, place: place.to_owned() })
    }

    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Fills the copy with all that comes from `source`.
    pub(super) fn fill(&self, source: &Path) -> Result<(), CopyError> {
        let mut from = File::open(source).map_err(CopyError::read(source))?;
        io::copy(&mut from, &mut self.file.as_file()).map_err(CopyError::write(&self.place))?;
        Ok(())
    }

    /// Gives the copy to the owner of what it replaces: a server that may not open it would not start.
    pub(super) fn give_to_owner_of(&self, replaced: &Metadata) -> Result<(), CopyError> {
        let own = self.file.as_file().metadata().map_err(CopyError::write(&self.place))?;
        if (own.uid(), own.gid()) != (replaced.uid(), replaced.gid()) {
            let given = fchown(self.file.as_file(), Some(replaced.uid()), Some(replaced.gid()));
            given.map_err(|_| CopyError::NotTheOwner(self.place.clone()))?;
        }
        Ok(())
    }

    /// Checks that this is a sound database of this program, and brings it to the disk. Errors name `origin`, of
    /// which this is a copy.
    pub(super) fn check(&self, origin: &Path) -> Result<Contents, CopyError> {
        let (version, customers) = self.inspect(origin)?;
        let failed = CopyError::write(&self.place);
        sync(self.file.as_file()).map_err(&failed)?;
        let bytes = self.file.as_file().metadata().map_err(&failed)?.len();
        Ok(Contents { version, customers, bytes })
    }

    /// Gives the version and the number of customers.
    fn inspect(&self, origin: &Path) -> Result<(i64, i64), CopyError> {
        let unusable = CopyError::unusable(origin);
        let connection = connection::open_unchanged(self.path()).map_err(&unusable)?;
        let version = match schema::recognise(&connection) {
            Ok(0) | Err(SchemaError::Foreign) => return Err(CopyError::Foreign(origin.to_owned())),
            Err(SchemaError::Database(cause)) => return Err(unusable(cause)),
            Err(error) => return Err(OpenError::at(origin, error).into()),
            Ok(version) => version,
        };
        // A database in WAL mode could not be read where nothing can be written beside it.
        connection::leave_wal(&connection).map_err(&unusable)?;
        if let Some(finding) = connection::find_damage(&connection).map_err(&unusable)?.into_iter().next() {
            return Err(CopyError::Damaged { path: origin.to_owned(), finding });
        }
        let customers = "SELECT count(*) FROM customers";
        let customers = connection.query_row(customers, [], |row| row.get(0)).map_err(&unusable)?;
        Ok((version, customers))
    }

    /// Puts the copy in its place, where it replaces what is there. It is on the disk when this returns.
    pub(super) fn put_in_place(self) -> Result<(), CopyError> {
        let failed = CopyError::write(&self.place);
        self.file.persist(&self.place).map_err(|error| failed(error.error))?;
        sync_folder_of(&self.place).map_err(failed)
    }
}

/// Makes an empty file beside `place`, for nobody but its owner to read, until it can take that place as a whole.
///
/// # Errors
/// When the folder is not there or cannot be written to.
pub fn temporary_beside(place: &Path) -> Result<NamedTempFile, CopyError> {
    let folder = folder_of(place);
    let failed = CopyError::write(place);
    if !is_folder(folder).map_err(&failed)? {
        return Err(CopyError::NoFolder(folder.to_owned()));
    }
    let file = tempfile::Builder::new().prefix(".magic-auth-").suffix(".part").tempfile_in(folder);
    file.map_err(failed)
}

/// The files beside a database that SQLite would read together with it.
pub(super) const JOURNALS: [&str; 2] = ["-wal", "-journal"];

/// Refuses a file that is the database or belongs to it, by whichever name.
///
/// # Errors
/// When it is one of them.
pub fn refuse_files_of(database: &Path, file: &Path) -> Result<(), CopyError> {
    let identity = |path: &Path| std::fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino())).ok();
    let (place, database) = (in_real_folder(file), real_path(database));
    let own = ["", "-wal", "-journal", "-shm", ".lock"].map(|suffix| beside(&database, suffix));
    if own.iter().any(|own| *own == place || (identity(own).is_some() && identity(own) == identity(file))) {
        return Err(CopyError::IsDatabase(file.to_owned()));
    }
    Ok(())
}

/// Refuses a file beside which a journal stands: SQLite would take it for a part of what is put there, and
/// without it what is there is not whole.
pub(super) fn refuse_journals(file: &Path) -> Result<(), CopyError> {
    let is_filled = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0);
    match JOURNALS.map(|suffix| beside(file, suffix)).into_iter().find(is_filled) {
        Some(path) => Err(CopyError::HasJournal(path)),
        None => Ok(()),
    }
}

/// Refuses a file beside which the lock of a server stands: a backup never has one, and a database that was served
/// always does.
pub(super) fn refuse_served(file: &Path) -> Result<(), CopyError> {
    let lock = beside(file, ".lock");
    if lock.exists() { Err(CopyError::HasLock(lock)) } else { Ok(()) }
}
