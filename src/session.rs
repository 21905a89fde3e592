//! The use cases of a session: telling whose it is, and ending it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::Clock;
use crate::config::SessionConfig;
use crate::domain::{IdentityId, SessionId, Timestamp};
use crate::keys::Key;
use crate::store::{Account, Session, Store, StoreError};

/// The rules of sessions.
#[derive(Debug)]
pub struct Sessions {
    rules: SessionConfig,
    /// How long a session lasts when nobody asks about it.
    longest_rest: Duration,
    clock: Clock,
    unwritten: Arc<Mutex<Unwritten>>,
}

/// When somebody last asked about a session, for as long as that is not written: a disk that fails for longer than the
/// idle time-out ends no session that is in use. (After a day more than that, housekeeping does.)
#[derive(Debug, Default)]
struct Unwritten {
    sessions: HashMap<SessionId, Timestamp>,
    pruned_at: Option<Timestamp>,
}

/// A session in use is written so many times within the longest rest; by one such part it may end too early.
const TOUCHES: u32 = 20;

/// It is written at least so often, so that an idle time-out that is set or shortened finds what it goes by.
const TOUCH_EVERY: Duration = Duration::from_hours(24);

/// Of so many sessions it is remembered, which takes three MiB.
const MAX_UNWRITTEN: usize = 100_000;

impl Sessions {
    /// Sessions by these rules.
    #[must_use]
    pub fn new(rules: SessionConfig, clock: Clock) -> Self {
        let longest_rest = rules.idle_timeout.unwrap_or(rules.lifetime).get();
        Self { rules, longest_rest, clock, unwritten: Arc::default() }
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
        self.touch(&mut session, identity.session_id(), now, store);
        Ok(session.is_alive(self.rules, now).then_some(account))
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

    /// Corrects when somebody last asked about the session, and if it is alive, notes that somebody does. It need not be
    /// known exactly: so few questions lead to a write, also while no write succeeds.
    fn touch(&self, session: &mut Session, id: SessionId, now: Timestamp, store: &Store) {
        let is_recent = |session: &Session| is_recent(session.last_seen_at, self.longest_rest, now);
        if is_recent(session) {
            return;
        }
        if let Some(seen) = self.unwritten.lock().sessions.get(&id) {
            session.last_seen_at = session.last_seen_at.max(*seen);
        }
        if is_recent(session) || !session.is_alive(self.rules, now) {
            return;
        }
        self.unwritten.lock().remember(id, now, self.longest_rest);
        let (write, unwritten) = (store.write(move |tx| tx.touch_session(id, now)), self.unwritten.clone());
        actix_web::rt::spawn(async move {
            if write.await.is_ok() {
                unwritten.lock().forget(id, now);
            }
        });
    }
}

impl Unwritten {
    fn remember(&mut self, id: SessionId, now: Timestamp, longest_rest: Duration) {
        let was_pruned = self.pruned_at.is_some_and(|at| is_recent(at, longest_rest, now));
        if self.sessions.len() >= MAX_UNWRITTEN && !was_pruned {
            self.sessions.retain(|_, seen| *seen + longest_rest > now);
            self.pruned_at = Some(now);
        }
        let has_room = self.sessions.len() < MAX_UNWRITTEN;
        match self.sessions.entry(id) {
            Entry::Occupied(mut seen) => _ = seen.insert(now),
            Entry::Vacant(place) if has_room => _ = place.insert(now),
            Entry::Vacant(_) => {}
        }
    }

    /// Unless somebody has asked again since.
    fn forget(&mut self, id: SessionId, written: Timestamp) {
        if self.sessions.get(&id) == Some(&written) {
            self.sessions.remove(&id);
        }
    }
}

impl Session {
    /// When it expires: a lifetime that has become shorter since it was made counts.
    #[must_use]
    pub fn ends_at(&self, rules: SessionConfig) -> Timestamp {
        self.expires_at.min(self.created_at + rules.lifetime.get())
    }

    /// Whether it has neither ended nor expired, nor been idle for too long.
    #[must_use]
    pub fn is_alive(&self, rules: SessionConfig, now: Timestamp) -> bool {
        let is_idle = rules.idle_timeout.is_some_and(|limit| self.last_seen_at + limit.get() <= now);
        !self.is_ended && now < self.ends_at(rules) && !is_idle
    }
}

/// Whether what was done at that moment need not be done again yet.
fn is_recent(at: Timestamp, longest_rest: Duration, now: Timestamp) -> bool {
    at + (longest_rest / TOUCHES).min(TOUCH_EVERY) > now
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Duration = Duration::from_hours(10);

    /// The session with this number.
    fn id(number: usize) -> SessionId {
        SessionId(i64::try_from(number).unwrap())
    }

    /// As many as may be remembered, all at the same moment.
    fn full(now: Timestamp) -> Unwritten {
        let mut unwritten = Unwritten::default();
        for number in 0..MAX_UNWRITTEN {
            unwritten.remember(id(number), now, REST);
        }
        unwritten
    }

    #[test]
    fn no_more_sessions_are_remembered_than_may_be_until_one_is_forgotten() {
        let now = Timestamp::EPOCH;
        let (mut unwritten, new) = (full(now), id(MAX_UNWRITTEN));
        unwritten.remember(new, now, REST);
        assert_eq!((unwritten.sessions.len(), unwritten.sessions.get(&new)), (MAX_UNWRITTEN, None));
        unwritten.forget(id(0), now);
        unwritten.remember(new, now, REST);
        assert_eq!((unwritten.sessions.len(), unwritten.sessions.get(&new)), (MAX_UNWRITTEN, Some(&now)));
    }

    #[test]
    fn a_session_that_is_remembered_is_so_anew_when_there_is_room_for_no_other() {
        let now = Timestamp::EPOCH;
        let mut unwritten = full(now);
        unwritten.remember(id(0), now + REST / 2, REST);
        assert_eq!(unwritten.sessions[&id(0)], now + REST / 2);
        unwritten.forget(id(0), now);
        assert!(unwritten.sessions.contains_key(&id(0)), "what is written is older");
    }

    #[test]
    fn sessions_that_are_dead_by_now_make_room() {
        let now = Timestamp::EPOCH;
        let (mut unwritten, new) = (full(now), id(MAX_UNWRITTEN));
        unwritten.remember(id(0), now + REST / 2, REST);
        unwritten.remember(new, now + REST, REST);
        assert_eq!(unwritten.sessions.len(), 2);
        assert!(unwritten.sessions.contains_key(&id(0)) && unwritten.sessions.contains_key(&new));
    }
}
