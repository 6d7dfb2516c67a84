//! A node that is gateway and provider at once serves its own users: a link to itself, whose streams never leave it. The
//! rooms at both ends see an ordinary link, so that this is no case of its own anywhere else.

use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};

use crate::machine::{LinkId, StreamId};

/// The link to oneself. Drivers number theirs from 0.
pub(crate) const SELF_LINK: LinkId = LinkId(u64::MAX);

/// What arrives at one end because the other did something.
pub(crate) enum Arrival {
    Opened,
    Bytes(Vec<u8>),
    Finished,
    Reset,
    /// The other end has read that many bytes.
    Credit(u32),
}

#[derive(Default)]
pub(crate) struct Loopback {
    other_end: BTreeMap<StreamId, StreamId>,
    arrivals: VecDeque<(StreamId, Arrival)>,
}

impl Loopback {
    pub(crate) fn open(&mut self, near: StreamId, far: StreamId) {
        self.other_end.insert(near, far);
        self.other_end.insert(far, near);
        self.arrivals.push_back((far, Arrival::Opened));
    }

    /// Hands something to the other end. Gives it back where the stream is not one of ours.
    pub(crate) fn pass(&mut self, stream: StreamId, arrival: Arrival) -> Option<Arrival> {
        let Some(far) = self.other_end.get(&stream).copied() else { return Some(arrival) };
        if matches!(arrival, Arrival::Reset) {
            self.other_end.remove(&stream);
            self.other_end.remove(&far);
        }
        self.arrivals.push_back((far, arrival));
        None
    }

    pub(crate) fn poll(&mut self) -> Option<(StreamId, Arrival)> {
        self.arrivals.pop_front()
    }

    /// Both directions of a stream have ended.
    pub(crate) fn forget(&mut self, stream: StreamId) {
        self.other_end.remove(&stream);
    }
}
