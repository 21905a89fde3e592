//! Where a server or a command ends.

use clap::ValueEnum;
use fastrand::Rng;

/// Where a round kills, or stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Place {
    /// A server that upgrades a new database of the first version, and takes in what its throttle had seen.
    Upgrade,
    /// A server that starts, on what the last death has left: up to three times in a row.
    Start,
    /// A server under load, while commands write beside it.
    Load,
    /// The same, but that the server is told to stop, by chance twice.
    Stop,
    /// A server that moves its WAL into the database.
    Checkpoint,
    /// A command that writes many rows in many transactions.
    Import,
    /// A command that writes a file.
    Backup,
    /// A command that writes several rows in one transaction.
    Ban,
    /// A command that writes one row, which ends many sessions.
    SignOut,
    /// A command that writes one row, and waits until servers know of it.
    Revoke,
}

/// How often each comes in turn.
const WEIGHTS: [(Place, usize); 10] = [
    (Place::Upgrade, 1),
    (Place::Start, 4),
    (Place::Load, 8),
    (Place::Stop, 3),
    (Place::Checkpoint, 2),
    (Place::Import, 2),
    (Place::Backup, 2),
    (Place::Ban, 2),
    (Place::SignOut, 1),
    (Place::Revoke, 1),
];

impl Place {
    /// One of `only`, or of all when there are none.
    pub fn choose(only: &[Self], rng: &mut Rng) -> Self {
        if let Some(place) = rng.choice(only) {
            return *place;
        }
        let all: Vec<_> = WEIGHTS.iter().flat_map(|(place, weight)| std::iter::repeat_n(*place, *weight)).collect();
        all[rng.usize(..all.len())]
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}
