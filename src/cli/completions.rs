//! `completions`

use anyhow::Context as _;
use clap::{CommandFactory as _, ValueEnum};
use clap_complete::aot;

use super::Cli;
use super::output::print_line;

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl From<Shell> for aot::Shell {
    fn from(shell: Shell) -> Self {
        match shell {
            Shell::Bash => Self::Bash,
            Shell::Zsh => Self::Zsh,
            Shell::Fish => Self::Fish,
        }
    }
}

pub(super) fn run(shell: Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    aot::generate(aot::Shell::from(shell), &mut Cli::command(), "magic-auth", &mut script);
    let script = String::from_utf8(script).context("the script is no text")?;
    // The generator for bash writes the dash of our name in two ways, so that nothing after a command would be
    // completed: https://github.com/clap-rs/clap/issues/6421. A generator that does not is left alone by this.
    print_line(&script.replace("magic__subcmd__auth", "magic__auth"))
}
