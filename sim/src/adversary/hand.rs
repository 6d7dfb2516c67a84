//! What a strategy can do: say things as the party whose key it holds, cut streams, open its own, and remember.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use labman_proto_core::http::RequestHead;
use labman_proto_core::identity::{FepId, Identity, Network, NodeId};
use labman_proto_core::machine::{LinkId, Output, ResetCode, StreamId};
use labman_proto_core::rng::Stream;
use labman_proto_core::time::{Now, Span, Time};
use labman_proto_core::wire::envelope::Header;
use labman_proto_core::wire::portal::OBJECT_TYPE;

use super::craft::{self, Said};
use super::lanes::{Lane, Way, secret_stream};
use super::strategy::Letter;

/// Frames remembered, to be said again.
const REMEMBERED: usize = 64;
/// Streams of its own that a strategy may have open: real drivers allow a peer 128.
const SECRETS: usize = 48;

/// Who a dishonest daemon is.
pub struct Party {
    pub identity: Identity,
    /// A key of its FEP's that is revoked.
    pub stolen: Option<Identity>,
    pub network: Network,
    pub fep_id: FepId,
    /// `http://...`
    pub fep_url: String,
    /// Makes any key but another party's.
    pub new_key: fn(&[u8; 32]) -> Identity,
    /// By how much one that is slow is late.
    pub late: Span,
    /// Counts its deeds, over all its lives.
    pub deeds: Arc<Deeds>,
}

/// What a party did, and under what name; and whether the moment has come for which some wait.
#[derive(Debug, Default)]
pub struct Deeds {
    all: AtomicU64,
    turned: AtomicBool,
    threats: Mutex<BTreeMap<&'static str, u64>>,
}

impl Deeds {
    pub fn all(&self) -> u64 {
        self.all.load(Ordering::Relaxed)
    }

    /// From now on, in all its lives.
    pub fn turn(&self) {
        self.turned.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_turned(&self) -> bool {
        self.turned.load(Ordering::Relaxed)
    }

    pub fn threats(&self) -> BTreeMap<&'static str, u64> {
        self.threats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

pub(super) struct Hand {
    pub(super) party: Party,
    pub(super) draws: Stream,
    pub(super) now: Now,
    pub(super) incarnation: u64,
    /// Frames that were said or heard on the mesh, and with whom.
    pub(super) seen: VecDeque<(NodeId, Said)>,
    /// Mesh links that are up, and whether this daemon dialled.
    pub(super) links: BTreeMap<LinkId, (NodeId, bool)>,
    pub(super) lanes: BTreeMap<StreamId, Lane>,
    pub(super) out: VecDeque<Output>,
    /// Streams that were cut behind the daemon's back.
    pub(super) cut: VecDeque<StreamId>,
    pub(super) later: BTreeMap<(Time, u64), Vec<Output>>,
    numbers: u64,
}

impl Hand {
    pub(super) fn new(party: Party, draws: Stream, now: Now) -> Self {
        Self {
            party,
            draws,
            now,
            incarnation: 1,
            seen: VecDeque::new(),
            links: BTreeMap::new(),
            lanes: BTreeMap::new(),
            out: VecDeque::new(),
            cut: VecDeque::new(),
            later: BTreeMap::new(),
            numbers: 0,
        }
    }

    pub(super) fn me(&self) -> NodeId {
        self.party.identity.node_id()
    }

    /// The strategy did something dishonest.
    pub(super) fn fired(&mut self) {
        self.party.deeds.all.fetch_add(1, Ordering::Relaxed);
    }

    /// It did, and economics.md knows what: see [`THREATS`](crate::threats::THREATS).
    pub(super) fn tried(&mut self, threat: &'static str) {
        self.fired();
        let threats = self.party.deeds.threats.lock();
        *threats.unwrap_or_else(PoisonError::into_inner).entry(threat).or_default() += 1;
    }

    /// A key that nobody knows.
    pub(super) fn new_key(&mut self) -> Identity {
        (self.party.new_key)(&self.draws.bytes())
    }

    /// Once in so many times.
    pub(super) fn once_in(&mut self, times: u64) -> bool {
        self.draws.below(times) == 0
    }

    pub(super) fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        from.get(self.draws.below(from.len().max(1) as u64) as usize).cloned()
    }

    pub(super) fn remember(&mut self, peer: NodeId, said: &Said) {
        if self.seen.len() == REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back((peer, said.clone()));
    }

    /// Control streams, with who is at the other end.
    pub(super) fn controls(&self) -> Vec<(StreamId, NodeId)> {
        self.streams(|way| matches!(way, Way::Control { .. }))
    }

    /// Job streams, with who is at the other end.
    pub(super) fn jobs(&self) -> Vec<(StreamId, NodeId)> {
        self.streams(|way| matches!(way, Way::Job { .. }))
    }

    fn streams(&self, of: impl Fn(&Way) -> bool) -> Vec<(StreamId, NodeId)> {
        let alive = self.lanes.iter().filter(|(_, lane)| lane.may_send && of(&lane.way));
        let linked = alive.filter(|(_, lane)| lane.way.link().is_some_and(|l| self.links.contains_key(&l)));
        linked.filter_map(|(stream, lane)| Some((*stream, lane.way.peer()?))).collect()
    }

    /// Says what the daemon meant to say. Where more was said before it, its number is moved up: a frame that is out of
    /// order would end the stream, and there are better lies.
    pub(super) fn pass(&mut self, stream: StreamId, said: &Said) {
        let seq_out = self.lanes.get(&stream).map_or(0, |lane| lane.seq_out);
        let bytes = match said.header {
            Some(header) if header.dest.is_some() && header.sender == self.me() && header.seq <= seq_out => {
                return self.say(stream, said.kind, &said.payload);
            }
            Some(Header { seq, dest: Some(_), .. }) => {
                if let Some(lane) = self.lanes.get_mut(&stream) {
                    lane.seq_out = seq;
                }
                said.bytes.clone()
            }
            Some(_) | None => said.bytes.clone(),
        };
        self.send(stream, bytes);
    }

    /// Says something else in the daemon's own name, signed well.
    pub(super) fn say(&mut self, stream: StreamId, kind: u16, payload: &[u8]) {
        let Some(lane) = self.lanes.get_mut(&stream) else { return };
        let Some(peer) = lane.way.peer() else { return };
        lane.seq_out = lane.seq_out.saturating_add(1);
        let header = Header { seq: lane.seq_out, ..self.header(kind, Some(peer)) };
        let bytes = craft::signed(&self.party.identity, header, payload);
        self.send(stream, bytes);
    }

    /// The header of a frame of this party's own, its number still to be set.
    pub(super) fn header(&self, kind: u16, dest: Option<NodeId>) -> Header {
        Header {
            kind,
            net_id: self.party.network.id,
            sender: self.me(),
            dest,
            incarnation: self.incarnation,
            seq: 1,
            issued: self.now.wall,
            ttl_s: if dest.is_some() { 0 } else { 1800 },
        }
    }

    pub(super) fn send(&mut self, stream: StreamId, bytes: Vec<u8>) {
        self.push(Output::Send { stream, bytes });
    }

    pub(super) fn send_later(&mut self, after: Span, stream: StreamId, bytes: Vec<u8>) {
        self.push_later(after, vec![Output::Send { stream, bytes }]);
    }

    /// Ends our direction; the daemon does not know.
    pub(super) fn finish(&mut self, stream: StreamId) {
        self.push(Output::Finish { stream });
    }

    pub(super) fn reset(&mut self, stream: StreamId, code: ResetCode) {
        if self.lanes.get(&stream).is_some_and(|lane| !lane.secret) {
            self.cut.push_back(stream);
        }
        self.push(Output::Reset { stream, code });
    }

    /// Opens a job stream of the strategy's own to a node that is linked.
    pub(super) fn open_job(&mut self, to: NodeId) -> Option<StreamId> {
        let secrets = self.lanes.values().filter(|lane| lane.secret).count();
        let link = *self.links.iter().find(|(_, (node, _))| *node == to)?.0;
        if secrets >= SECRETS {
            return None;
        }
        let stream = self.next_stream();
        self.lanes.insert(stream, Lane::new(Way::Job { link, peer: to, ours: true }, true));
        self.out.push_back(Output::Open { stream, link });
        Some(stream)
    }

    /// Posts something to the FEP; the answer is not looked at.
    pub(super) fn post(&mut self, path: &str, body: Vec<u8>) {
        let head = RequestHead::new("POST", path)
            .with("content-type", OBJECT_TYPE)
            .with("content-length", &body.len().to_string());
        let stream = self.next_stream();
        self.lanes.insert(stream, Lane::new(Way::Other, true));
        self.out.push_back(Output::Request { stream, url: self.party.fep_url.clone(), head });
        self.send(stream, body);
        self.finish(stream);
    }

    pub(super) fn send_letter(&mut self, stream: StreamId, after: Option<Span>, letter: Letter) {
        let outputs = letter.into_outputs(stream);
        match after {
            Some(after) => self.push_later(after, outputs),
            None => outputs.into_iter().for_each(|output| self.push(output)),
        }
    }

    pub(super) fn push_later(&mut self, after: Span, outputs: Vec<Output>) {
        self.numbers += 1;
        self.later.insert((self.now.mono + after, self.numbers), outputs);
    }

    /// Puts out what the contract allows, and drops the rest.
    pub(super) fn push(&mut self, output: Output) {
        match &output {
            Output::Request { stream, .. } if !self.lanes.contains_key(stream) => return,
            Output::Send { stream, .. } | Output::Finish { stream } | Output::Response { stream, .. } => {
                let Some(lane) = self.lanes.get_mut(stream).filter(|lane| lane.may_send) else { return };
                if matches!(output, Output::Finish { .. }) {
                    lane.may_send = false;
                    if lane.is_over() {
                        self.lanes.remove(stream);
                    }
                }
            }
            Output::Reset { stream, .. } => {
                self.lanes.remove(stream);
            }
            Output::Close { link, .. } => {
                self.links.remove(link);
            }
            Output::Open { .. }
            | Output::Request { .. }
            | Output::Grant { .. }
            | Output::Start(..)
            | Output::Event(_) => {}
        }
        self.out.push_back(output);
    }

    fn next_stream(&mut self) -> StreamId {
        self.numbers += 1;
        secret_stream(self.numbers)
    }
}
