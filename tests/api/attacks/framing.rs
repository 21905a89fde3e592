//! Requests whose end can be seen in two places (actix-http before 3.12.1 read both a length and chunks): a proxy that
//! sees another end than the service does would pass a second request on unseen. What is in doubt is refused, and the
//! connection ends there. The same behind real proxies: `.ci/proxies`.

use std::io::{Read as _, Write as _};

use crate::app::{SHOP_ROOT, TestApp, spawn_app};

const BODY: &str = r#"{"email":"outer@barasek.com"}"#;
const CHUNKS: &str = "1d\r\n{\"email\":\"outer@barasek.com\"}\r\n0\r\n\r\n";

fn line(version: &str) -> String {
    format!("POST /api/v1/customer/magic-auth?apiKey={SHOP_ROOT} {version}\r\n")
}

fn post(headers: &str, body: &str) -> String {
    format!("{}Host: shop\r\n{headers}\r\n\r\n{body}", line("HTTP/1.1"))
}

fn post_chunks(chunks: &str) -> String {
    post("Transfer-Encoding: chunked", chunks)
}

/// Sends the request and, behind it, another sign-in. Gives the status of each answer until the connection is closed.
fn send_with_another_behind(app: &TestApp, request: &str) -> Vec<String> {
    let hidden = r#"{"email":"hidden@barasek.com"}"#;
    let hidden = post(&format!("Connection: close\r\nContent-Length: {}", hidden.len()), hidden);
    let mut stream = app.connect();
    stream.write_all(format!("{request}{hidden}").as_bytes()).unwrap();
    let mut answers = Vec::new();
    stream.read_to_end(&mut answers).unwrap();
    String::from_utf8(answers).unwrap().split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].to_owned()).collect()
}

fn sign_ins(app: &TestApp) -> Vec<String> {
    let database = app.database();
    let mut statement = database
        .prepare("SELECT c.email FROM login_attempts AS a JOIN customers AS c ON c.id = a.customer_id ORDER BY a.id")
        .unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// Each of the requests is refused, and nothing of it or behind it is a sign-in.
fn assert_refused(requests: impl IntoIterator<Item = String>) {
    let app = spawn_app();
    for request in requests {
        assert_eq!(send_with_another_behind(&app, &request), ["400"], "{request:?}");
        assert_eq!(sign_ins(&app), [] as [&str; 0], "{request:?}");
    }
    assert_eq!(app.shop().ping().status, 200);
}

#[test]
fn two_ways_to_find_the_end_are_one_too_many() {
    assert_refused([
        post("Content-Length: 29\r\nTransfer-Encoding: chunked", CHUNKS),
        post("Transfer-Encoding: chunked\r\nContent-Length: 5", "0\r\n\r\n"),
        post("Content-Length: 600\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
        post("Content-Length: 29\r\nTransfer-Encoding: xchunked", BODY),
        post("Content-Length: 29\r\nTransfer-Encoding: \u{b}chunked", BODY),
        post("Content-Length: 29\r\nX: y\nTransfer-Encoding: chunked", BODY),
        post("Content-Length: 29\r\nX: y\rTransfer-Encoding: chunked", BODY),
        post("Content-Length: 29\r\nContent-Length: 600", BODY),
        post("Content-Length: 600\r\nContent-Length: 29", BODY),
        post("Content-Length: 29\r\nContent-Length: 29", BODY),
        post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", CHUNKS),
        post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", CHUNKS),
        format!("{}Host: shop\r\nTransfer-Encoding: chunked\r\n\r\n{CHUNKS}", line("HTTP/1.0")),
        format!("{}Content-Length: 29\r\nTransfer-Encoding: chunked\r\n\r\n{BODY}", line("HTTP/1.0")),
    ]);
}

#[test]
fn a_length_is_a_number_and_nothing_else() {
    let lengths = [
        "+29",
        "-29",
        "0x1d",
        "29,29",
        "29, 29",
        "2 9",
        "29;",
        "29.0",
        "twenty-nine",
        "",
        "29\0",
        "18446744073709551645",
    ];
    assert_refused(lengths.map(|length| post(&format!("Content-Length: {length}"), BODY)));
}

#[test]
fn the_only_encoding_is_chunked() {
    let encodings = [
        "xchunked",
        "identity",
        "gzip",
        "chunked, identity",
        "identity, chunked",
        "gzip, chunked",
        "chunked, chunked",
        "\"chunked\"",
        "chunked;q=1",
        "chun\0ked",
    ];
    assert_refused(encodings.map(|encoding| post(&format!("Transfer-Encoding: {encoding}"), CHUNKS)));
}

#[test]
fn a_header_has_no_space_before_its_colon_and_no_second_line() {
    assert_refused([
        post("Content-Length : 29", BODY),
        post("Content-Length\t: 29", BODY),
        post("Content-Length: 29\r\nTransfer-Encoding : chunked", BODY),
        post("Content-Length:\r\n 29", BODY),
        post("Content-Length: 29\r\nTransfer-Encoding:\r\n chunked", CHUNKS),
        post("X: y\r\n folded: 1\r\nContent-Length: 29", BODY),
        post("X: \0\r\nContent-Length: 29", BODY),
        post("X\0: y\r\nContent-Length: 29", BODY),
        post("\r\nContent-Length: 29", BODY).replacen("\r\n\r\n", "\r\n \r\n", 1),
    ]);
}

#[test]
fn a_size_of_a_chunk_is_a_number_and_a_chunk_is_as_long_as_it_says() {
    let chunk = |size: &str| post_chunks(&format!("{size}\r\n{BODY}\r\n0\r\n\r\n"));
    assert_refused([
        chunk("ZZ"),
        chunk("+1d"),
        chunk("-1d"),
        chunk("0x1d"),
        chunk(" 1d"),
        chunk(""),
        chunk("1000000000000001d"),
        chunk("1d;a\n"),
        chunk("5"),
        post_chunks(&format!("1d\n{BODY}\r\n0\r\n\r\n")),
        post_chunks(&format!("1d\r\n{BODY}\n0\r\n\r\n")),
        post_chunks(&format!("1d\r\n{BODY}0\r\n\r\n")),
        post_chunks(&format!("1d\r\n{BODY}\r\n0\n\n")),
    ]);
}

/// (Litestar took `X-Forwarded-Host` where there was no `Host`.)
#[test]
fn there_is_exactly_one_host() {
    assert_refused([
        format!("{}Content-Length: 29\r\n\r\n{BODY}", line("HTTP/1.1")),
        format!("{}X-Forwarded-Host: shop\r\nContent-Length: 29\r\n\r\n{BODY}", line("HTTP/1.1")),
        post("Host: shop\r\nContent-Length: 29", BODY),
        post("Host: other.example\r\nContent-Length: 29", BODY),
        format!("{}Host: shop\r\nContent-Length: 29\r\n\r\n{BODY}", line("\n HTTP/1.1")),
    ]);
}

/// Without this, all of the above might be refused for another reason.
#[test]
fn what_is_not_in_doubt_is_read_and_so_is_the_next_request() {
    let requests = [
        post("Content-Length: 29", BODY),
        post("content-length:\t29 ", BODY),
        post("Content-Length: 029", BODY),
        post("Content-Length: 29", BODY).replace("\r\n", "\n"),
        post("Content-Length: 29\r\nTransfer_Encoding: chunked", BODY),
        post("Content-Length: 29", BODY).replace("POST /", "POST http://other.example/"),
        post_chunks(CHUNKS),
        post("tRANSFER-eNCODING:cHUNKED", CHUNKS),
        post_chunks(&CHUNKS.replace("1d", "00000000000000001D;extension=1")),
    ];
    let app = spawn_app();
    for request in &requests {
        assert_eq!(send_with_another_behind(&app, request), ["200", "200"], "{request:?}");
    }
    assert_eq!(sign_ins(&app), ["outer@barasek.com", "hidden@barasek.com"].repeat(requests.len()));
}

/// What follows the last chunk is a trailer until an empty line, and never a request.
#[test]
fn a_request_in_the_place_of_a_trailer_is_none() {
    let app = spawn_app();
    let without_end = post_chunks(CHUNKS.strip_suffix("\r\n").unwrap());
    assert_eq!(send_with_another_behind(&app, &without_end), ["200", "400"]);
    assert_eq!(sign_ins(&app), ["outer@barasek.com"]);
}
