//! Whose an e-mail address is: its canonical form, the same for all spellings of one mailbox and never shown.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::email::is_dot_atom;
use super::{EmailAddress, OrganisationId};

/// Which addresses count as the same mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Canonicalization {
    /// The rules of the large providers on top of the normalised form.
    #[default]
    Provider,
    /// The normalised form itself.
    None,
}

/// What is unique within an organisation. It has no `Display` and leaves only for the database.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CanonicalEmail(String);

impl CanonicalEmail {
    /// The canonical form of a sandbox address, which no address of a customer has: `:` is not allowed in
    /// one.
    #[must_use]
    pub fn sandbox(email: &EmailAddress) -> Self {
        Self(format!("sandbox:{}", email.as_str()))
    }

    /// The canonical form that the database has kept.
    #[must_use]
    pub fn from_kept(text: String) -> Self {
        Self(text)
    }

    /// The canonical form, for the database.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The mailbox of this address within an organisation: 64 bits of a SHA-256, the same for ever.
    #[must_use]
    pub fn mailbox(&self, organisation: OrganisationId) -> Mailbox {
        let hash = Sha256::new().chain_update(organisation.0.to_be_bytes()).chain_update(&self.0).finalize();
        Mailbox(hash.iter().take(8).fold(0, |bits, byte| bits << 8 | i64::from(*byte)))
    }
}

impl fmt::Debug for CanonicalEmail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CanonicalEmail")
    }
}

/// A mailbox of an organisation, named by 64 bits of the SHA-256 of its canonical address.
///
/// Attempts are recorded and throttled under it: it is small, the same after a restart, and not the
/// address. Two mailboxes collide with a chance of one in 4 billion among 4 billion; then they
/// share one throttle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mailbox(pub i64);

impl EmailAddress {
    /// The form that is the same for all spellings of one mailbox.
    #[must_use]
    pub fn canonical(&self, rules: Canonicalization) -> CanonicalEmail {
        let at_provider = match rules {
            Canonicalization::Provider => self.mailbox_at_provider(),
            Canonicalization::None => None,
        };
        CanonicalEmail(at_provider.unwrap_or_else(|| self.as_str().to_owned()))
    }

    /// By the rules of a provider who has any.
    fn mailbox_at_provider(&self) -> Option<String> {
        let (local, domain) = self.parts();
        let (local, domain) = match domain {
            "gmail.com" | "googlemail.com" => (without_tag(local).replace('.', ""), "gmail.com"),
            _ if ignores_tags(domain) => (without_tag(local).to_owned(), domain),
            _ => return None,
        };
        // Without its tag, `+tag@…` or `a.+tag@…` is nobody's mailbox; it must not become everybody's.
        is_dot_atom(&local).then(|| format!("{local}@{domain}"))
    }
}

fn without_tag(local: &str) -> &str {
    local.split_once('+').map_or(local, |(mailbox, _)| mailbox)
}

/// Providers that document to deliver `user+tag` to `user`.
///
/// Microsoft, Apple, Proton and Fastmail. For others a tag may be a different person's mailbox.
fn ignores_tags(domain: &str) -> bool {
    matches!(
        domain,
        "outlook.com"
            | "hotmail.com"
            | "live.com"
            | "msn.com"
            | "icloud.com"
            | "me.com"
            | "mac.com"
            | "proton.me"
            | "protonmail.com"
            | "pm.me"
            | "fastmail.com"
            | "fastmail.fm"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::email::tests::address;
    use proptest::prelude::*;

    fn canonical(text: &str) -> CanonicalEmail {
        EmailAddress::parse(text).unwrap().canonical(Canonicalization::Provider)
    }

    #[test]
    fn spellings_of_one_mailbox_have_one_canonical_form() {
        for (one, other) in [
            ("jan.barasek@gmail.com", "JanBarasek+shop@googlemail.com"),
            ("jan+a+b@outlook.com", "jan@Outlook.com"),
            ("jan+a@icloud.com", "jan@icloud.com"),
        ] {
            assert_eq!(canonical(one), canonical(other), "{one} {other}");
        }
    }

    #[test]
    fn other_mailboxes_keep_their_own() {
        for (one, other) in [
            ("jan.barasek@outlook.com", "janbarasek@outlook.com"),
            ("jan+a@barasek.com", "jan@barasek.com"),
            ("+a@gmail.com", "+b@gmail.com"),
            ("jan@gmail.com", "jan@outlook.com"),
        ] {
            assert_ne!(canonical(one), canonical(other), "{one} {other}");
        }
        for domain in [
            "outlook.com",
            "hotmail.com",
            "live.com",
            "msn.com",
            "icloud.com",
            "me.com",
            "mac.com",
            "proton.me",
            "protonmail.com",
            "pm.me",
            "fastmail.com",
            "fastmail.fm",
        ] {
            assert_eq!(canonical(&format!("jan+a@{domain}")), canonical(&format!("jan@{domain}")), "{domain}");
            assert_ne!(canonical(&format!("j.an@{domain}")), canonical(&format!("jan@{domain}")), "{domain}");
            assert_ne!(canonical(&format!("jan+a@x{domain}")), canonical(&format!("jan@x{domain}")), "{domain}");
        }
        let address = EmailAddress::parse("j.an+a@gmail.com").unwrap();
        assert_eq!(address.canonical(Canonicalization::None).as_str(), "j.an+a@gmail.com");
    }

    #[test]
    fn organisations_have_separate_mailboxes() {
        let address = canonical("jan@barasek.com");
        assert_ne!(address.mailbox(OrganisationId(1)), address.mailbox(OrganisationId(2)));
    }

    proptest! {
        #[test]
        fn canonicalising_twice_changes_nothing(text in address()) {
            if let Ok(address) = EmailAddress::parse(&text) {
                let once = address.canonical(Canonicalization::Provider);
                let twice = EmailAddress::parse(once.as_str()).unwrap().canonical(Canonicalization::Provider);
                prop_assert_eq!(once, twice);
            }
        }

        #[test]
        fn case_dots_and_tags_do_not_make_another_gmail_box(
            local in "[a-z]{2,10}", dot in 1..2_usize, tag in "[a-z0-9+]{0,5}(\\.[a-z]{1,2})?",
        ) {
            let plain = canonical(&format!("{local}@gmail.com"));
            let dotted = format!("{}.{}", &local[..dot], &local[dot..]);
            for spelling in [local.to_uppercase(), dotted.clone(), format!("{local}+x{tag}"), format!("{dotted}+x")] {
                prop_assert_eq!(&canonical(&format!("{spelling}@googlemail.com")), &plain);
            }
        }
    }
}
