//! What a key may do: the last check of a key, for every route.

use std::time::Duration;

use insta::assert_snapshot;
use magic_auth::domain::{ApiKey, Permission};
use magic_auth::keys::MAX_AGE;
use serde_json::json;

use crate::app::{Client, RIVAL, Reply, SHOP, TestApp, spawn_app, spawn_app_with, start_app, write_config};
use crate::process::{eventually, spawn_process};

const MAGIC_AUTH: &str = "/api/v1/customer/magic-auth";

/// A bucket of three, into which a token comes each six minutes.
const THREE_REQUESTS: &str = "[rate_limit]\nprod = { requests = 10, per = \"1h\", burst = 3 }";

/// Every route that needs a key, with what the key must be allowed.
const ROUTES: [(&str, &str, Option<Permission>); 8] = [
    ("POST", MAGIC_AUTH, Some(Permission::SignIn)),
    ("POST", "/contact/v1/magic-auth", Some(Permission::SignIn)),
    ("GET", "/api/v1/customer/get-account-info", Some(Permission::AccountInfo)),
    ("GET", "/contact/v1/get-account-info", Some(Permission::AccountInfo)),
    ("POST", "/api/v1/customer/logout", Some(Permission::Logout)),
    ("GET", "/api/v1/ip", Some(Permission::Ip)),
    ("GET", "/api/v1/ping", None),
    ("GET", "/ping/v1", None),
];

/// A key of `shop` that may do only this.
fn key_that_may_only(app: &TestApp, permissions: &str, more: &[&str]) -> String {
    let create = ["key", "create", "--organisation", "shop", "--kind", "prod", "--only", permissions];
    app.cli_ok(&[&create, more].concat()).trim().to_owned()
}

/// A request that is answered 200 when the key may make it.
fn call(client: &Client, method: &str, path: &str) -> Reply {
    match method {
        "POST" => {
            let body = json!({"email": "jan@barasek.com", "identityId": "x"}).to_string();
            client.post(path, "application/json", &body)
        }
        _ => client.request(method, &format!("{path}?ip=1.1.1.1")),
    }
}

#[track_caller]
fn assert_denied(reply: &Reply) {
    assert_eq!(reply.outcome(), (403, "PERMISSION_DENIED".to_owned()), "{reply:?}");
}

#[test]
fn a_key_may_do_what_it_was_made_for_and_nothing_else() {
    let app = spawn_app_with("[throttle]\nemail.burst = 0");
    let sets = [
        &[Permission::SignIn][..],
        &[Permission::AccountInfo],
        &[Permission::Logout],
        &[Permission::Ip],
        &[Permission::SignIn, Permission::AccountInfo],
        &[Permission::SignIn, Permission::Logout],
        &[Permission::AccountInfo, Permission::Logout],
        &Permission::ALL,
    ];
    for permissions in sets {
        let list = permissions.iter().map(Permission::to_string).collect::<Vec<_>>().join(",");
        let client = app.client(&key_that_may_only(&app, &list, &[]));
        for (method, path, needed) in ROUTES {
            let may = needed.is_none_or(|needed| permissions.contains(&needed));
            let reply = call(&client, method, path);
            assert_eq!(reply.status, if may { 200 } else { 403 }, "{list}: {path}");
        }
    }
}

#[test]
fn a_key_without_a_list_may_do_everything() {
    let app = spawn_app();
    for (method, path, _) in ROUTES {
        assert_eq!(call(&app.shop(), method, path).status, 200, "{path}");
    }
}

#[test]
fn every_described_route_is_in_this_table() {
    let description = spawn_app().client("").get("/openapi.json").json();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let row = ROUTES.iter().find(|(_, known, _)| known == path);
            let needs_key = operation["security"] != json!([{}]);
            assert_eq!(row.is_some(), needs_key, "{path}");
            let denied = operation["responses"]["403"]["description"].as_str();
            match row.and_then(|(.., needed)| *needed) {
                Some(needed) => assert!(denied.unwrap().contains(needed.as_str()), "{path}"),
                None => assert_eq!(denied, None, "{path}"),
            }
            assert!(row.is_none_or(|(known, ..)| known.eq_ignore_ascii_case(method)), "{method} {path}");
        }
    }
}

#[test]
fn the_answer_says_what_the_key_lacks_and_what_is_left_of_its_quota() {
    let app = spawn_app();
    let reply = app.client(&key_that_may_only(&app, "account-info", &[])).sign_in("jan@barasek.com");
    assert_eq!(reply.status, 403);
    assert_snapshot!(reply.text, @r#"{"success":false,"errorCode":"PERMISSION_DENIED","message":"The API key lacks the permission sign-in. Use a key that has it; the operator can create one."}"#);
    assert_eq!((reply.header("x-ratelimit-limit"), reply.header("x-ratelimit-remaining")), ("1000", "999"));
    assert!(reply.headers.contains_key("x-ratelimit-reset"), "{reply:?}");
}

#[test]
fn a_system_key_can_be_limited_too() {
    let app = spawn_app();
    let create = ["key", "create", "--organisation", "shop", "--kind", "root", "--only", "logout"];
    let root = app.client(app.cli_ok(&create).trim());
    let reply = root.sign_in("jan@barasek.com");
    assert_denied(&reply);
    assert!(!reply.headers.contains_key("x-ratelimit-limit"), "{reply:?}");
    assert_eq!(root.logout("x").status, 200);
}

// Its place among the checks.

#[test]
fn the_key_must_be_in_force_before_it_is_asked_what_it_may_do() {
    let app = spawn_app();
    let key = key_that_may_only(&app, "logout", &["--expires", "1h"]);
    assert_denied(&app.client(&key).sign_in("jan@barasek.com"));
    app.advance(Duration::from_hours(1));
    assert_eq!(app.client(&key).sign_in("jan@barasek.com").status, 401);
}

#[test]
fn a_denied_request_takes_one_off_the_quota_and_a_used_up_quota_is_said_first() {
    let app = spawn_app_with(THREE_REQUESTS);
    let client = app.client(&key_that_may_only(&app, "logout", &[]));
    for remaining in ["2", "1", "0"] {
        let reply = client.sign_in("jan@barasek.com");
        assert_denied(&reply);
        assert_eq!(reply.header("x-ratelimit-remaining"), remaining);
    }
    assert_eq!(client.sign_in("jan@barasek.com").status, 429);
}

#[test]
fn a_key_that_may_not_is_not_told_what_is_wrong_with_the_body() {
    let app = spawn_app();
    let long = "x".repeat(16 * 1_024 + 1);
    let [limited, whole] = [key_that_may_only(&app, "account-info", &[]), SHOP.to_owned()].map(|key| app.client(&key));
    for (content_type, body, status) in [
        ("application/json", "{}", 422),
        ("application/json", "[", 422),
        ("application/json", r#"{"email":1}"#, 422),
        ("application/xml", "<a/>", 415),
        ("application/json", &long, 413),
    ] {
        for path in [MAGIC_AUTH, "/contact/v1/magic-auth", "/api/v1/customer/logout"] {
            assert_eq!(whole.post(path, content_type, body).status, status, "{path} {body}");
            assert_denied(&limited.post(path, content_type, body));
        }
    }
}

#[test]
fn a_denied_sign_in_leaves_no_trace() {
    let app = spawn_app();
    let client = app.client(&key_that_may_only(&app, "account-info,logout", &[]));
    for email in ["jan@barasek.com", "no address"] {
        assert_denied(&client.sign_in(email));
    }
    for table in ["customers", "sessions", "login_attempts"] {
        assert_eq!(app.count(&format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
}

#[test]
fn a_denied_logout_ends_nothing() {
    let app = spawn_app();
    let identity = app.shop().identity("jan@barasek.com");
    assert_denied(&app.client(&key_that_may_only(&app, "sign-in,account-info", &[])).logout(&identity));
    assert!(app.shop().is_logged_in(&identity));
}

#[test]
fn neither_head_nor_another_channel_of_the_key_leads_around_it() {
    let app = spawn_app();
    let key = key_that_may_only(&app, "logout", &[]);
    let nobody = app.client("");
    assert_eq!(app.client(&key).request("HEAD", "/api/v1/customer/get-account-info").status, 403);
    let bearer = format!("Bearer {key}");
    assert_denied(&nobody.get_with("/contact/v1/get-account-info", &[("authorization", &bearer)]));
    let body = json!({"email": "jan@barasek.com", "apiKey": key}).to_string();
    let headers = [("content-type", "application/json"), ("authorization", &format!("Bearer {SHOP}"))];
    assert_denied(&nobody.post_with(MAGIC_AUTH, &headers, body.as_bytes()));
}

#[test]
fn the_sandbox_is_under_the_same_check() {
    let app = spawn_app();
    let create = ["key", "create", "--organisation", "shop", "--kind", "dev", "--only", "account-info"];
    let developer = app.client(app.cli_ok(&create).trim());
    for email in ["ok@magic.test", "e005@magic.test"] {
        assert_denied(&developer.sign_in(email));
    }
}

#[test]
fn a_key_that_may_only_look_still_sees_nothing_of_another_organisation() {
    let app = spawn_app();
    let in_rival = app.client(RIVAL).identity("jan@barasek.com");
    let looking = app.client(&key_that_may_only(&app, "account-info", &[]));
    assert_eq!(looking.account_info(&in_rival).text, r#"{"loggedIn":false}"#);
    assert!(looking.is_logged_in(&app.shop().identity("jan@barasek.com")));
}

// What the database says.

#[test]
fn a_change_of_the_permissions_is_noticed_and_leaves_the_quota_as_it_is() {
    let app = spawn_app_with(THREE_REQUESTS);
    let key = key_that_may_only(&app, "logout", &[]);
    assert_denied(&app.client(&key).sign_in("jan@barasek.com"));
    app.database().execute("UPDATE api_keys SET permissions = 'sign-in' WHERE permissions = 'logout'", []).unwrap();
    app.advance(MAX_AGE);
    let reply = app.client(&key).sign_in("jan@barasek.com");
    assert_eq!((reply.status, reply.header("x-ratelimit-remaining")), (200, "1"));
    assert_denied(&app.client(&key).logout("x"));
}

#[test]
fn a_key_with_a_permission_that_this_program_does_not_know_may_do_nothing_and_harms_no_other() {
    let server = spawn_process("");
    let odd = "UPDATE api_keys SET permissions = 'sign-in,fly' WHERE prefix = 'DEV_'";
    server.database().execute(odd, []).unwrap();
    // Also a server that starts on such a row serves all the others.
    let server = server.kill_and_restart();
    let developer = Client::new(server.address, crate::app::SHOP_DEV);
    for (method, path, needed) in ROUTES {
        let expected = if needed.is_some() { 403 } else { 200 };
        assert_eq!(call(&developer, method, path).status, expected, "{path}");
        assert_eq!(call(&server.shop(), method, path).status, 200, "{path}");
    }
    let told =
        "a key may do nothing: the database gives it a permission that this version does not know (not one of the";
    eventually(|| server.log().contains(told));
    let log = server.log();
    assert_eq!(log.matches(told).count(), 1, "{log}");
    assert!(log.contains("DEV_…0000"), "{log}");
}

#[test]
fn keys_of_an_upgraded_database_may_do_everything() {
    let folder = tempfile::tempdir().unwrap();
    write_config(&folder, "");
    let earlier = rusqlite::Connection::open(folder.path().join("magic-auth.db")).unwrap();
    earlier.execute_batch(include_str!("../schemas/1.sql")).unwrap();
    earlier.pragma_update(None, "user_version", 1).unwrap();
    earlier.execute("INSERT INTO organisations VALUES (1, 'shop', 1)", []).unwrap();
    let made_then = "PRODearlier000000000000000000000";
    let digest = ApiKey::parse(made_then).unwrap().digest();
    let insert = "INSERT INTO api_keys VALUES (1, 1, ?1, 'PROD', '0000', 'cli', 1, NULL, NULL)";
    earlier.execute(insert, [digest.as_bytes()]).unwrap();
    drop(earlier);
    let app = start_app(folder);
    for (method, path, _) in ROUTES {
        assert_eq!(call(&app.client(made_then), method, path).status, 200, "{path}");
    }
    assert_eq!(app.count("SELECT count(*) FROM api_keys WHERE permissions IS NOT NULL"), 0);
}
