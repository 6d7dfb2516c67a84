//! A host's disk: the three calls of a store, each done after a while, and what a crash leaves of them.
//!
//! Operations are done one after the other, as one SQLite writer does them: a read sees every write that was asked for
//! before it.

use std::collections::{BTreeMap, VecDeque};

use labman_proto_core::machine::{Completion, OpId};
use labman_proto_core::store::{Range, Row, Snapshot, StoreError, Table, Write};

#[derive(Debug, Default)]
pub struct Disk {
    durable: BTreeMap<(Table, String), Vec<u8>>,
    pending: VecDeque<(OpId, Request)>,
}

#[derive(Debug)]
pub enum Request {
    Store(Vec<Write>),
    Read(Range),
}

impl Disk {
    /// Queues an operation. Its end is [`Self::finish`], called once for each.
    pub fn start(&mut self, op: OpId, request: Request) {
        self.pending.push_back((op, request));
    }

    /// Does the operation that has waited longest.
    pub fn finish(&mut self) -> Option<(OpId, Completion)> {
        let (op, request) = self.pending.pop_front()?;
        let completion = match request {
            Request::Store(batch) => Completion::Stored(self.apply(batch)),
            Request::Read(range) => Completion::Page(Ok(self.read(&range))),
        };
        Some((op, completion))
    }

    /// Operations that were asked for and are not done.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Power is lost: of the operations under way the first `reached` got to the platter, though nobody was told; the
    /// rest never happened.
    pub fn crash(&mut self, reached: usize) {
        for (_, request) in std::mem::take(&mut self.pending).into_iter().take(reached) {
            if let Request::Store(batch) = request {
                // A batch that conflicts leaves no trace, and there is nobody left to tell.
                let _ = self.apply(batch);
            }
        }
    }

    /// What a machine needs in memory at its start.
    pub fn snapshot(&self) -> Snapshot {
        let live = self.durable.iter().filter(|((table, _), _)| table.at_start);
        let rows = live.map(|((table, key), value)| (*table, Row { key: key.clone(), value: value.clone() }));
        Snapshot { rows: rows.collect() }
    }

    fn apply(&mut self, batch: Vec<Write>) -> Result<(), StoreError> {
        let mut after = BTreeMap::new();
        for write in batch {
            let (slot, value) = match write {
                Write::Put(table, row) => ((table, row.key), Some(row.value)),
                Write::Insert(table, row) => {
                    let slot = (table, row.key);
                    let there = after.get(&slot).map_or(self.durable.contains_key(&slot), Option::is_some);
                    if there {
                        return Err(StoreError::Exists);
                    }
                    (slot, Some(row.value))
                }
                Write::Delete(table, key) => ((table, key), None),
            };
            after.insert(slot, value);
        }
        for (slot, value) in after {
            match value {
                Some(value) => self.durable.insert(slot, value),
                None => self.durable.remove(&slot),
            };
        }
        Ok(())
    }

    fn read(&self, range: &Range) -> Vec<Row> {
        if range.from >= range.to {
            return Vec::new();
        }
        let (from, to) = ((range.table, range.from.clone()), (range.table, range.to.clone()));
        let limit = usize::try_from(range.limit).unwrap_or(usize::MAX);
        let rows = self.durable.range(from..to).take(limit);
        rows.map(|((_, key), value)| Row { key: key.clone(), value: value.clone() }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVE: Table = Table::live("live");
    const PAST: Table = Table::history("past");

    fn row(key: &str) -> Row {
        Row { key: key.into(), value: b"{}".to_vec() }
    }

    fn store(disk: &mut Disk, batch: Vec<Write>) -> Completion {
        disk.start(OpId(1), Request::Store(batch));
        disk.finish().unwrap().1
    }

    fn keys(disk: &mut Disk, table: Table, limit: u32) -> Vec<String> {
        disk.start(OpId(2), Request::Read(Range { table, from: "".into(), to: "~".into(), limit }));
        match disk.finish() {
            Some((_, Completion::Page(Ok(rows)))) => rows.into_iter().map(|row| row.key).collect(),
            other => panic!("a read ended with {other:?}"),
        }
    }

    #[test]
    fn a_batch_that_conflicts_changes_nothing() {
        let mut disk = Disk::default();
        assert_eq!(store(&mut disk, vec![Write::Insert(LIVE, row("a"))]), Completion::Stored(Ok(())));
        let conflicting = vec![Write::Put(LIVE, row("b")), Write::Insert(LIVE, row("a"))];
        assert_eq!(store(&mut disk, conflicting), Completion::Stored(Err(StoreError::Exists)));
        assert_eq!(keys(&mut disk, LIVE, 9), ["a"]);

        let replaced = vec![Write::Delete(LIVE, "a".into()), Write::Insert(LIVE, row("a"))];
        assert_eq!(store(&mut disk, replaced), Completion::Stored(Ok(())), "the delete came first");
    }

    #[test]
    fn a_page_is_in_key_order_and_no_longer_than_asked() {
        let mut disk = Disk::default();
        store(&mut disk, ["c", "a", "b"].map(|key| Write::Put(PAST, row(key))).to_vec());
        assert_eq!(keys(&mut disk, PAST, 2), ["a", "b"]);
        assert!(keys(&mut disk, LIVE, 2).is_empty(), "tables are apart");
    }

    #[test]
    fn a_snapshot_holds_the_live_tables_only() {
        let mut disk = Disk::default();
        store(&mut disk, vec![Write::Put(PAST, row("p")), Write::Put(LIVE, row("l"))]);
        let rows = disk.snapshot().rows;
        assert_eq!(rows, [(LIVE, row("l"))]);
    }

    #[test]
    fn a_crash_drops_what_was_not_done() {
        let mut disk = Disk::default();
        for key in ["a", "b", "c"] {
            disk.start(OpId(1), Request::Store(vec![Write::Put(LIVE, row(key))]));
        }
        disk.finish();
        disk.crash(1);
        assert_eq!((disk.pending(), disk.finish()), (0, None));
        assert_eq!(keys(&mut disk, LIVE, 9), ["a", "b"], "a was done, b reached the platter, c was lost");
    }
}
