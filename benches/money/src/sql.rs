//! The store's SQL without the store, for what the store does not offer: not to wait for the disk. Whoever changes
//! `io-tokio/src/store/sqlite.rs` changes this too.

use std::path::Path;
use std::time::{Duration, Instant};

use labman_proto_core::node::Node;
use labman_proto_core::store::{Row, Write};
use rusqlite::{Connection, Savepoint, params};

/// Operations in one transaction, as in the store.
const GROUP: usize = 1024;

#[derive(Clone, Copy)]
pub(crate) enum Synchronous {
    Full,
    Off,
}

/// How long the same groups take on one connection.
pub(crate) fn alone(
    path: &Path,
    batches: &[Vec<Write>],
    synchronous: Synchronous,
) -> rusqlite::Result<Duration> {
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let level = match synchronous {
        Synchronous::Full => "FULL",
        Synchronous::Off => "OFF",
    };
    connection.pragma_update(None, "synchronous", level)?;
    connection.set_prepared_statement_cache_capacity(4 * Node::TABLES.len());
    for table in Node::TABLES {
        connection.execute_batch(&format!(
            "CREATE TABLE \"{}\" (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) WITHOUT ROWID, STRICT",
            table.name
        ))?;
    }
    let begun = Instant::now();
    for group in batches.chunks(GROUP) {
        let mut transaction = connection.transaction()?;
        for batch in group {
            let savepoint = transaction.savepoint()?;
            batch.iter().try_for_each(|write| apply(&savepoint, write))?;
            savepoint.commit()?;
        }
        transaction.commit()?;
    }
    Ok(begun.elapsed())
}

fn apply(savepoint: &Savepoint<'_>, write: &Write) -> rusqlite::Result<()> {
    let text = |row: &Row| String::from_utf8_lossy(&row.value).into_owned();
    match write {
        Write::Put(table, row) => {
            let sql = format!(
                "INSERT INTO \"{}\" (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2",
                table.name
            );
            savepoint.prepare_cached(&sql)?.execute(params![row.key, text(row)])?;
        }
        Write::Insert(table, row) => {
            let sql = format!("INSERT INTO \"{}\" (key, value) VALUES (?1, ?2)", table.name);
            savepoint.prepare_cached(&sql)?.execute(params![row.key, text(row)])?;
        }
        Write::Delete(table, key) => {
            let sql = format!("DELETE FROM \"{}\" WHERE key = ?1", table.name);
            savepoint.prepare_cached(&sql)?.execute(params![key])?;
        }
    }
    Ok(())
}
