//! The watch on the database's files, and on the size of the WAL.
//!
//! SQLite begins the WAL anew when all of it has been moved into the database and nobody reads it. A reader that
//! lasts is in the way of that, and the file grows with every write; so do readers that are many and never all
//! away at once. What is too large is emptied here, also when nobody writes any more; whoever is in the way of that for
//! long, the operator hears of.

use std::time::Duration;

use log::{info, warn};

use crate::clock::Clock;
use crate::store::{Store, StoreError, WAL_LIMIT};

/// Between two looks at the files.
const INTERVAL: Duration = Duration::from_secs(1);

/// A size that a WAL has only if it could not be begun anew: twice that at which this is tried after each commit.
const LARGE: u64 = WAL_LIMIT as u64 / 2;

/// How long a WAL beyond the limit is nothing to speak of: a backup or a large import may take some seconds.
const PATIENCE: Duration = Duration::from_secs(3);

/// The watch.
#[derive(Debug)]
pub(super) struct WalWatch {
    clock: Clock,
    alarm: Alarm,
}

impl WalWatch {
    pub(super) fn new(clock: Clock) -> Self {
        let alarm = Alarm { well_at: clock.steady(), warned_of: None };
        Self { clock, alarm }
    }

    /// Looks at the files again and again.
    pub(super) async fn keep_watching(&mut self, store: &Store) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            store.watch_files();
            let emptied = if store.wal_size() <= LARGE { Ok(true) } else { store.empty_wal().await };
            match emptied {
                Ok(true) => {
                    if let Some(duration) = self.alarm.end(self.clock.steady()) {
                        info!("the WAL is emptied again, after {} s", duration.as_secs());
                    }
                }
                failed => {
                    let size = store.wal_size();
                    if let Some(duration) = self.alarm.raise(size, self.clock.steady()) {
                        warn!("{}", warning(size, duration, failed.err().as_ref()));
                    }
                }
            }
        }
    }
}

fn warning(size: u64, duration: Duration, error: Option<&StoreError>) -> String {
    let (size, seconds) = (size >> 20, duration.as_secs());
    match error {
        None => format!(
            "the WAL has grown to {size} MiB: a reader (such as a command that waits for its pager, or a backup) has \
             kept it from being emptied for {seconds} s"
        ),
        Some(error) => format!("the WAL has grown to {size} MiB and could not be emptied for {seconds} s: {error}"),
    }
}

/// When the operator is told that the WAL is too large: once, and again whenever it has doubled.
#[derive(Debug)]
struct Alarm {
    /// When the WAL was last of an ordinary size, by the steady clock.
    well_at: Duration,
    /// The size at the last warning, if there was one since then.
    warned_of: Option<u64>,
}

impl Alarm {
    /// The WAL could not be emptied. Gives for how long, when that is to be said.
    fn raise(&mut self, size: u64, now: Duration) -> Option<Duration> {
        let duration = now.saturating_sub(self.well_at);
        let least = self.warned_of.map_or(u64::from(WAL_LIMIT), |size| size.saturating_mul(2));
        if size < least || duration < PATIENCE {
            return None;
        }
        self.warned_of = Some(size);
        Some(duration)
    }

    /// The WAL is of an ordinary size. Gives after how long, when the operator was told of it.
    fn end(&mut self, now: Duration) -> Option<Duration> {
        let duration = now.saturating_sub(self.well_at);
        self.well_at = now;
        self.warned_of.take().map(|_| duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const SECOND: Duration = Duration::from_secs(1);

    fn alarm() -> Alarm {
        Alarm { well_at: Duration::ZERO, warned_of: None }
    }

    #[test]
    fn a_wal_within_the_limit_is_nothing_to_speak_of() {
        let mut alarm = alarm();
        assert_eq!(alarm.raise(63 * MIB, 100 * SECOND), None);
        assert_eq!(alarm.end(101 * SECOND), None);
    }

    #[test]
    fn readers_that_are_soon_gone_are_nothing_to_speak_of() {
        let mut alarm = alarm();
        assert_eq!(alarm.raise(100 * MIB, SECOND), None);
        assert_eq!(alarm.end(2 * SECOND), None);
        assert_eq!(alarm.raise(100 * MIB, 4 * SECOND), None);
    }

    #[test]
    fn a_warning_comes_once_and_at_each_doubling() {
        let mut alarm = alarm();
        let warnings: Vec<_> = [(50, 1), (64, 9), (65, 10), (127, 11), (128, 12), (200, 13), (600, 14), (1_199, 15)]
            .into_iter()
            .filter(|(size, second)| alarm.raise(size * MIB, *second * SECOND).is_some())
            .collect();
        assert_eq!(warnings, [(64, 9), (128, 12), (600, 14)]);
    }

    #[test]
    fn the_end_is_told_when_the_beginning_was_and_says_how_long_it_took() {
        let mut alarm = alarm();
        alarm.end(10 * SECOND);
        assert_eq!(alarm.raise(40 * MIB, 11 * SECOND), None);
        assert_eq!(alarm.raise(70 * MIB, 80 * SECOND), Some(70 * SECOND));
        assert_eq!(alarm.end(90 * SECOND), Some(80 * SECOND));
        assert_eq!(alarm.end(91 * SECOND), None);
        assert_eq!(alarm.raise(70 * MIB, 95 * SECOND), Some(4 * SECOND));
    }

    #[test]
    fn the_warning_says_what_to_look_for() {
        assert_eq!(
            warning(130 * MIB, 70 * SECOND, None),
            "the WAL has grown to 130 MiB: a reader (such as a command that waits for its pager, or a backup) has kept \
             it from being emptied for 70 s"
        );
        assert_eq!(
            warning(130 * MIB, 70 * SECOND, Some(&StoreError::Overloaded)),
            "the WAL has grown to 130 MiB and could not be emptied for 70 s: the write queue is full"
        );
    }
}
