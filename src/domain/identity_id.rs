//! `identityId`: the secret that stands for a session.

use std::fmt;

use super::{Digest, Timestamp, base62};

/// The number of a session's row: milliseconds since the Unix epoch and 22 random bits.
///
/// Rows are appended in the order of time, so that inserting one does not touch the whole table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub i64);

impl SessionId {
    const RANDOM_BITS: u32 = 22;

    fn generate(now: Timestamp) -> Self {
        let random = nanoid::rngs::thread_local(3).into_iter().fold(0, |bits, byte| bits << 8 | i64::from(byte));
        Self(Self::earliest_at(now).0 | random & ((1 << Self::RANDOM_BITS) - 1))
    }

    /// The smallest number that a session made at this moment can have.
    #[must_use]
    pub fn earliest_at(at: Timestamp) -> Self {
        // 63 bits hold the milliseconds until the year 2039 and 22 random ones; what is beyond
        // comes round again, still positive.
        Self((at.as_millis() << Self::RANDOM_BITS) & i64::MAX)
    }
}

/// 32 characters of `[A-Za-z0-9]`: 11 name the session's row, 21 are the secret (125 bits).
///
/// The service keeps the digest of the whole and shows the text once, in the answer that creates
/// the session.
#[derive(Clone, PartialEq, Eq)]
pub struct IdentityId {
    text: String,
    session: SessionId,
}

/// The text is not an identity id that this service can have made.
#[derive(Debug, thiserror::Error)]
#[error("not an identity id")]
pub struct IdentityIdError;

impl IdentityId {
    const ROW: usize = 11;
    const SECRET: usize = 21;

    /// A new identity id for a session that begins now.
    #[must_use]
    pub fn generate(now: Timestamp) -> Self {
        let session = SessionId::generate(now);
        let row = base62::encode(session.0.unsigned_abs(), Self::ROW);
        Self { text: row + &base62::random(Self::SECRET), session }
    }

    /// Reads an identity id that somebody sent.
    ///
    /// # Errors
    /// When it is not 32 characters of `[A-Za-z0-9]`, or names a row that cannot exist.
    pub fn parse(text: &str) -> Result<Self, IdentityIdError> {
        if !base62::is_text(text, Self::ROW + Self::SECRET) {
            return Err(IdentityIdError);
        }
        let number = base62::decode(&text[..Self::ROW]).and_then(|number| i64::try_from(number).ok());
        let session = number.map(SessionId).ok_or(IdentityIdError)?;
        Ok(Self { text: text.to_owned(), session })
    }

    /// The session's row.
    #[must_use]
    pub fn session_id(&self) -> SessionId {
        self.session
    }

    /// What the database keeps of it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.text)
    }

    /// The secret itself, for the answer to its owner.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for IdentityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdentityId")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn its_debug_form_tells_nothing() {
        let id = IdentityId::generate(Timestamp::from_millis(1_795_532_645_678));
        assert_eq!(format!("{id:?}"), "IdentityId");
    }

    #[test]
    fn a_row_that_cannot_exist_is_refused() {
        assert!(IdentityId::parse(&("AzL8n0Y58m7".to_owned() + &"0".repeat(21))).is_ok(), "2^63 - 1");
        assert!(IdentityId::parse(&("AzL8n0Y58m8".to_owned() + &"0".repeat(21))).is_err(), "2^63");
        assert!(IdentityId::parse(&"z".repeat(32)).is_err());
    }

    #[test]
    fn later_sessions_have_later_rows() {
        let at = |ms| IdentityId::generate(Timestamp::from_millis(ms)).session_id();
        assert!(at(1_795_532_645_678) < at(1_795_532_645_679));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text: String) {
            let _ = IdentityId::parse(&text).map(|id| id.session_id());
        }

        #[test]
        fn any_well_formed_text_can_be_looked_up(text in "[A-Za-z0-9]{32}") {
            if let Ok(id) = IdentityId::parse(&text) {
                prop_assert!(id.session_id().0 >= 0);
            }
        }

        #[test]
        fn a_generated_id_is_read_back_with_its_row(milliseconds: i64) {
            let now = Timestamp::from_millis(milliseconds);
            let (id, other) = (IdentityId::generate(now), IdentityId::generate(now));
            prop_assert_ne!(&id, &other);
            let again = IdentityId::parse(id.expose()).unwrap();
            prop_assert_eq!(again.session_id(), id.session_id());
            prop_assert_eq!(again.digest(), id.digest());
        }
    }
}
