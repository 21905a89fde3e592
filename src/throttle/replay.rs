//! Taking what earlier attempts took, as if the throttle had seen them.
//!
//! A server that was busy has a million of them to take before it can answer: so the database is read, the networks
//! take and the mailboxes take on a thread each, one after the other for each attempt.

use std::mem::take;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use super::{Limiter, Throttle};
use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::store::ThrottledAttempt;

/// Attempts that are handed on together.
const BUNDLE: usize = 4_096;

/// Bundles that may wait for a thread.
const MAX_WAITING: usize = 4;

impl Throttle {
    /// Takes what all attempts took that `earlier` tells of, the oldest first.
    pub(super) fn replay<E>(
        &self,
        now: Timestamp,
        earlier: impl FnOnce(&mut dyn FnMut(ThrottledAttempt)) -> Result<(), E>,
    ) -> Result<(), E> {
        let (all, for_networks) = sync_channel::<Vec<ThrottledAttempt>>(MAX_WAITING);
        let (passed, for_mailboxes) = sync_channel::<Vec<ThrottledAttempt>>(MAX_WAITING);
        let told = thread::scope(|scope| {
            scope.spawn(move || {
                for mut bundle in for_networks {
                    for attempt in &mut bundle {
                        attempt.count = self.replay_in_network(attempt, now);
                    }
                    let _ = passed.send(bundle);
                }
            });
            scope.spawn(move || {
                for attempt in for_mailboxes.into_iter().flatten() {
                    self.replay_in_mailbox(&attempt, now);
                }
            });
            let mut bundle = Vec::with_capacity(BUNDLE);
            let told = earlier(&mut |attempt| {
                bundle.push(attempt);
                if bundle.len() == BUNDLE {
                    let _ = all.send(take(&mut bundle));
                    bundle.reserve(BUNDLE);
                }
            });
            let _ = all.send(bundle);
            drop(all);
            told
        });
        for limiter in self.networks.iter().chain(&self.mailboxes) {
            limiter.gate.clock().set(None);
        }
        told
    }

    /// Gives how many of the attempts the network lets through.
    fn replay_in_network(&self, attempt: &ThrottledAttempt, now: Timestamp) -> u32 {
        let network = self.network(attempt.organisation, attempt.ip);
        network.map_or(attempt.count, |(limiter, network)| limiter.replay(network, attempt, now))
    }

    fn replay_in_mailbox(&self, attempt: &ThrottledAttempt, now: Timestamp) {
        if let Some((limiter, mailbox)) = self.mailbox(attempt.mailbox).filter(|_| !attempt.is_refused) {
            limiter.replay(mailbox, attempt, now);
        }
    }
}

impl Limiter {
    /// Takes as many attempts as there were, or as many as are let through. Gives their number.
    fn replay(&self, key: u64, attempt: &ThrottledAttempt, now: Timestamp) -> u32 {
        // A row from the future was written before the system's clock was set back.
        self.gate.clock().set(Some(attempt.at.min(now)));
        (0..attempt.count).find(|_| self.check(key).is_err()).unwrap_or(attempt.count)
    }
}

/// The steady clock, or a moment of the past while attempts are replayed.
#[derive(Debug)]
pub(super) struct ReplayClock {
    live: Clock,
    /// Milliseconds since the Unix epoch; 0: live.
    set: AtomicU64,
}

impl ReplayClock {
    pub(super) fn set_to(time: Timestamp, live: &Clock) -> Self {
        let clock = Self { live: live.clone(), set: AtomicU64::new(0) };
        clock.set(Some(time));
        clock
    }

    fn set(&self, time: Option<Timestamp>) {
        let milliseconds = time.map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(0).max(1));
        self.set.store(milliseconds, Ordering::Relaxed);
    }
}

impl governor::clock::Clock for ReplayClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        match self.set.load(Ordering::Relaxed) {
            0 => self.live.steady(),
            milliseconds => Duration::from_millis(milliseconds),
        }
    }
}
