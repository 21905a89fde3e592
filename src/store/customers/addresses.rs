//! The addresses of all customers, page by page, for what has to look at each.

use rusqlite::params;

use super::CustomerRow;
use crate::domain::{CustomerId, EmailAddress, OrganisationId, Timestamp};
use crate::store::{StoreError, Tx};

impl Tx<'_> {
    /// The customers after `after` who have an address, at most `limit`. Those of the sandbox are nobody's.
    ///
    /// # Errors
    /// When the database fails, or has an address that is none.
    pub fn list_addresses(
        &self,
        organisation: OrganisationId,
        after: CustomerId,
        limit: usize,
    ) -> Result<Vec<(CustomerId, EmailAddress)>, StoreError> {
        // In the order of the rows and by no index: else every page would have to sort all that is left.
        let mut statement = self.prepare(
            "SELECT id, email FROM customers NOT INDEXED
            WHERE id > ?2 AND organisation_id = ?1 AND email IS NOT NULL AND email_canonical NOT GLOB 'sandbox:*'
            ORDER BY id
            LIMIT ?3",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![organisation.0, after.0, limit])?;
        let mut addresses = Vec::new();
        while let Some(row) = rows.next()? {
            let email = row.get_ref(1)?.as_str().ok().and_then(|email| EmailAddress::parse(email).ok());
            let email = email.ok_or(StoreError::InvalidValue("address of a customer"))?;
            addresses.push((CustomerId(row.get(0)?), email));
        }
        Ok(addresses)
    }

    /// All that the operator is told of a customer.
    ///
    /// # Errors
    /// When the database fails.
    pub fn find_customer_by_id(
        &self,
        organisation: OrganisationId,
        customer: CustomerId,
        now: Timestamp,
    ) -> Result<Option<CustomerRow>, StoreError> {
        self.find_customer_row("c.id = ?3", organisation, &customer.0, now)
    }
}
