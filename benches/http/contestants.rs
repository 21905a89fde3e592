//! Who is measured, and how each is started.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::ensure;

use crate::cases::Load;
use crate::peers::Peer;

/// A server under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contestant {
    /// The same HTTP server, which reads the same body and answers a constant: nothing can be faster.
    Ceiling,
    /// The real binary as it is shipped, with throttle and quota opened wide.
    Ours,
    /// A transaction for each request, on connections of a pool that wait for each other in SQLite.
    Naive,
    /// A transaction for each request, one after another: nobody waits in vain.
    Serialised,
    /// A transaction for each request in Bun, with Elysia.
    Elysia,
    /// A trusted sign-in within better-auth, on Node.js.
    BetterAuth,
}

/// The demo key of the shipped configuration.
pub const KEY: &str = "PRODPGrFxpGEtrOZfuWhnoJohUYBXuOE";

impl Contestant {
    pub const ALL: [Self; 6] =
        [Self::Ceiling, Self::Ours, Self::Naive, Self::Serialised, Self::Elysia, Self::BetterAuth];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ceiling => "ceiling",
            Self::Ours => "magic-auth",
            Self::Naive => "naive",
            Self::Serialised => "naive, serialised",
            Self::Elysia => "Bun + Elysia",
            Self::BetterAuth => "better-auth",
        }
    }

    /// Whether it belongs to the short form.
    pub fn is_quick(self) -> bool {
        matches!(self, Self::Ceiling | Self::Ours | Self::Naive)
    }

    /// Why it cannot be measured here; `None`: it can.
    pub fn lacks(self) -> Option<&'static str> {
        let is_there = match self {
            Self::Elysia => npm_program("bun").exists(),
            Self::BetterAuth => npm_program("node").exists(),
            _ => true,
        };
        (!is_there).then_some("run benches/peers/install")
    }

    /// The command that serves the database in `folder`. It prints a line with its address once it listens.
    pub fn command(self, folder: &Path, load: Load) -> anyhow::Result<Command> {
        let database = self.database(folder);
        Ok(match self {
            Self::Ceiling => Peer::Ceiling.command(&database)?,
            Self::Naive => Peer::Naive.command(&database)?,
            Self::Serialised => Peer::Serialised.command(&database)?,
            Self::Ours => {
                std::fs::write(folder.join("config.toml"), configuration(load)?)?;
                magic_auth(folder)
            }
            Self::Elysia => npm_command("bun", "elysia.ts", &database),
            Self::BetterAuth => npm_command("node", "better-auth.mjs", &database),
        })
    }

    /// Has it make its own tables, with the known customers in them.
    pub fn prepare(self, folder: &Path) -> anyhow::Result<()> {
        let output = self.command(folder, Load::SignIn)?.arg("--prepare").output()?;
        ensure!(output.status.success(), "{} cannot make its tables: {output:?}", self.name());
        Ok(())
    }

    /// The file that it keeps its data in.
    pub fn database(self, folder: &Path) -> PathBuf {
        folder.join(if self == Self::Ours { "magic-auth.db" } else { "peer.db" })
    }

    /// What counts the sessions in that file; `None`: it keeps none.
    pub fn session_count(self) -> Option<&'static str> {
        match self {
            Self::Ceiling => None,
            Self::BetterAuth => Some("SELECT count(*) FROM session"),
            _ => Some("SELECT count(*) FROM sessions"),
        }
    }

    /// What comes after the address.
    pub fn path(self, load: Load) -> String {
        let path = match (self, load) {
            (Self::BetterAuth, _) => "/api/auth/trusted-sign-in",
            (_, Load::AccountInfo) => "/api/v1/customer/get-account-info",
            _ => "/api/v1/customer/magic-auth",
        };
        format!("{path}?apiKey={KEY}")
    }
}

/// The real binary on the configuration in `folder`.
pub fn magic_auth(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_magic-auth"));
    command.arg("--config").arg(folder.join("config.toml")).env_remove("RUST_LOG");
    command
}

/// The shipped configuration with the quota opened wide, and the throttle too unless it is the point. It still counts
/// every attempt: a limit that is switched off would cost nothing.
pub fn configuration(load: Load) -> anyhow::Result<String> {
    let mut text = include_str!("../../config.toml").to_owned();
    let mut change = |shipped: &str, opened: &str| {
        ensure!(text.contains(shipped), "the shipped configuration says {shipped:?} no more");
        text = text.replace(shipped, opened);
        Ok(())
    };
    change("127.0.0.1:8080", "127.0.0.1:0")?;
    change("requests = 100_000\n", "requests = 1_000_000_000\n")?;
    change("burst = 1_000\n", "burst = 1_000_000\n")?;
    if matches!(load, Load::SignIn | Load::AccountInfo) {
        change("burst = 10\n", "burst = 1_000_000\n")?;
        change("burst = 60\n", "burst = 1_000_000\n")?;
    }
    Ok(text)
}

fn npm_command(program: &str, script: &str, database: &Path) -> Command {
    let mut command = Command::new(npm_program(program));
    command.arg(peers_folder().join(script)).arg(database).env("NODE_ENV", "production");
    command
}

fn npm_program(name: &str) -> PathBuf {
    peers_folder().join("node_modules/.bin").join(name)
}

fn peers_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers")
}
