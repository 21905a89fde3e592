//! `ip`: who is behind an address.

use std::net::IpAddr;

use clap::Args;

use super::Context;
use super::output::{or_dash, table};
use crate::domain::parse_ip;
use crate::geoip::{AddressKind, Fact, IpFacts};
use crate::http::IpAnswer;
use crate::intelligence::Intelligence;

#[derive(Args)]
#[command(after_help = "\
What is known comes from the files that the configuration names under [geoip]. Of an address that is not public, nothing \
else is known. With --json, unknown values are null.")]
pub(super) struct Arguments {
    /// An IPv4 or IPv6 address
    #[arg(value_name = "ADDRESS", value_parser = parse_ip)]
    address: IpAddr,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<()> {
    let intelligence = Intelligence::new(&context.config, context.clock.clone())?;
    let facts = actix_web::rt::System::new().block_on(intelligence.facts(arguments.address, None));
    let answer = IpAnswer::new(facts);
    context.output.print(&answer, |answer| {
        let hint = if intelligence.geoip.knows_nothing() && answer.facts.kind == AddressKind::Public {
            "\n\nThe configuration names nothing to ask: see [geoip] databases."
        } else {
            ""
        };
        facts_text(&answer.facts) + hint
    })
}

fn facts_text(facts: &IpFacts) -> String {
    let row = |name: &str, value: String| [name.to_owned(), value, String::new()];
    let of_address = [
        row("address", facts.ip.to_string()),
        row("kind", facts.kind.name().to_owned()),
        row("embedded", or_dash(facts.embedded)),
        row("reverse dns", or_dash(facts.reverse_dns.as_deref())),
    ];
    let of_sources = Fact::ALL.map(|fact| [fact.name().to_owned(), value(facts, fact), source(facts, fact)]);
    table(["fact", "value", "source"], of_address.into_iter().chain(of_sources), "")
}

fn value(facts: &IpFacts, fact: Fact) -> String {
    let flag = |value: Option<bool>| or_dash(value.map(|value| if value { "yes" } else { "no" }));
    match fact {
        Fact::Country => or_dash(facts.country),
        Fact::Region => or_dash(facts.region.as_deref()),
        Fact::City => or_dash(facts.city.as_deref()),
        Fact::Latitude => or_dash(facts.latitude),
        Fact::Longitude => or_dash(facts.longitude),
        Fact::TimeZone => or_dash(facts.time_zone.as_deref()),
        Fact::Asn => or_dash(facts.asn),
        Fact::AsnOrganisation => or_dash(facts.asn_organisation.as_deref()),
        Fact::Hosting => flag(facts.flags.hosting),
        Fact::Proxy => flag(facts.flags.proxy),
        Fact::Vpn => flag(facts.flags.vpn),
        Fact::Tor => flag(facts.flags.tor),
        Fact::Anonymous => flag(facts.flags.anonymous),
    }
}

/// From where a fact is, and of when.
fn source(facts: &IpFacts, fact: Fact) -> String {
    let source = facts.sources.iter().find(|source| source.facts.contains(&fact));
    source.map_or_else(String::new, |source| match &source.date {
        Some(date) => format!("{}, {date}", source.name),
        None => source.name.clone(),
    })
}
