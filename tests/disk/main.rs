//! What the disk and the clock can do to the service: power cuts, failing calls, a disk that is full or slow, and leaps of
//! the time of day, with a shim between the program, its files and its clocks.
//!
//! It needs Linux, `prlimit` (util-linux) and a C compiler. `cargo test --test disk` takes samples. All of it:
//! `cargo test --test disk -- --states 50000 --failures 1000`.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "a test program says what it found")]
#![expect(unreachable_pub, reason = "nothing of a test binary can be reached from elsewhere")]

mod clock;
mod disk;
mod facts;
mod io_errors;
mod power_loss;
mod recording;
mod runs;
mod shim;
mod shop;
mod slow_disk;
#[path = "../crash/sound.rs"]
mod sound;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use fastrand::Rng;

use io_errors::Trial;
use power_loss::Cut;
use shim::Shim;

/// Checks that nothing promised is lost when the power, the disk or the clock fails.
#[derive(Debug, Parser)]
struct Options {
    /// Of which chance is made [default: the time]
    #[arg(long)]
    seed: Option<u64>,
    /// How many states of the disk after power cuts are checked
    #[arg(long, default_value_t = 400)]
    states: u64,
    /// The folder of a run that was kept: only its state --cut is checked
    #[arg(long, requires = "cut")]
    run: Option<PathBuf>,
    /// After which call the power failed, and what it did
    #[arg(long, value_name = "CALL:DAMAGE", requires = "run")]
    cut: Option<Cut>,
    /// How many failures of each kind of call are tried with each operation
    #[arg(long, default_value_t = 1)]
    failures: u64,
    /// Only this failure is tried, such as sign-in:sync:1:once
    #[arg(long, value_name = "OPERATION:KIND:NUMBER:once|ever")]
    trial: Option<Trial>,
    /// What `cargo test -- --nocapture` says to all tests: these hide nothing
    #[arg(long = "nocapture", hide = true)]
    _nocapture: bool,
    /// Which suite, by a part of its name
    suite: Option<String>,
}

/// The chance that belongs to these numbers, and to no others.
fn chance(numbers: &[u64]) -> Rng {
    numbers.iter().fold(Rng::with_seed(0), |mut rng, number| Rng::with_seed(rng.u64(..) ^ number))
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let seed = options.seed.unwrap_or_else(|| magic_auth::clock::Clock::system().now().as_millis().unsigned_abs());
    println!("seed {seed}");
    if let (Some(run), Some(cut)) = (&options.run, options.cut) {
        return power_loss::look_again(seed, run, cut);
    }
    let shim = Shim::compile();
    if let Some(trial) = options.trial {
        return io_errors::run_again(&shim, trial);
    }
    let is_wanted = |name: &str| options.suite.as_ref().is_none_or(|part| name.contains(part));
    if is_wanted("power_loss") {
        println!("power_loss: {}", power_loss::run(&shim, seed, options.states).context("power_loss")?);
    }
    if is_wanted("io_errors") {
        println!("io_errors: {}", io_errors::run(&shim, seed, options.failures).context("io_errors")?);
    }
    if is_wanted("full_disk") {
        println!("full_disk: {}", io_errors::full_disk(&shim).context("full_disk")?);
    }
    if is_wanted("slow_disk") {
        println!("slow_disk: {}", slow_disk::run(&shim).context("slow_disk")?);
    }
    if is_wanted("clock") {
        println!("clock: {}", clock::run(&shim).context("clock")?);
    }
    Ok(())
}
