//! Links come up and go down, and streams are opened on them: each is given to the room that it is for.

use alloc::vec::Vec;

use super::{Node, Room};
use crate::labnet::Arrived;
use crate::machine::{DownReason, LinkId, Peer, ResetCode, StreamId};
use crate::node::cx::Cx;
use crate::time::Now;

/// A mesh link that came up before this life's incarnation was durable. What comes on it waits, a window at most.
pub(super) struct Early {
    pub(super) link: LinkId,
    pub(super) arrived: Arrived,
    pub(super) control: Option<StreamId>,
    pub(super) bytes: Vec<u8>,
}

impl Node {
    pub(super) fn link_up(&mut self, now: Now, link: LinkId, peer: Peer) {
        match peer {
            Peer::Mesh { .. } if self.leaving.has_spoken() => self.out.close(link, "this node leaves"),
            Peer::Mesh { .. } if self.being_born.is_some() && self.early.len() >= self.config.caps.links => {
                self.out.close(link, "too many links");
            }
            Peer::Mesh { node_id, dialled, binding, addr } => {
                let arrived = Arrived { node_id, dialled, binding, addr };
                if self.being_born.is_some() {
                    self.early.push(Early { link, arrived, control: None, bytes: Vec::new() });
                } else {
                    self.labnet.link_up(&mut cx!(self, now, Labnet), link, arrived);
                }
            }
            Peer::Portman { token, origin } => match &mut self.provider {
                Some(provider) => {
                    provider.portman_up(&mut cx!(self, now, Provider), link, &token, origin.as_deref());
                }
                None => self.out.close(link, "this node is no provider"),
            },
            Peer::Labman => self.out.close(link, "this is a labman"),
        }
    }

    pub(super) fn link_down(&mut self, now: Now, link: LinkId, reason: DownReason) {
        self.early.retain(|early| early.link != link);
        // First of all: who loses a stream now must not open another on the same link.
        let node_id = self.labnet.node_of(link);
        self.labnet.link_down(&mut cx!(self, now, Labnet), link);
        self.gossip.link_down(&cx!(self, now, Labnet), link);
        if let Some(node_id) = node_id
            && self.labnet.link_to(self.me.node_id, node_id).is_none()
        {
            self.gossip.left(node_id);
            self.market.left(&node_id);
            if let Some(gateway) = &mut self.gateway {
                gateway.left(&node_id);
            }
        }
        for stream in self.owners.on_link(link) {
            self.reset(now, stream);
        }
        if let Some(provider) = &mut self.provider {
            let changed = provider.link_down(&mut cx!(self, now, Provider), link, reason);
            if let Some(unpaid) = &mut self.unpaid {
                unpaid.portman_lost(&mut cx!(self, now, Unpaid), provider, link);
            }
            if changed {
                self.capability_changed(now);
            }
        }
    }

    pub(super) fn opened(&mut self, now: Now, stream: StreamId, link: LinkId) {
        if let Some(early) = self.early.iter_mut().find(|early| early.link == link) {
            self.owners.adopt(stream, Room::Node, Some(link));
            match early.control {
                None => early.control = Some(stream),
                Some(_) => cx!(self, now, Node).reset(stream, ResetCode::Refused),
            }
            return;
        }
        let Some(node_id) = self.labnet.node_of(link) else {
            self.owners.adopt(stream, Room::Provider, Some(link));
            let mut cx = cx!(self, now, Provider);
            match &mut self.provider {
                Some(provider) => provider.opened(&mut cx, stream, link, None),
                None => cx.reset(stream, ResetCode::Refused),
            }
            return;
        };
        self.owners.adopt(stream, Room::Labnet, Some(link));
        if self.labnet.opened(&mut cx!(self, now, Labnet), stream, link) {
            self.owners.adopt(stream, Room::Provider, Some(link));
            match &mut self.provider {
                Some(provider) => provider.opened(&mut cx!(self, now, Provider), stream, link, Some(node_id)),
                None => cx!(self, now, Labnet).reset(stream, ResetCode::Refused),
            }
        }
    }

    /// Whoever ends its control stream before we could answer has left.
    pub(super) fn early_ended(&mut self, stream: StreamId) {
        if let Some(at) = self.early.iter().position(|early| early.control == Some(stream)) {
            self.out.close(self.early.swap_remove(at).link, "its control stream ended");
        }
    }
}
