//! Durable sign-ins per second, side by side: `cargo bench --bench http`. It needs `wrk`, and compares with what is in
//! `benches/peers` when `benches/peers/install` has been run.
//!
//! Machines are noisy, so no figure stands alone: all servers take turns within each round, every comparison is a ratio
//! within one round, and of the rounds it tells minimum, median and maximum.
//!
//! - [`races`] says who runs against whom under which load, and [`contestants`] how each is started;
//! - [`trial`] is one server under one load, with [`server`], [`wrk`] and [`disk`] as its instruments;
//! - [`cases`] are the loads and what is in the databases, which [`data`] makes;
//! - [`summary`] compares, [`report`] and [`chart`] show;
//! - [`peers`] are the servers that the benchmark brings itself: it runs its own executable for them.

#![expect(clippy::print_stdout, reason = "a benchmark tells what it does and found")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(unreachable_pub, reason = "nothing of a benchmark can be reached from elsewhere")]

mod cases;
mod chart;
mod contestants;
mod data;
mod disk;
mod peers;
mod races;
mod report;
mod server;
mod summary;
mod trial;
mod wrk;

use std::path::{Path, PathBuf};

use clap::Parser;

use contestants::Contestant;
use data::Data;
use races::Race;
use summary::Summary;
use trial::Trial;

/// What is asked of the benchmark.
#[derive(Debug, Parser)]
#[command(about = "Measures durable sign-ins per second, side by side")]
struct Options {
    /// One round of two seconds with what needs no installation, to see that it all works
    #[arg(long)]
    short: bool,
    /// How often everybody runs
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long each run is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// The numbers of connections for the sign-ins
    #[arg(long, value_delimiter = ',', default_value = "1,16,64,256")]
    connections: Vec<u32>,
    /// The sessions among which those are that are asked about
    #[arg(long, default_value_t = 100_000)]
    sessions: u32,
    /// Also with so many customers, and the start with as many attempts that the throttle remembers: some minutes more
    /// for each million
    #[arg(long, value_delimiter = ',', value_name = "NUMBERS")]
    customers: Vec<u32>,
    /// Where http.md, http.json and http.svg go [default: benches/results, with --short a folder in target]
    #[arg(long)]
    output: Option<PathBuf>,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
    /// Be a server instead, on a database that is there
    #[arg(long, hide = true, value_name = "NAME", requires = "database")]
    serve: Option<peers::Peer>,
    #[arg(long, hide = true)]
    database: Option<PathBuf>,
}

impl Options {
    fn shortened(mut self) -> Self {
        if self.short {
            (self.rounds, self.seconds, self.connections, self.sessions) = (1, 2, vec![64], 10_000);
        }
        self
    }

    fn contestants(&self) -> Vec<Contestant> {
        let mut contestants = Contestant::ALL.to_vec();
        contestants.retain(|contestant| match contestant.lacks() {
            _ if self.short && !contestant.is_quick() => false,
            Some(lack) => {
                println!("{} is left out: {lack}", contestant.name());
                false
            }
            None => true,
        });
        contestants
    }

    fn output(&self) -> PathBuf {
        let default = if self.short { env!("CARGO_TARGET_TMPDIR") } else { "benches/results" };
        self.output.clone().unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(default))
    }
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse().shortened();
    if let (Some(peer), Some(database)) = (options.serve, &options.database) {
        return peer.serve(database);
    }
    wrk::check_it_is_there()?;
    let races = races::plan(&options);
    // Within target, since what is temporary elsewhere may be on a disk of memory, whose sync costs nothing.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let data = Data::in_folder(folder.path());
    for race in &races {
        for runner in &race.runners {
            data.prepare(runner.contestant, runner.data)?;
        }
    }
    let trials = run(&races, &options, &data)?;
    let summary = Summary::new(&options, &races, trials);
    report::write(&summary, &options.output())
}

/// Everybody in turn, round after round, every other one in reverse: who comes first finds another machine than who
/// comes last.
fn run(races: &[Race], options: &Options, data: &Data) -> anyhow::Result<Vec<Trial>> {
    let mut trials = Vec::new();
    for round in 1..=options.rounds {
        for race in races {
            let mut runners: Vec<_> = race.runners.iter().collect();
            if round % 2 == 0 {
                runners.reverse();
            }
            for runner in runners {
                let trial = Trial::run(race, runner, round, options.seconds, data)?;
                println!("{trial}");
                trials.push(trial);
            }
        }
    }
    Ok(trials)
}
