//! The table `customers`.

mod addresses;

use rusqlite::types::ToSql;
use rusqlite::{OptionalExtension as _, Row, params};

use super::bans::is_banned;
use super::{StoreError, Tx};
use crate::domain::{CanonicalEmail, CuRefNo, CustomerId, EmailAddress, OrganisationId, PersonName, Timestamp};

/// What a sign-in needs to know of a customer.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "five facts, each independent of the others")]
pub struct Customer {
    /// The customer's row.
    pub id: CustomerId,
    /// Whether the customer is more than a guest.
    pub is_registered: bool,
    /// Whether the address has been authorized.
    pub is_authorized: bool,
    /// Whether a ban is in force.
    pub is_banned: bool,
    /// Whether a first name is known.
    pub has_first_name: bool,
    /// Whether a last name is known.
    pub has_last_name: bool,
}

/// A customer to be made.
#[derive(Debug)]
pub struct NewCustomer<'n> {
    /// Whose customer.
    pub organisation: OrganisationId,
    /// The address that is shown.
    pub email: &'n EmailAddress,
    /// The address that is unique.
    pub canonical: &'n CanonicalEmail,
    /// The first name.
    pub first_name: Option<&'n PersonName>,
    /// The last name.
    pub last_name: Option<&'n PersonName>,
    /// Whether the address counts as authorized.
    pub is_authorized: bool,
    /// Who brought the customer.
    pub referred_by: Option<CustomerId>,
}

/// What answers tell of a customer.
#[derive(Clone, Debug)]
pub struct Account {
    /// The customer's public name.
    pub cu_ref_no: String,
    /// The normalised address; `None` for a phone-only contact.
    pub email: Option<String>,
    /// The telephone number.
    pub phone: Option<String>,
    /// The first name.
    pub first_name: Option<String>,
    /// The last name.
    pub last_name: Option<String>,
    /// The company's name.
    pub company_name: Option<String>,
    /// Whether a ban is in force.
    pub is_banned: bool,
}

/// What the operator is told of a customer.
#[derive(Clone, Debug)]
pub struct CustomerRow {
    /// The customer's row.
    pub id: CustomerId,
    /// What answers tell.
    pub account: Account,
    /// When the customer or guest was made.
    pub created_at: Timestamp,
    /// When the customer registered; `None` for a guest.
    pub registered_at: Option<Timestamp>,
    /// When the address was authorized.
    pub email_authorized_at: Option<Timestamp>,
    /// The `cuRefNo` of who brought the customer.
    pub referred_by: Option<String>,
}

/// What [`Account`] holds, of `customers AS c` at the moment `?1`.
pub(super) const ACCOUNT_COLUMNS: &str =
    concat!("c.cu_ref_no, c.email, c.phone, c.first_name, c.last_name, c.company_name, ", is_banned!());

/// The number of [`ACCOUNT_COLUMNS`].
pub(super) const ACCOUNT_WIDTH: usize = 7;

impl Tx<'_> {
    /// The customer who owns the address.
    ///
    /// # Errors
    /// When the database fails.
    pub fn find_customer(
        &self,
        organisation: OrganisationId,
        canonical: &CanonicalEmail,
        now: Timestamp,
    ) -> Result<Option<Customer>, StoreError> {
        let mut statement = self.prepare(concat!(
            "SELECT c.id, c.registered_at IS NOT NULL, c.email_authorized_at IS NOT NULL, ",
            is_banned!(),
            ", c.first_name IS NOT NULL, c.last_name IS NOT NULL
            FROM customers AS c
            WHERE c.organisation_id = ?2 AND c.email_canonical = ?3",
        ))?;
        let customer = statement.query_row(params![now.as_millis(), organisation.0, canonical.as_str()], |row| {
            Ok(Customer {
                id: CustomerId(row.get(0)?),
                is_registered: row.get(1)?,
                is_authorized: row.get(2)?,
                is_banned: row.get(3)?,
                has_first_name: row.get(4)?,
                has_last_name: row.get(5)?,
            })
        });
        Ok(customer.optional()?)
    }

    /// The customer with that `cuRefNo`.
    ///
    /// # Errors
    /// When the database fails.
    pub fn find_referrer(
        &self,
        organisation: OrganisationId,
        cu_ref_no: &CuRefNo,
    ) -> Result<Option<CustomerId>, StoreError> {
        let mut statement = self.prepare("SELECT id FROM customers WHERE organisation_id = ?1 AND cu_ref_no = ?2")?;
        let found = statement.query_row(params![organisation.0, cu_ref_no.as_str()], |row| row.get(0).map(CustomerId));
        Ok(found.optional()?)
    }

    /// Makes a registered customer.
    ///
    /// # Errors
    /// When the database fails or the address has an owner already.
    pub fn insert_customer(&self, new: &NewCustomer<'_>, now: Timestamp) -> Result<CustomerId, StoreError> {
        let sql = "INSERT INTO customers (organisation_id, cu_ref_no, email, email_canonical, first_name, last_name,
                created_at, registered_at, email_authorized_at, referred_by)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9)";
        self.prepare(sql)?.execute(params![
            new.organisation.0,
            CuRefNo::generate(now).as_str(),
            new.email.as_str(),
            new.canonical.as_str(),
            new.first_name.map(PersonName::as_str),
            new.last_name.map(PersonName::as_str),
            now.as_millis(),
            new.is_authorized.then_some(now.as_millis()),
            new.referred_by.map(|referrer| referrer.0),
        ])?;
        Ok(CustomerId(self.last_insert_rowid()))
    }

    /// Registers a guest and fills the names that are missing. What is there is not changed.
    ///
    /// # Errors
    /// When the database fails or has no such customer.
    pub fn complete_customer(
        &self,
        customer: CustomerId,
        first_name: Option<&PersonName>,
        last_name: Option<&PersonName>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.update_customer(
            "UPDATE customers
            SET registered_at = coalesce(registered_at, ?2), first_name = coalesce(first_name, ?3),
                last_name = coalesce(last_name, ?4)
            WHERE id = ?1",
            &[&customer.0, &now.as_millis(), &first_name.map(PersonName::as_str), &last_name.map(PersonName::as_str)],
        )
    }

    /// Marks the address as authorized since `at`, or as not authorized.
    ///
    /// # Errors
    /// When the database fails or has no such customer.
    pub fn set_email_authorized(&self, customer: CustomerId, at: Option<Timestamp>) -> Result<(), StoreError> {
        self.update_customer(
            "UPDATE customers SET email_authorized_at = ?2 WHERE id = ?1",
            &[&customer.0, &at.map(Timestamp::as_millis)],
        )
    }

    /// Ends all sessions that the customer has now.
    ///
    /// # Errors
    /// When the database fails or has no such customer.
    pub fn end_sessions(&self, customer: CustomerId) -> Result<(), StoreError> {
        self.update_customer("UPDATE customers SET session_epoch = session_epoch + 1 WHERE id = ?1", &[&customer.0])
    }

    fn update_customer(&self, sql: &str, values: &[&dyn ToSql]) -> Result<(), StoreError> {
        match self.prepare(sql)?.execute(values)? {
            1 => Ok(()),
            changed => Err(StoreError::RowCount(changed)),
        }
    }

    /// All that the operator is told of the owner of an address.
    ///
    /// # Errors
    /// When the database fails.
    pub fn find_customer_by_email(
        &self,
        organisation: OrganisationId,
        canonical: &CanonicalEmail,
        now: Timestamp,
    ) -> Result<Option<CustomerRow>, StoreError> {
        self.find_customer_row("c.email_canonical = ?3", organisation, &canonical.as_str(), now)
    }

    /// All that the operator is told of the customer with that `cuRefNo`.
    ///
    /// # Errors
    /// When the database fails.
    pub fn find_customer_by_cu_ref_no(
        &self,
        organisation: OrganisationId,
        cu_ref_no: &CuRefNo,
        now: Timestamp,
    ) -> Result<Option<CustomerRow>, StoreError> {
        self.find_customer_row("c.cu_ref_no = ?3", organisation, &cu_ref_no.as_str(), now)
    }

    fn find_customer_row(
        &self,
        condition: &str,
        organisation: OrganisationId,
        value: &dyn ToSql,
        now: Timestamp,
    ) -> Result<Option<CustomerRow>, StoreError> {
        let mut statement = self.prepare(&format!(
            "SELECT {ACCOUNT_COLUMNS}, c.id, c.created_at, c.registered_at, c.email_authorized_at, r.cu_ref_no
            FROM customers AS c LEFT JOIN customers AS r ON r.id = c.referred_by
            WHERE c.organisation_id = ?2 AND {condition}"
        ))?;
        let row = statement.query_row(params![now.as_millis(), organisation.0, value], read_customer);
        Ok(row.optional()?)
    }
}

fn read_customer(row: &Row<'_>) -> rusqlite::Result<CustomerRow> {
    let moment = |index| row.get::<_, Option<i64>>(index).map(|at| at.map(Timestamp::from_millis));
    Ok(CustomerRow {
        account: read_account(row, 0)?,
        id: CustomerId(row.get(ACCOUNT_WIDTH)?),
        created_at: Timestamp::from_millis(row.get(ACCOUNT_WIDTH + 1)?),
        registered_at: moment(ACCOUNT_WIDTH + 2)?,
        email_authorized_at: moment(ACCOUNT_WIDTH + 3)?,
        referred_by: row.get(ACCOUNT_WIDTH + 4)?,
    })
}

/// Reads the [`ACCOUNT_COLUMNS`], the first of which is number `first`.
pub(super) fn read_account(row: &Row<'_>, first: usize) -> rusqlite::Result<Account> {
    Ok(Account {
        cu_ref_no: row.get(first)?,
        email: row.get(first + 1)?,
        phone: row.get(first + 2)?,
        first_name: row.get(first + 3)?,
        last_name: row.get(first + 4)?,
        company_name: row.get(first + 5)?,
        is_banned: row.get(first + 6)?,
    })
}
