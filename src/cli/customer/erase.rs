//! `customer erase`

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use anyhow::{Context as _, bail};
use clap::Args;

use super::{Who, find, mailboxes, name, own_forms, remove_residue, wait_for_server};
use crate::cli::Context;
use crate::domain::Timestamp;
use crate::store::{CustomerRow, Database, Residue, StoreError, Traces};

#[derive(Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    who: Who,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<()> {
    let mut database = context.open_database()?;
    let now = context.clock.now();
    let customer = database.read(|tx| find(context, tx, &arguments.who))?;
    if !arguments.yes {
        confirm(&customer)?;
    }
    let (forms, mut traces) = database.read(|tx| {
        let forms = own_forms(tx, &customer, now)?;
        let traces = tx.find_traces(customer.id, mailboxes(&forms, customer.organisation), now)?;
        Ok::<_, StoreError>((forms, traces))
    })?;
    // Of who was erased before, nothing is known any more that could be looked for.
    let residue = (customer.erased_at.is_none())
        .then(|| Residue::of_person(customer.organisation, &customer.account, &forms, &traces));
    database.write(|tx| tx.erase_customer(&mut traces, now))?;
    let cu_ref_no = &customer.account.cu_ref_no;
    finish(context, database, traces, residue.as_ref(), now).with_context(|| {
        format!("{cu_ref_no} is erased, but traces may remain in free parts of the file: erase {cu_ref_no} again")
    })?;
    context.output.done(format!(
        "Erased {cu_ref_no}: address, number, names, bans, sessions and IP addresses. Backups and exports still have them."
    ))
}

/// Erases what stands elsewhere than in the person's rows, and what a running server writes a moment later.
fn finish(
    context: &Context,
    mut database: Database,
    mut traces: Traces,
    residue: Option<&Residue>,
    now: Timestamp,
) -> anyhow::Result<()> {
    // At once, too: who is interrupted cannot find them again.
    forget_lonely_ips(&mut database, &traces)?;
    if wait_for_server(context) {
        database.write(|tx| tx.erase_customer(&mut traces, now))?;
        // Not what the server knows of one while DNS servers do not answer, but that is of nobody any more.
        forget_lonely_ips(&mut database, &traces)?;
    }
    drop(database);
    remove_residue(context, residue)
}

fn forget_lonely_ips(database: &mut Database, traces: &Traces) -> Result<(), StoreError> {
    let lonely = database.read(|tx| tx.list_lonely_ips(traces))?;
    database.write(|tx| lonely.iter().try_for_each(|ip| tx.delete_ip(ip)))
}

fn confirm(customer: &CustomerRow) -> anyhow::Result<()> {
    if !io::stdin().is_terminal() {
        bail!("there is no terminal to ask on: use --yes to erase {} for good", name(customer));
    }
    let mut out = io::stderr();
    write!(out, "Erase {} for good? There is no way back. Type yes: ", name(customer))?;
    out.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() == "yes" { Ok(()) } else { bail!("nothing was erased") }
}
