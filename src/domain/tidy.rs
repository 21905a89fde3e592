//! Text for people, tidied: what names, companies and reasons have in common.

use std::fmt;

use unicode_normalization::UnicodeNormalization as _;

/// The text in Unicode NFC, without outer white space and control characters, with single inner spaces.
pub(super) fn tidied(text: &str) -> String {
    let mut tidy = String::with_capacity(text.len());
    for word in text.split(char::is_whitespace) {
        let mut visible = word.chars().filter(|character| !is_invisible(*character)).peekable();
        if !tidy.is_empty() && visible.peek().is_some() {
            tidy.push(' ');
        }
        tidy.extend(visible);
    }
    if tidy.is_ascii() { tidy } else { tidy.nfc().collect() }
}

/// Control characters, and the invisible ones that turn the direction of the text around them (UAX 9), mark
/// its byte order, or mark nothing at all. (Joiners stay: some scripts need them between letters.)
pub(crate) fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{e0000}'..='\u{e007f}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
        )
}

/// A line of tidied text of 1 to `MAX` characters.
#[derive(Clone, PartialEq, Eq)]
pub struct Line<const MAX: usize>(String);

/// The name of a company.
pub type CompanyName = Line<200>;

/// Why somebody is banned, in the operator's words.
pub type BanReason = Line<500>;

/// Nothing is left of the text after tidying, or more than so many characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a single line of 1 to {0} characters")]
pub struct LineError(usize);

impl<const MAX: usize> Line<MAX> {
    /// Tidies a text as somebody typed it.
    ///
    /// # Errors
    /// When nothing or too much is left.
    pub fn parse(text: &str) -> Result<Self, LineError> {
        let text = tidied(text);
        if (1..=MAX).contains(&text.chars().count()) { Ok(Self(text)) } else { Err(LineError(MAX)) }
    }

    /// The tidied text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Closed: it may be personal, and logs have no use for it.
impl<const MAX: usize> fmt::Debug for Line<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Line")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_is_tidied_and_bounded() {
        assert_eq!(CompanyName::parse("  eBay \t\u{202e}s.r.o.\u{0} ").unwrap().as_str(), "eBay s.r.o.");
        assert_eq!(BanReason::parse("card\nfraud").unwrap().as_str(), "card fraud");
        assert_eq!(BanReason::parse(" \u{200b}").unwrap_err().to_string(), "not a single line of 1 to 500 characters");
        assert!(CompanyName::parse(&"ř".repeat(200)).is_ok());
        assert!(CompanyName::parse(&"ř".repeat(201)).is_err());
    }

    proptest! {
        #[test]
        fn tidying_twice_changes_nothing(text: String) {
            let once = tidied(&text);
            prop_assert_eq!(tidied(&once), once);
        }
    }
}
