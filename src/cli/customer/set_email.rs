//! `customer set-email`

use anyhow::bail;

use super::{Who, change, find, own_forms, remove_residue, wait_for_server};
use crate::cli::Context;
use crate::cli::output::note;
use crate::config::NewCustomerEmail;
use crate::domain::{CanonicalEmail, EmailAddress, Timestamp};
use crate::store::{CustomerRow, Residue, StoreError, Tx};

/// The address counts as authorized when those of new customers do; who was deauthorized stays so.
pub(super) fn run(context: &Context, who: &Who, address: &EmailAddress) -> anyhow::Result<()> {
    let now = context.clock.now();
    let canonical = address.canonical(context.config.email.canonicalization);
    // What knows the old address alone goes along, for by that nobody finds the customer any more.
    let (had_address, unclaimed, residue) = context.open_database()?.read(|tx| {
        let customer = find(context, tx, who)?;
        let residue = residue_of_old(tx, &customer, address, &canonical, now)?;
        anyhow::Ok((customer.account.email.is_some(), tx.find_unclaimed_attempts(customer.id)?, residue))
    })?;
    change(context, who, |tx, customer| {
        if customer.is_sandbox {
            bail!("{} is a customer of the sandbox, whose address stays as it is", customer.account.cu_ref_no);
        }
        let owner = tx.find_customer_by_email(customer.organisation, &canonical, now)?;
        if let Some(owner) = owner.filter(|owner| owner.id != customer.id) {
            bail!("the address already belongs to {}", owner.account.cu_ref_no);
        }
        let was_deauthorized = customer.account.email.is_some() && customer.email_authorized_at.is_none();
        let is_authorized =
            context.config.sign_in.new_customer_email == NewCustomerEmail::Authorized && !was_deauthorized;
        tx.set_email(customer.id, address, &canonical, is_authorized.then_some(now))?;
        if let Some(unclaimed) = &unclaimed {
            tx.claim_attempts(unclaimed)?;
        }
        Ok(format!(
            "The address of {} is now {}{}.",
            customer.account.cu_ref_no,
            address.as_str(),
            if is_authorized { "" } else { ", not authorized (see magic-auth customer authorize)" }
        ))
    })?;
    let finish = || {
        if let Some(unclaimed) = unclaimed.filter(|_| wait_for_server(context)) {
            context.open_database()?.write(|tx| tx.claim_attempts(&unclaimed))?;
        }
        if had_address { remove_residue(context, residue.as_ref()) } else { Ok(()) }
    };
    if let Err(error) = finish() {
        note(&format!("the old address may remain in free parts of the file: set the new one again: {error:#}"));
    }
    Ok(())
}

/// What may be left of the address that the customer gives up. `None` when that is not known any more, because the new one
/// is set already.
fn residue_of_old(
    tx: &Tx<'_>,
    customer: &CustomerRow,
    address: &EmailAddress,
    canonical: &CanonicalEmail,
    now: Timestamp,
) -> Result<Option<Residue>, StoreError> {
    let email = customer.account.email.as_deref().filter(|email| *email != address.as_str());
    let owner = tx.find_customer_by_email(customer.organisation, canonical, now)?;
    if email.is_none() && owner.is_some_and(|owner| owner.id == customer.id) {
        return Ok(None);
    }
    let mut forms = own_forms(tx, customer, now)?;
    forms.retain(|form| form != canonical);
    Ok(Some(Residue::of_address(customer.organisation, &customer.account.cu_ref_no, email, &forms)))
}
