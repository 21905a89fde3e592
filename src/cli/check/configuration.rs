//! What `check` says of the configuration. That it can be read and used at all is what [`crate::cli::Cli`] has seen
//! to before any command, and so that no demo key can be reached by others.

use super::database::Facts;
use super::{Finding, State, check_mode};
use crate::config::{Config, ConfiguredKey};

pub(super) fn check(config: &Config, facts: Option<&Facts>) -> Vec<Finding> {
    let keys: Vec<_> = config.organisations.iter().flat_map(|organisation| &organisation.api_keys).collect();
    let demo = keys.iter().filter(|key| ConfiguredKey::is_demo(key)).count();
    let mut findings = vec![check_keys(config.organisations.len(), keys.len(), facts), check_demo_keys(demo)];
    findings.extend(check_file(config, keys.len() - demo));
    findings
}

/// That somebody can use the service. Keys that were made on the command line are in the database alone.
fn check_keys(organisations: usize, in_file: usize, facts: Option<&Facts>) -> Finding {
    let made = facts.map(|facts| facts.keys_made);
    let message = match made {
        Some(made @ 1..) => {
            format!("organisations: {organisations}, keys in the file: {in_file}, made on the command line: {made}")
        }
        _ => format!("organisations: {organisations}, keys in the file: {in_file}"),
    };
    let (state, advice) = match (organisations, in_file, made) {
        (0, _, None | Some(0)) => (State::Wrong, "; every request will be a 401: add an [[organisation]]"),
        (0, ..) => (State::Warning, "; add an [[organisation]] for the keys that were made"),
        (_, 0, Some(0)) => (State::Wrong, "; every request will be a 401: make a key with magic-auth key create"),
        _ => (State::Ok, ""),
    };
    Finding::new("configuration", state, message + advice)
}

fn check_demo_keys(count: usize) -> Finding {
    let message = match count {
        0 => "none".to_owned(),
        count => {
            format!("{count} of the keys are published, for trying out alone: replace them (magic-auth key create)")
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
