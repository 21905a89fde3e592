//! `customer erase`: nothing of the person is left in the files, and all else is as it was.

use std::collections::HashMap;
use std::fs::{File, read};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::process::{Command, Stdio};

use insta::assert_snapshot;
use memchr::memmem;
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::import::{import, imported, rows, said, shop, write};
use super::{cu_ref_no, error, without_times};
use crate::app::{RIVAL, TestApp, cli, spawn_app, spawn_app_with};
use crate::process::eventually;

/// Whether the bytes stand anywhere in the database's files.
fn is_found(folder: &TempDir, text: &str) -> bool {
    let files = ["magic-auth.db", "magic-auth.db-wal", "magic-auth.db-shm"].map(|name| folder.path().join(name));
    files.iter().filter_map(|file| read(file).ok()).any(|bytes| memmem::find(&bytes, text.as_bytes()).is_some())
}

fn erase(folder: &TempDir, who: &str) -> String {
    let said = said(folder, &cli(folder, &["customer", "erase", "--organisation", "shop", who, "--yes"]));
    assert!(!said.contains("exit code"), "{said}");
    said
}

/// Erika, who has done and suffered all that is recorded.
fn with_history() -> (TestApp, Vec<String>) {
    let app = spawn_app_with("[sign_in]\nunknown_email = \"refuse\"\n[throttle.email]\nburst = 6");
    let sign_in = |email: &str, ip: &str| app.shop().magic_auth(&json!({ "email": email, "customerRealIp": ip }));
    assert_eq!(sign_in("Erika+early@gmail.com", "203.0.113.71").code(), "E002");
    let csv = "email,phone,firstName,lastName,companyName,cuRefNo,referralId\n\
               E.rika@gmail.com,+420777999888,Erika,Mustermannová,\"Muster, a.s.\",customer00000001,reference0000000\n\
               friend@x.cz,,,,,customer00000002,customer00000001\n";
    import(&app.folder, csv, &[]);
    let others = (0..300).map(|number| format!("other{number}@x.cz,Name,Other\n")).collect::<Vec<_>>().concat();
    import(&app.folder, format!("email,firstName,lastName\n{others}"), &[]);
    let identities = [sign_in("ERIKA@googlemail.com", "203.0.113.72"), sign_in("e.rika@gmail.com", "2001:db8::73")];
    app.operator(&["ban", "e.rika@gmail.com", "--reason", "an unpaid invoice", "--keep-sessions"]);
    assert_eq!(sign_in("erika@gmail.com", "203.0.113.74").code(), "E005");
    app.operator(&["unban", "customer00000001"]);
    while sign_in("er.ika+flood@gmail.com", "203.0.113.75").code() != "E006" {}
    eventually(|| app.count("SELECT count(*) FROM login_attempts WHERE outcome = 'E006'") == 1);
    (app, identities.map(|reply| reply.identity()).to_vec())
}

#[test]
fn nothing_of_the_person_is_left_in_the_files() {
    let (app, identities) = with_history();
    let texts = [
        "e.rika@gmail.com",
        "erika@gmail.com",
        "erika+early@gmail.com",
        "er.ika+flood@gmail.com",
        "777999888",
        "Erika",
        "Mustermannov",
        "Muster, a.s.",
        "unpaid invoice",
        "203.0.113.7",
        "2001:db8::73",
        "reference0000000",
    ];
    for text in texts {
        assert!(is_found(&app.folder, text), "{text} is not there to be erased");
    }
    assert!(identities.iter().all(|identity| app.shop().is_logged_in(identity)));
    assert_snapshot!(erase(&app.folder, "Erika@gmail.com"), @"Erased customer00000001: address, number, names, bans, sessions and IP addresses. Backups and exports still have them.");
    for text in texts {
        assert!(!is_found(&app.folder, text), "{text} is left");
    }
    for identity in identities {
        assert_eq!(app.shop().account_info(&identity).text, r#"{"loggedIn":false}"#);
    }
}

#[test]
fn what_stays_is_the_cu_ref_no_the_referrals_and_how_attempts_ended() {
    let (app, _) = with_history();
    let attempts = "SELECT group_concat(outcome || count) FROM login_attempts";
    let before = rows(&app.folder, attempts);
    erase(&app.folder, "customer00000001");
    assert_eq!(rows(&app.folder, attempts), before);
    let friend: Value = serde_json::from_str(&app.operator(&["show", "friend@x.cz", "--json"])).unwrap();
    assert_eq!(friend["referralId"], "customer00000001");
    assert_snapshot!(without_times(&app.operator(&["show", "customer00000001"])), @"
    customer
    cuRefNo   customer00000001
    created   0000-00-00T00:00:00.000Z
    erased    0000-00-00T00:00:00.000Z
    referred  customer00000002
    banned    no

    No bans.

    No sessions.

    attempt at                organisation  key        outcome  count  email  cuRefNo           ip  origin
    0000-00-00T00:00:00.000Z  shop          PROD…0000  OK       1      -      customer00000001  -   -
    0000-00-00T00:00:00.000Z  shop          PROD…0000  OK       1      -      customer00000001  -   -
    0000-00-00T00:00:00.000Z  shop          PROD…0000  E005     1      -      customer00000001  -   -
    0000-00-00T00:00:00.000Z  shop          PROD…0000  OK       1      -      customer00000001  -   -
    0000-00-00T00:00:00.000Z  shop          PROD…0000  OK       1      -      customer00000001  -   -
    ");
    assert_eq!(rows(&app.folder, "PRAGMA integrity_check"), ["ok"]);
    assert_eq!(app.count("SELECT count(*) FROM customers WHERE email LIKE 'other%@x.cz'"), 300);
    app.shop().identity("friend@x.cz");
}

#[test]
fn who_was_erased_can_come_again_as_somebody_new() {
    let app = spawn_app();
    let first = cu_ref_no(&app, "jan@barasek.com");
    erase(&app.folder, "jan@barasek.com");
    let second = cu_ref_no(&app, "jan@barasek.com");
    assert_ne!(second, first);
    let csv = format!("email,cuRefNo,referralId\nnew@x.cz,{first},\nbrought@x.cz,,{first}\n");
    assert_snapshot!(said(&app.folder, &import(&app.folder, csv, &[])), @"
    Imported 1 customer; there already: 0. Referrals still waiting for their referrer, in all: 1.
    line 2: cuRefNo: belongs, or once belonged, to another customer
    magic-auth: one row is wrong and was not imported
    exit code 1
    ");
    let body = json!({ "email": "late@x.cz", "referralId": first });
    app.shop().magic_auth(&body).identity();
    assert_eq!(app.count("SELECT count(*) FROM customers WHERE referred_by IS NOT NULL"), 0);
}

#[test]
fn nothing_else_can_be_done_to_who_was_erased() {
    let app = spawn_app();
    let reference = cu_ref_no(&app, "jan@barasek.com");
    erase(&app.folder, "jan@barasek.com");
    let run = |command: &str, more: &[&str]| {
        let arguments = [&["customer", command, "--organisation", "shop", &reference], more].concat();
        error(&app.folder, &arguments).replace(&reference, "CUREFNO")
    };
    for (command, more) in [
        ("ban", &["--reason", "fraud"][..]),
        ("unban", &[]),
        ("authorize", &[]),
        ("deauthorize", &[]),
        ("register", &[]),
        ("sign-out", &[]),
        ("set-email", &["jan@barasek.com"]),
    ] {
        assert_eq!(run(command, more), "magic-auth: CUREFNO was erased");
    }
    assert_eq!(
        error(&app.folder, &["customer", "show", "--organisation", "shop", "jan@barasek.com"]),
        "magic-auth: there is no customer jan@barasek.com"
    );
    // Once more does no harm.
    let at = || rows(&app.folder, "SELECT erased_at FROM customers");
    let before = at();
    erase(&app.folder, &reference);
    assert_eq!(at(), before);
}

#[test]
fn it_asks_first_and_without_a_terminal_wants_yes() {
    let app = spawn_app();
    let reference = cu_ref_no(&app, "jan@barasek.com");
    let refused = error(&app.folder, &["customer", "erase", "--organisation", "shop", "jan@barasek.com"]);
    assert_snapshot!(refused.replace(&reference, "CUREFNO"), @"magic-auth: there is no terminal to ask on: use --yes to erase jan@barasek.com (CUREFNO) for good");
    app.shop().identity("jan@barasek.com");
    assert_eq!(
        error(&app.folder, &["customer", "erase", "--organisation", "rival", &reference, "--yes"]),
        format!("magic-auth: there is no customer {reference}")
    );
}

#[test]
fn at_a_terminal_it_erases_whoever_is_confirmed_by_yes_and_nobody_else() {
    let app = spawn_app();
    let reference = cu_ref_no(&app, "jan@barasek.com");
    let config = app.folder.path().join("config.toml");
    let command = format!(
        "{} --config {} customer erase --organisation shop {reference}",
        env!("CARGO_BIN_EXE_magic-auth"),
        config.display()
    );
    // It gives a command a terminal.
    let answer = |answer: &str| {
        let mut script = Command::new("script")
            .args(["-qec", &command, "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        script.stdin.take().unwrap().write_all(answer.as_bytes()).unwrap();
        let output = script.wait_with_output().unwrap();
        assert!(String::from_utf8_lossy(&output.stdout).contains("There is no way back. Type yes: "), "{output:?}");
        output.status.success()
    };
    let is_there = || rows(&app.folder, "SELECT erased_at FROM customers") == ["-"];
    for no in ["no\n", "y\n", "\n"] {
        assert!(!answer(no) && is_there(), "{no:?}");
    }
    assert!(answer("yes\n") && !is_there());
}

#[test]
fn others_with_the_same_address_elsewhere_or_one_that_holds_it_stay() {
    let app = spawn_app();
    let rival = app.client(RIVAL);
    let others =
        ["xjan@x.cz", "jan@x.czech.com", "a.jan@x.cz", "jan@ax.cz"].map(|email| (email, cu_ref_no(&app, email)));
    let identity = rival.identity("jan@x.cz");
    let elsewhere = rival.account_info(&identity).json();
    app.shop().identity("jan@x.cz");
    erase(&app.folder, "jan@x.cz");
    for (email, reference) in others {
        assert_eq!(cu_ref_no(&app, email), reference);
    }
    assert_eq!(rival.account_info(&identity).json(), elsewhere);
    assert_eq!(app.count("SELECT count(*) FROM login_attempts WHERE mailbox IS NULL"), 1);
}

#[test]
fn what_another_organisation_knows_of_the_person_is_no_reason_to_rewrite_the_file() {
    let folder = shop();
    let contacts = write(&folder, "contacts", "email,phone\njan@x.cz,+420777123456\neva@x.cz,+420777123457\n");
    let customer = |organisation: &str, arguments: &[&str]| {
        let output = cli(&folder, &[&["customer"], arguments, &["--organisation", organisation]].concat());
        assert!(output.status.success(), "{output:?}");
    };
    for organisation in ["shop", "rival"] {
        customer(organisation, &["import", contacts.to_str().unwrap()]);
    }
    let database = Connection::open(folder.path().join("magic-auth.db")).unwrap();
    database.execute_batch("CREATE TABLE t AS SELECT zeroblob(100000); DROP TABLE t").unwrap();
    customer("shop", &["erase", "jan@x.cz", "--yes"]);
    customer("rival", &["erase", "eva@x.cz", "--yes"]);
    customer("rival", &["set-email", "jan@x.cz", "new@x.cz"]);
    assert_ne!(rows(&folder, "PRAGMA freelist_count"), ["0"]);
}

#[test]
fn an_address_is_forgotten_also_when_the_rules_were_others_when_it_came() {
    let app = spawn_app_with("[throttle.email]\nburst = 1");
    app.shop().identity("e.rika+tag@gmail.com");
    // Of a refusal nothing but the mailbox says whose it is.
    assert_eq!(app.shop().sign_in("er.ika@gmail.com").code(), "E006");
    eventually(|| app.count("SELECT count(*) FROM login_attempts WHERE outcome = 'E006'") == 1);
    app.edit_config(
        "[[organisation]]\n            name = \"rival\"",
        "[email]\ncanonicalization = \"none\"\n[[organisation]]\nname = \"rival\"",
    );
    let app = app.restart();
    let reference = rows(&app.folder, "SELECT cu_ref_no FROM customers").remove(0);
    erase(&app.folder, &reference);
    assert!(!is_found(&app.folder, "rika") && !is_found(&app.folder, "er.ika"));
    assert_eq!(app.count("SELECT count(*) FROM login_attempts WHERE mailbox IS NOT NULL"), 0);
}

/// Many customers, who came in the order of nobody's address or number, so that pages of the indexes were split
/// everywhere.
fn scattered() -> TempDir {
    let folder = shop();
    imported(&folder, "email\nfirst@x.cz\n");
    let database = Connection::open(folder.path().join("magic-auth.db")).unwrap();
    database
        .execute_batch(
            "PRAGMA secure_delete = ON; PRAGMA synchronous = OFF;
            WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 7918),
                c (k) AS (SELECT format('%05d', i * 4801 % 7919) FROM n)
            INSERT INTO customers (organisation_id, cu_ref_no, email, email_canonical, phone, created_at)
                SELECT 1, 'customer000' || k, 'c' || k || '@x.cz', 'c' || k || '@x.cz', '+420 7770' || k, 1 FROM c",
        )
        .unwrap();
    folder
}

/// Customers of whom SQLite has left a copy in the free parts of pages.
struct Leftovers {
    /// Of these, the address.
    by_email: Vec<String>,
    /// Of these, only the number.
    by_phone: Vec<String>,
}

fn leftovers(folder: &TempDir) -> Leftovers {
    let bytes = read(folder.path().join("magic-auth.db")).unwrap();
    let mut count = HashMap::<&[u8], usize>::new();
    memmem::find_iter(&bytes, "@x.cz").for_each(|end| *count.entry(&bytes[end - 6..end + 5]).or_default() += 1);
    memmem::find_iter(&bytes, "+420 7770").for_each(|at| *count.entry(&bytes[at..at + 14]).or_default() += 1);
    let (mut by_email, mut by_phone) = (Vec::new(), Vec::new());
    for number in 0..7_919 {
        let (email, phone) = (format!("c{number:05}@x.cz"), format!("+420 7770{number:05}"));
        // Twice in the row and once in the index; once in each.
        match (count[email.as_bytes()] > 3, count[phone.as_bytes()] > 2) {
            (true, _) => by_email.push(email),
            (false, true) => by_phone.push(email),
            (false, false) => {}
        }
    }
    Leftovers { by_email, by_phone }
}

/// Whether anything of a customer of [`scattered`] is found.
fn is_left(folder: &TempDir, email: &str) -> bool {
    is_found(folder, email) || is_found(folder, &format!("+420 7770{}", &email[1..6]))
}

#[test]
fn copies_that_sqlite_left_behind_are_gone_too() {
    let folder = scattered();
    let Leftovers { by_email, by_phone } = leftovers(&folder);
    for who in [&by_email[0], &by_phone[0]] {
        let copy = shop();
        std::fs::copy(folder.path().join("magic-auth.db"), copy.path().join("magic-auth.db")).unwrap();
        erase(&copy, who);
        assert!(!is_left(&copy, who), "{who} is left");
        assert_eq!(rows(&copy, "PRAGMA integrity_check"), ["ok"]);
        assert_eq!(rows(&copy, "SELECT count(*) FROM customers WHERE email IS NOT NULL"), ["7919"]);
    }
}

#[test]
fn while_somebody_reads_it_says_what_is_left_and_erasing_again_finishes() {
    let folder = scattered();
    let who = &leftovers(&folder).by_email[0];
    let reference = format!("customer000{}", &who[1..6]);
    let reader = Connection::open(folder.path().join("magic-auth.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM customers LIMIT 1").unwrap();
    let arguments = ["customer", "erase", "--organisation", "shop", who, "--yes"];
    assert_snapshot!(error(&folder, &arguments).replace(&reference, "CUREFNO"), @"magic-auth: CUREFNO is erased, but traces may remain in free parts of the file: erase CUREFNO again: a command or program that reads the database keeps its -wal from being emptied: end it, and try again");
    drop(reader);
    assert!(is_left(&folder, who), "there is nothing to finish");
    erase(&folder, &reference);
    assert!(!is_left(&folder, who));
}

/// Gives a customer of `shop` another address, and gives all that is said.
fn set_email(folder: &TempDir, who: &str, address: &str) -> String {
    said(folder, &cli(folder, &["customer", "set-email", "--organisation", "shop", who, address]))
}

#[test]
fn copies_of_an_address_that_was_changed_are_gone_too() {
    let folder = scattered();
    let who = &leftovers(&folder).by_email[0];
    set_email(&folder, who, "new@barasek.com");
    assert!(!is_found(&folder, who), "{who} is left");
    assert_eq!(rows(&folder, "PRAGMA integrity_check"), ["ok"]);
    assert_eq!(rows(&folder, "SELECT count(*) FROM customers WHERE email IS NOT NULL"), ["7920"]);
}

#[test]
fn while_somebody_reads_the_address_is_changed_and_setting_it_again_finishes() {
    let folder = scattered();
    let who = &leftovers(&folder).by_email[0];
    let reference = format!("customer000{}", &who[1..6]);
    let reader = Connection::open(folder.path().join("magic-auth.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM customers LIMIT 1").unwrap();
    assert_snapshot!(set_email(&folder, who, "new@barasek.com").replace(&reference, "CUREFNO"), @"
    The address of CUREFNO is now new@barasek.com, not authorized (see magic-auth customer authorize).
    the old address may remain in free parts of the file: set the new one again: a command or program that reads the database keeps its -wal from being emptied: end it, and try again
    ");
    drop(reader);
    assert!(is_found(&folder, who), "there is nothing to finish");
    set_email(&folder, &reference, "new@barasek.com");
    assert!(!is_found(&folder, who));
}

#[test]
fn a_change_of_address_rewrites_the_file_only_when_there_is_a_reason() {
    let app = spawn_app();
    import(&app.folder, "email,phone\nold@gmail.com,+420777123456\n", &[]);
    app.shop().identity("old@gmail.com");
    app.database().execute_batch("CREATE TABLE t AS SELECT zeroblob(100000); DROP TABLE t").unwrap();
    let is_rewritten = |address: &str| {
        app.operator(&["set-email", "+420777123456", address]);
        app.count("PRAGMA freelist_count") == 0
    };
    assert!(!is_rewritten("o.ld@gmail.com") && !is_rewritten("new@barasek.com"));
    assert!(is_rewritten("new@barasek.com"));
}

#[test]
fn copies_of_attempts_for_an_earlier_address_are_gone_too() {
    let app = spawn_app();
    app.shop().identity("old@barasek.com");
    app.operator(&["set-email", "old@barasek.com", "new@barasek.com"]);
    // Where SQLite may have left one: between the rows of a page.
    let page = app.count("SELECT rootpage FROM sqlite_schema WHERE name = 'bans'") - 1;
    let place = u64::try_from(page * app.count("PRAGMA page_size") + 2_000).unwrap();
    let mailbox = app.count("SELECT mailbox FROM login_attempts").to_be_bytes();
    let copy = [&mailbox, "old@barasek.com".as_bytes()].concat();
    File::options().write(true).open(app.database_path()).unwrap().write_all_at(&copy, place).unwrap();
    assert!(is_found(&app.folder, "old@barasek.com"));
    app.operator(&["erase", "new@barasek.com", "--yes"]);
    assert!(!is_found(&app.folder, "old@barasek.com"));
}

#[test]
fn an_address_that_never_signed_in_is_erased_too() {
    let app = spawn_app_with("[sign_in]\nunknown_email = \"refuse\"");
    assert_eq!(app.shop().sign_in("old@barasek.com").code(), "E002");
    import(&app.folder, "email\nold@barasek.com\n", &[]);
    app.operator(&["set-email", "old@barasek.com", "new@barasek.com"]);
    app.operator(&["erase", "new@barasek.com", "--yes"]);
    let attempts = app.cli_ok(&["attempts"]);
    assert!(attempts.contains("E002") && !attempts.contains("barasek.com"), "{attempts}");
}

#[test]
fn an_address_that_the_customer_had_before_is_erased_too_and_not_that_of_who_has_it_now() {
    let app = spawn_app();
    for _ in 0..12 {
        app.shop().sign_in("old@barasek.com");
    }
    eventually(|| app.count("SELECT count(*) FROM login_attempts WHERE outcome = 'E006'") > 0);
    app.operator(&["set-email", "old@barasek.com", "new@barasek.com"]);
    app.advance(std::time::Duration::from_hours(1));
    for _ in 0..10 {
        assert_eq!(app.shop().sign_in("old@barasek.com").code(), "");
    }
    assert_eq!(app.shop().sign_in("old@barasek.com").code(), "E006");
    eventually(|| app.cli_ok(&["attempts", "--outcome", "E006"]).contains("old@barasek.com"));
    app.operator(&["erase", "new@barasek.com", "--yes"]);
    let attempts = app.cli_ok(&["attempts"]);
    assert_eq!(attempts.matches("old@barasek.com").count(), 11, "{attempts}");
    assert!(!attempts.contains("new@barasek.com"), "{attempts}");
    assert!(app.operator(&["show", "old@barasek.com"]).contains("old@barasek.com"));
}
