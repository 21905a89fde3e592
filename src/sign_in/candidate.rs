//! The decision about a sign-in that the throttle let through, on the writer's thread.

use std::sync::Arc;

use log::debug;

use super::{Answer, Request, rules};
use crate::config::{NewCustomerEmail, SignInConfig};
use crate::domain::{CanonicalEmail, CountryCode, CuRefNo, CustomerId, EmailAddress, Outcome, Timestamp};
use crate::store::{Attempt, Customer, NewAttempt, NewCustomer, NewSession, StoreError, Tx};

/// Somebody whom the throttle let through, and all that the decision about them needs.
pub(super) struct Candidate {
    pub(super) policy: Arc<SignInConfig>,
    pub(super) attempt: Attempt,
    pub(super) request: Request,
    pub(super) country: Option<CountryCode>,
    pub(super) email: EmailAddress,
    pub(super) canonical: CanonicalEmail,
    pub(super) session_ends_at: Timestamp,
    pub(super) now: Timestamp,
}

/// What became of a candidate.
pub(super) struct Decision {
    pub(super) answer: Answer,
    /// Whether a new customer came with a referral of which nothing is known.
    pub(super) is_referral_ignored: bool,
}

impl Candidate {
    /// Decides, creates what is missing, and records the attempt: all in one transaction.
    pub(super) fn decide_and_record(&self, tx: &Tx<'_>) -> Result<Decision, StoreError> {
        let found = tx.find_customer(self.attempt.organisation, &self.canonical, self.now)?;
        if let Some(refusal) = rules::first_refusal(&self.policy, found.as_ref()) {
            let (customer, is_referral_ignored) = match found {
                None if rules::makes_customer_despite(refusal) => {
                    let (customer, is_referral_ignored) = self.create(tx)?;
                    (Some(customer), is_referral_ignored)
                }
                found => (found.map(|customer| customer.id), false),
            };
            let refused = NewAttempt { customer, ..NewAttempt::of(&self.attempt, Outcome::Refused(refusal)) };
            tx.insert_attempt(&refused, self.now)?;
            return Ok(Decision { answer: refusal.into(), is_referral_ignored });
        }
        let (customer, is_referral_ignored) = match found {
            None => self.create(tx)?,
            Some(customer) => {
                self.complete(tx, &customer)?;
                (customer.id, false)
            }
        };
        let session = NewSession { customer, ip: self.attempt.ip, expires_at: self.session_ends_at };
        let identity = tx.insert_session(&session, self.now)?;
        let is_new_country = match self.country {
            Some(country) => tx.note_country(customer, country)?,
            None => false,
        };
        let signed_in = NewAttempt::of(&self.attempt, Outcome::SignedIn);
        tx.insert_attempt(&NewAttempt { customer: Some(customer), is_new_country, ..signed_in }, self.now)?;
        Ok(Decision { answer: Answer::SignedIn(identity), is_referral_ignored })
    }

    /// A new customer, who may have to be authorized first; and whether the referral was ignored.
    fn create(&self, tx: &Tx<'_>) -> Result<(CustomerId, bool), StoreError> {
        let referred_by = self.find_referrer(tx)?;
        let is_referral_ignored = self.request.referral_id.is_some() && referred_by.is_none();
        if is_referral_ignored {
            debug!("a referralId that is malformed or names no customer was ignored");
        }
        let new = NewCustomer {
            email: Some((&self.email, &self.canonical)),
            first_name: self.request.first_name.as_ref(),
            last_name: self.request.last_name.as_ref(),
            is_authorized: self.policy.new_customer_email == NewCustomerEmail::Authorized,
            referred_by,
            ..NewCustomer::of(self.attempt.organisation)
        };
        let customer = tx.insert_customer(&new, self.now)?.ok_or(StoreError::RowCount(0))?;
        Ok((customer, is_referral_ignored))
    }

    /// A broken referral must not stop a sign-in: one that names nobody is none.
    fn find_referrer(&self, tx: &Tx<'_>) -> Result<Option<CustomerId>, StoreError> {
        let sent = self.request.referral_id.as_ref().and_then(|sent| CuRefNo::parse(sent).ok());
        sent.map_or(Ok(None), |cu_ref_no| tx.find_referrer(self.attempt.organisation, &cu_ref_no))
    }

    /// Registers a guest and fills missing names; writes nothing when there is nothing to fill.
    fn complete(&self, tx: &Tx<'_>, customer: &Customer) -> Result<(), StoreError> {
        let first_name = self.request.first_name.as_ref().filter(|_| !customer.has_first_name);
        let last_name = self.request.last_name.as_ref().filter(|_| !customer.has_last_name);
        if customer.is_registered && first_name.is_none() && last_name.is_none() {
            return Ok(());
        }
        tx.complete_customer(customer.id, first_name, last_name, self.now)
    }
}
