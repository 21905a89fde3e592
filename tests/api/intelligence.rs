//! Who is behind an address: asked directly, stored after a sign-in, and acted on. The databases are made up
//! (`tests/geoip/make.py`).

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::app::{SHOP_ROOT, TestApp, spawn_app, spawn_app_with};
use crate::dns_server::DnsServer;
use crate::process::eventually;

const JAN: &str = "jan@barasek.com";
/// In Prague, by way of a private network.
const PRAGUE: &str = "192.175.48.1";
/// In Slovakia, by way of Tor.
const SLOVAKIA: &str = "192.175.48.200";
/// In Austria, in a data centre.
const AUSTRIA: &str = "192.31.196.1";

fn database(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/geoip").join(name)
}

fn geoip(names: &[&str]) -> String {
    let paths: Vec<_> = names.iter().map(|name| database(name)).collect();
    format!("[geoip]\ndatabases = {paths:?}\n")
}

const ALL: [&str; 4] = ["city.mmdb", "country.mmdb", "asn.mmdb", "anonymous-ip.mmdb"];

fn spawn_knowing(more: &str) -> TestApp {
    spawn_app_with(&(geoip(&ALL) + more))
}

fn sign_in_from(app: &TestApp, email: &str, ip: &str) -> String {
    let reply = app.shop().magic_auth(&json!({ "email": email, "customerRealIp": ip }));
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.code()
}

/// The attempts of `shop`, the newest first.
fn attempts(app: &TestApp) -> Vec<Value> {
    let printed = app.cli_ok(&["attempts", "--organisation", "shop", "--json"]);
    serde_json::from_str(&printed).unwrap()
}

#[test]
fn the_whole_picture_of_an_address_is_told_with_its_sources() {
    let app = spawn_knowing("");
    let answer = app.shop().get(&format!("/api/v1/ip?ip={PRAGUE}")).json();
    assert_eq!(
        answer,
        json!({
            "success": true, "ip": PRAGUE, "kind": "public", "embedded": null, "reverseDns": null,
            "country": "CZ", "region": "Hlavni mesto Praha", "city": "Prague", "latitude": 50.0755, "longitude": 14.4378,
            "timeZone": "Europe/Prague", "asn": 64500, "asnOrganisation": "Example Networks",
            "flags": {"hosting": false, "proxy": false, "vpn": true, "tor": false, "anonymous": true},
            "sources": answer["sources"],
        })
    );
    let sources: Vec<_> = answer["sources"].as_array().unwrap().iter().map(|source| source["date"].clone()).collect();
    assert!(sources.contains(&json!("2020-01-02")), "{answer}");
}

#[test]
fn no_sign_in_waits_for_the_dns() {
    let server = DnsServer::start("1.48.175.192.in-addr.arpa silent");
    let app = spawn_app_with(&format!("[geoip]\nreverse_dns = true\ndns_servers = [\"{}\"]\n", server.address));
    assert_eq!(sign_in_from(&app, JAN, PRAGUE), "");
    assert_eq!(app.count("SELECT count(*) FROM ip_intelligence"), 0, "it is still being asked");
    eventually(|| app.count("SELECT count(*) FROM ip_intelligence") == 1);
    assert_eq!(server.take_asked()[0], "PTR 1.48.175.192.in-addr.arpa");
}

/// By NAT64, 6to4, or mapped.
#[test]
fn the_name_of_an_embedded_address_is_that_of_the_address() {
    let zone = "1.48.175.192.in-addr.arpa 3600 PTR mail.example.com\nmail.example.com 3600 A 192.175.48.1";
    let server = DnsServer::start(zone);
    let app = spawn_app_with(&format!("[geoip]\nreverse_dns = true\ndns_servers = [\"{}\"]\n", server.address));
    for ip in ["192.175.48.1", "::ffff:192.175.48.1", "64:ff9b::c0af:3001", "2002:c0af:3001::1"] {
        assert_eq!(app.shop().get(&format!("/api/v1/ip?ip={ip}")).json()["reverseDns"], "mail.example.com", "{ip}");
    }
}

#[test]
fn what_is_not_known_is_null_and_a_special_address_is_said_to_be_one() {
    let app = spawn_app();
    for (ip, kind) in [
        ("8.8.8.8", "public"),
        ("127.0.0.1", "loopback"),
        ("10.0.0.1", "private"),
        ("169.254.1.1", "link-local"),
        ("100.64.0.1", "cgnat"),
        ("2001:db8::1", "documentation"),
        ("224.0.0.1", "multicast"),
        ("240.0.0.1", "reserved"),
    ] {
        let answer = app.shop().get(&format!("/api/v1/ip?ip={ip}")).json();
        assert_eq!(
            (&answer["kind"], &answer["country"], &answer["asn"]),
            (&json!(kind), &Value::Null, &Value::Null),
            "{answer}"
        );
    }
}

#[test]
fn an_address_is_told_of_as_it_was_asked_for() {
    let app = spawn_knowing("");
    let tell = |ip: &str| app.shop().get(&format!("/api/v1/ip?ip={ip}")).json();
    for ip in ["::ffff:192.0.2.1", "0.0.0.0", "::", "::1"] {
        let printed: Value = serde_json::from_str(&app.cli_ok(&["ip", ip, "--json"])).unwrap();
        assert_eq!(tell(ip)["ip"], ip);
        assert_eq!(tell(ip)["kind"], printed["kind"], "{ip}");
    }
    assert_eq!(tell("::ffff:192.0.2.1")["embedded"], "192.0.2.1");
}

#[test]
fn an_address_that_is_none_is_a_validation_error() {
    let app = spawn_app();
    for path in [
        "/api/v1/ip",
        "/api/v1/ip?ip=",
        "/api/v1/ip?ip=1.1.1",
        "/api/v1/ip?ip=1.1.1.1%3A80",
        "/api/v1/ip?ip=x",
        "/api/v1/ip?ip=localhost",
    ] {
        let reply = app.shop().get(path);
        assert_eq!(reply.outcome(), (422, "VALIDATION_FAILED".to_owned()), "{path}");
        assert_eq!(reply.json()["details"][0]["field"], "ip", "{path}");
    }
}

#[test]
fn a_name_in_the_dns_is_told_when_it_leads_back() {
    let zone = "1.48.175.192.in-addr.arpa 3600 PTR shop.example.com\nshop.example.com 3600 A 192.175.48.1";
    let server = DnsServer::start(zone);
    let app = spawn_app_with(&format!("[geoip]\nreverse_dns = true\ndns_servers = [\"{}\"]\n", server.address));
    let answer = app.shop().get(&format!("/api/v1/ip?ip={PRAGUE}")).json();
    assert_eq!(answer["reverseDns"], "shop.example.com");
    let printed: Value = serde_json::from_str(&app.cli_ok(&["ip", PRAGUE, "--json"])).unwrap();
    assert_eq!(printed["reverseDns"], "shop.example.com");
    server.take_asked();
    app.shop().get("/api/v1/ip?ip=10.0.0.1");
    assert!(server.take_asked().is_empty(), "nobody is asked about a private address");
}

#[test]
fn after_a_sign_in_it_is_stored_where_it_came_from_and_shown_to_the_operator() {
    let app = spawn_knowing("");
    assert_eq!(sign_in_from(&app, JAN, PRAGUE), "");
    eventually(|| app.count("SELECT count(*) FROM ip_intelligence") == 1);
    let attempt = attempts(&app).remove(0);
    assert_eq!((&attempt["origin"]["country"], &attempt["origin"]["asn"]), (&json!("CZ"), &json!(64500)), "{attempt}");
    let shown = app.operator(&["show", JAN]);
    assert!(shown.contains("CZ, Prague, AS64500 Example Networks, vpn, anonymous"), "{shown}");
    // Another sign-in from there shares the row, and so does a refusal.
    assert_eq!(sign_in_from(&app, "petr@barasek.com", PRAGUE), "");
    assert_eq!(sign_in_from(&app, "nonsense", PRAGUE), "E004");
    assert!(attempts(&app).iter().all(|attempt| attempt["origin"]["city"] == "Prague"));
    assert_eq!(app.count("SELECT count(*) FROM ip_intelligence"), 1);
}

#[test]
fn what_is_known_already_is_not_looked_up_again_before_its_time() {
    let app = spawn_knowing("");
    let rows = |ip: &str| app.count(&format!("SELECT count(*) FROM ip_intelligence WHERE ip = '{ip}'"));
    sign_in_from(&app, JAN, PRAGUE);
    eventually(|| rows(PRAGUE) == 1);
    app.database().execute("UPDATE ip_intelligence SET city = 'Praha'", []).unwrap();
    let app = app.restart();
    sign_in_from(&app, JAN, PRAGUE);
    sign_in_from(&app, JAN, AUSTRIA);
    let rows = |city: &str| app.count(&format!("SELECT count(*) FROM ip_intelligence WHERE city = '{city}'"));
    eventually(|| app.count("SELECT count(*) FROM ip_intelligence") == 2);
    assert_eq!(rows("Praha"), 1);
}

#[test]
fn what_is_known_is_deleted_once_it_is_older_than_any_attempt() {
    let app = spawn_knowing("");
    let day = Duration::from_hours(24);
    let known = || app.count("SELECT count(*) FROM ip_intelligence");
    sign_in_from(&app, JAN, PRAGUE);
    eventually(|| known() == 1);
    app.advance(60 * day);
    sign_in_from(&app, JAN, AUSTRIA);
    eventually(|| known() == 2);
    // Out of date after 30 days, and 90 more are kept attempts.
    app.advance(61 * day);
    eventually(|| known() == 1);
    assert_eq!(app.count("SELECT count(*) FROM ip_intelligence WHERE country = 'AT'"), 1);
}

#[test]
fn the_address_of_a_wrong_email_is_looked_up_too() {
    let app = spawn_knowing("");
    assert_eq!(sign_in_from(&app, "no address", PRAGUE), "E004");
    eventually(|| app.count("SELECT count(*) FROM ip_intelligence WHERE city = 'Prague'") == 1);
}

/// As after `refresh` or `retention` was shortened, or when the clock was ahead.
#[test]
fn what_is_due_later_than_it_could_be_now_is_looked_up_again_or_due_sooner() {
    let app = spawn_knowing("");
    let rows = |which: &str| app.count(&format!("SELECT count(*) FROM ip_intelligence WHERE {which}"));
    let later_by_days = |days: i64| {
        let change = "UPDATE ip_intelligence SET city = 'Praha', due_at = due_at + ?1 * 24 * 3600 * 1000";
        eventually(|| app.database().execute(change, [days]).unwrap() == 1);
    };
    sign_in_from(&app, JAN, PRAGUE);
    later_by_days(45);
    app.advance(Duration::from_mins(61));
    sign_in_from(&app, JAN, PRAGUE);
    eventually(|| rows("city <> 'Praha'") == 1);
    later_by_days(1_000);
    app.advance(Duration::from_mins(61));
    // In 90 days, for which attempts are kept.
    eventually(|| rows("due_at < 1000 * (unixepoch() + 91 * 24 * 3600)") == 1);
}

#[test]
fn without_databases_nothing_is_stored() {
    let app = spawn_app();
    sign_in_from(&app, JAN, PRAGUE);
    let app = app.restart();
    assert_eq!(app.count("SELECT count(*) FROM ip_intelligence"), 0);
    assert_eq!(attempts(&app)[0]["origin"], Value::Null);
}

#[test]
fn a_sign_in_from_a_country_that_is_new_for_the_customer_is_marked() {
    let app = spawn_knowing("");
    for ip in [PRAGUE, AUSTRIA, PRAGUE, AUSTRIA, SLOVAKIA] {
        assert_eq!(sign_in_from(&app, JAN, ip), "");
    }
    let marks: Vec<_> = attempts(&app).into_iter().rev().map(|attempt| attempt["newCountry"].clone()).collect();
    assert_eq!(marks, [false, true, false, false, true]);
    assert_eq!(sign_in_from(&app, "petr@barasek.com", AUSTRIA), "");
    assert_eq!(attempts(&app)[0]["newCountry"], false, "somebody else's countries are somebody else's");
}

/// Who is denied by these rules, each from an address of their own.
fn denied_by(rules: &str) -> Vec<&'static str> {
    let app = spawn_knowing(&format!("[sign_in.deny]\n{rules}\n"));
    let from = [("prague", PRAGUE), ("slovakia", SLOVAKIA), ("austria", AUSTRIA), ("nowhere", "10.0.0.1")];
    let denied =
        from.into_iter().filter(|(name, ip)| match sign_in_from(&app, &format!("{name}@barasek.com"), ip).as_str() {
            "" => false,
            code => {
                assert_eq!(code, "E001");
                true
            }
        });
    let denied: Vec<_> = denied.map(|(name, _)| name).collect();
    // Who does not say where the customer is cannot be denied.
    assert_eq!(app.shop().sign_in("home@barasek.com").code(), "");
    let made = app.count("SELECT count(*) FROM customers");
    assert_eq!(made, 5 - i64::try_from(denied.len()).unwrap(), "who is denied leaves no customer");
    denied
}

#[test]
fn the_rules_deny_by_country_network_and_flag() {
    assert_eq!(denied_by("countries = [\"SK\", \"de\"]"), ["slovakia"]);
    assert_eq!(denied_by("asns = [16509]"), ["austria"]);
    assert_eq!(denied_by("flags = [\"tor\"]"), ["slovakia"]);
    assert_eq!(denied_by("flags = [\"anonymous\"]"), ["prague", "slovakia", "austria"]);
    assert_eq!(denied_by("cidrs = [\"192.175.48.0/25\", \"10.0.0.1\"]"), ["prague", "nowhere"]);
    assert_eq!(denied_by(""), [] as [&str; 0]);
    let app = spawn_app_with("[sign_in.deny]\ncidrs = [\"192.0.2.0/24\", \"::ffff:198.51.100.0/120\"]\n");
    for ip in ["192.0.2.5", "::ffff:192.0.2.5", "64:ff9b::192.0.2.5", "2002:c000:205::1", "198.51.100.7"] {
        assert_eq!(sign_in_from(&app, JAN, ip), "E001", "{ip}");
    }
}

#[test]
fn who_is_denied_is_recorded_as_denied_and_why_tells_the_rule() {
    let app = spawn_knowing("[sign_in.deny]\nflags = [\"tor\"]\n");
    for key in [crate::app::SHOP, SHOP_ROOT] {
        let reply = app.client(key).magic_auth(&json!({ "email": JAN, "customerRealIp": SLOVAKIA }));
        assert_eq!(reply.text, r#"{"success":false,"errorCode":"E001","message":"Customer login failed."}"#);
    }
    eventually(|| app.count("SELECT coalesce(sum(count), 0) FROM login_attempts WHERE outcome = 'denied'") == 2);
    let listed = app.cli_ok(&["attempts", "--outcome", "denied"]);
    assert!(listed.contains(JAN) && listed.contains(SLOVAKIA), "{listed}");
    let why: Value = serde_json::from_str(&app.operator(&["why", JAN, "--ip", SLOVAKIA, "--json"])).unwrap();
    assert_eq!(why["outcome"], "E001");
    let rules = why["rules"].as_array().unwrap();
    let deny = rules.iter().find(|rule| rule["name"] == "deny").unwrap();
    assert_eq!((&deny["refuses"], &deny["detail"]), (&json!(true), &json!("192.175.48.200 is denied: tor")));
    assert_eq!(sign_in_from(&app, JAN, PRAGUE), "");
}

#[test]
fn an_erased_persons_addresses_are_not_known_any_more() {
    let app = spawn_knowing("");
    sign_in_from(&app, JAN, PRAGUE);
    sign_in_from(&app, JAN, AUSTRIA);
    sign_in_from(&app, "petr@barasek.com", SLOVAKIA);
    eventually(|| app.count("SELECT count(*) FROM ip_intelligence") == 3);
    app.operator(&["erase", JAN, "--yes"]);
    assert_eq!(app.count("SELECT count(*) FROM ip_intelligence"), 1);
    assert_eq!(app.count("SELECT count(*) FROM customers WHERE countries IS NOT NULL"), 1);
}
