//! `check`: what is wrong, or may soon be, before anybody notices.

mod configuration;
mod database;
mod geoip;
mod machine;

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::bail;
use serde::Serialize;

use super::Context;
use super::output::table;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// As it should be.
    Ok,
    /// The server works, and the operator should know.
    Warning,
    /// The server does not work, or not as it should.
    Wrong,
}

impl State {
    /// [`State::Warning`] unless all is well.
    fn warning_unless(is_well: bool) -> Self {
        if is_well { Self::Ok } else { Self::Warning }
    }

    /// What a person should not overlook is in capitals.
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "WARNING",
            Self::Wrong => "WRONG",
        }
    }
}

/// What was looked at and how it is.
#[derive(Debug, Serialize)]
struct Finding {
    subject: &'static str,
    state: State,
    message: String,
}

impl Finding {
    fn new(subject: &'static str, state: State, message: impl Into<String>) -> Self {
        Self { subject, state, message: message.into() }
    }
}

pub(super) fn run(context: &Context) -> anyhow::Result<()> {
    let (database, facts) = database::check(context);
    let mut findings = configuration::check(&context.config, facts.as_ref());
    findings.extend(database);
    findings.extend(geoip::check(&context.config, &context.clock));
    findings.extend(machine::check(&context.config.database.path, context.clock.now(), facts.as_ref()));
    context.output.print(&findings, |findings| {
        let row =
            |finding: &Finding| [finding.subject.to_owned(), finding.state.name().to_owned(), finding.message.clone()];
        table(["checked", "", "result"], findings.iter().map(row), "")
    })?;
    match findings.iter().filter(|finding| finding.state == State::Wrong).count() {
        0 => Ok(()),
        count => bail!("{count} of {} checks found something wrong", findings.len()),
    }
}

/// Whether others than its owner may read or change a file that has `secrets` in it. `None` when it is not there.
fn check_mode(subject: &'static str, path: &Path, secrets: &str) -> Option<Finding> {
    let mode = std::fs::metadata(path).ok().filter(Metadata::is_file)?.mode() & 0o777;
    let is_private = mode & 0o066 == 0;
    let path = path.display();
    let message = if is_private {
        format!("mode {mode:03o}: only the owner can access {path}")
    } else {
        format!("mode {mode:03o}: others can access {secrets} in {path}: run chmod 600 on it")
    };
    Some(Finding::new(subject, State::warning_unless(is_private), message))
}
