//! `customer show`

use serde::Serialize;

use super::list::ListedCustomer;
use super::{Who, find, mailboxes, own_forms};
use crate::cli::Context;
use crate::cli::attempts::{ShownAttempt, attempts_table};
use crate::cli::output::{or_dash, table};
use crate::config::SessionConfig;
use crate::domain::Timestamp;
use crate::store::{AttemptFilter, BanRow, Person, Session};

/// So many of the newest sessions and attempts are listed.
const SHOWN: usize = 10;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownCustomer {
    #[serde(flatten)]
    customer: ListedCustomer,
    bans: Vec<ShownBan>,
    sessions: Vec<ShownSession>,
    attempts: Vec<ShownAttempt>,
    /// How many customers this one brought.
    referred: usize,
    /// The newest of them.
    referred_customers: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownBan {
    active: bool,
    reason: String,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    lifted_at: Option<Timestamp>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownSession {
    alive: bool,
    ip: Option<String>,
    created_at: Timestamp,
    expires_at: Timestamp,
    last_seen_at: Timestamp,
}

pub(super) fn run(context: &Context, who: &Who) -> anyhow::Result<()> {
    let now = context.clock.now();
    let shown = context.open_database()?.read(|tx| {
        let customer = find(context, tx, who)?;
        let person = Person {
            customers: vec![customer.id],
            // For what the throttle refused, nobody was looked up: it has only the mailbox.
            mailboxes: mailboxes(&own_forms(tx, &customer, now)?, customer.organisation),
        };
        let filter = AttemptFilter {
            organisation: Some(customer.organisation),
            person: Some(person),
            limit: SHOWN,
            ..AttemptFilter::default()
        };
        let (referred, referred_customers) = tx.list_referred(customer.id, SHOWN)?;
        let session = |session: Session| shown_session(session, context.config.session, now);
        anyhow::Ok(ShownCustomer {
            bans: tx.list_bans(customer.id)?.into_iter().map(|ban| shown_ban(ban, now)).collect(),
            sessions: tx.list_sessions(customer.id, SHOWN)?.into_iter().map(session).collect(),
            attempts: tx.list_attempts(&filter)?.into_iter().map(ShownAttempt::from).collect(),
            referred,
            referred_customers,
            customer: customer.into(),
        })
    })?;
    context.output.print(&shown, customer_text)
}

fn shown_ban(ban: BanRow, now: Timestamp) -> ShownBan {
    ShownBan {
        active: ban.is_active(now),
        reason: ban.reason,
        created_at: ban.created_at,
        expires_at: ban.expires_at,
        lifted_at: ban.lifted_at,
    }
}

fn shown_session(session: Session, rules: SessionConfig, now: Timestamp) -> ShownSession {
    ShownSession {
        alive: session.is_alive(rules, now),
        expires_at: session.ends_at(rules),
        ip: session.ip,
        created_at: session.created_at,
        last_seen_at: session.last_seen_at,
    }
}

fn customer_text(shown: &ShownCustomer) -> String {
    let customer = &shown.customer;
    let referred = match shown.referred {
        0 => None,
        count if count == shown.referred_customers.len() => Some(shown.referred_customers.join(", ")),
        count => Some(format!("{count} customers, the newest: {}", shown.referred_customers.join(", "))),
    };
    let moment = |at: Option<Timestamp>| at.map(|at| at.to_string());
    let or_no = |at: Option<Timestamp>, is_no: bool, no: &str| moment(at).or_else(|| is_no.then(|| no.to_owned()));
    let facts = [
        ("cuRefNo", Some(customer.cu_ref_no.clone())),
        ("email", customer.email.clone()),
        ("phone", customer.phone.clone()),
        ("first name", customer.first_name.clone()),
        ("last name", customer.last_name.clone()),
        ("company", customer.company_name.clone()),
        ("created", moment(Some(customer.created_at))),
        ("registered", or_no(customer.registered_at, customer.erased_at.is_none(), "no: a guest")),
        ("authorized", or_no(customer.email_authorized_at, customer.email.is_some(), "no")),
        ("erased", moment(customer.erased_at)),
        ("referred by", customer.referral_id.clone()),
        ("referred", referred),
        ("banned", Some(if customer.banned { "yes" } else { "no" }.to_owned())),
    ];
    let facts = facts.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?]));
    let bans = shown.bans.iter().map(|ban| {
        let state = if ban.active { "active" } else { "over" }.to_owned();
        let dates = [Some(ban.created_at), ban.expires_at, ban.lifted_at];
        let [created, expires, lifted] = dates.map(or_dash);
        [state, created, expires, lifted, ban.reason.clone()]
    });
    let sessions = shown.sessions.iter().map(|session| {
        let state = if session.alive { "alive" } else { "over" }.to_owned();
        let dates = [session.created_at, session.last_seen_at, session.expires_at];
        let [created, seen, expires] = dates.map(|at| at.to_string());
        [state, created, seen, expires, or_dash(session.ip.as_ref())]
    });
    [
        table(["customer", ""], facts, ""),
        table(["ban", "since", "until", "lifted", "reason"], bans, "No bans."),
        table(["session", "since", "last seen", "until", "ip"], sessions, "No sessions."),
        attempts_table(&shown.attempts),
    ]
    .join("\n\n")
}
