//! `check`

mod geoip;

use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;
use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{cli, error, failed, folder_with, overwrite_root_of, single_spaced, without_folder, without_times};
use crate::app::{RIVAL, SHOP, SHOP_DEV, SHOP_ROOT, spawn_app, write_config, write_private};

/// What a successful check prints.
fn checked(folder: &TempDir) -> String {
    let output = cli(folder, &["check"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    printed(folder, output)
}

/// What a failing check prints, and its error.
fn found(folder: &TempDir) -> String {
    let output = cli(folder, &["check"]);
    let error = failed(folder, &output);
    printed(folder, output) + &error
}

/// The output but for what is different on each machine, all of which has to be in order.
fn printed(folder: &TempDir, output: Output) -> String {
    let text = without_folder(folder, &String::from_utf8(output.stdout).unwrap());
    let is_of_machine = |line: &&str| line.split_whitespace().next().is_some_and(|word| MACHINE.contains(&word));
    let (machine, others): (Vec<_>, Vec<_>) = text.lines().partition(is_of_machine);
    let is_well = |line: &&str| line.split_whitespace().nth(1) == Some("ok");
    assert!(machine.len() == 3 && machine.iter().all(is_well), "{text}");
    others.join("\n") + "\n"
}

const MACHINE: [&str; 3] = ["clock", "wal", "disk"];

fn configured_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_config(&folder, "");
    folder
}

/// Gives the database the mode that the server gives it.
fn make_private(folder: &TempDir) {
    let path = folder.path().join("magic-auth.db");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn cli_ok(folder: &TempDir, arguments: &[&str]) -> String {
    let output = cli(folder, arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn database(folder: &TempDir) -> rusqlite::Connection {
    rusqlite::Connection::open(folder.path().join("magic-auth.db")).unwrap()
}

#[test]
fn it_says_that_all_is_well_while_the_server_runs() {
    let app = spawn_app();
    app.shop().identity("jan@barasek.com");
    assert_snapshot!(checked(&app.folder), @r"
    checked                 result
    configuration       ok  organisations: 2, keys in the file: 4
    demo keys           ok  none
    configuration file  ok  mode 600: only the owner can access FOLDER/config.toml
    database            ok  FOLDER/magic-auth.db is intact
    schema              ok  version 4, as it should be
    database file       ok  mode 600: only the owner can access FOLDER/magic-auth.db
    ");
}

#[test]
fn it_can_speak_json() {
    let app = spawn_app();
    app.database()
        .execute_batch("PRAGMA foreign_keys = OFF; INSERT INTO bans VALUES (1, 77, 'none', 1, 1, 1)")
        .unwrap();
    let output = app.cli(&["check", "--json"]);
    failed(&app.folder, &output);
    let findings: Value = serde_json::from_slice(&output.stdout).unwrap();
    let states = |finding: &Value| (finding["subject"].clone(), finding["state"].clone());
    let (subjects, states): (Vec<_>, Vec<_>) = findings.as_array().unwrap().iter().map(states).unzip();
    let expected = [
        "configuration",
        "demo keys",
        "configuration file",
        "database",
        "schema",
        "database file",
        "clock",
        "wal",
        "disk",
    ];
    assert_eq!(subjects, expected);
    assert_eq!(states, ["ok", "ok", "ok", "wrong", "ok", "ok", "ok", "ok", "ok"]);
    let message = "row 1 of bans refers to a row that is not there";
    assert_eq!(findings[3], json!({ "subject": "database", "state": "wrong", "message": message }));
}

#[test]
fn it_says_what_the_clock_and_the_disk_are_like() {
    let app = spawn_app();
    let lines = app.cli_ok(&["check"]);
    let line = |subject: &str| lines.lines().find(|line| line.starts_with(subject)).unwrap();
    let words = |subject: &str| single_spaced(line(subject));
    assert_eq!(without_times(&words("clock")), "clock ok it is 0000-00-00T00:00:00.000Z");
    let wal = std::fs::metadata(app.folder.path().join("magic-auth.db-wal")).unwrap().len();
    assert_eq!(words("wal"), format!("wal ok {}", indicatif::HumanBytes(wal)));
    assert!(words("disk").ends_with(" KiB") && words("disk").contains("iB free, and the database has "), "{lines}");
}

#[test]
fn what_was_recorded_in_the_future_is_a_warning() {
    let app = spawn_app();
    app.advance(Duration::from_hours(2));
    app.shop().identity("jan@barasek.com");
    let lines = app.cli_ok(&["check"]);
    let line = lines.lines().find(|line| line.starts_with("clock")).unwrap();
    assert!(line.contains("WARNING") && line.contains(", but something was recorded at "), "{line}");
}

#[test]
fn customers_who_are_kept_under_another_canonicalization_are_a_warning() {
    let app = spawn_app();
    let said = || {
        let lines = app.cli_ok(&["check"]);
        lines.lines().find(|line| line.starts_with("email.canonicalization")).map(single_spaced)
    };
    for email in ["jan.novak@gmail.com", "eva@barasek.com"] {
        app.shop().identity(email);
    }
    app.client(SHOP_DEV).identity("ok@magic.test");
    assert_eq!(said(), None);
    app.edit_config("[server]", "email.canonicalization = \"none\"\n[server]");
    let warning = said().unwrap();
    assert!(
        warning.starts_with("email.canonicalization WARNING 1 customer is kept under another setting"),
        "{warning}"
    );
    let show = app.cli_ok(&["customer", "list", "--organisation", "shop", "--search", "novak", "--json"]);
    let reference = serde_json::from_str::<Value>(&show).unwrap()[0]["cuRefNo"].as_str().unwrap().to_owned();
    app.operator(&["set-email", &reference, "jan.novak@gmail.com"]);
    assert_eq!(said(), None);
}

#[test]
fn files_that_others_can_read_are_a_warning() {
    let app = spawn_app();
    for file in ["config.toml", "magic-auth.db"] {
        let path = app.folder.path().join(file);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o640)).unwrap();
    }
    assert_snapshot!(checked(&app.folder), @"
    checked                      result
    configuration       ok       organisations: 2, keys in the file: 4
    demo keys           ok       none
    configuration file  WARNING  mode 640: others can access the keys in FOLDER/config.toml: run chmod 600 on it
    database            ok       FOLDER/magic-auth.db is intact
    schema              ok       version 4, as it should be
    database file       WARNING  mode 640: others can access the customers' addresses in FOLDER/magic-auth.db: run chmod 600 on it
    ");
}

#[test]
fn a_key_of_the_file_that_the_command_line_has_ended_opens_nothing() {
    let app = spawn_app();
    for key in [SHOP, SHOP_DEV, SHOP_ROOT] {
        app.cli_ok(&["key", "revoke", key]);
        assert!(app.cli(&["check"]).status.success());
    }
    app.cli_ok(&["key", "revoke", RIVAL]);
    let found = found(&app.folder);
    let message = "WRONG  organisations: 2, keys in the file: 4 (4 of them ended on the command line); every request \
                   will get a 401: make a key with magic-auth key create";
    assert!(found.contains(message), "{found}");
}

#[test]
fn an_organisation_without_a_key_is_a_fault() {
    let folder = folder_with("[[organisation]]\nname = \"shop\"");
    assert_snapshot!(found(&folder), @r"
    checked                    result
    configuration       WRONG  organisations: 1, keys in the file: 0; every request will get a 401: make a key with magic-auth key create
    demo keys           ok     none
    configuration file  ok     there are no secrets in FOLDER/config.toml
    database            ok     FOLDER/magic-auth.db does not exist yet: the server creates it
    magic-auth: 1 of 7 checks found something wrong
    ");
    cli_ok(&folder, &["key", "create", "--kind", "prod"]);
    assert_snapshot!(checked(&folder), @r"
    checked                 result
    configuration       ok  organisations: 1, keys in the file: 0, made on the command line: 1
    demo keys           ok  none
    configuration file  ok  there are no secrets in FOLDER/config.toml
    database            ok  FOLDER/magic-auth.db is intact
    schema              ok  version 4, as it should be
    database file       ok  mode 600: only the owner can access FOLDER/magic-auth.db
    ");
}

#[test]
fn keys_that_were_made_are_in_force_also_without_an_organisation_in_the_configuration() {
    let folder = folder_with("[[organisation]]\nname = \"shop\"");
    cli_ok(&folder, &["key", "create", "--kind", "prod"]);
    std::fs::write(folder.path().join("config.toml"), "").unwrap();
    assert_snapshot!(checked(&folder), @r"
    checked                      result
    configuration       WARNING  organisations: 0, keys in the file: 0, made on the command line: 1; some are of organisations that are not in the file (shop): add an [[organisation]], or revoke the keys
    demo keys           ok       none
    configuration file  ok       there are no secrets in FOLDER/config.toml
    database            ok       FOLDER/magic-auth.db is intact
    schema              ok       version 4, as it should be
    database file       ok       mode 600: only the owner can access FOLDER/magic-auth.db
    ");
    std::fs::write(folder.path().join("config.toml"), "[[organisation]]\nname = \"rival\"").unwrap();
    let warning = "configuration       WARNING  organisations: 1, keys in the file: 0, made on the command line: 1; some are \
                   of organisations that are not in the file (shop): ";
    assert!(checked(&folder).contains(warning), "{}", checked(&folder));
    let key = cli_ok(&folder, &["key", "list"]);
    let (_, hint) = key.lines().nth(1).unwrap().split_once('…').unwrap();
    cli_ok(&folder, &["key", "revoke", &hint[..4]]);
    assert!(found(&folder).contains("every request will get a 401"));
}

#[test]
fn an_older_database_will_be_upgraded() {
    let folder = configured_folder();
    let old = database(&folder);
    old.execute_batch(include_str!("../../schemas/1.sql")).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    make_private(&folder);
    assert_snapshot!(checked(&folder), @r"
    checked                 result
    configuration       ok  organisations: 2, keys in the file: 4
    demo keys           ok  none
    configuration file  ok  mode 600: only the owner can access FOLDER/config.toml
    schema              ok  version 1: the server upgrades it to 4
    database file       ok  mode 600: only the owner can access FOLDER/magic-auth.db
    ");
}

#[test]
fn a_database_that_is_not_there_yet_is_no_fault_and_is_not_made() {
    let folder = configured_folder();
    assert_snapshot!(checked(&folder), @r"
    checked                 result
    configuration       ok  organisations: 2, keys in the file: 4
    demo keys           ok  none
    configuration file  ok  mode 600: only the owner can access FOLDER/config.toml
    database            ok  FOLDER/magic-auth.db does not exist yet: the server creates it
    ");
    assert!(!folder.path().join("magic-auth.db").exists());
}

#[test]
fn a_configuration_without_an_organisation_is_a_fault() {
    let folder = folder_with("");
    assert_snapshot!(found(&folder), @r"
    checked                    result
    configuration       WRONG  organisations: 0, keys in the file: 0; every request will get a 401: add an [[organisation]]
    demo keys           ok     none
    configuration file  ok     there are no secrets in FOLDER/config.toml
    database            ok     FOLDER/magic-auth.db does not exist yet: the server creates it
    magic-auth: 1 of 7 checks found something wrong
    ");
}

#[test]
fn the_shipped_configuration_is_in_order_but_for_its_demo_keys() {
    let folder = folder_with(include_str!("../../../config.toml"));
    assert_snapshot!(checked(&folder), @r"
    checked                      result
    configuration       ok       organisations: 1, keys in the file: 2
    demo keys           WARNING  2 of the keys are published demo keys, meant only for trying it out: remove them from api_keys, then make others (magic-auth key create)
    configuration file  ok       there are no secrets in FOLDER/config.toml
    database            ok       FOLDER/magic-auth.db does not exist yet: the server creates it
    ");
}

#[test]
fn a_file_that_is_no_database_is_a_fault_and_is_left_alone() {
    let folder = configured_folder();
    let path = folder.path().join("magic-auth.db");
    let text = "Dear diary, this is a text and by no means a database. ".repeat(100);
    write_private(&path, &text);
    assert_snapshot!(found(&folder), @r"
    checked                    result
    configuration       ok     organisations: 2, keys in the file: 4
    demo keys           ok     none
    configuration file  ok     mode 600: only the owner can access FOLDER/config.toml
    database            WRONG  cannot open the database FOLDER/magic-auth.db: file is not a database
    database file       ok     mode 600: only the owner can access FOLDER/magic-auth.db
    magic-auth: 1 of 8 checks found something wrong
    ");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn somebody_elses_database_is_a_fault_and_is_left_alone() {
    let folder = configured_folder();
    let path = folder.path().join("magic-auth.db");
    database(&folder).execute_batch("CREATE TABLE notes (text)").unwrap();
    make_private(&folder);
    let before = std::fs::read(&path).unwrap();
    assert_snapshot!(found(&folder), @r"
    checked                    result
    configuration       ok     organisations: 2, keys in the file: 4
    demo keys           ok     none
    configuration file  ok     mode 600: only the owner can access FOLDER/config.toml
    database            WRONG  the database FOLDER/magic-auth.db was not made by magic-auth: name another file in [database] path
    database file       ok     mode 600: only the owner can access FOLDER/magic-auth.db
    magic-auth: 1 of 8 checks found something wrong
    ");
    assert_snapshot!(error(&folder, &["serve"]), @"magic-auth: the database FOLDER/magic-auth.db was not made by magic-auth: name another file in [database] path");
    assert_snapshot!(error(&folder, &["key", "list"]), @"magic-auth: the database FOLDER/magic-auth.db was not made by magic-auth: name another file in [database] path");
    assert!(std::fs::read(&path).unwrap() == before, "the file was changed");
}

#[test]
fn a_database_of_a_newer_program_is_a_fault_and_is_left_alone() {
    let app = spawn_app();
    app.database().pragma_update(None, "user_version", 99).unwrap();
    assert_snapshot!(found(&app.folder), @r"
    checked                    result
    configuration       ok     organisations: 2, keys in the file: 4
    demo keys           ok     none
    configuration file  ok     mode 600: only the owner can access FOLDER/config.toml
    schema              WRONG  the database FOLDER/magic-auth.db has version 99, but this program knows only 4: use a newer magic-auth
    database file       ok     mode 600: only the owner can access FOLDER/magic-auth.db
    magic-auth: 1 of 8 checks found something wrong
    ");
    assert_snapshot!(error(&app.folder, &["attempts"]), @"magic-auth: the database FOLDER/magic-auth.db has version 99, but this program knows only 4: use a newer magic-auth");
    assert_eq!(app.count("PRAGMA user_version"), 99);
}

#[test]
fn the_server_refuses_a_database_of_a_newer_program() {
    let mut app = spawn_app();
    app.stop_server();
    app.database().pragma_update(None, "user_version", 99).unwrap();
    assert_snapshot!(error(&app.folder, &["serve"]), @"magic-auth: the database FOLDER/magic-auth.db has version 99, but this program knows only 4: use a newer magic-auth");
}

#[test]
fn a_damaged_page_is_found() {
    let mut app = spawn_app();
    app.shop().identity("jan@barasek.com");
    app.stop_server();
    overwrite_root_of(&app.database_path(), "sessions");
    let output = app.cli(&["check"]);
    let error = failed(&app.folder, &output);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("database            WRONG"), "{table}");
    assert!(error.starts_with("magic-auth: ") && error.ends_with("checks found something wrong"), "{error}");
}

#[test]
fn a_row_that_refers_to_nothing_is_found() {
    let app = spawn_app();
    app.shop().identity("jan@barasek.com");
    let database = app.database();
    database.pragma_update(None, "foreign_keys", false).unwrap();
    database.execute("UPDATE login_attempts SET customer_id = 77", []).unwrap();
    assert_snapshot!(found(&app.folder), @r"
    checked                    result
    configuration       ok     organisations: 2, keys in the file: 4
    demo keys           ok     none
    configuration file  ok     mode 600: only the owner can access FOLDER/config.toml
    database            WRONG  row 1 of login_attempts refers to a row that is not there
    schema              ok     version 4, as it should be
    database file       ok     mode 600: only the owner can access FOLDER/magic-auth.db
    magic-auth: 1 of 9 checks found something wrong
    ");
}
