//! A server that runs: its start, its address, what it costs, and its end.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

/// A running server. It is killed when it is dropped.
pub struct Server {
    child: Child,
    /// `http://127.0.0.1:PORT`
    pub address: String,
    spawned: Instant,
}

impl Server {
    /// Starts a server and waits until it says where it listens. Its log goes to a file, as a supervisor's does.
    pub fn start(mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let spawned = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(log)?)
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let stdout = child.stdout.take().context("it has no standard output")?;
        let mut server = Self { child, address: String::new(), spawned };
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            if let Some((_, rest)) = line.split_once("http://") {
                server.address = format!("http://{}", rest.split([' ', '/']).next().unwrap_or_default());
                return Ok(server);
            }
        }
        anyhow::bail!("{command:?} does not listen: {}", fs::read_to_string(log)?)
    }

    /// Asks for a first sign-in, and gives the time since the start.
    pub fn first_answer(&self, path: &str) -> anyhow::Result<Duration> {
        let body = r#"{"email":"first@example.com","firstName":"Jan","lastName":"Novak"}"#;
        let url = format!("{}{path}", self.address);
        let mut answer = ureq::post(&url).header("Content-Type", "application/json").send(body)?;
        let took = self.spawned.elapsed();
        let text = answer.body_mut().read_to_string()?;
        ensure!(text.contains(r#""success":true"#), "{url} answers {text}");
        Ok(took)
    }

    /// The processor time that it has used, in microseconds.
    pub fn cpu_us(&self) -> anyhow::Result<f64> {
        cpu_us(&self.child.id().to_string(), [UTIME, STIME])
    }

    /// The memory that it has now, in MiB.
    pub fn resident_mib(&self) -> anyhow::Result<f64> {
        self.status_mib("VmRSS:")
    }

    /// The most memory that it ever had, in MiB.
    pub fn peak_mib(&self) -> anyhow::Result<f64> {
        self.status_mib("VmHWM:")
    }

    fn status_mib(&self, name: &str) -> anyhow::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
        Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processor time of the children that have ended, in microseconds: of the generator, between two readings.
pub fn cpu_us_of_ended_children() -> anyhow::Result<f64> {
    cpu_us("self", [CUTIME, CSTIME])
}

// Where the fields of proc(5)'s `stat` stand behind the name.
const UTIME: usize = 11;
const STIME: usize = 12;
const CUTIME: usize = 13;
const CSTIME: usize = 14;

fn cpu_us(process: &str, fields: [usize; 2]) -> anyhow::Result<f64> {
    // Linux counts in hundredths of a second here, on all its machines.
    const TICK_US: f64 = 10_000.0;
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, behind_name) = stat.rsplit_once(')').context("the format of /proc/…/stat is unknown")?;
    let values: Vec<&str> = behind_name.split_whitespace().collect();
    fields.iter().try_fold(0.0, |sum, &field| Ok(sum + values[field].parse::<f64>()? * TICK_US))
}
