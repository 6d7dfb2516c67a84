//! What was decided, done: a model that drains is offered no more, ends what was begun, and is unloaded; one that is to be
//! loaded waits until there is room.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use super::{Desk, Hosting, NOT_AGAIN};
use crate::limits::LOAD_GRACE;
use crate::market::plan::{Line, Verdict};
use crate::market::policy::Hosted;
use crate::node::cx::Cx;
use crate::provider::waiting::Where;
use crate::time::{Span, Time};
use crate::wire::portman::ToPortman;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moving {
    /// To be loaded when there is room.
    Waiting,
    Loading {
        until: Time,
    },
    /// To be unloaded when no job of it is left.
    Draining,
    Unloading {
        until: Time,
    },
}

impl Moving {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waits for room",
            Self::Loading { .. } => "loading",
            Self::Draining => "draining",
            Self::Unloading { .. } => "unloading",
        }
    }
}

impl Hosting {
    /// It is not offered any more.
    pub(in super::super) fn is_leaving(&self, ep: &str, model: &str) -> bool {
        let moving = self.moving.get(&(ep.to_string(), model.to_string()));
        matches!(moving, Some(Moving::Draining | Moving::Unloading { .. }))
    }

    /// A Portman is gone, and with it what it was told.
    pub(in super::super) fn lost(&mut self, ep: &str) {
        self.moving.retain(|(other, _), _| other != ep);
    }

    /// A model was not loaded, or not unloaded.
    pub(in super::super) fn failed(&mut self, now: Time, whereto: Where) {
        if self.moving.remove(&whereto).is_some() {
            self.not_again_soon(now, whereto);
        }
    }

    fn not_again_soon(&mut self, now: Time, whereto: Where) {
        let again = now + Span(self.policy.epoch.0.saturating_mul(NOT_AGAIN));
        self.models.entry(whereto).or_default().not_before = Some(again);
        self.reoffer = true;
    }

    /// True: the offers are to be announced anew.
    pub(in super::super) fn take_reoffer(&mut self) -> bool {
        core::mem::take(&mut self.reoffer)
    }

    /// Goes on with what was decided, as far as jobs have ended and there is room.
    pub(in super::super) fn go_on(&mut self, cx: &mut Cx<'_>, desk: &Desk<'_>) -> Vec<(String, ToPortman)> {
        let mut orders = Vec::new();
        let mut moving = core::mem::take(&mut self.moving);
        moving.retain(|(ep, model), step| {
            let (runs, holds) = (desk.sockets.runs(ep, model), desk.sockets.holds(ep, model));
            match *step {
                Moving::Waiting | Moving::Loading { .. } if runs => {
                    cx.info(format!("{model} is loaded at {ep:?}"));
                    false
                }
                Moving::Unloading { .. } | Moving::Draining if !holds => {
                    cx.info(format!("{model} is unloaded at {ep:?}"));
                    false
                }
                Moving::Loading { until } | Moving::Unloading { until } if until <= cx.now.mono => {
                    cx.warn(format!(
                        "{model} at {ep:?} did not get ready or out of the way in time: see to its runtime"
                    ));
                    self.not_again_soon(cx.now.mono, (ep.clone(), model.clone()));
                    if !runs {
                        let reason = "it was to be ready by now".to_string();
                        orders.push((ep.clone(), ToPortman::UnloadModel { model: model.clone(), reason }));
                    }
                    false
                }
                Moving::Draining if !desk.is_used(ep, model) => {
                    *step = Moving::Unloading { until: cx.now.mono + LOAD_GRACE };
                    let reason = "others are worth more".to_string();
                    orders.push((ep.clone(), ToPortman::UnloadModel { model: model.clone(), reason }));
                    true
                }
                Moving::Waiting | Moving::Loading { .. } | Moving::Draining | Moving::Unloading { .. } => {
                    true
                }
            }
        });
        self.moving = moving;
        self.load_what_fits(cx, desk, &mut orders);
        orders
    }

    fn load_what_fits(&mut self, cx: &Cx<'_>, desk: &Desk<'_>, orders: &mut Vec<(String, ToPortman)>) {
        for (portman, shelf) in desk.shelves() {
            let taken = |(model, hosted): (&String, &Hosted)| {
                let step = self.moving.get(&(portman.ep.clone(), model.clone()));
                let held = desk.sockets.holds(&portman.ep, model)
                    || matches!(step, Some(Moving::Loading { .. } | Moving::Unloading { .. }));
                if held { hosted.memory } else { 0 }
            };
            let mut free =
                shelf.memory.saturating_sub(shelf.models.iter().map(taken).fold(0, u64::saturating_add));
            // A runtime loads one after the other.
            let mut until = self.loaded_by(&portman.ep).unwrap_or(cx.now.mono + LOAD_GRACE);
            for (place, model) in self.waiting_at(&portman.ep).into_iter().enumerate() {
                let Some(hosted) = shelf.models.get(&model) else { continue };
                // What is worth most is not overtaken by what is smaller.
                let Some(rest) = free.checked_sub(hosted.memory) else { break };
                free = rest;
                until = until + Span(hosted.load.0.saturating_mul(4));
                self.moving.insert((portman.ep.clone(), model.clone()), Moving::Loading { until });
                self.loads += 1;
                let priority = u8::MAX - u8::try_from(place).unwrap_or(u8::MAX);
                orders.push((portman.ep.clone(), ToPortman::LoadModel { model, priority }));
            }
        }
    }

    /// When the last of the loads that were ordered there must have ended.
    fn loaded_by(&self, ep: &str) -> Option<Time> {
        let there = self.moving.iter().filter(|((other, _), _)| other == ep);
        let until = there.filter_map(|(_, step)| match step {
            Moving::Loading { until } => Some(*until),
            _ => None,
        });
        until.max()
    }

    /// What waits to be loaded, the most worth for a GiB first.
    fn waiting_at(&self, ep: &str) -> Vec<String> {
        let lines = self.decided.get(ep).map(Vec::as_slice).unwrap_or_default();
        let names = lines.iter().map(|line| &line.candidate.model);
        let waits =
            |model: &&String| self.moving.get(&(ep.to_string(), (*model).clone())) == Some(&Moving::Waiting);
        names.filter(waits).cloned().collect()
    }

    /// Begins what a plan says.
    pub(super) fn order(&mut self, cx: &mut Cx<'_>, ep: &str, lines: &[Line]) -> bool {
        let mut moved = false;
        for Line { candidate, verdict, why, .. } in lines {
            let whereto = (ep.to_string(), candidate.model.clone());
            match verdict {
                Verdict::Load => {
                    cx.info(format!("{} is to be loaded at {ep:?}: {why}", candidate.model));
                    self.moving.entry(whereto).or_insert(Moving::Waiting);
                }
                Verdict::Unload if self.moving.get(&whereto) == Some(&Moving::Waiting) => {
                    self.moving.remove(&whereto);
                }
                Verdict::Unload => {
                    cx.info(format!("{} is to be unloaded at {ep:?}: {why}", candidate.model));
                    self.moving.insert(whereto, Moving::Draining);
                }
                Verdict::Keep | Verdict::Leave => continue,
            }
            moved = true;
        }
        moved
    }
}
