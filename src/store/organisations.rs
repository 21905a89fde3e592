//! The table `organisations`.

use rusqlite::params;

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
    pub fn upsert_organisation(&self, name: &str, now: Timestamp) -> Result<OrganisationId, StoreError> {
        if let Some(id) = self.find_organisation(name)? {
            return Ok(id);
        }
        self.execute("INSERT INTO organisations (name, created_at) VALUES (?1, ?2)", params![name, now])?;
        Ok(OrganisationId(self.last_insert_rowid()))
    }

    fn find_organisation(&self, name: &str) -> Result<Option<OrganisationId>, StoreError> {
        self.find("SELECT id FROM organisations WHERE name = ?1", [name], |row| row.get(0))
    }

    /// All organisations, by name.
    pub fn list_organisations(&self) -> Result<Vec<OrganisationRow>, StoreError> {
        self.list("SELECT id, name FROM organisations ORDER BY name", [], |row| {
            Ok(OrganisationRow { id: row.get(0)?, name: row.get(1)? })
        })
    }
}
