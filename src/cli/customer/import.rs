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
use crate::cli::organisation::OrganisationArg;
use crate::cli::output::{counted, note};
use crate::cli::{Context, is_stream};
use crate::config::NewCustomerEmail;
use crate::contacts::{Defaults, ImportReport, Importer, Rejects, Row, Rows, Untaken};
use crate::domain::{Country, OrganisationId};
use crate::store::{Database, OpenError, back_up, folder_of, real_path};

#[derive(Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    organisation: OrganisationArg,
    /// The country of telephone numbers without a code, such as CZ
    #[arg(long, value_name = "COUNTRY")]
    default_country: Option<Country>,
    /// Say what would be done, and change nothing in the database
    #[arg(long)]
    dry_run: bool,
    /// Keep the rows that are wrong in a new file, to be corrected and imported; a dry run keeps them too
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
    bans_not_set: u64,
    wrong: u64,
    pending_referrals: i64,
    dry_run: bool,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<()> {
    let progress = Progress::of(&arguments.file)?;
    let mut rows = Rows::open(open(&arguments.file, &progress)?).with_context(|| name(&arguments.file))?;
    let mut target = Target::open(context, arguments)?;
    let of_header = rows.unknown_columns();
    note_unknown(&of_header);
    target.database.prepare_for_many_writes()?;
    let rules = context.config.email.canonicalization;
    let mut work = Work {
        importer: Importer::new(&mut target.database, target.organisation, rules, context.clock.clone()),
        rejected: Rejected::to(arguments.rejects.as_deref(), &rows)?,
        progress: &progress,
        line: 0,
    };
    let is_done = work.work_off(context, arguments, &mut rows).with_context(|| work.stopped(arguments))?;
    let unsettled = "not all referrals were recorded: run it again to record the rest";
    let report = work.importer.settle_referrals().context(unsettled)?;
    work.rejected.finish()?;
    progress.bar.finish_and_clear();
    if of_header.is_empty() {
        note_unknown(&rows.unknown_columns());
    }
    tell(context, arguments, report, work.rejected.count)?;
    match (is_done, work.rejected.count) {
        (false, _) => bail!("interrupted: {}", work.stopped(arguments)),
        (true, 0) => Ok(()),
        (true, 1) => bail!("one row is wrong and was not imported"),
        (true, count) => bail!("{count} rows are wrong and were not imported"),
    }
}

fn note_unknown(columns: &[String]) {
    if !columns.is_empty() {
        let names: Vec<_> = columns.iter().map(|column| format!("{column:?}")).collect();
        note(&format!("ignored columns: {}", names.join(", ")));
    }
}

/// An import and how far it has come.
struct Work<'w, 'd> {
    importer: Importer<'d>,
    rejected: Rejected,
    progress: &'w Progress,
    /// The line of the row that was read last; 0 when there was none.
    line: u64,
}

impl Work<'_, '_> {
    /// Imports the rows up to the end, or to an interrupt: then it gives false.
    fn work_off(
        &mut self,
        context: &Context,
        arguments: &Arguments,
        rows: &mut Rows<impl BufRead>,
    ) -> anyhow::Result<bool> {
        let is_authorized = context.config.sign_in.new_customer_email == NewCustomerEmail::Authorized;
        while !self.progress.interrupt.has_come() {
            match rows.next() {
                Some(Ok(row)) => {
                    // By the time at which the row is there: a pipe may be waited for.
                    let created_at = context.clock.now();
                    self.take(row, &Defaults { country: arguments.default_country, is_authorized, created_at })?;
                }
                end => {
                    // Also when the rest cannot be read.
                    self.write()?;
                    return Ok(end.transpose()?.is_none());
                }
            }
        }
        self.write()?;
        Ok(false)
    }

    fn take(&mut self, mut row: Row, defaults: &Defaults) -> anyhow::Result<()> {
        self.line = row.line;
        match row.read(defaults) {
            Err(problems) => self.rejected.add(&row, &problems.join("; "), self.progress)?,
            Ok(contact) => {
                let untaken = self.importer.add(row, contact)?;
                self.rejected.add_untaken(&untaken, self.progress)?;
            }
        }
        self.progress.show(self.importer.report());
        Ok(())
    }

    fn write(&mut self) -> anyhow::Result<()> {
        let untaken = self.importer.write()?;
        self.rejected.add_untaken(&untaken, self.progress)
    }

    fn stopped(&self, arguments: &Arguments) -> String {
        let place = match self.line {
            0 => String::new(),
            line => format!(" at line {line}"),
        };
        if arguments.dry_run {
            return format!("stopped{place}");
        }
        let imported = counted(self.importer.report().imported, "customer");
        format!("stopped{place} ({imported} so far, kept): run it again to import the rest")
    }
}

fn tell(context: &Context, arguments: &Arguments, report: ImportReport, wrong: u64) -> anyhow::Result<()> {
    let ImportReport { imported, duplicates, bans_not_set, pending_referrals } = report;
    let done = Outcome { imported, duplicates, bans_not_set, wrong, pending_referrals, dry_run: arguments.dry_run };
    context.output.print(&done, |done| {
        let verb = if done.dry_run { "Would import" } else { "Imported" };
        let bans = match done.bans_not_set {
            0 => String::new(),
            count => format!(" Bans not set: {count}."),
        };
        let pending = match pending_referrals {
            0 => String::new(),
            count => format!(" Referrals still waiting for their referrer, in all: {count}."),
        };
        format!("{verb} {}; there already: {duplicates}.{bans}{pending}", counted(imported, "customer"))
    })
}

fn open(path: &Path, progress: &Progress) -> anyhow::Result<impl BufRead + use<>> {
    let input: Box<dyn Read> =
        if is_stream(path) { Box::new(io::stdin()) } else { Box::new(File::open(path).with_context(|| name(path))?) };
    Ok(BufReader::with_capacity(1 << 16, progress.bar.wrap_read(input)))
}

/// The file, as messages call it.
fn name(path: &Path) -> String {
    if is_stream(path) { "standard input".to_owned() } else { path.display().to_string() }
}

/// What the operator sees meanwhile, a bar on a terminal and nothing elsewhere, and may do: Ctrl-C.
struct Progress {
    bar: ProgressBar,
    interrupt: Interrupt,
}

impl Progress {
    fn of(path: &Path) -> io::Result<Self> {
        let length = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|file| file.len());
        let (bar, template) = match length {
            Some(length) => (ProgressBar::new(length), "{wide_bar} {percent} % {msg}"),
            None => (ProgressBar::new_spinner(), "{spinner} {msg}"),
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = bar.with_style(style);
        let shown = bar.clone();
        // Also who waits for the next row of a pipe sees that it was heard.
        let say = move || shown.suspend(|| note("stopping after this row; press Ctrl-C again to end at once"));
        Ok(Self { bar, interrupt: Interrupt::listen(say)? })
    }

    fn tell(&self, row: &Row, problem: &str) {
        self.bar.suspend(|| note(&format!("line {}: {problem}", row.line)));
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
        if is_stream(path) {
            bail!("rejects cannot go to standard output: name a new file");
        }
        // A new one: what was kept there before, or is the file to be imported, is not lost.
        let file = File::options().write(true).create_new(true).mode(0o600).open(path);
        if file.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists) {
            bail!("{} already exists: name a new file", path.display());
        }
        let output = BufWriter::new(file.with_context(|| format!("cannot make the new file {}", path.display()))?);
        Ok(Self { count: 0, kept: Some(rows.rejects(output)?) })
    }

    fn add(&mut self, row: &Row, problem: &str, progress: &Progress) -> anyhow::Result<()> {
        self.count += 1;
        progress.tell(row, problem);
        if let Some(kept) = &mut self.kept {
            kept.write(row).context("cannot write the file of rejects")?;
        }
        Ok(())
    }

    /// Who is a customer already is no reject, also where the ban is told.
    fn add_untaken(&mut self, rows: &[(Row, Untaken)], progress: &Progress) -> anyhow::Result<()> {
        rows.iter().try_for_each(|(row, untaken)| match untaken {
            Untaken::CuRefNoTaken => self.add(row, "cuRefNo: belongs, or once belonged, to another customer", progress),
            Untaken::PhoneTaken(owner) => {
                let problem = format!("phone: belongs to {owner}; leave it out to import this customer");
                self.add(row, &problem, progress)
            }
            Untaken::Ban => {
                progress.tell(row, "is a customer already, so the ban was not set: see magic-auth customer ban");
                Ok(())
            }
        })
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
        let path: &Path = &context.config.database.path;
        let copy = if arguments.dry_run { Some(copy_of(path)?) } else { None };
        let copied = copy.as_ref().map(|folder| folder.path().join(COPY));
        let place = copied.as_deref().unwrap_or(path);
        let (database, organisation) = context.open_organisation(place, &arguments.organisation)?;
        Ok(Self { database, organisation, _copy: copy })
    }
}

const COPY: &str = "copy.db";

/// A folder beside the database with a copy of it, or with nothing when there is no database yet.
fn copy_of(database: &Path) -> anyhow::Result<TempDir> {
    let failed = "cannot make a copy of the database for a dry run";
    let folder =
        tempfile::Builder::new().prefix(".magic-auth-").tempdir_in(folder_of(&real_path(database))).context(failed)?;
    // That it can be imported into is said of itself, not of the copy.
    match Database::open_existing(database) {
        Err(OpenError::Missing(_)) => {}
        opened => {
            drop(opened?);
            back_up(database, &folder.path().join(COPY)).context(failed)?;
        }
    }
    Ok(folder)
}
