//! Which parties of a scenario are dishonest, drawn from a seed: up to a third of the providers and of the gateways,
//! sometimes the FEP, and up to two adversaries without a daemon.

use labman_proto_core::rng::Stream;
use labman_proto_core::time::Span;

use super::{Adversary, Dishonest, Intruder, Role};
use crate::faults::Stage;
use crate::scenario::Scenario;

/// Once in so many draws the FEP is dishonest: then little else can be asked of the run.
const FEP_ODDS: u64 = 12;

/// Who is dishonest, and how: plain data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drawn {
    pub fep: Option<Dishonest>,
    /// By name.
    pub gateways: Vec<(String, Dishonest)>,
    pub providers: Vec<(String, Dishonest)>,
    pub loners: Vec<Adversary>,
}

/// Draws from the strategies whose names are in `kinds` (of [`KINDS`](super::KINDS)). Loners are gone by `until`.
pub fn draw(kinds: &[&str], stage: &Stage, until: Span, draws: &mut Stream) -> Drawn {
    let dishonest: Vec<Dishonest> =
        Dishonest::ALL.iter().copied().filter(|kind| kinds.contains(&kind.name())).collect();
    let intruders: Vec<Intruder> =
        Intruder::ALL.iter().copied().filter(|kind| kinds.contains(&kind.name())).collect();
    let fep = (draws.below(FEP_ODDS) == 0).then(|| pick(&fitting(&dishonest, Role::Fep), draws)).flatten();
    let gateways = some(&stage.gateways, &fitting(&dishonest, Role::Gateway), draws);
    let providers = some(&stage.providers, &fitting(&dishonest, Role::Provider), draws);
    let mut loners = Vec::new();
    for number in 0..draws.below(3) {
        let Some(strategy) = pick(&intruders, draws) else { break };
        let parties =
            [(Role::Gateway, &stage.gateways), (Role::Fep, &stage.feps), (Role::Provider, &stage.providers)];
        let targets: Vec<&String> = parties
            .into_iter()
            .filter(|(role, _)| strategy.fits(*role))
            .flat_map(|(_, names)| names)
            .collect();
        let Some(target) = pick(&targets, draws) else { continue };
        let from = Span(draws.below(until.0));
        let name = format!("adversary-{}", number + 1);
        let until = Some(from + Span(draws.below(until.0 - from.0 + 1)));
        let (count, networks) = (None, None);
        loners.push(Adversary { name, strategy, target: target.clone(), count, networks, from, until });
    }
    Drawn { fep, gateways, providers, loners }
}

impl Drawn {
    /// Makes a scenario's parties what was drawn.
    pub fn apply(self, scenario: &mut Scenario) {
        scenario.fep.strategy = self.fep;
        for (name, kind) in self.gateways {
            let gateway = scenario.gateways.iter_mut().find(|gateway| gateway.name == name);
            gateway.into_iter().for_each(|gateway| gateway.strategy = Some(kind));
        }
        for (name, kind) in self.providers {
            let provider = scenario.providers.iter_mut().find(|provider| provider.name == name);
            provider.into_iter().for_each(|provider| provider.strategy = Some(kind));
        }
        scenario.adversaries.extend(self.loners);
    }
}

fn fitting(kinds: &[Dishonest], role: Role) -> Vec<Dishonest> {
    kinds.iter().copied().filter(|kind| kind.fits(role)).collect()
}

/// Up to a third of them, each with a strategy.
fn some(names: &[String], kinds: &[Dishonest], draws: &mut Stream) -> Vec<(String, Dishonest)> {
    let mut names = names.to_vec();
    let many = draws.below(names.len() as u64 / 3 + 1);
    let mut drawn = Vec::new();
    for _ in 0..many {
        let name = names.swap_remove(draws.below(names.len() as u64) as usize);
        if let Some(kind) = pick(kinds, draws) {
            drawn.push((name, kind));
        }
    }
    drawn
}

fn pick<T: Clone>(from: &[T], draws: &mut Stream) -> Option<T> {
    if from.is_empty() { None } else { from.get(draws.below(from.len() as u64) as usize).cloned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adversary::KINDS;
    use labman_proto_core::rng::Seed;

    #[test]
    fn at_most_a_third_is_dishonest_and_every_strategy_is_drawn_sometimes() {
        let names = |what: &str, many: usize| (0..many).map(|n| format!("{what}-{n}")).collect();
        let stage = Stage {
            feps: vec!["portal".into()],
            gateways: names("gateway", 4),
            providers: names("provider", 9),
            ..Stage::default()
        };
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..600 {
            let mut draws = Seed::from_u64(seed).stream("adversaries");
            let drawn = draw(KINDS, &stage, Span::from_secs(60), &mut draws);
            assert!(drawn.gateways.len() <= 1 && drawn.providers.len() <= 3 && drawn.loners.len() <= 2);
            assert!(drawn.loners.iter().all(|one| one.until.is_some_and(|until| one.from <= until)));
            let daemons = drawn.gateways.iter().chain(&drawn.providers).map(|(_, kind)| *kind);
            seen.extend(daemons.chain(drawn.fep).map(Dishonest::name));
            seen.extend(drawn.loners.iter().map(|one| one.strategy.name()));
        }
        assert_eq!(seen.len(), KINDS.len(), "{seen:?}");
    }

    #[test]
    fn nothing_is_drawn_of_no_strategies() {
        let stage = Stage { gateways: vec!["g".into(); 9], ..Stage::default() };
        let mut draws = Seed::from_u64(1).stream("adversaries");
        assert_eq!(draw(&[], &stage, Span::from_secs(60), &mut draws), Drawn::default());
    }
}
