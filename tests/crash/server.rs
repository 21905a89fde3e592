//! The real binary: as a server that can be killed or told to stop, and as a command that can be killed.

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::client::Client;

/// Within so long a server that was killed answers again.
const LONGEST_START: Duration = Duration::from_secs(2);

/// How long a server that does not start is waited for, to tell how slow it is.
const PATIENCE: Duration = Duration::from_secs(20);

/// For a server that was told to stop: the six seconds that are documented, and some for a busy machine.
const LONGEST_STOP: Duration = Duration::from_secs(6 + 4);

const SIGKILL: i32 = 9;

/// What servers log, within their folder.
pub const LOG: &str = "server.log";

/// How a server is to end.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// At once, by SIGKILL.
    Killed,
    /// By itself, after this signal.
    Stopped(&'static str),
    /// After this signal, and at once when it comes again so much later.
    StoppedTwice(&'static str, Duration),
}

/// A process that serves. It is killed when it is dropped.
pub struct Server {
    child: Child,
}

impl Server {
    /// Starts one, and waits for nothing. Its log is added to a file in the folder.
    pub fn spawn(folder: &Path) -> anyhow::Result<Self> {
        Self::spawn_as(binary(folder), folder)
    }

    fn spawn_as(mut program: Command, folder: &Path) -> anyhow::Result<Self> {
        let log = File::options().create(true).append(true).open(folder.join(LOG))?;
        program.arg("serve").env("RUST_LOG", "warn,magic_auth::cli::serve=info");
        let child = program.stdout(Stdio::null()).stderr(log).spawn()?;
        Ok(Self { child })
    }

    /// Starts one and gives it once it has answered, with its address and the time that it took.
    pub fn start(folder: &Path, key: &str) -> anyhow::Result<(Self, SocketAddr, Duration)> {
        Self::start_as(binary(folder), folder, key)
    }

    /// The same, of a program that becomes the [`binary`].
    pub fn start_as(program: Command, folder: &Path, key: &str) -> anyhow::Result<(Self, SocketAddr, Duration)> {
        let begin = Instant::now();
        let log = || std::fs::read(folder.join(LOG)).unwrap_or_default();
        let earlier = log().len();
        let mut server = Self::spawn_as(program, folder)?;
        let address = loop {
            let is_over = server.child.try_wait()?.is_some() || begin.elapsed() > PATIENCE;
            let log = String::from_utf8_lossy(&log()[earlier..]).into_owned();
            if let Some(address) = told_address(&log) {
                break address;
            }
            ensure!(!is_over, "the server does not start: {log}");
            std::thread::sleep(Duration::from_millis(2));
        };
        ensure!(Client::new(address, key).ping()?, "the server's own key is not in force");
        let took = begin.elapsed();
        ensure!(took < LONGEST_START, "the server took {} ms to answer", took.as_millis());
        Ok((server, address, took))
    }

    /// Of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Has it end. It must not have done so before.
    pub fn end(mut self, how: End) -> anyhow::Result<()> {
        ensure!(self.child.try_wait()?.is_none(), "the server ended before it was to");
        let (status, is_as_told) = match how {
            End::Killed => {
                self.child.kill()?;
                let status = self.child.wait()?;
                (status, status.signal() == Some(SIGKILL))
            }
            End::Stopped(signal) => {
                self.signal(signal)?;
                let status = self.wait()?;
                (status, status.success())
            }
            End::StoppedTwice(signal, pause) => {
                self.signal(signal)?;
                std::thread::sleep(pause);
                self.signal(signal)?;
                let status = self.wait()?;
                // It may have been done by then.
                (status, matches!(status.code(), Some(0 | 1)))
            }
        };
        ensure!(is_as_told, "{how:?}, the server ended with {status}");
        Ok(())
    }

    fn signal(&self, name: &str) -> anyhow::Result<()> {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status()?;
        ensure!(status.success(), "kill -{name} ended with {status}");
        Ok(())
    }

    /// Waits until it has ended by itself.
    fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(begin.elapsed() < LONGEST_STOP, "the server does not end");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already, unless its round has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the server says that it listens.
fn told_address(log: &str) -> Option<SocketAddr> {
    let (address, _) = log.split_once("listening address=")?.1.split_once(' ')?;
    address.parse().ok()
}

/// Runs a command, and gives what it printed when it ended well. It is killed after `limit`: then there is nothing.
pub fn run(folder: &Path, arguments: &[&str], limit: Option<Duration>) -> anyhow::Result<Option<String>> {
    let mut child = binary(folder).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(limit) = limit {
        std::thread::sleep(limit);
        child.kill()?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(Some(String::from_utf8(output.stdout)?));
    }
    let was_killed = limit.is_some() && output.status.signal() == Some(SIGKILL);
    ensure!(was_killed, "{arguments:?} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    Ok(None)
}

/// The program, with the configuration in the folder.
pub fn binary(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_magic-auth"));
    command.arg("--config").arg(folder.join("config.toml")).stdin(Stdio::null());
    command
}
