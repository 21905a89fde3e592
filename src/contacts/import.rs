//! Bringing contacts into the database, many in one transaction and never for long.

use std::time::Duration;

use super::{Contact, Row};
use crate::clock::Clock;
use crate::domain::{CanonicalEmail, Canonicalization, CustomerId, OrganisationId, Timestamp};
use crate::store::{CustomerRow, Database, NewCustomer, StoreError, Tx};

/// Contacts in one transaction. Sign-ins wait for it: it takes some ten milliseconds.
const BATCH: usize = 200;

/// Their rows, which are kept for as long, do not grow beyond it: a column that is ignored may hold anything.
const BATCH_BYTES: usize = 16 << 20;

/// The pause between two transactions: a server that waits for the lock asks for it every millisecond.
const PAUSE: Duration = Duration::from_millis(2);

/// The longest pause when a server is busy.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// What an import did.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImportReport {
    /// Contacts that are customers now.
    pub imported: u64,
    /// Contacts who were customers already.
    pub duplicates: u64,
    /// Those of them who are not banned, although their row says so.
    pub bans_not_set: u64,
    /// Referrals whose referrer is not there, or not yet.
    pub pending_referrals: i64,
}

/// What of a row was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Untaken {
    /// All of it: its `cuRefNo` is somebody else's, or was that of a person who is forgotten.
    CuRefNoTaken,
    /// All of it: its address is nobody's, but its telephone number belongs to the customer with this `cuRefNo`.
    PhoneTaken(String),
    /// The ban of who is a customer already.
    Ban,
}

/// An import under way. When it stops half-way, what is in is in, and running it again brings in the rest.
pub struct Importer<'d> {
    database: &'d mut Database,
    organisation: OrganisationId,
    canonicalization: Canonicalization,
    clock: Clock,
    batch: Vec<(Row, Contact)>,
    batch_bytes: usize,
    report: ImportReport,
}

impl<'d> Importer<'d> {
    /// Begins to import into an organisation.
    #[must_use]
    pub fn new(
        database: &'d mut Database,
        organisation: OrganisationId,
        canonicalization: Canonicalization,
        clock: Clock,
    ) -> Self {
        Self {
            database,
            organisation,
            canonicalization,
            clock,
            batch: Vec::new(),
            batch_bytes: 0,
            report: ImportReport::default(),
        }
    }

    /// Takes a contact. Now and then it writes those that it has taken, and gives the rows of which something was not.
    ///
    /// # Errors
    /// When the database fails.
    pub fn add(&mut self, row: Row, contact: Contact) -> Result<Vec<(Row, Untaken)>, StoreError> {
        self.batch_bytes += row.bytes();
        self.batch.push((row, contact));
        if self.batch.len() < BATCH && self.batch_bytes < BATCH_BYTES { Ok(Vec::new()) } else { self.write() }
    }

    /// What has been written so far.
    #[must_use]
    pub fn report(&self) -> ImportReport {
        self.report
    }

    /// Writes what was added, in one transaction. Gives the rows of which something was not taken.
    ///
    /// # Errors
    /// When the database fails. Nothing of it is written then.
    pub fn write(&mut self) -> Result<Vec<(Row, Untaken)>, StoreError> {
        let (batch, now) = (std::mem::take(&mut self.batch), self.clock.now());
        self.batch_bytes = 0;
        let (organisation, rules) = (self.organisation, self.canonicalization);
        let fates = in_short_transaction(self.database, &self.clock, |tx| {
            batch
                .iter()
                .map(|(_, contact)| insert(tx, organisation, rules, contact, now))
                .collect::<Result<Vec<_>, _>>()
        })?;
        let mut untaken = Vec::new();
        for ((row, _), fate) in batch.into_iter().zip(fates) {
            match fate {
                Fate::Imported => self.report.imported += 1,
                Fate::Duplicate => self.report.duplicates += 1,
                Fate::DuplicateWithBan => {
                    self.report.duplicates += 1;
                    self.report.bans_not_set += 1;
                    untaken.push((row, Untaken::Ban));
                }
                Fate::Untaken(reason) => untaken.push((row, reason)),
            }
        }
        Ok(untaken)
    }

    /// Records the referrals whose referrer came later than the customer: in this file, or in this import
    /// after an earlier one.
    ///
    /// # Errors
    /// When the database fails.
    pub fn settle_referrals(&mut self) -> Result<ImportReport, StoreError> {
        let organisation = self.organisation;
        let mut last = CustomerId(0);
        loop {
            let page = self.database.read(|tx| tx.list_settled_referrals(organisation, last, BATCH))?;
            let Some(end) = page.last() else { break };
            last = end.customer;
            in_short_transaction(self.database, &self.clock, |tx| {
                page.iter().try_for_each(|referral| tx.settle_referral(*referral))
            })?;
        }
        self.report.pending_referrals = self.database.read(|tx| tx.count_pending_referrals(organisation))?;
        Ok(self.report)
    }
}

/// What became of a contact.
enum Fate {
    Imported,
    Duplicate,
    /// To be banned, and not banned.
    DuplicateWithBan,
    Untaken(Untaken),
}

fn insert(
    tx: &Tx<'_>,
    organisation: OrganisationId,
    rules: Canonicalization,
    contact: &Contact,
    now: Timestamp,
) -> Result<Fate, StoreError> {
    let canonical = contact.email.as_ref().map(|email| email.canonical(rules));
    // Who brought themselves was brought by nobody.
    let referral = contact.referral_id.as_ref().filter(|referral| Some(*referral) != contact.cu_ref_no.as_ref());
    let referred_by = match referral {
        Some(referral) => tx.find_referrer(organisation, referral)?,
        None => None,
    };
    let new = NewCustomer {
        email: contact.email.as_ref().zip(canonical.as_ref()),
        phone: contact.phone.as_ref(),
        first_name: contact.first_name.as_ref(),
        last_name: contact.last_name.as_ref(),
        company_name: contact.company_name.as_ref(),
        cu_ref_no: contact.cu_ref_no.as_ref(),
        referred_by,
        is_registered: contact.is_registered,
        is_authorized: contact.is_authorized,
        ..NewCustomer::of(organisation)
    };
    let Some(customer) = tx.insert_customer(&new, contact.created_at)? else {
        return fate_of_known(tx, organisation, contact, canonical.as_ref(), now);
    };
    if let Some(referral) = referral.filter(|_| referred_by.is_none()) {
        tx.insert_pending_referral(customer, referral)?;
    }
    if let Some(ban) = &contact.ban {
        tx.insert_ban(customer, ban, now)?;
    }
    Ok(Fate::Imported)
}

/// What becomes of a contact that has something of a customer's.
fn fate_of_known(
    tx: &Tx<'_>,
    organisation: OrganisationId,
    contact: &Contact,
    canonical: Option<&CanonicalEmail>,
    now: Timestamp,
) -> Result<Fate, StoreError> {
    let by_email =
        canonical.map(|canonical| tx.find_customer_by_email(organisation, canonical, now)).transpose()?.flatten();
    let by_phone =
        contact.phone.as_ref().map(|phone| tx.find_customer_by_phone(organisation, phone, now)).transpose()?.flatten();
    let is_named = |owner: &CustomerRow| {
        contact.cu_ref_no.as_ref().is_some_and(|cu_ref_no| cu_ref_no.as_str() == owner.account.cu_ref_no)
    };
    Ok(match (by_email, by_phone) {
        (None, None) => Fate::Untaken(Untaken::CuRefNoTaken),
        // Two people may share a telephone, and this is the other one, unless the row names the owner.
        (None, Some(owner)) if canonical.is_some() && !is_named(&owner) => {
            Fate::Untaken(Untaken::PhoneTaken(owner.account.cu_ref_no))
        }
        (by_email, by_phone) => {
            let is_anybody_free = [by_email, by_phone].iter().flatten().any(|owner| owner.ban.is_none());
            if contact.ban.is_some() && is_anybody_free { Fate::DuplicateWithBan } else { Fate::Duplicate }
        }
    })
}

/// Writes, and then rests so that a running server has its turn: for as long as the writing took, if there was one
/// that wrote meanwhile.
fn in_short_transaction<T>(
    database: &mut Database,
    clock: &Clock,
    work: impl FnOnce(&Tx<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let version = database.data_version()?;
    let begin = clock.steady();
    let result = database.write(work)?;
    let took = clock.steady().saturating_sub(begin);
    let is_alone = database.data_version()? == version;
    std::thread::sleep(if is_alone { PAUSE } else { took.clamp(PAUSE, LONGEST_PAUSE) });
    Ok(result)
}
