#![no_main]
//! What people are called, and the other short texts: tidying what is tidy changes nothing.

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
    let _ = ApiKey::parse(text).map(|key| (key.label(), key.digest()));
    let _ = IdentityId::parse(text).map(|identity| (identity.session_id(), identity.digest()));
    let _ = (CuRefNo::parse(text).is_ok(), text.parse::<CountryCode>().is_ok());
});
