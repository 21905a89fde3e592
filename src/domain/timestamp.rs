//! A moment in time, as the database keeps it.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);

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

    /// The day in UTC: `2026-11-24`.
    #[must_use]
    pub fn day(self) -> String {
        self.to_string().chars().take(10).collect()
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

/// As it is displayed.
impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The text is no moment of RFC 3339 from 1970 on.
#[derive(Debug, thiserror::Error)]
#[error("not a date and time such as 2026-11-24T15:04:05Z or 2026-11-24T16:04:05+01:00")]
pub struct TimestampError;

/// Reads RFC 3339, of any offset. What is finer than a millisecond is cut off.
impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        // The parser takes any character for the separator.
        if !matches!(text.as_bytes().get(10), Some(b'T' | b't' | b' ')) {
            return Err(TimestampError);
        }
        let nanoseconds = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| TimestampError)?.unix_timestamp_nanos();
        let milliseconds = u64::try_from(nanoseconds.div_euclid(1_000_000)).map_err(|_| TimestampError)?;
        i64::try_from(milliseconds).map(Self).map_err(|_| TimestampError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_is_written_as_rfc_3339() {
        assert_eq!(Timestamp::from_millis(1_795_532_645_678).to_string(), "2026-11-24T15:04:05.678Z");
        assert_eq!(Timestamp::from_millis(1_795_532_645_678).day(), "2026-11-24");
        assert_eq!(Timestamp::from_millis(-1).to_string(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn seconds_are_rounded_up() {
        assert_eq!(Timestamp::from_millis(1_000).as_secs_rounded_up(), 1);
        assert_eq!(Timestamp::from_millis(1_001).as_secs_rounded_up(), 2);
    }

    #[test]
    fn rfc_3339_is_read_at_any_offset() {
        for text in ["2026-11-24T15:04:05.678Z", "2026-11-24T16:04:05.678999+01:00", "2026-11-24T15:04:05.678-00:00"] {
            assert_eq!(text.parse::<Timestamp>().unwrap(), Timestamp::from_millis(1_795_532_645_678), "{text}");
        }
        for text in [
            "",
            "2026-11-24",
            "2026-11-24T15:04:05",
            "2026-11-24_15:04:05Z",
            "24.11.2026",
            "1969-12-31T23:59:59Z",
            "1969-12-31T23:59:59.9995Z",
            "2026-02-30T00:00:00Z",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    #[test]
    fn no_time_has_passed_since_a_later_moment() {
        let [early, late] = [1_000, 61_000].map(Timestamp::from_millis);
        assert_eq!((late.since(early), early.since(late)), (Duration::from_mins(1), Duration::ZERO));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(milliseconds in 0..253_402_300_800_000_i64, text: String) {
            let moment = Timestamp::from_millis(milliseconds);
            prop_assert_eq!(moment.to_string().parse::<Timestamp>().unwrap(), moment);
            let _ = text.parse::<Timestamp>();
        }

        #[test]
        fn no_moment_panics(milliseconds: i64, duration: Duration) {
            let moment = Timestamp::from_millis(milliseconds);
            let other = moment + duration;
            let _ = (moment.since(other), other.since(moment));
            let _ = (moment.to_string(), moment + duration, moment - duration, moment.as_secs_rounded_up());
        }
    }
}
