//! Who is behind an address: country, place, network, and what somebody may hide behind. All of it is
//! known offline, from files that the operator has, in memory; only `reverse_dns` asks the network, for a name.
//!
//! - `address` tells by its bits what an address is for. Only public ones are looked up.
//! - `source` reads the files: a `database` with its `record`s, or a list of `networks`.
//! - `look_up` asks them in the order of the configuration; `facts` is what comes out.
//!
//! The first source that knows a fact is believed. Of a flag, whoever says that an address has it; it is unknown
//! when no source could know.

mod address;
mod database;
mod facts;
mod hosting;
mod look_up;
mod networks;
mod record;
mod reverse_dns;
mod source;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use log::{error, info, warn};
use parking_lot::{Mutex, RwLock};

pub use address::AddressKind;
pub use facts::{Fact, Flags, IpFacts, IpTraits, SourceOfFacts};
pub use reverse_dns::{ReverseDns, SystemServersError, Unanswered};
pub use source::{Contents, Examined, GeoIpError, SourceFile};

use crate::config::GeoIpConfig;
use crate::domain::Timestamp;
use address::Address;
use database::Scope;
use hosting::HostingAsns;
use look_up::Found;
use record::Record;
use source::{Source, Stamp};

/// All that is known offline.
#[derive(Debug)]
pub struct GeoIp {
    files: Vec<SourceFile>,
    /// What was read of each file. Whoever looks something up holds it for a microsecond.
    sources: RwLock<Vec<Arc<Source>>>,
    hosting: HostingAsns,
    /// What each file was when it was last read, with or without success. Held by whoever reads them anew.
    seen: Mutex<Vec<Option<Stamp>>>,
}

impl GeoIp {
    /// Opens all the files of the configuration.
    ///
    /// # Errors
    /// When one of them is missing, no database, or has a line that is wrong.
    pub fn load(config: &GeoIpConfig) -> Result<Self, GeoIpError> {
        let files = SourceFile::all(config);
        // Before they are read, so that what is changed meanwhile is not missed.
        let seen = files.iter().map(SourceFile::stamp).collect();
        let sources: Result<Vec<_>, _> = files.iter().map(|file| file.read().map(Arc::new)).collect();
        let sources = sources?;
        for source in sources.iter().filter(|source| source.is_empty_list()) {
            warn!("the list {} is empty: a rule of [sign_in.deny] that needs it denies nobody", source.name);
        }
        let hosting = HostingAsns::new(config.hosting_asns.as_deref());
        Ok(Self { files, sources: RwLock::new(sources), hosting, seen: Mutex::new(seen) })
    }

    /// Whether there is nothing to ask about an address.
    #[must_use]
    pub fn knows_nothing(&self) -> bool {
        self.files.is_empty()
    }

    /// All that is known of an address. Takes about two microseconds.
    #[must_use]
    pub fn look_up(&self, ip: IpAddr) -> IpFacts {
        let address = Address::new(ip);
        let mut facts = IpFacts::unknown(ip, address.kind, address.embedded);
        if let Some(address) = address.asked_for() {
            let sources = self.sources.read();
            Found::look_up(address, Scope::All, &sources, &self.hosting).tell(&mut facts, &sources, &self.hosting);
        }
        facts
    }

    /// What a rule may ask about an address. Takes about a microsecond, and no memory.
    #[must_use]
    pub fn traits(&self, ip: IpAddr) -> IpTraits {
        let address = Address::new(ip);
        let sources = self.sources.read();
        let found =
            address.asked_for().map(|address| Found::look_up(address, Scope::Traits, &sources, &self.hosting).record);
        let Record { country, asn, flags, .. } = found.unwrap_or_default();
        IpTraits { country, asn, flags }
    }

    /// How long ago each file was made, by its path.
    #[must_use]
    pub fn ages(&self, now: Timestamp) -> Vec<(String, Duration)> {
        let sources = self.sources.read();
        let files = self.files.iter().zip(sources.iter());
        files.map(|(file, source)| (file.path.display().to_string(), now.since(source.made_at))).collect()
    }

    /// Reads the files anew that have changed since they were last read, each as a whole. One that is broken or gone
    /// is told of in the log once, and what it was before stays in use. Looking things up goes on meanwhile.
    ///
    /// This blocks, for a second and more when a large database has changed.
    pub fn reload_changed(&self) {
        let mut seen = self.seen.lock();
        for (number, (file, seen)) in self.files.iter().zip(seen.iter_mut()).enumerate() {
            let stamp = file.stamp();
            if stamp != *seen {
                *seen = stamp;
                self.reload(number, file);
            }
        }
    }

    fn reload(&self, number: usize, file: &SourceFile) {
        let Some(before) = self.sources.read().get(number).cloned() else { return };
        let source = match file.read_again(&before) {
            Ok(source) => Arc::new(source),
            Err(error) => return error!("{error}; the contents read earlier stay in use"),
        };
        info!("read {} again: {}, made on {}", file.path.display(), source.name, source.date);
        // `before` keeps the old one alive until the lock is free: nobody waits while a hundred megabytes are given back.
        if let Some(place) = self.sources.write().get_mut(number) {
            *place = source;
        }
    }
}
