//! What `check` says of the configuration. That it can be read and used at all is what [`crate::cli::Cli`] has seen
//! to before any command, and so that with demo keys it listens on loopback alone.

use std::collections::BTreeSet;

use super::database::Facts;
use super::{Finding, State, check_mode};
use crate::cli::NO_CONFIGURATION;
use crate::config::Config;
use crate::domain::ApiKey;

pub(super) fn check(config: &Config, facts: Option<&Facts>) -> Vec<Finding> {
    let keys: Vec<_> = config.organisations.iter().flat_map(|organisation| &organisation.api_keys).collect();
    let demo = keys.iter().filter(|key| key.is_demo()).count();
    let is_ended = |key: &&&ApiKey| facts.is_some_and(|facts| facts.keys_ended.contains(&key.digest()));
    let ended = keys.iter().filter(is_ended).count();
    let mut findings = vec![check_keys(config, keys.len(), ended, facts), check_demo_keys(demo)];
    findings.extend(check_file(config, keys.len() - demo));
    findings
}

/// That somebody can use the service. Keys that were made on the command line are in the database alone, and so is
/// that some of the file have `ended`.
fn check_keys(config: &Config, in_file: usize, ended: usize, facts: Option<&Facts>) -> Finding {
    let organisations = config.organisations.len();
    let made = facts.map(|facts| facts.keys_made.len());
    let organisations_of_keys = facts.iter().flat_map(|facts| &facts.keys_made).map(String::as_str);
    let strays: BTreeSet<&str> = organisations_of_keys.filter(|name| !config.has_organisation(name)).collect();
    let of_defaults = if config.file.is_none() { format!("{NO_CONFIGURATION}; ") } else { String::new() };
    let of_these = match ended {
        0 => String::new(),
        ended => format!(" ({ended} of them ended on the command line)"),
    };
    let and_made = match made {
        None | Some(0) => String::new(),
        Some(made) => format!(", made on the command line: {made}"),
    };
    let message =
        format!("{of_defaults}organisations: {organisations}, keys in the file: {in_file}{of_these}{and_made}");
    let of_strays = format!(
        "; some are of organisations that are not in the file ({}): add an [[organisation]], or revoke the keys",
        strays.iter().copied().collect::<Vec<_>>().join(", ")
    );
    let (state, advice) = match (organisations, in_file - ended, made) {
        (0, _, None | Some(0)) => (State::Wrong, "; every request will get a 401: add an [[organisation]]"),
        (_, 0, Some(0)) => (State::Wrong, "; every request will get a 401: make a key with magic-auth key create"),
        _ if strays.is_empty() => (State::Ok, ""),
        _ => (State::Warning, of_strays.as_str()),
    };
    Finding::new("configuration", state, message + advice)
}

fn check_demo_keys(count: usize) -> Finding {
    let message = match count {
        0 => "none".to_owned(),
        count => {
            format!(
                "{count} of the keys are published demo keys, meant only for trying it out: remove them from api_keys, then make others (magic-auth key create)"
            )
        }
    };
    Finding::new("demo keys", State::warning_unless(count == 0), message)
}

/// Whether others can read the keys, but for those that are published.
fn check_file(config: &Config, secret_keys: usize) -> Option<Finding> {
    let path = config.file.as_ref()?;
    match secret_keys {
        0 => Some(Finding::new("configuration file", State::Ok, format!("there are no secrets in {}", path.display()))),
        _ => check_mode("configuration file", path, "the keys"),
    }
}
