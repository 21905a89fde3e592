//! `customer list`

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::Value;

use super::import::{import, imported, said, shop};
use super::without_times;
use crate::app::{SHOP_DEV, cli, spawn_app};

const CSV: &str = "email,phone,firstName,lastName,companyName,cuRefNo,registered,emailAuthorized,banned,banExpiresAt,createdAt\n\
    jan@barasek.com,,Jan,Barášek,,customer00000001,,,,,2020-01-01T00:00:00Z\n\
    eva@x.cz,+420777123456,Eva,Nováková,\"Čerň, s.r.o.\",customer00000002,,,true,,2020-01-02T00:00:00Z\n\
    guest@x.cz,,,,,customer00000003,false,,,,2020-01-03T00:00:00Z\n\
    later@x.cz,,İlker,STRASSE,,customer00000004,,false,,,2020-01-04T00:00:00Z\n\
    ,+1 4155552671,Phone,Only,,customer00000005,,,,,2020-01-05T00:00:00Z\n\
    over@x.cz,,,,,customer00000006,,,true,2021-01-01T00:00:00Z,2020-01-06T00:00:00Z\n";

/// The last characters of the `cuRefNo` of all who are listed.
fn listed(folder: &tempfile::TempDir, more: &[&str]) -> String {
    let output = cli(folder, &[&["customer", "list", "--organisation", "shop", "--json"], more].concat());
    let customers: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    customers.iter().map(|customer| customer["cuRefNo"].as_str().unwrap().chars().last().unwrap()).collect()
}

#[test]
fn the_newest_come_first_with_all_that_there_is_to_see() {
    let folder = shop();
    imported(&folder, CSV);
    let list = |more: &[&str]| {
        let output = cli(&folder, &[&["customer", "list", "--organisation", "shop"], more].concat());
        without_times(&said(&folder, &output))
    };
    assert_snapshot!(list(&[]), @"
    cuRefNo           email            phone           name           company       created                   state
    customer00000006  over@x.cz        -               -              -             0000-00-00T00:00:00.000Z  -
    customer00000005  -                +1 4155552671   Phone Only     -             0000-00-00T00:00:00.000Z  -
    customer00000004  later@x.cz       -               İlker STRASSE  -             0000-00-00T00:00:00.000Z  unauthorized
    customer00000003  guest@x.cz       -               -              -             0000-00-00T00:00:00.000Z  guest
    customer00000002  eva@x.cz         +420 777123456  Eva Nováková   Čerň, s.r.o.  0000-00-00T00:00:00.000Z  banned
    customer00000001  jan@barasek.com  -               Jan Barášek    -             0000-00-00T00:00:00.000Z  -
    ");
    assert_snapshot!(list(&["--limit", "1", "--after", "customer00000003", "--json"]), @r#"
    [
      {
        "cuRefNo": "customer00000002",
        "email": "eva@x.cz",
        "phone": "+420 777123456",
        "firstName": "Eva",
        "lastName": "Nováková",
        "companyName": "Čerň, s.r.o.",
        "createdAt": "0000-00-00T00:00:00.000Z",
        "registeredAt": "0000-00-00T00:00:00.000Z",
        "emailAuthorizedAt": "0000-00-00T00:00:00.000Z",
        "erasedAt": null,
        "referralId": null,
        "banned": true
      }
    ]
    "#);
    assert_snapshot!(list(&["--limit", "2"]), @"
    cuRefNo           email      phone          name        company  created                   state
    customer00000006  over@x.cz  -              -           -        0000-00-00T00:00:00.000Z  -
    customer00000005  -          +1 4155552671  Phone Only  -        0000-00-00T00:00:00.000Z  -

    There may be more: --after customer00000005
    ");
    assert_snapshot!(list(&["--search", "nobody"]), @"No customers.");
    assert_snapshot!(list(&["--after", "customer00000009"]), @"
    magic-auth: there is no customer customer00000009
    exit code 1
    ");
}

#[test]
fn each_filter_lets_through_whom_it_names() {
    let folder = shop();
    imported(&folder, CSV);
    for (filter, expected) in [
        (&[][..], "654321"),
        (&["--banned"], "2"),
        (&["--guests"], "3"),
        (&["--unauthorized"], "4"),
        (&["--banned", "--guests"], ""),
        (&["--since", "3d"], ""),
        (&["--since", "36500d"], "654321"),
        (&["--limit", "2"], "65"),
        (&["--limit", "0"], ""),
        (&["--after", "customer00000003"], "21"),
        (&["--after", "customer00000001"], ""),
        (&["--after", "customer00000004", "--limit", "1", "--search", "j"], "1"),
        (&["--unauthorized", "--search", "STRASSE"], "4"),
        (&["--unauthorized", "--search", "PHONE"], ""),
    ] {
        assert_eq!(listed(&folder, filter), expected, "{filter:?}");
    }
}

#[test]
fn case_and_accents_do_not_matter_to_a_search() {
    let folder = shop();
    imported(&folder, CSV);
    for (text, expected) in [
        ("BARASEK", "1"),
        ("Barášek", "1"),
        ("bara\u{301}s\u{30c}ek", "1"),
        ("cern, S.R.O.", "2"),
        ("ilker", "4"),
        ("strasse", "4"),
        ("777 123 456", "2"),
        ("+420 777 123 456", "2"),
        ("777 123 457", ""),
        (" ", "654321"),
        ("777123456", "2"),
        ("+420777123456", "2"),
        ("+420 777123456", "2"),
        ("@x.cz", "6432"),
        ("customer0000000", "654321"),
        ("Eva Nov", "2"),
        ("", "654321"),
        ("%", ""),
    ] {
        assert_eq!(listed(&folder, &["--search", text]), expected, "{text}");
    }
}

#[test]
fn page_by_page_everybody_is_listed_once() {
    let folder = shop();
    let rows = (0..25).map(|number| format!("c{number}@x.cz,customer000000{number:02}\n")).collect::<Vec<_>>().concat();
    imported(&folder, format!("email,cuRefNo\n{rows}"));
    let mut pages = Vec::new();
    let mut after = Vec::new();
    loop {
        let arguments =
            [&["customer", "list", "--organisation", "shop", "--json", "--limit", "4"], &after[..]].concat();
        let page: Vec<Value> = serde_json::from_slice(&cli(&folder, &arguments).stdout).unwrap();
        let Some(last) = page.last() else { break };
        let last: &'static str = last["cuRefNo"].as_str().unwrap().to_owned().leak();
        after = vec!["--after", last];
        pages.extend(page.iter().map(|customer| customer["cuRefNo"].as_str().unwrap().to_owned()));
    }
    let expected: Vec<_> = (0..25).rev().map(|number| format!("customer000000{number:02}")).collect();
    assert_eq!(pages, expected);
}

#[test]
fn a_filter_for_the_time_counts_from_now() {
    let app = spawn_app();
    app.shop().identity("jan@barasek.com");
    import(&app.folder, "email,createdAt\nold@x.cz,2020-01-01T00:00:00Z\n", &[]);
    let list = |more: &[&str]| app.operator(&[&["list"], more].concat()).contains("jan@barasek.com");
    assert!(list(&["--since", "1h"]));
    assert!(!app.operator(&["list", "--since", "1h"]).contains("old@x.cz"));
    std::thread::sleep(Duration::from_millis(3));
    assert!(!list(&["--since", "1ms"]));
}

#[test]
fn sandbox_customers_and_who_was_erased_are_nobody_to_list() {
    let app = spawn_app();
    app.client(SHOP_DEV).identity("ok@magic.test");
    import(&app.folder, CSV, &[]);
    app.operator(&["erase", "customer00000002", "--yes"]);
    assert_eq!(listed(&app.folder, &[]), "65431");
    // The place of who was erased is known still.
    assert_eq!(listed(&app.folder, &["--after", "customer00000002"]), "1");
}
