//! A node on a disk in memory, and its driver: strict about the contract, and cutting what arrives into random pieces.

use std::collections::{BTreeMap, VecDeque};

use labman_proto_core::economics::Price;
use labman_proto_core::http::{RequestHead, ResponseHead, Surface};
use labman_proto_core::identity::{Identity, Network, NodeId};
use labman_proto_core::limits::{EXPOSURE, HTTP_BODY, LOAD_EVERY, STREAM_WINDOW};
use labman_proto_core::machine::{
    Completion, DownReason, Input, LinkId, Machine, Op, OpId, Output, Peer, ResetCode, StreamId, Target,
};
use labman_proto_core::money::Micros;
use labman_proto_core::node::Node;
use labman_proto_core::node::config;
use labman_proto_core::rng::{self, Seed};
use labman_proto_core::time::{Now, Span, Wall};
use labman_proto_core::wire::object::{self, Object};
use labman_proto_core::wire::portal::PayoutTo;

use super::fep::Fep;
use super::store::Disk;

pub(crate) const NODE: u8 = 1;
/// The FEP's root, and the key that it signs with.
pub(crate) const FEP: u8 = 2;
pub(crate) const FEP_KEY: u8 = 3;
pub(crate) const PEER: u8 = 10;
pub(crate) const OTHER: u8 = 11;
pub(crate) const STRANGER: u8 = 30;
/// The token a Portman attaches with.
pub(crate) const TOKEN: &str = "secret";

/// Keys in these tests are numbers.
pub(crate) fn identity(number: u8) -> Identity {
    Identity::from_secret(&[number; 32])
}

pub(crate) fn node(number: u8) -> NodeId {
    identity(number).node_id()
}

pub(crate) fn net() -> Network {
    Network::of("test")
}

pub(crate) fn seal<T: Object>(signer: u8, content: T) -> Vec<u8> {
    object::seal(&identity(signer), net().id, content).bytes.0
}

/// 2 micros for an input token, 5 for an output token.
pub(crate) fn price() -> Price {
    Price {
        input_per_mtok: Micros(2_000_000),
        cached_per_mtok: Micros(1_000_000),
        output_per_mtok: Micros(5_000_000),
        per_request: Micros::ZERO,
    }
}

pub(crate) fn payout_to() -> PayoutTo {
    PayoutTo { currency: "XTS".parse().unwrap(), address: "address".into() }
}

pub(crate) fn config() -> config::Config {
    config::Config {
        network: "test".into(),
        addresses: Vec::new(),
        bootstrap: Vec::new(),
        trust: Vec::new(),
        deny: Vec::new(),

        reach: Default::default(),
        caps: config::Caps::default(),
        feps: vec![config::Fep { fep_id: identity(FEP).fep_id(), url: "http://fep".into() }],
        gateway: None,
        unpaid: None,
        provider: None,
    }
}

pub(crate) fn gateway_config() -> config::Config {
    let gateway = config::Gateway {
        public_endpoint: None,
        fep: identity(FEP).fep_id(),
        families: Vec::new(),
        aliases: BTreeMap::new(),
        routing: config::Policy::default(),
        key_limits: config::KeyLimits::default(),
        body: HTTP_BODY,
    };
    config::Config { gateway: Some(gateway), ..config() }
}

pub(crate) fn provider_config() -> config::Config {
    let portman = config::Portman {
        ep: "box".into(),
        token: TOKEN.into(),
        price: price(),
        prices: BTreeMap::new(),
        payout: payout_to(),
        least_payout: Micros::ZERO,
        queue: 0,
        shelf: None,
        pricing: config::Pricing::default(),
    };
    let provider = config::Provider {
        tenant: "acme".into(),
        portmans: vec![portman],
        claim_every: Span::from_secs(10),
        dispute_for: Span::from_secs(24 * 3_600),
        exposure: EXPOSURE.into(),
        hosting: config::Hosting::default(),
        load_every: LOAD_EVERY,
    };
    config::Config { provider: Some(provider), ..config() }
}

pub(crate) fn both_config() -> config::Config {
    config::Config { gateway: gateway_config().gateway, ..provider_config() }
}

/// One stream, as the other end sees it.
#[derive(Default)]
pub(crate) struct Wire {
    pub(crate) link: Option<LinkId>,
    /// What the node sent and nobody has looked at yet.
    pub(crate) heard: Vec<u8>,
    pub(crate) head: Option<ResponseHead>,
    pub(crate) finished: bool,
    pub(crate) reset: Option<ResetCode>,
    /// Whether what the node sends is taken at once.
    pub(crate) reads: bool,
    /// Sent by the node, not taken.
    pub(crate) untaken: usize,
    pub(crate) granted: usize,
    delivered: usize,
    waiting: VecDeque<u8>,
    finish_waits: bool,
    in_done: bool,
    /// Of an exchange that the node began.
    asked: Option<(String, RequestHead)>,
}

impl Wire {
    fn on(link: Option<LinkId>) -> Self {
        Self { link, reads: true, ..Self::default() }
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.reset.is_some() || (self.finished && self.in_done)
    }

    fn window(&self) -> usize {
        STREAM_WINDOW as usize + self.granted - self.delivered
    }
}

enum Later {
    Op(OpId, Op),
    Credit(StreamId, usize),
    Close(LinkId),
    Unreachable(StreamId),
    Asked(StreamId),
    Pump(StreamId),
}

pub(crate) struct Rig {
    pub(crate) now: Now,
    pub(crate) disk: Disk,
    pub(crate) fep: Fep,
    pub(crate) log: Vec<String>,
    pub(crate) wires: BTreeMap<StreamId, Wire>,
    /// Streams that the node opened.
    pub(crate) opened: Vec<(StreamId, LinkId)>,
    pub(crate) closed: Vec<(LinkId, &'static str)>,
    pub(crate) dials: Vec<(OpId, Target)>,
    /// While set, what is asked of the store waits.
    pub(crate) store_held: bool,
    /// While set, a link that the node closed still delivers.
    pub(crate) closes_late: bool,
    links: BTreeMap<LinkId, ()>,
    node: Node,
    pub(crate) config: config::Config,
    later: VecDeque<Later>,
    held: VecDeque<(OpId, Op)>,
    ids: u64,
    running: bool,
    cuts: rng::Stream,
}

impl Rig {
    pub(crate) fn new(config: config::Config) -> Self {
        let mut rig = Self::unborn(config);
        rig.store_held = false;
        rig.release_store();
        rig.fire();
        rig
    }

    pub(crate) fn gateway() -> Self {
        Self::new(gateway_config())
    }

    pub(crate) fn provider() -> Self {
        Self::new(provider_config())
    }

    /// A node whose first write is not done.
    pub(crate) fn unborn(config: config::Config) -> Self {
        let mut now = Now::default();
        now.wall.0 = 1_700_000_000_000;
        let disk = Disk::default();
        let node = Node::new(config.clone(), identity(NODE), Seed::from_u64(1), &disk.snapshot(), now)
            .expect("an empty store is a good one");
        let mut rig = Self {
            now,
            disk,
            fep: Fep::new(),
            log: Vec::new(),
            wires: BTreeMap::new(),
            opened: Vec::new(),
            closed: Vec::new(),
            dials: Vec::new(),
            store_held: true,
            closes_late: false,
            links: BTreeMap::new(),
            node,
            config,
            later: VecDeque::new(),
            held: VecDeque::new(),
            ids: 1,
            running: false,
            cuts: Seed::from_u64(7).stream("cuts"),
        };
        rig.run();
        rig
    }

    pub(crate) fn reseed(&mut self, seed: u64) {
        self.cuts = Seed::from_u64(seed).stream("cuts");
    }

    pub(crate) fn draw(&mut self, below: u64) -> u64 {
        self.cuts.below(below)
    }

    /// The process dies and starts again from its disk: every link is gone.
    pub(crate) fn restart(&mut self) {
        self.wires.clear();
        self.links.clear();
        self.later.clear();
        self.held.clear();
        self.opened.clear();
        self.now.wall.0 += 1;
        let (config, seed) = (self.config.clone(), Seed::from_u64(self.now.wall.0));
        self.node = Node::new(config, identity(NODE), seed, &self.disk.snapshot(), self.now)
            .expect("what a node wrote it can read");
        self.run();
        self.fire();
    }

    /// The process is asked to end.
    pub(crate) fn leave(&mut self) {
        self.handle(Input::Leave);
    }

    pub(crate) fn has_left(&self) -> bool {
        self.node.has_left()
    }

    pub(crate) fn stopped(&self) -> bool {
        self.node.stopped().is_some()
    }

    // Links and streams.

    /// No two connections have the same.
    pub(crate) fn new_binding(&mut self) -> [u8; 32] {
        *blake3::hash(&self.next_id().to_be_bytes()).as_bytes()
    }

    pub(crate) fn link_up(&mut self, peer: Peer) -> LinkId {
        let link = LinkId(self.next_id());
        self.links.insert(link, ());
        self.handle(Input::LinkUp { link, peer });
        link
    }

    pub(crate) fn link_down(&mut self, link: LinkId) {
        self.link_lost(link, DownReason::Closed);
    }

    pub(crate) fn link_lost(&mut self, link: LinkId, reason: DownReason) {
        if self.links.remove(&link).is_none() {
            return;
        }
        let streams: Vec<StreamId> = self
            .wires
            .iter()
            .filter(|(_, wire)| wire.link == Some(link) && !wire.is_gone())
            .map(|(stream, _)| *stream)
            .collect();
        for stream in streams {
            self.reset(stream, ResetCode::Unreachable);
        }
        self.handle(Input::LinkDown { link, reason });
    }

    pub(crate) fn is_up(&self, link: LinkId) -> bool {
        self.links.contains_key(&link)
    }

    /// Somebody else opens a stream to the node.
    pub(crate) fn open(&mut self, link: LinkId) -> StreamId {
        let stream = StreamId(self.next_id());
        self.wires.insert(stream, Wire::on(Some(link)));
        self.handle(Input::Opened { stream, link });
        stream
    }

    /// Delivers bytes in random pieces, as far as the node has granted credit; the rest follows with its grants.
    pub(crate) fn deliver(&mut self, stream: StreamId, bytes: &[u8]) {
        if let Some(wire) = self.wires.get_mut(&stream).filter(|wire| !wire.is_gone()) {
            wire.waiting.extend(bytes);
        }
        self.pump(stream);
    }

    /// Bytes that the node has not let in.
    pub(crate) fn waiting(&self, stream: StreamId) -> usize {
        self.wires[&stream].waiting.len()
    }

    pub(crate) fn delivered(&self, stream: StreamId) -> usize {
        self.wires[&stream].delivered
    }

    pub(crate) fn finish(&mut self, stream: StreamId) {
        if let Some(wire) = self.wires.get_mut(&stream) {
            wire.finish_waits = true;
        }
        self.pump(stream);
    }

    pub(crate) fn reset(&mut self, stream: StreamId, code: ResetCode) {
        let Some(wire) = self.wires.get_mut(&stream).filter(|wire| !wire.is_gone()) else { return };
        wire.reset = Some(code);
        wire.waiting.clear();
        self.handle(Input::Reset { stream, code });
    }

    /// The other end takes what the node sent it.
    pub(crate) fn take(&mut self, stream: StreamId, most: usize) {
        let Some(wire) = self.wires.get_mut(&stream) else { return };
        let bytes = wire.untaken.min(most);
        wire.untaken -= bytes;
        if bytes > 0 && !wire.is_gone() {
            self.handle(Input::Credit { stream, bytes: bytes as u32 });
        }
    }

    pub(crate) fn hear(&mut self, stream: StreamId) -> Vec<u8> {
        std::mem::take(&mut self.wires.get_mut(&stream).expect("a stream").heard)
    }

    pub(crate) fn reset_of(&self, stream: StreamId) -> Option<ResetCode> {
        self.wires[&stream].reset
    }

    // Users.

    /// A user asks, with a whole body.
    pub(crate) fn ask(&mut self, body: &serde_json::Value) -> StreamId {
        let stream = self.begin_ask();
        self.deliver(stream, body.to_string().as_bytes());
        self.finish(stream);
        stream
    }

    pub(crate) fn begin_ask(&mut self) -> StreamId {
        let head =
            RequestHead::new("POST", "/v1/chat/completions").with("authorization", "Bearer sk-labman-1");
        self.request(Surface::Public, head)
    }

    pub(crate) fn request(&mut self, surface: Surface, head: RequestHead) -> StreamId {
        let stream = StreamId(self.next_id());
        self.wires.insert(stream, Wire::on(None));
        self.handle(Input::Request { stream, surface, head });
        stream
    }

    pub(crate) fn status(&self, stream: StreamId) -> Option<u16> {
        self.wires[&stream].head.as_ref().map(|head| head.status)
    }

    /// All that a user got so far.
    pub(crate) fn text(&self, stream: StreamId) -> String {
        String::from_utf8(self.wires[&stream].heard.clone()).expect("an answer is text")
    }

    pub(crate) fn admin(&mut self, path: &str) -> serde_json::Value {
        let stream = self.request(Surface::Admin, RequestHead::new("GET", path));
        self.finish(stream);
        serde_json::from_str(&self.text(stream)).expect("an answer in JSON")
    }

    // Time.

    /// Lets time pass, waking the node whenever it asked for it.
    pub(crate) fn pass(&mut self, span: Span) {
        let end = self.now.mono + span;
        while let Some(wake) = self.node.poll_timeout().filter(|wake| wake.at <= end) {
            self.advance(wake.at - self.now.mono);
            self.fire();
        }
        self.advance(end - self.now.mono);
    }

    /// Somebody sets the wall clock, by so many milliseconds.
    pub(crate) fn set_clock(&mut self, step_ms: i64) {
        self.now.wall = Wall(self.now.wall.0.saturating_add_signed(step_ms));
    }

    /// Wakes the node if it is due: once must be enough.
    pub(crate) fn fire(&mut self) {
        if self.node.poll_timeout().is_some_and(|wake| wake.at <= self.now.mono) {
            self.node.handle_timeout(self.now);
            if let Some(wake) = self.node.poll_timeout() {
                assert!(wake.at > self.now.mono, "woken for {:?}, and at once again", wake.why);
            }
            self.drain();
            self.run();
        }
    }

    fn advance(&mut self, span: Span) {
        self.now.mono = self.now.mono + span;
        self.now.wall = self.now.wall + span;
    }

    // The store.

    /// Does all that was asked of the store meanwhile.
    pub(crate) fn release_store(&mut self) {
        self.store_held = false;
        for (op, asked) in std::mem::take(&mut self.held) {
            self.later.push_back(Later::Op(op, asked));
        }
        self.run();
    }

    pub(crate) fn writes_waiting(&self) -> usize {
        self.held.len()
    }

    // The driver's side.

    fn next_id(&mut self) -> u64 {
        self.ids += 2;
        self.ids
    }

    fn pump(&mut self, stream: StreamId) {
        while let Some(wire) = self.wires.get_mut(&stream) {
            let most = wire.waiting.len().min(wire.window());
            if wire.in_done || wire.reset.is_some() {
                return;
            }
            if most == 0 {
                if wire.waiting.is_empty() && wire.finish_waits {
                    wire.in_done = true;
                    self.handle(Input::Finished { stream });
                }
                return;
            }
            let piece = 1 + self.cuts.below((most as u64).min(1 + self.cuts.clone().below(9_000))) as usize;
            let wire = self.wires.get_mut(&stream).expect("it was just there");
            let bytes: Vec<u8> = wire.waiting.drain(..piece).collect();
            wire.delivered += piece;
            self.handle(Input::Bytes { stream, bytes: &bytes });
        }
    }

    fn handle(&mut self, input: Input<'_>) {
        self.node.handle(self.now, input);
        self.drain();
        self.run();
    }

    fn run(&mut self) {
        self.drain();
        if std::mem::replace(&mut self.running, true) {
            return;
        }
        while let Some(later) = self.later.pop_front() {
            match later {
                Later::Op(op, Op::Dial(target)) => self.dials.push((op, target)),
                Later::Op(op, asked) if self.store_held => self.held.push_back((op, asked)),
                Later::Op(op, asked) => {
                    let done = self.disk.run(asked).expect("a store's operation");
                    self.node.handle(self.now, Input::Done(op, done));
                }
                Later::Credit(stream, bytes) => {
                    if self.wires.get(&stream).is_some_and(|wire| wire.reset.is_none()) {
                        self.node.handle(self.now, Input::Credit { stream, bytes: bytes as u32 });
                    }
                }
                Later::Close(link) => self.link_down(link),
                Later::Unreachable(stream) => self.reset(stream, ResetCode::Unreachable),
                Later::Asked(stream) => self.answer(stream),
                Later::Pump(stream) => self.pump(stream),
            }
            self.drain();
        }
        self.running = false;
    }

    pub(crate) fn dialled(&mut self, op: OpId, result: Result<LinkId, String>) {
        self.handle(Input::Done(op, Completion::Dialled(result)));
    }

    /// The FEP hears a call, and answers if it likes.
    fn answer(&mut self, stream: StreamId) {
        let body = self.hear(stream);
        let (url, head) = self.wires[&stream].asked.clone().expect("an exchange of the node's");
        assert_eq!(url, "http://fep");
        let Some((status, answer)) = self.fep.call(self.now, &head.path, &body) else { return };
        self.handle(Input::Response { stream, head: ResponseHead::new(status) });
        self.deliver(stream, &answer);
        self.finish(stream);
    }

    fn drain(&mut self) {
        while let Some(output) = self.node.poll_output() {
            match output {
                Output::Open { stream, link } => {
                    self.wires.insert(stream, Wire::on(Some(link)));
                    if self.links.contains_key(&link) {
                        self.opened.push((stream, link));
                    } else {
                        self.later.push_back(Later::Unreachable(stream));
                    }
                }
                Output::Request { stream, url, head } => {
                    self.wires.insert(stream, Wire { asked: Some((url, head)), ..Wire::on(None) });
                }
                Output::Response { stream, head } => {
                    let wire = self.wires.get_mut(&stream).expect("an answer to somebody");
                    assert!(wire.head.replace(head).is_none(), "a second answer");
                }
                Output::Send { stream, bytes } => {
                    let wire = self.wires.get_mut(&stream).expect("bytes on an open stream");
                    assert!(!wire.finished, "bytes after the end");
                    if wire.reset.is_some() {
                        continue;
                    }
                    wire.heard.extend(&bytes);
                    if wire.reads {
                        self.later.push_back(Later::Credit(stream, bytes.len()));
                    } else {
                        wire.untaken += bytes.len();
                    }
                }
                Output::Finish { stream } => {
                    let wire = self.wires.get_mut(&stream).expect("an open stream ends");
                    assert!(!wire.finished, "a second end");
                    wire.finished = true;
                    if wire.asked.is_some() {
                        self.later.push_back(Later::Asked(stream));
                    }
                }
                Output::Reset { stream, code } => {
                    let wire = self.wires.get_mut(&stream).expect("an open stream is reset");
                    assert!(
                        wire.reset.is_none() || !self.links.contains_key(&wire.link.unwrap_or(LinkId(0)))
                    );
                    wire.reset = Some(code);
                    wire.waiting.clear();
                }
                Output::Grant { stream, bytes } => {
                    let wire = self.wires.get_mut(&stream).expect("an open stream is granted");
                    wire.granted += bytes as usize;
                    assert!(wire.granted <= wire.delivered, "more was granted than was read");
                    if !wire.waiting.is_empty() {
                        self.later.push_back(Later::Pump(stream));
                    }
                }
                Output::Close { link, reason } => {
                    self.closed.push((link, reason));
                    if !self.closes_late {
                        self.later.push_back(Later::Close(link));
                    }
                }
                Output::Start(op, asked) => self.later.push_back(Later::Op(op, asked)),
                Output::Event(event) => self.log.push(event.text),
            }
        }
    }
}
