//! Importing what is there already: duplicates, and an import that is run again after it was stopped.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use insta::assert_snapshot;
use magic_auth::clock::Clock;
use tempfile::TempDir;

use super::{import, imported, rows, said, shop, write};
use crate::app::cli;
use crate::process::{eventually, send_signal};

#[test]
fn who_is_there_already_in_any_spelling_is_skipped_and_counted() {
    let folder = shop();
    let csv = "email,phone,firstName\n\
               jan.barasek@gmail.com,+420777123456,Jan\n\
               JanBarasek+shop@googlemail.com,,Twin\n\
               ,00420777123456,Twin\n\
               jan@barasek.com,,\n\
               jan+a@barasek.com,,\n";
    let expected = "Imported 3 customers; there already: 2.";
    assert_eq!(said(&folder, &import(&folder, csv, &["--default-country", "CZ"])), expected);
    let customers = ["jan.barasek@gmail.com|+420 777123456|Jan", "jan@barasek.com|-|-", "jan+a@barasek.com|-|-"];
    assert_eq!(rows(&folder, super::NAMES), customers);
    assert_eq!(imported(&folder, csv.replace(",00420", ",+420")), "Imported 0 customers; there already: 5.");
    assert_eq!(rows(&folder, super::NAMES), customers);
}

#[test]
fn somebody_else_with_the_telephone_of_a_customer_is_a_wrong_row() {
    let folder = shop();
    let csv = "email,phone,cuRefNo\n\
               jan@x.cz,+420777123456,customer00000001\n\
               eva@x.cz,+420 777 123 456,\n\
               ,+420777123456,\n\
               JAN@x.cz,+420777123456,\n";
    assert_snapshot!(imported(&folder, csv), @"
    Imported 1 customer; there already: 2.
    line 3: phone: belongs to customer00000001; leave it out to import this customer
    magic-auth: one row is wrong and was not imported
    exit code 1
    ");
    let wrong = folder.path().join("wrong.csv");
    let output = import(&folder, csv, &["--rejects", wrong.to_str().unwrap()]);
    assert_snapshot!(said(&folder, &output), @"
    Imported 0 customers; there already: 3.
    line 3: phone: belongs to customer00000001; leave it out to import this customer
    magic-auth: one row is wrong and was not imported
    exit code 1
    ");
    assert_eq!(std::fs::read_to_string(wrong).unwrap(), "email,phone,cuRefNo\neva@x.cz,+420 777 123 456,\n");
    // Who has got another address meanwhile is known by the cuRefNo.
    cli(&folder, &["customer", "set-email", "--organisation", "shop", "jan@x.cz", "jan@y.cz"]);
    let again = "email,phone,cuRefNo\njan@x.cz,+420777123456,customer00000001\n";
    assert_eq!(imported(&folder, again), "Imported 0 customers; there already: 1.");
    assert_eq!(rows(&folder, "SELECT email FROM customers"), ["jan@y.cz"]);
}

#[test]
fn the_ban_of_who_is_there_already_is_not_set_and_that_is_told() {
    let folder = shop();
    imported(&folder, "email,phone,banned\njan@x.cz,+420777123456,\neva@x.cz,,true\n");
    let csv = "email,phone,banned,banExpiresAt\n\
               jan@x.cz,,true,\n\
               ,+420777123456,true,2999-01-01T00:00:00Z\n\
               eva@x.cz,,true,\n\
               eva@x.cz,+420777123456,true,\n\
               jan@x.cz,,true,2021-01-01T00:00:00Z\n\
               jan@x.cz,,false,\n";
    assert_snapshot!(said(&folder, &import(&folder, csv, &["--json"])), @r#"
    {
      "imported": 0,
      "duplicates": 6,
      "bansNotSet": 3,
      "wrong": 0,
      "pendingReferrals": 0,
      "dryRun": false
    }
    line 2: is a customer already, so the ban was not set: see magic-auth customer ban
    line 3: is a customer already, so the ban was not set: see magic-auth customer ban
    line 5: is a customer already, so the ban was not set: see magic-auth customer ban
    "#);
    assert_eq!(rows(&folder, "SELECT customer_id FROM bans"), ["2"]);
}

#[test]
fn another_organisation_may_have_the_same_people() {
    let folder = shop();
    let csv = "email,cuRefNo\njan@barasek.com,customer00000001\n";
    imported(&folder, csv);
    let file = write(&folder, "rivals.csv", csv);
    let output = cli(&folder, &["customer", "import", "--organisation", "rival", file.to_str().unwrap()]);
    assert_eq!(said(&folder, &output), "Imported 1 customer; there already: 0.");
}

#[test]
fn a_cu_ref_no_that_is_somebody_elses_is_wrong() {
    let folder = shop();
    let csv = "email,cuRefNo\njan@x.cz,customer00000001\neva@x.cz,customer00000001\njan@x.cz,customer00000001\n";
    assert_snapshot!(imported(&folder, csv), @"
    Imported 1 customer; there already: 1.
    line 3: cuRefNo: belongs, or once belonged, to another customer
    magic-auth: one row is wrong and was not imported
    exit code 1
    ");
    assert_snapshot!(imported(&folder, "email,cuRefNo\nadam@x.cz,customer00000001\n"), @"
    Imported 0 customers; there already: 0.
    line 2: cuRefNo: belongs, or once belonged, to another customer
    magic-auth: one row is wrong and was not imported
    exit code 1
    ");
    assert_eq!(rows(&folder, "SELECT email, cu_ref_no FROM customers"), ["jan@x.cz|customer00000001"]);
}

/// All that the tables hold.
fn dump(folder: &TempDir) -> Vec<String> {
    let tables = rows(folder, "SELECT name FROM sqlite_schema WHERE type = 'table'");
    tables.iter().flat_map(|table| rows(folder, &format!("SELECT '{table}', * FROM {table}"))).collect()
}

fn files(folder: &TempDir) -> Vec<String> {
    let names =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[test]
fn a_dry_run_says_what_would_be_done_and_changes_nothing() {
    let folder = shop();
    let before = "email,cuRefNo,referralId\nold@x.cz,customer00000001,\nyoung@x.cz,,customer00000002\n";
    imported(&folder, before);
    let csv = "email,cuRefNo,referralId,extra\nold@x.cz,,,\nnew@x.cz,customer00000002,,\nbad,,,\n\
               third@x.cz,customer00000001,,\nfourth@x.cz,,nobody0000000000,\nnew@x.cz,,,\n";
    let (dumped, files_before) = (dump(&folder), files(&folder));
    let dry = said(&folder, &import(&folder, csv, &["--dry-run"]));
    assert_eq!(dump(&folder), dumped);
    assert_eq!(files(&folder), files_before);
    let real = imported(&folder, csv);
    assert_eq!(dry.replace("Would import", "Imported"), real);
    assert_snapshot!(dry, @r#"
    Would import 2 customers; there already: 2. Referrals still waiting for their referrer, in all: 1.
    ignored columns: "extra"
    line 4: email: an e-mail address is a local part, one @ and a domain
    line 5: cuRefNo: belongs, or once belonged, to another customer
    magic-auth: 2 rows are wrong and were not imported
    exit code 1
    "#);
    assert_ne!(dump(&folder), dumped);
}

#[test]
fn a_dry_run_can_come_before_all_else() {
    let folder = shop();
    let dry_run = || {
        let before = files(&folder);
        assert_eq!(
            said(&folder, &import(&folder, "email\na@x.cz\n", &["--dry-run"])),
            "Would import 1 customer; there already: 0."
        );
        std::fs::remove_file(folder.path().join("contacts")).unwrap();
        assert_eq!(files(&folder), before);
    };
    dry_run();
    // Whoever was killed before it made the tables leaves this.
    write(&folder, "magic-auth.db", "");
    dry_run();
}

#[test]
fn an_unknown_organisation_is_told_which_there_are_and_nothing_is_made() {
    let folder = shop();
    let file = write(&folder, "contacts", "email\njan@x.cz\n");
    let run =
        |more: &[&str]| said(&folder, &cli(&folder, &[&["customer", "import", file.to_str().unwrap()], more].concat()));
    let unknown = run(&["--organisation", "shops"]);
    assert_snapshot!(unknown, @r#"
    magic-auth: there is no organisation "shops"; there are: shop, rival
    exit code 1
    "#);
    assert_snapshot!(run(&[]), @"
    magic-auth: there are several organisations; choose one with --organisation: shop, rival
    exit code 1
    ");
    assert!(!folder.path().join("magic-auth.db").exists());
    run(&["--organisation", "shop"]);
    assert_eq!(run(&["--organisation", "shops"]), unknown.replace("shop, rival", "rival, shop"));
}

/// So many rows, each with an address and a name, brought by the row behind it.
fn many(count: usize) -> String {
    let row = |number: usize| {
        let behind = (number + 1) % count;
        format!("c{number}@x.cz,Name {number},reference{number:07},reference{behind:07}\n")
    };
    let header = "email,firstName,cuRefNo,referralId\n".to_owned();
    std::iter::once(header).chain((0..count).map(row)).collect()
}

fn start(folder: &TempDir, file: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_magic-auth"));
    command.arg("--config").arg(folder.path().join("config.toml"));
    command.args(["customer", "import", "--organisation", "shop", file]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// All that tells customers apart.
const CUSTOMERS: &str = "SELECT c.email, c.first_name, c.cu_ref_no, r.cu_ref_no
    FROM customers AS c LEFT JOIN customers AS r ON r.id = c.referred_by ORDER BY c.id";

#[test]
fn an_import_that_is_killed_is_completed_by_running_it_again() {
    const ROUNDS: u32 = 6;
    let csv = many(2_000);
    let folder = shop();
    let file = write(&folder, "contacts.csv", &csv);
    let file = file.to_str().unwrap();
    let clock = Clock::system();
    let begin = clock.steady();
    assert!(start(&folder, file).wait().unwrap().success());
    let whole = clock.steady().saturating_sub(begin);
    let complete = rows(&folder, CUSTOMERS);
    assert!(complete.len() == 2_000 && complete.iter().all(|row| !row.ends_with("|-")), "{}", complete[0]);

    for round in 1..ROUNDS {
        let folder = shop();
        let mut child = start(&folder, file);
        std::thread::sleep(whole * round / ROUNDS);
        child.kill().unwrap();
        child.wait().unwrap();
        let output = start(&folder, file).wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(rows(&folder, CUSTOMERS), complete);
        assert_eq!(rows(&folder, "SELECT * FROM pending_referrals"), [""; 0]);
    }
}

#[test]
fn ctrl_c_says_how_far_it_came_and_running_it_again_imports_the_rest() {
    let folder = shop();
    let csv = many(2_000);
    let lines: Vec<_> = csv.lines().collect();
    imported(&folder, "");
    let mut child = start(&folder, "-");
    let mut pipe = child.stdin.take().unwrap();
    // More than it takes before it writes.
    pipe.write_all((lines[..=600].join("\n") + "\n").as_bytes()).unwrap();
    eventually(|| !rows(&folder, "SELECT id FROM customers").is_empty());
    send_signal(child.id(), "INT");
    // It is said at once, while it waits for a row.
    let mut told = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    stderr.read_line(&mut told).unwrap();
    assert_eq!(told, "stopping after this row; press Ctrl-C again to end at once\n");
    let mut rest = lines[601..].iter();
    eventually(|| {
        // It ends at the next row, if the signal was there before it.
        let line = rest.next().unwrap();
        child.try_wait().unwrap().is_some() || pipe.write_all(format!("{line}\n").as_bytes()).is_err()
    });
    let mut output = child.wait_with_output().unwrap();
    stderr.read_to_end(&mut output.stderr).unwrap();
    let count = rows(&folder, "SELECT id FROM customers").len();
    assert!((200..=1_000).contains(&count), "{count}");
    let line = count + 1;
    assert_eq!(
        said(&folder, &output),
        format!(
            "Imported {count} customers; there already: 0. Referrals still waiting for their referrer, in all: 1.\n\
            magic-auth: interrupted: stopped at line {line} ({count} customers so far, kept): run it again to import the rest\n\
            exit code 1"
        )
    );
    let expected = format!("Imported {} customers; there already: {count}.", 2_000 - count);
    assert_eq!(imported(&folder, &csv), expected);
}

#[test]
fn a_full_disk_says_where_it_stopped_and_running_it_again_imports_the_rest() {
    let folder = shop();
    let csv = many(2_000);
    let file = write(&folder, "contacts.csv", &csv);
    // Blocks of 512 bytes. The signal that comes with the limit would be no full disk.
    let limited = "trap '' XFSZ; ulimit -f 800; exec \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", limited, "sh", env!("CARGO_BIN_EXE_magic-auth"), "--config"]);
    command.arg(folder.path().join("config.toml")).args(["customer", "import", "--organisation", "shop"]).arg(file);
    let said = said(&folder, &command.output().unwrap());
    let count = rows(&folder, "SELECT id FROM customers").len();
    assert!(count > 0 && count.is_multiple_of(200), "{count} {said}");
    let line = count + 201;
    let expected = format!(
        "magic-auth: stopped at line {line} ({count} customers so far, kept): run it again to import the rest: database error: "
    );
    assert!(said.starts_with(&expected) && said.ends_with("\nexit code 1"), "{said}");
    let expected = format!("Imported {} customers; there already: {count}.", 2_000 - count);
    assert_eq!(imported(&folder, &csv), expected);
    assert_eq!(rows(&folder, "PRAGMA integrity_check"), ["ok"]);
}
