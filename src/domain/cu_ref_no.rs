//! `cuRefNo`: the name by which a customer is known outside the service.

use std::fmt;

use super::{Timestamp, base62};

/// 16 characters of `[A-Za-z0-9]`, unique within the organisation, never changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CuRefNo(String);

/// The text is not 16 characters of `[A-Za-z0-9]`.
#[derive(Debug, thiserror::Error)]
#[error("a customer reference number is 16 letters and digits")]
pub struct CuRefNoError;

impl CuRefNo {
    /// Digits that say the millisecond: 62^7 ms reach to the year 2081, then they start anew.
    const TIME: usize = 7;
    /// Random digits: 53 bits.
    const RANDOM: usize = 9;

    /// A new number. It begins with the time, so that the unique index grows at its end instead
    /// of being written all over: a third of the cost of a new customer.
    #[must_use]
    pub fn generate(now: Timestamp) -> Self {
        let time = base62::encode(now.as_millis().unsigned_abs(), Self::TIME);
        Self(time + &base62::random(Self::RANDOM))
    }

    /// Reads a number that somebody sent.
    ///
    /// # Errors
    /// When it is not 16 characters of `[A-Za-z0-9]`.
    pub fn parse(text: &str) -> Result<Self, CuRefNoError> {
        base62::is_text(text, Self::TIME + Self::RANDOM).then(|| Self(text.to_owned())).ok_or(CuRefNoError)
    }

    /// The 16 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CuRefNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_documented_example_is_valid() {
        assert_eq!(CuRefNo::parse("1cGIHvFoQDGLAbcA").unwrap().as_str(), "1cGIHvFoQDGLAbcA");
    }

    #[test]
    fn other_lengths_and_characters_are_refused() {
        for text in ["", "1cGIHvFoQDGLAbc", "1cGIHvFoQDGLAbcAA", "1cGIHvFoQDGLAbc_", "1cGIHvFoQDGLAbcá"] {
            assert!(CuRefNo::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text: String) {
            let _ = CuRefNo::parse(&text);
        }

        #[test]
        fn generated_numbers_are_valid_and_differ(milliseconds: i64) {
            let now = Timestamp::from_millis(milliseconds);
            let (one, other) = (CuRefNo::generate(now), CuRefNo::generate(now));
            prop_assert!(CuRefNo::parse(one.as_str()).is_ok());
            prop_assert_ne!(one, other);
        }
    }
}
