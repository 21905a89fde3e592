#![no_main]
//! An address: normalising and canonicalising what is normal and canonical already changes nothing.

use libfuzzer_sys::fuzz_target;
use magic_auth::domain::{Canonicalization, EmailAddress, OrganisationId};

fuzz_target!(|text: &str| {
    let Ok(email) = EmailAddress::parse(text) else { return };
    let normal = email.as_str();
    assert!(normal.len() <= 254 && normal.is_ascii() && !normal.bytes().any(|byte| byte.is_ascii_uppercase()));
    assert!(normal.bytes().all(|byte| byte.is_ascii_graphic()) && normal.matches('@').count() == 1);
    assert_eq!(EmailAddress::parse(normal).expect("what is normal is valid").as_str(), normal);
    let canonical = email.canonical(Canonicalization::Provider);
    let again = EmailAddress::parse(canonical.as_str()).expect("what is canonical is valid");
    assert_eq!(again.canonical(Canonicalization::Provider), canonical);
    assert_eq!(email.canonical(Canonicalization::None).as_str(), normal);
    let _ = (canonical.mailbox(OrganisationId(1)), email.masked());
});
