//! Reads, as each job ends, how its gateway explains where it went: whom it asked, how often it took them to serve, and whether they did.
//!
//! That is what `labman-cli explain` shows an operator; there is no other way into a gateway's mind here.

use std::collections::BTreeMap;

use labman_proto_core::identity::NodeId;
use serde::Deserialize;

use super::Run;
use crate::cast::Resident;
use crate::name::Name;
use crate::report::Report;
use crate::report::routing::{FIGURES, RoutingReport, Try};

/// What matters here of an explanation.
#[derive(Deserialize)]
struct Explained {
    considered: Vec<Considered>,
    attempts: Vec<Attempt>,
}

#[derive(Deserialize)]
struct Considered {
    provider: NodeId,
    reliability: u32,
}

#[derive(Deserialize)]
struct Attempt {
    provider: NodeId,
    what: String,
}

impl Run<'_> {
    pub(super) fn watch_routing(&mut self) {
        if self.scenario.names_one_of(FIGURES) {
            self.routing = Some(Vec::new());
        }
    }

    /// A job has ended: at once, for a gateway remembers the last few hundred only.
    pub(super) fn look_at_routing(&mut self, index: usize, request_id: Option<&str>) {
        let Some(mut tries) = self.routing.take() else { return };
        let job = &self.jobs[index];
        if job.asked_at.is_some_and(|at| at >= self.started + self.scenario.measure_from) {
            let explained = request_id.and_then(|id| self.explained(&job.planned.gateway, id));
            let of = |one: Explained| one.tries(&job.planned.gateway, &self.nodes);
            tries.extend(explained.into_iter().flat_map(of));
        }
        self.routing = Some(tries);
    }

    fn explained(&self, gateway: &str, request_id: &str) -> Option<Explained> {
        let Some(Resident::Node(node)) = self.world.machine(*self.hosts.get(gateway)?) else { return None };
        serde_json::from_value(node.explain(request_id.parse().ok()?)?).ok()
    }

    /// After the work is counted.
    pub(super) fn routing_report(&mut self, report: &Report) -> Option<RoutingReport> {
        let is_first = |name: &str| report.providers.get(name).is_some_and(|work| work.kind == 0);
        self.routing.take().map(|tries| RoutingReport::of(tries, is_first))
    }
}

impl Explained {
    /// In the order in which they were made.
    fn tries(&self, gateway: &str, names: &BTreeMap<NodeId, Name>) -> Vec<Try> {
        let mut tries: Vec<Try> = Vec::new();
        for Attempt { provider, what } in &self.attempts {
            match what.as_str() {
                "asked" => {
                    let thought = self.considered.iter().find(|one| one.provider == *provider);
                    let is_first = tries.is_empty();
                    tries.extend(thought.zip(names.get(provider)).map(|(thought, name)| Try {
                        gateway: gateway.into(),
                        provider: name.to_string(),
                        is_first,
                        thought: thought.reliability,
                        served: false,
                    }));
                }
                "served" => tries.last_mut().into_iter().for_each(|last| last.served = true),
                _ => {}
            }
        }
        tries
    }
}
