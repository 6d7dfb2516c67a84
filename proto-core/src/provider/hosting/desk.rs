//! What hosting is decided by, of the rest of the provider.

use alloc::{collections::BTreeMap, string::ToString};
use core::cmp::Reverse;

use super::super::job::{Job, State};
use super::super::sockets::Sockets;
use super::super::waiting::{Waiting, Where};
use crate::machine::StreamId;
use crate::market::policy::Shelf;
use crate::names;
use crate::node::config;
use crate::time::{Span, Time};

pub(in super::super) struct Desk<'a> {
    pub(in super::super) config: &'a config::Provider,
    pub(in super::super) sockets: &'a Sockets,
    pub(in super::super) waiting: &'a Waiting,
    pub(in super::super) jobs: &'a BTreeMap<StreamId, Job>,
}

impl<'a> Desk<'a> {
    pub(super) fn shelves(&self) -> impl Iterator<Item = (&'a config::Portman, &'a Shelf)> + use<'a> {
        self.config.portmans.iter().filter_map(|portman| Some((portman, portman.shelf.as_ref()?)))
    }

    /// All that runs or could, at every endpoint.
    pub(super) fn models(&self) -> impl Iterator<Item = (&'a config::Portman, &'a str)> + use<'a> {
        let sockets = self.sockets;
        self.config
            .portmans
            .iter()
            .flat_map(move |portman| sockets.known(&portman.ep).map(move |model| (portman, model)))
    }

    /// Those that it has, or would have.
    pub(super) fn slots(&self, portman: &config::Portman, model: &str) -> u32 {
        let configured = portman.shelf.as_ref().and_then(|shelf| shelf.models.get(model)?.slots);
        let runs = self.sockets.slots_of(&portman.ep, model);
        runs.or(configured).unwrap_or_else(|| self.sockets.most_slots(&portman.ep)).max(1)
    }

    /// Of all that run under that name, at every endpoint.
    pub(super) fn slots_named(&self, name: &str) -> u32 {
        let named = self.models().filter(|(_, model)| *model == name);
        let runs = named.filter(|(portman, model)| self.sockets.runs(&portman.ep, model));
        runs.map(|(portman, model)| self.slots(portman, model)).fold(0, u32::saturating_add)
    }

    /// Whoever asks by that name is served by one of an endpoint's models, and counts for that one: so called, or else one that runs.
    pub(super) fn serves_first(&self, portman: &config::Portman, name: &str) -> Option<&'a str> {
        let known = self.sockets.known(&portman.ep).filter(|model| names::asks_for(name, model));
        known.max_by_key(|model| (*model == name, self.sockets.runs(&portman.ep, model), Reverse(*model)))
    }

    /// A job of it runs, waits, or is about to: its authorization is on its way to the disk.
    pub(super) fn is_used(&self, ep: &str, model: &str) -> bool {
        let recorded = |job: &Job| match &job.state {
            State::Recording(admitted) => admitted.known.ep == ep && admitted.known.model == model,
            _ => false,
        };
        self.sockets.in_flight(ep, model) > 0
            || self.waiting.len(ep, model) > 0
            || self.jobs.values().any(recorded)
    }

    /// Time that jobs which run now have had slots of each model, since that moment.
    pub(super) fn in_use(&self, since: Time, now: Time) -> BTreeMap<Where, Span> {
        let mut used: BTreeMap<Where, Span> = BTreeMap::new();
        for job in self.jobs.values() {
            if let State::Running(running) = &job.state
                && let Some((ep, model)) = running.whereto(self.sockets)
            {
                let of = used.entry((ep.to_string(), model.to_string())).or_default();
                *of = Span(of.0.saturating_add((now - running.began().max(since)).0));
            }
        }
        used
    }
}
