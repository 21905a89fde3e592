//! The table `login_attempts`: what the server does with it. How the operator looks at it stands in files of its own.

mod listing;
mod summary;
mod unclaimed;

pub use listing::{AttemptFilter, AttemptRow, Person};
pub use summary::{IpTotal, MailboxTotal, OutcomeTotal};
pub use unclaimed::UnclaimedAttempts;

use rusqlite::{OptionalExtension as _, params};

use super::{StoreError, Tx};
use crate::domain::{
    ApiKeyId, AttemptId, ClientIp, CustomerId, EmailAddress, KeyKind, Mailbox, OrganisationId, Outcome, Timestamp,
};

/// An attempt to be recorded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attempt {
    /// Whose key was used.
    pub organisation: OrganisationId,
    /// The key.
    pub api_key: ApiKeyId,
    /// The mailbox; `None` when the address was not valid.
    pub mailbox: Option<Mailbox>,
    /// The address, when it was valid.
    pub email: Option<EmailAddress>,
    /// Where the customer was.
    pub ip: Option<ClientIp>,
}

/// What the throttle needs of an attempt to remember it.
#[derive(Clone, Copy, Debug)]
pub struct ThrottledAttempt {
    /// The organisation.
    pub organisation: OrganisationId,
    /// The mailbox.
    pub mailbox: Mailbox,
    /// Where the customer was.
    pub ip: Option<ClientIp>,
    /// When.
    pub at: Timestamp,
    /// How many alike.
    pub count: u32,
    /// Whether the mailbox had too many already: it was asked last, and nothing was taken from it.
    pub is_refused: bool,
}

/// An attempt that has ended.
#[derive(Debug)]
pub struct NewAttempt<'a> {
    /// Who tried.
    pub attempt: &'a Attempt,
    /// Whose address it was, when somebody was looked up.
    pub customer: Option<CustomerId>,
    /// How it ended.
    pub outcome: Outcome,
    /// For how many like ones it stands.
    pub count: u32,
    /// Whether it came from a country that is new for the customer.
    pub is_new_country: bool,
}

impl<'a> NewAttempt<'a> {
    /// A single one, of nobody who is known.
    #[must_use]
    pub fn of(attempt: &'a Attempt, outcome: Outcome) -> Self {
        Self { attempt, customer: None, outcome, count: 1, is_new_country: false }
    }
}

impl Tx<'_> {
    /// Records how an attempt ended. With a customer, the address is the customer's and not repeated.
    pub fn insert_attempt(&self, new: &NewAttempt<'_>, at: Timestamp) -> Result<(), StoreError> {
        let attempt = new.attempt;
        let sql = "INSERT INTO login_attempts
                (organisation_id, api_key_id, customer_id, mailbox, email, ip, outcome, at, count, new_country)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        let values = params![
            attempt.organisation,
            attempt.api_key,
            new.customer,
            attempt.mailbox,
            attempt.email.as_ref().filter(|_| new.customer.is_none()),
            attempt.ip,
            new.outcome,
            at,
            new.count,
            new.is_new_country,
        ];
        self.execute(sql, values).map(drop)
    }

    /// When the newest attempt was made, or the newest customer, whichever was later. Reads all rows.
    pub fn find_newest_moment(&self) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT max(at) FROM
            (SELECT max(at) AS at FROM login_attempts UNION ALL SELECT max(created_at) FROM customers)";
        self.value(sql, [])
    }

    /// Tells of the attempts since `start` that went through the throttle, the oldest first.
    pub fn for_each_throttled_attempt(
        &self,
        start: Timestamp,
        tell: &mut dyn FnMut(ThrottledAttempt),
    ) -> Result<(), StoreError> {
        // What can be known without a column is: there may be a million rows.
        let mut throttled = self.list_keys()?;
        throttled.retain(|key| key.kind != KeyKind::Root);
        let mut statement = self.prepare(
            "SELECT at, mailbox, ip, count, api_key_id, organisation_id, outcome = 'E006' FROM login_attempts
            WHERE id > ?1 AND mailbox IS NOT NULL ORDER BY id",
        )?;
        let mut rows = statement.query([self.find_attempt_before(start)?.0])?;
        while let Some(row) = rows.next()? {
            let at = row.get(0)?;
            let id: ApiKeyId = row.get(4)?;
            if at < start || !throttled.iter().any(|key| key.id == id) {
                continue;
            }
            tell(ThrottledAttempt {
                organisation: row.get(5)?,
                mailbox: row.get(1)?,
                ip: row.get_ref(2)?.as_str().ok().and_then(|ip| ClientIp::parse(ip).ok()),
                at,
                count: row.get(3)?,
                is_refused: row.get(6)?,
            });
        }
        Ok(())
    }

    /// An attempt before which there are none since `start`. Looks at one in a thousand, from the end.
    fn find_attempt_before(&self, start: Timestamp) -> Result<AttemptId, StoreError> {
        const STRIDE: i64 = 1_000;
        // Those that are written later than they happened say nothing of the rows before them.
        let mut statement = self.prepare(
            "SELECT id, at FROM login_attempts WHERE id <= ?1 AND outcome NOT IN ('E001', 'E006', 'denied')
            ORDER BY id DESC LIMIT 1",
        )?;
        let mut last = i64::MAX;
        loop {
            let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, Timestamp>(1)?));
            match statement.query_row([last], row).optional()? {
                Some((id, at)) if at >= start => last = id - STRIDE,
                Some((id, _)) => return Ok(AttemptId(id)),
                None => return Ok(AttemptId(i64::MIN)),
            }
        }
    }

    /// When the next attempts after this one happened, in the order of their numbers, at most `limit`.
    pub fn list_attempt_times(
        &self,
        after: Option<AttemptId>,
        limit: u32,
    ) -> Result<Vec<(AttemptId, Timestamp)>, StoreError> {
        let sql = "SELECT id, at FROM login_attempts WHERE id > ?1 ORDER BY id LIMIT ?2";
        self.list(sql, params![after.unwrap_or(AttemptId(i64::MIN)), limit], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// Deletes a recorded attempt.
    pub fn delete_attempt(&self, id: AttemptId) -> Result<(), StoreError> {
        self.execute("DELETE FROM login_attempts WHERE id = ?1", [id]).map(drop)
    }
}
