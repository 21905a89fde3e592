//! What a running server makes of imported customers.

use serde_json::json;

use super::{import, rows, said};
use crate::app::{SHOP_ROOT, TestApp, spawn_app, spawn_app_with};

const CSV: &str = "email,phone,firstName,cuRefNo,registered,emailAuthorized,banned\n\
    jan@x.cz,+420777123456,Honza,customer00000001,,,\n\
    guest@x.cz,,,customer00000002,false,,\n\
    unauthorized@x.cz,,,customer00000003,,false,\n\
    banned@x.cz,,,customer00000004,,,true\n\
    ,+420777123457,Eva,customer00000005,,,\n";

fn with_customers(more: &str) -> TestApp {
    let app = spawn_app_with(more);
    assert_eq!(said(&app.folder, &import(&app.folder, CSV, &[])), "Imported 5 customers; there already: 0.");
    app
}

#[test]
fn imported_customers_sign_in_and_keep_cu_ref_no_and_names() {
    let app = with_customers("");
    let body = json!({ "email": "Jan@X.cz", "firstName": "Jan", "lastName": "Barášek" });
    let identity = app.shop().magic_auth(&body).identity();
    let account = app.shop().account_info(&identity).json();
    assert_eq!(account["cuRefNo"], "customer00000001");
    assert_eq!((&account["firstName"], &account["lastName"]), (&json!("Honza"), &json!("Barášek")));
    assert_eq!(account["phone"], "+420 777123456");
    assert_eq!(app.count("SELECT count(*) FROM customers"), 5);
}

#[test]
fn each_state_is_answered_with_its_code() {
    let app = with_customers("");
    let shop = app.shop();
    assert_eq!(shop.sign_in("banned@x.cz").code(), "E005");
    assert_eq!(shop.sign_in("unauthorized@x.cz").code(), "E007");
    let identity = shop.identity("guest@x.cz");
    assert_eq!(shop.account_info(&identity).json()["cuRefNo"], "customer00000002");
    let registered =
        "SELECT count(*) FROM customers WHERE cu_ref_no = 'customer00000002' AND registered_at IS NOT NULL";
    assert_eq!(app.count(registered), 1);
    let strict = with_customers("[sign_in]\nguest = \"refuse\"\nunknown_email = \"refuse\"");
    assert_eq!(strict.shop().sign_in("guest@x.cz").code(), "E003");
    assert_eq!(strict.shop().sign_in("nobody@x.cz").code(), "E002");
}

#[test]
fn addresses_count_as_authorized_when_those_of_new_customers_do() {
    let app = with_customers("[sign_in]\nnew_customer_email = \"unauthorized\"");
    assert_eq!(app.shop().sign_in("jan@x.cz").code(), "E007");
    assert_eq!(
        said(&app.folder, &import(&app.folder, "email,emailAuthorized\nyes@x.cz,true\n", &[])),
        "Imported 1 customer; there already: 0."
    );
    app.shop().identity("yes@x.cz");
}

#[test]
fn a_phone_only_contact_has_no_email_until_the_operator_gives_one() {
    let app = with_customers("");
    let show = |who: &str| serde_json::from_str::<serde_json::Value>(&app.operator(&["show", who, "--json"])).unwrap();
    let shown = show("+420 777 123 457");
    assert_eq!((&shown["email"], &shown["emailAuthorizedAt"]), (&json!(null), &json!(null)));
    assert_eq!(shown["cuRefNo"], "customer00000005");
    let failed = app.cli(&["customer", "authorize", "--organisation", "shop", "+420777123457"]);
    assert_eq!(
        said(&app.folder, &failed),
        "magic-auth: +420 777123457 (customer00000005) has no e-mail address: see magic-auth customer set-email\nexit code 1"
    );
    let done = app.operator(&["set-email", "+420777123457", "Eva@X.cz"]);
    assert_eq!(done, "The address of customer00000005 is now eva@x.cz.\n");
    let identity = app.shop().identity("eva@x.cz");
    let account = app.shop().account_info(&identity).json();
    assert_eq!((&account["cuRefNo"], &account["firstName"]), (&json!("customer00000005"), &json!("Eva")));
    assert_eq!(account["email"], "eva@x.cz");
}

#[test]
fn an_import_and_sign_ins_of_the_same_addresses_make_one_customer_of_each() {
    const COUNT: usize = 1_200;
    let app = spawn_app();
    let csv = (0..COUNT).map(|number| format!("m.{number}@gmail.com\n")).collect::<Vec<_>>().concat();
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let root = app.client(SHOP_ROOT);
            std::thread::spawn(move || {
                // From the end, where the import comes last.
                for number in (0..COUNT).rev().filter(|number| number % 16 == thread) {
                    root.identity(&format!("m{number}+{thread}@googlemail.com"));
                }
            })
        })
        .collect();
    let output = import(&app.folder, format!("email\n{csv}"), &[]);
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(output.status.success(), "{}", said(&app.folder, &output));
    let counts = "SELECT count(*), count(DISTINCT email_canonical) FROM customers";
    assert_eq!(rows(&app.folder, counts), [format!("{COUNT}|{COUNT}")]);
    assert_eq!(app.count("SELECT count(*) FROM sessions"), i64::try_from(COUNT / 4).unwrap());
}
