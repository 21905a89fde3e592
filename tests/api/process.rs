//! The server as a process of its own: what only the real binary shows, such as its log, its signals
//! and its death.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;

use crate::app::{Client, SHOP, write_config};

/// A running `magic-auth serve`.
pub struct TestProcess {
    pub address: SocketAddr,
    pub folder: TempDir,
    pub child: Child,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

/// Starts the binary with the configuration of [`crate::app::spawn_app_with`].
pub fn spawn_process(more: &str) -> TestProcess {
    let folder = tempfile::tempdir().unwrap();
    write_config(&folder, more);
    start_process(folder)
}

/// Starts the binary on a folder that has a `config.toml`.
pub fn start_process(folder: TempDir) -> TestProcess {
    let mut child = Command::new(env!("CARGO_BIN_EXE_magic-auth"))
        .arg("--config")
        .arg(folder.path().join("config.toml"))
        .env("RUST_LOG", "debug")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = Arc::new(Mutex::new(String::new()));
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let lines = log.clone();
    let reader = std::thread::spawn(move || {
        let mut line = String::new();
        while stderr.read_line(&mut line).is_ok_and(|length| length > 0) {
            lines.lock().unwrap().push_str(&line);
            line.clear();
        }
    });
    // The first line on standard output says where the service listens.
    let mut welcome = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut welcome).unwrap();
    std::thread::spawn(move || stdout.read_to_end(&mut Vec::new()));
    let address = welcome.split("http://").nth(1).and_then(|rest| rest.split_whitespace().next());
    let address = address.unwrap_or_else(|| panic!("no address: {welcome:?} {}", log.lock().unwrap()));
    TestProcess { address: address.parse().unwrap(), folder, child, log, reader: Some(reader) }
}

impl TestProcess {
    pub fn shop(&self) -> Client {
        Client::new(self.address, SHOP)
    }

    /// Sends a signal by its name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(status.unwrap().success());
    }

    /// Waits for the end of the process.
    pub fn wait(&mut self) -> ExitStatus {
        let status = self.child.wait().unwrap();
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        status
    }

    /// What has been logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Kills the process and starts another on the same folder.
    pub fn kill_and_restart(mut self) -> Self {
        self.child.kill().unwrap();
        self.wait();
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
        start_process(folder)
    }
}

impl Drop for TestProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until `condition` holds, for what another thread or process does in its own time.
pub fn eventually(condition: impl Fn() -> bool) {
    for _ in 0..200 {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("did not happen within ten seconds");
}
