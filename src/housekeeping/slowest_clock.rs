//! The time of day that deletions go by.
//!
//! The system's clock may leap ahead by a mistake that is soon undone. What it said can be taken back, and a deletion
//! cannot: so a leap ahead counts only when it has lasted for a day. A clock that is set back counts at once.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Clock;
use crate::domain::Timestamp;

/// How long a leap must have lasted.
const DOUBT: Duration = Duration::from_hours(24);

/// The slowest that the time of day was at all looks of the last day.
#[derive(Debug)]
pub(super) struct SlowestClock {
    clock: Clock,
    looks: Looks,
}

impl SlowestClock {
    /// Whatever the clock says now is believed: nothing is known of what it said before.
    pub(super) fn new(clock: Clock) -> Self {
        let mut slowest = Self { clock, looks: Looks::default() };
        slowest.look();
        slowest
    }

    /// Looks at the clock. Gives the time of day.
    pub(super) fn look(&mut self) -> Timestamp {
        self.looks.add(self.clock.now(), self.clock.steady())
    }
}

/// When somebody looked, by the steady clock, and the milliseconds by which the time of day was ahead of it then.
#[derive(Debug, Default)]
struct Looks(VecDeque<(Duration, i64)>);

impl Looks {
    fn add(&mut self, now: Timestamp, steady: Duration) -> Timestamp {
        let steady_millis = (Timestamp::EPOCH + steady).as_millis();
        let ahead = now.as_millis().saturating_sub(steady_millis);
        self.0.retain(|(at, _)| steady.saturating_sub(*at) < DOUBT);
        self.0.push_back((steady, ahead));
        let least = self.0.iter().map(|(_, ahead)| *ahead).min().unwrap_or(ahead);
        Timestamp::from_millis(steady_millis.saturating_add(least))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    const YEAR: i64 = 365 * 24 * HOUR;

    /// Looks each hour at a clock that is ahead by so many hours. Gives by how much it is believed to be at last.
    fn believed(ahead: impl IntoIterator<Item = i64>) -> i64 {
        let mut looks = Looks::default();
        let looked = (0..).zip(ahead).map(|(hour, ahead)| {
            let steady = YEAR + hour * HOUR;
            let now = Timestamp::from_millis(steady + ahead * HOUR);
            looks.add(now, Duration::from_millis(steady.unsigned_abs())).as_millis() - steady
        });
        looked.last().unwrap() / HOUR
    }

    #[test]
    fn a_leap_ahead_counts_when_it_has_lasted_for_a_day() {
        let leap = |hours| believed([0].into_iter().chain(std::iter::repeat_n(8_760, hours)));
        assert_eq!((leap(1), leap(23), leap(24), leap(100)), (0, 0, 8_760, 8_760));
    }

    #[test]
    fn a_leap_that_is_undone_never_counts() {
        assert_eq!(believed([0, 8_760, 0, 8_760, 0]), 0);
        assert_eq!(believed([0].into_iter().chain([8_760; 12]).chain([0]).chain([8_760; 23])), 0);
    }

    #[test]
    fn a_clock_that_is_set_back_counts_at_once_and_its_mending_after_a_day() {
        assert_eq!(believed([0, -8_760]), -8_760);
        assert_eq!(believed([0, -8_760, 0]), -8_760);
        assert_eq!(believed([0, -8_760].into_iter().chain([0; 24])), 0);
    }

    #[test]
    fn what_the_clock_says_at_first_is_believed() {
        assert_eq!(believed([8_760]), 8_760);
    }
}
