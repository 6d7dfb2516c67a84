//! How long a runtime takes, as users see it; how long jobs take and who does them, as a report sums it up.

use labman_sim::report::JobOutcome;
use labman_sim::{Report, run, scenario};

/// Jobs one after the other, each for one of the models, `swift` and `slow`, where the way there and back always takes
/// the same. Of `slow` is said how its runtime takes its time.
fn report(top: &str, slow: &str, models: &[&str], stream: bool) -> Report {
    let job = |(number, model): (usize, &&str)| {
        format!(
            "[[job]]\nname = \"j{number}\"\nuser = \"ada\"\nmodel = \"{model}\"\nprompt = \"one two\"\nmax_tokens = 3\n\
             stream = {stream}\n"
        )
    };
    let provider = |model: &str, runtime: &str| {
        format!(
            r#"
[[provider]]
name = "{model}-one"
tenant = "{model}"
[[provider.portman]]
ep = "box"
model = "{model}"
price = {{ per_request = "0.01" }}
token_every = "20ms"
{runtime}"#
        )
    };
    let text = format!(
        r#"name = "service"
duration = "1h"
scheme = "tag"
one_by_one = true
{top}
[latency]
mesh = {{ constant = "1ms" }}
http = {{ constant = "1ms" }}
local = {{ constant = "1us" }}
disk = {{ constant = "100us" }}
[fep]
name = "portal"
[[gateway]]
name = "gateway"
{}{}
[[user]]
name = "ada"
deposit = "100"
{}"#,
        provider("swift", ""),
        provider("slow", slow),
        models.iter().enumerate().map(job).collect::<String>()
    );
    let report = run(&scenario::parse("service.toml", &text).expect("a scenario"), 1);
    assert!(report.passed() && report.settled, "{report}");
    report
}

fn ttft_us(outcome: &JobOutcome) -> u64 {
    outcome.ttft_us.expect("it was served")
}

#[test]
fn a_slow_start_is_seen_by_whoever_waits_for_the_first_token() {
    let starts = "prompt_token_every = \"10ms\"\nthinks = { constant = \"300ms\" }";
    // Two words of prompt, and three for the message.
    let later_us = 5 * 10_000 + 300_000;
    for stream in [true, false] {
        let one = |starts| report("", starts, &["slow"], stream).outcomes.remove(0);
        let (plain, slow) = (one(""), one(starts));
        assert_eq!(ttft_us(&slow), ttft_us(&plain) + later_us, "stream: {stream}");
        assert_eq!(slow.took_us, plain.took_us + later_us, "stream: {stream}");
    }
}

#[test]
fn what_comes_behind_the_last_token_is_waited_for_by_whoever_waits_for_the_end() {
    let later_us = 700_000;
    for stream in [true, false] {
        let one = |ends| report("", ends, &["slow"], stream).outcomes.remove(0);
        let (plain, slow) = (one(""), one("ends_after = \"700ms\""));
        let first_later_us = if stream { 0 } else { later_us };
        assert_eq!(ttft_us(&slow), ttft_us(&plain) + first_later_us, "stream: {stream}");
        assert_eq!(slow.took_us, plain.took_us + later_us, "stream: {stream}");
    }
}

#[test]
fn thoughts_of_a_mean_come_out_as_that_mean_and_as_the_seed_says() {
    let first_us = ttft_us(&report("", "", &["slow"], true).outcomes[0]);
    let thinking = || report("", "thinks = { exponential = \"200ms\" }", &["slow"; 150], true);
    let told = thinking();
    let thought_us = told.figure("ttft.mean_us").unwrap() - first_us as i64;
    assert!((160_000..240_000).contains(&thought_us), "{thought_us}");
    assert_eq!(thinking().to_json().to_string(), told.to_json().to_string());
}

#[test]
fn a_report_sums_up_the_jobs_that_were_asked_for_after_the_warm_up() {
    let models = ["slow", "slow", "swift", "swift", "slow", "swift", "swift"];
    let thinks = "thinks = { constant = \"300ms\" }";
    let all = report("", thinks, &models, true);
    assert_eq!(all.to_json()["providers"].to_string(), r#"{"slow-one":3,"swift-one":4}"#);
    assert_eq!(all.outcomes[0].asked_at_us, Some(0));

    // From the second job on.
    let from_us = all.outcomes[1].asked_at_us.expect("it was asked for");
    let report = report(&format!("measure_from = \"{from_us}us\""), thinks, &models, true);
    assert_eq!(report.trace_hash, all.trace_hash, "measuring changes nothing");
    let took: Vec<u64> = all.outcomes[1..].iter().map(|job| job.took_us).collect();
    let json = report.to_json();
    assert_eq!(json["sojourn_ms"]["count"], 6);
    assert_eq!(json["sojourn_ms"]["mean"], took.iter().sum::<u64>() as f64 / 6e3);
    assert_eq!(json["sojourn_ms"]["p99"], *took.iter().max().unwrap() as f64 / 1e3);
    assert_eq!(json["providers"].to_string(), r#"{"slow-one":2,"swift-one":4}"#);
    assert_eq!(json["jobs"]["fairness"], 1.0, "each is one of a kind");
}

#[test]
fn what_is_measured_can_be_expected() {
    let expect = |field: &str, op: &str, value: i64| {
        format!("[[expect]]\nfield = \"{field}\"\nop = \"{op}\"\nvalue = {value}\n")
    };
    let expects = [
        expect("jobs.fairness_ppm", "==", 1_000_000),
        expect("sojourn.count", "==", 2),
        expect("ttft.count", "==", 2),
        expect("ttft.mean_us", "<", 60_000),
        expect("sojourn.mean_us", ">=", 60_000),
        expect("sojourn.p99_us", "<", 100_000),
    ];
    report(&expects.concat(), "", &["swift", "swift"], true);
}
