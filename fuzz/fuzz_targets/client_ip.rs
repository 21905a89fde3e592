#![no_main]
//! A customer's IP address: its canonical text is read back as the same address, and so is its network.

use libfuzzer_sys::fuzz_target;
use magic_auth::domain::{ClientIp, Network};

fuzz_target!(|text: &str| {
    if let Ok(ip) = ClientIp::parse(text) {
        assert_eq!(ClientIp::parse(&ip.to_string()), Ok(ip));
        assert_eq!(ip.get(), ip.get().to_canonical());
        assert_eq!(ip.throttled_network().is_none(), ip.get().is_loopback());
    }
    if let Ok(network) = text.parse::<Network>() {
        assert_eq!(network.to_string().parse::<Network>().expect("its text is a network"), network);
    }
});
