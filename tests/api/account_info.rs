//! `GET /api/v1/customer/get-account-info`: whose session it is, as of now.

use std::time::Duration;

use serde_json::json;

use crate::app::{SHOP_DEV, TestApp, spawn_app, spawn_app_with};
use crate::process::eventually;

const PATH: &str = "/api/v1/customer/get-account-info";
const NOT_LOGGED_IN: &str = r#"{"loggedIn":false}"#;
const DAY: Duration = Duration::from_hours(24);

fn cu_ref_no(app: &TestApp, identity: &str) -> String {
    app.shop().account_info(identity).json()["cuRefNo"].as_str().unwrap().to_owned()
}

#[test]
fn a_customer_is_told_with_all_that_is_known() {
    let app = spawn_app();
    let body = json!({"email": "Jan@barasek.com", "firstName": "jan", "lastName": "Barášek"});
    let identity = app.shop().magic_auth(&body).identity();
    app.database().execute("UPDATE customers SET phone = '+420777123456', company_name = 'Baraja s.r.o.'", []).unwrap();
    let reply = app.shop().account_info(&identity);
    let reference = cu_ref_no(&app, &identity);
    let expected = format!(
        r#"{{"loggedIn":true,"identityId":"{identity}","cuRefNo":"{reference}","creditBalance":0,"email":"jan@barasek.com","phone":"+420777123456","firstName":"Jan","lastName":"Barášek","companyName":"Baraja s.r.o.","premium":false,"ban":false}}"#
    );
    assert_eq!((reply.status, reply.text), (200, expected));
    assert!(reference.len() == 16 && reference.bytes().all(|byte| byte.is_ascii_alphanumeric()));
}

#[test]
fn what_is_not_known_is_left_out() {
    let app = spawn_app();
    let identity = app.shop().identity("jan@barasek.com");
    let expected = format!(
        r#"{{"loggedIn":true,"identityId":"{identity}","cuRefNo":"{}","creditBalance":0,"email":"jan@barasek.com","premium":false,"ban":false}}"#,
        cu_ref_no(&app, &identity)
    );
    assert_eq!(app.shop().account_info(&identity).text, expected);
}

#[test]
fn a_contact_without_an_email_has_null_for_it() {
    let app = spawn_app();
    let identity = app.shop().identity("jan@barasek.com");
    let sql = "UPDATE customers SET email = NULL, email_canonical = NULL, phone = '+420777123456'";
    app.database().execute(sql, []).unwrap();
    let expected = format!(
        r#"{{"loggedIn":true,"identityId":"{identity}","cuRefNo":"{}","creditBalance":0,"email":null,"phone":"+420777123456","premium":false,"ban":false}}"#,
        cu_ref_no(&app, &identity)
    );
    assert_eq!(app.shop().account_info(&identity).text, expected);
}

#[test]
fn the_alias_path_and_every_key_of_the_organisation_tell_the_same() {
    let app = spawn_app();
    let identity = app.shop().identity("jan@barasek.com");
    let expected = app.shop().account_info(&identity).text;
    let alias = format!("/contact/v1/get-account-info?identityId={identity}");
    assert_eq!(app.shop().get(&alias).text, expected);
    assert_eq!(app.client(SHOP_DEV).account_info(&identity).text, expected);
}

#[test]
fn the_reference_number_never_changes() {
    let app = spawn_app();
    let before = cu_ref_no(&app, &app.shop().identity("jan@barasek.com"));
    app.advance(200 * DAY);
    let app = app.restart();
    assert_eq!(cu_ref_no(&app, &app.shop().identity("JAN@barasek.com")), before);
}

// Tokens that stand for no session.

#[test]
fn a_token_that_stands_for_no_session_is_not_logged_in() {
    let app = spawn_app();
    let identity = app.shop().identity("jan@barasek.com");
    let another = if identity.ends_with('x') { "y" } else { "x" };
    for token in [
        "",
        "x",
        &"x".repeat(32),
        &"0".repeat(32),
        &"z".repeat(32),
        &identity[..31],
        &format!("{}{another}", &identity[..31]),
        &format!("{identity}0"),
        &format!("%20{identity}"),
        &identity.replace(|character: char| character.is_ascii_digit(), "%C3%A9"),
        "%00",
        "%FF%FE",
        "'%20OR%201=1--",
        &"x".repeat(4_000),
    ] {
        let reply = app.shop().account_info(token);
        assert_eq!((reply.status, reply.text.as_str()), (200, NOT_LOGGED_IN), "{token}");
    }
    assert_eq!(app.shop().get(PATH).text, NOT_LOGGED_IN);
}

#[test]
fn the_token_is_compared_to_the_letter() {
    let app = spawn_app();
    let identity = app.shop().identity("jan@barasek.com");
    for changed in [identity.to_ascii_lowercase(), identity.to_ascii_uppercase()] {
        assert!(changed == identity || !app.shop().is_logged_in(&changed));
    }
    assert!(app.shop().is_logged_in(&identity));
}

// The end of a session.

#[test]
fn a_session_ends_after_its_lifetime() {
    let app = spawn_app();
    let identity = app.shop().identity("jan@barasek.com");
    app.advance(89 * DAY);
    assert!(app.shop().is_logged_in(&identity));
    app.advance(DAY);
    assert_eq!(app.shop().account_info(&identity).text, NOT_LOGGED_IN);
}

#[test]
fn a_session_lives_as_long_as_the_operator_says() {
    let app = spawn_app_with("[session]\nlifetime = \"1h\"");
    let identity = app.shop().identity("jan@barasek.com");
    app.advance(Duration::from_mins(59));
    assert!(app.shop().is_logged_in(&identity));
    app.advance(Duration::from_mins(1));
    assert!(!app.shop().is_logged_in(&identity));
}

#[test]
fn a_lifetime_that_is_shortened_ends_older_sessions_too_and_none_outlives_the_one_it_was_given() {
    let app = spawn_app_with("[session]\nlifetime = \"10d\"");
    let [early, late] = [(); 2].map(|()| {
        let identity = app.shop().identity("jan@barasek.com");
        app.advance(2 * DAY);
        identity
    });
    app.edit_config("lifetime = \"10d\"", "lifetime = \"3d\"");
    let app = app.restart();
    assert!(!app.shop().is_logged_in(&early) && app.shop().is_logged_in(&late));
    app.edit_config("lifetime = \"3d\"", "lifetime = \"90d\"");
    let app = app.restart();
    app.advance(8 * DAY);
    assert!(!app.shop().is_logged_in(&late));
}

#[test]
fn a_session_that_nobody_asks_about_ends_after_the_idle_timeout() {
    let app = spawn_app_with("[session]\nidle_timeout = \"14d\"");
    let [asked, forgotten] = [(); 2].map(|()| app.shop().identity("jan@barasek.com"));
    let seen = || app.count("SELECT max(last_seen_at) FROM sessions");
    for _ in 0..3 {
        app.advance(10 * DAY);
        let before = seen();
        assert!(app.shop().is_logged_in(&asked));
        eventually(|| seen() > before);
    }
    // Who asks about a dead session does not wake it for whoever asks next.
    for _ in 0..2 {
        assert!(!app.shop().is_logged_in(&forgotten));
    }
    app.advance(14 * DAY);
    assert!(!app.shop().is_logged_in(&asked));
}

/// Without one, nobody is let go for it; but when sessions were last asked about is known by the time that one is set.
#[test]
fn an_idle_timeout_that_is_set_later_ends_no_session_in_use() {
    let app = spawn_app();
    let [asked, forgotten] = [(); 2].map(|()| app.shop().identity("jan@barasek.com"));
    app.advance(20 * DAY);
    assert!(app.shop().is_logged_in(&asked));
    eventually(|| app.count("SELECT count(*) FROM sessions WHERE last_seen_at > created_at") == 1);
    app.edit_config("[server]", "[session]\nidle_timeout = \"14d\"\n[server]");
    let app = app.restart();
    assert!(app.shop().is_logged_in(&asked));
    assert!(!app.shop().is_logged_in(&forgotten));
}

#[test]
fn a_session_in_use_outlives_a_disk_that_fails_for_longer_than_the_idle_timeout() {
    let app = spawn_app_with("[session]\nidle_timeout = \"10h\"");
    let [asked, forgotten] = [(); 2].map(|()| app.shop().identity("jan@barasek.com"));
    let fail = "CREATE TRIGGER fail BEFORE UPDATE ON sessions BEGIN SELECT RAISE(ABORT, 'no'); END";
    app.database().execute_batch(fail).unwrap();
    let hour = DAY / 24;
    for _ in 0..3 {
        app.advance(7 * hour);
        assert!(app.shop().is_logged_in(&asked));
    }
    assert!(!app.shop().is_logged_in(&forgotten));
    app.database().execute_batch("DROP TRIGGER fail").unwrap();
    app.advance(7 * hour);
    assert!(app.shop().is_logged_in(&asked));
    eventually(|| app.count("SELECT count(*) FROM sessions WHERE last_seen_at > created_at") == 1);
    let app = app.restart();
    assert!(app.shop().is_logged_in(&asked));
    app.advance(10 * hour);
    assert!(!app.shop().is_logged_in(&asked));
}

#[test]
fn the_idle_timeout_does_not_prolong_the_lifetime() {
    let app = spawn_app_with("[session]\nlifetime = \"20d\"\nidle_timeout = \"14d\"");
    let identity = app.shop().identity("jan@barasek.com");
    let seen = || app.count("SELECT last_seen_at FROM sessions");
    let before = seen();
    app.advance(10 * DAY);
    assert!(app.shop().is_logged_in(&identity));
    eventually(|| seen() > before);
    app.advance(10 * DAY);
    assert!(!app.shop().is_logged_in(&identity));
}

#[test]
fn a_session_ends_with_the_logout_and_others_live_on() {
    let app = spawn_app();
    let [ended, other] = [(); 2].map(|()| app.shop().identity("jan@barasek.com"));
    app.shop().logout(&ended);
    assert_eq!(app.shop().account_info(&ended).text, NOT_LOGGED_IN);
    assert!(app.shop().is_logged_in(&other));
}

#[test]
fn a_session_survives_a_restart() {
    let app = spawn_app();
    let identity = app.shop().identity("jan@barasek.com");
    let app = app.restart();
    assert!(app.shop().is_logged_in(&identity));
}

// Bans.

#[test]
fn a_ban_ends_all_sessions_for_good() {
    let app = spawn_app();
    let identity = app.shop().identity("jan@barasek.com");
    app.operator(&["ban", "jan@barasek.com", "--reason", "fraud"]);
    assert_eq!(app.shop().account_info(&identity).text, NOT_LOGGED_IN);
    app.operator(&["unban", "jan@barasek.com"]);
    assert!(!app.shop().is_logged_in(&identity));
}

#[test]
fn a_session_that_the_ban_left_alive_shows_the_ban_until_it_is_lifted() {
    let app = spawn_app();
    let identity = app.shop().identity("jan@barasek.com");
    let shown = || {
        let account = app.shop().account_info(&identity).json();
        (account["loggedIn"].clone(), account["ban"].clone())
    };
    app.operator(&["ban", "jan@barasek.com", "--reason", "fraud", "--keep-sessions"]);
    assert_eq!(shown(), (json!(true), json!(true)));
    app.operator(&["unban", "jan@barasek.com"]);
    assert_eq!(shown(), (json!(true), json!(false)));
}

#[test]
fn a_ban_for_a_time_is_shown_for_that_time() {
    let app = spawn_app();
    let identity = app.shop().identity("jan@barasek.com");
    app.operator(&["ban", "jan@barasek.com", "--reason", "fraud", "--for", "7d", "--keep-sessions"]);
    assert_eq!(app.shop().account_info(&identity).json()["ban"], true);
    app.advance(7 * DAY);
    assert_eq!(app.shop().account_info(&identity).json()["ban"], false);
}

// HTTP.

#[test]
fn no_answer_may_be_kept_in_a_cache() {
    let app = spawn_app();
    let identity = app.shop().identity("jan@barasek.com");
    for path in [PATH, "/contact/v1/get-account-info"] {
        for token in [identity.as_str(), "x"] {
            let reply = app.shop().get(&format!("{path}?identityId={token}"));
            assert_eq!(reply.header("cache-control"), "no-store", "{path} {token}");
        }
    }
}

#[test]
fn head_has_the_headers_of_get_and_no_body() {
    let app = spawn_app();
    let identity = app.shop().identity("jan@barasek.com");
    let path = format!("{PATH}?identityId={identity}");
    let (get, head) = (app.shop().get(&path), app.shop().request("HEAD", &path));
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    for name in ["content-type", "content-length", "cache-control"] {
        assert_eq!(head.header(name), get.header(name));
    }
}
