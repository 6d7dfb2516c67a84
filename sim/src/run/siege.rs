//! Nodes that adversaries without a daemon are after: whether they have somebody honest to talk to, and who is among the
//! peers that they may call.

use std::collections::BTreeMap;

use labman_proto_core::identity::NodeId;
use labman_proto_core::limits::PEERS_IN_NETWORKS;
use labman_proto_core::time::{Span, Time};

use super::Run;
use crate::adversary::Role;
use crate::cast::Resident;
use crate::faults::{Fault, Inject};
use crate::host::HostId;
use crate::report::mesh::MeshReport;

/// Whoever lost everybody honest reaches somebody honest again within this.
const REACHES_WITHIN: Span = Span::from_secs(120);

/// A gateway under attack.
pub(super) struct Besieged {
    name: String,
    host: HostId,
    /// Since when no gateway that is honest has a link to it; or since it was last struck by a fault.
    alone: Option<Time>,
    told: bool,
}

impl Run<'_> {
    pub(super) fn besieged(&self) -> Vec<Besieged> {
        let targets = self.scenario.adversaries.iter().map(|adversary| &adversary.target);
        let gateways = targets.filter(|name| self.scenario.role_of(name) == Some(Role::Gateway));
        let mut names: Vec<&String> = gateways.filter(|name| self.is_honest(name)).collect();
        names.sort();
        names.dedup();
        let besieged = |name: &&String| {
            let host = *self.hosts.get(*name)?;
            Some(Besieged { name: (*name).clone(), host, alone: None, told: false })
        };
        names.iter().filter_map(besieged).collect()
    }

    pub(super) fn look_at_besieged(&mut self, one: &mut Besieged, report: &mut MeshReport) {
        let now = self.world.now();
        let others = self.world.neighbours(one.host).map(|there| self.world.name(there));
        let honest = |name: &str| self.is_honest(name) && self.scenario.role_of(name) == Some(Role::Gateway);
        let accompanied = others.into_iter().any(honest);
        if accompanied || self.is_struck(&one.name) {
            one.alone = None;
        } else {
            let since = *one.alone.get_or_insert(now);
            report.alone_ms = report.alone_ms.max((now - since).as_millis());
            if now - since > REACHES_WITHIN && !std::mem::replace(&mut one.told, true) {
                let name = &one.name;
                self.findings.push(format!(
                    "{name} has reached nobody honest for {} s",
                    REACHES_WITHIN.as_millis() / 1_000
                ));
            }
        }
        self.look_at_sample(one, report);
    }

    /// Whether something keeps that host from others, or it is down.
    fn is_struck(&self, name: &str) -> bool {
        let touches = |fault: &Fault| {
            let hosts = fault.inject.hosts();
            let cuts = matches!(fault.inject, Inject::Partition(_) | Inject::Clog(_));
            hosts.is_empty() || hosts.contains(&name) || cuts
        };
        let others = |one: &&String| self.is_honest(one) && *one != name;
        let gateways = self.scenario.gateways.iter().map(|gateway| &gateway.name);
        let alive = |one: &String| self.hosts.get(one).is_some_and(|host| self.world.is_up(*host));
        self.under_way.iter().any(|index| touches(&self.scenario.faults[*index]))
            || !gateways.filter(others).any(alive)
    }

    /// No network has more than its share of the peers that a node may call.
    fn look_at_sample(&mut self, one: &Besieged, report: &mut MeshReport) {
        let Some(Resident::Node(node)) = self.world.machine(one.host) else { return };
        let sample: Vec<NodeId> = node.peers().collect();
        let mut crowds: BTreeMap<(usize, u128), usize> = BTreeMap::new();
        let mut swarm = 0;
        for peer in &sample {
            let Some(address) = self.swarm.get(peer) else { continue };
            swarm += 1;
            for (width, kept) in [64, 80, 96].into_iter().enumerate() {
                *crowds.entry((width, address >> kept)).or_default() += 1;
            }
        }
        let crowded = crowds.into_iter().find(|((width, _), crowd)| *crowd > PEERS_IN_NETWORKS[*width]);
        if !sample.is_empty() {
            report.swarm_permille = report.swarm_permille.max((swarm * 1_000 / sample.len()) as u64);
        }
        if let Some((_, crowd)) = crowded {
            let name = &one.name;
            self.findings.push(format!("{name} has {crowd} peers of one network, more than its share"));
        }
    }
}
