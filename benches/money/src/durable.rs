//! Receipts per second that are on the provider's disk, beside what they would be if nobody waited for the disk.

use std::path::{Path, PathBuf};
use std::time::Duration;

use labman_power::{Recording, What};
use labman_proto_core::store::Write;
use serde_json::{Value, json};

use crate::pump::{OUTSTANDING, through_the_store};
use crate::sql::{Synchronous, alone};
use crate::table::{Line, median};
use crate::{Tried, child, provider, runtime};

const RECEIPTS: u64 = 3 * OUTSTANDING as u64;
/// Each write of a recording is kept in memory.
const RECORDED: u64 = 2 * OUTSTANDING as u64;
/// Where a sync costs nothing, on most systems.
const TMPFS: &str = "/dev/shm";

pub(crate) fn line(disk: &Path, rounds: usize) -> Tried<Line> {
    let batches = provider::receipts(RECEIPTS);
    let bytes: usize = batches.iter().flatten().map(weight).sum();
    let runtime = runtime()?;
    let store = |on: &Path| -> Tried<f64> {
        let dir = tempfile::tempdir_in(on)?;
        Ok(rate(runtime.block_on(through_the_store(&dir.path().join("store.sqlite"), &batches))))
    };
    let sql = |synchronous| -> Tried<f64> {
        let dir = tempfile::tempdir_in(disk)?;
        Ok(rate(alone(&dir.path().join("store.sqlite"), &batches, synchronous)?))
    };
    let tmpfs = PathBuf::from(TMPFS);
    let tmpfs = tempfile::tempdir_in(&tmpfs).is_ok().then_some(tmpfs);
    let [mut full, mut sql_full, mut sql_off, mut free] = [const { Vec::new() }; 4];
    for _ in 0..rounds {
        // What need not be synced comes last: it leaves work to the disk.
        full.push(store(disk)?);
        sql_full.push(sql(Synchronous::Full)?);
        sql_off.push(sql(Synchronous::Off)?);
        if let Some(tmpfs) = &tmpfs {
            free.push(store(tmpfs)?);
        }
    }
    let syncs = child(&["syncs".into()])?;
    let syncs_each = syncs["syncs"].as_f64().unwrap_or_default() / RECORDED as f64;
    let [full, sql_full, sql_off, free] = [full, sql_full, sql_off, free].map(median);
    let ratio = full / sql_off;
    let mut notes = vec![
        format!("{full:.0} receipts/s by the store (synchronous=FULL), each when its write was answered"),
        format!(
            "its SQL alone, on one connection without store and machine: FULL {sql_full:.0}/s, OFF {sql_off:.0}/s; \
             FULL is {:.2} of OFF",
            sql_full / sql_off
        ),
        "the store has no switch for OFF: the ratio is the store's FULL to its SQL's OFF, and pays for the store's \
         thread and channels too"
            .into(),
        format!(
            "a sync for every {:.0} receipts ({} bytes of rows each, {OUTSTANDING} outstanding)",
            1.0 / syncs_each,
            bytes as u64 / RECEIPTS
        ),
    ];
    if tmpfs.is_some() {
        notes.push(format!(
            "the store itself in {TMPFS}, where a sync is nothing: {free:.0}/s; on disk it does {:.2} of that",
            full / free
        ));
    }
    Ok(Line {
        what: "durable receipts/s at a provider, FULL to OFF",
        goal: ">= 0.5",
        measured: format!("{ratio:.2}, {syncs_each:.4} syncs each"),
        met: ratio >= 0.5,
        notes,
        figures: json!({
            "ratio": ratio, "store_full": full, "sql_full": sql_full, "sql_off": sql_off, "store_tmpfs": free,
            "syncs_per_receipt": syncs_each,
        }),
    })
}

fn rate(took: Duration) -> f64 {
    RECEIPTS as f64 / took.as_secs_f64()
}

fn weight(write: &Write) -> usize {
    match write {
        Write::Put(_, row) | Write::Insert(_, row) => row.key.len() + row.value.len(),
        Write::Delete(_, key) => key.len(),
    }
}

/// How often the disk is waited for, in a process of its own: whoever counts is under every store of the process.
pub(crate) fn syncs(disk: &Path) -> Tried<Value> {
    let batches = provider::receipts(RECORDED);
    let dir = tempfile::tempdir_in(disk)?;
    Recording::prepare();
    let recording = Recording::begin(dir.path())?;
    runtime()?.block_on(through_the_store(&dir.path().join("store.sqlite"), &batches));
    let events = recording.end();
    Ok(json!({ "syncs": events.iter().filter(|event| matches!(event.what, What::Sync)).count() }))
}
