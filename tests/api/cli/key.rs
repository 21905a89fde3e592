//! `key create`, `key list`, `key revoke`

mod rotate;

use std::process::Command;
use std::time::Duration;

use insta::assert_snapshot;
use rusqlite::Connection;
use serde_json::Value;

use super::{cli, error, failed, folder_with, without_times};
use crate::app::{SHOP, SHOP_DEV, SHOP_ROOT, TestApp, spawn_app, start_app, write_config, write_private};
use crate::process::{eventually, spawn_process};

const DAY: Duration = Duration::from_hours(24);

/// Makes a key of `shop` and gives it.
fn create(app: &TestApp, kind: &str, more: &[&str]) -> String {
    let printed = app.cli_ok(&[&["key", "create", "--organisation", "shop", "--kind", kind], more].concat());
    let key = printed.strip_suffix('\n').unwrap();
    assert!(key.len() == 32 && key[4..].bytes().all(|byte| byte.is_ascii_alphanumeric()), "{key}");
    key.to_owned()
}

#[test]
fn a_new_key_works_at_the_very_next_request() {
    let app = spawn_app();
    for (kind, prefix) in [("prod", "PROD"), ("dev", "DEV_"), ("root", "ROOT")] {
        let key = create(&app, kind, &[]);
        assert!(key.starts_with(prefix), "{key}");
        assert_eq!(app.client(&key).ping().status, 200);
    }
}

#[test]
fn a_new_key_belongs_to_its_organisation() {
    let app = spawn_app();
    let identity = app.shop().identity("jan@barasek.com");
    assert!(app.client(&create(&app, "prod", &[])).is_logged_in(&identity));
    let rivals = app.cli_ok(&["key", "create", "--organisation", "rival", "--kind", "prod"]);
    assert!(!app.client(rivals.trim()).is_logged_in(&identity));
}

#[test]
fn create_can_speak_json() {
    let app = spawn_app();
    let create = |more: &[&str]| {
        let arguments = [&["key", "create", "--organisation", "shop", "--kind", "dev", "--json"], more].concat();
        let printed = app.cli_ok(&arguments);
        let json: Value = serde_json::from_str(&printed).unwrap();
        without_times(&printed).replace(json["apiKey"].as_str().unwrap(), "KEY")
    };
    assert_snapshot!(create(&[]), @r#"
    {
      "apiKey": "KEY",
      "expiresAt": null
    }
    "#);
    assert_snapshot!(create(&["--expires", "1h"]), @r#"
    {
      "apiKey": "KEY",
      "expiresAt": "0000-00-00T00:00:00.000Z"
    }
    "#);
}

/// The error of a command whose standard output nobody reads, with the last characters of the newest key left out.
fn error_without_reader(app: &TestApp, arguments: &[&str]) -> String {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_magic-auth"));
    command.arg("--config").arg(app.folder.path().join("config.toml")).args(arguments);
    let error = failed(&app.folder, &command.stdout(writer).output().unwrap());
    let newest = "SELECT hint FROM api_keys ORDER BY id DESC LIMIT 1";
    let hint: String = app.database().query_row(newest, [], |row| row.get(0)).unwrap();
    without_times(&error).replace(&hint, "HINT")
}

#[test]
fn a_key_that_was_not_shown_is_an_error_that_says_what_to_do() {
    let app = spawn_app();
    let create = ["key", "create", "--organisation", "shop", "--kind", "dev"];
    assert_snapshot!(error_without_reader(&app, &create), @"magic-auth: the key DEV_…HINT was made but not shown (cannot write to standard output: Broken pipe (os error 32)): revoke it");
    assert_snapshot!(error_without_reader(&app, &["key", "rotate", "ROOT0000"]), @"magic-auth: the key ROOT…HINT was made but not shown (cannot write to standard output: Broken pipe (os error 32)): revoke it and create another (magic-auth key create) before ROOT…0000 of shop expires at 0000-00-00T00:00:00.000Z");
}

#[test]
fn the_first_key_can_be_made_before_the_server_was_ever_started() {
    let folder = tempfile::tempdir().unwrap();
    write_config(&folder, "");
    let output = cli(&folder, &["key", "create", "--organisation", "shop", "--kind", "prod"]);
    assert!(output.status.success(), "{output:?}");
    let key = String::from_utf8(output.stdout).unwrap();
    let app = start_app(folder);
    app.client(key.trim()).identity("jan@barasek.com");
}

#[test]
fn the_first_key_can_be_made_in_a_file_that_somebody_began_and_could_not_fill() {
    for half_made in ["", "PRAGMA journal_mode = wal"] {
        let folder = tempfile::tempdir().unwrap();
        write_config(&folder, "");
        let path = folder.path().join("magic-auth.db");
        std::fs::write(&path, "").unwrap();
        Connection::open(path).unwrap().execute_batch(half_made).unwrap();
        let list = cli(&folder, &["key", "list"]);
        assert!(String::from_utf8_lossy(&list.stderr).contains("there is no database"), "{list:?}");
        let output = cli(&folder, &["key", "create", "--organisation", "shop", "--kind", "prod"]);
        assert!(output.status.success(), "{output:?}");
    }
}

#[test]
fn the_organisation_may_be_left_out_when_there_is_only_one() {
    let folder = folder_with("[[organisation]]\nname = \"shop\"\n");
    let output = cli(&folder, &["key", "create", "--kind", "prod"]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn create_needs_an_organisation_that_is_known() {
    let app = spawn_app();
    let create = ["key", "create", "--kind", "prod"];
    assert_snapshot!(error(&app.folder, &create), @"magic-auth: there are several organisations; choose one with --organisation: rival, shop");
    assert_snapshot!(error(&app.folder, &[&create[..], &["--organisation", "shopp"]].concat()), @r#"magic-auth: there is no organisation "shopp"; there are: rival, shop"#);
    assert_snapshot!(error(&folder_with(""), &create), @"magic-auth: there is no organisation: add an [[organisation]] to the configuration and start the server, or name another configuration with --config");
    assert_eq!(app.count("SELECT count(*) FROM api_keys WHERE source = 'cli'"), 0);
}

/// The list, with the last characters of `key` left out.
fn list(app: &TestApp, key: &str, more: &[&str]) -> String {
    without_times(&app.cli_ok(&[&["key", "list"], more].concat())).replace(&key[28..], "HINT")
}

#[test]
fn the_list_shows_every_key_with_its_state_and_none_in_full() {
    let app = spawn_app();
    let key = create(&app, "prod", &["--expires", "1h", "--only", "logout,sign-in"]);
    app.cli_ok(&["key", "revoke", "DEV_0000"]);
    // What this program does not know, a key may not do.
    app.database().execute("UPDATE api_keys SET permissions = 'fly' WHERE prefix = 'ROOT'", []).unwrap();
    assert_snapshot!(list(&app, &key, &[]), @r"
    organisation  key        source  state    permissions     created                   expires                   revoked
    shop          PROD…0000  config  active   all             0000-00-00T00:00:00.000Z  -                         -
    shop          DEV_…0000  cli     revoked  all             0000-00-00T00:00:00.000Z  -                         0000-00-00T00:00:00.000Z
    shop          ROOT…0000  config  active   none            0000-00-00T00:00:00.000Z  -                         -
    rival         PROD…0000  config  active   all             0000-00-00T00:00:00.000Z  -                         -
    shop          PROD…HINT  cli     active   sign-in,logout  0000-00-00T00:00:00.000Z  0000-00-00T00:00:00.000Z  -
    ");
    app.database().execute("UPDATE api_keys SET expires_at = 1 WHERE expires_at > 0", []).unwrap();
    assert_snapshot!(list(&app, &key, &["--json"]), @r#"
    [
      {
        "organisation": "shop",
        "key": "PROD…0000",
        "hint": "0000",
        "source": "config",
        "state": "active",
        "permissions": null,
        "createdAt": "0000-00-00T00:00:00.000Z",
        "expiresAt": null,
        "revokedAt": null
      },
      {
        "organisation": "shop",
        "key": "DEV_…0000",
        "hint": "0000",
        "source": "cli",
        "state": "revoked",
        "permissions": null,
        "createdAt": "0000-00-00T00:00:00.000Z",
        "expiresAt": null,
        "revokedAt": "0000-00-00T00:00:00.000Z"
      },
      {
        "organisation": "shop",
        "key": "ROOT…0000",
        "hint": "0000",
        "source": "config",
        "state": "active",
        "permissions": [],
        "createdAt": "0000-00-00T00:00:00.000Z",
        "expiresAt": null,
        "revokedAt": null
      },
      {
        "organisation": "rival",
        "key": "PROD…0000",
        "hint": "0000",
        "source": "config",
        "state": "active",
        "permissions": null,
        "createdAt": "0000-00-00T00:00:00.000Z",
        "expiresAt": null,
        "revokedAt": null
      },
      {
        "organisation": "shop",
        "key": "PROD…HINT",
        "hint": "HINT",
        "source": "cli",
        "state": "expired",
        "permissions": [
          "sign-in",
          "logout"
        ],
        "createdAt": "0000-00-00T00:00:00.000Z",
        "expiresAt": "0000-00-00T00:00:00.000Z",
        "revokedAt": null
      }
    ]
    "#);
}

#[test]
fn the_list_of_no_keys_says_how_to_make_one() {
    let folder = folder_with("[server]\nlisten = \"127.0.0.1:0\"\n\n[[organisation]]\nname = \"shop\"\n");
    let app = start_app(folder);
    assert_snapshot!(app.cli_ok(&["key", "list"]), @"There are no keys yet: make one with magic-auth key create.");
    assert_snapshot!(app.cli_ok(&["key", "list", "--json"]), @"[]");
}

#[test]
fn a_revoked_key_is_refused_at_the_very_next_request() {
    let app = spawn_app();
    let key = create(&app, "prod", &[]);
    assert_eq!(app.client(&key).ping().status, 200);
    let hint = &key[28..];
    assert_eq!(app.cli_ok(&["key", "revoke", hint]), format!("Revoked PROD…{hint} of shop.\n"));
    assert_eq!(app.client(&key).ping().outcome(), (401, "PUBLIC_API_KEY_DOES_NOT_EXIST".to_owned()));
    assert_eq!(app.shop().ping().status, 200);
}

#[test]
fn prefix_and_hint_together_name_a_key() {
    let app = spawn_app();
    assert_snapshot!(app.cli_ok(&["key", "revoke", "DEV_0000"]), @"Revoked DEV_…0000 of shop.");
    assert_snapshot!(app.cli_ok(&["key", "revoke", "ROOT…0000"]), @"Revoked ROOT…0000 of shop.");
    let status = |key| app.client(key).ping().status;
    assert_eq!((status(SHOP), status(SHOP_DEV), status(SHOP_ROOT)), (200, 401, 401));
}

#[test]
fn a_hint_that_names_no_key_in_force_is_an_error() {
    let app = spawn_app();
    assert_snapshot!(error(&app.folder, &["key", "revoke", "zzzz"]), @"magic-auth: there is no such key: see magic-auth key list");
    app.cli_ok(&["key", "revoke", "DEV_0000"]);
    assert_snapshot!(error(&app.folder, &["key", "revoke", "DEV_0000"]), @"magic-auth: DEV_…0000 of shop is already revoked: create another with magic-auth key create");
    // Whoever pastes a whole key does not find it repeated.
    let unknown = "PRODnobody0000000000000000000000";
    assert_snapshot!(error(&app.folder, &["key", "revoke", unknown]), @"magic-auth: there is no such key: see magic-auth key list");
}

#[test]
fn the_whole_key_names_a_key_too() {
    let app = spawn_app();
    assert_eq!(app.cli_ok(&["key", "revoke", SHOP]), "Revoked PROD…0000 of shop.\n");
    assert_eq!(app.shop().ping().status, 401);
}

#[test]
fn a_hint_that_names_several_keys_revokes_none() {
    let app = spawn_app();
    assert_snapshot!(error(&app.folder, &["key", "revoke", "0000"]), @"magic-auth: several keys end like this: add the prefix, or give the whole key: PROD…0000 of shop, DEV_…0000 of shop, ROOT…0000 of shop, PROD…0000 of rival");
    assert_eq!(app.count("SELECT count(*) FROM api_keys WHERE revoked_at > 0"), 0);
}

#[test]
fn a_server_tells_of_configured_keys_that_stay_out_of_force_and_of_those_that_have_left() {
    let mut process = spawn_process("");
    let make = |organisation: &str| {
        let output = cli(&process.folder, &["key", "create", "--organisation", organisation, "--kind", "prod"]);
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let [good, revoked, rivals] = ["shop", "shop", "rival"].map(make);
    assert!(cli(&process.folder, &["key", "revoke", &revoked]).status.success());
    process.signal("TERM");
    process.wait();

    let path = process.folder.path().join("config.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    let kept = format!("\"{SHOP_DEV}\", \"{SHOP_ROOT}\"");
    assert!(config.contains(&kept));
    write_private(&path, config.replace(&kept, &format!("\"{good}\", \"{revoked}\", \"{rivals}\"")));
    let process = process.start_again();
    eventually(|| process.log().contains("revoked keys that have left the configuration count=2"));
    let log = process.log();
    let out_of_force: Vec<_> =
        log.lines().filter(|line| line.contains("in the configuration is not in force")).collect();
    assert_eq!(out_of_force.len(), 2, "{log}");
    for (line, key) in out_of_force.iter().zip([revoked, rivals]) {
        assert!(line.contains(&format!("PROD…{}", &key[28..])), "{line}");
    }
}
