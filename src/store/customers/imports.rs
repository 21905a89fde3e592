//! What only an import does: it remembers referrals until their referrer has come.

use rusqlite::params;

use crate::domain::{CuRefNo, CustomerId, OrganisationId};
use crate::store::{StoreError, Tx};

/// A referral whose referrer has come.
#[derive(Clone, Copy, Debug)]
pub struct PendingReferral {
    /// Who was brought.
    pub customer: CustomerId,
    /// By whom.
    pub referrer: CustomerId,
}

impl Tx<'_> {
    /// Remembers who is to be recorded as the customer's referrer once there is such a customer.
    pub fn insert_pending_referral(&self, customer: CustomerId, referrer: &CuRefNo) -> Result<(), StoreError> {
        let sql = "INSERT INTO pending_referrals (customer_id, cu_ref_no) VALUES (?1, ?2)";
        self.execute(sql, params![customer, referrer]).map(drop)
    }

    /// Pending referrals whose referrer is there by now, of customers behind `after`, at most `limit`.
    pub fn list_settled_referrals(
        &self,
        organisation: OrganisationId,
        after: CustomerId,
        limit: usize,
    ) -> Result<Vec<PendingReferral>, StoreError> {
        // In this order, and not with a look at all customers first.
        let sql = "SELECT c.id, r.id FROM pending_referrals AS p
            CROSS JOIN customers AS c ON c.id = p.customer_id
            CROSS JOIN customers AS r
                ON r.organisation_id = c.organisation_id AND r.cu_ref_no = p.cu_ref_no AND r.erased_at IS NULL
            WHERE p.customer_id > ?2 AND c.organisation_id = ?1 AND r.id <> c.id
            ORDER BY p.customer_id LIMIT ?3";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.list(sql, params![organisation, after, limit], |row| {
            Ok(PendingReferral { customer: row.get(0)?, referrer: row.get(1)? })
        })
    }

    /// Records the referrer of a pending referral. A referrer that is recorded already stays.
    ///
    /// # Errors
    /// When there is no such customer.
    pub fn settle_referral(&self, referral: PendingReferral) -> Result<(), StoreError> {
        self.update_one(
            "UPDATE customers SET referred_by = coalesce(referred_by, ?2) WHERE id = ?1",
            params![referral.customer, referral.referrer],
        )?;
        self.execute("DELETE FROM pending_referrals WHERE customer_id = ?1", [referral.customer]).map(drop)
    }

    /// The referrals of an organisation that wait for their referrer.
    pub fn count_pending_referrals(&self, organisation: OrganisationId) -> Result<i64, StoreError> {
        let sql = "SELECT count(*) FROM pending_referrals AS p JOIN customers AS c ON c.id = p.customer_id
            WHERE c.organisation_id = ?1";
        self.value(sql, [organisation])
    }
}
