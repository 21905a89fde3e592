//! Attempts counted instead of listed. SQLite sorts and counts, on the disk when they are many: what is held in
//! memory does not grow with them.

use rusqlite::params_from_iter;

use super::listing::{AttemptFilter, matches_filter};
use crate::domain::Outcome;
use crate::store::{StoreError, Tx};

/// How many attempts ended in one way.
#[derive(Clone, Copy, Debug)]
pub struct OutcomeTotal {
    /// How.
    pub outcome: Outcome,
    /// How many.
    pub attempts: i64,
}

/// How many attempts came from one address.
#[derive(Clone, Debug)]
pub struct IpTotal {
    /// The address.
    pub ip: String,
    /// How many.
    pub attempts: i64,
    /// How many of them were refused.
    pub refusals: i64,
}

/// How many attempts were made for one mailbox. It is personal and has no `Debug`.
#[derive(Clone)]
pub struct MailboxTotal {
    /// The organisation's name.
    pub organisation: String,
    /// An address of the mailbox: the customer's, or one that was sent; `None` once it was erased.
    pub email: Option<String>,
    /// The customer's public name.
    pub cu_ref_no: Option<String>,
    /// How many.
    pub attempts: i64,
    /// How many of them were refused.
    pub refusals: i64,
}

impl Tx<'_> {
    /// The attempts that match, for each outcome that occurs: first those that signed in.
    pub fn count_attempts_by_outcome(&self, filter: &AttemptFilter) -> Result<Vec<OutcomeTotal>, StoreError> {
        let mut statement = self.prepare(concat!(
            "SELECT a.outcome, sum(a.count) FROM login_attempts AS a WHERE ",
            matches_filter!(),
            " GROUP BY a.outcome ORDER BY a.outcome <> 'OK', a.outcome",
        ))?;
        let mut rows = statement.query(params_from_iter(filter.values()))?;
        let mut totals = Vec::new();
        while let Some(row) = rows.next()? {
            let outcome = row.get_ref(0)?.as_str().unwrap_or_default().parse();
            let outcome = outcome.map_err(|_| StoreError::InvalidValue("outcome of an attempt"))?;
            totals.push(OutcomeTotal { outcome, attempts: row.get(1)? });
        }
        Ok(totals)
    }

    /// The addresses with the most attempts that match.
    pub fn count_attempts_by_ip(&self, filter: &AttemptFilter) -> Result<Vec<IpTotal>, StoreError> {
        let sql = concat!(
            "SELECT a.ip, sum(a.count) AS attempts, sum(a.count * (a.outcome <> 'OK'))
            FROM login_attempts AS a
            WHERE a.ip IS NOT NULL AND ",
            matches_filter!(),
            " GROUP BY a.ip ORDER BY attempts DESC, a.ip LIMIT ?7",
        );
        self.list(sql, params_from_iter(filter.values_and_limit()), |row| {
            Ok(IpTotal { ip: row.get(0)?, attempts: row.get(1)?, refusals: row.get(2)? })
        })
    }

    /// The mailboxes with the most attempts that match.
    pub fn count_attempts_by_mailbox(&self, filter: &AttemptFilter) -> Result<Vec<MailboxTotal>, StoreError> {
        let sql = concat!(
            "SELECT o.name, coalesce(c.email, t.email), c.cu_ref_no, t.attempts, t.refusals
            FROM (
                SELECT a.organisation_id, a.mailbox, max(a.customer_id) AS customer_id, max(a.email) AS email,
                    sum(a.count) AS attempts, sum(a.count * (a.outcome <> 'OK')) AS refusals
                FROM login_attempts AS a
                WHERE a.mailbox IS NOT NULL AND ",
            matches_filter!(),
            "   GROUP BY a.organisation_id, a.mailbox
                ORDER BY attempts DESC, a.mailbox
                LIMIT ?7
            ) AS t
            JOIN organisations AS o ON o.id = t.organisation_id
            LEFT JOIN customers AS c ON c.id = t.customer_id
            ORDER BY t.attempts DESC, t.mailbox",
        );
        self.list(sql, params_from_iter(filter.values_and_limit()), |row| {
            Ok(MailboxTotal {
                organisation: row.get(0)?,
                email: row.get(1)?,
                cu_ref_no: row.get(2)?,
                attempts: row.get(3)?,
                refusals: row.get(4)?,
            })
        })
    }
}
