#![no_main]
//! A body in parts: the first line is its boundary.

use libfuzzer_sys::fuzz_target;
use magic_auth_fuzz::post;

fuzz_target!(|input: &[u8]| {
    let line = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (boundary, body) = (&input[..line], input.get(line + 1..).unwrap_or_default());
    // What cannot stand in a header is the raw target's business.
    let Ok(boundary) = std::str::from_utf8(boundary) else { return };
    if !boundary.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return;
    }
    let content_type = format!("multipart/form-data; boundary={boundary}");
    post("/api/v1/customer/magic-auth", &content_type, body);
});
