//! What an attack may never make an honest daemon hold.

use labman_proto_core::limits;

use super::Run;
use crate::scenario::Scenario;

/// Streams an honest daemon may have: its jobs' both sides, and what Portmans, control streams and callers take.
const STREAMS: usize = 2 * limits::GATEWAY_JOBS + limits::LINKS + 1024;

impl Scenario {
    fn is_under_attack(&self) -> bool {
        let gateways = self.gateways.iter().map(|gateway| &gateway.name);
        let providers = self.providers.iter().map(|provider| &provider.name);
        let mut daemons = gateways.chain(providers).chain([&self.fep.name]);
        daemons.any(|name| !self.is_honest(name)) || !self.adversaries.is_empty()
    }
}

impl Run<'_> {
    /// No attack makes an honest daemon hold more than its limits say.
    pub(super) fn check_burdens(&mut self) {
        if !self.scenario.is_under_attack() {
            return;
        }
        for (name, host) in &self.hosts {
            if self.scenario.role_of(name).is_none() || !self.scenario.is_honest_host(name) {
                continue;
            }
            let burden = self.world.burden(*host);
            if burden.links > limits::LINKS
                || burden.streams > STREAMS
                || burden.waiting > limits::CONTROL_BACKLOG + limits::BODY_FRAME
            {
                self.findings.push(format!("{name} holds more than its limits allow: {burden:?}"));
            }
        }
    }
}
