//! What a host holds for others: for checkers that ask whether an attack can make it hold too much.

use labman_proto_core::machine::Machine;

use super::World;
use crate::host::HostId;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Burden {
    pub links: usize,
    pub streams: usize,
    /// The most bytes that it has said on one stream and that wait for its reader.
    pub waiting: usize,
}

impl<M: Machine> World<M> {
    pub fn burden(&self, host: HostId) -> Burden {
        let place = &self.hosts[host.0];
        let waiting = place.streams.values().filter_map(|(key, side)| {
            self.streams.get(key).map(|stream| stream.pipes[side.index()].backlog())
        });
        Burden {
            links: place.links.len(),
            streams: place.streams.len(),
            waiting: waiting.max().unwrap_or_default(),
        }
    }
}
