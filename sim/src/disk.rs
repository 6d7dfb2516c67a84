//! A host's disk: the calls of a store, each done after a while, and what a crash leaves of them.
//!
//! Operations are done one after the other, as one SQLite writer does them: a read sees every write that was asked for
//! before it.
//!
//! A run leaves some twenty kilobytes of rows a job. Of a table with many of them most are packed ([`sorted`]), which nobody sees.

mod block;
mod fold;
mod parcel;
mod sorted;

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};

use labman_proto_core::machine::{Completion, OpId};
use labman_proto_core::store::{Keys, Range, Row, Snapshot, StoreError, Table, Write};

use sorted::Sorted;

#[derive(Debug, Default)]
pub struct Disk {
    durable: Rows,
    pending: VecDeque<(OpId, Request)>,
    trouble: Option<Trouble>,
    /// The last write was refused.
    refused: Option<&'static str>,
    /// What stood in the place of a row that a crash made unreadable.
    torn: Option<(Slot, Option<Vec<u8>>)>,
    /// An earlier state, to be rolled back to.
    mark: Option<Rows>,
}

type Slot = (Table, String);
type Rows = BTreeMap<Table, Sorted>;

#[derive(Debug)]
pub enum Request {
    Store(Vec<Write>),
    Read(Range),
    Find(Keys),
}

/// What is wrong with a disk while it is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No write succeeds.
    Full,
    /// The write after so many others fails, once.
    FailsAfter(u32),
}

/// What became of writes that were under way when the power went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash {
    /// So many of them got to the platter, though nobody was told; the rest never happened.
    pub reached: usize,
    /// The next one left a row that can't be read any more, if it touched one that is read at start.
    pub torn: bool,
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
            Request::Store(batch) => Completion::Stored(match self.refuses() {
                true => Err(StoreError::Failed("the simulated disk refuses to write".into())),
                false => self.apply(batch),
            }),
            Request::Read(range) => Completion::Page(Ok(self.read(&range))),
            Request::Find(keys) => Completion::Page(Ok(self.find(keys))),
        };
        Some((op, completion))
    }

    /// A row that is durable.
    pub fn row(&self, table: Table, key: &str) -> Option<Cow<'_, [u8]>> {
        self.durable.get(&table)?.get(key)
    }

    /// All rows of a table that are durable.
    pub fn rows(&self, table: Table) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, [u8]>)> {
        self.durable.get(&table).into_iter().flat_map(|rows| rows.rows_from(""))
    }

    /// Those whose keys begin so.
    pub fn rows_within<'a>(
        &'a self,
        table: Table,
        prefix: &'a str,
    ) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, [u8]>)> {
        let all = self.durable.get(&table).into_iter().flat_map(move |rows| rows.rows_from(prefix));
        all.take_while(move |(key, _)| key.starts_with(prefix))
    }

    /// Is there such a row? It is soon found if it was written lately.
    pub fn any(&self, table: Table, is: impl Fn(&str, &[u8]) -> bool) -> bool {
        self.durable.get(&table).is_some_and(|rows| rows.any(is))
    }

    /// Operations that were asked for and are not done.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    pub fn set_trouble(&mut self, trouble: Option<Trouble>) {
        self.trouble = trouble;
    }

    /// What is wrong, if the last write was refused for it: then a machine may stop.
    pub fn has_refused(&self) -> Option<&'static str> {
        self.refused
    }

    /// Power is lost. Says how many writes were lost, and whether one was torn.
    pub fn crash(&mut self, crash: Crash) -> (usize, bool) {
        let mut lost = 0;
        let mut tore = false;
        for (index, (_, request)) in std::mem::take(&mut self.pending).into_iter().enumerate() {
            let Request::Store(batch) = request else { continue };
            if index < crash.reached {
                // A batch that conflicts leaves no trace, and there is nobody left to tell.
                let _ = self.apply(batch);
                continue;
            }
            lost += 1;
            if crash.torn && self.torn.is_none() {
                tore = self.tear(&batch);
            }
        }
        (lost, tore)
    }

    /// A row that a crash left unreadable is there. Whoever keeps the disk can bring back what it was: [`Self::mend`].
    pub fn is_torn(&self) -> bool {
        self.torn.is_some()
    }

    pub fn mend(&mut self) {
        if let Some((slot, before)) = self.torn.take() {
            self.set(slot, before);
        }
    }

    /// Remembers the present state.
    pub fn mark(&mut self) {
        self.mark = Some(self.durable.clone());
    }

    /// Returns to the state that was remembered, as a disk that lied about its writes does, or a restored backup.
    pub fn roll_back(&mut self) {
        if let Some(mark) = self.mark.take() {
            (self.durable, self.torn) = (mark, None);
        }
    }

    /// An empty disk takes its place.
    pub fn lose(&mut self) {
        *self = Self { trouble: self.trouble, ..Self::default() };
    }

    /// What a machine needs in memory at its start.
    pub fn snapshot(&self) -> Snapshot {
        let live = self.durable.iter().filter(|(table, _)| table.at_start);
        let rows = live.flat_map(|(table, rows)| rows.rows_from("").map(|found| (*table, row(found))));
        Snapshot { rows: rows.collect() }
    }

    fn refuses(&mut self) -> bool {
        self.refused = match &mut self.trouble {
            None => None,
            Some(Trouble::Full) => Some("disk-full"),
            Some(Trouble::FailsAfter(0)) => {
                self.trouble = None;
                Some("disk-fails")
            }
            Some(Trouble::FailsAfter(others)) => {
                *others -= 1;
                None
            }
        };
        self.refused.is_some()
    }

    fn tear(&mut self, batch: &[Write]) -> bool {
        let touched = batch.iter().find_map(|write| match write {
            Write::Put(table, row) | Write::Insert(table, row) if table.at_start => Some((*table, row)),
            Write::Put(..) | Write::Insert(..) | Write::Delete(..) => None,
        });
        let Some((table, row)) = touched else { return false };
        let slot = (table, row.key.clone());
        let half = row.value.get(..row.value.len() / 2).unwrap_or_default().to_vec();
        let before = self.row(table, &row.key).map(Cow::into_owned);
        self.set(slot.clone(), Some(half));
        self.torn = Some((slot, before));
        true
    }

    fn apply(&mut self, batch: Vec<Write>) -> Result<(), StoreError> {
        let mut after = BTreeMap::new();
        for write in batch {
            let (slot, value) = match write {
                Write::Put(table, row) => ((table, row.key), Some(row.value)),
                Write::Insert(table, row) => {
                    let slot = (table, row.key);
                    let there = after.get(&slot).map_or_else(|| self.has(&slot), Option::is_some);
                    if there {
                        return Err(StoreError::Exists);
                    }
                    (slot, Some(row.value))
                }
                Write::Delete(table, key) => ((table, key), None),
            };
            after.insert(slot, value);
        }
        after.into_iter().for_each(|(slot, value)| self.set(slot, value));
        Ok(())
    }

    fn has(&self, (table, key): &Slot) -> bool {
        self.durable.get(table).is_some_and(|rows| rows.has(key))
    }

    fn set(&mut self, (table, key): Slot, value: Option<Vec<u8>>) {
        let rows = self.durable.entry(table).or_default();
        match value {
            Some(value) => rows.insert(key, value),
            None => rows.remove(&key),
        }
    }

    fn read(&self, range: &Range) -> Vec<Row> {
        let limit = usize::try_from(range.limit).unwrap_or(usize::MAX);
        let from = self.durable.get(&range.table).into_iter().flat_map(|rows| rows.rows_from(&range.from));
        from.take_while(|(key, _)| **key < *range.to).take(limit).map(row).collect()
    }

    fn find(&self, Keys { table, keys }: Keys) -> Vec<Row> {
        let row = |key: String| Some(Row { value: self.row(table, &key)?.into_owned(), key });
        keys.into_iter().filter_map(row).collect()
    }
}

fn row((key, value): (Cow<'_, str>, Cow<'_, [u8]>)) -> Row {
    Row { key: key.into_owned(), value: value.into_owned() }
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
    fn rows_are_found_in_the_order_in_which_they_are_named() {
        let mut disk = Disk::default();
        store(&mut disk, ["a", "b", "c"].map(|key| Write::Put(PAST, row(key))).into());
        let keys = ["c", "nobody", "a"].map(String::from).into();
        disk.start(OpId(1), Request::Find(Keys { table: PAST, keys }));
        let found = Completion::Page(Ok(vec![row("c"), row("a")]));
        assert_eq!(disk.finish(), Some((OpId(1), found)));
    }

    #[test]
    fn a_crash_drops_what_was_not_done() {
        let mut disk = Disk::default();
        for key in ["a", "b", "c"] {
            disk.start(OpId(1), Request::Store(vec![Write::Put(LIVE, row(key))]));
        }
        disk.finish();
        assert_eq!(disk.crash(Crash { reached: 1, torn: false }), (1, false));
        assert_eq!((disk.pending(), disk.finish()), (0, None));
        assert_eq!(keys(&mut disk, LIVE, 9), ["a", "b"], "a was done, b reached the platter, c was lost");
    }

    #[test]
    fn a_torn_row_is_unreadable_until_it_is_mended() {
        let mut disk = Disk::default();
        store(&mut disk, vec![Write::Put(LIVE, row("a"))]);
        let longer = Row { key: "a".into(), value: br#"{"n":1}"#.to_vec() };
        disk.start(OpId(1), Request::Store(vec![Write::Put(PAST, row("p")), Write::Put(LIVE, longer)]));
        assert_eq!(disk.crash(Crash { reached: 0, torn: true }), (1, true));
        assert_eq!(disk.snapshot().rows[0].1.value, b"{\"n");
        assert!(disk.is_torn() && keys(&mut disk, PAST, 9).is_empty(), "the batch is lost");
        disk.mend();
        assert_eq!(disk.snapshot().rows, [(LIVE, row("a"))]);
    }

    #[test]
    fn a_full_disk_refuses_and_a_failing_one_fails_once() {
        let mut disk = Disk::default();
        let failed = |disk: &mut Disk, key: &str| {
            store(disk, vec![Write::Put(LIVE, row(key))]) != Completion::Stored(Ok(()))
        };
        disk.set_trouble(Some(Trouble::Full));
        assert!(failed(&mut disk, "a") && failed(&mut disk, "b"));
        disk.set_trouble(Some(Trouble::FailsAfter(1)));
        assert!(!failed(&mut disk, "c") && failed(&mut disk, "d") && !failed(&mut disk, "e"));
        assert_eq!(keys(&mut disk, LIVE, 9), ["c", "e"]);
    }

    #[test]
    fn a_disk_that_is_rolled_back_has_forgotten_what_it_had_acknowledged() {
        let mut disk = Disk::default();
        store(&mut disk, vec![Write::Put(LIVE, row("a"))]);
        disk.mark();
        store(&mut disk, vec![Write::Put(LIVE, row("b"))]);
        disk.roll_back();
        assert_eq!(keys(&mut disk, LIVE, 9), ["a"]);
    }

    /// Enough rows to be packed, each several times, and the torn one among them.
    #[test]
    fn a_long_table_crashes_tears_and_rolls_back_like_a_short_one() {
        for table in [LIVE, PAST] {
            let mut disk = Disk::default();
            let row = |number: usize| Row { key: format!("{number:05}"), value: vec![b'x'; 100] };
            for number in 0..3_000 {
                store(&mut disk, vec![Write::Insert(table, row(number * 7 % 3_000))]);
            }
            let again = store(&mut disk, vec![Write::Insert(table, row(7))]);
            assert_eq!(again, Completion::Stored(Err(StoreError::Exists)));
            disk.mark();
            store(
                &mut disk,
                vec![Write::Delete(table, "00001".into()), Write::Put(table, self::row("00002"))],
            );
            assert_eq!(keys(&mut disk, table, 3), ["00000", "00002", "00003"]);
            assert_eq!(disk.row(table, "00002").as_deref(), Some(&b"{}"[..]));

            disk.start(OpId(1), Request::Store(vec![Write::Put(table, row(5))]));
            disk.crash(Crash { reached: 0, torn: true });
            assert_eq!(disk.is_torn(), table.at_start);
            let half = if table.at_start { 50 } else { 100 };
            assert_eq!(disk.row(table, "00005").map(|value| value.len()), Some(half));
            disk.mend();
            assert_eq!(disk.row(table, "00005").map(|value| value.len()), Some(100));
            assert_eq!(disk.snapshot().rows.len(), if table.at_start { 2_999 } else { 0 });
            assert!(disk.any(table, |key, _| key == "00009") && !disk.any(table, |key, _| key == "00001"));
            assert_eq!(disk.rows_within(table, "0012").count(), 10);

            disk.roll_back();
            assert_eq!(disk.rows(table).count(), 3_000);
            assert_eq!(disk.row(table, "00002").map(|value| value.len()), Some(100));
        }
    }
}
