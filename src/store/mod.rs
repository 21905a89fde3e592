//! The store: the only place with SQL.
//!
//! [`Database`] is an open file, of which the command line makes one for a moment. [`Store`] is what
//! the server has: one writer thread that commits many jobs at once, and a pool of readers that
//! never wait for it. Both hand out a [`Tx`], whose methods are the operations on the tables, one
//! file for each table; nobody outside ever sees a connection. [`back_up`] and [`restore()`] copy whole files.

#![expect(clippy::missing_errors_doc, reason = "all fails when the database does; what else it fails by is said")]

mod api_keys;
mod attempts;
mod backup;
mod bans;
mod connection;
mod copy;
mod customers;
mod error;
mod files;
mod ip_intelligence;
mod job;
mod lock;
mod organisations;
mod place;
mod progress;
mod residue;
mod restore;
mod schema;
mod sessions;
mod tx;
mod values;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use r2d2_sqlite::SqliteConnectionManager;

pub use api_keys::{ConfigKey, KeyRow, KeySource, KeyState, NewKey};
pub use attempts::{
    Attempt, AttemptFilter, AttemptRow, IpTotal, MailboxTotal, NewAttempt, OutcomeTotal, Person, ThrottledAttempt,
    UnclaimedAttempts,
};
pub use backup::back_up;
pub use bans::{BanRow, NewBan};
pub use connection::WAL_LIMIT;
pub use copy::{Contents, CopyError, refuse_files_of, temporary_beside};
pub use customers::{
    Account, Customer, CustomerFilter, CustomerOrder, CustomerRow, NewCustomer, PendingReferral, Traces,
};
pub use error::{BatchError, OpenError, StoreError};
pub use ip_intelligence::{IpIntelligence, IpOrigin};
pub use lock::ServerLock;
pub use organisations::OrganisationRow;
pub use place::{check_place, folder_of, place_of, real_path, sync, wal_size};
pub use residue::Residue;
pub use restore::{Restored, restore};
pub use sessions::{NewSession, Session};
pub use tx::Tx;

use log::info;

use crate::metrics::WriterMetrics;
use files::Files;
use writer::Writer;

/// An open database file of the current schema, with one connection that reads and writes.
#[derive(Debug)]
pub struct Database {
    connection: rusqlite::Connection,
    files: Files,
}

impl Database {
    /// The version of the current schema.
    pub const VERSION: i64 = schema::VERSION;

    /// Opens the file, makes it when it is not there, and upgrades it to the current schema.
    ///
    /// # Errors
    /// When the file cannot be opened, is no database of this program or belongs to a newer version.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let before = files::inode(path)?;
        let mut connection = connection::open_writer(path)?;
        match schema::upgrade(&mut connection).map_err(|error| OpenError::at(path, error))? {
            schema::VERSION => {}
            // Who expects another one learns here that it is not there.
            0 => info!(path:% = path.display(); "made a new database"),
            from => info!(path:% = path.display(), from, to = schema::VERSION; "upgraded the database"),
        }
        Ok(Self { connection, files: Files::opened(path, before)? })
    }

    /// Opens a file that is there already and of the current schema, also while a server runs on it.
    ///
    /// # Errors
    /// When there is no such file or nothing in it, or it is not of the current schema.
    pub fn open_existing(path: &Path) -> Result<Self, OpenError> {
        let before = files::inode(path)?;
        let connection = connection::open_existing(path)?;
        schema::check(&connection).map_err(|error| OpenError::at(path, error))?;
        Ok(Self { connection, files: Files::opened(path, before)? })
    }

    /// Runs `work` in one transaction, which is committed when it succeeds.
    ///
    /// # Errors
    /// What `work` says, or that the database cannot be written.
    pub fn write<T, E: From<StoreError>>(&mut self, work: impl FnOnce(&Tx<'_>) -> Result<T, E>) -> Result<T, E> {
        let transaction = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .map_err(StoreError::from)?;
        let result = work(&Tx::new(&transaction))?;
        transaction.commit().map_err(StoreError::from)?;
        Ok(result)
    }

    /// Runs `work`, which only reads, on one state of the database.
    ///
    /// # Errors
    /// What `work` says, or that the database cannot be read.
    pub fn read<T, E: From<StoreError>>(&mut self, work: impl FnOnce(&Tx<'_>) -> Result<T, E>) -> Result<T, E> {
        let transaction = self.connection.transaction().map_err(StoreError::from)?;
        work(&Tx::new(&transaction))
    }

    /// A number that changes when somebody else has written.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn data_version(&self) -> Result<i64, StoreError> {
        Ok(self.connection.pragma_query_value(None, "data_version", |row| row.get(0))?)
    }

    /// Gives the connection the memory for writes all over the tables: 64 MiB instead of 2, so that a page is neither
    /// read again for each row nor written several times in one transaction. And has it move the WAL into the
    /// database early, so that a running server has not to do it, while sign-ins wait.
    pub fn prepare_for_many_writes(&self) -> Result<(), StoreError> {
        self.connection.pragma_update(None, "cache_size", -65_536)?;
        Ok(self.connection.pragma_update(None, "wal_autocheckpoint", 1_000)?)
    }

    /// Empties the WAL, so that what was overwritten in the database stands nowhere any more.
    ///
    /// # Errors
    /// [`StoreError::Blocked`] while somebody reads an older state of the database.
    pub fn empty_wal(&self) -> Result<(), StoreError> {
        // Whoever reads for longer than that does so for long.
        connection::wait_briefly(&self.connection)?;
        if connection::empty_wal(&self.connection)? { Ok(()) } else { Err(StoreError::Blocked) }
    }

    /// Rewrites the whole file, so that nothing is in it but what its tables hold.
    pub fn rewrite(&self) -> Result<(), StoreError> {
        Ok(self.connection.execute_batch("VACUUM")?)
    }

    /// What is wrong with the file: damaged pages, rows that refer to nothing. Reads all of it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn find_damage(&self) -> Result<Vec<String>, StoreError> {
        connection::find_damage(&self.connection).map_err(StoreError::from)
    }
}

/// The database as the server uses it.
#[derive(Debug)]
pub struct Store {
    // Dropped in this order: the connection that is closed last moves the WAL into the database, which
    // a reader cannot.
    readers: r2d2::Pool<SqliteConnectionManager>,
    writer: Writer,
    files: Arc<Files>,
}

impl Store {
    /// Starts the writer on an open database, and `readers` connections beside it: as many as there
    /// are threads that read, so that none ever waits for one.
    ///
    /// # Errors
    /// When the readers cannot be opened.
    pub fn start(database: Database, readers: u32, metrics: WriterMetrics) -> Result<Self, OpenError> {
        let readers = connection::open_reader_pool(&database.files.path, readers)?;
        let files = Arc::new(database.files);
        let writer = Writer::start(database.connection, files.clone(), metrics)?;
        Ok(Self { readers, writer, files })
    }

    /// Runs `work` in a transaction on the writer's thread and answers once it is on the disk. What
    /// the work did is undone when it fails, and so it is when the commit fails, but for one case: a
    /// disk that fails while it syncs may yet have kept it. It is never kept in part. When other work of the same
    /// transaction fails, what this did is undone, and it is run once more.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] at once when too many jobs wait; else what `work` or the database says.
    pub fn write<T, W>(&self, work: W) -> impl Future<Output = Result<T, StoreError>> + use<T, W>
    where
        T: Send + 'static,
        W: Fn(&Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let answer = self.writer.submit(work);
        async { answer?.await.map_err(|_| StoreError::Stopped)? }
    }

    /// Runs `work`, which only reads, on the calling thread. Each of its statements sees the database
    /// as it was last committed. For look-ups of microseconds.
    ///
    /// # Errors
    /// What `work` says, or that the database cannot be read, or that it is no longer the one that the readers have open.
    pub fn read<T>(&self, work: impl FnOnce(&Tx<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if self.files.were_gone() {
            return Err(StoreError::FileGone);
        }
        work(&Tx::new(&*self.readers.get()?))
    }

    /// Goes the way of a job to the writer and back. When the last transaction failed, also the way to the disk: nothing
    /// else would tell that it is well again while nobody signs in. It takes as long as the disk.
    ///
    /// # Errors
    /// What a sign-in would fail by, but for [`StoreError::Overloaded`].
    pub async fn prove_writing(&self) -> Result<(), StoreError> {
        let progress = &self.writer.progress;
        loop {
            let (failures, batches, is_failing) = (progress.failures(), progress.batches(), progress.is_failing());
            match self.write(move |tx| if is_failing { tx.rewrite_header() } else { Ok(()) }).await {
                Ok(()) => {
                    if is_failing {
                        progress.overcome(failures);
                    }
                    return Ok(());
                }
                Err(StoreError::Overloaded) => {}
                Err(error) => return Err(error),
            }
            // There is much to do. Whether it is being done, the end of a batch tells.
            while progress.batches() == batches {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            if !progress.is_failing() {
                return Ok(());
            }
        }
    }

    /// Looks whether the database has been removed or replaced since it was opened: what a command writes into the new one,
    /// such as a ban, nobody would see here. Until the old one is back, nothing is read any more.
    pub fn watch_files(&self) {
        // What it finds is kept and logged; a look that fails says nothing.
        let _ = self.files.check_they_are_there();
    }

    /// How many bytes the WAL has on the disk.
    #[must_use]
    pub fn wal_size(&self) -> u64 {
        wal_size(&self.files.path)
    }

    /// Has the writer move all of the WAL into the database and cut it down to nothing. Says whether that was
    /// possible: who reads for more than milliseconds is in the way.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] at once when too many jobs wait; else what the database says.
    pub async fn empty_wal(&self) -> Result<bool, StoreError> {
        self.writer.empty_wal()?.await.map_err(|_| StoreError::Stopped)?
    }
}
