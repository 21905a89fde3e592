//! `backup` and `restore`

use std::path::Path;

use anyhow::bail;
use indicatif::HumanBytes;
use serde::Serialize;

use super::output::counted;
use super::{Context, is_stream};
use crate::store::{self, Contents};

/// What was copied, and whither.
#[derive(Serialize)]
struct Copied {
    database: String,
    file: String,
    bytes: u64,
    customers: i64,
    version: i64,
    /// What was there before a restoration, by its new names.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<Vec<String>>,
}

impl Copied {
    fn new(database: &Path, file: &Path, contents: Contents) -> Self {
        let Contents { version, customers, bytes } = contents;
        let [database, file] = [database, file].map(|path| path.display().to_string());
        Self { database, file, bytes, customers, version, kept: None }
    }

    fn contents(&self) -> String {
        format!("{}, {}", counted(self.customers.unsigned_abs(), "customer"), HumanBytes(self.bytes))
    }
}

pub(super) fn back_up(context: &Context, file: &Path) -> anyhow::Result<()> {
    if is_stream(file) {
        bail!("a backup cannot go to standard output: name a file");
    }
    let database = &context.config.database.path;
    let contents = store::back_up(database, file)?;
    context.output.print(&Copied::new(database, file, contents), |copied| {
        format!("Backed up {} to {}: {}, checked.", copied.database, copied.file, copied.contents())
    })
}

pub(super) fn restore(context: &Context, file: &Path) -> anyhow::Result<()> {
    if is_stream(file) {
        bail!("a backup cannot come from standard input: name a file");
    }
    let database = &context.config.database.path;
    let restored = store::restore(database, file, context.clock.now())?;
    let kept = restored.kept.iter().map(|path| path.display().to_string()).collect();
    let copied = Copied { kept: Some(kept), ..Copied::new(database, file, restored.contents) };
    context.output.print(&copied, |copied| {
        format!(
            "Restored {} from {}: {}, checked. {}",
            copied.database,
            copied.file,
            copied.contents(),
            what_was(copied)
        )
    })
}

fn what_was(copied: &Copied) -> String {
    match copied.kept.as_deref().unwrap_or_default() {
        [] => "There was no database before.".to_owned(),
        kept => format!("What was there before is kept as {}.", kept.join(" and ")),
    }
}
