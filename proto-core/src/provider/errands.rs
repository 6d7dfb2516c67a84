//! Calls of a FEP that does not answer us, for a gateway to carry: beside our own, which go on. Either may bring the answer.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::rows::AuthKey;
use crate::identity::FepId;
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
    /// What each is for, and until when it may come back.
    open: BTreeMap<u64, (For, Time)>,
    ready: Vec<Errand>,
}

impl Errands {
    pub(super) fn ask(&mut self, now: Time, whose: For, fep_id: FepId, object: Vec<u8>) {
        self.open.retain(|_, (_, until)| now < *until);
        if self.open.len() >= ERRANDS || self.open.values().any(|(open, _)| *open == whose) {
            return;
        }
        self.last += 1;
        self.open.insert(self.last, (whose, now + ERRAND_WITHIN));
        let call = match whose {
            For::Statement(_) => FepCall::Statement,
            For::Claim(_) => FepCall::Claim,
        };
        self.ready.push(Errand { number: self.last, fep_id, call, object: Blob(object) });
    }

    pub(super) fn take_ready(&mut self) -> Vec<Errand> {
        core::mem::take(&mut self.ready)
    }

    /// What an answer is to. It may be anybody's making: what is in it is signed, or worth nothing.
    pub(super) fn done(&mut self, number: u64) -> Option<For> {
        self.open.remove(&number).map(|(whose, _)| whose)
    }
}
