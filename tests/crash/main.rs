//! Sudden death: the service is killed in the middle of its work, or told to stop, again and again, and must have kept
//! what it had acknowledged.
//!
//! ```text
//! cargo test --test crash                                    a few seconds
//! cargo test --test crash -- --rounds 2000 --seed 7          the long form
//! cargo test --test crash -- --rounds 500 --only stop        of a server that is told to stop
//! ```
//!
//! A round takes the real binary on a database of its own, and ends it at a random moment, mostly with SIGKILL: see
//! [`place::Place`]. The database lives on for some rounds, so that it grows and is opened after many deaths. It begins
//! as one of the first version, whose upgrade is killed.
//!
//! A server that is told to stop ends by itself in time, with exit code 0, and no answer is torn. One that is told twice
//! may end in the middle, as if it were killed.
//!
//! Acknowledged is what a caller has read as a whole, or what a command has said before it ended well. What was
//! asked and not acknowledged is in doubt: it may have been done or not, but not in part.
//!
//! After each round, see [`oracle`]: the server is started again and answers within two seconds; the database is
//! sound; all that was acknowledged is so. Who was in doubt is asked about once, and what is found then must stay.
//!
//! - [`load`] is what callers do, and [`operator`] what is done on the command line;
//! - a [`caller`] notes in a [`ledger`] what was acknowledged;
//! - [`shop`] is the database with all that is known of it, and [`server`] and [`client`] are the ways to it;
//! - [`round`] is one end, and [`place`] says where it may happen.

#![expect(clippy::print_stdout, reason = "a program for people to watch")]
#![expect(clippy::disallowed_methods, reason = "how long a real server takes is real time")]
#![expect(unreachable_pub, reason = "nothing of a test binary can be reached from elsewhere")]

mod backups;
mod caller;
mod client;
mod ledger;
mod load;
mod operator;
mod oracle;
mod place;
mod round;
mod server;
mod shop;
mod sound;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Parser;
use fastrand::Rng;

use place::Place;
use shop::Shop;

/// Rounds after which a database is given up in any case: the larger it is, the longer its checks take.
const LONGEST_LIFE: u32 = 50;

/// Ends the service in the middle of its work, and sees what it has kept
#[derive(Debug, Parser)]
struct Options {
    /// How often
    #[arg(long, default_value_t = 8)]
    rounds: u32,
    /// What chance is made of [default: another one each time]
    #[arg(long)]
    seed: Option<u64>,
    /// End at these places only
    #[arg(long, value_delimiter = ',', value_name = "PLACES")]
    only: Vec<Place>,
    /// What `cargo test -- --nocapture` says to all tests: these hide nothing
    #[arg(long = "nocapture", hide = true)]
    _nocapture: bool,
    /// What `cargo test` was asked to run, when it was not asked for everything
    #[arg(hide = true)]
    filters: Vec<String>,
}

/// What has been done so far.
#[derive(Default)]
struct Tally {
    acknowledged: u64,
    ends: BTreeMap<Place, u32>,
    slowest_start: Duration,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    if !options.filters.is_empty() && !options.filters.iter().any(|filter| "crash".contains(filter.as_str())) {
        return Ok(());
    }
    let seed = options.seed.unwrap_or_else(|| fastrand::u32(..).into());
    println!("crash: {} rounds with --seed {seed}", options.rounds);
    let (begin, mut tally) = (Instant::now(), Tally::default());
    let mut shop = Shop::open()?;
    for number in 1..=options.rounds {
        let mut rng = Rng::with_seed(seed ^ (u64::from(number) << 32));
        let is_new = number % LONGEST_LIFE == 1;
        let place = if is_new { Place::Upgrade } else { Place::choose(&options.only, &mut rng) };
        if place == Place::Upgrade && number > 1 {
            tally.acknowledged += shop.acknowledged();
            shop = Shop::open()?;
        }
        if let Err(error) = round(&mut shop, place, &mut rng, &mut tally) {
            let folder = shop.keep();
            return Err(error).with_context(|| {
                format!("round {number} ({place}) of --seed {seed} failed, and left {}", folder.display())
            });
        }
    }
    tally.acknowledged += shop.acknowledged();
    println!("crash: {tally} in {} s", begin.elapsed().as_secs());
    Ok(())
}

fn round(shop: &mut Shop, place: Place, rng: &mut Rng, tally: &mut Tally) -> anyhow::Result<()> {
    *tally.ends.entry(place).or_default() += round::play(shop, place, rng)?;
    let start = oracle::check(shop, rng)?;
    tally.slowest_start = tally.slowest_start.max(start);
    Ok(())
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ends: Vec<_> = self.ends.iter().map(|(place, ends)| format!("{place} {ends}")).collect();
        write!(
            f,
            "{} answers acknowledged and kept; ended at: {}; the slowest start took {} ms",
            self.acknowledged,
            ends.join(", "),
            self.slowest_start.as_millis()
        )
    }
}
