//! The broom: deletes old attempts and dead sessions.
//!
//! It goes through the tables in small steps, each one job among the writer's others, so that no request waits for
//! it. It goes by row number and needs no index, for which every sign-in would pay.
//!
//! `PRAGMA optimize` is left out on purpose. Every query goes by a key or reads its table from an end, which SQLite
//! plans well without statistics; and those of a young database, where customers and keys are few, make it walk
//! through all customers for the look-up of a session, also when they have become many.

use std::time::Duration;

use log::{info, warn};

use super::slowest_clock::SlowestClock;
use crate::clock::Clock;
use crate::config::{Config, SessionConfig};
use crate::domain::{AttemptId, ClientIp, SessionId, Timestamp};
use crate::store::{Store, StoreError, Tx};

/// Rows that one step reads, and deletes at most: a few milliseconds of the writer's time.
const STEP: u32 = 500;

/// Between two steps. 5,000 rows of each table a second are more than come in, hour by hour, and leave the writer nearly
/// all of its time.
const PAUSE: Duration = Duration::from_millis(100);

/// From the start of the server to the first round: by then a machine that has just started, too, knows what
/// time it is.
const FIRST_REST: Duration = Duration::from_mins(1);

/// From the beginning of one round to that of the next: dead rows take the room of an hour's at most.
const ROUND_EVERY: Duration = Duration::from_hours(1);

/// The same after a round that failed; the next one goes on where that one stopped.
const RETRY_AFTER: Duration = Duration::from_mins(1);

/// Between two looks at the clock while it rests.
const TICK: Duration = Duration::from_secs(1);

/// How long a session must have been past its time. Clocks are wrong by some hours now and then, also when the server
/// starts; what they say can be taken back, and a deletion cannot.
const GRACE: Duration = Duration::from_hours(24);

/// The broom, and how far it has come.
#[derive(Debug)]
pub(super) struct Broom {
    rules: Rules,
    clock: Clock,
    time_of_day: SlowestClock,
    attempts: Sweep<AttemptId>,
    addresses: Sweep<ClientIp>,
    sessions: Sweep<SessionId>,
    /// By the steady clock, which does not care what the time of day is set to.
    next_round: Duration,
}

/// What is kept for how long.
#[derive(Clone, Copy, Debug)]
struct Rules {
    attempts_kept_for: Duration,
    sessions: SessionConfig,
}

/// The way through a table.
#[derive(Debug)]
struct Sweep<Id> {
    /// The last row that was seen; `None` before the first one.
    after: Option<Id>,
    /// How many were deleted in this round.
    deleted: usize,
}

/// Takes the step after this row.
type TakeStep<Id> = fn(&Tx<'_>, Option<Id>, Rules, Timestamp) -> Result<Step<Id>, StoreError>;

/// What a step came to.
#[derive(Debug)]
struct Step<Id> {
    /// The row after which the next step begins; `None` when the round is at its end.
    next: Option<Id>,
    deleted: usize,
}

impl Broom {
    pub(super) fn new(config: &Config, clock: Clock) -> Self {
        let rules = Rules { attempts_kept_for: config.retention.login_attempts.get(), sessions: config.session };
        let next_round = clock.steady() + FIRST_REST;
        Self {
            rules,
            time_of_day: SlowestClock::new(clock.clone()),
            clock,
            attempts: Sweep::new(),
            addresses: Sweep::new(),
            sessions: Sweep::new(),
            next_round,
        }
    }

    /// Sweeps in rounds.
    pub(super) async fn keep_sweeping(&mut self, store: &Store) {
        loop {
            tokio::time::sleep(TICK).await;
            let begin = self.clock.steady();
            if begin < self.next_round {
                continue;
            }
            let result = self.round(store).await;
            self.next_round = begin + if result.is_ok() { ROUND_EVERY } else { RETRY_AFTER };
            if let Err(error) = result {
                warn!("housekeeping was interrupted and goes on in a minute: {error}");
            }
        }
    }

    /// Goes through the tables side by side: one that is large, or fails, does not keep the others from being swept.
    async fn round(&mut self, store: &Store) -> Result<(), StoreError> {
        let now = self.time_of_day.look();
        let (attempts, addresses, sessions) = tokio::join!(
            self.attempts.go(store, now, self.rules, sweep_attempts),
            self.addresses.go(store, now, self.rules, sweep_addresses),
            self.sessions.go(store, now, self.rules, sweep_sessions),
        );
        let swept = attempts.and(addresses).and(sessions);
        let (attempts, sessions) = (self.attempts.take_deleted(), self.sessions.take_deleted());
        if attempts + sessions > 0 {
            info!(attempts, sessions; "deleted old attempts and dead sessions");
        }
        swept
    }
}

impl<Id: Copy + Send + 'static> Sweep<Id> {
    const fn new() -> Self {
        Self { after: None, deleted: 0 }
    }

    /// Takes steps to the end of the round. After an error, it goes on from there.
    async fn go(&mut self, store: &Store, now: Timestamp, rules: Rules, step: TakeStep<Id>) -> Result<(), StoreError> {
        loop {
            let after = self.after;
            let done = store.write(move |tx| step(tx, after, rules, now)).await?;
            self.deleted += done.deleted;
            self.after = done.next;
            if done.next.is_none() {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn take_deleted(&mut self) -> usize {
        std::mem::take(&mut self.deleted)
    }
}

/// Deletes the old ones among the next attempts. A round ends with the first step that finds nothing but attempts to be
/// kept, for rows are appended in the order of time; but for some that were written later than they happened, which
/// are then swept with their neighbours, and those from a time when the clock was ahead, which are passed by.
fn sweep_attempts(
    tx: &Tx<'_>,
    after: Option<AttemptId>,
    rules: Rules,
    now: Timestamp,
) -> Result<Step<AttemptId>, StoreError> {
    let kept_since = now - rules.attempts_kept_for;
    let rows = tx.list_attempt_times(after, STEP)?;
    let mut deleted = 0;
    for (id, _) in rows.iter().filter(|(_, at)| *at < kept_since) {
        tx.delete_attempt(*id)?;
        deleted += 1;
    }
    let is_recent = rows.iter().all(|(_, at)| (kept_since..=now).contains(at));
    Ok(Step { next: rows.last().filter(|_| is_full(&rows) && !is_recent).map(|(id, _)| *id), deleted })
}

/// Deletes what is known of the next addresses that nobody has signed in from for so long that no attempt is left.
fn sweep_addresses(
    tx: &Tx<'_>,
    after: Option<ClientIp>,
    rules: Rules,
    now: Timestamp,
) -> Result<Step<ClientIp>, StoreError> {
    // What is known of addresses is nobody's to count.
    Ok(Step { next: tx.sweep_ips(after, STEP, rules.attempts_kept_for, now)?, deleted: 0 })
}

/// Deletes the dead ones among the next sessions. A round goes through the whole table: sessions end at any age.
fn sweep_sessions(
    tx: &Tx<'_>,
    after: Option<SessionId>,
    rules: Rules,
    now: Timestamp,
) -> Result<Step<SessionId>, StoreError> {
    let rows = tx.list_sessions_after(after, STEP)?;
    let mut deleted = 0;
    for (id, _) in rows.iter().filter(|(_, session)| !session.is_alive(rules.sessions, now - GRACE)) {
        tx.delete_session(*id)?;
        deleted += 1;
    }
    Ok(Step { next: rows.last().filter(|_| is_full(&rows)).map(|(id, _)| *id), deleted })
}

/// Whether there may be more rows. A round does not go on until there are none: while many sign in, there would always be
/// another one.
fn is_full<R>(rows: &[R]) -> bool {
    rows.len() == STEP as usize
}
