//! What the writer is told to do, and how it answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::oneshot;

use super::{BatchError, StoreError, Tx};

/// What the writer's thread is told to do.
pub(super) enum Message {
    Job(Box<dyn Job>),
    EmptyWal(oneshot::Sender<Result<bool, StoreError>>),
}

/// Messages that are done together: the jobs in one transaction, the rest after it.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) jobs: Vec<Box<dyn Job>>,
    pub(super) wal_replies: Vec<oneshot::Sender<Result<bool, StoreError>>>,
}

impl Batch {
    pub(super) fn len(&self) -> i64 {
        i64::try_from(self.jobs.len() + self.wal_replies.len()).unwrap_or(i64::MAX)
    }
}

impl Extend<Message> for Batch {
    fn extend<I: IntoIterator<Item = Message>>(&mut self, messages: I) {
        for message in messages {
            match message {
                Message::Job(job) => self.jobs.push(job),
                Message::EmptyWal(reply) => self.wal_replies.push(reply),
            }
        }
    }
}

/// A piece of work within a shared transaction.
pub(super) trait Job: Send {
    /// Does the work and keeps its result, which may be committed, or the text of whose error is given. What was done
    /// is undone before it is done again.
    fn run(&mut self, tx: &Tx<'_>) -> Result<(), String>;
    /// Tells whoever waits, after the commit or its failure.
    fn answer(self: Box<Self>, failure: Option<&Arc<BatchError>>);
}

/// A job that does this work, and where its result can be waited for.
pub(super) fn new<T: Send + 'static>(
    work: impl Fn(&Tx<'_>) -> Result<T, StoreError> + Send + 'static,
) -> (Box<dyn Job>, oneshot::Receiver<Result<T, StoreError>>) {
    let (reply, answer) = oneshot::channel();
    (Box::new(Task { work, result: None, reply }), answer)
}

struct Task<W, T> {
    work: W,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<W, T> Job for Task<W, T>
where
    W: Fn(&Tx<'_>) -> Result<T, StoreError> + Send,
    T: Send,
{
    fn run(&mut self, tx: &Tx<'_>) -> Result<(), String> {
        // What a panicking job did in the database is undone, and the job itself has nothing that it could leave half
        // changed.
        let result = catch_unwind(AssertUnwindSafe(|| (self.work)(tx))).unwrap_or(Err(StoreError::Panicked));
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
