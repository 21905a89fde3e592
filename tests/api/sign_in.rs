//! `POST /api/v1/customer/magic-auth`: the documented outcomes and their order.

use serde_json::{Value, json};

use crate::app::{Client, RIVAL, Reply, SHOP_DEV, SHOP_ROOT, TestApp, spawn_app, spawn_app_with};
use crate::process::eventually;

/// The whole body of a refusal.
fn refusal(code: &str, message: &str) -> String {
    format!(r#"{{"success":false,"errorCode":"{code}","message":"{message}"}}"#)
}

#[track_caller]
fn assert_refused(reply: &Reply, code: &str, message: &str) {
    assert_eq!((reply.status, reply.text.as_str()), (200, refusal(code, message).as_str()));
}

/// What get-account-info says after a sign-in with this body.
fn account_after(app: &TestApp, body: &Value) -> Value {
    app.shop().account_info(&app.shop().magic_auth(body).identity()).json()
}

/// The `cuRefNo` of whoever brought the customer with this address.
fn referrer_of(app: &TestApp, email: &str) -> Option<String> {
    let sql = "SELECT r.cu_ref_no FROM customers AS c LEFT JOIN customers AS r ON r.id = c.referred_by
        WHERE c.email = ?1 AND c.organisation_id = (SELECT id FROM organisations WHERE name = 'shop')";
    app.database().query_row(sql, [email], |row| row.get(0)).unwrap()
}

/// Outcome, address, ip, whose key of which kind, and count of all recorded attempts, in their order.
fn attempts(app: &TestApp) -> Vec<String> {
    let sql = "SELECT a.outcome || ' ' || coalesce(c.email, a.email, '-') || ' ' || coalesce(a.ip, '-') || ' '
            || o.name || '/' || k.prefix || ' ' || a.count
        FROM login_attempts AS a JOIN organisations AS o ON o.id = a.organisation_id
            JOIN api_keys AS k ON k.id = a.api_key_id AND k.organisation_id = o.id
            LEFT JOIN customers AS c ON c.id = a.customer_id
        ORDER BY a.id";
    let database = app.database();
    let mut statement = database.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn a_new_customer_is_signed_in() {
    let app = spawn_app();
    let reply = app.shop().magic_auth(&json!({
        "email": "jan@barasek.com",
        "firstName": "Jan",
        "lastName": "Barášek",
        "customerRealIp": "1.1.1.1",
        "referralId": "1cGIHvFoQDGLAbcA",
    }));
    assert_eq!((reply.status, reply.header("cache-control")), (200, "no-store"));
    let identity = reply.identity();
    assert_eq!(reply.text, format!(r#"{{"success":true,"identityId":"{identity}"}}"#));
    assert!(identity.len() == 32 && identity.bytes().all(|byte| byte.is_ascii_alphanumeric()));
}

#[test]
fn the_alias_path_signs_in_as_well() {
    let app = spawn_app();
    let reply = app.shop().post("/contact/v1/magic-auth", "application/json", r#"{"email":"jan@barasek.com"}"#);
    assert!(app.shop().is_logged_in(&reply.identity()));
}

#[test]
fn each_sign_in_gives_a_new_identity_and_ends_none() {
    let app = spawn_app();
    let identities = [(); 3].map(|()| app.shop().identity("jan@barasek.com"));
    assert!(identities[0] != identities[1] && identities[1] != identities[2] && identities[0] != identities[2]);
    assert!(identities.iter().all(|identity| app.shop().is_logged_in(identity)));
    assert_eq!(app.count("SELECT count(*) FROM customers"), 1);
}

// The outcomes.

#[test]
fn an_unknown_address_is_e002_where_the_operator_refuses_them() {
    let app = spawn_app_with("[sign_in]\nunknown_email = \"refuse\"");
    assert_refused(&app.shop().sign_in("jan@barasek.com"), "E002", "Customer e-mail does not exist.");
    assert_eq!(app.count("SELECT count(*) FROM customers"), 0);
}

#[test]
fn a_guest_is_e003_where_the_operator_refuses_them() {
    let app = spawn_app_with("[sign_in]\nguest = \"refuse\"");
    app.insert_guest("jan@barasek.com", true);
    assert_refused(&app.shop().sign_in("jan@barasek.com"), "E003", "Customer have not a registered account.");
    assert_eq!(app.count("SELECT count(*) FROM customers WHERE registered_at IS NULL"), 1);
}

#[test]
fn what_is_no_address_is_e004() {
    let app = spawn_app();
    let long = |local, label| format!("{}@{}.{}.cz", "a".repeat(local), "b".repeat(label), "c".repeat(63));
    for email in [
        "",
        " ",
        "jan",
        "@barasek.com",
        "jan@",
        "jan@localhost",
        "jan@barasek@com.cz",
        "jan@127.0.0.1",
        "jan@[127.0.0.1]",
        "\"jan\"@barasek.com",
        "jan(comment)@barasek.com",
        ".jan@barasek.com",
        "jan.@barasek.com",
        "jan..barasek@barasek.com",
        "jan barasek@barasek.com",
        "jan\0@barasek.com",
        "jan@bara\tsek.com",
        "jan@barasek.com\0",
        "ján@barasek.com",
        "jan@-barasek.com",
        "jan@bara_sek.com",
        "jan@barasek..com",
        "jan@barasek.com.",
        "jan@barasek.123",
        // Look-alikes that UTS-46 would turn into barasek.com.
        "jan@ｂarasek.com",
        "jan@barasek。com",
        "jan@baraſek.com",
        "jan@barase\u{212a}.com",
        "jan@bara\u{ad}sek.com",
        "jan@bara\u{200b}sek.com",
        &long(65, 3),
        &long(1, 64),
        &format!("{}@{}cz", "a".repeat(64), "b.".repeat(94)),
    ] {
        let reply = app.shop().sign_in(email);
        assert_eq!(reply.text, refusal("E004", "Wrong e-mail or password."), "{email:?}");
        assert_eq!(reply.status, 200);
    }
    assert_eq!(app.count("SELECT count(*) FROM customers"), 0);
}

#[test]
fn a_banned_customer_is_e005_until_the_ban_is_lifted() {
    let app = spawn_app();
    app.shop().identity("jan@barasek.com");
    app.operator(&["ban", "jan@barasek.com", "--reason", "fraud"]);
    assert_refused(&app.shop().sign_in("jan@barasek.com"), "E005", "Customer account has been banned.");
    app.operator(&["unban", "jan@barasek.com"]);
    app.shop().identity("jan@barasek.com");
}

#[test]
fn the_throttle_refuses_the_eleventh_attempt_and_root_is_not_throttled() {
    let app = spawn_app();
    for _ in 0..10 {
        app.shop().identity("jan@barasek.com");
    }
    let reply = app.shop().sign_in("JAN@barasek.com");
    assert_refused(&reply, "E006", "Too many login attempts.");
    // A minute after the first attempt, ten of which take their time.
    let wait: u64 = reply.header("retry-after").parse().unwrap();
    assert!((30..=60).contains(&wait), "{wait}");
    app.client(SHOP_ROOT).identity("jan@barasek.com");
}

#[test]
fn only_e006_has_retry_after() {
    let app = spawn_app_with("[sign_in]\nunknown_email = \"refuse\"");
    for email in ["nobody@barasek.com", "nobody"] {
        assert!(!app.shop().sign_in(email).headers.contains_key("retry-after"), "{email}");
    }
}

#[test]
fn a_customer_whose_address_is_not_authorized_is_e007() {
    let app = spawn_app();
    app.shop().identity("jan@barasek.com");
    app.operator(&["deauthorize", "jan@barasek.com"]);
    assert_refused(&app.shop().sign_in("jan@barasek.com"), "E007", "Customer mail has not been authorized.");
}

#[test]
fn a_new_customer_signs_in_once_the_operator_has_authorized_the_address() {
    let app = spawn_app_with("[sign_in]\nnew_customer_email = \"unauthorized\"");
    let body = json!({"email": "jan@barasek.com", "firstName": "Jan"});
    for _ in 0..2 {
        assert_refused(&app.shop().magic_auth(&body), "E007", "Customer mail has not been authorized.");
    }
    assert_eq!(app.count("SELECT count(*) FROM customers"), 1);
    assert_eq!(app.count("SELECT count(*) FROM sessions"), 0);
    app.operator(&["authorize", "jan@barasek.com"]);
    assert_eq!(account_after(&app, &json!({"email": "jan@barasek.com"}))["firstName"], "Jan");
}

// Guests.

#[test]
fn a_guest_is_registered_by_the_first_sign_in() {
    let app = spawn_app();
    app.insert_guest("jan@barasek.com", true);
    let account = account_after(&app, &json!({"email": "jan@barasek.com", "lastName": "Barášek"}));
    assert_eq!(account["lastName"], "Barášek");
    assert_eq!(app.count("SELECT count(*) FROM customers WHERE registered_at IS NOT NULL"), 1);
    assert_eq!(app.count("SELECT count(*) FROM customers"), 1);
}

#[test]
fn a_guest_whose_address_is_not_authorized_stays_a_guest() {
    let app = spawn_app();
    app.insert_guest("jan@barasek.com", false);
    assert_eq!(app.shop().sign_in("jan@barasek.com").code(), "E007");
    assert_eq!(app.count("SELECT count(*) FROM customers WHERE registered_at IS NULL"), 1);
    app.operator(&["authorize", "jan@barasek.com"]);
    app.shop().identity("jan@barasek.com");
    assert_eq!(app.count("SELECT count(*) FROM customers WHERE registered_at IS NOT NULL"), 1);
}

// The order of the checks, by pairs of which both hold.

#[test]
fn e004_comes_before_e006() {
    let app = spawn_app_with("[throttle]\nip.burst = 1");
    let from_one_place = |email| app.shop().magic_auth(&json!({"email": email, "customerRealIp": "192.0.2.1"})).code();
    assert_eq!(from_one_place("jan@barasek.com"), "");
    assert_eq!(from_one_place("no address"), "E004");
    assert_eq!(from_one_place("petr@barasek.com"), "E006");
}

/// CVE-2024-0391 (WSO2): that an account was locked told that there is one.
#[test]
fn e006_comes_before_all_that_concerns_the_customer() {
    let app = spawn_app_with(
        "[throttle]
        email.burst = 2
        [sign_in]
        unknown_email = \"refuse\"
        guest = \"refuse\"",
    );
    for name in ["banned", "guest", "waiting"] {
        app.insert_guest(&format!("{name}@barasek.com"), true);
    }
    let database = app.database();
    database.execute("UPDATE customers SET registered_at = 1 WHERE email <> 'guest@barasek.com'", []).unwrap();
    database.execute("UPDATE customers SET email_authorized_at = NULL WHERE email LIKE 'waiting%'", []).unwrap();
    app.operator(&["ban", "banned@barasek.com", "--reason", "fraud"]);
    for (email, code) in [
        ("banned@barasek.com", "E005"),
        ("unknown@barasek.com", "E002"),
        ("guest@barasek.com", "E003"),
        ("waiting@barasek.com", "E007"),
    ] {
        let codes = [(); 3].map(|()| app.shop().sign_in(email).code());
        assert_eq!(codes, [code, code, "E006"], "{email}");
    }
}

#[test]
fn e005_comes_before_e003_and_e007() {
    let app = spawn_app_with("[sign_in]\nguest = \"refuse\"");
    app.insert_guest("guest@barasek.com", true);
    app.shop().identity("waiting@barasek.com");
    app.operator(&["deauthorize", "waiting@barasek.com"]);
    for (email, before) in [("guest@barasek.com", "E003"), ("waiting@barasek.com", "E007")] {
        assert_eq!(app.shop().sign_in(email).code(), before, "{email}");
        app.operator(&["ban", email, "--reason", "fraud"]);
        assert_eq!(app.shop().sign_in(email).code(), "E005", "{email}");
    }
}

#[test]
fn e002_and_e003_come_before_e007() {
    let app = spawn_app_with(
        "[sign_in]
        unknown_email = \"refuse\"
        guest = \"refuse\"
        new_customer_email = \"unauthorized\"",
    );
    app.insert_guest("guest@barasek.com", false);
    assert_eq!(app.shop().sign_in("unknown@barasek.com").code(), "E002");
    assert_eq!(app.shop().sign_in("guest@barasek.com").code(), "E003");
}

#[test]
fn the_body_is_checked_before_the_address() {
    let app = spawn_app();
    let reply = app.shop().magic_auth(&json!({"email": "no address", "customerRealIp": "no ip"}));
    assert_eq!(reply.outcome(), (422, "VALIDATION_FAILED".to_owned()));
    assert_eq!(app.count("SELECT count(*) FROM login_attempts"), 0);
}

// Names.

#[test]
fn names_fill_what_is_missing_and_never_overwrite() {
    let app = spawn_app();
    for (names, expected) in [
        (json!({}), [Value::Null, Value::Null]),
        (json!({"firstName": "Jan"}), [json!("Jan"), Value::Null]),
        (json!({"firstName": "Petr", "lastName": "Barášek"}), [json!("Jan"), json!("Barášek")]),
        (json!({"firstName": "Petr", "lastName": "Novák"}), [json!("Jan"), json!("Barášek")]),
        (json!({"firstName": "", "lastName": null}), [json!("Jan"), json!("Barášek")]),
    ] {
        let mut body = names.clone();
        body["email"] = json!("jan@barasek.com");
        let account = account_after(&app, &body);
        assert_eq!([account["firstName"].clone(), account["lastName"].clone()], expected, "{names}");
    }
}

#[test]
fn names_are_normalised() {
    let app = spawn_app();
    let hundred = "Á".repeat(100);
    for (number, (sent, shown)) in [
        ("jan", json!("Jan")),
        ("  jan  maria\u{a0} ", json!("Jan maria")),
        ("ja\u{7}n\u{0}", json!("Jan")),
        ("Bara\u{301}s\u{30c}ek", json!("Barášek")),
        ("s\u{30c}imon", json!("Šimon")),
        ("McDonald", json!("McDonald")),
        ("žofie", json!("Žofie")),
        ("李", json!("李")),
        ("", Value::Null),
        (" \u{7} ", Value::Null),
        (&hundred, json!(hundred)),
        // 101 code points and 100 characters after normalisation.
        (&format!("{}A\u{301}", "Á".repeat(99)), json!(hundred)),
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({"email": format!("{number}@barasek.com"), "firstName": sent});
        assert_eq!(account_after(&app, &body)["firstName"], shown, "{sent:?}");
    }
}

// Addresses.

#[test]
fn answers_show_the_normalised_address() {
    let app = spawn_app();
    let longest_label = format!("jan@{}.cz", "b".repeat(63));
    for (sent, shown) in [
        ("  JAN@Barasek.COM\t", "jan@barasek.com"),
        ("jan@Bücher.example", "jan@xn--bcher-kva.example"),
        ("jan+shop@barasek.com", "jan+shop@barasek.com"),
        ("!#$%&'*+-/=?^_`{|}~@barasek.com", "!#$%&'*+-/=?^_`{|}~@barasek.com"),
        (&longest_label, &longest_label),
    ] {
        assert_eq!(account_after(&app, &json!({ "email": sent }))["email"], shown, "{sent:?}");
    }
}

#[test]
fn no_answer_shows_the_canonical_address() {
    let app = spawn_app();
    let signed_in = app.shop().sign_in("Jan.Barasek+Shop@GoogleMail.com");
    let account = app.shop().account_info(&signed_in.identity());
    assert_eq!(account.json()["email"], "jan.barasek+shop@googlemail.com");
    for reply in [signed_in, account] {
        assert!(!format!("{reply:?}").contains("janbarasek"), "{reply:?}");
    }
}

#[test]
fn the_spellings_of_one_mailbox_are_one_customer() {
    let app = spawn_app();
    for (spellings, customers) in [
        (["jan.barasek@gmail.com", "JANBARASEK@googlemail.com", "j.a.n.barasek+shop@gmail.com"], 1),
        (["jan@outlook.com", "jan+shop@outlook.com", "JAN+@Outlook.com"], 1),
        // Elsewhere a dot or a tag may be a different person's mailbox.
        (["jan.barasek@barasek.com", "janbarasek@barasek.com", "janbarasek+shop@barasek.com"], 3),
    ] {
        let mut found: Vec<_> = spellings
            .iter()
            .map(|email| account_after(&app, &json!({ "email": email }))["cuRefNo"].to_string())
            .collect();
        found.sort();
        found.dedup();
        assert_eq!(found.len(), customers, "{spellings:?}");
    }
}

#[test]
fn each_spelling_is_a_customer_where_the_operator_says_so() {
    let app = spawn_app_with("[email]\ncanonicalization = \"none\"");
    app.shop().identity("jan.barasek@gmail.com");
    app.shop().identity("janbarasek@gmail.com");
    app.shop().identity("JanBarasek@gmail.com");
    assert_eq!(app.count("SELECT count(*) FROM customers"), 2);
}

// Referral.

#[test]
fn a_referral_is_recorded_once_when_the_customer_is_created() {
    let app = spawn_app();
    let sign_in = |email, referral: &str| account_after(&app, &json!({"email": email, "referralId": referral}));
    let reference = |account: Value| account["cuRefNo"].as_str().unwrap().to_owned();
    let first = reference(sign_in("first@barasek.com", ""));
    let second = reference(sign_in("second@barasek.com", &first));
    assert_eq!(referrer_of(&app, "second@barasek.com").as_ref(), Some(&first));

    // Not overwritten, not recorded later, and never oneself.
    let third = reference(sign_in("third@barasek.com", ""));
    sign_in("second@barasek.com", &third);
    sign_in("first@barasek.com", &second);
    sign_in("third@barasek.com", &third);
    assert_eq!(referrer_of(&app, "second@barasek.com"), Some(first));
    assert_eq!(referrer_of(&app, "first@barasek.com"), None);
    assert_eq!(referrer_of(&app, "third@barasek.com"), None);
}

#[test]
fn a_referral_that_names_nobody_does_not_stop_a_sign_in() {
    let app = spawn_app();
    let cu_ref_no =
        |client: &Client, email: &str| client.account_info(&client.identity(email)).json()["cuRefNo"].clone();
    for (number, referral) in [
        json!("1cGIHvFoQDGLAbcA"),
        json!("too short"),
        json!(""),
        json!(null),
        json!("1cGIHvFoQDGLAbc\0"),
        json!("x".repeat(1_000)),
        cu_ref_no(&app.client(RIVAL), "rival@barasek.com"),
        cu_ref_no(&app.client(SHOP_DEV), "ok@magic.test"),
    ]
    .into_iter()
    .enumerate()
    {
        let email = format!("{number}@barasek.com");
        app.shop().magic_auth(&json!({"email": email, "referralId": referral})).identity();
        assert_eq!(referrer_of(&app, &email), None, "{referral}");
    }
}

// The record of attempts.

#[test]
fn each_attempt_is_recorded_with_its_outcome_address_ip_and_key() {
    let app = spawn_app_with("[sign_in]\nguest = \"refuse\"");
    app.insert_guest("guest@barasek.com", true);
    app.shop().magic_auth(&json!({"email": "Jan@barasek.com", "customerRealIp": "2001:DB8::0:1"})).identity();
    app.shop().magic_auth(&json!({"email": "guest@barasek.com", "customerRealIp": "192.0.2.1"}));
    app.client(SHOP_ROOT).sign_in("no address");
    app.client(RIVAL).sign_in("petr@barasek.com");
    app.operator(&["ban", "jan@barasek.com", "--reason", "fraud"]);
    app.shop().sign_in("jan@barasek.com");
    app.operator(&["unban", "jan@barasek.com"]);
    app.operator(&["deauthorize", "jan@barasek.com"]);
    app.shop().sign_in("jan@barasek.com");
    insta::assert_snapshot!(attempts(&app).join("\n"), @r"
    OK jan@barasek.com 2001:db8::1 shop/PROD 1
    E003 guest@barasek.com 192.0.2.1 shop/PROD 1
    E004 - - shop/ROOT 1
    OK petr@barasek.com - rival/PROD 1
    E005 jan@barasek.com - shop/PROD 1
    E007 jan@barasek.com - shop/PROD 1
    ");
}

#[test]
fn an_attempt_of_an_unknown_address_is_recorded_with_the_address() {
    let app = spawn_app_with("[sign_in]\nunknown_email = \"refuse\"");
    let before = app.clock.now().as_millis();
    app.shop().sign_in("Nobody@barasek.com");
    assert_eq!(attempts(&app), ["E002 nobody@barasek.com - shop/PROD 1"]);
    let at = app.count("SELECT at FROM login_attempts");
    assert!((before..=app.clock.now().as_millis()).contains(&at), "{at}");
}

#[test]
fn throttled_attempts_are_recorded_soon_and_all_are_counted() {
    let app = spawn_app_with("[throttle]\nemail.burst = 1");
    app.shop().identity("jan@barasek.com");
    for _ in 0..5 {
        let reply = app.shop().magic_auth(&json!({"email": "jan@barasek.com", "customerRealIp": "192.0.2.1"}));
        assert_eq!(reply.code(), "E006");
    }
    eventually(|| app.count("SELECT coalesce(sum(count), 0) FROM login_attempts WHERE outcome = 'E006'") == 5);
    let alike = "outcome = 'E006' AND ip = '192.0.2.1' AND email = 'jan@barasek.com'";
    assert_eq!(app.count(&format!("SELECT sum(count) FROM login_attempts WHERE {alike}")), 5);
}
