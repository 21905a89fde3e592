//! `customer duplicates`

use insta::assert_snapshot;
use serde_json::Value;

use super::{error, without_times};
use crate::app::{RIVAL, SHOP_DEV, TestApp, spawn_app, spawn_app_with};

/// Customers of a shop where every spelling is one, with numbers that say their order.
fn spellings() -> TestApp {
    let app = spawn_app_with("[email]\ncanonicalization = \"none\"\n[throttle]\nemail.burst = 0");
    for email in ["petr@outlook.com", "jan.barasek@gmail.com", "eva@barasek.com", "jan+a@barasek.com"] {
        app.shop().identity(email);
    }
    app.insert_guest("petr+shop@outlook.com", true);
    for email in ["janbarasek+x@googlemail.com", "jan@barasek.com", "JanBarasek@gmail.com"] {
        app.shop().identity(email);
    }
    app.client(RIVAL).identity("eva@gmail.com");
    app.database().execute("UPDATE customers SET cu_ref_no = printf('CUREFNO%09d', id)", []).unwrap();
    app
}

fn duplicates(app: &TestApp, more: &[&str]) -> String {
    without_times(&app.operator(&[&["duplicates"], more].concat()))
}

#[test]
fn those_who_would_fall_together_are_listed_in_groups() {
    assert_snapshot!(duplicates(&spellings(), &[]), @r"
    cuRefNo           created                   registered                email
    CUREFNO000000001  0000-00-00T00:00:00.000Z  0000-00-00T00:00:00.000Z  petr@outlook.com
    CUREFNO000000005  0000-00-00T00:00:00.000Z  no: a guest               petr+shop@outlook.com

    CUREFNO000000002  0000-00-00T00:00:00.000Z  0000-00-00T00:00:00.000Z  jan.barasek@gmail.com
    CUREFNO000000006  0000-00-00T00:00:00.000Z  0000-00-00T00:00:00.000Z  janbarasek+x@googlemail.com
    CUREFNO000000008  0000-00-00T00:00:00.000Z  0000-00-00T00:00:00.000Z  janbarasek@gmail.com
    ");
}

#[test]
fn the_groups_can_be_json() {
    let app = spellings();
    let groups: Value = serde_json::from_str(&duplicates(&app, &["--json"])).unwrap();
    assert_eq!(groups.as_array().unwrap().len(), 2);
    assert_snapshot!(serde_json::to_string_pretty(&groups[0]).unwrap(), @r#"
    [
      {
        "createdAt": "0000-00-00T00:00:00.000Z",
        "cuRefNo": "CUREFNO000000001",
        "email": "petr@outlook.com",
        "registeredAt": "0000-00-00T00:00:00.000Z"
      },
      {
        "createdAt": "0000-00-00T00:00:00.000Z",
        "cuRefNo": "CUREFNO000000005",
        "email": "petr+shop@outlook.com",
        "registeredAt": null
      }
    ]
    "#);
    assert_eq!(duplicates(&app, &["--json", "--canonicalization", "none"]), "[]\n");
}

#[test]
fn when_nobody_would_it_is_said() {
    assert_snapshot!(duplicates(&spawn_app(), &[]), @"No addresses would fall together.");
    assert_snapshot!(duplicates(&spellings(), &["--canonicalization", "none"]), @"No addresses would fall together.");
}

#[test]
fn customers_of_an_earlier_setting_can_fall_together_without_rules_too() {
    let app = spawn_app();
    app.shop().identity("j.an@gmail.com");
    app.edit_config("workers = 2", "workers = 2\n[email]\ncanonicalization = \"none\"");
    let app = app.restart();
    app.shop().identity("j.an@gmail.com");
    assert_eq!(duplicates(&app, &["--canonicalization", "none"]).matches("j.an@gmail.com").count(), 2);
}

#[test]
fn sandbox_erased_and_phone_only_customers_fall_together_with_nobody() {
    let app = spawn_app();
    app.client(SHOP_DEV).identity("ok@magic.test");
    app.shop().identity("ok@magic.test");
    for number in 0..2 {
        let sql = "INSERT INTO customers (organisation_id, cu_ref_no, phone, created_at, erased_at)
            SELECT id, printf('CUREFNO%09d', ?1), iif(?1 = 0, '+420777123456', NULL), 1, iif(?1 = 0, NULL, 1)
            FROM organisations WHERE name = 'shop'";
        app.database().execute(sql, [number]).unwrap();
    }
    assert_eq!(app.count("SELECT count(*) FROM customers"), 4);
    assert_snapshot!(duplicates(&app, &[]), @"No addresses would fall together.");
}

#[test]
fn customers_beyond_the_first_page_are_seen() {
    let app = spawn_app_with("[email]\ncanonicalization = \"none\"");
    let sql = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 20500)
        INSERT INTO customers (organisation_id, cu_ref_no, email, email_canonical, created_at)
        SELECT o.id, printf('CUREFNO%09d', n), email, email, 1
        FROM organisations AS o, (
            SELECT n, CASE n WHEN 1 THEN 'jan@outlook.com' WHEN 20500 THEN 'jan+shop@outlook.com'
                ELSE printf('%d@outlook.com', n) END AS email
            FROM numbers
        )
        WHERE o.name = 'shop'";
    app.database().execute(sql, []).unwrap();
    assert_snapshot!(duplicates(&app, &[]), @r"
    cuRefNo           created                   registered                email
    CUREFNO000000001  0000-00-00T00:00:00.000Z  no: a guest               jan@outlook.com
    CUREFNO000020500  0000-00-00T00:00:00.000Z  no: a guest               jan+shop@outlook.com
    ");
}

#[test]
fn what_cannot_be_asked_is_an_error() {
    let app = spawn_app();
    assert_snapshot!(error(&app.folder, &["customer", "duplicates"]), @"magic-auth: there are several organisations; choose one with --organisation: rival, shop");
    assert_eq!(app.cli(&["customer", "duplicates", "--canonicalization", "all"]).status.code(), Some(2));
}
