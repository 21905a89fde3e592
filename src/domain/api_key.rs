//! The API key: what a shop's backend shows to be let in.

use std::fmt;
use std::str::FromStr;

use super::{Digest, base62};

/// What a key is for; its first four characters say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// `PROD`: a shop in production.
    Prod,
    /// `DEV_`: a developer.
    Dev,
    /// `ROOT`: the system's own, with no limits of any kind.
    Root,
}

impl KeyKind {
    const ALL: [Self; 3] = [Self::Prod, Self::Dev, Self::Root];

    /// The first four characters of such a key.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Prod => "PROD",
            Self::Dev => "DEV_",
            Self::Root => "ROOT",
        }
    }

    /// How logs, tables and messages name a key of this kind with these last four characters: `PROD…XuOE`.
    #[must_use]
    pub fn label(self, hint: &str) -> String {
        format!("{}…{hint}", self.prefix())
    }

    /// The kind that a key beginning with `prefix` has.
    #[must_use]
    pub fn from_prefix(prefix: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.prefix() == prefix)
    }
}

/// `^(PROD|DEV_|ROOT)[A-Za-z0-9]{28}$`. A secret: shown in full once, when it is made.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    kind: KeyKind,
    text: String,
}

/// The text has not the form of a key.
#[derive(Debug, thiserror::Error)]
#[error("an API key is PROD, DEV_ or ROOT followed by 28 letters and digits")]
pub struct ApiKeyError;

impl ApiKey {
    const PREFIX: usize = 4;
    const SECRET: usize = 28;
    const HINT: usize = 4;
    const DEMO: [&str; 2] = ["PRODPGrFxpGEtrOZfuWhnoJohUYBXuOE", "DEV_Y7c1vXq0TzN4bWm8RkLs2HpAe6Jd"];

    /// A new key: 28 random characters, 166 bits.
    #[must_use]
    pub fn generate(kind: KeyKind) -> Self {
        Self { kind, text: kind.prefix().to_owned() + &base62::random(Self::SECRET) }
    }

    /// Reads a key that somebody sent or configured.
    ///
    /// # Errors
    /// When it has not the form of a key. The error does not repeat the text.
    pub fn parse(text: &str) -> Result<Self, ApiKeyError> {
        let (prefix, secret) = text.split_at_checked(Self::PREFIX).ok_or(ApiKeyError)?;
        let kind = KeyKind::from_prefix(prefix).ok_or(ApiKeyError)?;
        base62::is_text(secret, Self::SECRET).then(|| Self { kind, text: text.to_owned() }).ok_or(ApiKeyError)
    }

    /// What the key is for.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The last four characters: with the prefix, enough for its owner to recognise it.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.text[self.text.len() - Self::HINT..]
    }

    /// How logs, tables and messages name the key.
    #[must_use]
    pub fn label(&self) -> String {
        self.kind.label(self.hint())
    }

    /// Whether this is one of the two keys that are published with the program, which everybody knows.
    #[must_use]
    pub fn is_demo(&self) -> bool {
        Self::DEMO.contains(&self.expose())
    }

    /// Whether what the database keeps is that of one of these two.
    #[must_use]
    pub fn is_digest_of_demo(digest: &Digest) -> bool {
        Self::DEMO.iter().any(|key| Digest::of(key) == *digest)
    }

    /// What the database keeps of it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.text)
    }

    /// The secret itself, for the terminal of whoever made it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }
}

/// Reads a key that stands in the configuration.
impl FromStr for ApiKey {
    type Err = ApiKeyError;

    fn from_str(text: &str) -> Result<Self, ApiKeyError> {
        Self::parse(text)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DOCUMENTED: &str = "PRODPGrFxpGEtrOZfuWhnoJohUYBXuOE";

    #[test]
    fn the_documented_example_is_valid() {
        let key = ApiKey::parse(DOCUMENTED).unwrap();
        assert_eq!((key.kind(), key.hint()), (KeyKind::Prod, "XuOE"));
        assert_eq!(key.label(), "PROD…XuOE");
        assert_eq!(format!("{key:?}"), "ApiKey");
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "YOUR_API_KEY",
            "prodPGrFxpGEtrOZfuWhnoJohUYBXuOE",
            "TESTPGrFxpGEtrOZfuWhnoJohUYBXuOE",
            "PRODPGrFxpGEtrOZfuWhnoJohUYBXuO",
            "PRODPGrFxpGEtrOZfuWhnoJohUYBXuOEE",
            "PRODPGrFxpGEtrOZfuWhnoJohUYBXuO_",
            "PRODPGrFxpGEtrOZfuWhnoJohUYBXuO\n",
            " PRODPGrFxpGEtrOZfuWhnoJohUYBXuOE",
            "PROáPGrFxpGEtrOZfuWhnoJohUYBXuO",
        ] {
            assert!(ApiKey::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text: String) {
            let _ = ApiKey::parse(&text);
        }

        #[test]
        fn whatever_matches_the_documented_pattern_is_a_key(text in "(PROD|DEV_|ROOT)[A-Za-z0-9]{28}") {
            let key = ApiKey::parse(&text).unwrap();
            prop_assert_eq!(key.expose(), text);
        }

        #[test]
        fn generated_keys_are_valid(which in 0..3_usize) {
            let key = ApiKey::generate(KeyKind::ALL[which]);
            prop_assert!(ApiKey::parse(key.expose()).unwrap() == key);
        }
    }
}
