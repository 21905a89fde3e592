//! What holds for all routes: methods, the one envelope of errors, request ids, and HTTP itself.

use std::io::{ErrorKind, Read as _, Write as _};
use std::time::Duration;

use crate::app::{Reply, SHOP, TestApp, spawn_app, spawn_app_with};

const MAGIC_AUTH: &str = "/api/v1/customer/magic-auth";
const POST_ROUTES: [&str; 3] = [MAGIC_AUTH, "/contact/v1/magic-auth", "/api/v1/customer/logout"];
const GET_ROUTES: [&str; 4] =
    ["/api/v1/customer/get-account-info", "/contact/v1/get-account-info", "/api/v1/ping", "/ping/v1"];

/// An error with the one envelope: exactly these keys and, with some codes, more after them.
#[track_caller]
fn assert_envelope(reply: &Reply, status: u16, code: &str) {
    assert_eq!(reply.status, status, "{reply:?}");
    assert_eq!(reply.header("content-type"), "application/json", "{reply:?}");
    assert!(reply.text.starts_with(&format!(r#"{{"success":false,"errorCode":"{code}","message":""#)), "{reply:?}");
    let json = reply.json();
    let expected: &[&str] = match code {
        "VALIDATION_FAILED" => &["details", "errorCode", "message", "success"],
        "RATE_LIMIT_EXCEEDED" => &["error", "errorCode", "message", "success"],
        _ => &["errorCode", "message", "success"],
    };
    let mut keys: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, expected, "{reply:?}");
}

#[test]
fn both_pings_answer() {
    let app = spawn_app();
    for path in ["/api/v1/ping", "/ping/v1"] {
        let reply = app.shop().get(path);
        assert_eq!((reply.status, reply.text.as_str()), (200, r#"{"success":true}"#), "{path}");
        assert_eq!(reply.header("content-type"), "application/json");
        assert_eq!(app.shop().request("HEAD", path).status, 200, "{path}");
    }
}

#[test]
fn a_path_that_is_not_there_is_404_with_any_method() {
    let app = spawn_app();
    for path in ["/", "/api", "/api/v1", "/api/v1/customer/magic-auth/", "/API/v1/ping", "/api/v1/ping/x", "//ping/v1"]
    {
        for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"] {
            assert_envelope(&app.shop().request(method, path), 404, "ROUTE_DOES_NOT_EXIST");
        }
    }
}

#[test]
fn a_method_that_a_route_does_not_have_is_405_with_those_it_has() {
    let app = spawn_app();
    let wrong = ["PUT", "DELETE", "TRACE", "PATCH"];
    for (routes, allow, also_wrong) in
        [(POST_ROUTES.as_slice(), "POST, OPTIONS", "GET"), (GET_ROUTES.as_slice(), "GET, HEAD, OPTIONS", "POST")]
    {
        for path in routes {
            for method in wrong.into_iter().chain([also_wrong]) {
                let reply = app.shop().request(method, path);
                assert_envelope(&reply, 405, "METHOD_NOT_ALLOWED");
                assert_eq!(reply.header("allow"), allow, "{method} {path}");
            }
        }
    }
    for path in POST_ROUTES {
        let head = app.shop().request("HEAD", path);
        assert_eq!((head.status, head.header("allow"), head.text.as_str()), (405, "POST, OPTIONS", ""), "{path}");
    }
}

#[test]
fn options_says_which_methods_a_route_has() {
    let app = spawn_app();
    for (routes, allow) in [(POST_ROUTES.as_slice(), "POST, OPTIONS"), (GET_ROUTES.as_slice(), "GET, HEAD, OPTIONS")] {
        for path in routes {
            let reply = app.client("").request("OPTIONS", path);
            assert_eq!((reply.status, reply.header("allow"), reply.text.as_str()), (204, allow, ""), "{path}");
        }
    }
}

#[test]
fn a_near_miss_names_the_route_that_may_be_meant() {
    let app = spawn_app();
    for (missed, meant) in [
        ("/api/v1/customer/magic-auth/", "/api/v1/customer/magic-auth"),
        ("/api/v1/customer/magicauth", "/api/v1/customer/magic-auth"),
        ("/API/V1/PING", "/api/v1/ping"),
        ("/contact/v1/account-info", "/contact/v1/get-account-info"),
    ] {
        let message = app.shop().get(missed).json()["message"].as_str().unwrap().to_owned();
        assert_eq!(message, format!("There is no such route. Did you mean {meant}?"));
    }
    assert_eq!(app.shop().get("/nowhere").json()["message"], "There is no such route.");
}

#[test]
fn paths_and_methods_need_no_key() {
    let app = spawn_app();
    assert_envelope(&app.client("").get("/nowhere"), 404, "ROUTE_DOES_NOT_EXIST");
    assert_envelope(&app.client("").get(MAGIC_AUTH), 405, "METHOD_NOT_ALLOWED");
}

/// One answer of each kind that is known before sign-in.
fn errors(app: &TestApp) -> Vec<(u16, &'static str, Reply)> {
    let shop = app.shop();
    let long = "x".repeat(16 * 1_024 + 1);
    let mut errors = vec![
        (401, "PUBLIC_API_KEY_DOES_NOT_EXIST", app.client("").ping()),
        (404, "ROUTE_DOES_NOT_EXIST", shop.get("/nowhere")),
        (405, "METHOD_NOT_ALLOWED", shop.get(MAGIC_AUTH)),
        (413, "BODY_TOO_LARGE", shop.post(MAGIC_AUTH, "application/json", &long)),
        (415, "UNSUPPORTED_MEDIA_TYPE", shop.post(MAGIC_AUTH, "application/xml", "<a/>")),
        (422, "VALIDATION_FAILED", shop.post(MAGIC_AUTH, "application/json", "{}")),
    ];
    while shop.ping().status == 200 {}
    errors.push((429, "RATE_LIMIT_EXCEEDED", shop.ping()));
    errors
}

const FEW_REQUESTS: &str = "[rate_limit]\nprod = { requests = 1, per = \"1h\", burst = 5 }";

#[test]
fn every_error_has_the_one_envelope() {
    let app = spawn_app_with(FEW_REQUESTS);
    for (status, code, reply) in errors(&app) {
        assert_envelope(&reply, status, code);
    }
}

#[test]
fn no_error_tells_of_what_is_inside() {
    let app = spawn_app_with(FEW_REQUESTS);
    for (.., reply) in errors(&app) {
        let told = format!("{:?} {}", reply.headers, reply.text).to_lowercase();
        for secret in ["sqlite", "select ", "panicked", "src/", "actix", "/tmp", &SHOP[4..].to_lowercase()] {
            assert!(!told.contains(secret), "{secret}: {told}");
        }
    }
}

// The request id.

#[test]
fn every_answer_has_a_request_id_of_its_own() {
    let app = spawn_app_with(FEW_REQUESTS);
    let mut replies = vec![app.shop().ping(), app.shop().sign_in("jan@barasek.com")];
    replies.extend(errors(&app).into_iter().map(|(.., reply)| reply));
    let count = replies.len();
    let mut ids: Vec<_> = replies.iter().map(|reply| reply.header("x-request-id").to_owned()).collect();
    assert!(ids.iter().all(|id| id.len() >= 16), "{ids:?}");
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[test]
fn a_well_formed_request_id_is_given_back() {
    let app = spawn_app();
    for id in ["x", "0189f7ea-ae2c-7809-8aeb-b819cf5e9e7f", "A.b_c-9", &"x".repeat(64)] {
        for path in ["/api/v1/ping", "/nowhere", MAGIC_AUTH] {
            assert_eq!(app.shop().get_with(path, &[("x-request-id", id)]).header("x-request-id"), id, "{path}");
        }
    }
}

#[test]
fn another_request_id_is_replaced() {
    let app = spawn_app();
    for id in ["", "a b", "a/b", "a\"b", "<script>", "id;x=1", "a,b", &"x".repeat(65)] {
        let reply = app.shop().get_with("/api/v1/ping", &[("x-request-id", id)]);
        assert_ne!(reply.header("x-request-id"), id);
        assert!(reply.header("x-request-id").len() >= 16, "{id:?}");
    }
}

// Bodies that do not come.

#[test]
fn a_body_that_trickles_in_is_cut_off() {
    let app = spawn_app();
    let mut stream = app.connect();
    let head = format!("POST {MAGIC_AUTH}?apiKey={SHOP} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{{");
    stream.write_all(head.as_bytes()).unwrap();
    let started = app.clock.steady();
    // A byte each 100 ms.
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 4_096];
    while answer.is_empty() {
        match stream.read(&mut buffer) {
            Ok(length) => answer.extend_from_slice(&buffer[..length]),
            Err(error) => {
                let waited = [ErrorKind::WouldBlock, ErrorKind::TimedOut, ErrorKind::Interrupted];
                assert!(waited.contains(&error.kind()), "{error}");
                stream.write_all(b" ").unwrap();
            }
        }
        assert!(app.clock.steady() < started + Duration::from_secs(15), "no answer");
    }
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("\r\nx-request-id: "), "{answer}");
    assert!(answer.contains(r#"{"success":false,"errorCode":"REQUEST_TIMEOUT","message":""#), "{answer}");
}

#[test]
fn a_body_that_was_not_read_is_never_taken_for_a_request() {
    let app = spawn_app();
    let hidden = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n";
    let padding = "x".repeat(16 * 1_024);
    let ping = format!("GET /api/v1/ping?apiKey={SHOP} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    for (status, path, headers, body) in [
        (415, format!("{MAGIC_AUTH}?apiKey={SHOP}"), "Content-Encoding: gzip\r\n", hidden.to_owned()),
        (415, format!("{MAGIC_AUTH}?apiKey={SHOP}"), "Content-Type: application/xml\r\n", hidden.to_owned()),
        (413, format!("{MAGIC_AUTH}?apiKey={SHOP}"), "", format!("{padding}{hidden}")),
        (401, MAGIC_AUTH.to_owned(), "", hidden.to_owned()),
        (401, MAGIC_AUTH.to_owned(), "", format!("{padding}{hidden}")),
        (405, format!("/ping/v1?apiKey={SHOP}"), "", hidden.to_owned()),
        (404, "/nowhere".to_owned(), "", hidden.to_owned()),
    ] {
        let length = body.len();
        let request =
            format!("POST {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {length}\r\n\r\n{body}{ping}");
        let mut stream = app.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answers = Vec::new();
        // A connection that is closed on unread bytes may end with a reset.
        let _ = stream.read_to_end(&mut answers);
        let answers = String::from_utf8(answers).unwrap();
        assert!(answers.starts_with(&format!("HTTP/1.1 {status} ")), "{path} {headers}: {answers}");
        let refusals = answers.matches("ROUTE_DOES_NOT_EXIST").count();
        assert_eq!(refusals, usize::from(path == "/nowhere"), "{path} {headers}: {answers}");
        assert!(answers.matches("HTTP/1.1 ").count() <= 2, "{path} {headers}: {answers}");
    }
}

// HTTP itself.

#[test]
fn a_head_that_is_too_large_is_431_and_the_end_of_the_connection() {
    let app = spawn_app();
    let mut stream = app.connect();
    // Refused before it is there as a whole: the rest may find nobody.
    let _ = stream.write_all(format!("GET /ping/v1 HTTP/1.1\r\nHost: x\r\nX: {}", "x".repeat(140_000)).as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.starts_with(b"HTTP/1.1 431 ") && answer.ends_with(b"\r\n\r\n"), "{answer:?}");
    assert_eq!(app.shop().ping().status, 200);
}

#[test]
fn a_body_in_chunks_is_read_as_one() {
    let app = spawn_app();
    let chunks = "d\r\n{\"email\":\"jan\r\nf\r\n@barasek.com\"} \r\n0\r\n\r\n";
    let answer = app.send_raw(&format!(
        "POST {MAGIC_AUTH}?apiKey={SHOP} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n{chunks}"
    ));
    assert!(answer.contains(r#"{"success":true,"identityId":""#), "{answer}");
}

#[test]
fn a_client_that_waits_to_be_told_to_go_on_is_told_so() {
    let app = spawn_app();
    let mut stream = app.connect();
    let head = format!(
        "POST {MAGIC_AUTH}?apiKey={SHOP} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\n\
         Content-Length: 27\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(br#"{"email":"jan@barasek.com"}"#).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(r#"{"success":true,"identityId":""#), "{answer}");
}

#[test]
fn a_body_whose_chunks_are_malformed_is_400_with_the_envelope() {
    let app = spawn_app();
    let head = format!("POST {MAGIC_AUTH}?apiKey={SHOP} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for chunks in ["ZZ\r\n\r\n", "-1\r\n\r\n", "5\r\n{}   XX0\r\n\r\n"] {
        let answer = app.send_raw(&format!("{head}{chunks}"));
        assert!(answer.starts_with("HTTP/1.1 400 "), "{chunks:?}: {answer}");
        assert!(answer.contains(r#"{"success":false,"errorCode":"BAD_REQUEST","message":""#), "{chunks:?}: {answer}");
    }
}

#[test]
fn a_body_far_beyond_the_limit_is_413_at_once() {
    let app = spawn_app();
    let head = format!("POST {MAGIC_AUTH}?apiKey={SHOP} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n");
    let answer = app.send_raw(&format!("{head}{}", "x".repeat(16 * 1_024 + 1)));
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains(r#""errorCode":"BODY_TOO_LARGE""#), "{answer}");
}

/// (Requests whose end is in doubt: `attacks::framing`.)
#[test]
fn malformed_http_is_an_empty_400_and_the_end_of_the_connection() {
    let app = spawn_app();
    for request in [
        "nonsense\r\n\r\n",
        "GET /ping/v1 HTTP/9.9\r\nHost: x\r\n\r\n",
        "GET /ping /v1 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /ping/v1 HTTP/1.1\r\nno header\r\n\r\n",
    ] {
        let answer = app.send_raw(request);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{request:?}: {answer:?}");
        assert!(answer.ends_with("\r\n\r\n"), "{request:?}: {answer:?}");
    }
    assert_eq!(app.shop().ping().status, 200);
}

#[test]
fn a_chunked_body_that_nobody_reads_does_not_hold_its_connection() {
    let app = spawn_app();
    for (request, status) in [
        ("POST /nowhere".to_owned(), 404),
        (format!("PUT {MAGIC_AUTH}"), 405),
        (format!("GET /api/v1/ping?apiKey={SHOP}"), 200),
    ] {
        // The read of `send_raw` ends when the server closes the connection; it never sends the last chunk.
        let answer =
            app.send_raw(&format!("{request} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
    }
}

#[test]
fn a_chunked_body_that_is_read_keeps_the_connection() {
    let app = spawn_app();
    let mut stream = app.connect();
    let request = format!("POST {MAGIC_AUTH}?apiKey={SHOP} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    let request = request + "d\r\n{\"email\":\"a@b\r\n5\r\n.cz\"}\r\n0\r\n\r\n";
    for _ in 0..2 {
        stream.write_all(request.as_bytes()).unwrap();
        let mut buffer = [0; 4_096];
        let length = stream.read(&mut buffer).unwrap();
        let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains(r#""success":true"#), "{answer}");
    }
}

#[test]
fn a_declared_length_that_is_too_large_is_refused_before_it_comes() {
    let app = spawn_app();
    let answer =
        app.send_raw(&format!("POST {MAGIC_AUTH}?apiKey={SHOP} HTTP/1.1\r\nHost: x\r\nContent-Length: 16385\r\n\r\n"));
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[test]
fn a_request_id_that_may_be_a_secret_is_replaced() {
    let app = spawn_app();
    let id_of =
        |sent: &str| app.shop().get_with("/api/v1/ping", &[("x-request-id", sent)]).header("x-request-id").to_owned();
    let identity = app.shop().identity("jan@barasek.com");
    for secret in [SHOP, identity.as_str()] {
        for sent in [secret.to_owned(), format!("sess-{secret}"), format!("x{secret}"), format!("{secret}.7")] {
            assert_ne!(id_of(&sent), sent);
        }
    }
    let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
    assert_eq!(id_of(trace_id), trace_id);
}
