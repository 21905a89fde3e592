//! Who is behind the addresses of sign-ins: found out after the answer, and stored for the operator to see.
//!
//! No request waits for it and none fails because of it. Addresses wait in a bounded queue; what finds no place is
//! counted, and the next sign-in from there tries again.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use log::{debug, warn};
use parking_lot::Mutex;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::clock::Clock;
use crate::config::Config;
use crate::domain::{ClientIp, CountryCode, Flag, OrganisationId};
use crate::geoip::{GeoIp, GeoIpError, IpFacts, ReverseDns, SystemServersError};
use crate::store::{IpIntelligence, IpOrigin, Store};

/// Addresses that may wait.
const MAX_QUEUE: usize = 1_024;

/// Addresses that are written in one go.
const BATCH: usize = 64;

/// Between two of these: at most some 600 addresses a second, a small part of what the writer can do.
const PAUSE: Duration = Duration::from_millis(100);

/// Addresses that need not be thought of again, 20 bytes each: 1 MiB. Beyond, all are forgotten at once, which costs each a
/// look into the database.
const MAX_KNOWN: usize = 50_000;

/// For how long they need not.
const KNOWN_FOR: Duration = Duration::from_hours(1);

/// When an address whose name no DNS server told is asked about again.
const RETRY_AFTER: Duration = Duration::from_hours(1);

/// What finds out, and what has still to be found out.
#[derive(Debug)]
pub struct Intelligence {
    /// What is known offline.
    pub geoip: Arc<GeoIp>,
    reverse_dns: Option<ReverseDns>,
    refresh: Duration,
    clock: Clock,
    known: Mutex<Known>,
    queue: Sender<ClientIp>,
    waiting: tokio::sync::Mutex<Receiver<ClientIp>>,
    dropped: AtomicU64,
}

/// Addresses that were taken care of since a moment of the steady clock.
#[derive(Debug)]
struct Known {
    addresses: HashSet<ClientIp>,
    since: Duration,
}

/// Why nothing can be found out.
#[derive(Debug, thiserror::Error)]
pub enum IntelligenceError {
    /// A file of `[geoip]` cannot be used.
    #[error(transparent)]
    GeoIp(#[from] GeoIpError),
    /// Reverse DNS is wanted, and the system does not say whom to ask.
    #[error("[geoip] reverse_dns")]
    ReverseDns(#[from] SystemServersError),
}

impl Intelligence {
    /// Opens the files of the configuration.
    ///
    /// # Errors
    /// When one of them cannot be used, or the DNS servers are not known.
    pub fn new(config: &Config, clock: Clock) -> Result<Self, IntelligenceError> {
        let (queue, waiting) = channel(MAX_QUEUE);
        Ok(Self {
            geoip: Arc::new(GeoIp::load(&config.geoip)?),
            reverse_dns: ReverseDns::of(&config.geoip, &clock)?,
            // What is never looked up anew would stay, for nothing tells whether there is still an attempt that needs it.
            refresh: config.geoip.refresh.get().min(config.retention.login_attempts.get()),
            known: Mutex::new(Known { addresses: HashSet::new(), since: clock.steady() }),
            clock,
            queue,
            waiting: tokio::sync::Mutex::new(waiting),
            dropped: AtomicU64::new(0),
        })
    }

    /// Has it found out who is behind an address, some time. Costs memory and arithmetic only.
    pub fn note(&self, ip: Option<ClientIp>) {
        let Some(ip) = ip else { return };
        let is_off = self.geoip.knows_nothing() && self.reverse_dns.is_none();
        if is_off || !self.known.lock().insert(ip, self.clock.steady()) {
            return;
        }
        if self.queue.try_send(ip).is_err() {
            self.forget(ip);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// In which country an address is. Takes about a microsecond.
    #[must_use]
    pub fn country(&self, ip: Option<ClientIp>) -> Option<CountryCode> {
        self.geoip.traits(ip?.get()).country
    }

    /// The whole picture of an address, its name in the DNS too, for which it waits two seconds at most.
    /// (Who asks matters to how fast that is: see [`ReverseDns::host_name`].)
    pub async fn facts(&self, ip: IpAddr, asker: Option<OrganisationId>) -> IpFacts {
        self.find_out(ip, asker).await.0
    }

    /// Finds out and stores, for as long as it is polled.
    pub async fn keep_finding_out(&self, store: &Store) {
        let mut waiting = self.waiting.lock().await;
        let mut batch = Vec::new();
        while waiting.recv_many(&mut batch, BATCH).await > 0 {
            self.work_off(std::mem::take(&mut batch), store).await;
            match self.dropped.swap(0, Ordering::Relaxed) {
                0 => {}
                count => debug!("{count} look-ups of addresses found no place and wait for another sign-in"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn work_off(&self, mut batch: Vec<ClientIp>, store: &Store) {
        let now = self.clock.now();
        // What is due later than it could be now was stored when it was kept for longer, or the clock was ahead.
        let is_due = |due| due <= now || due > now + self.refresh;
        batch.retain(|ip| store.read(|tx| tx.find_ip_due(*ip)).ok().flatten().is_none_or(is_due));
        if batch.is_empty() {
            return;
        }
        let found = join_all(batch.iter().map(|ip| self.row(*ip))).await;
        let written = store.write(move |tx| found.iter().try_for_each(|row| tx.upsert_ip(row)));
        if let Err(error) = written.await {
            warn!("what is known of {} addresses could not be stored: {error}", batch.len());
            for ip in batch {
                self.forget(ip);
            }
        }
    }

    async fn row(&self, ip: ClientIp) -> IpIntelligence {
        let (facts, is_complete) = self.find_out(ip.get(), None).await;
        let again_after = if is_complete { self.refresh } else { self.refresh.min(RETRY_AFTER) };
        let flags: Vec<_> = Flag::ALL.into_iter().filter(|flag| facts.flags.get(*flag) == Some(true)).collect();
        IpIntelligence {
            ip,
            origin: IpOrigin {
                country: facts.country.map(|country| country.to_string()),
                city: facts.city.clone(),
                asn: facts.asn,
                as_name: facts.asn_organisation.clone(),
                flags: (!flags.is_empty())
                    .then(|| flags.iter().map(|flag| flag.as_str()).collect::<Vec<_>>().join(", ")),
            },
            facts: serde_json::to_string(&facts).unwrap_or_else(|_| "null".to_owned()),
            due_at: self.clock.now() + again_after,
        }
    }

    /// The facts, and whether they are all that can be known now.
    async fn find_out(&self, ip: IpAddr, asker: Option<OrganisationId>) -> (IpFacts, bool) {
        let mut facts = self.geoip.look_up(ip);
        let Some(dns) = self.reverse_dns.as_ref().filter(|_| facts.kind.is_public()) else { return (facts, true) };
        let answer = dns.host_name(facts.embedded.map_or(ip, IpAddr::V4), asker).await;
        let is_complete = answer.is_ok();
        facts.reverse_dns = answer.ok().flatten().map(|name| name.to_string());
        (facts, is_complete)
    }

    fn forget(&self, ip: ClientIp) {
        self.known.lock().addresses.remove(&ip);
    }
}

impl Known {
    /// Says whether it was not known before.
    fn insert(&mut self, ip: ClientIp, now: Duration) -> bool {
        if self.addresses.len() >= MAX_KNOWN || now >= self.since + KNOWN_FOR {
            self.addresses.clear();
            self.since = now;
        }
        self.addresses.insert(ip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use crate::store::Database;

    fn ip(number: usize) -> ClientIp {
        ClientIp::parse(&format!("2001:4860::{:x}:{:x}", number >> 16, number & 0xffff)).unwrap()
    }

    /// It knows something, so that addresses are noted.
    fn intelligence() -> Intelligence {
        let database = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/geoip/country.mmdb");
        let config = toml::from_str(&format!("[geoip]\ndatabases = [\"{database}\"]")).unwrap();
        Intelligence::new(&config, Clock::system()).unwrap()
    }

    fn is_known(intelligence: &Intelligence, ip: ClientIp) -> bool {
        intelligence.known.lock().addresses.contains(&ip)
    }

    #[test]
    fn no_more_addresses_are_known_than_may_be() {
        let mut known = Known { addresses: HashSet::new(), since: Duration::ZERO };
        assert!((0..MAX_KNOWN).all(|number| known.insert(ip(number), Duration::ZERO)));
        assert_eq!(known.addresses.len(), MAX_KNOWN);
        assert!(known.insert(ip(MAX_KNOWN), Duration::ZERO));
        assert_eq!(known.addresses.len(), 1);
    }

    #[test]
    fn an_address_that_finds_no_place_is_tried_again() {
        let intelligence = intelligence();
        for number in 0..=MAX_QUEUE {
            intelligence.note(Some(ip(number)));
        }
        assert!(is_known(&intelligence, ip(MAX_QUEUE - 1)) && !is_known(&intelligence, ip(MAX_QUEUE)));
    }

    #[actix_web::test]
    async fn an_address_that_could_not_be_stored_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("magic-auth.db");
        let store = Store::start(Database::open(&path).unwrap(), 1, Metrics::default().writer).unwrap();
        let other = rusqlite::Connection::open(&path).unwrap();
        let fail = "CREATE TRIGGER fail BEFORE INSERT ON ip_intelligence BEGIN SELECT RAISE(ABORT, 'no'); END";
        let intelligence = intelligence();
        for (statement, is_stored) in [(fail, false), ("DROP TRIGGER fail", true)] {
            other.execute_batch(statement).unwrap();
            intelligence.note(Some(ip(1)));
            let noted = intelligence.waiting.lock().await.try_recv().unwrap();
            intelligence.work_off(vec![noted], &store).await;
            assert_eq!(is_known(&intelligence, ip(1)), is_stored);
            assert_eq!(store.read(|tx| tx.find_ip_due(ip(1))).unwrap().is_some(), is_stored);
        }
    }
}
