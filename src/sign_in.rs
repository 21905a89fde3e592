//! The use case: a trusted backend names an e-mail address and gets a session, or a documented refusal.
//!
//! [`SignIn::sign_in`] and [`rules::rules`] are the contract's order of checks, from E004 to the
//! session. What comes before it (the key, its quota, the form of the body) is `http`'s, and how
//! things are kept is `store`'s.

mod candidate;
pub mod deny;
pub mod rules;
mod sandbox;

use std::sync::Arc;
use std::time::Duration;

use crate::attempt_log::AttemptLog;
use crate::clock::Clock;
use crate::config::{Config, SignInConfig};
use crate::domain::{
    Canonicalization, ClientIp, EmailAddress, IdentityId, KeyKind, Outcome, PersonName, Refusal, Timestamp,
};
use crate::intelligence::Intelligence;
use crate::keys::Key;
use crate::metrics::Metrics;
use crate::store::{Attempt, NewAttempt, Store, StoreError, Tx};
use crate::throttle::{Limit, Throttle, TooSoon};
use candidate::Candidate;
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
    pub attempt_log: AttemptLog,
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
            attempt_log: AttemptLog::default(),
        }
    }

    /// Signs a customer in, or says which of E004, E006, E001 (denied by a rule), E005, E002, E003 and E007 stands
    /// against it, in this order. When the database fails, the answer is E001.
    ///
    /// # Errors
    /// When the write queue is full.
    pub async fn sign_in(&self, key: &Key, request: Request, store: &Store) -> Result<Answer, Overloaded> {
        let now = self.clock.now();
        if key.kind == KeyKind::Dev
            && let Some(email) = &request.email
            && let Some(scene) = Scene::of(email)
        {
            let played = scene.play(key, now + self.session_lifetime, now, store).await;
            return told(played);
        }
        let answer = self.attempt(key, request, now, store).await?;
        self.metrics.count_sign_in(answer.outcome());
        Ok(answer)
    }

    async fn attempt(
        &self,
        key: &Key,
        mut request: Request,
        now: Timestamp,
        store: &Store,
    ) -> Result<Answer, Overloaded> {
        let mut attempt =
            Attempt { organisation: key.organisation, api_key: key.id, mailbox: None, email: None, ip: request.ip };
        let Some(email) = request.email.take() else {
            self.intelligence.note(attempt.ip);
            let recorded = store.write(record_invalid_email(attempt.clone(), now)).await;
            return self.answer(recorded, attempt, now);
        };
        let canonical = email.canonical(self.canonicalization);
        let mailbox = canonical.mailbox(key.organisation);
        attempt.mailbox = Some(mailbox);
        attempt.email = Some(email.clone());

        let is_throttled = key.kind != KeyKind::Root;
        if is_throttled && let Err(too_soon) = self.throttle.check(key.organisation, mailbox, request.ip) {
            return Ok(self.refuse(too_soon, attempt, now));
        }
        self.intelligence.note(attempt.ip);
        if let Some(ip) = attempt.ip
            && deny_reason(&self.policy.deny, &self.intelligence.geoip, ip.get()).is_some()
        {
            self.attempt_log.note(attempt, Outcome::Denied, now);
            return Ok(Answer::Denied);
        }
        let candidate = Candidate {
            policy: self.policy.clone(),
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
        let decided = decided.map(|decision| {
            self.metrics.ignored_referrals.inc_by(decision.is_referral_ignored.into());
            decision.answer
        });
        self.answer(decided, attempt, now)
    }

    fn refuse(&self, too_soon: TooSoon, mut attempt: Attempt, now: Timestamp) -> Answer {
        let refusal = Refusal::TooManyAttempts;
        // Whoever floods names ever new addresses: what counts is where the flood comes from.
        if too_soon.by == Limit::Network {
            (attempt.mailbox, attempt.email) = (None, None);
        }
        self.attempt_log.note(attempt, Outcome::Refused(refusal), now);
        Answer::Refused { refusal, retry_after: Some(too_soon.retry_after) }
    }

    /// The same as [`told`], and a record of what could not be written.
    fn answer(
        &self,
        decided: Result<Answer, StoreError>,
        attempt: Attempt,
        now: Timestamp,
    ) -> Result<Answer, Overloaded> {
        let answer = told(decided)?;
        if let Answer::Failed(_) = answer {
            self.attempt_log.note(attempt, Outcome::Refused(Refusal::LoginFailed), now);
        }
        Ok(answer)
    }
}

/// What the caller is told of what the store says.
fn told(decided: Result<Answer, StoreError>) -> Result<Answer, Overloaded> {
    match decided {
        Err(StoreError::Overloaded) => Err(Overloaded),
        decided => Ok(decided.unwrap_or_else(Answer::Failed)),
    }
}

fn record_invalid_email(attempt: Attempt, now: Timestamp) -> impl Fn(&Tx<'_>) -> Result<Answer, StoreError> {
    move |tx| {
        tx.insert_attempt(&NewAttempt::of(&attempt, Outcome::Refused(Refusal::InvalidEmail)), now)?;
        Ok(Refusal::InvalidEmail.into())
    }
}
