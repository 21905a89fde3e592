//! The server under test: started once, in the process of the fuzzer, which so sees what it covers and dies with it.

use std::io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
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

const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"
workers = 1
trusted_proxies = ["127.0.0.1"]
allowed_origins = ["https://shop.example"]
[[organisation]]
name = "fuzz"
api_keys = ["ROOTfuzz000000000000000000000000"]
"#;

/// Whoever signs in is forgotten at once: hours of fuzzing need no disk.
const FORGET: &str = "CREATE TRIGGER forget AFTER INSERT ON login_attempts BEGIN
    DELETE FROM login_attempts; DELETE FROM sessions; DELETE FROM pending_referrals; DELETE FROM customers; END";

/// The longest body that is read.
pub const MAX_BODY: usize = 16 * 1_024;

/// The one client, and with it the server, which is started when somebody first asks for it.
pub fn client() -> MutexGuard<'static, Client> {
    static CLIENT: LazyLock<Mutex<Client>> = LazyLock::new(|| Mutex::new(Client::start()));
    CLIENT.lock().expect("a panic ends the fuzzer")
}

/// Sends a well-formed request with this body and a key, which must be answered, and never by a failure of the service.
/// Gives the answer.
pub fn post(path: &str, content_type: &str, body: &[u8]) -> Answer {
    let length = body.len();
    let head = format!(
        "POST {path}?apiKey={KEY} HTTP/1.1\r\nHost: fuzz\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
    );
    let answer = exchange(&[head.as_bytes(), body].concat());
    let is_right =
        if length > MAX_BODY { answer.status == 413 } else { matches!(answer.status, 200 | 408 | 415 | 422) };
    assert!(is_right, "{}: {}", answer.status, answer.text);
    answer
}

/// Sends a well-formed request, which must be answered, and never by a failure of the service; what is not valid must be
/// named. (Where this is the last to be given time, a body may come too slowly.) Gives the answer.
pub fn exchange(request: &[u8]) -> Answer {
    let answer = client().exchange(request);
    assert!(matches!(answer.status, 200 | 400 | 401 | 408 | 413 | 415 | 422), "{}: {}", answer.status, answer.text);
    assert!(!contains(answer.text.as_bytes(), b"\"errorCode\":\"E001\""), "{}", answer.text);
    assert!(answer.status != 422 || contains(answer.text.as_bytes(), b"\"details\":[{"), "{}", answer.text);
    answer
}

/// Whatever is sent, the key never comes back.
fn assert_no_key(answers: &[u8]) {
    assert!(!contains(answers, KEY.as_bytes()), "{}", String::from_utf8_lossy(answers));
}

/// Whether the text is among the bytes.
pub fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

/// An answer.
pub struct Answer {
    pub status: u16,
    /// Its body.
    pub text: String,
}

/// Somebody who talks with the server.
pub struct Client {
    address: SocketAddr,
    /// The connection, for as long as the server keeps it.
    kept: Option<TcpStream>,
}

impl Client {
    fn start() -> Self {
        let (ready, address) = channel();
        std::thread::spawn(move || serve(|address| ready.send(address).expect("the fuzzer waits")));
        let address = address.recv().expect("the server starts");
        Self { address, kept: None }
    }

    fn exchange(&mut self, request: &[u8]) -> Answer {
        let mut stream = self.kept.take().unwrap_or_else(|| connect(self.address));
        stream.write_all(request).expect("the server reads");
        let mut bytes = Vec::new();
        let mut buffer = [0; 4_096];
        let (head, answer) = loop {
            let read = match stream.read(&mut buffer) {
                // The fuzzer looks at its watch.
                Err(error) if error.kind() == Interrupted => continue,
                read => read.expect("a well-formed request has an answer"),
            };
            assert!(read > 0, "a well-formed request has no answer");
            bytes.extend_from_slice(&buffer[..read]);
            if let Some(complete) = complete(&bytes) {
                break complete;
            }
        };
        assert_no_key(&bytes);
        // (The HTTP layer closes after a 400 of its own, and does not say so behind another answer.)
        let is_closed = head.contains("connection: close") || answer.status == 400;
        self.kept = (!is_closed).then_some(stream);
        answer
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
        assert_no_key(&answers);
        answers
    }
}

/// The head of an answer that is there as a whole, and the answer.
fn complete(bytes: &[u8]) -> Option<(String, Answer)> {
    let end = bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..end]).expect("a head is ASCII").to_ascii_lowercase();
    let (_, length) = head.split_once("content-length: ").expect("an answer tells its length");
    let length: usize = length.split("\r\n").next()?.parse().expect("a length is a number");
    let body = bytes.get(end..end + length)?.to_vec();
    assert_eq!(bytes.len(), end + length, "there is more behind an answer");
    let status = head[9..12].parse().expect("a status is a number");
    Some((head, Answer { status, text: String::from_utf8(body).expect("an answer is UTF-8") }))
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
        let database = config.database.path.to_path_buf();
        let application = Application::build(config, Clock::system()).expect("the server starts");
        Connection::open(database)
            .and_then(|connection| connection.execute_batch(FORGET))
            .expect("attempts can be forgotten");
        ready(application.address());
        application.run_until(std::future::pending()).await.expect("the server runs");
    });
}
