//! A disk in memory, as the tests of the machines have one; theirs copies itself for each write, which many rows are too
//! many for. It can keep what was asked of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use labman_proto_core::machine::{Completion, Op};
use labman_proto_core::store::{Keys, Range, Row, Snapshot, StoreError, Table, Write};

#[derive(Clone, Default)]
pub(crate) struct Disk {
    tables: BTreeMap<Table, Rows>,
    /// Every batch since this was set.
    pub(crate) kept: Option<Vec<Vec<Write>>>,
}

/// A row by its key is found at once, so that what is measured over this disk is little of the disk.
#[derive(Clone, Default)]
struct Rows {
    values: HashMap<String, Vec<u8>>,
    in_order: BTreeSet<String>,
}

impl Rows {
    fn row(&self, key: String) -> Option<Row> {
        self.values.get(&key).cloned().map(|value| Row { key, value })
    }

    fn put(&mut self, key: &str, value: &[u8]) {
        if self.values.insert(key.into(), value.into()).is_none() {
            self.in_order.insert(key.into());
        }
    }

    fn remove(&mut self, key: &str) {
        if self.values.remove(key).is_some() {
            self.in_order.remove(key);
        }
    }
}

impl Disk {
    /// Does what the operation asks. `None`: it is none of the store's.
    pub(crate) fn run(&mut self, op: Op) -> Option<Completion> {
        match op {
            Op::Store(batch) => {
                if let Some(kept) = &mut self.kept {
                    kept.push(batch.to_vec());
                }
                Some(Completion::Stored(self.apply(&batch)))
            }
            Op::Read(range) => Some(Completion::Page(Ok(self.page(&range)))),
            Op::Find(keys) => Some(Completion::Page(Ok(self.find(keys)))),
            Op::Dial(_) => None,
        }
    }

    /// All of the batch, or nothing of it.
    pub(crate) fn apply(&mut self, batch: &[Write]) -> Result<(), StoreError> {
        let mut after: BTreeMap<(Table, &str), Option<&[u8]>> = BTreeMap::new();
        for write in batch {
            match write {
                Write::Put(table, row) => after.insert((*table, &row.key), Some(&row.value)),
                Write::Insert(table, row) => {
                    let there = match after.get(&(*table, row.key.as_str())) {
                        Some(changed) => changed.is_some(),
                        None => self.tables.get(table).is_some_and(|rows| rows.values.contains_key(&row.key)),
                    };
                    if there {
                        return Err(StoreError::Exists);
                    }
                    after.insert((*table, &row.key), Some(&row.value))
                }
                Write::Delete(table, key) => after.insert((*table, key), None),
            };
        }
        for ((table, key), value) in after {
            let rows = self.tables.entry(table).or_default();
            match value {
                Some(value) => rows.put(key, value),
                None => rows.remove(key),
            };
        }
        Ok(())
    }

    fn page(&self, range: &Range) -> Vec<Row> {
        let Some(rows) = self.tables.get(&range.table) else { return Vec::new() };
        let keys = rows.in_order.range(range.from.clone()..range.to.clone()).take(range.limit as usize);
        keys.filter_map(|key| rows.row(key.clone())).collect()
    }

    fn find(&self, keys: Keys) -> Vec<Row> {
        let Some(rows) = self.tables.get(&keys.table) else { return Vec::new() };
        keys.keys.into_iter().filter_map(|key| rows.row(key)).collect()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let rows = self.all().filter(|(table, _)| table.at_start);
        Snapshot { rows: rows.collect() }
    }

    /// Every row of every table.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Table, Row)> {
        self.tables.iter().flat_map(|(table, rows)| {
            rows.in_order.iter().filter_map(|key| Some((*table, rows.row(key.clone())?)))
        })
    }
}
