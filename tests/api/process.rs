//! The server as a process of its own: what only the real binary shows, such as its log, its signals
//! and its death.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;

use crate::app::{Client, SHOP, write_config};
use crate::leaks;

/// A running `magic-auth serve`.
pub struct TestProcess {
    pub address: SocketAddr,
    pub folder: TempDir,
    pub child: Child,
    output: Arc<Mutex<String>>,
    log: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

/// Starts the binary with the configuration of [`crate::app::spawn_app_with`].
pub fn spawn_process(more: &str) -> TestProcess {
    let folder = tempfile::tempdir().unwrap();
    write_config(&folder, more);
    start_process(folder)
}

/// Starts the binary on a folder that has a `config.toml`.
pub fn start_process(folder: TempDir) -> TestProcess {
    start_process_logging(folder, Some("debug"))
}

/// Starts the binary with this `RUST_LOG`.
pub fn start_process_logging(folder: TempDir, level: Option<&str>) -> TestProcess {
    try_to_start_process(folder, level).unwrap_or_else(|said| panic!("no address: {said}"))
}

/// Starts the binary with this `RUST_LOG`, or gives what it says instead of serving.
pub fn try_to_start_process(folder: TempDir, level: Option<&str>) -> Result<TestProcess, String> {
    let mut command = serve_command(&folder);
    if let Some(level) = level {
        command.env("RUST_LOG", level);
    }
    let mut child = command.spawn().unwrap();
    let (log, log_reader) = collect_lines(child.stderr.take().unwrap());
    let (output, output_reader) = collect_lines(child.stdout.take().unwrap());
    eventually(|| address_in(&log.lock().unwrap()).is_some() || log_reader.is_finished());
    let address = address_in(&log.lock().unwrap());
    let Some(address) = address else {
        child.kill().unwrap();
        child.wait().unwrap();
        log_reader.join().unwrap();
        return Err(log.lock().unwrap().clone());
    };
    Ok(TestProcess { address, folder, child, output, log, readers: vec![output_reader, log_reader] })
}

/// Where the service listens, as it has logged in either form.
fn address_in(log: &str) -> Option<SocketAddr> {
    let lines = log.lines().filter(|line| line.contains("listening"));
    let addresses = lines.filter_map(|line| line.split_once("address"));
    addresses.flat_map(|(_, rest)| rest.split([' ', '=', '"'])).find_map(|word| word.parse().ok())
}

/// `magic-auth serve` with the configuration in `folder`, and nothing from the environment.
pub fn serve_command(folder: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_magic-auth"));
    command
        .arg("--config")
        .arg(folder.path().join("config.toml"))
        .arg("serve")
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Gathers what comes through the pipe, line by line, on a thread of its own.
pub fn collect_lines(pipe: impl Read + Send + 'static) -> (Arc<Mutex<String>>, JoinHandle<()>) {
    let lines = Arc::new(Mutex::new(String::new()));
    let gathered = lines.clone();
    let reader = std::thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while pipe.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            gathered.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    });
    (lines, reader)
}

impl TestProcess {
    pub fn shop(&self) -> Client {
        Client::new(self.address, SHOP)
    }

    /// Sends a signal by its name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        send_signal(self.child.id(), name);
    }

    /// Waits for the end of the process, a minute at most.
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        eventually(|| {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        status.unwrap()
    }

    /// What has been printed on standard output so far.
    pub fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    pub fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.folder.path().join("magic-auth.db")).unwrap()
    }

    /// Where it tells of its health, as it has logged.
    pub fn admin_address(&self) -> SocketAddr {
        eventually(|| self.log().contains("health and metrics"));
        let log = self.log();
        let line = log.lines().find(|line| line.contains("health and metrics")).unwrap();
        line.rsplit_once("address=").unwrap().1.parse().unwrap()
    }

    /// What has been logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Kills the process and starts another on the same folder.
    pub fn kill_and_restart(mut self) -> Self {
        self.child.kill().unwrap();
        self.wait();
        self.start_again()
    }

    /// Starts another on the folder of this one, which has ended.
    pub fn start_again(mut self) -> Self {
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
        start_process(folder)
    }
}

impl Drop for TestProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        leaks::assert_nothing_in(&self.log());
    }
}

/// Waits until `condition` holds, for what another thread or process does in its own time.
pub fn eventually(mut condition: impl FnMut() -> bool) {
    for _ in 0..1_200 {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("did not happen within a minute");
}

/// Sends these bytes on a connection of their own and gives all that comes back until it is closed:
/// nothing when the connection was refused, or closed without an answer.
pub fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut answer = Vec::new();
    if let Ok(mut stream) = TcpStream::connect(address)
        && stream.set_read_timeout(Some(Duration::from_secs(30))).is_ok()
        && stream.write_all(request).is_ok()
    {
        // What came before the connection broke is the answer, or a part of one.
        let _ = stream.read_to_end(&mut answer);
    }
    String::from_utf8(answer).unwrap()
}

/// A sign-in as the bytes of a whole request, after which the server closes the connection.
pub fn sign_in_bytes(key: &str, email: &str) -> Vec<u8> {
    let body = serde_json::json!({ "email": email }).to_string();
    format!(
        "POST /api/v1/customer/magic-auth?apiKey={key} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
        Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Sends a signal by its name, such as `TERM`.
pub fn send_signal(process: u32, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(process.to_string()).status();
    assert!(status.unwrap().success());
}

/// Says that something is not tested, for a tool is not there. Where everything is tested, it has to be.
#[expect(clippy::print_stderr, reason = "whoever runs the tests is told what was not tested")]
pub fn skip(what: &str, tool: &str) {
    assert!(std::env::var_os("CI").is_none(), "CI has {tool}");
    eprintln!("SKIPPED {what}: no {tool} here");
}
