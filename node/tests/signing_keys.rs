//! An operator rotates and revokes a FEP's keys, with the root on the host and with the root elsewhere.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use labman_node::init;
use serde_json::Value;
use support::Process;

struct Fep {
    directory: tempfile::TempDir,
}

impl Fep {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = init::Fep {
            network: "keys".to_string(),
            data_dir: "data".to_string(),
            listen: "127.0.0.1:0".to_string(),
            currency: "XTS".to_string(),
        };
        init::write_new(&directory.path().join("fep.toml"), &config.toml()).unwrap();
        Self { directory }
    }

    fn config(&self) -> PathBuf {
        self.directory.path().join("fep.toml")
    }

    fn data(&self, file: &str) -> PathBuf {
        self.directory.path().join("data").join(file)
    }

    fn start(&self) -> (Process, String) {
        let mut fep = Process::start(env!("CARGO_BIN_EXE_labman-fep"), &self.config());
        let id = fep.says("labman-fep is up: fep ");
        (fep, id)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_labman-fep"));
        command.arg("signing-key").args(arguments).arg("--json").arg("--config").arg(self.config());
        command.output().unwrap()
    }

    fn does(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {text}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn refuses(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Which of its keys signs, by place; and the key that stands at that place.
fn signs(shown: &Value) -> (Option<usize>, Vec<String>) {
    let keys = shown["keys"].as_array().unwrap();
    let names = keys.iter().map(|key| key["key"].as_str().unwrap().to_string()).collect();
    (keys.iter().position(|key| key["signs"] == true), names)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_takes_over_after_a_restart_and_the_one_before_is_revoked() {
    let fep = Fep::new();
    let (running, id) = fep.start();
    // Between rotations the root is elsewhere.
    let stick = fep.directory.path().join("stick.key");
    std::fs::rename(fep.data("root.key"), &stick).unwrap();

    let made = fep.does(&["new", "--from", "now", "--root", text(&stick)]);
    let (signing, keys) = signs(&made);
    assert_eq!((signing, keys.len(), made["keys"][1]["held"].clone()), (Some(0), 2, false.into()));
    drop(running);
    let (running, again) = fep.start();
    assert_eq!(again, id);
    assert_eq!(signs(&fep.does(&["show"])).0, Some(1));

    let revoked = fep.does(&["revoke", &keys[0], "--root", text(&stick)]);
    assert!(revoked["keys"][0]["revoked_from_ms"].is_u64());
    drop(running);
    // No daemon runs: the command opens the ledger itself.
    assert_eq!(fep.does(&["show"])["serial"], revoked["serial"]);
    assert!(fep.refuses(&["revoke", &keys[1]]).contains("--root"), "the root is not here");
    assert!(fep.refuses(&["certify", &keys[1], "--root", text(&stick)]).contains("certified once"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_never_comes_near_the_portal_certifies_by_a_file() {
    let fep = Fep::new();
    let (_running, _) = fep.start();
    let [stick, ring] = ["stick.key", "ring.txt"].map(|name| fep.directory.path().join(name));
    std::fs::rename(fep.data("root.key"), &stick).unwrap();
    fep.does(&["new"]);
    let key = std::fs::read_dir(fep.data(""))
        .unwrap()
        .filter(|file| file.as_ref().unwrap().file_name().to_str().unwrap().starts_with("signing-"));
    assert_eq!(key.count(), 2);
    let shown = fep.does(&["show", "--out", text(&ring)]);
    assert_eq!(signs(&shown).1.len(), 1);

    // There, with neither a portal nor its config.
    let elsewhere = Fep { directory: tempfile::tempdir().unwrap() };
    let by = ["--root", text(&stick), "--ring", text(&ring)];
    let other = "4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi";
    elsewhere.does(&[&["certify", other, "--days", "30"], &by[..]].concat());
    elsewhere.does(&[&["revoke", other, "--from", "2099-01-01"], &by[..]].concat());

    let taken = fep.does(&["take", text(&ring)]);
    assert_eq!(signs(&taken).1[1], other);
    assert_eq!(taken["keys"][1]["revoked_from_ms"], 4_070_908_800_000u64);
    // The same file once more changes nothing; one that was made before it is refused.
    assert_eq!(fep.does(&["take", text(&ring)])["serial"], taken["serial"]);
    std::fs::copy(fep.data("keys.ring"), &ring).unwrap();
    assert!(fep.refuses(&["take", text(&ring)]).contains("not above"));
    std::fs::write(&ring, "nonsense").unwrap();
    assert!(fep.refuses(&["take", text(&ring)]).contains("ring.txt"));
}
