//! `customer why`: it tells what the next sign-in answers.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{error, without_times};
use crate::app::{SHOP_ROOT, TestApp, spawn_app, spawn_app_with};

const STRICT: &str = "[sign_in]\nunknown_email = \"refuse\"\nguest = \"refuse\"";
const ONE_ATTEMPT: &str = "[throttle]\nemail.burst = 1\nip.burst = 2";

fn why(app: &TestApp, email: &str, more: &[&str]) -> String {
    app.operator(&[&["why", email], more].concat())
}

fn why_json(app: &TestApp, email: &str, more: &[&str]) -> Value {
    serde_json::from_str(&why(app, email, &[more, &["--json"]].concat())).unwrap()
}

/// Text without moments and with Jan's `cuRefNo` replaced.
fn shown(app: &TestApp, text: &str) -> String {
    let sql = "SELECT cu_ref_no FROM customers WHERE email = 'jan@barasek.com'";
    let cu_ref_no: String = app.database().query_row(sql, [], |row| row.get(0)).unwrap();
    without_times(text).replace(&cu_ref_no, "CUREFNO012345678")
}

/// What is done before the question.
#[derive(Clone, Copy, Debug)]
enum Before {
    /// A registered customer, who has not signed in within the throttle's window.
    Customer,
    Guest,
    Ban,
    Deauthorize,
    SignIn,
    FloodFromHere,
}

const JAN: &str = "jan@barasek.com";
const HERE: &str = "192.0.2.1";

impl Before {
    fn happen(self, app: &TestApp) {
        let sign_in = |email: &str| app.shop().magic_auth(&json!({ "email": email, "customerRealIp": HERE }));
        match self {
            Self::Guest => app.insert_guest(JAN, true),
            Self::Customer => {
                app.insert_guest(JAN, true);
                app.database().execute("UPDATE customers SET registered_at = 1", []).unwrap();
            }
            Self::Ban => drop(app.operator(&["ban", JAN, "--reason", "fraud"])),
            Self::Deauthorize => drop(app.operator(&["deauthorize", JAN])),
            Self::SignIn => drop(sign_in(JAN)),
            Self::FloodFromHere => drop(["a@barasek.com", "b@barasek.com"].map(sign_in)),
        }
    }
}

#[test]
fn it_predicts_what_the_next_sign_in_answers() {
    use Before::{Ban, Customer, Deauthorize, FloodFromHere, Guest, SignIn};
    let unauthorized = "[sign_in]\nnew_customer_email = \"unauthorized\"";
    let strict_and_throttled = format!("{STRICT}\n{ONE_ATTEMPT}");
    for (config, before, email, expected) in [
        ("", &[][..], JAN, "OK"),
        ("", &[Customer], " JAN@Barasek.com", "OK"),
        ("", &[Guest], JAN, "OK"),
        ("", &[], "jan@barasek", "E004"),
        ("", &[], "", "E004"),
        (STRICT, &[], JAN, "E002"),
        (STRICT, &[Guest], JAN, "E003"),
        (STRICT, &[Customer], JAN, "OK"),
        ("", &[Customer, Ban], JAN, "E005"),
        ("", &[Customer, Deauthorize], JAN, "E007"),
        (unauthorized, &[], JAN, "E007"),
        (unauthorized, &[SignIn], JAN, "E007"),
        (ONE_ATTEMPT, &[SignIn], JAN, "E006"),
        (ONE_ATTEMPT, &[FloodFromHere], JAN, "E006"),
        // Of several that stand, the first of the contract.
        (ONE_ATTEMPT, &[FloodFromHere], "jan@barasek", "E004"),
        (ONE_ATTEMPT, &[SignIn, Ban, Deauthorize], JAN, "E006"),
        (&strict_and_throttled, &[SignIn], JAN, "E006"),
        (&strict_and_throttled, &[Guest, FloodFromHere], JAN, "E006"),
        (STRICT, &[Guest, Ban], JAN, "E005"),
        ("", &[Customer, Ban, Deauthorize], JAN, "E005"),
        (STRICT, &[Guest, Deauthorize], JAN, "E003"),
    ] {
        let app = spawn_app_with(config);
        for before in before {
            before.happen(&app);
        }
        let told = why_json(&app, email, &["--ip", HERE]);
        let case = format!("{config:?} {before:?} {email:?} {told}");
        let customers = app.count("SELECT count(*) FROM customers");
        let guests = || app.count("SELECT count(*) FROM customers WHERE registered_at IS NULL");
        let guests_before = guests();
        let reply = app.shop().magic_auth(&json!({ "email": email, "customerRealIp": HERE }));

        assert_eq!(told["outcome"], expected, "{case}");
        assert_eq!(reply.json().get("errorCode").unwrap_or(&json!("OK")), expected, "{case}");
        assert_eq!(told["message"], *reply.json().get("message").unwrap_or(&Value::Null), "{case}");
        let wait = reply.headers.get("retry-after").map(|wait| wait.to_str().unwrap().parse::<u64>().unwrap());
        let told_wait = told["retryAfter"].as_u64();
        // Some time has passed since.
        assert!(told_wait == wait || told_wait.unwrap().abs_diff(wait.unwrap()) < 60, "{case} {wait:?}");
        let created = app.count("SELECT count(*) FROM customers") > customers;
        assert_eq!(told["createsCustomer"], created, "{case}");
        assert_eq!(told["registersGuest"], guests() < guests_before, "{case}");
    }
}

#[test]
fn all_rules_are_told_also_those_behind_the_first_that_refuses() {
    let app = spawn_app_with("[throttle]\nemail.burst = 1");
    app.shop().identity(JAN);
    app.operator(&["ban", JAN, "--reason", "card fraud", "--for", "7d"]);
    app.operator(&["deauthorize", JAN]);
    // The time until the next attempt depends on how long this has taken.
    let told = shown(&app, &why(&app, "Jan@barasek.com", &["--ip", "192.0.2.7"]));
    let (before, rest) = told.split_once("the next in ").unwrap();
    let (wait, rest) = rest.split_once('\n').unwrap();
    let (rest, retry_after) = rest.split_once("Retry-After: ").unwrap();
    assert!(wait.starts_with("9m") || wait == "10m", "{wait}");
    assert!(retry_after.trim_end_matches(".\n").parse::<u64>().unwrap() > 500, "{retry_after}");
    assert_snapshot!(format!("{before}the next in WAIT\n{rest}Retry-After: SECONDS."), @"
    rule           code  verdict       detail
    address        E004  passes        jan@barasek.com
    network        E006  passes        60 of 60 attempts left
    mailbox        E006  refuses       none of 1 attempts left, the next in WAIT
    deny           E001  passes        no rule of sign_in.deny is about 192.0.2.7
    ban            E005  would refuse  banned until 0000-00-00T00:00:00.000Z: card fraud
    customer       E002  passes        customer CUREFNO012345678
    registration   E003  passes        registered since 0000-00-00T00:00:00.000Z
    authorization  E007  would refuse  not authorized

    Answer: E006 Too many login attempts. Retry-After: SECONDS.
    ");
}

#[test]
fn somebody_unknown_is_told_what_would_be_made_of_them() {
    let app = spawn_app();
    assert_snapshot!(why(&app, JAN, &[]), @r#"
    rule           code  verdict  detail
    address        E004  passes   jan@barasek.com
    network        E006  passes   without --ip: not throttled
    mailbox        E006  passes   10 of 10 attempts left
    deny           E001  passes   without --ip: not denied
    ban            E005  passes   nobody has this address
    customer       E002  passes   nobody has this address, sign_in.unknown_email = "create"
    registration   E003  passes   nobody has this address
    authorization  E007  passes   sign_in.new_customer_email = "authorized"

    Answer: OK Signed in. A customer would be created.
    "#);
    app.insert_guest(JAN, true);
    assert_snapshot!(shown(&app, &why(&app, JAN, &["--ip", "localhost"])), @r#"
    rule           code  verdict  detail
    address        E004  passes   jan@barasek.com
    network        E006  passes   127.0.0.1 is not throttled
    mailbox        E006  passes   10 of 10 attempts left
    deny           E001  passes   no rule of sign_in.deny is about 127.0.0.1
    ban            E005  passes   no ban
    customer       E002  passes   customer CUREFNO012345678
    registration   E003  passes   a guest, sign_in.guest = "promote"
    authorization  E007  passes   authorized since 0000-00-00T00:00:00.000Z

    Answer: OK Signed in. The guest would be registered.
    "#);
}

#[test]
fn an_address_that_is_none_is_an_answer_and_says_which_part_is_wrong() {
    let app = spawn_app();
    assert_snapshot!(why(&app, "jan@barasek", &[]), @"
    rule           code  verdict    detail
    address        E004  refuses    the part after the @ is not a domain name
    network        E006  not asked  needs a valid address
    mailbox        E006  not asked  needs a valid address
    deny           E001  not asked  needs a valid address
    ban            E005  not asked  needs a valid address
    customer       E002  not asked  needs a valid address
    registration   E003  not asked  needs a valid address
    authorization  E007  not asked  needs a valid address

    Answer: E004 Wrong e-mail or password.
    ");
}

#[test]
fn it_can_speak_json() {
    let app = spawn_app_with(STRICT);
    assert_snapshot!(why(&app, JAN, &["--json"]), @r#"
    {
      "outcome": "E002",
      "message": "Customer e-mail does not exist.",
      "retryAfter": null,
      "createsCustomer": false,
      "registersGuest": false,
      "rules": [
        {
          "name": "address",
          "code": "E004",
          "refuses": false,
          "retryAfter": null,
          "detail": "jan@barasek.com"
        },
        {
          "name": "network",
          "code": "E006",
          "refuses": false,
          "retryAfter": null,
          "detail": "without --ip: not throttled"
        },
        {
          "name": "mailbox",
          "code": "E006",
          "refuses": false,
          "retryAfter": null,
          "detail": "10 of 10 attempts left"
        },
        {
          "name": "deny",
          "code": "E001",
          "refuses": false,
          "retryAfter": null,
          "detail": "without --ip: not denied"
        },
        {
          "name": "ban",
          "code": "E005",
          "refuses": false,
          "retryAfter": null,
          "detail": "nobody has this address"
        },
        {
          "name": "customer",
          "code": "E002",
          "refuses": true,
          "retryAfter": null,
          "detail": "nobody has this address, sign_in.unknown_email = \"refuse\""
        },
        {
          "name": "registration",
          "code": "E003",
          "refuses": false,
          "retryAfter": null,
          "detail": "nobody has this address"
        },
        {
          "name": "authorization",
          "code": "E007",
          "refuses": false,
          "retryAfter": null,
          "detail": "sign_in.new_customer_email = \"authorized\""
        }
      ]
    }
    "#);
}

#[test]
fn asking_a_hundred_times_costs_no_attempt_and_records_none() {
    let app = spawn_app_with("[throttle]\nemail.burst = 2\nip.burst = 2");
    for _ in 0..100 {
        assert_eq!(why_json(&app, JAN, &["--ip", HERE])["outcome"], "OK");
    }
    assert_eq!(app.count("SELECT (SELECT count(*) FROM login_attempts) + (SELECT count(*) FROM customers)"), 0);
    let codes = [(); 3].map(|()| app.shop().magic_auth(&json!({ "email": JAN, "customerRealIp": HERE })).code());
    assert_eq!(codes, ["", "", "E006"]);
}

#[test]
fn it_counts_the_attempts_that_are_left() {
    let app = spawn_app_with("[throttle]\nip.period = \"10h\"");
    let left = |email: &str| {
        let told = why_json(&app, email, &["--ip", HERE]);
        let detail = |number: usize| told["rules"][number]["detail"].as_str().unwrap().to_owned();
        [detail(1), detail(2)]
    };
    assert_eq!(left(JAN), ["60 of 60 attempts left", "10 of 10 attempts left"]);
    for _ in 0..3 {
        app.shop().magic_auth(&json!({ "email": JAN, "customerRealIp": HERE })).identity();
    }
    app.client(SHOP_ROOT).magic_auth(&json!({ "email": JAN, "customerRealIp": HERE })).identity();
    assert_eq!(left("JAN@barasek.com"), ["57 of 60 attempts left", "7 of 10 attempts left"]);
    assert_eq!(left("petr@barasek.com"), ["57 of 60 attempts left", "10 of 10 attempts left"]);
}

#[test]
fn a_ban_that_is_over_is_none() {
    let app = spawn_app();
    app.shop().identity(JAN);
    app.operator(&["ban", JAN, "--reason", "fraud", "--for", "7d"]);
    assert_eq!(why_json(&app, JAN, &[])["outcome"], "E005");
    let over = app.clock.now() - Duration::from_secs(1);
    app.database().execute("UPDATE bans SET expires_at = ?1", [over.as_millis()]).unwrap();
    assert_eq!(why_json(&app, JAN, &[])["outcome"], "OK");
}

#[test]
fn a_question_that_cannot_be_asked_is_an_error() {
    let app = spawn_app();
    assert_snapshot!(error(&app.folder, &["customer", "why", JAN]), @"magic-auth: there are several organisations; choose one with --organisation: rival, shop");
    assert_snapshot!(error(&app.folder, &["customer", "why", JAN, "--organisation", "shopp"]), @r#"magic-auth: there is no organisation "shopp"; there are: rival, shop"#);
    for wrong in [&["customer", "why"][..], &["customer", "why", JAN, "--ip", "1.1.1.1:80"]] {
        assert_eq!(app.cli(wrong).status.code(), Some(2), "{wrong:?}");
    }
}
