//! The life of the process: its start, its end, its sudden death, and what of its data outlives it.

use std::cell::RefCell;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use magic_auth::clock::Clock;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::admin::ADMIN;
use crate::app::{Client, SHOP, SHOP_ROOT, cli, write_config};
use crate::cli::single_spaced;
use crate::process::{
    TestProcess, eventually, exchange, send_signal, serve_command, sign_in_bytes, skip, spawn_process, start_process,
    start_process_logging,
};

const JAN: &str = "jan@barasek.com";

/// The shipped configuration, but for a free port.
fn demo_config() -> String {
    include_str!("../../config.toml").replace("127.0.0.1:8080", "127.0.0.1:0")
}

fn folder_with(config: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.toml"), config).unwrap();
    folder
}

/// The error of a server that does not start: exit code 1 and one line.
fn start_error(folder: &TempDir) -> String {
    let child = RefCell::new(serve_command(folder).env("RUST_LOG", "off").spawn().unwrap());
    eventually(|| child.borrow_mut().try_wait().unwrap().is_some());
    let mut child = child.into_inner();
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!((child.wait().unwrap().code(), text.lines().count()), (Some(1), 1), "{text}");
    text.trim_end().to_owned()
}

#[test]
fn the_curl_of_the_welcome_signs_in() {
    let process = start_process(folder_with(&demo_config()));
    eventually(|| process.output().contains("-d '"));
    let welcome = process.output();
    let command = welcome.split_once("try it:").unwrap().1;
    let words = shell_words(command);
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let ["curl", "-X", "POST", url, "-H", header, "-d", body] = words[..] else { panic!("{words:?}") };
    let path = url.strip_prefix(&format!("http://{}", process.address)).unwrap();
    let header = header.split_once(": ").unwrap();
    Client::new(process.address, "").post_with(path, &[header], body.as_bytes()).identity();
}

/// The words of a shell command that needs no more than quotes and a continued line.
fn shell_words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for character in command.replace("\\\n", " ").chars() {
        match (quote, character) {
            (Some(end), _) if character == end => quote = None,
            (None, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, ' ' | '\n') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    assert_eq!(quote, None, "{command}");
    words.extend(word);
    words
}

#[test]
fn that_the_demo_keys_are_in_force_is_said_and_of_others_nothing_is_printed() {
    const WARNING: &str = " WARN  the published demo keys are in force: remove them before a proxy or a forwarded port";
    for (config, is_demo) in [(demo_config(), true), (demo_config().replace("api_keys =", "# api_keys ="), false)] {
        let mut process = start_process(folder_with(&config));
        process.signal("TERM");
        process.wait();
        assert_eq!(process.log().contains(WARNING), is_demo, "{}", process.log());
        assert_eq!(process.output().is_empty(), !is_demo, "{}", process.output());
    }
}

/// Sign-ins without a pause, from several threads, until the server takes no more.
struct Load {
    answered: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<Vec<(String, String)>>>,
}

impl Load {
    const THREADS: usize = 8;
    const MAILBOXES: usize = 5;

    fn on(address: SocketAddr) -> Self {
        let answered = Arc::new(AtomicUsize::new(0));
        let thread = |thread: usize| {
            let answered = answered.clone();
            std::thread::spawn(move || {
                let addresses = (0..).map(|number| format!("load{}+{thread}@gmail.com", number % Self::MAILBOXES));
                let answers = addresses.map_while(|email| {
                    let answer = exchange(address, &sign_in_bytes(SHOP_ROOT, &email));
                    answered.fetch_add(1, Ordering::SeqCst);
                    (!answer.is_empty()).then_some((email, answer))
                });
                answers.collect()
            })
        };
        let threads = (0..Self::THREADS).map(thread).collect();
        Self { answered, threads }
    }

    /// Waits until the load is well under way.
    fn wait_until_busy(&self) {
        eventually(|| self.answered.load(Ordering::SeqCst) > 10 * Self::THREADS);
    }

    /// The answers, once the server has ended.
    fn answers(self) -> Vec<(String, String)> {
        self.threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    }
}

/// The body of an answer that came as a whole.
fn whole_body(answer: &str) -> Option<Value> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    (length.parse() == Ok(body.len())).then(|| serde_json::from_str(body).unwrap())
}

fn identities(answers: &[(String, String)]) -> Vec<(String, String)> {
    let identity = |(email, answer): &(String, String)| {
        Some((email.clone(), whole_body(answer)?["identityId"].as_str()?.to_owned()))
    };
    answers.iter().filter_map(identity).collect()
}

/// Every identity that was handed out is that of its mailbox, and the database is in order.
fn assert_nothing_lost(process: &TestProcess, identities: &[(String, String)]) {
    assert!(identities.len() > 10 * Load::THREADS, "{}", identities.len());
    let root = Client::new(process.address, SHOP_ROOT);
    for (email, identity) in identities {
        let account = root.account_info(identity).json();
        let owner = account["email"].as_str().unwrap_or_else(|| panic!("{email} has lost {identity}"));
        assert_eq!(owner.split('+').next(), email.split('+').next());
    }
    let database = process.database();
    let text = |sql: &str| database.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(text("PRAGMA integrity_check"), "ok");
    assert!(!database.prepare("PRAGMA foreign_key_check").unwrap().exists([]).unwrap());
    let number = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let number = |sql: &str| usize::try_from(number(sql)).unwrap();
    assert_eq!(number("SELECT count(*) FROM customers"), Load::MAILBOXES);
    assert!(number("SELECT count(*) FROM sessions") >= identities.len());
    let attempts = "SELECT count(*) FROM login_attempts WHERE outcome = 'OK'";
    assert_eq!(number(attempts), number("SELECT count(*) FROM sessions"));
}

fn assert_finishes_what_is_under_way(signal: &str) {
    let mut process = spawn_process("");
    let load = Load::on(process.address);
    load.wait_until_busy();
    process.signal(signal);
    assert_eq!(process.wait().code(), Some(0), "{}", process.log());
    let answers = load.answers();
    let identities = identities(&answers);
    assert_eq!(identities.len(), answers.len(), "an answer is whole or there is none");
    assert_nothing_lost(&process.start_again(), &identities);
}

#[test]
fn sigterm_finishes_what_is_under_way_and_loses_nothing() {
    assert_finishes_what_is_under_way("TERM");
}

#[test]
fn ctrl_c_finishes_what_is_under_way_and_loses_nothing() {
    assert_finishes_what_is_under_way("INT");
}

#[test]
fn idle_connections_do_not_hold_up_the_end() {
    let mut process = spawn_process("");
    let [_silent, mut used] = [(); 2].map(|()| TcpStream::connect(process.address).unwrap());
    used.write_all(format!("GET /api/v1/ping?apiKey={SHOP} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
    used.read_exact(&mut [0; 12]).unwrap();
    let stopping = Clock::system();
    let started = stopping.steady();
    process.signal("TERM");
    assert_eq!(process.wait().code(), Some(0));
    // Before the silent one is let go of anyway, and requests under way are given up.
    assert!(stopping.steady() < started + Duration::from_secs(5));
}

/// A sign-in of which the server has the head and waits for the body.
fn under_way(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let head = format!(
        "POST /api/v1/customer/magic-auth?apiKey={SHOP} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        BODY.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

const BODY: &str = r#"{"email":"jan@barasek.com"}"#;

#[test]
fn while_it_stops_it_is_not_ready_and_finishes_what_is_under_way() {
    let mut process = spawn_process(ADMIN);
    let admin = Client::new(process.admin_address(), "none");
    let mut under_way = under_way(process.address);
    process.signal("TERM");
    eventually(|| admin.get("/health/ready").status == 503);
    assert!(admin.get("/health/ready").text.contains("the server is stopping"));
    assert_eq!(admin.get("/health/live").status, 200);
    under_way.write_all(BODY.as_bytes()).unwrap();
    let mut answer = String::new();
    under_way.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(r#""success":true"#), "{answer}");
    assert_eq!(process.wait().code(), Some(0));
}

#[test]
fn a_second_signal_ends_it_at_once_and_the_log_says_so() {
    let mut process = spawn_process("");
    let _under_way = under_way(process.address);
    process.signal("TERM");
    eventually(|| process.log().contains("stopping"));
    process.signal("TERM");
    assert_eq!(process.wait().code(), Some(1));
    assert!(process.log().contains("WARN  stopped by a second signal"), "{}", process.log());
}

#[test]
fn attempts_that_the_throttle_refused_are_recorded_at_the_end() {
    let mut process = spawn_process("[throttle.email]\nburst = 1");
    process.shop().identity(JAN);
    for _ in 0..3 {
        assert_eq!(process.shop().sign_in(JAN).code(), "E006");
    }
    process.signal("TERM");
    process.wait();
    let sql = "SELECT sum(count) FROM login_attempts WHERE outcome = 'E006'";
    assert_eq!(process.database().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap(), 3);
}

#[test]
fn sudden_death_loses_no_identity_that_was_answered() {
    let process = spawn_process("");
    let load = Load::on(process.address);
    load.wait_until_busy();
    let process = process.kill_and_restart();
    assert_nothing_lost(&process, &identities(&load.answers()));
}

#[test]
fn a_logout_survives_sudden_death() {
    let process = spawn_process("");
    let (ended, living) = (process.shop().identity(JAN), process.shop().identity(JAN));
    process.shop().logout(&ended);
    let process = process.kill_and_restart();
    assert!(!process.shop().is_logged_in(&ended));
    assert!(process.shop().is_logged_in(&living));
}

#[test]
fn a_ban_survives_sudden_death() {
    let process = spawn_process("");
    let identity = process.shop().identity(JAN);
    let ban = ["customer", "ban", "--organisation", "shop", JAN, "--reason", "fraud"];
    assert!(cli(&process.folder, &ban).status.success());
    let process = process.kill_and_restart();
    assert_eq!(process.shop().sign_in(JAN).code(), "E005");
    assert!(!process.shop().is_logged_in(&identity));
}

#[test]
fn the_revocation_of_a_key_survives_sudden_death() {
    let process = spawn_process("");
    assert!(cli(&process.folder, &["key", "revoke", "ROOT0000"]).status.success());
    let process = process.kill_and_restart();
    assert_eq!(Client::new(process.address, SHOP_ROOT).ping().status, 401);
    assert_eq!(process.shop().ping().status, 200);
}

#[test]
fn the_throttle_remembers_across_sudden_death() {
    let process = spawn_process("[throttle.email]\nburst = 2");
    process.shop().identity(JAN);
    process.shop().identity(JAN);
    let process = process.kill_and_restart();
    assert_eq!(process.shop().sign_in(JAN).code(), "E006");
}

#[test]
fn a_second_server_on_the_same_database_is_refused_and_the_first_goes_on() {
    let process = spawn_process("");
    let database = process.folder.path().join("magic-auth.db");
    assert_eq!(
        start_error(&process.folder),
        format!(
            "magic-auth: another magic-auth server is using the database {}: stop it first, or name another file in \
             [database] path",
            database.display()
        )
    );
    let identity = process.shop().identity(JAN);
    assert!(process.shop().is_logged_in(&identity));
}

#[test]
fn a_second_server_is_refused_also_by_another_name_of_the_file() {
    let process = spawn_process("");
    let other = tempfile::tempdir().unwrap();
    write_config(&other, "");
    std::os::unix::fs::symlink(process.folder.path().join("magic-auth.db"), other.path().join("magic-auth.db"))
        .unwrap();
    assert!(start_error(&other).contains("another magic-auth server is using the database"));
}

#[test]
fn a_database_is_made_where_a_link_leads() {
    let [folder, data, other] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let real = data.path().join("real.db");
    std::os::unix::fs::symlink(&real, folder.path().join("magic-auth.db")).unwrap();
    write_config(&folder, "");
    let process = start_process(folder);
    process.shop().identity(JAN);
    assert_eq!(std::fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o600);
    write_config(&other, &format!("[database]\npath = {real:?}"));
    assert!(start_error(&other).contains("another magic-auth server is using the database"));
    let wal = data.path().join("real.db-wal");
    let export = cli(&process.folder, &["customer", "export", "--organisation", "shop", wal.to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&export.stderr).contains("belongs to it: name another file"), "{export:?}");
    let checked = check(&process.folder);
    assert!(checked.contains("\nwal ok ") && !checked.contains("\nwal ok 0 B"), "{checked}");
    // Led elsewhere under the server, it is another database, which the readers do not have open.
    let (link, copy) = (process.folder.path().join("magic-auth.db"), data.path().join("copy.db"));
    std::fs::copy(&real, &copy).unwrap();
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(&copy, &link).unwrap();
    assert_eq!(process.shop().sign_in("eva@barasek.com").code(), "E001");
}

#[test]
fn a_database_that_is_gone_is_not_made_anew_beside_its_wal() {
    let mut process = spawn_process("");
    let identity = process.shop().identity(JAN);
    process.child.kill().unwrap();
    process.wait();
    let [database, away] = ["magic-auth.db", "away"].map(|name| process.folder.path().join(name));
    std::fs::rename(&database, &away).unwrap();
    for is_empty in [false, true] {
        if is_empty {
            std::fs::write(&database, "").unwrap();
        }
        let error = start_error(&process.folder);
        assert!(error.contains("is missing or empty, but its -wal is there"), "{error}");
        assert!(check(&process.folder).contains("\ndatabase WRONG the database "), "{}", check(&process.folder));
    }
    std::fs::rename(&away, &database).unwrap();
    assert!(process.start_again().shop().is_logged_in(&identity));
}

/// What `check` says, with one space between the words.
fn check(folder: &TempDir) -> String {
    let output = cli(folder, &["check"]);
    String::from_utf8(output.stdout).unwrap().lines().map(|line| single_spaced(line) + "\n").collect()
}

#[test]
fn whoever_stops_reading_the_log_stops_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    write_config(&folder, &format!("{DEMO}\n[rate_limit.prod]\nrequests = 0"));
    let mut child = serve_command(&folder).spawn().unwrap();
    // Far more lines than the pipe holds, and nobody reads them.
    let shop = Client::new(address_of(&mut child), SHOP);
    for _ in 0..2_000 {
        assert_eq!(shop.ping().status, 200);
    }
    send_signal(child.id(), "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_log_on_a_full_disk_stops_nothing_else() {
    let Ok(full) = File::options().write(true).open("/dev/full") else { return skip("a full log", "/dev/full") };
    let folder = tempfile::tempdir().unwrap();
    write_config(&folder, DEMO);
    let mut child = serve_command(&folder).stderr(full).spawn().unwrap();
    let shop = Client::new(address_of(&mut child), SHOP);
    let identity = shop.identity(JAN);
    assert!(shop.is_logged_in(&identity));
    send_signal(child.id(), "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// Has the server print a welcome.
const DEMO: &str = "[[organisation]]\nname = \"demo\"\napi_keys = [\"PRODPGrFxpGEtrOZfuWhnoJohUYBXuOE\"]";

/// Where it says in its welcome that it listens.
fn address_of(child: &mut Child) -> SocketAddr {
    let mut welcome = [0; 60];
    child.stdout.take().unwrap().read_exact(&mut welcome).unwrap();
    let welcome = String::from_utf8_lossy(&welcome).into_owned();
    let address = welcome.split("http://").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap();
    address.parse().unwrap()
}

#[test]
fn the_log_shows_whom_a_trusted_proxy_speaks_for_and_believes_nobody_else() {
    for (trusted, client) in [("127.0.0.1", "198.51.100.7"), ("10.0.0.0/8", "127.0.0.1")] {
        let folder = tempfile::tempdir().unwrap();
        write_config(&folder, "");
        let path = folder.path().join("config.toml");
        let config = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, config.replace("workers = 2", &format!("trusted_proxies = [{trusted:?}]"))).unwrap();
        let process = start_process(folder);
        let headers = [("x-forwarded-for", "198.51.100.7"), ("x-request-id", "by-proxy")];
        assert_eq!(process.shop().get_with("/api/v1/ping", &headers).status, 200);
        eventually(|| process.log().contains("request_id=by-proxy"));
        assert!(process.log().contains(&format!("client={client} ")), "{trusted}: {}", process.log());
    }
}

#[test]
fn a_signal_ends_it_at_once_while_it_still_starts() {
    let mut process = spawn_process("");
    process.signal("TERM");
    process.wait();
    // For this, the start waits two seconds at most.
    let database = process.database();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    let child = RefCell::new(serve_command(&process.folder).spawn().unwrap());
    let lock = std::fs::File::open(process.folder.path().join("magic-auth.db.lock")).unwrap();
    eventually(|| {
        let is_free = lock.try_lock().is_ok();
        if is_free {
            lock.unlock().unwrap();
        }
        !is_free
    });
    send_signal(child.borrow().id(), "TERM");
    eventually(|| child.borrow_mut().try_wait().unwrap().is_some());
    assert_eq!(child.into_inner().wait().unwrap().signal(), Some(15));
}

#[test]
fn the_second_server_may_start_once_the_first_was_killed() {
    let process = spawn_process("");
    let identity = process.shop().identity(JAN);
    start_error(&process.folder);
    let second = process.kill_and_restart();
    assert!(second.shop().is_logged_in(&identity));
}

#[test]
fn a_port_that_is_taken_is_an_error() {
    let first = spawn_process("");
    let folder = tempfile::tempdir().unwrap();
    write_config(&folder, "");
    let path = folder.path().join("config.toml");
    let config = std::fs::read_to_string(&path).unwrap().replace("127.0.0.1:0", &first.address.to_string());
    std::fs::write(&path, config).unwrap();
    let error = start_error(&folder);
    let expected = format!("magic-auth: cannot listen on {} ([server] listen): Address already in use", first.address);
    assert!(error.starts_with(&expected), "{error}");
    let advice = ": another program, perhaps the demo, listens there: stop it or choose another port";
    assert!(error.ends_with(advice), "{error}");
}

/// Gauzy GHSA-4r2r-mv32-3468: the password that everybody knows let everybody in.
#[test]
fn a_demo_key_is_refused_on_an_address_that_others_can_reach() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let folder = folder_with(&demo_config().replace("127.0.0.1:0", address));
        let error = start_error(&folder);
        assert!(error.ends_with(&format!(
            "config.toml: organisation \"demo\" has a demo key, which everybody knows: before the server listens on \
             {address}, remove it from api_keys, then make another (magic-auth key create)"
        )), "{error}");
        assert!(!error.contains("PRODPGrF"), "{error}");
    }
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    let folder = folder_with("[database]\npath = \"nowhere/magic-auth.db\"");
    let error = start_error(&folder);
    assert!(
        error.starts_with("magic-auth: the folder ") && error.contains("/nowhere for the database does not exist"),
        "{error}"
    );
}

/// The log of a server that has signed somebody in and has ended.
fn log_at(level: Option<&str>, more: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    write_config(&folder, more);
    let mut process = start_process_logging(folder, level);
    let body = json!({ "email": JAN, "referralId": "nobody" });
    process.shop().magic_auth(&body).identity();
    process.signal("TERM");
    process.wait();
    process.log()
}

#[test]
fn the_log_has_one_line_for_each_request_unless_told_otherwise() {
    let log = log_at(None, "");
    let messages: Vec<_> = log.lines().filter_map(|line| line.get(25..)).collect();
    let [made, listening, answered, stopping, stopped] = messages[..] else { panic!("{log}") };
    assert!(made.starts_with("INFO  made a new database path=/") && made.ends_with("/magic-auth.db"), "{made}");
    assert!(listening.starts_with("INFO  listening address=127.0.0.1:"), "{listening}");
    assert!(answered.starts_with("INFO  answered request_id="), "{answered}");
    assert!(stopping.starts_with("INFO  stopping: "), "{stopping}");
    assert_eq!(stopped, "INFO  stopped");
}

#[test]
fn the_line_of_a_request_says_what_happened_and_to_whom() {
    let process = spawn_process("");
    let path = format!("/api/v1/customer/magic-auth?apiKey={SHOP}");
    let headers = [("x-request-id", "shop-77"), ("content-type", "application/json")];
    Client::new(process.address, "").post_with(&path, &headers, json!({ "email": JAN }).to_string().as_bytes());
    eventually(|| process.log().contains("shop-77"));
    let log = process.log();
    let line = log.lines().find(|line| line.contains("shop-77")).unwrap();
    let (before, after) = line.split_once(" duration_ms=").unwrap();
    assert_eq!(
        &before[25..],
        "INFO  answered request_id=shop-77 method=POST route=/api/v1/customer/magic-auth status=200 code=OK"
    );
    let (duration, after) = after.split_once(' ').unwrap();
    assert!(duration.parse::<f64>().is_ok(), "{line}");
    assert_eq!(after, "client=127.0.0.1 organisation=shop key=PROD…0000 email=j***@barasek.com");
}

#[test]
fn a_key_that_is_not_in_force_is_named_as_key_list_names_it() {
    let process = spawn_process("");
    let key = format!("PROD{}", "x".repeat(28));
    Client::new(process.address, &key).get_with("/api/v1/ping", &[("x-request-id", "shop-78")]);
    eventually(|| process.log().contains("shop-78"));
    let log = process.log();
    let line = log.lines().find(|line| line.contains("shop-78")).unwrap();
    assert!(line.contains("status=401 code=PUBLIC_API_KEY_DOES_NOT_EXIST"), "{line}");
    assert!(line.ends_with("client=127.0.0.1 key=PROD…xxxx"), "{line}");
}

#[test]
fn rust_log_chooses_what_is_logged() {
    assert!(
        log_at(Some("debug"), "").contains(" DEBUG a referralId that is malformed or names no customer was ignored")
    );
    assert!(!log_at(Some("info"), "").contains(" DEBUG "));
    assert!(log_at(Some(""), "").contains(" INFO  answered "));
    assert!(!log_at(Some("warn,magic_auth::cli=info"), "").contains(" INFO  answered "));
    for misspelt in ["inf", "magic-auth=debug"] {
        let log = log_at(Some(misspelt), "");
        assert!(log.contains(&format!(" WARN  RUST_LOG={misspelt} would hide errors, so it is not used: ")), "{log}");
        assert!(log.contains(" INFO  answered ") && !log.contains(" DEBUG "), "{log}");
    }
}

#[test]
fn a_log_in_json_is_one_object_for_each_line() {
    let log = log_at(None, "[log]\nformat = \"json\"");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() >= 4 && lines.iter().all(Value::is_object), "{log}");
    for line in &lines {
        assert!(line["at"].is_string() && line["level"] == "info" && line["message"].is_string(), "{line}");
    }
    let answered = lines.iter().find(|line| line["message"] == "answered").unwrap();
    assert_eq!(
        (&answered["status"], &answered["code"], &answered["email"]),
        (&json!(200), &json!("OK"), &json!("j***@barasek.com"))
    );
    assert!(answered["duration_ms"].is_f64(), "{answered}");
}

#[test]
fn a_key_that_the_file_gives_to_another_organisation_is_told_of() {
    let mut process = spawn_process("");
    process.shop().identity(JAN);
    process.signal("TERM");
    process.wait();
    assert!(!process.log().contains("is now one of"), "{}", process.log());
    let path = process.folder.path().join("config.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, config.replace("name = \"shop\"", "name = \"my-shop\"")).unwrap();
    let process = process.start_again();
    eventually(|| process.log().contains("listening"));
    let told = "the key PROD…0000 is now one of my-shop; the customers, sessions and bans of shop stay where they are";
    assert!(process.log().contains(told), "{}", process.log());
}
