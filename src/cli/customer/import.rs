//! `customer import`

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tempfile::TempDir;

use crate::cli::interrupt::Interrupt;
use crate::cli::output::note;
use crate::cli::{Context, find_organisation};
use crate::config::NewCustomerEmail;
use crate::contacts::{Defaults, ImportReport, Importer, Rejects, Row, Rows};
use crate::domain::{Country, OrganisationId};
use crate::store::{Database, back_up};

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// Whose customers; may be left out when there is only one organisation
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
    /// The country of telephone numbers without a code, such as CZ
    #[arg(long, value_name = "COUNTRY")]
    default_country: Option<Country>,
    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Keep the rows that are wrong in a new file, to be mended and imported
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// CSV with a header or JSON lines; - is standard input
    file: PathBuf,
}

/// What the command did.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    imported: u64,
    duplicates: u64,
    wrong: u64,
    pending_referrals: i64,
    dry_run: bool,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<()> {
    let progress = Progress::of(&arguments.file);
    let mut rows = Rows::open(open(&arguments.file, &progress)?).with_context(|| name(&arguments.file))?;
    let mut target = Target::open(context, arguments)?;
    let unknown = rows.unknown_columns();
    if !unknown.is_empty() {
        note(&format!("columns that are left out: {}", unknown.join(", ")));
    }
    let mut rejected = Rejected::to(arguments.rejects.as_deref(), &rows)?;
    let rules = context.config.email.canonicalization;
    let mut importer = Importer::new(&mut target.database, target.organisation, rules, context.clock.clone());
    let stopped_at = work_off(context, arguments, &mut rows, &mut importer, &mut rejected, &progress)?;
    let report = importer.settle_referrals()?;
    rejected.finish()?;
    progress.bar.finish_and_clear();
    tell(context, arguments, report, rejected.count)?;
    match (stopped_at, rejected.count) {
        (Some(line), _) => bail!("interrupted at line {line}: what is imported stays, run it again to import the rest"),
        (None, 0) => Ok(()),
        (None, 1) => bail!("one row is wrong and was not imported"),
        (None, count) => bail!("{count} rows are wrong and were not imported"),
    }
}

/// Imports the rows up to the end, or to an interrupt: then it gives the line that it has come to.
fn work_off(
    context: &Context,
    arguments: &Arguments,
    rows: &mut Rows<impl BufRead>,
    importer: &mut Importer<'_>,
    rejected: &mut Rejected,
    progress: &Progress,
) -> anyhow::Result<Option<u64>> {
    let is_authorized = context.config.sign_in.new_customer_email == NewCustomerEmail::Authorized;
    let interrupt = Interrupt::listen()?;
    let mut line = 0;
    let stopped = |line: u64, importer: &Importer<'_>| {
        let done = importer.report().imported;
        format!("stopped at line {line} after {done} customers, which stay: run it again to import the rest")
    };
    while !interrupt.has_come() {
        let Some(mut row) = rows.next().transpose().with_context(|| stopped(line, importer))? else {
            rejected.add_taken(&importer.write().with_context(|| stopped(line, importer))?, progress)?;
            return Ok(None);
        };
        line = row.line;
        let defaults = Defaults { country: arguments.default_country, is_authorized, created_at: context.clock.now() };
        match row.read(&defaults) {
            Err(problems) => rejected.add(&row, &problems.join("; "), progress)?,
            Ok(contact) => {
                rejected.add_taken(&importer.add(row, contact).with_context(|| stopped(line, importer))?, progress)?;
            }
        }
        progress.show(importer.report());
    }
    rejected.add_taken(&importer.write()?, progress)?;
    Ok(Some(line))
}

fn tell(context: &Context, arguments: &Arguments, report: ImportReport, wrong: u64) -> anyhow::Result<()> {
    let ImportReport { imported, duplicates, pending_referrals } = report;
    let done = Outcome { imported, duplicates, wrong, pending_referrals, dry_run: arguments.dry_run };
    context.output.print(&done, |done| {
        let verb = if done.dry_run { "Would import" } else { "Imported" };
        let pending = match pending_referrals {
            0 => String::new(),
            count => format!(" Referrals that wait for a referrer who is not there: {count}."),
        };
        format!("{verb} {imported} customers; {duplicates} were there already.{pending}")
    })
}

fn open(path: &Path, progress: &Progress) -> anyhow::Result<impl BufRead + use<>> {
    let input: Box<dyn Read> = match path.to_str() {
        Some("-") => Box::new(io::stdin()),
        _ => Box::new(File::open(path).with_context(|| name(path))?),
    };
    Ok(BufReader::with_capacity(1 << 16, progress.bar.wrap_read(input)))
}

/// The file, as messages call it.
fn name(path: &Path) -> String {
    if path.as_os_str() == "-" { "standard input".to_owned() } else { path.display().to_string() }
}

/// A bar on a terminal; nothing elsewhere.
struct Progress {
    bar: ProgressBar,
}

impl Progress {
    fn of(path: &Path) -> Self {
        let length = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|file| file.len());
        let (bar, template) = match length {
            Some(length) => (ProgressBar::new(length), "{wide_bar} {percent} % {msg}"),
            None => (ProgressBar::new_spinner(), "{spinner} {msg}"),
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        Self { bar: bar.with_style(style) }
    }

    fn show(&self, report: ImportReport) {
        self.bar.set_message(format!("{} customers", report.imported));
    }
}

/// The rows that are wrong: told on standard error, and kept if that was asked for.
struct Rejected {
    count: u64,
    kept: Option<Rejects<BufWriter<File>>>,
}

impl Rejected {
    fn to(path: Option<&Path>, rows: &Rows<impl BufRead>) -> anyhow::Result<Self> {
        let Some(path) = path else { return Ok(Self { count: 0, kept: None }) };
        // A new one: what was kept there before, or is the file to be imported, is not lost.
        let file = File::options().write(true).create_new(true).mode(0o600).open(path);
        let output = BufWriter::new(file.with_context(|| name(path))?);
        Ok(Self { count: 0, kept: Some(rows.rejects(output)?) })
    }

    fn add(&mut self, row: &Row, problem: &str, progress: &Progress) -> anyhow::Result<()> {
        self.count += 1;
        progress.bar.suspend(|| note(&format!("line {}: {problem}", row.line)));
        if let Some(kept) = &mut self.kept {
            kept.write(row).context("cannot write the file of rejects")?;
        }
        Ok(())
    }

    /// Rows whose `cuRefNo` is somebody else's, or was that of a person who is forgotten.
    fn add_taken(&mut self, rows: &[Row], progress: &Progress) -> anyhow::Result<()> {
        rows.iter().try_for_each(|row| self.add(row, "cuRefNo: is another customer's, or was", progress))
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        self.kept.as_mut().map_or(Ok(()), Rejects::flush).context("cannot write the file of rejects")
    }
}

/// Where to import to: the database, or for a dry run a copy of it, which is deleted in the end.
struct Target {
    database: Database,
    organisation: OrganisationId,
    _copy: Option<TempDir>,
}

impl Target {
    fn open(context: &Context, arguments: &Arguments) -> anyhow::Result<Self> {
        let name = arguments.organisation.as_deref();
        if !arguments.dry_run {
            let (database, organisation) = context.open_organisation(name)?;
            return Ok(Self { database, organisation, _copy: None });
        }
        let mut original = context.open_database()?;
        let organisation = original.read(|tx| find_organisation(tx, name))?;
        let path = &context.config.database.path;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let failed = "cannot make a copy of the database for a dry run";
        let folder = tempfile::tempdir_in(folder).context(failed)?;
        let copy = folder.path().join("copy.db");
        back_up(path, &copy).context(failed)?;
        Ok(Self { database: Database::open_existing(&copy)?, organisation, _copy: Some(folder) })
    }
}
