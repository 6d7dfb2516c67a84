//! The story of a run, as a person reads it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use labman_sim::run::{Options, run_told};
use labman_sim::scenario::load;
use labman_sim::story::{Story, Wish, page};
use labman_sim::{Report, run};

fn scenario(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios").join(name)
}

struct Told {
    report: Report,
    file: tempfile::NamedTempFile,
}

fn told(name: &str, seed: u64) -> Told {
    let file = tempfile::NamedTempFile::new().unwrap();
    let story = Story::to(file.path()).unwrap();
    let report = run_told(&load(&scenario(name)).unwrap(), seed, Options::default(), story).unwrap();
    Told { report, file }
}

impl Told {
    fn page(&self, wish: &Wish) -> String {
        let mut out = Vec::new();
        page(self.file.path(), wish, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn of_job(&self, job: &str) -> String {
        self.page(&Wish { job: Some(job.into()), ..Wish::default() })
    }
}

/// Each of these stands in a line after the one of that before it: host, arrow, other party, and what is said.
fn in_order(page: &str, steps: &[[&str; 4]]) {
    let mut lines = page.lines();
    for step in steps {
        let [host, arrow, other, what] = step;
        let is_it = |line: &str| {
            let mut words = line.split_whitespace().skip(1);
            words.next() == Some(host)
                && (arrow.is_empty() || (words.next() == Some(arrow) && words.next() == Some(other)))
                && line.contains(what)
        };
        assert!(lines.any(is_it), "{step:?} is not in its place in\n{page}");
    }
}

fn request_ids(page: &str) -> std::collections::BTreeSet<&str> {
    page.match_indices("req_").filter_map(|(at, _)| page.get(at + 4..at + 36)).collect()
}

#[test]
fn one_job_is_followed_through_every_party_and_no_other_is_seen() {
    let told = told("first-light.toml", 7);
    assert!(told.report.passed(), "{}", told.report);
    let page = told.of_job("first-words");
    let runtime = "harbour.box-1.runtime";
    in_order(
        &page,
        &[
            ["ada", "", "", "user  asks gateway for first-words"],
            ["ada", "->", "gateway", "POST http://gateway/v1/chat/completions"],
            ["gateway", "->", "portal", "POST http://portal/v1/authorize  AuthorizeRequest req_"],
            ["portal", "->", "gateway", "JobAuthorization"],
            ["gateway", "->", "harbour", "ProxyRequest req_"],
            ["harbour", "->", "harbour/box-1", "start job 1"],
            ["harbour/box-1", "->", runtime, "/v1/chat/completions"],
            [runtime, "->", "harbour/box-1", "event"],
            ["harbour/box-1", "->", "harbour", "chunk job 1"],
            ["harbour", "->", "gateway", "Chunk"],
            ["harbour", "->", "gateway", "ProxyMark req_"],
            ["gateway", "->", "ada", "event"],
            ["gateway", "->", "harbour", "StreamAck"],
            ["harbour/box-1", "->", "harbour", "done job 1"],
            ["harbour", "->", "gateway", "ProxyEnd authorization"],
            ["gateway", "->", "ada", "[DONE]"],
            ["gateway", "->", "portal", "UsageReport"],
            ["portal", "", "", "settled"],
            ["portal", "->", "gateway", "Receipt"],
            ["gateway", "->", "harbour", "ReceiptDelivery"],
            ["harbour", "->", "gateway", "ReceiptAck"],
        ],
    );
    let ids = request_ids(&page);
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert!(!page.contains("quay") && !page.contains("grace"), "{page}");
    let id = ids.first().unwrap();
    assert_eq!(told.of_job(&format!("req_{id}")), page, "its request id leads to the same");
    assert_eq!(told.of_job(id), page);
}

#[test]
fn jobs_of_one_socket_at_one_time_are_kept_apart() {
    let told = told("first-light.toml", 7);
    for job in ["in-one-piece", "at-the-same-time", "at-her-own-pace"] {
        let page = told.of_job(job);
        assert_eq!(request_ids(&page).len(), 1, "{page}");
        for what in [" start job ", " chunk job ", " done job ", "ReceiptAck"] {
            assert!(page.contains(what), "{what} of {job} in\n{page}");
        }
    }
}

#[test]
fn a_refused_job_s_way_ends_at_who_refused_it() {
    let told = told("first-light.toml", 7);
    let page = told.of_job("no-balance");
    in_order(
        &page,
        &[
            ["gateway", "->", "portal", "AuthorizeRequest"],
            ["portal", "->", "gateway", "HTTP 402"],
            ["gateway", "->", "penniless", "HTTP 429"],
        ],
    );
    assert!(!page.contains("ProxyRequest"), "{page}");
}

#[test]
fn telling_a_story_changes_nothing() {
    for (name, seed) in [("first-light.toml", 7), ("provider-dies.toml", 3)] {
        let told = told(name, seed).report;
        assert_eq!(told.trace_hash, run(&load(&scenario(name)).unwrap(), seed).trace_hash);
    }
}

#[test]
fn a_death_and_a_fault_are_told() {
    let page = told("provider-dies.toml", 1).page(&Wish::default());
    for what in ["fault Crash", "dies", "starts", "link down: TimedOut"] {
        assert!(page.contains(what), "{what} is not in\n{page}");
    }
}

#[test]
fn a_story_can_be_cut_to_hosts_and_times() {
    let told = told("first-light.toml", 7);
    let second = labman_proto_core::time::Span::from_secs;
    let wish = Wish {
        nodes: vec!["portal".into(), "quay".into()],
        from: Some(second(2)),
        until: Some(second(5)),
        ..Wish::default()
    };
    let page = told.page(&wish);
    let words: Vec<Vec<&str>> = page.lines().map(|line| line.split_whitespace().collect()).collect();
    let hosts: std::collections::BTreeSet<_> = words.iter().map(|words| words[1]).collect();
    assert_eq!(hosts.into_iter().collect::<Vec<_>>(), ["portal", "quay"]);
    let times = words.iter().map(|words| words[0].parse::<f64>().unwrap());
    assert!(times.into_iter().all(|time| (2.0..=5.0).contains(&time)));
    let all = told.page(&Wish { all: true, ..wish });
    assert!(all.lines().count() > page.lines().count());
    assert!(all.contains("grants ") && !page.contains("grants "));
}

#[test]
fn a_name_that_is_not_there_is_answered_with_those_that_are() {
    let told = told("conformance/one-provider.toml", 1);
    let ask = |wish: Wish| page(told.file.path(), &wish, &mut Vec::new()).unwrap_err();
    let error = ask(Wish { job: Some("no-such".into()), ..Wish::default() });
    assert!(error.contains("no job \"no-such\"") && error.contains(&*told.report.outcomes[0].job), "{error}");
    let error = ask(Wish { nodes: vec!["no-such".into()], ..Wish::default() });
    assert!(error.contains("no host \"no-such\"") && error.contains("portal"), "{error}");
}

fn cut_or_empty(file: &Path, bytes: &[u8]) -> (String, String) {
    std::fs::write(file, bytes).unwrap();
    let mut out = Vec::new();
    let error = page(file, &Wish::default(), &mut out).unwrap_err();
    (String::from_utf8(out).unwrap(), error)
}

#[test]
fn a_story_that_breaks_off_is_told_as_far_as_it_goes_and_then_it_fails() {
    let told = told("first-light.toml", 7);
    let whole = std::fs::read(told.file.path()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cut.jsonl");
    let second = 1 + whole.iter().position(|byte| *byte == b'\n').unwrap();
    let (shown, error) = cut_or_empty(&file, &whole[..second + 9]);
    assert!(shown.contains("starts") && error.contains("line 2 is none of a trace"), "{shown}{error}");
    let (shown, error) = cut_or_empty(&file, &[&whole[..second], b"\xff\n"].concat());
    assert!(shown.contains("starts") && error.contains("line 2: "), "{shown}{error}");
    let (shown, error) = cut_or_empty(&file, b"");
    assert!(shown.is_empty() && error.contains("it is empty"), "{error}");
}

fn labman_sim(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_labman-sim")).args(args).output().expect("it runs")
}

#[test]
fn the_program_writes_a_story_and_reads_it_to_whoever_listens_only_to_the_beginning() {
    let directory = tempfile::tempdir().unwrap();
    let story = directory.path().join("story.jsonl");
    let (story, file) = (story.to_str().unwrap(), scenario("first-light.toml"));
    let file = file.to_str().unwrap();
    let refused = labman_sim(&["run", file, file, "--trace", story]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("one file"));
    assert!(labman_sim(&["run", file, "--seed", "7", "--trace", story]).status.success());
    let mut reading = Command::new(env!("CARGO_BIN_EXE_labman-sim"))
        .args(["trace", story, "--all"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(reading.stdout.take());
    let read = reading.wait_with_output().unwrap();
    assert!(read.status.success() && read.stderr.is_empty(), "{}", String::from_utf8_lossy(&read.stderr));
}
