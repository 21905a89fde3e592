//! What a backup must hold.

use std::collections::HashSet;
use std::path::PathBuf;

use anyhow::ensure;
use magic_auth::domain::Digest;
use rusqlite::{Connection, OpenFlags};

use crate::ledger::{Customer, Known};
use crate::sound::ensure_sound;

/// A backup that was begun.
pub struct Backup {
    pub file: PathBuf,
    /// What was known before it began.
    pub before: Vec<Customer>,
    /// Whether it was acknowledged. One that was killed is whole too, if there is one.
    pub is_done: bool,
}

impl Backup {
    /// Checks the file, which nobody needs any more then.
    pub fn check(self) -> anyhow::Result<()> {
        if !self.is_done && !self.file.exists() {
            return Ok(());
        }
        let backup = Connection::open_with_flags(&self.file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        ensure_sound(&backup)?;
        let all = digests(&backup, "SELECT digest FROM sessions")?;
        let live = digests(
            &backup,
            "SELECT digest FROM sessions JOIN customers ON customers.id = customer_id
            WHERE revoked_at IS NULL AND sessions.session_epoch = customers.session_epoch",
        )?;
        let sql =
            "SELECT email_canonical FROM customers JOIN bans ON customer_id = customers.id WHERE lifted_at IS NULL";
        let banned: HashSet<String> =
            backup.prepare(sql)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        for customer in &self.before {
            let is_banned = banned.contains(&customer.mailbox);
            ensure!(
                customer.is_banned.allows(is_banned),
                "{:?} that it is banned: {}",
                customer.is_banned,
                customer.address
            );
            for session in &customer.sessions {
                let digest = *Digest::of(&session.identity).as_bytes();
                ensure!(all.contains(&digest), "a session of {} is not in the backup", customer.address);
                let is_ended = session.is_live == Known::No;
                ensure!(!is_ended || !live.contains(&digest), "a session of {} lives in the backup", customer.address);
            }
        }
        drop(backup);
        Ok(std::fs::remove_file(self.file)?)
    }
}

fn digests(backup: &Connection, sql: &str) -> rusqlite::Result<HashSet<[u8; 32]>> {
    backup.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}
