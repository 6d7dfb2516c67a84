//! Calls of a FEP that does not answer us, for a gateway to carry: beside our own, which go on. Either may bring the answer.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::rows::AuthKey;
use crate::identity::{FepId, NodeId};
use crate::limits::{ERRAND_WITHIN, ERRANDS};
use crate::time::Time;
use crate::wire::cbor::Blob;
use crate::wire::ids::ClaimId;
use crate::wire::mesh::{Errand, FepCall};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    Statement(AuthKey),
    Claim(ClaimId),
}

#[derive(Default)]
pub(super) struct Errands {
    last: u64,
    open: BTreeMap<u64, Open>,
    ready: Vec<Errand>,
}

struct Open {
    whose: For,
    /// Who carries it.
    courier: Option<NodeId>,
    /// It may come back until then.
    until: Time,
}

impl Errands {
    pub(super) fn ask(&mut self, now: Time, whose: For, fep_id: FepId, object: Vec<u8>) {
        self.open.retain(|_, open| now < open.until);
        if self.open.len() >= ERRANDS || self.open.values().any(|open| open.whose == whose) {
            return;
        }
        self.last += 1;
        self.open.insert(self.last, Open { whose, courier: None, until: now + ERRAND_WITHIN });
        let call = match whose {
            For::Statement(_) => FepCall::Statement,
            For::Claim(_) => FepCall::Claim,
        };
        self.ready.push(Errand { number: self.last, fep_id, call, object: Blob(object) });
    }

    pub(super) fn take_ready(&mut self) -> Vec<Errand> {
        core::mem::take(&mut self.ready)
    }

    pub(super) fn sent(&mut self, number: u64, to: NodeId) {
        if let Some(open) = self.open.get_mut(&number) {
            open.courier = Some(to);
        }
    }

    /// What an answer is to, if it is its courier's. It may be of that one's making: what is in it is signed, or worth nothing.
    pub(super) fn done(&mut self, from: NodeId, number: u64) -> Option<For> {
        self.open.get(&number).filter(|open| open.courier == Some(from))?;
        self.open.remove(&number).map(|open| open.whose)
    }
}
