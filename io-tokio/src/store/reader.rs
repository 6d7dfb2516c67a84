//! A store that is only looked at: all of it as it was at one moment, whether or not its daemon runs.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use labman_proto_core::audit::Reader;
use labman_proto_core::store::{Row, StoreError, Table};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::sqlite::{BUSY, check_layout, row};
use crate::error::StartError;

pub struct StoreReader {
    connection: Connection,
    path: PathBuf,
    tables: BTreeSet<String>,
}

impl StoreReader {
    /// Nothing is written but what SQLite needs beside a file that a writer may have open: `-shm`, and an empty `-wal`.
    pub fn open(path: &Path) -> Result<Self, StartError> {
        Self::begin(path, "mode=ro").or_else(|why| {
            // Where not even those can be made, and none is there, nobody has it open: it is as good as carved in stone.
            let wal = PathBuf::from(format!("{}-wal", path.display()));
            if path.exists() && !wal.exists() { Self::begin(path, "immutable=1") } else { Err(why) }
        })
    }

    fn begin(path: &Path, how: &str) -> Result<Self, StartError> {
        let failed =
            |error: rusqlite::Error| StartError::Store { path: path.into(), what: error.to_string() };
        let flags =
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(uri(path, how), flags).map_err(failed)?;
        connection.busy_timeout(BUSY).map_err(failed)?;
        // The first read of a transaction is the moment that all its reads are of.
        connection.execute_batch("BEGIN").map_err(failed)?;
        check_layout(&connection, path)?;
        let tables = tables(&connection).map_err(failed)?;
        Ok(Self { connection, path: path.into(), tables })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn has(&self, table: &str) -> bool {
        self.tables.contains(table)
    }

    fn failed(&self, error: rusqlite::Error) -> StoreError {
        StoreError::Failed(format!("{}: {error}", self.path.display()))
    }
}

impl Reader for StoreReader {
    type Error = StoreError;

    fn each_within(
        &self,
        table: Table,
        prefix: &str,
        see: &mut dyn FnMut(Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if !self.has(table.name) {
            return Ok(());
        }
        let sql = format!("SELECT key, value FROM \"{}\" WHERE key >= ?1 ORDER BY key", table.name);
        let mut select = self.connection.prepare_cached(&sql).map_err(|error| self.failed(error))?;
        for found in select.query_map(params![prefix], row).map_err(|error| self.failed(error))? {
            let found = found.map_err(|error| self.failed(error))?;
            if !found.key.starts_with(prefix) {
                break;
            }
            see(found)?;
        }
        Ok(())
    }

    fn get(&self, table: Table, key: &str) -> Result<Option<Row>, StoreError> {
        if !self.has(table.name) {
            return Ok(None);
        }
        let sql = format!("SELECT key, value FROM \"{}\" WHERE key = ?1", table.name);
        let mut select = self.connection.prepare_cached(&sql).map_err(|error| self.failed(error))?;
        select.query_row(params![key], row).optional().map_err(|error| self.failed(error))
    }
}

fn tables(connection: &Connection) -> rusqlite::Result<BTreeSet<String>> {
    let mut select = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?;
    select.query_map([], |row| row.get(0))?.collect()
}

/// As SQLite reads file names with options: what means something in a URI is written as its number.
fn uri(path: &Path, how: &str) -> String {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                uri.push(char::from(*byte))
            }
            other => uri.push_str(&format!("%{other:02x}")),
        }
    }
    uri + "?" + how
}
