//! The command line: one file for each group of commands.
//!
//! All commands work on the database itself, also while a server runs on it. Results go to standard
//! output, as a table for people or with `--json` for programs; an error is one line on standard
//! error. The exit code is 0, 1 when the command failed, 2 when it was used wrongly.

mod attempts;
mod backup;
mod check;
mod completions;
mod customer;
mod interrupt;
mod ip;
mod key;
mod man;
mod organisation;
mod output;
mod serve;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::clock::Clock;
use crate::config::Config;
use crate::domain::OrganisationId;
use crate::http;
use crate::store::{Database, OpenError};
use organisation::OrganisationArg;
use output::{Output, note};

/// Passwordless customer sign-in by e-mail: one binary, one SQLite file, one TOML file.
#[derive(Parser)]
#[command(name = "magic-auth", version, about, max_term_width = 100)]
#[command(after_help = "Without a command, magic-auth serves. See the README for the configuration and the API.")]
pub struct Cli {
    /// The configuration file [default: ./config.toml, or built-in defaults if there is none]
    #[arg(long, global = true, env = "MAGIC_AUTH_CONFIG", hide_env_values = true, value_name = "PATH")]
    config: Option<PathBuf>,

    /// Print JSON instead of a table
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Answer requests until Ctrl-C or SIGTERM
    Serve,
    /// Check the configuration, the database and the machine; exit code 1 when something is wrong
    Check,
    /// Make, list, rotate and revoke API keys
    #[command(subcommand)]
    Key(key::Command),
    /// Import, export, list, show, ban, authorize, sign out and erase customers
    #[command(subcommand)]
    Customer(customer::Command),
    /// List sign-in attempts, the newest first; follow them, or sum them up
    Attempts(attempts::Arguments),
    /// Tell who is behind an IP address: country, place, network, flags
    Ip(ip::Arguments),
    /// Copy the database into a file, even while the server runs; replaces an earlier backup there
    Backup {
        /// Where the copy goes
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Replace the database, which is kept beside it, with a copy of a backup; stop the server first
    Restore {
        /// What `backup` made
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Print the OpenAPI description of the API, as `/openapi.json` serves it
    Openapi,
    /// Print a shell completion script
    Completions {
        /// Which shell
        shell: completions::Shell,
    },
    /// Write the manual, a page for each command
    Man {
        /// The folder to write to, such as /usr/local/share/man/man1
        folder: PathBuf,
    },
}

/// Which database the defaults name depends on the folder: whoever is in the wrong one has to be told.
const NO_CONFIGURATION: &str = "no config.toml in this folder and none named with --config: running on the defaults";

/// What every command works with.
struct Context {
    config: Config,
    clock: Clock,
    output: Output,
}

impl Cli {
    /// Runs the command and says how it went.
    #[must_use]
    pub fn run(self) -> ExitCode {
        match self.try_run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) if output::is_closed_pipe(&error) => ExitCode::SUCCESS,
            Err(error) => {
                output::print_error(&error);
                ExitCode::FAILURE
            }
        }
    }

    fn try_run(self) -> anyhow::Result<()> {
        let context = || {
            let config = Config::load(self.config.as_deref())?;
            anyhow::Ok(Context { config, clock: Clock::system(), output: Output { json: self.json } })
        };
        let context_of_database = || {
            let context = context()?;
            if context.config.file.is_none() {
                note(&format!("magic-auth: {NO_CONFIGURATION}"));
            }
            anyhow::Ok(context)
        };
        match self.command.unwrap_or(Command::Serve) {
            Command::Serve => serve::run(context()?),
            Command::Check => check::run(&context()?),
            Command::Key(command) => key::run(&context_of_database()?, command),
            Command::Customer(command) => customer::run(&context_of_database()?, command),
            Command::Attempts(arguments) => attempts::run(&context_of_database()?, &arguments),
            Command::Ip(arguments) => ip::run(&context()?, &arguments),
            Command::Backup { file } => backup::back_up(&context_of_database()?, &file),
            Command::Restore { file } => backup::restore(&context_of_database()?, &file),
            Command::Openapi => output::print_line(&http::document()?),
            // A shell that starts stands in any folder, and a packager has no configuration.
            Command::Completions { shell } => completions::run(shell),
            Command::Man { folder } => man::run(&folder),
        }
    }
}

impl Context {
    fn open_database(&self) -> anyhow::Result<Database> {
        Ok(Database::open_existing(&self.config.database.path)?)
    }

    /// Opens a database, also before the server has been started for the first time, with the organisations of
    /// the configuration in it, and finds one of them.
    fn open_organisation(&self, path: &Path, wanted: &OrganisationArg) -> anyhow::Result<(Database, OrganisationId)> {
        let configured: Vec<_> = self.config.organisations.iter().map(|known| known.name.as_str()).collect();
        let mut database = match Database::open_existing(path) {
            Err(OpenError::Missing(_)) => {
                // Nothing is made for an organisation that is nowhere.
                wanted.pick(&configured)?;
                Database::open(path)?
            }
            opened => opened?,
        };
        let organisation = database.write(|tx| {
            configured.iter().try_for_each(|known| tx.upsert_organisation(known, self.clock.now()).map(drop))?;
            wanted.find(tx)
        })?;
        Ok((database, organisation))
    }
}

/// Whether the file is named as what commands read from a pipe or write into one. (A file of that name is `./-`.)
fn is_stream(file: &Path) -> bool {
    file.as_os_str() == "-"
}
