//! One server under one load, once.

use std::fmt;
use std::path::Path;

use anyhow::ensure;
use rusqlite::Connection;
use serde::Serialize;

use crate::cases::Load;
use crate::contestants::Contestant;
use crate::data::Data;
use crate::disk;
use crate::races::{Race, Runner};
use crate::server::{Server, cpu_us_of_ended_children};
use crate::wrk::{self, Driven};

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Trial {
    pub race: String,
    pub runner: String,
    pub round: u32,
    /// A sync of the disk right before.
    pub sync_ms: f64,
    /// From the start of the process to the first answer.
    pub start_ms: f64,
    /// After the first answer.
    pub rest_mib: f64,
    /// What happened under load; `None`: there was none.
    pub loaded: Option<Loaded>,
}

/// What was measured under load.
#[derive(Clone, Debug, Serialize)]
pub struct Loaded {
    #[serde(flatten)]
    pub driven: Driven,
    pub per_second: f64,
    /// Processor time of the server for each request.
    pub server_us: f64,
    /// Processor time of the generator for each request.
    pub generator_us: f64,
    pub peak_mib: f64,
}

impl Trial {
    pub fn run(race: &Race, runner: &Runner, round: u32, seconds: u32, data: &Data) -> anyhow::Result<Self> {
        let contestant = runner.contestant;
        let folder = data.copy(contestant, runner.data)?;
        let sync_ms = disk::sync_latency_ms(folder.path())?;
        let server = Server::start(contestant.command(folder.path(), race.load)?, &folder.path().join("log"))?;
        let start_ms = server.first_answer(&contestant.path(Load::SignIn))?.as_secs_f64() * 1e3;
        let rest_mib = server.resident_mib()?;
        let loaded = match race.load {
            Load::Nothing => None,
            load => Some(Loaded::measure(&server, race, runner, seconds, &data.identities(runner.data), load)?),
        };
        // Killed, not stopped: what was answered must be in the file all the same.
        drop(server);
        if let (Load::SignIn, Some(loaded)) = (race.load, &loaded) {
            check_sessions(contestant, folder.path(), loaded.driven.requests)?;
        }
        Ok(Self { race: race.title.clone(), runner: runner.name.clone(), round, sync_ms, start_ms, rest_mib, loaded })
    }
}

impl Loaded {
    fn measure(
        server: &Server,
        race: &Race,
        runner: &Runner,
        seconds: u32,
        identities: &Path,
        load: Load,
    ) -> anyhow::Result<Self> {
        let url = format!("{}{}", server.address, runner.contestant.path(load));
        let drive = |seconds| wrk::drive(&url, load, identities, race.connections, seconds);
        // Connections, caches and what compiles while it runs shall have warmed up.
        drive(1)?;
        let (server_before, generator_before) = (server.cpu_us()?, cpu_us_of_ended_children()?);
        let driven = drive(seconds)?;
        let per_request = |used_us: f64| used_us / (driven.rate() * driven.seconds);
        Ok(Self {
            per_second: driven.rate(),
            server_us: per_request(server.cpu_us()? - server_before),
            generator_us: per_request(cpu_us_of_ended_children()? - generator_before),
            peak_mib: server.peak_mib()?,
            driven,
        })
    }
}

/// An answer that is not on the disk does not count.
fn check_sessions(contestant: Contestant, folder: &Path, answered: u64) -> anyhow::Result<()> {
    let Some(count) = contestant.session_count() else { return Ok(()) };
    let connection = Connection::open(contestant.database(folder))?;
    let kept: i64 = connection.query_row(count, [], |row| row.get(0))?;
    ensure!(
        u64::try_from(kept)? >= answered,
        "{}: of {answered} answered sign-ins only {kept} are on the disk",
        contestant.name()
    );
    Ok(())
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "round {}, {}, {}: ", self.round, self.race, self.runner)?;
        match &self.loaded {
            Some(loaded) => {
                write!(f, "{:.0} a second, p99 {:.1} ms", loaded.per_second, loaded.driven.p99_ms)?;
            }
            None => write!(f, "first answer after {:.0} ms", self.start_ms)?,
        }
        write!(f, " (a sync takes {:.2} ms)", self.sync_ms)
    }
}
