//! What an address is by its bits alone: public, or one of those that no database can know.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::embedded_ipv4;
use AddressKind::{Cgnat, Documentation, LinkLocal, Loopback, Multicast, Private, Public, Reserved};

/// What an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AddressKind {
    /// Anybody's in the internet.
    Public,
    /// This machine.
    Loopback,
    /// A network of one's own.
    Private,
    /// The same cable.
    LinkLocal,
    /// A provider's own network, behind which are many customers (carrier-grade NAT).
    Cgnat,
    /// Examples in texts.
    Documentation,
    /// A group of machines.
    Multicast,
    /// Nobody's: reserved, or for a protocol's use.
    Reserved,
}

impl AddressKind {
    /// Whether it is anybody's in the internet, of whom something can be known.
    #[must_use]
    pub fn is_public(self) -> bool {
        self == Public
    }

    /// How the API and the command line call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Public => "public",
            Loopback => "loopback",
            Private => "private",
            LinkLocal => "link-local",
            Cgnat => "cgnat",
            Documentation => "documentation",
            Multicast => "multicast",
            Reserved => "reserved",
        }
    }
}

/// An address, what it is for, and the IPv4 address within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) ip: IpAddr,
    /// The kind of the embedded address, if there is one.
    pub(super) kind: AddressKind,
    /// Of an IPv6 address that stands for it: mapped, 6to4, NAT64 or Teredo.
    pub(super) embedded: Option<Ipv4Addr>,
}

impl Address {
    pub(super) fn new(ip: IpAddr) -> Self {
        let embedded = embedded_ipv4(ip);
        let kind = match (ip, embedded) {
            (IpAddr::V4(ip), _) | (_, Some(ip)) => kind_of_ipv4(ip),
            (IpAddr::V6(ip), None) => kind_of_ipv6(ip),
        };
        Self { ip, kind, embedded }
    }

    /// What databases are asked for: the embedded address, if there is one. `None`: nothing, for it is special.
    pub(super) fn asked_for(self) -> Option<IpAddr> {
        (self.kind == Public).then(|| self.embedded.map_or(self.ip, IpAddr::V4))
    }
}

fn kind_of_ipv4(ip: Ipv4Addr) -> AddressKind {
    let is_in = |network: Ipv4Addr, length: u8| (ip.to_bits() ^ network.to_bits()) >> (32 - length) == 0;
    SPECIAL_IPV4.iter().find(|(network, length, _)| is_in(*network, *length)).map_or(Public, |(.., kind)| *kind)
}

fn kind_of_ipv6(ip: Ipv6Addr) -> AddressKind {
    let is_in = |network: Ipv6Addr, length: u8| (ip.to_bits() ^ network.to_bits()) >> (128 - length) == 0;
    SPECIAL_IPV6.iter().find(|(network, length, _)| is_in(*network, *length)).map_or(Reserved, |(.., kind)| *kind)
}

const fn v4(a: u8, b: u8, c: u8, d: u8) -> Ipv4Addr {
    Ipv4Addr::new(a, b, c, d)
}

/// The IANA's registry of special IPv4 addresses; the first that fits counts, and what does not stand here is public.
/// What the registry calls globally reachable is public.
const SPECIAL_IPV4: [(Ipv4Addr, u8, AddressKind); 17] = [
    (v4(0, 0, 0, 0), 8, Reserved),
    (v4(10, 0, 0, 0), 8, Private),
    (v4(100, 64, 0, 0), 10, Cgnat),
    (v4(127, 0, 0, 0), 8, Loopback),
    (v4(169, 254, 0, 0), 16, LinkLocal),
    (v4(172, 16, 0, 0), 12, Private),
    // Anycast addresses of PCP and TURN.
    (v4(192, 0, 0, 9), 32, Public),
    (v4(192, 0, 0, 10), 32, Public),
    (v4(192, 0, 0, 0), 24, Reserved),
    (v4(192, 0, 2, 0), 24, Documentation),
    // Relays of 6to4, given up.
    (v4(192, 88, 99, 0), 24, Reserved),
    (v4(192, 168, 0, 0), 16, Private),
    // Benchmarks of networks.
    (v4(198, 18, 0, 0), 15, Reserved),
    (v4(198, 51, 100, 0), 24, Documentation),
    (v4(203, 0, 113, 0), 24, Documentation),
    (v4(224, 0, 0, 0), 4, Multicast),
    (v4(240, 0, 0, 0), 4, Reserved),
];

/// The network of an IPv6 address of which the first four groups are given.
const fn v6(a: u16, b: u16, c: u16, d: u16) -> Ipv6Addr {
    Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)
}

/// The same of IPv6. There, what does not stand here is reserved: only `2000::/3` is given out.
const SPECIAL_IPV6: [(Ipv6Addr, u8, AddressKind); 16] = [
    (Ipv6Addr::LOCALHOST, 128, Loopback),
    // NAT64 of one's own, whose prefix may be longer: the address within cannot be told.
    (v6(0x64, 0xff9b, 1, 0), 48, Private),
    // Anycast addresses of PCP, TURN and DNS-SD.
    (Ipv6Addr::new(0x2001, 1, 0, 0, 0, 0, 0, 1), 128, Public),
    (Ipv6Addr::new(0x2001, 1, 0, 0, 0, 0, 0, 2), 128, Public),
    (Ipv6Addr::new(0x2001, 1, 0, 0, 0, 0, 0, 3), 128, Public),
    // AMT and AS112.
    (v6(0x2001, 3, 0, 0), 32, Public),
    (v6(0x2001, 4, 0x112, 0), 48, Public),
    // ORCHIDv2 and DRIP.
    (v6(0x2001, 0x20, 0, 0), 28, Public),
    (v6(0x2001, 0x30, 0, 0), 28, Public),
    // The rest of what protocols have.
    (v6(0x2001, 0, 0, 0), 23, Reserved),
    (v6(0x2001, 0xdb8, 0, 0), 32, Documentation),
    (v6(0x3fff, 0, 0, 0), 20, Documentation),
    (v6(0x2000, 0, 0, 0), 3, Public),
    (v6(0xfc00, 0, 0, 0), 7, Private),
    (v6(0xfe80, 0, 0, 0), 10, LinkLocal),
    (v6(0xff00, 0, 0, 0), 8, Multicast),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address(text: &str) -> Address {
        Address::new(text.parse().unwrap())
    }

    #[test]
    fn special_ipv4_networks_are_known_from_their_first_to_their_last_address() {
        for (first, last, kind) in [
            ("0.0.0.0", "0.255.255.255", Reserved),
            ("1.0.0.0", "9.255.255.255", Public),
            ("10.0.0.0", "10.255.255.255", Private),
            ("11.0.0.0", "100.63.255.255", Public),
            ("100.64.0.0", "100.127.255.255", Cgnat),
            ("100.128.0.0", "126.255.255.255", Public),
            ("127.0.0.0", "127.255.255.255", Loopback),
            ("128.0.0.0", "169.253.255.255", Public),
            ("169.254.0.0", "169.254.255.255", LinkLocal),
            ("169.255.0.0", "172.15.255.255", Public),
            ("172.16.0.0", "172.31.255.255", Private),
            ("172.32.0.0", "191.255.255.255", Public),
            ("192.0.0.0", "192.0.0.8", Reserved),
            ("192.0.0.9", "192.0.0.10", Public),
            ("192.0.0.11", "192.0.0.255", Reserved),
            ("192.0.1.0", "192.0.1.255", Public),
            ("192.0.2.0", "192.0.2.255", Documentation),
            ("192.0.3.0", "192.88.98.255", Public),
            ("192.31.196.0", "192.31.196.255", Public),
            ("192.52.193.0", "192.52.193.255", Public),
            ("192.88.99.0", "192.88.99.255", Reserved),
            ("192.88.100.0", "192.167.255.255", Public),
            ("192.168.0.0", "192.168.255.255", Private),
            ("192.169.0.0", "198.17.255.255", Public),
            ("192.175.48.0", "192.175.48.255", Public),
            ("198.18.0.0", "198.19.255.255", Reserved),
            ("198.20.0.0", "198.51.99.255", Public),
            ("198.51.100.0", "198.51.100.255", Documentation),
            ("198.51.101.0", "203.0.112.255", Public),
            ("203.0.113.0", "203.0.113.255", Documentation),
            ("203.0.114.0", "223.255.255.255", Public),
            ("224.0.0.0", "239.255.255.255", Multicast),
            ("240.0.0.0", "255.255.255.254", Reserved),
            ("255.255.255.255", "255.255.255.255", Reserved),
        ] {
            for text in [first, last] {
                assert_eq!(address(text).kind, kind, "{text}");
                assert_eq!(address(text).embedded, None);
            }
        }
    }

    #[test]
    fn special_ipv6_networks_are_known_from_their_first_to_their_last_address() {
        for (first, last, kind) in [
            ("::", "::", Reserved),
            ("::1", "::1", Loopback),
            // What was once IPv4-compatible.
            ("::2", "::fffe:ffff:ffff", Reserved),
            ("64:ff9b:0:0:0:1::", "64:ff9b::ffff:ffff:ffff:ffff:ffff", Reserved),
            ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", Private),
            ("100::", "100::ffff:ffff:ffff:ffff", Reserved),
            ("100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff", Reserved),
            ("101::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reserved),
            ("2000::", "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Public),
            ("2001:1::", "2001:1::", Reserved),
            ("2001:1::1", "2001:1::3", Public),
            ("2001:1::4", "2001:2:ffff:ffff:ffff:ffff:ffff:ffff", Reserved),
            ("2001:3::", "2001:3:ffff:ffff:ffff:ffff:ffff:ffff", Public),
            ("2001:4::", "2001:4:111:ffff:ffff:ffff:ffff:ffff", Reserved),
            ("2001:4:112::", "2001:4:112:ffff:ffff:ffff:ffff:ffff", Public),
            ("2001:4:113::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff", Reserved),
            ("2001:20::", "2001:3f:ffff:ffff:ffff:ffff:ffff:ffff", Public),
            ("2001:40::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", Reserved),
            ("2001:200::", "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", Public),
            ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", Documentation),
            ("2001:db9::", "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Public),
            ("2003::", "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Public),
            ("2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff", Public),
            ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", Documentation),
            ("3fff:1000::", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Public),
            ("4000::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reserved),
            ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reserved),
            ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Private),
            ("fe00::", "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reserved),
            ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", LinkLocal),
            ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reserved),
            ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Multicast),
        ] {
            for text in [first, last] {
                assert_eq!(address(text).kind, kind, "{text}");
                assert_eq!(address(text).embedded, None, "{text}");
            }
        }
    }

    #[test]
    fn an_ipv6_address_that_stands_for_an_ipv4_address_is_what_that_is() {
        for (text, embedded, kind) in [
            ("::ffff:8.8.8.8", "8.8.8.8", Public),
            ("::ffff:127.0.0.1", "127.0.0.1", Loopback),
            ("64:ff9b::808:808", "8.8.8.8", Public),
            ("64:ff9b::a01:203", "10.1.2.3", Private),
            ("2002:808:808::", "8.8.8.8", Public),
            ("2002:808:808:ffff:ffff:ffff:ffff:ffff", "8.8.8.8", Public),
            ("2002:c000:201::1", "192.0.2.1", Documentation),
            ("2001::f7f7:f7f7", "8.8.8.8", Public),
            ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "192.0.2.45", Documentation),
        ] {
            let address = address(text);
            assert_eq!((address.embedded, address.kind), (Some(embedded.parse().unwrap()), kind), "{text}");
            let asked_for = (kind == Public).then(|| embedded.parse().unwrap());
            assert_eq!(address.asked_for(), asked_for, "{text}");
        }
    }

    proptest! {
        #[test]
        fn only_public_addresses_are_asked_for(ip: IpAddr) {
            let address = Address::new(ip);
            prop_assert_eq!(address.asked_for().is_some(), address.kind == Public);
            if let Some(asked_for) = address.asked_for() {
                prop_assert_eq!(Address::new(asked_for), Address { ip: asked_for, kind: Public, embedded: None });
            }
        }

        #[test]
        fn a_mapped_address_is_what_the_ipv4_address_is(ip: Ipv4Addr) {
            let mapped = Address::new(ip.to_ipv6_mapped().into());
            prop_assert_eq!((mapped.kind, mapped.embedded), (Address::new(ip.into()).kind, Some(ip)));
        }
    }
}
