//! A daemon that is asked to end ends in order, and warns of nothing that is as it should be.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

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
        while !seen.contains("attached to the labman") {
            assert!(log.read_line(&mut seen).unwrap() > 0, "it ended: {seen}");
        }
        Command::new("kill").args([signal, &node.id().to_string()]).status().unwrap();
        log.read_to_string(&mut seen).unwrap();
        assert_eq!(node.wait().unwrap().code(), Some(0), "{seen}");
        let (_, last_words) = seen.split_once("labmand stops").expect("it says that it stops");
        assert!(!last_words.contains("WARN"), "{seen}");
    }
}
