//! Housekeeping: old attempts and dead sessions are deleted, and the WAL is watched.

mod broom;
mod wal;

use crate::clock::Clock;
use crate::config::Config;
use crate::store::Store;
use broom::Broom;
use wal::WalWatch;

/// The server's housekeeping.
#[derive(Debug)]
pub struct Housekeeping {
    broom: Broom,
    wal: WalWatch,
}

impl Housekeeping {
    /// Housekeeping by the rules of `config`.
    #[must_use]
    pub fn new(config: &Config, clock: &Clock) -> Self {
        Self { broom: Broom::new(config, clock.clone()), wal: WalWatch::new(clock.clone()) }
    }

    /// Keeps house for as long as it is polled.
    pub async fn keep(mut self, store: &Store) {
        tokio::join!(self.broom.keep_sweeping(store), self.wal.keep_watching(store));
    }
}
