//! `config.toml`: what the operator decides, read and checked.
//!
//! Every key has a default, an unknown key is an error, and an error names the file and the line.
//! Nothing here opens the database or a socket.

mod check;
mod geoip;
mod load;
mod values;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use governor::Quota;
use serde::Deserialize;

pub use check::MAX_WORKERS;
pub use geoip::{GeoIpConfig, ListsConfig};
pub use load::ConfigError;
pub use values::{DnsServer, FilePath, OrganisationName, Origin, Period};

use crate::domain::{ApiKey, Canonicalization, CountryCode, Flag, KeyKind, Network};

/// The whole configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The file it was read from; `None`: there is none, and these are the defaults.
    #[serde(skip)]
    pub file: Option<PathBuf>,
    /// Where the service listens.
    pub server: ServerConfig,
    /// Where the data is.
    pub database: DatabaseConfig,
    /// Who may use the service.
    #[serde(rename = "organisation", deserialize_with = "load::organisations")]
    pub organisations: Vec<OrganisationConfig>,
    /// How long a session lives.
    pub session: SessionConfig,
    /// What happens to addresses that are not plainly known.
    pub sign_in: SignInConfig,
    /// How often sign-in may be attempted (E006).
    pub throttle: ThrottleConfig,
    /// How many requests a key may make (429).
    pub rate_limit: RateLimitConfig,
    /// Which addresses are the same mailbox.
    pub email: EmailConfig,
    /// Where the knowledge about addresses comes from.
    pub geoip: GeoIpConfig,
    /// How long things are kept.
    pub retention: RetentionConfig,
    /// Where the operator looks at the server.
    pub admin: AdminConfig,
    /// How the log looks.
    pub log: LogConfig,
}

impl Config {
    /// Whether an organisation of that name is in it.
    #[must_use]
    pub fn has_organisation(&self, name: &str) -> bool {
        self.organisations.iter().any(|known| known.name.as_str() == name)
    }
}

/// `[server]`
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "the table [server]")]
pub struct ServerConfig {
    /// The address and port to listen on; port 0 takes a free one.
    #[serde(deserialize_with = "values::socket_address")]
    pub listen: SocketAddr,
    /// Threads that answer requests; 0 is one per core.
    pub workers: usize,
    /// The proxies whose `X-Forwarded-For` the access log believes.
    pub trusted_proxies: Vec<Network>,
    /// The origins whose pages may call the service from a browser.
    pub allowed_origins: Vec<Origin>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            workers: 0,
            trusted_proxies: Vec::new(),
            allowed_origins: Vec::new(),
        }
    }
}

/// `[database]`
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "the table [database]")]
pub struct DatabaseConfig {
    /// The SQLite file. Relative to the configuration file; made when it is not there.
    pub path: FilePath,
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        Self { path: FilePath::new("magic-auth.db") }
    }
}

/// `[[organisation]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table [[organisation]]")]
pub struct OrganisationConfig {
    /// Its unique name.
    pub name: OrganisationName,
    /// The keys that the file manages. Others are made on the command line.
    #[serde(default)]
    pub api_keys: Vec<ApiKey>,
}

/// `[session]`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "the table [session]")]
pub struct SessionConfig {
    /// From sign-in to the end, whatever happens.
    pub lifetime: Period,
    /// From the last question about it to the end; absent: no such limit.
    pub idle_timeout: Option<Period>,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self { lifetime: Period::new(Duration::from_hours(90 * 24)), idle_timeout: None }
    }
}

/// `[sign_in]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "the table [sign_in]")]
pub struct SignInConfig {
    /// What an address that no customer has leads to.
    #[serde(deserialize_with = "values::word")]
    pub unknown_email: UnknownEmail,
    /// What the address of a guest leads to.
    #[serde(deserialize_with = "values::word")]
    pub guest: Guest,
    /// Whether a new customer's address is authorized from the start.
    #[serde(deserialize_with = "values::word")]
    pub new_customer_email: NewCustomerEmail,
    /// Where nobody may sign in from.
    pub deny: DenyConfig,
}

/// `[sign_in.deny]`: who signs in from there is answered with E001.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "the table [sign_in.deny]")]
pub struct DenyConfig {
    /// Countries, by the databases of `[geoip]`.
    pub countries: Vec<CountryCode>,
    /// Autonomous systems, by the same.
    pub asns: Vec<u32>,
    /// Flags, by the databases and lists of `[geoip]`.
    pub flags: Vec<Flag>,
    /// Networks.
    pub cidrs: Vec<Network>,
}

impl DenyConfig {
    /// Nobody is denied.
    pub const NOBODY: Self = Self { countries: Vec::new(), asns: Vec::new(), flags: Vec::new(), cidrs: Vec::new() };
}

/// `sign_in.unknown_email`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownEmail {
    /// A new customer.
    #[default]
    Create,
    /// E002.
    Refuse,
}

/// `sign_in.guest`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Guest {
    /// The guest becomes a registered customer.
    #[default]
    Promote,
    /// E003.
    Refuse,
}

/// `sign_in.new_customer_email`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NewCustomerEmail {
    /// The customer can sign in at once.
    #[default]
    Authorized,
    /// E007 until the operator authorizes the address.
    Unauthorized,
}

/// `[throttle]`
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "the table [throttle]")]
pub struct ThrottleConfig {
    email: AttemptLimit,
    ip: AttemptLimit,
}

impl ThrottleConfig {
    /// Attempts for one mailbox, by default 10 in 10 minutes; `None` is no limit.
    #[must_use]
    pub fn mailbox_quota(&self) -> Option<Quota> {
        self.email.quota(10)
    }

    /// Attempts from one network, by default 60 in 10 minutes; `None` is no limit.
    #[must_use]
    pub fn network_quota(&self) -> Option<Quota> {
        self.ip.quota(60)
    }
}

/// What the limiter can count. An interval that is rounded to nothing would be no limit.
const SHORTEST_INTERVAL: Duration = Duration::from_nanos(1);

/// `[throttle.email]` and `[throttle.ip]`: `burst` attempts at once (0: no limit), which come back
/// evenly within `period`. What is left out has the limit's own default.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table with burst and period")]
struct AttemptLimit {
    burst: Option<u32>,
    period: Option<Period>,
}

impl AttemptLimit {
    fn quota(self, default_burst: u32) -> Option<Quota> {
        let burst = NonZeroU32::new(self.burst.unwrap_or(default_burst))?;
        let period = self.period.map_or(Duration::from_mins(10), Period::get);
        Quota::with_period((period / burst.get()).max(SHORTEST_INTERVAL)).map(|quota| quota.allow_burst(burst))
    }
}

/// `[rate_limit]`
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "the table [rate_limit]")]
pub struct RateLimitConfig {
    prod: RequestLimit,
    dev: RequestLimit,
}

impl RateLimitConfig {
    /// The requests of a key: by default 100,000 an hour in a bucket of 1,000 for `PROD`, 1,000 an
    /// hour in a bucket of 50 for `DEV_`; `None` is no limit, as for `ROOT` always.
    #[must_use]
    pub fn quota(&self, kind: KeyKind) -> Option<Quota> {
        match kind {
            KeyKind::Prod => self.prod.quota(100_000, 1_000),
            KeyKind::Dev => self.dev.quota(1_000, 50),
            KeyKind::Root => None,
        }
    }
}

/// `[rate_limit.prod]` and `[rate_limit.dev]`: a bucket of `burst`, refilled evenly with `requests` in
/// each period `per`. 0 requests is no limit. What is left out has the limit's own default.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table with requests, per and burst")]
struct RequestLimit {
    requests: Option<u32>,
    per: Option<Period>,
    burst: Option<u32>,
}

impl RequestLimit {
    fn quota(self, default_requests: u32, default_burst: u32) -> Option<Quota> {
        let requests = self.requests.unwrap_or(default_requests);
        let burst = NonZeroU32::new(self.burst.unwrap_or(default_burst))?;
        let interval = self.per.map_or(Duration::from_hours(1), Period::get).checked_div(requests)?;
        Quota::with_period(interval.max(SHORTEST_INTERVAL)).map(|quota| quota.allow_burst(burst))
    }
}

/// `[email]`
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "the table [email]")]
pub struct EmailConfig {
    /// Which addresses are the same mailbox.
    #[serde(deserialize_with = "values::word")]
    pub canonicalization: Canonicalization,
}

/// `[retention]`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "the table [retention]")]
pub struct RetentionConfig {
    /// Attempts of before that are deleted.
    pub login_attempts: Period,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self { login_attempts: Period::new(Duration::from_hours(90 * 24)) }
    }
}

/// `[admin]`
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "the table [admin]")]
pub struct AdminConfig {
    /// The address and port of health and metrics; absent: there are none.
    #[serde(deserialize_with = "values::some_socket_address")]
    pub listen: Option<SocketAddr>,
}

/// `[log]`
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "the table [log]")]
pub struct LogConfig {
    /// How a line is written.
    #[serde(deserialize_with = "values::word")]
    pub format: LogFormat,
}

/// `log.format`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON object a line.
    Json,
}
