//! Power cuts: a run of the program is recorded, and after each call the disk is thought out as a power cut may leave it.
//! The program must open it, and what it has promised must be there.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, anyhow, bail, ensure};
use fastrand::Rng;

use crate::disk::Disk;
use crate::facts::{Claim, Fact, check};
use crate::recording::{Files, Recording, read_files, write_files};
use crate::runs;
use crate::shim::Shim;
use crate::shop::{Shop, temporary_folder};

/// Where a run that was found wanting is kept.
const KEPT: &str = env!("CARGO_TARGET_TMPDIR");

/// How often the power fails once more, while the program recovers: once in so many states.
const RECOVERIES: u64 = 500;

/// A power cut: behind which call, and the number of what it did to the disk.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    pub call: usize,
    pub damage: u64,
}

impl std::str::FromStr for Cut {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(':').and_then(|(call, damage)| Some((call.parse().ok()?, damage.parse().ok()?)));
        parts.map(|(call, damage)| Self { call, damage }).ok_or_else(|| "write it as CALL:DAMAGE".to_owned())
    }
}

/// A recorded run: the files before it, the calls, and what was promised.
pub struct Run {
    before: Files,
    recording: Recording,
    facts: Vec<Fact>,
}

impl Run {
    /// The run that a shop has recorded until now.
    pub fn of(shop: &Shop<'_>, before: Files, facts: Vec<Fact>) -> Self {
        Self { before, recording: Recording::read(&shop.record()), facts }
    }

    /// Keeps the run, so that its states can be looked at again.
    fn keep(&self, folder: &Path) {
        write_files(&folder.join("before"), &self.before);
        std::fs::write(folder.join("record"), self.recording.bytes()).unwrap();
        std::fs::write(folder.join("facts.json"), serde_json::to_vec(&self.facts).unwrap()).unwrap();
    }

    /// The run that was kept in a folder.
    fn kept(folder: &Path) -> Self {
        let facts = serde_json::from_slice(&std::fs::read(folder.join("facts.json")).unwrap()).unwrap();
        let recording = Recording::read(&folder.join("record"));
        Self { before: read_files(&folder.join("before")), recording, facts }
    }

    /// Calls `visit` with the disk behind every call, from the first on.
    fn replay(&self, mut visit: impl FnMut(usize, &Disk<'_>) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let mut disk = Disk::new(&self.recording, &self.before);
        for (number, (_, call)) in self.recording.calls.iter().enumerate() {
            disk.make(call);
            visit(number, &disk)?;
        }
        Ok(())
    }

    fn claims_at(&self, call: usize) -> impl Iterator<Item = &Claim> {
        let (moment, _) = self.recording.calls[call];
        self.facts.iter().filter(move |fact| fact.holds_at(moment)).map(|fact| &fact.claim)
    }
}

/// How a run is looked at.
#[derive(Clone, Copy)]
struct Look {
    seed: u64,
    /// How many states there shall be.
    states: u64,
    /// Whether the power may fail again in recovery.
    again: bool,
}

/// Records runs and checks about so many states of the disk. Gives the summary.
pub fn run(shim: &Shim, seed: u64, states: u64) -> anyhow::Result<String> {
    let look = Look { seed, states: states * 4 / 5, again: true };
    let requests = runs::requests(shim);
    let in_requests = look_at(shim, "requests", &requests, look)?;
    let upgrade = runs::upgrade(shim);
    let in_upgrade = look_at(shim, "upgrade", &upgrade, Look { states: states / 5, ..look })?;
    let calls = requests.recording.calls.len() + upgrade.recording.calls.len();
    let missed = look_at_mutant(shim, seed)?;
    Ok(format!(
        "{calls} calls, {} states, all sound; without syncs of the WAL, a loss is found at state {missed}",
        in_requests + in_upgrade,
    ))
}

/// Looks once more at one state of a run that was kept.
pub fn look_again(seed: u64, folder: &Path, cut: Cut) -> anyhow::Result<()> {
    let run = Run::kept(folder);
    run.replay(|call, disk| {
        if call != cut.call {
            return Ok(());
        }
        let state = folder.join("state");
        write_files(&state, &disk.after_power_cut(&mut chance(seed, cut)));
        check(&state, run.claims_at(call)).with_context(|| format!("{}", state.display()))
    })
}

/// Checks that the check can fail: a program that does not sync its WAL loses what it has promised. Gives the number of
/// the first state that shows it.
fn look_at_mutant(shim: &Shim, seed: u64) -> anyhow::Result<u64> {
    let run = runs::without_syncs(shim);
    let folder = temporary_folder();
    let mut states = 0;
    let mut is_found = false;
    run.replay(|call, disk| {
        if !is_found {
            states += 1;
            write_files(folder.path(), &disk.after_power_cut(&mut chance(seed, Cut { call, damage: 0 })));
            let found = check(folder.path(), run.claims_at(call));
            is_found = found.is_err_and(|error| error.to_string().starts_with("lost: SignedIn"));
        }
        Ok(())
    })?;
    ensure!(is_found, "a program that does not sync its WAL was not found wanting in {states} states");
    Ok(states)
}

fn chance(seed: u64, cut: Cut) -> Rng {
    crate::chance(&[seed, cut.call as u64, cut.damage])
}

/// Checks states of a run, on all cores. Gives their number. A run with a state that is not sound is kept.
fn look_at(shim: &Shim, name: &str, run: &Run, look: Look) -> anyhow::Result<u64> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let states = AtomicU64::new(0);
    let failure = Mutex::new(None);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (states, failure) = (&states, &failure);
            scope.spawn(move || {
                let checked = run.replay(|call, disk| {
                    let is_over = failure.lock().unwrap().is_some();
                    if is_over || call % threads != thread {
                        Ok(())
                    } else {
                        look_behind(shim, run, call, disk, look, states)
                    }
                });
                if let Err(error) = checked {
                    failure.lock().unwrap().get_or_insert(error);
                }
            });
        }
    });
    if let Some(error) = failure.into_inner().unwrap() {
        let folder = Path::new(KEPT).join(format!("power-loss-{name}"));
        run.keep(&folder);
        bail!("{name}: {error:#}\n    --seed {} --run {}", look.seed, folder.display());
    }
    Ok(states.into_inner())
}

/// Checks the states behind one call: as many as come to it.
fn look_behind(
    shim: &Shim,
    run: &Run,
    call: usize,
    disk: &Disk<'_>,
    look: Look,
    states: &AtomicU64,
) -> anyhow::Result<()> {
    let calls = run.recording.calls.len() as u64;
    let share = |call: u64| look.states * call / calls;
    let folder = temporary_folder();
    for damage in 0..share(call as u64 + 1) - share(call as u64) {
        let cut = Cut { call, damage };
        let files = disk.after_power_cut(&mut chance(look.seed, cut));
        write_files(folder.path(), &files);
        check(folder.path(), run.claims_at(call)).with_context(|| format!("--cut {call}:{damage}"))?;
        let mut checked = 1;
        if look.again && (share(call as u64) + damage) % RECOVERIES == RECOVERIES / 2 {
            let again = Look { again: false, states: RECOVERIES / 10, ..look };
            checked += recover(shim, files, run.claims_at(call))
                .and_then(|recovery| look_at(shim, "recovery", &recovery, again))
                .with_context(|| format!("--cut {call}:{damage}"))?;
        }
        states.fetch_add(checked, Ordering::Relaxed);
    }
    Ok(())
}

/// Records how the program starts on what a power cut has left, and ends.
fn recover<'c>(shim: &Shim, files: Files, claims: impl Iterator<Item = &'c Claim>) -> anyhow::Result<Run> {
    let shop = Shop::open(Some(shim), &files);
    let server = shop.serve().map_err(|status| anyhow!("the server did not start: {status} {}", shop.log()))?;
    server.stop();
    let facts = claims.map(|claim| Fact::since(0, claim.clone())).collect();
    Ok(Run::of(&shop, files, facts))
}
