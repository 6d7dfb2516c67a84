//! A Portman on a bench: the test plays its labman and its runtime.

use alloc::{string::String, vec::Vec};
use std::collections::BTreeMap;

use serde_json::json;

use crate::http::{RequestHead, ResponseHead};
use crate::limits::STREAM_WINDOW;
use crate::machine::{
    Completion, DownReason, Event, Input, LinkId, Machine, Op, OpId, Output, Peer, ResetCode, StreamId,
    Target,
};
use crate::portman::{Portman, config::Config};
use crate::rng::Seed;
use crate::time::{Now, Span};
use crate::wire::portman::{FromPortman, ToPortman};

type Request = (StreamId, String, RequestHead, Vec<u8>);

pub(super) struct Rig {
    pub(super) portman: Portman,
    pub(super) now: Now,
    /// Jobs' requests at the runtime.
    pub(super) requests: Vec<Request>,
    /// Questions for its models.
    pub(super) questions: Vec<Request>,
    pub(super) resets: Vec<StreamId>,
    pub(super) closed: Vec<&'static str>,
    pub(super) events: Vec<Event>,
    pub(super) dials: Vec<(OpId, Target)>,
    /// What the runtime answers to the question for its models; `None`: nothing.
    pub(super) catalogue: Option<&'static str>,
    unanswered: Option<StreamId>,
    links: u64,
    /// The stream to the labman, and what came on it.
    labman: Option<StreamId>,
    lines: Vec<u8>,
    /// The Portman has ended that stream.
    pub(super) said_all: bool,
    /// Bytes that may still be delivered on a stream.
    room: BTreeMap<StreamId, u64>,
}

impl Rig {
    pub(super) fn new() -> Self {
        let config = Config {
            labman_url: "ws://labman:8765/".into(),
            token: "secret".into(),
            runtime_url: "http://runtime:9000/v1".into(),
            runtime_key: Some("sk-runtime".into()),
            slots: 2,
            context_length: 4096,
        };
        let now = Now::default();
        Self {
            portman: Portman::new(config, Seed::from_u64(1), now),
            now,
            requests: Vec::new(),
            questions: Vec::new(),
            resets: Vec::new(),
            closed: Vec::new(),
            events: Vec::new(),
            dials: Vec::new(),
            catalogue: None,
            unanswered: None,
            links: 0,
            labman: None,
            lines: Vec::new(),
            said_all: false,
            room: BTreeMap::new(),
        }
    }

    /// Attached, with the model `tiny`, and nothing said yet.
    pub(super) fn with_model() -> Self {
        let mut rig = Self::new();
        rig.attach();
        rig.offer(r#"{"data":[{"id":"tiny"}]}"#);
        rig.said();
        rig
    }

    /// Lets time pass, waking the machine whenever it wants.
    pub(super) fn wait(&mut self, span: Span) {
        let end = self.now.mono + span;
        while let Some(wake) = self.portman.poll_timeout().filter(|wake| wake.at <= end) {
            self.now.mono = self.now.mono.max(wake.at);
            self.portman.handle_timeout(self.now);
            self.drain();
            assert_ne!(self.portman.poll_timeout(), Some(wake), "a timer that changes nothing");
        }
        self.now.mono = end;
    }

    /// The dial succeeds.
    pub(super) fn attach(&mut self) {
        self.wait(Span::from_secs(0));
        let (op, _) = self.dials.pop().expect("a dial");
        self.links += 1;
        let link = LinkId(self.links);
        self.feed(Input::LinkUp { link, peer: Peer::Labman });
        self.feed(Input::Done(op, Completion::Dialled(Ok(link))));
    }

    /// The labman has read the stream to its end: it closes the link.
    pub(super) fn closes_link(&mut self) {
        assert!(self.said_all);
        self.link_down(DownReason::Closed);
    }

    /// The labman says that this was all.
    pub(super) fn labman_leaves(&mut self) {
        self.feed(Input::Finished { stream: self.labman.expect("a link") });
    }

    pub(super) fn dial_fails(&mut self, op: OpId) {
        self.feed(Input::Done(op, Completion::Dialled(Err("refused".into()))));
    }

    pub(super) fn loses_link(&mut self) {
        self.link_down(DownReason::Failed);
    }

    /// As any driver tells it: what is open on the link is reset first.
    pub(super) fn link_down(&mut self, reason: DownReason) {
        let stream = self.labman.take().expect("a link");
        self.feed(Input::Reset { stream, code: ResetCode::Unreachable });
        self.feed(Input::LinkDown { link: LinkId(self.links), reason });
    }

    /// From now on the runtime tells its models, also to one who has asked already.
    pub(super) fn offer(&mut self, catalogue: &'static str) {
        self.catalogue = Some(catalogue);
        self.drain();
    }

    /// The latest job's exchange with the runtime.
    pub(super) fn exchange(&self) -> StreamId {
        self.requests.last().expect("a request").0
    }

    pub(super) fn answers(&mut self, status: u16) {
        self.feed(Input::Response { stream: self.exchange(), head: ResponseHead::new(status) });
    }

    /// Delivers it all, in as many pieces as the Portman's grants make of it.
    pub(super) fn sends(&mut self, text: &str) {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let may = self.room(self.exchange()).min(rest.len() as u64) as usize;
            assert!(may > 0, "the Portman takes nothing");
            let (head, tail) = rest.split_at(may);
            self.deliver(head);
            rest = tail;
        }
    }

    /// Repeats an event until the next would not fit, or there is clearly no bound. Returns the bytes sent.
    pub(super) fn sends_all_it_may(&mut self, event: &str) -> usize {
        let mut sent = 0;
        while self.room(self.exchange()) >= event.len() as u64 && sent < 10 * STREAM_WINDOW as usize {
            self.deliver(event.as_bytes());
            sent += event.len();
        }
        sent
    }

    pub(super) fn finishes(&mut self) {
        self.feed(Input::Finished { stream: self.exchange() });
    }

    pub(super) fn breaks(&mut self) {
        self.feed(Input::Reset { stream: self.exchange(), code: ResetCode::Unreachable });
    }

    pub(super) fn start(&mut self, job: u64, credit: u32) {
        let body = json!({ "model": "x:y:tiny", "stream": false, "max_tokens": 9, "messages": [] });
        self.labman_says(&ToPortman::Start { job, model: "tiny".into(), body, credit });
    }

    pub(super) fn labman_says(&mut self, message: &ToPortman) {
        let mut line = serde_json::to_vec(message).unwrap();
        line.push(b'\n');
        self.labman_sends(&line);
    }

    pub(super) fn labman_sends(&mut self, bytes: &[u8]) {
        let stream = self.labman.expect("a link");
        self.feed(Input::Bytes { stream, bytes });
    }

    /// What the labman has heard since it was last asked.
    pub(super) fn said(&mut self) -> Vec<FromPortman> {
        let lines = core::mem::take(&mut self.lines);
        serde_json::Deserializer::from_slice(&lines).into_iter().map(Result::unwrap).collect()
    }

    fn deliver(&mut self, bytes: &[u8]) {
        let stream = self.exchange();
        *self.room.get_mut(&stream).unwrap() -= bytes.len() as u64;
        self.feed(Input::Bytes { stream, bytes });
    }

    fn room(&self, stream: StreamId) -> u64 {
        self.room[&stream]
    }

    /// The process is asked to end.
    pub(super) fn leave(&mut self) {
        self.feed(Input::Leave);
    }

    fn feed(&mut self, input: Input<'_>) {
        self.portman.handle(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        self.sort_outputs();
        if let (Some(stream), Some(catalogue)) = (self.unanswered, self.catalogue) {
            self.unanswered = None;
            self.portman.handle(self.now, Input::Response { stream, head: ResponseHead::new(200) });
            self.portman.handle(self.now, Input::Bytes { stream, bytes: catalogue.as_bytes() });
            self.portman.handle(self.now, Input::Finished { stream });
            self.sort_outputs();
        }
    }

    fn sort_outputs(&mut self) {
        while let Some(output) = self.portman.poll_output() {
            match output {
                Output::Open { stream, .. } => self.labman = Some(stream),
                Output::Request { stream, url, head } if head.path.ends_with("/models") => {
                    self.questions.push((stream, url, head, Vec::new()));
                    self.unanswered = Some(stream);
                }
                Output::Request { stream, url, head } => {
                    self.requests.push((stream, url, head, Vec::new()));
                    self.room.insert(stream, STREAM_WINDOW.into());
                }
                Output::Send { stream, bytes } if self.labman == Some(stream) => {
                    assert!(!self.said_all, "said after the end");
                    self.lines.extend(bytes);
                }
                Output::Send { stream, bytes } => {
                    let request = self.requests.iter_mut().find(|request| request.0 == stream);
                    request.expect("an open exchange").3.extend(bytes);
                }
                Output::Finish { stream } => self.said_all |= Some(stream) == self.labman,
                Output::Reset { stream, .. } => self.resets.push(stream),
                Output::Grant { stream, bytes } => {
                    *self.room.entry(stream).or_default() += u64::from(bytes);
                }
                Output::Close { reason, .. } => self.closed.push(reason),
                Output::Start(op, Op::Dial(target)) => self.dials.push((op, target)),
                Output::Event(event) => self.events.push(event),
                Output::Start(_, Op::Store(_) | Op::Read(_) | Op::Find(_)) | Output::Response { .. } => {
                    panic!("not a Portman's: {output:?}")
                }
            }
        }
    }
}
