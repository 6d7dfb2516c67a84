//! The scenarios that come with the project, over several seeds.

use std::collections::BTreeMap;
use std::path::Path;

use labman_sim::faults::{Crash, Fault, Inject, Replay};
use labman_sim::report::{Ending, ReceiptFacts};
use labman_sim::scenario::{Scenario, load};
use labman_sim::{Report, run};

fn scenario(name: &str) -> Scenario {
    load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios").join(name)).expect("it loads")
}

fn passed(name: &str, seed: u64) -> Report {
    let report = run(&scenario(name), seed);
    assert!(report.passed(), "{report}");
    report
}

#[test]
fn first_light_passes_whatever_the_seed() {
    for seed in 1..=8 {
        let report = passed("first-light.toml", seed);
        assert!(report.receipts.iter().all(|receipt| receipt.state == "paid"));
    }
}

#[test]
fn what_must_agree_between_drivers_does_not_depend_on_the_seed() {
    let facts = |seed| {
        let report = passed("conformance/one-provider.toml", seed);
        let texts: Vec<_> = report.outcomes.iter().map(|job| job.text.clone()).collect();
        // When each was issued is the seed's business.
        let timeless = |receipt: &ReceiptFacts| ReceiptFacts { issued_at_us: 0, ..receipt.clone() };
        let mut receipts: Vec<_> = report.receipts.iter().map(timeless).collect();
        receipts.sort();
        (texts, receipts, report.balances)
    };
    let first = facts(1);
    assert_eq!(first.1.len(), 5);
    for seed in 2..=6 {
        assert_eq!(facts(seed), first);
    }
}

#[test]
fn a_provider_that_reaches_nobody_but_a_gateway_is_paid() {
    for seed in 1..=8 {
        let report = passed("no-way-to-the-fep.toml", seed);
        assert!(!report.receipts.is_empty());
        assert!(report.receipts.iter().all(|receipt| receipt.state == "paid"), "{report}");
    }
}

#[test]
fn a_provider_s_death_is_told_within_twenty_seconds_and_only_what_arrived_is_paid() {
    for seed in 1..=8 {
        let report = passed("provider-dies.toml", seed);
        let job = report.outcomes.iter().find(|job| job.job == "broken-off").expect("it was asked");
        assert_eq!((job.ending(), job.error_code.as_deref()), (Ending::Failed, Some("provider_failed")));
        assert!(!job.text.is_empty(), "it had begun");
        // It was asked two seconds before the provider died.
        assert!(job.took_us < 22_000_000, "{} us", job.took_us);
        let again = report.outcomes.iter().find(|job| job.job == "served-again").expect("it was asked");
        let counts = report.receipts.iter().filter(|receipt| receipt.provider == "harbour");
        let mut paid: Vec<_> = counts.map(|receipt| u64::from(receipt.output_tokens)).collect();
        let mut delivered = [tokens_in(&job.text), again.completion_tokens.expect("usage was asked for")];
        paid.sort_unstable();
        delivered.sort_unstable();
        assert_eq!(paid, delivered, "seed {seed}");
    }
}

#[test]
fn whoever_dies_the_books_are_right_in_the_end() {
    let base = scenario("provider-dies.toml");
    for victim in ["portal", "gateway", "harbour", "harbour/box-1"] {
        let mut scenario = Scenario { expects: Vec::new(), duration: minutes(30), ..base.clone() };
        scenario.faults[0].inject = Inject::Crash(Crash { host: victim.into(), writing: false });
        for seed in 1..=6 {
            let report = run(&scenario, seed);
            assert!(report.passed() && report.settled, "{victim} dies: {report}");
        }
    }
}

#[test]
fn a_job_that_is_offered_again_is_refused_and_all_else_goes_on() {
    let base = scenario("first-light.toml");
    let inject = Inject::Replay(Replay { host: base.gateways[0].name.clone() });
    let faults = vec![Fault { at: Default::default(), lasting: minutes(1), inject }];
    let scenario = Scenario { faults, whole: true, duration: minutes(5), ..base };
    for seed in 1..=4 {
        let report = run(&scenario, seed);
        assert!(report.passed() && report.settled, "{report}");
        assert!(report.marks.faults.get("replay").is_some_and(|times| *times > 0), "{report}");
    }
}

/// How many of the runtime's tokens the beginning of its answer to `broken-off` holds.
fn tokens_in(text: &str) -> u64 {
    let content = "Tell me everything about the coast.";
    let request =
        serde_json::json!({ "messages": [{ "role": "user", "content": content }], "max_tokens": 50 });
    let produced = labman_proto_core::toy::completion(&request).expect("a good request");
    let mut length = 0;
    let ends = produced.tokens.iter().map(|token| {
        length += token.len();
        length
    });
    1 + ends.take_while(|end| *end < text.len()).count() as u64
}

fn minutes(minutes: u64) -> labman_proto_core::time::Span {
    labman_proto_core::time::Span::from_secs(minutes * 60)
}

/// A hundred times as much, as one token in a hundred is asked for. Names of companies have dashes where the list has other signs.
#[test]
fn the_prices_of_the_real_hour_are_those_that_were_posted() {
    let scenario = scenario("research/real-hour.toml");
    let posted = include_str!("../../scenarios/data/open_weight_prices.csv").lines().skip(1);
    let posted = posted.filter_map(|line| line.strip_prefix("llama-3.3-70b,")).map(|line| {
        let (company, prices) = line.split_once(',').unwrap();
        let (input, output) = prices.split_once(',').unwrap();
        (company.replace('_', "-"), [input, output].map(|price| 100 * price.parse::<i64>().unwrap()))
    });
    let posted: BTreeMap<String, [i64; 2]> = posted.collect();
    let mut asked: BTreeMap<String, [i64; 2]> = BTreeMap::new();
    for provider in &scenario.providers {
        let (company, _number) = provider.name.rsplit_once('-').unwrap();
        let price = provider.portmans[0].price;
        let price = [price.input_per_mtok.0, price.output_per_mtok.0];
        assert_eq!(*asked.entry(company.to_owned()).or_insert(price), price, "{company}");
    }
    assert_eq!(asked, posted);
}
