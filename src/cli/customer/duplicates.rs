//! `customer duplicates`: whom another canonicalization would throw together.
//!
//! What is held in memory is 16 bytes a customer.

use std::io;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde::ser::{SerializeSeq as _, Serializer as _};

use super::for_each_page;
use crate::cli::Context;
use crate::cli::organisation::OrganisationArg;
use crate::cli::output::{NOT_PRINTED, fixed_line, print_line};
use crate::domain::{Canonicalization, CustomerId, EmailAddress, OrganisationId, Timestamp};
use crate::store::{CustomerRow, Database};

#[derive(Args)]
#[command(after_help = "This changes nothing. Decide what to do about them before you change the setting.")]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    organisation: OrganisationArg,
    /// The setting of `email.canonicalization` that you are considering
    #[arg(long, value_name = "SETTING", default_value = "provider")]
    canonicalization: Setting,
}

#[derive(Clone, Copy, ValueEnum)]
enum Setting {
    Provider,
    None,
}

impl From<Setting> for Canonicalization {
    fn from(setting: Setting) -> Self {
        match setting {
            Setting::Provider => Self::Provider,
            Setting::None => Self::None,
        }
    }
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<()> {
    let now = context.clock.now();
    let mut database = context.open_database()?;
    let organisation = database.read(|tx| arguments.organisation.find(tx))?;
    let addresses = list_addresses(context, &mut database, organisation, arguments.canonicalization.into())?;
    let groups = groups(&addresses).into_iter().map(|group| read_group(&mut database, group, now));
    // Whoever was erased meanwhile falls together with nobody.
    let groups = groups.filter(|group| group.as_ref().map_or(true, |group| group.len() > 1));
    if context.output.json { print_json(groups) } else { print_table(groups) }
}

/// A customer and the canonical address: 64 bits of its hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Address {
    hash: i64,
    customer: CustomerId,
}

/// The canonical addresses by these rules, sorted so that like ones stand together.
fn list_addresses(
    context: &Context,
    database: &mut Database,
    organisation: OrganisationId,
    rules: Canonicalization,
) -> anyhow::Result<Vec<Address>> {
    let hash = |email: &EmailAddress| email.canonical(rules).mailbox(organisation).0;
    let mut addresses = Vec::new();
    for_each_page(context, database, organisation, |page| {
        // Contacts without an address are alike to nobody.
        addresses.extend(page.iter().filter_map(|customer| {
            let email = EmailAddress::parse(customer.account.email.as_ref()?).ok()?;
            Some(Address { hash: hash(&email), customer: customer.id })
        }));
        Ok(())
    })?;
    addresses.sort_unstable();
    Ok(addresses)
}

/// Those who fall together; first the group with the oldest customer.
fn groups(addresses: &[Address]) -> Vec<&[Address]> {
    let mut groups: Vec<_> =
        addresses.chunk_by(|one, other| one.hash == other.hash).filter(|group| group.len() > 1).collect();
    groups.sort_by_key(|group| group.iter().map(|address| address.customer).min());
    groups
}

/// A customer as one is printed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Duplicate {
    email: String,
    cu_ref_no: String,
    created_at: Timestamp,
    registered_at: Option<Timestamp>,
}

fn read_group(database: &mut Database, group: &[Address], now: Timestamp) -> anyhow::Result<Vec<Duplicate>> {
    database.read(|tx| {
        let mut duplicates = Vec::new();
        for address in group {
            let customer = tx.find_customer_by_id(address.customer, now)?;
            duplicates.extend(customer.and_then(duplicate));
        }
        Ok(duplicates)
    })
}

fn duplicate(customer: CustomerRow) -> Option<Duplicate> {
    Some(Duplicate {
        email: customer.account.email?,
        cu_ref_no: customer.account.cu_ref_no,
        created_at: customer.created_at,
        registered_at: customer.registered_at,
    })
}

/// An array of groups, each an array of customers.
fn print_json(groups: impl Iterator<Item = anyhow::Result<Vec<Duplicate>>>) -> anyhow::Result<()> {
    let mut json = serde_json::Serializer::pretty(io::stdout().lock());
    let mut array = json.serialize_seq(None).map_err(io::Error::from).context(NOT_PRINTED)?;
    for group in groups {
        array.serialize_element(&group?).map_err(io::Error::from).context(NOT_PRINTED)?;
    }
    array.end().map_err(io::Error::from).context(NOT_PRINTED)?;
    drop(json);
    print_line("")
}

/// A line for each customer, and an empty one between the groups.
fn print_table(groups: impl Iterator<Item = anyhow::Result<Vec<Duplicate>>>) -> anyhow::Result<()> {
    let mut is_first = true;
    for group in groups {
        if is_first {
            print_cells(["cuRefNo", "created", "registered", "email"])?;
        } else {
            print_line("")?;
        }
        is_first = false;
        for customer in group? {
            let created = customer.created_at.to_string();
            let registered = customer.registered_at.map_or_else(|| "no: a guest".to_owned(), |at| at.to_string());
            print_cells([&customer.cu_ref_no, &created, &registered, &customer.email])?;
        }
    }
    if is_first { print_line("No addresses would fall together.") } else { Ok(()) }
}

fn print_cells(cells: [&str; 4]) -> anyhow::Result<()> {
    print_line(&fixed_line([16, 24, 24, 0], cells))
}
