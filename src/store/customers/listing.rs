//! Customers as the operator sees them: found one by one, or listed.

use rusqlite::types::{ToSql, ValueRef};
use rusqlite::{Row, params};

use super::{ACCOUNT_COLUMNS, ACCOUNT_WIDTH, Account, is_sandbox, read_account};
use crate::domain::{
    CanonicalEmail, Canonicalization, CuRefNo, CustomerId, EmailAddress, OrganisationId, PhoneNumber, Timestamp,
};
use crate::store::bans::{BAN_COLUMNS, is_active_ban, read_ban};
use crate::store::{BanRow, StoreError, Tx};

/// What the operator is told of a customer. It is personal and has no `Debug`.
#[derive(Clone)]
pub struct CustomerRow {
    /// The customer's row.
    pub id: CustomerId,
    /// Whose customer.
    pub organisation: OrganisationId,
    /// What answers tell.
    pub account: Account,
    /// When the customer or guest was made.
    pub created_at: Timestamp,
    /// When the customer registered; `None` for a guest.
    pub registered_at: Option<Timestamp>,
    /// When the address was authorized.
    pub email_authorized_at: Option<Timestamp>,
    /// The `cuRefNo` of who brought the customer, also when nobody has it yet.
    pub referred_by: Option<String>,
    /// When the person was forgotten.
    pub erased_at: Option<Timestamp>,
    /// The ban in force.
    pub ban: Option<BanRow>,
    /// Whether it is a customer of the sandbox.
    pub is_sandbox: bool,
}

/// Which customers to list. Sandbox customers and people who were forgotten are none.
#[derive(Clone, Copy, Debug)]
pub struct CustomerFilter {
    /// Whose customers.
    pub organisation: OrganisationId,
    /// Only those with a ban in force.
    pub banned: bool,
    /// Only guests.
    pub guests: bool,
    /// Only those who have an address that is not authorized.
    pub unauthorized: bool,
    /// Only those made at or after this moment.
    pub since: Option<Timestamp>,
    /// In which order.
    pub order: CustomerOrder,
    /// Only those behind this one in the order.
    pub after: Option<CustomerId>,
    /// At most so many.
    pub limit: usize,
}

impl CustomerFilter {
    /// All customers of an organisation, the newest first.
    #[must_use]
    pub fn of(organisation: OrganisationId) -> Self {
        Self {
            organisation,
            banned: false,
            guests: false,
            unauthorized: false,
            since: None,
            order: CustomerOrder::NewestFirst,
            after: None,
            limit: usize::MAX,
        }
    }
}

/// In which order customers are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CustomerOrder {
    /// In the order in which they came.
    OldestFirst,
    /// The newest first.
    NewestFirst,
}

/// Of `customers AS c`, with the tables of [`SELECT_FROM`]: what [`CustomerRow`] holds beside the account and the ban.
const ROW_COLUMNS: &str = concat!(
    "c.id, c.organisation_id, c.created_at, c.registered_at, c.email_authorized_at,
    coalesce(r.cu_ref_no, p.cu_ref_no), c.erased_at, ",
    is_sandbox!()
);

/// The number of [`ROW_COLUMNS`].
const ROW_WIDTH: usize = 8;

/// The tables of a customer's columns, at the moment `?1`.
const SELECT_FROM: &str = concat!(
    "FROM customers AS c
    LEFT JOIN customers AS r ON r.id = c.referred_by
    LEFT JOIN pending_referrals AS p ON p.customer_id = c.id
    LEFT JOIN bans AS b ON b.id = (SELECT max(b.id) FROM bans AS b WHERE b.customer_id = c.id AND ",
    is_active_ban!(),
    ")"
);

impl Tx<'_> {
    /// The owner of an address.
    pub fn find_customer_by_email(
        &self,
        organisation: OrganisationId,
        canonical: &CanonicalEmail,
        now: Timestamp,
    ) -> Result<Option<CustomerRow>, StoreError> {
        self.find_customer_row("c.organisation_id = ?2 AND c.email_canonical = ?3", &[&organisation, &canonical], now)
    }

    /// The owner of a telephone number.
    pub fn find_customer_by_phone(
        &self,
        organisation: OrganisationId,
        phone: &PhoneNumber,
        now: Timestamp,
    ) -> Result<Option<CustomerRow>, StoreError> {
        self.find_customer_row("c.organisation_id = ?2 AND c.phone = ?3", &[&organisation, &phone], now)
    }

    /// The customer with that `cuRefNo`, also when the person was forgotten.
    pub fn find_customer_by_cu_ref_no(
        &self,
        organisation: OrganisationId,
        cu_ref_no: &CuRefNo,
        now: Timestamp,
    ) -> Result<Option<CustomerRow>, StoreError> {
        self.find_customer_row("c.organisation_id = ?2 AND c.cu_ref_no = ?3", &[&organisation, &cu_ref_no], now)
    }

    /// The customer of that row.
    pub fn find_customer_by_id(&self, customer: CustomerId, now: Timestamp) -> Result<Option<CustomerRow>, StoreError> {
        self.find_customer_row("c.id = ?2", &[&customer], now)
    }

    fn find_customer_row(
        &self,
        condition: &str,
        values: &[&dyn ToSql],
        now: Timestamp,
    ) -> Result<Option<CustomerRow>, StoreError> {
        let sql = format!("SELECT {ROW_COLUMNS}, {ACCOUNT_COLUMNS}, {BAN_COLUMNS} {SELECT_FROM} WHERE {condition}");
        let values: Vec<&dyn ToSql> = [&now as &dyn ToSql].iter().chain(values).copied().collect();
        self.find(&sql, values.as_slice(), read_customer)
    }

    /// The customers that the filter lets through and that `is_wanted`.
    pub fn list_customers(
        &self,
        filter: &CustomerFilter,
        is_wanted: impl Fn(&CustomerRow) -> bool,
        now: Timestamp,
    ) -> Result<Vec<CustomerRow>, StoreError> {
        let (behind, order, start) = match filter.order {
            CustomerOrder::OldestFirst => (">", "ASC", CustomerId(i64::MIN)),
            CustomerOrder::NewestFirst => ("<", "DESC", CustomerId(i64::MAX)),
        };
        // The plus keeps SQLite from going by an index of the organisation, and sorting all of it for each page.
        let mut statement = self.prepare(&format!(
            "SELECT {ROW_COLUMNS}, {ACCOUNT_COLUMNS}, {BAN_COLUMNS} {SELECT_FROM}
            WHERE +c.organisation_id = ?2 AND c.erased_at IS NULL AND NOT {}
                AND c.id {behind} ?3 AND (NOT ?4 OR b.id IS NOT NULL)
                AND (NOT ?5 OR c.registered_at IS NULL) AND (NOT ?6 OR c.email IS NOT NULL AND c.email_authorized_at IS NULL)
                AND (?7 IS NULL OR c.created_at >= ?7)
            ORDER BY c.id {order}",
            is_sandbox!()
        ))?;
        let rows = statement.query_map(
            params![
                now,
                filter.organisation,
                filter.after.unwrap_or(start),
                filter.banned,
                filter.guests,
                filter.unauthorized,
                filter.since,
            ],
            read_customer,
        )?;
        let wanted = rows.filter(|row| row.as_ref().map_or(true, &is_wanted));
        Ok(wanted.take(filter.limit).collect::<rusqlite::Result<_>>()?)
    }

    /// Customers who are kept under another canonical address than these rules give: by their address, nobody finds them.
    /// How many there are, and the oldest of them, at most `limit`. Reads the whole table.
    pub fn list_kept_otherwise(
        &self,
        rules: Canonicalization,
        limit: usize,
    ) -> Result<(usize, Vec<String>), StoreError> {
        let mut statement = self.prepare(concat!(
            "SELECT c.email, c.email_canonical, c.cu_ref_no FROM customers AS c
            WHERE c.email IS NOT NULL AND NOT ",
            is_sandbox!(),
            " ORDER BY c.id",
        ))?;
        let (mut count, mut oldest) = (0, Vec::new());
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (email, kept) = (row.get::<_, String>(0)?, row.get::<_, String>(1)?);
            if EmailAddress::parse(&email).is_ok_and(|email| email.canonical(rules).as_str() != kept) {
                count += 1;
                if oldest.len() < limit {
                    oldest.push(row.get(2)?);
                }
            }
        }
        Ok((count, oldest))
    }

    /// The customers whom this one brought: how many, and the newest of them, at most `limit`. Reads the
    /// whole table.
    pub fn list_referred(&self, referrer: CustomerId, limit: usize) -> Result<(usize, Vec<String>), StoreError> {
        let sql = "SELECT cu_ref_no FROM customers WHERE referred_by = ?1 ORDER BY id DESC";
        let mut brought: Vec<String> = self.list(sql, [referrer], |row| row.get(0))?;
        let count = brought.len();
        brought.truncate(limit);
        Ok((count, brought))
    }
}

fn read_customer(row: &Row<'_>) -> rusqlite::Result<CustomerRow> {
    let ban = ROW_WIDTH + ACCOUNT_WIDTH;
    let has_ban = row.get_ref(ban)? != ValueRef::Null;
    Ok(CustomerRow {
        id: row.get(0)?,
        organisation: row.get(1)?,
        created_at: row.get(2)?,
        registered_at: row.get(3)?,
        email_authorized_at: row.get(4)?,
        referred_by: row.get(5)?,
        erased_at: row.get(6)?,
        is_sandbox: row.get(7)?,
        account: read_account(row, ROW_WIDTH)?,
        ban: has_ban.then(|| read_ban(row, ban)).transpose()?,
    })
}
