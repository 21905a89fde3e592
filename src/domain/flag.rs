//! What somebody may hide behind.

use std::str::FromStr;

/// A flag of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flag {
    /// A machine in a data centre.
    Hosting,
    /// A proxy that many use.
    Proxy,
    /// A virtual private network.
    Vpn,
    /// An exit of the Tor network.
    Tor,
    /// Any of the three before, or anything else that hides who somebody is.
    Anonymous,
}

/// The text names no flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not one of the flags hosting, proxy, vpn, tor, anonymous")]
pub struct UnknownFlag;

impl Flag {
    /// All there are.
    pub const ALL: [Self; 5] = [Self::Hosting, Self::Proxy, Self::Vpn, Self::Tor, Self::Anonymous];

    /// Those that make an address anonymous.
    pub const HIDING: [Self; 3] = [Self::Proxy, Self::Vpn, Self::Tor];

    /// How the configuration and the API call it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hosting => "hosting",
            Self::Proxy => "proxy",
            Self::Vpn => "vpn",
            Self::Tor => "tor",
            Self::Anonymous => "anonymous",
        }
    }
}

impl FromStr for Flag {
    type Err = UnknownFlag;

    fn from_str(text: &str) -> Result<Self, UnknownFlag> {
        Self::ALL.into_iter().find(|flag| flag.as_str() == text).ok_or(UnknownFlag)
    }
}
