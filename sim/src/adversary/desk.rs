//! An adversary that holds no daemon: the machine, and what its plan can do. It dials, asks over HTTP, says bytes, and
//! reads nothing of what it is answered.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use labman_proto_core::http::RequestHead;
use labman_proto_core::identity::{FepId, Identity, Network, NodeId};
use labman_proto_core::machine::{
    Input, LinkId, Machine, Op, OpId, Output, Peer, ResetCode, StreamId, Target,
};
use labman_proto_core::rng::{Seed, Stream};
use labman_proto_core::time::{Now, Span, Time, Wake};

use super::Intruder;
use crate::cast::mesh_address;

/// What an adversary without a daemon does.
pub(super) trait Plan: Send {
    /// Comes whenever its pause is over, while the adversary is at it. Gives the next pause.
    fn acts(&mut self, desk: &mut Desk) -> Span;
    /// A link came up; `there` is who is at its other end, if it is on the mesh.
    fn linked(&mut self, desk: &mut Desk, link: LinkId, there: Option<There>) {
        let _ = (desk, link, there);
    }
    /// Whoever is at the other end of a link opened a stream on it.
    fn opened(&mut self, desk: &mut Desk, stream: StreamId, there: There) {
        let _ = (desk, stream, there);
    }
}

/// The other end of a mesh link.
#[derive(Clone, Copy)]
pub(super) struct There {
    pub(super) node_id: NodeId,
    /// The connection's own: a hello that is to be believed holds it.
    pub(super) binding: [u8; 32],
    /// The adversary came to it, and not it to the adversary.
    pub(super) dialled: bool,
}

/// One of the hosts as which an adversary comes.
#[derive(Clone)]
pub struct Member {
    pub secret: [u8; 32],
    pub address: String,
}

/// Whom it is after, and who it is.
pub struct Aim {
    /// Host name of a gateway or FEP.
    pub target: String,
    /// `None`: the target is not on the mesh.
    pub node_id: Option<NodeId>,
    pub identity: Identity,
    pub network: Network,
    /// The FEP that everybody here works with.
    pub fep_id: FepId,
    /// Makes any key but another party's.
    pub new_key: fn(&[u8; 32]) -> Identity,
    /// All as whom the adversary comes, and which of them this is.
    pub swarm: Arc<[Member]>,
    pub me: usize,
}

pub(super) struct Desk {
    pub(super) aim: Aim,
    pub(super) draws: Stream,
    pub(super) now: Now,
    deeds: u64,
    out: VecDeque<Output>,
    links: BTreeMap<LinkId, Option<There>>,
    /// Open streams, with whether our direction has ended and whether theirs has.
    streams: BTreeMap<StreamId, (bool, bool)>,
    dialling: u64,
    numbers: u64,
}

impl Desk {
    /// It did something hostile.
    pub(super) fn fired(&mut self) {
        self.deeds += 1;
    }

    pub(super) fn once_in(&mut self, times: u64) -> bool {
        self.draws.below(times) == 0
    }

    pub(super) fn new_key(&mut self) -> Identity {
        (self.aim.new_key)(&self.draws.bytes())
    }

    /// How many links there are, or will be.
    pub(super) fn links(&self) -> usize {
        self.links.len() + self.dialling as usize
    }

    fn open_links(&self) -> Vec<LinkId> {
        self.links.keys().copied().collect()
    }

    pub(super) fn streams(&self) -> Vec<StreamId> {
        let mut sending = self.streams.iter().filter(|(_, (ended, _))| !ended);
        sending.by_ref().map(|(stream, _)| *stream).collect()
    }

    pub(super) fn may_send(&self, stream: StreamId) -> bool {
        self.streams.get(&stream).is_some_and(|(ended, _)| !ended)
    }

    pub(super) fn dial_mesh(&mut self) {
        let Some(node_id) = self.aim.node_id else { return };
        let addr = mesh_address(&self.aim.target);
        self.dial(Target::Mesh { addr, node_id });
    }

    pub(super) fn dial_labman(&mut self, token: String) {
        let url = format!("ws://{}/", self.aim.target);
        self.dial(Target::Labman { url, token });
    }

    fn dial(&mut self, target: Target) {
        self.numbers += 1;
        self.dialling += 1;
        self.out.push_back(Output::Start(OpId(self.numbers), Op::Dial(target)));
    }

    pub(super) fn open(&mut self, link: LinkId) -> StreamId {
        let stream = self.next_stream();
        self.out.push_back(Output::Open { stream, link });
        stream
    }

    /// Asks over HTTP; what follows of the body is said on the stream.
    pub(super) fn ask(&mut self, head: RequestHead) -> StreamId {
        let stream = self.next_stream();
        let url = format!("http://{}", self.aim.target);
        self.out.push_back(Output::Request { stream, url, head });
        stream
    }

    pub(super) fn send(&mut self, stream: StreamId, bytes: Vec<u8>) {
        if self.may_send(stream) && !bytes.is_empty() {
            self.out.push_back(Output::Send { stream, bytes });
        }
    }

    pub(super) fn finish(&mut self, stream: StreamId) {
        if self.may_send(stream) {
            self.out.push_back(Output::Finish { stream });
            self.ended(stream, true, false);
        }
    }

    pub(super) fn reset(&mut self, stream: StreamId) {
        if self.streams.remove(&stream).is_some() {
            self.out.push_back(Output::Reset { stream, code: ResetCode::Cancelled });
        }
    }

    pub(super) fn close(&mut self, link: LinkId) {
        if self.links.remove(&link).is_some() {
            self.out.push_back(Output::Close { link, reason: "done" });
        }
    }

    fn ended(&mut self, stream: StreamId, ours: bool, theirs: bool) {
        if let Some(ends) = self.streams.get_mut(&stream) {
            *ends = (ends.0 || ours, ends.1 || theirs);
            if *ends == (true, true) {
                self.streams.remove(&stream);
            }
        }
    }

    fn next_stream(&mut self) -> StreamId {
        self.numbers += 1;
        let stream = StreamId(2 * self.numbers);
        self.streams.insert(stream, (false, false));
        stream
    }
}

/// The machine of an adversary without a daemon.
pub struct Loner {
    kind: Intruder,
    plan: Box<dyn Plan>,
    desk: Desk,
    /// When it acts next; `None`: it is not at it.
    next: Option<Time>,
}

impl Loner {
    pub fn new(kind: Intruder, aim: Aim, seed: &Seed, now: Now) -> Self {
        let desk = Desk {
            aim,
            draws: seed.stream("plan"),
            now,
            deeds: 0,
            out: VecDeque::new(),
            links: BTreeMap::new(),
            streams: BTreeMap::new(),
            dialling: 0,
            numbers: 0,
        };
        Self { kind, plan: kind.make(), desk, next: None }
    }

    pub fn kind(&self) -> Intruder {
        self.kind
    }

    pub fn deeds(&self) -> u64 {
        self.desk.deeds
    }

    /// Sets it at its target, or calls it off: then it lets go of everything.
    pub fn set_active(&mut self, active: bool, now: Now) {
        self.desk.now = now;
        self.next = active.then_some(now.mono);
        if active {
            return self.act();
        }
        self.desk.streams.keys().copied().collect::<Vec<_>>().into_iter().for_each(|s| self.desk.reset(s));
        self.desk.open_links().into_iter().for_each(|link| self.desk.close(link));
    }

    fn act(&mut self) {
        let pause = self.plan.acts(&mut self.desk);
        self.next = Some(self.desk.now.mono + pause.max(Span::from_millis(1)));
    }
}

impl Machine for Loner {
    fn handle(&mut self, now: Now, input: Input<'_>) {
        self.desk.now = now;
        let desk = &mut self.desk;
        match input {
            Input::LinkUp { link, peer } => {
                let there = match peer {
                    Peer::Mesh { node_id, binding, dialled, .. } => Some(There { node_id, binding, dialled }),
                    Peer::Labman | Peer::Portman { .. } => None,
                };
                desk.links.insert(link, there);
                match self.next {
                    Some(_) => self.plan.linked(desk, link, there),
                    None => desk.close(link),
                }
            }
            Input::LinkDown { link, .. } => {
                desk.links.remove(&link);
            }
            Input::Done(..) => desk.dialling = desk.dialling.saturating_sub(1),
            Input::Opened { stream, link } => {
                desk.streams.insert(stream, (false, false));
                if let Some(there) = desk.links.get(&link).copied().flatten() {
                    self.plan.opened(desk, stream, there);
                }
            }
            Input::Request { stream, .. } => {
                desk.streams.insert(stream, (false, false));
            }
            Input::Bytes { stream, bytes } => {
                if let Ok(bytes) = u32::try_from(bytes.len()) {
                    desk.out.push_back(Output::Grant { stream, bytes });
                }
            }
            Input::Finished { stream } => desk.ended(stream, false, true),
            Input::Reset { stream, .. } => {
                desk.streams.remove(&stream);
            }
            Input::Response { .. } | Input::Credit { .. } | Input::Leave => {}
        }
    }

    fn handle_timeout(&mut self, now: Now) {
        self.desk.now = now;
        if self.next.is_some_and(|next| next <= now.mono) {
            self.act();
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.desk.out.pop_front()
    }

    fn poll_timeout(&self) -> Option<Wake> {
        self.next.map(|at| Wake { at, why: "the next hostile act" })
    }

    fn stopped(&self) -> Option<&str> {
        None
    }
}
