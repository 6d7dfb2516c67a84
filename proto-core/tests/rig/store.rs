//! A disk in memory for tests of machines: what a driver's store does, and what can go wrong with it.

use std::collections::BTreeMap;
use std::convert::Infallible;

use labman_proto_core::audit::Reader;
use labman_proto_core::machine::{Completion, Op};
use labman_proto_core::store::{Keys, Range, Row, Snapshot, StoreError, Table, Write};

#[derive(Clone, Default)]
pub(crate) struct Disk {
    tables: BTreeMap<Table, BTreeMap<String, Vec<u8>>>,
    /// While set, no write succeeds.
    pub(crate) full: bool,
}

impl Disk {
    /// Does what the operation asks. `None`: it is none of the store's.
    pub(crate) fn run(&mut self, op: Op) -> Option<Completion> {
        match op {
            Op::Store(batch) => Some(Completion::Stored(self.apply(&batch))),
            Op::Read(range) => Some(Completion::Page(Ok(self.page(&range)))),
            Op::Find(keys) => Some(Completion::Page(Ok(self.find(&keys)))),
            Op::Dial(_) => None,
        }
    }

    pub(crate) fn apply(&mut self, batch: &[Write]) -> Result<(), StoreError> {
        if self.full {
            return Err(StoreError::Failed("disk full".into()));
        }
        let mut after = self.tables.clone();
        for write in batch {
            match write {
                Write::Put(table, row) => {
                    after.entry(*table).or_default().insert(row.key.clone(), row.value.clone());
                }
                Write::Insert(table, row) => {
                    let before = after.entry(*table).or_default().insert(row.key.clone(), row.value.clone());
                    if before.is_some() {
                        return Err(StoreError::Exists);
                    }
                }
                Write::Delete(table, key) => {
                    after.entry(*table).or_default().remove(key);
                }
            }
        }
        self.tables = after;
        Ok(())
    }

    pub(crate) fn page(&self, range: &Range) -> Vec<Row> {
        let rows = self.tables.get(&range.table).into_iter().flatten();
        rows.filter(|(key, _)| (&range.from..&range.to).contains(key))
            .take(range.limit as usize)
            .map(|(key, value)| Row { key: key.clone(), value: value.clone() })
            .collect()
    }

    pub(crate) fn find(&self, keys: &Keys) -> Vec<Row> {
        let rows = self.tables.get(&keys.table);
        let found = |key: &String| rows?.get(key).map(|value| Row { key: key.clone(), value: value.clone() });
        keys.keys.iter().filter_map(found).collect()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let live = self.tables.iter().filter(|(table, _)| table.at_start);
        let rows = live.flat_map(|(table, rows)| {
            rows.iter().map(|(key, value)| (*table, Row { key: key.clone(), value: value.clone() }))
        });
        Snapshot { rows: rows.collect() }
    }

    /// The rows of the table of that name, as JSON.
    pub(crate) fn rows(&self, table: &str) -> Vec<(String, serde_json::Value)> {
        let rows = self.tables.iter().filter(|(t, _)| t.name == table).flat_map(|(_, rows)| rows);
        rows.map(|(key, value)| (key.clone(), serde_json::from_slice(value).expect("a row is JSON")))
            .collect()
    }
}

impl Reader for Disk {
    type Error = Infallible;

    fn each_within(
        &self,
        table: Table,
        prefix: &str,
        see: &mut dyn FnMut(Row) -> Result<(), Infallible>,
    ) -> Result<(), Infallible> {
        let rows = self.tables.get(&table).into_iter().flatten().filter(|(key, _)| key.starts_with(prefix));
        rows.map(|(key, value)| Row { key: key.clone(), value: value.clone() }).try_for_each(see)
    }

    fn get(&self, table: Table, key: &str) -> Result<Option<Row>, Infallible> {
        let value = self.tables.get(&table).and_then(|rows| rows.get(key));
        Ok(value.map(|value| Row { key: key.into(), value: value.clone() }))
    }
}
