//! Streams: opening them on links and as HTTP exchanges, carrying their bytes under credit, and ending them.

use labman_proto_core::http::{RequestHead, ResponseHead, Surface};
use labman_proto_core::limits;
use labman_proto_core::machine::{Input, LinkId, Machine, ResetCode, StreamId};
use labman_proto_core::time::{Span, Time};

use super::{Event, World};
use crate::host::{Address, HostId};
use crate::net::conditions::Conditions;
use crate::net::link::{LinkKey, LinkState, Route};
use crate::net::stream::{Departure, End, Item, Pipe, Side, Stream, StreamKey};

/// An HTTP socket whose peer takes nothing for so long is closed (io-tokio's default).
const SOCKET_STALL: Span = Span::from_secs(60);
/// In bytes, of one answer.
const ANSWER_BACKLOG: usize = 256 * 1024;

impl<M: Machine> World<M> {
    pub(super) fn open(&mut self, host: HostId, id: StreamId, link: LinkId) {
        let Some((key, side)) = self.hosts[host.0].links.get(&link).copied() else {
            return self.misused_link(host, "a stream", link);
        };
        let Some(found) = self.links.get(&key) else { return };
        let (here, there) = (&found.ends[side.index()], &found.ends[side.other().index()]);
        let (route, other) = (found.route, there.host);
        // Neither side hears of a stream before it has heard of its link.
        let floors = [there.hears_from(), here.hears_from()];
        let stream = self.new_stream(Some(key), route, (host, id), other, floors);
        if let Some(link) = self.links.get_mut(&key) {
            link.streams.insert(stream);
        }
        self.replays.opened(host, id, key);
        self.push(stream, Side::Opener, Item::Opened);
    }

    /// Opens a stream in a host's name and says something on it; what is answered is lost. False: the link is gone.
    pub(super) fn say_as(&mut self, host: HostId, key: LinkKey, bytes: Vec<u8>) -> bool {
        let Some(link) = self.links.get(&key) else { return false };
        let Some(there) = link.ends.iter().find(|end| end.host != host) else { return false };
        let (route, other, floors) = (link.route, there.host, [there.hears_from(), Time::ZERO]);
        let stream = StreamKey(self.next_key());
        let mut ends =
            [(host, 0), (other, self.hosts[other.0].life)].map(|(host, life)| End::new(host, life, None));
        ends[0].leave();
        let since = self.engine.now();
        self.streams
            .insert(stream, Stream { link: Some(key), route, since, ends, pipes: floors.map(Pipe::from) });
        if let Some(link) = self.links.get_mut(&key) {
            link.streams.insert(stream);
        }
        self.push(stream, Side::Opener, Item::Opened);
        self.push(stream, Side::Opener, Item::Bytes(bytes));
        true
    }

    pub(super) fn request(&mut self, host: HostId, id: StreamId, url: &str, head: RequestHead) {
        let (surface, address) = match url.strip_prefix("admin://") {
            Some(name) => (Surface::Admin, Address::Admin(name.to_owned())),
            None => (Surface::Public, Address::Http(authority(url).to_owned())),
        };
        let there = self.addresses.get(&address).copied();
        let route = match surface {
            Surface::Admin => Route::Admin,
            Surface::Public if there.is_some_and(|there| self.is_local(there)) => Route::Local,
            Surface::Public => Route::Http,
        };
        // An address nobody has is an exchange with oneself that fails.
        let stream = self.new_stream(None, route, (host, id), there.unwrap_or(host), [Time::ZERO; 2]);
        match there {
            Some(_) => self.push(stream, Side::Opener, Item::Request(surface, head)),
            None => {
                self.leave(stream, Side::Opened);
                self.push(stream, Side::Opened, Item::Reset(ResetCode::Unreachable));
            }
        }
    }

    pub(super) fn respond(&mut self, host: HostId, id: StreamId, head: ResponseHead) {
        match self.sender(host, id) {
            Some((stream, side)) => self.push(stream, side, Item::Response(head)),
            None => self.misused(host, "a response", id),
        }
    }

    pub(super) fn send(&mut self, host: HostId, id: StreamId, bytes: Vec<u8>) {
        match self.sender(host, id) {
            Some((stream, side)) => {
                self.replays.sent(host, id, &bytes);
                if let (Some(traffic), Some(found)) = (&mut self.traffic, self.streams.get(&stream))
                    && found.route == Route::Mesh
                {
                    traffic.sent(self.engine.now(), host, found.ends[side.other().index()].host, &bytes);
                }
                self.push(stream, side, Item::Bytes(bytes));
            }
            None => self.misused(host, "bytes", id),
        }
    }

    pub(super) fn finish(&mut self, host: HostId, id: StreamId) {
        let Some((stream, side)) = self.sender(host, id) else {
            return self.misused(host, "a finish", id);
        };
        if let Some(found) = self.streams.get_mut(&stream) {
            found.ends[side.index()].sent_last();
        }
        self.push(stream, side, Item::Finish);
        self.forget_stream(stream);
    }

    /// A reset or a grant may cross the stream's end: then it does nothing.
    pub(super) fn reset(&mut self, host: HostId, id: StreamId, code: ResetCode) {
        let Some((stream, side)) = self.hosts[host.0].streams.get(&id).copied() else { return };
        self.leave(stream, side);
        if let Some(found) = self.streams.get_mut(&stream) {
            found.pipes[side.index()].abandon();
        }
        self.push(stream, side, Item::Reset(code));
        self.forget_stream(stream);
    }

    pub(super) fn grant(&mut self, host: HostId, id: StreamId, bytes: u32) {
        let Some((stream, side)) = self.hosts[host.0].streams.get(&id).copied() else { return };
        let Some(found) = self.streams.get_mut(&stream) else { return };
        found.pipes[side.other().index()].grant(bytes);
        self.tell_of_grants(stream, side.other());
    }

    /// Tells a sender what its receiver has granted, if that is worth it.
    fn tell_of_grants(&mut self, stream: StreamKey, sender: Side) {
        let Some(found) = self.streams.get_mut(&stream) else { return };
        let Some(bytes) = found.pipes[sender.index()].tell() else { return };
        let (route, [from, to]) =
            (found.route, [sender.other(), sender].map(|side| found.ends[side.index()].host));
        let at = self.engine.now() + self.transit(from, to, route, 0);
        self.engine.schedule(at, Event::Window { stream, side: sender, bytes });
    }

    pub(super) fn window(&mut self, key: StreamKey, side: Side, bytes: u32) -> Option<HostId> {
        let stream = self.streams.get_mut(&key)?;
        let host = stream.ends[side.index()].host;
        let (from, route) = (stream.ends[side.other().index()].host, stream.route);
        if let Some((_, until)) = held_back(&self.conditions, route, from, host, self.engine.now()) {
            self.engine.schedule(until, Event::Window { stream: key, side, bytes });
            return None;
        }
        stream.pipes[side.index()].granted(bytes);
        self.pump(key, side);
        Some(host)
    }

    pub(super) fn credit(&mut self, key: StreamKey, side: Side, bytes: u32) -> Option<HostId> {
        let stream = self.streams.get(&key)?;
        let end = &stream.ends[side.index()];
        let host = end.host;
        if let (Some(id), false) = (end.id, end.is_gone()) {
            self.handle(host, Input::Credit { stream: id, bytes });
        }
        Some(host)
    }

    pub(super) fn arrival(&mut self, key: StreamKey, to: Side) -> Option<HostId> {
        let now = self.engine.now();
        let stream = self.streams.get(&key)?;
        let (host, from) = (stream.ends[to.index()].host, stream.ends[to.other().index()].host);
        if let Some((fault, until)) = held_back(&self.conditions, stream.route, from, host, now) {
            self.marks.fired(fault);
            self.engine.schedule(until, Event::Arrival { stream: key, to });
            return None;
        }
        while let Some(stream) = self.streams.get_mut(&key) {
            let Some(item) = stream.pipes[to.other().index()].arrive(now) else { break };
            if !stream.ends[to.index()].is_gone() {
                self.arrived(key, to, host, item);
            }
        }
        self.tell_of_grants(key, to.other());
        Some(host)
    }

    fn arrived(&mut self, key: StreamKey, to: Side, host: HostId, item: Item) {
        let Some((id, link)) = self.name_at(key, to) else { return self.bounce(key, to) };
        match item {
            Item::Opened => {
                if let Some(link) = link {
                    self.handle(host, Input::Opened { stream: id, link });
                }
            }
            Item::Request(surface, head) => self.handle(host, Input::Request { stream: id, surface, head }),
            Item::Response(head) => self.handle(host, Input::Response { stream: id, head }),
            Item::Bytes(bytes) => self.handle(host, Input::Bytes { stream: id, bytes: &bytes }),
            Item::Finish => {
                if let Some(stream) = self.streams.get_mut(&key) {
                    stream.ends[to.index()].got_last();
                }
                self.forget_stream(key);
                self.handle(host, Input::Finished { stream: id });
            }
            Item::Reset(code) => self.tear(key, to, code),
        }
    }

    /// What the machine calls the stream and its link; a name is given with the first thing that arrives. `None`: the
    /// host has died since, or the link has.
    fn name_at(&mut self, key: StreamKey, to: Side) -> Option<(StreamId, Option<LinkId>)> {
        let stream = self.streams.get_mut(&key)?;
        let end = &mut stream.ends[to.index()];
        let host = &mut self.hosts[end.host.0];
        if !host.is_up() || host.life != end.life {
            return None;
        }
        let link = match stream.link {
            None => None,
            Some(link) => {
                let ends = &self.links.get(&link)?.ends;
                let end = ends.iter().find(|link_end| link_end.host == end.host)?;
                matches!(end.state, LinkState::Up(_)).then_some(Some(end.id))?
            }
        };
        let id = match end.id {
            Some(id) => id,
            None => {
                let id = host.next_stream();
                host.streams.insert(id, (key, to));
                end.id = Some(id);
                id
            }
        };
        Some((id, link))
    }

    /// Nobody is there any more. An operating system refuses an HTTP exchange in its place; on a link only silence
    /// answers, until the link is found dead.
    fn bounce(&mut self, key: StreamKey, to: Side) {
        let exchange = self.streams.get(&key).is_some_and(|stream| stream.link.is_none());
        self.leave(key, to);
        if exchange {
            self.push(key, to, Item::Reset(ResetCode::Unreachable));
        }
        self.forget_stream(key);
    }

    /// Ends the stream at that side, and tells its machine.
    pub(super) fn tear(&mut self, key: StreamKey, side: Side, code: ResetCode) {
        let Some(end) = self.streams.get(&key).map(|stream| &stream.ends[side.index()]) else { return };
        let (host, id, was_gone) = (end.host, end.id, end.is_gone());
        self.leave(key, side);
        self.forget_stream(key);
        if let (Some(id), false) = (id, was_gone) {
            self.handle(host, Input::Reset { stream: id, code });
        }
    }

    /// That side neither sends nor hears anything on the stream any more.
    pub(super) fn leave(&mut self, key: StreamKey, side: Side) {
        let Some(stream) = self.streams.get_mut(&key) else { return };
        stream.ends[side.index()].leave();
        stream.pipes[side.other().index()].silence();
        self.forget_stream(key);
    }

    /// The host dies: its HTTP exchanges are reset by its operating system.
    pub(super) fn cut_streams(&mut self, host: HostId) {
        for (_, (key, side)) in std::mem::take(&mut self.hosts[host.0].streams) {
            if let Some(stream) = self.streams.get_mut(&key).filter(|stream| stream.link.is_none()) {
                stream.pipes[side.index()].abandon();
                self.bounce(key, side);
            }
        }
    }

    fn new_stream(
        &mut self,
        link: Option<LinkKey>,
        route: Route,
        (host, id): (HostId, StreamId),
        other: HostId,
        floors: [Time; 2],
    ) -> StreamKey {
        let key = StreamKey(self.next_key());
        self.hosts[host.0].streams.insert(id, (key, Side::Opener));
        let ends = [
            End::new(host, self.hosts[host.0].life, Some(id)),
            End::new(other, self.hosts[other.0].life, None),
        ];
        self.streams.insert(
            key,
            Stream { link, route, since: self.engine.now(), ends, pipes: floors.map(Pipe::from) },
        );
        key
    }

    fn sender(&self, host: HostId, id: StreamId) -> Option<(StreamKey, Side)> {
        let (key, side) = self.hosts[host.0].streams.get(&id).copied()?;
        self.streams.get(&key)?.ends[side.index()].may_send().then_some((key, side))
    }

    fn push(&mut self, key: StreamKey, side: Side, item: Item) {
        if let Some(stream) = self.streams.get_mut(&key) {
            stream.pipes[side.index()].push(item);
            self.pump(key, side);
            self.check_backlog(key, side);
        }
    }

    /// Whoever answers may be ahead of its reader by so much and no more. Whoever opened a stream may be ahead by a whole
    /// control stream's backlog.
    fn check_backlog(&mut self, key: StreamKey, side: Side) {
        let Some(stream) = self.streams.get(&key) else { return };
        let (host, backlog) = (stream.ends[side.index()].host, stream.pipes[side.index()].backlog());
        let most = match (stream.route, side) {
            (Route::Http, Side::Opened) => ANSWER_BACKLOG,
            // It may be a control stream, on which a neighbour is told all there is.
            (Route::Mesh, _) | (Route::Http, Side::Opener) | (Route::Local, _) => {
                limits::CONTROL_BACKLOG + limits::BODY_FRAME
            }
            (Route::Admin, _) => return,
        };
        if backlog > 0 && stream.route == Route::Http && side == Side::Opened {
            self.guard(key, side);
        }
        if backlog > most && !self.hosts[host.0].lawless {
            self.fail(host, &format!("holds {backlog} bytes for a stream whose reader is behind"));
        }
    }

    /// As an HTTP server's sockets do: who reads nothing of what waits for them loses the exchange.
    fn guard(&mut self, key: StreamKey, side: Side) {
        let Some(pipe) = self.streams.get_mut(&key).map(|stream| &mut stream.pipes[side.index()]) else {
            return;
        };
        if !std::mem::replace(&mut pipe.guarded, true) {
            let left = pipe.left();
            self.engine.schedule(self.engine.now() + SOCKET_STALL, Event::Unread { stream: key, side, left });
        }
    }

    pub(super) fn unread(&mut self, key: StreamKey, side: Side, left: u64) -> Option<HostId> {
        let stream = self.streams.get_mut(&key)?;
        let reader = stream.ends[side.other().index()].host;
        let pipe = &mut stream.pipes[side.index()];
        pipe.guarded = false;
        if pipe.backlog() == 0 {
            return None;
        }
        if pipe.left() > left {
            self.guard(key, side);
            return None;
        }
        self.marks.note("a socket was closed on who read nothing");
        self.tear(key, side, ResetCode::Unreachable);
        self.tear(key, side.other(), ResetCode::Unreachable);
        Some(reader)
    }

    /// HTTP exchanges that have been open for longer than that: who asked, and whom, and since when.
    pub fn exchanges_older_than(&self, age: Span) -> Vec<([&str; 2], Time)> {
        let old = |stream: &&Stream| {
            let asks_still = stream.link.is_none() && !stream.ends[Side::Opener.index()].is_gone();
            asks_still && stream.route != Route::Admin && self.engine.now() - stream.since > age
        };
        self.streams
            .values()
            .filter(old)
            .map(|stream| ([0, 1].map(|side| self.name(stream.ends[side].host)), stream.since))
            .collect()
    }

    /// Sends off what the window lets through.
    fn pump(&mut self, key: StreamKey, side: Side) {
        let now = self.engine.now();
        let Some(stream) = self.streams.get(&key) else { return };
        let (from, to) = (stream.ends[side.index()].host, stream.ends[side.other().index()].host);
        let route = stream.route;
        let mut left: u32 = 0;
        loop {
            let draws = &mut self.hosts[from.0].draws;
            // Cut anywhere: no machine may rely on where one message ends and the next begins.
            let piece = if draws.below(4) == 0 { 1 + draws.below(512) as usize } else { usize::MAX };
            let Some(stream) = self.streams.get_mut(&key) else { break };
            let item = match stream.pipes[side.index()].depart(piece) {
                None => break,
                Some(Departure::Item(item)) => item,
                Some(Departure::Bytes(bytes)) => {
                    left = left.saturating_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
                    Item::Bytes(bytes)
                }
            };
            let bytes = if let Item::Bytes(bytes) = &item { bytes.len() } else { 0 };
            let takes = self.transit(from, to, route, bytes);
            let Some(stream) = self.streams.get_mut(&key) else { break };
            let at = stream.pipes[side.index()].fly(item, now, takes);
            self.engine.schedule(at, Event::Arrival { stream: key, to: side.other() });
        }
        if left > 0 {
            self.engine.schedule(now, Event::Credit { stream: key, side, bytes: left });
        }
        self.tell_of_grants(key, side);
    }

    /// Drops the names of ends that are gone, and the stream with its last end.
    fn forget_stream(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.get(&key) else { return };
        for end in stream.ends.iter().filter(|end| end.is_gone()) {
            // A later life of the host gives the same names to other streams.
            let host = &mut self.hosts[end.host.0];
            if let (Some(id), true) = (end.id, host.life == end.life) {
                host.streams.remove(&id);
            }
        }
        if stream.ends.iter().all(End::is_gone) {
            let link = stream.link;
            self.streams.remove(&key);
            if let Some(link) = link.and_then(|link| self.links.get_mut(&link)) {
                link.streams.remove(&key);
            }
        }
    }

    /// How long so many bytes take from one host to another.
    pub(super) fn transit(&mut self, from: HostId, to: HostId, route: Route, bytes: usize) -> Span {
        let places = (self.hosts[from.0].place, self.hosts[to.0].place);
        let draws = &mut self.hosts[from.0].draws;
        let latency = match places {
            (Some(here), Some(there)) if route.crosses() => here.way_to(there, draws),
            _ => self.latencies.of(route).draw(draws),
        };
        if !route.crosses() {
            return latency;
        }
        let toll = self.conditions.toll(from, bytes, latency, self.engine.now(), draws);
        self.marks.fired_if(toll.lost, "loss");
        self.marks.fired_if(toll.delayed, "delay");
        self.marks.fired_if(toll.queued, "narrow-uplink");
        latency + toll.extra
    }

    /// Runtimes stand next to the Portmans that ask them.
    fn is_local(&self, host: HostId) -> bool {
        self.hosts[host.0].local
    }
}

/// Which fault lets nothing that goes this way get from one host to the other, and until when.
fn held_back(
    net: &Conditions,
    route: Route,
    from: HostId,
    to: HostId,
    now: Time,
) -> Option<(&'static str, Time)> {
    if route.crosses() { net.blocked(from, to, now) } else { None }
}

/// The authority of a URL: `host:port`.
pub(super) fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}
