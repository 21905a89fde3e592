//! Attempts whose record does not wait for the disk: those that the throttle refused (E006), that a rule denied, and those
//! that failed because the database did (E001).
//!
//! They are gathered in memory and written together, at most once a second. Like ones are counted, so
//! that a flood from one network costs one row a second and a database that cannot be written loses no
//! count.

use std::time::Duration;

use foldhash::HashMap;
use log::warn;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::domain::{Outcome, Timestamp};
use crate::store::{Attempt, NewAttempt, Store, StoreError};

/// Between two writes.
const INTERVAL: Duration = Duration::from_secs(1);

/// Different attempts that are told apart, some 200 bytes each. What goes beyond is counted for its
/// key alone, without mailbox and address.
const MAX_DIFFERENT: usize = 4_096;

/// The attempts that wait to be recorded.
#[derive(Debug, Default)]
pub struct AttemptLog {
    waiting: Mutex<HashMap<(Attempt, Outcome), Repeated>>,
    is_waiting: Notify,
}

/// Like attempts.
#[derive(Clone, Copy, Debug)]
struct Repeated {
    first_at: Timestamp,
    count: u32,
}

impl AttemptLog {
    /// Notes an attempt. Costs memory and arithmetic only.
    pub fn note(&self, attempt: Attempt, outcome: Outcome, now: Timestamp) {
        self.add(attempt, outcome, Repeated { first_at: now, count: 1 });
        self.is_waiting.notify_one();
    }

    fn add(&self, attempt: Attempt, outcome: Outcome, more: Repeated) {
        let mut waiting = self.waiting.lock();
        let mut key = (attempt, outcome);
        if waiting.len() >= MAX_DIFFERENT && !waiting.contains_key(&key) {
            (key.0.mailbox, key.0.email, key.0.ip) = (None, None, None);
        }
        waiting
            .entry(key)
            .and_modify(|same| {
                same.first_at = same.first_at.min(more.first_at);
                same.count = same.count.saturating_add(more.count);
            })
            .or_insert(more);
    }

    /// Writes what is noted, again and again, for as long as it is polled.
    pub async fn keep_writing(&self, store: &Store) {
        loop {
            self.is_waiting.notified().await;
            tokio::time::sleep(INTERVAL).await;
            // What could not be written is noted again.
            let _ = self.flush(store).await;
        }
    }

    /// Writes what is noted, for the last time: nobody comes any more, so that there will be room for it among the jobs that
    /// wait.
    pub async fn finish(&self, store: &Store) {
        while matches!(self.flush(store).await, Err(StoreError::Overloaded)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Writes what is noted. When that fails, it is noted again.
    async fn flush(&self, store: &Store) -> Result<(), StoreError> {
        let batch = std::mem::take(&mut *self.waiting.lock());
        if batch.is_empty() {
            return Ok(());
        }
        let rows = batch.clone();
        let written = store.write(move |tx| {
            rows.iter().try_for_each(|((attempt, outcome), repeated)| {
                let new = NewAttempt { count: repeated.count, ..NewAttempt::of(attempt, *outcome) };
                tx.insert_attempt(&new, repeated.first_at)
            })
        });
        let written = written.await;
        if let Err(error) = &written {
            // There will be room soon.
            if !matches!(error, StoreError::Overloaded) {
                let count: u64 = batch.values().map(|same| u64::from(same.count)).sum();
                warn!("{count} attempts could not be recorded yet: {error}");
            }
            for ((attempt, outcome), repeated) in batch {
                self.add(attempt, outcome, repeated);
            }
            // Once the writer has ended, there is nothing to try again.
            if !matches!(error, StoreError::Stopped) {
                self.is_waiting.notify_one();
            }
        }
        written
    }
}
