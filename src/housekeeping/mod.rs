//! Housekeeping: old attempts and dead sessions are deleted, and the database's files and those about addresses are
//! watched.

mod broom;
mod geoip;
mod slowest_clock;
mod wal;

use std::sync::Arc;

use crate::clock::Clock;
use crate::config::Config;
use crate::geoip::GeoIp;
use crate::store::Store;
use broom::Broom;
use wal::WalWatch;

/// The server's housekeeping.
#[derive(Debug)]
pub struct Housekeeping {
    broom: Broom,
    wal: WalWatch,
    geoip: Arc<GeoIp>,
}

impl Housekeeping {
    /// Housekeeping by the rules of `config`.
    #[must_use]
    pub fn new(config: &Config, clock: &Clock, geoip: &Arc<GeoIp>) -> Self {
        Self { broom: Broom::new(config, clock.clone()), wal: WalWatch::new(clock.clone()), geoip: geoip.clone() }
    }

    /// Keeps house for as long as it is polled.
    pub async fn keep(&mut self, store: &Store) {
        tokio::join!(self.broom.keep_sweeping(store), self.wal.keep_watching(store), geoip::keep_watching(&self.geoip));
    }
}
