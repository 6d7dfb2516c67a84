//! How soon what was taken is free again, and how much slower an attack may make everybody else.

use std::path::Path;

use labman_proto_core::time::Span;
use labman_sim::adversary::{Adversary, Intruder};
use labman_sim::faults::{Crash, Fault, Inject};
use labman_sim::report::{Ending, JobOutcome};
use labman_sim::run;
use labman_sim::scenario::{Scenario, load};

const SEEDS: std::ops::RangeInclusive<u64> = 1..=5;

fn scenario(name: &str) -> Scenario {
    load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios").join(name)).expect("it loads")
}

/// What becomes of the two jobs of `one-slot.toml` if the second comes at that moment.
fn two_jobs(next_at: Span, change: impl Fn(&mut Scenario)) -> Vec<[JobOutcome; 2]> {
    let mut scenario = scenario("one-slot.toml");
    scenario.expects.clear();
    scenario.jobs[1].at = next_at;
    change(&mut scenario);
    let outcomes = SEEDS.map(|seed| {
        let report = run(&scenario, seed);
        assert!(report.passed() && report.settled, "{report}");
        report.outcomes.try_into().expect("two jobs")
    });
    outcomes.collect()
}

fn seconds(seconds: u64) -> Span {
    Span::from_secs(seconds)
}

#[test]
fn one_slot_serves_one_at_a_time() {
    for [first, next] in two_jobs(seconds(2), |_| {}) {
        assert_eq!(first.ending(), Ending::Completed, "{first:?}");
        assert_eq!((next.ending(), next.http_status), (Ending::Refused, 429), "{next:?}");
    }
}

#[test]
fn a_user_who_leaves_frees_the_slot_within_a_second() {
    // Asked at 1 s, left at 3 s.
    for [first, next] in two_jobs(seconds(4), |it| it.jobs[0].leaves_after = Some(seconds(2))) {
        assert_ne!(first.ending(), Ending::Completed, "{first:?}");
        assert_eq!(next.ending(), Ending::Completed, "{next:?}");
    }
}

#[test]
fn a_user_who_stops_reading_frees_the_slot_after_thirty_seconds() {
    let stops = |scenario: &mut Scenario| scenario.jobs[0].stops_reading_after = Some(seconds(2));
    // Until all windows on the way are full, a few seconds pass.
    for [first, next] in two_jobs(seconds(3 + 30 + 8), stops) {
        assert_ne!(first.ending(), Ending::Completed, "{first:?}");
        assert_eq!(next.ending(), Ending::Completed, "{next:?}");
    }
}

#[test]
fn a_portman_that_dies_frees_the_slot_within_two_seconds_of_its_return() {
    let dies = |scenario: &mut Scenario| {
        let inject = Inject::Crash(Crash { host: "harbour/box".into(), writing: false });
        scenario.faults = vec![Fault { at: seconds(2), lasting: seconds(1), inject }];
    };
    for [first, next] in two_jobs(seconds(5), dies) {
        let how = (first.ending(), first.error_code.as_deref());
        assert_eq!(how, (Ending::Failed, Some("provider_failed")), "{first:?}");
        assert!(!first.text.is_empty() && first.finish_reason.is_none(), "cut short, and said so: {first:?}");
        assert_eq!(next.ending(), Ending::Completed, "{next:?}");
    }
}

#[test]
fn who_dribbles_makes_nobody_else_wait_twice_as_long() {
    let base = || {
        let mut scenario = scenario("first-light.toml");
        (scenario.whole, scenario.duration) = (true, seconds(200));
        scenario.expects.clear();
        for arrivals in &mut scenario.arrivals {
            (arrivals.every, arrivals.until) = (seconds(1), seconds(150));
        }
        scenario
    };
    let mut attacked = base();
    for target in ["gateway", "portal", "harbour"] {
        attacked.adversaries.push(Adversary {
            name: format!("loris-{target}"),
            strategy: Intruder::SlowLoris,
            target: target.into(),
            count: None,
            networks: None,
            from: Span::default(),
            until: None,
        });
    }
    for seed in 1..=2 {
        let [calm, harassed] = [base(), attacked.clone()].map(|scenario| {
            let report = run(&scenario, seed);
            assert!(report.passed(), "{report}");
            let jobs = report.outcomes.iter().filter(|job| job.ending() == Ending::Completed);
            let mut took: Vec<u64> = jobs.map(|job| job.took_us).collect();
            took.sort_unstable();
            assert!(took.len() > 100, "{} jobs", took.len());
            took
        });
        let p99 = |took: &[u64]| took[took.len() * 99 / 100];
        assert!(calm.len() <= harassed.len(), "seed {seed}: {} of {} served", harassed.len(), calm.len());
        assert!(p99(&harassed) <= 2 * p99(&calm), "seed {seed}: {} us, {} us", p99(&harassed), p99(&calm));
    }
}
