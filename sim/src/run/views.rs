//! What must work of a mesh that has healed: who knows of what, and whom it serves.

use labman_proto_core::limits;
use labman_proto_core::time::Span;

use super::setup::{serves, slugs};
use super::{Run, outcome};
use crate::check::liveness::Core;
use crate::report::Ending;

/// A hold that nobody reports returns within this; then nothing is left for money to wait for.
const HOLDS_LAPSE: Span =
    Span(limits::JOB_TOTAL.0 + limits::SETTLE_MARGIN.0 + 2 * limits::CLOCK_SKEW.0 + limits::HOLD_GRACE.0);

impl Run<'_> {
    /// Every gateway of the core must know what of its families the core serves.
    pub(super) fn check_views(&mut self) {
        let Some(core) = Core::of(self.scenario) else { return };
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
        if self.scenario.duration >= core.from + HOLDS_LAPSE && !self.settled {
            let whose = self.restless.as_deref().unwrap_or("a job has not ended");
            self.findings.push(format!("the money has not come to rest since all was healed: {whose}"));
        }
    }
}
