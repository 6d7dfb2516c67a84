//! Makes a store that has been in use for long: rows as the machines write them, in numbers.

use std::path::Path;

use labman_io_tokio::{IoConfig, StoreConfig};
use labman_proto_core::machine::{Input, Machine, Output};
use labman_proto_core::store::Table;
use labman_proto_core::time::{Now, Wake};
use rusqlite::{Connection, params};

use crate::Tried;

struct Idle;

impl Machine for Idle {
    fn handle(&mut self, _now: Now, _input: Input<'_>) {}

    fn handle_timeout(&mut self, _now: Now) {}

    fn poll_output(&mut self) -> Option<Output> {
        None
    }

    fn poll_timeout(&self) -> Option<Wake> {
        None
    }

    fn stopped(&self) -> Option<&str> {
        None
    }
}

/// An empty store, made by io-tokio itself.
pub(crate) async fn empty(path: &Path, tables: &'static [Table]) -> Tried<Connection> {
    let store = Some(StoreConfig { path: path.into(), tables });
    labman_io_tokio::start(IoConfig { store, ..IoConfig::default() }, |_, _, _| Ok(Idle)).await?.stop().await;
    let connection = Connection::open(path)?;
    // Nothing of this is measured.
    connection.pragma_update(None, "journal_mode", "OFF")?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    Ok(connection)
}

/// As in `Table`: no two keys the same.
pub(crate) fn rows(
    connection: &mut Connection,
    table: &str,
    rows: impl IntoIterator<Item = (String, String)>,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    {
        let sql = format!("INSERT OR REPLACE INTO \"{table}\" (key, value) VALUES (?1, ?2)");
        let mut insert = transaction.prepare(&sql)?;
        for (key, value) in rows {
            insert.execute(params![key, value])?;
        }
    }
    transaction.commit()
}
