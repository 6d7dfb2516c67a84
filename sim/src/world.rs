//! The world: hosts with their machines, and everything between them, on one engine.
//!
//! It does for machines what io-tokio does for them in reality, by the same contract
//! ([`machine`](labman_proto_core::machine)): bytes across streams with credit, mesh links with proven identities,
//! Portman sockets, HTTP exchanges, disks, clocks, crashes.
//!
//! What is absent: any knowledge of what the machines are for. Users, operators and checkers are machines or stand above.

mod burden;
mod links;
mod replay;
mod streams;
mod telling;
mod trouble;
pub mod witness;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use labman_proto_core::machine::{DownReason, Input, Level, LinkId, Machine, Op, OpId, Output, StreamId};
use labman_proto_core::rng::Seed;
use labman_proto_core::time::{Now, Span, Time, Wall};

use crate::disk::{Crash, Disk, Request};
use crate::engine::{Engine, Setting};
use crate::host::{Address, Death, Fault, Host, HostId, Spec};
use crate::marks::Marks;
use crate::net::conditions::Conditions;
use crate::net::link::{Latencies, Link, LinkKey};
use crate::net::stream::{Side, Stream, StreamKey};
use crate::net::table::Table;
use crate::story::Story;
use crate::trace::Trace;
use crate::traffic::Traffic;

/// A machine that stopped is started again after this.
const RESTART_AFTER: Span = Span::from_secs(1);
/// Failures kept; a run that has so many needs no more.
const FAILURES: usize = 100;

pub struct World<M> {
    engine: Engine<Event>,
    hosts: Vec<Host<M>>,
    addresses: BTreeMap<Address, HostId>,
    links: Table<LinkKey, Link>,
    streams: Table<StreamKey, Stream>,
    latencies: Latencies,
    conditions: Conditions,
    /// What happens to hosts that stand still, in the order in which it did.
    held: BTreeMap<HostId, VecDeque<Event>>,
    marks: Marks,
    seed: Seed,
    trace: Trace,
    story: Option<Box<Story>>,
    failures: Vec<String>,
    log: Option<Vec<String>>,
    next_key: u64,
    witness: Option<Box<dyn witness::Witness>>,
    traffic: Option<Traffic>,
    replays: replay::Replays,
}

/// What a step of the world was, to whoever runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The time came that was asked for with this token.
    Due(u64),
    /// Something happened on this host.
    Moved(HostId),
    /// What was to happen had become pointless.
    Idle,
}

fn moved(host: Option<HostId>) -> Step {
    host.map_or(Step::Idle, Step::Moved)
}

enum Event {
    Wake {
        host: HostId,
        setting: Setting,
    },
    Disk {
        host: HostId,
        life: u32,
    },
    /// A host dies, if it is still in that life and still to die.
    Crash {
        host: HostId,
        life: u32,
    },
    Restart {
        host: HostId,
    },
    /// A host that stood still goes on.
    Resume {
        host: HostId,
    },
    /// That side of a link has heard nothing for so long that it gives the link up, if that is still so.
    Starved {
        link: LinkKey,
        side: Side,
    },
    DialFailed {
        host: HostId,
        life: u32,
        op: OpId,
        why: String,
    },
    LinkUp {
        link: LinkKey,
        side: Side,
        dial: Option<OpId>,
    },
    LinkDown {
        link: LinkKey,
        side: Side,
        reason: DownReason,
    },
    /// Something on this stream reaches that side.
    Arrival {
        stream: StreamKey,
        to: Side,
    },
    /// That side, which sends, may send so much more.
    Window {
        stream: StreamKey,
        side: Side,
        bytes: u32,
    },
    /// Bytes of that side have left it.
    Credit {
        stream: StreamKey,
        side: Side,
        bytes: u32,
    },
    /// So many bytes of that side had left it; if it is no more by now, its reader reads nothing.
    Unread {
        stream: StreamKey,
        side: Side,
        left: u64,
    },
    Due {
        token: u64,
    },
}

impl<M: Machine> World<M> {
    pub fn new(seed: Seed, latencies: Latencies) -> Self {
        Self {
            engine: Engine::new(seed.child("engine")),
            hosts: Vec::new(),
            addresses: BTreeMap::new(),
            links: Table::default(),
            streams: Table::default(),
            latencies,
            conditions: Conditions::default(),
            held: BTreeMap::new(),
            marks: Marks::default(),
            seed,
            trace: Trace::default(),
            story: None,
            failures: Vec::new(),
            log: None,
            next_key: 0,
            witness: None,
            traffic: None,
            replays: replay::Replays::default(),
        }
    }

    /// Keeps what machines log, a line each.
    pub fn keep_log(&mut self) {
        self.log = Some(Vec::new());
    }

    /// Puts a host into the world and starts its machine now.
    pub fn add(&mut self, spec: Spec<M>) -> HostId {
        let host = HostId(self.hosts.len());
        for address in &spec.addresses {
            self.addresses.insert(address.clone(), host);
        }
        let seed = self.seed.child(&format!("host {}", spec.name));
        self.hosts.push(Host::new(spec, seed, self.engine.now()));
        self.start(host);
        host
    }

    pub fn now(&self) -> Time {
        self.engine.now()
    }

    pub fn events(&self) -> u64 {
        self.engine.executed()
    }

    pub fn trace_hash(&self) -> String {
        self.trace.hash()
    }

    pub fn name(&self, host: HostId) -> &str {
        &self.hosts[host.0].name
    }

    pub fn is_up(&self, host: HostId) -> bool {
        self.hosts[host.0].is_up()
    }

    /// Whether a host died in that time, its ends included.
    pub fn died_within(&self, host: HostId, from: Time, to: Time) -> bool {
        self.hosts[host.0].deaths.iter().any(|death| (from..=to).contains(death))
    }

    /// Whether a host was there then, and has been ever since.
    pub fn has_lived_since(&self, host: HostId, then: Time) -> bool {
        self.is_up(host) && self.hosts[host.0].born <= then
    }

    /// What a host reads off its clocks now.
    pub fn host_now(&self, host: HostId) -> Now {
        self.hosts[host.0].now(self.engine.now())
    }

    pub fn machine(&self, host: HostId) -> Option<&M> {
        self.hosts[host.0].machine()
    }

    /// What the host's wall clock shows.
    pub fn wall(&self, host: HostId) -> Wall {
        self.hosts[host.0].clock.read(self.engine.now()).wall
    }

    pub fn disk(&self, host: HostId) -> &Disk {
        &self.hosts[host.0].disk
    }

    pub fn take_failures(&mut self) -> Vec<String> {
        std::mem::take(&mut self.failures)
    }

    pub fn take_log(&mut self) -> Vec<String> {
        self.log.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Asks for [`Step::Due`] at that time.
    pub fn schedule(&mut self, at: Time, token: u64) {
        self.engine.schedule(at, Event::Due { token });
    }

    /// Counts what crosses the mesh.
    pub fn count_traffic(&mut self, traffic: Traffic) {
        self.traffic = Some(traffic);
    }

    pub fn traffic(&self) -> Option<&Traffic> {
        self.traffic.as_ref()
    }

    /// Gives a machine a command of its own kind, then does what it puts out. `None`: it is down.
    pub fn command<R>(&mut self, host: HostId, command: impl FnOnce(&mut M) -> R) -> Option<R> {
        let result = command(self.hosts[host.0].machine_mut()?);
        let drained = self.hosts[host.0].drain();
        self.carry_out(host, drained);
        Some(result)
    }

    /// Ends the machine on the spot: its links fall silent, unsynced writes are lost or not, as the seed has it.
    pub fn crash(&mut self, host: HostId) {
        if !self.hosts[host.0].is_up() {
            return;
        }
        self.die(host, Death::Clean);
    }

    /// Asks the host's process to end. It dies once its machine has left.
    pub fn ask_to_leave(&mut self, host: HostId) {
        self.hosts[host.0].leaving = true;
        self.handle(host, Input::Leave);
    }

    /// Starts a crashed host again on what its disk kept.
    pub fn restart(&mut self, host: HostId) {
        if !self.hosts[host.0].is_up() {
            self.start(host);
        }
    }

    fn die(&mut self, host: HostId, death: Death) {
        self.trace.died(self.engine.now(), host);
        self.tell_died(host);
        self.cut_links(host, death);
        self.cut_streams(host);
        self.held.remove(&host);
        let dying = &mut self.hosts[host.0];
        let pending = dying.disk.pending();
        let reached = match death {
            Death::InOrder => pending,
            Death::Clean | Death::Torn => dying.draws.below(pending as u64 + 1) as usize,
        };
        dying.deaths.push(self.engine.now());
        let (lost, tore) = dying.kill(Crash { reached, torn: death == Death::Torn });
        self.marks.note_if(lost > 0, "a crash lost a write");
        let outlived = reached > 0 && death != Death::InOrder;
        self.marks.note_if(outlived, "a write outlived a crash that nobody was told of");
        self.marks.fired_if(tore, "torn");
    }

    /// Runs the next event. `None`: nothing will ever happen again.
    pub fn step(&mut self) -> Option<Step> {
        let event = self.engine.pop()?;
        Some(match self.stalled(&event) {
            Some(host) => {
                self.held.entry(host).or_default().push_back(event);
                Step::Idle
            }
            None => self.happen(event),
        })
    }

    fn happen(&mut self, event: Event) -> Step {
        match event {
            Event::Due { token } => Step::Due(token),
            Event::Wake { host, setting } => {
                if self.hosts[host.0].alarm.rings(setting) {
                    self.trace.timeout(self.engine.now(), host);
                    self.tell_wake(host);
                    let woken = self.hosts[host.0].wake(self.engine.now());
                    self.carry_out(host, woken);
                }
                Step::Moved(host)
            }
            Event::Disk { host, life } => {
                self.disk_done(host, life);
                Step::Moved(host)
            }
            Event::Restart { host } => {
                self.restart(host);
                Step::Moved(host)
            }
            Event::DialFailed { host, life, op, why } => {
                self.dial_failed(host, life, op, why);
                Step::Moved(host)
            }
            Event::LinkUp { link, side, dial } => moved(self.link_up(link, side, dial)),
            Event::LinkDown { link, side, reason } => moved(self.link_down(link, side, reason)),
            Event::Arrival { stream, to } => moved(self.arrival(stream, to)),
            Event::Window { stream, side, bytes } => moved(self.window(stream, side, bytes)),
            Event::Credit { stream, side, bytes } => moved(self.credit(stream, side, bytes)),
            Event::Crash { host, life } => {
                let place = &mut self.hosts[host.0];
                if place.life == life
                    && let Some(death) = place.dying.take()
                {
                    self.marks.note("a host died while it was writing");
                    self.die(host, death);
                }
                Step::Moved(host)
            }
            Event::Resume { host } => {
                self.resume(host);
                Step::Moved(host)
            }
            Event::Starved { link, side } => moved(self.starved(link, side)),
            Event::Unread { stream, side, left } => moved(self.unread(stream, side, left)),
        }
    }

    fn start(&mut self, host: HostId) {
        let now = self.engine.now();
        self.trace.started(now, host);
        self.tell_started(host);
        match self.hosts[host.0].start(now) {
            Ok(()) => {
                // It would go on without the row, or with half of it.
                if self.hosts[host.0].disk.is_torn() {
                    self.fail(host, "starts on a torn store");
                }
                let drained = self.hosts[host.0].drain();
                self.carry_out(host, drained);
            }
            Err(why) if self.hosts[host.0].disk.is_torn() => {
                self.marks.note("a machine refused to start on a torn store");
                self.note(host, &format!("does not start on its torn store: {why}"));
            }
            Err(why) => self.fail(host, &format!("does not start: {why}")),
        }
    }

    fn handle(&mut self, host: HostId, input: Input<'_>) {
        if !self.hosts[host.0].is_up() {
            return;
        }
        let now = self.engine.now();
        self.trace.input(now, host, &input);
        self.tell_input(host, &input);
        let handled = self.hosts[host.0].handle(now, input);
        self.carry_out(host, handled);
    }

    fn carry_out(&mut self, host: HostId, called: Result<Vec<Output>, Fault>) {
        match called {
            Ok(mut outputs) => {
                for output in outputs.drain(..) {
                    self.trace.output(self.engine.now(), host, &output);
                    let told = self.story.is_some().then(|| output.clone());
                    self.witnessed(host, &output);
                    self.output(host, output);
                    if let Some(output) = told {
                        self.tell_output(host, &output);
                    }
                }
                self.hosts[host.0].reuse(outputs);
                if self.hosts[host.0].has_left() {
                    return self.die(host, Death::InOrder);
                }
                self.arm(host);
            }
            Err(fault @ (Fault::Panicked(_) | Fault::Stopped(_))) => {
                self.stopped(host, &fault);
                self.crash(host);
                self.engine.schedule(self.engine.now() + RESTART_AFTER, Event::Restart { host });
            }
            // Not armed: it sleeps until its next input, or the run would never end.
            Err(fault @ (Fault::Busy(_) | Fault::Spins(_))) => self.fail(host, &fault.to_string()),
        }
    }

    fn arm(&mut self, host: HostId) {
        let deadline = self.hosts[host.0].deadline().map(|at| at.max(self.engine.now()));
        if let Some((at, setting)) = self.hosts[host.0].alarm.set(deadline) {
            self.engine.schedule(at, Event::Wake { host, setting });
        }
    }

    fn output(&mut self, host: HostId, output: Output) {
        match output {
            Output::Open { stream, link } => self.open(host, stream, link),
            Output::Request { stream, url, head } => self.request(host, stream, &url, head),
            Output::Response { stream, head } => self.respond(host, stream, head),
            Output::Send { stream, bytes } => self.send(host, stream, bytes),
            Output::Finish { stream } => self.finish(host, stream),
            Output::Reset { stream, code } => self.reset(host, stream, code),
            Output::Grant { stream, bytes } => self.grant(host, stream, bytes),
            Output::Close { link, reason } => self.close(host, link, reason),
            Output::Start(op, Op::Dial(target)) => self.dial(host, op, target),
            Output::Start(op, Op::Store(batch)) => {
                self.disk_start(host, op, Request::Store(Arc::unwrap_or_clone(batch)))
            }
            Output::Start(op, Op::Read(range)) => self.disk_start(host, op, Request::Read(range)),
            Output::Start(op, Op::Find(keys)) => self.disk_start(host, op, Request::Find(keys)),
            Output::Event(event) => {
                let level = match event.level {
                    Level::Debug => "debug",
                    Level::Info => "info",
                    Level::Warn => "warn",
                    Level::Error => "error",
                };
                self.log(host, &format!("{level:5} {}: {}", event.room, event.text));
            }
        }
    }

    fn disk_start(&mut self, host: HostId, op: OpId, request: Request) {
        let now = self.engine.now();
        let place = &mut self.hosts[host.0];
        let took = Span(place.disk_latency.draw(&mut place.draws).0.saturating_mul(place.disk_slowness));
        let writes = matches!(request, Request::Store(_));
        place.disk.start(op, request);
        place.disk_busy_until = place.disk_busy_until.max(now) + took;
        let (done, life) = (place.disk_busy_until, place.life);
        self.engine.schedule(done, Event::Disk { host, life });
        if let Some(death) = place.dies_writing.take_if(|_| writes) {
            let at = now + Span(place.draws.below((done - now).0.saturating_add(1)));
            place.dying = Some(death);
            self.engine.schedule(at, Event::Crash { host, life });
        }
    }

    fn disk_done(&mut self, host: HostId, life: u32) {
        let place = &mut self.hosts[host.0];
        if place.life != life {
            return;
        }
        if let Some((op, completion)) = place.disk.finish() {
            self.handle(host, Input::Done(op, completion));
        }
    }

    fn next_key(&mut self) -> u64 {
        self.next_key += 1;
        self.next_key
    }

    /// Notes what a machine did against the contract, or that it failed.
    fn fail(&mut self, host: HostId, what: &str) {
        self.note(host, &format!("FAIL  {what}"));
        if self.failures.len() < FAILURES {
            let at = self.engine.now().0 / 1_000_000;
            self.failures.push(format!("{} at {at} ms: {what}", self.hosts[host.0].name));
        }
    }

    /// A line of the log, as said by that host.
    pub fn note(&mut self, host: HostId, line: &str) {
        self.note_of(host, None, line);
    }

    /// The same, about a job of the scenario's.
    pub fn note_of(&mut self, host: HostId, job: Option<&str>, line: &str) {
        let now = self.engine.now();
        if let Some(story) = &mut self.story {
            story.note(now, host, job, line);
        }
        self.log(host, line);
    }

    fn log(&mut self, host: HostId, line: &str) {
        let seconds = self.engine.now().0 as f64 / 1e9;
        let name = &self.hosts[host.0].name;
        if let Some(log) = &mut self.log {
            log.push(format!("{seconds:12.6} {name:16} {line}"));
        }
    }

    fn misused(&mut self, host: HostId, what: &str, stream: StreamId) {
        self.fail(host, &format!("broke the contract: {what} on stream {} that is gone", stream.0));
    }

    fn misused_link(&mut self, host: HostId, what: &str, link: LinkId) {
        self.fail(host, &format!("broke the contract: {what} on link {} that is gone", link.0));
    }
}

#[cfg(test)]
mod tests;
