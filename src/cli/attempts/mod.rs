//! `attempts`: which ones, and the plain list of them.

mod follow;
mod summary;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use serde_json::value::RawValue;

use super::Context;
use super::organisation::find_organisation;
use super::output::{or_dash, table};
use crate::config::Period;
use crate::domain::{CanonicalEmail, ClientIp, EmailAddress, Outcome, Timestamp};
use crate::store::{AttemptFilter, AttemptRow, IpOrigin, Person, StoreError, Tx};

#[derive(Args)]
pub(super) struct Arguments {
    /// Only of this organisation
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
    /// Only for this address, in any spelling, and for those that its customer had before
    #[arg(long, value_name = "ADDRESS", allow_hyphen_values = true)]
    email: Option<String>,
    /// Only from this address
    #[arg(long, value_parser = ClientIp::parse)]
    ip: Option<ClientIp>,
    /// Only with this outcome: OK, E001 to E007, or denied
    #[arg(long)]
    outcome: Option<Outcome>,
    /// Only those within this period, such as 1h
    #[arg(long, value_name = "PERIOD")]
    since: Option<Period>,
    /// At most this many, the newest [default: 100]; with --summary, this many addresses and mailboxes [default: 10]
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
    /// List them the oldest first, and go on with new ones as they are recorded; with --json, one object a line
    #[arg(long)]
    follow: bool,
    /// Count them: for each outcome, and for the addresses and mailboxes with the most
    #[arg(long, conflicts_with = "follow")]
    summary: bool,
    /// Show full e-mail addresses in the summary, instead of j***@barasek.com
    #[arg(long, requires = "summary", conflicts_with = "follow")]
    show_emails: bool,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<()> {
    let mut database = context.open_database()?;
    let filter = database.read(|tx| arguments.filter(context, tx))?;
    if arguments.follow {
        return follow::run(context, &mut database, filter);
    }
    if arguments.summary {
        return summary::run(context, &mut database, &filter, arguments.show_emails);
    }
    let rows = database.read(|tx| anyhow::Ok(tx.list_attempts(&filter)?))?;
    let attempts: Vec<_> = rows.into_iter().map(ShownAttempt::from).collect();
    context.output.print(&attempts, |attempts| attempts_table(attempts))
}

impl Arguments {
    fn filter(&self, context: &Context, tx: &Tx<'_>) -> anyhow::Result<AttemptFilter> {
        let rules = context.config.email.canonicalization;
        let address = match &self.email {
            Some(text) => Some(EmailAddress::parse(text).with_context(|| format!("{text:?}"))?.canonical(rules)),
            None => None,
        };
        let organisation = match &self.organisation {
            Some(name) => Some(find_organisation(tx, Some(name))?),
            None => None,
        };
        Ok(AttemptFilter {
            organisation,
            person: address.map(|address| find_person(tx, &address, context.clock.now())).transpose()?,
            ip: self.ip,
            outcome: self.outcome,
            since: self.since.map(|period| context.clock.now() - period.get()),
            limit: self.limit.unwrap_or(if self.summary { 10 } else { 100 }),
        })
    }
}

/// Whoever has the address now, in each organisation, and who has tried to sign in with it there.
fn find_person(tx: &Tx<'_>, address: &CanonicalEmail, now: Timestamp) -> Result<Person, StoreError> {
    let organisations = tx.list_organisations()?;
    let mut customers = Vec::new();
    for organisation in &organisations {
        customers.extend(tx.find_customer(organisation.id, address, now)?.map(|customer| customer.id));
    }
    Ok(Person { customers, mailboxes: organisations.iter().map(|row| address.mailbox(row.id)).collect() })
}

/// An attempt as it is printed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownAttempt {
    at: Timestamp,
    organisation: String,
    key: String,
    email: Option<String>,
    cu_ref_no: Option<String>,
    ip: Option<String>,
    outcome: String,
    count: u32,
    new_country: bool,
    /// What is known of the address.
    origin: Option<Box<RawValue>>,
    #[serde(skip)]
    shown_origin: Option<String>,
}

impl From<AttemptRow> for ShownAttempt {
    fn from(row: AttemptRow) -> Self {
        Self {
            at: row.at,
            organisation: row.organisation,
            key: row.key,
            email: row.email,
            cu_ref_no: row.cu_ref_no,
            ip: row.ip,
            outcome: row.outcome,
            count: row.count,
            new_country: row.is_new_country,
            origin: row.facts.and_then(|facts| RawValue::from_string(facts).ok()),
            shown_origin: shown_origin(&row.origin, row.is_new_country),
        }
    }
}

/// Where an address is, in a few words: `US (new country), Mountain View, AS15169 Google LLC, hosting`.
fn shown_origin(origin: &IpOrigin, is_new_country: bool) -> Option<String> {
    let country = origin
        .country
        .as_ref()
        .map(|country| if is_new_country { format!("{country} (new country)") } else { country.clone() });
    let network = origin.asn.map(|asn| match &origin.as_name {
        Some(name) => format!("AS{asn} {name}"),
        None => format!("AS{asn}"),
    });
    let parts: Vec<String> =
        [country, origin.city.clone(), network, origin.flags.clone()].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

impl ShownAttempt {
    const HEAD: [&str; 9] =
        ["attempt at", "organisation", "key", "outcome", "count", "email", "cuRefNo", "ip", "origin"];

    fn cells(&self) -> [String; 9] {
        [
            self.at.to_string(),
            self.organisation.clone(),
            self.key.clone(),
            self.outcome.clone(),
            self.count.to_string(),
            or_dash(self.email.as_ref()),
            or_dash(self.cu_ref_no.as_ref()),
            or_dash(self.ip.as_ref()),
            or_dash(self.shown_origin.as_ref()),
        ]
    }
}

/// The attempts as a table, in the order they are given.
pub(super) fn attempts_table(attempts: &[ShownAttempt]) -> String {
    table(ShownAttempt::HEAD, attempts.iter().map(ShownAttempt::cells), "No attempts.")
}
