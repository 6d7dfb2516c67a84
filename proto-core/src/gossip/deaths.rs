//! Who is gone: by its own word, or because those who were linked to it miss it.
//!
//! A node names its witnesses in its records. Each that loses its link to it, and does not hear that it lives, signs a
//! suspicion of the version it holds; so many of them (all, where a node has fewer) make a death. A later version refutes
//! them all, and a node that lives signs one as soon as it loses a link or hears that it is suspected. So a lie costs
//! nothing but that, and nobody but a node's witnesses can tell it.
//!
//! What was found dead stays dead up to that version for as long as a record of it could still come round.

use alloc::{collections::BTreeMap, vec::Vec};

use crate::identity::NodeId;
use crate::limits::{RECORD_TTL, SUSPICIONS, SUSPICIONS_OF_ONE};
use crate::mutants::{Mutant, mutant};
use crate::time::{Time, Wake};
use crate::timers::Timers;
use crate::wire::mesh::{Key, Version};

#[derive(Default)]
pub(super) struct Deaths {
    /// By subject, then by signer.
    suspected: BTreeMap<NodeId, BTreeMap<NodeId, Version>>,
    /// How many of each signer there are.
    signed: BTreeMap<NodeId, usize>,
    dead: BTreeMap<NodeId, Version>,
    dead_until: Timers<NodeId>,
}

impl Deaths {
    /// Is there room for a suspicion of that signer's?
    pub(super) fn has_room(&self, signer: &NodeId) -> bool {
        self.signed.get(signer).is_none_or(|many| *many < SUSPICIONS_OF_ONE)
    }

    pub(super) fn suspect(&mut self, signer: NodeId, subject: NodeId, version: Version) {
        if self.suspected.entry(subject).or_default().insert(signer, version).is_none() {
            *self.signed.entry(signer).or_default() += 1;
        }
    }

    pub(super) fn suspicion_expired(&mut self, signer: NodeId, subject: NodeId) {
        let Some(by) = self.suspected.get_mut(&subject) else { return };
        if by.remove(&signer).is_some()
            && let Some(many) = self.signed.get_mut(&signer)
        {
            *many -= 1;
            if *many == 0 {
                self.signed.remove(&signer);
            }
        }
        if by.is_empty() {
            self.suspected.remove(&subject);
        }
    }

    /// It is gone, as far as it spoke up to that version.
    pub(super) fn bury(&mut self, now: Time, node_id: NodeId, version: Version) {
        if mutant(Mutant::DeadForgotten) {
            return;
        }
        let buried = self.dead.entry(node_id).or_insert(version);
        *buried = version.max(*buried);
        self.dead_until.set(node_id, now + RECORD_TTL, "a death is forgotten");
    }

    pub(super) fn is_buried(&self, node_id: &NodeId, version: Version) -> bool {
        self.dead.get(node_id).is_some_and(|buried| *buried >= version)
    }

    /// Do enough of its witnesses miss it?
    pub(super) fn is_missed(&self, node_id: &NodeId, version: Version, witnesses: &[NodeId]) -> bool {
        let Some(by) = self.suspected.get(node_id) else { return false };
        let counts = |signer: &&NodeId| by.get(*signer).is_some_and(|suspected| *suspected >= version);
        let needed = if mutant(Mutant::OneSuspicionKills) { 1 } else { witnesses.len().min(SUSPICIONS) };
        if mutant(Mutant::AnyoneIsWitness) {
            return needed > 0 && by.values().filter(|suspected| **suspected >= version).count() >= needed;
        }
        needed > 0 && witnesses.iter().filter(counts).count() >= needed
    }

    /// The suspicions of a node, to convince who has not heard.
    pub(super) fn suspicions_of(&self, subject: NodeId) -> Vec<Key> {
        let by = self.suspected.get(&subject);
        by.into_iter().flat_map(|by| by.keys()).map(|signer| Key::suspicion(*signer, subject)).collect()
    }

    pub(super) fn handle_timeout(&mut self, now: Time) {
        while let Some(node_id) = self.dead_until.expired(now) {
            self.dead.remove(&node_id);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Wake> {
        self.dead_until.next()
    }
}
