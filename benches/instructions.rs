//! How many instructions the parts of a sign-in take: `cargo bench --bench instructions`. It needs `valgrind`.
//!
//! Other than times, the counts are nearly the same whatever else the machine does. What took more than 5 % more
//! than `benches/instructions.tsv` says is an error. When that is how it shall be, or the compiler is another, or to
//! keep what was gained:
//!
//! ```sh
//! cargo bench --bench instructions -- --renew      # writes the file; commit it with the change that it is due to
//! ```
//!
//! Callgrind runs this executable again for each count. It counts all threads, and so the writer's; what is needed to
//! start and to make an empty database is counted once more alone, and taken off. Its processor has no instructions
//! for SHA-256, so that hashes look dearer than they are.

#![expect(clippy::print_stdout, reason = "a benchmark tells what it found")]
#![expect(unreachable_pub, reason = "nothing of a benchmark can be reached from elsewhere")]

mod shop;

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use clap::{Parser, ValueEnum};

use shop::{ADDRESSES, Gate, Shop, parse_address};

/// The part of its reference that a count may rise by.
const TOLERANCE: f64 = 0.05;

/// What is counted, and how often each is done. The count is that of one.
const COUNTED: [(Work, u32); 6] = [
    (Work::ParseAddress, 3_000),
    (Work::Throttle, 10_000),
    (Work::SignIn, 512),
    (Work::SignInBy8, 512),
    (Work::SignInBy64, 512),
    (Work::SignInBy512, 512),
];

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Work {
    ParseAddress,
    Throttle,
    /// One after another.
    SignIn,
    /// So many at once.
    #[value(name = "sign-in-by-8")]
    SignInBy8,
    #[value(name = "sign-in-by-64")]
    SignInBy64,
    #[value(name = "sign-in-by-512")]
    SignInBy512,
}

#[derive(Debug, Parser)]
#[command(about = "Counts instructions with callgrind, and compares them with benches/instructions.tsv")]
struct Options {
    /// Write benches/instructions.tsv instead of comparing with it
    #[arg(long)]
    renew: bool,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
    /// Do some of the work instead
    #[arg(long, hide = true, requires = "times")]
    work: Option<Work>,
    #[arg(long, hide = true)]
    times: Option<u32>,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    if let (Some(work), Some(times)) = (options.work, options.times) {
        return work.run(times);
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.tsv");
    let counts = count_all()?;
    if options.renew { write(&file, &counts) } else { compare(&counts, &file) }
}

impl Work {
    fn run(self, times: u32) -> anyhow::Result<()> {
        match self {
            Self::ParseAddress => {
                for (_, text) in ADDRESSES.iter().cycle().take(times as usize) {
                    black_box(parse_address(black_box(text))?);
                }
                Ok(())
            }
            Self::Throttle => {
                let gate = Gate::open()?;
                let is_let_through = |attempt| gate.check(attempt).is_ok();
                ensure!((0..times as usize).all(is_let_through), "the throttle refused an attempt");
                Ok(())
            }
            Self::SignIn => sign_in(times, 1),
            Self::SignInBy8 => sign_in(times, 8),
            Self::SignInBy64 => sign_in(times, 64),
            Self::SignInBy512 => sign_in(times, 512),
        }
    }

    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// The instructions of a process that does it so many times.
    fn count(self, times: u32) -> anyhow::Result<u64> {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(std::env::current_exe()?)
            .args(["--work", &self.name(), "--times", &times.to_string()])
            .output()
            .context("valgrind does not start: apt-get install valgrind")?;
        let said = String::from_utf8_lossy(&output.stderr);
        let collected = said.lines().find_map(|line| line.split_once("Collected : "));
        match collected {
            Some((_, count)) if output.status.success() => Ok(count.trim().parse()?),
            _ => bail!("valgrind failed: {said}"),
        }
    }
}

fn sign_in(times: u32, at_once: u32) -> anyhow::Result<()> {
    let shop = Shop::open()?;
    (0..times / at_once).try_for_each(|_| shop.sign_in(shop.rush(at_once)?))
}

/// The name and the instructions of one of each.
fn count_all() -> anyhow::Result<Vec<(String, u64)>> {
    let count = |(work, times): (Work, u32)| {
        let all = work.count(times)?.saturating_sub(work.count(0)?);
        Ok((work.name(), all / u64::from(times)))
    };
    COUNTED.map(count).into_iter().collect()
}

fn write(file: &Path, counts: &[(String, u64)]) -> anyhow::Result<()> {
    let lines: Vec<_> = counts.iter().map(|(name, count)| format!("{name}\t{count}\n")).collect();
    print!("{}", lines.concat());
    Ok(fs::write(file, lines.concat())?)
}

fn compare(counts: &[(String, u64)], file: &Path) -> anyhow::Result<()> {
    let reference = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut risen = Vec::new();
    for (name, count) in counts {
        let line = reference.lines().find_map(|line| line.strip_prefix(name.as_str())?.strip_prefix('\t'));
        let known: u64 = line.with_context(|| format!("{name} is new: --renew"))?.parse()?;
        let change = ratio(*count, known) - 1.0;
        println!("{name:<22} {count:>8} instructions, {:+.1} %", 100.0 * change);
        if change > TOLERANCE {
            risen.push(name.as_str());
        }
    }
    ensure!(risen.is_empty(), "takes over 5 % more instructions than before: {}", risen.join(", "));
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "none of the counts comes near 2^52")]
fn ratio(count: u64, other: u64) -> f64 {
    count as f64 / other as f64
}
