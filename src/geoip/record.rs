//! The record of an address in a database, read whatever its vendor calls things.
//!
//! The schemas do not contradict each other: a name means the same wherever it stands, or has another type. So
//! there is one reader for all of them, which goes down the record, knows at each place which names lead to a fact,
//! skips the others, and takes a value only where its type is right.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};

use super::database::Scope;
use super::facts::{Fact, Flags};
use crate::domain::{CountryCode, Flag};

/// Longer texts are no names.
const MAX_TEXT: usize = 200;

/// What a database says of an address; the texts are the database's own.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Record<'d> {
    pub(super) country: Option<CountryCode>,
    pub(super) region: Option<&'d str>,
    pub(super) city: Option<&'d str>,
    /// Latitude and longitude are known together.
    pub(super) latitude: Option<f64>,
    pub(super) longitude: Option<f64>,
    pub(super) time_zone: Option<&'d str>,
    pub(super) asn: Option<u32>,
    pub(super) asn_organisation: Option<&'d str>,
    pub(super) flags: Flags,
}

impl Record<'_> {
    /// Whether this is known.
    pub(super) fn has(&self, fact: Fact) -> bool {
        match fact {
            Fact::Country => self.country.is_some(),
            Fact::Region => self.region.is_some(),
            Fact::City => self.city.is_some(),
            Fact::Latitude => self.latitude.is_some(),
            Fact::Longitude => self.longitude.is_some(),
            Fact::TimeZone => self.time_zone.is_some(),
            Fact::Asn => self.asn.is_some(),
            Fact::AsnOrganisation => self.asn_organisation.is_some(),
            Fact::Hosting => self.flags.hosting.is_some(),
            Fact::Proxy => self.flags.proxy.is_some(),
            Fact::Vpn => self.flags.vpn.is_some(),
            Fact::Tor => self.flags.tor.is_some(),
            Fact::Anonymous => self.flags.anonymous.is_some(),
        }
    }
}

/// As much of a record as rules ask for: no place, and no names.
pub(super) struct Traits<'d>(pub(super) Record<'d>);

impl<'de> Deserialize<'de> for Traits<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut record = Record::default();
        deserializer.deserialize_any(Walk { record: &mut record, place: Place::Root(Scope::Traits) })?;
        Ok(Self(record))
    }
}

impl<'de> Deserialize<'de> for Record<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut record = Self::default();
        deserializer.deserialize_any(Walk { record: &mut record, place: Place::Root(Scope::All) })?;
        let is_on_earth = |latitude: f64, longitude: f64| latitude.abs() <= 90.0 && longitude.abs() <= 180.0;
        if !record.latitude.zip(record.longitude).is_some_and(|(latitude, longitude)| is_on_earth(latitude, longitude))
        {
            (record.latitude, record.longitude) = (None, None);
        }
        Ok(record)
    }
}

/// Where in a record a value stands, which is what it means. No way leads back, so that it ends soon whatever a
/// database has in its maps, even themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Root(Scope),
    /// The code, or a map with it.
    Country,
    CountryCode,
    /// A list, of which the largest is the first.
    Regions,
    Region,
    RegionNames,
    RegionName,
    /// The name, or a map with names.
    City,
    CityNames,
    CityName,
    Location,
    Latitude,
    Longitude,
    TimeZone,
    Asn,
    AsnOrganisation,
    Flag(Flag),
}

impl Place {
    /// Where the value of this name stands; `None`: it means nothing.
    fn within(self, name: &[u8]) -> Option<Self> {
        let place = match (self, name) {
            (Self::Root(_), b"country") => Self::Country,
            (Self::Root(_), b"country_code") | (Self::Country, b"iso_code") => Self::CountryCode,
            (Self::Root(Scope::All), b"subdivisions") => Self::Regions,
            (Self::Region, b"names") => Self::RegionNames,
            (Self::Root(Scope::All), b"state1") | (Self::RegionNames, b"en") => Self::RegionName,
            (Self::Root(Scope::All), b"city") => Self::City,
            (Self::City, b"names") => Self::CityNames,
            (Self::CityNames, b"en") => Self::CityName,
            (Self::Root(Scope::All), b"location") => Self::Location,
            (Self::Root(Scope::All) | Self::Location, b"latitude") => Self::Latitude,
            (Self::Root(Scope::All) | Self::Location, b"longitude") => Self::Longitude,
            (Self::Root(Scope::All), b"timezone") | (Self::Location, b"time_zone") => Self::TimeZone,
            (Self::Root(_), b"autonomous_system_number" | b"asn") => Self::Asn,
            (Self::Root(Scope::All), b"autonomous_system_organization" | b"as_name") => Self::AsnOrganisation,
            (Self::Root(_), b"is_hosting_provider") => Self::Flag(Flag::Hosting),
            (Self::Root(_), b"is_public_proxy" | b"is_residential_proxy") => Self::Flag(Flag::Proxy),
            (Self::Root(_), b"is_anonymous_vpn") => Self::Flag(Flag::Vpn),
            (Self::Root(_), b"is_tor_exit_node") => Self::Flag(Flag::Tor),
            (Self::Root(_), b"is_anonymous") => Self::Flag(Flag::Anonymous),
            _ => return None,
        };
        Some(place)
    }
}

/// Reads a name at a place, as where that leads.
struct Within(Place);

impl<'de> DeserializeSeed<'de> for Within {
    type Value = Option<Place>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Within {
    type Value = Option<Place>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_bytes<E: de::Error>(self, name: &[u8]) -> Result<Self::Value, E> {
        Ok(self.0.within(name))
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
        self.visit_bytes(name.as_bytes())
    }
}

/// On the way through a record.
struct Walk<'r, 'de> {
    record: &'r mut Record<'de>,
    place: Place,
}

impl<'de> DeserializeSeed<'de> for Walk<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record of an address")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(place) = map.next_key_seed(Within(self.place))? {
            match place {
                Some(place) => map.next_value_seed(Walk { record: &mut *self.record, place })?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if self.place == Place::Regions {
            list.next_element_seed(Walk { record: self.record, place: Place::Region })?;
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<(), E> {
        let record = self.record;
        match self.place {
            // Some have the country's name here, and its code elsewhere.
            Place::Country | Place::CountryCode => record.country = text.parse().ok().or(record.country),
            Place::RegionName => record.region = name(text),
            Place::City | Place::CityName => record.city = name(text),
            Place::TimeZone => record.time_zone = name(text),
            Place::Asn => record.asn = text.strip_prefix("AS").unwrap_or(text).parse().ok(),
            Place::AsnOrganisation => record.asn_organisation = name(text),
            _ => {}
        }
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<(), E> {
        if self.place == Place::Asn {
            self.record.asn = u32::try_from(number).ok();
        }
        Ok(())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<(), E> {
        match self.place {
            Place::Latitude => self.record.latitude = Some(number),
            Place::Longitude => self.record.longitude = Some(number),
            _ => {}
        }
        Ok(())
    }

    /// Degrees of this precision have four decimals, some ten metres; the others are noise.
    fn visit_f32<E: de::Error>(self, number: f32) -> Result<(), E> {
        self.visit_f64((f64::from(number) * 10_000.0).round() / 10_000.0)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        if let Place::Flag(flag) = self.place {
            let flag = self.record.flags.get_mut(flag);
            // Two kinds of proxies are one flag.
            *flag = Some(value || *flag == Some(true));
        }
        Ok(())
    }

    // What can be nothing of what is looked for.

    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_bytes<E: de::Error>(self, _: &[u8]) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u128<E: de::Error>(self, _: u128) -> Result<(), E> {
        Ok(())
    }
}

/// A name as it may be shown: some databases have an empty text for what they do not know.
pub(super) fn name(text: &str) -> Option<&str> {
    let is_fine = !text.is_empty() && text.len() <= MAX_TEXT && !text.chars().any(char::is_control);
    is_fine.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a record as JSON, which has the same types.
    fn record(json: &str) -> Record<'_> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_schema_of_maxmind_and_db_ip() {
        let city = r#"{
            "city": {"geoname_id": 1, "names": {"de": "Prag", "en": "Prague"}},
            "continent": {"code": "EU", "names": {"en": "Europe"}},
            "country": {"iso_code": "CZ", "names": {"en": "Czechia"}},
            "location": {"accuracy_radius": 5, "latitude": 50.08, "longitude": 14.42, "time_zone": "Europe/Prague"},
            "registered_country": {"iso_code": "US"},
            "subdivisions": [{"iso_code": "10", "names": {"en": "Prague (city)"}}, {"names": {"en": "Praha 1"}}]
        }"#;
        let expected = Record {
            country: "CZ".parse().ok(),
            region: Some("Prague (city)"),
            city: Some("Prague"),
            latitude: Some(50.08),
            longitude: Some(14.42),
            time_zone: Some("Europe/Prague"),
            ..Record::default()
        };
        assert_eq!(record(city), expected);
        let asn = r#"{"autonomous_system_number": 64500, "autonomous_system_organization": "Example"}"#;
        let expected = Record { asn: Some(64500), asn_organisation: Some("Example"), ..Record::default() };
        assert_eq!(record(asn), expected);
        let anonymous = r#"{"is_anonymous": true, "is_residential_proxy": true, "is_public_proxy": false}"#;
        let flags = Flags { anonymous: Some(true), proxy: Some(true), ..Flags::default() };
        assert_eq!(record(anonymous), Record { flags, ..Record::default() });
    }

    #[test]
    fn the_schema_of_ipinfo_lite() {
        let lite = r#"{"asn": "AS64500", "as_name": "Example", "as_domain": "example.com", "continent": "Europe",
            "continent_code": "EU", "country_code": "CZ", "country": "Czechia"}"#;
        let expected = Record {
            country: "CZ".parse().ok(),
            asn: Some(64500),
            asn_organisation: Some("Example"),
            ..Record::default()
        };
        assert_eq!(record(lite), expected);
        assert_eq!(record(r#"{"country": "CZ", "country_name": "Czechia"}"#).country, "CZ".parse().ok());
    }

    #[test]
    fn the_schema_of_ip_location_db() {
        let flat = r#"{"city": "Brno", "country_code": "CZ", "latitude": 49.2, "longitude": 16.6, "postcode": "",
            "state1": "South Moravian", "state2": "", "timezone": "Europe/Prague"}"#;
        let expected = Record {
            country: "CZ".parse().ok(),
            region: Some("South Moravian"),
            city: Some("Brno"),
            latitude: Some(49.2),
            longitude: Some(16.6),
            time_zone: Some("Europe/Prague"),
            ..Record::default()
        };
        assert_eq!(record(flat), expected);
    }

    #[test]
    fn what_is_missing_or_of_an_odd_type_hides_nothing_else() {
        for json in ["{}", "[]", "7", "-7", "7.5", "true", "\"CZ\"", "[{\"asn\": [true]}]"] {
            assert_eq!(record(json), Record::default(), "{json}");
        }
        let odd = r#"{"city": 7, "country": {"iso_code": ["DE"]}, "country_code": "CZ", "location": "here", "latitude": "50", "asn": -1,
            "autonomous_system_organization": {"names": {"en": "Example"}}, "subdivisions": [[], {"names": {"en": "B"}}],
            "is_tor_exit_node": "yes", "is_hosting_provider": 1, "is_public_proxy": true, "state1": {"names": "A"},
            "timezone": "Europe/Prague"}"#;
        let flags = Flags { proxy: Some(true), ..Flags::default() };
        let expected =
            Record { country: "CZ".parse().ok(), time_zone: Some("Europe/Prague"), flags, ..Record::default() };
        assert_eq!(record(odd), expected);
    }

    #[test]
    fn a_record_is_read_no_deeper_than_it_has_to_be() {
        for json in [
            r#"{"city": {"names": {"en": {"names": {"en": "Brno"}}}}}"#,
            r#"{"country": {"iso_code": {"iso_code": "CZ"}}}"#,
            r#"{"subdivisions": [[{"names": {"en": "South Moravian"}}]]}"#,
            r#"{"location": {"location": {"time_zone": "Europe/Prague"}}}"#,
            r#"[{"asn": 64500}]"#,
        ] {
            assert_eq!(record(json), Record::default(), "{json}");
        }
    }

    #[test]
    fn a_place_on_earth_has_both_degrees() {
        for json in [
            r#"{"latitude": 50.5}"#,
            r#"{"longitude": 50.5}"#,
            r#"{"latitude": 90.5, "longitude": 50.5}"#,
            r#"{"latitude": 50.5, "longitude": -180.5}"#,
        ] {
            assert_eq!(record(json), Record::default(), "{json}");
        }
    }

    #[test]
    fn a_text_that_cannot_be_shown_is_none() {
        let long = format!("{{\"city\": \"{}\"}}", "a".repeat(MAX_TEXT + 1));
        for json in [r#"{"city": ""}"#, &long, "{\"city\": \"a\u{7f}b\"}", "{\"city\": \"a\u{85}b\"}"] {
            assert_eq!(record(json), Record::default(), "{json}");
        }
        assert_eq!(record("{\"city\": \"Plzeň\"}").city, Some("Plzeň"));
    }
}
