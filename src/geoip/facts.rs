//! What can be known of an address, and how it is told.

use std::net::{IpAddr, Ipv4Addr};

use serde::Serialize;
use utoipa::ToSchema;

use super::AddressKind;
use crate::domain::{CountryCode, Flag};

/// A thing that may be known of an address. The names are those of the JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "each says of itself what it is")]
pub enum Fact {
    Country,
    Region,
    City,
    Latitude,
    Longitude,
    TimeZone,
    Asn,
    AsnOrganisation,
    Hosting,
    Proxy,
    Vpn,
    Tor,
    Anonymous,
}

impl Fact {
    /// All there are, in the order of their numbers.
    pub const ALL: [Self; 13] = [
        Self::Country,
        Self::Region,
        Self::City,
        Self::Latitude,
        Self::Longitude,
        Self::TimeZone,
        Self::Asn,
        Self::AsnOrganisation,
        Self::Hosting,
        Self::Proxy,
        Self::Vpn,
        Self::Tor,
        Self::Anonymous,
    ];

    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Country => "country",
            Self::Region => "region",
            Self::City => "city",
            Self::Latitude => "latitude",
            Self::Longitude => "longitude",
            Self::TimeZone => "time zone",
            Self::Asn => "asn",
            Self::AsnOrganisation => "asn organisation",
            Self::Hosting => "hosting",
            Self::Proxy => "proxy",
            Self::Vpn => "vpn",
            Self::Tor => "tor",
            Self::Anonymous => "anonymous",
        }
    }
}

impl From<Flag> for Fact {
    fn from(flag: Flag) -> Self {
        match flag {
            Flag::Hosting => Self::Hosting,
            Flag::Proxy => Self::Proxy,
            Flag::Vpn => Self::Vpn,
            Flag::Tor => Self::Tor,
            Flag::Anonymous => Self::Anonymous,
        }
    }
}

/// The flags of an address; `null` when no source could know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[expect(missing_docs, reason = "they are those of `Flag`")]
pub struct Flags {
    #[schema(required)]
    pub hosting: Option<bool>,
    #[schema(required)]
    pub proxy: Option<bool>,
    #[schema(required)]
    pub vpn: Option<bool>,
    #[schema(required)]
    pub tor: Option<bool>,
    #[schema(required)]
    pub anonymous: Option<bool>,
}

impl Flags {
    /// One of them.
    #[must_use]
    pub fn get(mut self, flag: Flag) -> Option<bool> {
        *self.get_mut(flag)
    }

    pub(super) fn get_mut(&mut self, flag: Flag) -> &mut Option<bool> {
        match flag {
            Flag::Hosting => &mut self.hosting,
            Flag::Proxy => &mut self.proxy,
            Flag::Vpn => &mut self.vpn,
            Flag::Tor => &mut self.tor,
            Flag::Anonymous => &mut self.anonymous,
        }
    }
}

/// What a rule may ask about an address: found without an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpTraits {
    /// Where it is.
    pub country: Option<CountryCode>,
    /// Whose network it is in: the number of the autonomous system.
    pub asn: Option<u32>,
    /// What somebody may hide behind.
    pub flags: Flags,
}

/// All that is known of an address, and from where. What is not known is `null`.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct IpFacts {
    /// The address, as it was asked for.
    #[schema(value_type = String, example = "8.8.8.8")]
    pub ip: IpAddr,
    /// What it is for. Of an address that is not public, nothing else is known.
    pub kind: AddressKind,
    /// For an IPv6 address that stands for an IPv4 address: the latter, which was looked up.
    #[schema(required, value_type = Option<String>)]
    pub embedded: Option<Ipv4Addr>,
    /// Its name in the DNS, if that name resolves back to the address.
    #[schema(required)]
    pub reverse_dns: Option<String>,
    /// Where it is.
    #[schema(required, value_type = Option<String>, example = "US")]
    pub country: Option<CountryCode>,
    /// The largest subdivision of the country that the place is in, in English.
    #[schema(required)]
    pub region: Option<String>,
    /// The place, in English.
    #[schema(required)]
    pub city: Option<String>,
    /// Degrees north; known together with the longitude.
    #[schema(required)]
    pub latitude: Option<f64>,
    /// Degrees east.
    #[schema(required)]
    pub longitude: Option<f64>,
    /// By its IANA name: `Europe/Prague`.
    #[schema(required)]
    pub time_zone: Option<String>,
    /// The number of the autonomous system.
    #[schema(required, value_type = Option<i64>, minimum = 0, maximum = 4_294_967_295_u32)]
    pub asn: Option<u32>,
    /// Whose autonomous system it is.
    #[schema(required)]
    pub asn_organisation: Option<String>,
    /// What somebody may hide behind.
    pub flags: Flags,
    /// Where all this is from.
    pub sources: Vec<SourceOfFacts>,
}

impl IpFacts {
    /// Nothing but what the address itself says.
    pub(super) fn unknown(ip: IpAddr, kind: AddressKind, embedded: Option<Ipv4Addr>) -> Self {
        Self {
            ip,
            kind,
            embedded,
            reverse_dns: None,
            country: None,
            region: None,
            city: None,
            latitude: None,
            longitude: None,
            time_zone: None,
            asn: None,
            asn_organisation: None,
            flags: Flags::default(),
            sources: Vec::new(),
        }
    }
}

/// From where some facts are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SourceOfFacts {
    /// What the database calls itself, or the name of the list.
    pub name: String,
    /// The day on which it was made; `null`: it does not say.
    #[schema(required)]
    pub date: Option<String>,
    /// The facts.
    pub facts: Vec<Fact>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_numbered_in_their_order() {
        assert!(Fact::ALL.iter().enumerate().all(|(number, fact)| *fact as usize == number));
    }

    #[test]
    fn each_flag_is_its_own() {
        for flag in Flag::ALL {
            let mut flags = Flags::default();
            *flags.get_mut(flag) = Some(true);
            let json = serde_json::to_value(flags).unwrap();
            assert_eq!(json[flag.as_str()], true);
            assert!(Flag::ALL.iter().all(|other| flags.get(*other).is_some() == (*other == flag)));
        }
    }
}
