//! The real binary: as a server that can be killed, and as a command that can be.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use crate::client::Client;

/// Within so long a server that was killed answers again.
const LONGEST_START: Duration = Duration::from_secs(2);

/// How long a server that does not start is waited for, to tell how slow it is.
const PATIENCE: Duration = Duration::from_secs(20);

const SIGKILL: i32 = 9;

/// A process that serves. It is killed when it is dropped.
pub struct Server {
    child: Child,
}

impl Server {
    /// Starts one, and waits for nothing. Its log is added to a file in the folder.
    pub fn spawn(folder: &Path) -> anyhow::Result<Self> {
        let log = File::options().create(true).append(true).open(folder.join("server.log"))?;
        let mut command = binary(folder);
        let child = command.arg("serve").env("RUST_LOG", "warn").stdout(Stdio::piped()).stderr(log).spawn()?;
        Ok(Self { child })
    }

    /// Starts one and gives it once it has answered, with its address and the time that it took.
    pub fn start(folder: &Path, key: &str) -> anyhow::Result<(Self, SocketAddr, Duration)> {
        let begin = Instant::now();
        let mut server = Self::spawn(folder)?;
        let output = server.child.stdout.take().context("it has no standard output")?;
        let Ok(address) = told_address(output).recv_timeout(PATIENCE) else {
            bail!("the server does not start: {}", std::fs::read_to_string(folder.join("server.log"))?);
        };
        ensure!(Client::new(address, key).ping()?, "the server's own key is not in force");
        let took = begin.elapsed();
        ensure!(took < LONGEST_START, "the server took {} ms to answer", took.as_millis());
        Ok((server, address, took))
    }

    /// Kills it. It must not have ended by itself.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        let status = self.child.wait()?;
        ensure!(status.signal() == Some(SIGKILL), "the server ended by itself, with {status}");
        Ok(())
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

fn binary(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_magic-auth"));
    command.arg("--config").arg(folder.join("config.toml")).stdin(Stdio::null());
    command
}
