//! The table `login_attempts`.

use rusqlite::{Row, params};

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

/// Which attempts to list. What is `None` does not matter.
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
    /// At most so many, the newest.
    pub limit: usize,
}

/// An attempt as it was recorded.
#[derive(Clone, Debug)]
pub struct AttemptRow {
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

    /// When the newest attempt was made, or the newest customer, whichever was later. Reads all rows.
    ///
    /// # Errors
    /// When the database fails.
    pub fn find_newest_moment(&self) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT max(at) FROM
            (SELECT max(at) AS at FROM login_attempts UNION ALL SELECT max(created_at) FROM customers)";
        let newest: Option<i64> = self.prepare(sql)?.query_row([], |row| row.get(0))?;
        Ok(newest.map(Timestamp::from_millis))
    }

    /// The attempts that match, the newest first. Reads from the newest row backwards.
    ///
    /// # Errors
    /// When the database fails.
    pub fn list_attempts(&self, filter: &AttemptFilter) -> Result<Vec<AttemptRow>, StoreError> {
        let mut statement = self.prepare(
            "SELECT a.at, o.name, k.prefix || '…' || k.hint, coalesce(c.email, a.email), c.cu_ref_no, a.ip, a.outcome, a.count,
                a.mailbox
            FROM login_attempts AS a
            JOIN organisations AS o ON o.id = a.organisation_id
            JOIN api_keys AS k ON k.id = a.api_key_id
            LEFT JOIN customers AS c ON c.id = a.customer_id
            WHERE (?1 IS NULL OR a.organisation_id = ?1) AND (?2 IS NULL OR a.ip = ?2)
                AND (?3 IS NULL OR a.outcome = ?3) AND (?4 IS NULL OR a.at >= ?4)
            ORDER BY a.id DESC",
        )?;
        let mut rows = statement.query(params![
            filter.organisation.map(|organisation| organisation.0),
            filter.ip.map(|ip| ip.to_string()),
            filter.outcome.map(|outcome| outcome.to_string()),
            filter.since.map(Timestamp::as_millis),
        ])?;
        let mut attempts = Vec::new();
        while attempts.len() < filter.limit
            && let Some(row) = rows.next()?
        {
            let mailbox = row.get::<_, Option<i64>>(8)?.map(Mailbox);
            let matches = |wanted: &Vec<Mailbox>| mailbox.is_some_and(|mailbox| wanted.contains(&mailbox));
            if filter.mailboxes.as_ref().is_none_or(matches) {
                attempts.push(read_attempt(row)?);
            }
        }
        // Some rows are written a moment later than they happened.
        attempts.sort_by_key(|attempt| std::cmp::Reverse(attempt.at));
        Ok(attempts)
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

    /// When the next attempts after this one happened, in the order of their numbers, at most `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub fn list_attempt_times(
        &self,
        after: Option<AttemptId>,
        limit: u32,
    ) -> Result<Vec<(AttemptId, Timestamp)>, StoreError> {
        let mut statement = self.prepare("SELECT id, at FROM login_attempts WHERE id > ?1 ORDER BY id LIMIT ?2")?;
        let rows = statement.query_map(params![after.map_or(i64::MIN, |after| after.0), limit], |row| {
            Ok((AttemptId(row.get(0)?), Timestamp::from_millis(row.get(1)?)))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Deletes a recorded attempt.
    ///
    /// # Errors
    /// When the database fails.
    pub fn delete_attempt(&self, id: AttemptId) -> Result<(), StoreError> {
        self.prepare("DELETE FROM login_attempts WHERE id = ?1")?.execute([id.0])?;
        Ok(())
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
    })
}
