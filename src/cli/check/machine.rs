//! What `check` says of the machine: its clock and its disk.

use std::path::Path;

use indicatif::HumanBytes;

use super::database::Facts;
use super::{Finding, State};
use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::store::{WAL_LIMIT, folder_of, real_path, wal_size};

/// 2026-01-01, before which there was no such program, and 2100-01-01.
const REASONABLE_TIMES: std::ops::Range<Timestamp> =
    Timestamp::from_millis(1_767_225_600_000)..Timestamp::from_millis(4_102_444_800_000);

/// With less, a burst of sign-ins or an upgrade may fill the disk before anybody has looked again.
const LITTLE_SPACE: u64 = 1 << 30;

/// What the WAL needs in the ordinary course of things: with less, sign-ins fail.
const NO_SPACE: u64 = 16 << 20;

/// Twice what the WAL keeps after a burst. It only grows so far while a reader keeps it from being moved into the
/// database.
const LARGE_WAL: u64 = 2 * WAL_LIMIT as u64;

pub(super) fn check(database: &Path, now: Timestamp, facts: Option<&Facts>) -> Vec<Finding> {
    let wal = wal_size(database);
    let whole = wal + std::fs::metadata(database).map_or(0, |metadata| metadata.len());
    let mut findings = vec![check_clock(now, facts.and_then(|facts| facts.newest)), check_wal(wal)];
    findings.extend(free_space(database).map(|free| check_disk(free, whole)));
    findings
}

fn check_clock(now: Timestamp, newest: Option<Timestamp>) -> Finding {
    let (state, message) = match newest {
        _ if !REASONABLE_TIMES.contains(&now) => {
            (State::Wrong, format!("the clock says {now}, which cannot be right: set this machine's clock"))
        }
        Some(newest) if newest > now + Clock::TOLERANCE => (
            State::Warning,
            format!("the clock says {now}, but something was recorded at {newest}: check this machine's clock"),
        ),
        _ => (State::Ok, format!("it is {now}")),
    };
    Finding::new("clock", state, message)
}

fn check_wal(size: u64) -> Finding {
    let message = match size {
        ..=LARGE_WAL => HumanBytes(size).to_string(),
        _ => format!(
            "{}, more than {}: a program that reads all the time keeps it from shrinking; end that program",
            HumanBytes(size),
            HumanBytes(LARGE_WAL)
        ),
    };
    Finding::new("wal", State::warning_unless(size <= LARGE_WAL), message)
}

/// A backup beside the database, or an upgrade of all its rows, needs its size once more.
fn check_disk(free: u64, whole: u64) -> Finding {
    let needed = whole.max(LITTLE_SPACE);
    let short_of = |limit| format!("{} free, less than {}", HumanBytes(free), HumanBytes(limit));
    let (state, message) = match free {
        ..NO_SPACE => (State::Wrong, short_of(NO_SPACE) + ": sign-ins fail now or soon (E001): make room"),
        _ if free < needed => (State::Warning, short_of(needed) + ": make room"),
        _ => (State::Ok, format!("{} free, and the database has {}", HumanBytes(free), HumanBytes(whole))),
    };
    Finding::new("disk", state, message)
}

/// What others than the superuser may still write where the database is. `None` where the system does not say.
fn free_space(database: &Path) -> Option<u64> {
    let system = rustix::fs::statvfs(folder_of(&real_path(database))).ok()?;
    Some(system.f_bavail.saturating_mul(system.f_frsize))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn a_year_that_cannot_be_is_wrong() {
        let day = Duration::from_hours(24);
        for wrong in [Timestamp::from_millis(0), NOW - 400 * day, NOW + 40_000 * day] {
            assert_eq!(check_clock(wrong, None).state, State::Wrong, "{wrong}");
        }
        for right in [NOW, NOW + 3_650 * day] {
            assert_eq!(check_clock(right, None).state, State::Ok, "{right}");
        }
    }

    #[test]
    fn a_clock_that_was_set_back_is_seen_by_what_was_recorded() {
        let warning = check_clock(NOW, Some(NOW + Clock::TOLERANCE + Duration::from_secs(1)));
        assert_eq!(warning.state, State::Warning);
        let message = "the clock says 2027-01-15T08:00:00.000Z, but something was recorded at 2027-01-15T08:01:01.000Z: check this machine's clock";
        assert_eq!(warning.message, message);
        assert_eq!(check_clock(NOW, Some(NOW + Clock::TOLERANCE)).state, State::Ok);
    }

    #[test]
    fn the_disk_needs_room_for_a_gibibyte_or_for_the_database_once_more_and_some_for_sign_ins_at_all() {
        const GIB: u64 = 1 << 30;
        for (free, whole, state) in [
            (0, 0, State::Wrong),
            (NO_SPACE - 1, 0, State::Wrong),
            (NO_SPACE, 0, State::Warning),
            (GIB, 0, State::Ok),
            (GIB - 1, 0, State::Warning),
            (5 * GIB, 5 * GIB, State::Ok),
            (5 * GIB - 1, 5 * GIB, State::Warning),
        ] {
            assert_eq!(check_disk(free, whole).state, state, "{free} {whole}");
        }
        assert_eq!(check_disk(GIB / 2, 3 * GIB).message, "512.00 MiB free, less than 3.00 GiB: make room");
        let message = "2.90 MiB free, less than 16.00 MiB: sign-ins fail now or soon (E001): make room";
        assert_eq!(check_disk(3_040_870, 3 * GIB).message, message);
    }

    #[test]
    fn a_wal_that_keeps_growing_is_seen() {
        assert_eq!(check_wal(128 << 20).state, State::Ok);
        assert_eq!(check_wal((128 << 20) + 1).state, State::Warning);
    }
}
