//! A database in a folder of its own, and all that is known of it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};
use magic_auth::domain::{ApiKey, IdentityId, Timestamp};
use rusqlite::{Connection, params};
use tempfile::TempDir;

use crate::backups::Backup;
use crate::ledger::{Customer, Known, Ledger, Session};
use crate::server::Server;

/// A system key: it is not throttled.
pub const ROOT: &str = "ROOTshop000000000000000000000000";

/// A production key: of its attempts the throttle is rebuilt.
const PROD: &str = "PRODshop000000000000000000000000";

/// The threads that sign customers in.
pub const CALLERS: usize = 4;

/// Customers of the database of the first version. One of ten has logged out, and one of ten is banned.
pub const OLD_CUSTOMERS: u32 = 200;

/// Their attempts, of the last minutes.
const OLD_ATTEMPTS: u32 = 30_000;

/// A database with all that is known of it.
pub struct Shop {
    pub folder: TempDir,
    /// The server that runs, and where.
    pub server: Option<(Server, SocketAddr)>,
    /// How long the last start took.
    pub last_start: Duration,
    /// What each thread knows that calls the service.
    pub callers: [Mutex<Ledger>; CALLERS],
    /// What the operator knows, who calls the service too.
    pub operator: Mutex<Ledger>,
    pub papers: Papers,
    /// Whose mailbox it was found to be.
    pub owners: HashMap<String, String>,
}

/// What the command line has done.
#[derive(Default)]
pub struct Papers {
    /// Keys that were made, and whether they are in force.
    pub keys: Vec<(String, Known)>,
    /// Files of customers, each of which has its place here in its name.
    pub imports: Vec<Import>,
    /// The backups of this round.
    pub backups: Vec<Backup>,
}

/// A file of customers.
pub struct Import {
    pub rows: u32,
    pub is_imported: Known,
    /// Whether it was not checked yet.
    pub is_due: bool,
}

impl Shop {
    /// A shop that has had a server of the first version.
    pub fn open() -> anyhow::Result<Self> {
        // Within target, since what is temporary elsewhere may be on a disk of memory.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let config = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 2\n[[organisation]]\nname = \"shop\"\n\
            api_keys = [\"{ROOT}\", \"{PROD}\"]\n"
        );
        std::fs::write(folder.path().join("config.toml"), config)?;
        let operator = make_first_version(&folder.path().join(DATABASE))?;
        Ok(Self {
            folder,
            server: None,
            last_start: Duration::ZERO,
            callers: Default::default(),
            operator: Mutex::new(operator),
            papers: Papers::default(),
            owners: HashMap::new(),
        })
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn database(&self) -> PathBuf {
        self.folder().join(DATABASE)
    }

    /// The server that runs, which thereby is the caller's.
    pub fn take_server(&mut self) -> anyhow::Result<(Server, SocketAddr)> {
        self.server.take().context("no server runs")
    }

    /// All that callers know.
    pub fn ledgers(&self) -> impl Iterator<Item = &Mutex<Ledger>> {
        self.callers.iter().chain([&self.operator])
    }

    /// The answers that all callers were given.
    pub fn acknowledged(&self) -> u64 {
        self.ledgers().map(|ledger| lock(ledger).answers).sum()
    }

    /// Leaves the folder as it is.
    pub fn keep(mut self) -> PathBuf {
        self.server = None;
        self.folder.disable_cleanup(true);
        self.folder.path().to_owned()
    }
}

pub const DATABASE: &str = "magic-auth.db";

/// The ledger, also of a thread that has failed.
pub fn lock(ledger: &Mutex<Ledger>) -> std::sync::MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Makes a database of the first version, and gives what its server had acknowledged.
fn make_first_version(path: &Path) -> anyhow::Result<Ledger> {
    let now = Timestamp::from_millis(i64::try_from(SystemTime::UNIX_EPOCH.elapsed()?.as_millis())?);
    let mut connection = Connection::open(path)?;
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(include_str!("../schemas/1.sql"))?;
    transaction.pragma_update(None, "user_version", 1)?;
    transaction.execute("INSERT INTO organisations VALUES (1, 'shop', ?1)", [now.as_millis()])?;
    let key = ApiKey::parse(PROD)?;
    transaction.execute(
        "INSERT INTO api_keys (id, organisation_id, digest, prefix, hint, source, created_at)
        VALUES (1, 1, ?1, 'PROD', ?2, 'config', ?3)",
        params![key.digest().as_bytes(), key.hint(), now.as_millis()],
    )?;
    let customers = (0..OLD_CUSTOMERS)
        // Two sessions of one millisecond may get the same number.
        .map(|number| {
            insert_customer(&transaction, number, Timestamp::from_millis(now.as_millis() - i64::from(number)))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let attempts = transaction.execute(
        "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?1)
        INSERT INTO login_attempts (organisation_id, api_key_id, customer_id, mailbox, ip, outcome, at)
        SELECT 1, 1, n % ?2 + 1, n * 2654435761, '192.0.' || n / 256 % 256 || '.' || n % 256, 'OK', ?3 - (?1 - n) * 10
        FROM numbers",
        params![OLD_ATTEMPTS, OLD_CUSTOMERS, now.as_millis()],
    )?;
    ensure!(attempts == OLD_ATTEMPTS as usize);
    transaction.commit()?;
    Ok(Ledger { customers, sign_ins: OLD_ATTEMPTS.into(), answers: 0 })
}

fn insert_customer(connection: &Connection, number: u32, now: Timestamp) -> anyhow::Result<Customer> {
    let mailbox = format!("old{number}@crash.example");
    let (is_logged_out, is_banned) = (number % 10 == 3, number % 10 == 7);
    connection.execute(
        "INSERT INTO customers (id, organisation_id, cu_ref_no, email, email_canonical, created_at, registered_at,
            email_authorized_at, session_epoch)
        VALUES (?1, 1, printf('oldcustomer%05d', ?1), ?2, ?2, ?3, ?3, ?3, ?4)",
        params![number + 1, mailbox, now.as_millis(), i64::from(is_banned)],
    )?;
    let identity = IdentityId::generate(now);
    connection.execute(
        "INSERT INTO sessions (id, digest, customer_id, session_epoch, created_at, expires_at, last_seen_at, revoked_at)
        VALUES (?1, ?2, ?3, 0, ?4, ?4 + 86400000, ?4, ?5)",
        params![
            identity.session_id().0,
            identity.digest().as_bytes(),
            number + 1,
            now.as_millis(),
            is_logged_out.then_some(now.as_millis()),
        ],
    )?;
    if is_banned {
        let sql = "INSERT INTO bans (customer_id, reason, created_at) VALUES (?1, 'fraud', ?2)";
        connection.execute(sql, params![number + 1, now.as_millis()])?;
    }
    let session =
        Session { identity: identity.expose().to_owned(), is_live: Known::from(!is_logged_out && !is_banned) };
    let mut customer = Customer::new(mailbox.clone(), mailbox);
    customer.is_banned = Known::from(is_banned);
    customer.sessions.push(session);
    Ok(customer)
}
