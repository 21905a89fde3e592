//! Forgetting a person: everything personal goes, in all tables; what is left is the `cuRefNo`.

use std::collections::BTreeSet;

use rusqlite::params;
use rusqlite::types::ToSql;

use crate::clock::Clock;
use crate::domain::{AttemptId, CustomerId, Mailbox, SessionId, Timestamp};
use crate::store::values::json_array;
use crate::store::{StoreError, Tx};

/// Where a customer stands in the two tables that are too large to be searched while others wait to write.
#[derive(Debug)]
pub struct Traces {
    customer: CustomerId,
    pub(in crate::store) mailboxes: Vec<Mailbox>,
    /// Whether the telephone number stands in the row of somebody else, too: of another organisation, or in a longer one.
    pub(in crate::store) is_phone_found_elsewhere: bool,
    sessions: Vec<SessionId>,
    attempts: Vec<AttemptId>,
    /// From where all these came: a running server may still be finding out who is behind them.
    ips: BTreeSet<String>,
    /// From here on the tables have to be searched once more.
    next_session: SessionId,
    next_attempt: AttemptId,
}

impl Tx<'_> {
    /// Finds the traces of a customer, whose address stands for these mailboxes. Reads both tables.
    pub fn find_traces(
        &self,
        customer: CustomerId,
        mut mailboxes: Vec<Mailbox>,
        now: Timestamp,
    ) -> Result<Traces, StoreError> {
        mailboxes.extend(self.list_earlier_mailboxes(customer)?);
        let next_attempt = self.next_attempt()?;
        let sessions = self.list_session_ids(customer, SessionId(0))?;
        let attempts = self.list_attempt_ids(customer, &mailboxes, AttemptId(0))?;
        Ok(Traces {
            customer,
            mailboxes,
            is_phone_found_elsewhere: self.is_phone_found_elsewhere(customer)?,
            ips: self.list_ips(&sessions, &attempts)?,
            sessions,
            attempts,
            next_session: SessionId::earliest_at(now - Clock::TOLERANCE),
            next_attempt,
        })
    }

    /// Forgets a person: address, number, names, bans, sessions, and the addresses in attempts. What is found anew is added
    /// to the traces.
    ///
    /// # Errors
    /// When there is no such customer.
    pub fn erase_customer(&self, traces: &mut Traces, now: Timestamp) -> Result<(), StoreError> {
        let customer = traces.customer;
        self.update_one(
            "UPDATE customers
            SET email = NULL, email_canonical = NULL, phone = NULL, first_name = NULL, last_name = NULL,
                company_name = NULL, countries = NULL, registered_at = NULL, email_authorized_at = NULL,
                session_epoch = session_epoch + 1, erased_at = coalesce(erased_at, ?2)
            WHERE id = ?1",
            params![customer, now],
        )?;
        for table in ["bans", "pending_referrals"] {
            self.execute(&format!("DELETE FROM {table} WHERE customer_id = ?1"), [customer])?;
        }
        let sessions = self.list_session_ids(customer, traces.next_session)?;
        let attempts = self.list_attempt_ids(customer, &traces.mailboxes, traces.next_attempt)?;
        traces.ips.extend(self.list_ips(&sessions, &attempts)?);
        traces.sessions.extend(sessions);
        traces.attempts.extend(attempts);
        for id in &traces.sessions {
            self.delete_session(*id)?;
        }
        for id in &traces.attempts {
            self.execute(
                "UPDATE login_attempts SET mailbox = NULL, email = NULL, ip = NULL
                WHERE id = ?1 AND coalesce(mailbox, email, ip) IS NOT NULL",
                [id],
            )?;
        }
        Ok(())
    }

    /// The IP addresses from where the person came, once erased, and nobody else has come. Reads both tables.
    pub fn list_lonely_ips(&self, traces: &Traces) -> Result<Vec<String>, StoreError> {
        // Of others, nothing but what is asked for is sorted: SQLite would do that in a file of its own.
        let sql = "WITH own AS MATERIALIZED (SELECT value AS ip FROM json_each(?1))
            SELECT ip FROM own
            EXCEPT SELECT DISTINCT ip FROM sessions WHERE ip IN own
            EXCEPT SELECT DISTINCT ip FROM login_attempts WHERE ip IN own";
        self.list(sql, [json_array(traces.ips.iter().map(String::as_str))], |row| row.get(0))
    }

    /// Forgets who is behind an IP address.
    pub fn delete_ip(&self, ip: &str) -> Result<(), StoreError> {
        self.execute("DELETE FROM ip_intelligence WHERE ip = ?1", [ip]).map(drop)
    }

    /// From where these sessions and attempts came.
    fn list_ips(&self, sessions: &[SessionId], attempts: &[AttemptId]) -> Result<BTreeSet<String>, StoreError> {
        let mut ips = self.list_ips_in("sessions", sessions)?;
        ips.append(&mut self.list_ips_in("login_attempts", attempts)?);
        Ok(ips)
    }

    fn list_ips_in(&self, table: &str, ids: &[impl ToSql]) -> Result<BTreeSet<String>, StoreError> {
        let sql = format!("SELECT ip FROM {table} WHERE id = ?1 AND ip IS NOT NULL");
        let mut ips = BTreeSet::new();
        for id in ids {
            ips.extend(self.find(&sql, [id], |row| row.get::<_, String>(0))?);
        }
        Ok(ips)
    }

    fn list_session_ids(&self, customer: CustomerId, first: SessionId) -> Result<Vec<SessionId>, StoreError> {
        let sql = "SELECT id FROM sessions WHERE id >= ?1 AND customer_id = ?2";
        self.list(sql, params![first, customer], |row| row.get(0))
    }

    fn list_attempt_ids(
        &self,
        customer: CustomerId,
        mailboxes: &[Mailbox],
        first: AttemptId,
    ) -> Result<Vec<AttemptId>, StoreError> {
        // Attempts that were refused before the customer was looked up name the mailbox alone.
        let sql = "SELECT id FROM login_attempts
            WHERE id >= ?1
                AND (customer_id = ?2 OR customer_id IS NULL AND mailbox IN (SELECT value FROM json_each(?3)))";
        self.list(sql, params![first, customer, json_array(mailboxes.iter().map(|mailbox| mailbox.0))], |row| {
            row.get(0)
        })
    }

    fn is_phone_found_elsewhere(&self, customer: CustomerId) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM customers AS own, customers AS other
            WHERE own.id = ?1 AND other.id <> ?1 AND instr(other.phone, own.phone))";
        self.value(sql, [customer])
    }

    /// The mailboxes from which the customer has signed in, and nobody else.
    fn list_earlier_mailboxes(&self, customer: CustomerId) -> Result<Vec<Mailbox>, StoreError> {
        let sql = "WITH own AS MATERIALIZED (
                SELECT DISTINCT mailbox FROM login_attempts WHERE customer_id = ?1 AND mailbox IS NOT NULL)
            SELECT mailbox FROM own
            EXCEPT SELECT DISTINCT mailbox FROM login_attempts WHERE customer_id <> ?1 AND mailbox IN own";
        self.list(sql, [customer], |row| row.get(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ApiKey, ClientIp, KeyKind, Outcome, Permissions, Refusal};
    use crate::store::{Attempt, Database, NewAttempt, NewCustomer, NewKey, NewSession};

    #[test]
    fn what_is_written_between_the_search_and_the_erasure_is_erased_too() {
        let folder = tempfile::tempdir().unwrap();
        let mut database = Database::open(&folder.path().join("magic-auth.db")).unwrap();
        let now = Timestamp::from_millis(1_000_000_000);
        let left: Result<_, StoreError> = database.write(|tx| {
            let organisation = tx.upsert_organisation("shop", now)?;
            let customer = tx.insert_customer(&NewCustomer::of(organisation), now)?.ok_or(StoreError::RowCount(0))?;
            let mut traces = tx.find_traces(customer, Vec::new(), now)?;
            tx.insert_session(&NewSession { customer, ip: None, expires_at: now + Clock::TOLERANCE }, now)?;
            tx.erase_customer(&mut traces, now)?;
            tx.list_session_ids(customer, SessionId(0))
        });
        assert!(left.unwrap().is_empty());
    }

    #[test]
    fn what_is_erased_already_is_not_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut database = Database::open(&folder.path().join("magic-auth.db")).unwrap();
        let now = Timestamp::from_millis(1_000_000_000);
        let rewritten: Result<i64, StoreError> = database.write(|tx| {
            let organisation = tx.upsert_organisation("shop", now)?;
            let customer = tx.insert_customer(&NewCustomer::of(organisation), now)?.ok_or(StoreError::RowCount(0))?;
            let key = ApiKey::generate(KeyKind::Prod);
            tx.insert_key(&NewKey { organisation, key: &key, permissions: &Permissions::ALL, expires_at: None }, now)?;
            let api_key = tx.list_keys()?[0].id;
            let attempt = Attempt { organisation, api_key, mailbox: Some(Mailbox(7)), email: None, ip: None };
            let new = NewAttempt { customer: Some(customer), ..NewAttempt::of(&attempt, Outcome::SignedIn) };
            tx.insert_attempt(&new, now)?;
            let mut traces = tx.find_traces(customer, Vec::new(), now)?;
            tx.erase_customer(&mut traces, now)?;
            let changes = || tx.value::<i64>("SELECT total_changes()", []);
            let before = changes()?;
            tx.erase_customer(&mut traces, now)?;
            Ok(changes()? - before)
        });
        // The customer's own row.
        assert_eq!(rewritten.unwrap(), 1);
    }

    #[test]
    fn an_address_is_lonely_unless_somebody_else_has_been_there() {
        let folder = tempfile::tempdir().unwrap();
        let mut database = Database::open(&folder.path().join("magic-auth.db")).unwrap();
        let now = Timestamp::from_millis(1_000_000_000);
        let [own, early, late, new, shared_new] =
            [1, 2, 3, 4, 5].map(|last| ClientIp::parse(&format!("192.0.2.{last}")).unwrap());
        let left: Result<Vec<_>, StoreError> = database.write(|tx| {
            let organisation = tx.upsert_organisation("shop", now)?;
            let customer = tx.insert_customer(&NewCustomer::of(organisation), now)?.ok_or(StoreError::RowCount(0))?;
            let other = tx.insert_customer(&NewCustomer::of(organisation), now)?.ok_or(StoreError::RowCount(0))?;
            let come = |customer, ip, at: Timestamp| {
                tx.insert_session(&NewSession { customer, ip: Some(ip), expires_at: at + Clock::TOLERANCE }, at)
                    .map(drop)
            };
            // Long before the search, so that only a look at the whole table finds it.
            come(other, early, now - 2 * Clock::TOLERANCE)?;
            come(other, shared_new, now - 2 * Clock::TOLERANCE)?;
            for ip in [own, early, late] {
                come(customer, ip, now)?;
            }
            let mut traces = tx.find_traces(customer, Vec::new(), now)?;
            let key = ApiKey::generate(KeyKind::Prod);
            tx.insert_key(&NewKey { organisation, key: &key, permissions: &Permissions::ALL, expires_at: None }, now)?;
            let api_key = tx.list_keys()?[0].id;
            let attempt = Attempt { organisation, api_key, mailbox: None, email: None, ip: Some(late) };
            tx.insert_attempt(&NewAttempt::of(&attempt, Outcome::Refused(Refusal::InvalidEmail)), now)?;
            come(customer, new, now)?;
            come(customer, shared_new, now)?;
            tx.erase_customer(&mut traces, now)?;
            tx.list_lonely_ips(&traces)
        });
        assert_eq!(left.unwrap(), [own, new].map(|ip| ip.to_string()));
    }
}
