//! `man`: a page for the program and one for each of its commands.

use std::path::Path;

use anyhow::{Context as _, bail};
use clap::CommandFactory as _;
use clap_mangen::Man;

use super::Cli;
use super::output::print_line;

pub(super) fn run(folder: &Path) -> anyhow::Result<()> {
    if !folder.is_dir() {
        bail!("the folder {} does not exist: create it first", folder.display());
    }
    // The pages say it: `magic-auth help key` and `magic-auth key --help` are the same.
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    write_pages(&program, folder)
}

/// Writes the pages of a command and of those under it.
fn write_pages(command: &clap::Command, folder: &Path) -> anyhow::Result<()> {
    let page = Man::new(command.clone()).source(concat!("magic-auth ", env!("CARGO_PKG_VERSION")));
    let path = folder.join(page.get_filename());
    let mut text = Vec::new();
    page.render(&mut text)?;
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    print_line(&path.display().to_string())?;
    command.get_subcommands().try_for_each(|command| write_pages(command, folder))
}
