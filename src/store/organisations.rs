//! The table `organisations`.

use rusqlite::{OptionalExtension as _, params};

use super::{StoreError, Tx};
use crate::domain::{OrganisationId, Timestamp};

/// An organisation.
#[derive(Clone, Debug)]
pub struct OrganisationRow {
    /// Its row.
    pub id: OrganisationId,
    /// Its unique name.
    pub name: String,
}

impl Tx<'_> {
    /// The organisation of that name, which is made when it is not there.
    ///
    /// # Errors
    /// When the database fails.
    pub fn upsert_organisation(&self, name: &str, now: Timestamp) -> Result<OrganisationId, StoreError> {
        if let Some(id) = self.find_organisation(name)? {
            return Ok(id);
        }
        self.prepare("INSERT INTO organisations (name, created_at) VALUES (?1, ?2)")?.execute(params![name, now])?;
        Ok(OrganisationId(self.last_insert_rowid()))
    }

    fn find_organisation(&self, name: &str) -> Result<Option<OrganisationId>, StoreError> {
        let mut statement = self.prepare("SELECT id FROM organisations WHERE name = ?1")?;
        Ok(statement.query_row([name], |row| row.get(0)).optional()?)
    }

    /// All organisations, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub fn list_organisations(&self) -> Result<Vec<OrganisationRow>, StoreError> {
        let mut statement = self.prepare("SELECT id, name FROM organisations ORDER BY name")?;
        let rows = statement.query_map([], |row| Ok(OrganisationRow { id: row.get(0)?, name: row.get(1)? }))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
