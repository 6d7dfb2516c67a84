//! The store, seen by a machine, over a real SQLite file.

mod support;

use std::path::Path;

use labman_io_tokio::{IoConfig, StartError, StoreConfig, StoreReader};
use labman_proto_core::audit::Reader;
use labman_proto_core::machine::{Completion, Outbox};
use labman_proto_core::store::{Keys, Range, Row, Snapshot, StoreError, Table, Write};
use support::{Script, Seen, Witness, within, witness};

const ACCOUNTS: Table = Table::live("accounts");
const ENTRIES: Table = Table::history("entries");
const KEYS: Table = Table::live("keys");
static TABLES: &[Table] = &[KEYS, ENTRIES, ACCOUNTS];

fn io(path: &Path) -> IoConfig {
    let store = Some(StoreConfig { path: path.into(), tables: TABLES });
    IoConfig { name: "bookkeeper".into(), store, ..IoConfig::default() }
}

fn row(key: &str, value: &str) -> Row {
    Row { key: key.into(), value: value.into() }
}

/// Starts a machine that says `say` and notes the completions; gives the snapshot it started with.
async fn session(path: &Path, say: impl FnOnce(&mut Outbox) + Send + 'static) -> (Vec<Completion>, Snapshot) {
    let (notes, mut completions) = witness();
    let (tell, told) = std::sync::mpsc::channel();
    let mut say = Some(say);
    let running = labman_io_tokio::start(io(path), move |snapshot, _, _| {
        tell.send(snapshot.clone()).unwrap();
        let notes = notes.clone();
        let script = Script::new(move |input, _| notes.note(&input));
        Ok(match say.take() {
            Some(say) => script.saying(say),
            None => script,
        })
    })
    .await
    .unwrap();
    let snapshot = told.recv().unwrap();
    let asked = 3;
    let mut done = Vec::new();
    for _ in 0..asked {
        done.push(completion(&mut completions).await);
    }
    within(running.stop()).await;
    (done, snapshot)
}

async fn completion(witness: &mut Witness) -> Completion {
    match witness.next().await {
        Seen::Done(completion) => completion,
        other => panic!("{other:?}"),
    }
}

fn everything(table: Table) -> Range {
    Range { table, from: String::new(), to: "~".into(), limit: 100 }
}

#[tokio::test]
async fn a_batch_is_all_or_nothing_and_its_failure_touches_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/store.sqlite");
    let (done, snapshot) = session(&path, |out| {
        out.store(vec![Write::Insert(ACCOUNTS, row("alice", "{\"balance\":1}"))]);
        out.store(vec![
            Write::Put(ENTRIES, row("0001", "{}")),
            Write::Insert(ACCOUNTS, row("alice", "{\"balance\":9}")),
        ]);
        out.store(vec![Write::Put(KEYS, row("k", "{}")), Write::Put(ENTRIES, row("0002", "{}"))]);
    })
    .await;
    assert!(snapshot.rows.is_empty());
    assert_eq!(
        done,
        [Completion::Stored(Ok(())), Completion::Stored(Err(StoreError::Exists)), Completion::Stored(Ok(()))]
    );

    let (done, snapshot) = session(&path, |out| {
        out.read(everything(ENTRIES));
        out.read(Range::exactly(ACCOUNTS, "alice"));
        out.read(Range::exactly(ACCOUNTS, "nobody"));
    })
    .await;
    assert_eq!(
        done,
        [
            Completion::Page(Ok(vec![row("0002", "{}")])),
            Completion::Page(Ok(vec![row("alice", "{\"balance\":1}")])),
            Completion::Page(Ok(vec![])),
        ]
    );
    assert_eq!(
        snapshot.rows,
        [(ACCOUNTS, row("alice", "{\"balance\":1}")), (KEYS, row("k", "{}"))],
        "live tables only, in the order of tables and keys"
    );
}

#[tokio::test]
async fn rows_come_back_in_key_order_in_pages_and_deleted_ones_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let (done, _) = session(&dir.path().join("s"), |out| {
        let puts = ["c", "a", "B", "b", "d"].map(|key| Write::Put(ENTRIES, row(key, "{}")));
        let deleted = [Write::Delete(ENTRIES, "b".into()), Write::Delete(ENTRIES, "never there".into())];
        out.store(puts.into_iter().chain(deleted).collect());
        out.read(Range { table: ENTRIES, from: "B".into(), to: "d".into(), limit: 2 });
        out.read(Range { table: ENTRIES, from: "a\0".into(), to: "d".into(), limit: 2 });
    })
    .await;
    assert_eq!(
        done[1..],
        [
            Completion::Page(Ok(vec![row("B", "{}"), row("a", "{}")])),
            Completion::Page(Ok(vec![row("c", "{}")]))
        ]
    );
}

#[tokio::test]
async fn rows_are_found_by_their_keys_in_the_order_asked_for_and_see_the_writes_before() {
    let dir = tempfile::tempdir().unwrap();
    let keys = |keys: &[&str]| keys.iter().map(|key| (*key).into()).collect();
    let (done, _) = session(&dir.path().join("s"), move |out| {
        out.store(["a", "b", "c"].map(|key| Write::Put(ENTRIES, row(key, "{}"))).into());
        out.find(Keys { table: ENTRIES, keys: keys(&["c", "nobody", "a"]) });
        out.find(Keys { table: ACCOUNTS, keys: keys(&["a"]) });
    })
    .await;
    let found = vec![row("c", "{}"), row("a", "{}")];
    assert_eq!(done[1..], [Completion::Page(Ok(found)), Completion::Page(Ok(vec![]))]);
}

fn idle(path: &Path) -> impl Future<Output = Result<labman_io_tokio::Running, StartError>> + use<> {
    labman_io_tokio::start(io(path), |_, _, _| Ok(Script::new(|_, _| {})))
}

#[tokio::test]
async fn a_store_in_use_is_refused_by_name_and_free_again_after_a_stop() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.sqlite");
    let first = idle(&path).await.unwrap();
    let Err(error) = idle(&path).await else { panic!("two machines on one store") };
    let text = error.to_string();
    assert!(text.contains("store.sqlite") && text.contains("is in use by another process"), "{text}");
    within(first.stop()).await;
    within(idle(&path).await.unwrap().stop()).await;
}

#[tokio::test]
async fn foreign_newer_and_broken_files_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();

    let foreign = dir.path().join("foreign");
    rusqlite::Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE photos (x)").unwrap();
    assert!(matches!(idle(&foreign).await, Err(StartError::StoreForeign { .. })));

    let broken = dir.path().join("broken");
    std::fs::write(&broken, "these are my notes, and they are no database at all".repeat(100)).unwrap();
    assert!(matches!(idle(&broken).await, Err(StartError::StoreForeign { .. })));

    let newer = dir.path().join("newer");
    within(idle(&newer).await.unwrap().stop()).await;
    rusqlite::Connection::open(&newer).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(idle(&newer).await, Err(StartError::StoreNewer { found: 99, .. })));
    rusqlite::Connection::open(&newer).unwrap().pragma_update(None, "user_version", 1).unwrap();
    assert!(matches!(idle(&newer).await, Err(StartError::StoreOlder { found: 1, .. })));
}

#[tokio::test]
async fn only_the_owner_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.sqlite");
    let running = idle(&path).await.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    within(running.stop()).await;
}

fn read(reader: &StoreReader, table: Table) -> Vec<Row> {
    let mut rows = Vec::new();
    reader
        .each(table, &mut |row| {
            rows.push(row);
            Ok(())
        })
        .unwrap();
    rows
}

#[tokio::test]
async fn a_reader_sees_one_moment_whether_or_not_the_store_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    // A name that means something else where SQLite is told it with options.
    let path = dir.path().join("50% of what? #1 & more/store.sqlite");
    let puts = |keys: &'static [&'static str]| {
        move |out: &mut Outbox| {
            for key in keys {
                out.store(vec![Write::Put(ENTRIES, row(key, "{}"))]);
            }
        }
    };
    session(&path, puts(&["a", "b", "c"])).await;
    let reader = StoreReader::open(&path).unwrap();
    assert_eq!(read(&reader, ENTRIES).len(), 3);
    let (_, snapshot) = session(&path, puts(&["d", "e", "f"])).await;
    assert!(snapshot.rows.is_empty());
    assert_eq!(reader.get(ENTRIES, "d"), Ok(None), "it came later");
    assert_eq!(reader.get(ENTRIES, "a"), Ok(Some(row("a", "{}"))));

    let running = idle(&path).await.unwrap();
    let reader = StoreReader::open(&path).unwrap();
    assert_eq!(read(&reader, ENTRIES).len(), 6);
    assert_eq!(read(&reader, Table::history("photos")), []);
    assert!(reader.has("entries") && !reader.has("photos"));
    within(running.stop()).await;
}

#[test]
fn a_reader_makes_no_store_and_takes_no_other_file_for_one() {
    let dir = tempfile::tempdir().unwrap();
    assert!(StoreReader::open(&dir.path().join("nothing")).is_err());
    assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none());
    let foreign = dir.path().join("foreign");
    rusqlite::Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE photos (x)").unwrap();
    assert!(matches!(StoreReader::open(&foreign), Err(StartError::StoreForeign { .. })));
}
