//! One end.

use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{anyhow, ensure};
use fastrand::Rng;
use rusqlite::Connection;

use crate::caller::Caller;
use crate::client::Stop;
use crate::load;
use crate::operator::{Deed, Operator};
use crate::place::Place;
use crate::server::{End, Server};
use crate::shop::{DATABASE, Shop};

/// Kills or stops at this place, and gives how often. In the end no server runs.
pub fn play(shop: &mut Shop, place: Place, rng: &mut Rng) -> anyhow::Result<u32> {
    match place {
        Place::Upgrade => kill_starting(shop, milliseconds(1..300, rng)),
        Place::Start => {
            shop.take_server()?.0.end(End::Killed)?;
            let moments: Vec<_> = (0..rng.u8(1..=3)).map(|_| shop.last_start.mul_f64(rng.f64())).collect();
            moments.into_iter().map(|moment| kill_starting(shop, moment)).sum()
        }
        Place::Load => end_under_load(shop, End::Killed, rng),
        Place::Stop => {
            let signal = if rng.bool() { "TERM" } else { "INT" };
            let end = match rng.u8(..4) {
                0 => End::StoppedTwice(signal, milliseconds(0..20, rng)),
                _ => End::Stopped(signal),
            };
            end_under_load(shop, end, rng)
        }
        Place::Checkpoint => under_load(shop, rng, |victim, operator, rng| {
            fill_wal_until_it_is_moved(&operator.folder.join(DATABASE))?;
            thread::sleep(milliseconds(0..20, rng));
            victim.kill()?;
            Ok(1)
        }),
        Place::Import => kill_command(shop, Deed::Import(rng.u32(1_000..2_000)), 1..400, rng),
        Place::Backup => kill_command(shop, Deed::Backup, 1..100, rng),
        Place::Ban => kill_command(shop, Deed::Ban, 1..30, rng),
        Place::SignOut => kill_command(shop, Deed::SignOut, 1..30, rng),
        Place::Revoke => kill_command(shop, Deed::RevokeKey, 1..100, rng),
    }
}

/// A moment, to the microsecond.
fn milliseconds(range: Range<u64>, rng: &mut Rng) -> Duration {
    Duration::from_micros(rng.u64(range.start * 1_000..range.end * 1_000))
}

fn kill_starting(shop: &Shop, moment: Duration) -> anyhow::Result<u32> {
    let server = Server::spawn(shop.folder())?;
    thread::sleep(moment);
    server.end(End::Killed)?;
    Ok(1)
}

/// Ends the server while it is called, and commands write beside it.
fn end_under_load(shop: &mut Shop, end: End, rng: &mut Rng) -> anyhow::Result<u32> {
    under_load(shop, rng, |victim, operator, rng| {
        let moment = milliseconds(5..500, rng);
        thread::scope(|scope| {
            let killer = scope.spawn(|| {
                thread::sleep(moment);
                victim.end(end)
            });
            victim.excuse(load::keep_operating(operator, rng))?;
            joined(killer)
        })?;
        Ok(1)
    })
}

/// Kills a command, under load or while no server runs.
fn kill_command(shop: &mut Shop, deed: Deed, moment: Range<u64>, rng: &mut Rng) -> anyhow::Result<u32> {
    let act = |operator: &mut Operator<'_>, rng: &mut Rng| {
        if matches!(deed, Deed::RevokeKey) {
            operator.act(Deed::CreateKey, None, rng)?;
        }
        operator.act(deed, Some(milliseconds(moment, rng)), rng).map(u32::from)
    };
    under_load(shop, rng, |victim, operator, rng| {
        if rng.bool() {
            victim.kill()?;
            return act(operator, rng);
        }
        let kills = act(operator, rng)?;
        thread::sleep(milliseconds(0..50, rng));
        victim.kill()?;
        Ok(kills)
    })
}

/// A server that is to end.
struct Victim {
    server: Mutex<Option<Server>>,
    /// How it ends, as soon as it is about to.
    end: OnceLock<End>,
}

impl Victim {
    /// Ends it, unless that was done already.
    fn end(&self, how: End) -> anyhow::Result<()> {
        let how = *self.end.get_or_init(|| how);
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        server.map_or(Ok(()), |server| server.end(how))
    }

    fn kill(&self) -> anyhow::Result<()> {
        self.end(End::Killed)
    }

    /// Why a caller has stopped: for that, there must be a reason.
    fn excuse(&self, stop: Stop) -> anyhow::Result<()> {
        match (&stop, self.end.get()) {
            // Who finishes what is under way finishes what has begun to be answered.
            (Stop::Torn(_), Some(End::Stopped(_))) => Err(stop.into()),
            (Stop::Unanswered(_) | Stop::Torn(_), Some(_)) => Ok(()),
            _ => Err(stop.into()),
        }
    }
}

/// Has the service called without a pause while `act` goes on, in which the server ends.
fn under_load(
    shop: &mut Shop,
    rng: &mut Rng,
    act: impl FnOnce(&Victim, &mut Operator<'_>, &mut Rng) -> anyhow::Result<u32>,
) -> anyhow::Result<u32> {
    let (server, address) = shop.take_server()?;
    let victim = Victim { server: Mutex::new(Some(server)), end: OnceLock::new() };
    let mut operator = Operator {
        folder: shop.folder.path(),
        caller: Caller::new(address, &shop.operator),
        papers: &mut shop.papers,
        ledgers: shop.callers.iter().chain([&shop.operator]).collect(),
    };
    thread::scope(|scope| {
        let victim = &victim;
        let call = |(thread, ledger)| {
            let (caller, mut rng) = (Caller::new(address, ledger), rng.fork());
            scope.spawn(move || victim.excuse(load::keep_calling(&caller, thread, &mut rng)))
        };
        let callers: Vec<_> = shop.callers.iter().enumerate().map(call).collect();
        let kills = act(victim, &mut operator, rng);
        // Also when that has failed: the callers would go on for ever.
        let ended = victim.kill();
        callers.into_iter().try_for_each(joined)?;
        ended?;
        kills
    })
}

fn joined(thread: thread::ScopedJoinHandle<'_, anyhow::Result<()>>) -> anyhow::Result<()> {
    thread.join().map_err(|_| anyhow!("a thread panicked"))?
}

/// Writes into the WAL beside the server, and never moves it: so the server does, with a commit of its own.
fn fill_wal_until_it_is_moved(database: &Path) -> anyhow::Result<()> {
    let written = || std::fs::metadata(database)?.modified();
    let connection = Connection::open(database)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "synchronous", "off")?;
    let (before, begin) = (written()?, Instant::now());
    while written()? == before {
        // Some of each page.
        connection.execute("UPDATE login_attempts SET at = at + 1 WHERE id % 20 = 0", [])?;
        ensure!(begin.elapsed() < Duration::from_secs(20), "the server does not move its WAL");
    }
    Ok(())
}
