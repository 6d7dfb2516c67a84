//! A daemon that lies: an honest machine, and around it a strategy that stands on its wires.
//!
//! The strategy sees whole frames on mesh streams and whole messages between node and FEP, and decides what becomes of
//! each. It holds the party's own key and nobody else's. Users' exchanges, Portmans, stores and the admin surface are the
//! daemon's own affair and pass as they are.

use std::collections::BTreeMap;

use labman_proto_core::http::Surface;
use labman_proto_core::machine::{Input, LinkId, Machine, Output, Peer, ResetCode, StreamId};
use labman_proto_core::rng::Seed;
use labman_proto_core::time::{Now, Span, Time, Wake};

use super::Dishonest;
use super::craft::Said;
use super::hand::{Hand, Party};
use super::lanes::{Lane, Way};
use super::strategy::{Fate, Letter, Strategy};
use crate::cast::Resident;

pub struct Byzantine {
    daemon: Box<Resident>,
    kind: Dishonest,
    strategy: Box<dyn Strategy>,
    hand: Hand,
    /// HTTP messages that are not whole.
    letters: BTreeMap<StreamId, Letter>,
    /// What was asked of it over HTTP, where its answer is the strategy's to alter.
    asked: BTreeMap<StreamId, String>,
    tick: Time,
}

impl Byzantine {
    pub fn new(kind: Dishonest, daemon: Resident, party: Party, seed: &Seed, now: Now) -> Self {
        let mut byzantine = Self {
            daemon: Box::new(daemon),
            kind,
            strategy: kind.make(),
            hand: Hand::new(party, seed.stream("strategy"), now),
            letters: BTreeMap::new(),
            asked: BTreeMap::new(),
            tick: now.mono + Span::from_secs(1),
        };
        byzantine.settle();
        byzantine
    }

    pub fn kind(&self) -> Dishonest {
        self.kind
    }

    /// How often it was dishonest, over all its lives.
    pub fn deeds(&self) -> u64 {
        self.hand.party.deeds.all()
    }

    /// The moment has come for which its strategy waits, if it waits for one.
    pub fn turn(&self) {
        self.hand.party.deeds.turn();
    }

    /// What it tried with money.
    pub fn threats(&self) -> std::collections::BTreeMap<&'static str, u64> {
        self.hand.party.deeds.threats()
    }

    /// Takes what the daemon puts out, and hands it what it may hear, until neither has more.
    fn settle(&mut self) {
        loop {
            while let Some(output) = self.daemon.poll_output() {
                self.output(output);
            }
            if !self.deliver() {
                return;
            }
        }
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Open { stream, link } => {
                let dialled = self.hand.links.get(&link).is_some_and(|(_, dialled)| *dialled);
                let lane = Lane::new(self.way(link, dialled, true), false);
                self.hand.lanes.insert(stream, lane);
                self.hand.push(Output::Open { stream, link });
            }
            Output::Request { stream, url, head } => {
                self.hand.lanes.insert(stream, Lane::new(Way::Other, false));
                self.letters.insert(stream, Letter::request(url, head));
            }
            Output::Response { stream, head } => match self.asked.remove(&stream) {
                Some(path) => {
                    self.letters.insert(stream, Letter::answer(path, head));
                }
                None => self.hand.push(Output::Response { stream, head }),
            },
            Output::Send { stream, bytes } => self.says(stream, bytes),
            Output::Finish { stream } => match self.letters.remove(&stream) {
                Some(letter) => self.posts(stream, letter),
                None => self.hand.push(Output::Finish { stream }),
            },
            Output::Reset { stream, code } => {
                self.letters.remove(&stream);
                self.asked.remove(&stream);
                self.hand.push(Output::Reset { stream, code });
            }
            Output::Grant { stream, bytes } => match self.hand.lanes.get_mut(&stream) {
                Some(lane) if lane.way != Way::Other => lane.window += bytes as usize,
                Some(_) | None => self.hand.push(Output::Grant { stream, bytes }),
            },
            other @ (Output::Close { .. } | Output::Start(..) | Output::Event(_)) => self.hand.push(other),
        }
    }

    fn says(&mut self, stream: StreamId, bytes: Vec<u8>) {
        if let Some(letter) = self.letters.get_mut(&stream) {
            return letter.body.extend_from_slice(&bytes);
        }
        let Some(lane) = self.hand.lanes.get_mut(&stream) else { return };
        lane.uncredited += bytes.len();
        let Some(peer) = lane.way.peer() else { return self.hand.send(stream, bytes) };
        let way = lane.way.clone();
        lane.said.push(&bytes);
        // The daemon is honest: what it says is frames.
        while let Some(lane) = self.hand.lanes.get_mut(&stream)
            && let Ok(Some(frame)) = lane.said.poll()
        {
            let said = Said::of(frame);
            if let Some(header) = said.header.filter(|header| header.sender == self.hand.me()) {
                self.hand.incarnation = header.incarnation;
            }
            self.hand.remember(peer, &said);
            self.strategy.says(&mut self.hand, stream, &way, &said);
        }
    }

    fn posts(&mut self, stream: StreamId, mut letter: Letter) {
        match self.strategy.posts(&mut self.hand, &mut letter) {
            Fate::Sent => self.hand.send_letter(stream, None, letter),
            Fate::SentAfter(after) => self.hand.send_letter(stream, Some(after), letter),
            // A request that is never sent has no stream; an answer that never comes keeps its one.
            Fate::Kept if letter.to.is_some() => {
                self.hand.lanes.remove(&stream);
            }
            Fate::Kept => {}
        }
    }

    fn hears(&mut self, stream: StreamId, bytes: &[u8]) {
        let Some(lane) = self.hand.lanes.get_mut(&stream) else { return };
        let (way, secret) = (lane.way.clone(), lane.secret);
        self.hand.push(Output::Grant { stream, bytes: bytes.len() as u32 });
        let Some(peer) = way.peer() else { return };
        let Some(lane) = self.hand.lanes.get_mut(&stream) else { return };
        if lane.raw {
            return lane.hear_raw(bytes);
        }
        lane.heard.push(bytes);
        while let Some(lane) = self.hand.lanes.get_mut(&stream) {
            let said = match lane.heard.poll() {
                Ok(Some(frame)) => Said::of(frame),
                Ok(None) => return,
                Err(_) => {
                    lane.raw = true;
                    return lane.hear_raw(bytes);
                }
            };
            self.hand.remember(peer, &said);
            // Of a stream of the strategy's own the daemon knows nothing.
            if self.strategy.hears(&mut self.hand, stream, &way, &said)
                && !secret
                && let Some(lane) = self.hand.lanes.get_mut(&stream)
            {
                lane.inbox.extend_from_slice(&said.bytes);
            }
        }
    }

    /// Hands the daemon what it may hear now. `true`: it heard something.
    fn deliver(&mut self) -> bool {
        let now = self.hand.now;
        let mut heard = false;
        while let Some(stream) = self.hand.cut.pop_front() {
            self.daemon.handle(now, Input::Reset { stream, code: ResetCode::Unreachable });
            heard = true;
        }
        let streams: Vec<StreamId> = self.hand.lanes.keys().copied().collect();
        for stream in streams {
            let Some(lane) = self.hand.lanes.get_mut(&stream) else { continue };
            let bytes = lane.take_inbox();
            if !bytes.is_empty() {
                self.daemon.handle(now, Input::Bytes { stream, bytes: &bytes });
                heard = true;
            }
            let ended = |lane: &&mut Lane| lane.end_waits && lane.inbox.is_empty();
            if let Some(lane) = self.hand.lanes.get_mut(&stream).filter(ended) {
                lane.end_waits = false;
                self.over(stream);
                self.daemon.handle(now, Input::Finished { stream });
                heard = true;
            }
        }
        heard
    }

    /// Nothing more will be heard on it.
    fn over(&mut self, stream: StreamId) {
        if let Some(lane) = self.hand.lanes.get_mut(&stream) {
            lane.heard_last = true;
            if lane.is_over() {
                self.hand.lanes.remove(&stream);
            }
        }
    }

    fn finished(&mut self, stream: StreamId) {
        match self.hand.lanes.get_mut(&stream) {
            Some(lane) if lane.way != Way::Other && !lane.secret => lane.end_waits = true,
            Some(lane) => {
                let secret = lane.secret;
                if secret && lane.way != Way::Other {
                    self.hand.finish(stream);
                }
                self.over(stream);
                if !secret {
                    self.daemon.handle(self.hand.now, Input::Finished { stream });
                }
            }
            None => {}
        }
    }

    fn credit(&mut self, stream: StreamId, bytes: u32) {
        let Some(lane) = self.hand.lanes.get_mut(&stream).filter(|lane| !lane.secret) else { return };
        // The daemon may not be told that more has left than it said.
        let told = lane.uncredited.min(bytes as usize);
        lane.uncredited -= told;
        if told > 0 {
            self.daemon.handle(self.hand.now, Input::Credit { stream, bytes: told as u32 });
        }
    }

    fn is_secret(&self, stream: StreamId) -> bool {
        self.hand.lanes.get(&stream).is_some_and(|lane| lane.secret)
    }

    fn way(&self, link: LinkId, may_be_control: bool, ours: bool) -> Way {
        let Some((peer, _)) = self.hand.links.get(&link).copied() else { return Way::Other };
        let has_control = self
            .hand
            .lanes
            .values()
            .any(|lane| matches!(lane.way, Way::Control { link: taken, .. } if taken == link));
        match may_be_control && !has_control {
            true => Way::Control { link, peer },
            false => Way::Job { link, peer, ours },
        }
    }
}

impl Machine for Byzantine {
    fn handle(&mut self, now: Now, input: Input<'_>) {
        self.hand.now = now;
        match input {
            Input::LinkUp { link, peer } => {
                if let Peer::Mesh { node_id, dialled, .. } = peer {
                    self.hand.links.insert(link, (node_id, dialled));
                }
                self.daemon.handle(now, Input::LinkUp { link, peer });
            }
            Input::LinkDown { link, reason } => {
                self.hand.links.remove(&link);
                self.hand.lanes.retain(|_, lane| lane.way.link() != Some(link));
                self.daemon.handle(now, Input::LinkDown { link, reason });
            }
            Input::Opened { stream, link } => {
                let dialled = self.hand.links.get(&link).is_some_and(|(_, dialled)| *dialled);
                let lane = Lane::new(self.way(link, !dialled, false), false);
                self.hand.lanes.insert(stream, lane);
                self.daemon.handle(now, Input::Opened { stream, link });
            }
            Input::Request { stream, surface, head } => {
                let of_fep = surface == Surface::Public && matches!(*self.daemon, Resident::Portal(_));
                let answer = if of_fep { self.strategy.asked(&mut self.hand, &head.path) } else { None };
                self.hand.lanes.insert(stream, Lane::new(Way::Other, answer.is_some()));
                if let Some(answer) = answer {
                    self.hand.send_letter(stream, None, answer);
                } else {
                    if of_fep {
                        self.asked.insert(stream, head.path.clone());
                    }
                    self.daemon.handle(now, Input::Request { stream, surface, head });
                }
            }
            Input::Response { stream, head } => {
                if !self.is_secret(stream) {
                    self.daemon.handle(now, Input::Response { stream, head });
                }
            }
            Input::Bytes { stream, bytes } => match self.hand.lanes.get(&stream) {
                Some(lane) if lane.way == Way::Other && !lane.secret => {
                    self.daemon.handle(now, Input::Bytes { stream, bytes });
                }
                Some(_) => self.hears(stream, bytes),
                None => {}
            },
            Input::Finished { stream } => self.finished(stream),
            Input::Reset { stream, code } => {
                if self.hand.lanes.remove(&stream).is_some_and(|lane| !lane.secret) {
                    self.letters.remove(&stream);
                    self.asked.remove(&stream);
                    self.daemon.handle(now, Input::Reset { stream, code });
                }
            }
            Input::Credit { stream, bytes } => self.credit(stream, bytes),
            other @ (Input::Done(..) | Input::Leave) => self.daemon.handle(now, other),
        }
        self.settle();
    }

    fn handle_timeout(&mut self, now: Now) {
        self.hand.now = now;
        if self.daemon.poll_timeout().is_some_and(|wake| wake.at <= now.mono) {
            self.daemon.handle_timeout(now);
        }
        while let Some(entry) = self.hand.later.first_entry().filter(|entry| entry.key().0 <= now.mono) {
            entry.remove().into_iter().for_each(|output| self.hand.push(output));
        }
        if self.tick <= now.mono {
            self.tick = now.mono + Span::from_millis(500 + self.hand.draws.below(3_000));
            self.strategy.wakes(&mut self.hand);
        }
        self.settle();
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.hand.out.pop_front()
    }

    fn poll_timeout(&self) -> Option<Wake> {
        let own = Wake { at: self.tick, why: "the next lie" };
        let later = self.hand.later.keys().next().map(|(at, _)| Wake { at: *at, why: "a delayed lie" });
        Wake::earliest(self.daemon.poll_timeout(), Wake::earliest(Some(own), later))
    }

    fn stopped(&self) -> Option<&str> {
        self.daemon.stopped()
    }

    fn has_left(&self) -> bool {
        self.daemon.has_left()
    }
}
