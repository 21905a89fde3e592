//! Where an address is: the code of a country.

use std::fmt;
use std::str::FromStr;

/// An ISO 3166-1 alpha-2 code, in capitals: `CZ`. It is not asked whether there is such a country, for databases have
/// codes of their own, such as `XK`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CountryCode([u8; 2]);

/// The text is no code.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a country code such as CZ")]
pub struct CountryCodeError;

impl CountryCode {
    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // These are two letters, always.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Reads a code of two letters of any case.
impl FromStr for CountryCode {
    type Err = CountryCodeError;

    fn from_str(text: &str) -> Result<Self, CountryCodeError> {
        match *text.as_bytes() {
            [first, second] if first.is_ascii_alphabetic() && second.is_ascii_alphabetic() => {
                Ok(Self([first.to_ascii_uppercase(), second.to_ascii_uppercase()]))
            }
            _ => Err(CountryCodeError),
        }
    }
}

impl fmt::Display for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for CountryCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_two_letters() {
        for (text, code) in [("CZ", "CZ"), ("cz", "CZ"), ("Us", "US")] {
            assert_eq!(text.parse::<CountryCode>().unwrap().to_string(), code);
        }
        for text in ["", "C", "CZE", "C1", "č", "Čz", " CZ", "C\0"] {
            assert_eq!(text.parse::<CountryCode>(), Err(CountryCodeError), "{text}");
        }
    }
}
