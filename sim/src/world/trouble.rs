//! What faults do to hosts and to the network between them. Which, when and to whom is decided above.

use labman_proto_core::machine::{DownReason, Machine};
use labman_proto_core::time::{Span, Time};

use super::{Event, World};
use crate::disk::Trouble;
use crate::host::{Death, Fault, HostId};
use crate::marks::Marks;
use crate::net::conditions::Conditions;
use crate::net::link::{LinkKey, LinkState, MESH_IDLE, Route};
use crate::net::stream::Side;

/// Something was heard of a live link at most so long ago.
const KEEP_ALIVE: Span = Span::from_secs(5);

impl<M: Machine> World<M> {
    pub fn conditions(&mut self) -> &mut Conditions {
        &mut self.conditions
    }

    pub fn marks(&mut self) -> &mut Marks {
        &mut self.marks
    }

    /// Nothing gets from one host to the other until then. Mesh links between them starve, if it lasts.
    pub fn block(&mut self, from: HostId, to: HostId, until: Time, fault: &'static str) {
        let now = self.engine.now();
        self.conditions.block((from, to), now, until, fault);
        for (link, side) in self.links_from(from, to) {
            let heard_ago = Span(self.hosts[to.0].draws.below(KEEP_ALIVE.0));
            let at = now + Span(MESH_IDLE.0 - heard_ago.0);
            if at < until {
                self.engine.schedule(at, Event::Starved { link, side });
            }
        }
    }

    /// Breaks every link of a host, as a router that restarts does. What was on the way on them is lost.
    pub fn flap(&mut self, host: HostId) {
        let links: Vec<LinkKey> = self.hosts[host.0].links.values().map(|(link, _)| *link).collect();
        for link in links {
            if self.links.get(&link).is_some_and(|link| link.route == Route::Mesh) {
                self.marks.fired("reconnect");
                for side in [Side::Opener, Side::Opened] {
                    self.schedule_down(link, side, Span::from_millis(1), DownReason::Failed);
                }
            }
        }
    }

    /// The host's process stands still until then, its clocks go on.
    pub fn stall(&mut self, host: HostId, until: Time) {
        let place = &mut self.hosts[host.0];
        place.stalled_until = place.stalled_until.max(until);
        self.engine.schedule(until, Event::Resume { host });
        // Its system still answers for its sockets, but a mesh connection lives in the process.
        let others: Vec<HostId> = (0..self.hosts.len()).map(HostId).filter(|other| *other != host).collect();
        for other in others {
            for (link, side) in self.links_from(host, other) {
                if self.engine.now() + MESH_IDLE < until {
                    self.engine.schedule(self.engine.now() + MESH_IDLE, Event::Starved { link, side });
                }
            }
        }
    }

    /// The host dies while its next write is under way. `None`: not any more, though it may be.
    pub fn set_dies_writing(&mut self, host: HostId, death: Option<Death>) {
        self.hosts[host.0].dies_writing = death;
        self.hosts[host.0].dying = None;
    }

    pub fn set_disk_trouble(&mut self, host: HostId, trouble: Option<Trouble>) {
        self.hosts[host.0].disk.set_trouble(trouble);
    }

    pub fn set_disk_slowness(&mut self, host: HostId, times: u64) {
        self.hosts[host.0].disk_slowness = times.max(1);
    }

    /// When every disk has done what it was asked to.
    pub fn disks_idle_at(&self) -> Time {
        self.hosts.iter().map(|host| host.disk_busy_until).max().unwrap_or_default()
    }

    pub fn mend_disk(&mut self, host: HostId) {
        self.hosts[host.0].disk.mend();
    }

    pub fn mark_disk(&mut self, host: HostId) {
        self.hosts[host.0].disk.mark();
    }

    /// The host dies, and its disk returns to the state that was marked.
    pub fn roll_back(&mut self, host: HostId) {
        self.crash(host);
        self.hosts[host.0].disk.roll_back();
    }

    /// The host dies, and its disk with it.
    pub fn lose_disk(&mut self, host: HostId) {
        self.crash(host);
        self.hosts[host.0].disk.lose();
    }

    pub fn jump_clock(&mut self, host: HostId, millis: i64) {
        self.hosts[host.0].clock.jump(millis);
    }

    pub fn freeze_clock(&mut self, host: HostId) {
        let now = self.engine.now();
        self.hosts[host.0].clock.freeze(now);
    }

    pub fn thaw_clock(&mut self, host: HostId) {
        self.hosts[host.0].clock.thaw();
    }

    /// The host that stands still and to whom this would happen.
    pub(super) fn stalled(&self, event: &Event) -> Option<HostId> {
        let host = match event {
            Event::Wake { host, .. } | Event::Disk { host, .. } | Event::DialFailed { host, .. } => *host,
            Event::LinkUp { link, side, .. } | Event::LinkDown { link, side, .. } => {
                self.links.get(link)?.ends[side.index()].host
            }
            Event::Arrival { stream, to } => self.streams.get(stream)?.ends[to.index()].host,
            Event::Credit { stream, side, .. } | Event::Window { stream, side, .. } => {
                self.streams.get(stream)?.ends[side.index()].host
            }
            Event::Crash { .. }
            | Event::Restart { .. }
            | Event::Resume { .. }
            | Event::Starved { .. }
            | Event::Unread { .. }
            | Event::Due { .. } => return None,
        };
        (self.hosts[host.0].stalled_until > self.engine.now()).then_some(host)
    }

    pub(super) fn resume(&mut self, host: HostId) {
        if self.hosts[host.0].stalled_until > self.engine.now() {
            return;
        }
        while let Some(event) = self.held.get_mut(&host).and_then(|held| held.pop_front()) {
            self.marks.fired("stall");
            self.happen(event);
        }
    }

    pub(super) fn starved(&mut self, link: LinkKey, side: Side) -> Option<HostId> {
        let ends = &self.links.get(&link)?.ends;
        let (here, there) = (&ends[side.index()], &ends[side.other().index()]);
        let (now, host, other) = (self.engine.now(), here.host, there.host);
        let silent = self.conditions.silent_for(other, host, now) >= Span(MESH_IDLE.0 - KEEP_ALIVE.0);
        let still = self.hosts[other.0].stalled_until > now;
        if !matches!(here.state, LinkState::Up(_)) || !(silent || still) {
            return None;
        }
        self.marks.note("a link starved");
        self.link_down(link, side, DownReason::TimedOut);
        // From now on nobody answers the other side.
        self.schedule_down(link, side.other(), MESH_IDLE, DownReason::TimedOut);
        Some(host)
    }

    /// What a machine that can't go on is: a failure of the run, unless its disk refuses to write.
    pub(super) fn stopped(&mut self, host: HostId, fault: &Fault) {
        let refused = self.hosts[host.0].disk.has_refused().filter(|_| matches!(fault, Fault::Stopped(_)));
        if let Some(trouble) = refused {
            self.marks.fired(trouble);
            self.marks.note("a machine stopped because it could not write");
            self.note(host, &fault.to_string());
        } else {
            self.fail(host, &fault.to_string());
        }
    }

    /// Mesh links that carry from one host to another, and which side the other is.
    fn links_from(&self, from: HostId, to: HostId) -> Vec<(LinkKey, Side)> {
        let links = self.hosts[to.0].links.values();
        let between = |(link, side): &&(LinkKey, Side)| {
            let found = self.links.get(link);
            found.is_some_and(|found| {
                found.route == Route::Mesh && found.ends[side.other().index()].host == from
            })
        };
        links.filter(between).copied().collect()
    }
}
