//! The description of the API, and the page that shows it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::app::{SHOP_DEV, spawn_app, spawn_app_serving};

fn description() -> Value {
    spawn_app().client("").get("/openapi.json").json()
}

/// Every operation, with its path and method.
fn operations(description: &Value) -> Vec<(String, Value)> {
    let paths = description["paths"].as_object().unwrap();
    let methods = |(path, item): (&String, &Value)| {
        let item = item.as_object().unwrap().clone();
        item.into_iter().map(|(method, operation)| (format!("{method} {path}"), operation)).collect::<Vec<_>>()
    };
    paths.iter().flat_map(methods).collect()
}

#[test]
fn the_description_names_every_route_once() {
    let description = description();
    assert_eq!(description["openapi"], "3.1.0");
    let routes: Vec<String> = operations(&description).into_iter().map(|(route, _)| route).collect();
    assert_eq!(
        routes,
        [
            "get /api/v1/customer/get-account-info",
            "post /api/v1/customer/logout",
            "post /api/v1/customer/magic-auth",
            "get /api/v1/ip",
            "get /api/v1/ping",
            "get /contact/v1/get-account-info",
            "post /contact/v1/magic-auth",
            "get /openapi.json",
            "get /ping/v1",
        ]
    );
}

#[test]
fn every_operation_has_a_name_of_its_own_a_summary_and_its_keys() {
    let description = description();
    let operations = operations(&description);
    let names: BTreeSet<_> =
        operations.iter().map(|(_, operation)| operation["operationId"].as_str().unwrap()).collect();
    assert_eq!(names.len(), operations.len());
    for (route, operation) in &operations {
        assert!(operation["summary"].is_string(), "{route}");
        let keys = if route.ends_with("/openapi.json") { r"[{}]" } else { r#"[{"apiKey":[]},{"bearer":[]}]"# };
        assert_eq!(operation["security"].to_string(), keys, "{route}");
    }
}

#[test]
fn every_status_that_can_happen_is_listed() {
    for (route, operation) in operations(&description()) {
        let statuses: Vec<_> = operation["responses"].as_object().unwrap().keys().map(String::as_str).collect();
        let expected = match route.as_str() {
            "get /openapi.json" => "200",
            route if route.starts_with("post") => "200 400 401 403 408 413 415 422 429 500 503",
            route if route.ends_with("get-account-info") => "200 401 403 429 500",
            "get /api/v1/ip" => "200 401 403 422 429 500",
            _ => "200 401 429 500",
        };
        assert_eq!(statuses.join(" "), expected, "{route}");
    }
}

#[test]
fn the_answers_to_a_sign_in_are_told_apart_by_success() {
    let schemas = description()["components"]["schemas"].clone();
    assert_eq!(schemas["SignedIn"]["properties"]["success"]["enum"].to_string(), "[true]");
    assert_eq!(schemas["Refused"]["properties"]["success"]["enum"].to_string(), "[false]");
    let codes = schemas["Refused"]["properties"]["errorCode"]["enum"].to_string();
    assert_eq!(codes, r#"["E001","E002","E003","E004","E005","E006","E007"]"#);
}

/// An answer has all of its fields always, with `null` for what is not known.
#[test]
fn what_every_answer_about_an_address_has_is_required() {
    let app = spawn_app();
    let names = |object: &Value| object.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let schemas = app.client("").get("/openapi.json").json()["components"]["schemas"].clone();
    let required = |schema: &Value| serde_json::from_value::<BTreeSet<String>>(schema["required"].clone()).unwrap();
    let mut answer = app.shop().get("/api/v1/ip?ip=8.8.8.8").json();
    assert_eq!(names(&answer["flags"]), required(&schemas["Flags"]));
    assert_eq!(answer.as_object_mut().unwrap().remove("success"), Some(Value::Bool(true)));
    assert_eq!(names(&answer), required(&schemas["IpFacts"]));
    assert!(schemas["IpAnswer"].to_string().contains(r#""enum":[true]"#));
    let asn = &schemas["IpFacts"]["properties"]["asn"];
    assert_eq!((asn["maximum"].as_u64(), &asn["format"]), (Some(u32::MAX.into()), &Value::from("int64")));
}

#[test]
fn what_an_empty_address_means_is_said() {
    let description = &description()["components"]["schemas"]["SignInRequest"]["properties"]["customerRealIp"];
    assert!(description["description"].as_str().unwrap().contains("`127.0.0.1`"), "{description}");
}

#[test]
fn every_retry_after_is_a_second_or_more() {
    let mut count = 0;
    for (route, operation) in operations(&description()) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let header = &response["headers"]["Retry-After"];
            if header.is_object() {
                assert_eq!(header["schema"], json!({"type": "integer", "minimum": 1}), "{route} {status}");
                count += 1;
            }
        }
    }
    // Of each operation with a key, 429; of each with a body, 503; of each sign-in, E006.
    assert_eq!(count, 8 + 3 + 2);
}

#[test]
fn the_command_line_prints_what_the_server_serves() {
    let app = spawn_app();
    let printed: Value = serde_json::from_str(&app.cli_ok(&["openapi"])).unwrap();
    assert_eq!(printed, app.client("").get("/openapi.json").json());
}

#[test]
fn the_page_loads_nothing_from_elsewhere() {
    let app = spawn_app();
    let moved = app.client("").request("GET", "/docs");
    assert_eq!(moved.status, 200, "the redirection is followed");
    let policy = moved.header("content-security-policy");
    assert!(policy.contains("default-src 'none'; script-src 'self';"), "{policy}");
    let setup = app.client("").get("/docs/swagger-initializer.js").text;
    assert!(setup.contains("\"/openapi.json\"") && !setup.contains("http"), "{setup}");
}

#[test]
fn an_unknown_accept_still_gets_json() {
    let app = spawn_app();
    let reply = app.client(SHOP_DEV).get_with("/api/v1/ping", &[("accept", "image/png")]);
    assert_eq!((reply.status, reply.header("content-type")), (200, "application/json"));
}

#[test]
fn browsers_of_other_origins_are_let_in_only_when_the_configuration_names_them() {
    let shop = "https://shop.example";
    let closed = spawn_app();
    let reply = closed.shop().get_with("/api/v1/ping", &[("origin", shop)]);
    assert!(!reply.headers.contains_key("access-control-allow-origin"), "{reply:?}");

    let open = spawn_app_serving(&format!("allowed_origins = [\"{shop}\"]"));
    let reply = open.shop().get_with("/api/v1/ping", &[("origin", shop)]);
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (200, shop));
    let exposed = reply.header("access-control-expose-headers").to_lowercase();
    assert!(exposed.contains("retry-after") && exposed.contains("x-ratelimit-remaining"), "{exposed}");

    // Before all but the simplest requests, a browser asks.
    for (path, method) in [("magic-auth", "POST"), ("get-account-info", "GET"), ("get-account-info", "HEAD")] {
        let asked = format!("Origin: {shop}\r\nAccess-Control-Request-Method: {method}\r\n");
        let headers = "Access-Control-Request-Headers: authorization,content-type,x-request-id";
        let answer = open.send_raw(&format!(
            "OPTIONS /api/v1/customer/{path} HTTP/1.1\r\nHost: x\r\n{asked}{headers}\r\nConnection: close\r\n\r\n"
        ));
        let answer = answer.to_lowercase();
        let allowed = |name: &str| answer.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
        assert!(answer.starts_with("http/1.1 200 "), "{answer}");
        assert!(allowed("access-control-allow-methods").contains(&method.to_lowercase()), "{answer}");
        for header in ["authorization", "content-type", "x-request-id"] {
            assert!(allowed("access-control-allow-headers").contains(header), "{answer}");
        }
    }

    let reply = open.shop().get_with("/api/v1/ping", &[("origin", "https://evil.example")]);
    assert!(!reply.headers.contains_key("access-control-allow-origin"), "{reply:?}");
}
