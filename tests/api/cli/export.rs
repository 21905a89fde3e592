//! `customer export`: what it writes, and that an import reads back exactly that.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Command, Stdio};

use insta::assert_snapshot;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::import::{import, imported, said, shop, write};
use super::overwrite_root_of;
use crate::app::{SHOP_DEV, TestApp, cli, spawn_app};

/// Exports the customers of an organisation to standard output.
fn exported(folder: &TempDir, organisation: &str, more: &[&str]) -> Vec<u8> {
    let output = cli(folder, &[&["customer", "export", "-", "--organisation", organisation], more].concat());
    assert!(output.status.success() && output.stderr.is_empty(), "{}", said(folder, &output));
    output.stdout
}

const CSV: &str = "email,phone,firstName,lastName,companyName,cuRefNo,referralId,registered,emailAuthorized,banned,banReason,banExpiresAt,createdAt\n\
    jan@barasek.com,+420 777123456,Jan,\"'=Nov, \"\"x\"\"\",,customer00000001,customer00000002,true,true,true,card fraud,2999-01-01T00:00:00.000Z,2020-02-29T12:00:00.123Z\n\
    eva@x.cz,,,,eBay s.r.o.,customer00000002,nobody0000000000,false,false,false,,,2020-02-29T12:00:00.123Z\n\
    ,+1 4155552671,,,,customer00000003,,true,false,false,,,2020-02-29T12:00:00.124Z\n";

/// All that an export of nobody has.
fn export_header() -> String {
    CSV.lines().next().unwrap().to_owned() + "\n"
}

#[test]
fn what_is_exported_is_what_was_imported() {
    let folder = shop();
    imported(&folder, CSV);
    assert_eq!(String::from_utf8(exported(&folder, "shop", &[])).unwrap(), CSV);
    let lines = String::from_utf8(exported(&folder, "shop", &["--json"])).unwrap();
    assert_snapshot!(lines, @r#"
    {"email":"jan@barasek.com","phone":"+420 777123456","firstName":"Jan","lastName":"=Nov, \"x\"","companyName":null,"cuRefNo":"customer00000001","referralId":"customer00000002","registered":true,"emailAuthorized":true,"banned":true,"banReason":"card fraud","banExpiresAt":"2999-01-01T00:00:00.000Z","createdAt":"2020-02-29T12:00:00.123Z"}
    {"email":"eva@x.cz","phone":null,"firstName":null,"lastName":null,"companyName":"eBay s.r.o.","cuRefNo":"customer00000002","referralId":"nobody0000000000","registered":false,"emailAuthorized":false,"banned":false,"banReason":null,"banExpiresAt":null,"createdAt":"2020-02-29T12:00:00.123Z"}
    {"email":null,"phone":"+1 4155552671","firstName":null,"lastName":null,"companyName":null,"cuRefNo":"customer00000003","referralId":null,"registered":true,"emailAuthorized":false,"banned":false,"banReason":null,"banExpiresAt":null,"createdAt":"2020-02-29T12:00:00.124Z"}
    "#);
    assert_eq!(exported(&folder, "shop", &["--format", "jsonl"]), lines.as_bytes());
    assert_eq!(exported(&folder, "shop", &["--format", "csv", "--json"]), CSV.as_bytes());
    assert_eq!(String::from_utf8(exported(&folder, "rival", &[])).unwrap(), export_header());
    assert_eq!(exported(&folder, "rival", &["--json"]), b"");
}

/// Text of which spreadsheets, CSV and terminals have their own ideas.
fn text() -> impl Strategy<Value = Option<String>> {
    let text = prop_oneof![
        "[='+@\\-\t\"',;\\\\]{1,6}[a-z]{0,3}",
        "[ \"a\r\n\u{0}\u{200b}\u{feff}\u{202e},;|]{0,6}",
        "\\PC{0,12}",
        "[ßŉǰﬁİı\u{301}\u{30c}]{1,4}",
        "(null|true|0|NaN|1e5|<b>|#N/A)",
    ];
    proptest::option::of(text)
}

/// A line of JSON, which an import may refuse.
fn line() -> impl Strategy<Value = Value> {
    let email = proptest::option::weighted(0.9, "[a-z'=+.\\-]{1,8}@(gmail\\.com|x\\.cz|háček\\.cz)");
    let phone = proptest::option::weighted(0.3, "\\+420777[0-9]{6}");
    let cu_ref_no = proptest::option::weighted(0.5, "[A-Za-z0-9]{15}[ab]");
    let referral = proptest::option::weighted(0.5, "reference000000[0-9]");
    let flags = proptest::option::of((any::<bool>(), any::<bool>(), any::<bool>()));
    let ends = proptest::option::of("[23][0-9]{3}-0[1-9]-1[0-9]T1[0-9]:00:00\\.[0-9]{1,5}[+\\-]0[1-9]:30");
    let created = proptest::option::of("(19[789][0-9]|20[01][0-9])-0[1-9]-1[0-9]T1[0-9]:00:00\\.[0-9]{3}Z");
    (email, phone, [text(), text(), text(), text()], cu_ref_no, referral, flags, ends, created).prop_map(
        |(email, phone, [first, last, company, reason], cu_ref_no, referral, flags, ends, created)| {
            let flag = |choose: fn((bool, bool, bool)) -> bool| flags.map(choose);
            json!({
                "email": email, "phone": phone, "firstName": first, "lastName": last, "companyName": company,
                "cuRefNo": cu_ref_no, "referralId": referral, "registered": flag(|flags| flags.0),
                "emailAuthorized": flag(|flags| flags.1), "banned": flag(|flags| flags.2), "banReason": reason,
                "banExpiresAt": ends, "createdAt": created,
            })
        },
    )
}

#[test]
fn whoever_they_are_an_export_that_is_imported_is_exported_as_the_same_bytes() {
    let mut runner = TestRunner::deterministic();
    let lines = (0..600).map(|_| line().new_tree(&mut runner).unwrap().current());
    // Some are there to be waited for.
    let referrers = (0..5)
        .map(|number| json!({ "email": format!("r{number}@y.cz"), "cuRefNo": format!("reference000000{number}") }));
    let lines: Vec<_> = lines.chain(referrers).map(|line| line.to_string()).collect();
    let folder = shop();
    imported(&folder, lines.join("\n"));
    for form in ["csv", "jsonl"] {
        let first = exported(&folder, "shop", &["--format", form]);
        let count = String::from_utf8_lossy(&first).lines().count();
        assert!(count > 300, "{count} of 605");
        let other = shop();
        let said = imported(&other, &first);
        assert!(!said.contains("exit code"), "{said}");
        assert!(exported(&other, "shop", &["--format", form]) == first, "{form} is not the same again");
    }
}

#[test]
fn an_export_into_a_pipe_can_be_imported_at_the_same_time() {
    let folder = shop();
    imported(&folder, CSV);
    let command = |arguments: &[&str], organisation: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_magic-auth"));
        command.arg("--config").arg(folder.path().join("config.toml")).arg("customer").args(arguments);
        command.args(["--organisation", organisation]).stdout(Stdio::piped());
        command
    };
    let mut export = command(&["export", "-"], "shop").spawn().unwrap();
    let import = command(&["import", "-"], "rival").stdin(export.stdout.take().unwrap()).output().unwrap();
    assert!(export.wait().unwrap().success() && import.status.success(), "{import:?}");
    assert_eq!(exported(&folder, "rival", &[]), CSV.as_bytes());
}

/// Exports into a file of the app's folder, and gives what is said.
fn export_to(folder: &TempDir, name: &str, more: &[&str]) -> String {
    let file = folder.path().join(name);
    let arguments = ["customer", "export", "--organisation", "shop", file.to_str().unwrap()];
    said(folder, &cli(folder, &[&arguments, more].concat()))
}

#[test]
fn the_name_of_the_file_says_its_form_unless_another_is_asked_for() {
    let folder = shop();
    imported(&folder, CSV);
    let form = |name: &str, more: &[&str]| {
        let said = export_to(&folder, name, more);
        let begin = std::fs::read(folder.path().join(name)).unwrap()[0];
        (if begin == b'{' { "jsonl" } else { "csv" }, said)
    };
    assert_eq!(form("a.csv", &[]).0, "csv");
    assert_eq!(form("a.jsonl", &[]).0, "jsonl");
    assert_eq!(form("a.ndjson", &[]).0, "jsonl");
    assert_eq!(form("a.jsonl", &["--format", "csv"]).0, "csv");
    assert_eq!(form("a", &["--format", "jsonl"]).0, "jsonl");
    let (form, said) = form("b.csv", &["--json"]);
    assert_eq!(form, "csv");
    assert_snapshot!(said, @r#"
    {
      "exported": 3,
      "file": "FOLDER/b.csv"
    }
    "#);
}

#[test]
fn a_file_is_replaced_in_one_step_and_is_its_owners_alone() {
    let folder = shop();
    imported(&folder, CSV);
    let path = write(&folder, "contacts.csv", export_header());
    let earlier = std::fs::File::open(&path).unwrap();
    assert_snapshot!(export_to(&folder, "contacts.csv", &[]), @"Exported 3 customers to FOLDER/contacts.csv.");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), CSV);
    assert_eq!(std::io::read_to_string(earlier).unwrap(), export_header());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 4, "{names:?}");
}

#[test]
fn what_is_no_file_or_the_databases_own_is_not_replaced() {
    let app = spawn_app();
    app.shop().identity("jan@barasek.com");
    let folder = &app.folder;
    symlink("magic-auth.db", folder.path().join("link.csv")).unwrap();
    assert_snapshot!(export_to(folder, "magic-auth.db", &[]), @"
    magic-auth: FOLDER/magic-auth.db is the database itself or belongs to it: name another file
    exit code 1
    ");
    assert_snapshot!(export_to(folder, "magic-auth.db-wal", &[]), @"
    magic-auth: FOLDER/magic-auth.db-wal is the database itself or belongs to it: name another file
    exit code 1
    ");
    assert_snapshot!(export_to(folder, "link.csv", &[]), @"
    magic-auth: FOLDER/magic-auth.db is the database itself or belongs to it: name another file
    exit code 1
    ");
    // By a name that does not say where, too, and before it is there.
    let mut relative = Command::new(env!("CARGO_BIN_EXE_magic-auth"));
    relative.args(["customer", "export", "--organisation", "shop", "magic-auth.db-journal"]).current_dir(folder);
    let output = relative.output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("belongs to it: name another file"), "{output:?}");
    assert_snapshot!(export_to(folder, "", &[]), @"
    magic-auth: FOLDER/ is not a file: name one, or - for standard output
    exit code 1
    ");
    // As /dev/null, which a rename by root would replace.
    assert!(Command::new("mkfifo").arg(folder.path().join("pipe")).status().unwrap().success());
    assert_snapshot!(export_to(folder, "pipe", &[]), @"
    magic-auth: FOLDER/pipe is not a file: name one, or - for standard output
    exit code 1
    ");
    assert_snapshot!(export_to(folder, "config.toml/x", &[]), @"
    magic-auth: the folder FOLDER/config.toml does not exist: create it first
    exit code 1
    ");
    app.shop().identity("jan@barasek.com");
}

#[test]
fn no_other_file_than_an_earlier_export_is_replaced() {
    let folder = shop();
    imported(&folder, CSV);
    for (name, content) in [("empty.csv", ""), ("earlier.csv", CSV), ("windows.csv", &CSV.replace('\n', "\r\n"))] {
        write(&folder, name, content);
    }
    export_to(&folder, "earlier.jsonl", &[]);
    for name in ["empty.csv", "earlier.csv", "windows.csv", "earlier.jsonl"] {
        assert!(export_to(&folder, name, &[]).starts_with("Exported 3 customers to "), "{name}");
    }
    write(&folder, "shop.csv", "email,phone\njan@barasek.com,\n");
    write(&folder, "shop.jsonl", "{\"email\":\"jan@barasek.com\"}\n");
    assert_snapshot!(export_to(&folder, "shop.csv", &[]), @"
    magic-auth: FOLDER/shop.csv already exists and is not an export: name another file
    exit code 1
    ");
    let backup = folder.path().join("backup.db");
    assert!(cli(&folder, &["backup", backup.to_str().unwrap()]).status.success());
    for name in ["config.toml", "backup.db", "shop.csv", "shop.jsonl"] {
        let before = std::fs::read(folder.path().join(name)).unwrap();
        let said = export_to(&folder, name, &[]);
        assert!(said.contains("already exists and is not an export: name another file"), "{said}");
        assert!(std::fs::read(folder.path().join(name)).unwrap() == before, "{name} was changed");
    }
}

#[test]
fn an_export_goes_where_ones_own_link_leads() {
    let folder = shop();
    imported(&folder, CSV);
    let real = write(&folder, "real.csv", "");
    std::os::unix::fs::symlink(&real, folder.path().join("customers.csv")).unwrap();
    export_to(&folder, "customers.csv", &[]);
    assert!(folder.path().join("customers.csv").is_symlink());
    assert_eq!(std::fs::read_to_string(real).unwrap(), CSV);
}

#[test]
fn a_damaged_database_is_not_taken_for_a_file_that_cannot_be_written() {
    let folder = shop();
    imported(&folder, CSV);
    overwrite_root_of(&folder.path().join("magic-auth.db"), "customers");
    assert_snapshot!(export_to(&folder, "contacts.csv", &[]), @"
    magic-auth: database error: database disk image is malformed: restore a sound backup (magic-auth restore)
    exit code 1
    ");
}

#[test]
fn a_disk_that_is_full_leaves_what_was_there() {
    let folder = shop();
    let rows = (0..2_000).map(|number| format!("c{number}@x.cz\n")).collect::<Vec<_>>().concat();
    imported(&folder, format!("email\n{rows}"));
    let path = write(&folder, "contacts.csv", export_header());
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "trap '' XFSZ; ulimit -f 200; exec \"$@\"",
        "sh",
        env!("CARGO_BIN_EXE_magic-auth"),
        "--config",
    ]);
    command.arg(folder.path().join("config.toml")).args(["customer", "export", "--organisation", "shop"]).arg(&path);
    assert_snapshot!(said(&folder, &command.output().unwrap()), @"
    magic-auth: cannot write FOLDER/contacts.csv: File too large (os error 27)
    exit code 1
    ");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), export_header());
}

#[test]
fn sandbox_customers_and_who_was_erased_are_left_out_and_guests_are_not() {
    let app = spawn_app();
    app.client(SHOP_DEV).identity("ok@magic.test");
    app.insert_guest("guest@x.cz", true);
    let identity = app.shop().identity("jan@barasek.com");
    app.operator(&["erase", &cu_ref_no(&app, &identity), "--yes"]);
    let lines = String::from_utf8(exported(&app.folder, "shop", &["--json"])).unwrap();
    assert_eq!(lines.lines().count(), 1, "{lines}");
    let guest: Value = serde_json::from_str(&lines).unwrap();
    assert_eq!((&guest["email"], &guest["registered"]), (&json!("guest@x.cz"), &json!(false)));
}

fn cu_ref_no(app: &TestApp, identity: &str) -> String {
    app.shop().account_info(identity).json()["cuRefNo"].as_str().unwrap().to_owned()
}

#[test]
fn who_has_read_enough_closes_the_pipe_and_nothing_is_said_about_it() {
    let folder = shop();
    let rows = (0..2_000).map(|number| format!("c{number}@x.cz\n")).collect::<Vec<_>>().concat();
    import(&folder, format!("email\n{rows}"), &[]);
    for form in ["csv", "jsonl"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_magic-auth"));
        command.arg("--config").arg(folder.path().join("config.toml"));
        command.args(["customer", "export", "-", "--organisation", "shop", "--format", form]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        assert_eq!(said(&folder, &child.wait_with_output().unwrap()), "");
    }
}
