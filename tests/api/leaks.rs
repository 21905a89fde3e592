//! The search for secrets: each key and identity id that any test uses or is given must stand in no line that any
//! server of the tests logs, and in no error. A find fails the test whose server it was.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::{LazyLock, Mutex, MutexGuard, Once, PoisonError};

use log::kv::{Error, Key, Value, VisitSource};
use log::{LevelFilter, Log, Metadata, Record};
use magic_auth::domain::{ApiKey, IdentityId};

static SEARCH: LazyLock<Mutex<Search>> = LazyLock::new(Mutex::default);

/// A find is a panic, and other tests go on.
fn search() -> MutexGuard<'static, Search> {
    SEARCH.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is looked for, and where. A line may come before the test is given the secret that stands in it.
#[derive(Default)]
struct Search {
    secrets: HashSet<String>,
    /// The last line of the log, with its number, for all that ever stood in it and has the form of a secret.
    lines: HashMap<String, (usize, String)>,
    count: usize,
}

impl Search {
    fn read(&mut self, line: &str) {
        self.count += 1;
        for text in secret_like(line) {
            self.lines.insert(text.to_owned(), (self.count, line.to_owned()));
        }
    }

    /// A line with a secret, after so many lines.
    fn find_after(&self, count: usize) -> Option<&str> {
        let lines = self.secrets.iter().filter_map(|secret| self.lines.get(secret));
        lines.filter(|(number, _)| *number > count).map(|(_, line)| line.as_str()).next()
    }
}

/// Keys and identity ids are as long as this.
const LENGTH: usize = 32;

/// Every part of the text that has the length and the characters of a secret, wherever it begins.
fn secret_like(text: &str) -> impl Iterator<Item = &str> {
    let runs = text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
    runs.flat_map(|run| (LENGTH..=run.len()).map(move |end| &run[end - LENGTH..end]))
}

/// Looks for this text from now on, and in what was logged before, if it is a key or an identity id.
pub fn remember(text: &str) {
    if ApiKey::parse(text).is_ok() || IdentityId::parse(text).is_ok() {
        search().secrets.insert(text.to_owned());
    }
}

/// The lines that were logged in this process, where there is one logger for all tests, from its start to its end.
pub struct Watch {
    lines_before: usize,
}

impl Watch {
    pub fn start() -> Self {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| {
            log::set_logger(&Reader).unwrap();
            log::set_max_level(LevelFilter::Debug);
        });
        Self { lines_before: search().count }
    }

    /// Fails when a secret was logged. At the end of a test that has failed already, it is silent.
    pub fn end(&self) {
        let found = search().find_after(self.lines_before).map(str::to_owned);
        assert!(found.is_none() || std::thread::panicking(), "a secret was logged: {found:?}");
    }
}

/// Fails when a secret stands in the log of a process or in an error; as silent.
pub fn assert_nothing_in(text: &str) {
    let found = text.lines().find(|line| secret_like(line).any(|part| search().secrets.contains(part)));
    assert!(found.is_none() || std::thread::panicking(), "a secret was told: {found:?}");
}

struct Reader;

impl Log for Reader {
    /// (The client of the tests logs too, and knows no secrets.)
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        !metadata.target().starts_with("ureq")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut line = Line(format!("{} {}", record.target(), record.args()));
        record.key_values().visit(&mut line).unwrap();
        search().read(&line.0);
    }

    fn flush(&self) {}
}

/// A line with its fields.
struct Line(String);

impl<'kvs> VisitSource<'kvs> for Line {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        Ok(write!(self.0, " {key}={value}")?)
    }
}

#[test]
fn a_secret_is_found_wherever_it_stands_and_whenever_it_is_known() {
    let secret = "PRODfound00000000000000000000000";
    let found = |line: &str| {
        let mut search = Search::default();
        search.read("before");
        search.read(line);
        search.secrets.insert(secret.to_owned());
        assert_eq!(search.find_after(2), None);
        search.find_after(1).is_some()
    };
    for line in [secret, &format!("apiKey={secret}&x"), &format!("\"{secret}\""), &format!("xx{secret}_xx é")] {
        assert!(found(line), "{line}");
    }
    assert!(!found(&secret[1..]) && !found("PROD…0000") && !found(&secret.to_lowercase()));
}
