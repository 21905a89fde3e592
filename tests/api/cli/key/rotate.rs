//! `key rotate`

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::Value;

use super::{DAY, create};
use crate::app::{RIVAL, SHOP, SHOP_DEV, SHOP_ROOT, TestApp, spawn_app, spawn_app_with};
use crate::cli::{error, without_times};

const HOUR: Duration = Duration::from_hours(1);

/// How `key rotate` is told which key.
fn hint(key: &str) -> String {
    key[..4].to_owned() + &key[key.len() - 4..]
}

/// Rotates the key and gives the new one, which alone stands on standard output, and what is said beside it.
fn rotate_saying(app: &TestApp, key: &str, more: &[&str]) -> (String, String) {
    let output = app.cli(&[&["key", "rotate", &hint(key)], more].concat());
    assert!(output.status.success(), "{output:?}");
    let [printed, said] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    let new = printed.strip_suffix('\n').unwrap();
    assert!(new.len() == 32 && new[4..].bytes().all(|byte| byte.is_ascii_alphanumeric()), "{new}");
    assert_ne!(new, key);
    (new.to_owned(), without_times(&said).replace(&new[28..], "HINT"))
}

fn rotate(app: &TestApp, key: &str, more: &[&str]) -> String {
    rotate_saying(app, key, more).0
}

/// Which of two keys the server lets in.
fn let_in(app: &TestApp, keys: [&str; 2]) -> [bool; 2] {
    keys.map(|key| app.client(key).ping().status == 200)
}

#[test]
fn both_keys_work_during_the_overlap_and_then_only_the_new_one() {
    let app = spawn_app();
    let old = create(&app, "prod", &[]);
    assert_eq!(app.client(&old).ping().status, 200);
    let new = rotate(&app, &old, &["--overlap", "1h"]);
    assert_eq!(let_in(&app, [&old, &new]), [true, true]);
    app.advance(Duration::from_mins(59));
    assert_eq!(let_in(&app, [&old, &new]), [true, true]);
    app.advance(Duration::from_mins(1));
    assert_eq!(let_in(&app, [&old, &new]), [false, true]);
    app.advance(DAY * 1_000);
    assert_eq!(let_in(&app, [&old, &new]), [false, true]);
}

#[test]
fn the_overlap_is_a_day_unless_another_is_given() {
    let app = spawn_app();
    let old = create(&app, "prod", &[]);
    let new = rotate(&app, &old, &[]);
    app.advance(HOUR * 23);
    assert_eq!(let_in(&app, [&old, &new]), [true, true]);
    app.advance(HOUR);
    assert_eq!(let_in(&app, [&old, &new]), [false, true]);
}

#[test]
fn the_old_key_does_not_live_longer_than_it_would_have() {
    let app = spawn_app();
    let old = create(&app, "prod", &["--expires", "1h"]);
    rotate(&app, &old, &["--overlap", "7d"]);
    app.advance(HOUR);
    assert_eq!(app.client(&old).ping().status, 401);
}

#[test]
fn the_new_key_has_organisation_kind_permissions_and_length_of_life_of_the_old_one() {
    let app = spawn_app();
    let old = create(&app, "dev", &["--expires", "30d", "--only", "account-info,sign-in"]);
    let new = rotate(&app, &old, &[]);
    assert_eq!(new[..4], old[..4]);
    assert_eq!(app.client(&new).logout("x").status, 403);
    let identity = app.client(&new).identity("jan@barasek.com");
    assert!(app.shop().is_logged_in(&identity) && !app.client(RIVAL).is_logged_in(&identity));
    let month = (DAY * 30).as_millis();
    let like_it = format!("permissions = 'sign-in,account-info' AND expires_at - created_at = {month}");
    assert_eq!(app.count(&format!("SELECT count(*) FROM api_keys WHERE {like_it}")), 1);
    app.advance(DAY * 30);
    assert_eq!(app.client(&new).ping().status, 401);
}

#[test]
fn a_key_that_never_expires_is_replaced_by_one_that_never_expires() {
    let app = spawn_app();
    rotate(&app, SHOP_ROOT, &[]);
    assert_eq!(app.count("SELECT count(*) FROM api_keys WHERE source = 'cli' AND expires_at IS NULL"), 1);
}

#[test]
fn a_key_is_rotated_once() {
    let app = spawn_app();
    let old = create(&app, "prod", &["--expires", "30d"]);
    let new = rotate(&app, &old, &["--overlap", "1h"]);
    let again = error(&app.folder, &["key", "rotate", &hint(&old)]);
    assert_snapshot!(without_times(&again).replace(&old[28..], "0000"), @"magic-auth: PROD…0000 of shop was already replaced at 0000-00-00T00:00:00.000Z: rotate the key that was created then (see magic-auth key list)");
    let newest = rotate(&app, &new, &[]);
    app.advance(DAY * 29);
    assert_eq!(let_in(&app, [&new, &newest]), [false, true]);
}

#[test]
fn a_key_of_the_configuration_is_not_revived_by_a_restart() {
    let app = spawn_app();
    let new = rotate(&app, SHOP_ROOT, &["--overlap", "1h"]);
    let app = app.restart();
    assert_eq!(let_in(&app, [SHOP_ROOT, &new]), [true, true]);
    app.advance(HOUR);
    let app = app.restart();
    assert_eq!(let_in(&app, [SHOP_ROOT, &new]), [false, true]);
    // Nor does it matter any more whether the file has it.
    app.edit_config(SHOP_ROOT, "PRODanother000000000000000000000");
    let app = app.restart();
    assert_eq!(let_in(&app, [SHOP_ROOT, &new]), [false, true]);
}

#[test]
fn taking_a_rotated_key_out_of_the_configuration_does_not_cut_the_overlap_short() {
    let app = spawn_app();
    let new = rotate(&app, SHOP_ROOT, &[]);
    app.edit_config(SHOP_ROOT, &new);
    let app = app.restart();
    assert_eq!(let_in(&app, [SHOP_ROOT, &new]), [true, true]);
}

#[test]
fn it_says_beside_the_key_what_happens_with_the_old_one() {
    let app = spawn_app();
    let (new, said) = rotate_saying(&app, SHOP_DEV, &[]);
    assert_snapshot!(said, @"DEV_…HINT replaces DEV_…0000 of shop, which stays in force until 0000-00-00T00:00:00.000Z. Remove the old one from the configuration, which no longer controls it.");
    let (_, said) = rotate_saying(&app, &new, &[]);
    assert_snapshot!(said.replace(&new[28..], "0000"), @"DEV_…HINT replaces DEV_…0000 of shop, which stays in force until 0000-00-00T00:00:00.000Z.");
    let old = create(&app, "prod", &["--expires", "30d"]);
    let (_, said) = rotate_saying(&app, &old, &[]);
    assert_snapshot!(said.replace(&old[28..], "0000"), @"PROD…HINT replaces PROD…0000 of shop, which stays in force until 0000-00-00T00:00:00.000Z. The new key expires at 0000-00-00T00:00:00.000Z.");
}

#[test]
fn it_can_speak_json() {
    let app = spawn_app();
    let output = app.cli(&["key", "rotate", "DEV_0000", "--json"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let json: Value = serde_json::from_str(&printed).unwrap();
    let new = json["apiKey"].as_str().unwrap();
    assert_eq!(let_in(&app, [SHOP_DEV, new]), [true, true]);
    assert_snapshot!(without_times(&printed).replace(new, "KEY"), @r#"
    {
      "apiKey": "KEY",
      "expiresAt": null,
      "replaces": {
        "key": "DEV_…0000",
        "expiresAt": "0000-00-00T00:00:00.000Z"
      }
    }
    "#);
}

#[test]
fn a_whole_key_does_not_stand_on_its_command_line() {
    let app = spawn_app();
    assert_snapshot!(error(&app.folder, &["key", "rotate", SHOP_DEV]), @"magic-auth: name the key by its last four characters (see magic-auth key list): others on this machine can read what stands on a command line, and the key stays in force for now");
    assert_eq!(app.count("SELECT count(*) FROM api_keys WHERE source = 'cli'"), 0);
}

#[test]
fn only_a_key_in_force_can_be_rotated() {
    let app = spawn_app();
    let keys = || app.count("SELECT count(*) FROM api_keys");
    let before = keys();
    assert_snapshot!(error(&app.folder, &["key", "rotate", "zzzz"]), @"magic-auth: there is no such key: see magic-auth key list");
    assert_snapshot!(error(&app.folder, &["key", "rotate", "PROD0000"]), @"magic-auth: several keys end like this: add the prefix, or create another, then revoke this one: PROD…0000 of shop, PROD…0000 of rival");
    app.cli_ok(&["key", "revoke", SHOP]);
    app.cli_ok(&["key", "revoke", RIVAL]);
    assert_snapshot!(error(&app.folder, &["key", "rotate", "PROD0000"]), @"magic-auth: PROD…0000 of rival is already revoked: create another with magic-auth key create");
    app.database().execute("UPDATE api_keys SET expires_at = 1 WHERE prefix = 'DEV_'", []).unwrap();
    assert_snapshot!(error(&app.folder, &["key", "rotate", "DEV_0000"]), @"magic-auth: DEV_…0000 of shop is already expired: create another with magic-auth key create");
    app.database().execute("UPDATE api_keys SET permissions = 'fly' WHERE prefix = 'ROOT'", []).unwrap();
    assert_snapshot!(error(&app.folder, &["key", "rotate", "ROOT0000"]), @"magic-auth: ROOT…0000 of shop has a permission that this version does not know (not one of the permissions sign-in, account-info, logout, ip): use a newer magic-auth");
    assert_eq!(keys(), before);
    assert_eq!(app.count("SELECT count(*) FROM api_keys WHERE expires_at > 1"), 0);
}

#[test]
fn it_is_done_wholly_or_not_at_all() {
    let app = spawn_app();
    let broken =
        "CREATE TRIGGER broken BEFORE UPDATE ON api_keys BEGIN SELECT RAISE(ABORT, 'the table is broken'); END";
    app.database().execute_batch(broken).unwrap();
    assert_snapshot!(error(&app.folder, &["key", "rotate", "ROOT0000"]), @"magic-auth: database error: the table is broken");
    assert_eq!(app.count("SELECT count(*) FROM api_keys WHERE source = 'cli' OR expires_at > 0"), 0);
}

#[test]
fn a_key_that_is_not_in_force_does_not_hide_one_that_is() {
    let app = spawn_app();
    app.cli_ok(&["key", "revoke", SHOP]);
    // The rival's key is the only one in force that ends so.
    let new = rotate(&app, "PROD0000", &[]);
    assert_eq!(let_in(&app, [RIVAL, &new]), [true, true]);
}

#[test]
fn the_old_key_goes_on_with_the_quota_that_is_left_of_it() {
    let app = spawn_app_with("[rate_limit]\ndev = { requests = 10, per = \"1h\", burst = 3 }");
    let remaining = |key: &str| app.client(key).ping().header("x-ratelimit-remaining").to_owned();
    assert_eq!(remaining(SHOP_DEV), "2");
    let new = rotate(&app, SHOP_DEV, &[]);
    assert_eq!((remaining(SHOP_DEV).as_str(), remaining(&new).as_str()), ("1", "2"));
}

#[test]
fn a_demo_key_is_not_rotated_for_it_would_stay_in_force() {
    let demo = "PRODPGrFxpGEtrOZfuWhnoJohUYBXuOE";
    let app = spawn_app_with(&format!("[[organisation]]\nname = \"demo\"\napi_keys = [\"{demo}\"]"));
    assert_snapshot!(error(&app.folder, &["key", "rotate", "XuOE"]), @"magic-auth: PROD…XuOE of demo is a published demo key: create another (magic-auth key create), and remove it from api_keys");
    assert_eq!(app.client(demo).ping().status, 200);
}
