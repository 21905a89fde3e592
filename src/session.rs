//! The use cases of a session: telling whose it is, and ending it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::config::SessionConfig;
use crate::domain::{IdentityId, SessionId, Timestamp};
use crate::keys::Key;
use crate::store::{Account, Session, Store, StoreError};

/// The rules of sessions.
#[derive(Debug)]
pub struct Sessions {
    idle_timeout: Option<Duration>,
    clock: Clock,
    unwritten: Unwritten,
}

/// When somebody last asked about a session, where that could not be written: a disk that fails for longer than the
/// idle time-out ends no session that is in use.
#[derive(Clone, Debug, Default)]
struct Unwritten(Arc<Mutex<HashMap<SessionId, Timestamp>>>);

/// Of so many sessions it is remembered, which takes four MiB.
const MAX_UNWRITTEN: usize = 100_000;

impl Sessions {
    /// Sessions by the rules of `config`.
    #[must_use]
    pub fn new(config: SessionConfig, clock: Clock) -> Self {
        let idle_timeout = config.idle_timeout.map(crate::config::Period::get);
        Self { idle_timeout, clock, unwritten: Unwritten::default() }
    }

    /// Whose living session `identity` stands for, as of now; `None` when it stands for none of the
    /// key's organisation.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn find_account(&self, key: &Key, identity: &IdentityId, store: &Store) -> Result<Option<Account>, StoreError> {
        let now = self.clock.now();
        let Some((mut session, account)) = store.read(|tx| tx.find_session(key.organisation, identity, now))? else {
            return Ok(None);
        };
        if let Some(idle_timeout) = self.idle_timeout {
            self.touch(&mut session, identity.session_id(), idle_timeout, now, store);
        }
        Ok(is_alive(&session, self.idle_timeout, now).then_some(account))
    }

    /// Ends the session that `identity` stands for. Does nothing when there is none.
    ///
    /// # Errors
    /// When the database fails or its queue is full.
    pub async fn sign_out(&self, key: &Key, identity: &IdentityId, store: &Store) -> Result<(), StoreError> {
        let now = self.clock.now();
        let found = store.read(|tx| tx.find_session(key.organisation, identity, now))?;
        let id = identity.session_id();
        match found {
            Some((session, _)) if !session.is_ended => store.write(move |tx| tx.revoke_session(id, now)).await,
            _ => Ok(()),
        }
    }

    /// Notes that somebody asks about the session, if it is alive. Only an idle time-out needs to know it, and not
    /// more exactly than to a twentieth of it: so few questions lead to a write.
    fn touch(&self, session: &mut Session, id: SessionId, idle_timeout: Duration, now: Timestamp, store: &Store) {
        if session.last_seen_at + idle_timeout / 20 > now {
            return;
        }
        let unwritten = self.unwritten.clone();
        if let Some(seen) = unwritten.sessions().get(&id) {
            session.last_seen_at = session.last_seen_at.max(*seen);
        }
        if is_alive(session, self.idle_timeout, now) {
            let write = store.write(move |tx| tx.touch_session(id, now));
            actix_web::rt::spawn(async move {
                match write.await {
                    Ok(()) => _ = unwritten.sessions().remove(&id),
                    Err(_) => unwritten.remember(id, now, idle_timeout),
                }
            });
        }
    }
}

impl Unwritten {
    fn remember(&self, id: SessionId, now: Timestamp, idle_timeout: Duration) {
        let mut sessions = self.sessions();
        if sessions.len() >= MAX_UNWRITTEN {
            sessions.retain(|_, seen| *seen + idle_timeout > now);
        }
        if sessions.len() < MAX_UNWRITTEN {
            sessions.insert(id, now);
        }
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<SessionId, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a session has neither ended nor expired.
#[must_use]
pub fn is_alive(session: &Session, idle_timeout: Option<Duration>, now: Timestamp) -> bool {
    let is_idle = idle_timeout.is_some_and(|limit| session.last_seen_at + limit <= now);
    !session.is_ended && now < session.expires_at && !is_idle
}
