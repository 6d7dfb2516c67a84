//! What can be left out of a scenario, and what must go with it. The largest first: each that goes makes all later runs
//! quicker.

use std::ops::Range;

use crate::adversary::Dishonest;
use crate::scenario::Scenario;

#[derive(Clone, Copy)]
pub(super) struct Part {
    pub(super) count: fn(&Scenario) -> usize,
    /// `false`: the scenario would make no sense without them.
    pub(super) leave_out: fn(&mut Scenario, Range<usize>) -> bool,
}

pub(super) const PARTS: &[Part] = &[
    Part {
        count: |scenario| scenario.adversaries.len(),
        leave_out: |scenario, range| {
            scenario.adversaries.drain(range);
            true
        },
    },
    Part {
        count: |scenario| strategies(&mut scenario.clone()).len(),
        leave_out: |scenario, range| {
            strategies(scenario).drain(range).for_each(|strategy| *strategy = None);
            if scenario.fep.strategy.is_none() {
                (scenario.fep.late, scenario.fep.defaults_at) = (None, None);
            }
            true
        },
    },
    Part {
        count: |scenario| scenario.faults.len(),
        leave_out: |scenario, range| {
            scenario.faults.drain(range);
            true
        },
    },
    Part {
        count: |scenario| scenario.jobs.len(),
        leave_out: |scenario, range| {
            scenario.jobs.drain(range);
            true
        },
    },
    Part {
        count: |scenario| scenario.providers.len(),
        leave_out: |scenario, range| {
            let gone: Vec<String> = scenario.providers.drain(range).map(|provider| provider.name).collect();
            forget(scenario, &gone);
            !scenario.providers.is_empty()
        },
    },
    Part {
        count: |scenario| scenario.gateways.len(),
        leave_out: |scenario, range| {
            let gone: Vec<String> = scenario.gateways.drain(range).map(|gateway| gateway.name).collect();
            scenario.jobs.retain(|job| !job.gateway.as_ref().is_some_and(|name| gone.contains(name)));
            forget(scenario, &gone);
            !scenario.gateways.is_empty()
        },
    },
    Part {
        count: |scenario| scenario.users.len(),
        leave_out: |scenario, range| {
            let gone: Vec<String> = scenario.users.drain(range).map(|user| user.name).collect();
            scenario.jobs.retain(|job| !gone.contains(&job.user));
            forget(scenario, &gone);
            !scenario.users.is_empty()
        },
    },
    Part {
        count: |scenario| scenario.providers.iter().map(|provider| provider.portmans.len()).sum(),
        leave_out: |scenario, range| {
            if range.len() > 1 {
                return false;
            }
            let mut left = range.start;
            for provider in &mut scenario.providers {
                match left.checked_sub(provider.portmans.len()) {
                    Some(rest) => left = rest,
                    None => {
                        let portman = provider.portmans.remove(left);
                        let host = format!("{}/{}", provider.name, portman.ep);
                        let alone = provider.portmans.is_empty();
                        forget(scenario, &[host]);
                        return !alone;
                    }
                }
            }
            false
        },
    },
];

/// Whoever is dishonest.
fn strategies(scenario: &mut Scenario) -> Vec<&mut Option<Dishonest>> {
    let gateways = scenario.gateways.iter_mut().map(|gateway| &mut gateway.strategy);
    let providers = scenario.providers.iter_mut().map(|provider| &mut provider.strategy);
    let all = gateways.chain(providers).chain([&mut scenario.fep.strategy]);
    all.filter(|strategy| strategy.is_some()).collect()
}

/// Drops the faults of hosts that are gone, and of their Portmans, and who would have attacked them.
fn forget(scenario: &mut Scenario, gone: &[String]) {
    let is_gone = |host: &str| {
        let node = host.split_once('/').map_or(host, |(node, _)| node);
        gone.iter().any(|name| name == host || name == node)
    };
    scenario.faults.retain(|fault| !fault.inject.hosts().into_iter().any(is_gone));
    scenario.adversaries.retain(|adversary| !is_gone(&adversary.target));
}
