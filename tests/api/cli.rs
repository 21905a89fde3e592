//! The command line as the real binary: what it prints, how it ends, and what a running server makes
//! of it. One file for each group of commands, as in `src/cli`.

mod attempts;
mod backup;
mod check;
mod completions;
mod customer;
mod duplicates;
mod erase;
mod export;
mod help;
mod import;
mod ip;
mod key;
mod list;
mod man;
mod why;

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output};

use insta::assert_snapshot;
use magic_auth::store::Database;
use tempfile::TempDir;

use crate::app::{TestApp, cli, spawn_app};
use crate::process::eventually;

/// A folder with this `config.toml`, and no server on it.
fn folder_with(config: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.toml"), config).unwrap();
    folder
}

/// The error of a command that fails: exit code 1, and one line on standard error. The name of the
/// folder is left out.
fn error(folder: &TempDir, arguments: &[&str]) -> String {
    let output = cli(folder, arguments);
    assert!(output.stdout.is_empty(), "{output:?}");
    failed(folder, &output)
}

/// The line on standard error of a command that has failed.
fn failed(folder: &TempDir, output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.ends_with('\n'), "{text}");
    without_folder(folder, text.trim_end())
}

fn without_folder(folder: &TempDir, text: &str) -> String {
    text.replace(&format!("{}/", folder.path().display()), "FOLDER/")
}

/// Text with every moment replaced by one of the same width, so that tables keep their columns.
fn without_times(text: &str) -> String {
    const MOMENT: &str = "0000-00-00T00:00:00.000Z";
    let is_moment = |text: &str| {
        text.bytes().zip(MOMENT.bytes()).all(|(found, expected)| match expected {
            b'0' => found.is_ascii_digit(),
            other => found == other,
        })
    };
    let mut shown = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (next, length) = match rest.get(..MOMENT.len()) {
            Some(moment) if is_moment(moment) => (MOMENT, MOMENT.len()),
            _ => (&rest[..first.len_utf8()], first.len_utf8()),
        };
        shown.push_str(next);
        rest = &rest[length..];
    }
    shown
}

/// The `cuRefNo` of somebody who can sign in.
fn cu_ref_no(app: &TestApp, email: &str) -> String {
    let identity = app.shop().identity(email);
    app.shop().account_info(&identity).json()["cuRefNo"].as_str().unwrap().to_owned()
}

/// Makes nonsense of the page on which a table begins.
fn overwrite_root_of(path: &Path, table: &str) {
    let database = rusqlite::Connection::open(path).unwrap();
    // All of it is then in the one file. A server that has stopped closes its last connection a moment later.
    let leave_wal = || database.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get::<_, String>(0));
    eventually(|| leave_wal().is_ok_and(|mode| mode == "delete"));
    let number = |sql: &str| database.query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap();
    let page_size = number("PRAGMA page_size");
    let page = number(&format!("SELECT rootpage FROM sqlite_schema WHERE name = '{table}'"));
    let begin = usize::try_from((page - 1) * page_size).unwrap();
    let mut content = std::fs::read(path).unwrap();
    content[begin..begin + 100].fill(0xA5);
    std::fs::write(path, content).unwrap();
}

#[test]
fn a_wrong_use_is_exit_code_2_and_says_how_to_use_it() {
    let app = spawn_app();
    for wrong in [
        &["serv"][..],
        &["key"],
        &["key", "create", "--organisation", "shop"],
        &["key", "create", "--organisation", "shop", "--kind", "test"],
        &["key", "create", "--organisation", "shop", "--kind", "prod", "--expires", "soon"],
        &["key", "create", "--organisation", "shop", "--kind", "prod", "--only", ""],
        &["key", "create", "--organisation", "shop", "--kind", "prod", "--only", "sign-in,metrics"],
        &["key", "rotate"],
        &["key", "rotate", "DEV_0000", "--overlap", "0s"],
        &["key", "revoke"],
        &["customer"],
        &["customer", "show"],
        &["customer", "show", "--jsn"],
        &["customer", "why", "-v"],
        &["customer", "ban", "jan@barasek.com"],
        &["customer", "ban", "jan@barasek.com", "--reason", "fraud", "--for", "0s"],
        &["customer", "list", "--limit", "-1"],
        &["customer", "list", "--since", "yesterday"],
        &["customer", "list", "--after", "jan@barasek.com"],
        &["customer", "erase"],
        &["customer", "import"],
        &["customer", "import", "contacts.csv", "--default-country", "Czechia"],
        &["customer", "export"],
        &["customer", "export", "-", "--format", "xml"],
        &["customer", "set-email", "jan@barasek.com"],
        &["customer", "set-email", "jan@barasek.com", "jan"],
        &["attempts", "--outcome", "E008"],
        &["attempts", "--ip", "1.1.1.1:80"],
        &["attempts", "--since", "yesterday"],
        &["attempts", "--limit", "-1"],
        &["attempts", "--follow", "--summary"],
        &["attempts", "--show-emails"],
        &["attempts", "--follow", "--show-emails"],
        &["check", "--verbose"],
        &["ip"],
        &["ip", "8.8.8.8:80"],
        &["ip", "dns.google"],
        &["completions"],
        &["completions", "powershell"],
        &["man"],
        &["backup"],
        &["restore"],
        &["restore", "a.db", "b.db"],
    ] {
        let output = app.cli(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?} {output:?}");
        assert!(output.stdout.is_empty(), "{wrong:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("--help"), "{wrong:?} {output:?}");
    }
}

#[test]
fn a_command_that_needs_the_database_says_that_there_is_none_and_makes_none() {
    let folder = folder_with("[[organisation]]\nname = \"shop\"\n");
    for command in [
        &["key", "list"][..],
        &["key", "rotate", "XuOE"],
        &["key", "revoke", "XuOE"],
        &["customer", "show", "jan@barasek.com"],
        &["customer", "ban", "jan@barasek.com", "--reason", "fraud"],
        &["customer", "sign-out", "jan@barasek.com"],
        &["customer", "list"],
        &["customer", "erase", "jan@barasek.com", "--yes"],
        &["customer", "export", "-"],
        &["customer", "set-email", "jan@barasek.com", "eva@barasek.com"],
        &["customer", "why", "jan@barasek.com"],
        &["customer", "duplicates"],
        &["attempts"],
        &["attempts", "--follow"],
        &["attempts", "--summary"],
    ] {
        assert_eq!(
            error(&folder, command),
            "magic-auth: there is no database FOLDER/magic-auth.db: start the server once, or name another \
             configuration with --config"
        );
    }
    assert!(!folder.path().join("magic-auth.db").exists());
}

#[test]
fn a_configuration_that_is_named_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    assert_snapshot!(error(&folder, &["check"]), @"magic-auth: cannot read the configuration FOLDER/config.toml: No such file or directory (os error 2)");
}

#[test]
fn a_wrong_configuration_is_an_error_with_file_and_line_for_every_command() {
    let folder = folder_with("[server]\nworkers = 2\nlisen = \"127.0.0.1:8080\"\n");
    let expected = error(&folder, &["check"]);
    assert_snapshot!(expected, @"magic-auth: FOLDER/config.toml:3: unknown field `lisen`, expected one of `listen`, `workers`, `trusted_proxies`, `allowed_origins`");
    for command in [&["serve"][..], &["key", "list"], &["customer", "show", "jan@barasek.com"], &["attempts"]] {
        assert_eq!(error(&folder, command), expected);
    }
}

#[test]
fn the_configuration_is_the_one_that_is_named_or_that_of_the_environment_or_the_one_here() {
    let [named, environment, here] =
        ["named", "environment", "here"].map(|name| folder_with(&format!("[[organisation]]\nname = {name:?}")));
    let config = |folder: &TempDir| folder.path().join("config.toml");
    let told = |change: &dyn Fn(&mut Command) -> &mut Command| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_magic-auth"));
        command.args(["key", "create", "--kind", "prod", "--organisation", "x"]).env_remove("MAGIC_AUTH_CONFIG");
        let output = change(command.current_dir(&here)).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(told(&|command| command).ends_with("there are: here\n"));
    let in_environment = told(&|command| command.env("MAGIC_AUTH_CONFIG", config(&environment)));
    assert!(in_environment.ends_with("there are: environment\n"), "{in_environment}");
    let both =
        told(&|command| command.env("MAGIC_AUTH_CONFIG", config(&environment)).arg("--config").arg(config(&named)));
    assert!(both.ends_with("there are: named\n"), "{both}");
    let missing = told(&|command| command.env("MAGIC_AUTH_CONFIG", here.path().join("none.toml")));
    assert!(missing.contains("cannot read the configuration"), "{missing}");
    assert!(told(&|command| command.current_dir("/")).contains("there is no organisation: add"));
}

/// Runs a command in a folder, without a word about the configuration.
fn run_in(folder: &TempDir, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_magic-auth"));
    command.args(arguments).current_dir(folder).env_remove("MAGIC_AUTH_CONFIG").output().unwrap()
}

#[test]
fn a_command_on_the_database_says_that_there_is_no_configuration() {
    const WARNING: &str =
        "magic-auth: no config.toml in this folder and none named with --config: running on the defaults\n";
    let folder = tempfile::tempdir().unwrap();
    drop(Database::open(&folder.path().join("magic-auth.db")).unwrap());
    for command in [&["key", "list", "--json"][..], &["attempts"], &["backup", "backup.db"], &["restore", "backup.db"]]
    {
        let output = run_in(&folder, command);
        assert_eq!(String::from_utf8(output.stderr).unwrap(), WARNING);
        assert!(output.status.success() && !output.stdout.is_empty(), "{command:?}");
    }
    let output = run_in(&folder, &["customer", "list"]);
    assert!(String::from_utf8(output.stderr).unwrap().starts_with(WARNING));
    let check = String::from_utf8(run_in(&folder, &["check"]).stdout).unwrap();
    let first = single_spaced(check.lines().nth(1).unwrap());
    assert_snapshot!(first, @"configuration WRONG no config.toml in this folder and none named with --config: running on the defaults; organisations: 0, keys in the file: 0; every request will get a 401: add an [[organisation]]");
    assert_eq!(String::from_utf8(run_in(&folder, &["ip", "1.1.1.1"]).stderr).unwrap(), "");
}

#[test]
fn what_the_system_does_not_let_a_user_do_is_told_with_what_to_do_about_it() {
    const SOMEBODY: u32 = 12_345;
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("magic-auth.db");
    drop(Database::open(&database).unwrap());
    for path in [folder.path(), &database] {
        if let Err(error) = chown(path, Some(SOMEBODY), Some(SOMEBODY)) {
            // Only root can give a file away, and only root may do everything otherwise.
            return assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
        }
    }
    let said = |folder_mode, mode| {
        std::fs::set_permissions(&database, Permissions::from_mode(mode)).unwrap();
        std::fs::set_permissions(&folder, Permissions::from_mode(folder_mode)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_magic-auth"));
        let output = command.args(["attempts"]).current_dir(&folder).uid(SOMEBODY).gid(SOMEBODY).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap().lines().last().unwrap().to_owned()
    };
    assert_eq!(
        said(0o700, 0o400),
        "magic-auth: user 12345 may not read and write the database magic-auth.db: run chmod 600 on it"
    );
    let real = folder.path().canonicalize().unwrap();
    assert_eq!(
        said(0o500, 0o600),
        format!(
            "magic-auth: cannot write in the folder {}, where the database is: move the database into a folder of user \
             12345's own, or let that user write there",
            real.display()
        )
    );
}

/// A line with one space between the words.
pub fn single_spaced(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}
