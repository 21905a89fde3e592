#![no_main]
//! A customer's IP address: it is read as the standard library reads it, but for the names of this machine. Its canonical
//! text is read back as the same address, and so is its network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libfuzzer_sys::fuzz_target;
use magic_auth::domain::{ClientIp, Network};

fuzz_target!(|text: &str| {
    assert_eq!(ClientIp::parse(text).ok().map(ClientIp::get), expected(text));
    if let Ok(ip) = ClientIp::parse(text) {
        assert_eq!(ClientIp::parse(&ip.to_string()), Ok(ip));
        assert_eq!(ip.get(), ip.get().to_canonical());
        assert_eq!(ip.throttled_network().is_none(), ip.get().is_loopback());
    }
    if let Ok(network) = text.parse::<Network>() {
        assert_eq!(network.to_string().parse::<Network>().expect("its text is a network"), network);
    }
});

fn expected(text: &str) -> Option<IpAddr> {
    let this_machine = IpAddr::from(Ipv4Addr::LOCALHOST);
    if ["", "localhost"].contains(&text.to_ascii_lowercase().as_str()) {
        return Some(this_machine);
    }
    let others = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::LOCALHOST.into()];
    let ip = text.parse::<IpAddr>().ok()?.to_canonical();
    Some(if others.contains(&ip) { this_machine } else { ip })
}
