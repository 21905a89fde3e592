//! How what several sources say of an address becomes one picture.

use std::net::IpAddr;
use std::sync::Arc;

use super::database::Scope;
use super::facts::{Fact, IpFacts, SourceOfFacts};
use super::hosting::HostingAsns;
use super::record::Record;
use super::source::{Content, Source};
use crate::domain::Flag;

/// The number of a source: its place in the list; that of the hosting companies' comes behind the last.
type SourceNumber = usize;

/// Takes from a source what is not known yet.
struct Take<'o> {
    origins: &'o mut [Option<SourceNumber>; Fact::ALL.len()],
    number: SourceNumber,
}

impl Take<'_> {
    fn missing<T>(&mut self, fact: Fact, own: &mut Option<T>, other: Option<T>) {
        if own.is_none() && other.is_some() {
            *own = other;
            self.origins[fact as usize] = Some(self.number);
        }
    }
}

/// What was found, and for each fact, where.
pub(super) struct Found<'s> {
    pub(super) record: Record<'s>,
    origins: [Option<SourceNumber>; Fact::ALL.len()],
}

impl<'s> Found<'s> {
    /// Asks all sources about a public address.
    pub(super) fn look_up(address: IpAddr, scope: Scope, sources: &'s [Arc<Source>], hosting: &HostingAsns) -> Self {
        let mut found = Self { record: Record::default(), origins: [None; Fact::ALL.len()] };
        for (number, source) in sources.iter().enumerate() {
            match &source.content {
                Content::Database(database) => found.add(&database.find(address, scope), number),
                Content::List(flag, networks) => found.say(*flag, networks.contains(address), number),
            }
        }
        if let Some(asn) = found.record.asn {
            found.say(Flag::Hosting, hosting.contains(asn), sources.len());
        }
        found.conclude();
        found
    }

    /// What a source knows and none before it did.
    fn add(&mut self, other: &Record<'s>, number: SourceNumber) {
        let own = &mut self.record;
        let mut take = Take { origins: &mut self.origins, number };
        take.missing(Fact::Country, &mut own.country, other.country);
        take.missing(Fact::Region, &mut own.region, other.region);
        take.missing(Fact::City, &mut own.city, other.city);
        take.missing(Fact::Latitude, &mut own.latitude, other.latitude);
        take.missing(Fact::Longitude, &mut own.longitude, other.longitude);
        take.missing(Fact::TimeZone, &mut own.time_zone, other.time_zone);
        take.missing(Fact::Asn, &mut own.asn, other.asn);
        take.missing(Fact::AsnOrganisation, &mut own.asn_organisation, other.asn_organisation);
        for flag in Flag::ALL {
            if let Some(value) = other.flags.get(flag) {
                self.say(flag, value, number);
            }
        }
    }

    /// A source that could know says whether an address has a flag. Whoever says that it has is believed.
    fn say(&mut self, flag: Flag, value: bool, number: SourceNumber) {
        let own = self.record.flags.get_mut(flag);
        if own.is_none() || (value && *own == Some(false)) {
            *own = Some(value);
            self.origins[Fact::from(flag) as usize] = Some(number);
        }
    }

    /// Who comes through a proxy, a private network or Tor is anonymous, and who surely comes through none is not.
    fn conclude(&mut self) {
        let values = Flag::HIDING.map(|flag| self.record.flags.get(flag));
        let hidden_by = values.iter().position(|value| *value == Some(true));
        let decisive = hidden_by.or((values == [Some(false); 3]).then_some(0));
        if let Some(number) = decisive.and_then(|place| self.origins[Fact::from(Flag::HIDING[place]) as usize]) {
            self.say(Flag::Anonymous, hidden_by.is_some(), number);
        }
    }

    /// Puts what was found into the picture of an address.
    pub(super) fn tell(&self, facts: &mut IpFacts, sources: &[Arc<Source>], hosting: &HostingAsns) {
        let Record { country, region, city, latitude, longitude, time_zone, asn, asn_organisation, flags } =
            self.record;
        (facts.country, facts.latitude, facts.longitude) = (country, latitude, longitude);
        (facts.asn, facts.flags) = (asn, flags);
        facts.region = region.map(str::to_owned);
        facts.city = city.map(str::to_owned);
        facts.time_zone = time_zone.map(str::to_owned);
        facts.asn_organisation = asn_organisation.map(str::to_owned);
        let from = |number| Fact::ALL.into_iter().filter(move |fact| self.origins[*fact as usize] == Some(number));
        let told = (0..=sources.len()).map(|number| (number, from(number).collect::<Vec<_>>()));
        facts.sources = told
            .filter(|(_, facts)| !facts.is_empty())
            .map(|(number, facts)| {
                let (name, date) = sources
                    .get(number)
                    .map_or_else(|| hosting.source(), |source| (source.name.clone(), Some(source.date.clone())));
                SourceOfFacts { name, date, facts }
            })
            .collect();
    }
}
