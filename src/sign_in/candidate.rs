//! The decision about a sign-in that the throttle let through, on the writer's thread.

use std::sync::Arc;

use log::debug;

use super::{Answer, Request, rules};
use crate::config::{NewCustomerEmail, SignInConfig};
use crate::domain::{CanonicalEmail, CountryCode, CuRefNo, CustomerId, EmailAddress, Outcome, Refusal, Timestamp};
use crate::metrics::Metrics;
use crate::store::{Attempt, Customer, NewCustomer, NewSession, StoreError, Tx};

/// Somebody whom the throttle let through, and all that the decision about them needs.
pub(super) struct Candidate {
    pub(super) policy: Arc<SignInConfig>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) attempt: Attempt,
    pub(super) request: Request,
    pub(super) country: Option<CountryCode>,
    pub(super) email: EmailAddress,
    pub(super) canonical: CanonicalEmail,
    pub(super) session_ends_at: Timestamp,
    pub(super) now: Timestamp,
}

impl Candidate {
    /// Decides, creates what is missing, and records the attempt: all in one transaction.
    pub(super) fn decide_and_record(&self, tx: &Tx<'_>) -> Result<Answer, StoreError> {
        let found = tx.find_customer(self.attempt.organisation, &self.canonical, self.now)?;
        let customer = match self.decide(tx, found)? {
            Ok(customer) => customer,
            Err((refusal, customer)) => {
                tx.insert_attempt(&self.attempt, customer, Outcome::Refused(refusal), self.now, 1)?;
                return Ok(refusal.into());
            }
        };
        let session = NewSession { customer, ip: self.attempt.ip, expires_at: self.session_ends_at };
        let identity = tx.insert_session(&session, self.now)?;
        let is_new_country = match self.country {
            Some(country) => tx.note_country(customer, country)?,
            None => false,
        };
        tx.insert_sign_in(&self.attempt, customer, is_new_country, self.now)?;
        Ok(Answer::SignedIn(identity))
    }

    /// Who may have a session, or which refusal stands against it and whom it concerns.
    fn decide(&self, tx: &Tx<'_>, found: Option<Customer>) -> Result<Decision, StoreError> {
        let refusal = rules::first_refusal(&self.policy, found.as_ref());
        let customer = match (found, refusal) {
            (None, Some(refusal)) if !rules::makes_customer_despite(refusal) => return Ok(Err((refusal, None))),
            (None, _) => self.create(tx)?,
            (Some(customer), Some(_)) => customer.id,
            (Some(customer), None) => {
                self.complete(tx, &customer)?;
                customer.id
            }
        };
        Ok(refusal.map_or(Ok(customer), |refusal| Err((refusal, Some(customer)))))
    }

    /// A new customer, who may have to be authorized first.
    fn create(&self, tx: &Tx<'_>) -> Result<CustomerId, StoreError> {
        let new = NewCustomer {
            email: Some((&self.email, &self.canonical)),
            first_name: self.request.first_name.as_ref(),
            last_name: self.request.last_name.as_ref(),
            is_authorized: self.policy.new_customer_email == NewCustomerEmail::Authorized,
            referred_by: self.referrer(tx)?,
            ..NewCustomer::of(self.attempt.organisation)
        };
        tx.insert_customer(&new, self.now)?.ok_or(StoreError::RowCount(0))
    }

    /// A broken referral must not stop a sign-in: one that names nobody is none.
    fn referrer(&self, tx: &Tx<'_>) -> Result<Option<CustomerId>, StoreError> {
        let Some(sent) = &self.request.referral_id else { return Ok(None) };
        let Ok(cu_ref_no) = CuRefNo::parse(sent) else {
            debug!("a malformed referralId was ignored");
            self.metrics.ignored_referrals.inc();
            return Ok(None);
        };
        let referrer = tx.find_referrer(self.attempt.organisation, &cu_ref_no)?;
        if referrer.is_none() {
            debug!("a referralId that names no customer was ignored");
            self.metrics.ignored_referrals.inc();
        }
        Ok(referrer)
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

/// The customer who gets a session; or why not, and who it is, when that is known.
type Decision = Result<CustomerId, (Refusal, Option<CustomerId>)>;
