//! How long the disk takes to sync. On shared machines it swings by a factor of ten within minutes, and every sign-in
//! hangs on it.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

/// The median of some syncs, each after a page of SQLite's size was written, in milliseconds.
pub fn sync_latency_ms(folder: &Path) -> std::io::Result<f64> {
    const SYNCS: usize = 25;
    let mut file = File::create(folder.join("sync"))?;
    let mut latencies = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        file.write_all(&[1; 4096])?;
        let start = Instant::now();
        file.sync_data()?;
        latencies.push(start.elapsed().as_secs_f64() * 1e3);
    }
    latencies.sort_by(f64::total_cmp);
    Ok(latencies[SYNCS / 2])
}
