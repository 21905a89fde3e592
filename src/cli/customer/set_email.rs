//! `customer set-email`

use anyhow::bail;

use super::{Who, change, find};
use crate::cli::Context;
use crate::config::NewCustomerEmail;
use crate::domain::EmailAddress;

/// The address counts as authorized when those of new customers do; who was deauthorized stays so.
pub(super) fn run(context: &Context, who: &Who, address: &EmailAddress) -> anyhow::Result<()> {
    let now = context.clock.now();
    // What knows the old address alone goes along, for by that nobody finds the customer any more.
    let unclaimed = context.open_database()?.read(|tx| {
        let customer = find(context, tx, who)?;
        anyhow::Ok(tx.find_unclaimed_attempts(customer.id)?)
    })?;
    change(context, who, |tx, customer| {
        let canonical = address.canonical(context.config.email.canonicalization);
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
    })
}
