//! A network of IP addresses, as operators write it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};

/// An address, or a network written as `10.0.0.0/8`; bits behind the prefix do not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(IpNet);

/// The text is neither an address nor a network.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an IP address or a network such as 10.0.0.0/8")]
pub struct NetworkError;

impl Network {
    /// Whether `address` is in it. An IPv4-mapped IPv6 address is the IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// The network, without bits behind the prefix.
    #[must_use]
    pub fn get(self) -> IpNet {
        self.0
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let Some((address, length)) = text.split_once('/') else {
            let address: IpAddr = text.parse().map_err(|_| NetworkError)?;
            return Ok(Self(address.to_canonical().into()));
        };
        let is_number = length.bytes().all(|byte| byte.is_ascii_digit());
        let length = length.parse().ok().filter(|_| is_number).ok_or(NetworkError)?;
        let network = IpNet::new(address.parse().map_err(|_| NetworkError)?, length).map_err(|_| NetworkError)?;
        Ok(Self(canonical(network).trunc()))
    }
}

/// A network of IPv4-mapped IPv6 addresses is one of IPv4 addresses, as these addresses are.
fn canonical(network: IpNet) -> IpNet {
    let mapped = match network {
        IpNet::V6(network) if network.prefix_len() >= 96 => {
            network.addr().to_ipv4_mapped().zip(Some(network.prefix_len() - 96))
        }
        _ => None,
    };
    mapped.and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok()).map_or(network, IpNet::V4)
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_is_an_address_or_a_network() {
        let network: Network = "10.9.9.9/8".parse().unwrap();
        assert_eq!(network.to_string(), "10.0.0.0/8");
        assert!(network.contains("10.1.2.3".parse().unwrap()));
        assert!(network.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!network.contains("11.1.2.3".parse().unwrap()));
        let address: Network = "::1".parse().unwrap();
        assert!(address.contains("::1".parse().unwrap()));
        assert_eq!("::ffff:10.1.2.3".parse::<Network>().unwrap().to_string(), "10.1.2.3/32");
        assert_eq!("::ffff:10.1.2.3/104".parse::<Network>().unwrap().to_string(), "10.0.0.0/8");
        assert_eq!("::ffff:0:0/95".parse::<Network>().unwrap().to_string(), "::fffe:0:0/95");
        // Some read this as octal.
        for text in ["010.0.0.0/8", "10.0.0.0/+8", "1::2:3:4:5:6:7:8/128"] {
            assert_eq!(text.parse::<Network>(), Err(NetworkError), "{text}");
        }
        for text in ["", "proxy.example", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8 ", "10.0.0.1:80", "10.0.0/8", "/8"] {
            assert_eq!(text.parse::<Network>(), Err(NetworkError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn reading_any_text_never_panics(text: String) {
            let _ = text.parse::<Network>();
        }

        #[test]
        fn a_network_has_the_addresses_that_it_was_made_of(address: IpAddr, length in 0..=32_u8) {
            let network: Network = format!("{}/{length}", address.to_canonical()).parse().unwrap();
            prop_assert!(network.contains(address));
            prop_assert_eq!(network.to_string().parse::<Network>(), Ok(network));
        }
    }
}
