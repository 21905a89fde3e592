//! Attempts for which nobody was looked up: they know a mailbox and no customer.

use rusqlite::params;

use crate::domain::{CustomerId, Mailbox};
use crate::store::{StoreError, Tx};

/// Those for a mailbox, in a table that is too large to be searched while others wait to write.
#[derive(Debug)]
pub struct UnclaimedAttempts {
    mailbox: Mailbox,
    attempts: Vec<i64>,
    /// From here on the table has to be searched once more.
    next: i64,
}

impl Tx<'_> {
    /// Finds the attempts for a mailbox for which nobody was looked up. Reads the table.
    ///
    /// # Errors
    /// When the database fails.
    pub fn find_unclaimed_attempts(&self, mailbox: Mailbox) -> Result<UnclaimedAttempts, StoreError> {
        let next = "SELECT coalesce(max(id), 0) + 1 FROM login_attempts";
        let next = self.prepare(next)?.query_row([], |row| row.get(0))?;
        Ok(UnclaimedAttempts { mailbox, attempts: self.list_unclaimed_attempts(mailbox, 0)?, next })
    }

    /// Gives the attempts to the customer whose mailbox it is.
    ///
    /// # Errors
    /// When the database fails.
    pub fn claim_attempts(&self, unclaimed: &UnclaimedAttempts, customer: CustomerId) -> Result<(), StoreError> {
        let mut statement = self.prepare("UPDATE login_attempts SET customer_id = ?2, email = NULL WHERE id = ?1")?;
        let newer = self.list_unclaimed_attempts(unclaimed.mailbox, unclaimed.next)?;
        for id in unclaimed.attempts.iter().chain(&newer) {
            statement.execute([*id, customer.0])?;
        }
        Ok(())
    }

    fn list_unclaimed_attempts(&self, mailbox: Mailbox, first: i64) -> Result<Vec<i64>, StoreError> {
        let sql = "SELECT id FROM login_attempts WHERE id >= ?1 AND mailbox = ?2 AND customer_id IS NULL";
        let mut statement = self.prepare(sql)?;
        let rows = statement.query_map(params![first, mailbox.0], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
