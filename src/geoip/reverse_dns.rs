//! Reverse DNS: the name of an address, if that name leads back to the address.
//!
//! Whoever has an address decides what its PTR record says, and may write any name there. So a name counts
//! only if its own owner agrees: one of the name's addresses must be the one that was asked about.
//!
//! Only servers that the operator knows are asked. A public resolver would learn who signs in.

mod cache;
mod resolver;
mod system;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::config::GeoIpConfig;
use crate::domain::{HostName, OrganisationId};
use cache::{Answer, Cache};
use resolver::Resolver;
pub use system::SystemServersError;

/// For a whole look-up: the wait for a permit, the name, and its addresses.
const TIME_LIMIT: Duration = Duration::from_secs(2);

/// Look-ups that ask at the same time; each has one socket. The others wait.
const MAX_LOOK_UPS: usize = 16;

/// Names of one address that are tried. More than one is rare, and each costs a query.
const MAX_NAMES: usize = 4;

/// Answers that are remembered, some 250 bytes each: 4 MiB.
const CACHE_CAPACITY: usize = 16_384;

/// An answer holds for at least so long, whatever its TTL: whoever sets that to nothing does not make each
/// sign-in a query. For so long it is also remembered that nobody answered.
const MIN_TTL: Duration = Duration::from_secs(30);

/// A name holds for at most so long.
const MAX_TTL: Duration = Duration::from_hours(24);

/// How long it is remembered at most that there is no name.
const MAX_NEGATIVE_TTL: Duration = Duration::from_hours(1);

/// The names of addresses.
#[derive(Debug)]
pub struct ReverseDns {
    resolver: Resolver,
    cache: Cache,
    /// One for each look-up that may ask now.
    permits: Semaphore,
    /// What tells whether an answer still holds.
    clock: Clock,
}

/// No DNS server could tell in time: there may be a name or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no answer from the DNS servers")]
pub struct Unanswered;

impl ReverseDns {
    /// What a configuration wants.
    ///
    /// # Errors
    /// When it wants the system's servers, and these cannot be told.
    pub fn of(config: &GeoIpConfig, clock: &Clock) -> Result<Option<Self>, SystemServersError> {
        if !config.reverse_dns {
            return Ok(None);
        }
        let servers = config.dns_servers.iter().map(|server| server.get()).collect();
        Self::new(servers, clock.clone()).map(Some)
    }

    /// Reverse DNS by these servers, the first that answers; without any, by those that the system's
    /// `/etc/resolv.conf` names now.
    ///
    /// # Errors
    /// When none is given and the system's cannot be told.
    pub fn new(servers: Vec<SocketAddr>, clock: Clock) -> Result<Self, SystemServersError> {
        let servers = if servers.is_empty() { system::read_servers()? } else { servers };
        Ok(Self {
            resolver: Resolver::new(servers),
            cache: Cache::new(CACHE_CAPACITY),
            permits: Semaphore::new(MAX_LOOK_UPS),
            clock,
        })
    }

    /// The name of the address; `None` if it has none that leads back to it. An answer that is remembered
    /// costs no query, and who asks while others ask about the same address gets what they get: others of the same
    /// organisation, or of none.
    ///
    /// # Errors
    /// When nobody has answered within [`TIME_LIMIT`]. That says nothing of the address, and is not to be kept.
    pub async fn host_name(&self, ip: IpAddr, asker: Option<OrganisationId>) -> Result<Option<HostName>, Unanswered> {
        let ip = ip.to_canonical();
        let place = self.cache.place((asker, ip), self.clock.steady());
        place.get_or_init(|| self.look_up(ip)).await.name.clone()
    }

    async fn look_up(&self, ip: IpAddr) -> Answer {
        let asking = async {
            let _permit = self.permits.acquire().await;
            self.confirmed_name(ip).await
        };
        let (name, ttl) = match timeout(TIME_LIMIT, asking).await.unwrap_or(Err(Unanswered)) {
            Ok((Some(name), ttl)) => (Ok(Some(name)), ttl.clamp(MIN_TTL, MAX_TTL)),
            Ok((None, ttl)) => (Ok(None), ttl.clamp(MIN_TTL, MAX_NEGATIVE_TTL)),
            Err(unanswered) => (Err(unanswered), MIN_TTL),
        };
        Answer { name, until: self.clock.steady() + ttl }
    }

    /// The first of the address's names that has this address, and for how long that holds.
    async fn confirmed_name(&self, ip: IpAddr) -> Result<(Option<HostName>, Duration), Unanswered> {
        let names = self.resolver.list_names(ip).await?;
        let mut ttl = names.ttl;
        let mut doubt = None;
        for name in names.values.into_iter().take(MAX_NAMES) {
            match self.resolver.list_addresses(&name, ip).await {
                Ok(addresses) if addresses.values.contains(&ip) => {
                    return Ok((Some(name), names.ttl.min(addresses.ttl)));
                }
                Ok(addresses) => ttl = ttl.min(addresses.ttl),
                Err(unanswered) => doubt = Some(unanswered),
            }
        }
        doubt.map_or(Ok((None, ttl)), Err)
    }
}
