//! A host: one machine with its clock, its disk and its alarm, and the names it gives to links and streams.
//!
//! It drives the machine as strictly as the contract allows: outputs are drained after every call, the machine is woken
//! exactly when it asked, and a wake that changes neither an output nor the deadline is a failure.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use labman_proto_core::identity::NodeId;
use labman_proto_core::machine::{Input, LinkId, Machine, Output, StreamId};
use labman_proto_core::rng::{Seed, Stream};
use labman_proto_core::store::Snapshot;
use labman_proto_core::time::{Now, Time, Wake};

use crate::clock::Clock;
use crate::disk::{Crash, Disk};
use crate::engine::Alarm;
use crate::net::geography::Place;
use crate::net::latency::Latency;
use crate::net::link::LinkKey;
use crate::net::stream::{Side, StreamKey};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostId(pub usize);

/// Makes a host's machine: at its start, and again after each crash with a new seed and what the disk kept.
pub type Build<M> = Box<dyn Fn(Seed, &Snapshot, Now) -> Result<M, String> + Send>;

/// What a host is, before it is put into a world.
pub struct Spec<M> {
    pub name: String,
    /// Where it can be reached.
    pub addresses: Vec<Address>,
    /// Whose key it proves on mesh links.
    pub node_id: Option<NodeId>,
    /// Where its mesh links come from, as the other end sees it.
    pub from: Option<SocketAddr>,
    /// Reached within one home only, as a runtime is by its Portman.
    pub local: bool,
    /// Mesh peers may dial it; behind most NATs they may not.
    pub reachable: bool,
    /// Where it stands, if that decides how long things take.
    pub place: Option<Place>,
    pub wall_offset_ms: i64,
    /// It sends what it likes, whether anybody reads it or not.
    pub lawless: bool,
    pub disk: Latency,
    pub build: Build<M>,
}

/// An address with the kind of listener behind it. All but the mesh's are a URL's authority.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Address {
    Mesh(String),
    Http(String),
    Labman(String),
    Admin(String),
}

pub struct Host<M> {
    pub name: String,
    pub node_id: Option<NodeId>,
    pub from: Option<SocketAddr>,
    pub local: bool,
    pub reachable: bool,
    pub place: Option<Place>,
    pub lawless: bool,
    pub disk: Disk,
    pub disk_latency: Latency,
    /// When the last operation under way on the disk ends.
    pub disk_busy_until: Time,
    /// How many times slower the disk is than it should be.
    pub disk_slowness: u64,
    /// It dies while its next write is under way.
    pub dies_writing: Option<Death>,
    /// That write is under way.
    pub dying: Option<Death>,
    /// Its process was asked to end.
    pub leaving: bool,
    /// Its process does nothing until then.
    pub stalled_until: Time,
    pub clock: Clock,
    pub alarm: Alarm,
    pub links: BTreeMap<LinkId, (LinkKey, Side)>,
    pub streams: BTreeMap<StreamId, (StreamKey, Side)>,
    /// Its network draws, apart from everybody else's.
    pub draws: Stream,
    /// When it died, each time.
    pub deaths: Vec<Time>,
    /// When it started last.
    pub born: Time,
    /// Counts its starts: what was under way for an earlier life is dropped.
    pub life: u32,
    machine: Option<M>,
    build: Build<M>,
    seed: Seed,
    next_link: u64,
    next_stream: u64,
    /// Wakes in a row at one instant.
    spins: u32,
    /// An empty list for the next outputs: most calls have one or two, and allocating for them cost more than they do.
    spare: Vec<Output>,
}

/// How a host dies while it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// Each write reached the disk whole, or not at all.
    Clean,
    /// A row of what it was writing can't be read any more.
    Torn,
    /// It was asked to: all that it wrote has reached the disk, and its peers are told that it goes.
    InOrder,
}

/// What a machine did wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    Panicked(String),
    Busy(Wake),
    /// It goes on asking to be woken at once.
    Spins(Wake),
    Stopped(String),
}

/// Wakes at one instant after which a machine counts as spinning.
const SPINS: u32 = 10_000;

/// Outputs for which a host keeps room between calls. Thousands of hosts should not each keep their largest burst.
const SPARE: usize = 8;

impl<M: Machine> Host<M> {
    pub fn new(spec: Spec<M>, seed: Seed, now: Time) -> Self {
        Self {
            name: spec.name,
            node_id: spec.node_id,
            from: spec.from,
            local: spec.local,
            reachable: spec.reachable,
            place: spec.place,
            lawless: spec.lawless,
            disk: Disk::default(),
            disk_latency: spec.disk,
            disk_busy_until: Time::ZERO,
            disk_slowness: 1,
            dies_writing: None,
            dying: None,
            leaving: false,
            stalled_until: Time::ZERO,
            clock: Clock::started_at(now, spec.wall_offset_ms),
            alarm: Alarm::default(),
            links: BTreeMap::new(),
            streams: BTreeMap::new(),
            draws: seed.stream("net"),
            deaths: Vec::new(),
            born: Time::ZERO,
            life: 0,
            machine: None,
            build: spec.build,
            seed,
            next_link: 0,
            next_stream: 1,
            spins: 0,
            spare: Vec::new(),
        }
    }

    /// Starts the machine on what the disk holds.
    pub fn start(&mut self, now: Time) -> Result<(), String> {
        self.life += 1;
        self.born = now;
        self.clock.restart(now);
        let seed = self.seed.child(&format!("life {}", self.life));
        self.machine = Some((self.build)(seed, &self.disk.snapshot(), self.clock.read(now))?);
        Ok(())
    }

    /// Ends the machine on the spot. Says how many of its writes were lost, and whether one was torn.
    pub fn kill(&mut self, crash: Crash) -> (usize, bool) {
        self.machine = None;
        self.life += 1;
        self.alarm.set(None);
        self.disk_busy_until = Time::ZERO;
        self.dies_writing = None;
        self.dying = None;
        self.leaving = false;
        self.stalled_until = Time::ZERO;
        self.links.clear();
        self.streams.clear();
        self.disk.crash(crash)
    }

    pub fn is_up(&self) -> bool {
        self.machine.is_some()
    }

    pub fn has_left(&self) -> bool {
        self.leaving && self.machine.as_ref().is_some_and(Machine::has_left)
    }

    pub fn machine(&self) -> Option<&M> {
        self.machine.as_ref()
    }

    pub fn machine_mut(&mut self) -> Option<&mut M> {
        self.machine.as_mut()
    }

    pub fn now(&self, now: Time) -> Now {
        self.clock.read(now)
    }

    pub fn next_link(&mut self) -> LinkId {
        self.next_link += 1;
        LinkId(self.next_link)
    }

    /// A name for a stream that somebody else opened: odd.
    pub fn next_stream(&mut self) -> StreamId {
        let id = StreamId(self.next_stream);
        self.next_stream += 2;
        id
    }

    /// Hands an input to the machine and takes its outputs.
    pub fn handle(&mut self, now: Time, input: Input<'_>) -> Result<Vec<Output>, Fault> {
        self.spins = 0;
        let now = self.clock.read(now);
        self.guarded(|machine| machine.handle(now, input))
    }

    /// Wakes the machine and takes its outputs.
    pub fn wake(&mut self, now: Time) -> Result<Vec<Output>, Fault> {
        let now = self.clock.read(now);
        let before = self.machine.as_ref().and_then(Machine::poll_timeout);
        let outputs = self.guarded(|machine| machine.handle_timeout(now))?;
        let after = self.machine.as_ref().and_then(Machine::poll_timeout);
        match after {
            Some(wake) if outputs.is_empty() && before == after => Err(Fault::Busy(wake)),
            Some(wake) if wake.at <= now.mono => {
                self.spins += 1;
                if self.spins > SPINS { Err(Fault::Spins(wake)) } else { Ok(outputs) }
            }
            Some(_) | None => {
                self.spins = 0;
                Ok(outputs)
            }
        }
    }

    /// Outputs that the machine made outside of `handle`, on a command of the simulator's own.
    pub fn drain(&mut self) -> Result<Vec<Output>, Fault> {
        self.guarded(|_| {})
    }

    /// When the machine wants to be woken, on the engine's clock.
    pub fn deadline(&self) -> Option<Time> {
        let wake = self.machine.as_ref()?.poll_timeout()?;
        Some(self.clock.engine_time(wake.at))
    }

    /// Takes a list of outputs back, once they are carried out.
    pub fn reuse(&mut self, mut outputs: Vec<Output>) {
        outputs.clear();
        if outputs.capacity() <= SPARE {
            self.spare = outputs;
        }
    }

    fn guarded(&mut self, call: impl FnOnce(&mut M)) -> Result<Vec<Output>, Fault> {
        let Some(machine) = self.machine.as_mut() else { return Ok(Vec::new()) };
        let mut outputs = std::mem::take(&mut self.spare);
        let run = AssertUnwindSafe(|| {
            call(machine);
            outputs.extend(std::iter::from_fn(|| machine.poll_output()));
            outputs
        });
        let outputs = catch_unwind(run).map_err(|panic| Fault::Panicked(panic_message(panic.as_ref())))?;
        match machine.stopped() {
            Some(why) => Err(Fault::Stopped(why.to_owned())),
            None => Ok(outputs),
        }
    }
}

pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned()
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Panicked(message) => write!(f, "panicked: {message}"),
            Self::Busy(wake) => write!(f, "busy timer: {}: the wake changed nothing", wake.why),
            Self::Spins(wake) => write!(f, "busy timer: {}: {SPINS} wakes at one instant", wake.why),
            Self::Stopped(why) => write!(f, "stopped: {why}"),
        }
    }
}
