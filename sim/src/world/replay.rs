//! Job streams said over again: what a host sent on each stream that it opened on a mesh link, on another stream of the
//! same link. Every frame on it is genuine; only its time is past.
//!
//! The host itself knows nothing of it, and no answer reaches it.

use std::collections::BTreeMap;

use labman_proto_core::machine::{Machine, StreamId};

use super::World;
use crate::host::HostId;
use crate::net::link::LinkKey;

/// Streams of one host that are remembered.
const REMEMBERED: usize = 16;
/// Bytes of one such stream. One that says more, as a control stream does in time, is not.
const JOB: usize = 1024 * 1024;

#[derive(Default)]
pub(super) struct Replays {
    /// By host, what it said on each of its streams.
    said: BTreeMap<HostId, BTreeMap<StreamId, (LinkKey, Vec<u8>)>>,
}

impl Replays {
    pub(super) fn opened(&mut self, host: HostId, stream: StreamId, link: LinkKey) {
        if let Some(said) = self.said.get_mut(&host).filter(|said| said.len() < REMEMBERED) {
            said.insert(stream, (link, Vec::new()));
        }
    }

    pub(super) fn sent(&mut self, host: HostId, stream: StreamId, bytes: &[u8]) {
        let Some(streams) = self.said.get_mut(&host) else { return };
        let Some((_, said)) = streams.get_mut(&stream) else { return };
        said.extend_from_slice(bytes);
        if said.len() > JOB {
            streams.remove(&stream);
        }
    }
}

impl<M: Machine> World<M> {
    /// From now on what the host says on streams that it opens is remembered.
    pub fn remember_streams(&mut self, host: HostId) {
        self.replays.said.entry(host).or_default();
    }

    /// Says again what is remembered, and forgets it.
    pub fn replay_streams(&mut self, host: HostId) {
        for (_, (link, bytes)) in self.replays.said.remove(&host).unwrap_or_default() {
            if self.say_as(host, link, bytes) {
                self.marks.fired("replay");
            }
        }
    }
}
