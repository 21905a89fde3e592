//! `customer …`: how one is named, and the commands that change one.

mod duplicates;
mod erase;
mod export;
mod import;
mod list;
mod set_email;
mod show;
mod why;

use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};

use super::Context;
use super::organisation::OrganisationArg;
use crate::config::Period;
use crate::domain::{
    BanReason, CanonicalEmail, Canonicalization, CuRefNo, EmailAddress, Mailbox, OrganisationId, PhoneNumber, Timestamp,
};
use crate::store::{CustomerFilter, CustomerOrder, CustomerRow, Database, NewBan, Residue, ServerLock, StoreError, Tx};

#[derive(Subcommand)]
pub(super) enum Command {
    /// List customers, the newest first
    List(list::Arguments),
    /// Show a customer with all bans, and the newest sessions, attempts and referred customers
    Show(Who),
    /// Ban a customer (E005) and end all sessions
    Ban {
        #[command(flatten)]
        who: Who,
        /// Why; kept with the ban and shown to operators only
        #[arg(long, value_name = "TEXT", value_parser = BanReason::parse)]
        reason: BanReason,
        /// For how long, such as 7d [default: until it is lifted]
        #[arg(long = "for", value_name = "PERIOD")]
        period: Option<Period>,
        /// Keep the sessions; they show `"ban":true`
        #[arg(long)]
        keep_sessions: bool,
    },
    /// Lift a customer's ban
    Unban(Who),
    /// Mark a customer's e-mail address as authorized
    Authorize(Who),
    /// Mark a customer's e-mail address as not authorized (E007); the sessions live on
    Deauthorize(Who),
    /// Make a guest a registered customer (E003)
    Register(Who),
    /// End all sessions of a customer
    SignOut(Who),
    /// Tell what a sign-in would answer now, and why, rule by rule
    Why(why::Arguments),
    /// List customers whose addresses would be one mailbox under another canonicalization
    Duplicates(duplicates::Arguments),
    /// Give a customer another e-mail address, or a first one; sessions and attempts stay
    SetEmail {
        #[command(flatten)]
        who: Who,
        /// The new address
        #[arg(value_name = "ADDRESS", value_parser = EmailAddress::parse, allow_hyphen_values = true)]
        address: EmailAddress,
    },
    /// Forget a person for good: only the cuRefNo stays
    Erase(erase::Arguments),
    /// Import customers from a file; running it again brings in what is missing
    Import(import::Arguments),
    /// Export all customers into a file that can be imported again
    Export(export::Arguments),
}

#[derive(Args)]
pub(super) struct Who {
    #[command(flatten)]
    organisation: OrganisationArg,
    /// The customer's e-mail address, in any spelling, telephone number such as +420777123456, or cuRefNo
    #[arg(value_name = "EMAIL|PHONE|CUREFNO", allow_hyphen_values = true, value_parser = no_option)]
    customer: String,
}

/// Addresses may begin with a dash; anything else that does is a misspelt option.
fn no_option(text: &str) -> Result<String, &'static str> {
    if text.starts_with('-') && !text.contains('@') {
        return Err("neither an option nor an e-mail address");
    }
    Ok(text.to_owned())
}

pub(super) fn run(context: &Context, command: Command) -> anyhow::Result<()> {
    let now = context.clock.now();
    match command {
        Command::List(arguments) => list::run(context, &arguments),
        Command::Show(who) => show::run(context, &who),
        Command::Erase(arguments) => erase::run(context, &arguments),
        Command::Import(arguments) => import::run(context, &arguments),
        Command::Export(arguments) => export::run(context, &arguments),
        Command::Ban { who, reason, period, keep_sessions } => {
            let new = NewBan { reason, expires_at: period.map(|period| now + period.get()) };
            change(context, &who, |tx, customer| ban(tx, customer, &new, keep_sessions, now))
        }
        Command::Unban(who) => change(context, &who, |tx, customer| match tx.lift_bans(customer.id, now)? {
            0 => bail!("{} is not banned", name(customer)),
            _ => Ok(format!("Lifted the ban of {}.", name(customer))),
        }),
        Command::Authorize(who) => change(context, &who, |tx, customer| {
            refuse_without_email(customer)?;
            if customer.email_authorized_at.is_none() {
                tx.set_email_authorized(customer.id, Some(now))?;
            }
            Ok(format!("The address of {} is authorized.", name(customer)))
        }),
        Command::Deauthorize(who) => change(context, &who, |tx, customer| {
            refuse_without_email(customer)?;
            tx.set_email_authorized(customer.id, None)?;
            Ok(format!("The address of {} is no longer authorized; the sessions live on.", name(customer)))
        }),
        Command::Register(who) => change(context, &who, |tx, customer| {
            tx.complete_customer(customer.id, None, None, now)?;
            Ok(match customer.registered_at {
                None => format!("{} is registered.", name(customer)),
                Some(at) => format!("{} was registered already, since {at}.", name(customer)),
            })
        }),
        Command::SignOut(who) => change(context, &who, |tx, customer| {
            tx.end_sessions(customer.id)?;
            Ok(format!("Ended all sessions of {}.", name(customer)))
        }),
        Command::Why(arguments) => why::run(context, &arguments),
        Command::Duplicates(arguments) => duplicates::run(context, &arguments),
        Command::SetEmail { who, address } => set_email::run(context, &who, &address),
    }
}

/// Finds the customer and does `work` in one transaction; prints what it says.
fn change(
    context: &Context,
    who: &Who,
    work: impl FnOnce(&Tx<'_>, &CustomerRow) -> anyhow::Result<String>,
) -> anyhow::Result<()> {
    let done = context.open_database()?.write(|tx| {
        let customer = find(context, tx, who)?;
        if customer.erased_at.is_some() {
            bail!("{} was erased", name(&customer));
        }
        work(tx, &customer)
    })?;
    context.output.done(done)
}

fn refuse_without_email(customer: &CustomerRow) -> anyhow::Result<()> {
    if customer.account.email.is_none() {
        bail!("{} has no e-mail address: see magic-auth customer set-email", name(customer));
    }
    Ok(())
}

fn ban(
    tx: &Tx<'_>,
    customer: &CustomerRow,
    new: &NewBan,
    keep_sessions: bool,
    now: Timestamp,
) -> anyhow::Result<String> {
    // The newest ban counts; the one before stays in the history.
    tx.lift_bans(customer.id, now)?;
    tx.insert_ban(customer.id, new, now)?;
    if !keep_sessions {
        tx.end_sessions(customer.id)?;
    }
    let replaced =
        customer.ban.as_ref().map(|ban| format!("; this replaces an earlier ban ({})", until(ban.expires_at)));
    Ok(format!(
        "Banned {} {}{}{}.",
        name(customer),
        until(new.expires_at),
        if keep_sessions { "; the sessions live on" } else { "; all sessions ended" },
        replaced.unwrap_or_default(),
    ))
}

/// For how long somebody is banned.
fn until(expires_at: Option<Timestamp>) -> String {
    expires_at.map_or_else(|| "until the ban is lifted".to_owned(), |end| format!("until {end}"))
}

/// The forms that the customer's address may have been recorded in, by the rules of its time; but for one that is another
/// customer's.
fn own_forms(tx: &Tx<'_>, customer: &CustomerRow, now: Timestamp) -> Result<Vec<CanonicalEmail>, StoreError> {
    let email = customer.account.email.as_deref().and_then(|email| EmailAddress::parse(email).ok());
    let Some(email) = email else { return Ok(Vec::new()) };
    let mut own = Vec::new();
    for form in [Canonicalization::Provider, Canonicalization::None].map(|rules| email.canonical(rules)) {
        let owner = tx.find_customer_by_email(customer.organisation, &form, now)?;
        if owner.is_none_or(|owner| owner.id == customer.id) {
            own.push(form);
        }
    }
    Ok(own)
}

fn mailboxes(forms: &[CanonicalEmail], organisation: OrganisationId) -> Vec<Mailbox> {
    forms.iter().map(|form| form.mailbox(organisation)).collect()
}

fn find(context: &Context, tx: &Tx<'_>, who: &Who) -> anyhow::Result<CustomerRow> {
    let organisation = who.organisation.find(tx)?;
    let now = context.clock.now();
    let found = if who.customer.contains('@') {
        let email = EmailAddress::parse(&who.customer).with_context(|| format!("{:?}", who.customer))?;
        let canonical = email.canonical(context.config.email.canonicalization);
        tx.find_customer_by_email(organisation, &canonical, now)?
    } else if who.customer.starts_with('+') {
        let phone = PhoneNumber::parse(&who.customer, None).with_context(|| format!("{:?}", who.customer))?;
        tx.find_customer_by_phone(organisation, &phone, now)?
    } else {
        let cu_ref_no = CuRefNo::parse(&who.customer)
            .context("name the customer by e-mail address, by telephone number such as +420777123456, or by cuRefNo")?;
        tx.find_customer_by_cu_ref_no(organisation, &cu_ref_no, now)?
    };
    found.with_context(|| format!("there is no customer {}", who.customer))
}

/// Empties the WAL, so that what was overwritten stands nowhere any more, and rewrites the file if the residue is in it;
/// without one that could be looked for, in any case.
fn remove_residue(context: &Context, residue: Option<&Residue>) -> anyhow::Result<()> {
    // Closed before the file is looked into: closing a file ends all locks that the program has on it.
    context.open_database()?.empty_wal()?;
    if residue.map_or(Ok(true), |residue| residue.is_in(&context.config.database.path))? {
        let database = context.open_database()?;
        database.rewrite()?;
        database.empty_wal()?;
    }
    Ok(())
}

/// Waits until a running server has written what it has still in its memory. Says whether there is one.
fn wait_for_server(context: &Context) -> bool {
    let is_running = ServerLock::take(&context.config.database.path).is_err();
    if is_running {
        std::thread::sleep(Duration::from_secs(3));
    }
    is_running
}

/// So many customers are read at once, in a transaction of their own: one over all of them would keep the WAL from being
/// reset.
const PAGE: usize = 1_000;

/// Goes through all customers, the oldest first, in pages.
fn for_each_page(
    context: &Context,
    database: &mut Database,
    organisation: OrganisationId,
    mut work: impl FnMut(&[CustomerRow]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut filter =
        CustomerFilter { order: CustomerOrder::OldestFirst, limit: PAGE, ..CustomerFilter::of(organisation) };
    loop {
        let page = database.read(|tx| tx.list_customers(&filter, |_| true, context.clock.now()))?;
        let Some(last) = page.last() else { return Ok(()) };
        filter.after = Some(last.id);
        work(&page)?;
    }
}

/// A customer as a sentence names one.
fn name(customer: &CustomerRow) -> String {
    let account = &customer.account;
    match account.email.as_ref().or(account.phone.as_ref()) {
        Some(contact) => format!("{contact} ({})", account.cu_ref_no),
        None => account.cu_ref_no.clone(),
    }
}
