//! What may be left of an erased person in parts of the file that belong to no row.
//!
//! SQLite overwrites what is deleted (`secure_delete`), but not the copy of a row that it leaves behind when it
//! moves rows between pages: about one row in two thousand. So the file itself is searched.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use memchr::memmem;

use super::Account;
use crate::domain::{CanonicalEmail, OrganisationId};

/// The bytes by which a row of the person would be known.
pub struct Residue {
    needles: Vec<Vec<u8>>,
}

impl Residue {
    /// More than the longest needle.
    const OVERLAP: usize = 1_024;

    /// What a row of `customers`, and an entry of its indexes, would hold.
    #[must_use]
    pub fn of(organisation: OrganisationId, account: &Account, canonical: Option<&CanonicalEmail>) -> Self {
        // A row has the address behind the cuRefNo. An entry of an index has it behind the organisation's number,
        // or when that takes no byte, behind the type of the row's: so that somebody's longer address is no find.
        let email = account.email.as_deref().unwrap_or_default();
        let mut needles = vec![[account.cu_ref_no.as_bytes(), email.as_bytes()].concat()];
        let [.., number] = organisation.0.to_be_bytes();
        for before in (1..=9).chain([number]) {
            let unique = [canonical.map(CanonicalEmail::as_str), account.phone.as_deref()];
            needles.extend(unique.into_iter().flatten().map(|text| [&[before], text.as_bytes()].concat()));
        }
        // Without an address, the number itself follows the cuRefNo, which stays.
        needles.retain(|needle| needle.len() > account.cu_ref_no.len());
        Self { needles }
    }

    /// Whether the file holds any of it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn is_in(&self, path: &Path) -> io::Result<bool> {
        let finders: Vec<_> = self.needles.iter().map(memmem::Finder::new).collect();
        let mut file = File::open(path)?;
        let mut window = Vec::new();
        loop {
            window.drain(..window.len().saturating_sub(Self::OVERLAP));
            if file.by_ref().take(1 << 20).read_to_end(&mut window)? == 0 {
                return Ok(false);
            }
            if finders.iter().any(|finder| finder.find(&window).is_some()) {
                return Ok(true);
            }
        }
    }
}
