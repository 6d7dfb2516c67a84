//! Every part of a mesh keeps a journal, and a machine that is led through it says what was said.

mod support;

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use labman_node::daemon::Toy;
use labman_node::init;
use labman_node::mesh::{Mesh, Plan, PortmanPlan, ProviderPlan, Runtime};
use labman_proto_core::journal::{MAGIC, PREFIX, body_length, frame};
use labman_proto_core::time::Span;
use labman_proto_core::toy;
use labman_sim::replay::{End, Options, Replay, Stop, replay};
use serde_json::json;
use support::{Process, SOON, chat, complete, eventually};

fn replayed(path: &Path) -> Replay {
    replay(File::open(path).unwrap(), &Options { state: true, stop: None }).unwrap()
}

/// The same, of a journal that must come out as it was, with that many lives.
fn identical(path: &Path, lives: usize) -> Replay {
    let replay = replayed(path);
    assert!(replay.passed(), "{}: {replay}", path.display());
    assert_eq!(replay.lives.len(), lives, "{}: {replay}", path.display());
    for life in &replay.lives {
        assert_eq!(life.expected, life.got);
        assert!(life.got.outputs > 0, "{}: {replay}", path.display());
    }
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    replay
}

#[tokio::test(flavor = "multi_thread")]
async fn every_journal_of_a_mesh_replays_even_of_a_provider_that_was_killed_in_the_middle() {
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path();
    let plan = Plan::new(dir).with_gateway("gateway", None).with_provider(ProviderPlan::toy("steady"));
    let mesh = Mesh::start(Plan { journals: Some(dir.to_path_buf()), ..journals_apart(plan) }).await.unwrap();
    let Runtime::Toy(quick) = PortmanPlan::toy("any").runtime else { unreachable!("a toy's plan has a toy") };
    let slow = toy::config::Config { token_every: Span::from_millis(50), ..quick };
    let toy = Toy::start("toy", "127.0.0.1:0".parse().unwrap(), slow).await.unwrap();
    let (config, journal) = (dir.join("mortal.toml"), dir.join("mortal.journal"));
    init::write_new(&config, &support::mortal(&mesh, &toy).toml()).unwrap();
    let arguments = ["--journal".as_ref(), journal.as_os_str()];
    let labmand = env!("CARGO_BIN_EXE_labmand");
    let mut provider = Process::start_with(labmand, &config, &arguments);

    let user = mesh.user("alice", "1.00").await.unwrap();
    let client = mesh.client(0, &user.api_key);
    let steady = mesh.providers_listed(&client, SOON).await.unwrap().remove(0);
    let mortal = eventually("the provider's model being listed", async || {
        Ok(client.models().await?.into_iter().find(|slug| slug.starts_with("mortal:")))
    })
    .await;
    for _ in 0..3 {
        complete(&client, &steady, 12).await;
        complete(&client, &mortal, 12).await;
    }
    let mut pieces = 0;
    let cut = client.stream_chat(chat(&mortal, 400), |_| {
        pieces += 1;
        if pieces == 6 {
            provider.kill();
        }
    });
    assert!(cut.await.unwrap().error.is_some(), "a cut stream ends with an error");

    // The same command line again: the journal goes on.
    let mut provider = Process::start_with(labmand, &config, &arguments);
    provider.says("labmand is up: node");
    eventually("the provider serving again", async || {
        let again = client.stream_chat(chat(&mortal, 5), |_| {}).await;
        Ok(again.ok().filter(|completion| completion.done))
    })
    .await;
    provider.kill();
    toy.stop().await;
    tokio::time::timeout(SOON, mesh.stop()).await.expect("the mesh stops in order");

    let gateway = identical(&dir.join("gateway"), 1);
    assert!(matches!(gateway.end, End::Closed), "{gateway}");
    let state = gateway.state.unwrap();
    assert_eq!(
        state["status"]["roles"],
        json!({ "gateway": true, "unpaid": false, "provider": false }),
        "{state}"
    );

    let fep = identical(&dir.join("fep"), 1);
    assert_eq!(fep.state.unwrap()["ledger"]["balanced"], true);
    assert!(fep.lives[0].signatures > 0, "receipts were signed");

    identical(&dir.join("steady"), 1);
    let portman = identical(&dir.join("steady.toy"), 1);
    assert!(portman.state.unwrap()["waits"]["for"].is_string());
    let killed = identical(&journal, 2);
    assert!(matches!(killed.end, End::Open { .. }), "{killed}");
    identical(&dir.join("mortal.journal.portman-1"), 2);
}

/// Data apart from journals: both are named after the parts.
fn journals_apart(plan: Plan) -> Plan {
    Plan { dir: plan.dir.join("data"), ..plan }
}

/// A FEP's journal, with a user in it.
async fn a_small_journal(dir: &Path) -> Vec<u8> {
    let plan = Plan { journals: Some(dir.to_path_buf()), ..journals_apart(Plan::new(dir)) };
    let mesh = Mesh::start(plan).await.unwrap();
    // Then what a new FEP writes of its own accord is done.
    let no_trouble = json!({ "rail": "test", "fault": "failed", "times": 0 });
    mesh.fep_admin().post("/rails/faults", &no_trouble).await.unwrap();
    mesh.user("alice", "1.00").await.unwrap();
    mesh.stop().await;
    fs::read(dir.join("fep")).unwrap()
}

/// Where each record begins, and where the last ends.
fn records(journal: &[u8]) -> Vec<usize> {
    let (mut at, mut begin) = (MAGIC.len(), Vec::new());
    while at < journal.len() {
        begin.push(at);
        at += PREFIX + body_length(journal[at..at + PREFIX].try_into().unwrap()).unwrap();
    }
    begin.push(at);
    begin
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_input_is_refused_and_if_its_check_is_altered_too_it_diverges_there() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = a_small_journal(directory.path()).await;
    let name = b"{\"name\":\"alice\"}";
    let at = journal.windows(name.len()).position(|bytes| bytes == name).expect("alice was asked for") + 9;
    let begin = records(&journal);
    let number = begin.iter().position(|begin| *begin > at).unwrap() - 1;

    journal[at] = b'b';
    let refused = replay(journal.as_slice(), &Options::default()).unwrap();
    assert!(!refused.passed());
    assert!(matches!(&refused.end, End::Refused { record, .. } if *record == number as u64), "{refused}");
    assert!(refused.to_string().contains(&format!("record {number}")), "{refused}");

    let (from, to) = (begin[number], begin[number + 1]);
    let forged = frame(number as u64, &journal[from + PREFIX..to]).unwrap();
    journal[from..to].copy_from_slice(&forged);
    let diverged = replay(journal.as_slice(), &Options::default()).unwrap();
    assert!(!diverged.passed());
    let End::Diverged(divergence) = &diverged.end else { panic!("{diverged}") };
    // A body is only collected; what it says shows with its end, the next record.
    assert_eq!((divergence.record, divergence.life), (number as u64 + 1, 1), "{diverged}");
    assert!(divergence.cause.starts_with("Finished"), "{diverged}");
    assert_eq!(divergence.what, "it said other things");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_cut_off_anywhere_replays_up_to_the_cut() {
    let directory = tempfile::tempdir().unwrap();
    let journal = a_small_journal(directory.path()).await;
    let begin = records(&journal);
    for (number, at) in begin.iter().enumerate() {
        for torn in [0, 1, PREFIX] {
            let cut = &journal[..(at + torn).min(journal.len())];
            let replay = replay(cut, &Options::default()).unwrap();
            // Without a life nothing was replayed: the first two records are the header and the life's.
            assert_eq!(replay.passed(), number > 1, "{replay}");
            assert_eq!(replay.records as usize, number, "{replay}");
            match replay.end {
                End::Closed => assert_eq!(*at, journal.len()),
                End::Open { torn: bytes } => assert_eq!(bytes as usize, torn),
                _ => panic!("{replay}"),
            }
        }
    }
    assert!(replay(&b"labman"[..], &Options::default()).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_stops_at_the_moment_asked_for_and_shows_the_machine_as_it_was_then() {
    let directory = tempfile::tempdir().unwrap();
    let journal = a_small_journal(directory.path()).await;
    let at = |until| {
        let stop = Some(Stop { life: 1, until });
        replay(journal.as_slice(), &Options { stop, state: true }).unwrap()
    };
    let (first, last) = (at(Some(Span(0))), at(None));
    assert!(first.passed() && last.passed());
    let users = |replay: &Replay| replay.state.as_ref().unwrap()["users"]["users"].clone();
    assert_eq!(users(&first), json!([]));
    assert_eq!(users(&last)[0]["balance"], "1.000000");
    assert!(first.records < last.records);
    let beyond = at(Some(Span::from_secs(1_000_000)));
    assert!(beyond.passed() && beyond.ended_before.is_some(), "{beyond}");
    let stop = Some(Stop { life: 2, until: None });
    let absent = replay(journal.as_slice(), &Options { stop, state: false }).unwrap();
    assert!(!absent.passed() && matches!(absent.end, End::NoLife(2)), "{absent}");
}
