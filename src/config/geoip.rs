//! `[geoip]`: where the knowledge about addresses comes from.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::values::{DnsServer, FilePath, Period};
use crate::domain::Flag;

/// `[geoip]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "the table [geoip]")]
pub struct GeoIpConfig {
    /// Files in MaxMind's format, of any vendor. Of what several know, the first in the list is believed.
    pub databases: Vec<FilePath>,
    /// Whether the names of addresses are asked of the DNS.
    pub reverse_dns: bool,
    /// Whom the DNS is asked of; empty: whom the system asks.
    pub dns_servers: Vec<DnsServer>,
    /// After how long what is stored of an address is looked up anew.
    pub refresh: Period,
    /// The autonomous systems of hosting companies; absent: those that are shipped with the program.
    pub hosting_asns: Option<Vec<u32>>,
    /// Lists of addresses and networks.
    pub lists: ListsConfig,
}

impl Default for GeoIpConfig {
    fn default() -> Self {
        Self {
            databases: Vec::new(),
            reverse_dns: false,
            dns_servers: Vec::new(),
            refresh: Period::new(Duration::from_hours(30 * 24)),
            hosting_asns: None,
            lists: ListsConfig::default(),
        }
    }
}

/// `[geoip.lists]`: files with an address or a network in each line.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "the table [geoip.lists]")]
pub struct ListsConfig {
    /// Exits of the Tor network.
    pub tor: Vec<FilePath>,
    /// Virtual private networks.
    pub vpn: Vec<FilePath>,
    /// Open proxies.
    pub proxy: Vec<FilePath>,
    /// Hosting companies.
    pub hosting: Vec<FilePath>,
}

impl ListsConfig {
    /// Whether there is a list that can tell of an address that it has the flag.
    #[must_use]
    pub fn tell(&self, flag: Flag) -> bool {
        match flag {
            Flag::Tor => !self.tor.is_empty(),
            Flag::Vpn => !self.vpn.is_empty(),
            Flag::Proxy => !self.proxy.is_empty(),
            Flag::Hosting => !self.hosting.is_empty(),
            Flag::Anonymous => Flag::HIDING.into_iter().any(|flag| self.tell(flag)),
        }
    }
}

impl GeoIpConfig {
    /// Reads all paths from `folder` on.
    pub(super) fn join_to(&mut self, folder: &Path) {
        let ListsConfig { tor, vpn, proxy, hosting } = &mut self.lists;
        for path in [&mut self.databases, tor, vpn, proxy, hosting].into_iter().flatten() {
            path.join_to(folder);
        }
    }
}
