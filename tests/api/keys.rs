//! API keys: where they are sent, which are in force, and their quota.

use std::time::Duration;

use serde_json::json;

use crate::app::{Client, RIVAL, Reply, SHOP, SHOP_DEV, SHOP_ROOT, TestApp, spawn_app, spawn_app_with};

const MAGIC_AUTH: &str = "/api/v1/customer/magic-auth";
const HOUR: Duration = Duration::from_hours(1);

/// A key of the right form that nobody has.
const UNKNOWN: &str = "PRODunknown000000000000000000000";

/// A bucket of three, into which a token comes each six minutes.
const THREE_REQUESTS: &str = "[rate_limit]
    prod = { requests = 10, per = \"1h\", burst = 3 }
    dev = { requests = 10, per = \"1h\", burst = 3 }";

/// What every key that is not in force is answered with.
const REFUSED: &str = r#"{"success":false,"errorCode":"PUBLIC_API_KEY_DOES_NOT_EXIST","message":"The API key is missing or not valid. Send it as the query parameter apiKey, as the body field apiKey or as Authorization: Bearer. In a body that cannot be read, it is not found."}"#;

/// A sign-in with these keys in the query, the body and the header.
fn sign_in(app: &TestApp, query: Option<&str>, body: Option<&str>, bearer: Option<&str>) -> Reply {
    let path = query.map_or_else(|| MAGIC_AUTH.to_owned(), |key| format!("{MAGIC_AUTH}?apiKey={key}"));
    let mut sent = json!({"email": "jan@barasek.com"});
    if let Some(key) = body {
        sent["apiKey"] = json!(key);
    }
    let authorization = bearer.map(|key| format!("Bearer {key}"));
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(authorization.iter().map(|value| ("authorization", value.as_str())));
    app.client("").post_with(&path, &headers, sent.to_string().as_bytes())
}

/// Makes a production key of `shop` on the command line.
fn create_key(app: &TestApp, more: &[&str]) -> String {
    let create = ["key", "create", "--organisation", "shop", "--kind", "prod"];
    app.cli_ok(&[&create, more].concat()).trim().to_owned()
}

fn revoke_key(app: &TestApp, key: &str) {
    app.cli_ok(&["key", "revoke", &format!("{}{}", &key[..4], &key[28..])]);
}

#[track_caller]
fn assert_refused(reply: &Reply) {
    assert_eq!((reply.status, reply.text.as_str()), (401, REFUSED));
    assert_eq!(reply.header("www-authenticate"), "Bearer");
    assert!(!has_quota(reply), "{reply:?}");
}

fn has_quota(reply: &Reply) -> bool {
    reply.headers.keys().any(|name| name.as_str().starts_with("x-ratelimit"))
}

fn number(reply: &Reply, header: &str) -> i64 {
    reply.header(header).parse().unwrap()
}

// The channels.

#[test]
fn the_first_key_that_is_there_decides() {
    let app = spawn_app();
    let placeholder = Some("YOUR_API_KEY");
    let (good, none, empty) = (Some(SHOP), None, Some(""));
    for (query, body, bearer, status) in [
        (good, none, none, 200),
        (none, good, none, 200),
        (none, none, good, 200),
        // A placeholder in a later channel does no harm.
        (good, placeholder, placeholder, 200),
        (good, none, placeholder, 200),
        (none, good, placeholder, 200),
        // An empty one counts as absent.
        (empty, good, none, 200),
        (empty, empty, good, 200),
        (none, empty, good, 200),
        (empty, empty, empty, 401),
        (none, none, none, 401),
        // A bad one decides, too.
        (placeholder, good, good, 401),
        (Some(UNKNOWN), good, good, 401),
        (none, placeholder, good, 401),
        (none, Some(UNKNOWN), good, 401),
        (none, Some(" "), good, 401),
    ] {
        let reply = sign_in(&app, query, body, bearer);
        assert_eq!(reply.status, status, "{query:?} {body:?} {bearer:?}");
        app.advance(Duration::from_mins(1));
    }
}

#[test]
fn of_two_keys_in_the_query_the_first_decides() {
    let app = spawn_app();
    for (query, status) in [
        (format!("apiKey={SHOP}&apiKey={UNKNOWN}"), 200),
        (format!("apiKey={UNKNOWN}&apiKey={SHOP}"), 401),
        (format!("apiKey=&apiKey={SHOP}"), 200),
    ] {
        assert_eq!(app.client("").get(&format!("/api/v1/ping?{query}")).status, status, "{query}");
    }
}

#[test]
fn the_organisation_is_that_of_the_key_that_decides() {
    let app = spawn_app();
    for (query, body, bearer) in
        [(Some(RIVAL), Some(SHOP), Some(SHOP)), (None, Some(RIVAL), Some(SHOP)), (Some(""), Some(""), Some(RIVAL))]
    {
        sign_in(&app, query, body, bearer).identity();
    }
    let of_rival = "(SELECT id FROM organisations WHERE name = 'rival')";
    assert_eq!(app.count(&format!("SELECT count(*) FROM customers WHERE organisation_id = {of_rival}")), 1);
    assert_eq!(app.count("SELECT count(*) FROM customers"), 1);
}

#[test]
fn a_key_that_is_null_in_the_body_counts_as_absent_and_one_of_another_type_decides() {
    let app = spawn_app();
    for (key, status) in [(json!(null), 200), (json!(1), 401), (json!([SHOP]), 401), (json!({}), 401)] {
        let body = json!({"email": "jan@barasek.com", "apiKey": key}).to_string();
        let headers = [("content-type", "application/json"), ("authorization", &format!("Bearer {SHOP}"))];
        assert_eq!(app.client("").post_with(MAGIC_AUTH, &headers, body.as_bytes()).status, status, "{body}");
    }
}

#[test]
fn every_form_of_body_can_carry_the_key() {
    let app = spawn_app();
    let parts = crate::bodies::multipart(&[("email", "jan@barasek.com"), ("apiKey", SHOP)]);
    for (content_type, body) in [
        ("text/plain", json!({"email": "jan@barasek.com", "apiKey": SHOP}).to_string()),
        ("application/x-www-form-urlencoded", format!("email=jan%40barasek.com&apiKey={SHOP}")),
        (crate::bodies::MULTIPART, parts),
    ] {
        app.client("").post(MAGIC_AUTH, content_type, &body).identity();
    }
}

#[test]
fn routes_without_a_body_take_the_key_from_query_or_header() {
    let app = spawn_app();
    for path in ["/api/v1/ping", "/ping/v1", "/api/v1/customer/get-account-info"] {
        let bearer = |scheme: &str| [("authorization", format!("{scheme} {SHOP}"))];
        assert_eq!(app.shop().get(path).status, 200, "{path}");
        for scheme in ["Bearer", "bearer", "BEARER"] {
            let header = bearer(scheme);
            assert_eq!(app.client("").get_with(path, &[(header[0].0, &header[0].1)]).status, 200, "{path} {scheme}");
        }
        let basic = bearer("Basic");
        assert_refused(&app.client("").get_with(path, &[(basic[0].0, &basic[0].1)]));
        assert_refused(&app.client("").get(path));
    }
}

// Which keys are in force.

#[test]
fn every_key_that_is_not_in_force_has_the_same_answer() {
    let app = spawn_app();
    let expired = create_key(&app, &["--expires", "1h"]);
    let revoked = create_key(&app, &[]);
    revoke_key(&app, &revoked);
    app.advance(HOUR);
    for key in [
        "",
        "YOUR_API_KEY",
        "PROD",
        UNKNOWN,
        &SHOP[..31],
        &format!("{SHOP}0"),
        &SHOP.replace("PROD", "prod"),
        &SHOP.replace("PROD", "TEST"),
        &SHOP.replace("PROD", "ROOT").replace("shop", "SHOP"),
        &SHOP.replace("00", "0%00"),
        &SHOP.replace("00", "%C3%A9"),
        &"P".repeat(4_000),
        &expired,
        &revoked,
    ] {
        assert_refused(&sign_in(&app, Some(key), None, None));
        assert_refused(&app.client("").get(&format!("/api/v1/ping?apiKey={key}")));
        assert_refused(&app.client("").get(&format!("/api/v1/customer/get-account-info?apiKey={key}")));
        assert_refused(&app.client(key).logout("x"));
    }
    assert_eq!(app.count("SELECT count(*) FROM login_attempts"), 0);
}

#[test]
fn without_a_key_in_force_nothing_else_is_said() {
    let app = spawn_app();
    let long = "x".repeat(16 * 1_024 + 1);
    for (content_type, body) in [("application/xml", "<a/>"), ("application/json", "["), ("application/json", &long)] {
        assert_refused(&app.client(UNKNOWN).post(MAGIC_AUTH, content_type, body));
    }
    // Nor is a key found in a body that cannot be read, which the answer says.
    let unreadable = format!(r#"{{"apiKey":"{SHOP}","email":"jan@barasek.com",}}"#);
    assert_refused(&app.client("").post(MAGIC_AUTH, "application/json", &unreadable));
}

/// CVE-2026-46554 (NocoDB): a token that was deleted lived on in a cache.
#[test]
fn a_revoked_key_is_refused_at_the_next_request() {
    let app = spawn_app();
    let key = create_key(&app, &[]);
    for key in [key.as_str(), SHOP_DEV] {
        assert_eq!(app.client(key).ping().status, 200);
        revoke_key(&app, key);
        assert_refused(&app.client(key).ping());
    }
}

#[test]
fn a_key_is_in_force_until_it_expires() {
    let app = spawn_app();
    let key = create_key(&app, &["--expires", "2h"]);
    app.advance(HOUR);
    assert_eq!(app.client(&key).ping().status, 200);
    app.advance(HOUR);
    assert_refused(&app.client(&key).ping());
}

#[test]
fn a_key_that_left_the_configuration_is_refused_until_it_returns() {
    let app = spawn_app();
    let identity = app.client(SHOP_DEV).identity("jan@barasek.com");
    app.edit_config(SHOP_DEV, "DEV_another000000000000000000000");
    let app = app.restart();
    assert_refused(&app.client(SHOP_DEV).ping());
    assert!(app.client("DEV_another000000000000000000000").is_logged_in(&identity));
    app.edit_config("DEV_another000000000000000000000", SHOP_DEV);
    let app = app.restart();
    assert!(app.client(SHOP_DEV).is_logged_in(&identity));
    assert_refused(&app.client("DEV_another000000000000000000000").ping());
}

#[test]
fn a_key_that_left_the_configuration_and_was_revoked_stays_so_when_it_returns() {
    let app = spawn_app();
    app.edit_config(SHOP_DEV, "DEV_another000000000000000000000");
    let app = app.restart();
    app.cli_ok(&["key", "revoke", SHOP_DEV]);
    app.edit_config("DEV_another000000000000000000000", SHOP_DEV);
    assert_refused(&app.restart().client(SHOP_DEV).ping());
}

#[test]
fn a_configured_key_that_was_revoked_stays_so_after_a_restart() {
    let app = spawn_app();
    revoke_key(&app, SHOP_DEV);
    let app = app.restart();
    assert_refused(&app.client(SHOP_DEV).ping());
    assert_eq!(app.shop().ping().status, 200);
}

#[test]
fn a_key_of_the_command_line_is_not_touched_by_the_configuration() {
    let app = spawn_app();
    let key = create_key(&app, &[]);
    let app = app.restart();
    assert_eq!(app.client(&key).ping().status, 200);
}

#[test]
fn keys_of_one_organisation_share_its_customers() {
    let app = spawn_app();
    let identity = app.client(SHOP_DEV).identity("jan@barasek.com");
    assert!(app.shop().is_logged_in(&identity));
    assert!(app.client(SHOP_ROOT).is_logged_in(&identity));
}

// The quota.

#[test]
fn the_quota_as_shipped_is_1000_for_production_and_50_for_developers() {
    let app = spawn_app();
    for (key, limit) in [(SHOP, "1000"), (SHOP_DEV, "50")] {
        assert_eq!(app.client(key).ping().header("x-ratelimit-limit"), limit, "{key}");
    }
}

#[test]
fn each_request_takes_one_off_the_quota() {
    let app = spawn_app_with(THREE_REQUESTS);
    let now = app.clock.now().as_millis() / 1_000;
    for (used, reply) in
        [app.shop().ping(), app.shop().sign_in("jan@barasek.com"), app.shop().logout("x")].iter().enumerate()
    {
        let used = i64::try_from(used).unwrap() + 1;
        assert_eq!((number(reply, "x-ratelimit-limit"), number(reply, "x-ratelimit-remaining")), (3, 3 - used));
        // Full again when all that was taken has come back, one each six minutes.
        let full_in = number(reply, "x-ratelimit-reset") - now;
        assert!((used * 360 - 30..=used * 360 + 30).contains(&full_in), "{full_in}");
    }
}

#[test]
fn the_bucket_is_full_at_the_second_that_it_says() {
    let app = spawn_app_with(THREE_REQUESTS);
    app.shop().ping();
    let reset = number(&app.shop().ping(), "x-ratelimit-reset");
    let wait = reset * 1_000 - app.clock.now().as_millis();
    app.advance(Duration::from_millis(wait.unsigned_abs()));
    assert_eq!(app.shop().ping().header("x-ratelimit-remaining"), "2");
}

#[test]
fn every_answer_to_a_key_in_force_tells_its_quota() {
    let app = spawn_app();
    let shop = app.shop();
    let body_of = |length| "x".repeat(length);
    for (status, reply) in [
        (200, shop.ping()),
        (200, shop.get("/ping/v1")),
        (200, shop.sign_in("jan@barasek.com")),
        (200, shop.sign_in("no address")),
        (200, shop.account_info("x")),
        (200, shop.request("HEAD", "/api/v1/customer/get-account-info")),
        (200, shop.logout("x")),
        (413, shop.post(MAGIC_AUTH, "application/json", &body_of(16 * 1_024 + 1))),
        (415, shop.post(MAGIC_AUTH, "application/xml", "<a/>")),
        (422, shop.post(MAGIC_AUTH, "application/json", "[")),
        (422, shop.post("/api/v1/customer/logout", "application/json", "{}")),
    ] {
        assert_eq!(reply.status, status, "{reply:?}");
        for name in ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"] {
            assert!(number(&reply, name) > 0, "{reply:?}");
        }
    }
}

#[test]
fn other_answers_tell_no_quota() {
    let app = spawn_app();
    for (status, reply) in [
        (401, app.client(UNKNOWN).ping()),
        (404, app.shop().get("/nowhere")),
        (405, app.shop().get(MAGIC_AUTH)),
        (200, app.client(SHOP_ROOT).ping()),
        (200, app.client(SHOP_ROOT).sign_in("jan@barasek.com")),
    ] {
        assert_eq!((reply.status, has_quota(&reply)), (status, false), "{reply:?}");
    }
}

#[test]
fn a_quota_of_nothing_is_no_quota() {
    let app = spawn_app_with("[rate_limit]\nprod.requests = 0\ndev.requests = 0");
    for key in [SHOP, SHOP_DEV] {
        for _ in 0..100 {
            let reply = app.client(key).ping();
            assert_eq!((reply.status, has_quota(&reply)), (200, false));
        }
    }
}

#[test]
fn a_key_that_has_used_up_its_quota_is_429() {
    let app = spawn_app_with(THREE_REQUESTS);
    for _ in 0..3 {
        assert_eq!(app.shop().ping().status, 200);
    }
    let reply = app.shop().ping();
    let wait = number(&reply, "retry-after");
    assert!((330..=360).contains(&wait), "{wait}");
    let message = "The API key has used up its quota. See the header Retry-After.";
    let expected = format!(
        r#"{{"success":false,"errorCode":"RATE_LIMIT_EXCEEDED","message":"{message}","error":{{"code":"RATE_LIMIT_EXCEEDED","message":"{message}","retry_after":{wait}}}}}"#
    );
    assert_eq!((reply.status, reply.text.as_str()), (429, expected.as_str()));
    assert_eq!((number(&reply, "x-ratelimit-limit"), number(&reply, "x-ratelimit-remaining")), (3, 0));
}

#[test]
fn the_quota_is_checked_before_the_body() {
    let app = spawn_app_with(THREE_REQUESTS);
    for _ in 0..3 {
        app.shop().ping();
    }
    for (content_type, body) in [("application/xml", "<a/>"), ("application/json", "["), ("application/json", "{}")] {
        assert_eq!(app.shop().post(MAGIC_AUTH, content_type, body).status, 429);
    }
    assert_eq!(app.shop().sign_in("jan@barasek.com").status, 429);
    assert_eq!(app.count("SELECT count(*) FROM login_attempts"), 0);
}

#[test]
fn a_request_passes_after_the_time_that_retry_after_says_and_not_before() {
    let app = spawn_app_with("[rate_limit]\nprod = { requests = 1, per = \"1h\", burst = 1 }");
    app.shop().ping();
    let wait = || Duration::from_secs(app.shop().ping().header("retry-after").parse().unwrap());
    app.advance(wait().saturating_sub(Duration::from_secs(30)));
    let left = wait();
    assert!(left <= Duration::from_secs(30), "{left:?}");
    app.advance(left);
    assert_eq!(app.shop().ping().status, 200);
    assert_eq!(app.shop().ping().status, 429);
}

#[test]
fn each_key_has_a_quota_of_its_own() {
    let app = spawn_app_with(THREE_REQUESTS);
    let spend = |client: Client| [(); 4].map(|()| client.ping().status);
    for key in [SHOP, SHOP_DEV, RIVAL] {
        assert_eq!(spend(app.client(key)), [200, 200, 200, 429], "{key}");
    }
    assert_eq!(spend(app.client(SHOP_ROOT)), [200; 4]);
}

#[test]
fn a_change_of_another_key_does_not_fill_the_bucket() {
    let app = spawn_app_with(THREE_REQUESTS);
    for _ in 0..3 {
        app.shop().ping();
    }
    create_key(&app, &[]);
    revoke_key(&app, SHOP_DEV);
    assert_eq!(app.shop().ping().status, 429);
}
