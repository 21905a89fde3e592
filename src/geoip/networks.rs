//! A list of addresses and networks: one a line, with comments behind `#`.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use prefix_trie::joint::JointPrefixSet;

use crate::domain::{Network, NetworkError};

/// The addresses and networks of a list.
pub(super) struct Networks(JointPrefixSet<IpNet>);

/// A line that is neither an address nor a network.
#[derive(Debug)]
pub(super) struct BadLine {
    /// From 1.
    pub(super) number: usize,
    pub(super) cause: NetworkError,
}

impl Networks {
    /// Reads a list. In comments, any bytes may stand.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, BadLine> {
        let mut networks = JointPrefixSet::new();
        for (index, line) in String::from_utf8_lossy(bytes).lines().enumerate() {
            let entry = line.split_once('#').map_or(line, |(entry, _)| entry).trim();
            if !entry.is_empty() {
                let network: Network = entry.parse().map_err(|cause| BadLine { number: index + 1, cause })?;
                networks.insert(network.get());
            }
        }
        Ok(Self(networks))
    }

    pub(super) fn contains(&self, address: IpAddr) -> bool {
        self.0.get_lpm(&address.into()).is_some()
    }

    /// How many there are, each counted once.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Debug for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} networks", self.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_has_an_address_or_a_network_or_nothing() {
        let list = b"# exits\r\n192.0.2.1\r\n\n  198.51.100.0/24  # a comment of \xff\n2001:db8::/32\n\
            2001:db8:1::/48\n203.0.113.9/31\n192.0.2.1/32\n::ffff:192.0.2.7\n#";
        let networks = Networks::parse(list).unwrap();
        assert_eq!(networks.count(), 6);
        for inside in ["192.0.2.1", "192.0.2.7", "198.51.100.255", "203.0.113.8", "2001:db8:ffff::1", "2001:db8:1::1"] {
            assert!(networks.contains(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["192.0.2.2", "198.51.101.0", "203.0.113.10", "2001:db9::", "::c000:201", "::"] {
            assert!(!networks.contains(outside.parse().unwrap()), "{outside}");
        }
        assert_eq!(Networks::parse(b"").unwrap().count(), 0);
        assert!(Networks::parse(b"0.0.0.0/0").unwrap().contains("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn a_bad_line_is_told_by_its_number() {
        for (list, number) in [
            (&b"tor"[..], 1),
            (b"# \n\n192.0.2.0/33", 3),
            (b"192.0.2.1\n192.0.2.1 192.0.2.2\n", 2),
            (b"192.0.2.1\n192.0.2.1-192.0.2.9\n", 2),
            (b"\xff\xfe", 1),
        ] {
            assert_eq!(Networks::parse(list).unwrap_err().number, number, "{list:?}");
        }
    }

    proptest! {
        #[test]
        fn a_list_has_what_its_networks_have(
            networks in prop::collection::vec((any::<IpAddr>(), 0..=32_u8), 0..20),
            address: IpAddr,
        ) {
            let address = address.to_canonical();
            let networks: Vec<_> = networks.iter().map(|(ip, length)| format!("{}/{length}", ip.to_canonical())).collect();
            let list = Networks::parse(networks.join("\n").as_bytes()).unwrap();
            let is_in_one = networks.iter().any(|network| network.parse::<Network>().unwrap().contains(address));
            prop_assert_eq!(list.contains(address), is_in_one);
        }

        #[test]
        fn reading_any_bytes_never_panics(bytes: Vec<u8>) {
            let _ = Networks::parse(&bytes);
        }
    }
}
