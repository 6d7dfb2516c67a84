//! Who may talk to this node at all. Asked for every link, and so for every stream on it.

use alloc::collections::BTreeSet;

use crate::identity::NodeId;
use crate::node::config;

pub(crate) struct Admission {
    /// Empty: everybody who is not denied.
    trust: BTreeSet<NodeId>,
    deny: BTreeSet<NodeId>,
}

impl Admission {
    pub(crate) fn new(config: &config::Config) -> Self {
        Self { trust: config.trust.iter().copied().collect(), deny: config.deny.iter().copied().collect() }
    }

    pub(crate) fn admits(&self, node_id: &NodeId) -> bool {
        !self.deny.contains(node_id) && (self.trust.is_empty() || self.trust.contains(node_id))
    }
}
