//! The name of a host. Such names come from the DNS, where anybody writes what he likes.

use std::fmt;

/// A fully qualified name in lower case, without the dot of the root, at most 253 characters: labels of 1 to
/// 63 ASCII letters, digits, `-` and `_` (international ones in their ASCII form, `xn--…`) with dots between.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostName(String);

/// The text is no host name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a host name (labels of 1 to 63 letters, digits, - and _ with dots between, at most 253 characters)")]
pub struct HostNameError;

impl HostName {
    const MAX_LENGTH: usize = 253;
    const MAX_LABEL: usize = 63;

    /// Reads a name as the DNS writes it, with or without the dot of the root.
    ///
    /// # Errors
    /// When a character or a length is not allowed, or when the name ends like an IPv4 address.
    pub fn parse(text: &str) -> Result<Self, HostNameError> {
        let name = text.strip_suffix('.').unwrap_or(text);
        let last_label = name.rsplit('.').next().unwrap_or(name);
        let ends_like_an_address = last_label.bytes().all(|byte| byte.is_ascii_digit());
        if name.len() > Self::MAX_LENGTH || ends_like_an_address || !name.split('.').all(is_label) {
            return Err(HostNameError);
        }
        Ok(Self(name.to_ascii_lowercase()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_label(text: &str) -> bool {
    (1..=HostName::MAX_LABEL).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A name of this length, in labels of at most 49 characters.
    fn name_of_length(length: usize) -> String {
        let labels = "a".repeat(49) + ".";
        labels.repeat(6)[..length].to_owned()
    }

    #[test]
    fn names_are_lower_cased_and_without_the_dot_of_the_root() {
        for (text, expected) in [
            ("dns.google", "dns.google"),
            ("DNS.Google.", "dns.google"),
            ("1-1-1-1.dsl_pool.example.com", "1-1-1-1.dsl_pool.example.com"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("4.3.2.1.in-addr.arpa", "4.3.2.1.in-addr.arpa"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(HostName::parse(text).unwrap().as_str(), expected);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a..",
            "a b.example",
            "<script>.example",
            "bücher.example",
            r"a\.b.example",
            r"a\032b.example",
            "a.example\n",
            "a\0.example",
            "a\u{202e}.example",
            "8.8.8.8",
            "host.123",
            "user@host.example",
            "host:53",
            "*.example",
        ] {
            assert_eq!(HostName::parse(text), Err(HostNameError), "{text:?}");
        }
    }

    #[test]
    fn lengths_are_those_of_the_dns() {
        assert!(HostName::parse(&name_of_length(253)).is_ok());
        assert!(HostName::parse(&format!("{}.", name_of_length(253))).is_ok());
        assert_eq!(HostName::parse(&name_of_length(254)), Err(HostNameError));
        assert!(HostName::parse(&"a".repeat(63)).is_ok());
        assert_eq!(HostName::parse(&"a".repeat(64)), Err(HostNameError));
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_parsing_twice_changes_nothing(text in r"\PC*|[a-zA-Z0-9._-]{0,300}") {
            if let Ok(once) = HostName::parse(&text) {
                prop_assert_eq!(HostName::parse(once.as_str()), Ok(once));
            }
        }
    }
}
