//! What `check` says of the files that tell who is behind an address. All of each is read.

use std::path::Path;
use std::time::Duration;

use super::{Finding, State};
use crate::clock::Clock;
use crate::config::{Config, DenyConfig, GeoIpConfig};
use crate::domain::{Flag, Timestamp};
use crate::geoip::{Contents, Examined, Fact, GeoIpError, ReverseDns, SourceFile};

/// Vendors make new databases at least each month.
const OLD: Duration = Duration::from_hours(60 * 24);

type ExaminedFile = (SourceFile, Result<Examined, GeoIpError>);

pub(super) fn check(config: &Config, clock: &Clock) -> Vec<Finding> {
    let examine = |file: SourceFile| {
        let examined = file.examine();
        (file, examined)
    };
    let files: Vec<_> = SourceFile::all(&config.geoip).into_iter().map(examine).collect();
    let mut findings: Vec<_> = files.iter().map(|file| check_file(file, clock.now())).collect();
    findings.extend(check_deny(&config.sign_in.deny, &files));
    findings.extend(check_reverse_dns(&config.geoip, clock));
    findings
}

fn check_file((file, examined): &ExaminedFile, now: Timestamp) -> Finding {
    let subject = if file.list.is_some() { "geoip list" } else { "geoip database" };
    let (state, message) = match examined {
        Err(error) => (State::Wrong, error.to_string()),
        Ok(examined) => match &examined.contents {
            Contents::Facts(facts) => describe_database(&file.path, examined, facts, now),
            Contents::Networks(count) => describe_list(file, *count, examined.made_at),
        },
    };
    Finding::new(subject, state, message)
}

fn describe_database(path: &Path, examined: &Examined, facts: &[Fact], now: Timestamp) -> (State, String) {
    let Examined { name, made_at, .. } = examined;
    let database = format!("{name} of {} ({})", made_at.day(), path.display());
    let names: Vec<_> = facts.iter().map(|fact| fact.name()).collect();
    match names.join(", ") {
        _ if names.is_empty() => (State::Warning, format!("{database} contains nothing that magic-auth uses")),
        names if now.since(*made_at) > OLD => {
            let days = OLD.as_secs() / 86_400;
            (State::Warning, format!("{database} is more than {days} days old: get a new one. It has {names}"))
        }
        names => (State::Ok, format!("{database} has {names}")),
    }
}

fn describe_list(file: &SourceFile, count: usize, changed_at: Timestamp) -> (State, String) {
    let flag = file.list.map_or("", |flag| flag.as_str());
    let list = format!("{flag}: {} of {}", file.path.display(), changed_at.day());
    match count {
        0 => (State::Warning, format!("{list} is empty")),
        1 => (State::Ok, format!("{list} has 1 address or network")),
        count => (State::Ok, format!("{list} has {count} addresses and networks")),
    }
}

/// That there is something to tell whom each rule means. A file that cannot be read might.
fn check_deny(rules: &DenyConfig, files: &[ExaminedFile]) -> Option<Finding> {
    let tells = |fact: Fact| {
        files.iter().any(|(file, examined)| match examined {
            Ok(Examined { contents: Contents::Facts(facts), .. }) => facts.contains(&fact),
            Ok(Examined { contents: Contents::Networks(count), .. }) => {
                *count > 0 && file.list.map(Fact::from) == Some(fact)
            }
            Err(_) => true,
        })
    };
    let tells_flag = |flag: &Flag| match flag {
        Flag::Hosting => tells(Fact::Hosting) || tells(Fact::Asn),
        Flag::Anonymous => tells(Fact::Anonymous) || Flag::HIDING.map(Fact::from).into_iter().any(tells),
        other => tells((*other).into()),
    };
    let mut idle = Vec::new();
    if !rules.countries.is_empty() && !tells(Fact::Country) {
        idle.push("countries".to_owned());
    }
    if !rules.asns.is_empty() && !tells(Fact::Asn) {
        idle.push("asns".to_owned());
    }
    idle.extend(rules.flags.iter().filter(|flag| !tells_flag(flag)).map(|flag| format!("flags {:?}", flag.as_str())));
    let message = format!(
        "{} can deny nobody: no database or list in [geoip] tells that; add one that does, or remove the rule",
        idle.join(", ")
    );
    (!idle.is_empty()).then(|| Finding::new("sign_in.deny", State::Wrong, message))
}

/// That the DNS servers are known, without which the server does not start.
fn check_reverse_dns(config: &GeoIpConfig, clock: &Clock) -> Option<Finding> {
    let error = ReverseDns::of(config, clock).err()?;
    Some(Finding::new("reverse dns", State::Wrong, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_should_be_no_older_than_two_months() {
        let made_at = Timestamp::from_millis(1_795_532_645_678);
        let examined =
            Examined { name: "GeoLite2-ASN".to_owned(), made_at, contents: Contents::Facts(vec![Fact::Asn]) };
        let describe = |facts: &[Fact], age| describe_database(Path::new("asn.mmdb"), &examined, facts, made_at + age);
        let database = "GeoLite2-ASN of 2026-11-24 (asn.mmdb)";
        assert_eq!(describe(&[Fact::Asn], OLD), (State::Ok, format!("{database} has asn")));
        let old = format!("{database} is more than 60 days old: get a new one. It has asn");
        assert_eq!(describe(&[Fact::Asn], OLD + Duration::from_millis(1)), (State::Warning, old));
        let useless = format!("{database} contains nothing that magic-auth uses");
        assert_eq!(describe(&[], Duration::ZERO), (State::Warning, useless));
    }
}
