//! `customerRealIp`: the address of the customer whom the shop's backend speaks for.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr as _;

/// An IPv4 or IPv6 address in its canonical form. All names of "this machine" are `127.0.0.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientIp(IpAddr);

/// The text is no IP address.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an IPv4 or IPv6 address (such as 1.1.1.1 or 2001:4860:4860::8888, without port, zone or prefix length)")]
pub struct ClientIpError;

impl ClientIp {
    /// Reads an address as a backend sends it. Empty, `localhost`, `0.0.0.0`, `::` and `::1` are
    /// `127.0.0.1`; an IPv4-mapped IPv6 address is the IPv4 address.
    ///
    /// # Errors
    /// For anything else that is no plain IP address: a port, a zone, a prefix length, leading zeros.
    pub fn parse(text: &str) -> Result<Self, ClientIpError> {
        if text.is_empty() || text.eq_ignore_ascii_case("localhost") {
            return Ok(Self(Ipv4Addr::LOCALHOST.into()));
        }
        let address = parse_ip(text)?.to_canonical();
        let is_this_machine = address.is_unspecified() || address == IpAddr::from(Ipv6Addr::LOCALHOST);
        Ok(Self(if is_this_machine { Ipv4Addr::LOCALHOST.into() } else { address }))
    }

    /// The address.
    #[must_use]
    pub fn get(self) -> IpAddr {
        self.0
    }

    /// The network that is throttled as one caller: an IPv4 address, also one that an IPv6 address stands for, or the /64
    /// of an IPv6 address, which one household has at its disposal. `None` for loopback: that is a shop's own machine, the
    /// same for everybody.
    #[must_use]
    pub fn throttled_network(self) -> Option<IpAddr> {
        match self.0 {
            address if address.is_loopback() => None,
            IpAddr::V4(_) => Some(self.0),
            IpAddr::V6(address) => Some(match embedded_ipv4(self.0) {
                Some(embedded) => embedded.into(),
                None => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
            }),
        }
    }
}

/// Reads an address as it stands there, of whatever kind.
///
/// # Errors
/// For anything that is no plain IP address.
pub fn parse_ip(text: &str) -> Result<IpAddr, ClientIpError> {
    IpAddr::from_str(text).map_err(|_| ClientIpError)
}

/// The IPv4 address for which an IPv6 address stands.
pub(crate) fn embedded_ipv4(ip: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(ip) = ip else { return None };
    let ipv4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match ip.segments() {
        // IPv4-mapped; NAT64 by its well-known prefix; 6to4.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            Some(ipv4(high, low))
        }
        // Teredo: the client's address stands at the end, inverted.
        [0x2001, 0, .., high, low] => Some(ipv4(!high, !low)),
        _ => None,
    }
}

/// RFC 5952 for IPv6, dotted decimal for IPv4.
impl fmt::Display for ClientIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(text: &str) -> String {
        ClientIp::parse(text).unwrap().to_string()
    }

    #[test]
    fn addresses_are_written_canonically() {
        for (sent, expected) in [
            ("1.1.1.1", "1.1.1.1"),
            ("2001:4860:4860::8888", "2001:4860:4860::8888"),
            ("2001:4860:4860:0000:0000:0000:0000:8888", "2001:4860:4860::8888"),
            ("2001:DB8::A", "2001:db8::a"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("::ffff:c000:0201", "192.0.2.1"),
        ] {
            assert_eq!(canonical(sent), expected);
        }
    }

    #[test]
    fn every_name_of_this_machine_is_127_0_0_1() {
        let names =
            ["", "localhost", "LocalHost", "0.0.0.0", "::", "::1", "0:0:0:0:0:0:0:1", "::ffff:0.0.0.0", "127.0.0.1"];
        for name in names {
            assert_eq!(canonical(name), "127.0.0.1", "{name}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            " ",
            "1.1.1.1 ",
            "1.1.1",
            "1.1.1.256",
            "01.1.1.1",
            "1.1.1.1:80",
            "[::1]",
            "[::1]:80",
            "fe80::1%eth0",
            "10.0.0.0/8",
            "1.1.1.1,2.2.2.2",
            "0x7f.1",
            "2130706433",
            "localhost.",
            "unknown",
            "::ffff:01.1.1.1",
            "1.1.1.1\0",
        ] {
            assert_eq!(ClientIp::parse(text), Err(ClientIpError), "{text}");
        }
    }

    #[test]
    fn an_ipv6_household_is_throttled_as_one() {
        let network = |text| ClientIp::parse(text).unwrap().throttled_network();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), network("2001:DB8:1:2::"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_ne!(network("1.1.1.1"), network("1.1.1.2"));
        assert_eq!(network("::ffff:1.1.1.1"), network("1.1.1.1"));
        for same in ["64:ff9b::1.1.1.1", "2002:101:101:7::1", "2002:101:101:8::1"] {
            assert_eq!(network(same), network("1.1.1.1"), "{same}");
        }
        assert_ne!(network("64:ff9b::1.1.1.1"), network("64:ff9b::1.1.1.2"));
        assert_eq!(network("localhost"), None);
        assert_eq!(network("127.8.8.8"), None);
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text: String) {
            let _ = ClientIp::parse(&text);
        }

        #[test]
        fn normalising_twice_changes_nothing(address: IpAddr) {
            let once = ClientIp::parse(&address.to_string()).unwrap();
            prop_assert_eq!(ClientIp::parse(&once.to_string()), Ok(once));
        }
    }
}
