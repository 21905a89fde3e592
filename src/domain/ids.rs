//! The row numbers by which the parts of the service name things to each other.
//!
//! They never leave the service: outside, a customer is a `CuRefNo` and a session an `IdentityId`.

use sha2::{Digest as _, Sha256};

/// An organisation: the owner of keys and customers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrganisationId(pub i64);

impl OrganisationId {
    /// 64 bits of the SHA-256 of something of this organisation's: its short name, the same for ever.
    #[must_use]
    pub fn hash(self, thing: &[u8]) -> u64 {
        let hash = Sha256::new().chain_update(self.0.to_be_bytes()).chain_update(thing).finalize();
        hash.iter().take(8).fold(0, |bits, byte| bits << 8 | u64::from(*byte))
    }
}

/// An API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApiKeyId(pub i64);

/// A recorded attempt, or several alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttemptId(pub i64);

/// A customer of an organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CustomerId(pub i64);
