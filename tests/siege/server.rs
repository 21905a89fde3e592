//! The server that is besieged, as its system sees it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use crate::callers;
use crate::process::{End, LOG, Server, binary, run};
use crate::sound::{ensure_one_customer_a_mailbox, ensure_sound, ensure_sound_log, ensure_whole_sign_ins};

/// The shop's key, which no throttle and no quota concerns.
pub const KEY: &str = "ROOTshop000000000000000000000000";

/// For what is due at once, or at a deadline, on a machine that is very busy.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A server on a folder of its own.
pub struct Besieged {
    folder: TempDir,
    server: Server,
    pub address: SocketAddr,
    /// The operator's port.
    pub admin: SocketAddr,
}

/// What a server has taken of its machine.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    pub descriptors: usize,
    pub threads: usize,
    pub memory: u64,
}

impl Besieged {
    /// Starts one that may have so many descriptors.
    pub fn start(descriptors: usize) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let config = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 2\n[admin]\nlisten = \"127.0.0.1:0\"\n\
             [[organisation]]\nname = \"shop\"\napi_keys = [\"{KEY}\"]\n"
        );
        std::fs::write(folder.path().join("config.toml"), config)?;
        let program = binary(folder.path());
        let mut limited = Command::new("sh");
        // Where its ports are, it tells at the level of information.
        let start =
            "ulimit -n \"$0\" && exec env RUST_LOG=warn,magic_auth::application=info,magic_auth::cli=info \"$@\"";
        limited.args(["-c", start, &descriptors.to_string()]);
        limited.arg(program.get_program()).args(program.get_args());
        let (server, address, _) = Server::start_as(limited, folder.path(), KEY)?;
        let admin = told_admin(&folder.path().join(LOG))?;
        Ok(Self { folder, server, address, admin })
    }

    /// Runs a command beside it, which must end well.
    pub fn run(&self, arguments: &[&str]) -> anyhow::Result<()> {
        run(self.folder.path(), arguments, None).map(drop)
    }

    pub fn taken(&self) -> anyhow::Result<Taken> {
        let status = std::fs::read_to_string(self.facts("status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        Ok(Taken {
            descriptors: std::fs::read_dir(self.facts("fd"))?.count(),
            threads: std::fs::read_dir(self.facts("task"))?.count(),
            memory: resident.context("no VmRSS")?.parse::<u64>()? * 1_024,
        })
    }

    /// The same, once it has noticed that nobody is there any more.
    pub fn rest(&self) -> anyhow::Result<Taken> {
        loop {
            let before = self.taken()?;
            std::thread::sleep(Duration::from_millis(300));
            let now = self.taken()?;
            if now.descriptors == before.descriptors {
                return Ok(now);
            }
        }
    }

    /// Lets it have only so many descriptors from now on.
    pub fn limit_descriptors(&self, limit: usize) -> anyhow::Result<()> {
        limit_descriptors(self.server.id(), limit)
    }

    /// How long it has kept processors busy so far.
    pub fn processor_time(&self) -> anyhow::Result<Duration> {
        let stat = std::fs::read_to_string(self.facts("stat"))?;
        // Behind the name, which stands in parentheses: the 12th and 13th are those of the program and of the system,
        // in hundredths of a second.
        let (_, fields) = stat.rsplit_once(") ").context("a strange stat")?;
        let times = fields.split(' ').skip(11).take(2).map(str::parse::<u64>);
        Ok(Duration::from_millis(10 * times.sum::<Result<u64, _>>()?))
    }

    fn facts(&self, name: &str) -> PathBuf {
        format!("/proc/{}/{name}", self.server.id()).into()
    }

    /// Waits until it has no more of its machine than before.
    pub fn recover(&self, before: Taken) -> anyhow::Result<()> {
        eventually(&format!("the server does not get back to {before:?}"), || {
            let now = self.taken()?;
            Ok(now.descriptors <= before.descriptors && now.threads <= before.threads)
        })
    }

    /// Has it end. It was well, and has kept what it has promised: of each identity that was read the session lives and
    /// the sign-in is recorded.
    pub fn end(self, identities: &[String]) -> anyhow::Result<()> {
        let mut connection = callers::Connection::open(self.address)?;
        for identity in identities {
            ensure!(connection.is_logged_in(identity)?, "an identity that was answered is none");
        }
        drop(connection);
        self.server.end(End::Stopped("TERM"))?;
        let log = std::fs::read_to_string(self.folder.path().join(LOG))?;
        ensure_sound_log(&log, identities.iter().map(String::as_str).chain([KEY]))?;
        let database = self.folder.path().join("magic-auth.db");
        let database = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        ensure_sound(&database)?;
        ensure_one_customer_a_mailbox(&database)?;
        ensure_whole_sign_ins(&database, "true")
    }
}

/// Where the operator's port is, which the log tells in a moment.
fn told_admin(log: &Path) -> anyhow::Result<SocketAddr> {
    let mut admin = None;
    eventually("the log does not tell where the operator's port is", || {
        let log = std::fs::read_to_string(log)?;
        let told = log.lines().find_map(|line| line.split_once("health and metrics address="));
        admin = told.and_then(|(_, address)| address.parse().ok());
        Ok(admin.is_some())
    })?;
    admin.context("no address")
}

/// Waits for what the server does in its own time.
pub fn eventually(otherwise: &str, mut is_so: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let begin = Instant::now();
    while !is_so()? {
        ensure!(begin.elapsed() < PATIENCE, "{otherwise}");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Lets this process have as many descriptors as it may.
pub fn take_descriptors() -> anyhow::Result<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits")?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let most = line.and_then(|line| line.split_whitespace().nth(1)).context("no limit of descriptors")?.parse()?;
    limit_descriptors(std::process::id(), most)?;
    Ok(most)
}

fn limit_descriptors(process: u32, limit: usize) -> anyhow::Result<()> {
    let mut prlimit = Command::new("prlimit");
    let status = prlimit.arg(format!("--pid={process}")).arg(format!("--nofile={limit}:")).status()?;
    ensure!(status.success(), "prlimit ended with {status}");
    Ok(())
}
