//! `customer …`: how one is named, and the commands that change one.

mod duplicates;
mod show;
mod why;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};

use super::{Context, find_organisation};
use crate::config::Period;
use crate::domain::{CuRefNo, EmailAddress, OrganisationId, Timestamp};
use crate::store::{CustomerRow, Tx};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show a customer with all bans and the newest sessions and attempts
    Show(Who),
    /// Ban a customer (E005) and end all sessions
    Ban {
        #[command(flatten)]
        who: Who,
        /// Why; kept with the ban and shown to operators only
        #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
        reason: String,
        /// For how long, such as 7d [default: until it is lifted]
        #[arg(long = "for", value_name = "PERIOD")]
        period: Option<Period>,
        /// Let the sessions live; they show `"ban":true`
        #[arg(long)]
        keep_sessions: bool,
    },
    /// Lift a customer's ban
    Unban(Who),
    /// Mark a customer's e-mail address as authorized
    Authorize(Who),
    /// Mark a customer's e-mail address as not authorized (E007)
    Deauthorize(Who),
    /// End all sessions of a customer
    SignOut(Who),
    /// Tell what a sign-in would answer now, and why, rule by rule
    Why(why::Arguments),
    /// List customers whose addresses would be one mailbox under another canonicalization
    Duplicates(duplicates::Arguments),
}

/// A reason is one line of some text.
fn parse_reason(text: &str) -> Result<String, &'static str> {
    let reason = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if reason.is_empty() || reason.contains(char::is_control) { Err("say why, in a line of text") } else { Ok(reason) }
}

#[derive(Debug, Args)]
pub(super) struct Who {
    /// The customer's organisation; may be left out when there is only one
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
    /// The customer's e-mail address, in any spelling, or cuRefNo
    #[arg(value_name = "EMAIL|CUREFNO")]
    customer: String,
}

pub(super) fn run(context: &Context, command: Command) -> anyhow::Result<()> {
    let now = context.clock.now();
    match command {
        Command::Show(who) => show::run(context, &who),
        Command::Ban { who, reason, period, keep_sessions } => {
            let expires_at = period.map(|period| now + period.get());
            change(context, &who, |tx, customer| ban(tx, customer, &reason, expires_at, keep_sessions, now))
        }
        Command::Unban(who) => change(context, &who, |tx, customer| match tx.lift_bans(customer.id, now)? {
            0 => bail!("{} is not banned", name(customer)),
            _ => Ok(format!("Lifted the ban of {}.", name(customer))),
        }),
        Command::Authorize(who) => change(context, &who, |tx, customer| {
            if customer.email_authorized_at.is_none() {
                tx.set_email_authorized(customer.id, Some(now))?;
            }
            Ok(format!("The address of {} is authorized.", name(customer)))
        }),
        Command::Deauthorize(who) => change(context, &who, |tx, customer| {
            tx.set_email_authorized(customer.id, None)?;
            Ok(format!("The address of {} is not authorized.", name(customer)))
        }),
        Command::SignOut(who) => change(context, &who, |tx, customer| {
            tx.end_sessions(customer.id)?;
            Ok(format!("Ended all sessions of {}.", name(customer)))
        }),
        Command::Why(arguments) => why::run(context, &arguments),
        Command::Duplicates(arguments) => duplicates::run(context, &arguments),
    }
}

/// Finds the customer and does `work` in one transaction; prints what it says.
fn change(
    context: &Context,
    who: &Who,
    work: impl FnOnce(&Tx<'_>, &CustomerRow) -> anyhow::Result<String>,
) -> anyhow::Result<()> {
    let done = context.open_database()?.write(|tx| {
        let (_, customer) = find(context, tx, who)?;
        work(tx, &customer)
    })?;
    context.output.done(done)
}

fn ban(
    tx: &Tx<'_>,
    customer: &CustomerRow,
    reason: &str,
    expires_at: Option<Timestamp>,
    keep_sessions: bool,
    now: Timestamp,
) -> anyhow::Result<String> {
    // The newest ban counts; the one before stays in the history.
    let replaced = tx.lift_bans(customer.id, now)? > 0;
    tx.insert_ban(customer.id, reason, expires_at, now)?;
    if !keep_sessions {
        tx.end_sessions(customer.id)?;
    }
    Ok(format!(
        "Banned {} {}{}{}.",
        name(customer),
        expires_at.map_or_else(|| "until the ban is lifted".to_owned(), |end| format!("until {end}")),
        if keep_sessions { "; the sessions live on" } else { "; all sessions ended" },
        if replaced { "; this replaces an earlier ban" } else { "" },
    ))
}

fn find(context: &Context, tx: &Tx<'_>, who: &Who) -> anyhow::Result<(OrganisationId, CustomerRow)> {
    let organisation = find_organisation(tx, who.organisation.as_deref())?;
    let now = context.clock.now();
    let found = if who.customer.contains('@') {
        let email = EmailAddress::parse(&who.customer).with_context(|| format!("{:?}", who.customer))?;
        let canonical = email.canonical(context.config.email.canonicalization);
        tx.find_customer_by_email(organisation, &canonical, now)?
    } else {
        let cu_ref_no = CuRefNo::parse(&who.customer).context("say an e-mail address or a cuRefNo")?;
        tx.find_customer_by_cu_ref_no(organisation, &cu_ref_no, now)?
    };
    Ok((organisation, found.with_context(|| format!("there is no customer {}", who.customer))?))
}

/// A customer as a sentence names one.
fn name(customer: &CustomerRow) -> String {
    let account = &customer.account;
    match &account.email {
        Some(email) => format!("{email} ({})", account.cu_ref_no),
        None => account.cu_ref_no.clone(),
    }
}
