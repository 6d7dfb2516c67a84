//! Sweeps and comparisons, as processes: what a researcher types and what they may conclude.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// Jobs come at random.
fn first_light() -> String {
    scenario("first-light.toml")
}

/// A few jobs, one by one.
fn one_provider() -> String {
    scenario("conformance/one-provider.toml")
}

fn scenario(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios").join(name).display().to_string()
}

fn labman_sim(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_labman-sim")).args(args).output().expect("it runs")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A table of first-light under these settings.
fn swept(folder: &TempDir, name: &str, args: &[&str]) -> PathBuf {
    let out = folder.path().join(name);
    let file = out.display().to_string();
    let always = ["sweep", &first_light(), "--seeds", "5", "--out", &file];
    let output = labman_sim(&[&always, args].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    out
}

/// One column of a table.
fn column(table: &str, name: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let at =
        reader.headers().unwrap().iter().position(|column| column == name).expect("there is that column");
    reader.records().map(|record| record.unwrap()[at].to_owned()).collect()
}

#[test]
fn a_sweep_is_the_same_bytes_however_many_run_at_a_time() {
    let sweep = |jobs| {
        let grid = [
            "--set",
            "scheme=tag",
            "--grid",
            "fep.fees.fep_bps=0,500",
            "--grid",
            "latency.mesh={ constant = \"20ms\" }",
        ];
        let args = ["sweep", &one_provider(), "--seeds", "2", "--first-seed", "4", "-j", jobs];
        let output = labman_sim(&[&args[..], &grid].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        let told: Value = serde_json::from_str(stderr(&output).lines().last().unwrap()).unwrap();
        assert_eq!(
            told.to_string(),
            r#"{"done":4,"eta_s":0,"failed":0,"of":4}"#,
            "no bar without a terminal"
        );
        String::from_utf8(output.stdout).unwrap()
    };
    let table = sweep("1");
    assert_eq!(table, sweep("2"));
    assert_eq!(column(&table, "seed"), ["4", "5", "4", "5"]);
    assert_eq!(column(&table, "fep.fees.fep_bps"), ["0", "0", "500", "500"]);
    assert_eq!(column(&table, "latency.mesh"), ["{ constant = \"20ms\" }"; 4]);
    assert_eq!(column(&table, "passed"), ["true"; 4]);
}

#[test]
fn a_row_is_what_a_run_with_its_settings_comes_to() {
    let args =
        ["sweep", &one_provider(), "--seeds", "1", "--first-seed", "9", "--grid", "fep.fees.fep_bps=300"];
    let table = String::from_utf8(labman_sim(&args).stdout).unwrap();
    let output =
        labman_sim(&["run", &one_provider(), "--json", "--seed", "9", "--set", "fep.fees.fep_bps=300"]);
    let run: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(column(&table, "trace_hash"), [run["trace_hash"].as_str().unwrap()]);
    assert_eq!(column(&table, "jobs.completed"), [run["jobs"]["completed"].to_string()]);
    assert_eq!(column(&table, "balance.rail:payouts"), [run["balances"]["rail:payouts"].to_string()]);
}

#[test]
fn a_higher_fee_costs_users_more_and_changes_nothing_for_providers() {
    let folder = tempfile::tempdir().unwrap();
    let free = swept(&folder, "free.csv", &["--set", "fep.fees.fep_bps=0"]);
    let dear = swept(&folder, "dear.csv", &["--set", "fep.fees.fep_bps=500"]);
    let files = [free.to_str().unwrap(), dear.to_str().unwrap()];
    let output = labman_sim(&["compare", files[0], files[1], "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let comparison: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(comparison["points"][0]["pairs"], 5);
    let figure = |name: &str| {
        let figures = comparison["points"][0]["figures"].as_array().unwrap();
        figures.iter().find(|figure| figure["figure"] == name).expect("there is that figure").clone()
    };
    let charged = figure("money.charged");
    assert!(charged["difference"]["low"].as_f64().unwrap() > 0.0, "{charged}");
    assert!(charged["difference"]["p"].as_f64().unwrap() < 0.001, "{charged}");
    // 5 % more on what providers earn, which itself varies from seed to seed by more than that.
    let more = charged["difference"]["mean"].as_f64().unwrap()
        / figure("money.earned")["a"]["mean"].as_f64().unwrap();
    assert!((0.04..0.06).contains(&more), "{more}");
    let apart = |of: &str| charged[of]["low"].as_f64().unwrap()..charged[of]["high"].as_f64().unwrap();
    assert!(apart("a").end > apart("b").start, "unpaired, five seeds could not have told: {charged}");
    let earned = figure("money.earned");
    assert!(earned["a"]["deviation"].as_f64().unwrap() > 0.0, "it varies by seed: {earned}");
    assert_eq!((&earned["difference"]["mean"], &earned["difference"]["p"]), (&0.0.into(), &1.0.into()));
    let income = figure("balance.fep:fees");
    assert!(
        income["difference"]["mean"].as_f64().unwrap() > 0.0,
        "an account that only one of them used: {income}"
    );
    let page = String::from_utf8(labman_sim(&["compare", files[0], files[1]]).stdout).unwrap();
    assert!(page.contains("money.charged") && !page.contains("jobs.status_401"), "{page}");
}

#[test]
fn noise_is_not_taken_for_a_difference() {
    let folder = tempfile::tempdir().unwrap();
    // Arrivals under another name are drawn anew, from the same distribution.
    let one = swept(&folder, "one.csv", &[]);
    let other = swept(&folder, "other.csv", &["--set", "arrivals.0.name=talk"]);
    let output = labman_sim(&["compare", one.to_str().unwrap(), other.to_str().unwrap(), "--json"]);
    let comparison: Value = serde_json::from_slice(&output.stdout).unwrap();
    let figures = comparison["points"][0]["figures"].as_array().unwrap();
    let charged = figures.iter().find(|figure| figure["figure"] == "money.charged").unwrap();
    assert!(charged["difference"]["deviation"].as_f64().unwrap() > 0.0, "there is noise: {charged}");
    let end = |name: &str| charged["difference"][name].as_f64().unwrap();
    assert!(end("low") <= 0.0 && end("high") >= 0.0, "{charged}");
}

#[test]
fn a_run_that_fails_is_named_with_the_line_that_repeats_it() {
    let args =
        ["sweep", &one_provider(), "--seeds", "2", "--grid", "expect.0.value=5,6", "--set", "network=a b"];
    let output = labman_sim(&args);
    assert_eq!(output.status.code(), Some(1));
    let table = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(column(&table, "passed"), ["true", "true", "false", "false"]);
    let told = stderr(&output);
    let again =
        format!("labman-sim run {} --seed 2 --set 'network=a b' --set expect.0.value=6", one_provider());
    assert!(
        told.contains("failed: expected jobs.completed == 6, found 5") && told.contains(&again),
        "{told}"
    );
    assert!(told.contains("2 of 4 runs failed") && !told.contains("expect.0.value=5"), "{told}");
}

#[test]
fn what_cannot_be_swept_or_compared_is_refused_before_any_work() {
    let refused = |args: &[&str]| {
        let output = labman_sim(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        stderr(&output)
    };
    let key = refused(&["sweep", &one_provider(), "--seeds", "2", "--grid", "fep.fee=1,2"]);
    assert!(key.contains("--set fep.fee=1: fee: unknown field `fee`"), "{key}");
    let seeds = refused(&["sweep", &one_provider(), "--seeds", "2", "--first-seed", &u64::MAX.to_string()]);
    assert!(seeds.contains("--first-seed"), "{seeds}");
    let out = refused(&["sweep", &one_provider(), "--seeds", "2", "--out", "/no/such/folder/x.csv"]);
    assert!(out.contains("/no/such/folder/x.csv"), "{out}");
    let table = refused(&["compare", &one_provider(), &one_provider()]);
    assert!(table.contains("one-provider.toml:1: there is no column"), "{table}");
}
