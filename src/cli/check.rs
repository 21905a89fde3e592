//! `check`

use anyhow::bail;
use serde::Serialize;

use super::Context;
use super::output::table;
use crate::store::{Database, OpenError};

/// What was looked at and how it is.
#[derive(Serialize)]
struct Finding {
    subject: &'static str,
    ok: bool,
    message: String,
}

pub(super) fn run(context: &Context) -> anyhow::Result<()> {
    let mut findings = vec![check_organisations(context)];
    findings.extend(check_database(context));
    context.output.print(&findings, |findings| {
        let row = |finding: &Finding| {
            [finding.subject.to_owned(), if finding.ok { "ok" } else { "WRONG" }.to_owned(), finding.message.clone()]
        };
        table(["checked", "", "result"], findings.iter().map(row), "")
    })?;
    match findings.iter().filter(|finding| !finding.ok).count() {
        0 => Ok(()),
        count => bail!("{count} of {} checks found something wrong", findings.len()),
    }
}

/// That the file could be read at all is what [`super::Cli`] has seen to before any command.
fn check_organisations(context: &Context) -> Finding {
    let organisations = &context.config.organisations;
    let keys: usize = organisations.iter().map(|organisation| organisation.api_keys.len()).sum();
    let message = match organisations.len() {
        0 => "no [[organisation]]: every request will be a 401".to_owned(),
        count => format!("organisations: {count}, keys in the file: {keys}"),
    };
    Finding { subject: "configuration", ok: !organisations.is_empty(), message }
}

fn check_database(context: &Context) -> Vec<Finding> {
    let path = &context.config.database.path;
    let finding = |ok, message| vec![Finding { subject: "database", ok, message }];
    match Database::open_existing(path) {
        Err(OpenError::Missing { .. }) => match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
                finding(false, format!("{}: there is no such folder", folder.display()))
            }
            _ => finding(true, format!("{} is not there yet: the server makes it", path.display())),
        },
        Err(OpenError::Older { found, known, .. }) => {
            finding(true, format!("{} has version {found}: the server upgrades it to {known}", path.display()))
        }
        Err(error) => finding(false, error.to_string()),
        Ok(database) => match database.find_damage() {
            Err(error) => finding(false, error.to_string()),
            Ok(damage) if damage.is_empty() => finding(true, format!("{} is intact", path.display())),
            Ok(damage) => {
                damage.into_iter().map(|message| Finding { subject: "database", ok: false, message }).collect()
            }
        },
    }
}
