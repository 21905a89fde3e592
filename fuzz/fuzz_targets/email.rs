#![no_main]
//! An address: it is taken if it is valid, and normalising and canonicalising what is normal and canonical already changes
//! nothing.

use libfuzzer_sys::fuzz_target;
use magic_auth::domain::{Canonicalization, EmailAddress, OrganisationId};

/// Whether an address in small ASCII letters, without outer space, is one that the contract takes. (What IDNA encodes is not
/// looked at.)
fn is_valid(address: &str) -> bool {
    let Some((local, domain)) = address.split_once('@') else { return false };
    let is_atom = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte))
    };
    let is_label = |text: &str| {
        (1..=63).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-')
    };
    let labels: Vec<_> = domain.split('.').collect();
    address.len() <= 254
        && local.len() <= 64
        && local.split('.').all(is_atom)
        && labels.len() >= 2
        && labels.iter().all(|label| is_label(label))
        && !labels[labels.len() - 1].bytes().all(|byte| byte.is_ascii_digit())
}

fuzz_target!(|text: &str| {
    let typed = text.trim().to_ascii_lowercase();
    if typed.is_ascii() && !typed.contains("xn--") {
        let normal = EmailAddress::parse(text).ok().map(|email| email.as_str().to_owned());
        assert_eq!(normal, is_valid(&typed).then_some(typed));
    }
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
