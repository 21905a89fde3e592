//! The writer: one thread that owns the writing connection and commits many jobs at once.
//!
//! The cost of a commit is the disk's sync, and it is the same for one job and for many. So the
//! thread takes every job that waits, runs them in one transaction, commits once, and only then
//! answers. It never waits for more: a lone job is committed at once.
//!
//! A job that fails must undo only itself. That hardly ever happens, and a savepoint for each job costs a tenth of a
//! sign-in: so the savepoints come only when a job has failed, and all are run once more.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use log::error;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::files::Files;
use super::job::{self, Batch, Job, Message};
use super::progress::Progress;
use super::{BatchError, Database, OpenError, StoreError, Tx, connection};
use crate::clock::Clock;
use crate::metrics::WriterMetrics;

/// Jobs in one commit. From eight on the sync is well shared; with 64 a job waits a few
/// milliseconds at most for the others of its batch.
const MAX_BATCH: usize = 64;

/// Jobs that may wait: at some 10,000 jobs a second a tenth of a second's work. Beyond, saying "later"
/// at once serves a caller better than a place at the end of the queue.
const MAX_QUEUE: usize = 1_024;

/// A commit that takes longer is one on a slow disk, where there are few of them: then who writes beside the server, an
/// operator's command, would hardly ever find the lock free in between.
const LONG_COMMIT: Duration = Duration::from_millis(20);

/// For how long the lock is left to them then. They ask for it every millisecond.
const GAP: Duration = Duration::from_millis(3);

/// The way to the writer's thread. Dropping it lets the thread finish what waits, and end.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Option<SyncSender<Message>>,
    thread: Option<JoinHandle<()>>,
    metrics: WriterMetrics,
    pub(super) progress: Arc<Progress>,
}

impl Writer {
    pub(super) fn start(connection: Connection, files: Arc<Files>, metrics: WriterMetrics) -> Result<Self, OpenError> {
        let (queue, messages) = sync_channel(MAX_QUEUE);
        let progress = Arc::<Progress>::default();
        connection::wait_briefly(&connection)
            .map_err(|cause| OpenError::Unusable { path: files.path.clone(), cause })?;
        let mut writer = WriterThread {
            connection: Some(connection),
            files,
            clock: Clock::system(),
            metrics: metrics.clone(),
            progress: progress.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || writer.run(&messages))
            .map_err(OpenError::Thread)?;
        Ok(Self { queue: Some(queue), thread: Some(thread), metrics, progress })
    }

    /// Puts a job into the queue. The receiver gets its result after the commit.
    pub(super) fn submit<T: Send + 'static>(
        &self,
        work: impl Fn(&Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T, StoreError>>, StoreError> {
        let (job, answer) = job::new(work);
        self.send(Message::Job(job))?;
        Ok(answer)
    }

    /// Has the WAL emptied. The receiver gets whether it was; a reader can be in the way.
    pub(super) fn empty_wal(&self) -> Result<oneshot::Receiver<Result<bool, StoreError>>, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::EmptyWal(reply))?;
        Ok(answer)
    }

    fn send(&self, message: Message) -> Result<(), StoreError> {
        let queue = self.queue.as_ref().ok_or(StoreError::Stopped)?;
        // Before it is there, for the writer may take it off at once.
        self.metrics.waiting.inc();
        queue.try_send(message).map_err(|error| {
            self.metrics.waiting.dec();
            match error {
                TrySendError::Full(_) => StoreError::Overloaded,
                TrySendError::Disconnected(_) => StoreError::Stopped,
            }
        })
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

/// What the writer's thread owns.
struct WriterThread {
    /// `None` after a failure of the disk, until the file could be opened again.
    connection: Option<Connection>,
    /// Those that the readers have open. On others nothing is written: they would not see it.
    files: Arc<Files>,
    clock: Clock,
    metrics: WriterMetrics,
    progress: Arc<Progress>,
}

impl WriterThread {
    fn run(&mut self, messages: &Receiver<Message>) {
        while let Ok(first) = messages.recv() {
            let mut batch = Batch::default();
            batch.extend(std::iter::once(first).chain(messages.try_iter()).take(MAX_BATCH));
            let (committed, took) = self.commit_measured(&mut batch.jobs);
            let failure = committed.err().map(Arc::new);
            if let Some(failure) = &failure {
                // Who waits behind this batch would wait for the same lock, for as long again.
                if failure.is_busy() {
                    batch.extend(messages.try_iter());
                }
                error!("a batch of {} jobs was not committed: {failure}", batch.jobs.len());
            }
            self.metrics.waiting.dec_by(batch.len());
            self.progress.count_batch();
            for job in batch.jobs {
                job.answer(failure.as_ref());
            }
            for reply in batch.wal_replies {
                let _ = reply.send(self.empty_wal().map_err(|failure| StoreError::Batch(Arc::new(failure))));
            }
            if took > LONG_COMMIT {
                std::thread::sleep(GAP);
            }
        }
    }

    /// Commits the batch, and says how long it took.
    fn commit_measured(&mut self, batch: &mut [Box<dyn Job>]) -> (Result<(), BatchError>, Duration) {
        if batch.is_empty() {
            return (Ok(()), Duration::ZERO);
        }
        let started = self.clock.steady();
        let result = self.commit(batch);
        let took = self.clock.steady().saturating_sub(started);
        // What changed nothing hardly ever waited for the disk, and says nothing of it.
        if !matches!(result, Ok(false)) {
            self.metrics.commit.observe(took.as_secs_f64());
            self.metrics.batch.observe(f64::from(u32::try_from(batch.len()).unwrap_or(u32::MAX)));
        }
        self.metrics.failures.inc_by(result.is_err().into());
        match &result {
            Ok(true) => self.progress.overcome(self.progress.failures()),
            // Nothing was written, which a full disk, too, lets happen.
            Ok(false) => {}
            Err(_) => self.progress.count_failure(),
        }
        (result.map(drop), took)
    }

    /// Commits the batch, but for the jobs that failed by themselves, and says whether there was anything to write.
    /// When it fails, nothing of the batch is kept.
    fn commit(&mut self, batch: &mut [Box<dyn Job>]) -> Result<bool, BatchError> {
        self.with_connection(|connection| {
            let before = connection.total_changes();
            run_in_transaction(connection, batch)?;
            Ok(connection.total_changes() > before)
        })
    }

    fn empty_wal(&mut self) -> Result<bool, BatchError> {
        self.with_connection(|connection| Ok(connection::empty_wal_unless_read(connection)?))
    }

    /// Works on the open database.
    ///
    /// After a failed read, write or sync the memory may hold what the disk does not: then the database is
    /// closed, and the next batch opens it again. Waiting in vain for a lock is no such failure.
    fn with_connection<T>(&mut self, work: impl FnOnce(&Connection) -> Result<T, BatchError>) -> Result<T, BatchError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.reopen()?,
        };
        let result = work(&connection).and_then(|value| self.files.check_they_are_there().map(|()| value));
        let is_well = result.as_ref().map_or_else(BatchError::is_busy, |_| true);
        if is_well && connection.is_autocommit() {
            self.connection = Some(connection);
        }
        result
    }

    fn reopen(&self) -> Result<Connection, BatchError> {
        self.files.check_they_are_there()?;
        let Database { connection, .. } = Database::open_existing(&self.files.path)?;
        connection::wait_briefly(&connection)?;
        Ok(connection)
    }
}

fn run_in_transaction(connection: &Connection, batch: &mut [Box<dyn Job>]) -> Result<(), BatchError> {
    execute(connection, "BEGIN IMMEDIATE")?;
    if !run_together(connection, batch) {
        if !connection.is_autocommit() {
            execute(connection, "ROLLBACK")?;
        }
        execute(connection, "BEGIN IMMEDIATE")?;
        run_apart(connection, batch)?;
    }
    Ok(execute(connection, "COMMIT")?)
}

/// Says whether all jobs succeeded.
fn run_together(connection: &Connection, batch: &mut [Box<dyn Job>]) -> bool {
    let tx = Tx::new(connection);
    batch.iter_mut().all(|job| job.run(&tx).is_ok())
}

/// Runs each job under its own savepoint. Fails with what makes all fail: a full disk, say.
fn run_apart(connection: &Connection, batch: &mut [Box<dyn Job>]) -> Result<(), BatchError> {
    let tx = Tx::new(connection);
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
    Ok(())
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
        Fixture { store: Store::start(database, 1, WriterMetrics::default()).unwrap(), _folder: folder }
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

    /// PocketBase #7762: a panic in a worker took the process down.
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
            assert!(store.writer.progress.is_failing());
            store.write(|_| Ok(())).await.unwrap();
            assert!(store.writer.progress.is_failing(), "nothing was written");
            store.prove_writing().await.unwrap();
            assert!(!store.writer.progress.is_failing());
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
            let (reached, ready) = std::sync::mpsc::channel();
            let mut holding = Box::pin(store.write(move |_| {
                reached.send(()).unwrap();
                gate.recv().unwrap();
                Ok(())
            }));
            assert!(is_pending(&mut holding));
            ready.recv().unwrap();
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
