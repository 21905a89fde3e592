//! A file that facts come from: read, and looked at again to see whether it has changed.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use maxminddb::MaxMindDbError;

use super::database::Database;
use super::facts::Fact;
use super::networks::{BadLine, Networks};
use crate::config::GeoIpConfig;
use crate::domain::{Flag, Timestamp};

/// A file that the configuration names, and what for.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// The file.
    pub path: PathBuf,
    /// Of which flag it is a list; `None`: it is a database.
    pub list: Option<Flag>,
}

/// A file cannot be used. The message names the key in the configuration, the file, and the line of a list.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {place}: {cause}")]
pub struct GeoIpError {
    key: String,
    /// The file, and its line.
    place: String,
    cause: Cause,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("not a MaxMind database, or an incomplete one")]
    NoDatabase,
    #[error("the database is damaged: {0}")]
    Damaged(#[from] MaxMindDbError),
    #[error("{}", .0.cause)]
    BadLine(BadLine),
    #[error("the list has become empty")]
    Emptied,
}

/// A file that has been read.
#[derive(Debug)]
pub(super) struct Source {
    /// What people know it by.
    pub(super) name: String,
    /// When it was made, and the day of it, as each look-up tells it.
    pub(super) made_at: Timestamp,
    pub(super) date: String,
    pub(super) content: Content,
}

/// What is in it.
#[derive(Debug)]
pub(super) enum Content {
    Database(Database),
    List(Flag, Networks),
}

/// What a file that is in order is good for.
#[derive(Debug, PartialEq)]
pub struct Examined {
    /// What the database calls itself, or the list's name.
    pub name: String,
    /// When it was made.
    pub made_at: Timestamp,
    /// What can be learned from it.
    pub contents: Contents,
}

/// What can be learned from a file.
#[derive(Debug, PartialEq)]
pub enum Contents {
    /// From a database: these facts.
    Facts(Vec<Fact>),
    /// From a list: so many addresses and networks.
    Networks(usize),
}

/// What tells a file from the one that was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    /// Changes also when somebody makes it readable.
    changed: (i64, i64),
}

impl SourceFile {
    /// The files of a configuration: the databases in their order, then the lists.
    #[must_use]
    pub fn all(config: &GeoIpConfig) -> Vec<Self> {
        let lists = &config.lists;
        [
            (None, &config.databases),
            (Some(Flag::Tor), &lists.tor),
            (Some(Flag::Vpn), &lists.vpn),
            (Some(Flag::Proxy), &lists.proxy),
            (Some(Flag::Hosting), &lists.hosting),
        ]
        .into_iter()
        .flat_map(|(list, paths)| paths.iter().map(move |path| Self { path: path.to_path_buf(), list }))
        .collect()
    }

    /// Reads the file and all that is in it, which takes a second for a large database.
    ///
    /// # Errors
    /// When anything about it is wrong.
    pub fn examine(&self) -> Result<Examined, GeoIpError> {
        let source = self.read()?;
        let contents = self.examine_contents(&source)?;
        Ok(Examined { name: source.name, made_at: source.made_at, contents })
    }

    /// Reads the file, which must be in order in all its parts, in the place of what it was. A list that has become empty is
    /// not: a download that failed leaves one, and it would switch off the rules that need it.
    pub(super) fn read_again(&self, before: &Source) -> Result<Source, GeoIpError> {
        let source = self.read()?;
        self.examine_contents(&source)?;
        if source.is_empty_list() && !before.is_empty_list() { Err(self.error(Cause::Emptied)) } else { Ok(source) }
    }

    /// Reads the file. That a database can be opened does not mean that all of it is in order.
    pub(super) fn read(&self) -> Result<Source, GeoIpError> {
        let (content, changed_at) = read_file(&self.path).map_err(|cause| self.error(cause))?;
        let Some(flag) = self.list else {
            let database = Database::new(content).map_err(|_| self.error(Cause::NoDatabase))?;
            let (name, made_at) = (database.name().to_owned(), database.built_at());
            return Ok(Source::new(name, made_at, Content::Database(database)));
        };
        let networks = Networks::parse(&content).map_err(|line| self.error(Cause::BadLine(line)))?;
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Source::new(name, changed_at, Content::List(flag, networks)))
    }

    /// What the file is now; `None` when it cannot be looked at.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        let metadata = std::fs::metadata(&self.path).ok()?;
        Some(Stamp {
            file: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    fn examine_contents(&self, source: &Source) -> Result<Contents, GeoIpError> {
        match &source.content {
            Content::Database(database) => {
                database.examine().map(Contents::Facts).map_err(|cause| self.error(cause.into()))
            }
            Content::List(_, networks) => Ok(Contents::Networks(networks.count())),
        }
    }

    fn error(&self, cause: Cause) -> GeoIpError {
        let key =
            self.list.map_or_else(|| "[geoip] databases".into(), |flag| format!("[geoip.lists] {}", flag.as_str()));
        let place = match &cause {
            Cause::BadLine(line) => format!("{}:{}", self.path.display(), line.number),
            _ => self.path.display().to_string(),
        };
        GeoIpError { key, place, cause }
    }
}

impl Source {
    fn new(name: String, made_at: Timestamp, content: Content) -> Self {
        Self { name, made_at, date: made_at.day(), content }
    }

    pub(super) fn is_empty_list(&self) -> bool {
        matches!(&self.content, Content::List(_, networks) if networks.count() == 0)
    }
}

/// What is in a file, and when it was changed. A pipe or a device, of which there is no end, is no file.
fn read_file(path: &Path) -> Result<(Vec<u8>, Timestamp), Cause> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a file").into());
    }
    Ok((std::fs::read(path)?, Timestamp::from_millis(metadata.mtime().saturating_mul(1_000))))
}
