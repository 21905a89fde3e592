#![no_main]
//! The same sign-in as JSON, as a form and in parts: it is answered in the same way.

use libfuzzer_sys::fuzz_target;
use magic_auth_fuzz::{MAX_BODY, post};

const NAMES: [&str; 5] = ["email", "firstName", "lastName", "customerRealIp", "referralId"];
const BOUNDARY: &str = "boundary";

fuzz_target!(|values: [Option<&str>; NAMES.len()]| {
    let fields: Vec<_> = NAMES.into_iter().zip(values).filter_map(|(name, value)| Some((name, value?))).collect();
    let json: serde_json::Map<_, _> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
    let part =
        |(name, value)| format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let parts: String = fields.iter().copied().map(part).chain([format!("--{BOUNDARY}--\r\n")]).collect();
    let bodies = [
        ("application/json", serde_json::Value::Object(json).to_string()),
        ("application/x-www-form-urlencoded", form),
        ("multipart/form-data; boundary=boundary", parts),
    ];
    let is_long = bodies.iter().any(|(_, body)| body.len() > MAX_BODY);
    if is_long || fields.iter().any(|(_, value)| value.contains(BOUNDARY)) {
        return;
    }
    let answers = bodies.map(|(form, body)| {
        let answer = post("/api/v1/customer/magic-auth", form, body.as_bytes());
        if answer.text.starts_with(r#"{"success":true,"#) { "signed in".to_owned() } else { answer.text }
    });
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
});
