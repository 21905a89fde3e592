//! The server under test, within the test's process so that its clock can be moved, and its clients.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread::JoinHandle;
use std::time::Duration;

use magic_auth::application::Application;
use magic_auth::clock::Clock;
use magic_auth::config::Config;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use ureq::http::HeaderMap;

use crate::leaks::{self, Watch};

/// A production key of the organisation `shop`.
pub const SHOP: &str = "PRODshop000000000000000000000000";
/// A developer's key of `shop`.
pub const SHOP_DEV: &str = "DEV_shop000000000000000000000000";
/// A system key of `shop`.
pub const SHOP_ROOT: &str = "ROOTshop000000000000000000000000";
/// A production key of another organisation, `rival`.
pub const RIVAL: &str = "PRODrival00000000000000000000000";

/// A server with its own folder, which is deleted with it.
pub struct TestApp {
    pub address: SocketAddr,
    /// Of health and metrics, with `[admin] listen`.
    pub admin_address: Option<SocketAddr>,
    /// The server's clock.
    pub clock: Clock,
    pub folder: TempDir,
    stop: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<()>>,
    log: Watch,
}

/// A server with the default configuration, the organisations `shop` and `rival`, and throttles and
/// quotas as shipped.
pub fn spawn_app() -> TestApp {
    spawn_app_with("")
}

/// A server with more configuration, as TOML tables.
pub fn spawn_app_with(more: &str) -> TestApp {
    let folder = tempfile::tempdir().unwrap();
    write_config(&folder, more);
    start_app(folder)
}

/// A server on a folder that has a `config.toml`.
pub fn start_app(folder: TempDir) -> TestApp {
    start(folder, Clock::system())
}

/// A server with more keys in the table `[server]`.
pub fn spawn_app_serving(more: &str) -> TestApp {
    let app = spawn_app();
    app.edit_config("workers = 2", &format!("workers = 2\n{more}"));
    app.restart()
}

/// Writes `config.toml` into the folder.
pub fn write_config(folder: &TempDir, more: &str) {
    let config = format!(
        r#"
            [server]
            listen = "127.0.0.1:0"
            workers = 2

            [[organisation]]
            name = "shop"
            api_keys = ["{SHOP}", "{SHOP_DEV}", "{SHOP_ROOT}"]

            [[organisation]]
            name = "rival"
            api_keys = ["{RIVAL}"]

            {more}
        "#
    );
    write_private(&folder.path().join("config.toml"), &config);
}

/// Writes a file that only its owner can read.
pub fn write_private(path: &Path, content: impl AsRef<[u8]>) {
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn start(folder: TempDir, clock: Clock) -> TestApp {
    let log = Watch::start();
    let config = Config::load(Some(&folder.path().join("config.toml"))).unwrap();
    let (stop, stopped) = oneshot::channel();
    let (ready, addresses) = std::sync::mpsc::channel();
    let server_clock = clock.clone();
    let server = std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async {
            let application = Application::build(config, server_clock).unwrap();
            ready.send((application.address(), application.admin_address())).unwrap();
            application.run_until(async { drop(stopped.await) }).await.unwrap();
        });
    });
    let (address, admin_address) = addresses.recv().expect("the server starts");
    TestApp { address, admin_address, clock, folder, stop: Some(stop), server: Some(server), log }
}

impl TestApp {
    /// A client of `shop` with its production key.
    pub fn shop(&self) -> Client {
        self.client(SHOP)
    }

    /// A client that calls with this key.
    pub fn client(&self, key: &str) -> Client {
        Client::new(self.address, key)
    }

    /// Moves the server's clock.
    pub fn advance(&self, duration: Duration) {
        self.clock.advance(duration);
    }

    /// Stops the server and starts it again on the same folder, with `config.toml` as it is now.
    pub fn restart(mut self) -> Self {
        self.stop_server();
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
        start(folder, self.clock.clone())
    }

    pub fn stop_server(&mut self) {
        drop(self.stop.take());
        if let Some(server) = self.server.take() {
            server.join().unwrap();
        }
    }

    pub fn database_path(&self) -> PathBuf {
        self.folder.path().join("magic-auth.db")
    }

    /// A connection of its own to the database, to look at or to prepare what no route shows.
    pub fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.database_path()).unwrap()
    }

    /// One number that a query counts.
    pub fn count(&self, sql: &str) -> i64 {
        self.database().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// Runs the real binary on this server's configuration.
    pub fn cli(&self, arguments: &[&str]) -> Output {
        cli(&self.folder, arguments)
    }

    /// Runs the real binary, which must succeed, and gives what it prints.
    pub fn cli_ok(&self, arguments: &[&str]) -> String {
        let output = self.cli(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs `magic-auth customer …` on the organisation `shop`, which must succeed.
    pub fn operator(&self, arguments: &[&str]) -> String {
        self.cli_ok(&[&["customer"], arguments, &["--organisation", "shop"]].concat())
    }

    /// Replaces a text in `config.toml`, which takes effect at the next start.
    pub fn edit_config(&self, from: &str, to: &str) {
        let path = self.folder.path().join("config.toml");
        let config = std::fs::read_to_string(&path).unwrap();
        assert!(config.contains(from), "{from:?} stands in {config}");
        std::fs::write(path, config.replace(from, to)).unwrap();
    }

    /// A connection for requests that no HTTP client would send.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
    }

    /// Sends bytes as they are and gives all that comes until the server closes the connection.
    pub fn send_raw(&self, bytes: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Makes a guest, as the operator's import does.
    pub fn insert_guest(&self, email: &str, is_authorized: bool) {
        self.database()
            .execute(
                "INSERT INTO customers (organisation_id, cu_ref_no, email, email_canonical, created_at, email_authorized_at)
                VALUES ((SELECT id FROM organisations WHERE name = 'shop'), substr(hex(randomblob(8)), 1, 16), ?1, ?1, 1, ?2)",
                rusqlite::params![email, is_authorized.then_some(1)],
            )
            .unwrap();
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(server) = self.server.take() {
            // A panic of the server's is the test's already.
            let _ = server.join();
        }
        self.log.end();
    }
}

/// Runs the real binary with the configuration in `folder`.
pub fn cli(folder: &TempDir, arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_magic-auth"))
        .arg("--config")
        .arg(folder.path().join("config.toml"))
        .args(arguments)
        // Of these, help texts would depend.
        .env_remove("COLUMNS")
        .env_remove("CLICOLOR_FORCE")
        .output()
        .unwrap();
    leaks::assert_nothing_in(&String::from_utf8_lossy(&output.stderr));
    output
}

/// Somebody who calls the service: with a key in the query, if any.
#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
    address: SocketAddr,
    key: String,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Client {
    pub fn new(address: SocketAddr, key: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .proxy(None)
            .build();
        leaks::remember(key);
        Self { agent: config.into(), address, key: key.to_owned() }
    }

    /// The URL of a path, with the key as its query unless the path has one.
    pub fn url(&self, path: &str) -> String {
        let separator = if path.contains('?') { "&" } else { "?" };
        match self.key.as_str() {
            "" => format!("http://{}{path}", self.address),
            key => format!("http://{}{path}{separator}apiKey={key}", self.address),
        }
    }

    /// Signs an address in, with nothing but the address.
    pub fn sign_in(&self, email: &str) -> Reply {
        self.magic_auth(&json!({ "email": email }))
    }

    /// Signs in and gives the identity id; it must succeed.
    pub fn identity(&self, email: &str) -> String {
        self.sign_in(email).identity()
    }

    /// `POST /api/v1/customer/magic-auth` with a JSON body.
    pub fn magic_auth(&self, body: &Value) -> Reply {
        self.post("/api/v1/customer/magic-auth", "application/json", &body.to_string())
    }

    pub fn account_info(&self, identity: &str) -> Reply {
        self.get(&format!("/api/v1/customer/get-account-info?identityId={identity}"))
    }

    pub fn is_logged_in(&self, identity: &str) -> bool {
        self.account_info(identity).json()["loggedIn"] == true
    }

    pub fn logout(&self, identity: &str) -> Reply {
        let body = json!({ "identityId": identity }).to_string();
        self.post("/api/v1/customer/logout", "application/json", &body)
    }

    pub fn ping(&self) -> Reply {
        self.get("/api/v1/ping")
    }

    pub fn get(&self, path: &str) -> Reply {
        Reply::of(self.agent.get(self.url(path)).call().unwrap())
    }

    /// A request with any method and no body.
    pub fn request(&self, method: &str, path: &str) -> Reply {
        let request = ureq::http::Request::builder().method(method).uri(self.url(path)).body(()).unwrap();
        Reply::of(self.agent.run(request).unwrap())
    }

    pub fn post(&self, path: &str, content_type: &str, body: &str) -> Reply {
        self.post_with(path, &[("content-type", content_type)], body.as_bytes())
    }

    pub fn post_with(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut request = self.agent.post(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Reply::of(request.send(body).unwrap())
    }

    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        let mut request = self.agent.get(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Reply::of(request.call().unwrap())
    }
}

impl Reply {
    fn of(mut response: ureq::http::Response<ureq::Body>) -> Self {
        let reply = Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.body_mut().read_to_string().unwrap(),
        };
        match reply.text.split_once(r#""identityId":""#).and_then(|(_, rest)| rest.split_once('"')) {
            Some((identity, _)) => leaks::remember(identity),
            None => leaks::assert_nothing_in(&reply.text),
        }
        reply
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The error code; empty for a success.
    pub fn code(&self) -> String {
        self.json()["errorCode"].as_str().unwrap_or_default().to_owned()
    }

    pub fn identity(&self) -> String {
        let json = self.json();
        json["identityId"].as_str().unwrap_or_else(|| panic!("not signed in: {self:?}")).to_owned()
    }

    /// A header's value; it must be there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {self:?}")).to_str().unwrap()
    }

    /// `status` and error code at once.
    pub fn outcome(&self) -> (u16, String) {
        (self.status, self.code())
    }
}
