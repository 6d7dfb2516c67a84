//! The program, as a process: the same seed does the same thing in any process, another seed another; and it fails when it
//! must.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn scenario(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios").join(name)
}

fn labman_sim(args: &[&str], file: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_labman-sim")).arg("run").arg(file).args(args).output().expect("it runs")
}

fn trace_hash(seed: &str) -> (String, Output) {
    let output = labman_sim(&["--json", "--seed", seed], &scenario("first-light.toml"));
    let document: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    let hash = document["trace_hash"].as_str().expect("a hash").to_owned();
    assert!(output.status.success(), "{document}");
    (hash, output)
}

#[test]
fn the_same_seed_in_two_processes_gives_the_same_hash_and_another_seed_another() {
    let ((first, whole), (second, again)) = (trace_hash("7"), trace_hash("7"));
    assert_eq!(first, second);
    assert_eq!(whole.stdout, again.stdout, "the whole report is the same");
    assert_ne!(first, trace_hash("8").0);
}

#[test]
fn an_expectation_that_is_not_met_fails_the_program_and_says_how_to_see_it_again() {
    let text = std::fs::read_to_string(scenario("conformance/one-provider.toml")).unwrap();
    let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    std::fs::write(file.path(), text.replace("value = 5", "value = 4")).unwrap();
    let output = labman_sim(&["--seed", "3"], file.path());
    assert_eq!(output.status.code(), Some(1));
    let page = String::from_utf8_lossy(&output.stdout);
    assert!(page.contains("FAILURE: expected jobs.completed == 4, found 5"), "{page}");
    let hint = String::from_utf8_lossy(&output.stderr);
    assert!(hint.contains("--seed 3 --log"), "{hint}");
}

#[test]
fn a_scenario_with_a_mistake_is_refused_with_its_place() {
    let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    std::fs::write(file.path(), "name = \"x\"\nduratoin = \"1m\"\n").unwrap();
    let output = labman_sim(&[], file.path());
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains(":2: duratoin: unknown field"), "{error}");
}
