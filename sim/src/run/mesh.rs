//! How the mesh does: how soon what some providers say is known wherever it is heard of, how long the dead are, what it
//! costs.
//!
//! It looks into the machines, at which version of a record each holds. Nothing it does changes the world.

use std::collections::{BTreeMap, BTreeSet};

use labman_proto_core::identity::NodeId;
use labman_proto_core::time::{Span, Time};
use labman_proto_core::wire::envelope::Kind;
use labman_proto_core::wire::mesh::Version;
use labman_proto_core::wire::topic::family;

use super::Run;
use super::presence::Presence;
use super::siege::Besieged;
use crate::cast::Resident;
use crate::host::HostId;
use crate::report::mesh::{Cost, Gone, Healed, MeshReport, Spread};
use crate::traffic::Traffic;

/// A node that died must be forgotten within this, for as long as it is down.
const GONE_WITHIN: Span = Span::from_secs(30);

/// What is watched of the mesh.
pub(super) struct Watch {
    providers: Vec<Watched>,
    besieged: Vec<Besieged>,
    /// Ends of partitions after which nothing is yet as it should be.
    healing: Vec<Time>,
    report: MeshReport,
}

struct Watched {
    name: String,
    node_id: NodeId,
    host: HostId,
    /// Gateways that hear of its family.
    subscribers: Vec<HostId>,
    says: Option<Version>,
    /// Since when, and who does not know it yet.
    fresh: Option<(Time, BTreeSet<HostId>)>,
    reached_999: Option<Time>,
    /// Since when it is down, and who still takes it for alive.
    down: Option<(Time, BTreeSet<HostId>)>,
    gone: bool,
    /// The latest that each subscriber was seen to hold.
    held: BTreeMap<HostId, Version>,
    presence: Presence,
}

impl Run<'_> {
    /// Begins to watch, once all are there.
    pub(super) fn watch_mesh(&mut self) {
        let Some(mesh) = &self.scenario.mesh else { return };
        let mut left: Vec<usize> = (0..self.scenario.providers.len()).collect();
        // Of a dishonest one nobody knows what it means to say.
        left.retain(|provider| self.scenario.providers[*provider].strategy.is_none());
        left.retain(|provider| {
            mesh.families.is_empty() || self.families_of(*provider).any(|one| mesh.families.contains(&one))
        });
        let mut draws = self.cast.seed.stream("watched");
        let mut providers = Vec::new();
        while providers.len() < mesh.watch && !left.is_empty() {
            let chosen = left.swap_remove(draws.below(left.len() as u64) as usize);
            providers.extend(self.watched_provider(chosen));
        }
        let from = self.started + mesh.from;
        self.world.count_traffic(Traffic::new(from, providers.iter().map(|one: &Watched| one.node_id)));
        let report = MeshReport {
            nodes: (self.scenario.gateways.len() + self.scenario.providers.len()) as u64,
            gateways: self.scenario.gateways.len() as u64,
            ..MeshReport::default()
        };
        self.mesh = Some(Watch { providers, besieged: self.besieged(), healing: Vec::new(), report });
        self.schedule(self.world.now() + mesh.every, super::Due::Mesh);
    }

    fn families_of(&self, provider: usize) -> impl Iterator<Item = String> + '_ {
        self.scenario.providers[provider].portmans.iter().map(|portman| family(&portman.model))
    }

    fn watched_provider(&self, index: usize) -> Option<Watched> {
        let provider = &self.scenario.providers[index];
        let families: Vec<String> = self.families_of(index).collect();
        let hears = |name: &str| {
            let gateway = self.scenario.gateways.iter().find(|gateway| gateway.name == name);
            let heard = gateway.map(|gateway| self.cast.families(gateway)).unwrap_or_default();
            heard.is_empty() || families.iter().any(|one| heard.contains(one))
        };
        let gateways = self.scenario.gateways.iter().filter(|gateway| gateway.strategy.is_none());
        let subscribers = gateways.filter(|gateway| hears(&gateway.name));
        Some(Watched {
            name: provider.name.clone(),
            node_id: self.cast.node_id(&provider.name),
            host: *self.hosts.get(&provider.name)?,
            subscribers: subscribers.filter_map(|gateway| self.hosts.get(&gateway.name).copied()).collect(),
            says: None,
            fresh: None,
            reached_999: None,
            down: None,
            gone: false,
            held: BTreeMap::new(),
            presence: Presence::default(),
        })
    }

    /// One look at all that are watched.
    pub(super) fn look_at_mesh(&mut self) {
        let Some(mut watch) = self.mesh.take() else { return };
        let now = self.world.now();
        let mut behind = false;
        for one in &mut watch.providers {
            self.look_at(one, now, &mut watch.report);
            self.look_who_holds(one);
            behind |= one.fresh.is_some() || one.down.as_ref().is_some_and(|(_, alive)| !alive.is_empty());
        }
        for one in &mut watch.besieged {
            self.look_at_besieged(one, &mut watch.report);
        }
        if !behind {
            let took = watch.healing.drain(..).map(|since| Healed { after_ms: (now - since).as_millis() });
            watch.report.healed.extend(took);
        }
        self.mesh = Some(watch);
        if let Some(mesh) = &self.scenario.mesh {
            self.schedule(now + mesh.every, super::Due::Mesh);
        }
    }

    /// A partition has ended: from here on views come together.
    pub(super) fn mesh_heals(&mut self) {
        let now = self.world.now();
        if let Some(watch) = &mut self.mesh {
            watch.healing.push(now);
        }
    }

    fn look_at(&mut self, one: &mut Watched, now: Time, report: &mut MeshReport) {
        if !self.world.is_up(one.host) {
            return self.look_at_dead(one, now, report);
        }
        one.down = None;
        one.gone = false;
        let known: Vec<(HostId, bool)> = one
            .subscribers
            .iter()
            .map(|there| (*there, self.version_at(*there, one.node_id).is_some()))
            .collect();
        self.look_for(&mut one.presence, (&one.name, one.host), &known, report);
        let says = self.version_at(one.host, one.node_id);
        if says > one.says {
            let first = one.says.is_none();
            one.says = says;
            // What was said at the start was waited for.
            let behind = if first { BTreeSet::new() } else { one.subscribers.iter().copied().collect() };
            if !first && one.fresh.is_some() {
                report.overtaken += 1;
            }
            one.fresh = (!first).then_some((now, behind));
            one.reached_999 = None;
        }
        let Some((since, mut behind)) = one.fresh.take() else { return };
        behind.retain(|host| self.world.is_up(*host) && self.version_at(*host, one.node_id) < one.says);
        let subscribers = one.subscribers.len();
        if one.reached_999.is_none() && behind.len() * 1_000 <= subscribers {
            one.reached_999 = Some(now);
        }
        if !behind.is_empty() {
            one.fresh = Some((since, behind));
            return;
        }
        let ways = one.says.and_then(|says| self.world.traffic()?.ways(one.node_id, says).cloned());
        let ways = ways.unwrap_or_default();
        report.spread.push(Spread {
            provider: one.name.clone(),
            at_ms: (since - self.started).as_millis(),
            subscribers: subscribers as u64,
            reached_999_ms: (one.reached_999.unwrap_or(now) - since).as_millis(),
            reached_all_ms: (now - since).as_millis(),
            last_hop: ways.last_hop(),
            copies: ways.copies,
            receivers: ways.receivers(),
        });
    }

    fn look_at_dead(&mut self, one: &mut Watched, now: Time, report: &mut MeshReport) {
        one.fresh = None;
        one.presence = Presence::default();
        let knows = |run: &Self, host: &HostId| run.version_at(*host, one.node_id).is_some();
        let since = one.down.take().map_or(now, |(since, _)| since);
        // All of them, each time: what it said before it died may come to some after they had given it up.
        let alive: BTreeSet<HostId> =
            one.subscribers.iter().copied().filter(|host| knows(self, host)).collect();
        if one.gone {
            // Whoever has started since then was not there when it died.
            let there = |run: &Self, host: &HostId| run.world.has_lived_since(*host, since);
            // What it said last may be long on its way, round a partition say, and is news to whoever never held it.
            let old =
                |run: &Self, host: &HostId| run.version_at(*host, one.node_id) <= one.held.get(host).copied();
            let back = one.subscribers.iter().find(|host| knows(self, host) && there(self, host)).copied();
            if let Some(host) = back {
                if old(self, &host) {
                    let there = self.world.name(host);
                    self.findings.push(format!("{} is dead, and {there} took it for alive again", one.name));
                }
                one.gone = false;
            }
        } else {
            let after = now - since;
            if alive.is_empty() {
                one.gone = true;
                report.gone.push(Gone { provider: one.name.clone(), after_ms: after.as_millis() });
            } else if after >= GONE_WITHIN && report.not_gone.insert(one.name.clone()) {
                let many = alive.len();
                report.late.push(format!("{} is dead, and {many} take it for alive", one.name));
            }
        }
        one.down = Some((since, alive));
    }

    fn look_who_holds(&self, one: &mut Watched) {
        for host in &one.subscribers {
            if let Some(version) = self.version_at(*host, one.node_id) {
                one.held.insert(*host, version);
            }
        }
    }

    /// The version of a provider's capability record that a host holds.
    fn version_at(&self, host: HostId, provider: NodeId) -> Option<Version> {
        match self.world.machine(host)? {
            Resident::Node(node) => node.knows(provider),
            _ => None,
        }
    }

    /// What was found, with what it cost.
    pub(super) fn mesh_report(&mut self) -> Option<MeshReport> {
        let Watch { providers, mut report, .. } = self.mesh.take()?;
        let from = self.started + self.scenario.mesh.as_ref()?.from;
        report.unfinished = providers.iter().filter(|one| one.fresh.is_some()).count() as u64;
        let seconds = (self.world.now() - from).as_millis().max(1) as f64 / 1e3;
        let node_seconds = seconds * report.nodes as f64;
        let mut cost: BTreeMap<&'static str, Cost> = BTreeMap::new();
        for (kind, sum) in self.world.traffic()?.by_kind() {
            let class = cost.entry(class(kind)).or_default();
            class.frames_per_node_second += sum.frames as f64 / node_seconds;
            class.bytes_per_node_second += sum.bytes as f64 / node_seconds;
        }
        report.cost = cost;
        Some(report)
    }
}

/// What a frame is for.
const fn class(kind: Option<Kind>) -> &'static str {
    match kind {
        Some(Kind::CapabilityRecord) => "capability_records",
        Some(Kind::PeerRecord | Kind::Shuffle | Kind::Invite) => "membership",
        Some(Kind::Departure | Kind::Suspicion) => "deaths",
        Some(Kind::Announce | Kind::Want | Kind::Prune | Kind::Digest | Kind::Distances) => "repair",
        Some(Kind::Hello) => "hello",
        Some(_) => "jobs",
        None => "other",
    }
}
