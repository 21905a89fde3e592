//! `attempts --summary`

use serde::Serialize;

use crate::cli::Context;
use crate::cli::output::{or_dash, table};
use crate::domain::{EmailAddress, Outcome};
use crate::store::{AttemptFilter, Database, IpTotal, MailboxTotal, OutcomeTotal};

#[derive(Serialize)]
struct Summary {
    attempts: i64,
    outcomes: Vec<ShownOutcome>,
    ips: Vec<ShownIp>,
    mailboxes: Vec<ShownMailbox>,
}

#[derive(Serialize)]
struct ShownOutcome {
    outcome: String,
    message: &'static str,
    attempts: i64,
}

#[derive(Serialize)]
struct ShownIp {
    ip: String,
    attempts: i64,
    refusals: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownMailbox {
    organisation: String,
    email: Option<String>,
    cu_ref_no: Option<String>,
    attempts: i64,
    refusals: i64,
}

pub(super) fn run(
    context: &Context,
    database: &mut Database,
    filter: &AttemptFilter,
    show_emails: bool,
) -> anyhow::Result<()> {
    let summary = database.read(|tx| {
        let outcomes = tx.count_attempts_by_outcome(filter)?;
        let mailboxes = tx.count_attempts_by_mailbox(filter)?;
        anyhow::Ok(Summary {
            attempts: outcomes.iter().map(|total| total.attempts).sum(),
            outcomes: outcomes.into_iter().map(ShownOutcome::from).collect(),
            ips: tx.count_attempts_by_ip(filter)?.into_iter().map(ShownIp::from).collect(),
            mailboxes: mailboxes.into_iter().map(|total| shown_mailbox(total, show_emails)).collect(),
        })
    })?;
    context.output.print(&summary, summary_text)
}

impl From<OutcomeTotal> for ShownOutcome {
    fn from(total: OutcomeTotal) -> Self {
        let message = match total.outcome {
            Outcome::SignedIn => "Signed in.",
            Outcome::Refused(refusal) => refusal.message(),
            Outcome::Denied => "Denied by a rule: E001.",
        };
        Self { outcome: total.outcome.to_string(), message, attempts: total.attempts }
    }
}

impl From<IpTotal> for ShownIp {
    fn from(IpTotal { ip, attempts, refusals }: IpTotal) -> Self {
        Self { ip, attempts, refusals }
    }
}

fn shown_mailbox(total: MailboxTotal, show_emails: bool) -> ShownMailbox {
    let MailboxTotal { organisation, email, cu_ref_no, attempts, refusals } = total;
    let email = if show_emails { email } else { email.as_deref().map(masked) };
    ShownMailbox { organisation, email, cu_ref_no, attempts, refusals }
}

/// Shows nothing at all of what is no address.
fn masked(email: &str) -> String {
    EmailAddress::parse(email).map_or_else(|_| "***".to_owned(), |email| email.masked())
}

fn summary_text(summary: &Summary) -> String {
    if summary.attempts == 0 {
        return "No attempts.".to_owned();
    }
    let outcomes = summary.outcomes.iter().map(|total| {
        let ShownOutcome { outcome, message, attempts } = total;
        [outcome.clone(), attempts.to_string(), (*message).to_owned()]
    });
    let all = ["all".to_owned(), summary.attempts.to_string(), String::new()];
    let ips = summary.ips.iter().map(|total| {
        let ShownIp { ip, attempts, refusals } = total;
        [ip.clone(), attempts.to_string(), refusals.to_string()]
    });
    let mailboxes = summary.mailboxes.iter().map(|total| {
        let ShownMailbox { organisation, email, cu_ref_no, attempts, refusals } = total;
        let (email, cu_ref_no) = (or_dash(email.as_ref()), or_dash(cu_ref_no.as_ref()));
        [email, cu_ref_no, organisation.clone(), attempts.to_string(), refusals.to_string()]
    });
    [
        table(["outcome", "attempts", "meaning"], outcomes.chain([all]), ""),
        table(["ip", "attempts", "refused"], ips, "No attempts with an IP address."),
        table(["mailbox", "cuRefNo", "organisation", "attempts", "refused"], mailboxes, "No attempts for a mailbox."),
    ]
    .join("\n\n")
}
