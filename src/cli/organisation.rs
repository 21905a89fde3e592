//! Which organisation a command is about.

use anyhow::{Context as _, bail};
use clap::Args;

use crate::domain::OrganisationId;
use crate::store::Tx;

#[derive(Args)]
pub(super) struct OrganisationArg {
    /// The organisation; may be left out when there is only one
    #[arg(id = "organisation", long = "organisation", value_name = "NAME")]
    name: Option<String>,
}

impl OrganisationArg {
    /// The organisation of that name; without a name, the only one there is.
    pub(super) fn find(&self, tx: &Tx<'_>) -> anyhow::Result<OrganisationId> {
        find_organisation(tx, self.name.as_deref())
    }

    /// Which one of these it is.
    pub(super) fn pick<'k>(&self, known: &[&'k str]) -> anyhow::Result<&'k str> {
        pick(known, |name| name, self.name.as_deref()).copied()
    }
}

/// The organisation of that name; without a name, the only one there is.
pub(super) fn find_organisation(tx: &Tx<'_>, name: Option<&str>) -> anyhow::Result<OrganisationId> {
    Ok(pick(&tx.list_organisations()?, |row| &row.name, name)?.id)
}

fn pick<'r, R>(known: &'r [R], name_of: impl Fn(&R) -> &str, name: Option<&str>) -> anyhow::Result<&'r R> {
    let names = || known.iter().map(&name_of).collect::<Vec<_>>().join(", ");
    match (name, known) {
        (_, []) => {
            bail!(
                "there is no organisation: add an [[organisation]] to the configuration and start the server, or name another configuration with --config"
            )
        }
        (None, [only]) => Ok(only),
        (None, _) => bail!("there are several organisations; choose one with --organisation: {}", names()),
        (Some(name), known) => known
            .iter()
            .find(|row| name_of(row) == name)
            .with_context(|| format!("there is no organisation {name:?}; there are: {}", names())),
    }
}
