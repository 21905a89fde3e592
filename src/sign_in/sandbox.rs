//! The sandbox: addresses by which an integrator with a `DEV_` key sees every answer without arranging it.
//!
//! `e001@magic.test` to `e007@magic.test` answer with that code, `ok@magic.test` with a session of a
//! sandbox customer. Nothing of it counts in throttles or attempts. (`.test` is nobody's: RFC 6761.) With any
//! other key they are ordinary addresses, and customers of their own.

use std::time::Duration;

use super::Answer;
use crate::domain::{CanonicalEmail, CustomerId, EmailAddress, OrganisationId, Refusal, Timestamp};
use crate::keys::Key;
use crate::store::{NewCustomer, NewSession, Store, StoreError, Tx};

/// What `e006@magic.test` is told.
const RETRY_AFTER: Duration = Duration::from_mins(1);

/// What a sandbox address shows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scene {
    SignedIn(EmailAddress),
    Refused(Refusal),
}

impl Scene {
    /// The scene of a sandbox address; `None` for any other.
    pub(super) fn of(email: &EmailAddress) -> Option<Self> {
        let name = email.as_str().strip_suffix("@magic.test")?;
        if name == "ok" {
            return Some(Self::SignedIn(email.clone()));
        }
        Refusal::ALL.into_iter().find(|refusal| refusal.code().eq_ignore_ascii_case(name)).map(Self::Refused)
    }

    /// Answers as the scene wants it.
    pub(super) async fn play(
        self,
        key: &Key,
        session_ends_at: Timestamp,
        now: Timestamp,
        store: &Store,
    ) -> Result<Answer, StoreError> {
        match self {
            Self::Refused(refusal) => {
                let retry_after = (refusal == Refusal::TooManyAttempts).then_some(RETRY_AFTER);
                Ok(Answer::Refused { refusal, retry_after })
            }
            Self::SignedIn(email) => {
                let organisation = key.organisation;
                store
                    .write(move |tx| {
                        let customer = find_or_create(tx, organisation, &email, now)?;
                        let session = NewSession { customer, ip: None, expires_at: session_ends_at };
                        tx.insert_session(&session, now).map(Answer::SignedIn)
                    })
                    .await
            }
        }
    }
}

fn find_or_create(
    tx: &Tx<'_>,
    organisation: OrganisationId,
    email: &EmailAddress,
    now: Timestamp,
) -> Result<CustomerId, StoreError> {
    let canonical = CanonicalEmail::sandbox(email);
    if let Some(customer) = tx.find_customer(organisation, &canonical, now)? {
        return Ok(customer.id);
    }
    let new = NewCustomer { email: Some((email, &canonical)), is_authorized: true, ..NewCustomer::of(organisation) };
    tx.insert_customer(&new, now)?.ok_or(StoreError::RowCount(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(email: &str) -> Option<Scene> {
        Scene::of(&EmailAddress::parse(email).unwrap())
    }

    #[test]
    fn each_code_has_an_address_and_no_other_address_is_one() {
        for refusal in Refusal::ALL {
            assert_eq!(scene(&format!("{}@Magic.test", refusal.code())), Some(Scene::Refused(refusal)));
        }
        assert!(matches!(scene("ok@magic.test"), Some(Scene::SignedIn(_))));
        for email in
            ["e008@magic.test", "ok+x@magic.test", "e001@magic.test.com", "e001@sub.magic.test", "ok@magic.tes"]
        {
            assert_eq!(scene(email), None, "{email}");
        }
    }
}
