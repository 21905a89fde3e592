//! The throttle (E006): how often sign-in may be attempted for one mailbox and from one network.
//!
//! All of it is memory and arithmetic, so that a flood of guesses never reaches the disk. The
//! window survives a restart: it is rebuilt from the recorded attempts.

mod allowance;
mod buckets;
mod replay;

use std::hash::{BuildHasher as _, RandomState};
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::{NotUntil, Quota, RateLimiter};

use crate::clock::Clock;
use crate::config::ThrottleConfig;
use crate::domain::{ClientIp, Mailbox, OrganisationId, Timestamp};
use crate::store::{StoreError, ThrottledAttempt, Tx};
pub use allowance::Allowance;
use buckets::Buckets;
use replay::ReplayClock;

/// An attempt came too soon after others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooSoon {
    /// The time after which an attempt is let through again.
    pub retry_after: Duration,
    /// Which limit refused it.
    pub by: Limit,
}

/// The two limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Attempts from one network.
    Network,
    /// Attempts for one mailbox.
    Mailbox,
}

/// The limits of sign-in attempts.
#[derive(Debug)]
pub struct Throttle {
    networks: Option<Limiter>,
    mailboxes: Option<Limiter>,
    /// Names networks by numbers that nobody outside can foresee: two networks of one name would share a limit.
    network_names: RandomState,
}

impl Throttle {
    /// A throttle that remembers the recorded attempts.
    ///
    /// # Errors
    /// When the database fails.
    pub fn rebuild(config: &ThrottleConfig, clock: &Clock, tx: &Tx<'_>) -> Result<Self, StoreError> {
        Self::remembering(config, clock, |begin, remember| tx.for_each_throttled_attempt(begin, remember))
    }

    /// A throttle that has seen all attempts that `earlier` tells of since a moment, the oldest first.
    fn remembering<E>(
        config: &ThrottleConfig,
        clock: &Clock,
        earlier: impl FnOnce(Timestamp, &mut dyn FnMut(ThrottledAttempt)) -> Result<(), E>,
    ) -> Result<Self, E> {
        let now = present(clock);
        let begin = now - Self::window(config);
        let limiter = |quota| Limiter::new(quota, clock, begin);
        let throttle = Self {
            networks: config.network_quota().map(limiter),
            mailboxes: config.mailbox_quota().map(limiter),
            network_names: RandomState::new(),
        };
        throttle.replay(now, |remember| earlier(begin, remember))?;
        Ok(throttle)
    }

    /// How far back attempts still count.
    fn window(config: &ThrottleConfig) -> Duration {
        let refill = |quota: Option<Quota>| quota.map_or(Duration::ZERO, |quota| quota.burst_size_replenished_in());
        refill(config.network_quota()).max(refill(config.mailbox_quota()))
    }

    /// Counts an attempt, or refuses it.
    ///
    /// The network is asked first, so that a flood from one network is refused there: it can use up what a
    /// handful of mailboxes are allowed, and not what those of all strangers are.
    ///
    /// # Errors
    /// When the attempt is refused.
    pub fn check(&self, organisation: OrganisationId, mailbox: Mailbox, ip: Option<ClientIp>) -> Result<(), TooSoon> {
        for (by, limiter) in self.limits(organisation, mailbox, ip) {
            if let Some((limiter, key)) = limiter {
                limiter.check(key).map_err(|retry_after| TooSoon { retry_after, by })?;
            }
        }
        Ok(())
    }

    /// Gives back what an attempt took that was let through and then could not be decided.
    pub fn refund(&self, organisation: OrganisationId, mailbox: Mailbox, ip: Option<ClientIp>) {
        for (limiter, key) in self.limits(organisation, mailbox, ip).into_iter().filter_map(|(_, limiter)| limiter) {
            limiter.refund(key);
        }
    }

    /// How many networks are remembered.
    #[must_use]
    pub fn count_networks(&self) -> usize {
        self.networks.as_ref().map_or(0, |limiter| limiter.buckets.len())
    }

    /// How many mailboxes are remembered.
    #[must_use]
    pub fn count_mailboxes(&self) -> usize {
        self.mailboxes.as_ref().map_or(0, |limiter| limiter.buckets.len())
    }

    /// The limiter of networks and the key of this one in it; `None` when it is not limited.
    fn network(&self, organisation: OrganisationId, ip: Option<ClientIp>) -> Option<(&Limiter, u64)> {
        let network = ip?.throttled_network()?;
        Some((self.networks.as_ref()?, self.network_names.hash_one((organisation, network))))
    }

    /// The limiter of mailboxes and the key of this one in it; `None` when it is not limited.
    fn mailbox(&self, mailbox: Mailbox) -> Option<(&Limiter, u64)> {
        Some((self.mailboxes.as_ref()?, mailbox.0.cast_unsigned()))
    }

    /// Both, in the order in which they are asked.
    fn limits(
        &self,
        organisation: OrganisationId,
        mailbox: Mailbox,
        ip: Option<ClientIp>,
    ) -> [(Limit, Option<(&Limiter, u64)>); 2] {
        [(Limit::Network, self.network(organisation, ip)), (Limit::Mailbox, self.mailbox(mailbox))]
    }
}

/// The present by the steady clock, which the limiters go on with: if the time of day leaps while they are told of what
/// was, they must not wait for a time that is far ahead.
fn present(clock: &Clock) -> Timestamp {
    Timestamp::EPOCH + clock.steady()
}

#[derive(Debug)]
struct Limiter {
    gate: RateLimiter<u64, Buckets, ReplayClock, NoOpMiddleware<Duration>>,
    /// The limiter's own memory.
    buckets: Buckets,
    /// The attempts in a full bucket.
    burst: NonZeroU32,
    /// What one attempt costs: the time in which it comes back.
    interval: Duration,
}

impl Limiter {
    /// A limiter that can be told of attempts from `begin` on.
    fn new(quota: Quota, clock: &Clock, begin: Timestamp) -> Self {
        let clock = ReplayClock::set_to(begin, clock);
        let buckets = Buckets::default();
        let gate = RateLimiter::new(quota, buckets.clone(), clock);
        Self { gate, buckets, burst: quota.burst_size(), interval: quota.replenish_interval() }
    }

    /// Takes an attempt, or says how long the next one has to wait.
    fn check(&self, key: u64) -> Result<(), Duration> {
        let wait = |refused: NotUntil<Duration>| refused.wait_time_from(self.gate.clock().now());
        self.gate.check_key(&key).map_err(wait)
    }

    fn refund(&self, key: u64) {
        self.buckets.refund(key, self.interval);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOP: OrganisationId = OrganisationId(1);
    const MAILBOX: Mailbox = Mailbox(7);

    fn ip(text: &str) -> Option<ClientIp> {
        ClientIp::parse(text).ok()
    }

    fn remembering(config: &ThrottleConfig, clock: &Clock, earlier: &[ThrottledAttempt]) -> Throttle {
        let tell = |_, remember: &mut dyn FnMut(_)| {
            earlier.iter().copied().for_each(remember);
            Ok::<_, std::convert::Infallible>(())
        };
        Throttle::remembering(config, clock, tell).unwrap()
    }

    fn throttle(clock: &Clock) -> Throttle {
        remembering(&ThrottleConfig::default(), clock, &[])
    }

    /// How many attempts pass before the first that is refused, and for how long it is.
    fn passes(throttle: &Throttle, mailbox: Mailbox, ip: Option<ClientIp>) -> (u32, Duration) {
        for passed in 0..1_000 {
            if let Err(refused) = throttle.check(SHOP, mailbox, ip) {
                return (passed, refused.retry_after);
            }
        }
        panic!("nothing is refused");
    }

    #[test]
    fn a_mailbox_has_ten_attempts_which_come_back_one_a_minute() {
        let clock = Clock::system();
        let throttle = throttle(&clock);
        let (passed, wait) = passes(&throttle, MAILBOX, None);
        assert_eq!(passed, 10);
        assert!(wait > Duration::from_secs(58) && wait <= Duration::from_mins(1), "{wait:?}");
        clock.advance(wait);
        assert_eq!(passes(&throttle, MAILBOX, None).0, 1);
        clock.advance(Duration::from_mins(10));
        assert_eq!(passes(&throttle, MAILBOX, None).0, 10);
    }

    #[test]
    fn a_network_has_sixty_attempts() {
        let throttle = throttle(&Clock::system());
        for number in 0..60 {
            throttle.check(SHOP, Mailbox(number), ip(&format!("2001:db8::{number:x}"))).unwrap();
        }
        assert!(throttle.check(SHOP, Mailbox(100), ip("2001:db8::ffff")).is_err());
        assert!(throttle.check(SHOP, Mailbox(100), ip("2001:db8:0:1::1")).is_ok());
        assert!(throttle.check(OrganisationId(2), Mailbox(101), ip("2001:db8::1")).is_ok());
    }

    #[test]
    fn a_flood_from_one_network_does_not_use_up_a_mailbox() {
        let throttle = throttle(&Clock::system());
        for number in 0..60 {
            throttle.check(SHOP, Mailbox(number), ip("192.0.2.1")).unwrap();
        }
        for _ in 0..100 {
            throttle.check(SHOP, Mailbox(1_000), ip("192.0.2.1")).unwrap_err();
        }
        assert_eq!(passes(&throttle, Mailbox(1_000), ip("192.0.2.2")).0, 10);
    }

    #[test]
    fn what_could_not_be_decided_is_given_back() {
        let throttle = throttle(&Clock::system());
        for _ in 0..100 {
            throttle.check(SHOP, MAILBOX, ip("192.0.2.1")).unwrap();
            throttle.refund(SHOP, MAILBOX, ip("192.0.2.1"));
        }
        assert_eq!(passes(&throttle, MAILBOX, ip("192.0.2.1")).0, 10);
        throttle.refund(SHOP, Mailbox(8), None);
        assert_eq!(passes(&throttle, Mailbox(8), None).0, 10);
    }

    #[test]
    fn loopback_and_no_address_are_not_throttled_by_network() {
        let throttle = throttle(&Clock::system());
        for number in 0..1_000 {
            throttle.check(SHOP, Mailbox(number), if number % 2 == 0 { ip("localhost") } else { None }).unwrap();
        }
    }

    #[test]
    fn a_limit_of_nothing_is_no_limit() {
        let config: ThrottleConfig = toml::from_str("email.burst = 0\nip.burst = 0").unwrap();
        let throttle = remembering(&config, &Clock::system(), &[]);
        for _ in 0..1_000 {
            throttle.check(SHOP, MAILBOX, ip("192.0.2.1")).unwrap();
        }
    }

    /// supabase/auth #2600: with one limit off, another was too.
    #[test]
    fn a_limit_that_is_off_leaves_the_other_on() {
        for (toml, passed) in [("email.burst = 0", 60), ("ip.burst = 0", 10)] {
            let throttle = remembering(&toml::from_str(toml).unwrap(), &Clock::system(), &[]);
            assert_eq!(passes(&throttle, MAILBOX, ip("192.0.2.1")).0, passed, "{toml}");
        }
    }

    #[test]
    fn replayed_attempts_count_as_if_they_had_been_seen() {
        let clock = Clock::system();
        let at = |seconds_ago| clock.now() - Duration::from_secs(seconds_ago);
        let attempt = |seconds_ago, count| ThrottledAttempt {
            organisation: SHOP,
            mailbox: MAILBOX,
            ip: None,
            at: at(seconds_ago),
            count,
            is_refused: false,
        };
        let replayed = |attempts: &[ThrottledAttempt]| {
            passes(&remembering(&ThrottleConfig::default(), &clock, attempts), MAILBOX, None)
        };
        assert_eq!(replayed(&[attempt(0, 10)]).0, 0);
        assert_eq!(replayed(&[attempt(0, 1_000_000)]).0, 0);
        // Four have come back since: one a minute.
        assert_eq!(replayed(&[attempt(270, 5), attempt(265, 5)]).0, 4);
        assert_eq!(replayed(&[attempt(590, 3), attempt(10, 4)]).0, 6);
        let (passed, wait) = replayed(&[attempt(10, 10)]);
        assert_eq!(passed, 0);
        assert!(wait > Duration::from_secs(48) && wait <= Duration::from_secs(50), "{wait:?}");
        // What was refused took nothing, also when the limit is another one now.
        let refused = ThrottledAttempt { is_refused: true, ..attempt(5, 100) };
        assert_eq!(replayed(&[attempt(10, 2), refused]).0, 8);
        let future = ThrottledAttempt { at: clock.now() + Duration::from_hours(24), ..attempt(0, 10) };
        let (passed, wait) = replayed(&[future]);
        assert!(passed == 0 && wait <= Duration::from_mins(1), "{wait:?}");
    }
}
