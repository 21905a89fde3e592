//! Attempts as the operator sees them: those that match a filter, the newest or as they come.

use rusqlite::types::Value;
use rusqlite::{Row, params_from_iter};

use crate::domain::{AttemptId, ClientIp, CustomerId, Mailbox, OrganisationId, Outcome, Timestamp};
use crate::store::values::json_array;
use crate::store::{IpOrigin, StoreError, Tx};

/// Which attempts to list or to count. What is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct AttemptFilter {
    /// Only of this organisation.
    pub organisation: Option<OrganisationId>,
    /// Only those of one person.
    pub person: Option<Person>,
    /// Only from this address.
    pub ip: Option<ClientIp>,
    /// Only with this outcome.
    pub outcome: Option<Outcome>,
    /// Only at or after this moment.
    pub since: Option<Timestamp>,
    /// At most so many.
    pub limit: usize,
}

/// By what the attempts of a person are known. Of several, since each organisation has its own.
#[derive(Clone, Debug)]
pub struct Person {
    /// Whose attempts they are.
    pub customers: Vec<CustomerId>,
    /// For whom they were, where no customer was looked up.
    pub mailboxes: Vec<Mailbox>,
}

/// In SQL, whether the attempt `a` matches the filter that [`AttemptFilter::values`] are of.
macro_rules! matches_filter {
    () => {
        "((?1 IS NULL OR a.organisation_id = ?1) AND (?2 IS NULL OR a.ip = ?2) AND (?3 IS NULL OR a.outcome = ?3)
            AND (?4 IS NULL OR a.at >= ?4)
            AND (?5 IS NULL OR a.customer_id IN (SELECT value FROM json_each(?5))
                OR a.customer_id IS NULL AND a.mailbox IN (SELECT value FROM json_each(?6))))"
    };
}
pub(super) use matches_filter;

impl AttemptFilter {
    /// The parameters `?1` to `?6` of [`matches_filter`].
    pub(super) fn values(&self) -> [Value; 6] {
        let person = self.person.as_ref();
        let customers = person.map(|person| json_array(person.customers.iter().map(|customer| customer.0)));
        let mailboxes = person.map(|person| json_array(person.mailboxes.iter().map(|mailbox| mailbox.0)));
        [
            self.organisation.map(|organisation| organisation.0).into(),
            self.ip.map(|ip| ip.to_string()).into(),
            self.outcome.map(|outcome| outcome.as_str().to_owned()).into(),
            self.since.map(Timestamp::as_millis).into(),
            customers.into(),
            mailboxes.into(),
        ]
    }

    /// The same with `?7` for the limit.
    pub(super) fn values_and_limit(&self) -> impl Iterator<Item = Value> {
        let limit = i64::try_from(self.limit).unwrap_or(i64::MAX).into();
        self.values().into_iter().chain([limit])
    }
}

/// An attempt as it was recorded. It is personal and has no `Debug`.
#[derive(Clone)]
pub struct AttemptRow {
    /// The attempt's row.
    pub id: AttemptId,
    /// When.
    pub at: Timestamp,
    /// The organisation's name.
    pub organisation: String,
    /// How tables name the key: `PROD…XuOE`.
    pub key: String,
    /// The address: the customer's, or the one that was sent.
    pub email: Option<String>,
    /// The customer's public name.
    pub cu_ref_no: Option<String>,
    /// Where the customer was.
    pub ip: Option<String>,
    /// How it ended.
    pub outcome: String,
    /// How many attempts the row stands for.
    pub count: u32,
    /// Whether it was a sign-in from a country that was new for the customer.
    pub is_new_country: bool,
    /// What is known of the address.
    pub origin: IpOrigin,
    /// All that is known of the address, as JSON.
    pub facts: Option<String>,
}

/// How many other attempts may be written between the moment of one and its own row.
const LATE: usize = 1_000;

/// The attempts that match, as [`read_attempt`] reads them.
macro_rules! select_attempts {
    () => {
        concat!(
            "SELECT a.id, a.at, o.name, k.prefix || '…' || k.hint, coalesce(c.email, a.email), c.cu_ref_no, a.ip,
                a.outcome, a.count, a.new_country, i.country, i.city, i.asn, i.as_name, i.flags, i.facts
            FROM login_attempts AS a
            JOIN organisations AS o ON o.id = a.organisation_id
            JOIN api_keys AS k ON k.id = a.api_key_id
            LEFT JOIN customers AS c ON c.id = a.customer_id
            LEFT JOIN ip_intelligence AS i ON i.ip = a.ip
            WHERE ",
            matches_filter!(),
        )
    };
}

impl Tx<'_> {
    /// The newest attempts that match, the newest first. Reads from the newest row backwards.
    pub fn list_attempts(&self, filter: &AttemptFilter) -> Result<Vec<AttemptRow>, StoreError> {
        // Some rows are written a moment later than they happened, and stand before newer ones.
        let wider = AttemptFilter { limit: filter.limit.saturating_add(LATE), ..filter.clone() };
        let sql = concat!(select_attempts!(), " ORDER BY a.id DESC LIMIT ?7");
        let mut attempts = self.list(sql, params_from_iter(wider.values_and_limit()), read_attempt)?;
        attempts.sort_by_key(|attempt| std::cmp::Reverse(attempt.at));
        attempts.truncate(filter.limit);
        Ok(attempts)
    }

    /// The attempts that match and were recorded after the attempt `after`, in that order; and after which to
    /// go on.
    pub fn list_attempts_after(
        &self,
        after: Option<AttemptId>,
        filter: &AttemptFilter,
    ) -> Result<(Vec<AttemptRow>, Option<AttemptId>), StoreError> {
        let newest = self.find_newest_attempt()?;
        // Once all rows have been deleted, their numbers start anew.
        let start = after.filter(|_| newest >= after).map_or(i64::MIN, |after| after.0);
        let sql = concat!(select_attempts!(), " AND a.id > ?8 ORDER BY a.id LIMIT ?7");
        let values = filter.values_and_limit().chain([start.into()]);
        let attempts = self.list(sql, params_from_iter(values), read_attempt)?;
        let is_full = attempts.len() == filter.limit;
        let next = attempts.last().filter(|_| is_full).map_or(newest, |last| Some(last.id));
        Ok((attempts, next))
    }

    /// The attempt that was recorded last.
    pub fn find_newest_attempt(&self) -> Result<Option<AttemptId>, StoreError> {
        self.value("SELECT max(id) FROM login_attempts", [])
    }

    /// The attempt that will be recorded next, or a later one.
    pub(in crate::store) fn next_attempt(&self) -> Result<AttemptId, StoreError> {
        Ok(AttemptId(self.find_newest_attempt()?.map_or(1, |newest| newest.0 + 1)))
    }
}

fn read_attempt(row: &Row<'_>) -> rusqlite::Result<AttemptRow> {
    Ok(AttemptRow {
        id: row.get(0)?,
        at: row.get(1)?,
        organisation: row.get(2)?,
        key: row.get(3)?,
        email: row.get(4)?,
        cu_ref_no: row.get(5)?,
        ip: row.get(6)?,
        outcome: row.get(7)?,
        count: row.get(8)?,
        is_new_country: row.get(9)?,
        origin: IpOrigin {
            country: row.get(10)?,
            city: row.get(11)?,
            asn: row.get(12)?,
            as_name: row.get(13)?,
            flags: row.get(14)?,
        },
        facts: row.get(15)?,
    })
}
