//! The broom and the watch on the WAL. Rounds come by the server's clock, which the tests move.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use magic_auth::clock::Clock;

use crate::app::{Client, SHOP_ROOT, TestApp, spawn_app, spawn_app_with};
use crate::process::{TestProcess, eventually, spawn_process};

const JAN: &str = "jan@barasek.com";
const EVA: &str = "eva@barasek.com";
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const ATTEMPTS: &str = "SELECT count(*) FROM login_attempts";
const SESSIONS: &str = "SELECT count(*) FROM sessions";

/// More rows than the broom takes at once.
const MANY: usize = 1_100;

/// Records this many attempts at a moment, as seen from now in days.
fn insert_attempts(app: &TestApp, count: usize, days: i64) {
    let at = Clock::system().now().as_millis() + days * 86_400_000;
    app.database()
        .execute(
            "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?1)
            INSERT INTO login_attempts (organisation_id, api_key_id, outcome, at) SELECT 1, 1, 'OK', ?2 FROM number",
            rusqlite::params![i64::try_from(count).unwrap(), at],
        )
        .unwrap();
}

/// The attempts that there are, by how many days before or after now they happened.
fn ages(app: &TestApp) -> Vec<(i64, i64)> {
    let database = app.database();
    let now = Clock::system().now().as_millis();
    let mut ages = database
        .prepare(
            "SELECT CAST(round((at - ?1) / 86400000.0) AS INTEGER) AS age, count(*) FROM login_attempts GROUP BY age",
        )
        .unwrap();
    ages.query_map([now], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
}

#[test]
fn attempts_are_deleted_after_ninety_days_as_shipped() {
    let app = spawn_app();
    app.shop().identity(JAN);
    app.advance(89 * DAY);
    app.shop().identity(EVA);
    app.advance(DAY + HOUR);
    eventually(|| app.count(ATTEMPTS) == 1);
    let eva = format!("{ATTEMPTS} JOIN customers AS c ON c.id = customer_id WHERE c.email = '{EVA}'");
    assert_eq!(app.count(&eva), 1);
}

#[test]
fn attempts_are_deleted_after_the_time_that_is_configured() {
    let app = spawn_app_with("[retention]\nlogin_attempts = \"2d\"");
    insert_attempts(&app, MANY, -3);
    insert_attempts(&app, MANY, -1);
    app.advance(HOUR);
    eventually(|| ages(&app) == [(-1, 1_100)]);
}

#[test]
fn attempts_out_of_order_neither_stop_the_broom_nor_stay() {
    let app = spawn_app();
    // Written while the clock was ahead.
    insert_attempts(&app, MANY, 5);
    insert_attempts(&app, MANY, -91);
    insert_attempts(&app, 1, -5);
    insert_attempts(&app, MANY, -91);
    insert_attempts(&app, 3, -5);
    // Written late, among younger ones.
    insert_attempts(&app, 1, -91);
    insert_attempts(&app, 3, -5);
    app.advance(HOUR);
    eventually(|| ages(&app) == [(-5, 7), (5, 1_100)]);
    // When their time has come, they go like all others.
    app.advance(96 * DAY);
    eventually(|| app.count(ATTEMPTS) == 0);
}

#[test]
fn a_throttle_that_is_rebuilt_misses_no_attempt() {
    let app = spawn_app_with("[retention]\nlogin_attempts = \"10m\"\n[throttle]\nemail.burst = 2");
    app.shop().identity(EVA);
    app.advance(Duration::from_mins(8));
    app.shop().identity(JAN);
    app.shop().identity(JAN);
    app.advance(Duration::from_mins(3));
    let app = app.restart();
    app.advance(Duration::from_mins(1));
    eventually(|| app.count(ATTEMPTS) == 2);
    let app = app.restart();
    assert_eq!(app.shop().sign_in(JAN).code(), "E006");
}

#[test]
fn sessions_that_were_ended_are_deleted_and_others_live_on() {
    let app = spawn_app();
    let shop = app.shop();
    let ended = shop.identity(JAN);
    app.operator(&["sign-out", JAN]);
    let logged_out = shop.identity(JAN);
    shop.logout(&logged_out);
    let living = [shop.identity(JAN), shop.identity(EVA)];
    app.advance(HOUR);
    eventually(|| app.count(SESSIONS) == 2);
    for identity in [ended, logged_out] {
        assert_eq!(shop.account_info(&identity).text, r#"{"loggedIn":false}"#);
        assert_eq!(shop.logout(&identity).text, r#"{"success":true}"#);
    }
    for identity in living {
        assert!(shop.is_logged_in(&identity));
    }
}

#[test]
fn sessions_that_have_expired_are_deleted_a_day_later() {
    let app = spawn_app_with("[session]\nlifetime = \"10d\"");
    let early = app.shop().identity(JAN);
    app.advance(DAY);
    let late = app.shop().identity(JAN);
    app.advance(10 * DAY);
    eventually(|| app.count(SESSIONS) == 1);
    // The other one has expired too, if the clock is right.
    for identity in [early, late] {
        assert!(!app.shop().is_logged_in(&identity));
    }
    app.advance(DAY);
    eventually(|| app.count(SESSIONS) == 0);
}

#[test]
fn sessions_that_were_idle_are_deleted_a_day_later() {
    let app = spawn_app_with("[session]\nidle_timeout = \"10d\"");
    app.shop().identity(JAN);
    let used = app.shop().identity(JAN);
    app.advance(9 * DAY);
    assert!(app.shop().is_logged_in(&used));
    eventually(|| app.count("SELECT count(*) FROM sessions WHERE last_seen_at > created_at") == 1);
    app.advance(2 * DAY);
    eventually(|| app.count(SESSIONS) == 1);
    assert!(app.shop().is_logged_in(&used));
}

#[test]
fn a_large_table_is_swept_to_its_end() {
    let app = spawn_app();
    let living = app.shop().identity(JAN);
    let table = "sessions (id, digest, customer_id, session_epoch, created_at, expires_at, last_seen_at)";
    let insert = format!(
        "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {MANY})
        INSERT INTO {table} SELECT ?1 + n, zeroblob(32), 1, 0, 1, 2, 1 FROM number"
    );
    for first in [0, i64::MAX - 2_000] {
        app.database().execute(&insert, [first]).unwrap();
    }
    app.advance(HOUR);
    eventually(|| app.count(SESSIONS) == 1);
    assert!(app.shop().is_logged_in(&living));
}

#[test]
fn a_round_ends_also_while_somebody_signs_in_all_the_time() {
    let app = spawn_app();
    app.shop().identity(JAN);
    let dead = "INSERT INTO sessions (id, digest, customer_id, session_epoch, created_at, expires_at, last_seen_at)
        VALUES (1, zeroblob(32), 1, 0, 1, 2, 1)";
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                app.client(SHOP_ROOT).identity(EVA);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let rounds = catch_unwind(AssertUnwindSafe(|| {
            for _ in 0..2 {
                app.database().execute(dead, []).unwrap();
                app.advance(HOUR);
                eventually(|| app.count("SELECT count(*) FROM sessions WHERE id = 1") == 0);
            }
        }));
        is_over.store(true, Ordering::Relaxed);
        rounds.unwrap();
    });
}

#[test]
fn a_table_that_cannot_be_swept_keeps_no_other_from_it_and_is_swept_when_it_can_be() {
    let app = spawn_app();
    insert_attempts(&app, MANY, -91);
    app.shop().logout(&app.shop().identity(JAN));
    let database = app.database();
    database
        .execute_batch("CREATE TRIGGER broken BEFORE DELETE ON login_attempts BEGIN SELECT RAISE(ABORT, 'broken'); END")
        .unwrap();
    app.advance(HOUR);
    eventually(|| app.count(SESSIONS) == 0);
    assert_eq!(ages(&app), [(-91, 1_100), (0, 1)]);
    database.execute_batch("DROP TRIGGER broken").unwrap();
    app.advance(Duration::from_mins(1));
    eventually(|| ages(&app) == [(0, 1)]);
}

#[test]
fn a_clock_that_is_set_back_deletes_nothing() {
    let app = spawn_app();
    // As if it had been two days later when they signed in.
    app.shop().logout(&app.shop().identity(EVA));
    let identity = app.shop().identity(JAN);
    for table in ["sessions", "login_attempts"] {
        let column = if table == "sessions" { "created_at" } else { "at" };
        app.database().execute(&format!("UPDATE {table} SET {column} = {column} + 172800000"), []).unwrap();
    }
    app.advance(HOUR);
    eventually(|| app.count(SESSIONS) == 1);
    assert_eq!(app.count(ATTEMPTS), 2);
    assert!(app.shop().is_logged_in(&identity));
}

/// Writes 70 MiB into the WAL, as another program.
fn grow_wal(process: &TestProcess, mebibytes: i64) {
    let insert = "INSERT INTO bans (customer_id, reason, created_at, lifted_at) VALUES (1, hex(zeroblob(?1)), 1, 1)";
    process.database().execute(insert, [mebibytes << 19]).unwrap();
}

fn wal_size(process: &TestProcess) -> u64 {
    std::fs::metadata(process.folder.path().join("magic-auth.db-wal")).unwrap().len()
}

#[test]
fn a_reader_that_keeps_the_wal_from_being_emptied_is_told_of_once_until_it_is_gone() {
    let process = spawn_process("");
    let identity = process.shop().identity(JAN);
    let reader = process.database();
    reader.execute_batch("BEGIN; SELECT count(*) FROM customers").unwrap();
    grow_wal(&process, 70);
    eventually(|| process.log().contains("WARN"));
    assert!(wal_size(&process) > 64 << 20);
    process.shop().identity(EVA);

    reader.execute_batch("ROLLBACK").unwrap();
    eventually(|| process.log().contains("INFO  the WAL is emptied again, after "));
    assert!(wal_size(&process) < 1 << 20);
    assert!(process.shop().is_logged_in(&identity));
    let warnings: Vec<_> = process.log().lines().filter(|line| line.contains("WARN")).map(str::to_owned).collect();
    let [warning] = &warnings[..] else { panic!("{warnings:?}") };
    assert!(warning.contains("the WAL has grown to 70 MiB: a reader (such as"), "{warning}");
}

#[test]
fn a_wal_that_was_left_large_is_emptied_without_a_word() {
    let process = spawn_process("");
    process.shop().identity(JAN);
    // Too much, and not so much that the operator has to know.
    grow_wal(&process, 40);
    eventually(|| wal_size(&process) < 1 << 20);
    assert!(!process.log().contains("WAL"), "{}", process.log());
}

#[test]
fn readers_that_come_and_go_do_not_keep_the_wal_from_being_emptied() {
    let process = spawn_process("");
    let identity = process.shop().identity(JAN);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let root = Client::new(process.address, SHOP_ROOT);
                while !is_over.load(Ordering::Relaxed) {
                    assert!(root.is_logged_in(&identity));
                }
            });
        }
        grow_wal(&process, 70);
        let emptied = catch_unwind(AssertUnwindSafe(|| eventually(|| wal_size(&process) < 1 << 20)));
        is_over.store(true, Ordering::Relaxed);
        emptied.unwrap();
    });
}
