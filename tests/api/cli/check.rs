//! `check`

use std::path::Path;

use insta::assert_snapshot;
use tempfile::TempDir;

use super::{cli, error, failed, folder_with, without_folder};
use crate::app::{spawn_app, write_config};

/// What a successful check prints.
fn checked(folder: &TempDir) -> String {
    let output = cli(folder, &["check"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    without_folder(folder, &String::from_utf8(output.stdout).unwrap())
}

/// What a failing check prints, and its error.
fn found(folder: &TempDir) -> String {
    let output = cli(folder, &["check"]);
    let error = failed(folder, &output);
    format!("{}{error}", without_folder(folder, &String::from_utf8(output.stdout).unwrap()))
}

fn configured_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_config(&folder, "");
    folder
}

fn database(folder: &TempDir) -> rusqlite::Connection {
    rusqlite::Connection::open(folder.path().join("magic-auth.db")).unwrap()
}

#[test]
fn it_says_that_all_is_well_while_the_server_runs() {
    let app = spawn_app();
    app.shop().identity("jan@barasek.com");
    assert_snapshot!(checked(&app.folder), @r"
    checked            result
    configuration  ok  organisations: 2, keys in the file: 4
    database       ok  FOLDER/magic-auth.db is intact
    ");
}

#[test]
fn it_can_speak_json() {
    let app = spawn_app();
    assert_snapshot!(without_folder(&app.folder, &app.cli_ok(&["check", "--json"])), @r#"
    [
      {
        "subject": "configuration",
        "ok": true,
        "message": "organisations: 2, keys in the file: 4"
      },
      {
        "subject": "database",
        "ok": true,
        "message": "FOLDER/magic-auth.db is intact"
      }
    ]
    "#);
}

#[test]
fn a_database_that_is_not_there_yet_is_no_fault_and_is_not_made() {
    let folder = configured_folder();
    assert_snapshot!(checked(&folder), @r"
    checked            result
    configuration  ok  organisations: 2, keys in the file: 4
    database       ok  FOLDER/magic-auth.db is not there yet: the server makes it
    ");
    assert!(!folder.path().join("magic-auth.db").exists());
}

#[test]
fn a_configuration_without_an_organisation_is_a_fault() {
    let folder = folder_with("");
    assert_snapshot!(found(&folder), @r"
    checked               result
    configuration  WRONG  no [[organisation]]: every request will be a 401
    database       ok     FOLDER/magic-auth.db is not there yet: the server makes it
    magic-auth: 1 of 2 checks found something wrong
    ");
}

#[test]
fn the_shipped_demo_configuration_is_in_order() {
    let folder = folder_with(include_str!("../../../config.toml"));
    assert_snapshot!(checked(&folder), @r"
    checked            result
    configuration  ok  organisations: 1, keys in the file: 2
    database       ok  FOLDER/magic-auth.db is not there yet: the server makes it
    ");
}

#[test]
fn a_file_that_is_no_database_is_a_fault_and_is_left_alone() {
    let folder = configured_folder();
    let path = folder.path().join("magic-auth.db");
    let text = "Dear diary, this is a text and by no means a database. ".repeat(100);
    std::fs::write(&path, &text).unwrap();
    assert_snapshot!(found(&folder), @r"
    checked               result
    configuration  ok     organisations: 2, keys in the file: 4
    database       WRONG  cannot open the database FOLDER/magic-auth.db: file is not a database
    magic-auth: 1 of 2 checks found something wrong
    ");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn somebody_elses_database_is_a_fault_and_is_left_alone() {
    let folder = configured_folder();
    let path = folder.path().join("magic-auth.db");
    database(&folder).execute_batch("CREATE TABLE notes (text)").unwrap();
    let before = std::fs::read(&path).unwrap();
    assert_snapshot!(found(&folder), @r"
    checked               result
    configuration  ok     organisations: 2, keys in the file: 4
    database       WRONG  the database FOLDER/magic-auth.db was not made by magic-auth: name another file in [database] path
    magic-auth: 1 of 2 checks found something wrong
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
    checked               result
    configuration  ok     organisations: 2, keys in the file: 4
    database       WRONG  the database FOLDER/magic-auth.db has version 99, but this program knows only 2: use a newer magic-auth
    magic-auth: 1 of 2 checks found something wrong
    ");
    assert_snapshot!(error(&app.folder, &["attempts"]), @"magic-auth: the database FOLDER/magic-auth.db has version 99, but this program knows only 2: use a newer magic-auth");
    assert_eq!(app.count("PRAGMA user_version"), 99);
}

#[test]
fn the_server_refuses_a_database_of_a_newer_program() {
    let folder = configured_folder();
    database(&folder).pragma_update(None, "user_version", 99).unwrap();
    assert_snapshot!(error(&folder, &["serve"]), @"magic-auth: the database FOLDER/magic-auth.db has version 99, but this program knows only 2: use a newer magic-auth");
}

#[test]
fn a_damaged_page_is_found() {
    let mut app = spawn_app();
    app.shop().identity("jan@barasek.com");
    app.stop_server();
    overwrite_root_of(&app.database_path(), "sessions", &app.database());
    let output = app.cli(&["check"]);
    let error = failed(&app.folder, &output);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("database       WRONG"), "{table}");
    assert!(error.starts_with("magic-auth: ") && error.ends_with("checks found something wrong"), "{error}");
}

/// Makes nonsense of the page on which a table begins.
fn overwrite_root_of(path: &Path, table: &str, database: &rusqlite::Connection) {
    database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let number = |sql: &str| database.query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap();
    let page_size = number("PRAGMA page_size");
    let page = number(&format!("SELECT rootpage FROM sqlite_schema WHERE name = '{table}'"));
    let begin = usize::try_from((page - 1) * page_size).unwrap();
    let mut content = std::fs::read(path).unwrap();
    content[begin..begin + 100].fill(0xA5);
    std::fs::write(path, content).unwrap();
}

#[test]
fn a_row_that_refers_to_nothing_is_found() {
    let app = spawn_app();
    app.shop().identity("jan@barasek.com");
    let database = app.database();
    database.pragma_update(None, "foreign_keys", false).unwrap();
    database.execute("UPDATE login_attempts SET customer_id = 77", []).unwrap();
    assert_snapshot!(found(&app.folder), @r"
    checked               result
    configuration  ok     organisations: 2, keys in the file: 4
    database       WRONG  row 1 of login_attempts refers to a row that is not there
    magic-auth: 1 of 2 checks found something wrong
    ");
}
