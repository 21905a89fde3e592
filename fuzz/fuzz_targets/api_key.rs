#![no_main]
//! The ways of a key: the first line goes into the query, the second into the header, the rest is the body. Only the key that
//! is in force opens the door.

use libfuzzer_sys::fuzz_target;
use magic_auth_fuzz::{KEY, exchange};

fuzz_target!(|input: &[u8]| {
    let mut lines = input.splitn(3, |byte| *byte == b'\n');
    let [query, header, body] = [(); 3].map(|()| lines.next().unwrap_or_default());
    if !query.iter().all(u8::is_ascii_graphic) || !header.iter().all(|byte| *byte == b' ' || byte.is_ascii_graphic()) {
        return;
    }
    let length = format!("\r\nContent-Length: {}\r\n\r\n", body.len());
    let head = [
        b"POST /api/v1/customer/logout?".as_slice(),
        query,
        b" HTTP/1.1\r\nHost: fuzz\r\nContent-Type: application/json\r\nAuthorization: ",
        header,
        length.as_bytes(),
    ];
    let status = exchange(&[head.concat(), body.to_vec()].concat());
    let is_there = |text: &[u8]| {
        text.windows(4).any(|bytes| bytes == &KEY.as_bytes()[..4] || bytes.contains(&b'%') || bytes.contains(&b'\\'))
    };
    if !is_there(query) && !is_there(header) && !is_there(body) {
        assert!(matches!(status, 400 | 401), "the door is open: {status}");
    }
});
