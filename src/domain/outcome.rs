//! How a sign-in attempt ends: signed in, or one of the seven documented refusals.

use std::fmt;
use std::str::FromStr;

/// A documented refusal. Codes and messages are the contract's, to the letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// E001: the service itself failed.
    LoginFailed,
    /// E002: there is no such customer and `sign_in.unknown_email` is `"refuse"`.
    UnknownEmail,
    /// E003: the customer is a guest only and `sign_in.guest` is `"refuse"`.
    NotRegistered,
    /// E004: the address is not a valid e-mail address.
    InvalidEmail,
    /// E005: a ban is in force.
    Banned,
    /// E006: the throttle refused the attempt.
    TooManyAttempts,
    /// E007: the customer's address has not been authorized.
    NotAuthorized,
}

impl Refusal {
    /// All refusals, in the order of their codes.
    pub const ALL: [Self; 7] = [
        Self::LoginFailed,
        Self::UnknownEmail,
        Self::NotRegistered,
        Self::InvalidEmail,
        Self::Banned,
        Self::TooManyAttempts,
        Self::NotAuthorized,
    ];

    /// `E001` to `E007`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::LoginFailed => "E001",
            Self::UnknownEmail => "E002",
            Self::NotRegistered => "E003",
            Self::InvalidEmail => "E004",
            Self::Banned => "E005",
            Self::TooManyAttempts => "E006",
            Self::NotAuthorized => "E007",
        }
    }

    /// The documented message.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::LoginFailed => "Customer login failed.",
            Self::UnknownEmail => "Customer e-mail does not exist.",
            Self::NotRegistered => "Customer have not a registered account.",
            Self::InvalidEmail => "Wrong e-mail or password.",
            Self::Banned => "Customer account has been banned.",
            Self::TooManyAttempts => "Too many login attempts.",
            Self::NotAuthorized => "Customer mail has not been authorized.",
        }
    }
}

/// The end of an attempt, as it is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A session was created.
    SignedIn,
    /// The attempt was refused.
    Refused(Refusal),
    /// The operator's rules deny where the customer is; the answer is E001.
    Denied,
}

impl Outcome {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        Refusal::ALL.map(Self::Refused).into_iter().chain([Self::SignedIn, Self::Denied])
    }

    /// `OK`, `denied`, or the refusal's code.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SignedIn => "OK",
            Self::Refused(refusal) => refusal.code(),
            Self::Denied => "denied",
        }
    }
}

/// Written by its name.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text is neither `OK`, `denied` nor one of the seven codes.
#[derive(Debug, thiserror::Error)]
#[error("an outcome is OK, denied or E001 to E007")]
pub struct UnknownOutcome;

impl FromStr for Outcome {
    type Err = UnknownOutcome;

    fn from_str(text: &str) -> Result<Self, UnknownOutcome> {
        Self::all().find(|outcome| outcome.as_str().eq_ignore_ascii_case(text)).ok_or(UnknownOutcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_is_read_back_as_it_was_written() {
        for outcome in Outcome::all() {
            assert_eq!(outcome.to_string().parse::<Outcome>().unwrap(), outcome);
        }
        assert!("E008".parse::<Outcome>().is_err());
        assert_eq!("ok".parse::<Outcome>().unwrap(), Outcome::SignedIn);
    }
}
