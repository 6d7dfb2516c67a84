//! What must work of a mesh that has healed: who knows of what, and whom it serves.

use std::collections::BTreeMap;

use labman_proto_core::limits;
use labman_proto_core::time::Span;

use serde_json::Value;

use super::setup::{serves, slugs, texts};
use super::{Run, outcome};
use crate::check::liveness::Core;
use crate::report::Ending;

/// Neighbours of the core that a node is linked to, and whose word of themselves it does not have.
fn strange_neighbours(status: &Value, core: &BTreeMap<String, String>) -> Vec<String> {
    let known = texts(status, "peers", "node_id");
    let links = status.get("links").and_then(Value::as_array).into_iter().flatten();
    let admitted = links.filter(|link| link.get("admitted").and_then(Value::as_bool) == Some(true));
    let neighbours = admitted.filter_map(|link| link.get("node_id")?.as_str());
    let strange = neighbours.filter(|node_id| !known.contains(*node_id));
    strange.filter_map(|node_id| core.get(node_id).cloned()).collect()
}

/// A hold that nobody reports, or only a gateway whose bond does not answer for it, returns within this; then nothing is left
/// for money to wait for. (Of a FEP's life that ends in a crash the last seconds may not be written down.)
const HOLDS_LAPSE: Span = Span(
    limits::JOB_TOTAL.0
        + limits::SETTLE_MARGIN.0
        + 2 * limits::CLOCK_SKEW.0
        + limits::HOLD_GRACE.0
        + limits::UPTIME_EVERY.0,
);

impl Run<'_> {
    /// Every gateway of the core must know what of its families the core serves, and what its neighbours there say of
    /// themselves.
    pub(super) fn check_views(&mut self) {
        let Some(core) = Core::of(self.scenario) else { return };
        let nodes = self.scenario.gateways.iter().map(|gateway| &gateway.name);
        let nodes = nodes.chain(self.scenario.providers.iter().map(|provider| &provider.name));
        let nodes = nodes.filter(|name| core.contains(name));
        let nodes: BTreeMap<String, String> =
            nodes.map(|name| (self.cast.node_id(name).to_string(), name.clone())).collect();
        for gateway in self.scenario.gateways.iter().filter(|gateway| core.hears(self.scenario, gateway)) {
            let (name, families) = (&gateway.name, self.cast.families(gateway));
            match self.ask(name, "GET", "/status", None) {
                Ok(status) => {
                    let served = slugs(&status);
                    let missing = core.slugs().difference(&served).filter(|slug| serves(&families, slug));
                    let missing: Vec<&str> = missing.map(String::as_str).collect();
                    if !missing.is_empty() {
                        let at = self.world.now().0 / 1_000_000_000;
                        self.findings.push(format!(
                            "after {at} s: {name} does not know of {missing:?}, though all was healed"
                        ));
                    }
                    for neighbour in strange_neighbours(&status, &nodes) {
                        self.findings
                            .push(format!("{name} is linked to {neighbour}, and has no record of it"));
                    }
                }
                Err(why) => self.findings.push(format!("after healing: {why}")),
            }
        }
    }

    /// What was asked of the core after it had healed must have been served, and its money must have come to rest.
    pub(super) fn check_served(&mut self, core: &Core) {
        for job in &self.jobs {
            if core.must_serve(self.scenario, &job.planned) && outcome(job).ending() != Ending::Completed {
                let (name, facts) = (&job.planned.name, outcome(job));
                let what = format!("HTTP {}, {:?}", facts.http_status, facts.error_code);
                self.findings.push(format!("job {name} was asked after all had healed, and got {what}"));
            }
        }
        let last = self.last_job_ended.max(self.started + core.from);
        if self.world.now() >= last + HOLDS_LAPSE && !self.settled {
            let whose = self.restless.as_deref().unwrap_or("a job has not ended");
            self.findings.push(format!("the money has not come to rest since all was healed: {whose}"));
        }
    }
}
