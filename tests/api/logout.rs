//! `POST /api/v1/customer/logout`: the end of a session, asked for as often as one likes.

use serde_json::json;

use crate::app::{Reply, SHOP_DEV, spawn_app};
use crate::bodies::{MULTIPART, multipart};

const PATH: &str = "/api/v1/customer/logout";

#[track_caller]
fn assert_done(reply: &Reply) {
    assert_eq!((reply.status, reply.text.as_str()), (200, r#"{"success":true}"#));
}

#[test]
fn a_logout_ends_the_session_and_may_be_repeated() {
    let app = spawn_app();
    let identity = app.shop().identity("jan@barasek.com");
    for _ in 0..3 {
        assert_done(&app.shop().logout(&identity));
        assert!(!app.shop().is_logged_in(&identity));
    }
}

#[test]
fn a_repeated_logout_does_not_change_when_the_session_ended() {
    let app = spawn_app();
    let identity = app.shop().identity("jan@barasek.com");
    app.shop().logout(&identity);
    let ended_at = app.count("SELECT revoked_at FROM sessions");
    app.advance(std::time::Duration::from_secs(5));
    app.shop().logout(&identity);
    assert_eq!(app.count("SELECT revoked_at FROM sessions"), ended_at);
}

#[test]
fn an_unknown_token_is_logged_out_as_well() {
    let app = spawn_app();
    let identity = app.shop().identity("jan@barasek.com");
    let another = if identity.ends_with('x') { "y" } else { "x" };
    for token in [
        "",
        "x",
        &"x".repeat(32),
        &identity[..31],
        &format!("{}{another}", &identity[..31]),
        "é",
        "\0",
        &"x".repeat(5_000),
    ] {
        assert_done(&app.shop().logout(token));
    }
    assert!(app.shop().is_logged_in(&identity));
}

#[test]
fn every_form_of_body_and_every_key_of_the_organisation_will_do() {
    let app = spawn_app();
    let identity = || app.shop().identity("jan@barasek.com");
    let [json, form, parts, developers] = [(); 4].map(|()| identity());
    assert_done(&app.shop().post(
        PATH,
        "text/plain",
        &json!({"identityId": json, "apiKey": "YOUR_API_KEY"}).to_string(),
    ));
    assert_done(&app.shop().post(PATH, "application/x-www-form-urlencoded", &format!("identityId={form}")));
    assert_done(&app.shop().post(PATH, MULTIPART, &multipart(&[("identityId", &parts)])));
    assert_done(&app.client(SHOP_DEV).logout(&developers));
    for identity in [json, form, parts, developers] {
        assert!(!app.shop().is_logged_in(&identity));
    }
}

#[test]
fn the_key_may_be_in_the_body() {
    let app = spawn_app();
    let identity = app.shop().identity("jan@barasek.com");
    let body = json!({"apiKey": crate::app::SHOP, "identityId": identity}).to_string();
    assert_done(&app.client("").post(PATH, "application/json", &body));
    assert!(!app.shop().is_logged_in(&identity));
}

#[test]
fn a_logout_outlives_a_restart() {
    let app = spawn_app();
    let identity = app.shop().identity("jan@barasek.com");
    app.shop().logout(&identity);
    let app = app.restart();
    assert!(!app.shop().is_logged_in(&identity));
}

#[test]
fn the_token_must_be_there() {
    let app = spawn_app();
    for (body, problem) in [
        (json!({}), "is required"),
        (json!({"identity": "x"}), "is required"),
        (json!({"identityId": null}), "must be a string"),
        (json!({"identityId": 1}), "must be a string"),
        (json!({"identityId": ["x"]}), "must be a string"),
    ] {
        let reply = app.shop().post(PATH, "application/json", &body.to_string());
        let expected = format!(
            r#"{{"success":false,"errorCode":"VALIDATION_FAILED","message":"The request is not valid. See details.","details":[{{"field":"identityId","problem":"{problem}"}}]}}"#
        );
        assert_eq!((reply.status, reply.text.as_str()), (422, expected.as_str()), "{body}");
    }
}

#[test]
fn a_token_in_the_query_is_not_enough() {
    let app = spawn_app();
    let identity = app.shop().identity("jan@barasek.com");
    let reply = app.shop().post(&format!("{PATH}?identityId={identity}"), "application/json", "{}");
    assert_eq!(reply.status, 422);
    assert!(app.shop().is_logged_in(&identity));
}
