//! The watch on the files that tell who is behind an address: an operator's updater replaces them.

use std::sync::Arc;
use std::time::Duration;

use actix_web::rt::task::spawn_blocking;
use log::error;

use crate::geoip::GeoIp;

/// Between two looks at the files.
const INTERVAL: Duration = Duration::from_secs(2);

/// The watch.
#[derive(Debug)]
pub(super) struct GeoIpWatch {
    geoip: Arc<GeoIp>,
}

impl GeoIpWatch {
    pub(super) fn new(geoip: Arc<GeoIp>) -> Self {
        Self { geoip }
    }

    /// Looks at the files again and again, if there are any. What has changed is read on a thread that may block.
    pub(super) async fn keep_watching(&self) {
        while !self.geoip.knows_nothing() {
            tokio::time::sleep(INTERVAL).await;
            let geoip = self.geoip.clone();
            if let Err(panicked) = spawn_blocking(move || geoip.reload_changed()).await {
                error!("the files about addresses cannot be watched: {panicked}");
            }
        }
    }
}
