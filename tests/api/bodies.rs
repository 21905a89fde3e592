//! The forms of a request body, and what is wrong with the others.

use serde_json::json;

use crate::app::{Reply, SHOP, TestApp, spawn_app};

const MAGIC_AUTH: &str = "/api/v1/customer/magic-auth";
const FORM: &str = "application/x-www-form-urlencoded";

/// The content type of what [`multipart`] makes.
pub const MULTIPART: &str = "multipart/form-data; boundary=XXX";

/// A multipart body with these fields.
pub fn multipart(fields: &[(&str, &str)]) -> String {
    fields.iter().map(|(name, value)| part(name, value)).collect::<String>() + "--XXX--\r\n"
}

fn part(name: &str, value: &str) -> String {
    format!("--XXX\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

fn post(app: &TestApp, content_type: &str, body: impl AsRef<[u8]>) -> Reply {
    app.shop().post_with(MAGIC_AUTH, &[("content-type", content_type)], body.as_ref())
}

/// A 422 with exactly these problems, in this order.
#[track_caller]
fn assert_invalid(reply: &Reply, problems: &[(&str, &str)]) {
    let details: Vec<_> =
        problems.iter().map(|(field, problem)| format!(r#"{{"field":"{field}","problem":"{problem}"}}"#)).collect();
    let expected = format!(
        r#"{{"success":false,"errorCode":"VALIDATION_FAILED","message":"The request is not valid. See details.","details":[{}]}}"#,
        details.join(",")
    );
    assert_eq!((reply.status, reply.text.as_str()), (422, expected.as_str()));
}

// The forms.

#[test]
fn a_body_may_have_any_of_the_documented_forms() {
    let app = spawn_app();
    let json = r#"{"email":"jan@barasek.com","firstName":"Jan"}"#;
    let form = "email=jan%40barasek.com&firstName=Jan";
    let parts = multipart(&[("email", "jan@barasek.com"), ("firstName", "Jan")]);
    for (content_type, body) in [
        ("application/json", json),
        ("application/json; charset=utf-8", json),
        ("application/json;charset=\"UTF-8\"", json),
        ("Application/JSON", json),
        ("application/json", " \r\n\t{ \"email\" : \"jan@barasek.com\", \"firstName\":\"Jan\" } \n"),
        ("text/plain", json),
        ("text/plain; charset=utf-8", json),
        ("application/json ; charset=utf-8", json),
        ("application/json;\tcharset=utf-8 ; ;x=y;", json),
        ("", json),
        (FORM, json),
        (FORM, form),
        ("application/x-www-form-urlencoded ; charset=utf-8", form),
        ("application/x-www-form-urlencoded; charset=UTF-8", form),
        (MULTIPART, &parts),
        ("multipart/form-data; boundary=\"XXX\"", &parts),
        ("multipart/form-data ; boundary=XXX", &parts),
    ] {
        let account = app.shop().account_info(&post(&app, content_type, body).identity()).json();
        assert_eq!(account["firstName"], "Jan", "{content_type}: {body}");
        app.database().execute("UPDATE customers SET first_name = NULL", []).unwrap();
        app.advance(std::time::Duration::from_mins(1));
    }
}

#[test]
fn json_needs_no_content_type() {
    let app = spawn_app();
    app.shop().post_with(MAGIC_AUTH, &[], br#"{"email":"jan@barasek.com"}"#).identity();
}

#[test]
fn other_forms_are_415() {
    let app = spawn_app();
    let json = r#"{"email":"jan@barasek.com"}"#;
    for content_type in [
        "application/xml",
        "application/octet-stream",
        "application/json-patch+json",
        "application/json; charset=iso-8859-1",
        "application/json; charset=utf-16",
        "text/html",
        "text/plain; charset=windows-1250",
        "multipart/mixed; boundary=XXX",
        "application/x-www-form-urlencoded; charset=iso-8859-2",
        "json",
        ";charset=utf-8",
        "*/*",
    ] {
        let reply = post(&app, content_type, json);
        assert_eq!(reply.outcome(), (415, "UNSUPPORTED_MEDIA_TYPE".to_owned()), "{content_type}");
    }
    let unnamed = app.shop().post_with(MAGIC_AUTH, &[], b"email=jan%40barasek.com");
    assert_eq!(unnamed.status, 415);
}

#[test]
fn a_content_encoding_is_415() {
    let app = spawn_app();
    for encoding in ["gzip", "br", "deflate", "zstd", "gzip, identity"] {
        let headers = [("content-type", "application/json"), ("content-encoding", encoding)];
        let reply = app.shop().post_with(MAGIC_AUTH, &headers, br#"{"email":"jan@barasek.com"}"#);
        assert_eq!(reply.outcome(), (415, "UNSUPPORTED_MEDIA_TYPE".to_owned()), "{encoding}");
    }
}

// The length.

#[test]
fn a_body_of_16_kib_is_accepted_and_one_byte_more_is_413() {
    let app = spawn_app();
    let json = |length: usize| {
        let body = |padding: usize| json!({"email": "jan@barasek.com", "x": "x".repeat(padding)}).to_string();
        body(length - body(0).len())
    };
    let form = |length: usize| format!("{:x<length$}", "email=jan%40barasek.com&x=");
    let parts = |length: usize| {
        let body = |padding: usize| multipart(&[("email", "jan@barasek.com"), ("x", &"x".repeat(padding))]);
        body(length - body(0).len())
    };
    let bodies: [(&str, &dyn Fn(usize) -> String); 3] =
        [("application/json", &json), (FORM, &form), (MULTIPART, &parts)];
    for (content_type, body) in bodies {
        let longest = post(&app, content_type, body(16 * 1_024));
        assert_eq!(longest.outcome(), (200, String::new()), "{content_type}");
        let too_long = post(&app, content_type, body(16 * 1_024 + 1));
        assert_eq!(too_long.outcome(), (413, "BODY_TOO_LARGE".to_owned()), "{content_type}");
    }
}

// What is wrong with fields.

#[test]
fn a_missing_email_is_invalid_in_every_form() {
    let app = spawn_app();
    for (content_type, body) in [
        ("application/json", "{}"),
        ("application/json", ""),
        ("application/json", r#"{"Email":"jan@barasek.com","e-mail":"jan@barasek.com"}"#),
        (FORM, ""),
        (FORM, "mail=jan%40barasek.com"),
        (MULTIPART, &multipart(&[("mail", "jan@barasek.com")])),
    ] {
        assert_invalid(&post(&app, content_type, body), &[("email", "is required")]);
    }
}

#[test]
fn a_field_of_the_wrong_type_is_invalid() {
    let app = spawn_app();
    for value in [json!(1), json!(1.5), json!(true), json!([]), json!(["jan@barasek.com"]), json!({"a": 1})] {
        let reply = app.shop().magic_auth(&json!({ "email": value }));
        assert_invalid(&reply, &[("email", "must be a string")]);
        for field in ["firstName", "lastName", "customerRealIp", "referralId", "apiKey"] {
            let reply = app.shop().magic_auth(&json!({"email": "jan@barasek.com", field: value}));
            assert_invalid(&reply, &[(field, "must be a string or null")]);
        }
    }
    assert_invalid(&app.shop().magic_auth(&json!({"email": null})), &[("email", "must be a string")]);
    assert_eq!(app.count("SELECT count(*) FROM login_attempts"), 0);
}

#[test]
fn null_counts_as_absent_for_every_optional_field() {
    let app = spawn_app();
    let body = json!({
        "email": "jan@barasek.com",
        "firstName": null,
        "lastName": null,
        "customerRealIp": null,
        "referralId": null,
        "apiKey": null,
    });
    app.shop().magic_auth(&body).identity();
    let unset = "first_name IS NULL AND last_name IS NULL AND referred_by IS NULL";
    assert_eq!(app.count(&format!("SELECT count(*) FROM customers WHERE {unset}")), 1);
    assert_eq!(app.count("SELECT count(*) FROM login_attempts WHERE ip IS NULL"), 1);
}

#[test]
fn unknown_fields_are_ignored() {
    let app = spawn_app();
    let unknown = json!({"email": "jan@barasek.com", "x": 1, "y": {"email": ["a", {"b": null}]}, "": "", "é": false});
    app.shop().magic_auth(&unknown).identity();
    // Half of a character, and a number beyond all bounds.
    for value in [r#""\ud83d""#, r#"["\ud83d"]"#, r#"{"\ud83d":0}"#, "1e999", "[1e999]"] {
        let body = format!(r#"{{"email":"jan@barasek.com","x":{value}}}"#);
        post(&app, "application/json", &body).identity();
    }
    post(&app, FORM, "email=jan%40barasek.com&x=1&y").identity();
    post(&app, MULTIPART, multipart(&[("email", "jan@barasek.com"), ("x", "1")])).identity();
}

#[test]
fn a_repeated_field_is_invalid_in_every_form() {
    let app = spawn_app();
    for (content_type, body, field) in [
        ("application/json", r#"{"email":"jan@barasek.com","email":"petr@barasek.com"}"#, "email"),
        ("application/json", r#"{"email":"jan@barasek.com","\u0065mail":"petr@barasek.com"}"#, "email"),
        ("application/json", r#"{"email":"jan@barasek.com","email":null}"#, "email"),
        ("application/json", r#"{"email":"jan@barasek.com","firstName":null,"firstName":null}"#, "firstName"),
        ("application/json", r#"{"email":"jan@barasek.com","x":1,"x":1}"#, "x"),
        (FORM, "email=jan%40barasek.com&email=jan%40barasek.com", "email"),
        (FORM, "email=jan%40barasek.com&%65mail=jan%40barasek.com", "email"),
        (FORM, "email=jan%40barasek.com&x=1&x=2", "x"),
        (MULTIPART, &multipart(&[("email", "jan@barasek.com"), ("email", "jan@barasek.com")]), "email"),
        (MULTIPART, &multipart(&[("email", "jan@barasek.com"), ("x", "1"), ("x", "1")]), "x"),
    ] {
        assert_invalid(&post(&app, content_type, body), &[(field, "appears more than once")]);
    }
    assert_eq!(app.count("SELECT count(*) FROM customers"), 0);
}

#[test]
fn a_key_that_is_repeated_in_the_body_is_invalid() {
    let app = spawn_app();
    let body = r#"{"email":"jan@barasek.com","apiKey":"YOUR_API_KEY","apiKey":"YOUR_API_KEY"}"#;
    assert_invalid(&post(&app, "application/json", body), &[("apiKey", "appears more than once")]);
}

#[test]
fn every_problem_is_reported() {
    let app = spawn_app();
    let body = format!(
        r#"{{"x":1,"x":2,"firstName":"{0}","lastName":"{0}","customerRealIp":"no ip","referralId":1,"apiKey":[]}}"#,
        "x".repeat(101)
    );
    let not_an_ip = "not an IPv4 or IPv6 address (such as 1.1.1.1 or 2001:4860:4860::8888, without port, zone or prefix \
        length)";
    assert_invalid(
        &post(&app, "application/json", body),
        &[
            ("x", "appears more than once"),
            ("email", "is required"),
            ("firstName", "longer than 100 characters"),
            ("lastName", "longer than 100 characters"),
            ("customerRealIp", not_an_ip),
            ("referralId", "must be a string or null"),
            ("apiKey", "must be a string or null"),
        ],
    );
}

#[test]
fn a_name_of_more_than_100_characters_is_invalid() {
    let app = spawn_app();
    for name in ["x".repeat(101), "é".repeat(101), format!("{}ß", "ß".repeat(99))] {
        let reply = app.shop().magic_auth(&json!({"email": "jan@barasek.com", "lastName": name}));
        assert_invalid(&reply, &[("lastName", "longer than 100 characters")]);
    }
}

#[test]
fn an_answer_does_not_repeat_what_was_sent() {
    let app = spawn_app();
    for body in [
        r#"{"email":"secret@barasek.com","customerRealIp":"secret"}"#,
        r#"{"email":"secret"#,
        r#"{"email":secret}"#,
        r#""secret""#,
    ] {
        let reply = post(&app, "application/json", body);
        assert_eq!(reply.status, 422);
        assert!(!reply.text.contains("secret"), "{}", reply.text);
    }
}

// What is no JSON object.

#[test]
fn what_is_no_json_object_is_invalid() {
    let app = spawn_app();
    let deep_array = format!(r#"{{"email":{}"jan@barasek.com"{}}}"#, "[".repeat(4_000), "]".repeat(4_000));
    let deep_object = format!(r#"{{"email":{}1{}}}"#, r#"{"a":"#.repeat(2_000), "}".repeat(2_000));
    let unclosed = format!(r#"{{"email":"jan@barasek.com","x":{}"#, "[".repeat(8_000));
    for body in [
        "null",
        "1",
        "true",
        r#""jan@barasek.com""#,
        r#"["jan@barasek.com"]"#,
        r#"[{"email":"jan@barasek.com"}]"#,
        "{",
        r#"{"email":"jan@barasek.com""#,
        r#"{"email":"jan@barasek.com",}"#,
        r#"{"email":"jan@barasek.com"}}"#,
        r#"{"email":"jan@barasek.com"}{"email":"petr@barasek.com"}"#,
        r#"{"email":"jan@barasek.com"} x"#,
        "{\"email\":\"jan@barasek.com\"}\0",
        "{'email':'jan@barasek.com'}",
        "{email:\"jan@barasek.com\"}",
        "{\"email\":\"jan@barasek.com\n\"}",
        "{\"email\":\"jan@barasek.com\",/* */\"x\":1}",
        r#"{"email":"jan@barasek.com","x":NaN}"#,
        r#"{"email":"jan@barasek.com","x":01}"#,
        r#"{"email":"\ud800@barasek.com"}"#,
        r#"{"email":"jan@barasek.com","firstName":"\udc00\ud800"}"#,
        "\u{feff}{\"email\":\"jan@barasek.com\"}",
        &deep_array,
        &deep_object,
        &unclosed,
    ] {
        let reply = post(&app, "application/json", body);
        let start: String = body.chars().take(80).collect();
        assert_eq!(reply.outcome(), (422, "VALIDATION_FAILED".to_owned()), "{start}");
    }
    assert_eq!(app.count("SELECT count(*) FROM login_attempts"), 0);
}

#[test]
fn json_that_is_not_utf_8_is_invalid() {
    let app = spawn_app();
    for body in [b"{\"email\":\"jan\xff@barasek.com\"}".as_slice(), b"{\"email\":\"\xed\xa0\x80@barasek.com\"}"] {
        assert_eq!(post(&app, "application/json", body).outcome(), (422, "VALIDATION_FAILED".to_owned()));
    }
}

#[test]
fn a_field_of_a_form_that_is_not_utf_8_is_invalid() {
    let app = spawn_app();
    let reply = post(&app, FORM, "email=jan%40barasek.com&firstName=%ff");
    assert_invalid(&reply, &[("firstName", "must be valid Unicode text")]);
    assert_invalid(&post(&app, FORM, "email=%ed%a0%80"), &[("email", "must be valid Unicode text")]);
    post(&app, FORM, "email=jan%40barasek.com&x=%ff").identity();
    // This is: whoever wrote it could not read it, which is another matter.
    post(&app, FORM, "email=jan%40barasek.com&firstName=Jan%ef%bf%bd").identity();
}

// Multipart.

#[test]
fn what_a_part_says_of_its_own_length_is_ignored() {
    let app = spawn_app();
    for (minute, length) in ["0", "14", "16", "9999", "many"].into_iter().enumerate() {
        let email = format!("jan{minute}@barasek.com");
        let body = format!(
            "--XXX\r\nContent-Disposition: form-data; name=\"email\"\r\nContent-Length: {length}\r\n\r\n{email}\r\n--XXX--\r\n"
        );
        let identity = post(&app, MULTIPART, body).identity();
        assert_eq!(app.shop().account_info(&identity).json()["email"], email.as_str(), "{length}");
    }
}

#[test]
fn a_file_is_no_field() {
    let app = spawn_app();
    let part = |disposition: &str| {
        format!("--XXX\r\nContent-Disposition: {disposition}\r\n\r\njan@barasek.com\r\n--XXX--\r\n")
    };
    for file in ["filename=\"email.txt\"", "Filename=\"\"", "filename*=UTF-8''email.txt"] {
        let reply = post(&app, MULTIPART, part(&format!("form-data; name=\"email\"; {file}")));
        assert_invalid(&reply, &[("email", "must be a string")]);
    }
    // Nor is what stands in its name.
    let reply = post(&app, MULTIPART, part("form-data; filename=\"a name=email x\"; name=\"avatar\""));
    assert_invalid(&reply, &[("email", "is required")]);
    post(&app, MULTIPART, part("Form-Data; Name=email")).identity();
}

#[test]
fn a_form_has_no_control_characters_and_backslashes_in_its_names() {
    let app = spawn_app();
    for (content_type, body) in [
        ("application/x-www-form-urlencoded", "email=jan%40barasek.com&a%09b=1".to_owned()),
        ("application/x-www-form-urlencoded", "email=jan%40barasek.com&a%5cb=1".to_owned()),
        (MULTIPART, multipart(&[("email", "jan@barasek.com"), ("a\tb", "1")])),
    ] {
        assert_invalid(
            &post(&app, content_type, body),
            &[("body", "must have field names without control characters and backslashes")],
        );
    }
    // It is said beside all else, and hides no key.
    let body = format!("apiKey={SHOP}&a%5cb=1&a%5cc=1");
    let problems =
        [("body", "must have field names without control characters and backslashes"), ("email", "is required")];
    assert_invalid(&app.client("").post(MAGIC_AUTH, FORM, &body), &problems);
}

#[test]
fn a_secret_that_stands_where_a_name_should_is_not_repeated() {
    let app = spawn_app();
    let body = format!(r#"{{"email":"jan@barasek.com","{SHOP}":1,"{SHOP}":2}}"#);
    assert_invalid(&post(&app, "application/json", body), &[("…", "appears more than once")]);
}

#[test]
fn a_multipart_body_that_is_broken_is_invalid() {
    let app = spawn_app();
    let whole = multipart(&[("email", "jan@barasek.com"), ("firstName", "Jan")]);
    for (content_type, body) in [
        (MULTIPART, ""),
        (MULTIPART, "email=jan@barasek.com"),
        (MULTIPART, whole.trim_end_matches("--XXX--\r\n")),
        (MULTIPART, &whole[..whole.len() - 20]),
        (MULTIPART, &whole[..40]),
        (MULTIPART, "--XXX\r\n\r\njan@barasek.com\r\n--XXX--\r\n"),
        (MULTIPART, "--XXX\r\nContent-Disposition: form-data\r\n\r\njan@barasek.com\r\n--XXX--\r\n"),
        ("multipart/form-data; boundary=YYY", &whole),
        ("multipart/form-data", &whole),
        ("multipart/form-data; boundary=", &whole.replace("XXX", "")),
    ] {
        let reply = post(&app, content_type, body);
        assert_eq!(reply.outcome(), (422, "VALIDATION_FAILED".to_owned()), "{content_type} {body:?}");
    }
    assert_eq!(app.count("SELECT count(*) FROM customers"), 0);
}

// customerRealIp.

/// The IP of the attempt and of the session, after a sign-in with this `customerRealIp`.
fn stored_ips(app: &TestApp, number: usize, ip: &str) -> [Option<String>; 2] {
    let email = format!("{number}@barasek.com");
    app.shop().magic_auth(&json!({"email": email, "customerRealIp": ip})).identity();
    ["login_attempts", "sessions"].map(|table| {
        let sql =
            format!("SELECT t.ip FROM {table} AS t JOIN customers AS c ON c.id = t.customer_id WHERE c.email = ?1");
        app.database().query_row(&sql, [&email], |row| row.get(0)).unwrap()
    })
}

#[test]
fn an_ip_is_stored_in_its_canonical_form() {
    let app = spawn_app();
    for (number, (sent, stored)) in [
        ("", "127.0.0.1"),
        ("::1", "127.0.0.1"),
        ("0:0:0:0:0:0:0:1", "127.0.0.1"),
        ("::", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("localhost", "127.0.0.1"),
        ("LocalHost", "127.0.0.1"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("1.1.1.1", "1.1.1.1"),
        ("255.255.255.255", "255.255.255.255"),
        ("::ffff:1.1.1.1", "1.1.1.1"),
        ("::FFFF:0101:0101", "1.1.1.1"),
        ("2001:4860:4860::8888", "2001:4860:4860::8888"),
        ("2001:4860:4860:0:0:0:0:8888", "2001:4860:4860::8888"),
        ("2001:0DB8:0000:0000:0001:0000:0000:0001", "2001:db8::1:0:0:1"),
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(stored_ips(&app, number, sent), [(); 2].map(|()| Some(stored.to_owned())), "{sent:?}");
    }
}

#[test]
fn without_an_ip_none_is_stored() {
    let app = spawn_app();
    app.shop().post_with(
        MAGIC_AUTH,
        &[("content-type", "application/json"), ("x-forwarded-for", "192.0.2.1")],
        br#"{"email":"jan@barasek.com"}"#,
    );
    assert_eq!(app.count("SELECT count(*) FROM sessions WHERE ip IS NULL"), 1);
    assert_eq!(app.count("SELECT count(*) FROM login_attempts WHERE ip IS NULL"), 1);
}

#[test]
fn what_is_no_plain_ip_is_invalid() {
    let app = spawn_app();
    for ip in [
        " ",
        " 1.1.1.1",
        "1.1.1.1 ",
        "1.1.1",
        "1.1.1.1.1",
        "1.1.1.256",
        "01.1.1.1",
        "1.1.1.01",
        "0x1.1.1.1",
        "16843009",
        "1.1.1.1:80",
        "1.1.1.1/24",
        "1.1.1.1, 2.2.2.2",
        "[2001:db8::1]",
        "[2001:db8::1]:80",
        "2001:db8::1/64",
        "fe80::1%eth0",
        "2001:db8::1::1",
        "2001:db8:0:0:0:0:0:0:1",
        "2001:db8::00001",
        "::ffff:01.1.1.1",
        "localhost.",
        "localhost:80",
        "barasek.com",
        "1.1.1.1\0",
        "１.1.1.1",
    ] {
        let reply = app.shop().magic_auth(&json!({"email": "jan@barasek.com", "customerRealIp": ip}));
        assert_eq!(reply.outcome(), (422, "VALIDATION_FAILED".to_owned()), "{ip:?}");
        assert_eq!(reply.json()["details"][0]["field"], "customerRealIp", "{ip:?}");
    }
}
