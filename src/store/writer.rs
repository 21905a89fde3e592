//! The writer: one thread that owns the writing connection and commits many jobs at once.
//!
//! The cost of a commit is the disk's sync, and it is the same for one job and for many. So the
//! thread takes every job that waits, runs each under its own savepoint, commits once, and only then
//! answers. It never waits for more: a lone job is committed at once.

use std::os::unix::fs::MetadataExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use log::error;
use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;

use super::connection::wait_for_lock;
use super::{Database, OpenError, StoreError, Tx};

/// Jobs in one commit. From eight on the sync is well shared; with 64 a job waits a few
/// milliseconds at most for the others of its batch.
const MAX_BATCH: usize = 64;

/// Jobs that may wait: at some 10,000 jobs a second a tenth of a second's work. Beyond, saying "later"
/// at once serves a caller better than a place at the end of the queue.
const MAX_QUEUE: usize = 1_024;

/// How many seconds the writer waits for a lock that another process has: a command writes for milliseconds, so
/// that two seconds mean that something is wrong, and that nobody should wait any longer.
const PATIENCE: i32 = 2;

/// The way to the writer's thread. Dropping it lets the thread finish what waits, and end.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Option<SyncSender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(connection: Connection, path: &Path) -> Result<Self, OpenError> {
        let (queue, jobs) = sync_channel(MAX_QUEUE);
        let file = Some(OpenFile::new(connection, path));
        let mut desk = Desk { file, path: path.to_owned(), is_gone: false };
        let thread = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || desk.work_off(&jobs))
            .map_err(OpenError::Thread)?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Puts a job into the queue. The receiver gets its result after the commit.
    pub(super) fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T, StoreError>>, StoreError> {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Task { work: Some(work), result: None, reply });
        match self.queue.as_ref().ok_or(StoreError::Stopped)?.try_send(job) {
            Ok(()) => Ok(answer),
            Err(TrySendError::Full(_)) => Err(StoreError::Overloaded),
            Err(TrySendError::Disconnected(_)) => Err(StoreError::Stopped),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("the writer's thread panicked");
        }
    }
}

/// Why a batch was not committed.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// SQLite could not begin, save, or commit.
    #[error("{0}")]
    Database(#[from] rusqlite::Error),
    /// A job met an error, such as a full disk, at which SQLite gives up the whole transaction.
    #[error("{0}")]
    Job(String),
    /// The database could not be opened again after an earlier failure.
    #[error("{0}")]
    Open(#[from] OpenError),
    /// The file was moved away under the server.
    #[error("the database or its -wal was removed or replaced while it was open: restore it and restart the server")]
    FileGone,
}

impl BatchError {
    fn is_busy(&self) -> bool {
        let Self::Database(error) = self else { return false };
        error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
    }
}

/// A piece of work within a shared transaction.
trait Job: Send {
    /// Does the work and keeps its result, which may be committed, or the text of whose error is given.
    fn run(&mut self, tx: &Tx<'_>) -> Result<(), String>;
    /// Tells whoever waits, after the commit or its failure.
    fn answer(self: Box<Self>, failure: Option<&Arc<BatchError>>);
}

struct Task<W, T> {
    work: Option<W>,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<W, T> Job for Task<W, T>
where
    W: FnOnce(&Tx<'_>) -> Result<T, StoreError> + Send,
    T: Send,
{
    fn run(&mut self, tx: &Tx<'_>) -> Result<(), String> {
        let Some(work) = self.work.take() else { return Ok(()) };
        // What a panicking job did in the database is undone with its savepoint, and the job itself
        // is not used again.
        let result = catch_unwind(AssertUnwindSafe(|| work(tx))).unwrap_or(Err(StoreError::Panicked));
        self.result.insert(result).as_ref().map(drop).map_err(ToString::to_string)
    }

    fn answer(self: Box<Self>, failure: Option<&Arc<BatchError>>) {
        let result = match (self.result, failure) {
            (Some(Err(error)), _) => Err(error),
            (_, Some(failure)) => Err(StoreError::Batch(failure.clone())),
            (Some(result), None) => result,
            (None, None) => Err(StoreError::Stopped),
        };
        // Whoever waited may have gone: a client that hung up.
        let _ = self.reply.send(result);
    }
}

/// What the writer's thread owns.
struct Desk {
    /// `None` after a failure of the disk, until the file could be opened again.
    file: Option<OpenFile>,
    path: PathBuf,
    /// Whether the file was removed or replaced. Nothing is written any more then: the readers still have the
    /// old one open, and a writer beside them on another would damage it.
    is_gone: bool,
}

impl Desk {
    fn work_off(&mut self, jobs: &Receiver<Box<dyn Job>>) {
        while let Ok(first) = jobs.recv() {
            let mut batch: Vec<_> = std::iter::once(first).chain(jobs.try_iter()).take(MAX_BATCH).collect();
            let failure = self.commit(&mut batch).err().map(Arc::new);
            if let Some(failure) = &failure {
                // Who waits behind this batch would wait for the same lock, for as long again.
                if failure.is_busy() {
                    batch.extend(jobs.try_iter());
                }
                error!("a batch of {} jobs was not committed: {failure}", batch.len());
            }
            for job in batch {
                job.answer(failure.as_ref());
            }
        }
    }

    /// Commits the batch, but for the jobs that failed by themselves. When it fails, nothing of the
    /// batch is kept.
    ///
    /// After a failed read, write or sync the memory may hold what the disk does not: then the file is
    /// closed, and the next batch opens it again. Waiting in vain for a lock is no such failure.
    fn commit(&mut self, batch: &mut [Box<dyn Job>]) -> Result<(), BatchError> {
        let file = match self.file.take() {
            _ if self.is_gone => return Err(BatchError::FileGone),
            Some(file) => file,
            None => OpenFile::new(Database::open_existing(&self.path)?.connection, &self.path),
        };
        let result = run_in_transaction(&file.connection, batch).and_then(|()| file.check_it_is_there(&self.path));
        self.is_gone = matches!(result, Err(BatchError::FileGone));
        let is_well = result.as_ref().map_or_else(BatchError::is_busy, |()| true);
        if is_well && file.connection.is_autocommit() {
            self.file = Some(file);
        }
        result
    }
}

/// The open database, and which files it was when it was opened.
struct OpenFile {
    connection: Connection,
    inodes: [Option<(u64, u64)>; 2],
}

impl OpenFile {
    fn new(connection: Connection, path: &Path) -> Self {
        if let Err(error) = connection.busy_handler(Some(wait_for_lock::<PATIENCE>)) {
            error!("the writer waits longer for locks than it should: {error}");
        }
        Self { connection, inodes: inodes(path) }
    }

    /// That the database and its WAL are still where they were. When somebody has removed or replaced one of
    /// them, what is committed into the old one will be found by nobody.
    fn check_it_is_there(&self, path: &Path) -> Result<(), BatchError> {
        if inodes(path) == self.inodes { Ok(()) } else { Err(BatchError::FileGone) }
    }
}

/// Device and inode of the database and of its WAL. (They are asked for, never opened: closing them would
/// release SQLite's locks.)
fn inodes(path: &Path) -> [Option<(u64, u64)>; 2] {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    [path, Path::new(&wal)].map(|path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.dev(), metadata.ino()))
    })
}

fn run_in_transaction(connection: &Connection, batch: &mut [Box<dyn Job>]) -> Result<(), BatchError> {
    let tx = Tx::new(connection);
    execute(connection, "BEGIN IMMEDIATE")?;
    for job in batch {
        execute(connection, "SAVEPOINT job")?;
        if let Err(error) = job.run(&tx) {
            if connection.is_autocommit() {
                return Err(BatchError::Job(error));
            }
            execute(connection, "ROLLBACK TO job")?;
        }
        execute(connection, "RELEASE job")?;
    }
    Ok(execute(connection, "COMMIT")?)
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;
    use crate::store::Store;
    use std::task::{Context, Waker};

    const NOW: Timestamp = Timestamp::from_millis(1);

    struct Fixture {
        store: Store,
        _folder: tempfile::TempDir,
    }

    fn fixture() -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("magic-auth.db");
        let database = Database::open(&path).unwrap();
        Fixture { store: Store::start(database, &path, 1).unwrap(), _folder: folder }
    }

    fn names(store: &Store) -> Vec<String> {
        store.read(|tx| Ok(tx.list_organisations()?.into_iter().map(|row| row.name).collect())).unwrap()
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        actix_web::rt::System::new().block_on(future)
    }

    fn is_pending<T>(future: &mut (impl Future<Output = T> + Unpin)) -> bool {
        std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    #[test]
    fn a_job_that_fails_undoes_only_itself() {
        let fixture = fixture();
        let store = &fixture.store;
        block_on(async {
            let good = store.write(|tx| tx.upsert_organisation("good", NOW).map(drop));
            let failing = store.write(|tx| {
                tx.upsert_organisation("failing", NOW)?;
                Err::<(), _>(StoreError::RowCount(0))
            });
            let panicking = store.write(|tx| -> Result<(), StoreError> {
                tx.upsert_organisation("panicking", NOW)?;
                panic!("a job's own fault")
            });
            let last = store.write(|tx| tx.upsert_organisation("last", NOW).map(drop));
            let (good, failing, panicking, last) = tokio::join!(good, failing, panicking, last);
            assert!(good.is_ok() && last.is_ok());
            assert!(matches!(failing, Err(StoreError::RowCount(0))));
            assert!(matches!(panicking, Err(StoreError::Panicked)));
        });
        assert_eq!(names(store), ["good", "last"]);
    }

    #[test]
    fn a_full_disk_fails_the_whole_batch_with_its_cause_and_the_next_one_works() {
        let fixture = fixture();
        let store = &fixture.store;
        block_on(async {
            let (first, filling) = tokio::join!(
                store.write(|tx| tx.upsert_organisation("first", NOW).map(drop)),
                store.write(|tx| {
                    // As if the disk were full: the database may not grow by a page.
                    let pages = tx.prepare("PRAGMA page_count")?.query_row([], |row| row.get::<_, i64>(0))?;
                    tx.prepare(&format!("PRAGMA max_page_count = {pages}"))?.query_row([], |_| Ok(()))?;
                    (0..10_000).try_for_each(|number| tx.upsert_organisation(&format!("{number:0500}"), NOW).map(drop))
                }),
            );
            // The first may have been committed alone, before the second came.
            if let Err(error) = first {
                assert!(error.to_string().contains("database or disk is full"), "{error}");
            }
            assert!(filling.unwrap_err().to_string().contains("database or disk is full"));
            store.write(|tx| tx.upsert_organisation("after", NOW).map(drop)).await.unwrap();
        });
        assert!(names(store).contains(&"after".to_owned()));
        assert!(names(store).len() <= 2);
    }

    #[test]
    fn a_full_queue_is_refused_at_once_and_dropping_the_writer_finishes_what_waits() {
        let fixture = fixture();
        let (open, gate) = std::sync::mpsc::channel::<()>();
        block_on(async {
            let store = &fixture.store;
            let (reached, ready) = oneshot::channel();
            let mut holding = Box::pin(store.write(move |_| {
                reached.send(()).unwrap();
                gate.recv().unwrap();
                Ok(())
            }));
            assert!(is_pending(&mut holding));
            ready.await.unwrap();
            for number in 0..MAX_QUEUE {
                let mut job =
                    Box::pin(store.write(move |tx| tx.upsert_organisation(&number.to_string(), NOW).map(drop)));
                assert!(is_pending(&mut job));
            }
            assert!(matches!(store.write(|_| Ok(())).await, Err(StoreError::Overloaded)));
            open.send(()).unwrap();
        });
        let Fixture { store, _folder: folder } = fixture;
        drop(store);
        let path = folder.path().join("magic-auth.db");
        let mut database = Database::open_existing(&path).unwrap();
        let kept = database.read(|tx| tx.list_organisations().map(|rows| rows.len())).unwrap();
        assert_eq!(kept, MAX_QUEUE);
    }
}
