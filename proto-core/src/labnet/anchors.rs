//! Peers that this node chose and reached in earlier lives, kept on disk: it calls them first. Who waits for a node to
//! start anew, and then tells it of nobody but themselves, comes too late.

use alloc::{
    collections::{BTreeMap, VecDeque},
    string::ToString,
    vec::Vec,
};
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::identity::NodeId;
use crate::limits::ANCHORS;
use crate::node::cx::Cx;
use crate::store::{BadRow, Row, Snapshot, Table, Write};

pub(crate) const TABLE: Table = Table::live("anchors");

#[derive(Serialize, Deserialize)]
struct AnchorRow {
    node_id: NodeId,
    address: SocketAddr,
}

pub(crate) struct Anchors {
    /// As they are on the disk.
    kept: BTreeMap<NodeId, SocketAddr>,
    /// Not called yet in this life.
    waiting: VecDeque<(NodeId, SocketAddr)>,
}

impl Anchors {
    pub(crate) fn new(snapshot: &Snapshot) -> Result<Self, BadRow> {
        let rows = snapshot.of(TABLE).map(|row| row.parse::<AnchorRow>(TABLE));
        let kept = rows.map(|row| row.map(|row| (row.node_id, row.address)));
        let kept: BTreeMap<NodeId, SocketAddr> = kept.collect::<Result<_, _>>()?;
        Ok(Self { waiting: kept.iter().map(|(node_id, address)| (*node_id, *address)).collect(), kept })
    }

    /// The next to be called.
    pub(crate) fn poll(&mut self) -> Option<(NodeId, SocketAddr)> {
        self.waiting.pop_front()
    }

    /// Keeps some of those who have answered, oldest first. Who is kept already stays, so that not every link is a write.
    pub(crate) fn keep(&mut self, cx: &mut Cx<'_>, reached: impl Iterator<Item = (NodeId, SocketAddr)>) {
        let mut reached: Vec<(NodeId, SocketAddr)> = reached.collect();
        reached.sort_by_key(|(node_id, address)| self.kept.get(node_id) != Some(address));
        reached.truncate(ANCHORS);
        let kept: BTreeMap<NodeId, SocketAddr> = reached.into_iter().collect();
        if kept == self.kept {
            return;
        }
        let gone = self.kept.keys().filter(|node_id| !kept.contains_key(*node_id));
        let mut writes: Vec<Write> = gone.map(|node_id| Write::Delete(TABLE, node_id.to_string())).collect();
        let new = kept.iter().filter(|(node_id, address)| self.kept.get(*node_id) != Some(*address));
        writes.extend(new.map(|(node_id, address)| {
            let row = AnchorRow { node_id: *node_id, address: *address };
            Write::Put(TABLE, Row::json(node_id.to_string(), &row))
        }));
        self.kept = kept;
        cx.store(writes);
    }
}
