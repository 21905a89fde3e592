//! The values of the service and their rules: what is valid, how it is normalised, what it is called.
//!
//! A value with rules has a private field and one constructor, so that whoever holds one need not check
//! it again. Nothing here does I/O, and nothing here knows HTTP or SQL.

mod api_key;
mod base62;
mod client_ip;
mod country_code;
mod cu_ref_no;
mod digest;
mod email;
mod flag;
mod host_name;
mod identity_id;
mod ids;
mod mailbox;
mod network;
mod outcome;
mod permission;
mod person_name;
mod phone_number;
mod tidy;
mod timestamp;

pub use api_key::{ApiKey, ApiKeyError, KeyKind};
pub(crate) use client_ip::embedded_ipv4;
pub use client_ip::{ClientIp, ClientIpError, parse_ip};
pub use country_code::{CountryCode, CountryCodeError};
pub use cu_ref_no::{CuRefNo, CuRefNoError};
pub use digest::Digest;
pub use email::{EmailAddress, EmailError};
pub use flag::{Flag, UnknownFlag};
pub use host_name::{HostName, HostNameError};
pub use identity_id::{IdentityId, IdentityIdError, SessionId};
pub use ids::{ApiKeyId, AttemptId, CustomerId, OrganisationId};
pub use mailbox::{CanonicalEmail, Canonicalization, Mailbox};
pub use network::{Network, NetworkError};
pub use outcome::{Outcome, Refusal, UnknownOutcome};
pub use permission::{Permission, Permissions, UnknownPermission};
pub use person_name::{PersonName, PersonNameError};
pub use phone_number::{Country, CountryError, PhoneNumber, PhoneNumberError};
pub(crate) use tidy::is_invisible;
pub use tidy::{BanReason, CompanyName, LineError};
pub use timestamp::{Timestamp, TimestampError};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_shown_for_debugging_tells_nothing_that_a_log_must_not_have() {
        let email = EmailAddress::parse("jan@barasek.com").unwrap();
        let shown = [
            format!("{:?}", ApiKey::parse("PROD0123456789abcdefghijklmnopqr").unwrap()),
            format!("{:?}", email.canonical(Canonicalization::Provider)),
            format!("{email:?}"),
            format!("{:?}", Digest::of("secret")),
            format!("{:?}", IdentityId::generate(Timestamp::from_millis(0))),
            format!("{:?}", PersonName::parse("Jan").unwrap()),
            format!("{:?}", PhoneNumber::parse("+420777123456", None).unwrap()),
            format!("{:?}", BanReason::parse("fraud").unwrap()),
        ];
        let closed = [
            "ApiKey",
            "CanonicalEmail",
            "EmailAddress(j***@barasek.com)",
            "Digest",
            "IdentityId",
            "PersonName",
            "PhoneNumber",
            "Line",
        ];
        assert_eq!(shown, closed);
        assert_eq!(format!("{:?}", "cz".parse::<CountryCode>().unwrap()), "CZ");
    }
}
