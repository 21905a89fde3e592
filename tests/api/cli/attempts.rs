//! `attempts`

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{error, without_times};
use crate::app::{RIVAL, SHOP_DEV, TestApp, spawn_app, spawn_app_with};

/// A few attempts of different kinds, all but the last two hours old.
fn attempts() -> TestApp {
    let app = spawn_app_with("[sign_in]\nunknown_email = \"refuse\"");
    app.insert_guest("j.barasek@gmail.com", true);
    app.database()
        .execute("UPDATE customers SET cu_ref_no = 'CUREFNO012345678', email_canonical = 'jbarasek@gmail.com'", [])
        .unwrap();
    let sign_in = |key: &str, email: &str, ip: &str| {
        app.client(key).magic_auth(&json!({ "email": email, "customerRealIp": ip })).code()
    };
    assert_eq!(app.shop().sign_in("j.barasek@gmail.com").code(), "");
    assert_eq!(sign_in(SHOP_DEV, "nobody@barasek.com", "2001:DB8::1"), "E002");
    assert_eq!(sign_in(RIVAL, "j.barasek@gmail.com", "192.0.2.1"), "E002");
    app.database().execute("UPDATE login_attempts SET at = at - 7200000", []).unwrap();
    assert_eq!(sign_in(SHOP_DEV, "no address", "192.0.2.1"), "E004");
    app
}

fn list(app: &TestApp, filter: &[&str]) -> String {
    without_times(&app.cli_ok(&[&["attempts"], filter].concat()))
}

/// The outcomes that a filter leaves, the newest first.
fn outcomes(app: &TestApp, filter: &[&str]) -> Vec<String> {
    let printed = app.cli_ok(&[&["attempts", "--json"], filter].concat());
    let rows: Vec<Value> = serde_json::from_str(&printed).unwrap();
    rows.iter().map(|row| row["outcome"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_list_begins_with_the_newest() {
    assert_snapshot!(list(&attempts(), &[]), @r"
    attempt at                organisation  key        outcome  count  email                cuRefNo           ip
    0000-00-00T00:00:00.000Z  shop          DEV_…0000  E004     1      -                    -                 192.0.2.1
    0000-00-00T00:00:00.000Z  rival         PROD…0000  E002     1      j.barasek@gmail.com  -                 192.0.2.1
    0000-00-00T00:00:00.000Z  shop          DEV_…0000  E002     1      nobody@barasek.com   -                 2001:db8::1
    0000-00-00T00:00:00.000Z  shop          PROD…0000  OK       1      j.barasek@gmail.com  CUREFNO012345678  -
    ");
}

#[test]
fn the_list_can_speak_json() {
    assert_snapshot!(list(&attempts(), &["--json", "--limit", "2"]), @r#"
    [
      {
        "at": "0000-00-00T00:00:00.000Z",
        "organisation": "shop",
        "key": "DEV_…0000",
        "email": null,
        "cuRefNo": null,
        "ip": "192.0.2.1",
        "outcome": "E004",
        "count": 1
      },
      {
        "at": "0000-00-00T00:00:00.000Z",
        "organisation": "rival",
        "key": "PROD…0000",
        "email": "j.barasek@gmail.com",
        "cuRefNo": null,
        "ip": "192.0.2.1",
        "outcome": "E002",
        "count": 1
      }
    ]
    "#);
}

#[test]
fn an_empty_list_says_so() {
    let app = spawn_app();
    assert_snapshot!(list(&app, &[]), @"No attempts.");
    assert_snapshot!(list(&app, &["--json"]), @"[]");
}

#[test]
fn each_filter_leaves_what_matches() {
    let app = attempts();
    for (filter, expected) in [
        (&["--organisation", "shop"][..], &["E004", "E002", "OK"][..]),
        (&["--organisation", "rival"], &["E002"]),
        (&["--email", "J.B.A.R.A.S.E.K+shop@googlemail.com"], &["E002", "OK"]),
        (&["--email", "nobody@barasek.com"], &["E002"]),
        (&["--email", "somebody@barasek.com"], &[]),
        (&["--ip", "192.0.2.1"], &["E004", "E002"]),
        (&["--ip", "2001:0db8:0::1"], &["E002"]),
        (&["--outcome", "OK"], &["OK"]),
        (&["--outcome", "E002"], &["E002", "E002"]),
        (&["--outcome", "E007"], &[]),
        (&["--since", "1h"], &["E004"]),
        (&["--since", "3h"], &["E004", "E002", "E002", "OK"]),
        (&["--limit", "1"], &["E004"]),
    ] {
        assert_eq!(outcomes(&app, filter), expected, "{filter:?}");
    }
}

#[test]
fn filters_work_together() {
    let app = attempts();
    assert_eq!(outcomes(&app, &["--ip", "192.0.2.1", "--outcome", "E002", "--organisation", "rival"]), ["E002"]);
    assert!(outcomes(&app, &["--ip", "192.0.2.1", "--outcome", "E002", "--organisation", "shop"]).is_empty());
    // The limit counts what matches.
    assert_eq!(outcomes(&app, &["--email", "j.barasek@gmail.com", "--limit", "1"]), ["E002"]);
}

#[test]
fn a_hundred_attempts_are_listed_unless_told_otherwise() {
    let app = attempts();
    let row = "INSERT INTO login_attempts (organisation_id, api_key_id, outcome, at) SELECT 1, 1, 'E004', 1";
    for _ in 0..110 {
        app.database().execute(row, []).unwrap();
    }
    assert_eq!(outcomes(&app, &[]).len(), 100);
    assert_eq!(outcomes(&app, &["--limit", "1000"]).len(), 114);
}

#[test]
fn a_filter_that_can_match_nothing_is_an_error() {
    let app = spawn_app();
    assert_snapshot!(error(&app.folder, &["attempts", "--email", "jan"]), @r#"magic-auth: "jan": an e-mail address is a local part, one @ and a domain"#);
    assert_snapshot!(error(&app.folder, &["attempts", "--organisation", "shopp"]), @r#"magic-auth: there is no organisation "shopp", only: rival, shop"#);
}
