//! Why a request went where it went: for the person who asks later.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, VecDeque},
    string::String,
    vec::Vec,
};

use serde_json::{Value, json};

use super::filter::Removed;
use crate::identity::NodeId;
use crate::limits::EXPLAINED;
use crate::money::Micros;
use crate::time::{Span, Time, Wall};
use crate::wire::ids::RequestId;

/// One routing decision, and what came of it.
pub(crate) struct Decision {
    pub(super) asked: Time,
    pub(super) at: Wall,
    pub(super) model: String,
    pub(super) policy: String,
    /// How many could have served.
    pub(super) eligible: usize,
    /// The first of these, in the order in which they would be tried. (A vector could keep the room of all the others.)
    pub(super) considered: Box<[Considered]>,
    /// How many could not, and one of them.
    pub(super) removed: BTreeMap<Removed, (usize, NodeId)>,
    pub(super) attempts: Vec<Tried>,
}

pub(super) struct Considered {
    pub(super) provider: NodeId,
    pub(super) slug: String,
    pub(super) charge: Micros,
    pub(super) score: u64,
    /// Jobs there, as far as is known; slots; and those that are this gateway's.
    pub(super) load: u32,
    pub(super) slots: u32,
    pub(super) own: u32,
    pub(super) first_us: Option<u64>,
    pub(super) token_us: Option<u64>,
    pub(super) reliability: u32,
    pub(super) newcomer: bool,
    /// Why it is where it is in the order.
    pub(super) because: &'static str,
}

pub(super) struct Tried {
    provider: NodeId,
    /// From the request's arrival.
    after: Span,
    what: &'static str,
}

/// The last requests' decisions.
#[derive(Default)]
pub(crate) struct Decisions {
    of: BTreeMap<RequestId, Decision>,
    order: VecDeque<RequestId>,
}

impl Decisions {
    pub(super) fn keep(&mut self, id: RequestId, decision: Decision) {
        if self.of.insert(id, decision).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > EXPLAINED
            && let Some(oldest) = self.order.pop_front()
        {
            self.of.remove(&oldest);
        }
    }

    pub(super) fn tried(&mut self, id: RequestId, provider: NodeId, now: Time, what: &'static str) {
        if let Some(decision) = self.of.get_mut(&id) {
            decision.attempts.push(Tried { provider, after: now - decision.asked, what });
        }
    }

    /// For people. `None`: it is not remembered.
    pub(super) fn show(&self, id: RequestId) -> Option<Value> {
        let decision = self.of.get(&id)?;
        let considered = decision.considered.iter().map(|one| {
            json!({
                "provider": one.provider, "slug": one.slug, "charge_at_most": one.charge, "score": one.score,
                "load": one.load, "own": one.own, "slots": one.slots, "first_token_us": one.first_us,
                "token_us": one.token_us, "reliability": one.reliability, "newcomer": one.newcomer,
                "because": one.because,
            })
        });
        let removed = decision.removed.iter().map(
            |(why, (count, example))| json!({ "why": why.text(), "count": count, "for_example": example }),
        );
        let attempts = decision.attempts.iter().map(|tried| {
            json!({ "provider": tried.provider, "after_ms": tried.after.as_millis(), "what": tried.what })
        });
        Some(json!({
            "request_id": alloc::format!("req_{id}"), "at_ms": decision.at.0, "model": decision.model,
            "policy": decision.policy, "eligible": decision.eligible,
            "considered": considered.collect::<Vec<_>>(), "removed": removed.collect::<Vec<_>>(),
            "attempts": attempts.collect::<Vec<_>>(),
        }))
    }
}
