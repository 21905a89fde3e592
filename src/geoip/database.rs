//! A database in MaxMind's format, held in memory.

use std::collections::HashSet;
use std::net::IpAddr;

use maxminddb::{MaxMindDbError, Reader, WithinOptions};

use super::facts::Fact;
use super::record::{Record, Traits, name};
use crate::domain::{Flag, Timestamp};

/// An open database.
#[derive(Debug)]
pub(super) struct Database {
    reader: Reader<Vec<u8>>,
    /// Whether it has the addresses that hide somebody, and only those.
    is_of_anonymity: bool,
}

/// How much is asked of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Everything.
    All,
    /// What [`super::IpTraits`] has, which takes less time.
    Traits,
}

impl Database {
    /// Opens what a file contains. That its records can be read is what [`Self::examine`] is for, which takes longer.
    pub(super) fn new(content: Vec<u8>) -> Result<Self, MaxMindDbError> {
        let reader = Reader::from_source(content)?;
        // What it calls itself goes with every answer. Some call themselves nothing.
        let own_name = reader.metadata().database_type.as_str();
        if !own_name.is_empty() && name(own_name).is_none() {
            return Err(MaxMindDbError::invalid_database("what it calls itself is no name"));
        }
        let is_of_anonymity = reader.metadata().database_type.to_ascii_lowercase().contains("anonymous");
        Ok(Self { reader, is_of_anonymity })
    }

    /// What it calls itself.
    pub(super) fn name(&self) -> &str {
        &self.reader.metadata().database_type
    }

    /// When its vendor made it.
    pub(super) fn built_at(&self) -> Timestamp {
        let seconds = i64::try_from(self.reader.metadata().build_epoch).unwrap_or(i64::MAX);
        Timestamp::from_millis(seconds.saturating_mul(1_000))
    }

    /// What it says of a public address. A record that cannot be read says nothing.
    pub(super) fn find(&self, address: IpAddr, scope: Scope) -> Record<'_> {
        if address.is_ipv6() && self.reader.metadata().ip_version == 4 {
            return Record::default();
        }
        let record = self.reader.lookup(address).and_then(|found| match scope {
            Scope::All => found.decode(),
            Scope::Traits => Ok(found.decode()?.map(|Traits(record)| record)),
        });
        record.map_or_else(|_| Record::default(), |record| self.complete(record))
    }

    /// An address that has no record hides nobody, if the database has those that do.
    fn complete<'d>(&self, record: Option<Record<'d>>) -> Record<'d> {
        let mut record = record.unwrap_or_default();
        if self.is_of_anonymity {
            for flag in Flag::ALL {
                record.flags.get_mut(flag).get_or_insert(false);
            }
        }
        record
    }

    /// Reads every record once, as [`Self::find`] does, and says which facts the database has.
    ///
    /// (The library's own examination refuses files without a description, which some vendors make.)
    pub(super) fn examine(&self) -> Result<Vec<Fact>, MaxMindDbError> {
        // A tree has one end more than it has nodes. Some makers let branches that are alike share their nodes.
        let most = self.reader.metadata().node_count as usize * 3;
        let mut networks = self.reader.networks(WithinOptions::default().include_networks_without_data())?;
        let mut examined = HashSet::new();
        let mut known = HashSet::new();
        for network in networks.by_ref().take(most) {
            let network = network?;
            if network.offset().is_some_and(|offset| examined.insert(offset)) {
                let record = self.complete(network.decode()?);
                known.extend(Fact::ALL.into_iter().filter(|fact| record.has(*fact)));
            }
        }
        if networks.next().is_some() {
            return Err(MaxMindDbError::invalid_database("the search tree goes in circles"));
        }
        Ok(Fact::ALL.into_iter().filter(|fact| known.contains(fact)).collect())
    }
}
