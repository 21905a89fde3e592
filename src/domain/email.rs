//! The e-mail address in its normalised form, which is shown. Whose it is: see [`EmailAddress::canonical`].
//!
//! The rules are the contract's: RFC 5322 dot-atom local parts, IDNA (UTS-46) domains, no look-alike
//! that could map onto somebody else's address (CVE-2019-19844).

use std::fmt;

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

/// A valid address in its normalised form: outer white space trimmed, lower-cased, the domain in
/// ASCII. At most 254 characters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EmailAddress(String);

/// Why a text is no valid address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// Longer than 254 characters in the normalised form.
    #[error("an e-mail address has at most 254 characters")]
    TooLong,
    /// Not one `@` with something on both sides.
    #[error("an e-mail address is a local part, one @ and a domain")]
    Shape,
    /// The local part is not an RFC 5322 dot-atom of 1 to 64 ASCII characters.
    #[error("the part before the @ is not 1 to 64 letters, digits and !#$%&'*+-/=?^_`{{|}}~ with single inner dots")]
    LocalPart,
    /// The domain is not two or more DNS labels, or does not survive IDNA unchanged in meaning.
    #[error("the part after the @ is not a domain name")]
    Domain,
}

impl EmailAddress {
    const MAX_LENGTH: usize = 254;
    const MAX_LOCAL_PART: usize = 64;

    /// Reads an address as somebody typed it and normalises it.
    ///
    /// # Errors
    /// Says which part of the address breaks the rules.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        let text = text.trim();
        // Far more than any spelling of a valid address has: IDNA need not look at it.
        if text.len() > 4 * Self::MAX_LENGTH {
            return Err(EmailError::TooLong);
        }
        let (local, domain) = text.split_once('@').ok_or(EmailError::Shape)?;
        if local.is_empty() || domain.is_empty() || domain.contains('@') {
            return Err(EmailError::Shape);
        }
        if !is_dot_atom(local) || local.len() > Self::MAX_LOCAL_PART {
            return Err(EmailError::LocalPart);
        }
        let domain = ascii_domain(domain).ok_or(EmailError::Domain)?;
        let address = format!("{}@{domain}", local.to_ascii_lowercase());
        if address.len() > Self::MAX_LENGTH {
            return Err(EmailError::TooLong);
        }
        Ok(Self(address))
    }

    /// The normalised form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address as a log may show it: `j***@barasek.com`. Of a mailbox with one letter, none.
    #[must_use]
    pub fn masked(&self) -> String {
        let (local, domain) = self.parts();
        let first = if local.len() > 1 { &local[..1] } else { "" };
        format!("{first}***@{domain}")
    }

    /// The local part and the domain.
    pub(super) fn parts(&self) -> (&str, &str) {
        self.0.split_once('@').unwrap_or((&self.0, ""))
    }
}

/// Masked, so that no log shows an address by accident.
impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmailAddress({})", self.masked())
    }
}

/// RFC 5322 `dot-atom-text`: atoms of `atext` with single dots between them.
pub(super) fn is_dot_atom(text: &str) -> bool {
    text.split('.').all(|atom| {
        !atom.is_empty()
            && atom.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte))
    })
}

/// The domain in lower-case ASCII, or `None` when it is not a valid one of at least two labels.
fn ascii_domain(domain: &str) -> Option<String> {
    if domain.chars().any(changes_its_nature) {
        return None;
    }
    let ascii = Uts46::new()
        .to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify)
        .ok()?;
    let (_, last) = ascii.rsplit_once('.')?;
    // All digits would be an IP address or look like one (RFC 3696, section 2).
    (!last.bytes().all(|byte| byte.is_ascii_digit())).then(|| ascii.into_owned())
}

/// Whether UTS-46 turns a non-ASCII character into an ASCII one, or drops it: fullwidth letters,
/// `。`, `ſ`, the Kelvin sign, soft hyphens, joiners. Such a domain would be a look-alike.
fn changes_its_nature(character: char) -> bool {
    if character.is_ascii() {
        return false;
    }
    // The joiners survive UTS-46 in some contexts and are invisible in all.
    if matches!(character, '\u{200c}' | '\u{200d}') {
        return true;
    }
    let alone = character.to_string();
    let (mapped, _) = Uts46::new().to_unicode(alone.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Allow);
    mapped.is_empty() || mapped.bytes().any(|byte| byte.is_ascii())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    fn normalised(text: &str) -> String {
        EmailAddress::parse(text).unwrap().as_str().to_owned()
    }

    #[test]
    fn addresses_are_normalised() {
        for (typed, expected) in [
            ("jan@barasek.com", "jan@barasek.com"),
            ("  Jan.Barasek@BARASEK.com\r\n", "jan.barasek@barasek.com"),
            ("jan+shop@barasek.com", "jan+shop@barasek.com"),
            ("o'brien@example.org", "o'brien@example.org"),
            ("a!#$%&'*+-/=?^_`{|}~z@example.org", "a!#$%&'*+-/=?^_`{|}~z@example.org"),
            ("info@háčkyčárky.cz", "info@xn--hkyrky-ptac70bc.cz"),
            ("info@HÁČKYČÁRKY.CZ", "info@xn--hkyrky-ptac70bc.cz"),
            ("info@xn--hkyrky-ptac70bc.cz", "info@xn--hkyrky-ptac70bc.cz"),
            ("x@straße.de", "x@xn--strae-oqa.de"),
            ("x@a-b.co", "x@a-b.co"),
            ("x@1.2.3.com", "x@1.2.3.com"),
        ] {
            assert_eq!(normalised(typed), expected);
        }
    }

    #[test]
    fn what_is_no_valid_address_is_refused() {
        for text in [
            "",
            " ",
            "jan",
            "@",
            "jan@",
            "@barasek.com",
            "a@b@c.com",
            "jan@barasek",
            "jan@.com",
            "jan@com.",
            "jan@barasek.com.",
            "jan@barasek..com",
            ".jan@barasek.com",
            "jan.@barasek.com",
            "j..n@barasek.com",
            "jan barasek@x.com",
            "jan@bara sek.com",
            "\"jan\"@barasek.com",
            "jan(x)@barasek.com",
            "jan@[127.0.0.1]",
            "jan@127.0.0.1",
            "jan@example.123",
            "jan@-x.com",
            "jan@x-.com",
            "jan@x_y.com",
            "ján@barasek.com",
            "jan@x.com\0",
            "j\0an@x.com",
            "jan@x\n.com",
            "jan\u{7f}@x.com",
            "victim@x.cz,evil@y.cz",
            "@a:b@c.com",
            "Jan <jan@barasek.com>",
            "jan@xn--0049.com",
            "jan@℀.com",
        ] {
            assert!(EmailAddress::parse(text).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn look_alikes_never_map_onto_an_ascii_domain() {
        for domain in [
            "ｇｍａｉｌ.com",
            "gmail。com",
            "maſs.com",
            "\u{212a}ing.com",
            "gm\u{ad}ail.com",
            "gm\u{200b}ail.com",
            "gm\u{200d}ail.com",
            "gm\u{200c}ail.com",
            "gm\u{fe0f}ail.com",
            "gmail.com\u{feff}",
            "ﬁrst.com",
            "①.com",
            "x².com",
            "İstanbul.com",
        ] {
            assert!(EmailAddress::parse(&format!("jan@{domain}")).is_err(), "{domain:?} was accepted");
        }
    }

    #[test]
    fn lengths_are_bounded() {
        let local = |n| "a".repeat(n);
        assert!(EmailAddress::parse(&format!("{}@x.com", local(64))).is_ok());
        assert_eq!(EmailAddress::parse(&format!("{}@x.com", local(65))), Err(EmailError::LocalPart));
        let domain = |n: usize| format!("{}.{}.{}.com", "b".repeat(63), "c".repeat(63), "d".repeat(n));
        let longest = format!("{}@{}", local(64), domain(57));
        assert_eq!(longest.len(), 254);
        assert!(EmailAddress::parse(&longest).is_ok());
        assert_eq!(EmailAddress::parse(&format!("{}@{}", local(64), domain(58))), Err(EmailError::TooLong));
        assert_eq!(EmailAddress::parse(&format!("a@{}.com", "b".repeat(64))), Err(EmailError::Domain));
        assert_eq!(EmailAddress::parse(&local(100_000)), Err(EmailError::TooLong));
    }

    #[test]
    fn logs_see_a_masked_address() {
        let address = EmailAddress::parse("jan@barasek.com").unwrap();
        assert_eq!(address.masked(), "j***@barasek.com");
        assert_eq!(EmailAddress::parse("j@barasek.com").unwrap().masked(), "***@barasek.com");
        assert_eq!(format!("{address:?}"), "EmailAddress(j***@barasek.com)");
    }

    /// Addresses and near misses, of ASCII, look-alikes and provider domains.
    pub(in crate::domain) fn address() -> impl Strategy<Value = String> {
        let local = "[a-zA-Z0-9.+_-]{1,12}";
        let domain = prop_oneof![
            Just("gmail.com".to_owned()),
            Just("GoogleMail.com".to_owned()),
            Just("outlook.com".to_owned()),
            "[a-zA-Zřßéſ。-]{1,10}\\.[a-z]{2,4}",
            "\\PC{1,10}\\.com",
        ];
        (local, domain).prop_map(|(local, domain)| format!("{local}@{domain}"))
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text: String) {
            let _ = EmailAddress::parse(&text);
        }

        #[test]
        fn normalising_twice_changes_nothing(text in address()) {
            if let Ok(once) = EmailAddress::parse(&text) {
                prop_assert_eq!(EmailAddress::parse(once.as_str()), Ok(once));
            }
        }

        #[test]
        fn a_domain_in_ascii_comes_only_from_ascii(domain in "[a-z\\PC]{1,8}\\.com") {
            if let Ok(address) = EmailAddress::parse(&format!("x@{domain}")) && !domain.is_ascii() {
                prop_assert!(address.as_str().contains("xn--"), "{domain} became {}", address.as_str());
            }
        }
    }
}
