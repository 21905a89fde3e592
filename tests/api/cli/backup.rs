//! `backup` and `restore`

use std::os::unix::fs::{MetadataExt as _, chown, lchown, symlink};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use insta::assert_snapshot;
use magic_auth::clock::Clock;
use magic_auth::store::Database;
use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

use super::{cli, error, failed, folder_with, overwrite_root_of, without_folder};
use crate::app::{spawn_app, write_config};
use crate::process::{TestProcess, eventually, skip, spawn_process, start_process};

const JAN: &str = "jan@barasek.com";
const EVA: &str = "eva@barasek.com";

/// Runs `backup` or `restore`.
fn run(folder: &TempDir, command: &str, file: &Path) -> Output {
    cli(folder, &[command, file.to_str().unwrap()])
}

/// What a command says that must succeed.
fn said(folder: &TempDir, command: &str, file: &Path) -> String {
    let output = run(folder, command, file);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    without_moment(&without_folder(folder, &String::from_utf8(output.stdout).unwrap()))
}

/// Text with nothing for the moment in the names of what is kept.
fn without_moment(text: &str) -> String {
    let mut parts = text.split("before-restore-");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |shown, rest| shown + "before-restore-MOMENT" + rest.split_once('Z').unwrap().1)
}

/// The error of a command that must fail.
fn refusal(folder: &TempDir, command: &str, file: &Path) -> String {
    error(folder, &[command, file.to_str().unwrap()])
}

fn in_folder(folder: &TempDir, name: &str) -> PathBuf {
    folder.path().join(name)
}

fn customers(database: &Path) -> Vec<String> {
    let database = Connection::open(database).unwrap();
    let mut statement = database.prepare("SELECT email FROM customers ORDER BY email").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

/// The names in a folder that are not there on each day.
fn litter(folder: &TempDir) -> Vec<String> {
    const EXPECTED: [&str; 6] =
        ["backup.db", "config.toml", "magic-auth.db", "magic-auth.db-shm", "magic-auth.db-wal", "magic-auth.db.lock"];
    let names =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !EXPECTED.contains(&name.as_str())).collect()
}

/// A folder with a database that has Jan, a backup of it, and no server.
fn folder_with_backup() -> (TempDir, PathBuf) {
    let process = spawn_process("");
    process.shop().identity(JAN);
    let backup = in_folder(&process.folder, "backup.db");
    said(&process.folder, "backup", &backup);
    (stop(process), backup)
}

/// Stops a server and gives its folder. (A server in the test's own process would not do: its lock lives as long as
/// the last copy of its handle, which other tests inherit for a moment when they start processes.)
fn stop(mut process: TestProcess) -> TempDir {
    process.signal("TERM");
    assert!(process.wait().success());
    std::mem::replace(&mut process.folder, tempfile::tempdir().unwrap())
}

#[test]
fn a_backup_is_one_file_with_everything_in_it_for_its_owner_alone() {
    let app = spawn_app();
    app.shop().identity(JAN);
    let backup = in_folder(&app.folder, "backup.db");
    assert_snapshot!(said(&app.folder, "backup", &backup), @"Backed up FOLDER/magic-auth.db to FOLDER/backup.db: 1 customer, 68.00 KiB, checked.");
    assert_eq!(customers(&backup), [JAN]);
    assert_eq!(std::fs::metadata(&backup).unwrap().mode() & 0o777, 0o600);
    assert!(litter(&app.folder).is_empty(), "{:?}", litter(&app.folder));
}

#[test]
fn a_backup_replaces_an_earlier_one() {
    let app = spawn_app();
    let backup = in_folder(&app.folder, "backup.db");
    for (number, email) in [JAN, EVA].iter().enumerate() {
        app.shop().identity(email);
        let said: Value = serde_json::from_str(&app.cli_ok(&["backup", backup.to_str().unwrap(), "--json"])).unwrap();
        assert_eq!(said["customers"], number + 1);
        assert_eq!(said["bytes"], std::fs::metadata(&backup).unwrap().len());
        assert_eq!((&said["file"], &said["version"]), (&backup.to_str().unwrap().into(), &Database::VERSION.into()));
        assert_eq!(said.get("kept"), None);
    }
    assert_eq!(customers(&backup), [EVA, JAN]);
}

#[test]
fn a_link_to_a_backup_stays_a_link() {
    let app = spawn_app();
    let (elsewhere, link) = (tempfile::tempdir().unwrap(), in_folder(&app.folder, "latest.db"));
    let backup = in_folder(&elsewhere, "backup.db");
    std::fs::write(&backup, "").unwrap();
    symlink(&backup, &link).unwrap();
    app.shop().identity(JAN);
    said(&app.folder, "backup", &link);
    assert!(link.is_symlink());
    assert_eq!(customers(&backup), [JAN]);
}

#[test]
fn somebody_elses_link_is_replaced_and_not_followed() {
    const SOMEBODY: Option<u32> = Some(12_345);
    let app = spawn_app();
    let (elsewhere, link) = (tempfile::tempdir().unwrap(), in_folder(&app.folder, "latest.db"));
    let theirs = in_folder(&elsewhere, "theirs.db");
    std::fs::write(&theirs, "").unwrap();
    symlink(&theirs, &link).unwrap();
    if let Err(error) = lchown(&link, SOMEBODY, SOMEBODY) {
        // Only root can give a link away.
        return assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
    }
    app.shop().identity(JAN);
    said(&app.folder, "backup", &link);
    assert_eq!(std::fs::metadata(&theirs).unwrap().len(), 0);
    assert!(!link.is_symlink());
    assert_eq!(customers(&link), [JAN]);
}

#[test]
fn everybody_who_was_answered_before_a_backup_under_load_is_in_it() {
    let process = spawn_process("[rate_limit.prod]\nrequests = 0");
    let backup = in_folder(&process.folder, "backup.db");
    let (answered, is_done) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let keep_signing_in = |thread: usize| {
        let shop = process.shop();
        for number in (0..).take_while(|_| !is_done.load(Ordering::SeqCst)) {
            let identity = shop.identity(&format!("load{thread}-{number}@barasek.com"));
            answered.lock().unwrap().push(identity);
        }
    };
    let before = std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || keep_signing_in(thread));
        }
        let backed_up = catch_unwind(AssertUnwindSafe(|| {
            eventually(|| answered.lock().unwrap().len() > 100);
            let before = answered.lock().unwrap().clone();
            (before, run(&process.folder, "backup", &backup))
        }));
        is_done.store(true, Ordering::SeqCst);
        let (before, output) = backed_up.unwrap();
        assert!(output.status.success(), "{output:?}");
        before
    });
    assert!(answered.lock().unwrap().len() > before.len(), "sign-ins went on");

    let folder = tempfile::tempdir().unwrap();
    write_config(&folder, "[rate_limit.prod]\nrequests = 0");
    std::fs::copy(&backup, in_folder(&folder, "magic-auth.db")).unwrap();
    let copy = start_process(folder);
    assert!(before.iter().all(|identity| copy.shop().is_logged_in(identity)));
    assert!(cli(&copy.folder, &["check"]).status.success());
}

#[test]
fn a_backup_never_replaces_what_is_no_backup() {
    let app = spawn_app();
    app.shop().identity(JAN);
    let folder = &app.folder;
    let refusal = |name: &str| refusal(folder, "backup", &in_folder(folder, name));
    for own in
        ["magic-auth.db", "magic-auth.db-wal", "magic-auth.db-shm", "magic-auth.db-journal", "magic-auth.db.lock"]
    {
        let expected = format!("magic-auth: FOLDER/{own} is the database itself or belongs to it: name another file");
        assert_eq!(refusal(own), expected);
        assert_eq!(refusal(&format!("./{own}")), expected);
    }
    symlink(in_folder(folder, "magic-auth.db"), in_folder(folder, "link.db")).unwrap();
    assert_snapshot!(refusal("link.db"), @"magic-auth: FOLDER/magic-auth.db is the database itself or belongs to it: name another file");
    std::fs::hard_link(in_folder(folder, "magic-auth.db"), in_folder(folder, "second.db")).unwrap();
    assert_snapshot!(refusal("second.db"), @"magic-auth: FOLDER/second.db is the database itself or belongs to it: name another file");
    assert_snapshot!(refusal("config.toml"), @"magic-auth: FOLDER/config.toml already exists and is not a backup: name another file");
    assert_snapshot!(refusal("nowhere/backup.db"), @"magic-auth: the folder FOLDER/nowhere does not exist: create it first");
    std::fs::create_dir(in_folder(folder, "backups")).unwrap();
    assert_snapshot!(refusal("backups"), @"magic-auth: FOLDER/backups is not a file: name one");
    let other = in_folder(folder, "other.db");
    said(folder, "backup", &other);
    std::fs::write(in_folder(folder, "other.db-wal"), "of a database in use").unwrap();
    assert_snapshot!(refusal("other.db"), @"magic-auth: FOLDER/other.db-wal is beside it, so the file may be a database in use: name a stand-alone file, such as magic-auth backup makes");
    let notes = in_folder(folder, "notes.db");
    for change in ["CREATE TABLE notes (text)", "PRAGMA user_version = 99"] {
        Connection::open(&notes).unwrap().execute_batch(change).unwrap();
        assert!(refusal("notes.db").contains("is not a backup"), "{change}");
    }
    assert_snapshot!(refusal("notes.db"), @"magic-auth: FOLDER/notes.db already exists and is not a backup: name another file");
    // What was once a server's place, and has nothing in it.
    std::fs::write(in_folder(folder, "new.db.lock"), "").unwrap();
    said(folder, "backup", &in_folder(folder, "new.db"));
    assert_eq!(app.shop().sign_in(JAN).code(), "");
    assert_snapshot!(error(folder, &["backup", "-"]), @"magic-auth: a backup cannot go to standard output: name a file");
    assert_snapshot!(error(folder, &["restore", "-"]), @"magic-auth: a backup cannot come from standard input: name a file");
}

#[test]
fn a_backup_never_replaces_the_database_of_another_server_also_when_that_has_stopped() {
    let (folder, _) = folder_with_backup();
    let other = spawn_app();
    let theirs = in_folder(&folder, "magic-auth.db");
    let refusal = without_folder(&folder, &refusal(&other.folder, "backup", &theirs));
    assert_snapshot!(refusal, @"magic-auth: FOLDER/magic-auth.db.lock is beside it, so the file is a server's database and no backup: name another file");
    assert_eq!(customers(&theirs), [JAN]);
}

#[test]
fn a_backup_that_nobody_hears_of_is_there_and_standard_output_is_to_blame() {
    let app = spawn_app();
    let backup = in_folder(&app.folder, "backup.db");
    let mut command = Command::new(env!("CARGO_BIN_EXE_magic-auth"));
    command.arg("--config").arg(in_folder(&app.folder, "config.toml")).arg("backup").arg(&backup);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    let Ok(full) = full else { return skip("a full standard output", "/dev/full") };
    let output = command.stdout(full).output().unwrap();
    assert_snapshot!(failed(&app.folder, &output), @"magic-auth: cannot write to standard output: No space left on device (os error 28)");
    assert!(backup.is_file());
}

#[test]
fn a_backup_of_a_damaged_database_fails_and_leaves_the_earlier_one() {
    let (folder, backup) = folder_with_backup();
    let before = std::fs::read(&backup).unwrap();
    let database = Connection::open(in_folder(&folder, "magic-auth.db")).unwrap();
    database.execute_batch("PRAGMA foreign_keys = OFF; UPDATE login_attempts SET customer_id = 77").unwrap();
    drop(database);
    assert_snapshot!(refusal(&folder, "backup", &backup), @"magic-auth: FOLDER/magic-auth.db is damaged: row 1 of login_attempts refers to a row that is not there: restore a sound backup (magic-auth restore)");
    overwrite_root_of(&in_folder(&folder, "magic-auth.db"), "sessions");
    assert_snapshot!(refusal(&folder, "backup", &backup), @"magic-auth: FOLDER/magic-auth.db is damaged: database disk image is malformed: restore a sound backup (magic-auth restore)");
    assert!(std::fs::read(&backup).unwrap() == before, "the earlier backup was changed");
    assert!(litter(&folder).is_empty(), "{:?}", litter(&folder));
}

#[test]
fn there_is_no_backup_of_what_is_not_there_or_newer() {
    let folder = folder_with("");
    assert_snapshot!(refusal(&folder, "backup", &in_folder(&folder, "backup.db")), @"magic-auth: there is no database FOLDER/magic-auth.db: start the server once, or name another configuration with --config");
    let (folder, backup) = folder_with_backup();
    set_version(&in_folder(&folder, "magic-auth.db"), 99);
    assert_snapshot!(refusal(&folder, "backup", &backup), @"magic-auth: the database FOLDER/magic-auth.db has version 99, but this program knows only 4: use a newer magic-auth");
}

fn set_version(path: &Path, version: i64) {
    Connection::open(path).unwrap().pragma_update(None, "user_version", version).unwrap();
}

fn version(path: &Path) -> i64 {
    Connection::open(path).unwrap().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

/// A database of the first version, with a customer.
fn write_first_version(path: &Path) {
    let old = Connection::open(path).unwrap();
    old.execute_batch(include_str!("../../schemas/1.sql")).unwrap();
    old.execute_batch(
        "INSERT INTO organisations VALUES (1, 'shop', 1);
        INSERT INTO customers (organisation_id, cu_ref_no, email, email_canonical, created_at)
            VALUES (1, '0123456789abcdef', 'old@barasek.com', 'old@barasek.com', 1)",
    )
    .unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
}

#[test]
fn an_older_database_can_be_backed_up_and_restored_and_is_then_upgraded() {
    let folder = tempfile::tempdir().unwrap();
    write_config(&folder, "");
    write_first_version(&in_folder(&folder, "magic-auth.db"));
    let backup = in_folder(&folder, "backup.db");
    said(&folder, "backup", &backup);
    let folder = stop(start_process(folder));
    assert_eq!(version(&in_folder(&folder, "magic-auth.db")), Database::VERSION);
    said(&folder, "restore", &backup);
    assert_eq!(customers(&in_folder(&folder, "magic-auth.db")), ["old@barasek.com"]);
    let folder = stop(start_process(folder));
    assert_eq!(version(&in_folder(&folder, "magic-auth.db")), Database::VERSION);
}

#[test]
fn a_restored_backup_takes_the_place_of_the_database_which_is_kept() {
    let (folder, backup) = folder_with_backup();
    let process = start_process(folder);
    let lost = process.shop().identity(EVA);
    let folder = stop(process);
    assert_snapshot!(said(&folder, "restore", &backup), @"Restored FOLDER/magic-auth.db from FOLDER/backup.db: 1 customer, 68.00 KiB, checked. What was there before is kept as FOLDER/magic-auth.db.before-restore-MOMENT.");
    let kept = litter(&folder);
    assert!(kept.len() == 1 && kept[0].starts_with("magic-auth.db.before-restore-20"), "{kept:?}");
    let kept = in_folder(&folder, &kept[0]);
    assert_eq!(customers(&kept), [EVA, JAN]);
    assert_eq!(std::fs::metadata(in_folder(&folder, "magic-auth.db")).unwrap().mode() & 0o777, 0o600);

    let process = start_process(folder);
    assert!(!process.shop().is_logged_in(&lost));
    let folder = stop(process);
    assert_eq!(customers(&in_folder(&folder, "magic-auth.db")), [JAN]);
    // What was kept can be restored in its turn.
    said(&folder, "restore", &kept);
    assert!(start_process(folder).shop().is_logged_in(&lost));
}

#[test]
fn who_owned_the_database_owns_what_is_restored() {
    const SOMEBODY: Option<u32> = Some(12_345);
    let (folder, backup) = folder_with_backup();
    let database = in_folder(&folder, "magic-auth.db");
    if let Err(error) = chown(&database, SOMEBODY, SOMEBODY) {
        // Only root can give a file away.
        return assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
    }
    said(&folder, "restore", &backup);
    let restored = std::fs::metadata(&database).unwrap();
    assert_eq!((Some(restored.uid()), Some(restored.gid())), (SOMEBODY, SOMEBODY));
}

#[test]
fn a_backup_can_be_restored_where_there_is_no_database() {
    let (origin, backup) = folder_with_backup();
    let folder = folder_with("");
    let said = said(&folder, "restore", &backup);
    assert_snapshot!(said.replace(origin.path().to_str().unwrap(), "ELSEWHERE"), @"Restored FOLDER/magic-auth.db from ELSEWHERE/backup.db: 1 customer, 68.00 KiB, checked. There was no database before.");
    assert_eq!(customers(&in_folder(&folder, "magic-auth.db")), [JAN]);
}

#[test]
fn nothing_is_restored_under_a_running_server_or_command() {
    let process = spawn_process("");
    process.shop().identity(JAN);
    let backup = in_folder(&process.folder, "backup.db");
    said(&process.folder, "backup", &backup);
    process.shop().identity(EVA);
    assert_snapshot!(refusal(&process.folder, "restore", &backup), @"magic-auth: a magic-auth server is using the database FOLDER/magic-auth.db: stop it first");
    let folder = stop(process);

    let command = Connection::open(in_folder(&folder, "magic-auth.db")).unwrap();
    command.execute_batch("PRAGMA journal_mode = WAL; BEGIN; SELECT * FROM customers").unwrap();
    assert_snapshot!(refusal(&folder, "restore", &backup), @"magic-auth: another program has the database FOLDER/magic-auth.db open: end it, or wait for it, and try again");
    drop(command);
    assert_eq!(customers(&in_folder(&folder, "magic-auth.db")), [EVA, JAN]);
    assert!(litter(&folder).is_empty(), "{:?}", litter(&folder));
}

#[test]
fn only_a_sound_backup_is_restored() {
    let (folder, backup) = folder_with_backup();
    let database = in_folder(&folder, "magic-auth.db");
    let refusal = |name: &str| refusal(&folder, "restore", &in_folder(&folder, name));
    let variant = |name: &str, change: &dyn Fn(&Path)| {
        let path = in_folder(&folder, name);
        std::fs::copy(&backup, &path).unwrap();
        change(&path);
        let refusal = refusal(name);
        std::fs::remove_file(path).unwrap();
        refusal
    };
    assert_snapshot!(refusal("magic-auth.db"), @"magic-auth: FOLDER/magic-auth.db is the database itself or belongs to it: name another file");
    assert_snapshot!(refusal("nowhere.db"), @"magic-auth: cannot read FOLDER/nowhere.db: No such file or directory (os error 2)");
    assert_snapshot!(refusal("."), @"magic-auth: FOLDER/. is not a file: name one");
    assert_snapshot!(refusal("config.toml"), @"magic-auth: cannot copy FOLDER/config.toml: file is not a database");
    assert_snapshot!(variant("newer.db", &|path| set_version(path, 99)), @"magic-auth: the database FOLDER/newer.db has version 99, but this program knows only 4: use a newer magic-auth");
    assert_snapshot!(variant("empty.db", &|path| std::fs::write(path, "").unwrap()), @"magic-auth: FOLDER/empty.db is not a magic-auth backup: name another file");
    assert_snapshot!(variant("foreign.db", &|path| {
        Connection::open(path).unwrap().execute_batch("PRAGMA foreign_keys = OFF; DROP TABLE customers").unwrap();
    }), @"magic-auth: FOLDER/foreign.db is not a magic-auth backup: name another file");
    assert_snapshot!(variant("orphan.db", &|path| {
        let orphan = "PRAGMA foreign_keys = OFF; UPDATE login_attempts SET customer_id = 77";
        Connection::open(path).unwrap().execute_batch(orphan).unwrap();
    }), @"magic-auth: FOLDER/orphan.db is damaged: row 1 of login_attempts refers to a row that is not there: restore a sound backup (magic-auth restore)");
    assert_snapshot!(variant("damaged.db", &|path| overwrite_root_of(path, "sessions")), @"magic-auth: FOLDER/damaged.db is damaged: database disk image is malformed: restore a sound backup (magic-auth restore)");
    let damaged_in_wal_mode = variant("damaged.db", &|path| {
        overwrite_root_of(path, "sessions");
        let mut content = std::fs::read(path).unwrap();
        // What the header calls the versions of reading and writing.
        content[18..20].fill(2);
        std::fs::write(path, content).unwrap();
    });
    assert_snapshot!(damaged_in_wal_mode, @"magic-auth: FOLDER/damaged.db is damaged: database disk image is malformed: restore a sound backup (magic-auth restore)");
    let cut = variant("cut.db", &|path| {
        let length = std::fs::metadata(path).unwrap().len();
        std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(length - 4_096).unwrap();
    });
    assert_snapshot!(cut, @"magic-auth: FOLDER/cut.db is damaged: database disk image is malformed: restore a sound backup (magic-auth restore)");
    std::fs::copy(&backup, in_folder(&folder, "raw.db")).unwrap();
    std::fs::write(in_folder(&folder, "raw.db-wal"), "what was committed last").unwrap();
    assert_snapshot!(refusal("raw.db"), @"magic-auth: FOLDER/raw.db-wal is beside it, so the file may be a database in use: name a stand-alone file, such as magic-auth backup makes");
    std::fs::remove_file(in_folder(&folder, "raw.db")).unwrap();
    std::fs::remove_file(in_folder(&folder, "raw.db-wal")).unwrap();
    assert_eq!(customers(&database), [JAN]);
    assert!(litter(&folder).is_empty(), "{:?}", litter(&folder));
}

#[test]
fn a_backup_in_wal_mode_is_restored_as_one_file() {
    let (folder, backup) = folder_with_backup();
    Connection::open(&backup).unwrap().pragma_update(None, "journal_mode", "wal").unwrap();
    said(&folder, "restore", &backup);
    assert_eq!(customers(&in_folder(&folder, "magic-auth.db")), [JAN]);
    assert_eq!(litter(&folder).len(), 1, "{:?}", litter(&folder));
}

#[test]
fn the_wal_of_a_database_that_is_gone_or_empty_is_kept() {
    for is_empty in [false, true] {
        let (folder, backup) = folder_with_backup();
        let database = in_folder(&folder, "magic-auth.db");
        std::fs::remove_file(&database).unwrap();
        if is_empty {
            std::fs::write(&database, "").unwrap();
        }
        std::fs::write(in_folder(&folder, "magic-auth.db-wal"), "its wal").unwrap();
        said(&folder, "restore", &backup);
        let kept = litter(&folder).into_iter().find(|name| name.ends_with("-wal")).unwrap();
        assert_eq!(std::fs::read_to_string(in_folder(&folder, &kept)).unwrap(), "its wal");
    }
}

#[test]
fn a_database_that_is_too_damaged_to_open_is_kept_with_its_wal() {
    let (folder, backup) = folder_with_backup();
    let database = in_folder(&folder, "magic-auth.db");
    std::fs::write(&database, "no database at all, by no means".repeat(500)).unwrap();
    std::fs::write(in_folder(&folder, "magic-auth.db-wal"), "its wal").unwrap();
    assert_snapshot!(said(&folder, "restore", &backup), @"Restored FOLDER/magic-auth.db from FOLDER/backup.db: 1 customer, 68.00 KiB, checked. What was there before is kept as FOLDER/magic-auth.db.before-restore-MOMENT and FOLDER/magic-auth.db.before-restore-MOMENT-wal.");
    assert_eq!(customers(&database), [JAN]);
    let mut kept = litter(&folder);
    kept.sort();
    let [database, wal] = &kept[..] else { panic!("{kept:?}") };
    assert_eq!(wal, &format!("{database}-wal"));
    assert_eq!(std::fs::read_to_string(in_folder(&folder, wal)).unwrap(), "its wal");
}

#[test]
fn a_wal_that_a_database_left_behind_is_not_taken_for_the_restored_ones() {
    let (folder, backup) = folder_with_backup();
    let process = start_process(folder);
    process.shop().identity(EVA);
    let wal = std::fs::read(in_folder(&process.folder, "magic-auth.db-wal")).unwrap();
    let folder = stop(process);
    std::fs::remove_file(in_folder(&folder, "magic-auth.db")).unwrap();
    std::fs::write(in_folder(&folder, "magic-auth.db-wal"), wal).unwrap();
    said(&folder, "restore", &backup);
    assert_eq!(customers(&in_folder(&folder, "magic-auth.db")), [JAN]);
}

#[test]
fn somebody_elses_database_is_not_replaced() {
    let (origin, backup) = folder_with_backup();
    let folder = folder_with("");
    let notes = Connection::open(in_folder(&folder, "magic-auth.db")).unwrap();
    notes.execute_batch("CREATE TABLE notes (text)").unwrap();
    assert_snapshot!(refusal(&folder, "restore", &backup), @"magic-auth: the database FOLDER/magic-auth.db was not made by magic-auth: name another file in [database] path");
    drop(origin);
}

#[test]
fn a_newer_database_may_be_replaced_by_what_was_backed_up_before() {
    let (folder, backup) = folder_with_backup();
    set_version(&in_folder(&folder, "magic-auth.db"), 99);
    said(&folder, "restore", &backup);
    start_process(folder);
}

/// Adds so many customers that a copy takes its time.
fn fill(database: &Path) {
    let many = "INSERT INTO customers (organisation_id, cu_ref_no, email, email_canonical, created_at)
        WITH RECURSIVE n (i) AS (SELECT 10000 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)
        SELECT 1, 'customer000' || i, i || '@barasek.com', i || '@barasek.com', 1 FROM n";
    Connection::open(database).unwrap().execute_batch(many).unwrap();
}

/// Kills a command at moments all over the time that it takes, and looks each time at what it has left.
fn kill_at_any_moment(folder: &TempDir, arguments: [&str; 2], mut look: impl FnMut()) {
    const ROUNDS: u32 = 12;
    let start = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_magic-auth"));
        command.arg("--config").arg(in_folder(folder, "config.toml")).args(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let clock = Clock::system();
    let begin = clock.steady();
    assert!(start().wait().unwrap().success());
    let whole = clock.steady().saturating_sub(begin);
    for round in 0..ROUNDS {
        let mut child = start();
        std::thread::sleep(whole * round / ROUNDS);
        child.kill().unwrap();
        child.wait().unwrap();
        look();
    }
}

#[test]
fn a_backup_that_is_killed_leaves_the_earlier_one() {
    let (folder, backup) = folder_with_backup();
    fill(&in_folder(&folder, "magic-auth.db"));
    let earlier = std::fs::read(&backup).unwrap();
    let arguments = ["backup", backup.to_str().unwrap()];
    kill_at_any_moment(&folder, arguments, || {
        // A copy of the same database always has the same bytes, but for its counter of changes.
        let is_whole = customers(&backup).len() == 20_002;
        assert!(is_whole || std::fs::read(&backup).unwrap() == earlier);
        std::fs::write(&backup, &earlier).unwrap();
    });
}

#[test]
fn a_restoration_that_is_killed_leaves_the_earlier_database_or_the_restored_one() {
    let process = spawn_process("");
    process.shop().identity(JAN);
    process.shop().identity(EVA);
    // As a server that was killed leaves them: the customers are in the WAL.
    let files = ["magic-auth.db", "magic-auth.db-wal"].map(|name| in_folder(&process.folder, name));
    let contents = files.clone().map(|file| std::fs::read(file).unwrap());
    let folder = stop(process);
    fill(&files[0]);
    let backup = in_folder(&folder, "backup.db");
    said(&folder, "backup", &backup);
    let put_back = || files.iter().zip(&contents).for_each(|(file, content)| std::fs::write(file, content).unwrap());
    put_back();
    kill_at_any_moment(&folder, ["restore", backup.to_str().unwrap()], || {
        let found = customers(&files[0]);
        assert!(found.len() == 20_003 || found == [EVA, JAN], "{}", found.len());
        assert!(cli(&folder, &["check"]).status.success());
        put_back();
    });
}

#[test]
fn an_empty_journal_beside_the_place_is_in_nobodys_way() {
    let app = spawn_app();
    let backup = app.folder.path().join("backup.db");
    std::fs::write(app.folder.path().join("backup.db-wal"), "").unwrap();
    assert!(run(&app.folder, "backup", &backup).status.success());
}

#[test]
fn a_link_that_leads_to_itself_is_no_place_and_stays() {
    let app = spawn_app();
    let backup = app.folder.path().join("backup.db");
    symlink(&backup, &backup).unwrap();
    let output = run(&app.folder, "backup", &backup);
    assert!(!output.status.success() && !output.stderr.is_empty(), "{output:?}");
    assert!(backup.is_symlink());
}
