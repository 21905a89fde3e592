//! The generator of load: `wrk`, with the requests of `load.lua`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

use crate::cases::Load;

/// What the clients saw.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Driven {
    pub requests: u64,
    pub seconds: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
    /// By the network.
    pub not_answered: u64,
    /// By a status that is no success.
    pub refused: u64,
}

impl Driven {
    #[expect(clippy::cast_precision_loss, reason = "no run has 2^52 requests")]
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.seconds
    }
}

pub fn check_it_is_there() -> anyhow::Result<()> {
    Command::new("wrk").arg("--version").output().context("wrk does not start: apt-get install wrk")?;
    Ok(())
}

/// Drives a server; `identities` is for account-info.
pub fn drive(url: &str, load: Load, identities: &Path, connections: u32, seconds: u32) -> anyhow::Result<Driven> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/load.lua");
    let mut command = Command::new("wrk");
    command.args(["--timeout", "30s"]);
    command.arg(format!("--threads={}", connections.min(2)));
    command.arg(format!("--connections={connections}")).arg(format!("--duration={seconds}s"));
    command.arg("--script").arg(script).arg(url).arg("--").args(load.name());
    if load == Load::AccountInfo {
        command.arg(identities);
    }
    let output = command.output().context("wrk does not start")?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let result = printed.lines().find(|line| line.starts_with('{')).with_context(|| format!("wrk says {output:?}"))?;
    let driven: Driven = serde_json::from_str(result).with_context(|| format!("wrk says {result}"))?;
    ensure!(
        driven.requests > 0 && driven.not_answered + driven.refused == 0,
        "not every request succeeded: {driven:?}"
    );
    Ok(driven)
}
