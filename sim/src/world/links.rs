//! Links: dialling, coming up on both sides, going down, and falling silent when a host dies.

use labman_proto_core::machine::{
    Completion, DownReason, Input, LinkId, Machine, OpId, Peer, ResetCode, Target,
};
use labman_proto_core::time::Span;

use super::streams::authority;
use super::{Event, World};
use crate::host::{Address, Death, HostId};
use crate::net::link::{DIAL_TIMEOUT, Link, LinkEnd, LinkKey, LinkState, MESH_IDLE, Route};
use crate::net::stream::{Side, StreamKey};

impl<M: Machine> World<M> {
    pub(super) fn dial(&mut self, host: HostId, op: OpId, target: Target) {
        let (route, address) = match &target {
            Target::Mesh { addr, .. } => (Route::Mesh, Address::Mesh(addr.clone())),
            Target::Labman { url, .. } => (Route::Local, Address::Labman(authority(url).to_owned())),
        };
        let there = self.addresses.get(&address).copied().filter(|there| self.hosts[there.0].is_up());
        let way = self.transit(host, there.unwrap_or(host), route, 0);
        let Some(there) = there else {
            // A UDP handshake is answered by silence, a TCP one by a refusal.
            let after = if route == Route::Mesh { DIAL_TIMEOUT } else { way };
            return self.fail_dial(host, op, after, "nobody listens there");
        };
        let both_ways = way + self.transit(there, host, route, 0);
        if route.crosses() && self.cut_off(host, there) {
            return self.fail_dial(host, op, DIAL_TIMEOUT, "nobody answers there");
        }
        // Its transport is in the process that stands still.
        if route == Route::Mesh && self.hosts[there.0].stalled_until > self.engine.now() + DIAL_TIMEOUT {
            return self.fail_dial(host, op, DIAL_TIMEOUT, "nobody answers there");
        }
        if route == Route::Mesh && !self.hosts[there.0].reachable {
            self.marks.note("a dial met a NAT");
            return self.fail_dial(host, op, DIAL_TIMEOUT, "its NAT lets nobody in");
        }
        let key = LinkKey(self.next_key());
        let (here, at_other) = match target {
            Target::Mesh { node_id, .. } => {
                let (Some(own), Some(other)) = (self.hosts[host.0].node_id, self.hosts[there.0].node_id)
                else {
                    return self.fail_dial(host, op, both_ways, "no mesh identity");
                };
                if node_id != other {
                    return self.fail_dial(host, op, both_ways, "the other end is another node");
                }
                let binding = key.binding();
                (
                    Peer::Mesh { node_id: other, dialled: true, binding, addr: None },
                    Peer::Mesh { node_id: own, dialled: false, binding, addr: self.hosts[host.0].from },
                )
            }
            Target::Labman { token, .. } => (Peer::Labman, Peer::Portman { token, origin: None }),
        };
        self.connect(key, op, route, (host, here, both_ways), (there, at_other, way));
    }

    fn connect(
        &mut self,
        key: LinkKey,
        op: OpId,
        route: Route,
        dialler: (HostId, Peer, Span),
        listener: (HostId, Peer, Span),
    ) {
        let mut end = |side: Side, (host, peer, after): (HostId, Peer, Span)| {
            let at = self.engine.now() + after;
            let id = self.hosts[host.0].next_link();
            self.hosts[host.0].links.insert(id, (key, side));
            let dial = (side == Side::Opener).then_some(op);
            self.engine.schedule(at, Event::LinkUp { link: key, side, dial });
            LinkEnd { host, id, peer, state: LinkState::Coming(at) }
        };
        let ends = [end(Side::Opener, dialler), end(Side::Opened, listener)];
        self.links.insert(key, Link { route, ends, streams: Default::default() });
    }

    fn fail_dial(&mut self, host: HostId, op: OpId, after: Span, why: &str) {
        let life = self.hosts[host.0].life;
        let event = Event::DialFailed { host, life, op, why: why.to_owned() };
        self.engine.schedule(self.engine.now() + after, event);
    }

    pub(super) fn dial_failed(&mut self, host: HostId, life: u32, op: OpId, why: String) {
        if self.hosts[host.0].life == life {
            self.handle(host, Input::Done(op, Completion::Dialled(Err(why))));
        }
    }

    pub(super) fn link_up(&mut self, key: LinkKey, side: Side, dial: Option<OpId>) -> Option<HostId> {
        let link = self.links.get_mut(&key)?;
        let end = &mut link.ends[side.index()];
        let (host, id, peer) = (end.host, end.id, end.peer.clone());
        match end.state {
            LinkState::Coming(at) => end.state = LinkState::Up(at),
            LinkState::Up(_) | LinkState::Down => return None,
        }
        self.handle(host, Input::LinkUp { link: id, peer });
        if let Some(op) = dial {
            self.handle(host, Input::Done(op, Completion::Dialled(Ok(id))));
        }
        Some(host)
    }

    pub(super) fn close(&mut self, host: HostId, id: LinkId, reason: &str) {
        let Some((key, side)) = self.hosts[host.0].links.get(&id).copied() else {
            return self.misused_link(host, "a close", id);
        };
        self.log(host, &format!("closes link {}: {reason}", id.0));
        let Some(link) = self.links.get(&key) else { return };
        let (route, other) = (link.route, link.ends[side.other().index()].host);
        let after = self.transit(host, other, route, 0);
        self.schedule_down(key, side, Span::from_nanos(0), DownReason::Closed);
        self.schedule_down(key, side.other(), after, DownReason::Closed);
    }

    pub(super) fn link_down(&mut self, key: LinkKey, side: Side, reason: DownReason) -> Option<HostId> {
        let link = self.links.get_mut(&key)?;
        let LinkEnd { host: other, state: there, .. } = link.ends[side.other().index()];
        let end = &mut link.ends[side.index()];
        let (host, id, heard_of) = (end.host, end.id, matches!(end.state, LinkState::Up(_)));
        if end.is_down() {
            return None;
        }
        let now = self.engine.now();
        let closed_there = reason == DownReason::Closed && there == LinkState::Down;
        if closed_there && self.conditions.blocked_until(other, host, now).is_some() {
            // It was closed, and nobody heard.
            let starved = Event::LinkDown { link: key, side, reason: DownReason::TimedOut };
            self.engine.schedule(now + MESH_IDLE, starved);
            return None;
        }
        end.state = LinkState::Down;
        for (stream, side) in self.streams_of(key, host) {
            self.tear(stream, side, ResetCode::Unreachable);
        }
        self.hosts[host.0].links.remove(&id);
        if heard_of {
            self.handle(host, Input::LinkDown { link: id, reason });
        }
        self.forget_link(key);
        Some(host)
    }

    /// The host dies: the others notice by silence, or at once where an operating system outlives the process.
    pub(super) fn cut_links(&mut self, host: HostId, death: Death) {
        for (_, (key, side)) in std::mem::take(&mut self.hosts[host.0].links) {
            let Some(link) = self.links.get_mut(&key) else { continue };
            link.ends[side.index()].state = LinkState::Down;
            let (route, other) = (link.route, link.ends[side.other().index()].host);
            for (stream, side) in self.streams_of(key, host) {
                self.leave(stream, side);
            }
            let (after, reason) = match route {
                Route::Mesh if death == Death::InOrder => {
                    (self.transit(host, other, route, 0), DownReason::Closed)
                }
                Route::Mesh => (MESH_IDLE, DownReason::TimedOut),
                Route::Http | Route::Local | Route::Admin => {
                    (self.transit(host, other, route, 0), DownReason::Failed)
                }
            };
            self.schedule_down(key, side.other(), after, reason);
            self.forget_link(key);
        }
    }

    /// The link's streams, and which side of each the host is: either may open streams on a link, whoever dialled it.
    fn streams_of(&self, key: LinkKey, host: HostId) -> Vec<(StreamKey, Side)> {
        let streams = self.links.get(&key).into_iter().flat_map(|link| &link.streams);
        let side = |stream: &StreamKey| {
            let opened_here = self.streams.get(stream)?.ends[Side::Opener.index()].host == host;
            Some((*stream, if opened_here { Side::Opener } else { Side::Opened }))
        };
        streams.filter_map(side).collect()
    }

    /// Who is at the other end of each of its mesh links that are up at both.
    pub fn neighbours(&self, host: HostId) -> impl Iterator<Item = HostId> {
        let links = self.hosts[host.0].links.values();
        links.filter_map(|(key, side)| {
            let link = self.links.get(key).filter(|link| link.route == Route::Mesh)?;
            let up = link.ends.iter().all(|end| matches!(end.state, LinkState::Up(_)));
            up.then(|| link.ends[side.other().index()].host)
        })
    }

    pub(super) fn schedule_down(&mut self, link: LinkKey, side: Side, after: Span, reason: DownReason) {
        let Some(end) = self.links.get(&link).map(|link| &link.ends[side.index()]) else { return };
        let at = (self.engine.now() + after).max(end.hears_from());
        self.engine.schedule(at, Event::LinkDown { link, side, reason });
    }

    /// Whether a handshake between the two would fail.
    fn cut_off(&mut self, one: HostId, other: HostId) -> bool {
        let now = self.engine.now();
        let cut = |from, to| self.conditions.blocked(from, to, now);
        let cut = cut(one, other).or(cut(other, one));
        if let Some((fault, _)) = cut {
            self.marks.fired(fault);
        }
        cut.is_some()
    }

    fn forget_link(&mut self, key: LinkKey) {
        if self.links.get(&key).is_some_and(|link| link.ends.iter().all(LinkEnd::is_down)) {
            self.links.remove(&key);
        }
    }
}
