//! The table `sessions`: digests, never identity ids.

use std::sync::LazyLock;

use rusqlite::{Row, params};

use super::customers::{ACCOUNT_COLUMNS, ACCOUNT_WIDTH, read_account};
use super::{Account, StoreError, Tx};
use crate::domain::{ClientIp, CustomerId, Digest, IdentityId, OrganisationId, SessionId, Timestamp};

/// A session to be made.
#[derive(Debug)]
pub struct NewSession {
    /// Whose session.
    pub customer: CustomerId,
    /// Where the customer was.
    pub ip: Option<ClientIp>,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
}

/// A session, living or dead.
#[derive(Clone, Debug)]
pub struct Session {
    /// Where the customer was at sign-in.
    pub ip: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// When somebody last asked about it, to about a twentieth of the idle time-out.
    pub last_seen_at: Timestamp,
    /// Whether it was ended before its time: logged out, or all sessions of the customer ended.
    pub is_ended: bool,
}

/// Of `sessions AS s` with its customer `c`.
const SESSION_COLUMNS: &str =
    "s.ip, s.created_at, s.expires_at, s.last_seen_at, s.revoked_at IS NOT NULL OR s.session_epoch <> c.session_epoch";

const SESSION_WIDTH: usize = 5;

impl Tx<'_> {
    /// Makes a session and gives the secret that stands for it.
    ///
    /// # Errors
    /// When there is no such customer.
    pub fn insert_session(&self, new: &NewSession, now: Timestamp) -> Result<IdentityId, StoreError> {
        // Two sessions of one millisecond get the same number once in 4 million times.
        const TRIES: usize = 5;
        let mut statement = self.prepare(
            "INSERT INTO sessions (id, digest, customer_id, session_epoch, ip, created_at, expires_at, last_seen_at)
            VALUES (?1, ?2, ?3, (SELECT session_epoch FROM customers WHERE id = ?3), ?4, ?5, ?6, ?5)",
        )?;
        for _ in 0..TRIES {
            let identity = IdentityId::generate(now);
            let inserted = statement.execute(params![
                identity.session_id(),
                identity.digest(),
                new.customer,
                new.ip,
                now,
                new.expires_at,
            ]);
            match inserted {
                Ok(_) => return Ok(identity),
                Err(error) if is_taken(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::RowCount(0))
    }

    /// The session that `identity` stands for, with its customer; `None` when it stands for none of
    /// this organisation.
    pub fn find_session(
        &self,
        organisation: OrganisationId,
        identity: &IdentityId,
        now: Timestamp,
    ) -> Result<Option<(Session, Account)>, StoreError> {
        // CROSS: the session first, whatever statistics somebody's ANALYZE may have left in the file.
        static SQL: LazyLock<String> = LazyLock::new(|| {
            format!(
                "SELECT {SESSION_COLUMNS}, {ACCOUNT_COLUMNS}, s.digest
                FROM sessions AS s CROSS JOIN customers AS c ON c.id = s.customer_id
                WHERE s.id = ?2 AND c.organisation_id = ?3"
            )
        });
        let found = self.find(&SQL, params![now, identity.session_id(), organisation], |row| {
            let digest: Digest = row.get(SESSION_WIDTH + ACCOUNT_WIDTH)?;
            Ok((digest, read_session(row)?, read_account(row, SESSION_WIDTH)?))
        })?;
        Ok(found.filter(|(digest, ..)| *digest == identity.digest()).map(|(_, session, account)| (session, account)))
    }

    /// Notes that somebody asked about a session.
    pub fn touch_session(&self, id: SessionId, now: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE sessions SET last_seen_at = max(last_seen_at, ?2) WHERE id = ?1";
        self.execute(sql, params![id, now]).map(drop)
    }

    /// Logs a session out. Does nothing to one that is logged out already.
    pub fn revoke_session(&self, id: SessionId, now: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE sessions SET revoked_at = coalesce(revoked_at, ?2) WHERE id = ?1";
        self.execute(sql, params![id, now]).map(drop)
    }

    /// The newest sessions of a customer, at most `limit`. Reads the table from its end.
    pub fn list_sessions(&self, customer: CustomerId, limit: usize) -> Result<Vec<Session>, StoreError> {
        let sql = format!(
            "SELECT {SESSION_COLUMNS} FROM sessions AS s JOIN customers AS c ON c.id = s.customer_id
            WHERE c.id = ?1 ORDER BY s.id DESC LIMIT ?2"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.list(&sql, params![customer, limit], read_session)
    }

    /// The next sessions after this one in the order of their numbers, at most `limit`, living and dead.
    pub fn list_sessions_after(
        &self,
        after: Option<SessionId>,
        limit: u32,
    ) -> Result<Vec<(SessionId, Session)>, StoreError> {
        // The order of the tables is said, for a step must not read more than its rows.
        let sql = format!(
            "SELECT {SESSION_COLUMNS}, s.id FROM sessions AS s CROSS JOIN customers AS c ON c.id = s.customer_id
            WHERE s.id > ?1 ORDER BY s.id LIMIT ?2"
        );
        self.list(&sql, params![after.unwrap_or(SessionId(i64::MIN)), limit], |row| {
            Ok((row.get(SESSION_WIDTH)?, read_session(row)?))
        })
    }

    /// How many sessions there are, living and dead. Reads the whole table: a second for ten million.
    pub fn count_sessions(&self) -> Result<u64, StoreError> {
        Ok(self.value::<i64>("SELECT count(*) FROM sessions", [])?.unsigned_abs())
    }

    /// Deletes a session.
    pub fn delete_session(&self, id: SessionId) -> Result<(), StoreError> {
        self.execute("DELETE FROM sessions WHERE id = ?1", [id]).map(drop)
    }
}

fn read_session(row: &Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        ip: row.get(0)?,
        created_at: row.get(1)?,
        expires_at: row.get(2)?,
        last_seen_at: row.get(3)?,
        is_ended: row.get(4)?,
    })
}

/// Whether the row's number has an owner.
fn is_taken(error: &rusqlite::Error) -> bool {
    let rusqlite::Error::SqliteFailure(failure, _) = error else { return false };
    failure.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Database, NewCustomer};

    /// One number in 32 is taken by somebody else at the last moment.
    const CLASHES: &str = "CREATE TRIGGER clash BEFORE INSERT ON sessions WHEN NEW.id % 32 = 0 BEGIN
        INSERT INTO sessions (id, digest, customer_id, session_epoch, created_at, expires_at, last_seen_at)
        VALUES (NEW.id, randomblob(32), NEW.customer_id, NEW.session_epoch, 0, 0, 0); END";

    #[test]
    fn a_number_that_is_taken_is_drawn_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("magic-auth.db");
        let mut database = Database::open(&path).unwrap();
        rusqlite::Connection::open(&path).unwrap().execute_batch(CLASHES).unwrap();
        let now = Timestamp::from_millis(1_000);
        let made = database.write(|tx| {
            let organisation = tx.upsert_organisation("shop", now)?;
            let customer = tx.insert_customer(&NewCustomer::of(organisation), now)?.ok_or(StoreError::RowCount(0))?;
            let new = NewSession { customer, ip: None, expires_at: now };
            (0..500).try_for_each(|_| tx.insert_session(&new, now).map(drop))
        });
        made.unwrap();
    }
}
