//! A telephone number, as the operator's import brings it.

use std::fmt;
use std::str::FromStr;

use rlibphonenumber::{PHONE_NUMBER_UTIL, Region};

/// A valid E.164 number, with a space behind the country's code: `+420 777123456`. This is the form in which
/// it is kept, shown and unique.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PhoneNumber(String);

/// The text is no telephone number.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid telephone number such as +420 777123456 (one without its country's code needs --default-country)")]
pub struct PhoneNumberError;

/// The country whose numbers are written without a code: `CZ` (ISO 3166-1 alpha-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Country(Region);

/// The text is no country.
#[derive(Debug, thiserror::Error)]
#[error("not the code of a country, such as CZ")]
pub struct CountryError;

impl PhoneNumber {
    /// More than any way to write a number: the parser need not look at it.
    const MAX_LENGTH: usize = 64;

    /// Reads a number as somebody wrote it. Without its country's code, it is one of `country`.
    ///
    /// # Errors
    /// When it is no number, none that its country gives out, or has an extension.
    pub fn parse(text: &str, country: Option<Country>) -> Result<Self, PhoneNumberError> {
        if text.len() > Self::MAX_LENGTH {
            return Err(PhoneNumberError);
        }
        let shown = Self::read(text, country).ok_or(PhoneNumberError)?;
        // A few numbers of Belarus are taken for others in this form, and would not come back from an export.
        if Self::read(&shown, None).as_ref() == Some(&shown) { Ok(Self(shown)) } else { Err(PhoneNumberError) }
    }

    /// The form in which a valid number is shown.
    fn read(text: &str, country: Option<Country>) -> Option<String> {
        let number = PHONE_NUMBER_UTIL.parse(text, country.map(|country| country.0)).ok()?;
        let is_whole = number.is_valid() && number.extension.is_none();
        is_whole.then(|| format!("+{} {}", number.country_code, number.get_national_significant_number()))
    }

    /// The number as it is shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Closed: a number is personal, and logs have no use for it.
impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PhoneNumber")
    }
}

impl FromStr for Country {
    type Err = CountryError;

    fn from_str(text: &str) -> Result<Self, CountryError> {
        let region = text.to_ascii_uppercase().parse().map_err(|_| CountryError)?;
        // Any two letters are a region, but not all have telephones.
        PHONE_NUMBER_UTIL.get_country_code_for_region(region).ok_or(CountryError)?;
        Ok(Self(region))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str, country: &str) -> Option<String> {
        let country = (!country.is_empty()).then(|| country.parse().unwrap());
        PhoneNumber::parse(text, country).ok().map(|number| number.0)
    }

    #[test]
    fn numbers_are_shown_with_a_space_behind_the_countrys_code() {
        for (text, country, expected) in [
            ("+420 777 123 456", "", "+420 777123456"),
            ("777123456", "cz", "+420 777123456"),
            ("00420777123456", "CZ", "+420 777123456"),
            ("+1 (415) 555-2671", "CZ", "+1 4155552671"),
            ("020 8765 4321", "GB", "+44 2087654321"),
            ("06 698 12345", "IT", "+39 0669812345"),
            ("8 495 123-45-67", "RU", "+7 4951234567"),
            ("8 (812) 315-98-83", "RU", "+7 8123159883"),
            ("+7 800 123 45 67", "CZ", "+7 8001234567"),
            ("+375 800 111 111", "", "+375 800111111"),
        ] {
            assert_eq!(shown(text, country).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "",
            "777123456",
            "+420",
            "+420 12",
            "+999 123456789",
            "call me",
            "+420 777123456 ext. 5",
            "'+420",
            "+375 8 8105613396",
        ] {
            assert_eq!(shown(text, ""), None, "{text}");
        }
        let spaced = |spaces: usize| shown(&format!("+420{}777123456", " ".repeat(spaces)), "");
        let is_read = |length: usize| spaced(length - "+420777123456".len()).is_some();
        assert_eq!([64, 65].map(is_read), [true, false]);
        for text in ["Czechia", "", "C", "XQ", "001", "čz"] {
            assert!(text.parse::<Country>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn reading_any_text_never_panics(text: String, near in "[+0-9 ().;ext=,-]{0,20}") {
            let _ = (shown(&text, "CZ"), shown(&near, "CZ"), shown(&near, ""));
        }

        #[test]
        fn what_is_shown_is_read_back_as_it_is(text in "\\+(420|1|44|39|7|8|49|55|86|375)[0-9]{8,11}") {
            if let Some(once) = shown(&text, "") {
                prop_assert_eq!(shown(&once, "US"), Some(once));
            }
        }
    }
}
