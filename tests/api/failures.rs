//! What callers get while the database cannot be used, and that all is well again once it can.

use std::process::Command;
use std::time::Duration;

use crate::admin::{ADMIN, metrics, value};
use crate::app::{Client, Reply, SHOP_DEV, SHOP_ROOT, TestApp, spawn_app, spawn_app_with, write_config, write_private};
use crate::process::{TestProcess, eventually, skip, spawn_process, try_to_start_process};

const JAN: &str = "jan@barasek.com";
const EVA: &str = "eva@barasek.com";

fn assert_login_failed(reply: &Reply) {
    assert_eq!(reply.status, 200);
    assert_eq!(reply.text, r#"{"success":false,"errorCode":"E001","message":"Customer login failed."}"#);
}

fn assert_internal_error(reply: &Reply) {
    assert_eq!(reply.status, 500);
    assert_eq!(
        reply.text,
        r#"{"success":false,"errorCode":"INTERNAL_ERROR","message":"The service failed. Try again later."}"#
    );
}

/// Makes every insert of a session fail.
const BREAK_SESSIONS: &str =
    "CREATE TRIGGER broken BEFORE INSERT ON sessions BEGIN SELECT RAISE(ABORT, 'the table is broken'); END";
const MEND_SESSIONS: &str = "DROP TRIGGER broken";

fn change(app: &TestApp, sql: &str) {
    app.database().execute_batch(sql).unwrap();
}

#[test]
fn a_sign_in_that_the_database_fails_is_e001_and_leaves_nothing_half_written() {
    let app = spawn_app();
    change(&app, BREAK_SESSIONS);
    assert_login_failed(&app.shop().sign_in(JAN));
    assert_eq!(app.count("SELECT count(*) FROM customers"), 0);
    assert_eq!(app.count("SELECT count(*) FROM sessions"), 0);
}

#[test]
fn sign_in_works_again_as_soon_as_the_cause_is_gone() {
    let app = spawn_app();
    let earlier = app.shop().identity(JAN);
    change(&app, BREAK_SESSIONS);
    assert_login_failed(&app.shop().sign_in(JAN));
    assert!(app.shop().is_logged_in(&earlier));
    change(&app, MEND_SESSIONS);
    let later = app.shop().identity(JAN);
    assert!(app.shop().is_logged_in(&later));
}

#[test]
fn a_failed_sign_in_is_recorded_as_soon_as_it_can_be() {
    let app = spawn_app();
    change(&app, BREAK_SESSIONS);
    change(&app, "CREATE TRIGGER full BEFORE INSERT ON login_attempts BEGIN SELECT RAISE(ABORT, 'full'); END");
    assert_login_failed(&app.client(SHOP_DEV).sign_in("ok@magic.test"));
    assert_login_failed(&app.shop().sign_in(JAN));
    assert_login_failed(&app.shop().sign_in(JAN));
    assert_eq!(app.count("SELECT count(*) FROM login_attempts"), 0);
    change(&app, "DROP TRIGGER full");
    let recorded =
        "SELECT coalesce(sum(count), 0) FROM login_attempts WHERE outcome = 'E001' AND email = 'jan@barasek.com'";
    eventually(|| app.count(recorded) == 2);
    assert_eq!(app.count("SELECT sum(count) FROM login_attempts"), 2, "the sandbox is not recorded");
}

#[test]
fn refusals_are_recorded_or_e001_too() {
    let app = spawn_app();
    change(&app, "ALTER TABLE login_attempts RENAME TO away");
    assert_login_failed(&app.shop().sign_in("no address"));
    change(&app, "ALTER TABLE away RENAME TO login_attempts");
    assert_eq!(app.shop().sign_in("no address").code(), "E004");
}

#[test]
fn a_sign_in_that_fails_does_not_take_others_with_it() {
    let app = spawn_app();
    change(
        &app,
        "CREATE TRIGGER broken BEFORE INSERT ON customers WHEN new.email = 'jan@barasek.com'
        BEGIN SELECT RAISE(ABORT, 'not Jan'); END",
    );
    let threads: Vec<_> = (0..16)
        .map(|number| {
            let root = app.client(SHOP_ROOT);
            std::thread::spawn(move || root.sign_in(if number % 2 == 0 { JAN } else { EVA }).code())
        })
        .collect();
    let codes: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    for pair in codes.chunks(2) {
        assert_eq!(pair, ["E001", ""]);
    }
}

#[test]
fn a_database_that_another_program_holds_is_e001_after_a_while_and_works_again_at_once() {
    let app = spawn_app();
    let earlier = app.shop().identity(JAN);
    let other = app.database();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let waiting = {
        let shop = app.shop();
        std::thread::spawn(move || shop.sign_in(JAN))
    };
    // Who only reads does not wait.
    assert!(app.shop().is_logged_in(&earlier));
    assert_login_failed(&waiting.join().unwrap());
    other.execute_batch("ROLLBACK").unwrap();
    app.shop().identity(JAN);
    assert_eq!(app.count("SELECT count(*) FROM sessions"), 2);
    eventually(|| app.count("SELECT count(*) FROM login_attempts WHERE outcome = 'E001'") == 1);
}

#[test]
fn a_database_that_another_program_holds_for_a_moment_only_delays() {
    let app = spawn_app_with(ADMIN);
    let other = app.database();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let waiting = {
        let shop = app.shop();
        std::thread::spawn(move || shop.sign_in(JAN).code())
    };
    eventually(|| value(&metrics(&app), "magic_auth_write_queue_jobs") == 1);
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(waiting.join().unwrap(), "");
}

#[test]
fn account_info_and_logout_are_an_internal_error_while_the_sessions_cannot_be_read() {
    let app = spawn_app();
    let identity = app.shop().identity(JAN);
    change(&app, "ALTER TABLE sessions RENAME TO away");
    assert_internal_error(&app.shop().account_info(&identity));
    assert_internal_error(&app.shop().logout(&identity));
    change(&app, "ALTER TABLE away RENAME TO sessions");
    assert!(app.shop().is_logged_in(&identity));
}

#[test]
fn a_logout_that_cannot_be_written_is_an_internal_error_and_no_logout() {
    let app = spawn_app();
    let identity = app.shop().identity(JAN);
    change(&app, "CREATE TRIGGER broken BEFORE UPDATE ON sessions BEGIN SELECT RAISE(ABORT, 'broken'); END");
    assert_internal_error(&app.shop().logout(&identity));
    assert!(app.shop().is_logged_in(&identity));
    change(&app, MEND_SESSIONS);
    assert_eq!(app.shop().logout(&identity).text, r#"{"success":true}"#);
    assert!(!app.shop().is_logged_in(&identity));
}

#[test]
fn the_last_known_keys_count_for_ten_seconds_while_the_keys_cannot_be_read() {
    let app = spawn_app();
    assert_eq!(app.shop().ping().status, 200);
    change(&app, "ALTER TABLE api_keys RENAME TO away");
    app.advance(Duration::from_secs(5));
    assert_eq!(app.shop().ping().status, 200);
    assert_eq!(app.client("PRODnobody0000000000000000000000").ping().status, 401);
    // By then a key may have been revoked.
    app.advance(Duration::from_secs(6));
    for _ in 0..3 {
        assert_internal_error(&app.shop().ping());
    }
    change(&app, "ALTER TABLE away RENAME TO api_keys");
    app.advance(Duration::from_secs(1));
    assert_eq!(app.shop().ping().status, 200);
}

/// The lines of the log with this request's id, once the request's own is among them.
fn lines_about(process: &TestProcess, id: &str) -> Vec<String> {
    let id = format!("request_id={id}");
    let lines = || process.log().lines().filter(|line| line.contains(&id)).map(str::to_owned).collect::<Vec<_>>();
    eventually(|| lines().iter().any(|line| line.contains("answered")));
    lines()
}

#[test]
fn the_log_tells_the_cause_of_a_failed_sign_in_by_the_id_of_its_request() {
    let process = spawn_process("");
    process.database().execute_batch(BREAK_SESSIONS).unwrap();
    let reply = process.shop().sign_in(JAN);
    assert_login_failed(&reply);
    let [cause, answered] = &lines_about(&process, reply.header("x-request-id"))[..] else { panic!() };
    assert!(cause.contains("ERROR a sign-in failed: database error: the table is broken"), "{cause}");
    assert!(answered.contains("status=200 code=E001"), "{answered}");
}

#[test]
fn the_log_tells_the_cause_of_an_internal_error_by_the_id_of_its_request() {
    let process = spawn_process("");
    let identity = process.shop().identity(JAN);
    process.database().execute_batch("ALTER TABLE sessions RENAME TO away").unwrap();
    for reply in [process.shop().account_info(&identity), process.shop().logout(&identity)] {
        assert_internal_error(&reply);
        let [cause, answered] = &lines_about(&process, reply.header("x-request-id"))[..] else { panic!() };
        assert!(cause.contains("ERROR a request failed: database error: no such table: sessions"), "{cause}");
        assert!(answered.contains("status=500 code=INTERNAL_ERROR"), "{answered}");
    }
}

/// Sets a limit of a process, such as `--fsize=0:`. Says whether the system has the tool for it.
fn limit(process_id: u32, limit: &str) -> bool {
    let run = Command::new("prlimit").arg("--pid").arg(process_id.to_string()).arg(limit).status();
    run.is_ok_and(|status| status.success())
}

#[test]
fn a_full_disk_is_e001_reads_go_on_and_nothing_is_lost_once_there_is_room() {
    let process = spawn_process("[admin]\nlisten = \"127.0.0.1:0\"");
    let root = Client::new(process.address, SHOP_ROOT);
    let readiness = || Client::new(process.admin_address(), "").get("/health/ready").status;
    let earlier = root.identity(JAN);
    // Some pages of the next transaction still find room, but not all.
    let wal = std::fs::metadata(process.folder.path().join("magic-auth.db-wal")).unwrap().len();
    for size in [wal + 10_000, 1] {
        if !limit(process.child.id(), &format!("--fsize={size}:")) {
            return skip("a full disk", "prlimit");
        }
        for number in 0..3 {
            assert_login_failed(&root.sign_in(&format!("new{number}@barasek.com")));
        }
        assert!(root.is_logged_in(&earlier));
    }
    assert_eq!(readiness(), 503);
    assert!(limit(process.child.id(), "--fsize=unlimited:"));
    eventually(|| readiness() == 200);
    let later = root.identity(EVA);
    assert!(root.is_logged_in(&earlier) && root.is_logged_in(&later));
    let database = process.database();
    let number = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(number("SELECT count(*) FROM customers"), 2);
    let failed = "SELECT coalesce(sum(count), 0) FROM login_attempts WHERE outcome = 'E001'";
    eventually(|| number(failed) == 6);
    let intact = database.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(intact, "ok");
    // What was written after the disk was full outlives the process.
    let process = process.kill_and_restart();
    let root = Client::new(process.address, SHOP_ROOT);
    assert!(root.is_logged_in(&earlier) && root.is_logged_in(&later));
}

/// Readers have the old file open, and would not see what is written into another one.
#[test]
fn a_copy_that_takes_the_place_of_the_database_during_an_outage_is_not_written_to() {
    let process = spawn_process("");
    let in_folder = |name: &str| process.folder.path().join(name);
    let [database, copy, away] = ["magic-auth.db", "copy", "away"].map(in_folder);
    let root = Client::new(process.address, SHOP_ROOT);
    let earlier = root.identity(JAN);
    if !limit(process.child.id(), "--fsize=1:") {
        return skip("an outage", "prlimit");
    }
    assert_login_failed(&root.sign_in(EVA));
    std::fs::copy(&database, &copy).unwrap();
    std::fs::rename(&database, &away).unwrap();
    std::fs::rename(&copy, &database).unwrap();
    assert!(limit(process.child.id(), "--fsize=unlimited:"));
    for _ in 0..2 {
        assert_login_failed(&root.sign_in(EVA));
    }
    std::fs::rename(&away, &database).unwrap();
    let later = root.identity(EVA);
    assert!(root.is_logged_in(&earlier) && root.is_logged_in(&later));
    eventually(|| process.log().contains("the database can be written again"));
}

#[test]
fn a_damaged_database_gives_no_wrong_answer() {
    let mut process = spawn_process("");
    let root = Client::new(process.address, SHOP_ROOT);
    let customers: Vec<_> = (0..30).map(|number| format!("jan{number}@barasek.com")).collect();
    let customers: Vec<_> = customers.iter().map(|email| (email, root.identity(email))).collect();
    process.signal("TERM");
    process.wait();
    let sound = std::fs::read(process.folder.path().join("magic-auth.db")).unwrap();
    let pages = sound.len() / 4_096;
    let zeroed = (0..pages).map(|page| {
        let mut content = sound.clone();
        content[page * 4_096..][..4_096].fill(0);
        content
    });
    let cut = [100, 4_096, sound.len() / 2, sound.len() - 4_096, sound.len() - 1].map(|end| sound[..end].to_vec());
    let mut served = 0;
    for content in zeroed.chain(cut) {
        let folder = tempfile::tempdir().unwrap();
        write_config(&folder, "");
        write_private(&folder.path().join("magic-auth.db"), content);
        let process = match try_to_start_process(folder, None) {
            Ok(process) => process,
            Err(said) => {
                assert!(said.contains("magic-auth: ") && !said.contains("panicked"), "{said}");
                continue;
            }
        };
        served += 1;
        let root = Client::new(process.address, SHOP_ROOT);
        for (email, identity) in &customers {
            let reply = root.account_info(identity);
            let is_right = match reply.status {
                200 => reply.text == r#"{"loggedIn":false}"# || reply.json()["email"] == email.as_str(),
                status => status == 500,
            };
            assert!(is_right, "{reply:?}");
        }
        let reply = root.sign_in(EVA);
        assert!(reply.status == 500 || ["", "E001"].contains(&reply.code().as_str()), "{reply:?}");
        assert!(!process.log().contains("panicked"), "{}", process.log());
    }
    assert!(served > pages / 2 && served < pages + 5, "{served}");
}

#[test]
fn a_database_that_was_removed_under_the_server_gives_no_success() {
    for removed in ["magic-auth.db", "magic-auth.db-wal"] {
        let app = spawn_app();
        let identity = app.shop().identity(JAN);
        std::fs::remove_file(app.folder.path().join(removed)).unwrap();
        for _ in 0..2 {
            assert_login_failed(&app.shop().sign_in(EVA));
            assert_internal_error(&app.shop().account_info(&identity));
        }
    }
}

/// What a command does to the file that took its place, nobody would see.
#[test]
fn a_database_that_was_replaced_is_not_read_any_more_until_it_is_back() {
    let app = spawn_app();
    let identity = app.shop().identity(JAN);
    let [database, away] = [app.database_path(), app.folder.path().join("away")];
    std::fs::rename(&database, &away).unwrap();
    std::fs::copy(&away, &database).unwrap();
    eventually(|| app.shop().account_info(&identity).status == 500);
    assert_login_failed(&app.shop().sign_in(EVA));
    app.advance(Duration::from_secs(11));
    assert_internal_error(&app.shop().ping());
    std::fs::rename(&away, &database).unwrap();
    eventually(|| app.shop().ping().status == 200);
    assert!(app.shop().is_logged_in(&identity));
    app.shop().identity(EVA);
}
