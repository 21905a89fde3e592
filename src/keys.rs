//! The API keys in force, in memory, each with its quota and its permissions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use foldhash::HashMap;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use governor::{Quota, RateLimiter};
use log::error;
use parking_lot::{Mutex, RwLock};

use crate::clock::Clock;
use crate::config::RateLimitConfig;
use crate::domain::{
    ApiKey, ApiKeyId, Digest, KeyKind, OrganisationId, Permission, Permissions, Timestamp, UnknownPermission,
};
use crate::store::{KeyRow, Store, StoreError};

/// For how long the copy in memory may be older than the database: so long after a key was made or
/// revoked on the command line, the server knows.
pub const MAX_AGE: Duration = Duration::from_millis(100);

/// For how long a copy that cannot be read anew still counts.
const MAX_STALE: Duration = Duration::from_secs(10);

/// The keys in force.
#[derive(Debug)]
pub struct Keys {
    by_digest: RwLock<HashMap<Digest, Arc<Key>>>,
    limits: RateLimitConfig,
    clock: Clock,
    /// Milliseconds of the steady clock at which the copy was read.
    read_at: AtomicU64,
    /// Those at which that was last tried.
    tried_at: AtomicU64,
    /// Held by whoever reads it anew.
    reading: Mutex<()>,
}

/// A key in force.
#[derive(Debug)]
pub struct Key {
    /// Its row.
    pub id: ApiKeyId,
    /// Whose key it is.
    pub organisation: OrganisationId,
    /// What it is for.
    pub kind: KeyKind,
    /// How logs and tables name it: `PROD…XuOE`.
    pub label: String,
    /// The organisation's name.
    pub organisation_name: String,
    permissions: Result<Permissions, UnknownPermission>,
    expires_at: Option<Timestamp>,
    quota: Option<Arc<KeyQuota>>,
}

impl Keys {
    /// The keys in force, read from the database.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn load(store: &Store, limits: RateLimitConfig, clock: &Clock) -> Result<Self, StoreError> {
        let keys = Self {
            by_digest: RwLock::default(),
            limits,
            clock: clock.clone(),
            read_at: AtomicU64::new(0),
            tried_at: AtomicU64::new(0),
            reading: Mutex::default(),
        };
        keys.refresh(store)?;
        Ok(keys)
    }

    /// The key that was presented, if it is in force now. While the database cannot be read, the last
    /// copy counts for [`MAX_STALE`].
    ///
    /// # Errors
    /// When the database cannot be read for longer: a key may have been revoked meanwhile.
    pub fn find(&self, presented: &ApiKey, store: &Store) -> Result<Option<Arc<Key>>, StoreError> {
        let now = self.clock.steady();
        let is_due = || Duration::from_millis(self.tried_at.load(Ordering::Acquire)) + MAX_AGE <= now;
        if is_due() {
            let _reading = self.reading.lock();
            if is_due()
                && let Err(error) = self.refresh(store)
            {
                error!("the API keys cannot be read: {error}");
            }
        }
        // By the time it is now: the reading may have taken long.
        if Duration::from_millis(self.read_at.load(Ordering::Acquire)) + MAX_STALE <= self.clock.steady() {
            return Err(StoreError::Stale);
        }
        let keys = self.by_digest.read();
        let now = self.clock.now();
        let is_in_force = |key: &&Arc<Key>| key.expires_at.is_none_or(|end| end > now);
        Ok(keys.get(&presented.digest()).filter(is_in_force).cloned())
    }

    /// Reads the keys anew. A key that was known keeps its quota as it is. Also when it fails, it is not
    /// tried again at once.
    fn refresh(&self, store: &Store) -> Result<(), StoreError> {
        // The time before the reading, so that what is committed meanwhile is not missed.
        let now = u64::try_from(self.clock.steady().as_millis()).unwrap_or(u64::MAX);
        let result = store.read(|tx| tx.list_unrevoked_keys()).map(|rows| {
            self.replace(&rows);
            self.read_at.store(now, Ordering::Release);
        });
        self.tried_at.store(now, Ordering::Release);
        result
    }

    fn replace(&self, rows: &[KeyRow]) {
        let known = self.by_digest.read();
        let keys = rows.iter().map(|row| {
            let known = known.get(&row.digest);
            let unchanged = known.filter(|key| key.is(row)).cloned();
            (row.digest, unchanged.unwrap_or_else(|| self.admit(row, known.map(Arc::as_ref))))
        });
        let keys = keys.collect();
        drop(known);
        *self.by_digest.write() = keys;
    }

    /// A key that is new, or that has changed: then it goes on with the quota it has.
    fn admit(&self, row: &KeyRow, known: Option<&Key>) -> Arc<Key> {
        if let Err(error) = row.permissions {
            error!(key = row.label(); "a key may do nothing: the database gives it a permission that this version does not know ({error}); use a newer magic-auth");
        }
        let new_quota = || self.limits.quota(row.kind).map(|quota| Arc::new(KeyQuota::new(quota, self.clock.clone())));
        Arc::new(Key {
            id: row.id,
            organisation: row.organisation,
            kind: row.kind,
            label: row.label(),
            organisation_name: row.organisation_name.clone(),
            permissions: row.permissions.clone(),
            expires_at: row.expires_at,
            quota: known.map_or_else(new_quota, |known| known.quota.clone()),
        })
    }
}

impl Key {
    /// Takes one request off the quota; `None` when the key has none.
    #[must_use]
    pub fn take(&self) -> Option<QuotaState> {
        self.quota.as_deref().map(KeyQuota::take)
    }

    /// Whether the key may do this.
    #[must_use]
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions.as_ref().is_ok_and(|permissions| permissions.allow(permission))
    }

    /// Whether nothing about the key has changed.
    fn is(&self, row: &KeyRow) -> bool {
        self.id == row.id
            && self.organisation == row.organisation
            && self.permissions == row.permissions
            && self.expires_at == row.expires_at
    }
}

/// A key's bucket after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaState {
    /// The size of the bucket.
    pub limit: u32,
    /// The requests left in it.
    pub remaining: u32,
    /// When it is full again.
    pub full_at: Timestamp,
    /// When the request was refused: the time after which the next one passes.
    pub retry_after: Option<Duration>,
}

/// A token bucket, refilled evenly.
#[derive(Debug)]
struct KeyQuota {
    bucket: RateLimiter<NotKeyed, BucketState, Clock, StateInformationMiddleware>,
    state: BucketState,
    quota: Quota,
    /// The moment of the steady clock from which the bucket counts.
    started: Duration,
}

impl KeyQuota {
    fn new(quota: Quota, clock: Clock) -> Self {
        let (started, state) = (clock.steady(), BucketState::default());
        Self { bucket: RateLimiter::new(quota, state.clone(), clock), state, quota, started }
    }

    fn take(&self) -> QuotaState {
        let clock = self.bucket.clock();
        let (remaining, retry_after) = match self.bucket.check() {
            Ok(state) => (state.remaining_burst_capacity(), None),
            Err(refused) => (0, Some(refused.wait_time_from(clock.steady()))),
        };
        let full_in = (self.started + self.state.full_at()).saturating_sub(clock.steady());
        QuotaState { limit: self.quota.burst_size().get(), remaining, full_at: clock.now() + full_in, retry_after }
    }
}

/// The moment at which the bucket is full again, in nanoseconds since it was made: all that the limiter
/// has to remember.
#[derive(Clone, Debug, Default)]
struct BucketState(Arc<Mutex<Option<Nanos>>>);

impl BucketState {
    fn full_at(&self) -> Duration {
        self.0.lock().unwrap_or_default().into()
    }
}

impl StateStore for BucketState {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut state = self.0.lock();
        let (answer, next) = decide(*state)?;
        *state = Some(next);
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    fn quota(clock: &Clock) -> KeyQuota {
        let hourly = Quota::with_period(Duration::from_secs(36)).unwrap();
        KeyQuota::new(hourly.allow_burst(NonZeroU32::new(3).unwrap()), clock.clone())
    }

    #[test]
    fn each_request_takes_one_token_and_the_empty_bucket_says_when_the_next_comes() {
        let clock = Clock::system();
        let quota = quota(&clock);
        for expected in [2, 1, 0] {
            let state = quota.take();
            assert_eq!((state.limit, state.remaining, state.retry_after), (3, expected, None));
        }
        let wait = quota.take().retry_after.unwrap();
        assert!(wait > Duration::from_secs(35) && wait <= Duration::from_secs(36), "{wait:?}");
        clock.advance(wait);
        assert_eq!(quota.take().retry_after, None);
        assert!(quota.take().retry_after.is_some());
    }

    #[test]
    fn the_bucket_is_full_when_it_says() {
        let clock = Clock::system();
        let quota = quota(&clock);
        let full_in = |state: QuotaState| state.full_at.as_millis() - clock.now().as_millis();
        let near = |found: i64, expected: i64| assert!((expected - 5_000..=expected).contains(&found), "{found}");
        near(full_in(quota.take()), 36_000);
        near(full_in(quota.take()), 72_000);
        near(full_in(quota.take()), 108_000);
        clock.advance(Duration::from_secs(10));
        near(full_in(quota.take()), 98_000);
        clock.advance(Duration::from_secs(26 + 35));
        near(full_in(quota.take()), 73_000);
        clock.advance(Duration::from_secs(73));
        assert_eq!(quota.take().remaining, 2);
    }
}
