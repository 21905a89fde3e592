//! The program: reads the command line, runs the command, sets the exit code.

use std::process::ExitCode;

use clap::Parser as _;
use magic_auth::cli::Cli;

fn main() -> ExitCode {
    Cli::parse().run()
}
