//! Failure detection: a node is missed by a witness, gone when its witnesses say so, and refutes it if it lives.

use super::said::Said;
use super::{Gossip, SLANDER};
use crate::identity::NodeId;
use crate::mutants::{Mutant, mutant};
use crate::node::cx::Cx;
use crate::wire::mesh::{Key, Suspicion, Version};
use crate::wire::topic::Topics;

impl Gossip {
    /// We were linked to it, it named us as its witness, and it has not said anything since.
    pub(super) fn suspect(&mut self, cx: &mut Cx<'_>, subject: NodeId) {
        let held = [Key::peer(subject), Key::capability(subject)].map(|key| self.records.mark(&key));
        let Some(version) = held.into_iter().flatten().map(|mark| mark.version).max() else { return };
        let named = self.view.is_witness(&cx.me.node_id, subject);
        if !named || self.tree.is_linked(&subject) || self.deaths.is_buried(&subject, version) {
            return;
        }
        let is_gateway = self.view.peer_of(&subject).is_some_and(|record| record.gateway);
        let served = self.records.get(&Key::capability(subject)).map(|record| record.topics.clone());
        let topics = if is_gateway { Topics::All } else { served.unwrap_or_else(Topics::none) };
        cx.info(alloc::format!("{subject} is missed"));
        self.deaths.suspect(cx.me.node_id, subject, version);
        let key = Key::suspicion(cx.me.node_id, subject);
        self.say_of_others(cx, key, &Said::Suspicion(Suspicion { subject, version, topics }));
        self.judge(cx, subject);
    }

    /// Is it dead, by what its witnesses say? Not if we see that it lives.
    pub(super) fn judge(&mut self, cx: &mut Cx<'_>, subject: NodeId) {
        if self.tree.is_linked(&subject) {
            return;
        }
        for key in [Key::peer(subject), Key::capability(subject)] {
            let Some(mark) = self.records.mark(&key) else { continue };
            if self.deaths.is_missed(&subject, mark.version, self.view.witnesses_in(&key)) {
                cx.info(alloc::format!("{subject} is gone"));
                self.bury(cx, subject, mark.version);
            }
        }
    }

    pub(super) fn bury(&mut self, cx: &Cx<'_>, node_id: NodeId, version: Version) {
        self.deaths.bury(cx.now.mono, node_id, version);
        for key in [Key::peer(node_id), Key::capability(node_id)] {
            if self.records.mark(&key).is_some_and(|mark| mark.version <= version) {
                self.records.forget(&key);
                self.forgot(cx, key);
            }
        }
    }

    /// Somebody says that we are dead, as far as we spoke up to that version.
    pub(super) fn refute(&mut self, cx: &Cx<'_>, by: NodeId, version: Version) {
        if self.own.ends_with(cx, version) && !mutant(Mutant::SuspicionNotRefuted) {
            if self.tree.is_linked(&by) {
                self.slanderers.set(by, cx.now.mono + SLANDER, "who slandered us may be a witness again");
                self.witnesses_changed(cx);
            }
            self.renew(cx);
        }
    }
}
