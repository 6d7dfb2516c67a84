//! What happens on a stream goes to the room that owns it.

use super::{Node, Room};
use crate::gateway::Mesh;
use crate::machine::StreamId;
use crate::node::cx::Cx;
use crate::node::loopback::{Arrival, SELF_LINK};
use crate::time::Now;

impl Node {
    /// Lets what the rooms did on the link to ourselves arrive at its other end.
    pub(super) fn drain_loopback(&mut self, now: Now) {
        while let Some((stream, arrival)) = self.owners.loopback.poll() {
            match arrival {
                Arrival::Opened => {
                    self.owners.adopt(stream, Room::Provider, Some(SELF_LINK));
                    if let Some(provider) = &mut self.provider {
                        let me = self.me.node_id;
                        provider.opened(&mut cx!(self, now, Provider), stream, SELF_LINK, Some(me));
                    }
                }
                Arrival::Bytes(bytes) => self.bytes(now, stream, &bytes),
                Arrival::Finished => self.finished(now, stream),
                Arrival::Reset => self.reset(now, stream),
                Arrival::Credit(bytes) => self.credit(now, stream, bytes),
            }
        }
    }

    pub(super) fn bytes(&mut self, now: Now, stream: StreamId, bytes: &[u8]) {
        match self.owners.room(stream) {
            Some(Room::Labnet) => {
                let outputs = self.labnet.bytes(&mut cx!(self, now, Labnet), stream, bytes);
                self.labnet_says(now, outputs);
            }
            Some(Room::Gateway) => {
                if let Some(gateway) = &mut self.gateway {
                    let mesh = Mesh { gossip: &self.gossip, labnet: &self.labnet };
                    gateway.bytes(&mut cx!(self, now, Gateway), &mesh, stream, bytes);
                }
            }
            Some(Room::Provider) => {
                let Some(provider) = &mut self.provider else { return };
                let heard = provider.bytes(&mut cx!(self, now, Provider), stream, bytes);
                if let Some(unpaid) = &mut self.unpaid {
                    for (portman, message) in heard.unpaid {
                        unpaid.portman_says(&mut cx!(self, now, Unpaid), provider, portman, message);
                    }
                }
                if heard.models {
                    self.capability_changed(now);
                }
            }
            Some(Room::Unpaid) => {
                if let Some(unpaid) = &mut self.unpaid {
                    unpaid.bytes(&mut cx!(self, now, Unpaid), stream, bytes);
                }
            }
            Some(Room::Descriptors) => {
                self.descriptors.bytes(&mut cx!(self, now, Descriptors), stream, bytes);
            }
            Some(Room::Node) => {
                if let Some(early) = self.early.iter_mut().find(|early| early.control == Some(stream)) {
                    early.bytes.extend_from_slice(bytes);
                }
            }
            // A body that nobody reads.
            Some(Room::Admin) | None => {}
        }
    }

    pub(super) fn finished(&mut self, now: Now, stream: StreamId) {
        let room = self.owners.room(stream);
        self.owners.read_finished(stream);
        match room {
            Some(Room::Labnet) => self.labnet.ended(&mut cx!(self, now, Labnet), stream),
            Some(Room::Gateway) => {
                if let Some(gateway) = &mut self.gateway {
                    let mesh = Mesh { gossip: &self.gossip, labnet: &self.labnet };
                    gateway.finished(&mut cx!(self, now, Gateway), &mesh, stream);
                }
            }
            Some(Room::Unpaid) => {
                if let (Some(unpaid), Some(provider)) = (&mut self.unpaid, &mut self.provider) {
                    unpaid.finished(&mut cx!(self, now, Unpaid), provider, stream);
                }
            }
            Some(Room::Provider) => {
                if let Some(provider) = &mut self.provider {
                    provider.finished(&mut cx!(self, now, Provider), stream);
                }
            }
            Some(Room::Descriptors) => self.descriptors.finished(&mut cx!(self, now, Descriptors), stream),
            Some(Room::Node) => self.early_ended(stream),
            Some(Room::Admin) | None => {}
        }
    }

    pub(super) fn reset(&mut self, now: Now, stream: StreamId) {
        let room = self.owners.room(stream);
        self.owners.forget(stream);
        match room {
            Some(Room::Labnet) => self.labnet.ended(&mut cx!(self, now, Labnet), stream),
            Some(Room::Gateway) => {
                if let Some(gateway) = &mut self.gateway {
                    let mesh = Mesh { gossip: &self.gossip, labnet: &self.labnet };
                    gateway.reset(&mut cx!(self, now, Gateway), &mesh, stream);
                }
            }
            Some(Room::Unpaid) => {
                if let (Some(unpaid), Some(provider)) = (&mut self.unpaid, &mut self.provider) {
                    unpaid.reset(&mut cx!(self, now, Unpaid), provider, stream);
                }
            }
            Some(Room::Provider) => {
                if let Some(provider) = &mut self.provider {
                    provider.reset(&mut cx!(self, now, Provider), stream);
                }
            }
            Some(Room::Descriptors) => self.descriptors.reset(&mut cx!(self, now, Descriptors), stream),
            Some(Room::Node) => self.early_ended(stream),
            Some(Room::Admin) | None => {}
        }
    }

    pub(super) fn credit(&mut self, now: Now, stream: StreamId, bytes: u32) {
        match self.owners.room(stream) {
            Some(Room::Labnet) => {
                if let Some(link) = self.labnet.credit(now.mono, stream, bytes) {
                    self.pass_on(now, link);
                }
            }
            Some(Room::Gateway) => {
                if let Some(gateway) = &mut self.gateway {
                    gateway.credit(&mut cx!(self, now, Gateway), stream, bytes);
                }
            }
            Some(Room::Unpaid) => {
                if let (Some(unpaid), Some(provider)) = (&mut self.unpaid, &mut self.provider) {
                    unpaid.credit(&mut cx!(self, now, Unpaid), provider, stream, bytes);
                }
            }
            Some(Room::Provider) => {
                if let Some(provider) = &mut self.provider {
                    provider.credit(&mut cx!(self, now, Provider), stream, bytes);
                }
            }
            Some(Room::Admin | Room::Node | Room::Descriptors) | None => {}
        }
    }
}
