#![no_main]
//! The ways of a key: the first line goes into the query, the second into the header, the rest is the body. Only the key that
//! is in force opens the door, where the first place that has one has it. (`@` stands for it.)

use libfuzzer_sys::fuzz_target;
use magic_auth_fuzz::{KEY, MAX_BODY, exchange};
use serde::de::IgnoredAny;
use serde_json::Value;

fuzz_target!(|input: &[u8]| {
    let mut lines = input.splitn(3, |byte| *byte == b'\n');
    let [query, header, body] = [(); 3].map(|()| with_key(lines.next().unwrap_or_default()));
    if !query.iter().all(u8::is_ascii_graphic) || !header.iter().all(|byte| *byte == b' ' || byte.is_ascii_graphic()) {
        return;
    }
    let length = format!("\r\nContent-Length: {}\r\n\r\n", body.len());
    let head = [
        b"POST /api/v1/customer/logout?".as_slice(),
        &query,
        b" HTTP/1.1\r\nHost: fuzz\r\nContent-Type: application/json\r\nAuthorization: ",
        &header,
        length.as_bytes(),
    ];
    let status = exchange(&[head.concat(), body.clone()].concat()).status;
    // What is no URI, and a body that came too slowly, say nothing of the key.
    if matches!(status, 400 | 408) || body.len() > MAX_BODY {
        return;
    }
    let Ok(in_body) = in_body(&body) else { return };
    let presented = in_query(&query).or(in_body).or_else(|| in_header(&header));
    assert_eq!(status != 401, presented.as_deref() == Some(KEY), "{status}: {presented:?}");
});

fn with_key(part: &[u8]) -> Vec<u8> {
    part.iter()
        .flat_map(|byte| if *byte == b'@' { KEY.as_bytes() } else { std::slice::from_ref(byte) })
        .copied()
        .collect()
}

fn in_query(query: &[u8]) -> Option<String> {
    let query = query.split(|byte| *byte == b'#').next()?;
    form_urlencoded::parse(query)
        .find(|(name, value)| name == "apiKey" && !value.is_empty())
        .map(|(_, value)| value.into_owned())
}

/// An error: a body that is read otherwise here.
fn in_body(body: &[u8]) -> Result<Option<String>, ()> {
    let is_json = serde_json::from_slice::<IgnoredAny>(body).is_ok();
    let value = serde_json::from_slice::<Value>(body).ok();
    // Of values that are not needed, what they hold is not looked at; of a name that stands there twice, the first counts.
    if is_json != value.is_some()
        || body.windows(3).filter(|bytes| bytes == b"Key").count() > 1
        || body.contains(&b'\\')
    {
        return Err(());
    }
    Ok(match value.as_ref().and_then(|value| value.as_object()?.get("apiKey")) {
        None | Some(Value::Null) => None,
        Some(Value::String(key)) => Some(key.clone()).filter(|key| !key.is_empty()),
        Some(_) => Some(String::new()),
    })
}

fn in_header(header: &[u8]) -> Option<String> {
    let header = std::str::from_utf8(header).ok()?;
    let (scheme, token) = header.trim_matches(' ').split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}
