//! The use case: a trusted backend names an e-mail address and gets a session, or a documented refusal.
//!
//! [`SignIn::sign_in`] and [`rules::rules`] are the contract's order of checks, from E004 to the
//! session. What comes before it (the key, its quota, the form of the body) is `http`'s, and how
//! things are kept is `store`'s.

pub mod deny;
pub mod rules;
mod sandbox;

use std::sync::Arc;
use std::time::Duration;

use log::debug;

use crate::attempt_log::AttemptLog;
use crate::clock::Clock;
use crate::config::{Config, NewCustomerEmail, SignInConfig};
use crate::domain::{
    CanonicalEmail, Canonicalization, ClientIp, CountryCode, CuRefNo, CustomerId, EmailAddress, IdentityId, KeyKind,
    Outcome, PersonName, Refusal, Timestamp,
};
use crate::intelligence::Intelligence;
use crate::keys::Key;
use crate::metrics::Metrics;
use crate::store::{Attempt, Customer, NewCustomer, NewSession, Store, StoreError, Tx};
use crate::throttle::{Limit, Throttle};
use deny::deny_reason;
use sandbox::Scene;

/// What a sign-in is decided by.
#[derive(Debug)]
pub struct SignIn {
    policy: Arc<SignInConfig>,
    canonicalization: Canonicalization,
    session_lifetime: Duration,
    /// How often it may be attempted.
    pub throttle: Throttle,
    intelligence: Arc<Intelligence>,
    metrics: Arc<Metrics>,
    clock: Clock,
    /// The attempts whose record does not wait for the disk.
    pub unwritten: AttemptLog,
}

/// A request whose form has been checked. The address has not: a wrong one is an answer of its own.
pub struct Request {
    /// The address; `None`: what was sent is no valid one.
    pub email: Option<EmailAddress>,
    /// The first name.
    pub first_name: Option<PersonName>,
    /// The last name.
    pub last_name: Option<PersonName>,
    /// Where the customer is.
    pub ip: Option<ClientIp>,
    /// Who brought the customer, as it was sent.
    pub referral_id: Option<String>,
}

/// How a sign-in is answered.
#[derive(Debug)]
pub enum Answer {
    /// A session, which is on the disk.
    SignedIn(IdentityId),
    /// The database failed: E001.
    Failed(StoreError),
    /// The operator's rules deny where the customer is: E001.
    Denied,
    /// A documented refusal.
    Refused {
        /// Which.
        refusal: Refusal,
        /// With E006: the time after which an attempt is let through again.
        retry_after: Option<Duration>,
    },
}

impl Answer {
    fn outcome(&self) -> Outcome {
        match self {
            Self::SignedIn(_) => Outcome::SignedIn,
            Self::Failed(_) => Outcome::Refused(Refusal::LoginFailed),
            Self::Denied => Outcome::Denied,
            Self::Refused { refusal, .. } => Outcome::Refused(*refusal),
        }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self::Refused { refusal, retry_after: None }
    }
}

/// Too many requests wait for the disk: nothing was decided, counted or recorded.
#[derive(Debug, thiserror::Error)]
#[error("too many requests wait for the disk")]
pub struct Overloaded;

impl SignIn {
    /// Signs in by the rules of `config`.
    #[must_use]
    pub fn new(
        config: &Config,
        throttle: Throttle,
        intelligence: Arc<Intelligence>,
        metrics: Arc<Metrics>,
        clock: Clock,
    ) -> Self {
        Self {
            policy: Arc::new(config.sign_in.clone()),
            canonicalization: config.email.canonicalization,
            session_lifetime: config.session.lifetime.get(),
            throttle,
            intelligence,
            metrics,
            clock,
            unwritten: AttemptLog::default(),
        }
    }

    /// Signs a customer in, or says which of E004, E006, E001 (denied by a rule), E005, E002, E003 and E007 stands
    /// against it, in this order. When the database fails, the answer is E001.
    ///
    /// # Errors
    /// When the write queue is full.
    pub async fn sign_in(&self, key: &Key, request: Request, store: &Store) -> Result<Answer, Overloaded> {
        let now = self.clock.now();
        let attempt =
            Attempt { organisation: key.organisation, api_key: key.id, mailbox: None, email: None, ip: request.ip };
        if key.kind == KeyKind::Dev
            && let Some(email) = &request.email
            && let Some(scene) = Scene::of(email)
        {
            let played = scene.play(key, email.clone(), now + self.session_lifetime, now, store).await;
            return self.answer(played, attempt, now);
        }
        let answer = self.attempt(key, request, attempt, now, store).await?;
        self.metrics.count_sign_in(answer.outcome());
        Ok(answer)
    }

    async fn attempt(
        &self,
        key: &Key,
        request: Request,
        mut attempt: Attempt,
        now: Timestamp,
        store: &Store,
    ) -> Result<Answer, Overloaded> {
        let Some(email) = request.email.clone() else {
            let recorded = store.write(record_invalid_email(attempt.clone(), now)).await;
            return self.answer(recorded, attempt, now);
        };
        let canonical = email.canonical(self.canonicalization);
        let mailbox = canonical.mailbox(key.organisation);
        attempt.mailbox = Some(mailbox);
        attempt.email = Some(email.clone());

        let is_throttled = key.kind != KeyKind::Root;
        if is_throttled && let Err(too_soon) = self.throttle.check(key.organisation, mailbox, request.ip) {
            let refusal = Refusal::TooManyAttempts;
            // Whoever floods names ever new addresses: what counts is where the flood comes from.
            if too_soon.by == Limit::Network {
                (attempt.mailbox, attempt.email) = (None, None);
            }
            self.unwritten.note(attempt, Outcome::Refused(refusal), now);
            return Ok(Answer::Refused { refusal, retry_after: Some(too_soon.retry_after) });
        }

        if let Some(ip) = attempt.ip {
            self.intelligence.note(ip);
            if deny_reason(&self.policy.deny, &self.intelligence.geoip, ip.get()).is_some() {
                self.unwritten.note(attempt, Outcome::Denied, now);
                return Ok(Answer::Denied);
            }
        }

        let candidate = Candidate {
            policy: self.policy.clone(),
            metrics: self.metrics.clone(),
            attempt: attempt.clone(),
            request,
            country: self.intelligence.country(attempt.ip),
            email,
            canonical,
            session_ends_at: now + self.session_lifetime,
            now,
        };
        let decided = store.write(move |tx| candidate.decide_and_record(tx)).await;
        if is_throttled && matches!(decided, Err(StoreError::Overloaded)) {
            self.throttle.refund(attempt.organisation, mailbox, attempt.ip);
        }
        self.answer(decided, attempt, now)
    }

    /// What the caller is told of what the store says.
    fn answer(
        &self,
        decided: Result<Answer, StoreError>,
        attempt: Attempt,
        now: Timestamp,
    ) -> Result<Answer, Overloaded> {
        match decided {
            Ok(answer) => Ok(answer),
            Err(StoreError::Overloaded) => Err(Overloaded),
            Err(error) => {
                self.unwritten.note(attempt, Outcome::Refused(Refusal::LoginFailed), now);
                Ok(Answer::Failed(error))
            }
        }
    }
}

fn record_invalid_email(attempt: Attempt, now: Timestamp) -> impl Fn(&Tx<'_>) -> Result<Answer, StoreError> {
    move |tx| {
        tx.insert_attempt(&attempt, None, Outcome::Refused(Refusal::InvalidEmail), now, 1)?;
        Ok(Refusal::InvalidEmail.into())
    }
}

/// Somebody whom the throttle let through, and all that the decision about them needs.
struct Candidate {
    policy: Arc<SignInConfig>,
    metrics: Arc<Metrics>,
    attempt: Attempt,
    request: Request,
    country: Option<CountryCode>,
    email: EmailAddress,
    canonical: CanonicalEmail,
    session_ends_at: Timestamp,
    now: Timestamp,
}

impl Candidate {
    /// Decides, creates what is missing, and records the attempt: all in one transaction.
    fn decide_and_record(&self, tx: &Tx<'_>) -> Result<Answer, StoreError> {
        let found = tx.find_customer(self.attempt.organisation, &self.canonical, self.now)?;
        let customer = match self.decide(tx, found)? {
            Ok(customer) => customer,
            Err((refusal, customer)) => {
                tx.insert_attempt(&self.attempt, customer, Outcome::Refused(refusal), self.now, 1)?;
                return Ok(refusal.into());
            }
        };
        let session = NewSession { customer, ip: self.request.ip, expires_at: self.session_ends_at };
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
