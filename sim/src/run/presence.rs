//! Who lives is known: whether, of the providers that are watched, each stays in the views of all who hear of it.
//!
//! A provider that lives can be lost for a moment where enough of its witnesses lie: it hears of it and says that it lives.
//! So a loss counts as wrong only while nothing else goes wrong, and only if too few lie, or if it lasts.

use std::collections::BTreeMap;

use labman_proto_core::limits::SUSPICIONS;
use labman_proto_core::time::{Span, Time};

use super::Run;
use crate::adversary::Role;
use crate::host::HostId;
use crate::report::mesh::MeshReport;

/// Who is slandered is known again within this.
const AGAIN_WITHIN: Span = Span::from_secs(10);
/// So long after a fault everything may still follow from it.
const AFTERMATH: Span = Span::from_secs(60);

/// Where one provider is known.
#[derive(Default)]
pub(super) struct Presence {
    /// Who knew it at the last look, and since when who did knows it no more.
    at: BTreeMap<HostId, Option<Time>>,
    /// Since when too few of those who are linked to it lie.
    safe: Option<Time>,
    /// That it stayed away was said.
    told: bool,
}

impl Run<'_> {
    /// A look at a provider that lives, and at those who hear of it: which of them know it?
    pub(super) fn look_for(
        &mut self,
        presence: &mut Presence,
        (name, host): (&str, HostId),
        known: &[(HostId, bool)],
        report: &mut MeshReport,
    ) {
        let now = self.world.now();
        if self.has_honest_witness(host) {
            presence.safe.get_or_insert(now);
        } else {
            presence.safe = None;
        }
        // What it said before that has been forgotten by then.
        let is_safe = presence.safe.is_some_and(|since| now - since >= AGAIN_WITHIN);
        for (there, knows) in known.iter().copied() {
            if !self.world.is_up(there) {
                presence.at.remove(&there);
                continue;
            }
            let before = presence.at.get(&there).copied();
            if before.is_some() || knows {
                report.looks += 1;
                report.absences += u64::from(!knows);
            }
            match (before, knows) {
                (Some(Some(since)), true) => {
                    report.lost_ms = report.lost_ms.max((now - since).as_millis());
                    presence.at.insert(there, None);
                }
                (None, true) => {
                    presence.at.insert(there, None);
                }
                (Some(None), false) => {
                    report.lost += 1;
                    presence.at.insert(there, Some(now));
                    if is_safe && self.is_calm() {
                        let there = self.world.name(there);
                        self.findings.push(format!("{name} lives, and {there} took it for dead"));
                    }
                }
                (Some(Some(since)), false) => {
                    if now - since >= AGAIN_WITHIN && !presence.told && self.is_calm() {
                        presence.told = true;
                        let there = self.world.name(there);
                        self.findings.push(format!("{name} lives, and {there} goes on taking it for dead"));
                    }
                }
                (Some(None), true) | (None, false) => {}
            }
        }
    }

    /// Whether no fault is under way, nor was a short while ago.
    pub(super) fn is_calm(&self) -> bool {
        let now = self.world.now();
        let over = |at: Span| self.started + at + AFTERMATH;
        self.scenario
            .faults
            .iter()
            .all(|fault| self.started + fault.at > now || over(fault.at + fault.lasting) < now)
    }

    /// Whether a node's neighbours can't all lie of it, nor enough of them.
    fn has_honest_witness(&self, host: HostId) -> bool {
        let gateways = self.world.neighbours(host).map(|there| self.world.name(there));
        let gateways = gateways.filter(|name| self.scenario.role_of(name) == Some(Role::Gateway));
        let (honest, lying): (Vec<&str>, Vec<&str>) = gateways.partition(|name| self.is_honest(name));
        !honest.is_empty() && lying.len() < SUSPICIONS
    }
}
