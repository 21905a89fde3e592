//! What the shim records: the calls that changed the files of a folder, in their order.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

/// Files by their names.
pub type Files = BTreeMap<String, Vec<u8>>;

/// All files in a folder.
pub fn read_files(folder: &Path) -> Files {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())).collect()
}

/// Makes the folder hold these files and no others.
pub fn write_files(folder: &Path, files: &Files) {
    std::fs::create_dir_all(folder).unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    for (name, content) in files {
        std::fs::write(folder.join(name), content).unwrap();
    }
}

/// A call that succeeded, or that the shim let fail.
#[derive(Debug)]
pub enum Call {
    Create {
        name: String,
        inode: u64,
    },
    Open {
        name: String,
        inode: u64,
    },
    Write {
        inode: u64,
        offset: u64,
        data: Range<usize>,
    },
    Truncate {
        inode: u64,
        length: u64,
    },
    Sync {
        inode: u64,
    },
    SyncFolder,
    Unlink {
        name: String,
    },
    Rename {
        from: String,
        to: String,
    },
    /// No call, but a name that a file was seen to have.
    Name {
        name: String,
        inode: u64,
    },
    /// A call of this kind was made to fail.
    Failure {
        kind: u64,
    },
}

/// The calls, with the data that was written.
pub struct Recording {
    bytes: Vec<u8>,
    /// Each with where its record ends.
    pub calls: Vec<(u64, Call)>,
}

impl Recording {
    pub fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let mut calls = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let [kind, inode, offset, length] =
                [0, 8, 16, 24].map(|word| u64::from_ne_bytes(bytes[at + word..][..8].try_into().unwrap()));
            let data = at + 32..at + 32 + usize::try_from(length).unwrap();
            let name = || String::from_utf8_lossy(&bytes[data.clone()]).into_owned();
            at = data.end;
            let call = match (kind, inode, offset) {
                (1, _, 0) => Call::Open { name: name(), inode },
                (1, ..) => Call::Create { name: name(), inode },
                (3, ..) => Call::Write { inode, offset, data },
                (4, ..) => Call::Sync { inode },
                (5, ..) => Call::Truncate { inode, length: offset },
                (6, ..) => Call::Unlink { name: name() },
                (7, ..) => {
                    let (from, to) = name().split_once('/').map(|(from, to)| (from.to_owned(), to.to_owned())).unwrap();
                    Call::Rename { from, to }
                }
                (8, ..) => Call::Name { name: name(), inode },
                (9, ..) => Call::Failure { kind: offset },
                (10, ..) => Call::SyncFolder,
                _ => panic!("no record: {kind} at {at}"),
            };
            calls.push((at as u64, call));
        }
        Self { bytes, calls }
    }

    /// The record as the shim wrote it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn data(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }
}
