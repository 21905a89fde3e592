//! `customer show|ban|unban|authorize|deauthorize|register|sign-out|set-email`

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{cu_ref_no, error, without_times};
use crate::app::{SHOP_DEV, TestApp, spawn_app, spawn_app_with};
use crate::process::eventually;

const JAN: &str = "jan@barasek.com";
const DAY: Duration = Duration::from_hours(24);

/// Stands for a `cuRefNo` and is as long.
const CU_REF_NO: &str = "CUREFNO012345678";

/// Does something to a customer of `shop`.
fn customer(app: &TestApp, command: &str, who: &str, more: &[&str]) -> String {
    app.cli_ok(&[&["customer", command, "--organisation", "shop", who], more].concat())
}

/// The error of a command about a customer of `shop`.
fn refused(app: &TestApp, command: &str, who: &str) -> String {
    error(&app.folder, &["customer", command, "--organisation", "shop", who])
}

/// What is printed, with moments and Jan's `cuRefNo` left out.
fn shown(app: &TestApp, text: &str) -> String {
    let sql = "SELECT cu_ref_no FROM customers WHERE email = 'jan@barasek.com'";
    let cu_ref_no: String = app.database().query_row(sql, [], |row| row.get(0)).unwrap();
    without_times(text).replace(&cu_ref_no, CU_REF_NO)
}

/// Jan, with everything that `show` can show.
fn jan() -> TestApp {
    let app = spawn_app();
    let friend = cu_ref_no(&app, "friend@barasek.com");
    app.shop().magic_auth(&json!({
        "email": JAN, "firstName": "jan", "lastName": "Barášek", "customerRealIp": "1.1.1.1", "referralId": friend,
    }));
    customer(&app, "ban", JAN, &["--reason", "card fraud", "--for", "7d"]);
    app.shop().sign_in(JAN);
    app.database()
        .execute("UPDATE customers SET cu_ref_no = 'FRIEND0123456789' WHERE email LIKE 'friend%'", [])
        .unwrap();
    app
}

#[test]
fn show_tells_all_about_a_customer() {
    let app = jan();
    assert_snapshot!(shown(&app, &customer(&app, "show", JAN, &[])), @"
    customer
    cuRefNo      CUREFNO012345678
    email        jan@barasek.com
    first name   Jan
    last name    Barášek
    created      0000-00-00T00:00:00.000Z
    registered   0000-00-00T00:00:00.000Z
    authorized   0000-00-00T00:00:00.000Z
    referred by  FRIEND0123456789
    banned       yes

    ban     since                     until                     lifted  reason
    active  0000-00-00T00:00:00.000Z  0000-00-00T00:00:00.000Z  -       card fraud

    session  since                     last seen                 until                     ip
    over     0000-00-00T00:00:00.000Z  0000-00-00T00:00:00.000Z  0000-00-00T00:00:00.000Z  1.1.1.1

    attempt at                organisation  key        outcome  count  email            cuRefNo           ip       origin
    0000-00-00T00:00:00.000Z  shop          PROD…0000  E005     1      jan@barasek.com  CUREFNO012345678  -        -
    0000-00-00T00:00:00.000Z  shop          PROD…0000  OK       1      jan@barasek.com  CUREFNO012345678  1.1.1.1  -
    ");
}

#[test]
fn show_can_speak_json() {
    let app = jan();
    assert_snapshot!(shown(&app, &customer(&app, "show", JAN, &["--json"])), @r#"
    {
      "cuRefNo": "CUREFNO012345678",
      "email": "jan@barasek.com",
      "phone": null,
      "firstName": "Jan",
      "lastName": "Barášek",
      "companyName": null,
      "createdAt": "0000-00-00T00:00:00.000Z",
      "registeredAt": "0000-00-00T00:00:00.000Z",
      "emailAuthorizedAt": "0000-00-00T00:00:00.000Z",
      "erasedAt": null,
      "referralId": "FRIEND0123456789",
      "banned": true,
      "bans": [
        {
          "active": true,
          "reason": "card fraud",
          "createdAt": "0000-00-00T00:00:00.000Z",
          "expiresAt": "0000-00-00T00:00:00.000Z",
          "liftedAt": null
        }
      ],
      "sessions": [
        {
          "alive": false,
          "ip": "1.1.1.1",
          "createdAt": "0000-00-00T00:00:00.000Z",
          "expiresAt": "0000-00-00T00:00:00.000Z",
          "lastSeenAt": "0000-00-00T00:00:00.000Z"
        }
      ],
      "attempts": [
        {
          "at": "0000-00-00T00:00:00.000Z",
          "organisation": "shop",
          "key": "PROD…0000",
          "email": "jan@barasek.com",
          "cuRefNo": "CUREFNO012345678",
          "ip": null,
          "outcome": "E005",
          "count": 1,
          "newCountry": false,
          "origin": null
        },
        {
          "at": "0000-00-00T00:00:00.000Z",
          "organisation": "shop",
          "key": "PROD…0000",
          "email": "jan@barasek.com",
          "cuRefNo": "CUREFNO012345678",
          "ip": "1.1.1.1",
          "outcome": "OK",
          "count": 1,
          "newCountry": false,
          "origin": null
        }
      ],
      "referred": 0,
      "referredCustomers": []
    }
    "#);
}

#[test]
fn show_tells_a_guest_from_a_customer() {
    let app = spawn_app();
    app.insert_guest(JAN, false);
    assert_snapshot!(shown(&app, &customer(&app, "show", JAN, &[])), @r"
    customer
    cuRefNo     CUREFNO012345678
    email       jan@barasek.com
    created     0000-00-00T00:00:00.000Z
    registered  no: a guest
    authorized  no
    banned      no

    No bans.

    No sessions.

    No attempts.
    ");
}

#[test]
fn where_there_is_no_address_there_is_none_to_be_authorized() {
    let app = spawn_app();
    super::import::import(&app.folder, "phone,registered\n+420777123456,false\n", &[]);
    let shown = customer(&app, "show", "+420777123456", &[]);
    assert!(shown.contains("no: a guest") && !shown.contains("authorized"), "{shown}");
}

#[test]
fn show_lists_the_ten_newest_attempts_and_sessions() {
    let app = spawn_app_with("[throttle.email]\nburst = 100");
    for _ in 0..12 {
        app.shop().identity(JAN);
    }
    let shown: serde_json::Value = serde_json::from_str(&customer(&app, "show", JAN, &["--json"])).unwrap();
    let length = |field: &str| shown[field].as_array().unwrap().len();
    assert_eq!((length("attempts"), length("sessions")), (10, 10));
}

#[test]
fn a_customer_is_named_by_the_address_in_any_spelling_or_by_the_cu_ref_no() {
    let app = spawn_app();
    let cu_ref_no = cu_ref_no(&app, "j.barasek@gmail.com");
    let expected = customer(&app, "show", &cu_ref_no, &[]);
    for spelling in ["j.barasek@gmail.com", "JBarasek@GMAIL.com", " jbarasek+shop@googlemail.com "] {
        assert_eq!(customer(&app, "show", spelling, &[]), expected, "{spelling}");
    }
}

#[test]
fn a_customer_of_another_organisation_is_not_found() {
    let app = spawn_app();
    let cu_ref_no = cu_ref_no(&app, JAN);
    for who in [JAN, &cu_ref_no] {
        let error = error(&app.folder, &["customer", "show", "--organisation", "rival", who]);
        assert_eq!(error, format!("magic-auth: there is no customer {who}"));
    }
}

#[test]
fn an_unknown_customer_is_an_error_of_every_command() {
    let app = spawn_app();
    for command in ["show", "unban", "authorize", "deauthorize", "register", "sign-out"] {
        assert_eq!(refused(&app, command, JAN), "magic-auth: there is no customer jan@barasek.com");
    }
    let ban = ["customer", "ban", "--organisation", "shop", JAN, "--reason", "fraud"];
    assert_eq!(error(&app.folder, &ban), "magic-auth: there is no customer jan@barasek.com");
}

#[test]
fn what_can_be_no_customer_is_told_what_could() {
    let app = spawn_app();
    assert_snapshot!(refused(&app, "show", "jan"), @"magic-auth: name the customer by e-mail address, by telephone number such as +420777123456, or by cuRefNo: a customer reference number is 16 letters and digits");
    assert_snapshot!(refused(&app, "show", "jan@localhost"), @r#"magic-auth: "jan@localhost": the part after the @ is not a domain name"#);
    assert_snapshot!(refused(&app, "show", "two\nlines"), @"magic-auth: name the customer by e-mail address, by telephone number such as +420777123456, or by cuRefNo: a customer reference number is 16 letters and digits");
    assert_snapshot!(refused(&app, "show", "two\nlines@barasek.com"), @r#"magic-auth: "two\nlines@barasek.com": the part before the @ is not 1 to 64 letters, digits and !#$%&'*+-/=?^_`{|}~ with single inner dots"#);
}

#[test]
fn the_organisation_must_be_said_when_there_are_several() {
    let app = spawn_app();
    assert_snapshot!(error(&app.folder, &["customer", "show", JAN]), @"magic-auth: there are several organisations; choose one with --organisation: rival, shop");
    assert_snapshot!(error(&app.folder, &["customer", "show", "--organisation", "Shop", JAN]), @r#"magic-auth: there is no organisation "Shop"; there are: rival, shop"#);
}

#[test]
fn a_ban_takes_effect_at_the_next_request_and_ends_all_sessions() {
    let app = spawn_app();
    let identity = app.shop().identity(JAN);
    let printed = customer(&app, "ban", JAN, &["--reason", "fraud"]);
    assert_snapshot!(shown(&app, &printed), @"Banned jan@barasek.com (CUREFNO012345678) until the ban is lifted; all sessions ended.");
    assert_eq!(app.shop().sign_in(JAN).code(), "E005");
    assert!(!app.shop().is_logged_in(&identity));
}

#[test]
fn a_ban_can_leave_the_sessions_alive_which_then_show_it() {
    let app = spawn_app();
    let identity = app.shop().identity(JAN);
    let printed = customer(&app, "ban", JAN, &["--reason", "late payment", "--keep-sessions"]);
    assert_snapshot!(shown(&app, &printed), @"Banned jan@barasek.com (CUREFNO012345678) until the ban is lifted; the sessions live on.");
    let account = app.shop().account_info(&identity).json();
    assert_eq!((&account["loggedIn"], &account["ban"]), (&json!(true), &json!(true)));
    assert_eq!(app.shop().sign_in(JAN).code(), "E005");
}

#[test]
fn a_ban_for_a_time_ends_by_itself() {
    let app = spawn_app();
    let ended = app.shop().identity(JAN);
    let printed = customer(&app, "ban", JAN, &["--reason", "fraud", "--for", "7d"]);
    assert_snapshot!(shown(&app, &printed), @"Banned jan@barasek.com (CUREFNO012345678) until 0000-00-00T00:00:00.000Z; all sessions ended.");
    app.advance(DAY * 6 + Duration::from_hours(23));
    assert_eq!(app.shop().sign_in(JAN).code(), "E005");
    app.advance(Duration::from_hours(1));
    app.shop().identity(JAN);
    assert!(!app.shop().is_logged_in(&ended));
}

#[test]
fn a_second_ban_replaces_the_first() {
    let app = spawn_app();
    app.shop().identity(JAN);
    customer(&app, "ban", JAN, &["--reason", "fraud"]);
    let printed = customer(&app, "ban", JAN, &["--reason", "less than fraud", "--for", "1h"]);
    assert_snapshot!(shown(&app, &printed), @"Banned jan@barasek.com (CUREFNO012345678) until 0000-00-00T00:00:00.000Z; all sessions ended; this replaces an earlier ban (until the ban is lifted).");
    app.advance(Duration::from_hours(1));
    app.shop().identity(JAN);
    assert_eq!(app.count("SELECT count(*) FROM bans"), 2);
    customer(&app, "ban", JAN, &["--reason", "fraud", "--for", "7d"]);
    let printed = customer(&app, "ban", JAN, &["--reason", "fraud", "--for", "1d"]);
    assert_snapshot!(shown(&app, &printed), @"Banned jan@barasek.com (CUREFNO012345678) until 0000-00-00T00:00:00.000Z; all sessions ended; this replaces an earlier ban (until 0000-00-00T00:00:00.000Z).");
}

#[test]
fn lifting_a_ban_takes_effect_at_the_next_request() {
    let app = spawn_app();
    app.shop().identity(JAN);
    customer(&app, "ban", JAN, &["--reason", "fraud"]);
    assert_snapshot!(shown(&app, &customer(&app, "unban", JAN, &[])), @"Lifted the ban of jan@barasek.com (CUREFNO012345678).");
    app.shop().identity(JAN);
}

#[test]
fn who_is_not_banned_cannot_be_unbanned() {
    let app = spawn_app();
    app.shop().identity(JAN);
    assert_snapshot!(shown(&app, &refused(&app, "unban", JAN)), @"magic-auth: jan@barasek.com (CUREFNO012345678) is not banned");
}

#[test]
fn who_is_not_authorized_is_refused_until_the_operator_authorizes() {
    let app = spawn_app_with("[sign_in]\nnew_customer_email = \"unauthorized\"");
    assert_eq!(app.shop().sign_in(JAN).code(), "E007");
    assert_snapshot!(shown(&app, &customer(&app, "authorize", JAN, &[])), @"The address of jan@barasek.com (CUREFNO012345678) is authorized.");
    app.shop().identity(JAN);
}

#[test]
fn who_is_authorized_can_be_deauthorized() {
    let app = spawn_app();
    let identity = app.shop().identity(JAN);
    assert_snapshot!(shown(&app, &customer(&app, "deauthorize", JAN, &[])), @"The address of jan@barasek.com (CUREFNO012345678) is no longer authorized; the sessions live on.");
    assert_eq!(app.shop().sign_in(JAN).code(), "E007");
    assert!(app.shop().is_logged_in(&identity));
}

#[test]
fn authorizing_twice_keeps_the_first_time() {
    let app = spawn_app();
    app.shop().identity(JAN);
    let at = || app.count("SELECT email_authorized_at FROM customers");
    let first = at();
    customer(&app, "authorize", JAN, &[]);
    assert_eq!(at(), first);
}

#[test]
fn a_guest_who_is_refused_can_be_registered_and_keeps_the_first_time() {
    let app = spawn_app_with("[sign_in]\nguest = \"refuse\"");
    app.insert_guest(JAN, true);
    assert_eq!(app.shop().sign_in(JAN).code(), "E003");
    assert_snapshot!(shown(&app, &customer(&app, "register", JAN, &[])), @"jan@barasek.com (CUREFNO012345678) is registered.");
    app.shop().identity(JAN);
    let at = || app.count("SELECT registered_at FROM customers");
    let first = at();
    assert_snapshot!(shown(&app, &customer(&app, "register", JAN, &[])), @"jan@barasek.com (CUREFNO012345678) was registered already, since 0000-00-00T00:00:00.000Z.");
    assert_eq!(at(), first);
}

#[test]
fn signing_out_ends_all_sessions_and_lets_new_ones_begin() {
    let app = spawn_app();
    let sessions = [app.shop().identity(JAN), app.shop().identity(JAN)];
    let others = app.shop().identity("eva@barasek.com");
    assert_snapshot!(shown(&app, &customer(&app, "sign-out", JAN, &[])), @"Ended all sessions of jan@barasek.com (CUREFNO012345678).");
    assert!(!sessions.iter().any(|identity| app.shop().is_logged_in(identity)));
    assert!(app.shop().is_logged_in(&others));
    let new = app.shop().identity(JAN);
    assert!(app.shop().is_logged_in(&new));
}

#[test]
fn a_sandbox_customer_keeps_the_address() {
    let app = spawn_app();
    app.client(SHOP_DEV).identity("ok@magic.test");
    let reference = super::import::rows(&app.folder, "SELECT cu_ref_no FROM customers").remove(0);
    assert_snapshot!(set_email(&app, &reference, JAN), @"magic-auth: CUREFNO012345678 is a customer of the sandbox, whose address stays as it is");
    assert_eq!(app.count("SELECT count(*) FROM customers WHERE email_canonical = 'sandbox:ok@magic.test'"), 1);
}

/// Gives a customer another address; what is printed, with the `cuRefNo` left out.
fn set_email(app: &TestApp, who: &str, address: &str) -> String {
    let arguments = ["customer", "set-email", "--organisation", "shop", who, address];
    let output = app.cli(&arguments);
    let text = if output.status.success() { output.stdout } else { error(&app.folder, &arguments).into_bytes() };
    let mut text = String::from_utf8(text).unwrap();
    for reference in super::import::rows(&app.folder, "SELECT cu_ref_no FROM customers") {
        text = text.replace(&reference, CU_REF_NO);
    }
    text.trim_end().to_owned()
}

#[test]
fn who_gets_another_address_signs_in_with_that_and_keeps_sessions_and_cu_ref_no() {
    let app = spawn_app();
    let first = app.shop().identity(JAN);
    let before = app.shop().account_info(&first).json();
    assert_snapshot!(set_email(&app, JAN, " Jan.Novak@Gmail.com"), @"The address of CUREFNO012345678 is now jan.novak@gmail.com.");
    assert_eq!(app.shop().account_info(&first).json()["email"], "jan.novak@gmail.com");
    let second = app.shop().identity("jannovak+x@googlemail.com");
    assert_eq!(app.shop().account_info(&second).json()["cuRefNo"], before["cuRefNo"]);
    // The old address is free.
    assert_ne!(cu_ref_no(&app, JAN), before["cuRefNo"]);
}

#[test]
fn an_address_can_be_spelled_anew_but_not_be_taken_from_somebody() {
    let app = spawn_app_with("[sign_in]\nnew_customer_email = \"unauthorized\"");
    app.shop().sign_in("jan.novak@gmail.com");
    app.shop().sign_in("eva@x.cz");
    assert_snapshot!(set_email(&app, "jannovak@gmail.com", "JanNovak@gmail.com"), @"The address of CUREFNO012345678 is now jannovak@gmail.com, not authorized (see magic-auth customer authorize).");
    assert_snapshot!(set_email(&app, "eva@x.cz", "j.an.novak+1@googlemail.com"), @"magic-auth: the address already belongs to CUREFNO012345678");
    assert_snapshot!(set_email(&app, "nobody@x.cz", "free@x.cz"), @"magic-auth: there is no customer nobody@x.cz");
    assert_eq!(
        app.cli(&["customer", "set-email", "--organisation", "shop", "eva@x.cz", "free"]).status.code(),
        Some(2)
    );
    let kept = super::import::rows(&app.folder, "SELECT email FROM customers ORDER BY id");
    assert_eq!(kept, ["jannovak@gmail.com", "eva@x.cz"]);
}

#[test]
fn attempts_stay_with_the_customer_and_not_with_the_address() {
    let app = spawn_app_with("[throttle.email]\nburst = 1");
    let new = "jan@new.example";
    app.shop().identity(JAN);
    assert_eq!(app.shop().sign_in(JAN).code(), "E006");
    eventually(|| {
        shown_attempts(&app, JAN) == [("E006".to_owned(), JAN.to_owned()), ("OK".to_owned(), JAN.to_owned())]
    });
    set_email(&app, JAN, new);
    let before = [("E006".to_owned(), new.to_owned()), ("OK".to_owned(), new.to_owned())];
    assert_eq!(shown_attempts(&app, new), before);
    assert_eq!(listed_attempts(&app, new), before);
    assert!(listed_attempts(&app, JAN).is_empty());
    app.advance(DAY);
    app.shop().identity(JAN);
    assert_eq!(app.shop().sign_in(JAN).code(), "E006");
    let of_the_next = [("E006".to_owned(), JAN.to_owned()), ("OK".to_owned(), JAN.to_owned())];
    eventually(|| shown_attempts(&app, JAN) == of_the_next);
    set_email(&app, new, "jan@newer.example");
    assert_eq!(shown_attempts(&app, JAN), of_the_next);
    assert_eq!(listed_attempts(&app, JAN), of_the_next);
    assert_eq!(shown_attempts(&app, "jan@newer.example").len(), 2);
}

#[test]
fn attempts_under_earlier_rules_go_along_to_the_form_of_the_present_ones() {
    let app = spawn_app_with("[throttle.email]\nburst = 1");
    let address = "j.an@gmail.com";
    let customer = cu_ref_no(&app, address);
    assert_eq!(app.shop().sign_in("jan@gmail.com").code(), "E006");
    eventually(|| shown_attempts(&app, address).len() == 2);
    app.edit_config("[throttle.email]", "[email]\ncanonicalization = \"none\"\n[throttle.email]");
    let app = app.restart();
    set_email(&app, &customer, address);
    let shown = shown_attempts(&app, address);
    assert!(shown.len() == 2 && shown.iter().all(|(_, email)| email == address), "{shown:?}");
}

/// How the attempts that `show` lists ended, and for which address.
fn shown_attempts(app: &TestApp, who: &str) -> Vec<(String, String)> {
    let shown: Value = serde_json::from_str(&customer(app, "show", who, &["--json"])).unwrap();
    outcomes(&shown["attempts"])
}

/// The same of those that `attempts` lists.
fn listed_attempts(app: &TestApp, address: &str) -> Vec<(String, String)> {
    outcomes(&serde_json::from_str(&app.cli_ok(&["attempts", "--email", address, "--json"])).unwrap())
}

fn outcomes(attempts: &Value) -> Vec<(String, String)> {
    let text = |attempt: &Value, field: &str| attempt[field].as_str().unwrap().to_owned();
    attempts.as_array().unwrap().iter().map(|attempt| (text(attempt, "outcome"), text(attempt, "email"))).collect()
}

/// CVE-2026-9087 (Keycloak): the proof of one address was taken for that of another.
#[test]
fn the_authorization_of_an_address_is_not_that_of_the_next() {
    let app = spawn_app_with("[sign_in]\nnew_customer_email = \"unauthorized\"");
    let new = "jan@new.example";
    assert_eq!(app.shop().sign_in(JAN).code(), "E007");
    customer(&app, "authorize", JAN, &[]);
    app.shop().identity(JAN);
    set_email(&app, JAN, new);
    assert_eq!(app.shop().sign_in(new).code(), "E007");
    customer(&app, "authorize", new, &[]);
    app.shop().identity(new);
}

/// A running server has the last refusals in its memory still.
#[test]
fn refusals_of_the_last_second_go_along_to_the_new_address() {
    let app = spawn_app_with("[throttle]\nemail.burst = 2");
    let codes = [(); 5].map(|()| app.shop().sign_in(JAN).code());
    assert_eq!(codes, ["", "", "E006", "E006", "E006"]);
    app.operator(&["set-email", JAN, "eva@barasek.com"]);
    eventually(|| app.count("SELECT sum(count) FROM login_attempts WHERE customer_id = 1") == 5);
    assert_eq!(app.count("SELECT count(*) FROM login_attempts WHERE email IS NOT NULL OR customer_id IS NULL"), 0);
}

#[test]
fn an_address_that_begins_with_a_dash_is_an_address() {
    let app = spawn_app();
    let addresses = ["-h@shop.example", "--yes@shop.example", "-x@shop.example"];
    for address in addresses {
        let identity = app.shop().identity(address);
        customer(&app, "sign-out", address, &[]);
        assert!(!app.shop().is_logged_in(&identity));
        assert!(customer(&app, "ban", address, &["--reason", "fraud"]).starts_with(&format!("Banned {address} (")));
        assert_eq!(app.shop().sign_in(address).json()["errorCode"], "E005");
        assert!(customer(&app, "show", address, &[]).contains(&format!(" {address}\n")));
        assert!(customer(&app, "why", address, &["--ip", "1.1.1.1"]).contains("Answer: E005"));
        let attempts: Value = serde_json::from_str(&app.cli_ok(&["attempts", "--email", address, "--json"])).unwrap();
        assert_eq!(attempts.as_array().unwrap().len(), 2);
    }
    customer(&app, "set-email", addresses[0], &["-new@shop.example"]);
    assert!(refused(&app, "show", addresses[0]).contains("there is no customer -h@shop.example"));
    customer(&app, "erase", "-new@shop.example", &["--yes"]);
    customer(&app, "erase", addresses[1], &["--yes"]);
    assert!(refused(&app, "show", addresses[1]).contains("there is no customer --yes@shop.example"));
}

#[test]
fn options_stand_before_and_behind_an_address() {
    let app = spawn_app();
    app.shop().sign_in(JAN);
    for arguments in [
        ["customer", "ban", JAN, "--organisation", "shop", "--keep-sessions", "--reason", "fraud"],
        ["customer", "ban", "--reason", "fraud", "--organisation", "shop", "--keep-sessions", JAN],
    ] {
        app.cli_ok(&arguments[..]);
    }
    assert!(app.cli_ok(&["customer", "ban", "-h"]).starts_with("Ban a customer (E005) and end all sessions\n"));
}
