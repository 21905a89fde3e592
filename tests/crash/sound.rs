//! What holds for every database, whoever has written it.

use anyhow::ensure;
use rusqlite::Connection;

/// No page is damaged and no row refers to one that is not there.
pub fn ensure_sound(database: &Connection) -> anyhow::Result<()> {
    let found: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    ensure!(found == "ok", "integrity_check: {found}");
    ensure!(!database.prepare("PRAGMA foreign_key_check")?.exists([])?, "a row refers to one that is not there");
    Ok(())
}

/// An address is one customer's. (The `+` keeps an index from saying so: the rows themselves are asked.)
pub fn ensure_one_customer_a_mailbox(database: &Connection) -> anyhow::Result<()> {
    let sql = "SELECT 1 FROM customers WHERE email_canonical IS NOT NULL
        GROUP BY +organisation_id, +email_canonical HAVING count(*) > 1";
    ensure!(!database.prepare(sql)?.exists([])?, "an address is that of two customers");
    Ok(())
}

/// A log tells of no panic, and none of the secrets.
pub fn ensure_sound_log<S: AsRef<str>>(log: &str, secrets: impl IntoIterator<Item = S>) -> anyhow::Result<()> {
    ensure!(!log.contains("panicked"), "{log}");
    ensure!(!secrets.into_iter().any(|secret| log.contains(secret.as_ref())), "a secret in the log: {log}");
    Ok(())
}
