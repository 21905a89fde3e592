//! The use cases of a session: telling whose it is, and ending it.

use std::time::Duration;

use crate::clock::Clock;
use crate::config::SessionConfig;
use crate::domain::{IdentityId, Timestamp};
use crate::keys::Key;
use crate::store::{Account, Session, Store, StoreError};

/// The rules of sessions.
#[derive(Debug)]
pub struct Sessions {
    idle_timeout: Option<Duration>,
    clock: Clock,
}

impl Sessions {
    /// Sessions by the rules of `config`.
    #[must_use]
    pub fn new(config: SessionConfig, clock: Clock) -> Self {
        Self { idle_timeout: config.idle_timeout.map(crate::config::Period::get), clock }
    }

    /// Whose living session `identity` stands for, as of now; `None` when it stands for none of the
    /// key's organisation.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn find_account(&self, key: &Key, identity: &IdentityId, store: &Store) -> Result<Option<Account>, StoreError> {
        let now = self.clock.now();
        let found = store.read(|tx| tx.find_session(key.organisation, identity, now))?;
        let Some((session, account)) = found.filter(|(session, _)| is_alive(session, self.idle_timeout, now)) else {
            return Ok(None);
        };
        self.touch(&session, identity, now, store);
        Ok(Some(account))
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

    /// Notes that somebody asked about the session. Only an idle time-out needs to know it, and not
    /// more exactly than to a twentieth of it: so few questions lead to a write.
    fn touch(&self, session: &Session, identity: &IdentityId, now: Timestamp, store: &Store) {
        if let Some(idle_timeout) = self.idle_timeout
            && session.last_seen_at + idle_timeout / 20 <= now
        {
            let id = identity.session_id();
            store.write_unless_full(move |tx| tx.touch_session(id, now));
        }
    }
}

/// Whether a session has neither ended nor expired.
#[must_use]
pub fn is_alive(session: &Session, idle_timeout: Option<Duration>, now: Timestamp) -> bool {
    let is_idle = idle_timeout.is_some_and(|limit| session.last_seen_at + limit <= now);
    !session.is_ended && now < session.expires_at && !is_idle
}
