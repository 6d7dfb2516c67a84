//! Worlds that once failed: `sim/corpus/<what it was>.seed<N>.toml`, each as the fuzzer had drawn it.

use std::path::Path;

use labman_sim::run;
use labman_sim::scenario::load;

fn passes(file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(file);
    let (_, rest) = file.split_once(".seed").expect("a file of the corpus names its seed");
    let seed = rest.trim_end_matches(".toml").parse().expect("a number");
    let report = run(&load(&path).expect("it loads"), seed);
    assert!(report.passed(), "{report}");
}

/// A provider died between its last chunk and its end: the user was told `finish_reason`, and then an error.
#[test]
fn an_answer_does_not_finish_and_then_fail() {
    passes("finished-and-failed.seed18.toml");
}

/// A provider's wall clock was nineteen hours ahead for four minutes: afterwards it refused its own offers, for it had
/// forgotten those that others knew, and nobody had believed the new ones.
#[test]
fn a_provider_whose_clock_is_right_again_is_soon_believed_again() {
    passes("clock-set-back.seed25.toml");
}

/// A gateway was down when a provider died, and heard when it started that the provider lived, from whoever had not given it up yet:
/// it had not been there to give it up itself.
#[test]
fn who_starts_after_a_death_may_hear_of_the_dead() {
    passes("started-after-a-death.seed1628.toml");
}

/// A gateway with a slow disk delivered a receipt on a new link while it was still being stored.
#[test]
fn a_receipt_is_delivered_only_once_it_is_stored() {
    passes("receipt-before-stored.seed199.toml");
}
