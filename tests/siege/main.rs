//! Sieges: callers that are slow, silent, rude or far too many besiege the real server, while good callers go on.
//!
//! ```text
//! cargo test --test siege                                                        some twenty seconds
//! cargo test --test siege -- --connections 10000 --rounds 5000 --to-the-end      the long form: six minutes
//! cargo test --test siege -- slow                                                one of the sieges
//! cargo test --release --test siege -- stopwatch --samples 5000                  as it is for a real caller
//! ```
//!
//! - [`idle`]: thousands of connections on which nothing comes, or half a head;
//! - [`descriptors`]: so many that the server may open no further file;
//! - [`slow`]: heads and bodies that come a byte a second, and answers that are read so, or never;
//! - [`resets`]: connections that break at a random moment, or of which the callers close their half;
//! - [`admin`]: as many connections to the operator's port as there may be;
//! - [`stopwatch`]: somebody who measures how long the answers take.
//!
//! Each has a server of its own ([`server`]), and [`callers`] that are good. What these wait is compared with what they
//! wait without the siege: within very wide bounds, which catch a server that stands still and no machine that is busy.
//! The figures are printed. After each siege, see [`server::Besieged::end`].
//!
//! It needs Linux.

#![expect(clippy::print_stdout, reason = "a test program says what it found")]
#![expect(clippy::disallowed_methods, reason = "how long a real server takes is real time")]
#![expect(unreachable_pub, reason = "nothing of a test binary can be reached from elsewhere")]

mod admin;
mod callers;
#[expect(dead_code, reason = "what only sudden death needs")]
#[path = "../crash/client.rs"]
mod client;
mod descriptors;
mod idle;
#[expect(dead_code, reason = "what only sudden death needs")]
#[path = "../crash/server.rs"]
mod process;
mod resets;
mod server;
mod slow;
#[path = "../crash/sound.rs"]
mod sound;
mod stopwatch;

use anyhow::Context as _;
use clap::Parser;

/// Besieges the service, and sees whether others are still served
#[derive(Debug, Parser)]
struct Options {
    /// How many connections are idle
    #[arg(long, default_value_t = 400)]
    connections: usize,
    /// How many connections break
    #[arg(long, default_value_t = 400)]
    rounds: usize,
    /// How often each kind of address is timed
    #[arg(long, default_value_t = 100, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    samples: usize,
    /// Also wait for the deadlines that are far away: whoever asks for nothing more or takes no answers is let go
    #[arg(long)]
    to_the_end: bool,
    /// What chance is made of [default: another one each time]
    #[arg(long)]
    seed: Option<u64>,
    /// What `cargo test -- --nocapture` says to all tests: these hide nothing
    #[arg(long = "nocapture", hide = true)]
    _nocapture: bool,
    /// Which siege, by a part of its name
    siege: Option<String>,
}

type Siege = fn(&Options) -> anyhow::Result<String>;

const SIEGES: [(&str, Siege); 6] = [
    ("idle", idle::run),
    ("descriptors", descriptors::run),
    ("slow", slow::run),
    ("resets", resets::run),
    ("admin", admin::run),
    ("stopwatch", stopwatch::run),
];

fn main() -> anyhow::Result<()> {
    let mut options = Options::parse();
    let seed = *options.seed.get_or_insert_with(|| fastrand::u32(..).into());
    println!("siege: --seed {seed}");
    for (name, siege) in SIEGES {
        if options.siege.as_ref().is_none_or(|part| name.contains(part.as_str())) {
            println!("{name}: {}", siege(&options).context(name)?);
        }
    }
    Ok(())
}
