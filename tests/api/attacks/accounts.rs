//! Whose account it is, and what becomes of it: nothing in a request beside the address and the key decides that.

use serde_json::{Map, Value, json};

use crate::app::{Client, SHOP, SHOP_DEV, SHOP_ROOT, TestApp, spawn_app, spawn_app_with};
use crate::bodies::{MULTIPART, multipart};

const MAGIC_AUTH: &str = "/api/v1/customer/magic-auth";
const ACCOUNT_INFO: &str = "/api/v1/customer/get-account-info";
const LOGOUT: &str = "/api/v1/customer/logout";
const FORM: &str = "application/x-www-form-urlencoded";
const JAN: &str = "jan@barasek.com";
const EVA: &str = "eva@barasek.com";

/// What attempts at a privileged account are made of, beside the columns of the tables.
const PRIVILEGED: [&str; 12] = [
    "admin",
    "ban",
    "creditBalance",
    "customerId",
    "isAdmin",
    "key",
    "kind",
    "loggedIn",
    "organisation",
    "premium",
    "role",
    "userId",
];

/// Every column of every table, as it is named there and as a field would be named; but for the documented fields.
fn undocumented_fields(app: &TestApp) -> Vec<String> {
    let sql = "SELECT DISTINCT c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c WHERE t.type = 'table'";
    let database = app.database();
    let mut statement = database.prepare(sql).unwrap();
    let columns: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(columns.len() > 30, "{columns:?}");
    let privileged = PRIVILEGED.map(str::to_owned);
    let mut fields: Vec<_> =
        columns.iter().map(|name| camel_case(name)).chain(columns.clone()).chain(privileged).collect();
    fields.retain(|name| !["email", "firstName", "lastName"].contains(&name.as_str()));
    fields.sort();
    fields.dedup();
    fields
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    first + &words.map(|word| word[..1].to_uppercase() + &word[1..]).collect::<String>()
}

/// All that is known of whom and of what, but for attempts and sessions; each row as a text.
fn everybody(app: &TestApp) -> Vec<String> {
    let database = app.database();
    let dump = |table: &str| -> Vec<String> {
        let mut statement = database.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let width = statement.column_count();
        let row =
            |row: &rusqlite::Row<'_>| (0..width).map(|column| row.get::<_, rusqlite::types::Value>(column)).collect();
        let rows = statement.query_map([], row).unwrap();
        rows.map(|row: Result<Vec<_>, _>| format!("{table} {:?}", row.unwrap())).collect()
    };
    ["organisations", "api_keys", "customers", "pending_referrals", "bans"].into_iter().flat_map(dump).collect()
}

/// Bodies of every form that have the documented field and all of the others.
fn bodies(documented: (&str, &str), others: &[String], value: &Value) -> Vec<(&'static str, String)> {
    let mut json = Map::from_iter([(documented.0.to_owned(), json!(documented.1))]);
    json.extend(others.iter().map(|name| (name.clone(), value.clone())));
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let fields: Vec<_> = others.iter().map(|name| (name.as_str(), text.as_str())).chain([documented]).collect();
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
    let json = Value::Object(json).to_string();
    vec![("application/json", json.clone()), ("text/plain", json), (FORM, form), (MULTIPART, multipart(&fields))]
}

/// What somebody might like to stand there.
fn values() -> [Value; 6] {
    [json!(1), json!("2"), json!(true), json!(null), json!("ROOT"), json!([{"id": 1}])]
}

// CVE-2025-61928 (better-auth): fields of a body were taken for those of the row that was made.

#[test]
fn no_column_is_set_by_a_field_of_its_name() {
    let app = spawn_app_with("[throttle]\nemail.burst = 0\n[rate_limit]\nprod.requests = 0");
    let (shop, fields) = (app.shop(), undocumented_fields(&app));
    let (jan, eva) = (shop.identity(JAN), shop.identity(EVA));
    let before = everybody(&app);
    for value in values() {
        for path in [MAGIC_AUTH, "/contact/v1/magic-auth"] {
            for (form, body) in bodies(("email", JAN), &fields, &value) {
                shop.post(path, form, &body).identity();
            }
        }
        for (form, body) in bodies(("identityId", "nobody"), &fields, &value) {
            assert_eq!(shop.post(LOGOUT, form, &body).text, r#"{"success":true}"#);
        }
        let text = value.to_string();
        let query: String = fields.iter().flat_map(|name| ["&", name, "=", &text]).collect();
        let query = query.replace(['"', '[', ']', '{', '}'], "");
        assert_eq!(shop.get(&format!("{ACCOUNT_INFO}?identityId={jan}{query}")).json()["email"], JAN);
    }
    assert_eq!(everybody(&app), before);
    assert!(shop.is_logged_in(&jan) && shop.is_logged_in(&eva));
    let other_sessions = "SELECT count(*) FROM sessions WHERE ip IS NOT NULL OR revoked_at IS NOT NULL
        OR session_epoch <> 0 OR created_at <> id >> 22 OR last_seen_at < created_at
        OR expires_at - created_at <> 90 * 24 * 3600 * 1000";
    assert_eq!(app.count(other_sessions), 0);
    let other_attempts = "SELECT count(*) FROM login_attempts
        WHERE ip IS NOT NULL OR count <> 1 OR outcome <> 'OK' OR email NOT IN ('jan@barasek.com', 'eva@barasek.com')";
    assert_eq!(app.count(other_attempts), 0);
}

/// Nobody is let in who has not been authorized, and nobody is throttled.
const UNAUTHORIZED: &str = r#"
    [throttle]
    email.burst = 0
    [sign_in]
    new_customer_email = "unauthorized""#;

#[test]
fn no_column_of_a_new_customer_is_set_by_a_field_of_its_name() {
    let app = spawn_app_with(UNAUTHORIZED);
    let fields = undocumented_fields(&app);
    let mut number = 0;
    for value in values() {
        for (form, _) in bodies(("email", JAN), &[], &value) {
            number += 1;
            let email = format!("c{number}@barasek.com");
            let (_, body) = bodies(("email", &email), &fields, &value).into_iter().find(|body| body.0 == form).unwrap();
            assert_eq!(app.shop().post(MAGIC_AUTH, form, &body).code(), "E007", "{form} {value}");
        }
    }
    let as_without_them = "email = email_canonical AND organisation_id = 1 AND registered_at = created_at
        AND coalesce(phone, first_name, last_name, company_name, email_authorized_at, referred_by, erased_at, countries)
            IS NULL
        AND session_epoch = 0 AND abs(created_at - unixepoch() * 1000) < 600000";
    assert_eq!(app.count(&format!("SELECT count(*) FROM customers WHERE {as_without_them}")), number);
    assert_eq!(app.count("SELECT count(*) FROM sessions"), 0);
}

#[test]
fn no_route_makes_a_key() {
    let app = spawn_app();
    let keys = || everybody(&app).into_iter().filter(|row| row.starts_with("api_keys")).collect::<Vec<_>>();
    let before = keys();
    let body = json!({ "userId": 1, "organisation": "shop", "kind": "root", "name": "x", "permissions": ["all"] });
    let description = app.client("").get("/openapi.json").json();
    let described = description["paths"].as_object().unwrap().keys().map(String::as_str);
    let guessed =
        ["/api/v1/key", "/api/v1/keys", "/api/v1/api-key/create", "/api/auth/api-key/create", "/admin", "/keys"];
    for path in described.chain(guessed) {
        for client in [app.client(""), app.shop(), app.client(SHOP_ROOT)] {
            let reply = client.post(path, "application/json", &body.to_string());
            assert!(!["PROD", "DEV_", "ROOT"].iter().any(|prefix| reply.text.contains(prefix)), "{path}: {reply:?}");
            assert!(reply.status >= 400, "{path}: {reply:?}");
        }
    }
    assert_eq!(keys(), before);
}

// CVE-2026-31813 (Supabase Auth): what somebody else vouched for led to the victim's account.

#[test]
fn neither_telephone_nor_reference_nor_identity_leads_to_an_account() {
    let app = spawn_app();
    let shop = app.shop();
    let of_eva = shop.identity(EVA);
    app.database().execute("UPDATE customers SET phone = '+420777123456'", []).unwrap();
    let eva = shop.account_info(&of_eva).json();
    let names = ["cuRefNo", "cu_ref_no", "referralId", "phone", "identityId", "emailCanonical", "customerId"];
    for value in [&eva["cuRefNo"], &eva["phone"], &eva["email"], &eva["identityId"], &json!(1)] {
        let mut body = json!({ "email": "mallory@barasek.com" });
        for name in names {
            body[name] = value.clone();
        }
        if !value.is_string() {
            body["referralId"] = json!(null);
        }
        let mallory = shop.account_info(&shop.magic_auth(&body).identity()).json();
        assert_eq!(mallory["email"], "mallory@barasek.com");
        assert_ne!(mallory["cuRefNo"], eva["cuRefNo"]);
    }
    assert_eq!(app.count("SELECT count(*) FROM customers"), 2);
    assert_eq!(shop.account_info(&of_eva).json(), eva);
}

// CVE-2024-38351 and CVE-2026-44166 (PocketBase): whoever named an address first had an account that its owner was
// then let into. (That no other organisation does: `isolation`.)

#[test]
fn who_waits_to_be_authorized_has_no_way_around_it() {
    let app = spawn_app_with(UNAUTHORIZED);
    let spellings =
        ["jan.novak@gmail.com", "JanNovak@Gmail.com", "jan.novak+shop@googlemail.com", " j.annovak@gmail.com "];
    let attempts = |client: &Client| -> Vec<String> {
        let of = |email: &str| {
            let fields = ["email_authorized_at", "emailAuthorizedAt", "authorized"].map(str::to_owned);
            bodies(("email", email), &fields, &json!(1))
        };
        let post = |(form, body): (&str, String)| {
            [MAGIC_AUTH, "/contact/v1/magic-auth"].map(|path| client.post(path, form, &body))
        };
        spellings.into_iter().flat_map(of).flat_map(post).map(|reply| reply.code()).collect()
    };
    for key in [SHOP, SHOP_DEV, SHOP_ROOT] {
        let codes = attempts(&app.client(key));
        assert!(codes.len() == 32 && codes.iter().all(|code| code == "E007"), "{codes:?}");
    }
    assert_eq!(app.count("SELECT count(*) FROM sessions"), 0);
    assert_eq!(app.count("SELECT count(*) FROM customers"), 1);
    app.operator(&["authorize", spellings[0]]);
    assert!(attempts(&app.shop()).iter().all(String::is_empty));
}
