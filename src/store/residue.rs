//! What may be left of an erased person, or of an address that was changed, in parts of the file that belong to no row.
//!
//! SQLite overwrites what is deleted (`secure_delete`), but not the copy of a row that it leaves behind when it
//! moves rows between pages: about one row in two thousand. So the file itself is searched.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use memchr::memmem;

use super::{Account, Traces};
use crate::domain::{CanonicalEmail, OrganisationId};

/// The bytes by which a row of the person, or with the address, would be known.
pub struct Residue {
    needles: Vec<Vec<u8>>,
}

impl Residue {
    /// More than the longest needle.
    const OVERLAP: usize = 1_024;

    /// What a row of `customers`, an entry of its indexes, and a row of `login_attempts` would hold.
    #[must_use]
    pub fn of_person(
        organisation: OrganisationId,
        account: &Account,
        canonicals: &[CanonicalEmail],
        traces: &Traces,
    ) -> Self {
        let mut residue = Self::of_address(organisation, &account.cu_ref_no, account.email.as_deref(), canonicals);
        match &account.phone {
            // As it is, for what stood before it may be overwritten already.
            Some(phone) if !traces.is_phone_found_elsewhere => residue.needles.push(phone.as_bytes().to_vec()),
            Some(phone) => {
                // A row has it behind the cuRefNo and both forms of the address, if there is one.
                let forms = canonicals.iter().map(CanonicalEmail::as_str).chain([""]);
                let row =
                    |form| [&account.cu_ref_no, account.email.as_deref().unwrap_or_default(), form, phone].concat();
                residue.needles.extend(forms.map(|form| row(form).into_bytes()));
                residue.needles.extend(entries(organisation, phone));
            }
            None => {}
        }
        residue.needles.extend(traces.mailboxes.iter().map(|mailbox| mailbox.0.to_be_bytes().to_vec()));
        residue
    }

    /// What a row of `customers`, an entry of its index, and a row of `login_attempts` of nobody would hold of an address.
    /// (Attempts go along to the next, and know their customer then instead of the address.)
    #[must_use]
    pub fn of_address(
        organisation: OrganisationId,
        cu_ref_no: &str,
        email: Option<&str>,
        canonicals: &[CanonicalEmail],
    ) -> Self {
        // A row has the address behind the cuRefNo.
        let mut needles: Vec<_> = email.iter().map(|email| [cu_ref_no, email].concat().into_bytes()).collect();
        for canonical in canonicals {
            needles.extend(entries(organisation, canonical.as_str()));
            let mailbox = canonical.mailbox(organisation).0.to_be_bytes();
            needles.extend(email.map(|email| [&mailbox, email.as_bytes()].concat()));
        }
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

/// The text as an index of `customers` holds it, behind two more bytes: so that neither somebody's longer text is found, nor
/// the same one of another organisation. (The format of a record: <https://sqlite.org/fileformat2.html>, section 2.1.)
fn entries(organisation: OrganisationId, text: &str) -> impl Iterator<Item = Vec<u8>> {
    // The number of a row can have any of these types.
    let row_types = 1..=9;
    let before: Vec<_> = match organisation.0.to_be_bytes() {
        // These two numbers are types of their own and take no byte: what stands there is the types of the text and the row.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => {
            let [.., text_type] = (13 + 2 * text.len()).to_be_bytes();
            row_types.map(|row_type| [text_type & 0x7f, row_type]).collect()
        }
        [0, 0, 0, 0, 0, 0, 0, number @ ..=0x7f] => row_types.map(|row_type| [row_type, number]).collect(),
        [.., high, low] => vec![[high, low]],
    };
    before.into_iter().map(move |before| [&before, text.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_found_wherever_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let residue = Residue { needles: vec![b"jan@barasek.com".to_vec()] };
        let is_in = |before: usize, text: &str| {
            std::fs::write(&path, [&vec![0; before], text.as_bytes(), &[0; 100]].concat()).unwrap();
            residue.is_in(&path).unwrap()
        };
        // Also where the file is read in two pieces.
        for before in [0, 1, (1 << 20) - 7, 3 << 20] {
            assert!(is_in(before, "jan@barasek.com"), "{before}");
            assert!(!is_in(before, "jan@barasek.co"), "{before}");
        }
    }
}
