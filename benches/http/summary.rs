//! What the rounds say: ratios within each round, and of these minimum, median and maximum.

use std::fmt;

use serde::Serialize;

use crate::Options;
use crate::cases::Load;
use crate::contestants::Contestant;
use crate::races::Race;
use crate::trial::{Loaded, Trial};

/// The result of the whole run.
#[derive(Debug, Serialize)]
pub struct Summary {
    pub version: &'static str,
    pub machine: String,
    pub rounds: u32,
    pub seconds: u32,
    pub races: Vec<RaceSummary>,
    /// All that was measured.
    pub trials: Vec<Trial>,
}

/// The result of a race.
#[derive(Debug, Serialize)]
pub struct RaceSummary {
    pub title: String,
    #[serde(skip)]
    pub load: Load,
    pub runners: Vec<RunnerSummary>,
}

/// The result of a runner.
#[derive(Debug, Serialize)]
pub struct RunnerSummary {
    pub name: String,
    pub sync_ms: Spread,
    pub start_ms: Spread,
    pub rest_mib: Spread,
    /// What happened under load; `None`: there was none.
    pub loaded: Option<LoadedSummary>,
}

/// The result under load.
#[derive(Debug, Serialize)]
pub struct LoadedSummary {
    pub per_second: Spread,
    /// Its rate, of the first runner's.
    pub of_first: Spread,
    /// magic-auth's rate, of this one's; `None`: magic-auth is not in the race.
    pub ours_of_it: Option<Spread>,
    pub p50_ms: Spread,
    pub p99_ms: Spread,
    /// Its 99th percentile, of the first runner's.
    pub p99_of_first: Spread,
    pub server_us: Spread,
    pub generator_us: Spread,
    pub peak_mib: Spread,
}

/// Of some numbers, the least, the middle and the greatest.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Spread {
    pub min: f64,
    pub median: f64,
    pub max: f64,
}

impl Summary {
    pub fn new(options: &Options, races: &[Race], trials: Vec<Trial>) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            machine: machine(),
            rounds: options.rounds,
            seconds: options.seconds,
            races: races.iter().map(|race| RaceSummary::new(race, &trials)).collect(),
            trials,
        }
    }
}

impl RaceSummary {
    fn new(race: &Race, trials: &[Trial]) -> Self {
        // In the order of the rounds, for each runner: so that what belongs together has the same place.
        let trials_of = |name: &str| -> Vec<&Trial> {
            trials.iter().filter(|trial| trial.race == race.title && trial.runner == name).collect()
        };
        let first = race.runners.first().map(|runner| trials_of(&runner.name)).unwrap_or_default();
        let ours = trials_of(Contestant::Ours.name());
        let runners = race.runners.iter().map(|runner| RunnerSummary::new(&trials_of(&runner.name), &first, &ours));
        Self { title: race.title.clone(), load: race.load, runners: runners.collect() }
    }
}

impl RunnerSummary {
    fn new(trials: &[&Trial], first: &[&Trial], ours: &[&Trial]) -> Self {
        let spread = |value: fn(&Trial) -> f64| Spread::of(trials.iter().map(|trial| value(trial)));
        Self {
            name: trials.first().map(|trial| trial.runner.clone()).unwrap_or_default(),
            sync_ms: spread(|trial| trial.sync_ms),
            start_ms: spread(|trial| trial.start_ms),
            rest_mib: spread(|trial| trial.rest_mib),
            loaded: LoadedSummary::new(&loaded(trials), &loaded(first), &loaded(ours)),
        }
    }
}

impl LoadedSummary {
    fn new(trials: &[&Loaded], first: &[&Loaded], ours: &[&Loaded]) -> Option<Self> {
        let spread = |value: fn(&Loaded) -> f64| Spread::of(trials.iter().map(|loaded| value(loaded)));
        (!trials.is_empty()).then(|| Self {
            per_second: spread(|loaded| loaded.per_second),
            of_first: Spread::of_ratios(trials, first, |loaded| loaded.per_second),
            ours_of_it: (!ours.is_empty()).then(|| Spread::of_ratios(ours, trials, |loaded| loaded.per_second)),
            p50_ms: spread(|loaded| loaded.driven.p50_ms),
            p99_ms: spread(|loaded| loaded.driven.p99_ms),
            p99_of_first: Spread::of_ratios(trials, first, |loaded| loaded.driven.p99_ms),
            server_us: spread(|loaded| loaded.server_us),
            generator_us: spread(|loaded| loaded.generator_us),
            peak_mib: spread(|loaded| loaded.peak_mib),
        })
    }
}

fn loaded<'t>(trials: &[&'t Trial]) -> Vec<&'t Loaded> {
    trials.iter().filter_map(|trial| trial.loaded.as_ref()).collect()
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let at = |place: usize| values.get(place).copied().unwrap_or(f64::NAN);
        let last = values.len().saturating_sub(1);
        Self { min: at(0), median: f64::midpoint(at(last / 2), at(last.div_ceil(2))), max: at(last) }
    }

    /// Of the ratios within each round.
    fn of_ratios(trials: &[&Loaded], others: &[&Loaded], value: fn(&Loaded) -> f64) -> Self {
        Self::of(trials.iter().zip(others).map(|(trial, other)| value(trial) / value(other)))
    }
}

/// The median with as many decimals as asked, and what the others were: `0.41 (0.39–0.44)`.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = f.precision().unwrap_or(0);
        write!(f, "{:.decimals$}", self.median)?;
        let text = |value: f64| format!("{value:.decimals$}");
        if text(self.min) == text(self.max) { Ok(()) } else { write!(f, " ({}–{})", text(self.min), text(self.max)) }
    }
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = processors.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(": "));
    format!("{cores} cores ({}), which server and generator share", name.map_or("unknown", |(_, name)| name))
}
