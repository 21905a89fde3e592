//! The one source of time. Everything that needs the time is given a [`Clock`] or a moment of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crate::domain::Timestamp;

/// The system's time, which a test can move forward.
#[derive(Clone, Debug)]
pub struct Clock {
    /// The wall clock and the steady clock at the same moment: `steady` counts from here.
    started: (SystemTime, Instant),
    /// How far a test has moved this clock ahead, in nanoseconds.
    ahead: Arc<AtomicU64>,
}

impl Clock {
    /// A difference between clocks, or a step back of one, that is not worth a word.
    pub const TOLERANCE: Duration = Duration::from_mins(1);

    /// The system's clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the place where time comes from")]
    pub fn system() -> Self {
        Self { started: (SystemTime::now(), Instant::now()), ahead: Arc::default() }
    }

    /// The time of day: what is stored and shown.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the place where time comes from")]
    pub fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp::EPOCH + since_epoch + self.ahead()
    }

    /// Time since the Unix epoch that never goes back nor leaps when the system's clock is set: what
    /// limits and delays are measured with.
    #[must_use]
    pub fn steady(&self) -> Duration {
        let (wall, instant) = self.started;
        wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default() + instant.elapsed() + self.ahead()
    }

    /// Moves this clock and all its clones forward, for tests of what time does.
    pub fn advance(&self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.ahead.fetch_add(nanoseconds, Ordering::SeqCst);
    }

    fn ahead(&self) -> Duration {
        Duration::from_nanos(self.ahead.load(Ordering::SeqCst))
    }
}

impl governor::clock::Clock for Clock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.steady()
    }
}
