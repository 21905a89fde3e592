//! What no value of the configuration can tell alone: whether they go together.

use std::collections::HashSet;
use std::time::Duration;

use governor::Quota;

use super::{Config, Period};
use crate::domain::KeyKind;

/// More threads than that are a mistake, and more than the HTTP server can have.
pub const MAX_WORKERS: usize = 512;

impl Config {
    /// Gives the first contradiction.
    pub(super) fn check(&self) -> Result<(), String> {
        let checks = [
            Self::check_workers,
            Self::check_addresses,
            Self::check_quotas,
            Self::check_throttle,
            Self::check_deny,
            Self::check_names,
            Self::check_keys,
        ];
        checks.iter().try_for_each(|check| check(self))
    }

    fn check_workers(&self) -> Result<(), String> {
        if self.server.workers > MAX_WORKERS {
            return Err(format!("server.workers is at most {MAX_WORKERS}"));
        }
        Ok(())
    }

    fn check_addresses(&self) -> Result<(), String> {
        let public = self.server.listen;
        if public.port() != 0 && self.admin.listen == Some(public) {
            return Err(format!("server.listen and admin.listen are both {public}: give one of them another port"));
        }
        Ok(())
    }

    fn check_quotas(&self) -> Result<(), String> {
        for (name, limit) in [("prod", self.rate_limit.prod), ("dev", self.rate_limit.dev)] {
            if limit.burst == Some(0) && limit.requests != Some(0) {
                return Err(format!("rate_limit.{name}.burst is at least 1: for no limit at all, set requests = 0"));
            }
        }
        check_refill("rate_limit.prod", self.rate_limit.quota(KeyKind::Prod))?;
        check_refill("rate_limit.dev", self.rate_limit.quota(KeyKind::Dev))?;
        Ok(())
    }

    fn check_throttle(&self) -> Result<(), String> {
        for (name, quota) in
            [("throttle.email", self.throttle.mailbox_quota()), ("throttle.ip", self.throttle.network_quota())]
        {
            if check_refill(name, quota)? > self.retention.login_attempts.get() {
                return Err(format!(
                    "retention.login_attempts is shorter than {name}.period: keep attempts for at least as long, for \
                     the throttle is rebuilt from them at each start"
                ));
            }
        }
        Ok(())
    }

    /// A rule that nothing could ever match is a mistake, and one that would be noticed late.
    fn check_deny(&self) -> Result<(), String> {
        let (deny, geoip) = (&self.sign_in.deny, &self.geoip);
        if !geoip.databases.is_empty() {
            return Ok(());
        }
        for (name, is_used) in [("countries", !deny.countries.is_empty()), ("asns", !deny.asns.is_empty())] {
            if is_used {
                return Err(format!("sign_in.deny.{name} can match nobody: name databases in [geoip]"));
            }
        }
        if let Some(flag) = deny.flags.iter().find(|flag| !geoip.lists.tell(**flag)) {
            let flag = flag.as_str();
            return Err(format!(
                "sign_in.deny.flags: {flag:?} can match nobody: name databases in [geoip], or a list in [geoip.lists]"
            ));
        }
        Ok(())
    }

    fn check_names(&self) -> Result<(), String> {
        let mut names = HashSet::new();
        let mut listed = self.organisations.iter().map(|organisation| organisation.name.as_str());
        match listed.find(|name| !names.insert(*name)) {
            Some(name) => Err(format!("the organisation {name:?} is listed twice")),
            None => Ok(()),
        }
    }

    fn check_keys(&self) -> Result<(), String> {
        let mut keys = HashSet::new();
        for organisation in &self.organisations {
            let name = organisation.name.as_str();
            for key in &organisation.api_keys {
                if !keys.insert(key.digest()) {
                    return Err(format!("the key {} of organisation {name:?} is listed twice", key.label()));
                }
                if key.is_demo() && !self.server.listen.ip().is_loopback() {
                    let address = self.server.listen;
                    return Err(format!(
                        "organisation {name:?} has a demo key, which everybody knows: before the server listens on \
                         {address}, remove it from api_keys, then make another (magic-auth key create)"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// The time in which the whole burst comes back.
fn check_refill(name: &str, quota: Option<Quota>) -> Result<Duration, String> {
    let refill = quota.map_or(Duration::ZERO, |quota| quota.replenish_interval() * quota.burst_size().get());
    if refill > Period::LONGEST {
        return Err(format!("{name}: the whole burst would take more than 36500d to refill"));
    }
    Ok(refill)
}
