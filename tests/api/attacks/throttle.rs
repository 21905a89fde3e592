//! The throttle: nothing that costs nothing buys another attempt.

use std::io::{Read as _, Write as _};

use serde_json::json;

use crate::app::{SHOP, SHOP_DEV, TestApp, spawn_app_with};

const MAGIC_AUTH: &str = "/api/v1/customer/magic-auth";

/// A sign-in of somebody new from an address, as bytes.
fn attempt(number: u32, ip: &str) -> String {
    let body = json!({ "email": format!("c{number}@barasek.com"), "customerRealIp": ip }).to_string();
    let length = body.len();
    format!("POST {MAGIC_AUTH}?apiKey={SHOP} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// Sends the requests one behind the other, and a last one that ends the connection; gives all answers.
fn send_all(app: &TestApp, requests: &str) -> String {
    let last = "GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let mut stream = app.connect();
    let mut sending = stream.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || sending.write_all(format!("{requests}{last}").as_bytes()).unwrap());
        let mut answers = String::new();
        stream.read_to_string(&mut answers).unwrap();
        answers
    })
}

/// CVE-2026-45364 (better-auth): the limiter's key was the text of the address, so that whoever has a network, or
/// spells, had no limit.
#[test]
fn ten_thousand_addresses_of_one_network_in_all_spellings_are_one() {
    let app = spawn_app_with("[throttle]\nip.burst = 5\n[rate_limit]\nprod.requests = 0");
    let address = |number: u32| {
        // All over the network.
        let scattered = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let [a, b, c, d] = [48, 32, 16, 0].map(|bits| scattered >> bits & 0xffff);
        match number % 4 {
            0 => format!("2001:db8::{a:x}:{b:x}:{c:x}:{d:x}"),
            1 => format!("2001:DB8:0:0:{a:X}:{b:X}:{c:X}:{d:X}"),
            2 => format!("2001:0db8:0000:0000:{a:04x}:{b:04x}:{c:04x}:{d:04x}"),
            _ => format!("2001:db8::{a:x}:{b:x}:{}.{}.{}.{}", c >> 8, c & 0xff, d >> 8, d & 0xff),
        }
    };
    let answers = send_all(&app, &(0..10_000).map(|number| attempt(number, &address(number))).collect::<String>());
    let counted = |text: &str| answers.matches(text).count();
    assert_eq!((counted(r#""success":true"#), counted(r#""errorCode":"E006""#)), (5, 9_995));
    let elsewhere = send_all(&app, &attempt(10_000, "2001:db8:0:1::1"));
    assert!(elsewhere.contains(r#""success":true"#), "{elsewhere}");
}

/// Gauzy GHSA-86mw-2crg-vmhc, supabase/auth #2282: the limiter believed a header, or took a list of addresses for one.
#[test]
fn no_header_buys_an_attempt() {
    for trusted in ["", "\"127.0.0.1\""] {
        let app = spawn_app_with("[throttle]\nip.burst = 3");
        app.edit_config("workers = 2", &format!("workers = 2\ntrusted_proxies = [{trusted}]"));
        let app = app.restart();
        let attempt = |number: u32| {
            let (ip, list) = (format!("198.51.100.{number}"), format!("198.51.100.{number}, 203.0.113.{number}"));
            let forwarded = format!("for={ip}");
            let headers = [
                ("content-type", "application/json"),
                ("x-forwarded-for", list.as_str()),
                ("x-real-ip", &ip),
                ("x-client-ip", &ip),
                ("true-client-ip", &ip),
                ("cf-connecting-ip", &ip),
                ("forwarded", &forwarded),
            ];
            let body = json!({ "email": format!("c{number}@barasek.com"), "customerRealIp": "192.0.2.1" });
            app.shop().post_with(MAGIC_AUTH, &headers, body.to_string().as_bytes()).code()
        };
        assert_eq!([1, 2, 3, 4, 5].map(attempt), ["", "", "", "E006", "E006"], "{trusted}");
        assert_eq!(app.count("SELECT count(*) FROM sessions WHERE ip = '192.0.2.1'"), 3);
        assert_eq!(app.count("SELECT count(*) FROM sessions"), 3);
    }
}

/// better-auth #4023 and inbound #158: requests were counted twice, and a quota that was used up was a 401. The quota
/// of each kind of request falls by exactly one, whatever comes of it.
#[test]
fn every_request_costs_exactly_one_whatever_comes_of_it() {
    let app =
        spawn_app_with("[throttle]\nemail.burst = 1\n[rate_limit]\ndev = { requests = 1, per = \"1h\", burst = 12 }");
    let dev = app.client(SHOP_DEV);
    let replies = [
        dev.ping(),
        dev.sign_in("jan@barasek.com"),
        dev.sign_in("jan@barasek.com"),
        dev.sign_in("no address"),
        dev.post(MAGIC_AUTH, "application/json", "{}"),
        dev.post(MAGIC_AUTH, "application/json", &"x".repeat(17 * 1_024)),
        dev.post(MAGIC_AUTH, "application/xml", "<a/>"),
        dev.request("HEAD", "/api/v1/ping"),
        dev.account_info("nobody"),
        dev.logout("nobody"),
        dev.get("/api/v1/ip?ip=nonsense"),
        app.client("").post(MAGIC_AUTH, "application/json", &json!({ "email": "x", "apiKey": SHOP_DEV }).to_string()),
    ];
    let remaining = replies.each_ref().map(|reply| reply.header("x-ratelimit-remaining"));
    assert_eq!(remaining, ["11", "10", "9", "8", "7", "6", "5", "4", "3", "2", "1", "0"]);
    assert_eq!(dev.ping().outcome(), (429, "RATE_LIMIT_EXCEEDED".to_owned()));
    // Neither a wrong method nor a wrong path is a request of the key's.
    for path in ["/nowhere", MAGIC_AUTH] {
        let reply = app.client(SHOP).get(path);
        assert!(!reply.headers.contains_key("x-ratelimit-remaining"), "{reply:?}");
    }
    assert_eq!(app.shop().ping().header("x-ratelimit-remaining"), "999");
}
