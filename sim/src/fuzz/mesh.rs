//! Worlds in which the mesh itself is attacked. They have at least five gateways, however many nodes were asked for, and the
//! attack does not end: what must work of a world that has healed must work in spite of it.

use labman_proto_core::rng::Stream;
use labman_proto_core::time::Span;

use crate::adversary::{Adversary, Dishonest, Intruder, Role};
use crate::faults::{Crash, Fault, Inject};
use crate::scenario::{Gateway, Mesh, Scenario};

const GATEWAYS: usize = 5;
/// Of them, those who slander: as many as make a death.
const SLANDERERS: usize = 3;
/// Names of a swarm for each gateway.
const NAMES: usize = 20;
/// Places for links at its victim, fewer than there are names.
const PLACES: u32 = 48;

/// What is done to the mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attack {
    Slander,
    Resurrection,
    Intrusion(Intruder),
}

impl Attack {
    pub(super) fn draw(draws: &mut Stream) -> Self {
        match draws.below(5) {
            0 => Self::Slander,
            1 => Self::Resurrection,
            2 => Self::Intrusion(Intruder::Eclipser),
            3 => Self::Intrusion(Intruder::RecordFlooder),
            _ => Self::Intrusion(Intruder::SybilSwarm),
        }
    }

    /// Whether every gateway is linked to every provider, and so can serve any job.
    pub(super) fn is_whole(self) -> bool {
        self != Self::Slander
    }

    /// Begins before the scenario's faults are known.
    pub(super) fn enlist(self, scenario: &mut Scenario, draws: &mut Stream) {
        for number in scenario.gateways.len() + 1..=GATEWAYS {
            let name = format!("g{number}");
            scenario.gateways.push(Gateway { name, nat: false, ..scenario.gateways[0].clone() });
        }
        let mut every = Span::from_secs(1);
        match self {
            Self::Slander => {
                // What a slander does is undone within a moment.
                every = Span::from_millis(100);
                for gateway in scenario.gateways.iter_mut().rev().take(SLANDERERS) {
                    gateway.strategy = Some(Dishonest::Slanderer);
                }
                // So that some gateways are not linked to some providers, and know what they are told.
                scenario.gateways.iter_mut().skip(1).for_each(|gateway| {
                    (gateway.dials, gateway.nat) = (Some(1), false);
                });
                scenario.providers.iter_mut().for_each(|provider| provider.dials = Some(1));
            }
            Self::Resurrection => {
                let liar = 1 + draws.below(scenario.gateways.len() as u64 - 1) as usize;
                scenario.gateways[liar].strategy = Some(Dishonest::Resurrecter);
            }
            Self::Intrusion(strategy) => {
                // A flood through all friends keeps a gateway from knowing whom it is not linked to: that is known, and
                // not solved. One that providers can't dial is linked to none.
                if strategy == Intruder::RecordFlooder {
                    scenario.gateways.iter_mut().for_each(|gateway| gateway.nat = false);
                }
                let intruder = intruder(strategy, scenario, draws);
                scenario.adversaries.push(intruder);
            }
        }
        let watch = scenario.providers.len();
        scenario.mesh = Some(Mesh { watch, families: Vec::new(), from: Span::default(), every });
    }
}

/// It is after the second gateway, which has one other to dial by itself.
fn intruder(strategy: Intruder, scenario: &mut Scenario, draws: &mut Stream) -> Adversary {
    let swarm = strategy != Intruder::RecordFlooder;
    let names = (NAMES * scenario.gateways.len()) as u32;
    let victim = &mut scenario.gateways[1];
    (victim.dials, victim.nat) = (Some(1), false);
    victim.max_links = swarm.then_some(PLACES);
    debug_assert!(strategy.fits(Role::Gateway));
    Adversary {
        name: "operator".into(),
        strategy,
        target: victim.name.clone(),
        count: swarm.then_some(names),
        networks: Some(1 + draws.below(8) as u32),
        from: Span::from_secs(draws.below(60)),
        until: None,
    }
}

/// Some providers die for longer than it takes to be forgotten.
pub(super) fn deaths(scenario: &Scenario, until: Span, draws: &mut Stream) -> Vec<Fault> {
    let mut deaths = Vec::new();
    for _ in 0..3 {
        let provider = &scenario.providers[draws.below(scenario.providers.len() as u64) as usize];
        let lasting = Span::from_secs(60 + draws.below(180));
        let at = Span(draws.below(until.0 - lasting.0));
        let inject = Inject::Crash(Crash { host: provider.name.clone(), writing: false });
        deaths.push(Fault { at, lasting, inject });
    }
    deaths
}
