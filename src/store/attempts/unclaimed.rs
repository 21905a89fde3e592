//! Attempts for which nobody was looked up: they know a mailbox and no customer.

use rusqlite::params;

use crate::domain::{AttemptId, CanonicalEmail, CustomerId, Mailbox};
use crate::store::{StoreError, Tx};

/// Those for a customer's mailbox, in a table that is too large to be searched while others wait to write.
#[derive(Debug)]
pub struct UnclaimedAttempts {
    customer: CustomerId,
    mailbox: Mailbox,
    attempts: Vec<AttemptId>,
    /// From here on the table has to be searched once more.
    next: AttemptId,
}

impl Tx<'_> {
    /// Finds the attempts for the customer's mailbox for which nobody was looked up; `None` without an address. (The
    /// mailbox is that of the form in which the address is kept, which is the customer's whatever the rules are now.)
    /// Reads the table.
    pub fn find_unclaimed_attempts(&self, customer: CustomerId) -> Result<Option<UnclaimedAttempts>, StoreError> {
        let sql =
            "SELECT organisation_id, email_canonical FROM customers WHERE id = ?1 AND email_canonical IS NOT NULL";
        let mailbox = self.find(sql, [customer], |row| {
            let organisation = row.get(0)?;
            Ok(CanonicalEmail::from_kept(row.get(1)?).mailbox(organisation))
        })?;
        let Some(mailbox) = mailbox else { return Ok(None) };
        let next = self.next_attempt()?;
        let attempts = self.list_unclaimed_attempts(mailbox, AttemptId(0))?;
        Ok(Some(UnclaimedAttempts { customer, mailbox, attempts, next }))
    }

    /// Gives the attempts to the customer.
    pub fn claim_attempts(&self, unclaimed: &UnclaimedAttempts) -> Result<(), StoreError> {
        let UnclaimedAttempts { customer, mailbox, attempts, next } = unclaimed;
        let mut statement = self.prepare(
            "UPDATE login_attempts SET customer_id = ?2, email = NULL
            WHERE id = ?1 AND mailbox = ?3 AND customer_id IS NULL",
        )?;
        for id in attempts.iter().chain(&self.list_unclaimed_attempts(*mailbox, *next)?) {
            statement.execute(params![id, customer, mailbox])?;
        }
        Ok(())
    }

    fn list_unclaimed_attempts(&self, mailbox: Mailbox, first: AttemptId) -> Result<Vec<AttemptId>, StoreError> {
        let sql = "SELECT id FROM login_attempts WHERE id >= ?1 AND mailbox = ?2 AND customer_id IS NULL";
        self.list(sql, params![first, mailbox], |row| row.get(0))
    }
}
