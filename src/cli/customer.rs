//! `customer show|ban|unban|authorize|deauthorize|sign-out`

use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::attempts::{ShownAttempt, attempts_table};
use super::output::{or_dash, table};
use super::{Context, find_organisation};
use crate::config::Period;
use crate::domain::{CuRefNo, EmailAddress, OrganisationId, Timestamp};
use crate::session::is_alive;
use crate::store::{AttemptFilter, BanRow, CustomerRow, Session, Tx};

/// Of each customer, `show` lists so many of the newest sessions and attempts.
const SHOWN: usize = 10;

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
        Command::Show(who) => show(context, &who),
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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownCustomer {
    cu_ref_no: String,
    email: Option<String>,
    phone: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    company_name: Option<String>,
    created_at: String,
    registered_at: Option<String>,
    email_authorized_at: Option<String>,
    referral_id: Option<String>,
    banned: bool,
    bans: Vec<ShownBan>,
    sessions: Vec<ShownSession>,
    attempts: Vec<ShownAttempt>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownBan {
    active: bool,
    reason: String,
    created_at: String,
    expires_at: Option<String>,
    lifted_at: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownSession {
    alive: bool,
    ip: Option<String>,
    created_at: String,
    expires_at: String,
    last_seen_at: String,
}

fn show(context: &Context, who: &Who) -> anyhow::Result<()> {
    let now = context.clock.now();
    let idle_timeout = context.config.session.idle_timeout.map(Period::get);
    let rules = context.config.email.canonicalization;
    let shown = context.open_database()?.read(|tx| {
        let (organisation, customer) = find(context, tx, who)?;
        // By mailbox, for what the throttle refused was not looked up any further.
        let email = customer.account.email.as_ref().and_then(|email| EmailAddress::parse(email).ok());
        let mailbox = email.map(|email| email.canonical(rules).mailbox(organisation));
        let filter = AttemptFilter {
            organisation: Some(organisation),
            mailboxes: Some(mailbox.into_iter().collect()),
            limit: SHOWN,
            ..AttemptFilter::default()
        };
        let session = |session: Session| shown_session(session, idle_timeout, now);
        anyhow::Ok(ShownCustomer {
            bans: tx.list_bans(customer.id)?.into_iter().map(|ban| shown_ban(ban, now)).collect(),
            sessions: tx.list_sessions(customer.id, SHOWN)?.into_iter().map(session).collect(),
            attempts: tx.list_attempts(&filter)?.into_iter().map(ShownAttempt::from).collect(),
            cu_ref_no: customer.account.cu_ref_no,
            email: customer.account.email,
            phone: customer.account.phone,
            first_name: customer.account.first_name,
            last_name: customer.account.last_name,
            company_name: customer.account.company_name,
            created_at: customer.created_at.to_string(),
            registered_at: customer.registered_at.map(|at| at.to_string()),
            email_authorized_at: customer.email_authorized_at.map(|at| at.to_string()),
            referral_id: customer.referred_by,
            banned: customer.account.is_banned,
        })
    })?;
    context.output.print(&shown, customer_text)
}

fn shown_ban(ban: BanRow, now: Timestamp) -> ShownBan {
    ShownBan {
        active: ban.is_active(now),
        reason: ban.reason,
        created_at: ban.created_at.to_string(),
        expires_at: ban.expires_at.map(|at| at.to_string()),
        lifted_at: ban.lifted_at.map(|at| at.to_string()),
    }
}

fn shown_session(session: Session, idle_timeout: Option<Duration>, now: Timestamp) -> ShownSession {
    ShownSession {
        alive: is_alive(&session, idle_timeout, now),
        ip: session.ip,
        created_at: session.created_at.to_string(),
        expires_at: session.expires_at.to_string(),
        last_seen_at: session.last_seen_at.to_string(),
    }
}

fn customer_text(customer: &ShownCustomer) -> String {
    let facts = [
        ("cuRefNo", Some(customer.cu_ref_no.clone())),
        ("email", customer.email.clone()),
        ("phone", customer.phone.clone()),
        ("first name", customer.first_name.clone()),
        ("last name", customer.last_name.clone()),
        ("company", customer.company_name.clone()),
        ("created", Some(customer.created_at.clone())),
        ("registered", Some(customer.registered_at.clone().unwrap_or_else(|| "no: a guest".to_owned()))),
        ("authorized", Some(customer.email_authorized_at.clone().unwrap_or_else(|| "no".to_owned()))),
        ("referred by", customer.referral_id.clone()),
        ("banned", Some(if customer.banned { "yes" } else { "no" }.to_owned())),
    ];
    let facts = facts.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?]));
    let bans = customer.bans.iter().map(|ban| {
        let state = if ban.active { "active" } else { "over" }.to_owned();
        let dates = [Some(&ban.created_at), ban.expires_at.as_ref(), ban.lifted_at.as_ref()];
        let [created, expires, lifted] = dates.map(or_dash);
        [state, created, expires, lifted, ban.reason.clone()]
    });
    let sessions = customer.sessions.iter().map(|session| {
        let state = if session.alive { "alive" } else { "over" }.to_owned();
        let dates = [&session.created_at, &session.last_seen_at, &session.expires_at];
        let [created, seen, expires] = dates.map(Clone::clone);
        [state, created, seen, expires, or_dash(session.ip.as_ref())]
    });
    [
        table(["customer", ""], facts, ""),
        table(["ban", "since", "until", "lifted", "reason"], bans, "No bans."),
        table(["session", "since", "last seen", "until", "ip"], sessions, "No sessions."),
        attempts_table(&customer.attempts),
    ]
    .join("\n\n")
}
