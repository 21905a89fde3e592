//! Which address a request comes from, for the access log. Nothing is decided by it.

use std::net::IpAddr;

use actix_web::http::header::HeaderMap;

use crate::domain::Network;

/// The peer, or, when that is a trusted proxy, the last address in `X-Forwarded-For` that is none.
///
/// The list is read from its end, for each proxy adds to it there, and what stands before the first
/// untrusted address is whatever the client wrote.
pub(super) fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|proxy| proxy.contains(address));
    let mut client = peer.to_canonical();
    let lists: Vec<_> = headers.get_all("x-forwarded-for").collect();
    let mut hops = lists.into_iter().rev().flat_map(|list| list.as_bytes().rsplit(|byte| *byte == b','));
    while is_trusted(client)
        && let Some(hop) = hops.next()
    {
        let Some(address) = std::str::from_utf8(hop).ok().and_then(|hop| hop.trim().parse::<IpAddr>().ok()) else {
            break;
        };
        client = address.to_canonical();
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    fn client(peer: &str, forwarded: &[&'static str]) -> String {
        let mut headers = HeaderMap::new();
        for list in forwarded {
            headers
                .append(HeaderName::from_static("x-forwarded-for"), HeaderValue::from_bytes(list.as_bytes()).unwrap());
        }
        let trusted = ["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()];
        client_address(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        assert_eq!(client("192.0.2.1", &["198.51.100.1"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(client("::ffff:10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(client("::1", &[]), "::1");
    }

    /// supabase/auth #2282: a list of addresses was taken for one.
    #[test]
    fn what_the_client_wrote_before_the_proxies_is_not_believed() {
        assert_eq!(client("10.0.0.1", &["1.1.1.1, 198.51.100.1, 10.0.0.2"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["1.1.1.1", "198.51.100.1", "10.0.0.2"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
        assert_eq!(client("10.0.0.1", &["1.1.1.1, nonsense"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["1.1.1.1, \u{ff}, 198.51.100.1"]), "198.51.100.1");
    }
}
