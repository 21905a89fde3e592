//! The command line: one file for each group of commands.
//!
//! All commands work on the database itself, also while a server runs on it. Results go to standard
//! output, as a table for people or with `--json` for programs; an error is one line on standard
//! error. The exit code is 0, 1 when the command failed, 2 when it was used wrongly.

mod attempts;
mod check;
mod customer;
mod key;
mod output;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};

use crate::clock::Clock;
use crate::config::Config;
use crate::domain::OrganisationId;
use crate::http;
use crate::store::{Database, Tx};
use output::Output;

/// Passwordless customer sign-in by e-mail: one binary, one SQLite file, one TOML file.
#[derive(Debug, Parser)]
#[command(name = "magic-auth", version, about, max_term_width = 100)]
#[command(after_help = "Without a command, magic-auth serves. See the README for the configuration and the API.")]
pub struct Cli {
    /// The configuration file [default: ./config.toml, or built-in defaults when it is not there]
    #[arg(long, global = true, env = "MAGIC_AUTH_CONFIG", hide_env_values = true, value_name = "PATH")]
    config: Option<PathBuf>,

    /// Print JSON instead of a table
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer requests until Ctrl-C or SIGTERM
    Serve,
    /// Check the configuration and the database without serving; exit code 1 when something is wrong
    Check,
    /// Make, list and revoke API keys
    #[command(subcommand)]
    Key(key::Command),
    /// Show, ban, authorize and sign out customers
    #[command(subcommand)]
    Customer(customer::Command),
    /// List sign-in attempts, the newest first; follow them, or sum them up
    Attempts(attempts::Arguments),
    /// Print the OpenAPI description of the API, as `/openapi.json` serves it
    Openapi,
}

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
        let config = Config::load(self.config.as_deref())?;
        let context = Context { config, clock: Clock::system(), output: Output { json: self.json } };
        match self.command.unwrap_or(Command::Serve) {
            Command::Serve => serve::run(context),
            Command::Check => check::run(&context),
            Command::Key(command) => key::run(&context, command),
            Command::Customer(command) => customer::run(&context, command),
            Command::Attempts(arguments) => attempts::run(&context, &arguments),
            Command::Openapi => output::print_line(&http::document()?),
        }
    }
}

impl Context {
    fn open_database(&self) -> anyhow::Result<Database> {
        Ok(Database::open_existing(&self.config.database.path)?)
    }
}

/// The organisation of that name; without a name, the only one there is.
fn find_organisation(tx: &Tx<'_>, name: Option<&str>) -> anyhow::Result<OrganisationId> {
    let rows = tx.list_organisations()?;
    let known = || rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>().join(", ");
    match (name, rows.as_slice()) {
        (_, []) => {
            bail!("there is no organisation yet: add an [[organisation]] to the configuration and start the server")
        }
        (None, [only]) => Ok(only.id),
        (None, _) => bail!("say which organisation with --organisation: {}", known()),
        (Some(name), rows) => {
            let row = rows.iter().find(|row| row.name == name);
            Ok(row.with_context(|| format!("there is no organisation {name:?}, only: {}", known()))?.id)
        }
    }
}
