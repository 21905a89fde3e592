//! `customer why`: the rules of a sign-in, asked one by one.
//!
//! They are the sign-in's own: the limits are the throttle's, and what concerns the customer is
//! [`crate::sign_in::rules`]. Here is only how they are told.

use std::time::Duration;

use clap::Args;
use humantime::format_duration;
use serde::Serialize;

use crate::cli::Context;
use crate::cli::organisation::OrganisationArg;
use crate::cli::output::table;
use crate::config::{Guest, NewCustomerEmail, SignInConfig, UnknownEmail};
use crate::domain::{ClientIp, EmailAddress, EmailError, Outcome, Refusal};
use crate::geoip::GeoIp;
use crate::http::retry_after_seconds;
use crate::sign_in::deny::deny_reason;
use crate::sign_in::rules;
use crate::store::{BanRow, Customer, CustomerRow, Tx};
use crate::throttle::{Allowance, Limit, Throttle};

#[derive(Args)]
#[command(after_help = "\
This does not count as an attempt and changes nothing. Attempts of the last second may be missing from what it says \
about the throttle. The key and its quota are not considered: with a ROOT key, nothing is throttled; with a DEV_ key, \
sandbox addresses (such as ok@magic.test) give the answer that they are named after.")]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    organisation: OrganisationArg,
    /// The customer's address, as in `customerRealIp` [default: none]
    #[arg(long, value_parser = ClientIp::parse)]
    ip: Option<ClientIp>,
    /// The e-mail address, as it would be sent
    #[arg(value_name = "EMAIL", allow_hyphen_values = true, value_parser = super::no_option)]
    email: String,
}

/// What a sign-in would answer, and what each rule says.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    outcome: &'static str,
    message: Option<&'static str>,
    retry_after: Option<u64>,
    creates_customer: bool,
    registers_guest: bool,
    rules: Vec<Rule>,
}

/// A rule and what it says.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    name: &'static str,
    code: &'static str,
    #[serde(skip)]
    refusal: Refusal,
    /// `None`: it could not be asked.
    refuses: Option<bool>,
    retry_after: Option<u64>,
    detail: String,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<()> {
    let told = context.open_database()?.read(|tx| tell(context, arguments, tx))?;
    context.output.print(&told, told_text)
}

/// Asks all the rules in the contract's order, on one state of the database.
fn tell(context: &Context, arguments: &Arguments, tx: &Tx<'_>) -> anyhow::Result<Told> {
    let organisation = arguments.organisation.find(tx)?;
    let (policy, now) = (&context.config.sign_in, context.clock.now());
    let email = match EmailAddress::parse(&arguments.email) {
        Ok(email) => email,
        Err(error) => return Ok(Told::of(rules_without_address(policy, error), None)),
    };
    let canonical = email.canonical(context.config.email.canonicalization);
    let found = tx.find_customer(organisation, &canonical, now)?;
    let customer = tx.find_customer_by_email(organisation, &canonical, now)?;
    let throttle = Throttle::rebuild(&context.config.throttle, &context.clock, tx)?;

    let mut rules = vec![Rule::new(Refusal::InvalidEmail, Some(false), email.as_str().to_owned())];
    let allowances = throttle.into_allowances(organisation, canonical.mailbox(organisation), arguments.ip);
    rules.extend(allowances.map(|(limit, allowance)| throttle_rule(limit, allowance, arguments.ip)));
    rules.push(deny_rule(context, arguments.ip)?);
    rules.extend(rules::rules(policy, found.as_ref()).map(|(refusal, stands)| {
        let detail = customer.as_ref().map_or_else(
            || detail_of_nobody(policy, refusal).to_owned(),
            |customer| detail_of_customer(policy, refusal, customer),
        );
        Rule::new(refusal, Some(stands), detail)
    }));
    Ok(Told::of(rules, found.as_ref()))
}

/// Without a valid address, nothing else can be asked.
fn rules_without_address(policy: &SignInConfig, error: EmailError) -> Vec<Rule> {
    let not_asked = |refusal| Rule::new(refusal, None, "needs a valid address".to_owned());
    let limits = [Limit::Network, Limit::Mailbox]
        .map(|limit| Rule { name: limit_name(limit), ..not_asked(Refusal::TooManyAttempts) });
    let address = Rule::new(Refusal::InvalidEmail, Some(true), error.to_string());
    let deny = Rule { name: "deny", ..not_asked(Refusal::LoginFailed) };
    let others = rules::rules(policy, None).map(|(refusal, _)| not_asked(refusal));
    [address].into_iter().chain(limits).chain([deny]).chain(others).collect()
}

/// `[sign_in.deny]`
fn deny_rule(context: &Context, ip: Option<ClientIp>) -> anyhow::Result<Rule> {
    let rules = &context.config.sign_in.deny;
    let reason = match ip {
        Some(ip) => deny_reason(rules, &GeoIp::load(&context.config.geoip)?, ip.get()),
        None => None,
    };
    let detail = match (ip, reason) {
        (None, _) => "without --ip: not denied".to_owned(),
        (Some(ip), None) => format!("no rule of sign_in.deny is about {ip}"),
        (Some(ip), Some(reason)) => format!("{ip} is denied: {reason}"),
    };
    Ok(Rule { name: "deny", ..Rule::new(Refusal::LoginFailed, Some(reason.is_some()), detail) })
}

fn throttle_rule(limit: Limit, allowance: Option<Allowance>, ip: Option<ClientIp>) -> Rule {
    let detail = match (limit, allowance, ip) {
        (_, Some(Allowance { burst, left: Ok(left) }), _) => format!("{left} of {burst} attempts left"),
        (_, Some(Allowance { burst, left: Err(wait) }), _) => {
            let wait = Duration::from_secs(retry_after_seconds(wait));
            format!("none of {burst} attempts left, the next in {}", format_duration(wait))
        }
        (Limit::Network, None, None) => "without --ip: not throttled".to_owned(),
        (Limit::Network, None, Some(ip)) => format!("{ip} is not throttled"),
        (Limit::Mailbox, None, _) => "no limit".to_owned(),
    };
    let wait = allowance.and_then(|allowance| allowance.left.err());
    Rule {
        name: limit_name(limit),
        retry_after: wait.map(retry_after_seconds),
        ..Rule::new(Refusal::TooManyAttempts, Some(wait.is_some()), detail)
    }
}

fn limit_name(limit: Limit) -> &'static str {
    match limit {
        Limit::Network => "network",
        Limit::Mailbox => "mailbox",
    }
}

/// What a rule about customers says of an address that nobody has.
fn detail_of_nobody(policy: &SignInConfig, refusal: Refusal) -> &'static str {
    match (refusal, policy.unknown_email, policy.new_customer_email) {
        (Refusal::UnknownEmail, UnknownEmail::Create, _) => {
            "nobody has this address, sign_in.unknown_email = \"create\""
        }
        (Refusal::UnknownEmail, UnknownEmail::Refuse, _) => {
            "nobody has this address, sign_in.unknown_email = \"refuse\""
        }
        (Refusal::NotAuthorized, _, NewCustomerEmail::Authorized) => "sign_in.new_customer_email = \"authorized\"",
        (Refusal::NotAuthorized, _, NewCustomerEmail::Unauthorized) => "sign_in.new_customer_email = \"unauthorized\"",
        _ => "nobody has this address",
    }
}

fn detail_of_customer(policy: &SignInConfig, refusal: Refusal, customer: &CustomerRow) -> String {
    match refusal {
        Refusal::Banned => customer.ban.as_ref().map_or_else(|| "no ban".to_owned(), ban_text),
        Refusal::NotRegistered => match (customer.registered_at, policy.guest) {
            (Some(at), _) => format!("registered since {at}"),
            (None, Guest::Promote) => "a guest, sign_in.guest = \"promote\"".to_owned(),
            (None, Guest::Refuse) => "a guest, sign_in.guest = \"refuse\"".to_owned(),
        },
        Refusal::NotAuthorized => match customer.email_authorized_at {
            Some(at) => format!("authorized since {at}"),
            None => "not authorized".to_owned(),
        },
        _ => format!("customer {}", customer.account.cu_ref_no),
    }
}

fn ban_text(ban: &BanRow) -> String {
    let end = ban.expires_at.map_or_else(|| "it is lifted".to_owned(), |end| end.to_string());
    format!("banned until {end}: {}", ban.reason)
}

impl Rule {
    fn new(refusal: Refusal, refuses: Option<bool>, detail: String) -> Self {
        let name = match refusal {
            Refusal::LoginFailed => "service",
            Refusal::InvalidEmail => "address",
            Refusal::TooManyAttempts => "throttle",
            Refusal::Banned => "ban",
            Refusal::UnknownEmail => "customer",
            Refusal::NotRegistered => "registration",
            Refusal::NotAuthorized => "authorization",
        };
        Self { name, code: refusal.code(), refusal, refuses, retry_after: None, detail }
    }

    fn is_broken(&self) -> bool {
        self.refuses == Some(true)
    }
}

impl Told {
    /// What follows from the rules: the first that refuses is the answer. `found` is whose the address is.
    fn of(rules: Vec<Rule>, found: Option<&Customer>) -> Self {
        let first = rules.iter().find(|rule| rule.is_broken());
        let refusal = first.map(|rule| rule.refusal);
        Self {
            outcome: refusal.map_or(Outcome::SignedIn, Outcome::Refused).as_str(),
            message: refusal.map(Refusal::message),
            retry_after: first.and_then(|rule| rule.retry_after),
            creates_customer: found.is_none() && refusal.is_none_or(rules::makes_customer_despite),
            registers_guest: refusal.is_none() && found.is_some_and(|customer| !customer.is_registered),
            rules,
        }
    }
}

fn told_text(told: &Told) -> String {
    let decisive = told.rules.iter().position(Rule::is_broken);
    let rows = told.rules.iter().enumerate().map(|(place, rule)| {
        let verdict = match rule.refuses {
            None => "not asked",
            Some(false) => "passes",
            Some(true) if decisive == Some(place) => "refuses",
            Some(true) => "would refuse",
        };
        [rule.name, rule.code, verdict, &rule.detail].map(str::to_owned)
    });
    let rules = table(["rule", "code", "verdict", "detail"], rows, "");
    let message = told.message.unwrap_or("Signed in.");
    let wait = told.retry_after.map_or_else(String::new, |seconds| format!(" Retry-After: {seconds}."));
    let created = if told.creates_customer { " A customer would be created." } else { "" };
    let registered = if told.registers_guest { " The guest would be registered." } else { "" };
    format!("{rules}\n\nAnswer: {} {message}{wait}{created}{registered}", told.outcome)
}
