//! The watch on the files that tell who is behind an address: an operator's updater replaces them.

use std::sync::Arc;
use std::time::Duration;

use log::error;
use tokio::sync::oneshot;

use crate::geoip::GeoIp;

/// Between two looks at the files.
const INTERVAL: Duration = Duration::from_secs(2);

/// Looks at the files again and again, if there are any. What has changed is read on a thread that may block.
pub(super) async fn keep_watching(geoip: &Arc<GeoIp>) {
    while !geoip.knows_nothing() {
        tokio::time::sleep(INTERVAL).await;
        let (geoip, (done, is_done)) = (geoip.clone(), oneshot::channel());
        // Not one of the runtime's, which would not end before it.
        let thread = std::thread::Builder::new().name("geoip".to_owned()).spawn(move || {
            geoip.reload_changed();
            let _ = done.send(());
        });
        if thread.is_err() || is_done.await.is_err() {
            error!("the files about addresses cannot be watched: there is no thread, or it has panicked");
        }
    }
}
