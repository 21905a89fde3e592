//! The shim: compiled here, put between a program, its files and its clocks, and told which calls are to fail or to take
//! long, and what time it is.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

/// The calls that can fail, as the shim numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    Open = 1,
    Read,
    Write,
    Sync,
    Truncate,
    Unlink,
    /// `SQLite` syncs the folder when it has made a file, and goes on when that fails.
    SyncFolder = 10,
}

/// Which calls fail: the `first` one of a kind, counted from 1, and perhaps all that come after it.
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    pub kind: Kind,
    pub first: u64,
    pub for_ever: bool,
    /// As in `errno`.
    pub error: i32,
}

/// The compiled shim.
pub struct Shim {
    folder: TempDir,
}

impl Shim {
    pub fn compile() -> Self {
        // Not where the system may let nothing be run.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/disk/shim.c");
        let arguments = ["-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", source, "-o"];
        let status = Command::new("cc").args(arguments).arg(folder.path().join("shim.so")).status();
        assert!(status.expect("there is a C compiler").success());
        Self { folder }
    }

    /// Puts the shim between a program and the files in `folder`.
    pub fn put_under(&self, command: &mut Command, folder: &Path, record: &Path, orders: &Orders) {
        command
            .env("LD_PRELOAD", self.folder.path().join("shim.so"))
            .env("DISK_FOLDER", folder)
            .env("DISK_RECORD", record)
            .env("DISK_ORDERS", &orders.path);
    }
}

/// What the shim is told, while programs run: words in a file that is mapped into their memory.
pub struct Orders {
    path: PathBuf,
    file: File,
}

impl Orders {
    const FAILURE: u64 = 0;
    const FORGETFUL: u64 = 4;
    const SYNC_MS: u64 = 5;
    const LEAP: u64 = 6;
    const PASSED: u64 = 7;
    const CALLS: u64 = 8;
    const WORDS: usize = 32;

    pub fn new(path: PathBuf) -> Self {
        std::fs::write(&path, [0; Self::WORDS * 8]).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        Self { path, file }
    }

    /// Counts the calls from here on, and lets these fail.
    pub fn fail(&self, failure: Failure) {
        self.write(Self::CALLS, &[0; Self::WORDS - 8]);
        let error = failure.error.unsigned_abs().into();
        self.write(Self::FAILURE + 1, &[failure.first, failure.for_ever.into(), error]);
        self.write(Self::FAILURE, &[failure.kind as u64]);
    }

    /// No call fails or is counted any more.
    pub fn mend(&self) {
        self.write(Self::FAILURE, &[0]);
    }

    /// How many calls of a kind were counted.
    pub fn calls(&self, kind: Kind) -> u64 {
        let mut word = [0; 8];
        self.file.read_exact_at(&mut word, (Self::CALLS + kind as u64) * 8).unwrap();
        u64::from_ne_bytes(word)
    }

    /// The syncs of the WAL are not made, although the program is told so.
    pub fn forget_syncs_of_wal(&self) {
        self.write(Self::FORGETFUL, &[1]);
    }

    /// Every sync takes so long from now on, also those under way.
    pub fn slow_down(&self, sync: Duration) {
        self.write(Self::SYNC_MS, &[u64::try_from(sync.as_millis()).unwrap()]);
    }

    /// The time of day is so many seconds wrong from now on: the clock was set, for it to be right again with 0.
    pub fn leap(&self, seconds: i64) {
        self.write(Self::LEAP, &[seconds.cast_unsigned()]);
    }

    /// So many seconds have passed since the beginning, by all clocks.
    pub fn pass(&self, seconds: i64) {
        self.write(Self::PASSED, &[seconds.cast_unsigned()]);
    }

    fn write(&self, word: u64, values: &[u64]) {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
        self.file.write_all_at(&bytes, word * 8).unwrap();
    }
}
