//! What a mesh promises, on meshes small enough for every change: the scenarios of `scenarios/mesh/` with fewer nodes and less
//! time. The bounds are theirs; so is what each shows.

use std::path::Path;

use labman_proto_core::time::Span;
use labman_sim::scenario::{Scenario, load};
use labman_sim::{Report, run};

/// The scenario with so many of each group; a group that is not named stays as it is. What it expects is left to the test.
fn shrunk(name: &str, groups: &[(&str, u32)]) -> Scenario {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/mesh").join(name);
    let mut scenario = load(&path).expect("it loads");
    let stays = |name: &str| {
        let (group, number) = name.rsplit_once('-').unwrap_or((name, "1"));
        let number: u32 = number.parse().unwrap_or(1);
        groups.iter().find(|(prefix, _)| group == *prefix).is_none_or(|(_, most)| number <= *most)
    };
    scenario.gateways.retain(|gateway| stays(&gateway.name));
    scenario.providers.retain(|provider| stays(&provider.name));
    scenario.faults.retain(|fault| {
        fault.inject.hosts().iter().all(|host| stays(host.split('/').next().unwrap_or(host)))
    });
    scenario.expects.clear();
    scenario
}

fn seconds(seconds: u64) -> Span {
    Span::from_secs(seconds)
}

fn passed(scenario: &Scenario) -> Report {
    let report = run(scenario, 1);
    assert!(report.passed(), "{report}");
    report
}

fn figure(report: &Report, name: &str) -> i64 {
    report.figure(name).unwrap_or_else(|| panic!("no figure {name}"))
}

#[test]
fn what_changes_is_known_in_time_and_the_dead_are_forgotten() {
    let mut groups = vec![("tide", 12)];
    let families = [
        "amber", "birch", "cedar", "drift", "ember", "fjord", "gull", "harbour", "iris", "jetty", "kelp",
        "lantern", "marsh", "north", "opal", "pier", "quay", "reef", "shoal",
    ];
    let gates: Vec<String> = families.iter().map(|family| format!("gate-{family}")).collect();
    groups.extend(gates.iter().map(|gate| (gate.as_str(), 1)));
    groups.extend(families.map(|family| (family, 1)));
    let report = passed(&shrunk("convergence-1k.toml", &groups));
    assert!(figure(&report, "mesh.spread") >= 10, "{report}");
    // Twice the logarithm of fifty, in periods of a second.
    assert!(figure(&report, "mesh.reached_999_ms") <= 11_000, "{report}");
    assert_eq!((figure(&report, "mesh.gone"), figure(&report, "mesh.late")), (2, 0), "{report}");
    assert!(figure(&report, "mesh.gone_ms") <= 30_000, "{report}");
}

#[test]
fn a_mesh_that_was_cut_in_two_agrees_within_five_periods_as_a_rule() {
    // All gateways: the fewer there are, the fewer calls cross the cut when it heals.
    let groups = [("amber", 2), ("birch", 2), ("cedar", 2), ("drift", 2)];
    let mut scenario = shrunk("partition.toml", &groups);
    scenario.duration = seconds(240);
    // Where the first call after the cut comes late, all do: the longest pause between two is four seconds.
    let mut healed: Vec<i64> = (6..=10)
        .map(|seed| {
            let report = run(&scenario, seed);
            assert!(report.passed() && figure(&report, "mesh.healed") == 1, "{report}");
            figure(&report, "mesh.healed_ms")
        })
        .collect();
    healed.sort_unstable();
    assert!(healed[3] <= 5_000 && healed[4] <= 7_000, "{healed:?}");
}

#[test]
fn who_is_surrounded_by_twenty_names_for_each_honest_node_finds_somebody_honest_within_two_minutes() {
    let mut scenario = shrunk("sybils.toml", &[("tide", 2)]);
    scenario.adversaries.iter_mut().for_each(|adversary| adversary.count = Some(100));
    scenario.duration = seconds(270);
    for fault in &mut scenario.faults {
        (fault.at, fault.lasting) = (seconds(120), fault.lasting.min(seconds(150)));
    }
    let report = passed(&scenario);
    let deeds =
        ["sybil-swarm", "eclipser"].map(|name| report.marks.faults.get(name).copied().unwrap_or_default());
    assert!(deeds.iter().all(|deeds| *deeds > 100), "{report}");
    // It was alone, or nothing was shown.
    let alone = figure(&report, "mesh.alone_ms");
    assert!(alone > 0 && alone <= 120_000, "{report}");
    assert!(figure(&report, "mesh.swarm_permille") <= 900, "{report}");
}

#[test]
fn who_is_slandered_stays_known_and_who_is_dead_does_not() {
    let mut scenario = shrunk("slander.toml", &[("gate", 6), ("slanderer", 3), ("tide", 8)]);
    scenario.duration = seconds(150);
    for fault in &mut scenario.faults {
        (fault.at, fault.lasting) = (seconds(60), seconds(60));
    }
    let report = passed(&scenario);
    assert!(report.marks.faults.get("slanderer").is_some_and(|deeds| *deeds > 1_000), "{report}");
    assert!(
        figure(&report, "mesh.absent_ppm") <= 1_000 && figure(&report, "mesh.lost_ms") <= 2_000,
        "{report}"
    );
    assert_eq!((figure(&report, "mesh.gone"), figure(&report, "mesh.late")), (2, 0), "{report}");
}

#[test]
fn with_a_third_of_all_dishonest_nine_in_ten_jobs_among_the_honest_are_served() {
    let mut scenario = shrunk("byzantine.toml", &[]);
    scenario.duration = seconds(60);
    scenario.arrivals.iter_mut().for_each(|arrivals| arrivals.until = seconds(10));
    let report = passed(&scenario);
    assert!(report.goodput.asked > 20, "{report}");
    assert!(figure(&report, "jobs.goodput_permille") >= 900, "{report}");
}

#[test]
fn whoever_asks_a_gateway_without_a_link_to_a_provider_is_served_by_one_that_is_asked_to_call() {
    let mut scenario = shrunk("invites.toml", &[("gate", 20)]);
    scenario.duration = seconds(120);
    scenario.arrivals.iter_mut().for_each(|arrivals| arrivals.until = seconds(60));
    let report = passed(&scenario);
    assert!(figure(&report, "jobs.completed") >= 20, "{report}");
    assert_eq!(figure(&report, "jobs.refused") + figure(&report, "jobs.failed"), 0, "{report}");
}
