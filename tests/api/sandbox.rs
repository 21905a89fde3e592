//! The sandbox: every answer for a developer's key, and nothing of it counts.

use magic_auth::domain::Refusal;

use crate::app::{SHOP_DEV, SHOP_ROOT, spawn_app};

#[test]
fn each_code_has_an_address_for_a_developers_key() {
    let app = spawn_app();
    for refusal in Refusal::ALL {
        let reply = app.client(SHOP_DEV).sign_in(&format!("{}@magic.test", refusal.code()));
        let expected =
            format!(r#"{{"success":false,"errorCode":"{}","message":"{}"}}"#, refusal.code(), refusal.message());
        assert_eq!((reply.status, reply.text.as_str()), (200, expected.as_str()));
        assert_eq!(reply.headers.contains_key("retry-after"), refusal == Refusal::TooManyAttempts);
    }
}

#[test]
fn ok_signs_a_sandbox_customer_in() {
    let app = spawn_app();
    let developer = app.client(SHOP_DEV);
    let identity = developer.identity("ok@magic.test");
    let info = developer.account_info(&identity).json();
    assert_eq!((info["loggedIn"].clone(), info["email"].clone()), (true.into(), "ok@magic.test".into()));
    developer.logout(&identity);
    assert!(!developer.is_logged_in(&identity));
}

#[test]
fn nothing_of_it_is_throttled_or_recorded() {
    let app = spawn_app();
    for _ in 0..20 {
        app.client(SHOP_DEV).identity("ok@magic.test");
        assert_eq!(app.client(SHOP_DEV).sign_in("e005@magic.test").code(), "E005");
    }
    assert_eq!(app.count("SELECT count(*) FROM login_attempts"), 0);
    assert_eq!(app.count("SELECT count(*) FROM customers"), 1);
    // Nor does it wait for the operator.
    assert_eq!(app.count("SELECT count(*) FROM customers WHERE email_authorized_at IS NULL"), 0);
}

#[test]
fn with_other_keys_they_are_ordinary_addresses_of_customers_of_their_own() {
    let app = spawn_app();
    let sandbox = app.client(SHOP_DEV).identity("ok@magic.test");
    let sandbox = app.shop().account_info(&sandbox).json()["cuRefNo"].clone();
    for key in [app.shop(), app.client(SHOP_ROOT)] {
        let ordinary = key.identity("ok@magic.test");
        assert_ne!(key.account_info(&ordinary).json()["cuRefNo"], sandbox);
        key.identity("e005@magic.test");
    }
}
