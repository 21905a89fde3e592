//! What must hold after every death.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use fastrand::Rng;
use rusqlite::{Connection, OpenFlags, params};

use crate::caller::Caller;
use crate::client::Client;
use crate::ledger::{Known, Ledger};
use crate::operator::{import, imported_address};
use crate::server::{LOG, Server};
use crate::shop::{Import, OLD_CUSTOMERS, ROOT, Shop, lock};
use crate::sound::{ensure_one_customer_a_mailbox, ensure_sound, ensure_sound_log, ensure_whole_sign_ins};

/// Customers of earlier rounds that are looked at again, of each caller.
const SAMPLE: usize = 20;

/// Rows that an import writes in one transaction.
const BATCH: u32 = 200;

/// Starts the server and checks all. Gives how long the start took.
pub fn check(shop: &mut Shop, rng: &mut Rng) -> anyhow::Result<Duration> {
    let (server, address, took) = Server::start(shop.folder(), ROOT)?;
    shop.server = Some((server, address));
    shop.last_start = took;
    let database = Connection::open_with_flags(shop.database(), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    database.busy_timeout(Duration::from_secs(5))?;
    ensure_sound(&database)?;
    let log = std::fs::read_to_string(shop.folder().join(LOG))?;
    let identities = |ledger| -> Vec<String> {
        let ledger: &Ledger = &lock(ledger);
        ledger
            .customers
            .iter()
            .flat_map(|customer| &customer.sessions)
            .map(|session| session.identity.clone())
            .collect()
    };
    let keys = shop.papers.keys.iter().map(|(key, _)| key.clone()).chain([ROOT.to_owned()]);
    ensure_sound_log(&log, shop.ledgers().flat_map(identities).chain(keys))?;
    ensure_one_customer_a_mailbox(&database)?;
    ensure_whole_sign_ins(&database, &format!("c.id > {OLD_CUSTOMERS} AND c.email NOT LIKE 'import%'"))?;
    check_attempts(&database, shop)?;
    check_customers(shop, rng)?;
    for (key, is_in_force) in &mut shop.papers.keys {
        let found = Client::new(address, key).ping()?;
        ensure!(is_in_force.allows(found), "{is_in_force:?} that a key is in force");
        *is_in_force = found.into();
    }
    let folder = shop.folder.path();
    for (number, file) in shop.papers.imports.iter_mut().enumerate().filter(|(_, file)| file.is_due) {
        check_import(&database, number, file)?;
        if file.is_imported != Known::Yes {
            import_the_rest(&database, folder, number, file)?;
        }
        file.is_due = false;
    }
    for backup in shop.papers.backups.drain(..) {
        let file = backup.file.clone();
        backup.check().with_context(|| file.display().to_string())?;
    }
    delete_parts(folder)?;
    Ok(took)
}

/// Every sign-in that was answered is recorded.
fn check_attempts(database: &Connection, shop: &Shop) -> anyhow::Result<()> {
    let sql = "SELECT count(*) FROM login_attempts WHERE outcome IN ('OK', 'E005')";
    let recorded: i64 = database.query_row(sql, [], |row| row.get(0))?;
    let answered: i64 = shop.ledgers().map(|ledger| lock(ledger).sign_ins).sum();
    ensure!(recorded >= answered, "{answered} sign-ins were answered and {recorded} are recorded");
    Ok(())
}

/// The customers that something was asked for, and some of the others.
fn check_customers(shop: &mut Shop, rng: &mut Rng) -> anyhow::Result<()> {
    let (_, address) = shop.server.as_ref().context("no server runs")?;
    for ledger in shop.callers.iter().chain([&shop.operator]) {
        let caller = Caller::new(*address, ledger);
        let (due, others): (Vec<_>, Vec<_>) =
            (0..caller.count()).partition(|customer| caller.look(*customer, |customer| customer.is_due));
        for customer in due.into_iter().chain(rng.choose_multiple(others, SAMPLE)) {
            for owner in check_customer(&caller, customer)? {
                let mailbox = caller.look(customer, |customer| customer.mailbox.clone());
                let known = shop.owners.entry(mailbox).or_insert_with(|| owner.clone());
                ensure!(*known == owner, "a session of {known} is that of {owner}");
            }
            caller.change(customer, |customer| customer.is_due = false);
        }
    }
    Ok(())
}

/// Gives the owner of each session that is live.
fn check_customer(caller: &Caller<'_>, customer: usize) -> anyhow::Result<Vec<String>> {
    let (before, was_banned, address) =
        caller.look(customer, |customer| (customer.sessions.clone(), customer.is_banned, customer.address.clone()));
    if was_banned != Known::No {
        caller.sign_in(customer)?;
    }
    let owners = (0..before.len()).map(|session| caller.ask(customer, session)).collect::<Result<Vec<_>, _>>()?;
    // A change that was not acknowledged is there wholly or not at all.
    let doubtful = before.iter().zip(&owners).filter(|(session, _)| session.is_live == Known::InDoubt);
    let mut fates: Vec<_> = doubtful.map(|(_, owner)| owner.is_some()).collect();
    fates.dedup();
    match fates[..] {
        [is_live] if was_banned == Known::InDoubt => {
            let is_banned = caller.look(customer, |customer| customer.is_banned) == Known::Yes;
            ensure!(is_live != is_banned, "{address} was banned, or its sessions were ended, and not both");
        }
        [] | [_] => {}
        _ => bail!("some sessions of {address} were ended, and others not"),
    }
    Ok(owners.into_iter().flatten().collect())
}

/// A file that was imported is there; of one that was not, the first rows are, by whole batches.
fn check_import(database: &Connection, number: usize, file: &Import) -> anyhow::Result<()> {
    let sql =
        "SELECT count(*), max(email) FROM customers WHERE email_canonical BETWEEN ?1 AND ?2 AND organisation_id = 1";
    let ends = params![imported_address(number, 0), imported_address(number, file.rows - 1)];
    let (found, last): (u32, Option<String>) = database.query_row(sql, ends, |row| Ok((row.get(0)?, row.get(1)?)))?;
    let is_first_rows = last == found.checked_sub(1).map(|row| imported_address(number, row));
    let is_allowed = found == file.rows || (file.is_imported == Known::InDoubt && found % BATCH == 0);
    ensure!(is_first_rows && is_allowed, "{found} rows of {} of an import are there, up to {last:?}", file.rows);
    Ok(())
}

/// An import that was killed is done by doing it again.
fn import_the_rest(
    database: &Connection,
    folder: &std::path::Path,
    number: usize,
    file: &mut Import,
) -> anyhow::Result<()> {
    let told = import(folder, number, None)?.context("nothing is said of an import")?;
    let sum = told["imported"].as_u64().zip(told["duplicates"].as_u64()).map(|(new, known)| new + known);
    ensure!(sum == Some(file.rows.into()), "{} rows: {told}", file.rows);
    file.is_imported = Known::Yes;
    check_import(database, number, file)
}

/// A backup that was killed leaves a part under a name of its own.
fn delete_parts(folder: &std::path::Path) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "part") {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}
