//! The disk as it may be after a power cut.
//!
//! What was synced is there: of a file all that was written before its last sync, of the folder all names that it had at
//! its last sync. Of what came later, nothing is sure: each write is there, is not, is there in some of its sectors, or
//! has left zeros; each change of a length or of a name is there or is not.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use fastrand::Rng;

use crate::recording::{Call, Files, Recording};

/// What a disk writes wholly or not at all.
const SECTOR: usize = 512;

/// The files of the folder: what of them is sure, and what is not.
pub struct Disk<'r> {
    recording: &'r Recording,
    files: Vec<Content>,
    /// Which file each inode is now: the number of a file that was removed may be given again.
    by_inode: HashMap<u64, usize>,
    names: BTreeMap<String, usize>,
    synced_names: BTreeMap<String, usize>,
    unsynced_names: Vec<Naming>,
}

#[derive(Default)]
struct Content {
    synced: Vec<u8>,
    unsynced: Vec<Change>,
}

enum Change {
    Write { offset: usize, data: Range<usize> },
    Truncate { length: usize },
}

#[derive(Clone)]
enum Naming {
    Create { name: String, file: usize },
    Unlink { name: String },
    Rename { from: String, to: String },
}

impl<'r> Disk<'r> {
    /// The disk before the first call, with these files on it for sure.
    pub fn new(recording: &'r Recording, before: &Files) -> Self {
        let files = before.values().map(|bytes| Content { synced: bytes.clone(), unsynced: Vec::new() }).collect();
        let names: BTreeMap<_, _> = before.keys().cloned().zip(0..).collect();
        Self {
            recording,
            files,
            by_inode: HashMap::new(),
            synced_names: names.clone(),
            names,
            unsynced_names: Vec::new(),
        }
    }

    /// Makes a recorded call.
    pub fn make(&mut self, call: &Call) {
        match call {
            Call::Create { name, inode } => {
                let file = self.files.len();
                self.files.push(Content::default());
                self.by_inode.insert(*inode, file);
                self.name(Naming::Create { name: name.clone(), file });
            }
            Call::Open { name, inode } => {
                self.by_inode.insert(*inode, self.names[name]);
            }
            Call::Write { inode, offset, data } => {
                self.change(*inode, Change::Write { offset: position(*offset), data: data.clone() });
            }
            Call::Truncate { inode, length } => self.change(*inode, Change::Truncate { length: position(*length) }),
            Call::Sync { inode } => {
                let file = self.by_inode[inode];
                self.files[file].sync(self.recording);
            }
            Call::SyncFolder => {
                self.synced_names.clone_from(&self.names);
                self.unsynced_names.clear();
            }
            Call::Unlink { name } => self.name(Naming::Unlink { name: name.clone() }),
            Call::Rename { from, to } => self.name(Naming::Rename { from: from.clone(), to: to.clone() }),
            Call::Name { name, inode } => {
                let file = self.by_inode.get(inode).or(self.names.get(name)).copied();
                if let Some(file) = file.filter(|file| self.names.get(name) != Some(file)) {
                    let (from, _) = self.names.iter().find(|(_, named)| **named == file).unwrap();
                    self.name(Naming::Rename { from: from.clone(), to: name.clone() });
                }
            }
            Call::Failure { .. } => {}
        }
    }

    fn change(&mut self, inode: u64, change: Change) {
        self.files[self.by_inode[&inode]].unsynced.push(change);
    }

    fn name(&mut self, naming: Naming) {
        naming.clone().apply(&mut self.names);
        self.unsynced_names.push(naming);
    }

    /// The files as a power cut may leave them.
    pub fn after_power_cut(&self, rng: &mut Rng) -> Files {
        // Now and then nearly all is there, so that a single loss among many writes is met too.
        let kept = [0, 10, 50, 90, 100][rng.usize(..5)];
        let mut names = self.synced_names.clone();
        for naming in &self.unsynced_names {
            if rng.u8(..100) < kept {
                naming.clone().apply(&mut names);
            }
        }
        let damaged = names.into_iter().map(|(name, file)| (name, self.damage(&self.files[file], kept, rng)));
        damaged.collect()
    }

    fn damage(&self, content: &Content, kept: u8, rng: &mut Rng) -> Vec<u8> {
        let mut bytes = content.synced.clone();
        for change in &content.unsynced {
            if rng.u8(..100) < kept {
                change.apply(self.recording, &mut bytes);
            } else if let Change::Write { offset, data } = change {
                let data = self.recording.data(data.clone());
                match rng.u8(..3) {
                    0 => {}
                    1 => tear(&mut bytes, *offset, data, rng),
                    _ => overwrite(&mut bytes, *offset, &vec![0; data.len()]),
                }
            }
        }
        bytes
    }
}

impl Content {
    fn sync(&mut self, recording: &Recording) {
        for change in self.unsynced.drain(..) {
            change.apply(recording, &mut self.synced);
        }
    }
}

impl Change {
    fn apply(&self, recording: &Recording, bytes: &mut Vec<u8>) {
        match self {
            Self::Write { offset, data } => overwrite(bytes, *offset, recording.data(data.clone())),
            Self::Truncate { length } => bytes.resize(*length, 0),
        }
    }
}

impl Naming {
    fn apply(self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Create { name, file } => {
                names.insert(name, file);
            }
            Self::Unlink { name } => {
                names.remove(&name);
            }
            Self::Rename { from, to } => {
                if let Some(file) = names.remove(&from) {
                    names.insert(to, file);
                }
            }
        }
    }
}

/// Writes some of the sectors.
fn tear(bytes: &mut Vec<u8>, offset: usize, data: &[u8], rng: &mut Rng) {
    let mut at = 0;
    while at < data.len() {
        let end = data.len().min(at + SECTOR - (offset + at) % SECTOR);
        if rng.bool() {
            overwrite(bytes, offset + at, &data[at..end]);
        }
        at = end;
    }
}

fn overwrite(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(data);
}

fn position(number: u64) -> usize {
    usize::try_from(number).unwrap()
}
