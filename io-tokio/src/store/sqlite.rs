//! The file: one table of keys and JSON texts for each of the machine's tables. All calls block.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use labman_proto_core::store::{Range, Row, Snapshot, StoreError, Table, Write};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Savepoint, Transaction, params};

use crate::error::StartError;
use crate::keys::private_dir;
use crate::store::lock::{self, StoreLock};

/// "labm": tells our files from other programs'.
const APPLICATION_ID: i64 = 0x6c61_626d;
/// Of the tables and their rows, of all daemons. A file with a later one was written by a newer labman; one with an earlier one
/// may have rows that this one does not read.
const LAYOUT: i64 = 3;
/// A person's query may hold a read lock for a moment.
pub(super) const BUSY: Duration = Duration::from_secs(5);

pub(super) struct Sqlite {
    connection: Connection,
    tables: &'static [Table],
    /// Dropped after the connection.
    _lock: StoreLock,
}

impl Sqlite {
    pub(super) fn open(path: &Path, tables: &'static [Table]) -> Result<Self, StartError> {
        let io_failed =
            |error: std::io::Error| StartError::Store { path: path.into(), what: error.to_string() };
        private_dir(path.parent().unwrap_or(Path::new(""))).map_err(io_failed)?;
        let lock = lock::take(path)?;
        // SQLite gives its own files the database's mode, so that is where privacy begins.
        let create = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
        create.map_err(io_failed)?;

        let failed =
            |error: rusqlite::Error| StartError::Store { path: path.into(), what: error.to_string() };
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        check_layout(&connection, path)?;
        prepare(&connection, tables).map_err(failed)?;
        Ok(Self { connection, tables, _lock: lock })
    }

    /// The rows of every table that is needed at start, in (table, key) order.
    pub(super) fn snapshot(&self) -> rusqlite::Result<Snapshot> {
        let mut live: Vec<_> = self.tables.iter().copied().filter(|table| table.at_start).collect();
        live.sort_unstable();
        let mut rows = Vec::new();
        for table in live {
            let sql = format!("SELECT key, value FROM \"{}\" ORDER BY key", table.name);
            let mut select = self.connection.prepare(&sql)?;
            for found in select.query_map([], row)? {
                rows.push((table, found?));
            }
        }
        Ok(Snapshot { rows })
    }

    /// Everything in one transaction, so that all that wait share one sync of the disk. `work` runs each piece by itself.
    pub(super) fn commit<T>(
        &mut self,
        work: impl FnOnce(&mut Transaction<'_>) -> T,
    ) -> Result<T, StoreError> {
        let mut transaction = self.connection.transaction().map_err(failed)?;
        let done = work(&mut transaction);
        transaction.commit().map_err(failed)?;
        Ok(done)
    }
}

/// All of the batch, or nothing of it.
pub(super) fn write(transaction: &mut Transaction<'_>, batch: &[Write]) -> Result<(), StoreError> {
    let savepoint = transaction.savepoint().map_err(failed)?;
    for change in batch {
        apply(&savepoint, change)?;
    }
    savepoint.commit().map_err(failed)
}

pub(super) fn read(transaction: &Transaction<'_>, range: &Range) -> Result<Vec<Row>, StoreError> {
    let sql = format!(
        "SELECT key, value FROM \"{}\" WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT ?3",
        range.table.name
    );
    let mut select = transaction.prepare_cached(&sql).map_err(failed)?;
    let rows = select.query_map(params![range.from, range.to, range.limit], row).map_err(failed)?;
    rows.collect::<rusqlite::Result<_>>().map_err(failed)
}

pub(super) fn find(
    transaction: &Transaction<'_>,
    table: Table,
    keys: Vec<String>,
) -> Result<Vec<Row>, StoreError> {
    let sql = format!("SELECT value FROM \"{}\" WHERE key = ?1", table.name);
    let mut select = transaction.prepare_cached(&sql).map_err(failed)?;
    let mut found = |key: String| {
        let value = select.query_row([&key], |row| row.get::<_, String>(0)).optional().transpose()?;
        Some(value.map(|value| Row { key, value: value.into_bytes() }))
    };
    keys.into_iter().filter_map(&mut found).collect::<rusqlite::Result<_>>().map_err(failed)
}

fn apply(savepoint: &Savepoint<'_>, change: &Write) -> Result<(), StoreError> {
    match change {
        Write::Put(table, row) => {
            let sql = format!(
                "INSERT INTO \"{}\" (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2",
                table.name
            );
            let mut put = savepoint.prepare_cached(&sql).map_err(failed)?;
            put.execute(params![row.key, text(row)?]).map_err(failed)?;
        }
        Write::Insert(table, row) => {
            let sql = format!("INSERT INTO \"{}\" (key, value) VALUES (?1, ?2)", table.name);
            let mut insert = savepoint.prepare_cached(&sql).map_err(failed)?;
            insert.execute(params![row.key, text(row)?]).map_err(|error| {
                match error.sqlite_error_code() {
                    Some(ErrorCode::ConstraintViolation) => StoreError::Exists,
                    _ => failed(error),
                }
            })?;
        }
        Write::Delete(table, key) => {
            let sql = format!("DELETE FROM \"{}\" WHERE key = ?1", table.name);
            savepoint.prepare_cached(&sql).map_err(failed)?.execute(params![key]).map_err(failed)?;
        }
    }
    Ok(())
}

pub(super) fn check_layout(connection: &Connection, path: &Path) -> Result<(), StartError> {
    let failed = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => StartError::StoreForeign { path: path.into() },
        _ => StartError::Store { path: path.into(), what: error.to_string() },
    };
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(failed);
    let application = number("PRAGMA application_id")?;
    let things = number("SELECT count(*) FROM sqlite_schema")?;
    if application != APPLICATION_ID && (application, things) != (0, 0) {
        return Err(StartError::StoreForeign { path: path.into() });
    }
    let found = number("PRAGMA user_version")?;
    if found > LAYOUT {
        return Err(StartError::StoreNewer { path: path.into(), found, known: LAYOUT });
    }
    if found < LAYOUT && things > 0 {
        return Err(StartError::StoreOlder { path: path.into(), found, known: LAYOUT });
    }
    Ok(())
}

fn prepare(connection: &Connection, tables: &[Table]) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.set_prepared_statement_cache_capacity(4 * tables.len().max(4));
    let mut setup =
        format!("BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {LAYOUT};");
    for table in tables {
        setup.push_str(&format!(
            "CREATE TABLE IF NOT EXISTS \"{}\" (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) \
             WITHOUT ROWID, STRICT;",
            table.name
        ));
    }
    setup.push_str("COMMIT;");
    connection.execute_batch(&setup)
}

pub(super) fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row { key: row.get(0)?, value: row.get::<_, String>(1)?.into_bytes() })
}

fn text(row: &Row) -> Result<&str, StoreError> {
    std::str::from_utf8(&row.value).map_err(|error| StoreError::Failed(format!("row {:?}: {error}", row.key)))
}

fn failed(error: rusqlite::Error) -> StoreError {
    StoreError::Failed(error.to_string())
}
