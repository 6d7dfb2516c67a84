//! A store that is only looked at: all of it as it was at one moment, whether or not its daemon runs.

use std::path::{Path, PathBuf};

use labman_proto_core::audit::Reader;
use labman_proto_core::store::{Row, StoreError, Table};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::sqlite::{BUSY, check_layout, row};
use crate::error::StartError;

pub struct StoreReader {
    connection: Connection,
    path: PathBuf,
}

impl StoreReader {
    /// Nothing is written but SQLite's own `-shm` beside the file, which it needs to share one with a writer.
    pub fn open(path: &Path) -> Result<Self, StartError> {
        let failed =
            |error: rusqlite::Error| StartError::Store { path: path.into(), what: error.to_string() };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(BUSY).map_err(failed)?;
        // The first read of a transaction is the moment that all its reads are of.
        connection.execute_batch("BEGIN").map_err(failed)?;
        check_layout(&connection, path)?;
        Ok(Self { connection, path: path.into() })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn has(&self, table: &str) -> Result<bool, StoreError> {
        let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1";
        let mut select = self.connection.prepare_cached(sql).map_err(|error| self.failed(error))?;
        let count: i64 =
            select.query_row(params![table], |row| row.get(0)).map_err(|error| self.failed(error))?;
        Ok(count > 0)
    }

    fn failed(&self, error: rusqlite::Error) -> StoreError {
        StoreError::Failed(format!("{}: {error}", self.path.display()))
    }
}

impl Reader for StoreReader {
    type Error = StoreError;

    fn each(
        &self,
        table: Table,
        see: &mut dyn FnMut(Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if !self.has(table.name)? {
            return Ok(());
        }
        let sql = format!("SELECT key, value FROM \"{}\" ORDER BY key", table.name);
        let mut select = self.connection.prepare(&sql).map_err(|error| self.failed(error))?;
        for found in select.query_map([], row).map_err(|error| self.failed(error))? {
            see(found.map_err(|error| self.failed(error))?)?;
        }
        Ok(())
    }

    fn get(&self, table: Table, key: &str) -> Result<Option<Row>, StoreError> {
        if !self.has(table.name)? {
            return Ok(None);
        }
        let sql = format!("SELECT key, value FROM \"{}\" WHERE key = ?1", table.name);
        let mut select = self.connection.prepare_cached(&sql).map_err(|error| self.failed(error))?;
        select.query_row(params![key], row).optional().map_err(|error| self.failed(error))
    }
}
