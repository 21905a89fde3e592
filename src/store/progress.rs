//! What others see of the writer's work.

use std::sync::atomic::{AtomicU64, Ordering};

use log::info;

/// How far the writer has come. It alone counts batches and failures.
#[derive(Debug, Default)]
pub(super) struct Progress {
    batches: AtomicU64,
    failures: AtomicU64,
    /// So many failures there had been when last something was written.
    overcome: AtomicU64,
}

impl Progress {
    /// A batch has been worked off, whether it was committed or not.
    pub(super) fn count_batch(&self) {
        self.batches.fetch_add(1, Ordering::Release);
    }

    /// A batch was not committed.
    pub(super) fn count_failure(&self) {
        self.failures.fetch_add(1, Ordering::Release);
    }

    /// A write has succeeded after so many failures: they are overcome.
    pub(super) fn overcome(&self, failures: u64) {
        if self.overcome.fetch_max(failures, Ordering::AcqRel) < failures {
            info!("the database can be written again");
        }
    }

    /// How many batches there have been.
    pub(super) fn batches(&self) -> u64 {
        self.batches.load(Ordering::Acquire)
    }

    /// How many of them were not committed.
    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Acquire)
    }

    /// Whether nothing has been written since the last failure.
    pub(super) fn is_failing(&self) -> bool {
        self.failures() > self.overcome.load(Ordering::Acquire)
    }
}
