//! The values of the configuration file that have rules of their own.

use std::fmt;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use actix_web::http::Uri;
use serde::de::value::Error as ValueError;
use serde::de::{DeserializeOwned, IntoDeserializer as _};
use serde::{Deserialize, Deserializer, de};

use crate::domain::{ApiKey, CountryCode, Flag, Network};

/// A span of time, written `"90d"`, `"10m"` or `"1h 30m"`: more than nothing, at most 100 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period(Duration);

/// Why a text is no period.
#[derive(Debug, thiserror::Error)]
pub enum PeriodError {
    /// Not a span of time at all.
    #[error("not a duration such as \"90d\", \"10m\" or \"1h\"")]
    Malformed,
    /// Nothing, or more than 100 years.
    #[error("a duration must be more than zero and at most 36500d")]
    OutOfRange,
}

impl Period {
    pub(super) const LONGEST: Duration = Duration::from_hours(36_500 * 24);

    /// A period that the program itself sets.
    pub(super) const fn new(duration: Duration) -> Self {
        Self(duration)
    }

    /// The span of time.
    #[must_use]
    pub fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let duration = humantime::parse_duration(text).map_err(|_| PeriodError::Malformed)?;
        // The clock counts in milliseconds.
        if duration < Duration::from_millis(1) || duration > Self::LONGEST {
            return Err(PeriodError::OutOfRange);
        }
        Ok(Self(duration))
    }
}

/// The name of an organisation: 1 to 64 letters, digits, `-`, `_` and `.`, for it is typed on the
/// command line.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct OrganisationName(String);

/// The text is no name of an organisation.
#[derive(Debug, thiserror::Error)]
#[error("an organisation's name must be 1 to 64 letters, digits, dashes, underscores or dots")]
pub struct OrganisationNameError;

impl OrganisationName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for OrganisationName {
    type Err = OrganisationNameError;

    fn from_str(text: &str) -> Result<Self, OrganisationNameError> {
        let is_allowed = |character: char| character.is_alphanumeric() || "-_.".contains(character);
        if text.is_empty() || text.chars().count() > 64 || !text.chars().all(is_allowed) {
            return Err(OrganisationNameError);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for OrganisationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A file, relative to the configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePath(PathBuf);

/// The text names no file.
#[derive(Debug, thiserror::Error)]
#[error("a path must not be empty")]
pub struct FilePathError;

impl FilePath {
    /// A path that the program itself sets.
    pub(super) fn new(path: &str) -> Self {
        Self(path.into())
    }

    /// Reads the path from `folder` on, unless it is absolute.
    pub(super) fn join_to(&mut self, folder: &Path) {
        self.0 = folder.join(&self.0);
    }
}

impl Deref for FilePath {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl FromStr for FilePath {
    type Err = FilePathError;

    fn from_str(text: &str) -> Result<Self, FilePathError> {
        if text.is_empty() { Err(FilePathError) } else { Ok(Self::new(text)) }
    }
}

/// A DNS server, written as an address, with a port unless it is 53.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DnsServer(SocketAddr);

/// The text is no DNS server.
#[derive(Debug, thiserror::Error)]
#[error("not a DNS server such as 127.0.0.1, 127.0.0.1:5353 or [::1]:5353")]
pub struct DnsServerError;

impl DnsServer {
    const PORT: u16 = 53;

    /// Its address.
    #[must_use]
    pub fn get(self) -> SocketAddr {
        self.0
    }
}

impl FromStr for DnsServer {
    type Err = DnsServerError;

    fn from_str(text: &str) -> Result<Self, DnsServerError> {
        text.parse()
            .or_else(|_| text.parse::<IpAddr>().map(|address| SocketAddr::new(address, Self::PORT)))
            .map(Self)
            .map_err(|_| DnsServerError)
    }
}

/// The origin of a web page, as a browser says it: `https://shop.example` or `http://localhost:3000`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(String);

/// The text is no origin.
#[derive(Debug, thiserror::Error)]
#[error(
    "not an origin such as https://shop.example or http://localhost:3000, in lower case, without a path and without the usual port"
)]
pub struct OriginError;

impl Origin {
    /// The origin.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).ok_or(OriginError)?;
        let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte);
        // What the routes are given to compare is a URI.
        let uri: Uri = text.parse().map_err(|_| OriginError)?;
        let name = uri.host().filter(|name| !name.is_empty()).ok_or(OriginError)?;
        let is_name = match name.strip_prefix('[').map(|address| address.trim_end_matches(']')) {
            Some(address) => address.parse().is_ok_and(|ip: Ipv6Addr| name == format!("[{ip}]")),
            None => !name.contains(['[', ']', ':']),
        };
        // Browsers never say the port that is the scheme's own.
        let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        let is_port = match host.strip_prefix(name) {
            Some("") => true,
            port => uri.port_u16().is_some_and(|number| number != usual && port == Some(&format!(":{number}"))),
        };
        if host.bytes().all(is_allowed) && is_name && is_port { Ok(Self(text.to_owned())) } else { Err(OriginError) }
    }
}

/// An address to listen on, as it is read.
struct ListenAddress(SocketAddr);

/// The text is no address to listen on.
#[derive(Debug, thiserror::Error)]
#[error("not an IP address and a port such as 127.0.0.1:8080 or [::1]:8080")]
struct ListenAddressError;

impl FromStr for ListenAddress {
    type Err = ListenAddressError;

    fn from_str(text: &str) -> Result<Self, ListenAddressError> {
        text.parse().map(Self).map_err(|_| ListenAddressError)
    }
}

/// Reads an address to listen on.
pub(super) fn socket_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    ListenAddress::deserialize(deserializer).map(|address| address.0)
}

/// Like [`socket_address`], for a key that may be absent.
pub(super) fn some_socket_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    socket_address(deserializer).map(Some)
}

/// Reads one of an enum's words; what is no text at all is told which there are.
pub(super) fn word<'de, Word: DeserializeOwned, D: Deserializer<'de>>(deserializer: D) -> Result<Word, D::Error> {
    deserializer.deserialize_any(OneOf(PhantomData))
}

struct OneOf<Word>(PhantomData<Word>);

impl<Word: DeserializeOwned> de::Visitor<'_> for OneOf<Word> {
    type Value = Word;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The enum itself knows its words, and tells them to whoever has another.
        let told = Word::deserialize("".into_deserializer())
            .map_or_else(|error: ValueError| error.to_string(), |_| String::new());
        f.write_str(told.split_once("expected ").map_or("a word in quotes", |(_, words)| words))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Word, E> {
        Word::deserialize(text.into_deserializer())
    }
}

/// Reads a value that is written as text by its `FromStr`, within the visit, so that an error knows its line also in
/// a list of several lines.
struct Text<Value> {
    expected: &'static str,
    value: PhantomData<Value>,
}

impl<Value: FromStr<Err: fmt::Display>> de::Visitor<'_> for Text<Value> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        text.parse().map_err(de::Error::custom)
    }
}

macro_rules! deserialize_from_str {
    ($($value:ty: $expected:literal,)+) => {$(
        impl<'de> Deserialize<'de> for $value {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Text { expected: $expected, value: PhantomData })
            }
        }
    )+};
}

deserialize_from_str! {
    ApiKey: "an API key in quotes",
    CountryCode: "a country code such as \"CZ\"",
    DnsServer: "a DNS server such as \"127.0.0.1\"",
    FilePath: "a path in quotes",
    Flag: "a flag such as \"tor\"",
    ListenAddress: "an address and a port in quotes, such as \"127.0.0.1:8081\"",
    Network: "an address or a network such as \"10.0.0.0/8\"",
    OrganisationName: "a name in quotes",
    Origin: "an origin such as \"https://shop.example\"",
    Period: "a duration such as \"90d\"",
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn periods_are_bounded() {
        for (text, seconds) in [("90d", 90 * 86_400), ("10m", 600), ("1h 30m", 5_400)] {
            assert_eq!(text.parse::<Period>().unwrap().get(), Duration::from_secs(seconds));
        }
        for text in ["", "0s", "0", "90", "-1d", "soon", "1ns", "36501d", "99999999999999999999d"] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_dns_server_has_port_53_unless_it_is_said() {
        for (text, address) in [
            ("127.0.0.1", "127.0.0.1:53"),
            ("127.0.0.1:5353", "127.0.0.1:5353"),
            ("::1", "[::1]:53"),
            ("[2001:db8::1]:5353", "[2001:db8::1]:5353"),
        ] {
            assert_eq!(text.parse::<DnsServer>().unwrap().get().to_string(), address);
        }
        for text in ["", "dns.example", "127.0.0.1:", "127.0.0.1:99999", "[::1]"] {
            assert!(text.parse::<DnsServer>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_origin_has_a_scheme_and_no_path() {
        for text in ["https://shop.example", "http://localhost:3000", "http://[::1]:8080"] {
            assert_eq!(text.parse::<Origin>().unwrap().as_str(), text);
        }
        for text in ["", "*", "shop.example", "https://", "https://shop.example/", "https://Shop.example", "null"] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
        // Browsers never send these, and some would keep the server from starting.
        for host in [
            "::1:3000", "a:b:c", "a:", "a:99999", "a:443", "a:0443", "a:080", ":8080", "[]", "[x]", "[::1", "[::01]",
            "[a]b:8",
        ] {
            assert!(format!("https://{host}").parse::<Origin>().is_err(), "{host}");
        }
        assert!("http://a:443".parse::<Origin>().is_ok() && "http://a:80".parse::<Origin>().is_err());
    }

    proptest! {
        #[test]
        fn reading_any_text_never_panics(text: String) {
            let _ = (text.parse::<Period>(), text.parse::<OrganisationName>(), text.parse::<DnsServer>());
            let _ = (text.parse::<Origin>(), format!("https://{text}").parse::<Origin>());
        }
    }
}
