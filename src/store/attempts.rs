//! The table `login_attempts`.

mod summary;

use rusqlite::types::Value;
use rusqlite::{Params, Row, params, params_from_iter};

use super::{StoreError, Tx};
use crate::domain::{
    ApiKeyId, ClientIp, CustomerId, EmailAddress, KeyKind, Mailbox, OrganisationId, Outcome, Timestamp,
};

pub use summary::{IpTotal, MailboxTotal, OutcomeTotal};

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

/// Which attempts to list or to count. What is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct AttemptFilter {
    /// Only of this organisation.
    pub organisation: Option<OrganisationId>,
    /// Only for one of these mailboxes; of several, since each organisation has its own.
    pub mailboxes: Option<Vec<Mailbox>>,
    /// Only from this address.
    pub ip: Option<ClientIp>,
    /// Only with this outcome.
    pub outcome: Option<Outcome>,
    /// Only at or after this moment.
    pub since: Option<Timestamp>,
    /// At most so many.
    pub limit: usize,
}

/// In SQL, whether the attempt `a` matches the filter that [`AttemptFilter::values`] are of.
macro_rules! matches_filter {
    () => {
        "((?1 IS NULL OR a.organisation_id = ?1) AND (?2 IS NULL OR a.ip = ?2) AND (?3 IS NULL OR a.outcome = ?3)
            AND (?4 IS NULL OR a.at >= ?4)
            AND (?5 IS NULL OR a.mailbox IN (SELECT value FROM json_each(?5))) AND a.id > ?6)"
    };
}
use matches_filter;

impl AttemptFilter {
    /// The parameters `?1` to `?6` of [`matches_filter`], for rows after `after`.
    fn values(&self, after: AttemptPosition) -> [Value; 6] {
        let mailboxes = self.mailboxes.as_ref().map(|mailboxes| {
            let numbers: Vec<String> = mailboxes.iter().map(|mailbox| mailbox.0.to_string()).collect();
            format!("[{}]", numbers.join(","))
        });
        [
            self.organisation.map(|organisation| organisation.0).into(),
            self.ip.map(|ip| ip.to_string()).into(),
            self.outcome.map(|outcome| outcome.to_string()).into(),
            self.since.map(Timestamp::as_millis).into(),
            mailboxes.into(),
            after.0.into(),
        ]
    }

    /// The same with `?7` for the limit.
    fn values_and_limit(&self, after: AttemptPosition) -> impl Params {
        let limit = i64::try_from(self.limit).unwrap_or(i64::MAX).into();
        params_from_iter(self.values(after).into_iter().chain([limit]))
    }
}

/// A place in the order in which attempts are recorded: after a row, the number of which is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttemptPosition(i64);

impl AttemptPosition {
    /// Before all attempts.
    const START: Self = Self(0);
}

/// An attempt as it was recorded.
#[derive(Clone, Debug)]
pub struct AttemptRow {
    /// Right after this attempt.
    pub position: AttemptPosition,
    /// When.
    pub at: Timestamp,
    /// The organisation's name.
    pub organisation: String,
    /// How tables name the key: `PROD…XuOE`.
    pub key: String,
    /// The address: the customer's, or the one that was sent.
    pub email: Option<String>,
    /// The customer's public name.
    pub cu_ref_no: Option<String>,
    /// Where the customer was.
    pub ip: Option<String>,
    /// How it ended.
    pub outcome: String,
    /// How many attempts the row stands for.
    pub count: u32,
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
}

/// The attempts that match, as [`read_attempt`] reads them.
macro_rules! select_attempts {
    () => {
        concat!(
            "SELECT a.at, o.name, k.prefix || '…' || k.hint, coalesce(c.email, a.email), c.cu_ref_no, a.ip, a.outcome,
                a.count, a.id
            FROM login_attempts AS a
            JOIN organisations AS o ON o.id = a.organisation_id
            JOIN api_keys AS k ON k.id = a.api_key_id
            LEFT JOIN customers AS c ON c.id = a.customer_id
            WHERE ",
            matches_filter!(),
        )
    };
}

impl Tx<'_> {
    /// Records how an attempt ended. With a customer, the address is the customer's and not repeated.
    ///
    /// # Errors
    /// When the database fails.
    pub fn insert_attempt(
        &self,
        attempt: &Attempt,
        customer: Option<CustomerId>,
        outcome: Outcome,
        at: Timestamp,
        count: u32,
    ) -> Result<(), StoreError> {
        let email = attempt.email.as_ref().filter(|_| customer.is_none());
        let mut statement = self.prepare(
            "INSERT INTO login_attempts
                (organisation_id, api_key_id, customer_id, mailbox, email, ip, outcome, at, count)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?;
        statement.execute(params![
            attempt.organisation.0,
            attempt.api_key.0,
            customer.map(|customer| customer.0),
            attempt.mailbox.map(|mailbox| mailbox.0),
            email.map(EmailAddress::as_str),
            attempt.ip.map(|ip| ip.to_string()),
            outcome.to_string(),
            at.as_millis(),
            count,
        ])?;
        Ok(())
    }

    /// The newest attempts that match, the newest first. Reads from the newest row backwards.
    ///
    /// # Errors
    /// When the database fails.
    pub fn list_attempts(&self, filter: &AttemptFilter) -> Result<Vec<AttemptRow>, StoreError> {
        let sql = concat!(select_attempts!(), " ORDER BY a.id DESC LIMIT ?7");
        let mut attempts = self.query_attempts(sql, filter, AttemptPosition::START)?;
        // Some rows are written a moment later than they happened.
        attempts.sort_by_key(|attempt| std::cmp::Reverse(attempt.at));
        Ok(attempts)
    }

    /// The attempts that match and were recorded after `position`, in that order; and from where to go on.
    ///
    /// # Errors
    /// When the database fails.
    pub fn list_attempts_after(
        &self,
        position: AttemptPosition,
        filter: &AttemptFilter,
    ) -> Result<(Vec<AttemptRow>, AttemptPosition), StoreError> {
        let end = self.find_last_position()?;
        // Once all rows have been deleted, their numbers start anew.
        let start = if end < position { AttemptPosition::START } else { position };
        let sql = concat!(select_attempts!(), " ORDER BY a.id LIMIT ?7");
        let attempts = self.query_attempts(sql, filter, start)?;
        let next = attempts.last().filter(|_| attempts.len() == filter.limit).map_or(end, |last| last.position);
        Ok((attempts, next))
    }

    /// After all attempts that are recorded so far.
    ///
    /// # Errors
    /// When the database fails.
    pub fn find_last_position(&self) -> Result<AttemptPosition, StoreError> {
        let mut statement = self.prepare("SELECT coalesce(max(id), 0) FROM login_attempts")?;
        Ok(statement.query_row([], |row| row.get(0).map(AttemptPosition))?)
    }

    fn query_attempts(
        &self,
        sql: &str,
        filter: &AttemptFilter,
        after: AttemptPosition,
    ) -> Result<Vec<AttemptRow>, StoreError> {
        let mut statement = self.prepare(sql)?;
        let rows = statement.query_map(filter.values_and_limit(after), read_attempt)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The attempts since `start` that went through the throttle, the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub fn list_throttled_attempts(&self, start: Timestamp) -> Result<Vec<ThrottledAttempt>, StoreError> {
        let mut statement = self.prepare(
            "SELECT a.at, a.organisation_id, a.mailbox, a.ip, a.count, k.prefix, a.outcome IN ('E001', 'E006')
            FROM login_attempts AS a JOIN api_keys AS k ON k.id = a.api_key_id
            ORDER BY a.id DESC",
        )?;
        let mut rows = statement.query([])?;
        let mut attempts = Vec::new();
        while let Some(row) = rows.next()? {
            let at = Timestamp::from_millis(row.get(0)?);
            if at < start {
                // These two are written later than they happened, and say nothing of the rows before them.
                if row.get(6)? {
                    continue;
                }
                break;
            }
            let (mailbox, prefix) = (row.get::<_, Option<i64>>(2)?, row.get_ref(5)?.as_str().unwrap_or_default());
            let Some(mailbox) = mailbox.map(Mailbox) else { continue };
            if KeyKind::from_prefix(prefix) == Some(KeyKind::Root) {
                continue;
            }
            attempts.push(ThrottledAttempt {
                organisation: OrganisationId(row.get(1)?),
                mailbox,
                ip: row.get_ref(3)?.as_str().ok().and_then(|ip| ClientIp::parse(ip).ok()),
                at,
                count: row.get(4)?,
            });
        }
        attempts.reverse();
        Ok(attempts)
    }
}

fn read_attempt(row: &Row<'_>) -> rusqlite::Result<AttemptRow> {
    Ok(AttemptRow {
        at: Timestamp::from_millis(row.get(0)?),
        organisation: row.get(1)?,
        key: row.get(2)?,
        email: row.get(3)?,
        cu_ref_no: row.get(4)?,
        ip: row.get(5)?,
        outcome: row.get(6)?,
        count: row.get(7)?,
        position: AttemptPosition(row.get(8)?),
    })
}
