#![no_main]
//! What people are called, and the other short texts: tidying what is tidy changes nothing, and what has a pattern has it.

use libfuzzer_sys::fuzz_target;
use magic_auth::domain::{ApiKey, CompanyName, CountryCode, CuRefNo, IdentityId, PersonName, PhoneNumber};

fuzz_target!(|text: &str| {
    let first_two = text.get(..2).unwrap_or("CZ");
    if let Ok(name) = PersonName::parse(text) {
        let tidy = name.as_str();
        assert!((1..=100).contains(&tidy.chars().count()) && !tidy.chars().any(char::is_control));
        assert!(tidy.trim() == tidy && !tidy.contains("  "), "{tidy:?}");
        assert_eq!(PersonName::parse(tidy).expect("a tidy name is a name").as_str(), tidy);
    }
    if let Ok(name) = CompanyName::parse(text) {
        assert_eq!(CompanyName::parse(name.as_str()).expect("a tidy name is a name").as_str(), name.as_str());
    }
    for country in [None, first_two.parse().ok()] {
        if let Ok(phone) = PhoneNumber::parse(text, country) {
            let digits = phone.as_str().bytes().filter(u8::is_ascii_digit).count();
            assert!(phone.as_str().starts_with('+') && (3..=20).contains(&digits), "{}", phone.as_str());
            assert_eq!(PhoneNumber::parse(phone.as_str(), None).expect("E.164 is a number").as_str(), phone.as_str());
        }
    }
    let is_key =
        ["PROD", "DEV_", "ROOT"].iter().any(|kind| text.strip_prefix(kind).is_some_and(|rest| is_base62(rest, 28)));
    assert_eq!(ApiKey::parse(text).map(|key| (key.label(), key.digest())).is_ok(), is_key, "{text:?}");
    assert_eq!(CuRefNo::parse(text).is_ok(), is_base62(text, 16), "{text:?}");
    // Not all that look like one name a session that can be.
    if let Ok(identity) = IdentityId::parse(text) {
        let _ = (identity.session_id(), identity.digest());
        assert!(is_base62(text, 32), "{text:?}");
    }
    let _ = text.parse::<CountryCode>().is_ok();
});

fn is_base62(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
