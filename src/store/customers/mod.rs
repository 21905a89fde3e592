//! The table `customers`: what a sign-in does with it. What only the operator does stands in files of its own.

mod erasure;
mod imports;
mod listing;

pub use erasure::Traces;
pub use imports::PendingReferral;
pub use listing::{CustomerFilter, CustomerOrder, CustomerRow};

use rusqlite::{Row, params};

use super::bans::{is_active_ban, is_banned};
use super::{StoreError, Tx};
use crate::domain::{
    CanonicalEmail, CompanyName, CountryCode, CuRefNo, CustomerId, EmailAddress, OrganisationId, PersonName,
    PhoneNumber, Timestamp,
};

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

/// A customer to be made. What may be missing is missing in [`NewCustomer::of`].
#[derive(Debug)]
pub struct NewCustomer<'n> {
    /// Whose customer.
    pub organisation: OrganisationId,
    /// The address that is shown, and the one that is unique.
    pub email: Option<(&'n EmailAddress, &'n CanonicalEmail)>,
    /// The telephone number.
    pub phone: Option<&'n PhoneNumber>,
    /// The first name.
    pub first_name: Option<&'n PersonName>,
    /// The last name.
    pub last_name: Option<&'n PersonName>,
    /// The company's name.
    pub company_name: Option<&'n CompanyName>,
    /// The public name; `None`: a new one.
    pub cu_ref_no: Option<&'n CuRefNo>,
    /// Who brought the customer.
    pub referred_by: Option<CustomerId>,
    /// Whether the customer is more than a guest.
    pub is_registered: bool,
    /// Whether the address counts as authorized.
    pub is_authorized: bool,
}

impl NewCustomer<'_> {
    /// A registered customer of whom nothing is known.
    #[must_use]
    pub fn of(organisation: OrganisationId) -> Self {
        Self {
            organisation,
            email: None,
            phone: None,
            first_name: None,
            last_name: None,
            company_name: None,
            cu_ref_no: None,
            referred_by: None,
            is_registered: true,
            is_authorized: false,
        }
    }
}

/// What answers tell of a customer. It is personal and has no `Debug`.
#[derive(Clone)]
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

/// What [`Account`] holds, of `customers AS c` at the moment `?1`.
pub(super) const ACCOUNT_COLUMNS: &str =
    concat!("c.cu_ref_no, c.email, c.phone, c.first_name, c.last_name, c.company_name, ", is_banned!());

/// The number of [`ACCOUNT_COLUMNS`].
pub(super) const ACCOUNT_WIDTH: usize = 7;

/// In SQL, whether the customer `c` is one of the sandbox: [`CanonicalEmail::sandbox`].
macro_rules! is_sandbox {
    () => {
        "coalesce(c.email_canonical GLOB 'sandbox:*', 0)"
    };
}
use is_sandbox;

impl Tx<'_> {
    /// The customer who owns the address.
    pub fn find_customer(
        &self,
        organisation: OrganisationId,
        canonical: &CanonicalEmail,
        now: Timestamp,
    ) -> Result<Option<Customer>, StoreError> {
        let sql = concat!(
            "SELECT c.id, c.registered_at IS NOT NULL, c.email_authorized_at IS NOT NULL, ",
            is_banned!(),
            ", c.first_name IS NOT NULL, c.last_name IS NOT NULL
            FROM customers AS c
            WHERE c.organisation_id = ?2 AND c.email_canonical = ?3",
        );
        self.find(sql, params![now, organisation, canonical], |row| {
            Ok(Customer {
                id: row.get(0)?,
                is_registered: row.get(1)?,
                is_authorized: row.get(2)?,
                is_banned: row.get(3)?,
                has_first_name: row.get(4)?,
                has_last_name: row.get(5)?,
            })
        })
    }

    /// The customer with that `cuRefNo`, unless forgotten or of the sandbox.
    pub fn find_referrer(
        &self,
        organisation: OrganisationId,
        cu_ref_no: &CuRefNo,
    ) -> Result<Option<CustomerId>, StoreError> {
        let sql = concat!(
            "SELECT c.id FROM customers AS c
            WHERE c.organisation_id = ?1 AND c.cu_ref_no = ?2 AND c.erased_at IS NULL AND NOT ",
            is_sandbox!(),
        );
        self.find(sql, params![organisation, cu_ref_no], |row| row.get(0))
    }

    /// Makes a customer; `None` when the address, the telephone number or the `cuRefNo` has an owner already.
    pub fn insert_customer(&self, new: &NewCustomer<'_>, at: Timestamp) -> Result<Option<CustomerId>, StoreError> {
        let generated = new.cu_ref_no.is_none().then(|| CuRefNo::generate(at));
        let cu_ref_no = new.cu_ref_no.or(generated.as_ref());
        let sql = "INSERT INTO customers (organisation_id, cu_ref_no, email, email_canonical, phone, first_name,
                last_name, company_name, created_at, registered_at, email_authorized_at, referred_by)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
            ON CONFLICT DO NOTHING";
        let values = params![
            new.organisation,
            cu_ref_no,
            new.email.map(|(email, _)| email),
            new.email.map(|(_, canonical)| canonical),
            new.phone,
            new.first_name,
            new.last_name,
            new.company_name,
            at,
            new.is_registered.then_some(at),
            new.is_authorized.then_some(at),
            new.referred_by,
        ];
        let inserted = self.execute(sql, values)?;
        Ok((inserted == 1).then(|| CustomerId(self.last_insert_rowid())))
    }

    /// Registers a guest and fills the names that are missing. What is there is not changed.
    ///
    /// # Errors
    /// When there is no such customer.
    pub fn complete_customer(
        &self,
        customer: CustomerId,
        first_name: Option<&PersonName>,
        last_name: Option<&PersonName>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.update_one(
            "UPDATE customers
            SET registered_at = coalesce(registered_at, ?2), first_name = coalesce(first_name, ?3),
                last_name = coalesce(last_name, ?4)
            WHERE id = ?1",
            params![customer, now, first_name, last_name],
        )
    }

    /// Marks the address as authorized since `at`, or as not authorized.
    ///
    /// # Errors
    /// When there is no such customer.
    pub fn set_email_authorized(&self, customer: CustomerId, at: Option<Timestamp>) -> Result<(), StoreError> {
        self.update_one("UPDATE customers SET email_authorized_at = ?2 WHERE id = ?1", params![customer, at])
    }

    /// Gives the customer another address, authorized since `authorized_at` or not.
    ///
    /// # Errors
    /// When there is no such customer, or the address has an owner already.
    pub fn set_email(
        &self,
        customer: CustomerId,
        email: &EmailAddress,
        canonical: &CanonicalEmail,
        authorized_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        self.update_one(
            "UPDATE customers SET email = ?2, email_canonical = ?3, email_authorized_at = ?4 WHERE id = ?1",
            params![customer, email, canonical, authorized_at],
        )
    }

    /// Notes from which country the customer signs in. Says whether it is another one than all before: the first is
    /// nothing new.
    ///
    /// # Errors
    /// When there is no such customer.
    pub fn note_country(&self, customer: CustomerId, country: CountryCode) -> Result<bool, StoreError> {
        let known: Option<String> = self.value("SELECT countries FROM customers WHERE id = ?1", [customer])?;
        if known.as_ref().is_some_and(|known| known.split(',').any(|known| known == country.as_str())) {
            return Ok(false);
        }
        self.update_one(
            "UPDATE customers SET countries = coalesce(countries || ',', '') || ?2 WHERE id = ?1",
            params![customer, country],
        )?;
        Ok(known.is_some())
    }

    /// Ends all sessions that the customer has now.
    ///
    /// # Errors
    /// When there is no such customer.
    pub fn end_sessions(&self, customer: CustomerId) -> Result<(), StoreError> {
        self.update_one("UPDATE customers SET session_epoch = session_epoch + 1 WHERE id = ?1", params![customer])
    }
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
