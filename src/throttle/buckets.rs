//! The limiter's memory: the state of each mailbox's or network's bucket, for a bounded number of them.

use std::sync::Arc;
use std::time::Duration;

use foldhash::HashMap;
use governor::nanos::Nanos;
use governor::state::StateStore;
use parking_lot::{Mutex, MutexGuard};

/// Each shard has its own lock. More shards than threads make waiting for one rare.
const SHARDS: usize = 128;

/// What fills a hash table of 8,192 places (7/8 of them are used) of 17 bytes. All shards together
/// hold 917,504 buckets in 18 MiB.
const SHARD_CAPACITY: usize = 7_168;

/// The state of up to 917,504 buckets.
///
/// When a shard is full, it forgets the half of its buckets that are the fullest, that is, the mailboxes
/// and networks that were used least. A forgotten bucket is a full one again, so forgetting gives
/// attempts back; but never more than the flood that fills the shard has spent: to make the shard
/// forget a bucket from which n attempts were taken, n attempts must first be spent on each of the
/// thousands of others that are kept in its place. Nobody is refused because the memory is full.
#[derive(Clone)]
pub(super) struct Buckets {
    shards: Arc<[Mutex<HashMap<u64, Nanos>>]>,
}

impl Buckets {
    /// Makes a bucket fuller by what comes back in `interval`.
    pub(super) fn refund(&self, key: u64, interval: Duration) {
        if let Some(state) = self.shard(key).get_mut(&key) {
            *state = state.saturating_sub(interval.into());
        }
    }

    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// (The key is a hash already.)
    fn shard(&self, key: u64) -> MutexGuard<'_, HashMap<u64, Nanos>> {
        self.shards[(key >> 32) as usize % SHARDS].lock()
    }
}

impl Default for Buckets {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }
}

impl std::fmt::Debug for Buckets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Buckets")
    }
}

impl StateStore for Buckets {
    type Key = u64;

    fn measure_and_replace<T, F, E>(&self, key: &u64, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut buckets = self.shard(*key);
        if let Some(known) = buckets.get_mut(key) {
            let (answer, state) = decide(Some(*known))?;
            *known = state;
            return Ok(answer);
        }
        let (answer, state) = decide(None)?;
        if buckets.len() >= SHARD_CAPACITY {
            forget_fullest_half(&mut buckets);
        }
        buckets.insert(*key, state);
        Ok(answer)
    }
}

/// The state is the moment when the bucket is full again: the earlier, the fuller it is.
fn forget_fullest_half(buckets: &mut HashMap<u64, Nanos>) {
    let mut states: Vec<Nanos> = buckets.values().copied().collect();
    let middle = states.len() / 2;
    let (_, median, _) = states.select_nth_unstable(middle);
    let median = *median;
    let mut left_to_forget = middle;
    buckets.retain(|_, state| {
        let keep = *state > median || left_to_forget == 0;
        left_to_forget -= usize::from(!keep);
        keep
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key of the first shard.
    fn key(number: usize) -> u64 {
        number as u64
    }

    fn set(buckets: &Buckets, key: u64, state: u64) {
        buckets.measure_and_replace(&key, |_| Ok::<_, ()>(((), Nanos::new(state)))).unwrap();
    }

    fn get(buckets: &Buckets, key: u64) -> Option<Nanos> {
        buckets.measure_and_replace(&key, Err::<((), _), _>).unwrap_err()
    }

    #[test]
    fn a_full_shard_forgets_what_was_used_least() {
        let buckets = Buckets::default();
        assert_eq!(format!("{buckets:?}"), "Buckets", "not one of millions");
        set(&buckets, key(1_000_000), 1_000_000);
        for number in 0..10 * SHARD_CAPACITY {
            set(&buckets, key(number), number as u64 % 1_000);
            assert!(buckets.shards[0].lock().len() <= SHARD_CAPACITY);
        }
        assert!(get(&buckets, key(1_000_000)).is_some());
        assert_eq!(
            get(&buckets, key(10 * SHARD_CAPACITY - 1)),
            Some(Nanos::new((10 * SHARD_CAPACITY as u64 - 1) % 1_000))
        );
    }

    #[test]
    fn a_shard_of_equals_forgets_half_of_them() {
        let buckets = Buckets::default();
        for number in 0..=SHARD_CAPACITY {
            set(&buckets, key(number), 5);
        }
        assert_eq!(buckets.shards[0].lock().len(), SHARD_CAPACITY / 2 + 1);
    }

    #[test]
    fn a_known_key_makes_a_full_shard_forget_nothing() {
        let buckets = Buckets::default();
        for number in 0..SHARD_CAPACITY {
            set(&buckets, key(number), 5);
        }
        set(&buckets, key(0), 6);
        assert_eq!(buckets.shards[0].lock().len(), SHARD_CAPACITY);
    }
}
