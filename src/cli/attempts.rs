//! `attempts`

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use super::output::{or_dash, table};
use super::{Context, find_organisation};
use crate::config::Period;
use crate::domain::{ClientIp, EmailAddress, Outcome};
use crate::store::{AttemptFilter, AttemptRow};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Only of this organisation
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
    /// Only for this mailbox, in any spelling
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// Only from this address
    #[arg(long, value_parser = ClientIp::parse)]
    ip: Option<ClientIp>,
    /// Only with this outcome: OK or E001 to E007
    #[arg(long, value_parser = |text: &str| text.to_uppercase().parse::<Outcome>())]
    outcome: Option<Outcome>,
    /// Only of the last so long, such as 1h
    #[arg(long, value_name = "PERIOD")]
    since: Option<Period>,
    /// At most so many, the newest
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    limit: usize,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<()> {
    let since = arguments.since.map(|period| context.clock.now() - period.get());
    let rules = context.config.email.canonicalization;
    let address = match &arguments.email {
        Some(text) => Some(EmailAddress::parse(text).with_context(|| format!("{text:?}"))?.canonical(rules)),
        None => None,
    };
    let rows = context.open_database()?.read(|tx| {
        let organisation = match &arguments.organisation {
            Some(name) => Some(find_organisation(tx, Some(name))?),
            None => None,
        };
        let organisations = tx.list_organisations()?;
        let mailboxes = address.map(|address| organisations.iter().map(|row| address.mailbox(row.id)).collect());
        let filter = AttemptFilter {
            organisation,
            mailboxes,
            ip: arguments.ip,
            outcome: arguments.outcome,
            since,
            limit: arguments.limit,
        };
        anyhow::Ok(tx.list_attempts(&filter)?)
    })?;
    let attempts: Vec<_> = rows.into_iter().map(ShownAttempt::from).collect();
    context.output.print(&attempts, |attempts| attempts_table(attempts))
}

/// An attempt as it is printed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownAttempt {
    at: String,
    organisation: String,
    key: String,
    email: Option<String>,
    cu_ref_no: Option<String>,
    ip: Option<String>,
    outcome: String,
    count: u32,
}

impl From<AttemptRow> for ShownAttempt {
    fn from(row: AttemptRow) -> Self {
        Self {
            at: row.at.to_string(),
            organisation: row.organisation,
            key: row.key,
            email: row.email,
            cu_ref_no: row.cu_ref_no,
            ip: row.ip,
            outcome: row.outcome,
            count: row.count,
        }
    }
}

/// The attempts as a table, in the order they are given.
pub(super) fn attempts_table(attempts: &[ShownAttempt]) -> String {
    let rows = attempts.iter().map(|attempt| {
        [
            attempt.at.clone(),
            attempt.organisation.clone(),
            attempt.key.clone(),
            attempt.outcome.clone(),
            attempt.count.to_string(),
            or_dash(attempt.email.as_ref()),
            or_dash(attempt.cu_ref_no.as_ref()),
            or_dash(attempt.ip.as_ref()),
        ]
    });
    let head = ["attempt at", "organisation", "key", "outcome", "count", "email", "cuRefNo", "ip"];
    table(head, rows, "No attempts.")
}
