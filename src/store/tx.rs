//! The operations on the tables: what they have in common. Each table's own stand in its file.

use rusqlite::types::FromSql;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Params, Row};

use super::{StoreError, schema};

/// The operations on the tables, within an open transaction or, for a single read, without one. Each fails when the
/// database does; by what else one may fail is said with it.
#[derive(Debug)]
pub struct Tx<'c> {
    connection: &'c Connection,
}

impl<'c> Tx<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        Self { connection }
    }

    /// The compiled statement, from the connection's cache.
    pub(super) fn prepare(&self, sql: &str) -> rusqlite::Result<CachedStatement<'c>> {
        self.connection.prepare_cached(sql)
    }

    /// All rows.
    pub(super) fn list<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.prepare(sql)?;
        let rows = statement.query_map(values, read)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The first row, if there is one.
    pub(super) fn find<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.prepare(sql)?.query_row(values, read).optional()?)
    }

    /// The one value of a row that is always there.
    pub(super) fn value<T: FromSql>(&self, sql: &str, values: impl Params) -> Result<T, StoreError> {
        Ok(self.prepare(sql)?.query_row(values, |row| row.get(0))?)
    }

    /// Changes rows, and gives their number.
    pub(super) fn execute(&self, sql: &str, values: impl Params) -> Result<usize, StoreError> {
        Ok(self.prepare(sql)?.execute(values)?)
    }

    /// Changes the one row that is meant.
    ///
    /// # Errors
    /// When it is not one row that was changed.
    pub(super) fn update_one(&self, sql: &str, values: impl Params) -> Result<(), StoreError> {
        match self.execute(sql, values)? {
            1 => Ok(()),
            changed => Err(StoreError::RowCount(changed)),
        }
    }

    /// Writes what stands in the file's header already.
    pub(super) fn rewrite_header(&self) -> Result<(), StoreError> {
        Ok(self.connection.pragma_update(None, "user_version", schema::VERSION)?)
    }

    /// The number of the row that was inserted last.
    pub(super) fn last_insert_rowid(&self) -> i64 {
        self.connection.last_insert_rowid()
    }
}
