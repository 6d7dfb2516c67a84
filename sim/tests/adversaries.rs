//! One dishonest party at a time, over a few seeds: whoever is honest and deals with the honest is served exactly, their
//! books hold, and no honest machine panics, stops, or holds more than its limits say.
//!
//! The run itself checks exactness, books and limits; what is here is who is dishonest, and what must come out besides.

use std::path::Path;

use labman_proto_core::money::Micros;
use labman_proto_core::time::Span;
use labman_sim::adversary::{Adversary, Dishonest, Intruder, KINDS, Role};
use labman_sim::report::{Ending, Report};
use labman_sim::run;
use labman_sim::scenario::{Fep, Gateway, Provider, Scenario, Scheme, User, load};

const SEEDS: std::ops::RangeInclusive<u64> = 1..=3;

/// The smallest mesh that does everything, with a second gateway and a third provider, which are to be dishonest: `annex`
/// and `reef`, and users who deal with them: `mallory` and `trent`.
fn mesh() -> Scenario {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/first-light.toml");
    let mut mesh = load(&path).expect("it loads");
    mesh.scheme = Scheme::Tag;
    mesh.duration = Span::from_secs(240);
    mesh.expects.clear();
    let reef = Provider { name: "reef".into(), tenant: "reef".into(), ..mesh.providers[0].clone() };
    mesh.providers.push(reef);
    mesh.gateways.push(Gateway { name: "annex".into(), ..mesh.gateways[0].clone() });
    let deposit = Micros(50_000_000);
    mesh.users.extend(["mallory", "trent"].map(|name| User { name: name.into(), count: None, deposit }));
    for job in &mut mesh.jobs {
        job.gateway = Some("gateway".into());
    }
    let template = mesh.arrivals[0].clone();
    for arrivals in &mut mesh.arrivals {
        arrivals.gateway = Some("gateway".into());
    }
    for (user, gateway, model) in [
        ("mallory", "annex", "harbour:box-1:lantern"),
        ("mallory", "annex", "reef:box-1:lantern"),
        ("trent", "gateway", "reef:box-1:lantern"),
    ] {
        let mut more = template.clone();
        more.name = format!("{user}-{}", &model[..4]);
        (more.user, more.gateway, more.model) = (user.into(), Some(gateway.into()), model.into());
        (more.every, more.until) = (Span::from_secs(2), Span::from_secs(30));
        mesh.arrivals.push(more);
    }
    mesh
}

fn with(change: impl FnOnce(&mut Scenario)) -> Scenario {
    let mut scenario = mesh();
    change(&mut scenario);
    scenario
}

/// Runs the scenario over the seeds: everything that is checked must hold, and the strategy must have done something.
fn survived(strategy: &str, scenario: &Scenario) -> Vec<Report> {
    let reports: Vec<Report> = SEEDS.map(|seed| run(scenario, seed)).collect();
    for report in &reports {
        assert!(report.passed(), "{strategy}, seed {}: {:#?}\n{report}", report.seed, report.failures);
    }
    let deeds: u64 = reports.iter().filter_map(|report| report.marks.faults.get(strategy)).sum();
    assert!(deeds > 0, "{strategy} did nothing in any run");
    reports
}

/// Users of first-light who deal with honest gateways and providers only, and have money.
fn the_honest_are_served(reports: &[Report]) {
    for report in reports {
        for job in report.outcomes.iter().filter(|job| ["ada", "grace", "edsger"].contains(&&*job.user)) {
            let refused = ["unknown-model", "wrong-key"].contains(&&*job.job);
            let ending = if refused { Ending::Refused } else { Ending::Completed };
            assert_eq!(job.ending(), ending, "seed {}: {job:?}\n{report}", report.seed);
        }
    }
}

fn dishonest_provider(strategy: Dishonest) -> Vec<Report> {
    let reports = survived(strategy.name(), &with(|mesh| mesh.providers[2].strategy = Some(strategy)));
    the_honest_are_served(&reports);
    reports
}

fn dishonest_gateway(strategy: Dishonest) -> Vec<Report> {
    let reports = survived(strategy.name(), &with(|mesh| mesh.gateways[1].strategy = Some(strategy)));
    the_honest_are_served(&reports);
    reports
}

fn dishonest_fep(strategy: Dishonest) -> Vec<Report> {
    survived(strategy.name(), &with(|mesh| mesh.fep.strategy = Some(strategy)))
}

fn attacked(strategy: Intruder, target: &str) -> Vec<Report> {
    let adversary = Adversary {
        name: "eve".into(),
        strategy,
        target: target.into(),
        count: None,
        networks: None,
        from: Span::from_secs(0),
        until: Some(Span::from_secs(30)),
    };
    let reports = survived(strategy.name(), &with(|mesh| mesh.adversaries.push(adversary)));
    the_honest_are_served(&reports);
    reports
}

macro_rules! stories {
    ($($story:ident $run:ident($($argument:expr),*);)*) => {
        $(
            #[test]
            fn $story() {
                $run($($argument),*);
            }
        )*
    };
}

stories! {
    a_provider_that_equivocates_confuses_nobody_else dishonest_provider(Dishonest::Equivocator);
    a_gateway_that_equivocates_confuses_nobody_else dishonest_gateway(Dishonest::Equivocator);
    what_a_provider_forges_is_not_believed dishonest_provider(Dishonest::Forger);
    what_a_gateway_forges_is_not_believed dishonest_gateway(Dishonest::Forger);
    a_provider_s_fuzzed_frames_reach_the_checks_and_no_further dishonest_provider(Dishonest::FrameFuzzer);
    a_gateway_s_fuzzed_frames_reach_the_checks_and_no_further dishonest_gateway(Dishonest::FrameFuzzer);
    a_provider_that_turns_bad_harms_its_own_users_only dishonest_provider(Dishonest::GoodThenBad);
    a_gateway_that_turns_bad_harms_its_own_users_only dishonest_gateway(Dishonest::GoodThenBad);
    a_gateway_that_lies_takes_nothing_from_others dishonest_gateway(Dishonest::LyingGateway);
    a_provider_s_oversize_frames_end_its_own_streams dishonest_provider(Dishonest::Oversizer);
    a_gateway_s_oversize_frames_end_its_own_streams dishonest_gateway(Dishonest::Oversizer);
    what_a_provider_replays_is_heard_once dishonest_provider(Dishonest::Replayer);
    what_a_gateway_replays_is_heard_once dishonest_gateway(Dishonest::Replayer);
    a_provider_that_breaks_off_leaves_nobody_waiting dishonest_provider(Dishonest::Truncator);
    a_gateway_that_breaks_off_leaves_nobody_waiting dishonest_gateway(Dishonest::Truncator);
    a_provider_of_a_later_version_is_no_trouble dishonest_provider(Dishonest::Unknown);
    a_gateway_of_a_later_version_is_no_trouble dishonest_gateway(Dishonest::Unknown);
    a_portal_that_forges_is_not_believed dishonest_fep(Dishonest::Forger);
    a_portal_s_fuzzed_papers_reach_the_checks_and_no_further dishonest_fep(Dishonest::FrameFuzzer);
    a_portal_that_turns_bad_stops_nobody dishonest_fep(Dishonest::GoodThenBad);
    a_portal_that_lies_is_not_believed dishonest_fep(Dishonest::LyingFep);
    a_portal_s_oversize_answers_count_as_none dishonest_fep(Dishonest::Oversizer);
    a_portal_that_falls_silent_leaves_nobody_waiting dishonest_fep(Dishonest::Truncator);
    a_portal_of_a_later_version_is_no_trouble dishonest_fep(Dishonest::Unknown);
    requests_that_no_sdk_would_make_get_errors attacked(Intruder::HttpFuzzer, "gateway");
    calls_that_no_node_would_make_get_errors attacked(Intruder::HttpFuzzer, "portal");
    a_wrong_token_makes_no_portman_of_a_gateway attacked(Intruder::PortmanIntruder, "gateway");
    a_wrong_token_makes_no_portman_of_a_provider attacked(Intruder::PortmanIntruder, "harbour");
    who_dribbles_takes_no_room_from_others attacked(Intruder::SlowLoris, "gateway");
    who_dribbles_at_a_portal_takes_no_room_from_others attacked(Intruder::SlowLoris, "portal");
    strangers_in_numbers_are_heard_and_no_further attacked(Intruder::StrangerFlood, "gateway");
}

#[test]
fn a_provider_that_lies_is_paid_for_no_more_than_text_came_for() {
    for report in dishonest_provider(Dishonest::LyingProvider) {
        let its_own = report.receipts.iter().filter(|receipt| receipt.provider == "reef");
        // Twenty tokens were asked for each time.
        assert!(its_own.clone().all(|receipt| receipt.output_tokens <= 20), "{report}");
        assert!(its_own.count() > 0, "{report}");
    }
}

/// What each provider lets its FEP owe it, in micro-units. A job is some 13 of them, and one a second comes to the busiest.
const CREDIT: i64 = 300;
/// What a job brings at the most.
const DEAREST: i64 = 30;

/// Users who keep coming, and providers who claim every five seconds and give little credit.
fn on_credit(change: impl FnOnce(&mut Fep)) -> Scenario {
    with(|mesh| {
        mesh.jobs.clear();
        for arrivals in &mut mesh.arrivals {
            (arrivals.max_tokens, arrivals.until) = (Some(20), Span::from_secs(120));
        }
        for provider in &mut mesh.providers {
            (provider.claim_every, provider.exposure) = (Span::from_secs(5), Micros(CREDIT));
        }
        change(&mut mesh.fep);
    })
}

fn figure(report: &Report, name: &str) -> i64 {
    report.figure(name).unwrap_or_else(|| panic!("there is no {name}"))
}

#[test]
fn a_fep_that_defaults_costs_a_provider_what_it_lets_it_owe_and_no_more() {
    let defaults = on_credit(|fep| {
        fep.strategy = Some(Dishonest::Defaulting);
        fep.defaults_at = Some(Span::from_secs(40));
    });
    for report in survived("defaulting", &defaults) {
        // Before, it paid; then it was worked for until the credit was used up.
        assert!(figure(&report, "claims.paid") >= 9, "{report}");
        assert!((CREDIT / 2..=CREDIT).contains(&figure(&report, "money.owed_most")), "{report}");
        assert!(figure(&report, "jobs.refused") >= 30, "{report}");
        // What it owes it signed, and it signs for no more than it was worked for.
        let unpaid = |provider: &str| {
            let own = report.receipts.iter().filter(|receipt| receipt.provider == provider);
            own.filter(|receipt| receipt.state != "paid").map(|receipt| receipt.payout.0).sum::<i64>()
        };
        assert!(
            ["harbour", "quay", "reef"].into_iter().all(|provider| unpaid(provider) <= CREDIT),
            "{report}"
        );
        assert_eq!(figure(&report, "settled"), 0, "what it owes is asked for to the end\n{report}");
    }
    let honest = run(&on_credit(|_| {}), 1);
    assert!(honest.passed(), "{honest}");
    assert_eq!((figure(&honest, "jobs.refused"), figure(&honest, "settled")), (0, 1), "{honest}");
}

#[test]
fn a_fep_that_is_slow_lets_users_and_providers_wait_and_loses_nobody_anything() {
    let late = Span::from_secs(4);
    let slow = on_credit(|fep| (fep.strategy, fep.late) = (Some(Dishonest::Slow), Some(late)));
    for report in survived("slow", &slow) {
        let honest = run(&on_credit(|_| {}), report.seed);
        let later = |name| figure(&report, name) - figure(&honest, name);
        let waited = later("ttft.mean_us");
        assert!((3_900_000..=4_300_000).contains(&waited), "{waited} us\n{report}");
        assert!(later("money.owed_mean") * 2 > figure(&honest, "money.owed_mean"), "{honest}\n{report}");
        assert!(figure(&report, "money.owed_most") <= CREDIT, "{report}");
        assert_eq!(figure(&report, "settled"), 1, "{report}");
        // Whoever is owed for longer comes to its credit's end now and then, and lets a job go.
        let refused = figure(&report, "jobs.refused");
        assert!(refused <= 5, "{report}");
        assert!((-refused * DEAREST..=0).contains(&later("money.earned")), "{report}");
    }
}

#[test]
fn a_fep_that_is_later_than_it_is_waited_for_serves_nobody_and_owes_nobody() {
    let slow = on_credit(|fep| (fep.strategy, fep.late) = (Some(Dishonest::Slow), Some(Span::from_secs(8))));
    for report in survived("slow", &slow) {
        assert_eq!(
            (figure(&report, "jobs.completed"), figure(&report, "money.owed_most")),
            (0, 0),
            "{report}"
        );
        assert_eq!(figure(&report, "jobs.failed"), 0, "{report}");
    }
}

#[test]
fn real_signatures_are_held_to_the_same() {
    let mut scenario = with(|mesh| mesh.providers[2].strategy = Some(Dishonest::FrameFuzzer));
    scenario.scheme = Scheme::Ed25519;
    for seed in 1..=2 {
        let report = run(&scenario, seed);
        assert!(report.passed(), "{report}");
        the_honest_are_served(&[report]);
    }
}

#[test]
fn a_third_of_everybody_at_once_is_no_worse() {
    for strategy in [Dishonest::Forger, Dishonest::FrameFuzzer, Dishonest::Truncator] {
        let reports = survived(
            strategy.name(),
            &with(|mesh| {
                mesh.providers[2].strategy = Some(strategy);
                mesh.gateways[1].strategy = Some(Dishonest::LyingGateway);
                mesh.adversaries.extend([Intruder::StrangerFlood, Intruder::SlowLoris].map(|strategy| {
                    let (name, target) = (strategy.name().into(), "gateway".into());
                    Adversary {
                        name,
                        strategy,
                        target,
                        count: None,
                        networks: None,
                        from: Span::from_secs(1),
                        until: Some(Span::from_secs(20)),
                    }
                }));
            }),
        );
        the_honest_are_served(&reports);
    }
}

#[test]
fn every_strategy_has_a_name_and_somewhere_to_stand() {
    assert_eq!(KINDS.len(), Dishonest::ALL.len() + Intruder::ALL.len());
    let roles = [Role::Fep, Role::Gateway, Role::Provider];
    assert!(Dishonest::ALL.iter().all(|kind| roles.iter().any(|role| kind.fits(*role))));
    assert!(Intruder::ALL.iter().all(|kind| roles.iter().any(|role| kind.fits(*role))));
}

#[test]
fn who_is_honest_is_said_by_the_scenario() {
    let scenario = with(|mesh| {
        mesh.fep.strategy = Some(Dishonest::LyingFep);
        mesh.providers[2].strategy = Some(Dishonest::Forger);
    });
    let honest = ["portal", "gateway", "annex", "harbour", "reef"].map(|name| scenario.is_honest(name));
    assert_eq!(honest, [false, true, true, true, false]);
}
