//! The store alone: what it said is stored is there, whichever write was the last.

#[path = "../../../io-tokio/tests/support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};

use labman_io_tokio::{IoConfig, StoreConfig, StoreReader};
use labman_power::{Event, Platters, Recording, Survives, What, mark};
use labman_proto_core::audit::Reader;
use labman_proto_core::machine::{Completion, Input, Outbox};
use labman_proto_core::rng::Seed;
use labman_proto_core::store::{Row, Table, Write};
use support::{Script, within};

const OPEN: Table = Table::live("receipts_open");
const PAID: Table = Table::history("receipts_paid");
static TABLES: &[Table] = &[OPEN, PAID];

/// Enough of them that the write-ahead log is full in between, and begins anew.
const BATCHES: usize = 320;

/// A receipt that is stored, while the one before it moves to those that are paid: three changes that are one.
fn batch(number: usize) -> Vec<Write> {
    let row = |number: usize| Row {
        key: format!("{:04}", (number * 7919) % 10_000),
        value: format!("{{\"n\":{number},\"signed\":\"{}\"}}", "5a".repeat(1200)).into(),
    };
    let mut batch = vec![Write::Put(OPEN, row(number))];
    if let Some(before) = number.checked_sub(1) {
        batch.push(Write::Delete(OPEN, row(before).key));
        batch.push(Write::Insert(PAID, row(before)));
    }
    batch
}

/// Stores all batches, one to three at once; says so for each, when it is told.
async fn store_all(path: PathBuf, started: std::sync::mpsc::Sender<Recording>) {
    let store = Some(StoreConfig { path: path.clone(), tables: TABLES });
    let io = IoConfig { name: "power".into(), store, ..IoConfig::default() };
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let running = labman_io_tokio::start(io, move |_, _, _| {
        // The store is open, and its tables are made.
        started.send(Recording::begin(path.parent().unwrap()).unwrap()).unwrap();
        let (mut next, mut waiting) = (1, 1);
        let tell = tell.clone();
        let go_on = move |input: Input<'_>, out: &mut Outbox| {
            let Input::Done(_, Completion::Stored(Ok(()))) = input else { return };
            mark();
            waiting -= 1;
            if waiting == 0 {
                let more = (1 + next % 3).min(BATCHES - next);
                (0..more).for_each(|n| {
                    out.store(batch(next + n));
                });
                (next, waiting) = (next + more, more);
            }
            if waiting == 0 {
                let _ = tell.send(());
            }
        };
        Ok(Script::new(go_on).saying(|out| {
            out.store(batch(0));
        }))
    });
    let running = running.await.unwrap();
    within(told.recv()).await.expect("the machine lives");
    running.stop().await;
}

/// How many batches are there, each of them whole.
fn batches(at: &Path) -> usize {
    let reader = StoreReader::open(&at.join("store.sqlite")).unwrap();
    let count = |table| {
        let mut rows = Vec::new();
        reader
            .each(table, &mut |row| {
                let value = String::from_utf8(row.value).unwrap();
                rows.push(value[5..value.find(',').unwrap()].parse::<usize>().unwrap());
                Ok(())
            })
            .unwrap();
        rows.sort_unstable();
        rows
    };
    let (open, paid) = (count(OPEN), count(PAID));
    match open[..] {
        [] => assert!(paid.is_empty()),
        [last] => assert!(paid.iter().copied().eq(0..last), "{open:?} {paid:?}"),
        _ => panic!("two receipts are open: {open:?}"),
    }
    open.len() + paid.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_write_is_the_last_all_that_was_acknowledged_is_there_and_nothing_is_half_there() {
    Recording::prepare();
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    let (started, start) = std::sync::mpsc::channel();
    store_all(root.join("store.sqlite"), started).await;
    let recording = start.recv().unwrap();
    let mut platters = Platters::new(recording.before.clone());
    let events = recording.end();
    assert_eq!(events.last().unwrap().marks, BATCHES, "the last event is the store being closed");

    let mut chance = Seed::from_u64(1).stream("cuts");
    let image = dir.path().join("image");
    let (mut cuts, mut torn) = (0, 0);
    for event in &events {
        platters.advance(event);
        let mut cut = |survives: Survives<'_>| {
            let _ = std::fs::remove_dir_all(&image);
            platters.leave(&root, &image, survives).unwrap();
            let there = batches(&image);
            let (said, last) = (event.marks, &event.file);
            assert!(there >= said, "{said} were acknowledged, {there} are there, cut at {last:?}");
            cuts += 1;
        };
        // What is unsynced is lost alike whichever write comes next: only a sync changes what is left.
        if matches!(event.what, What::Sync) {
            cut(Survives::Nothing);
        }
        if !platters.is_synced() {
            cut(Survives::Some(&mut chance));
            torn += 1;
        }
    }
    println!("{} events, {cuts} cuts, {torn} of them with writes that chance tore", events.len());
    assert!(torn > BATCHES, "{torn}");
    let checkpoint = |event: &&Event| event.file.ends_with("store.sqlite") && event.marks < BATCHES;
    assert!(events.iter().any(|event| checkpoint(&event)), "the log was never copied into the database");
}
