//! Forgetting a person: everything personal goes, in all tables; what is left is the `cuRefNo`.

use std::time::Duration;

use rusqlite::params;

use crate::domain::{CustomerId, Mailbox, SessionId, Timestamp};
use crate::store::{StoreError, Tx};

/// Where a customer stands in the two tables that are too large to be searched while others wait to write.
#[derive(Debug)]
pub struct Traces {
    customer: CustomerId,
    mailboxes: Option<[Mailbox; 2]>,
    sessions: Vec<i64>,
    attempts: Vec<i64>,
    /// From here on the tables have to be searched once more.
    next_session: SessionId,
    next_attempt: i64,
}

/// The clock may be set back so far while the tables are searched.
const MARGIN: Duration = Duration::from_mins(1);

impl Tx<'_> {
    /// Finds the traces of a customer, whose address may stand for these mailboxes. Reads both tables.
    ///
    /// # Errors
    /// When the database fails.
    pub fn find_traces(
        &self,
        customer: CustomerId,
        mailboxes: Option<[Mailbox; 2]>,
        now: Timestamp,
    ) -> Result<Traces, StoreError> {
        let newest = "SELECT coalesce(max(id), 0) FROM login_attempts";
        let newest: i64 = self.prepare(newest)?.query_row([], |row| row.get(0))?;
        Ok(Traces {
            customer,
            mailboxes,
            sessions: self.list_session_numbers(customer, 0)?,
            attempts: self.list_attempt_numbers(customer, mailboxes, 0)?,
            next_session: SessionId::earliest_at(now - MARGIN),
            next_attempt: newest + 1,
        })
    }

    /// Forgets a person: address, number, names, bans, sessions, and the addresses in attempts.
    ///
    /// # Errors
    /// When the database fails or has no such customer.
    pub fn erase_customer(&self, traces: &Traces, now: Timestamp) -> Result<(), StoreError> {
        let customer = traces.customer;
        self.update_customer(
            "UPDATE customers
            SET email = NULL, email_canonical = NULL, phone = NULL, first_name = NULL, last_name = NULL,
                company_name = NULL, countries = NULL, registered_at = NULL, email_authorized_at = NULL,
                session_epoch = session_epoch + 1, erased_at = coalesce(erased_at, ?2)
            WHERE id = ?1",
            &[&customer.0, &now.as_millis()],
        )?;
        for table in ["bans", "pending_referrals"] {
            self.prepare(&format!("DELETE FROM {table} WHERE customer_id = ?1"))?.execute([customer.0])?;
        }
        let sessions = self.list_session_numbers(customer, traces.next_session.as_i64())?;
        for id in traces.sessions.iter().chain(&sessions) {
            self.prepare("DELETE FROM ip_intelligence WHERE ip = (SELECT ip FROM sessions WHERE id = ?1)")?
                .execute([id])?;
            self.prepare("DELETE FROM sessions WHERE id = ?1")?.execute([id])?;
        }
        let attempts = self.list_attempt_numbers(customer, traces.mailboxes, traces.next_attempt)?;
        for id in traces.attempts.iter().chain(&attempts) {
            self.prepare("DELETE FROM ip_intelligence WHERE ip = (SELECT ip FROM login_attempts WHERE id = ?1)")?
                .execute([id])?;
            self.prepare("UPDATE login_attempts SET mailbox = NULL, email = NULL, ip = NULL WHERE id = ?1")?
                .execute([id])?;
        }
        Ok(())
    }

    fn list_session_numbers(&self, customer: CustomerId, first: i64) -> Result<Vec<i64>, StoreError> {
        let mut statement = self.prepare("SELECT id FROM sessions WHERE id >= ?1 AND customer_id = ?2")?;
        let rows = statement.query_map([first, customer.0], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    fn list_attempt_numbers(
        &self,
        customer: CustomerId,
        mailboxes: Option<[Mailbox; 2]>,
        first: i64,
    ) -> Result<Vec<i64>, StoreError> {
        // Attempts that were refused before the customer was looked up name the mailbox alone: that of the address, or of
        // one that the customer had before. Whoever has it now has attempts of their own.
        let mut statement = self.prepare(
            "SELECT id FROM login_attempts
            WHERE id >= ?1 AND (customer_id = ?2 OR customer_id IS NULL AND (mailbox IN (?3, ?4)
                OR mailbox IN (SELECT mailbox FROM login_attempts WHERE customer_id = ?2 AND mailbox IS NOT NULL)))",
        )?;
        let [one, other] = mailboxes.map(|pair| pair.map(|mailbox| Some(mailbox.0))).unwrap_or_default();
        let rows = statement.query_map(params![first, customer.0, one, other], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Database, NewCustomer, NewSession};

    #[test]
    fn what_is_written_between_the_search_and_the_erasure_is_erased_too() {
        let folder = tempfile::tempdir().unwrap();
        let mut database = Database::open(&folder.path().join("magic-auth.db")).unwrap();
        let now = Timestamp::from_millis(1_000_000_000);
        let left: Result<_, StoreError> = database.write(|tx| {
            let organisation = tx.upsert_organisation("shop", now)?;
            let customer = tx.insert_customer(&NewCustomer::of(organisation), now)?.ok_or(StoreError::RowCount(0))?;
            let traces = tx.find_traces(customer, None, now)?;
            tx.insert_session(&NewSession { customer, ip: None, expires_at: now + MARGIN }, now)?;
            tx.erase_customer(&traces, now)?;
            tx.list_session_numbers(customer, 0)
        });
        assert!(left.unwrap().is_empty());
    }
}
