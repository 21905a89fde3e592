//! A shop's server as a process of its own on a folder of its own, with the shim between or without, and its client.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::Duration;

use rustix::fs::statvfs;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::recording::{Files, read_files, write_files};
use crate::shim::{Orders, Shim};

/// The shop's key, which no throttle and no quota concerns.
pub const KEY: &str = "ROOTshop000000000000000000000000";

/// How long a client waits for an answer.
pub const CLIENT_TIMEOUT: Duration = Duration::from_secs(30);

/// The shop's database, within its folder.
pub const DATABASE: &str = "magic-auth.db";

/// A folder with a configuration and a folder for the database.
pub struct Shop<'s> {
    shim: Option<&'s Shim>,
    folder: TempDir,
    pub orders: Orders,
}

/// A folder in memory where there is enough of it: what a power cut leaves is thought out, and not left to a disk.
pub fn temporary_folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let has_room = statvfs(memory).is_ok_and(|system| system.f_bavail * system.f_frsize > 1 << 30);
    if has_room { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

impl<'s> Shop<'s> {
    /// A shop with these files beside its database, and the shim under all of its programs if one is given.
    pub fn open(shim: Option<&'s Shim>, files: &Files) -> Self {
        Self::configured(shim, files, "")
    }

    /// The same with more lines in its configuration.
    pub fn configured(shim: Option<&'s Shim>, files: &Files, more: &str) -> Self {
        let folder = temporary_folder();
        let config = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 2\n[database]\npath = \"disk/{DATABASE}\"\n\
            [[organisation]]\nname = \"shop\"\napi_keys = [\"{KEY}\"]\n{more}"
        );
        std::fs::write(folder.path().join("config.toml"), config).unwrap();
        File::create(folder.path().join("record")).unwrap();
        write_files(&folder.path().join("disk"), files);
        let orders = Orders::new(folder.path().join("orders"));
        Self { shim, folder, orders }
    }

    /// The folder of the database.
    pub fn disk(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    /// What is on the disk.
    pub fn files(&self) -> Files {
        read_files(&self.disk())
    }

    /// What the shim records.
    pub fn record(&self) -> PathBuf {
        self.folder.path().join("record")
    }

    /// How much the shim has recorded: a moment in the order of the calls.
    pub fn now(&self) -> u64 {
        std::fs::metadata(self.record()).unwrap().len()
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_magic-auth"));
        command.arg("--config").arg(self.folder.path().join("config.toml")).env_remove("RUST_LOG");
        if let Some(shim) = self.shim {
            shim.put_under(&mut command, &self.disk(), &self.record(), &self.orders);
        }
        command
    }

    /// Runs a command of the program.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().unwrap()
    }

    /// Runs a command that must succeed, and gives what it prints.
    pub fn run_well(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Makes a key of this kind.
    pub fn create_key(&self, kind: &str) -> String {
        self.run_well(&["key", "create", "--kind", kind]).trim().to_owned()
    }

    /// A number that the database holds.
    pub fn count(&self, sql: &str) -> i64 {
        let database = rusqlite::Connection::open(self.disk().join(DATABASE)).unwrap();
        database.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// Starts the server. When it ends instead, how.
    pub fn serve(&self) -> Result<Server, ExitStatus> {
        let earlier = self.log().len();
        let log = File::options().append(true).create(true).open(self.folder.path().join("log")).unwrap();
        let mut child =
            self.command().arg("serve").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let address = loop {
            let end = child.try_wait().unwrap();
            let log = self.log();
            if let Some((address, _)) =
                log[earlier..].split_once("listening address=").and_then(|(_, rest)| rest.split_once(' '))
            {
                break address.to_owned();
            }
            if let Some(status) = end {
                return Err(status);
            }
            thread::sleep(Duration::from_millis(2));
        };
        let config = ureq::Agent::config_builder().timeout_global(Some(CLIENT_TIMEOUT)).proxy(None);
        // When the clock runs ahead, the server closes connections that have been idle for long by its clock.
        let config = config.max_idle_connections(0);
        let agent = config.http_status_as_error(false).build().into();
        Ok(Server { child, agent, url: format!("http://{address}/api/v1") })
    }
}

/// A running server. It is killed when it goes out of scope.
pub struct Server {
    child: Child,
    agent: ureq::Agent,
    url: String,
}

impl Server {
    /// Signs in. Gives the identity id, or the code of the refusal, or what became of the request.
    pub fn sign_in(&self, email: &str) -> Result<String, String> {
        let answer = self.try_sign_in(KEY, email)?;
        answer.text("identityId").ok_or_else(|| answer.text("errorCode").unwrap_or_else(|| answer.body.to_string()))
    }

    /// Signs in with this key. Gives the answer, or what became of the request.
    pub fn try_sign_in(&self, key: &str, email: &str) -> Result<Answer, String> {
        self.post(key, "customer/magic-auth", &json!({ "email": email }))
    }

    /// Logs out, which must succeed.
    pub fn log_out(&self, identity: &str) {
        let answer = self.post(KEY, "customer/logout", &json!({ "identityId": identity })).unwrap();
        assert_eq!(answer.body["success"], true, "{}", answer.body);
    }

    pub fn is_logged_in(&self, identity: &str) -> bool {
        let path = format!("customer/get-account-info?identityId={identity}&apiKey={KEY}");
        let answer = self.get(&path).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body["loggedIn"] == true
    }

    /// Asks whether the key is in force.
    pub fn ping(&self, key: &str) -> Result<Answer, String> {
        self.get(&format!("ping?apiKey={key}"))
    }

    fn get(&self, path: &str) -> Result<Answer, String> {
        Answer::read(self.agent.get(format!("{}/{path}", self.url)).call())
    }

    fn post(&self, key: &str, path: &str, body: &Value) -> Result<Answer, String> {
        let request = self.agent.post(format!("{}/{path}?apiKey={key}", self.url));
        Answer::read(request.header("content-type", "application/json").send(body.to_string()))
    }

    /// Whether it says on the operator's port, which is in its log, that sign-ins would succeed.
    pub fn is_ready(&self, shop: &Shop<'_>) -> bool {
        let address = || Some(shop.log().split_once("health and metrics address=")?.1.split_once('\n')?.0.to_owned());
        let address = (0..1_000).map(|_| thread::sleep(Duration::from_millis(10))).find_map(|()| address()).unwrap();
        let url = format!("http://{address}/health/ready");
        Answer::read(self.agent.get(url).call()).unwrap().status == 200
    }

    /// How the server has ended, if it has.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Has the server finish its work and end.
    pub fn stop(mut self) -> ExitStatus {
        let status = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status();
        assert!(status.unwrap().success());
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer of the server.
pub struct Answer {
    pub status: u16,
    headers: ureq::http::HeaderMap,
    pub body: Value,
}

impl Answer {
    fn read(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Self, String> {
        let (head, mut body) = answer.map_err(|error| error.to_string())?.into_parts();
        let text = body.read_to_string().map_err(|error| error.to_string())?;
        let body = serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
        Ok(Self { status: head.status.as_u16(), headers: head.headers, body })
    }

    /// A text of the body.
    pub fn text(&self, field: &str) -> Option<String> {
        self.body[field].as_str().map(ToOwned::to_owned)
    }

    /// The number in a header.
    pub fn number(&self, header: &str) -> Option<i64> {
        self.headers.get(header)?.to_str().ok()?.parse().ok()
    }
}
