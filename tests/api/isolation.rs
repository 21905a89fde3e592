//! Two organisations share a server and nothing else.

use serde_json::json;

use crate::app::{Client, RIVAL, SHOP, TestApp, spawn_app, spawn_app_with};
use crate::dns_server::DnsServer;
use crate::process::eventually;

/// A server where both organisations know the same address, with each one's client and identity.
fn two_shops(app: &TestApp) -> [(Client, String); 2] {
    let sign_in = |client: Client, name| {
        let body = json!({"email": "jan@barasek.com", "firstName": name});
        let identity = client.magic_auth(&body).identity();
        (client, identity)
    };
    [sign_in(app.shop(), "Shop"), sign_in(app.client(RIVAL), "Rival")]
}

/// CVE-2024-38351, CVE-2026-44166 (PocketBase): who named an address first had the account of its owner.
#[test]
fn the_same_address_is_a_customer_of_each() {
    let app = spawn_app();
    let accounts = two_shops(&app).map(|(client, identity)| client.account_info(&identity).json());
    assert_eq!((&accounts[0]["firstName"], &accounts[1]["firstName"]), (&json!("Shop"), &json!("Rival")));
    assert_ne!(accounts[0]["cuRefNo"], accounts[1]["cuRefNo"]);
    assert_eq!(app.count("SELECT count(*) FROM customers"), 2);
}

#[test]
fn the_identity_of_one_is_unknown_to_the_other() {
    let app = spawn_app();
    let [(shop, in_shop), (rival, in_rival)] = two_shops(&app);
    for path in ["/api/v1/customer/get-account-info", "/contact/v1/get-account-info"] {
        for (client, identity) in [(&shop, &in_rival), (&rival, &in_shop)] {
            let reply = client.get(&format!("{path}?identityId={identity}"));
            assert_eq!((reply.status, reply.text.as_str()), (200, r#"{"loggedIn":false}"#));
        }
    }
}

#[test]
fn a_logout_by_one_ends_nothing_of_the_other() {
    let app = spawn_app();
    let [(shop, in_shop), (rival, in_rival)] = two_shops(&app);
    for reply in [rival.logout(&in_shop), shop.logout(&in_rival)] {
        assert_eq!((reply.status, reply.text.as_str()), (200, r#"{"success":true}"#));
    }
    assert!(shop.is_logged_in(&in_shop) && rival.is_logged_in(&in_rival));
}

#[test]
fn a_question_by_one_does_not_keep_a_session_of_the_other_awake() {
    let app = spawn_app_with("[session]\nidle_timeout = \"1h\"");
    let [(shop, in_shop), (rival, _)] = two_shops(&app);
    let hour = std::time::Duration::from_hours(1);
    app.advance(hour / 2);
    rival.account_info(&in_shop);
    app.advance(hour / 2);
    assert!(!shop.is_logged_in(&in_shop));
}

#[test]
fn what_the_operator_does_to_a_customer_of_one_does_not_touch_the_other() {
    let app = spawn_app();
    let [(shop, _), (rival, in_rival)] = two_shops(&app);
    app.operator(&["deauthorize", "jan@barasek.com"]);
    app.operator(&["sign-out", "jan@barasek.com"]);
    let codes = || [&shop, &rival].map(|client| client.sign_in("jan@barasek.com").code());
    assert_eq!(codes(), ["E007", ""]);
    app.operator(&["ban", "jan@barasek.com", "--reason", "fraud"]);
    assert_eq!(codes(), ["E005", ""]);
    assert_eq!(rival.account_info(&in_rival).json()["ban"], false);
}

/// GHSA-cq3f-vc6p-68fh (better-auth): whoever was signed in could approve what somebody else waited for.
#[test]
fn an_authorization_by_one_is_none_by_the_other() {
    let app = spawn_app_with("[sign_in]\nnew_customer_email = \"unauthorized\"");
    let codes = || [SHOP, RIVAL].map(|key| app.client(key).sign_in("jan@barasek.com").code());
    assert_eq!(codes(), ["E007", "E007"]);
    app.cli_ok(&["customer", "authorize", "--organisation", "rival", "jan@barasek.com"]);
    assert_eq!(codes(), ["E007", ""]);
}

#[test]
fn a_guest_of_one_is_unknown_to_the_other() {
    let app = spawn_app_with("[sign_in]\nunknown_email = \"refuse\"\nguest = \"refuse\"");
    app.insert_guest("jan@barasek.com", true);
    assert_eq!(app.shop().sign_in("jan@barasek.com").code(), "E003");
    assert_eq!(app.client(RIVAL).sign_in("jan@barasek.com").code(), "E002");
}

#[test]
fn attempts_at_one_do_not_count_at_the_other() {
    let app = spawn_app_with("[throttle]\nemail.burst = 2\nip.burst = 2");
    let attempt =
        |client: &Client, email| client.magic_auth(&json!({"email": email, "customerRealIp": "192.0.2.1"})).code();
    let (shop, rival) = (app.shop(), app.client(RIVAL));
    assert_eq!([(); 3].map(|()| attempt(&shop, "jan@barasek.com")), ["", "", "E006"]);
    assert_eq!([(); 3].map(|()| attempt(&rival, "jan@barasek.com")), ["", "", "E006"]);
}

#[test]
fn a_key_in_a_later_channel_opens_nothing() {
    let app = spawn_app();
    let [_, (_, in_rival)] = two_shops(&app);
    let path = format!("/api/v1/customer/get-account-info?identityId={in_rival}");
    let reply = app.shop().get_with(&path, &[("authorization", &format!("Bearer {RIVAL}"))]);
    assert_eq!(reply.text, r#"{"loggedIn":false}"#);
    app.shop().magic_auth(&json!({"email": "petr@barasek.com", "apiKey": RIVAL})).identity();
    let of_rival = "(SELECT id FROM organisations WHERE name = 'rival')";
    assert_eq!(app.count(&format!("SELECT count(*) FROM customers WHERE organisation_id = {of_rival}")), 1);
}

/// All that one organisation has, sent with the key of the other to every route, in parameters and fields.
/// How fast an answer comes would tell whether the name had been asked for before.
#[test]
fn whether_anybody_came_from_an_address_is_not_told_to_another() {
    let zone = "1.48.175.192.in-addr.arpa 3600 PTR mail.example.com\nmail.example.com 3600 A 192.175.48.1";
    let server = DnsServer::start(zone);
    let app = spawn_app_with(&format!("[geoip]\nreverse_dns = true\ndns_servers = [\"{}\"]\n", server.address));
    let is_asked_for = |client: &Client| {
        server.take_asked();
        assert_eq!(client.get("/api/v1/ip?ip=192.175.48.1").json()["reverseDns"], "mail.example.com");
        !server.take_asked().is_empty()
    };
    app.shop().magic_auth(&json!({"email": "jan@barasek.com", "customerRealIp": "192.175.48.1"})).identity();
    eventually(|| app.count("SELECT count(*) FROM ip_intelligence") == 1);
    for client in [app.shop(), app.client(RIVAL)] {
        assert!(is_asked_for(&client));
        assert!(!is_asked_for(&client));
    }
}

#[test]
fn no_route_tells_or_changes_anything_of_the_other() {
    let app = spawn_app();
    let shop = app.shop();
    let rivals = ["prod", "dev", "root"]
        .map(|kind| app.client(app.cli_ok(&["key", "create", "--organisation", "rival", "--kind", kind]).trim()));
    let body =
        json!({"email": "jan@barasek.com", "firstName": "Quijote", "lastName": "Mancha", "customerRealIp": "1.1.1.1"});
    let identity = shop.magic_auth(&body).identity();
    let more = "UPDATE customers SET phone = '+420601999888', company_name = 'Rocinante'";
    app.database().execute(more, []).unwrap();
    let jan = shop.account_info(&identity).json();
    let cu_ref_no = jan["cuRefNo"].as_str().unwrap();
    let rows_of_shop = || -> String {
        let sql = "SELECT json_group_array(json_array(c.email, c.phone, c.first_name, c.last_name, c.company_name,
                c.registered_at, c.session_epoch, c.referred_by, s.revoked_at, s.last_seen_at, s.expires_at))
            FROM customers AS c JOIN sessions AS s ON s.customer_id = c.id WHERE c.cu_ref_no = ?1";
        app.database().query_row(sql, [cu_ref_no], |row| row.get(0)).unwrap()
    };
    let before = rows_of_shop();
    let description = shop.get("/openapi.json").json();
    let paths = description["paths"].as_object().unwrap();
    for ((path, item), rival) in paths.iter().flat_map(|path| rivals.iter().map(move |rival| (path, rival))) {
        let reply = if item.get("post").is_some() {
            let body = json!({
                "identityId": identity, "email": "jan@barasek.com", "referralId": cu_ref_no, "cuRefNo": cu_ref_no,
                "phone": jan["phone"], "organisation": "shop", "customerRealIp": "1.1.1.1",
            });
            rival.post(path, "application/json", &body.to_string())
        } else {
            rival.get(&format!("{path}?identityId={identity}&cuRefNo={cu_ref_no}&organisation=shop&ip=1.1.1.1"))
        };
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        for told in ["Quijote", "Mancha", "Rocinante", "601999888", cu_ref_no] {
            assert!(!reply.text.contains(told), "{path} tells {told}: {reply:?}");
        }
    }
    assert_eq!(rows_of_shop(), before);
    assert_eq!(shop.account_info(&identity).json(), jan);
    assert_eq!(app.count("SELECT count(*) FROM customers WHERE referred_by IS NOT NULL"), 0);
}
