//! What must stand nowhere: keys, identity ids and addresses in the log, keys and identity ids in the
//! database; and nothing from outside that could forge a line of the log.

use std::collections::BTreeSet;
use std::path::Path;

use magic_auth::domain::{ApiKey, IdentityId};
use serde_json::{Value, json};

use crate::app::{Client, RIVAL, SHOP, SHOP_DEV, SHOP_ROOT, cli, write_config};
use crate::process::{TestProcess, eventually, exchange, start_process_logging};

/// A well-formed key that nobody has.
const WRONG_KEY: &str = "PRODwrongKeyThatNobodyEverMade00";

/// A well-formed identity that nobody has.
const WRONG_IDENTITY: &str = "9rongIdentityThatNobodyHasEver00";

const SIGN_IN: &str = "/api/v1/customer/magic-auth";
const ALIAS: &str = "/contact/v1/magic-auth";

/// Addresses as they are sent, shown and told apart; each a text that stands nowhere else.
const ADDRESSES: &[&str] = &[
    "Jan.Quijote+shop@GoogleMail.com",
    "jan.quijote+shop@googlemail.com",
    "jan.quijote@gmail.com",
    "janquijote@gmail.com",
    "janquijote",
    "dulcinea@barasek.com",
    "rocinante@barasek.com",
    "sancho@barasek.com",
    "sancho..panza@barasek.com",
    "sancho..panza",
];

/// A server at work, and all the secrets that it has been told or has made.
struct Secrets {
    process: TestProcess,
    secrets: BTreeSet<String>,
}

impl Secrets {
    fn new(level: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_config(
            &folder,
            "[throttle.email]\nburst = 5\n[sign_in]\nguest = \"refuse\"\n[session]\nidle_timeout = \"1ms\"",
        );
        let process = start_process_logging(folder, Some(level));
        assert!(ApiKey::parse(WRONG_KEY).is_ok() && IdentityId::parse(WRONG_IDENTITY).is_ok());
        let keys = [SHOP, SHOP_DEV, SHOP_ROOT, RIVAL, WRONG_KEY, WRONG_IDENTITY];
        Self { process, secrets: keys.map(str::to_owned).into() }
    }

    fn client(&self, key: &str) -> Client {
        Client::new(self.process.address, key)
    }

    fn cli(&self, arguments: &[&str]) -> String {
        let output = cli(&self.process.folder, arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Signs in and remembers the identity.
    fn identity(&mut self, email: &str) -> String {
        let identity = self.client(SHOP).identity(email);
        self.secrets.insert(identity.clone());
        identity
    }

    fn use_every_route_and_channel(&mut self) {
        let identity = self.identity("Jan.Quijote+shop@GoogleMail.com");
        let nobody = self.client("");
        for key in [SHOP, WRONG_KEY] {
            let body = json!({ "apiKey": key, "email": "dulcinea@barasek.com" }).to_string();
            let bearer = format!("Bearer {key}");
            let form = format!("apiKey={key}&email=dulcinea%40barasek.com");
            let replies = [
                nobody.post(ALIAS, "application/json", &body),
                nobody.post(ALIAS, "application/x-www-form-urlencoded", &form),
                nobody.post_with(ALIAS, &[("authorization", &bearer), ("content-type", "text/plain")], body.as_bytes()),
                nobody.get_with("/ping/v1", &[("authorization", &bearer)]),
                nobody.get(&format!("/api/v1/ping?apiKey={key}")),
            ];
            self.secrets.extend(replies.iter().filter_map(identity_in));
        }
        for identity in [&identity, WRONG_IDENTITY] {
            let shop = self.client(SHOP);
            shop.account_info(identity);
            shop.get(&format!("/contact/v1/get-account-info?identityId={identity}"));
            self.client(RIVAL).account_info(identity);
            self.client(WRONG_KEY).account_info(identity);
            shop.logout(identity);
        }
    }

    fn provoke_every_refusal(&mut self) {
        let operator = |secrets: &Self, command: &str, more: &[&str]| {
            secrets.cli(&[&["customer", command, "--organisation", "shop", "sancho@barasek.com"], more].concat())
        };
        let code = |secrets: &Self| secrets.client(SHOP).sign_in("sancho@barasek.com").code();
        let identity = self.identity("sancho@barasek.com");
        operator(self, "ban", &["--reason", "fraud"]);
        assert_eq!(code(self), "E005");
        operator(self, "unban", &[]);
        operator(self, "deauthorize", &[]);
        assert_eq!(code(self), "E007");
        let database = self.process.database();
        database.execute_batch("UPDATE customers SET registered_at = NULL WHERE email = 'sancho@barasek.com'").unwrap();
        assert_eq!(code(self), "E003");
        database.execute_batch("ALTER TABLE sessions RENAME TO away; ALTER TABLE customers RENAME TO gone").unwrap();
        assert_eq!(code(self), "E001");
        assert_eq!(self.client(SHOP).account_info(&identity).status, 500);
        database.execute_batch("ALTER TABLE gone RENAME TO customers; ALTER TABLE away RENAME TO sessions").unwrap();
        assert_eq!(code(self), "E006");
        assert_eq!(self.client(SHOP).sign_in("sancho..panza@barasek.com").code(), "E004");
    }

    fn send_what_is_wrong(&self) {
        let (shop, nobody) = (self.client(SHOP), self.client(""));
        let is_identity = |secret: &&String| IdentityId::parse(secret).is_ok() && *secret != WRONG_IDENTITY;
        let identity = self.secrets.iter().find(is_identity).expect("somebody has signed in");
        for secret in [SHOP, WRONG_KEY, WRONG_IDENTITY, identity] {
            nobody.get(&format!("/nowhere/{secret}?apiKey={secret}&identityId={secret}&email=rocinante@barasek.com"));
            nobody.get(&format!("{SIGN_IN}/{secret}?email=rocinante%40barasek.com"));
            nobody.get(&format!("{SIGN_IN}?apiKey={secret}"));
            nobody.get_with("/nowhere", &[("referer", secret), ("user-agent", secret), ("cookie", secret)]);
            shop.magic_auth(&json!({ "email": "rocinante@barasek.com", "customerRealIp": secret }));
            shop.magic_auth(&json!({ "email": ["rocinante@barasek.com"], secret: secret }));
            shop.magic_auth(&json!({ "email": "rocinante@barasek.com", "referralId": secret }));
            shop.post(SIGN_IN, "application/json", &format!("{{\"email\":\"rocinante@barasek.com\",\"{secret}"));
            shop.post(SIGN_IN, secret, "rocinante@barasek.com");
            shop.post(SIGN_IN, &format!("multipart/form-data; boundary={secret}"), "rocinante@barasek.com");
            exchange(self.process.address, format!("GET /{secret} HTTP/1.1\r\n{secret}\r\n\r\n").as_bytes());
            let as_method = format!("{secret} / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            exchange(self.process.address, as_method.as_bytes());
        }
    }

    fn use_the_command_line(&mut self) {
        let create = ["key", "create", "--organisation", "shop", "--kind", "prod", "--only", "logout"];
        let old = self.cli(&create).trim().to_owned();
        let new = self.cli(&["key", "rotate", &old[28..]]).trim().to_owned();
        for key in [old, new] {
            assert_eq!(self.client(&key).sign_in("rocinante@barasek.com").status, 403);
            self.cli(&["key", "revoke", &key[28..]]);
            assert_eq!(self.client(&key).ping().status, 401);
            self.secrets.insert(key);
        }
        self.cli(&["customer", "show", "--organisation", "shop", "janquijote@gmail.com"]);
        self.cli(&["customer", "sign-out", "--organisation", "shop", "janquijote@gmail.com"]);
        self.cli(&["attempts", "--email", "janquijote@gmail.com"]);
        self.cli(&["check"]);
    }

    /// Does all that the server can be asked for, and gives its log, once it is complete.
    fn collect(level: &str) -> (Self, String) {
        let mut secrets = Self::new(level);
        secrets.use_every_route_and_channel();
        secrets.provoke_every_refusal();
        secrets.send_what_is_wrong();
        secrets.use_the_command_line();
        assert!(secrets.secrets.len() > 8, "{:?}", secrets.secrets);
        let log = complete_log(&secrets.process);
        (secrets, log)
    }

    /// The secrets that stand in `text`.
    fn found_in<'s>(&'s self, text: &str) -> Vec<&'s str> {
        self.secrets.iter().map(String::as_str).filter(|secret| text.contains(secret)).collect()
    }
}

fn identity_in(reply: &crate::app::Reply) -> Option<String> {
    let json: Value = serde_json::from_str(&reply.text).ok()?;
    Some(json["identityId"].as_str()?.to_owned())
}

/// The log up to a request that is made now.
fn complete_log(process: &TestProcess) -> String {
    process.shop().get_with("/last", &[("x-request-id", "the-last")]);
    eventually(|| process.log().contains("request_id=the-last"));
    process.log()
}

fn assert_log_without_secrets(level: &str) {
    let (secrets, log) = Secrets::collect(level);
    assert!(log.contains("email=j***@googlemail.com"), "{log}");
    for line in log.lines() {
        assert_eq!(secrets.found_in(line), Vec::<&str>::new(), "{line}");
    }
    for address in ADDRESSES {
        let line = log.lines().find(|line| line.to_lowercase().contains(&address.to_lowercase()));
        assert_eq!(line, None, "{address}");
    }
}

#[test]
fn no_key_identity_or_address_stands_in_the_log() {
    assert_log_without_secrets("debug");
}

#[test]
fn no_key_identity_or_address_stands_in_the_most_talkative_log() {
    assert_log_without_secrets("trace");
}

#[test]
fn no_key_or_identity_stands_in_the_files_of_the_database() {
    let (secrets, _) = Secrets::collect("off,magic_auth::http=info");
    let folder = secrets.process.folder.path();
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| !path.ends_with("config.toml"));
    files.sort_unstable();
    let names: Vec<_> = files.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["magic-auth.db", "magic-auth.db-shm", "magic-auth.db-wal", "magic-auth.db.lock"]);
    for file in &files {
        assert_eq!(secrets.found_in(&content(file)), Vec::<&str>::new(), "{}", file.display());
    }
    // The search finds what is there.
    assert!(files.iter().any(|file| content(file).contains("sancho@barasek.com")));
}

fn content(file: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned()
}

/// Texts that would end a line, move the cursor, or turn the direction of writing.
const HOSTILE: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    "\u{1b}[2J",
    "\u{1b}]0;x\u{7}",
    "\u{2028}",
    "\u{2029}",
    "\u{202e}",
    "\u{2066}",
    "\u{85}",
    "\u{9b}",
];

fn send_hostile(process: &TestProcess, hostile: &str) {
    send_forged(process, &format!("x{hostile}2026-01-01T00:00:00.000Z ERROR forged"));
    send_forged(process, &format!(r#"","message":"forged"}}{hostile}{{"message":"forged"}}"#));
}

fn send_forged(process: &TestProcess, forged: &str) {
    let shop = process.shop();
    shop.magic_auth(&json!({ "email": "jan@barasek.com", "firstName": forged, "lastName": forged }));
    shop.magic_auth(&json!({ "email": format!("{forged}@barasek.com"), "customerRealIp": "1.1.1.1" }));
    shop.magic_auth(&json!({ "email": format!("jan@{forged}.com") }));
    shop.magic_auth(&json!({ "email": "jan@barasek.com", "referralId": forged, "customerRealIp": forged }));
    shop.magic_auth(&json!({ "email": 1, forged: forged }));
    let encoded = percent_encoded(forged);
    shop.get(&format!("/{encoded}?{encoded}={encoded}"));
    shop.get(&format!("/api/v1/ping?apiKey={encoded}"));
    for request in [
        format!("GET /api/v1/ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Request-Id: {forged}\r\n\r\n"),
        format!("GET /api/v1/ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\nUser-Agent: {forged}\r\n\r\n"),
        format!("GET /api/v1/ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Forwarded-For: {forged}\r\n\r\n"),
        format!("GET /api/v1/ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {forged}\r\n\r\n"),
        format!("GET /{forged} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
        format!("{forged} / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
    ] {
        exchange(process.address, request.as_bytes());
    }
}

fn percent_encoded(text: &str) -> String {
    text.bytes().flat_map(|byte| format!("%{byte:02x}").into_bytes()).map(char::from).collect()
}

fn hostile_log(format: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    write_config(&folder, &format!("[throttle.email]\nburst = 0\n[log]\nformat = \"{format}\""));
    // So that the header is read.
    let path = folder.path().join("config.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, config.replace("[server]", "[server]\ntrusted_proxies = [\"127.0.0.1\"]")).unwrap();
    let process = start_process_logging(folder, Some("debug"));
    for hostile in HOSTILE {
        send_hostile(&process, hostile);
    }
    process.shop().get_with("/last", &[("x-request-id", "the-last")]);
    eventually(|| process.log().contains("the-last"));
    process.log()
}

fn assert_no_hidden_character(log: &str) {
    let hidden = |character: &char| {
        *character != '\n' && (character.is_control() || HOSTILE.iter().any(|text| text.starts_with(*character)))
    };
    for line in log.lines() {
        assert_eq!(line.chars().find(hidden), None, "{line:?}");
    }
}

#[test]
fn nothing_from_outside_makes_a_line_of_the_log() {
    let log = hostile_log("text");
    assert_no_hidden_character(&log);
    for line in log.split('\n').filter(|line| !line.is_empty()) {
        let (at, rest) = line.split_at_checked(24).unwrap_or_else(|| panic!("{line:?}"));
        assert!(at.starts_with("20") && at.ends_with('Z') && !at.starts_with("2026-01-01T00:00:00.000"), "{line:?}");
        assert!([" INFO ", " DEBUG", " WARN ", " ERROR"].contains(&&rest[..6]), "{line:?}");
        assert!(!rest.starts_with(" ERROR forged"), "{line:?}");
    }
}

#[test]
fn nothing_from_outside_makes_an_object_of_the_json_log() {
    let log = hostile_log("json");
    assert_no_hidden_character(&log);
    for line in log.split('\n').filter(|line| !line.is_empty()) {
        let object: Value = serde_json::from_str(line).unwrap();
        assert_ne!(object["message"], "forged", "{line}");
    }
}
