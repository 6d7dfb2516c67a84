//! Carries providers' calls to this gateway's FEP, for those that do not reach it themselves. Only what its sender signed, and
//! only signed answers go back: a gateway can lose either, and change none.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::Tell;
use crate::identity::{FepId, NodeId};
use crate::limits::{ERRANDS, ERRANDS_OF_ONE};
use crate::node::cx::Cx;
use crate::node::fep::Answer;
use crate::wire::cbor::{self, Blob};
use crate::wire::envelope::Kind;
use crate::wire::mesh::{Errand, ErrandDone, FepCall};
use crate::wire::object::{MOST, open};
use crate::wire::portal::{Claim, UsageStatement};

#[derive(Default)]
pub(super) struct Courier {
    /// Calls under way, by who asked for them.
    carried: BTreeMap<NodeId, usize>,
    done: Vec<Tell>,
}

impl Courier {
    /// Whether to make that call.
    pub(super) fn takes(&mut self, cx: &Cx<'_>, fep_id: FepId, from: NodeId, errand: &Errand) -> bool {
        let of_all: usize = self.carried.values().sum();
        let of_one = self.carried.get(&from).copied().unwrap_or_default();
        let takes =
            errand.fep_id == fep_id && of_one < ERRANDS_OF_ONE && of_all < ERRANDS && is_of(cx, from, errand);
        if takes {
            *self.carried.entry(from).or_default() += 1;
        }
        takes
    }

    pub(super) fn answered(&mut self, to: NodeId, number: u64, answer: Answer) {
        if let Some(carried) = self.carried.get_mut(&to) {
            *carried -= 1;
            if *carried == 0 {
                self.carried.remove(&to);
            }
        }
        match answer {
            // Longer than a signed object can be, it is none, and no frame could bring it.
            Answer::Given(object) if object.len() <= MOST => {
                let payload = cbor::encode(&ErrandDone { number, object: Blob(object) });
                self.done.push(Tell { to, kind: Kind::ErrandDone, payload });
            }
            Answer::Given(_) | Answer::Nothing | Answer::Noted | Answer::Refused(_) | Answer::Silent => {}
        }
    }

    pub(super) fn take_done(&mut self) -> Vec<Tell> {
        core::mem::take(&mut self.done)
    }
}

fn is_of(cx: &Cx<'_>, from: NodeId, errand: &Errand) -> bool {
    let (network, signer, bytes) = (cx.me.network, Some(from.0), &errand.object.0);
    match errand.call {
        FepCall::Statement => open::<UsageStatement>(network, signer, bytes).is_ok(),
        FepCall::Claim => open::<Claim>(network, signer, bytes).is_ok(),
    }
}
