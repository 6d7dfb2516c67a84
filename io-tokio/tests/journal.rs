//! A machine whose store fails it is given another life, and its journal tells both.

mod support;

use std::path::Path;
use std::time::Duration;

use labman_io_tokio::{IoConfig, Journal, StoreConfig, admin_client};
use labman_proto_core::identity::Identity;
use labman_proto_core::journal::{BUILD, Config, Header};
use labman_proto_core::portal::{self, Portal, Signers};
use labman_proto_core::wire::keys::{CertifiedKey, KeyRing};
use labman_proto_core::wire::object;
use labman_sim::replay::{End, Options, replay};
use support::within;

const SECRET: [u8; 32] = [7; 32];

fn config() -> portal::config::Config {
    let currency = "XTS".parse().unwrap();
    portal::config::Config {
        network: "lives".into(),
        currency,
        fees: Default::default(),
        rails: Default::default(),
        gateways_paid_every: labman_proto_core::limits::GATEWAYS_PAID_EVERY,
    }
}

fn header() -> Header {
    let held = vec![Identity::from_secret(&SECRET).fep_key()];
    let ring = founding().iter().map(|byte| format!("{byte:02x}")).collect();
    let machine = Config::Portal { config: config(), ring, held };
    Header { build: BUILD.into(), public_key: None, machine }
}

/// A root that certifies the one key for all time.
fn founding() -> Vec<u8> {
    let root = Identity::from_secret(&[8; 32]);
    let key = Identity::from_secret(&SECRET).fep_key();
    let key = CertifiedKey { key, from_ms: 0, until_ms: u64::MAX, revoked_from_ms: None };
    let ring = KeyRing { fep_id: root.fep_id(), serial: 1, keys: vec![key] };
    object::seal(&root, root.network("lives").id, ring).bytes.0
}

async fn start(dir: &Path) -> labman_io_tokio::Running {
    let journal = Journal::open(&dir.join("journal"), &header()).unwrap();
    let io = IoConfig {
        name: "fep".into(),
        store: Some(StoreConfig { path: dir.join("store.sqlite"), tables: Portal::TABLES }),
        admin: Some(dir.join("admin.sock")),
        journal: Some(journal.clone()),
        ..IoConfig::default()
    };
    let make = move |snapshot: &_, seed, now| {
        let identity = journal.witness(Identity::from_secret(&SECRET));
        let signers = Signers::new("lives", &founding(), vec![identity]).expect("a ring by its root");
        Portal::new(config(), signers, seed, snapshot, now)
    };
    labman_io_tokio::start(io, make).await.unwrap()
}

/// Adds a user, as soon as somebody answers.
async fn add(dir: &Path, name: &str) {
    let body = format!("{{\"name\":\"{name}\"}}").into_bytes();
    let added = async {
        loop {
            match admin_client::call(&dir.join("admin.sock"), "POST", "/users", Some(body.clone())).await {
                Ok((200, _)) => break,
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    within(added).await;
}

#[tokio::test]
async fn both_lives_of_a_machine_that_its_store_failed_replay_to_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    add(dir.path(), "alice").await;

    // Somebody's trigger refuses the next write, once.
    let store = rusqlite::Connection::open(dir.path().join("store.sqlite")).unwrap();
    let trigger =
        "CREATE TRIGGER trouble BEFORE UPDATE ON counters BEGIN SELECT RAISE(ABORT, 'trouble'); END";
    store.execute_batch(trigger).unwrap();
    let body = b"{\"name\":\"bob\"}".to_vec();
    let refused = admin_client::call(&dir.path().join("admin.sock"), "POST", "/users", Some(body)).await;
    assert!(!matches!(refused, Ok((200, _))), "it could not be written");
    store.execute_batch("DROP TRIGGER trouble").unwrap();

    add(dir.path(), "carol").await;
    within(running.stop()).await;

    let journal = std::fs::File::open(dir.path().join("journal")).unwrap();
    let replay = replay(journal, &Options { state: true, stop: None }).unwrap();
    assert!(replay.passed() && matches!(replay.end, End::Closed), "{replay}");
    let [first, .., last] = replay.lives.as_slice() else { panic!("one life only: {replay}") };
    assert!(first.fault.as_deref().is_some_and(|fault| fault.contains("trouble")), "{replay}");
    assert_eq!(last.fault, None, "{replay}");
    let users = &replay.state.as_ref().unwrap()["users"]["users"];
    let names: Vec<_> = users.as_array().unwrap().iter().map(|user| user["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["alice", "carol"]);
}

#[tokio::test]
async fn a_process_that_is_started_again_goes_on_with_its_journal() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["alice", "bob"] {
        let running = start(dir.path()).await;
        add(dir.path(), name).await;
        within(running.stop()).await;
    }
    let journal = std::fs::File::open(dir.path().join("journal")).unwrap();
    let replay = replay(journal, &Options::default()).unwrap();
    assert!(replay.passed(), "{replay}");
    assert_eq!((replay.headers.len(), replay.lives.len()), (2, 2), "{replay}");
}
