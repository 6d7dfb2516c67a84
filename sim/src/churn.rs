//! Providers that come and go: each lives and is dead for times drawn from the seed, so that a scenario need not list when.
//!
//! A life ends as by the fault `crash`, and that is all this makes: a scenario with more faults.

use std::borrow::Cow;

use labman_proto_core::rng::Seed;
use labman_proto_core::time::Span;
use serde::{Deserialize, Serialize};

use crate::faults::{Crash, Fault, Inject};
use crate::scenario::{Scenario, values};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Churn {
    /// A provider, or a group of providers (`count`): then each of them by itself.
    pub provider: String,
    /// Mean length of a life, and of the time until the next.
    #[serde(with = "values::span")]
    pub up: Span,
    #[serde(with = "values::span")]
    pub down: Span,
}

/// The scenario as this seed has it.
pub fn dealt(scenario: &Scenario, seed: Seed) -> Cow<'_, Scenario> {
    if scenario.churns.is_empty() {
        return Cow::Borrowed(scenario);
    }
    let mut dealt = scenario.clone();
    for churn in &scenario.churns {
        for provider in scenario.providers_of(&churn.provider) {
            let mut draws = seed.child("churn").stream(&provider.name);
            let mut at = draws.exponential(churn.up);
            while at < scenario.duration {
                let lasting = draws.exponential(churn.down).max(Span::from_millis(1));
                let inject = Inject::Crash(Crash { host: provider.name.clone(), writing: false });
                dealt.faults.push(Fault { at, lasting, inject });
                at = at + lasting + draws.exponential(churn.up);
            }
        }
    }
    Cow::Owned(dealt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_a_group_lives_and_dies_by_itself_as_long_as_was_said() {
        let text = include_str!("../../scenarios/conformance/one-provider.toml");
        let churn = "[[churn]]\nprovider = \"none\"\nup = \"10m\"\ndown = \"5m\"\n";
        let error = crate::scenario::parse("x", &format!("{text}\n{churn}")).unwrap_err();
        assert!(error.to_string().contains("there is no provider \"none\""), "{error}");

        let mut scenario = crate::scenario::parse("x", text).unwrap();
        let name = scenario.providers[0].name.clone();
        scenario.duration = Span::from_secs(1_000 * 900);
        let (up, down) = (Span::from_secs(600), Span::from_secs(300));
        scenario.churns = vec![Churn { provider: name, up, down }];
        let faults = |seed| dealt(&scenario, Seed::from_u64(seed)).into_owned().faults;
        let dead: u64 = faults(1).iter().map(|fault| fault.lasting.0).sum();
        let share = dead as f64 / scenario.duration.0 as f64;
        assert!((share - 1.0 / 3.0).abs() < 0.03, "{share}");
        assert_eq!(faults(1), faults(1));
        assert_ne!(faults(1), faults(2));
    }
}
