//! What is done on the command line, while a server runs or while none does.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use fastrand::Rng;
use serde_json::Value;

use crate::backups::Backup;
use crate::caller::Caller;
use crate::ledger::{Customer, Known, Ledger};
use crate::server::run;
use crate::shop::{Import, Papers, lock};

/// What the operator can do.
#[derive(Clone, Copy, Debug)]
pub enum Deed {
    Ban,
    Unban,
    SignOut,
    CreateKey,
    RevokeKey,
    /// With so many rows.
    Import(u32),
    Backup,
}

impl Deed {
    pub fn choose(rng: &mut Rng) -> Self {
        match rng.u8(..10) {
            0..3 => Self::Ban,
            3 => Self::Unban,
            4..6 => Self::SignOut,
            6 => Self::CreateKey,
            7 => Self::RevokeKey,
            8 => Self::Import(rng.u32(1..500)),
            _ => Self::Backup,
        }
    }
}

/// The operator, who notes what a command has said.
pub struct Operator<'s> {
    pub folder: &'s Path,
    pub caller: Caller<'s>,
    pub papers: &'s mut Papers,
    /// What is known to all who call: a backup has all of it.
    pub ledgers: Vec<&'s Mutex<Ledger>>,
}

impl Operator<'_> {
    /// Does something; the command is killed after `limit`. Says whether it was.
    pub fn act(&mut self, deed: Deed, limit: Option<Duration>, rng: &mut Rng) -> anyhow::Result<bool> {
        let is_done = match deed {
            Deed::Ban => self.ban(limit, rng),
            Deed::Unban => self.unban(limit, rng),
            Deed::SignOut => self.sign_out(limit, rng),
            Deed::CreateKey => self.create_key(limit),
            Deed::RevokeKey => self.revoke_key(limit, rng),
            Deed::Import(rows) => self.import(rows, limit),
            Deed::Backup => self.back_up(limit),
        };
        Ok(!is_done.with_context(|| format!("{deed:?}"))?)
    }

    fn ban(&self, limit: Option<Duration>, rng: &mut Rng) -> anyhow::Result<bool> {
        let Some((customer, address)) = self.find(Known::No, rng) else { return Ok(true) };
        self.caller.change(customer, |customer| {
            customer.is_banned = Known::InDoubt;
            customer.doubt_sessions();
        });
        let is_done = run(self.folder, &["customer", "ban", &address, "--reason", "fraud"], limit)?.is_some();
        if is_done {
            self.caller.change(customer, |customer| {
                customer.is_banned = Known::Yes;
                customer.end_sessions();
            });
        }
        Ok(is_done)
    }

    fn unban(&self, limit: Option<Duration>, rng: &mut Rng) -> anyhow::Result<bool> {
        let Some((customer, address)) = self.find(Known::Yes, rng) else { return Ok(true) };
        self.caller.change(customer, |customer| customer.is_banned = Known::InDoubt);
        let is_done = run(self.folder, &["customer", "unban", &address], limit)?.is_some();
        if is_done {
            self.caller.change(customer, |customer| customer.is_banned = Known::No);
        }
        Ok(is_done)
    }

    fn sign_out(&self, limit: Option<Duration>, rng: &mut Rng) -> anyhow::Result<bool> {
        let Some((customer, address)) = self.find(Known::No, rng) else { return Ok(true) };
        self.caller.change(customer, Customer::doubt_sessions);
        let is_done = run(self.folder, &["customer", "sign-out", &address], limit)?.is_some();
        if is_done {
            self.caller.change(customer, Customer::end_sessions);
        }
        Ok(is_done)
    }

    /// One of those who are banned, or of those who are not, and the address. Whoever has no session may not be there:
    /// the first sign-in was not answered.
    fn find(&self, is_banned: Known, rng: &mut Rng) -> Option<(usize, String)> {
        let is_meant = |number: &usize| {
            self.caller.look(*number, |customer| customer.is_banned == is_banned && !customer.sessions.is_empty())
        };
        let customer = rng.choice((0..self.caller.count()).filter(is_meant).collect::<Vec<_>>())?;
        Some((customer, self.caller.look(customer, |customer| customer.address.clone())))
    }

    fn create_key(&mut self, limit: Option<Duration>) -> anyhow::Result<bool> {
        let printed = run(self.folder, &["key", "create", "--kind", "prod"], limit)?;
        let is_done = printed.is_some();
        self.papers.keys.extend(printed.map(|key| (key.trim_end().to_owned(), Known::Yes)));
        Ok(is_done)
    }

    fn revoke_key(&mut self, limit: Option<Duration>, rng: &mut Rng) -> anyhow::Result<bool> {
        let in_force = self.papers.keys.iter_mut().filter(|(_, is_in_force)| *is_in_force == Known::Yes);
        let Some((key, is_in_force)) = rng.choice(in_force.collect::<Vec<_>>()) else { return Ok(true) };
        *is_in_force = Known::InDoubt;
        let is_done = run(self.folder, &["key", "revoke", key], limit)?.is_some();
        if is_done {
            *is_in_force = Known::No;
        }
        Ok(is_done)
    }

    fn import(&mut self, rows: u32, limit: Option<Duration>) -> anyhow::Result<bool> {
        let number = self.papers.imports.len();
        let mut csv = "email,firstName\n".to_owned();
        for row in 0..rows {
            writeln!(csv, "{},Jan", imported_address(number, row))?;
        }
        std::fs::write(self.folder.join(file_of_import(number)), csv)?;
        self.papers.imports.push(Import { rows, is_imported: Known::InDoubt, is_due: true });
        let told = import(self.folder, number, limit)?;
        if let Some(told) = &told {
            ensure!((&told["imported"], &told["duplicates"]) == (&rows.into(), &0.into()), "{rows} rows: {told}");
            self.papers.imports[number].is_imported = Known::Yes;
        }
        Ok(told.is_some())
    }

    fn back_up(&mut self, limit: Option<Duration>) -> anyhow::Result<bool> {
        let file = self.folder.join(format!("backup-{}.db", self.papers.backups.len()));
        let before: Vec<_> = self.ledgers.iter().flat_map(|ledger| lock(ledger).customers.clone()).collect();
        let name = file.to_str().context("a folder with a strange name")?;
        let is_done = run(self.folder, &["backup", name], limit)?.is_some();
        self.papers.backups.push(Backup { file, before, is_done });
        Ok(is_done)
    }
}

/// Imports the file of this number, and gives what the command says of it.
pub fn import(folder: &Path, number: usize, limit: Option<Duration>) -> anyhow::Result<Option<Value>> {
    let file = folder.join(file_of_import(number));
    let name = file.to_str().context("a folder with a strange name")?;
    let told = run(folder, &["customer", "import", "--json", name], limit)?;
    Ok(told.map(|told| serde_json::from_str(&told)).transpose()?)
}

fn file_of_import(number: usize) -> String {
    format!("import-{number}.csv")
}

/// The address in a row of a file. Addresses of later rows come later in the order of texts.
pub fn imported_address(number: usize, row: u32) -> String {
    format!("import{number:04}-{row:05}@crash.example")
}
