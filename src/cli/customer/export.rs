//! `customer export`

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::for_each_page;
use crate::cli::organisation::OrganisationArg;
use crate::cli::output::{NOT_PRINTED, counted};
use crate::cli::{Context, is_stream};
use crate::contacts::{ContactWriter, Form, is_export};
use crate::domain::OrganisationId;
use crate::store::{Database, place_of, refuse_files_of, sync, temporary_beside};

#[derive(Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    organisation: OrganisationArg,
    /// The form of the file [default: by its name, .jsonl or .ndjson; else CSV]
    #[arg(long)]
    format: Option<FileFormat>,
    /// The file to write, which replaces an earlier export; - is standard output
    file: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum FileFormat {
    Csv,
    Jsonl,
}

/// What the command did.
#[derive(Serialize)]
struct Exported<'f> {
    exported: u64,
    file: &'f Path,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<()> {
    let mut database = context.open_database()?;
    let organisation = database.read(|tx| arguments.organisation.find(tx))?;
    let (file, form) = (arguments.file.as_path(), form(context, arguments));
    if is_stream(file) {
        let written = write(context, &mut database, organisation, form, io::stdout().lock());
        return written.map(drop).map_err(|error| of_output(error, NOT_PRINTED));
    }
    let failed = || format!("cannot write {}", file.display());
    let place = place_of(file).with_context(failed)?;
    refuse_files_of(&context.config.database.path, &place)?;
    refuse_what_is_no_export(file)?;
    // Under another name until it is whole: who reads FILE never sees half of it.
    let temporary = temporary_beside(&place)?;
    let exported = write(context, &mut database, organisation, form, temporary.as_file())
        .map_err(|error| of_output(error, failed()))?;
    sync(temporary.as_file()).with_context(failed)?;
    temporary.persist(place).map_err(|error| error.error).with_context(failed)?;
    context.output.print(&Exported { exported, file }, |done| {
        format!("Exported {} to {}.", counted(done.exported, "customer"), done.file.display())
    })
}

/// What is there must be an earlier export, or empty.
fn refuse_what_is_no_export(file: &Path) -> anyhow::Result<()> {
    let Ok(found) = std::fs::metadata(file) else { return Ok(()) };
    if !found.is_file() {
        bail!("{} is not a file: name one, or - for standard output", file.display());
    }
    let is_export = found.len() == 0
        || File::open(file).and_then(is_export).with_context(|| format!("cannot read {}", file.display()))?;
    if !is_export {
        bail!("{} already exists and is not an export: name another file", file.display());
    }
    Ok(())
}

/// Says what could not be written, unless it is the database that could not be read.
fn of_output(error: anyhow::Error, failed: impl Display + Send + Sync + 'static) -> anyhow::Error {
    if error.is::<io::Error>() { error.context(failed) } else { error }
}

fn form(context: &Context, arguments: &Arguments) -> Form {
    let extension = arguments.file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match arguments.format {
        Some(FileFormat::Jsonl) => Form::JsonLines,
        None if ["jsonl", "ndjson"].contains(&extension) => Form::JsonLines,
        // In a pipe, JSON is what was asked for; beside a file, it is the form of what is said about it.
        None if context.output.json && is_stream(&arguments.file) => Form::JsonLines,
        Some(FileFormat::Csv) | None => Form::Csv,
    }
}

/// Writes all customers, and gives their number.
fn write(
    context: &Context,
    database: &mut Database,
    organisation: OrganisationId,
    form: Form,
    output: impl Write,
) -> anyhow::Result<u64> {
    let mut writer = ContactWriter::begin(form, BufWriter::new(output))?;
    let mut exported = 0;
    for_each_page(context, database, organisation, |page| {
        exported += page.len() as u64;
        Ok(page.iter().try_for_each(|customer| writer.write(customer))?)
    })?;
    writer.flush()?;
    Ok(exported)
}
