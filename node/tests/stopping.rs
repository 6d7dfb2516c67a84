//! A daemon that is asked to end ends in order, and warns of nothing that is as it should be.

mod support;

use std::io::{BufRead, BufReader, Read};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

use labman_node::init;
use labman_node::mesh::{Mesh, Plan, PortmanPlan, ProviderPlan, Runtime};
use labman_proto_core::time::Span;
use labman_proto_core::toy;
use support::{Process, Rig, SOON, chat, eventually};

const FEP: &str = "AKnL4NNf3DGWZJS6cPknBuEGnVsV4A4m5tgebLHaRSZ9";
const GATEWAY: &str = "9hSR6S7WPtxmTojgo6GG3k4yDPecgJY292j7xrsUGWBu";

#[test]
fn a_node_that_is_stopped_does_not_warn_of_its_own_portman() {
    let dir = tempfile::tempdir().unwrap();
    let labmand = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_labmand"));
        command.current_dir(dir.path()).env_remove("RUST_LOG").stdin(Stdio::null()).stdout(Stdio::null());
        command
    };
    let init = ["init", "--provider", "--fep-id", FEP, "--gateway-id", GATEWAY];
    let made = labmand()
        .args(init)
        .args(["--gateway-addr", "127.0.0.1:9", "--fep-url", "http://127.0.0.1:9"])
        .args(["--runtime-url", "http://127.0.0.1:9/v1", "--portman-listen", "127.0.0.1:0"])
        .status()
        .unwrap();
    assert!(made.success());

    for signal in ["-TERM", "-HUP"] {
        let mut node = labmand().args(["--config", "labman.toml"]).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(node.stderr.take().unwrap());
        let mut seen = String::new();
        // Whether its runtime is found missing before it stops or as it does is nobody's concern here.
        while !(seen.contains("attached to the labman") && seen.contains("no models from the runtime")) {
            assert!(log.read_line(&mut seen).unwrap() > 0, "it ended: {seen}");
        }
        Command::new("kill").args([signal, &node.id().to_string()]).status().unwrap();
        log.read_to_string(&mut seen).unwrap();
        assert_eq!(node.wait().unwrap().code(), Some(0), "{seen}");
        let (_, last_words) = seen.split_once("labmand stops").expect("it says that it stops");
        let warned = |line: &str| line.contains("WARN") && line.to_lowercase().contains("portman");
        assert!(!last_words.lines().any(warned), "{seen}");
        assert!(last_words.contains("labmand has stopped"), "{seen}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_stopped_in_the_middle_of_an_answer_ends_it_and_says_goodbye() {
    let directory = tempfile::tempdir().unwrap();
    let mesh = Mesh::start(Plan::new(directory.path()).with_gateway("gateway", None)).await.unwrap();
    let toy = support::slow_toy(Span::from_millis(20)).await;
    let config = directory.path().join("provider.toml");
    support::write_config(&mesh, &toy, &config);
    let mut provider = Process::start(env!("CARGO_BIN_EXE_labmand"), &config);
    let user = mesh.user("alice", "1.00").await.unwrap();
    let client = mesh.client(0, &user.api_key);
    let listed = async || Ok(client.models().await?.into_iter().find(|slug| slug.starts_with("mortal:")));
    let slug = eventually("the provider's model being listed", listed).await;

    let mut pieces = 0;
    let completion = client
        .stream_chat(chat(&slug, 40), |_| {
            pieces += 1;
            if pieces == 6 {
                provider.terminate();
            }
        })
        .await
        .unwrap();
    assert!(completion.done && completion.error.is_none(), "the answer is whole: {completion:?}");
    assert_eq!(provider.ends(), Some(0));
    // It said that it leaves: nobody waits for what a silent link would take.
    let gone = async || Ok(listed().await?.is_none().then_some(()));
    eventually("its model being listed no more", gone).await;
    toy.stop().await;
    tokio::time::timeout(SOON, mesh.stop()).await.expect("the mesh stops in order");
}

/// As one signal to all daemons of a host does. A Portman that is a process of its own used to end as soon as its jobs had, and
/// took the last of what it had said with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_and_its_portman_that_are_stopped_at_once_end_their_answer() {
    let directory = tempfile::tempdir().unwrap();
    let mesh = Mesh::start(Plan::new(directory.path()).with_gateway("gateway", None)).await.unwrap();
    let toy = support::slow_toy(Span::from_millis(5)).await;
    let user = mesh.user("alice", "1.00").await.unwrap();
    let client = mesh.client(0, &user.api_key);
    let listed = async || Ok(client.models().await?.into_iter().find(|slug| slug.starts_with("mortal:")));

    for round in 0..8 {
        let config = |name: &str| directory.path().join(format!("{name}-{round}.toml"));
        let token = init::fresh_token();
        let plan = init::Provider {
            token: token.clone(),
            data_dir: format!("data-{round}"),
            ..support::mortal(&mesh, &toy)
        };
        let toml: Vec<String> = plan.toml().lines().map(str::to_owned).collect();
        let toml = toml.iter().filter(|line| !line.starts_with("runtime ="));
        let toml: Vec<&str> = toml.map(String::as_str).collect();
        let toml = toml.join("\n").replace("embedded = true", "embedded = false");
        init::write_new(&config("provider"), &toml).unwrap();
        let mut provider = Process::start(env!("CARGO_BIN_EXE_labmand"), &config("provider"));
        let labman_url = provider.says("Portmans attach at ");
        let portman = init::Portman { labman_url, token, runtime_url: toy.url() };
        init::write_new(&config("portman"), &portman.toml()).unwrap();
        let mut portman = Process::start(env!("CARGO_BIN_EXE_portman"), &config("portman"));
        let slug = eventually("the provider's model being listed", listed).await;

        let mut pieces = 0;
        let completion = client
            .stream_chat(chat(&slug, 20), |_| {
                pieces += 1;
                if pieces == 6 {
                    provider.terminate();
                    portman.terminate();
                }
            })
            .await
            .unwrap();
        assert!(completion.done && completion.error.is_none(), "the answer is whole: {completion:?}");
        assert_eq!((provider.ends(), portman.ends()), (Some(0), Some(0)));
        let gone = async || Ok(listed().await?.is_none().then_some(()));
        eventually("its model being listed no more", gone).await;
    }
    toy.stop().await;
    tokio::time::timeout(SOON, mesh.stop()).await.expect("the mesh stops in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mesh_in_one_process_that_is_stopped_ends_its_answers() {
    let Runtime::Toy(quick) = PortmanPlan::toy("any").runtime else { unreachable!("a toy's plan has a toy") };
    let slow = toy::config::Config { token_every: Span::from_millis(5), ..quick };
    let mut provider = ProviderPlan::toy("provider");
    provider.portmans[0].runtime = Runtime::Toy(slow);
    let rig = Rig::with_providers([provider]).await;
    let (mesh, client, request) = (rig.mesh, rig.client, chat(&rig.slugs[0], 20));
    let (stop, stopping) = tokio::sync::oneshot::channel();
    let mut stop = Some(stop);
    let mut pieces = 0;
    let asked = client.stream_chat(request, |_| {
        pieces += 1;
        if pieces == 6 {
            stop.take().map(|stop| stop.send(()));
        }
    });
    let stopped = async {
        stopping.await.unwrap();
        tokio::time::timeout(SOON, mesh.stop()).await.expect("the mesh stops in order");
    };
    let (completion, ()) = tokio::join!(asked, stopped);
    let completion = completion.unwrap();
    assert!(completion.done && completion.error.is_none(), "the answer is whole: {completion:?}");
}

#[test]
fn systemd_is_told_that_a_daemon_is_up_that_it_goes_on_and_that_it_goes() {
    let dir = tempfile::tempdir().unwrap();
    let socket = UnixDatagram::bind(dir.path().join("notify")).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_labman-fep"));
    command.current_dir(dir.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(command.args(["init", "--listen", "127.0.0.1:0"]).status().unwrap().success());
    let mut command = Command::new(env!("CARGO_BIN_EXE_labman-fep"));
    command.current_dir(dir.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.env("NOTIFY_SOCKET", dir.path().join("notify")).env("WATCHDOG_USEC", "100000");
    let mut fep = command.args(["--config", "fep.toml"]).spawn().unwrap();
    let told = |wanted: &str| {
        let mut message = [0; 64];
        let length = socket.recv(&mut message).expect("it says something");
        std::str::from_utf8(&message[..length]).unwrap().trim() == wanted
    };
    while !told("READY=1") {}
    for _ in 0..3 {
        while !told("WATCHDOG=1") {}
    }
    Command::new("kill").args(["-TERM", &fep.id().to_string()]).status().unwrap();
    while !told("STOPPING=1") {}
    assert_eq!(fep.wait().unwrap().code(), Some(0));
}
