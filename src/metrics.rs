//! What the server counts and measures of itself, for the operator's monitoring.
//!
//! Names and units follow the conventions of Prometheus. The labels are few and known beforehand: no address,
//! no key and nothing else that a caller chooses.

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, prometheus_text, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::domain::Outcome;

/// All that is counted and measured.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    sign_ins: Family<[(&'static str, &'static str); 1], Counter>,
    requests: Family<Request, Counter>,
    durations: Family<Route, Histogram, fn() -> Histogram>,
    /// Referrals that were ignored, for they are malformed or name nobody.
    pub ignored_referrals: Counter,
    /// What the writer measures.
    pub writer: WriterMetrics,
    levels: LevelGauges,
}

/// What the writer measures.
#[derive(Clone, Debug)]
pub struct WriterMetrics {
    /// Jobs that wait or are worked on.
    pub waiting: Gauge,
    /// Jobs in a transaction.
    pub batch: Histogram,
    /// The time from a transaction's begin to the end of its sync, or to its failure.
    pub commit: Histogram,
    /// Transactions that failed.
    pub failures: Counter,
}

/// What is not counted, but looked at when somebody asks.
#[derive(Debug)]
pub struct Levels {
    /// The networks that the throttle remembers.
    pub throttled_networks: usize,
    /// The mailboxes that the throttle remembers.
    pub throttled_mailboxes: usize,
    /// The size of the WAL.
    pub wal_bytes: u64,
    /// The sessions in the database, living and dead; `None`: not known at present.
    pub sessions: Option<u64>,
    /// The age of each file about addresses.
    pub geoip_ages: Vec<(String, Duration)>,
}

#[derive(Debug, Default)]
struct LevelGauges {
    throttle_keys: Family<[(&'static str, &'static str); 1], Gauge>,
    wal_bytes: Gauge,
    /// One, once it is known.
    sessions: Family<[(&'static str, &'static str); 0], Gauge>,
    geoip_ages: Family<[(&'static str, String); 1], Gauge>,
}

/// How what is counted is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The older text format of Prometheus, 0.0.4.
    Text,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

impl Default for WriterMetrics {
    fn default() -> Self {
        Self {
            waiting: Gauge::default(),
            batch: Histogram::new(exponential_buckets(1.0, 2.0, 7)),
            commit: Histogram::new(exponential_buckets(0.000_1, 2.0, 15)),
            failures: Counter::default(),
        }
    }
}

/// A counter for each outcome, from nothing on: so the first failure, too, is seen as an increase.
fn sign_ins() -> Family<[(&'static str, &'static str); 1], Counter> {
    let sign_ins = Family::default();
    for outcome in Outcome::all() {
        drop(sign_ins.get_or_create(&[("outcome", outcome.as_str())]));
    }
    sign_ins
}

/// From 0.1 ms to 3 s.
fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.000_1, 2.0, 16))
}

impl Default for Metrics {
    fn default() -> Self {
        let (sign_ins, requests) = (sign_ins(), Family::default());
        let durations = Family::new_with_constructor(durations as fn() -> Histogram);
        let (writer, levels) = (WriterMetrics::default(), LevelGauges::default());
        let ignored_referrals = Counter::default();
        let mut registry = Registry::with_prefix("magic_auth");
        let build = Family::<[(&'static str, &'static str); 1], Gauge>::default();
        build.get_or_create(&[("version", env!("CARGO_PKG_VERSION"))]).set(1);
        registry.register("build_info", "The version that runs", build);
        registry.register("sign_ins", "Sign-in attempts by their outcome", sign_ins.clone());
        registry.register(
            "ignored_referrals",
            "Sign-ins of new customers with a referralId that is malformed or names nobody",
            ignored_referrals.clone(),
        );
        registry.register("http_requests", "Answered requests", requests.clone());
        registry.register_with_unit(
            "http_request_duration",
            "From a request's head to its answer",
            Unit::Seconds,
            durations.clone(),
        );
        registry.register(
            "write_queue_jobs",
            "Jobs that wait to be written, or are being written",
            writer.waiting.clone(),
        );
        registry.register("write_batch_jobs", "Jobs that share a transaction", writer.batch.clone());
        registry.register_with_unit(
            "write_commit_duration",
            "From the begin of a transaction to the end of its sync",
            Unit::Seconds,
            writer.commit.clone(),
        );
        registry.register("write_failures", "Transactions that failed", writer.failures.clone());
        registry.register(
            "throttle_keys",
            "Mailboxes and networks that the throttle remembers",
            levels.throttle_keys.clone(),
        );
        registry.register_with_unit("wal_size", "The WAL beside the database", Unit::Bytes, levels.wal_bytes.clone());
        registry.register("sessions", "Sessions in the database, living and not yet deleted", levels.sessions.clone());
        registry.register_with_unit(
            "geoip_file_age",
            "Since a file about addresses was made",
            Unit::Seconds,
            levels.geoip_ages.clone(),
        );
        Self { registry, sign_ins, requests, durations, ignored_referrals, writer, levels }
    }
}

impl Metrics {
    /// Counts a sign-in attempt.
    pub fn count_sign_in(&self, outcome: Outcome) {
        self.sign_ins.get_or_create(&[("outcome", outcome.as_str())]).inc();
    }

    /// Counts a request. The route is a pattern of the server's own, never a path as it was sent.
    pub fn count_request(&self, route: String, status: u16, duration: Duration) {
        let route = Route { route };
        self.durations.get_or_create(&route).observe(duration.as_secs_f64());
        self.requests.get_or_create(&Request { route: route.route, status }).inc();
    }

    /// Writes all of it, with the levels of now.
    ///
    /// # Errors
    /// None that is known: writing into a text does not fail.
    pub fn encode(&self, levels: &Levels, format: Format) -> Result<String, fmt::Error> {
        self.levels.set(levels);
        let mut text = String::new();
        match format {
            Format::OpenMetrics => text::encode(&mut text, &self.registry)?,
            Format::Text => prometheus_text::encode(&mut text, &self.registry)?,
        }
        Ok(text)
    }
}

impl LevelGauges {
    fn set(&self, levels: &Levels) {
        for (limit, keys) in [("ip", levels.throttled_networks), ("email", levels.throttled_mailboxes)] {
            self.throttle_keys.get_or_create(&[("limit", limit)]).set(to_gauge(keys));
        }
        self.wal_bytes.set(to_gauge(levels.wal_bytes));
        self.sessions.clear();
        if let Some(sessions) = levels.sessions {
            self.sessions.get_or_create(&[]).set(to_gauge(sessions));
        }
        self.geoip_ages.clear();
        for (file, age) in &levels.geoip_ages {
            self.geoip_ages.get_or_create(&[("file", file.clone())]).set(to_gauge(age.as_secs()));
        }
    }
}

fn to_gauge(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

impl Format {
    /// The format that a request's `Accept` asks for.
    #[must_use]
    pub fn of_accept(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Text }
    }

    /// The format as `Content-Type` says it.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => prometheus_text::CONTENT_TYPE,
        }
    }
}
