//! A slow disk: every sync takes long, and more callers come than the writer's queue holds. Each of them is signed in or is
//! told at once to come again; who asks for nothing to be written waits for no sync; operator's commands get their turn.

use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use magic_auth::clock::Clock;

use crate::facts::{Claim, check};
use crate::recording::Files;
use crate::shim::Shim;
use crate::shop::{Answer, CLIENT_TIMEOUT, KEY, Server, Shop};
use crate::sound::ensure_sound_log;

/// The writer's queue, and the batch that it has taken off it.
const QUEUE: u32 = 1_024;
const BATCH: u32 = 64;

/// More callers than both hold.
const CALLERS: u32 = 1_200;

/// So many of them at least are told to come again while no commit ends.
const REFUSED: u32 = CALLERS - QUEUE - BATCH;

/// How long a sync takes on a disk that is slow, and on one that hangs.
const SLOW: Duration = Duration::from_millis(150);
const HANGING: Duration = Duration::from_hours(1);

/// Nobody waits for longer on a slow disk: who has the last place in the queue waits for the batch under way, for the 16
/// batches of the queue and for the syncs of a checkpoint. That is 3 s; a machine that is busy may take four times as long.
const LONGEST: Duration = SLOW.saturating_mul(4 * (QUEUE / BATCH + 4));

const THROTTLED: &str = "throttled@shop.example";

/// All callers come at once to a disk that hangs, then is slow, then well. Gives the summary.
pub fn run(shim: &Shim) -> anyhow::Result<String> {
    const { assert!(LONGEST.as_secs() < CLIENT_TIMEOUT.as_secs() / 2) };
    allow_connections()?;
    let shop = Shop::configured(Some(shim), &Files::new(), "[admin]\nlisten = \"127.0.0.1:0\"\n");
    let server = shop.serve().unwrap();
    ensure!(server.is_ready(&shop));
    let earlier = server.sign_in("earlier@shop.example").unwrap();
    let key = shop.create_key("prod");
    let mut answers = 1;
    while server.try_sign_in(&key, THROTTLED).unwrap().text("errorCode").is_none() {
        answers += 1;
    }

    let crowd = Crowd::new(server);
    shop.orders.slow_down(HANGING);
    let identities = thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|number| {
                let crowd = &crowd;
                scope.spawn(move || crowd.sign_in(&caller(number)))
            })
            .collect();
        let others = serves_who_writes_nothing(&crowd, &shop, &earlier, &key);
        crowd.disk_moves();
        shop.orders.slow_down(SLOW);
        shop.create_key("prod");
        let signed_in = crowd.signed_in.load(Ordering::Relaxed);
        shop.create_key("prod");
        let identities =
            callers.into_iter().map(|caller| caller.join().unwrap()).collect::<anyhow::Result<Vec<_>>>()?;
        others?;
        ensure!(signed_in < CALLERS, "operator's commands have waited for all callers");
        anyhow::Ok(identities)
    })?;

    shop.orders.slow_down(Duration::ZERO);
    let Crowd { server, refusals, longest, .. } = crowd;
    let later =
        server.sign_in("later@shop.example").map_err(|refusal| anyhow!("the disk is well again, but: {refusal}"))?;
    ensure!(server.stop().success());
    ensure_sound_log(&shop.log(), [KEY])?;
    let claims: Vec<_> =
        identities.into_iter().chain([earlier, later]).map(|identity| Claim::SignedIn { identity }).collect();
    check(&shop.disk(), claims.iter())?;
    // With the two that were throttled.
    answers += CALLERS + 3;
    let attempts = shop.count("SELECT sum(count) FROM login_attempts");
    ensure!(attempts >= i64::from(answers), "{attempts} attempts, {answers} answers");
    let (refusals, longest) = (refusals.into_inner(), longest.into_inner());
    Ok(format!(
        "{CALLERS} callers signed in, {refusals} times one was told to come again; the longest wait was {longest} ms"
    ))
}

/// Both the clients and the server need a connection for each caller.
fn allow_connections() -> anyhow::Result<()> {
    let own = std::process::id().to_string();
    let status = Command::new("prlimit").args(["--pid", &own, "--nofile=4096:"]).status();
    ensure!(status.context("prlimit (util-linux)")?.success(), "{CALLERS} connections cannot be had");
    Ok(())
}

fn caller(number: u32) -> String {
    format!("caller-{number}@shop.example")
}

/// The callers as a whole.
struct Crowd {
    server: Server,
    clock: Clock,
    /// Since when commits end, by the steady clock.
    disk_moves: OnceLock<Duration>,
    signed_in: AtomicU32,
    refusals: AtomicU32,
    /// In milliseconds, since commits end.
    longest: AtomicU32,
}

impl Crowd {
    fn new(server: Server) -> Self {
        Self {
            server,
            clock: Clock::system(),
            disk_moves: OnceLock::new(),
            signed_in: AtomicU32::new(0),
            refusals: AtomicU32::new(0),
            longest: AtomicU32::new(0),
        }
    }

    fn disk_moves(&self) {
        self.disk_moves.set(self.clock.steady()).unwrap();
    }

    /// Signs in, and comes again after the time that it is told, for as long as it is told so.
    fn sign_in(&self, email: &str) -> anyhow::Result<String> {
        loop {
            let begin = self.clock.steady();
            let answer = self.server.try_sign_in(KEY, email).map_err(|error| anyhow!("{email}: {error}"))?;
            self.waited_since(begin)?;
            if let Some(identity) = answer.text("identityId") {
                self.signed_in.fetch_add(1, Ordering::Relaxed);
                return Ok(identity);
            }
            let retry_after = retry_after(&answer)?;
            self.refusals.fetch_add(1, Ordering::Relaxed);
            thread::sleep(retry_after);
        }
    }

    fn waited_since(&self, begin: Duration) -> anyhow::Result<()> {
        let Some(disk_moves) = self.disk_moves.get() else { return Ok(()) };
        let waited = self.clock.steady().saturating_sub(begin.max(*disk_moves));
        self.longest.fetch_max(u32::try_from(waited.as_millis())?, Ordering::Relaxed);
        ensure!(waited <= LONGEST, "an answer came after {} ms", waited.as_millis());
        Ok(())
    }
}

/// When a caller for whom there is no room in the queue may come again.
fn retry_after(answer: &Answer) -> anyhow::Result<Duration> {
    ensure!(answer.status == 503, "{}: {}", answer.status, answer.body);
    ensure!(answer.body["success"] == false && answer.body["errorCode"] == "SERVICE_OVERLOADED", "{}", answer.body);
    ensure!(answer.number("retry-after") == Some(1), "{:?}", answer.number("retry-after"));
    Ok(Duration::from_secs(1))
}

/// While the queue is full and no commit ends: refusals, reads, and what the throttle refuses.
fn serves_who_writes_nothing(crowd: &Crowd, shop: &Shop<'_>, earlier: &str, key: &str) -> anyhow::Result<()> {
    let begin = crowd.clock.steady();
    while crowd.refusals.load(Ordering::Relaxed) < REFUSED {
        let waited = crowd.clock.steady().saturating_sub(begin);
        ensure!(waited < CLIENT_TIMEOUT, "{:?} of {REFUSED} callers are refused", crowd.refusals);
        thread::sleep(Duration::from_millis(1));
    }
    ensure!(!crowd.server.is_ready(shop), "the queue is full, and no batch is worked off");
    ensure!(crowd.server.is_logged_in(earlier), "account info while the disk hangs");
    ensure!(crowd.server.ping(key).is_ok_and(|answer| answer.status == 200), "a ping while the disk hangs");
    // A key that takes nothing from the throttle is given nothing back.
    retry_after(&crowd.server.try_sign_in(KEY, THROTTLED).map_err(anyhow::Error::msg)?)?;
    let throttled = crowd.server.try_sign_in(key, THROTTLED).map_err(anyhow::Error::msg)?;
    ensure!(throttled.text("errorCode").as_deref() == Some("E006"), "{}", throttled.body);
    ensure!(crowd.signed_in.load(Ordering::Relaxed) == 0, "a success while no commit can have ended");
    Ok(())
}
