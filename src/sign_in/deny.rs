//! The operator's rules about where customers are (`[sign_in.deny]`). They ask what is in memory and nothing else.

use std::fmt;
use std::net::IpAddr;

use crate::config::DenyConfig;
use crate::domain::{CountryCode, Flag, Network, embedded_ipv4};
use crate::geoip::GeoIp;

/// What an address is denied for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenyReason {
    /// It is in this network.
    Network(Network),
    /// It is in this country.
    Country(CountryCode),
    /// It is in this autonomous system.
    Asn(u32),
    /// It has this flag.
    Flag(Flag),
}

/// The first rule that denies the address, if there is one.
#[must_use]
pub fn deny_reason(rules: &DenyConfig, geoip: &GeoIp, ip: IpAddr) -> Option<DenyReason> {
    let embedded = embedded_ipv4(ip).map(IpAddr::V4);
    let is_in = |network: &&Network| network.contains(ip) || embedded.is_some_and(|ip| network.contains(ip));
    if let Some(network) = rules.cidrs.iter().find(is_in) {
        return Some(DenyReason::Network(*network));
    }
    if rules.countries.is_empty() && rules.asns.is_empty() && rules.flags.is_empty() {
        return None;
    }
    let traits = geoip.traits(ip);
    let country = traits.country.filter(|country| rules.countries.contains(country)).map(DenyReason::Country);
    let asn = || traits.asn.filter(|asn| rules.asns.contains(asn)).map(DenyReason::Asn);
    let is_set = |flag: &Flag| traits.flags.get(*flag) == Some(true);
    country.or_else(asn).or_else(|| rules.flags.iter().copied().find(is_set).map(DenyReason::Flag))
}

impl fmt::Display for DenyReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => write!(f, "network {network}"),
            Self::Country(country) => write!(f, "country {country}"),
            Self::Asn(asn) => write!(f, "AS{asn}"),
            Self::Flag(flag) => f.write_str(flag.as_str()),
        }
    }
}
