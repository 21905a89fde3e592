//! What the service has promised by its answers, and whether it holds.

use std::path::Path;

use anyhow::{Context as _, ensure};
use magic_auth::clock::Clock;
use magic_auth::config::SessionConfig;
use magic_auth::domain::{ApiKey, Canonicalization, EmailAddress, IdentityId, OrganisationId, Timestamp};
use magic_auth::store::{CustomerFilter, Database, KeyState, StoreError, Tx};
use serde::{Deserialize, Serialize};

use crate::shop::DATABASE;
use crate::sound::{ensure_one_customer_a_mailbox, ensure_sound, ensure_whole_sign_ins};

/// Where the backup is made.
pub const BACKUP: &str = "backup.db";

/// Something that an answer has said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Claim {
    SignedIn { identity: String },
    SignedOut { identity: String },
    Banned { email: String },
    Erased { email: String },
    Imported { email: String },
    KeyInForce { key: String },
    KeyRevoked { key: String },
    BackedUp { customers: usize },
}

impl Claim {
    /// What of it may stand in no log.
    pub fn secret(&self) -> Option<&str> {
        match self {
            Self::SignedIn { identity } | Self::SignedOut { identity } => Some(identity),
            Self::KeyInForce { key } | Self::KeyRevoked { key } => Some(key),
            Self::Banned { .. } | Self::Erased { .. } | Self::Imported { .. } | Self::BackedUp { .. } => None,
        }
    }
}

/// A claim and when it holds: from the moment at which its answer had come, to that at which it was asked to end.
/// Moments are lengths of the record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fact {
    pub claim: Claim,
    pub since: u64,
    pub until: u64,
}

impl Fact {
    /// What holds from now on, for good.
    pub fn since(since: u64, claim: Claim) -> Self {
        Self { claim, since, until: u64::MAX }
    }

    pub fn holds_at(&self, moment: u64) -> bool {
        (self.since..=self.until).contains(&moment)
    }
}

/// Opens the database as the program does, and says what is wrong with it: damage, or a claim that does not hold.
pub fn check<'c>(folder: &Path, mut claims: impl Iterator<Item = &'c Claim>) -> anyhow::Result<()> {
    check_backup(&folder.join(BACKUP)).context("the backup")?;
    let path = folder.join(DATABASE);
    let mut database = Database::open(&path)?;
    database.read(|tx| {
        claims.try_for_each(|claim| {
            ensure!(holds(folder, tx, claim)?, "lost: {claim:?}");
            Ok(())
        })
    })?;
    database.write(|tx| tx.upsert_organisation("written afterwards", Timestamp::from_millis(0)))?;
    drop(database);
    let connection = rusqlite::Connection::open(&path)?;
    ensure_sound(&connection)?;
    ensure_one_customer_a_mailbox(&connection)?;
    ensure_whole_sign_ins(&connection, "c.registered_at IS NOT NULL")?;
    let count: i64 = connection.query_row(BANS, [], |row| row.get(0))?;
    ensure!(count == 0, "{count} parts of bans");
    Ok(())
}

/// A ban ends the sessions too.
const BANS: &str = "SELECT count(*) FROM customers AS c
    WHERE EXISTS (SELECT 1 FROM bans WHERE customer_id = c.id) <> (c.session_epoch > 0) AND erased_at IS NULL";

/// A backup is there as a whole or not at all.
fn check_backup(path: &Path) -> anyhow::Result<()> {
    if path.exists() {
        let damage = Database::open_existing(path)?.find_damage()?;
        ensure!(damage.is_empty(), "{}", damage.join("; "));
    }
    Ok(())
}

fn holds(folder: &Path, tx: &Tx<'_>, claim: &Claim) -> anyhow::Result<bool> {
    let now = Clock::system().now();
    let Some(shop) = tx.list_organisations()?.into_iter().find(|row| row.name == "shop") else { return Ok(false) };
    let is_alive = |identity: &str| {
        let found = tx.find_session(shop.id, &IdentityId::parse(identity).unwrap(), now)?;
        anyhow::Ok(found.is_some_and(|(session, _)| session.is_alive(SessionConfig::default(), now)))
    };
    Ok(match claim {
        Claim::SignedIn { identity } => is_alive(identity)?,
        Claim::SignedOut { identity } => !is_alive(identity)?,
        Claim::Banned { email } => find(tx, shop.id, email, now)? == Some(true),
        Claim::Erased { email } => find(tx, shop.id, email, now)?.is_none(),
        Claim::Imported { email } => find(tx, shop.id, email, now)?.is_some(),
        Claim::KeyInForce { key } => has_key(tx, key, KeyState::Active, now)?,
        Claim::KeyRevoked { key } => has_key(tx, key, KeyState::Revoked, now)?,
        Claim::BackedUp { customers: at_least } => {
            let mut backup = Database::open_existing(&folder.join(BACKUP))?;
            let customers = backup.read(|tx| tx.list_customers(&CustomerFilter::of(shop.id), |_| true, now))?.len();
            customers >= *at_least
        }
    })
}

/// Whether the owner of the address is banned; `None` when nobody owns it.
fn find(tx: &Tx<'_>, shop: OrganisationId, email: &str, now: Timestamp) -> Result<Option<bool>, StoreError> {
    let canonical = EmailAddress::parse(email).unwrap().canonical(Canonicalization::Provider);
    Ok(tx.find_customer(shop, &canonical, now)?.map(|customer| customer.is_banned))
}

fn has_key(tx: &Tx<'_>, key: &str, state: KeyState, now: Timestamp) -> Result<bool, StoreError> {
    let digest = ApiKey::parse(key).unwrap().digest();
    Ok(tx.list_keys()?.iter().any(|row| row.digest == digest && row.state(now) == state))
}
