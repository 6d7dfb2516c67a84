//! A sweep's directory, as processes and as a library: what it holds, how it goes on, and how shards become one.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use labman_sim::compare::Comparison;
use labman_sim::results::{Kept, Place, Study};
use labman_sim::run::Passed;
use labman_sim::scenario::set::{Document, Set};
use labman_sim::sweep::{Dimension, Grid, Plan};
use serde_json::Value;

/// A few jobs, one by one.
fn one_provider() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/conformance/one-provider.toml")
}

const GRID: &str = "fep.fees.fep_bps=0,500";
const TAGS: &str = "scheme=tag";

/// Two points and two seeds.
fn sweep(out: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_labman-sim"));
    command.arg("sweep").arg(one_provider()).args(["--seeds", "2", "--grid", GRID, "--set", TAGS]);
    command.arg("--out").arg(out).args(more).output().expect("it runs")
}

fn labman_sim(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_labman-sim")).args(args).output().expect("it runs")
}

fn swept(out: &Path, more: &[&str]) {
    let output = sweep(out, more);
    assert!(output.status.success(), "{}", stderr(&output));
}

/// As [`sweep`] has it.
fn plan() -> Plan {
    let grid: Dimension = GRID.parse::<Grid>().unwrap().into();
    let sets: Vec<Set> = vec![TAGS.parse().unwrap()];
    Plan::new(&Document::read(&one_provider()).unwrap(), &sets, &[grid], 1..3).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{}", stdout(output));
    stderr(output)
}

/// Every file of a directory, by name.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let file =
        |entry: fs::DirEntry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap());
    fs::read_dir(dir).unwrap().map(|entry| file(entry.unwrap())).collect()
}

fn assert_same(one: &Path, other: &Path) {
    let (one, other) = (files(one), files(other));
    let names =
        ["manifest.json", "providers.parquet", "runs.csv", "runs.parquet", "ticks.parquet", "waits.parquet"];
    assert_eq!(one.keys().collect::<Vec<_>>(), names);
    let differing: Vec<&String> = one.keys().filter(|name| one[*name] != other[*name]).collect();
    assert!(differing.is_empty() && one.len() == other.len(), "{differing:?}");
}

#[test]
fn a_directory_is_the_same_bytes_however_many_run_at_a_time_and_has_all_that_was_run() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    swept(&one, &["-j", "1"]);
    swept(&two, &["-j", "2"]);
    assert_same(&one, &two);
    let study = Study::read(&one).unwrap();
    let manifest = &study.manifest;
    assert_eq!((manifest.runs, manifest.failed, manifest.seeds), (4, 0, 2));
    assert_eq!(manifest.text, fs::read_to_string(one_provider()).unwrap());
    assert_eq!(
        (manifest.sets.as_slice(), manifest.build.as_str()),
        (&[TAGS.to_owned()][..], labman_sim::BUILD)
    );
    assert_eq!(manifest.points[1].values, ["500"]);
    let rows: Vec<_> = study.runs.rows.iter().map(|row| (row.point, row.run, row.seed, row.passed)).collect();
    assert_eq!(rows, [(0, 0, 1, true), (0, 1, 2, true), (1, 0, 1, true), (1, 1, 2, true)]);
    // What went on adds up to what came of it.
    let at = |name: &str| study.runs.figures.iter().position(|figure| figure == name).unwrap();
    for row in &study.runs.rows {
        let of_run = |series: &str| {
            let ticks = study.ticks.iter().filter(|tick| (tick.point, tick.run) == (row.point, row.run));
            ticks.filter(|tick| tick.series == series).map(|tick| tick.value).collect::<Vec<_>>()
        };
        assert_eq!(of_run("jobs.completed").len(), 60);
        assert_eq!(Some(of_run("jobs.completed").iter().sum::<f64>()), row.figures[at("jobs.completed")]);
        assert_eq!(Some(of_run("money.charged").iter().sum::<f64>()), row.figures[at("money.charged")]);
        assert_eq!(of_run("money.charged_total").last().copied(), row.figures[at("money.charged")]);
        let mine = study.incomes.iter().filter(|income| (income.point, income.run) == (row.point, row.run));
        let earned: i64 = mine.map(|income| income.earned).sum();
        assert_eq!(Some(earned as f64), row.figures[at("money.earned")]);
    }
}

#[test]
fn a_sweep_that_was_ended_goes_on_with_what_is_missing_and_comes_to_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, ended) = (folder.path().join("whole"), folder.path().join("ended"));
    swept(&whole, &[]);
    let plan = plan();
    let Ok(Place::Running(mut journal)) = Place::open(&ended, &plan.manifest()) else {
        panic!("nothing there")
    };
    let keep = |ended| Kept::new(&ended, &plan.points[0].variant.scenario);
    // The last and the first: runs end in any order.
    plan.run(NonZero::<usize>::MIN, &[3, 0], &Passed::default(), keep, |kept| journal.append(&kept)).unwrap();
    let Err(locked) = Place::open(&ended, &plan.manifest()) else { panic!("two write one journal") };
    assert!(locked.contains("another sweep is writing it"), "{locked}");
    drop(journal);
    // The process died as it wrote the next.
    let running = ended.join("running.jsonl");
    let text = fs::read_to_string(&running).unwrap();
    fs::write(&running, format!("{text}{{\"ran\":{{\"point\":1,\"ru")).unwrap();
    let output = sweep(&ended, &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_same(&whole, &ended);
    let told = stderr(&output);
    let last: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    assert_eq!((&last["done"], &last["of"], &last["failed"]), (&4.into(), &4.into(), &0.into()), "{told}");
    let again = sweep(&ended, &[]);
    assert!(stdout(&again).contains("complete, 4 runs, 0 of them failed") && stderr(&again).is_empty());
}

#[test]
fn results_of_another_sweep_or_of_nobody_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let plan = plan();
    assert!(matches!(Place::open(&out, &plan.manifest()), Ok(Place::Running(_))));
    let seeds = refused(&sweep(&out, &["--first-seed", "7"]));
    assert!(seeds.contains("with seeds 2 from 1 where this has 2 from 7: choose another --out"), "{seeds}");
    let points = refused(&sweep(&out, &["--grid", "one_by_one=true,false"]));
    assert!(points.contains("with other points"), "{points}");
    let running = out.join("running.jsonl");
    let text = fs::read_to_string(&running).unwrap().replace(labman_sim::BUILD, "0.0.1+old");
    fs::write(&running, text).unwrap();
    let build = refused(&sweep(&out, &[]));
    assert!(build.contains("with build 0.0.1+old where this has "), "{build}");
    let foreign = folder.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("thesis.tex"), "").unwrap();
    let mine = refused(&sweep(&foreign, &[]));
    assert!(mine.contains("holds something, and no results"), "{mine}");
    assert_eq!(files(&foreign).len(), 1);
}

#[test]
fn shards_put_together_are_the_same_bytes_as_one_sweep() {
    let folder = tempfile::tempdir().unwrap();
    let dir = |name: &str| folder.path().join(name);
    let path = |name: &str| dir(name).display().to_string();
    swept(&dir("whole"), &[]);
    for shard in ["1/3", "2/3", "3/3"] {
        swept(&dir(&shard[..1]), &["--shard", shard]);
    }
    assert_eq!(Study::read(&dir("1")).unwrap().runs.rows.len(), 2);
    let merged = labman_sim(&["merge", &path("merged"), &path("3"), &path("1"), &path("2")]);
    assert!(merged.status.success(), "{}", stderr(&merged));
    assert_same(&dir("whole"), &dir("merged"));
    let missing = refused(&labman_sim(&["merge", &path("a"), &path("3"), &path("1")]));
    assert!(missing.contains("shard 2/3 is missing: run it with sweep --shard 2/3"), "{missing}");
    let twice = refused(&labman_sim(&["merge", &path("b"), &path("1"), &path("2"), &path("1")]));
    assert!(twice.contains("is shard 1/3, as "), "{twice}");
    let whole = refused(&labman_sim(&["merge", &path("c"), &path("whole")]));
    assert!(whole.contains("is no shard but a whole sweep"), "{whole}");
    let full = refused(&labman_sim(&["merge", &path("whole"), &path("1"), &path("2"), &path("3")]));
    assert!(full.contains("is not empty"), "{full}");
    // A file of another shard's among them leaves nothing behind that would be in the way of the right one.
    let ticks = fs::read(dir("2").join("ticks.parquet")).unwrap();
    fs::copy(dir("1").join("ticks.parquet"), dir("2").join("ticks.parquet")).unwrap();
    let mixed = refused(&labman_sim(&["merge", &path("e"), &path("1"), &path("2"), &path("3")]));
    assert!(mixed.contains("ticks.parquet: has rows of no run of its shard"), "{mixed}");
    assert!(files(&dir("e")).is_empty());
    fs::write(dir("2").join("ticks.parquet"), ticks).unwrap();
    let csv = fs::read_to_string(dir("1").join("runs.csv")).unwrap();
    fs::write(dir("1").join("runs.csv"), csv.replacen(",0,0,0,1,", ",0,0,0,77,", 1)).unwrap();
    let seed = refused(&labman_sim(&["merge", &path("e"), &path("1"), &path("2"), &path("3")]));
    assert!(seed.contains("run 0 is missing"), "{seed}");
    swept(&dir("other"), &["--shard", "2/3", "--first-seed", "9"]);
    let other = refused(&labman_sim(&["merge", &path("d"), &path("1"), &path("other"), &path("3")]));
    assert!(other.contains("is of another sweep than "), "{other}");
}

#[test]
fn files_that_do_not_belong_together_are_no_results() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("out");
    swept(&dir, &[]);
    let (csv, kept) = (dir.join("runs.csv"), fs::read_to_string(dir.join("runs.csv")).unwrap());
    let report = || refused(&labman_sim(&["report", dir.to_str().unwrap()]));
    let lines: Vec<&str> = kept.lines().collect();
    let cut = [lines[..3].join("\n"), "\n".into()].concat();
    let other = kept.replacen(",500,1,", ",300,1,", 1);
    for (text, why) in [(cut, "has 2 of 4 runs"), (other, "runs.csv:4: is of no run")] {
        fs::write(&csv, text).unwrap();
        let told = report();
        assert!(told.contains(why) && told.contains("sweep again"), "{told}");
    }
    let twice = [lines[0], lines[1], lines[1], lines[3], lines[4], ""].join("\n");
    fs::write(&csv, twice).unwrap();
    assert!(report().contains("runs.csv:3: is of no run"));
    fs::write(&csv, &kept).unwrap();
    let (manifest, text) =
        (dir.join("manifest.json"), fs::read_to_string(dir.join("manifest.json")).unwrap());
    let mut damaged: Value = serde_json::from_str(&text).unwrap();
    damaged["points"][0]["values"] = Value::Array(Vec::new());
    fs::write(&manifest, damaged.to_string()).unwrap();
    assert!(report().contains("has no value for each path at each point"));
    fs::write(&manifest, text).unwrap();
    fs::remove_file(dir.join("ticks.parquet")).unwrap();
    let missing = refused(&sweep(&dir, &[]));
    assert!(missing.contains("ticks.parquet is missing: remove the folder"), "{missing}");
    assert!(report().contains("ticks.parquet is missing: remove the folder"));
    let nothing = folder.path().join("nothing");
    swept(&nothing, &["--shard", "9/9"]);
    let told = refused(&labman_sim(&["report", nothing.to_str().unwrap()]));
    assert!(told.contains("shard 9/9 has no run: merge it"), "{told}");
}

#[test]
fn a_journals_line_of_another_sweep_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan();
    let Ok(Place::Running(mut journal)) = Place::open(folder.path(), &plan.manifest()) else {
        panic!("nothing there")
    };
    let keep = |ended| Kept::new(&ended, &plan.points[0].variant.scenario);
    plan.run(NonZero::<usize>::MIN, &[0], &Passed::default(), keep, |kept| journal.append(&kept)).unwrap();
    drop(journal);
    let running = folder.path().join("running.jsonl");
    let text = fs::read_to_string(&running).unwrap();
    for (from, to) in [("\"point\":0", "\"point\":9"), ("\"seed\":1", "\"seed\":99")] {
        let (manifest, run) = text.split_once('\n').unwrap();
        fs::write(&running, format!("{manifest}\n{}", run.replacen(from, to, 1))).unwrap();
        let told = refused(&sweep(folder.path(), &[]));
        assert!(told.contains("running.jsonl:2: is no run of this sweep: remove the line"), "{told}");
    }
    let early = refused(&labman_sim(&["report", folder.path().to_str().unwrap()]));
    assert!(early.contains("the sweep has not come to its end: say it again"), "{early}");
}

#[test]
fn whoever_reads_the_beginning_of_a_table_only_is_no_failure() {
    let file = one_provider().display().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_labman-sim"));
    command
        .args(["sweep", &file, "--seeds", "40", "--set", TAGS])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}

#[cfg(target_os = "linux")]
#[test]
fn a_table_that_does_not_fit_where_it_goes_is_no_success() {
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let file = one_provider().display().to_string();
    for args in [&["sweep", &file, "--seeds", "1", "--set", TAGS][..], &["explain"]] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_labman-sim")).args(args).stdout(full()).output().unwrap();
        let told = refused(&output);
        assert!(told.contains("stdout: No space left on device"), "{told}");
    }
}

#[test]
fn directories_are_compared_as_their_tables_are() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    swept(&one, &[]);
    swept(&two, &["--set", "user.0.deposit=7"]);
    let sheet = |path: &Path| labman_sim::results::Sheet::open(path).unwrap();
    let of_tables = Comparison::new(&sheet(&one.join("runs.csv")), &sheet(&two.join("runs.csv"))).unwrap();
    let output = labman_sim(&["compare", one.to_str().unwrap(), two.to_str().unwrap(), "--json"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let wanted: Value = serde_json::from_str(&of_tables.to_json().to_string()).unwrap();
    assert_eq!(found["points"], wanted["points"]);
    assert_eq!(found["points"][0]["pairs"], 2);
}

#[test]
fn a_comparison_of_directories_tells_what_was_set_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    swept(&one, &[]);
    swept(&two, &["--set", "user.0.deposit=7"]);
    let (one, two) = (one.to_str().unwrap(), two.to_str().unwrap());
    let page = stdout(&labman_sim(&["compare", one, two]));
    assert!(page.contains("\nset otherwise:\n  user.0.deposit: \"3\" in A, \"7\" in B\n"), "{page}");
    let json = |a: &str, b: &str| -> Value {
        serde_json::from_slice(&labman_sim(&["compare", a, b, "--json"]).stdout).unwrap()
    };
    let wanted = serde_json::json!([{ "path": "user.0.deposit", "a": "3", "b": "7" }]);
    assert_eq!(json(one, two)["settings"], wanted);
    assert_eq!(json(one, one)["settings"], serde_json::json!([]));
    // A table alone does not say what it is of.
    assert!(json(&format!("{one}/runs.csv"), two)["settings"].is_null());
}

#[test]
fn the_scenario_s_file_is_known_by_its_name_wherever_it_lies() {
    let folder = tempfile::tempdir().unwrap();
    let swept = |place: &str, out: &str, more: &[&str]| {
        let (file, out) = (folder.path().join(place), folder.path().join(out));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::copy(one_provider(), &file).unwrap();
        let always = ["sweep", file.to_str().unwrap(), "--seeds", "2", "--set", TAGS, "--out"];
        let output = labman_sim(&[&always[..], &[out.to_str().unwrap()], more].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        out
    };
    let one = swept("here/my study.toml", "one", &[]);
    assert_same(&one, &swept("there/my study.toml", "two", &[]));
    assert_eq!(Study::read(&one).unwrap().manifest.file, "my study.toml");
    labman_sim(&["report", one.to_str().unwrap()]);
    let page = fs::read_to_string(one.join("report.html")).unwrap();
    assert!(page.contains("labman-sim sweep my_study.toml --seeds 2"));
    fs::remove_file(one.join("report.html")).unwrap();
    // The first shard's, in whatever order they are named.
    let first = swept("here/my study.toml", "first", &["--shard", "1/2"]);
    let second = swept("here/copy.toml", "second", &["--shard", "2/2"]);
    let whole = folder.path().join("whole");
    let args = [&whole, &second, &first].map(|path| path.to_str().unwrap());
    let merged = labman_sim(&[&["merge"], &args[..]].concat());
    assert!(merged.status.success(), "{}", stderr(&merged));
    assert_same(&whole, &one);
}

#[test]
fn designs_of_several_kinds_are_combined() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("points.csv");
    fs::write(&list, "user.0.deposit,network\n5,a\n6,b\n").unwrap();
    let file = one_provider().display().to_string();
    let args = ["sweep", &file, "--seeds", "1", "--set", TAGS, "--list", list.to_str().unwrap()];
    let more =
        ["--latin", "fep.fees.fep_bps=0..500", "--latin", "provider.0.claim_every=10s..40s", "--points", "2"];
    let output = labman_sim(&[&args[..], &more].concat());
    let table = stdout(&output);
    let header =
        "scenario,variant,point,run,user.0.deposit,network,fep.fees.fep_bps,provider.0.claim_every,seed,";
    assert!(table.starts_with(header), "{table}{}", stderr(&output));
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let cell = |row: usize, at: usize| rows[row].get(at).unwrap();
    let deposits: Vec<&str> = (0..4).map(|row| cell(row, 4)).collect();
    assert_eq!(deposits, ["5", "5", "6", "6"]);
    // The same two points of the hypercube with either.
    assert_eq!((cell(0, 6), cell(1, 7)), (cell(2, 6), cell(3, 7)));
    assert_ne!(cell(0, 6), cell(1, 6));
    let alone = refused(&labman_sim(&["sweep", &file, "--seeds", "1", "--latin", "fep.fees.fep_bps=0..500"]));
    assert!(alone.contains("--points"), "{alone}");
}

#[test]
fn a_scenario_is_checked_without_running_it() {
    let file = one_provider().display().to_string();
    let good = labman_sim(&["check", &file]);
    assert!(good.status.success() && stdout(&good).ends_with(": good\n"), "{}", stdout(&good));
    let bad = labman_sim(&["check", &file, "--set", "expect.0.field=jobs.lost", "--json"]);
    assert_eq!(bad.status.code(), Some(1));
    let told: Value = serde_json::from_slice(&bad.stdout).unwrap();
    assert_eq!(told["good"], false);
    assert!(told["problems"][0].as_str().unwrap().contains("there is no \"jobs.lost\""), "{told}");
}

#[test]
fn what_is_hardly_meant_is_told_before_it_runs() {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/market/fees.toml").display().to_string();
    let late = ["--set", "duration=2m", "--set", "arrivals.0.until=3m"];
    let checked = labman_sim(&[&["check", &file, "--json"], &late[..]].concat());
    let told: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(told["good"], true);
    assert!(told["doubts"][0].as_str().unwrap().starts_with("arrivals chat: until is later"), "{told}");
    // Of the points that are run, not of the file as it is.
    let grid = ["sweep", &file, "--seeds", "1", "--set", "duration=2m", "--grid", "arrivals.0.until=1m,3m"];
    let swept = labman_sim(&grid);
    let notes: Vec<String> =
        stderr(&swept).lines().filter(|line| line.starts_with("note: ")).map(str::to_owned).collect();
    assert!(notes.len() == 1 && notes[0].contains("point 1: arrivals chat: until is later"), "{notes:?}");
}

#[test]
fn a_figure_is_explained_and_one_that_there_is_not_is_not() {
    let page = stdout(&labman_sim(&["explain", "ttft.p95_ms"]));
    assert!(page.starts_with("ttft.p95_ms\n") && page.contains("nearest rank"), "{page}");
    let table = stdout(&labman_sim(&["explain"]));
    assert!(table.lines().count() > 50 && table.contains("income.gini_ppm"), "{table}");
    let near = refused(&labman_sim(&["explain", "ttft"]));
    assert!(near.contains("there is ttft.p50_ms, "), "{near}");
}
