//! The table `ip_intelligence`.

use std::time::Duration;

use rusqlite::params;

use super::{StoreError, Tx};
use crate::domain::{ClientIp, Timestamp};

/// What is known of an address.
#[derive(Clone, Debug)]
pub struct IpIntelligence {
    /// The address.
    pub ip: ClientIp,
    /// What tables show.
    pub origin: IpOrigin,
    /// All of it, as JSON.
    pub facts: String,
    /// When it is to be found out anew.
    pub due_at: Timestamp,
}

/// What tables show of an address.
#[derive(Clone, Debug, Default)]
pub struct IpOrigin {
    /// The country's ISO code.
    pub country: Option<String>,
    /// The city.
    pub city: Option<String>,
    /// The number of the autonomous system.
    pub asn: Option<u32>,
    /// The name of the autonomous system.
    pub as_name: Option<String>,
    /// The flags that are set, with commas between them.
    pub flags: Option<String>,
}

impl Tx<'_> {
    /// Keeps what is known of an address, in the place of what was known before.
    pub fn upsert_ip(&self, known: &IpIntelligence) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO ip_intelligence (ip, country, city, asn, as_name, flags, facts, due_at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let origin = &known.origin;
        let values = params![
            known.ip,
            origin.country,
            origin.city,
            origin.asn,
            origin.as_name,
            origin.flags,
            known.facts,
            known.due_at,
        ];
        self.execute(sql, values).map(drop)
    }

    /// When it is to be found out anew what is known of an address; `None`: nothing is.
    pub fn find_ip_due(&self, ip: ClientIp) -> Result<Option<Timestamp>, StoreError> {
        self.find("SELECT due_at FROM ip_intelligence WHERE ip = ?1", [ip], |row| row.get(0))
    }

    /// Deletes what has been due for longer than `kept_for` of the next addresses behind `after`, of which at most `limit` are
    /// looked at, and lets what is due later than in so long be due then: it was stored when more was kept, or the clock was
    /// ahead. Gives the last of them, or `None` at the end.
    pub fn sweep_ips(
        &self,
        after: Option<ClientIp>,
        limit: u32,
        kept_for: Duration,
        now: Timestamp,
    ) -> Result<Option<ClientIp>, StoreError> {
        let after = after.map(|ip| ip.to_string()).unwrap_or_default();
        let sql = "SELECT ip FROM ip_intelligence WHERE ip > ?1 ORDER BY ip LIMIT ?2";
        let page: Vec<String> = self.list(sql, params![after, limit], |row| row.get(0))?;
        let Some(last) = page.last() else { return Ok(None) };
        let delete = "DELETE FROM ip_intelligence WHERE ip > ?1 AND ip <= ?2 AND due_at < ?3";
        self.execute(delete, params![after, last, now - kept_for])?;
        let bring_forward = "UPDATE ip_intelligence SET due_at = ?3 WHERE ip > ?1 AND ip <= ?2 AND due_at > ?3";
        self.execute(bring_forward, params![after, last, now + kept_for])?;
        Ok(ClientIp::parse(last).ok())
    }
}
