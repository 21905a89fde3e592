#![no_main]
//! Whatever bytes on a connection: what comes back is answers, and none of them says that the service failed, or a key.

use libfuzzer_sys::fuzz_target;
use magic_auth_fuzz::{client, contains};

fuzz_target!(|bytes: &[u8]| {
    let answers = client().throw(bytes);
    assert!(answers.is_empty() || answers.starts_with(b"HTTP/1."), "{:?}", String::from_utf8_lossy(&answers));
    assert!(!contains(&answers, b"\"errorCode\":\"INTERNAL_ERROR\""), "{}", String::from_utf8_lossy(&answers));
    assert!(!contains(&answers, b"\"errorCode\":\"E001\""), "{}", String::from_utf8_lossy(&answers));
});
