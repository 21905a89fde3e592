//! The real binary: as a server that can be killed or told to stop, and as a command that can be killed.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

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
        let child = program.arg("serve").env("RUST_LOG", "warn").stdout(Stdio::piped()).stderr(log).spawn()?;
        Ok(Self { child })
    }

    /// Starts one and gives it once it has answered, with its address and the time that it took.
    pub fn start(folder: &Path, key: &str) -> anyhow::Result<(Self, SocketAddr, Duration)> {
        Self::start_as(binary(folder), folder, key)
    }

    /// The same, of a program that becomes the [`binary`].
    pub fn start_as(program: Command, folder: &Path, key: &str) -> anyhow::Result<(Self, SocketAddr, Duration)> {
        let begin = Instant::now();
        let mut server = Self::spawn_as(program, folder)?;
        let output = server.child.stdout.take().context("it has no standard output")?;
        let Ok(address) = told_address(output).recv_timeout(PATIENCE) else {
            bail!("the server does not start: {}", std::fs::read_to_string(folder.join(LOG))?);
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

/// Where the server says that it listens, in its first line. The rest is read too, so that it never waits for a reader.
fn told_address(output: ChildStdout) -> Receiver<SocketAddr> {
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let rest = line.split_once("listens on http://").map(|(_, rest)| rest);
            if let Some(Ok(address)) = rest.and_then(|rest| rest.split(' ').next()).map(str::parse) {
                let _ = tell.send(address);
            }
        }
    });
    told
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
