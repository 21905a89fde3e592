//! The server under test: started once, in the process of the fuzzer, which so sees what it covers and dies with it.

use std::io::ErrorKind::{TimedOut, WouldBlock};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::channel;
use std::sync::{LazyLock, Mutex, MutexGuard};
use std::time::Duration;

use magic_auth::application::Application;
use magic_auth::clock::Clock;
use magic_auth::config::Config;
use rusqlite::Connection;

/// A system key: neither throttled nor counted.
pub const KEY: &str = "ROOTfuzz000000000000000000000000";

/// Attempts are forgotten at once, and nobody becomes a customer: hours of fuzzing need no disk.
const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"
workers = 1
[[organisation]]
name = "fuzz"
api_keys = ["ROOTfuzz000000000000000000000000"]
[sign_in]
unknown_email = "refuse"
"#;

const FORGET: &str = "CREATE TRIGGER forget AFTER INSERT ON login_attempts BEGIN DELETE FROM login_attempts; END";

/// The one client, and with it the server, which is started when somebody first asks for it.
pub fn client() -> MutexGuard<'static, Client> {
    static CLIENT: LazyLock<Mutex<Client>> = LazyLock::new(|| Mutex::new(Client::start()));
    CLIENT.lock().expect("a panic ends the fuzzer")
}

/// Sends a well-formed request with this body, which must be answered, and never by a failure of the service.
pub fn post(path: &str, content_type: &str, body: &[u8]) {
    let length = body.len();
    let head = format!(
        "POST {path}?apiKey={KEY} HTTP/1.1\r\nHost: fuzz\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
    );
    exchange(&[head.as_bytes(), body].concat());
}

/// Sends a well-formed request, which must be answered, and never by a failure of the service. Gives the status.
pub fn exchange(request: &[u8]) -> u16 {
    let (status, answer) = client().exchange(request);
    assert!(matches!(status, 200 | 400 | 401 | 404 | 405 | 408 | 413 | 415 | 422), "{status}");
    assert!(!contains(&answer, b"\"E001\""), "{}", String::from_utf8_lossy(&answer));
    status
}

/// Whether the text is among the bytes.
pub fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

/// A connection to the server.
pub struct Client {
    address: SocketAddr,
    stream: TcpStream,
}

impl Client {
    fn start() -> Self {
        let (ready, address) = channel();
        std::thread::spawn(move || serve(|address| ready.send(address).expect("the fuzzer waits")));
        let address = address.recv().expect("the server starts");
        Self { address, stream: connect(address) }
    }

    /// Gives the status and the whole of the answer.
    fn exchange(&mut self, request: &[u8]) -> (u16, Vec<u8>) {
        // The server closes a connection after some answers: then there is another one.
        self.try_exchange(request).unwrap_or_else(|| {
            self.stream = connect(self.address);
            self.try_exchange(request).expect("a well-formed request has an answer")
        })
    }

    /// Sends whatever these bytes are on a connection of their own, and gives all that comes back.
    pub fn throw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = connect(self.address);
        let mut answers = Vec::new();
        // The server may close at any byte, and is not asked to be polite.
        let _ = stream.write_all(bytes).and_then(|()| stream.shutdown(std::net::Shutdown::Write));
        if let Err(error) = stream.read_to_end(&mut answers) {
            assert!(!matches!(error.kind(), WouldBlock | TimedOut), "neither an answer nor an end: {error}");
        }
        answers
    }

    fn try_exchange(&mut self, request: &[u8]) -> Option<(u16, Vec<u8>)> {
        self.stream.write_all(request).ok()?;
        let mut answer = Vec::new();
        let mut buffer = [0; 4_096];
        loop {
            let read = self.stream.read(&mut buffer).ok().filter(|read| *read > 0)?;
            answer.extend_from_slice(&buffer[..read]);
            if let Some(status) = complete(&answer) {
                return Some((status, answer));
            }
        }
    }
}

/// The status of an answer that is there as a whole.
fn complete(answer: &[u8]) -> Option<u16> {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&answer[..end]).expect("a head is ASCII").to_ascii_lowercase();
    let (_, length) = head.split_once("content-length: ").expect("an answer tells its length");
    let length: usize = length.split("\r\n").next()?.parse().expect("a length is a number");
    (answer.len() >= end + length).then(|| head[9..12].parse().expect("a status is a number"))
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the server listens");
    stream.set_nodelay(true).expect("a socket can be set up");
    stream.set_read_timeout(Some(Duration::from_mins(1))).expect("a socket can be set up");
    stream
}

fn serve(ready: impl FnOnce(SocketAddr)) {
    let folder = tempfile::tempdir().expect("there is a folder");
    let file = folder.path().join("config.toml");
    std::fs::write(&file, CONFIG).expect("the folder can be written");
    actix_web::rt::System::new().block_on(async {
        let config = Config::load(Some(&file)).expect("the configuration is valid");
        let database = config.database.path.clone();
        let application = Application::build(config, Clock::system()).expect("the server starts");
        Connection::open(database)
            .and_then(|connection| connection.execute_batch(FORGET))
            .expect("attempts can be forgotten");
        ready(application.address());
        application.run_until(std::future::pending()).await.expect("the server runs");
    });
}
