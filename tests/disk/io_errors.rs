//! Failing calls: each operation is run again and again, and each time another of its calls fails, once or for ever.
//!
//! The program must vouch for what is so and for nothing else: what it calls done is there when the disk is well again,
//! what it calls failed is there as a whole or not at all, and it never panics.

use std::fmt::{self, Display};
use std::process::ExitStatus;
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, anyhow, ensure};
use clap::ValueEnum;

use crate::disk::Disk;
use crate::facts::{BACKUP, Claim, check};
use crate::recording::{Call, Files, Recording, write_files};
use crate::runs;
use crate::shim::{Failure, Kind, Shim};
use crate::shop::{DATABASE, KEY, Shop, temporary_folder};
use crate::sound::ensure_sound_log;

/// What is done while calls fail.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Operation {
    SignIn,
    /// A sign-in after a sync has failed, for which the database is opened again.
    SignInAgain,
    Ban,
    RevokeKey,
    BackUp,
    /// The start of the server after it was killed.
    Start,
    /// The start of the server on a database of the first version.
    Upgrade,
}

/// An operation, and which of its calls fail.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    operation: Operation,
    kind: Kind,
    first: u64,
    for_ever: bool,
}

impl Trial {
    /// No call fails: they are counted.
    fn well(operation: Operation) -> Self {
        Self { operation, kind: Kind::Sync, first: u64::MAX, for_ever: false }
    }

    fn failure(self) -> Failure {
        Failure { kind: self.kind, first: self.first, for_ever: self.for_ever, error: libc::EIO }
    }
}

impl Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (operation, kind) = (self.operation.to_possible_value().unwrap(), self.kind.to_possible_value().unwrap());
        let duration = if self.for_ever { "ever" } else { "once" };
        write!(f, "{}:{}:{}:{duration}", operation.get_name(), kind.get_name(), self.first)
    }
}

impl FromStr for Trial {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<_> = text.split(':').collect();
        let [operation, kind, first, duration] = parts[..] else {
            return Err("write it as OPERATION:KIND:NUMBER:once or ever".to_owned());
        };
        Ok(Self {
            operation: Operation::from_str(operation, false)?,
            kind: Kind::from_str(kind, false)?,
            first: first.parse().map_err(|_| "the number is none".to_owned())?,
            for_ever: duration == "ever",
        })
    }
}

const KEPT: &str = "kept@shop.example";
const BANNED: &str = "banned@shop.example";

/// What an operation starts from.
struct Ground {
    files: Files,
    /// What was promised, and is not to be changed.
    claims: Vec<Claim>,
    /// A key that may be revoked.
    key: String,
}

impl Ground {
    fn of(operation: Operation) -> Self {
        if let Operation::Upgrade = operation {
            let (files, claims) = runs::first_version();
            return Self { files, claims, key: String::new() };
        }
        let shop = Shop::open(None, &Files::new());
        let server = shop.serve().unwrap();
        let identity = server.sign_in(KEPT).unwrap();
        server.sign_in(BANNED).unwrap();
        let key = shop.create_key("prod");
        match operation {
            Operation::Start => drop(server),
            _ => drop(server.stop()),
        }
        Self { files: shop.files(), claims: vec![Claim::SignedIn { identity }], key }
    }
}

/// Lets calls of all operations fail: of each kind every one, or about `most` of them. Gives the summary.
pub fn run(shim: &Shim, seed: u64, most: u64) -> anyhow::Result<String> {
    let grounds: Vec<_> =
        Operation::value_variants().iter().map(|operation| (*operation, Ground::of(*operation))).collect();
    let mut trials = Vec::new();
    for (operation, ground) in &grounds {
        let well =
            try_out(shim, ground, Trial::well(*operation)).with_context(|| format!("{operation:?}, all well"))?;
        for kind in Kind::value_variants().iter().copied() {
            let calls = well.orders.calls(kind);
            let stride = calls.div_ceil(most).max(1);
            let offset = crate::chance(&[seed, *operation as u64, kind as u64]).u64(..stride);
            for first in (1 + offset..=calls).step_by(usize::try_from(stride)?) {
                let trial = |for_ever| (ground, Trial { operation: *operation, kind, first, for_ever });
                trials.extend([trial(false), trial(true)]);
            }
        }
    }
    let met = try_all(shim, &trials)?;
    ensure!(2 * met > trials.len(), "of {} trials, only {met} met their failure", trials.len());
    Ok(format!("{} trials, of which {met} met their failure; nothing lost, nothing by halves, no panic", trials.len()))
}

/// Runs one trial again.
pub fn run_again(shim: &Shim, trial: Trial) -> anyhow::Result<()> {
    try_out(shim, &Ground::of(trial.operation), trial).map(drop)
}

/// Runs the trials on all cores. Gives how many met their failure.
fn try_all(shim: &Shim, trials: &[(&Ground, Trial)]) -> anyhow::Result<usize> {
    let (next, met) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let failure = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((ground, trial)) = trials.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match try_out(shim, ground, *trial) {
                        Ok(shop) => met.fetch_add(usize::from(has_failed(&shop)), Ordering::Relaxed),
                        Err(error) => {
                            next.store(trials.len(), Ordering::Relaxed);
                            failure.lock().unwrap().get_or_insert(error.context(format!("--trial {trial}")));
                            return;
                        }
                    };
                }
            });
        }
    });
    failure.into_inner().unwrap().map_or(Ok(met.into_inner()), Err)
}

fn has_failed(shop: &Shop<'_>) -> bool {
    let recording = Recording::read(&shop.record());
    recording.calls.iter().any(|(_, call)| matches!(call, Call::Failure { .. }))
}

/// Does the operation while calls fail, and checks what the program says, and what is there when the disk is well again.
fn try_out<'s>(shim: &'s Shim, ground: &Ground, trial: Trial) -> anyhow::Result<Shop<'s>> {
    let shop = Shop::open(Some(shim), &ground.files);
    let claims = match trial.operation {
        Operation::SignIn => sign_in(&shop, None, trial.failure())?,
        Operation::SignInAgain => {
            let earlier = Failure { kind: Kind::Sync, first: 1, for_ever: false, error: libc::EIO };
            sign_in(&shop, Some(earlier), trial.failure())?
        }
        Operation::Start | Operation::Upgrade => start(&shop, trial.failure())?,
        Operation::Ban => {
            let claim = Claim::Banned { email: BANNED.to_owned() };
            command(&shop, trial.failure(), &["customer", "ban", BANNED, "--reason", "fraud"], claim)?
        }
        Operation::RevokeKey => {
            let claim = Claim::KeyRevoked { key: ground.key.clone() };
            command(&shop, trial.failure(), &["key", "revoke", &ground.key], claim)?
        }
        Operation::BackUp => {
            let file = shop.disk().join(BACKUP);
            command(&shop, trial.failure(), &["backup", file.to_str().unwrap()], Claim::BackedUp { customers: 2 })?
        }
    };
    ensure!(trial.first < u64::MAX || !claims.is_empty(), "failed although all was well");
    let claims: Vec<_> = ground.claims.iter().chain(&claims).collect();
    ensure_sound_log(&shop.log(), claims.iter().filter_map(|claim| claim.secret()).chain([KEY]))?;
    check(&shop.disk(), claims.iter().copied())?;
    let folder = temporary_folder();
    write_files(folder.path(), &after_power_cut(&shop, ground, trial));
    check(folder.path(), claims.into_iter()).context("after a power cut")?;
    Ok(shop)
}

/// What is on the disk when the power fails now, too. Who took a failed sync for one that was made has promised too much.
fn after_power_cut(shop: &Shop<'_>, ground: &Ground, trial: Trial) -> Files {
    let recording = Recording::read(&shop.record());
    let mut disk = Disk::new(&recording, &ground.files);
    for (_, call) in &recording.calls {
        disk.make(call);
    }
    // SQLite takes no notice when the name of its WAL cannot be synced.
    if !matches!(trial.operation, Operation::BackUp) {
        disk.make(&Call::SyncFolder);
    }
    disk.after_power_cut(&mut crate::chance(&[trial.operation as u64, trial.kind as u64, trial.first]))
}

/// Runs a command while calls fail. Gives what it promised.
fn command(shop: &Shop<'_>, failure: Failure, arguments: &[&str], claim: Claim) -> anyhow::Result<Vec<Claim>> {
    shop.orders.fail(failure);
    let output = shop.run(arguments);
    shop.orders.mend();
    if output.status.success() {
        return Ok(vec![claim]);
    }
    says_why(output.status, &String::from_utf8_lossy(&output.stderr))?;
    Ok(Vec::new())
}

/// Starts the server while calls fail, and ends it. Gives what was promised: that it can be used.
fn start(shop: &Shop<'_>, failure: Failure) -> anyhow::Result<Vec<Claim>> {
    shop.orders.fail(failure);
    let claims = match shop.serve() {
        Ok(server) => {
            server.stop();
            vec![Claim::KeyInForce { key: KEY.to_owned() }]
        }
        Err(status) => {
            says_why(status, &shop.log())?;
            Vec::new()
        }
    };
    shop.orders.mend();
    Ok(claims)
}

/// A program that could not do its work has ended by itself and said why.
fn says_why(status: ExitStatus, said: &str) -> anyhow::Result<()> {
    ensure!(status.code() == Some(1) && !said.trim().is_empty() && !said.contains("panicked"), "{status}: {said:?}");
    Ok(())
}

/// Customers sign in before, while and after calls fail, perhaps after an `earlier` failure. Gives what was promised.
fn sign_in(shop: &Shop<'_>, earlier: Option<Failure>, failure: Failure) -> anyhow::Result<Vec<Claim>> {
    let mut server = shop.serve().unwrap();
    let mut promised = Vec::new();
    let mut sign_in = |email| {
        let identity = server.sign_in(email)?;
        promised.push((shop.now(), Claim::SignedIn { identity }));
        Ok::<_, String>(())
    };
    sign_in("before@shop.example").unwrap();
    if let Some(earlier) = earlier {
        shop.orders.fail(earlier);
        let refusal = sign_in("earlier@shop.example").err();
        ensure!(refusal.as_deref() == Some("E001"), "a sign-in whose sync fails: {refusal:?}");
    }
    shop.orders.fail(failure);
    for email in ["first@shop.example", "second@shop.example", "first@shop.example"] {
        if let Err(refusal) = sign_in(email) {
            ensure!(refusal == "E001", "{email}: {refusal}");
        }
    }
    shop.orders.mend();
    sign_in("after@shop.example").map_err(|refusal| anyhow!("the disk is well again, but: {refusal}"))?;
    ensure!(server.has_ended().is_none());
    drop(server);
    for (moment, _) in &promised {
        ensure!(!trusts_a_failed_sync(shop, *moment), "a success after a failed sync, without opening the file again");
    }
    Ok(promised.into_iter().map(|(_, claim)| claim).collect())
}

/// Whether, before this moment, a sync of a file failed and the database was not opened since: its WAL is, for `SQLite` keeps the
/// file itself open for readers, and takes it again.
fn trusts_a_failed_sync(shop: &Shop<'_>, moment: u64) -> bool {
    let recording = Recording::read(&shop.record());
    let wal = format!("{DATABASE}-wal");
    let before = recording.calls.iter().filter(|(end, _)| *end <= moment);
    before.fold(false, |trusts, (_, call)| match call {
        Call::Failure { kind } => trusts || *kind == Kind::Sync as u64,
        Call::Open { name, .. } if *name == wal => false,
        _ => trusts,
    })
}

/// A disk that is full, and has space again.
pub fn full_disk(shim: &Shim) -> anyhow::Result<String> {
    let shop = Shop::open(Some(shim), &Files::new());
    let server = shop.serve().unwrap();
    let identity = server.sign_in(KEPT).unwrap();
    shop.orders.fail(Failure { kind: Kind::Write, first: 1, for_ever: true, error: libc::ENOSPC });
    for _ in 0..3 {
        let refusal = server.sign_in("full@shop.example").err();
        ensure!(refusal.as_deref() == Some("E001"), "a sign-in on a full disk: {refusal:?}");
        ensure!(server.is_logged_in(&identity), "account info on a full disk");
    }
    shop.orders.mend();
    let later =
        server.sign_in("later@shop.example").map_err(|refusal| anyhow!("there is space again, but: {refusal}"))?;
    drop(server);
    ensure_sound_log(&shop.log(), [&identity, &later, KEY])?;
    check(&shop.disk(), [identity, later].map(|identity| Claim::SignedIn { identity }).iter())?;
    Ok("E001 while it lasts, and signed in without a restart".to_owned())
}
