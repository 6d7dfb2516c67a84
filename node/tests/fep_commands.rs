//! The operator's commands, as scripts run them: made again when nobody knows whether they were heard, and in pipes that are
//! closed before all is said.

use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

struct Fep(TempDir);

impl Fep {
    fn new() -> Self {
        let fep = Self(tempfile::tempdir().unwrap());
        assert!(fep.run(&["init", "--listen", "127.0.0.1:0"], Stdio::null()).status.success());
        fep
    }

    fn run(&self, arguments: &[&str], out: Stdio) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_labman-fep"));
        command.args(arguments).current_dir(self.0.path()).stdout(out).output().unwrap()
    }

    fn does(&self, arguments: &[&str]) -> Value {
        let out = self.run(&[arguments, &["--json", "--config", "fep.toml"]].concat(), Stdio::piped());
        assert!(out.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
        serde_json::from_slice(&out.stdout).unwrap()
    }
}

#[test]
fn a_command_that_is_made_again_under_its_idempotency_key_is_done_once() {
    let fep = Fep::new();
    fep.does(&["user", "add", "alice"]);
    let deposit = |key| fep.does(&["deposit", "alice", "5", "--idempotency-key", key]);
    assert_eq!(deposit("tuesday"), deposit("tuesday"));
    assert_ne!(deposit("tuesday"), deposit("wednesday"));
    let users = fep.does(&["user", "list"]);
    assert_eq!(users["users"][0]["balance"], "10.000000", "{users}");
}

#[test]
fn a_dispute_that_is_not_open_cannot_be_decided() {
    let fep = Fep::new();
    assert_eq!(fep.does(&["dispute", "list"]), serde_json::json!({ "disputes": [] }));
    for ruling in ["claim-again", "stands"] {
        let asked = ["dispute", ruling, "00ff", "--answer", "it was paid", "--config", "fep.toml"];
        let out = fep.run(&asked, Stdio::null());
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(!out.status.success() && said.contains("no dispute is open"), "{ruling}: {said}");
    }
}

#[test]
fn whoever_closes_the_pipe_has_read_enough() {
    let fep = Fep::new();
    for asked in [&["id"][..], &["ledger", "--json"], &["ledger"]] {
        let (read, write) = std::io::pipe().unwrap();
        drop(read);
        let asked = [asked, &["--config", "fep.toml"]].concat();
        let out = fep.run(&asked, write.into());
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success() && !said.contains("panicked"), "{asked:?}: {said}");
    }
}
