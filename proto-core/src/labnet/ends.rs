//! Which links lead to a node, and whether job streams may be opened on one of them.

use alloc::{collections::BTreeMap, vec::Vec};

use crate::identity::NodeId;
use crate::machine::LinkId;
use crate::routing::along::Along;

#[derive(Default)]
pub(super) struct Ends {
    /// By who is at their other end, in the order in which they came.
    links: BTreeMap<NodeId, Vec<LinkId>>,
    /// How many of them are ways in, where there are any: a gateway asks for each candidate of each request.
    ways_in: BTreeMap<NodeId, usize>,
}

impl Ends {
    pub(super) fn link_up(&mut self, node_id: NodeId, link: LinkId) {
        self.links.entry(node_id).or_default().push(link);
    }

    /// Whoever calls this has said before that it was a way in, if it was one.
    pub(super) fn link_down(&mut self, node_id: NodeId, link: LinkId) {
        if let Some(links) = self.links.get_mut(&node_id) {
            links.retain(|other| *other != link);
            if links.is_empty() {
                self.links.remove(&node_id);
            }
        }
    }

    pub(super) fn of(&self, node_id: &NodeId) -> &[LinkId] {
        self.links.get(node_id).map(Vec::as_slice).unwrap_or_default()
    }

    /// Job streams may be opened on one more of a node's links.
    pub(super) fn way_in_came(&mut self, node_id: NodeId) {
        *self.ways_in.entry(node_id).or_default() += 1;
    }

    /// On one less.
    pub(super) fn way_in_gone(&mut self, node_id: NodeId) {
        match self.ways_in.get_mut(&node_id) {
            Some(links) if *links > 1 => *links -= 1,
            _ => {
                self.ways_in.remove(&node_id);
            }
        }
    }

    /// Whether there is a way in, of one node after the other.
    pub(super) fn ways_in(&self) -> impl FnMut(&NodeId) -> bool {
        let mut along = Along::new(&self.ways_in);
        move |node_id| along.at(node_id).is_some()
    }
}
