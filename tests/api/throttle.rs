//! E006: how often sign-in may be attempted for one mailbox and from one network.

use std::collections::BTreeSet;
use std::time::Duration;

use magic_auth::clock::Clock;
use serde_json::json;

use crate::app::{Client, Reply, SHOP, SHOP_DEV, SHOP_ROOT, TestApp, spawn_app, spawn_app_with};
use crate::bodies::{MULTIPART, multipart};

const MAGIC_AUTH: &str = "/api/v1/customer/magic-auth";
const SECOND: Duration = Duration::from_secs(1);

/// An attempt for a mailbox from an address.
fn attempt(client: &Client, email: &str, ip: &str) -> String {
    client.magic_auth(&json!({"email": email, "customerRealIp": ip})).code()
}

/// How many attempts pass before the first that is refused.
fn passes(mut attempt: impl FnMut(usize) -> String) -> usize {
    (0..200).position(|number| attempt(number) == "E006").unwrap_or(200)
}

fn retry_after(reply: &Reply) -> Duration {
    assert_eq!(reply.code(), "E006");
    Duration::from_secs(reply.header("retry-after").parse().unwrap())
}

#[test]
fn a_mailbox_has_ten_attempts_as_shipped_which_come_back_one_a_minute() {
    let app = spawn_app();
    let sign_in = |_| app.shop().sign_in("jan@barasek.com").code();
    assert_eq!(passes(sign_in), 10);
    app.advance(Duration::from_mins(3));
    assert_eq!(passes(sign_in), 3);
    app.advance(Duration::from_mins(30));
    assert_eq!(passes(sign_in), 10);
}

#[test]
fn a_network_has_sixty_attempts_as_shipped() {
    let app = spawn_app();
    let shop = app.shop();
    let begin = app.clock.steady();
    let passed = passes(|number| attempt(&shop, &format!("{number}@barasek.com"), "192.0.2.1"));
    // One comes back every ten seconds, also while this goes on.
    let came_back = (app.clock.steady().saturating_sub(begin).as_secs() / 10) as usize;
    assert!((60..=60 + came_back).contains(&passed), "{passed}");
    assert_eq!(attempt(&shop, "jan@barasek.com", "192.0.2.2"), "");
}

/// supabase/auth #1834: nothing was read as something else.
#[test]
fn a_limit_of_nothing_is_no_limit() {
    let app = spawn_app_with("[throttle]\nemail.burst = 0\nip.burst = 0");
    let shop = app.shop();
    assert_eq!(passes(|_| attempt(&shop, "jan@barasek.com", "192.0.2.1")), 200);
}

#[test]
fn spellings_of_an_address_do_not_buy_attempts() {
    let app = spawn_app_with("[throttle]\nemail.burst = 3");
    let spellings =
        ["jan@gmail.com", "J.A.N@gmail.com", "jan+shop@googlemail.com", " JAN@gmail.com ", "j.an@gmail.com"];
    assert_eq!(passes(|number| app.shop().sign_in(spellings[number]).code()), 3);
}

#[test]
fn different_mailboxes_do_not_share_attempts() {
    let app = spawn_app_with("[throttle]\nemail.burst = 1");
    for email in ["jan@barasek.com", "j.an@barasek.com", "jan+shop@barasek.com", "jan@barasek.cz"] {
        assert_eq!(passes(|_| app.shop().sign_in(email).code()), 1, "{email}");
    }
}

#[test]
fn spellings_of_an_ip_do_not_buy_attempts() {
    let app = spawn_app_with("[throttle]\nip.burst = 3");
    let spellings = ["192.0.2.1", "::ffff:192.0.2.1", "::FFFF:C000:0201", "192.0.2.1"];
    assert_eq!(passes(|number| attempt(&app.shop(), &format!("{number}@barasek.com"), spellings[number])), 3);
}

#[test]
fn an_ipv6_network_of_64_bits_is_one_caller() {
    let app = spawn_app_with("[throttle]\nip.burst = 3");
    let shop = app.shop();
    let addresses = ["2001:db8::1", "2001:db8::2:0:0:1", "2001:DB8:0:0:ffff:ffff:ffff:ffff", "2001:db8::4"];
    assert_eq!(passes(|number| attempt(&shop, &format!("{number}@barasek.com"), addresses[number])), 3);
    assert_eq!(attempt(&shop, "jan@barasek.com", "2001:db8:0:1::1"), "");
}

#[test]
fn loopback_and_an_absent_ip_are_not_throttled_by_ip() {
    let app = spawn_app_with("[throttle]\nip.burst = 1");
    for ip in [json!("127.0.0.1"), json!("127.0.0.2"), json!("::1"), json!("localhost"), json!(""), json!(null)] {
        for number in 0..3 {
            let email = format!("{number}@barasek.com");
            app.shop().magic_auth(&json!({"email": email, "customerRealIp": ip})).identity();
        }
    }
}

#[test]
fn a_root_key_is_not_throttled_and_takes_nothing_from_others() {
    let app = spawn_app_with("[throttle]\nemail.burst = 2\nip.burst = 2");
    let root = app.client(SHOP_ROOT);
    let flood = || assert_eq!([(); 5].map(|()| attempt(&root, "jan@barasek.com", "192.0.2.1")), [""; 5]);
    flood();
    assert_eq!(passes(|_| attempt(&app.shop(), "jan@barasek.com", "192.0.2.1")), 2);
    flood();
}

#[test]
fn what_a_root_key_did_takes_nothing_after_a_restart_either() {
    let app = spawn_app_with("[throttle]\nemail.burst = 2");
    for _ in 0..5 {
        app.client(SHOP_ROOT).identity("jan@barasek.com");
    }
    let app = app.restart();
    assert_eq!(passes(|_| app.shop().sign_in("jan@barasek.com").code()), 2);
}

/// CVE-2026-9798 (Keycloak): the lock did not hold on another way to the same place.
#[test]
fn all_paths_forms_and_keys_share_the_same_counters() {
    let app = spawn_app_with("[throttle]\nemail.burst = 8");
    let json = json!({"email": "jan@barasek.com"}).to_string();
    let json_with_key = json!({"email": "jan@barasek.com", "apiKey": SHOP}).to_string();
    let form = "email=jan%40barasek.com";
    let (shop, nobody) = (app.shop(), app.client(""));
    let bearer = format!("Bearer {SHOP}");
    let with_bearer = [("content-type", "application/json"), ("authorization", bearer.as_str())];
    let ways: [&dyn Fn() -> Reply; 8] = [
        &|| shop.post(MAGIC_AUTH, "application/json", &json),
        &|| shop.post("/contact/v1/magic-auth", "application/json", &json),
        &|| shop.post(MAGIC_AUTH, "text/plain", &json),
        &|| shop.post(MAGIC_AUTH, "application/x-www-form-urlencoded", form),
        &|| shop.post(MAGIC_AUTH, MULTIPART, &multipart(&[("email", "jan@barasek.com")])),
        &|| nobody.post(MAGIC_AUTH, "application/json", &json_with_key),
        &|| nobody.post_with(MAGIC_AUTH, &with_bearer, json.as_bytes()),
        &|| app.client(SHOP_DEV).post(MAGIC_AUTH, "application/json", &json),
    ];
    for expected in ["", "E006"] {
        for (number, way) in ways.iter().enumerate() {
            assert_eq!(way().code(), expected, "{number}");
        }
    }
}

#[test]
fn an_attempt_that_its_network_may_not_make_takes_nothing_from_the_mailbox() {
    let app = spawn_app_with("[throttle]\nemail.burst = 3\nip.burst = 1");
    let shop = app.shop();
    attempt(&shop, "flood@barasek.com", "192.0.2.1");
    for _ in 0..10 {
        assert_eq!(attempt(&shop, "jan@barasek.com", "192.0.2.1"), "E006");
    }
    assert_eq!(passes(|_| shop.sign_in("jan@barasek.com").code()), 3);
}

#[test]
fn an_attempt_without_a_valid_address_takes_nothing() {
    let app = spawn_app_with("[throttle]\nip.burst = 1");
    for _ in 0..5 {
        assert_eq!(attempt(&app.shop(), "no address", "192.0.2.1"), "E004");
    }
    assert_eq!(attempt(&app.shop(), "jan@barasek.com", "192.0.2.1"), "");
}

#[test]
fn a_refused_attempt_does_not_put_off_the_next() {
    let app = spawn_app_with("[throttle]\nemail.burst = 1");
    let shop = app.shop();
    shop.identity("jan@barasek.com");
    app.advance(Duration::from_mins(5));
    for _ in 0..10 {
        shop.sign_in("jan@barasek.com");
    }
    app.advance(Duration::from_mins(5));
    shop.identity("jan@barasek.com");
}

/// Rauthy #1416: who was limited once was so for ever.
#[test]
fn an_attempt_passes_after_the_time_that_retry_after_says_and_not_before() {
    for limit in ["email", "ip"] {
        let app = spawn_app_with(&format!("[throttle]\n{limit} = {{ burst = 1, period = \"10m\" }}"));
        let body = json!({"email": "jan@barasek.com", "customerRealIp": "192.0.2.1"});
        app.shop().magic_auth(&body).identity();
        let wait = retry_after(&app.shop().magic_auth(&body));
        assert!(wait > Duration::from_mins(9) && wait <= Duration::from_mins(10), "{limit}: {wait:?}");
        app.advance(wait.saturating_sub(30 * SECOND));
        let left = retry_after(&app.shop().magic_auth(&body));
        assert!(left <= 30 * SECOND, "{limit}: {left:?}");
        app.advance(left);
        app.shop().magic_auth(&body).identity();
    }
}

/// supabase/auth #1547, #1955, #2398, Rauthy #1487: the limiter or the registration told who is registered.
#[test]
fn known_and_unknown_addresses_are_throttled_alike() {
    let app = spawn_app_with(
        "[throttle]
        email.burst = 2
        [sign_in]
        unknown_email = \"refuse\"",
    );
    app.insert_guest("known@barasek.com", true);
    let refused = ["known@barasek.com", "unknown@barasek.com"].map(|email| {
        assert_eq!(passes(|_| app.shop().sign_in(email).code()), 2, "{email}");
        let reply = app.shop().sign_in(email);
        let headers: BTreeSet<_> = reply.headers.keys().map(ToString::to_string).collect();
        let wait = retry_after(&reply);
        ((reply.status, headers, reply.text), wait)
    });
    let [(known, wait_of_known), (unknown, wait_of_unknown)] = refused;
    assert_eq!(known, unknown);
    assert!(wait_of_known.abs_diff(wait_of_unknown) < 30 * SECOND, "{wait_of_known:?} {wait_of_unknown:?}");
}

// A restart.

/// Restarts the server between attempts that pass and those that do not.
fn assert_survives_a_restart(config: &str, attempt: impl Fn(&TestApp) -> Reply) {
    let app = spawn_app_with(config);
    attempt(&app).identity();
    attempt(&app).identity();
    let wait = retry_after(&attempt(&app));
    let app = app.restart();
    let wait_after = retry_after(&attempt(&app));
    assert!(wait_after <= wait && wait < wait_after + Duration::from_secs(30), "{wait:?} {wait_after:?}");
    app.advance(wait_after);
    attempt(&app).identity();
    assert_eq!(attempt(&app).code(), "E006");
}

/// supabase/auth #1792: the limiters began anew.
#[test]
fn the_attempts_of_a_mailbox_survive_a_restart() {
    assert_survives_a_restart("[throttle]\nemail.burst = 2", |app| app.shop().sign_in("jan@barasek.com"));
}

#[test]
fn the_attempts_of_a_network_survive_a_restart() {
    assert_survives_a_restart("[throttle]\nip.burst = 2", |app| {
        app.shop().magic_auth(&json!({"email": "jan@barasek.com", "customerRealIp": "192.0.2.1"}))
    });
}

#[test]
fn attempts_that_were_refused_for_the_mailbox_still_count_for_the_network_after_a_restart() {
    let app = spawn_app_with("[throttle]\nemail.burst = 1\nip.burst = 4");
    for expected in ["", "E006", "E006", "E006"] {
        assert_eq!(attempt(&app.shop(), "jan@barasek.com", "192.0.2.1"), expected);
    }
    let app = app.restart();
    assert_eq!(attempt(&app.shop(), "petr@barasek.com", "192.0.2.1"), "E006");
}

#[test]
fn attempts_of_before_the_window_do_not_count_after_a_restart() {
    let app = spawn_app_with("[throttle]\nemail.burst = 2");
    assert_eq!(passes(|_| app.shop().sign_in("jan@barasek.com").code()), 2);
    app.advance(Duration::from_mins(20));
    let app = app.restart();
    assert_eq!(passes(|_| app.shop().sign_in("jan@barasek.com").code()), 2);
}

#[test]
fn a_flood_from_one_network_is_counted_in_one_row() {
    let app = spawn_app_with("[throttle.ip]\nburst = 1");
    let from = |email: String| app.shop().magic_auth(&json!({ "email": email, "customerRealIp": "192.0.2.1" })).code();
    assert_eq!(from("first@barasek.com".to_owned()), "");
    let clock = Clock::system();
    let begin = clock.steady();
    for number in 0..20 {
        assert_eq!(from(format!("{number}@barasek.com")), "E006");
    }
    let refused = "FROM login_attempts WHERE outcome = 'E006' AND mailbox IS NULL AND ip = '192.0.2.1'";
    // A row for each second that it took.
    let seconds = clock.steady().saturating_sub(begin).as_secs();
    crate::process::eventually(|| app.count(&format!("SELECT coalesce(sum(count), 0) {refused}")) == 20);
    let rows = app.count(&format!("SELECT count(*) {refused}"));
    assert!(rows <= 2 + i64::try_from(seconds).unwrap(), "{rows} rows in {seconds} s");
}
