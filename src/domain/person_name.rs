//! A first or last name, tidied.

use std::fmt;

use unicode_normalization::UnicodeNormalization as _;

use super::tidy::tidied;

/// A name in Unicode NFC, single inner spaces, no control characters, its first letter upper-cased.
/// 1 to 100 characters.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonName(String);

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PersonNameError {
    /// Nothing is left after tidying.
    #[error("a name has at least one character")]
    Empty,
    /// More than 100 characters are left after tidying.
    #[error("longer than 100 characters")]
    TooLong,
}

impl PersonName {
    const MAX_CHARACTERS: usize = 100;

    /// Tidies a name as somebody typed it.
    ///
    /// # Errors
    /// When nothing or too much is left.
    pub fn parse(text: &str) -> Result<Self, PersonNameError> {
        // Composed before the first letter is raised, for only the composed letter has the right
        // upper case; and after, for some upper cases come decomposed.
        let tidy = tidied(text);
        let capitalised = capitalised(&tidy);
        let name = if capitalised.is_ascii() { capitalised } else { capitalised.nfc().collect() };
        match name.chars().count() {
            0 => Err(PersonNameError::Empty),
            length if length > Self::MAX_CHARACTERS => Err(PersonNameError::TooLong),
            _ => Ok(Self(name)),
        }
    }

    /// The tidied name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Closed: a name is personal, and logs have no use for it.
impl fmt::Debug for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonName")
    }
}

fn capitalised(name: &str) -> String {
    let mut characters = name.chars();
    match characters.next() {
        // Georgian has capital letters for headlines, and none for names.
        Some('\u{10D0}'..='\u{10FF}') | None => name.to_owned(),
        Some(first) => first.to_uppercase().collect::<String>() + characters.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tidied(text: &str) -> String {
        PersonName::parse(text).unwrap().as_str().to_owned()
    }

    #[test]
    fn names_are_tidied() {
        for (typed, expected) in [
            ("Barášek", "Barášek"),
            ("Bara\u{301}s\u{30c}ek", "Barášek"),
            ("  jan \t\n  maria ", "Jan maria"),
            ("žaneta", "Žaneta"),
            ("z\u{30c}aneta", "Žaneta"),
            ("o'Brien", "O'Brien"),
            ("ja\u{0}n\u{7}", "Jan"),
            ("\u{202e}jan\u{202c}", "Jan"),
            ("李", "李"),
            ("გიორგი", "გიორგი"),
            ("ßabc", "SSabc"),
            ("van\u{a0}Gogh", "Van Gogh"),
        ] {
            assert_eq!(tidied(typed), expected);
        }
    }

    #[test]
    fn nothing_and_too_much_are_refused() {
        for text in ["", " \t", "\u{0}", "\u{200e}", "\u{200b}\u{ad}"] {
            assert_eq!(PersonName::parse(text), Err(PersonNameError::Empty));
        }
        assert!(PersonName::parse(&"ř".repeat(100)).is_ok());
        assert!(PersonName::parse(&format!("  {}  ", "r\u{30c}".repeat(100))).is_ok());
        assert_eq!(PersonName::parse(&"ř".repeat(101)), Err(PersonNameError::TooLong));
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_tidying_twice_changes_nothing(text: String) {
            if let Ok(once) = PersonName::parse(&text) {
                prop_assert_eq!(PersonName::parse(once.as_str()), Ok(once));
            }
        }

        #[test]
        fn combining_marks_do_not_break_it(text in "[a-zǰŉßﬁ\u{300}-\u{36f}\u{200e} ]{0,12}") {
            if let Ok(once) = PersonName::parse(&text) {
                prop_assert_eq!(PersonName::parse(once.as_str()), Ok(once));
            }
        }
    }
}
