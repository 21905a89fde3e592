//! `customer import`: what a file may look like, and what is kept of it.

mod again;
mod referrals;
mod server;
mod wrong;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use insta::assert_snapshot;
use magic_auth::clock::Clock;
use tempfile::TempDir;

use super::without_folder;
use crate::app::{cli, write_config};

/// A folder with the organisations `shop` and `rival`, and no database yet.
pub fn shop() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_config(&folder, "");
    folder
}

/// Writes a file into the folder.
pub fn write(folder: &TempDir, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

/// Imports a file with this content into `shop`.
pub fn import(folder: &TempDir, content: impl AsRef<[u8]>, more: &[&str]) -> Output {
    let file = write(folder, "contacts", content);
    let arguments = ["customer", "import", "--organisation", "shop", file.to_str().unwrap()];
    cli(folder, &[&arguments, more].concat())
}

/// All that a command says, with its exit code unless that is 0.
pub fn said(folder: &TempDir, output: &Output) -> String {
    let mut said = String::from_utf8(output.stdout.clone()).unwrap() + std::str::from_utf8(&output.stderr).unwrap();
    match output.status.code() {
        Some(0) => {}
        Some(code) => said.extend(["exit code ".to_owned(), code.to_string()]),
        None => said.push_str(&output.status.to_string()),
    }
    without_folder(folder, said.trim_end())
}

/// Imports, and gives all that is said.
pub fn imported(folder: &TempDir, content: impl AsRef<[u8]>) -> String {
    said(folder, &import(folder, content, &[]))
}

/// The rows of a query, their values with bars between.
pub fn rows(folder: &TempDir, sql: &str) -> Vec<String> {
    let database = rusqlite::Connection::open(folder.path().join("magic-auth.db")).unwrap();
    let mut statement = database.prepare(sql).unwrap();
    let columns = statement.column_count();
    let value = |row: &rusqlite::Row<'_>, index| match row.get::<_, rusqlite::types::Value>(index).unwrap() {
        rusqlite::types::Value::Null => "-".to_owned(),
        rusqlite::types::Value::Integer(number) => number.to_string(),
        rusqlite::types::Value::Text(text) => text,
        other => format!("{other:?}"),
    };
    let shown = |row: &rusqlite::Row<'_>| Ok((0..columns).map(|index| value(row, index)).collect::<Vec<_>>().join("|"));
    statement.query_map([], shown).unwrap().map(Result::unwrap).collect()
}

const NAMES: &str = "SELECT email, phone, first_name FROM customers ORDER BY id";

#[test]
fn csv_and_json_lines_are_told_apart_by_what_is_in_them() {
    for content in [
        "email,companyName,firstName\njan@barasek.com,Baráš s.r.o.,Jan\n",
        "\u{feff}email,companyName,firstName\r\njan@barasek.com,Baráš s.r.o.,Jan\r\n",
        "\r\n\n  \nemail;companyName;firstName\njan@barasek.com;Baráš s.r.o.;Jan",
        "email\tcompanyName\tfirstName\njan@barasek.com\tBaráš s.r.o.\tJan\n",
        "\tEmail\tCOMPANYname\tfirstname\nx\tjan@barasek.com\tBaráš s.r.o.\tJan\n",
        "\"email\", companyName, firstName \n\" jan@barasek.com\", Baráš s.r.o. ,\tJan \n",
        "email;companyName;\"a,b,c,d,e\";firstName\njan@barasek.com;Baráš s.r.o.;,,,,;Jan\n",
        "E-mail,Company Name,first_name\njan@barasek.com,Baráš s.r.o.,Jan\n",
        "{\"email\":\"jan@barasek.com\",\"companyName\":\"Baráš s.r.o.\",\"firstName\":\"Jan\"}",
        "\u{feff}\n\n{\"firstName\":\"Jan\",\"email\":\" Jan@BARASEK.com \",\"companyName\":\"Baráš\\u00a0 s.r.o. \"}\r\n\r\n",
        "{ \"EMAIL\" : \"jan@barasek.com\" , \"companyName\":\"Baráš s.r.o.\", \"firstName\":\"Jan\", \"lastName\":null}\n",
    ] {
        let folder = shop();
        let said = imported(&folder, content);
        assert!(said.contains("Imported 1 customer; there already: 0."), "{content:?}: {said}");
        assert!(!said.contains("exit code"), "{content:?}: {said}");
        let customer = "SELECT email, company_name, first_name FROM customers";
        assert_eq!(rows(&folder, customer), ["jan@barasek.com|Baráš s.r.o.|Jan"], "{content:?}");
    }
}

#[test]
fn what_is_neither_is_told_so_and_nothing_is_made() {
    let folder = shop();
    assert_snapshot!(imported(&folder, "name,age\nJan,7\n"), @r#"
    magic-auth: FOLDER/contacts: line 1: neither CSV with a header that names email or phone (such as email,firstName,lastName), nor JSON lines (such as {"email":"jan@barasek.com"})
    exit code 1
    "#);
    for (content, line) in [
        (&b"\n\n\x89PNG\r\n\x1a\n\0\0\0\rIHDR"[..], 3),
        (b"[{\"email\":\"jan@barasek.com\"}]", 1),
        (b"jan@barasek.com\neva@barasek.com\n", 1),
        (b"firstName,lastName\nJan,Nov\n", 1),
        (b"e\0m\0a\0i\0l\0\n", 1),
        (b"\xff\xfee\0m\0a\0i\0l\0\n", 1),
        (b"email|phone\na@b.cz|\n", 1),
    ] {
        let said = imported(&folder, content);
        assert!(said.contains(&format!("contacts: line {line}: neither CSV with")), "{content:?}: {said}");
        assert!(said.ends_with("exit code 1"), "{said}");
    }
    assert_snapshot!(imported(&folder, "email,phone,Email\n"), @r"
    magic-auth: FOLDER/contacts: line 1: the header names email twice
    exit code 1
    ");
    assert_snapshot!(imported(&folder, "firstName,First Name,phone\n"), @r"
    magic-auth: FOLDER/contacts: line 1: the header names firstName twice
    exit code 1
    ");
    assert_snapshot!(imported(&folder, "email,phone\rjan@barasek.com,\r"), @r"
    magic-auth: FOLDER/contacts: line 1: lines end in a bare carriage return: save the file with Unix or Windows line endings
    exit code 1
    ");
    assert_snapshot!(said(&folder, &cli(&folder, &["customer", "import", "nowhere.csv", "--organisation", "shop"])), @r"
    magic-auth: nowhere.csv: No such file or directory (os error 2)
    exit code 1
    ");
    let directory = folder.path().to_str().unwrap();
    let said = said(&folder, &cli(&folder, &["customer", "import", directory, "--organisation", "shop"]));
    assert_eq!(said, format!("magic-auth: {directory}: Is a directory (os error 21)\nexit code 1"));
    assert!(!folder.path().join("magic-auth.db").exists());
}

#[test]
fn a_file_without_rows_imports_nobody() {
    let folder = shop();
    for content in ["", "\n\n", "\u{feff}", "email,phone", "email,phone\n\n\r\n"] {
        assert_eq!(imported(&folder, content), "Imported 0 customers; there already: 0.", "{content:?}");
    }
}

#[test]
fn columns_that_are_no_fields_are_named_and_left_out() {
    let folder = shop();
    assert_snapshot!(imported(&folder, "id,email,No\x1bte,\n1,jan@barasek.com,hello,\n"), @r#"
    Imported 1 customer; there already: 0.
    ignored columns: "id", "No\u{1b}te", ""
    "#);
    let json = "{\"email\":\"eva@x.cz\",\"isBanned\":true}\n{\"email\":\"a@x.cz\",\"isBanned\":false,\"id\":7}\n";
    assert_snapshot!(imported(&folder, json), @r#"
    Imported 2 customers; there already: 0.
    ignored columns: "id", "isBanned"
    "#);
}

/// Imports what comes from there.
fn import_from(folder: &TempDir, stdin: Stdio) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_magic-auth"));
    command.arg("--config").arg(folder.path().join("config.toml"));
    command.args(["customer", "import", "--organisation", "shop", "-"]);
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn a_row_is_read_by_the_time_at_which_it_comes() {
    let folder = shop();
    let mut child = import_from(&folder, Stdio::piped());
    let mut rows = child.stdin.take().unwrap();
    rows.write_all(b"email,createdAt\neva@x.cz,2020-01-01T00:00:00Z\n").unwrap();
    std::thread::sleep(Duration::from_millis(500));
    writeln!(rows, "jan@barasek.com,{}", Clock::system().now()).unwrap();
    drop(rows);
    assert_snapshot!(said(&folder, &child.wait_with_output().unwrap()), @"Imported 2 customers; there already: 0.");
}

#[test]
fn standard_input_is_read_and_may_be_closed() {
    let folder = shop();
    let run = |stdin: Stdio| import_from(&folder, stdin);
    let mut child = run(Stdio::piped());
    child.stdin.take().unwrap().write_all(b"email\njan@barasek.com\nbad\n").unwrap();
    assert_snapshot!(said(&folder, &child.wait_with_output().unwrap()), @"
    Imported 1 customer; there already: 0.
    line 3: email: an e-mail address is a local part, one @ and a domain
    magic-auth: one row is wrong and was not imported
    exit code 1
    ");
    assert_snapshot!(said(&folder, &run(Stdio::null()).wait_with_output().unwrap()), @"Imported 0 customers; there already: 0.");
    let mut child = run(Stdio::piped());
    child.stdin.take().unwrap().write_all(b"name\nJan\n").unwrap();
    assert_snapshot!(said(&folder, &child.wait_with_output().unwrap()), @r#"
    magic-auth: standard input: line 1: neither CSV with a header that names email or phone (such as email,firstName,lastName), nor JSON lines (such as {"email":"jan@barasek.com"})
    exit code 1
    "#);
}

#[test]
fn every_field_is_kept() {
    let folder = shop();
    let csv = "email,phone,firstName,lastName,companyName,cuRefNo,referralId,registered,emailAuthorized,banned,banReason,\
               banExpiresAt,createdAt\n\
               Jan@Barasek.com,+1 (415) 555-2671,jan,\"Bara\u{301}s\u{30c}ek, \"\"Honza\"\"\",\" eBay\ts.r.o.\",\
               customer00000001,,yes,1,TRUE,card  fraud,2999-01-01T00:00:00+01:00,2020-02-29T12:00:00.1239+02:00\n\
               eva@barasek.com,,,,,customer00000002,customer00000001,no,0,false,forgiven,,\n";
    assert_eq!(imported(&folder, csv), "Imported 2 customers; there already: 0.");
    let sql =
        "SELECT email, email_canonical, phone, first_name, last_name, company_name, cu_ref_no, referred_by, created_at,
            registered_at, email_authorized_at FROM customers WHERE id = 1";
    assert_snapshot!(rows(&folder, sql)[0], @r#"jan@barasek.com|jan@barasek.com|+1 4155552671|Jan|Barášek, "Honza"|eBay s.r.o.|customer00000001|-|1582970400123|1582970400123|1582970400123"#);
    assert_snapshot!(rows(&folder, "SELECT customer_id, reason, expires_at, lifted_at FROM bans").join("\n"), @"1|card fraud|32472140400000|-");
    let sql = "SELECT cu_ref_no, referred_by, registered_at, email_authorized_at FROM customers WHERE id = 2";
    assert_snapshot!(rows(&folder, sql)[0], @"customer00000002|1|-|-");
}

#[test]
fn a_ban_that_is_over_is_none() {
    let folder = shop();
    let csv = "email,banned,banReason,banExpiresAt\nover@x.cz,true,fraud,2021-01-01T00:00:00Z\n\
               banned@x.cz,true,fraud,2999-01-01T00:00:00Z\nlong@x.cz,true,,\n";
    assert_eq!(imported(&folder, csv), "Imported 3 customers; there already: 0.");
    assert_eq!(rows(&folder, "SELECT customer_id, reason FROM bans"), ["2|fraud", "3|imported"]);
}

#[test]
fn the_clock_of_the_machine_that_exported_may_be_ahead_by_a_minute() {
    let folder = shop();
    let now = Clock::system().now();
    let csv = |ahead| format!("email,createdAt\njan@barasek.com,{}\n", now + Duration::from_secs(ahead));
    assert!(imported(&folder, csv(120)).contains("line 2: createdAt: lies in the future"));
    assert_eq!(imported(&folder, csv(50)), "Imported 1 customer; there already: 0.");
}

#[test]
fn json_has_true_and_false_and_null_counts_as_absent() {
    let folder = shop();
    let lines = "{\"email\":\"a@x.cz\",\"registered\":false,\"emailAuthorized\":\"false\",\"banned\":true,\"phone\":null}\n\
                 {\"email\":\"b@x.cz\",\"registered\":null,\"firstName\":\"\",\"lastName\":\"  \",\"other\":{\"email\":1}}\n";
    assert_snapshot!(imported(&folder, lines), @r#"
    Imported 2 customers; there already: 0.
    ignored columns: "other"
    "#);
    let sql = "SELECT email, registered_at IS NULL, email_authorized_at IS NULL, b.reason, last_name
        FROM customers AS c LEFT JOIN bans AS b ON b.customer_id = c.id ORDER BY c.id";
    assert_eq!(rows(&folder, sql), ["a@x.cz|1|1|imported|-", "b@x.cz|0|0|-|-"]);
}

#[test]
fn what_is_in_a_member_that_is_no_field_is_nobodys_business() {
    let folder = shop();
    let deep = format!("{}0{}", "[".repeat(10_000), "]".repeat(10_000));
    let lines = format!(
        "{{\"email\":\"a@x.cz\",\"note\":\"\\ud83d\"}}\n{{\"email\":\"b@x.cz\",\"number\":1e999}}\n{{\"deep\":{deep},\"email\":\"c@x.cz\"}}\n"
    );
    assert_snapshot!(imported(&folder, lines), @r#"
    Imported 3 customers; there already: 0.
    ignored columns: "deep", "note", "number"
    "#);
}

#[test]
fn a_guard_before_a_formula_is_taken_off() {
    let folder = shop();
    imported(&folder, "email,phone,firstName\n'=a@x.cz,'+420777123456,'@Jan\n'b@x.cz,,'Jan\n");
    assert_eq!(rows(&folder, NAMES), ["=a@x.cz|+420 777123456|@Jan", "'b@x.cz|-|'Jan"]);
    imported(&folder, "{\"email\":\"c@x.cz\",\"firstName\":\"'=Jan\"}");
    assert_eq!(rows(&folder, NAMES)[2], "c@x.cz|-|'=Jan");
}

#[test]
fn numbers_without_a_code_are_those_of_the_default_country() {
    let folder = shop();
    let csv = "phone\n777 123 456\n+1 415 555 2671\n00420777123457\n";
    assert_snapshot!(said(&folder, &import(&folder, csv, &["--default-country", "cz"])), @"Imported 3 customers; there already: 0.");
    assert_eq!(rows(&folder, "SELECT phone FROM customers"), ["+420 777123456", "+1 4155552671", "+420 777123457"]);
    assert_snapshot!(imported(&folder, csv), @"
    Imported 0 customers; there already: 1.
    line 2: phone: not a valid telephone number such as +420 777123456 (one without its country's code needs --default-country)
    line 4: phone: not a valid telephone number such as +420 777123456 (one without its country's code needs --default-country)
    magic-auth: 2 rows are wrong and were not imported
    exit code 1
    ");
    let wrong = import(&folder, csv, &["--default-country", "Czechia"]);
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
}

#[test]
fn the_result_can_be_json() {
    let folder = shop();
    let csv = "email,referralId\na@x.cz,nobody0000000000\na@x.cz,\nbad,\n";
    assert_snapshot!(said(&folder, &import(&folder, csv, &["--json"])), @r#"
    {
      "imported": 1,
      "duplicates": 1,
      "bansNotSet": 0,
      "wrong": 1,
      "pendingReferrals": 1,
      "dryRun": false
    }
    line 4: email: an e-mail address is a local part, one @ and a domain
    magic-auth: one row is wrong and was not imported
    exit code 1
    "#);
}

#[test]
fn a_row_that_never_ends_is_an_error_and_costs_no_memory() {
    let folder = shop();
    let rest = "b@x.cz,B\n".repeat(600_000);
    assert_eq!(
        imported(&folder, format!("email,firstName\na@x.cz,A\nc@x.cz,\"C\n{rest}")),
        "magic-auth: stopped at line 2 (1 customer so far, kept): run it again to import the rest: the row that begins at \
         line 3 is longer than 4194304 bytes: perhaps a quote in it is not closed\nexit code 1"
    );
    let long = "x".repeat(4_200_000);
    let said = imported(&folder, format!("email,firstName\nd@x.cz,{long}\ne@x.cz,E\n"));
    assert!(said.contains("the row that begins at line 2 is longer than"), "{said}");
}
