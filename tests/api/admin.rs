//! `[admin]`: health and metrics on a port of their own

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::app::{Client, Reply, TestApp, spawn_app, spawn_app_with};
use crate::process::eventually;

pub const ADMIN: &str = "[admin]\nlisten = \"127.0.0.1:0\"";

fn admin(app: &TestApp) -> Client {
    Client::new(app.admin_address.expect("there is an [admin]"), "none")
}

pub fn metrics(app: &TestApp) -> String {
    let reply = admin(app).get("/metrics");
    assert_eq!(reply.status, 200);
    reply.text
}

/// The value of one line, which must be there.
pub fn value(metrics: &str, name: &str) -> u64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {metrics}")).parse().unwrap()
}

#[test]
fn health_and_metrics_have_a_port_of_their_own_and_the_public_one_has_neither() {
    let app = spawn_app_with(ADMIN);
    for path in ["/health/live", "/health/ready", "/metrics"] {
        assert_eq!(admin(&app).get(path).status, 200, "{path}");
        assert_eq!(admin(&app).request("HEAD", path).status, 200, "{path}");
        assert_eq!(app.shop().get(path).status, 404, "{path}");
    }
    assert_eq!(admin(&app).get("/api/v1/ping").status, 404);
    assert_eq!(admin(&app).get("/health/ready").json(), serde_json::json!({"status": "ok"}));
    assert!(spawn_app().admin_address.is_none());
}

#[test]
fn the_server_is_not_ready_while_nothing_can_be_written_and_then_is_by_itself() {
    let app = spawn_app_with(ADMIN);
    let other = app.database();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(app.shop().sign_in("jan@barasek.com").text.contains("E001"));
    let reply = admin(&app).get("/health/ready");
    assert_eq!((reply.status, &reply.json()["status"]), (503, &"unavailable".into()));
    assert!(reply.json()["reason"].is_string(), "{}", reply.text);
    assert_eq!(admin(&app).get("/health/live").status, 200);
    other.execute_batch("ROLLBACK").unwrap();
    eventually(|| admin(&app).get("/health/ready").status == 200);
    assert!(value(&metrics(&app), "magic_auth_write_failures_total") >= 1);
}

#[test]
fn whoever_asks_whether_a_server_that_is_well_is_ready_has_nothing_written() {
    let app = spawn_app_with(ADMIN);
    app.shop().identity("jan@barasek.com");
    let wal_size = || value(&metrics(&app), "magic_auth_wal_size_bytes");
    let before = wal_size();
    assert_eq!(admin(&app).get("/health/ready").status, 200);
    assert_eq!(wal_size(), before);
}

#[test]
fn sign_ins_are_counted_by_their_outcome_and_those_of_the_sandbox_are_not() {
    let app = spawn_app_with(ADMIN);
    let count = |outcome: &str| value(&metrics(&app), &format!("magic_auth_sign_ins_total{{outcome=\"{outcome}\"}}"));
    app.shop().identity("jan@barasek.com");
    app.shop().identity("eva@barasek.com");
    app.shop().sign_in("no address");
    for _ in 0..12 {
        app.shop().sign_in("flood@barasek.com");
    }
    assert_eq!((count("OK"), count("E004"), count("E006")), (12, 1, 2));
    app.client(crate::app::SHOP_DEV).sign_in("e005@magic.test");
    assert_eq!((count("E005"), count("denied")), (0, 0));
}

#[test]
fn requests_are_counted_by_route_and_status_and_timed() {
    let app = spawn_app_with(ADMIN);
    app.shop().identity("jan@barasek.com");
    app.client("nobodys-key").get("/api/v1/ping");
    app.shop().get("/nowhere/secret-path");
    let metrics = metrics(&app);
    let requests = |labels: &str| value(&metrics, &format!("magic_auth_http_requests_total{{{labels}}}"));
    assert_eq!(requests(r#"route="/api/v1/customer/magic-auth",status="200""#), 1);
    assert_eq!(requests(r#"route="/api/v1/ping",status="401""#), 1);
    assert_eq!(requests(r#"route="-",status="404""#), 1);
    let timed = r#"magic_auth_http_request_duration_seconds_count{route="/api/v1/ping"}"#;
    assert_eq!(value(&metrics, timed), 1);
    assert_eq!(value(&metrics, "magic_auth_write_queue_jobs"), 0);
    assert!(value(&metrics, "magic_auth_write_batch_jobs_count") >= 1);
}

#[test]
fn referrals_that_are_ignored_are_counted() {
    let app = spawn_app_with(ADMIN);
    for (number, referral) in ["broken", "1cGIHvFoQDGLAbcA", ""].iter().enumerate() {
        let body = format!(r#"{{"email": "{number}@barasek.com", "referralId": "{referral}"}}"#);
        app.shop().post("/api/v1/customer/magic-auth", "application/json", &body).identity();
    }
    assert_eq!(value(&metrics(&app), "magic_auth_ignored_referrals_total"), 2);
}

#[test]
fn levels_are_those_of_the_moment() {
    let app = spawn_app_with(ADMIN);
    app.shop().identity("jan@barasek.com");
    let first = metrics(&app);
    assert_eq!(value(&first, r#"magic_auth_throttle_keys{limit="email"}"#), 1);
    assert_eq!(value(&first, r#"magic_auth_throttle_keys{limit="ip"}"#), 0);
    assert_eq!(value(&first, "magic_auth_sessions"), 1);
    assert!(value(&first, "magic_auth_wal_size_bytes") > 0);
    for (email, ip) in [("eva@barasek.com", "192.0.2.1"), ("petr@barasek.com", "198.51.100.1")] {
        app.shop().magic_auth(&json!({ "email": email, "customerRealIp": ip })).identity();
    }
    let then = metrics(&app);
    assert_eq!(value(&then, r#"magic_auth_throttle_keys{limit="email"}"#), 3);
    assert_eq!(value(&then, r#"magic_auth_throttle_keys{limit="ip"}"#), 2);
    assert_eq!(value(&then, "magic_auth_sessions"), 1, "counting reads all of them: once a minute");
    app.advance(Duration::from_mins(1));
    assert_eq!(value(&metrics(&app), "magic_auth_sessions"), 3);
}

#[test]
fn who_asks_for_openmetrics_gets_it() {
    let app = spawn_app_with(ADMIN);
    let content_type = |reply: &Reply| reply.headers["content-type"].to_str().unwrap().to_owned();
    let accept = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;q=0.5";
    let open = admin(&app).get_with("/metrics", &[("accept", accept)]);
    assert_eq!(content_type(&open), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(open.text.ends_with("# EOF\n"));
    let plain = admin(&app).get("/metrics");
    assert_eq!(content_type(&plain), "text/plain; version=0.0.4; charset=utf-8");
    assert!(plain.text.contains("# TYPE magic_auth_wal_size_bytes gauge\n"));
}

#[test]
fn metrics_tell_nothing_of_anybody() {
    let app = spawn_app_with(ADMIN);
    let identity = app.shop().identity("jan@barasek.com");
    assert!(app.shop().is_logged_in(&identity));
    let metrics = metrics(&app);
    for secret in [identity.as_str(), "barasek", crate::app::SHOP, &crate::app::SHOP[4..]] {
        assert!(!metrics.contains(secret), "{secret}");
    }
}

/// The names in a text that are those of our metrics.
fn names(text: &str) -> BTreeSet<String> {
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let words = text.split(|character| !is_name(character));
    words.filter(|word| word.starts_with("magic_auth_")).map(str::to_owned).collect()
}

#[test]
fn the_dashboard_asks_for_metrics_that_there_are() {
    let dashboard: Value = serde_json::from_str(include_str!("../../deploy/grafana-dashboard.json")).unwrap();
    let asked_for = names(&dashboard.to_string());
    assert!(asked_for.len() > 8, "{asked_for:?}");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/geoip/country.mmdb");
    let app = spawn_app_with(&format!("{ADMIN}\n[geoip]\ndatabases = [\"{file}\"]"));
    app.shop().identity("jan@barasek.com");
    let there = names(&metrics(&app));
    let missing: Vec<_> = asked_for.difference(&there).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
