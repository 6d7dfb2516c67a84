//! Who could serve, and what their service should have come to.

use std::collections::BTreeMap;

use labman_proto_core::time::Span;

use super::Run;
use crate::cast::{Resident, runtime_name};
use crate::report::Report;
use crate::report::service::Work;
use crate::scenario::Portman;

impl Run<'_> {
    /// Every provider, before any job of it is counted.
    pub(super) fn idle(&self) -> Vec<(String, Work)> {
        let mut kinds: Vec<&[Portman]> = Vec::new();
        let mut idle = Vec::new();
        for provider in &self.scenario.providers {
            let known = kinds.iter().position(|portmans| *portmans == provider.portmans);
            let kind = known.unwrap_or_else(|| {
                kinds.push(&provider.portmans);
                kinds.len() - 1
            });
            idle.push((
                provider.name.clone(),
                Work { honest: self.is_honest(&provider.name), kind, jobs: 0 },
            ));
        }
        idle
    }

    /// How long the runtime of each provider that has only one would think for its answers, one after the other: as many as were
    /// given.
    pub(super) fn thoughts(&mut self, report: &Report) -> BTreeMap<String, Vec<Span>> {
        let mut answers: BTreeMap<&str, usize> = BTreeMap::new();
        for provider in report.outcomes.iter().filter_map(|job| job.provider.as_deref()) {
            *answers.entry(provider).or_default() += 1;
        }
        let mut thoughts = BTreeMap::new();
        for provider in &self.scenario.providers {
            let [portman] = provider.portmans.as_slice() else { continue };
            let Some(host) = self.hosts.get(&runtime_name(provider, portman)).copied() else { continue };
            let answers = answers.get(provider.name.as_str()).copied().unwrap_or(0);
            let of_it = self.world.command(host, |resident| match resident {
                Resident::Toy(toy) => toy.thoughts().take(answers).collect(),
                _ => Vec::new(),
            });
            thoughts.insert(provider.name.clone(), of_it.unwrap_or_default());
        }
        thoughts
    }
}
