//! How much of each limit is left, for the operator who asks. A sign-in never asks: it takes.

use std::num::NonZeroU32;
use std::time::Duration;

use super::{Limit, Limiter, Throttle};
use crate::domain::{ClientIp, Mailbox, OrganisationId};

/// What a limit still lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// The attempts that are let through at once when none were made.
    pub burst: u32,
    /// The attempts that are left, one at least; or, when none is, the time until one is.
    pub left: Result<u32, Duration>,
}

impl Throttle {
    /// What the limits still let through, in the order in which they are asked; `None`: this limit does not
    /// apply. Finding out uses the attempts up, so the throttle is gone with them.
    #[must_use]
    pub fn into_allowances(
        self,
        organisation: OrganisationId,
        mailbox: Mailbox,
        ip: Option<ClientIp>,
    ) -> [(Limit, Option<Allowance>); 2] {
        let limits = self.limits(organisation, mailbox, ip);
        limits.map(|(limit, limiter)| (limit, limiter.map(|(limiter, key)| limiter.use_up(key))))
    }
}

impl Limiter {
    fn use_up(&self, key: u64) -> Allowance {
        // While they are taken, others come back.
        let take_all = |()| self.take_rest(key).saturating_add(1).min(self.burst.get());
        Allowance { burst: self.burst.get(), left: self.check(key).map(take_all) }
    }

    /// Takes as many attempts as there are, by powers of two from the greatest within the burst down, so that
    /// also one of millions is counted in a few steps.
    fn take_rest(&self, key: u64) -> u32 {
        let powers = (0..=self.burst.ilog2()).rev().filter_map(|bit| NonZeroU32::new(1 << bit));
        powers.filter(|some| matches!(self.gate.check_key_n(&key, *some), Ok(Ok(())))).map(NonZeroU32::get).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::config::ThrottleConfig;

    const SHOP: OrganisationId = OrganisationId(1);
    const MAILBOX: Mailbox = Mailbox(7);

    fn throttle(config: &ThrottleConfig) -> Throttle {
        Throttle::remembering(config, &Clock::system(), |_, _| Ok::<_, std::convert::Infallible>(())).unwrap()
    }

    /// Attempts left of the mailbox and of the network after some attempts by limits as in `config`.
    fn left_after(attempts: usize, config: &str) -> [Option<Allowance>; 2] {
        let config: ThrottleConfig = toml::from_str(config).unwrap();
        let throttle = throttle(&config);
        let ip = ClientIp::parse("192.0.2.1").ok();
        for _ in 0..attempts {
            throttle.check(SHOP, MAILBOX, ip).unwrap();
        }
        throttle.into_allowances(SHOP, MAILBOX, ip).map(|(_, allowance)| allowance)
    }

    #[test]
    fn what_is_left_is_what_was_not_taken() {
        for taken in [0, 1, 7, 9] {
            let expected = [(60, 60 - taken), (10, 10 - taken)];
            let expected = expected.map(|(burst, left)| Some(Allowance { burst, left: Ok(left) }));
            assert_eq!(left_after(taken as usize, ""), expected);
        }
        let [_, mailbox] = left_after(3, "email = { burst = 4000000000, period = \"36500d\" }");
        assert_eq!(mailbox.unwrap().left, Ok(3_999_999_997));
        let [_, mailbox] = left_after(0, "email = { burst = 4294967295, period = \"1ms\" }");
        assert_eq!(mailbox.unwrap().left, Ok(u32::MAX));
    }

    #[test]
    fn when_nothing_is_left_it_is_said_until_when() {
        let [network, mailbox] = left_after(10, "");
        assert_eq!(network.unwrap().left, Ok(50));
        let wait = mailbox.unwrap().left.unwrap_err();
        assert!(wait > Duration::from_secs(58) && wait <= Duration::from_mins(1), "{wait:?}");
    }

    #[test]
    fn a_limit_that_does_not_apply_has_no_allowance() {
        assert_eq!(left_after(0, "email.burst = 0\nip.burst = 0"), [None, None]);
        let throttle = throttle(&ThrottleConfig::default());
        let [(limit, network), _] = throttle.into_allowances(SHOP, MAILBOX, ClientIp::parse("localhost").ok());
        assert_eq!((limit, network), (Limit::Network, None));
    }
}
