//! The databases that the servers start with: made once, and copied for each run.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::ensure;
use magic_auth::clock::Clock;
use magic_auth::domain::{ApiKey, CustomerId, Permissions};
use magic_auth::store::{Database, NewKey, NewSession, StoreError};
use rusqlite::{Connection, params};

use crate::cases::{KNOWN, Load, Stock};
use crate::contestants::{Contestant, KEY, configuration, magic_auth};

/// The tables of the peers that have none of their own.
const PEERS_SCHEMA: &str = include_str!("../peers/schema.sql");

/// The databases.
pub struct Data {
    folder: PathBuf,
}

impl Data {
    /// In a folder that is there and goes away afterwards.
    pub fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Makes the database, unless it has been made for somebody else.
    pub fn prepare(&self, contestant: Contestant, stock: Stock) -> anyhow::Result<()> {
        let folder = self.origin(contestant, stock);
        if contestant == Contestant::Ceiling || folder.exists() {
            return Ok(());
        }
        fs::create_dir(&folder)?;
        match contestant {
            Contestant::Ours => make_ours(&folder, stock),
            Contestant::BetterAuth => contestant.prepare(&folder),
            _ => make_peers(&contestant.database(&folder)),
        }
    }

    /// A folder with a database of its own for one run.
    pub fn copy(&self, contestant: Contestant, stock: Stock) -> anyhow::Result<tempfile::TempDir> {
        let folder = tempfile::tempdir_in(&self.folder)?;
        if contestant != Contestant::Ceiling {
            let database = contestant.database(folder.path());
            fs::copy(contestant.database(&self.origin(contestant, stock)), &database)?;
            if let Stock::Attempts(count) = stock {
                insert_attempts(&database, count)?;
            }
            // What was just written shall not be written under the first sign-ins.
            fs::File::open(&database)?.sync_all()?;
        }
        Ok(folder)
    }

    /// The identity ids of the sessions, one after another; a file only where there are any.
    pub fn identities(&self, stock: Stock) -> PathBuf {
        self.origin(Contestant::Ours, stock).join("identities")
    }

    fn origin(&self, contestant: Contestant, stock: Stock) -> PathBuf {
        let owner = match contestant {
            Contestant::Ours => "ours",
            Contestant::BetterAuth => "better-auth",
            _ => "peers",
        };
        let stock = match stock {
            // The attempts come with each copy.
            Stock::Attempts(count) => Stock::Customers(count),
            other => other,
        };
        self.folder.join(format!("{owner}-{stock:?}"))
    }
}

/// The address of customer 1, 2 and so on, as `load.lua` says it: scattered, and no two are the same.
fn address(number: u32) -> String {
    format!("{:08x}@example.com", number.wrapping_mul(2_654_435_761))
}

fn make_ours(folder: &Path, stock: Stock) -> anyhow::Result<()> {
    let clock = Clock::system();
    let mut database = Database::open(&Contestant::Ours.database(folder))?;
    database.write(|tx| {
        let organisation = tx.upsert_organisation("demo", clock.now())?;
        let key = ApiKey::parse(KEY).map_err(|_| StoreError::RowCount(0))?;
        tx.upsert_config_key(
            &NewKey { organisation, key: &key, permissions: &Permissions::ALL, expires_at: None },
            clock.now(),
        )
    })?;
    import(folder, stock.customers())?;
    if let Stock::Sessions(count) = stock {
        fs::write(folder.join("identities"), insert_sessions(&mut database, count, &clock)?)?;
    }
    Ok(())
}

fn import(folder: &Path, customers: u32) -> anyhow::Result<()> {
    fs::write(folder.join("config.toml"), configuration(Load::SignIn)?)?;
    let mut rows = String::from("email\n");
    for number in 1..=customers {
        writeln!(rows, "{}", address(number))?;
    }
    let file = folder.join("customers.csv");
    fs::write(&file, rows)?;
    let output = magic_auth(folder).args(["customer", "import"]).arg(file).output()?;
    ensure!(output.status.success(), "the import failed: {output:?}");
    Ok(())
}

/// A session for each customer. Gives the identity ids.
fn insert_sessions(database: &mut Database, count: u32, clock: &Clock) -> Result<String, StoreError> {
    let mut identities = String::with_capacity(32 * count as usize);
    database.prepare_for_many_writes()?;
    database.write(|tx| {
        for number in 1..=count {
            let now = clock.now();
            let customer = CustomerId(number.into());
            let session = NewSession { customer, ip: None, expires_at: now + Duration::from_hours(24) };
            identities.push_str(tx.insert_session(&session, now)?.expose());
        }
        Ok(identities)
    })
}

/// They are made for each run anew: a minute later, the throttle would forget a tenth of them.
fn insert_attempts(database: &Path, count: u32) -> anyhow::Result<()> {
    let connection = Connection::open(database)?;
    connection.execute(
        "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?1)
        INSERT INTO login_attempts (organisation_id, api_key_id, customer_id, mailbox, ip, outcome, at)
        SELECT 1, 1, n, random(), format('%d.%d.%d.1', 20 + n / 65536, n / 256 % 256, n % 256), 'OK',
            ?2 + n * 500000 / ?1
        FROM numbers",
        params![count, (Clock::system().now() - Duration::from_secs(500)).as_millis()],
    )?;
    Ok(())
}

fn make_peers(database: &Path) -> anyhow::Result<()> {
    let mut connection = Connection::open(database)?;
    connection.execute_batch(PEERS_SCHEMA)?;
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    let transaction = connection.transaction()?;
    for number in 1..=KNOWN {
        transaction
            .prepare_cached("INSERT INTO customers (email, reference) VALUES (?1, ?2)")?
            .execute(params![address(number), nanoid::nanoid!(16)])?;
    }
    Ok(transaction.commit()?)
}
