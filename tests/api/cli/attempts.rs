//! `attempts`

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{error, without_times};
use crate::app::{RIVAL, SHOP_DEV, TestApp, spawn_app, spawn_app_with};
use crate::process::{collect_lines, eventually, send_signal};

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
    assert_snapshot!(list(&attempts(), &[]), @"
    attempt at                organisation  key        outcome  count  email                cuRefNo           ip           origin
    0000-00-00T00:00:00.000Z  shop          DEV_…0000  E004     1      -                    -                 192.0.2.1    -
    0000-00-00T00:00:00.000Z  rival         PROD…0000  E002     1      j.barasek@gmail.com  -                 192.0.2.1    -
    0000-00-00T00:00:00.000Z  shop          DEV_…0000  E002     1      nobody@barasek.com   -                 2001:db8::1  -
    0000-00-00T00:00:00.000Z  shop          PROD…0000  OK       1      j.barasek@gmail.com  CUREFNO012345678  -            -
    ");
}

#[test]
fn the_newest_is_found_also_before_one_that_was_written_later() {
    let app = attempts();
    app.database().execute("UPDATE login_attempts SET at = at + 8000000 WHERE outcome = 'OK'", []).unwrap();
    assert_eq!(outcomes(&app, &["--limit", "1"]), ["OK"]);
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
        "count": 1,
        "newCountry": false,
        "origin": null
      },
      {
        "at": "0000-00-00T00:00:00.000Z",
        "organisation": "rival",
        "key": "PROD…0000",
        "email": "j.barasek@gmail.com",
        "cuRefNo": null,
        "ip": "192.0.2.1",
        "outcome": "E002",
        "count": 1,
        "newCountry": false,
        "origin": null
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
    assert_snapshot!(error(&app.folder, &["attempts", "--organisation", "shopp"]), @r#"magic-auth: there is no organisation "shopp"; there are: rival, shop"#);
}

// The summary.

fn summary(app: &TestApp, more: &[&str]) -> String {
    app.cli_ok(&[&["attempts", "--summary"], more].concat())
}

/// The attempts of [`attempts`], and a flood of refusals that shares rows.
fn flooded() -> TestApp {
    let app = attempts();
    for (email, ip, count) in [("nobody@barasek.com", "192.0.2.9", 40), ("nobody@barasek.com", "192.0.2.1", 2)] {
        let sql = "INSERT INTO login_attempts (organisation_id, api_key_id, mailbox, email, ip, outcome, at, count)
            SELECT organisation_id, api_key_id, mailbox, email, ?2, 'E006', (SELECT max(at) FROM login_attempts), ?3
            FROM login_attempts WHERE email = ?1";
        let sql = format!("{sql} LIMIT 1");
        app.database().execute(&sql, rusqlite::params![email, ip, count]).unwrap();
    }
    let by_network = "INSERT INTO login_attempts (organisation_id, api_key_id, ip, outcome, at, count)
        SELECT organisation_id, api_key_id, ip, 'E006', at, 500 FROM login_attempts WHERE outcome = 'E004'";
    app.database().execute(by_network, []).unwrap();
    app
}

#[test]
fn the_summary_counts_by_outcome_address_and_mailbox_and_masks_the_last() {
    assert_snapshot!(summary(&flooded(), &[]), @r"
    outcome  attempts  meaning
    OK       1         Signed in.
    E002     2         Customer e-mail does not exist.
    E004     1         Wrong e-mail or password.
    E006     542       Too many login attempts.
    all      546

    ip           attempts  refused
    192.0.2.1    504       504
    192.0.2.9    40        40
    2001:db8::1  1         1

    mailbox           cuRefNo           organisation  attempts  refused
    n***@barasek.com  -                 shop          43        43
    j***@gmail.com    CUREFNO012345678  shop          1         0
    j***@gmail.com    -                 rival         1         1
    ");
}

#[test]
fn the_summary_shows_whole_addresses_when_it_is_told_to() {
    let app = flooded();
    let shown = summary(&app, &["--show-emails"]);
    let rest = summary(&app, &[]).replace("j***@gmail.com", "j.barasek@gmail.com").replace("n***@", "nobody@");
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&shown), words(&rest));
    assert!(shown.contains("j.barasek@gmail.com") && shown.contains("nobody@barasek.com"));
    let json = summary(&app, &["--json"]);
    assert!(json.contains("j***@gmail.com") && !json.contains("barasek@"), "{json}");
    assert!(summary(&app, &["--json", "--show-emails"]).contains("nobody@barasek.com"));
}

#[test]
fn the_summary_can_speak_json() {
    assert_snapshot!(summary(&flooded(), &["--json", "--limit", "1"]), @r#"
    {
      "attempts": 546,
      "outcomes": [
        {
          "outcome": "OK",
          "message": "Signed in.",
          "attempts": 1
        },
        {
          "outcome": "E002",
          "message": "Customer e-mail does not exist.",
          "attempts": 2
        },
        {
          "outcome": "E004",
          "message": "Wrong e-mail or password.",
          "attempts": 1
        },
        {
          "outcome": "E006",
          "message": "Too many login attempts.",
          "attempts": 542
        }
      ],
      "ips": [
        {
          "ip": "192.0.2.1",
          "attempts": 504,
          "refusals": 504
        }
      ],
      "mailboxes": [
        {
          "organisation": "shop",
          "email": "n***@barasek.com",
          "cuRefNo": null,
          "attempts": 43,
          "refusals": 43
        }
      ]
    }
    "#);
}

#[test]
fn the_summary_counts_what_the_filters_leave() {
    let app = flooded();
    let counts = |filter: &[&str]| {
        let summary: Value = serde_json::from_str(&summary(&app, &[&["--json"], filter].concat())).unwrap();
        let length = |name: &str| summary[name].as_array().unwrap().len();
        (summary["attempts"].as_u64().unwrap(), [length("outcomes"), length("ips"), length("mailboxes")])
    };
    for (filter, expected) in [
        (&[][..], (546, [4, 3, 3])),
        (&["--limit", "2"], (546, [4, 2, 2])),
        (&["--limit", "0"], (546, [4, 0, 0])),
        (&["--since", "1h"], (543, [2, 2, 1])),
        (&["--outcome", "E006"], (542, [1, 2, 1])),
        (&["--organisation", "rival"], (1, [1, 1, 1])),
        (&["--email", "j.barasek@gmail.com"], (2, [2, 1, 2])),
        (&["--email", "NOBODY@barasek.com", "--ip", "192.0.2.9"], (40, [1, 1, 1])),
        (&["--email", "somebody@barasek.com"], (0, [0, 0, 0])),
    ] {
        assert_eq!(counts(filter), expected, "{filter:?}");
    }
}

#[test]
fn a_summary_of_nothing_says_so() {
    assert_snapshot!(summary(&spawn_app(), &[]), @"No attempts.");
}

#[test]
fn the_mailbox_of_an_erased_customer_is_counted_without_its_address() {
    let app = attempts();
    app.database().execute("UPDATE customers SET email = NULL, email_canonical = NULL, erased_at = 1", []).unwrap();
    let summary: Value = serde_json::from_str(&summary(&app, &["--json", "--outcome", "OK"])).unwrap();
    assert_eq!(summary["mailboxes"][0]["email"], Value::Null);
    assert_eq!(summary["mailboxes"][0]["cuRefNo"], "CUREFNO012345678");
}

// Following.

/// A running `attempts --follow`.
struct Follower(Child);

impl Follower {
    fn start(app: &TestApp, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_magic-auth"));
        command.arg("--config").arg(app.folder.path().join("config.toml")).args(["attempts", "--follow"]).args(more);
        Self(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    fn stdout(&mut self) -> ChildStdout {
        self.0.stdout.take().unwrap()
    }

    /// Gathers what is printed.
    fn lines(&mut self) -> Arc<Mutex<String>> {
        collect_lines(self.stdout()).0
    }

    /// How it ends, with what it says on standard error.
    fn end(mut self) -> (std::process::ExitStatus, String) {
        let mut status = None;
        eventually(|| {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        let stderr = std::io::read_to_string(self.0.stderr.take().unwrap()).unwrap();
        (status.unwrap(), stderr)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until so many lines have been printed and gives them.
fn wait_for_lines(lines: &Mutex<String>, number: usize) -> String {
    eventually(|| lines.lock().unwrap().lines().count() >= number);
    lines.lock().unwrap().clone()
}

#[test]
fn following_lists_the_newest_last_and_goes_on_with_what_is_recorded() {
    let app = attempts();
    let mut follower = Follower::start(&app, &["--limit", "3"]);
    let lines = follower.lines();
    wait_for_lines(&lines, 4);
    app.shop().sign_in("somebody.with.a.very.long.address@barasek.com");
    wait_for_lines(&lines, 5);
    app.shop().magic_auth(&json!({ "email": "j.barasek@gmail.com", "customerRealIp": "192.0.2.7" }));
    assert_snapshot!(without_times(&wait_for_lines(&lines, 6)), @"
    attempt at                organisation  key        outcome  count  email                             cuRefNo           ip               origin
    0000-00-00T00:00:00.000Z  shop          DEV_…0000  E002     1      nobody@barasek.com                -                 2001:db8::1      -
    0000-00-00T00:00:00.000Z  rival         PROD…0000  E002     1      j.barasek@gmail.com               -                 192.0.2.1        -
    0000-00-00T00:00:00.000Z  shop          DEV_…0000  E004     1      -                                 -                 192.0.2.1        -
    0000-00-00T00:00:00.000Z  shop          PROD…0000  E002     1      somebody.with.a.very.long.address@barasek.com  -                 -                -
    0000-00-00T00:00:00.000Z  shop          PROD…0000  OK       1      j.barasek@gmail.com               CUREFNO012345678  192.0.2.7        -
    ");
}

#[test]
fn following_keeps_to_the_filters() {
    let app = attempts();
    let mut follower = Follower::start(&app, &["--email", "new@barasek.com", "--outcome", "E002", "--json"]);
    let lines = follower.lines();
    app.shop().sign_in("other@barasek.com");
    app.shop().sign_in("NEW@barasek.com");
    app.shop().sign_in("no address");
    app.client(RIVAL).sign_in("new@barasek.com");
    let printed = wait_for_lines(&lines, 2);
    let rows: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found: Vec<_> = rows.iter().map(|row| (&row["organisation"], &row["email"])).collect();
    let expected = [json!("shop"), json!("rival")].map(|organisation| (organisation, json!("new@barasek.com")));
    assert_eq!(found, expected.iter().map(|(organisation, email)| (organisation, email)).collect::<Vec<_>>());
}

#[test]
fn following_with_a_limit_of_nothing_prints_new_attempts_only() {
    let app = attempts();
    let mut follower = Follower::start(&app, &["--limit", "0"]);
    let lines = follower.lines();
    wait_for_lines(&lines, 1);
    app.shop().sign_in("new@barasek.com");
    let printed = wait_for_lines(&lines, 2);
    assert!(printed.lines().nth(1).unwrap().contains("new@barasek.com"), "{printed}");
}

#[test]
fn following_prints_more_new_attempts_than_are_read_at_once() {
    let app = attempts();
    let mut follower = Follower::start(&app, &["--json", "--limit", "1"]);
    let lines = follower.lines();
    wait_for_lines(&lines, 1);
    let sql = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 2500)
        INSERT INTO login_attempts (organisation_id, api_key_id, outcome, at) SELECT 1, 1, 'E004', n FROM numbers";
    app.database().execute(sql, []).unwrap();
    let printed = wait_for_lines(&lines, 2_501);
    let last: Value = serde_json::from_str(printed.lines().last().unwrap()).unwrap();
    assert_eq!((printed.lines().count(), &last["at"]), (2_501, &json!("1970-01-01T00:00:02.500Z")));
}

#[test]
fn following_goes_on_after_all_attempts_were_deleted() {
    let app = attempts();
    let mut follower = Follower::start(&app, &["--limit", "0"]);
    let lines = follower.lines();
    wait_for_lines(&lines, 1);
    app.database().execute("DELETE FROM login_attempts", []).unwrap();
    app.shop().sign_in("new@barasek.com");
    assert!(wait_for_lines(&lines, 2).contains("new@barasek.com"));
}

#[test]
fn following_does_not_keep_the_wal_from_being_reset() {
    let app = attempts();
    let mut follower = Follower::start(&app, &["--limit", "1"]);
    let lines = follower.lines();
    wait_for_lines(&lines, 2);
    app.shop().sign_in("new@barasek.com");
    wait_for_lines(&lines, 3);
    let database = app.database();
    eventually(|| database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)).unwrap() == 0);
}

#[test]
fn following_ends_quietly_when_nobody_reads_any_more_also_without_new_attempts() {
    let app = attempts();
    let mut follower = Follower::start(&app, &[]);
    let mut stdout = std::io::BufReader::new(follower.stdout());
    std::io::BufRead::read_line(&mut stdout, &mut String::new()).unwrap();
    drop(stdout);
    let (status, stderr) = follower.end();
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
}

#[test]
fn following_ends_at_ctrl_c_as_any_program() {
    let app = attempts();
    let mut follower = Follower::start(&app, &[]);
    wait_for_lines(&follower.lines(), 1);
    send_signal(follower.0.id(), "INT");
    let (status, stderr) = follower.end();
    assert_eq!((status.signal(), stderr.as_str()), (Some(2), ""));
}
