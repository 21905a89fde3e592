//! The table `bans`. The history is kept: a ban is lifted, never deleted.

use rusqlite::{Row, params};

use super::{StoreError, Tx};
use crate::domain::{BanReason, CustomerId, Timestamp};

/// In SQL, whether the ban `b` is in force at the moment `?1`: [`BanRow::is_active`].
macro_rules! is_active_ban {
    () => {
        "b.lifted_at IS NULL AND (b.expires_at IS NULL OR b.expires_at > ?1)"
    };
}
pub(super) use is_active_ban;

/// In SQL, whether a ban of the customer `c` is in force at the moment `?1`.
macro_rules! is_banned {
    () => {
        concat!("EXISTS (SELECT 1 FROM bans AS b WHERE b.customer_id = c.id AND ", is_active_ban!(), ")")
    };
}
pub(super) use is_banned;

/// A ban to be made.
#[derive(Debug)]
pub struct NewBan {
    /// Why.
    pub reason: BanReason,
    /// Until when; `None`: until it is lifted.
    pub expires_at: Option<Timestamp>,
}

/// A ban, past or in force.
#[derive(Clone, Debug)]
pub struct BanRow {
    /// Why, in the operator's words.
    pub reason: String,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when; `None`: until it is lifted.
    pub expires_at: Option<Timestamp>,
    /// When it was lifted.
    pub lifted_at: Option<Timestamp>,
}

impl BanRow {
    /// Whether the ban is in force.
    #[must_use]
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.lifted_at.is_none() && self.expires_at.is_none_or(|end| end > now)
    }
}

/// What [`BanRow`] holds, of `bans AS b`.
pub(super) const BAN_COLUMNS: &str = "b.reason, b.created_at, b.expires_at, b.lifted_at";

impl Tx<'_> {
    /// Bans a customer from now on.
    pub fn insert_ban(&self, customer: CustomerId, new: &NewBan, now: Timestamp) -> Result<(), StoreError> {
        let sql = "INSERT INTO bans (customer_id, reason, created_at, expires_at) VALUES (?1, ?2, ?3, ?4)";
        self.execute(sql, params![customer, new.reason, now, new.expires_at]).map(drop)
    }

    /// Lifts the bans that are in force. Gives their number.
    pub fn lift_bans(&self, customer: CustomerId, now: Timestamp) -> Result<usize, StoreError> {
        let sql = concat!("UPDATE bans AS b SET lifted_at = ?1 WHERE b.customer_id = ?2 AND ", is_active_ban!());
        self.execute(sql, params![now, customer])
    }

    /// All bans of a customer, the newest first.
    pub fn list_bans(&self, customer: CustomerId) -> Result<Vec<BanRow>, StoreError> {
        let sql = format!("SELECT {BAN_COLUMNS} FROM bans AS b WHERE b.customer_id = ?1 ORDER BY b.id DESC");
        self.list(&sql, [customer], |row| read_ban(row, 0))
    }
}

/// Reads the [`BAN_COLUMNS`], the first of which is number `first`.
pub(super) fn read_ban(row: &Row<'_>, first: usize) -> rusqlite::Result<BanRow> {
    Ok(BanRow {
        reason: row.get(first)?,
        created_at: row.get(first + 1)?,
        expires_at: row.get(first + 2)?,
        lifted_at: row.get(first + 3)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ban_is_in_force_until_it_is_lifted_or_ends() {
        let moments @ [began, now, later] = [1, 2, 3].map(Timestamp::from_millis);
        let is_active = |expires_at, lifted_at| {
            BanRow { reason: String::new(), created_at: began, expires_at, lifted_at }.is_active(now)
        };
        assert!(is_active(None, None));
        assert_eq!(moments.map(|end| is_active(Some(end), None)), [false, false, true]);
        assert!(!is_active(None, Some(now)));
        assert!(!is_active(Some(later), Some(now)));
    }
}
