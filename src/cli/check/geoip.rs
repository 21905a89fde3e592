//! What `check` says of the files that tell who is behind an address. All of each is read.

use std::path::Path;
use std::time::Duration;

use super::{Finding, State};
use crate::config::GeoIpConfig;
use crate::domain::Timestamp;
use crate::geoip::{Contents, Examined, Fact, SourceFile};

/// Vendors make new databases at least each month.
const OLD: Duration = Duration::from_hours(60 * 24);

pub(super) fn check(config: &GeoIpConfig, now: Timestamp) -> Vec<Finding> {
    SourceFile::all(config).iter().map(|file| check_file(file, now)).collect()
}

fn check_file(file: &SourceFile, now: Timestamp) -> Finding {
    let subject = if file.list.is_some() { "geoip list" } else { "geoip database" };
    let (state, message) = match file.examine() {
        Err(error) => (State::Wrong, error.to_string()),
        Ok(examined) => match &examined.contents {
            Contents::Facts(facts) => describe_database(&file.path, &examined, facts, now),
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
        _ if names.is_empty() => (State::Warning, format!("{database} has nothing that is of use here")),
        names if now.since(*made_at) > OLD => {
            let days = OLD.as_secs() / 86_400;
            (State::Warning, format!("{database} is more than {days} days old: get a new one. It has {names}"))
        }
        names => (State::Ok, format!("{database} has {names}")),
    }
}

fn describe_list(file: &SourceFile, count: usize, changed_at: Timestamp) -> (State, String) {
    let flag = file.list.map_or("", |flag| flag.name());
    let list = format!("{flag}: {} of {}", file.path.display(), changed_at.day());
    match count {
        0 => (State::Warning, format!("{list} is empty")),
        1 => (State::Ok, format!("{list} has 1 address or network")),
        count => (State::Ok, format!("{list} has {count} addresses and networks")),
    }
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
        let useless = format!("{database} has nothing that is of use here");
        assert_eq!(describe(&[], Duration::ZERO), (State::Warning, useless));
    }
}
