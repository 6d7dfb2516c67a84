//! What a machine asks of a disk: atomic batches, paged range reads, rows by their keys, and the rows it needs in memory at its start.
//!
//! Keys are short ASCII text that sorts in the order it is read back (numbers zero-padded, ids in hex); values are JSON
//! objects, with signed bytes in hex inside them. So the real store is a SQLite file that a person can query.

use alloc::{string::String, vec::Vec};

/// A named table. `at_start`: all its rows are handed to the machine in its [`Snapshot`], so such a table stays small;
/// the others hold history, which is read in pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Table {
    pub name: &'static str,
    pub at_start: bool,
}

impl Table {
    pub const fn live(name: &'static str) -> Self {
        Self { name, at_start: true }
    }

    pub const fn history(name: &'static str) -> Self {
        Self { name, at_start: false }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub key: String,
    /// A JSON object, UTF-8.
    pub value: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Sets the row, whether or not it was there.
    Put(Table, Row),
    /// Sets a row that must not be there: otherwise the whole batch fails with [`StoreError::Exists`].
    Insert(Table, Row),
    Delete(Table, String),
}

/// Rows with `from <= key < to`, in key order, at most `limit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    pub table: Table,
    pub from: String,
    pub to: String,
    pub limit: u32,
}

impl Range {
    /// The one row with that key, if it is there.
    pub fn exactly(table: Table, key: &str) -> Self {
        let mut to = String::from(key);
        to.push('\0');
        Self { table, from: key.into(), to, limit: 1 }
    }
}

/// The rows under these keys that are there, in the order in which they are named. Whoever asks bounds how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    pub table: Table,
    pub keys: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("a row that had to be new is there already")]
    Exists,
    /// The disk failed or is full. A machine that asked for a write can't go on: its driver restarts it from the store.
    #[error("the store failed: {0}")]
    Failed(String),
}

/// The rows of every `at_start` table, in (table, key) order.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub rows: Vec<(Table, Row)>,
}

impl Snapshot {
    pub fn of(&self, table: Table) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |(t, _)| *t == table).map(|(_, row)| row)
    }
}

/// A row that a machine could not read at its start: it names the place, because a person must look at it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "table {table}, row {key:?}: {what}; restore the file from a backup, or move the row away to start without it"
)]
pub struct BadRow {
    pub table: &'static str,
    pub key: String,
    pub what: String,
}

impl Row {
    pub fn json<T: serde::Serialize>(key: impl Into<String>, value: &T) -> Self {
        // Serialising our own row types can't fail: they have string keys and no custom serializers that err.
        Self { key: key.into(), value: serde_json::to_vec(value).unwrap_or_default() }
    }

    pub fn parse<'a, T: serde::Deserialize<'a>>(&'a self, table: Table) -> Result<T, BadRow> {
        let bad = |what| BadRow { table: table.name, key: self.key.clone(), what };
        let text = core::str::from_utf8(&self.value).map_err(|error| bad(alloc::format!("{error}")))?;
        serde_json::from_str(text).map_err(|error| bad(alloc::format!("{error}")))
    }
}
