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

/// A sign-in makes a session and an attempt, and the first one a customer: all of them or none. `whose` is a condition on the
/// customers `c` who have signed in.
pub fn ensure_whole_sign_ins(database: &Connection, whose: &str) -> anyhow::Result<()> {
    let count = |table, which| {
        format!("(SELECT customer_id, count(*) AS count FROM {table} WHERE {which} GROUP BY customer_id)")
    };
    let sql = format!(
        "SELECT count(*) FROM customers AS c
        LEFT JOIN {} AS s ON s.customer_id = c.id
        LEFT JOIN {} AS a ON a.customer_id = c.id
        WHERE {whose} AND (s.count IS NOT a.count OR s.count IS NULL AND NOT EXISTS (
            SELECT 1 FROM login_attempts WHERE customer_id = c.id))",
        count("sessions", "true"),
        count("login_attempts", "outcome = 'OK'")
    );
    let parts: i64 = database.query_row(&sql, [], |row| row.get(0))?;
    ensure!(parts == 0, "parts of sign-ins of {parts} customers");
    Ok(())
}

/// A log tells of no panic, and none of the secrets.
pub fn ensure_sound_log<S: AsRef<str>>(log: &str, secrets: impl IntoIterator<Item = S>) -> anyhow::Result<()> {
    ensure!(!log.contains("panicked"), "{log}");
    ensure!(!secrets.into_iter().any(|secret| log.contains(secret.as_ref())), "a secret in the log: {log}");
    Ok(())
}
