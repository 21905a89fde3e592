//! Housekeeping: what is old or dead is deleted, the WAL is watched, and databases of addresses that have changed are
//! read anew.

mod broom;
mod wal;

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::config::Config;
use crate::geoip::GeoIp;
use crate::intelligence::Intelligence;
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
    pub async fn keep(mut self, store: &Store, intelligence: &Intelligence) {
        tokio::join!(
            self.broom.keep_sweeping(store),
            self.wal.keep_watching(store),
            keep_reloading(intelligence.geoip.clone())
        );
    }
}

/// Between two looks at the files.
const RELOAD_EVERY: Duration = Duration::from_secs(5);

/// Reads changed files anew, on a thread that nobody waits for.
async fn keep_reloading(geoip: Arc<GeoIp>) {
    loop {
        tokio::time::sleep(RELOAD_EVERY).await;
        let geoip = geoip.clone();
        // That it panicked would be in the log; the next look comes all the same.
        let _ = actix_web::rt::task::spawn_blocking(move || geoip.reload_changed()).await;
    }
}
