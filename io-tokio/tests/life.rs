//! A machine's lives: restarted from its store when it panics or stops, reachable by its operator.

mod support;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use labman_io_tokio::{IoConfig, StartError, StoreConfig, admin_client, http_client, load_or_create_key};
use labman_proto_core::http::{RequestHead, ResponseHead};
use labman_proto_core::machine::{Completion, Input, OpId, Outbox, StreamId};
use labman_proto_core::rng::Seed;
use labman_proto_core::store::{BadRow, Row, Snapshot, Table, Write};
use support::{Script, run, tcp, within};

const COUNTS: Table = Table::live("counts");
static TABLES: &[Table] = &[COUNTS];

/// `POST` adds one and answers once that is on disk; `GET` tells the sum; `/panic` panics, `/stop` stops.
fn counter(snapshot: &Snapshot) -> Script {
    let mut count = snapshot.of(COUNTS).count();
    let mut waiting: Vec<(OpId, StreamId)> = Vec::new();
    Script::that_may_stop(move |input, out| {
        match input {
            Input::Request { stream, head: RequestHead { path, .. }, .. } if path == "/panic" => {
                out.respond(stream, ResponseHead::new(200));
                panic!("a bug, for the test");
            }
            Input::Request { head: RequestHead { path, .. }, .. } if path == "/stop" => {
                return Err("told to".into());
            }
            Input::Request { stream, head, .. } if head.method == "POST" => {
                count += 1;
                let row = Row { key: format!("{count:04}"), value: b"{}".to_vec() };
                waiting.push((out.store(vec![Write::Insert(COUNTS, row)]), stream));
            }
            Input::Request { stream, .. } => tell(count, stream, out),
            Input::Done(op, Completion::Stored(result)) => {
                result.map_err(|error| error.to_string())?;
                let at = waiting.iter().position(|(waits, _)| *waits == op).expect("asked for");
                tell(count, waiting.remove(at).1, out);
            }
            _ => {}
        }
        Ok(())
    })
}

fn tell(count: usize, stream: StreamId, out: &mut Outbox) {
    out.respond_json(stream, 200, &count);
}

async fn ask(method: &str, url: &str) -> Option<String> {
    let answer = within(http_client::request(method, url, &[], Vec::new())).await.ok()?;
    let body = within(answer.rest()).await.ok()?;
    Some(String::from_utf8(body).unwrap())
}

fn counting(dir: &Path) -> (IoConfig, String) {
    let (listener, address) = tcp();
    let store = StoreConfig { path: dir.join("store.sqlite"), tables: TABLES };
    let io = IoConfig {
        name: "counter".into(),
        store: Some(store),
        public_http: Some(listener),
        ..IoConfig::default()
    };
    (io, format!("http://{address}"))
}

#[tokio::test]
async fn a_machine_that_panics_or_stops_comes_back_from_its_store_on_the_same_port() {
    let dir = tempfile::tempdir().unwrap();
    let (io, url) = counting(dir.path());
    let running = labman_io_tokio::start(io, |snapshot, _, _| Ok(counter(snapshot))).await.unwrap();
    assert_eq!(ask("POST", &url).await.as_deref(), Some("1"));

    assert_eq!(
        ask("GET", &format!("{url}/panic")).await,
        None,
        "what it said before it panicked is not sent"
    );
    assert_eq!(ask("GET", &url).await.as_deref(), Some("1"));
    assert_eq!(ask("POST", &url).await.as_deref(), Some("2"), "and the new life goes on");

    assert_eq!(ask("GET", &format!("{url}/stop")).await, None);
    assert_eq!(ask("GET", &url).await.as_deref(), Some("2"));
    within(running.stop()).await;
}

#[tokio::test]
async fn no_two_lives_draw_the_same_randomness() {
    let dir = tempfile::tempdir().unwrap();
    let (io, url) = counting(dir.path());
    let (tell, mut seeds) = tokio::sync::mpsc::unbounded_channel();
    let make = move |snapshot: &Snapshot, seed: Seed, _| {
        tell.send(seed.0).unwrap();
        Ok(counter(snapshot))
    };
    let running = labman_io_tokio::start(io, make).await.unwrap();
    assert_eq!(ask("GET", &format!("{url}/stop")).await, None);
    let first = within(seeds.recv()).await.unwrap();
    let second = within(seeds.recv()).await.unwrap();
    assert_ne!(first, second);
    within(running.stop()).await;
}

#[tokio::test]
async fn while_a_machine_can_not_live_its_callers_are_told_and_the_operator_hears_why() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("admin.sock");
    let (listener, address) = tcp();
    let io = IoConfig { public_http: Some(listener), ..admin_io(&socket) };
    let full = |_: &Snapshot, _, _| Ok(Script::that_has_stopped("the disk is full"));
    let running = labman_io_tokio::start(io, full).await.unwrap();
    let url = format!("http://{address}/v1/models");
    // A life that has just begun may take a call along when it ends.
    let users = async {
        loop {
            if let Ok(answer) = http_client::request("GET", &url, &[], Vec::new()).await {
                return answer;
            }
        }
    };
    let operator = async {
        loop {
            if let Ok(answer) = admin_client::call(&socket, "GET", "/status", None).await {
                return answer;
            }
        }
    };
    let (users, (status, told_operator)) = within(async { tokio::join!(users, operator) }).await;
    assert_eq!((users.status, users.header("retry-after")), (503, Some("2")));
    let told = String::from_utf8(within(users.rest()).await.unwrap()).unwrap();
    assert!(told.contains("\"code\":\"unavailable\"") && !told.contains("disk"), "{told}");
    assert_eq!(status, 503);
    assert!(String::from_utf8(told_operator).unwrap().contains("the disk is full"));
    within(running.stop()).await;
}

fn unreadable() -> BadRow {
    BadRow { table: "counts", key: "0001".into(), what: "nonsense".into() }
}

#[tokio::test]
async fn a_machine_that_can_not_read_its_store_does_not_start_or_fails_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let (io, _) = counting(dir.path());
    let refused = labman_io_tokio::start(io, |_, _, _| Err::<Script, _>(unreadable())).await;
    let Err(error) = refused else { panic!("it can't start") };
    let text = error.to_string();
    assert!(text.contains("store.sqlite") && text.contains("table counts, row \"0001\""), "{text}");

    let (io, url) = counting(dir.path());
    let mut lives = 0;
    let make = move |snapshot: &Snapshot, _, _| {
        lives += 1;
        if lives == 1 { Ok(counter(snapshot)) } else { Err(unreadable()) }
    };
    let mut running = labman_io_tokio::start(io, make).await.unwrap();
    assert_eq!(ask("GET", &format!("{url}/panic")).await, None);
    assert!(matches!(within(running.failed()).await, StartError::Row { .. }));
    within(running.stop()).await;
}

fn admin_io(socket: &Path) -> IoConfig {
    IoConfig { name: "admin".into(), admin: Some(socket.into()), ..IoConfig::default() }
}

#[tokio::test]
async fn the_operator_is_answered_on_the_admin_socket() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("run/admin.sock");
    let running = run(admin_io(&socket), counter(&Snapshot::default())).await;
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let answer = within(admin_client::call(&socket, "GET", "/status", None)).await.unwrap();
    assert_eq!(answer, (200, b"0".to_vec()));

    let second = labman_io_tokio::start(admin_io(&socket), |_, _, _| Ok(counter(&Snapshot::default()))).await;
    assert!(matches!(second, Err(StartError::AdminInUse { .. })), "it is taken");

    within(running.stop()).await;
    let error = within(admin_client::call(&socket, "GET", "/status", None)).await.unwrap_err().to_string();
    assert!(error.contains("admin.sock") && error.contains("start the daemon"), "{error}");
}

#[tokio::test]
async fn a_socket_left_by_a_crash_is_replaced_and_a_file_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let left = dir.path().join("left.sock");
    drop(UnixListener::bind(&left).unwrap());
    let running = run(admin_io(&left), counter(&Snapshot::default())).await;
    assert_eq!(within(admin_client::call(&left, "GET", "/", None)).await.unwrap().0, 200);
    within(running.stop()).await;

    let file = dir.path().join("notes.txt");
    std::fs::write(&file, "mine").unwrap();
    let refused = labman_io_tokio::start(admin_io(&file), |_, _, _| Ok(counter(&Snapshot::default()))).await;
    assert!(matches!(refused, Err(StartError::Admin { .. })));
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
}

#[test]
fn a_key_is_made_once_kept_private_and_refused_when_others_may_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("node/key");
    let made = load_or_create_key(&path).unwrap();
    assert_eq!(*load_or_create_key(&path).unwrap(), *made);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let error = load_or_create_key(&path).unwrap_err().to_string();
    assert!(error.contains("node/key") && error.contains("640") && error.contains("chmod 600"), "{error}");

    let torn = dir.path().join("torn");
    std::fs::write(&torn, "abc").unwrap();
    std::fs::set_permissions(&torn, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(load_or_create_key(&torn).unwrap_err().to_string().contains("64 hex digits"));
}
