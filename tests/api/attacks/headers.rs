//! Headers that say where a request comes from, where it is meant to go, or that it is another one: nothing that
//! callers are told depends on them.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::app::{Reply, SHOP, SHOP_ROOT, TestApp, spawn_app, spawn_app_with};

const EVIL: &str = "evil.example";

/// GHSA-3529-5m8x-rpv3 (Supabase Auth), the Litestar advisory, Gauzy GHSA-4r2r-mv32-3468: each was believed somewhere.
const FORGED: [(&str, &str); 16] = [
    ("forwarded", "for=192.0.2.1;host=evil.example;proto=https"),
    ("x-forwarded-host", EVIL),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-port", "444"),
    ("x-forwarded-prefix", "/evil.example"),
    ("x-forwarded-server", EVIL),
    ("x-forwarded-for", "192.0.2.1"),
    ("x-host", EVIL),
    ("x-original-host", EVIL),
    ("x-original-url", "/evil.example"),
    ("x-rewrite-url", "/evil.example"),
    ("origin", "https://evil.example"),
    ("referer", "https://evil.example/"),
    ("x-http-method-override", "DELETE"),
    ("x-method-override", "POST"),
    ("x-api-key", SHOP),
];

const BODY: &str = r#"{"email":"jan@barasek.com"}"#;

/// What is said in answer to one request of each kind, with the names of the headers.
fn answers(app: &TestApp, headers: &[(&str, &str)]) -> Vec<String> {
    let (shop, nobody) = (app.client(SHOP_ROOT), app.client(""));
    let with_json = [headers, &[("content-type", "application/json")]].concat();
    let post = |path: &str, body: &str| shop.post_with(path, &with_json, body.as_bytes());
    let replies = [
        post("/api/v1/customer/magic-auth", BODY),
        post("/contact/v1/magic-auth", "{}"),
        post("/api/v1/customer/logout", r#"{"identityId":"nobody"}"#),
        shop.get_with("/api/v1/customer/get-account-info?identityId=nobody", headers),
        shop.get_with("/api/v1/customer/magic-auth", headers),
        shop.get_with("/api/v1/ip?ip=1.1.1.1", headers),
        shop.get_with("/api/v1/ping", headers),
        shop.get_with("/nowhere", headers),
        nobody.get_with("/ping/v1", headers),
        nobody.get_with("/openapi.json", headers),
        nobody.get_with("/docs/", headers),
    ];
    replies.iter().map(without_identity).collect()
}

fn without_identity(reply: &Reply) -> String {
    let names: BTreeSet<_> = reply.headers.keys().map(ToString::to_string).collect();
    let json: Value = serde_json::from_str(&reply.text).unwrap_or_default();
    let identity = json["identityId"].as_str().unwrap_or("\0");
    format!("{} {names:?} {}", reply.status, reply.text.replace(identity, "IDENTITY"))
}

#[test]
fn no_header_changes_an_answer() {
    let app = spawn_app_with("[throttle]\nemail.burst = 0");
    let expected = answers(&app, &[]);
    assert!(expected[0].starts_with("200 ") && expected[0].contains("IDENTITY"), "{expected:?}");
    for header in FORGED {
        assert_eq!(answers(&app, &[header]), expected, "{header:?}");
    }
    assert_eq!(answers(&app, &FORGED), expected);
}

/// The same of the host, and of an absolute URI, which names one too.
#[test]
fn no_answer_repeats_the_host() {
    let app = spawn_app();
    for path in ["/api/v1/ping", "/openapi.json", "/docs", "/nowhere", "//evil.example/", "/%2f%2fevil.example"] {
        for target in [path.to_owned(), format!("http://evil.example{path}")] {
            let answer = app.send_raw(&format!(
                "GET {target} HTTP/1.1\r\nHost: {EVIL}\r\nX-Forwarded-Host: {EVIL}\r\nConnection: close\r\n\r\n"
            ));
            assert!(answer.starts_with("HTTP/1.1 ") && !answer.contains(EVIL), "{target}: {answer}");
        }
    }
}

const DEMO: &str = "PRODPGrFxpGEtrOZfuWhnoJohUYBXuOE";

fn spawn_demo() -> TestApp {
    spawn_app_with(&format!("[[organisation]]\nname = \"demo\"\napi_keys = [\"{DEMO}\"]"))
}

/// DNS rebinding: a page that somebody looks at on the machine of a demo has the browser call it by the page's own name.
#[test]
fn a_demo_key_opens_nothing_to_who_calls_this_machine_by_another_name() {
    let app = spawn_demo();
    let status = |key: &str, line: &str| {
        let answer = app.send_raw(&format!("GET /ping/v1?apiKey={key} {line}\r\nConnection: close\r\n\r\n"));
        answer[9..12].parse::<u16>().unwrap()
    };
    assert_eq!(status(DEMO, "HTTP/1.0"), 200);
    for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "127.1.2.3", "[::1]", "[::1]:8080"] {
        assert_eq!(status(DEMO, &format!("HTTP/1.1\r\nHost: {host}")), 200, "{host}");
    }
    for host in [EVIL, "localhost.evil.example", "127.0.0.1.evil.example:8080", "192.0.2.1", "[2001:db8::1]"] {
        assert_eq!(status(DEMO, &format!("HTTP/1.1\r\nHost: {host}")), 401, "{host}");
        assert_eq!(status(SHOP, &format!("HTTP/1.1\r\nHost: {host}")), 200, "{host}");
    }
}

/// Such a page can also send what needs no leave (`mode: "no-cors"`), and not see the answer.
#[test]
fn a_demo_key_opens_nothing_to_a_page_of_another_site() {
    let app = spawn_demo();
    let status = |key: &str, origin: &str| {
        let headers = [("origin", origin), ("content-type", "text/plain")];
        app.client(key).post_with("/api/v1/customer/magic-auth", &headers, BODY.as_bytes()).status
    };
    for origin in ["http://localhost:3000", "http://127.0.0.1:8080", "https://[::1]"] {
        assert_eq!(status(DEMO, origin), 200, "{origin}");
    }
    for origin in ["https://evil.example", "https://localhost.evil.example", "null"] {
        assert_eq!((status(DEMO, origin), status(SHOP, origin)), (401, 200), "{origin}");
    }
}

/// RUSTSEC-2026-0258 (h2): there is no HTTP/2 whose empty frames could keep the server busy.
#[test]
fn http_2_is_not_spoken() {
    let app = spawn_app();
    let empty_settings = "\0\0\0\u{4}\0\0\0\0\0";
    let preface = app.send_raw(&format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{empty_settings}"));
    assert!(preface.starts_with("HTTP/1.1 400 "), "{preface:?}");
    for connection in ["Upgrade, HTTP2-Settings", "close, Upgrade, HTTP2-Settings"] {
        let upgrade = "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA";
        let request =
            format!("GET /ping/v1?apiKey={SHOP} HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\n{upgrade}\r\n\r\n");
        // The JDK's client asks so by default, and sends its next request into a connection that is not said to be closed.
        let answer = app.send_raw(&request);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\r\nconnection: close\r\n"), "{answer}");
    }
}
