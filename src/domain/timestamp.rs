//! A moment in time, as the database keeps it.

use std::fmt;
use std::time::{Duration, SystemTime};

/// Milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment `milliseconds` after the Unix epoch.
    #[must_use]
    pub const fn from_millis(milliseconds: i64) -> Self {
        Self(milliseconds)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// The time that has passed since an earlier moment; none since a later one.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or_default())
    }

    /// Whole seconds since the Unix epoch, rounded up.
    #[must_use]
    pub fn as_secs_rounded_up(self) -> i64 {
        self.0.saturating_add(999).div_euclid(1_000)
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }
}

impl std::ops::Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// RFC 3339 in UTC, with milliseconds: `2026-11-24T15:04:05.678Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The last second of the year 9999 is the end of what RFC 3339 can say.
        const LAST: u64 = 253_402_300_799_999;
        let milliseconds = u64::try_from(self.0).unwrap_or(0).min(LAST);
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds);
        humantime::format_rfc3339_millis(time).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_is_written_as_rfc_3339() {
        assert_eq!(Timestamp::from_millis(1_795_532_645_678).to_string(), "2026-11-24T15:04:05.678Z");
        assert_eq!(Timestamp::from_millis(-1).to_string(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn seconds_are_rounded_up() {
        assert_eq!(Timestamp::from_millis(1_000).as_secs_rounded_up(), 1);
        assert_eq!(Timestamp::from_millis(1_001).as_secs_rounded_up(), 2);
    }

    #[test]
    fn no_time_has_passed_since_a_later_moment() {
        let [early, late] = [1_000, 61_000].map(Timestamp::from_millis);
        assert_eq!((late.since(early), early.since(late)), (Duration::from_mins(1), Duration::ZERO));
    }

    proptest! {
        #[test]
        fn no_moment_panics(milliseconds: i64, duration: Duration) {
            let moment = Timestamp::from_millis(milliseconds);
            let other = moment + duration;
            let _ = (moment.since(other), other.since(moment));
            let _ = (moment.to_string(), moment + duration, moment - duration, moment.as_secs_rounded_up());
        }
    }
}
