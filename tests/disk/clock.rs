//! Leaps of the system's clock, while the server runs, when it starts anew, and while it starts. The time of day leaps;
//! the steady clock goes on.
//!
//! What ends at a moment (a session, a ban) goes by the time of day, and is in force again when a leap is undone. What is
//! measured (the throttle, the quotas) goes by the steady clock. Nothing is deleted because of a leap that is undone.

use std::ops::RangeInclusive;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use magic_auth::clock::Clock;
use magic_auth::domain::Timestamp;
use serde_json::Value;

use crate::facts::{Claim, check};
use crate::recording::Files;
use crate::shim::Shim;
use crate::shop::{Answer, KEY, Server, Shop};

// In seconds.
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;
const LIFETIME: i64 = 90 * DAY;
const BAN: i64 = 30 * DAY;
/// In which the attempts for a mailbox, and the requests of a key, come back.
const PERIOD: i64 = HOUR;
/// In which one of them comes back.
const INTERVAL: i64 = PERIOD / BURST;
const BURST: i64 = 2;

const CONFIG: &str = "[session]\nlifetime = \"90d\"\n[throttle]\nemail = { burst = 2, period = \"1h\" }\n\
    [rate_limit]\ndev = { requests = 2, per = \"1h\", burst = 2 }\n";

const BANNED: &str = "banned@shop.example";
const THROTTLED: &str = "throttled@shop.example";

/// To behind the last second that 32 bits can count.
fn beyond_2038() -> i64 {
    (1 << 31) + DAY - seconds(Clock::system().now())
}

fn seconds(moment: Timestamp) -> i64 {
    moment.as_millis() / 1_000
}

/// What the time of day is when it is wrong by so many seconds, give or take a minute.
fn time_of_day(wrong_by: i64) -> RangeInclusive<i64> {
    let now = seconds(Clock::system().now()) + wrong_by;
    now - MINUTE..=now + MINUTE
}

/// Lets the clock leap in all ways. Gives the summary.
pub fn run(shim: &Shim) -> anyhow::Result<String> {
    let leaps = [HOUR, -HOUR, YEAR, -YEAR, beyond_2038()];
    // By how much the clock is wrong when attempts are made, and when the server starts anew: they are in its future.
    let restarts = [(0, -HOUR), (0, -YEAR), (YEAR, 0), (beyond_2038(), 0)];
    thread::scope(|scope| {
        let running = scope.spawn(|| leap_and_back(shim, &leaps).context("while the server runs"));
        let starting = scope.spawn(|| leap_at_start(shim).context("while the server starts"));
        let housekeeping = scope.spawn(|| keep_house(shim).context("housekeeping"));
        let restarting = restarts.map(|(before, after)| {
            scope.spawn(move || {
                restart(shim, before, after).with_context(|| format!("a restart, {before} to {after} s"))
            })
        });
        let mut all = [running, starting, housekeeping].into_iter().chain(restarting);
        all.try_for_each(|case| case.join().unwrap())
    })?;
    Ok(format!(
        "{} leaps and back, {} at a restart, one at a start; nothing lost or locked",
        leaps.len(),
        restarts.len()
    ))
}

/// A shop with its server and its keys.
struct Scene<'s> {
    shop: Shop<'s>,
    server: Server,
    prod: String,
}

impl<'s> Scene<'s> {
    fn open(shim: &'s Shim, wrong_by: i64) -> Self {
        let shop = Shop::configured(Some(shim), &Files::new(), CONFIG);
        shop.orders.leap(wrong_by);
        let server = shop.serve().unwrap();
        let prod = shop.create_key("prod");
        Self { shop, server, prod }
    }

    /// Makes all attempts for the mailbox that there are.
    fn use_up_mailbox(&self) {
        for _ in 0..BURST {
            assert_eq!(self.server.try_sign_in(&self.prod, THROTTLED).unwrap().text("errorCode"), None);
        }
    }

    /// The mailbox has no attempt left, and gets the next one in time.
    fn expect_throttled(&self) -> anyhow::Result<()> {
        let answer = self.server.try_sign_in(&self.prod, THROTTLED).map_err(anyhow::Error::msg)?;
        ensure!(answer.text("errorCode").as_deref() == Some("E006"), "the throttle: {}", answer.body);
        ensure_wait(&answer)
    }

    fn expect_not_throttled(&self) -> anyhow::Result<()> {
        let answer = self.server.try_sign_in(&self.prod, THROTTLED).map_err(anyhow::Error::msg)?;
        ensure!(
            answer.text("identityId").is_some(),
            "the throttle: {}, {:?}",
            answer.body,
            answer.number("retry-after")
        );
        Ok(())
    }

    /// So many seconds have passed since the start, for the server too: the first request to each of its threads may come
    /// too late for it, since they look at the clock twice a second only.
    fn pass(&self, seconds: i64) {
        self.shop.orders.pass(seconds);
        let mut answered = 0;
        while answered < 10 {
            answered = if self.server.ping(KEY).is_ok() { answered + 1 } else { 0 };
        }
    }

    fn sign_in(&self, email: &str) -> anyhow::Result<String> {
        self.server.sign_in(email).map_err(|refusal| anyhow!("{email}: {refusal}"))
    }
}

fn ensure_wait(answer: &Answer) -> anyhow::Result<()> {
    let wait = answer.number("retry-after");
    ensure!(wait.is_some_and(|wait| (1..=INTERVAL).contains(&wait)), "Retry-After: {wait:?}");
    Ok(())
}

/// The clock leaps, and back again, while the server runs.
fn leap_and_back(shim: &Shim, leaps: &[i64]) -> anyhow::Result<()> {
    let scene = Scene::open(shim, 0);
    let dev = scene.shop.create_key("dev");
    scene.use_up_mailbox();
    for _ in 0..BURST {
        ensure!(scene.server.ping(&dev).is_ok_and(|answer| answer.status == 200));
    }
    scene.sign_in(BANNED)?;
    scene.shop.run_well(&["customer", "ban", BANNED, "--reason", "fraud", "--for", "30d"]);
    // Each with by how much the clock was wrong when it was made.
    let mut sessions = Vec::new();
    for wrong_by in [0].into_iter().chain(leaps.iter().flat_map(|leap| [*leap, 0])) {
        scene.shop.orders.leap(wrong_by);
        look(&scene, &dev, wrong_by, &mut sessions).with_context(|| format!("the clock is wrong by {wrong_by} s"))?;
    }
    ensure!(scene.server.stop().success());
    ensure!(!scene.shop.log().contains("panicked") && !scene.shop.log().contains("ERROR"), "{}", scene.shop.log());
    sessions.retain(|(made, _)| -made < LIFETIME);
    let claims: Vec<_> = sessions.into_iter().map(|(_, identity)| Claim::SignedIn { identity }).collect();
    check(&scene.shop.disk(), claims.iter())
}

/// Looks at everything that has to do with time.
fn look(scene: &Scene<'_>, dev: &str, wrong_by: i64, sessions: &mut Vec<(i64, String)>) -> anyhow::Result<()> {
    let newcomer = format!("newcomer-{}@shop.example", sessions.len());
    sessions.push((wrong_by, scene.sign_in(&newcomer)?));
    for (made, identity) in &*sessions {
        let is_alive = wrong_by - made < LIFETIME;
        ensure!(
            scene.server.is_logged_in(identity) == is_alive,
            "{is_alive} that a session is alive, made at {made} s"
        );
    }
    let is_banned = scene.server.sign_in(BANNED) == Err("E005".to_owned());
    ensure!(is_banned == (wrong_by < BAN), "the customer is banned: {is_banned}");
    scene.expect_throttled()?;
    let refused = scene.server.ping(dev).map_err(anyhow::Error::msg)?;
    ensure!(refused.status == 429, "the quota: {} {}", refused.status, refused.body);
    ensure_wait(&refused)?;
    let (now, full_at) = (time_of_day(wrong_by), refused.number("x-ratelimit-reset").unwrap_or_default());
    ensure!((*now.start()..=now.end() + PERIOD).contains(&full_at), "X-RateLimit-Reset: {full_at}");
    let shown: Value = serde_json::from_str(&scene.shop.run_well(&["customer", "show", &newcomer, "--json"]))?;
    let session = &shown["sessions"][0];
    for (moment, after) in [
        (&shown["createdAt"], 0),
        (&shown["attempts"][0]["at"], 0),
        (&session["createdAt"], 0),
        (&session["expiresAt"], LIFETIME),
    ] {
        let moment: Timestamp = moment.as_str().unwrap_or_default().parse()?;
        ensure!(now.contains(&(seconds(moment) - after)), "a moment is shown as {moment}");
    }
    Ok(())
}

/// A server starts anew when the attempts and the session of the earlier one are in the future.
fn restart(shim: &Shim, wrong_by: i64, then: i64) -> anyhow::Result<()> {
    let mut scene = Scene::open(shim, wrong_by);
    let identity = scene.sign_in("early@shop.example")?;
    scene.use_up_mailbox();
    ensure!(scene.server.stop().success());
    scene.shop.orders.leap(then);
    scene.server = scene.shop.serve().map_err(|status| anyhow!("{status}: {}", scene.shop.log()))?;
    ensure!(scene.server.is_logged_in(&identity), "the session has ended");
    scene.expect_throttled()?;
    scene.pass(INTERVAL - 5 * MINUTE);
    scene.expect_throttled()?;
    scene.pass(INTERVAL);
    scene.expect_not_throttled()?;
    scene.sign_in("late@shop.example").map(drop)
}

/// The clock is put right while the server starts, as on a machine that asks for the time when it has started.
fn leap_at_start(shim: &Shim) -> anyhow::Result<()> {
    let shop = Shop::configured(Some(shim), &Files::new(), CONFIG);
    // It waits for the first sync until the clock has leapt.
    shop.orders.slow_down(Duration::from_hours(1));
    let server = thread::scope(|scope| {
        let starting = scope.spawn(|| shop.serve());
        while shop.now() == 0 && !starting.is_finished() {
            thread::sleep(Duration::from_millis(1));
        }
        shop.orders.leap(YEAR);
        shop.orders.slow_down(Duration::ZERO);
        starting.join().unwrap()
    });
    let server = server.map_err(|status| anyhow!("{status}: {}", shop.log()))?;
    let scene = Scene { prod: shop.create_key("prod"), server, shop };
    scene.use_up_mailbox();
    scene.expect_throttled()?;
    scene.pass(INTERVAL);
    scene.expect_not_throttled()
}

/// Rounds of housekeeping while the clock is a year ahead, and a leap that is not undone.
fn keep_house(shim: &Shim) -> anyhow::Result<()> {
    let scene = Scene::open(shim, 0);
    let identity = scene.sign_in("kept@shop.example")?;
    let is_kept = || {
        let attempts =
            scene.shop.count("SELECT count(*) FROM login_attempts WHERE at < unixepoch('now', '+1 day') * 1000");
        attempts == 1 && scene.server.is_logged_in(&identity)
    };
    // Since the start, so that the first round is due, and then one a day later.
    for passed in [2 * MINUTE, DAY - HOUR] {
        scene.shop.orders.leap(YEAR);
        keep_house_once(&scene, passed)?;
        scene.shop.orders.leap(0);
        ensure!(is_kept(), "a leap that was undone has deleted what is needed, {passed} s after the start");
    }
    scene.shop.orders.leap(YEAR);
    keep_house_once(&scene, 2 * DAY)?;
    scene.shop.orders.leap(0);
    ensure!(!is_kept(), "a leap that lasted for a day is not believed");
    Ok(())
}

/// Lets time pass, and waits until a round has deleted a session that was ended and is over.
fn keep_house_once(scene: &Scene<'_>, passed: i64) -> anyhow::Result<()> {
    let count_rounds = || scene.shop.log().matches("deleted old attempts and dead sessions").count();
    let rounds = count_rounds();
    scene.server.log_out(&scene.sign_in("leaver@shop.example")?);
    scene.pass(passed);
    let clock = Clock::system();
    let begin = clock.steady();
    while count_rounds() == rounds {
        ensure!(clock.steady().saturating_sub(begin) < Duration::from_secs(20), "there is no round");
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
