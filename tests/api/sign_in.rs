//! `POST /api/v1/customer/magic-auth`: the documented outcomes and their order.

use serde_json::json;

use crate::app::{SHOP_ROOT, spawn_app, spawn_app_with};

#[test]
fn a_new_customer_is_signed_in() {
    let app = spawn_app();
    let reply = app.shop().magic_auth(&json!({
        "email": "jan@barasek.com",
        "firstName": "Jan",
        "lastName": "Barášek",
        "customerRealIp": "1.1.1.1",
        "referralId": "1cGIHvFoQDGLAbcA",
    }));
    assert_eq!(reply.status, 200);
    let identity = reply.identity();
    assert_eq!(reply.text, format!(r#"{{"success":true,"identityId":"{identity}"}}"#));
    assert!(identity.len() == 32 && identity.bytes().all(|byte| byte.is_ascii_alphanumeric()));
}

#[test]
fn the_throttle_refuses_the_eleventh_attempt_and_root_is_not_throttled() {
    let app = spawn_app_with("");
    for _ in 0..10 {
        app.shop().identity("jan@barasek.com");
    }
    let reply = app.shop().sign_in("JAN@barasek.com");
    assert_eq!(reply.outcome(), (200, "E006".to_owned()));
    assert_eq!(reply.text, r#"{"success":false,"errorCode":"E006","message":"Too many login attempts."}"#);
    assert_eq!(reply.header("retry-after"), "60");
    app.client(SHOP_ROOT).identity("jan@barasek.com");
}
