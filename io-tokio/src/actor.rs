//! Owns one machine: feeds it one input at a time and carries out what it asks for, in order.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use labman_proto_core::http::RequestHead;
use labman_proto_core::journal::{Cause, Fault};
use labman_proto_core::machine::{
    Completion, Event, Input, Level, LinkId, Machine, Op, OpId, Output, ResetCode, StreamId, Target,
};
use labman_proto_core::store::{Keys, Range, StoreError, Write};
use labman_proto_core::time::Wake;
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, interval, sleep_until};

use crate::clock::Clock;
use crate::config::Heartbeat;
use crate::http::client::Client;
use crate::journal::Account;
use crate::port::{Happening, LinkCommand, Port};
use crate::portman_ws::WayIn;
use crate::quic::Mesh;
use crate::store::Store;
use crate::stream::{self, Handle, Incoming, Out, Outgoing};
use crate::{http, portman_ws, quic};

/// Inputs carried to the machine before its due timeout is looked at again.
const INPUTS_A_TURN: usize = 64;

/// What a machine's operations and requests are carried out with.
#[derive(Clone)]
pub(crate) struct Effects {
    pub(crate) name: Arc<str>,
    pub(crate) mesh: Option<Arc<Mesh>>,
    pub(crate) store: Option<Store>,
    pub(crate) labman_inside: Option<WayIn>,
    pub(crate) heartbeat: Option<Heartbeat>,
}

pub(crate) struct Actor<M> {
    machine: M,
    account: Option<Account>,
    clock: Clock,
    port: Port,
    inputs: mpsc::Receiver<Happening>,
    effects: Effects,
    http: Client,
    wake: Option<Wake>,
    outputs: VecDeque<Output>,
    links: BTreeMap<LinkId, mpsc::UnboundedSender<LinkCommand>>,
    streams: BTreeMap<StreamId, Stream>,
    /// Requests whose task has not started yet: it starts after the outputs of the same call, and so finds its body.
    requests: Vec<(String, RequestHead, Outgoing, Incoming)>,
    /// Answers of the driver itself.
    answers: VecDeque<Happening>,
    /// The machine was asked to leave.
    leaving: bool,
}

struct Stream {
    handle: Handle,
    link: Option<LinkId>,
    in_finished: bool,
    out_finished: bool,
}

impl<M: Machine> Actor<M> {
    pub(crate) fn new(
        machine: M,
        account: Option<Account>,
        clock: Clock,
        port: Port,
        inputs: mpsc::Receiver<Happening>,
        effects: Effects,
    ) -> Self {
        Self {
            machine,
            account,
            clock,
            port,
            inputs,
            effects,
            http: Client::new(),
            wake: None,
            outputs: VecDeque::new(),
            links: BTreeMap::new(),
            streams: BTreeMap::new(),
            requests: Vec::new(),
            answers: VecDeque::new(),
            leaving: false,
        }
    }

    /// Runs until the machine panics, stops, or has left as it was asked to. Cancelling it ends the machine between two calls.
    pub(crate) async fn run(mut self) -> Result<(), Fault> {
        // A machine may have something to say or to wait for from its making on.
        self.call(Cause::Made)?;
        self.settle()?;
        let mut pulse = self.effects.heartbeat.as_ref().map(|heart| interval(heart.every));
        while !(self.leaving && self.machine.has_left()) {
            let due = self.wake.and_then(|wake| self.clock.instant(wake.at));
            tokio::select! {
                happening = self.inputs.recv() => {
                    // The actor holds a sender itself, through its port: the queue never ends.
                    let Some(happening) = happening else { std::future::pending().await };
                    self.happened(happening)?;
                    self.catch_up()?;
                }
                () = until(due) => {}
                () = next(&mut pulse) => self.beat(),
            }
            if due.is_some_and(|due| Instant::now() >= due) {
                self.call(Cause::Timeout)?;
                self.settle()?;
            }
        }
        Ok(())
    }

    fn beat(&self) {
        if let Some(heart) = &self.effects.heartbeat {
            (heart.beat)();
        }
    }

    /// Takes what else has queued up, so that a busy machine does not arm its timer for each input.
    fn catch_up(&mut self) -> Result<(), Fault> {
        for _ in 0..INPUTS_A_TURN {
            let Ok(happening) = self.inputs.try_recv() else { break };
            self.happened(happening)?;
        }
        Ok(())
    }

    fn happened(&mut self, happening: Happening) -> Result<(), Fault> {
        self.deliver(happening)?;
        self.settle()
    }

    /// Until the machine has nothing to say and the driver nothing to answer.
    fn settle(&mut self) -> Result<(), Fault> {
        loop {
            while let Some(output) = self.outputs.pop_front() {
                self.carry_out(output);
            }
            for (url, head, outgoing, incoming) in self.requests.drain(..) {
                let exchange = http::client::exchange(self.http.clone(), url, head, outgoing, incoming);
                self.port.spawn(exchange);
            }
            match self.answers.pop_front() {
                Some(answer) => self.deliver(answer)?,
                None => return Ok(()),
            }
        }
    }

    /// One call of the machine, and all it says afterwards. If it panics, nothing of that call is carried out.
    fn call(&mut self, cause: Cause<'_>) -> Result<(), Fault> {
        let (machine, outputs) = (&mut self.machine, &mut self.outputs);
        let now = self.clock.now();
        if let Some(account) = &mut self.account {
            account.call_begins(now, &cause);
        }
        let said = outputs.len();
        let called = catch_unwind(AssertUnwindSafe(|| {
            cause.tell(machine, now);
            outputs.extend(std::iter::from_fn(|| machine.poll_output()));
            (machine.poll_timeout(), machine.stopped().map(str::to_owned))
        }));
        let result = match called {
            Ok((wake, None)) => {
                self.wake = wake;
                Ok(())
            }
            Ok((_, Some(reason))) => Err(Fault::Stopped(reason)),
            Err(panic) => {
                outputs.truncate(said);
                Err(Fault::Panicked(panic_text(&*panic)))
            }
        };
        if let Some(account) = &mut self.account {
            account.call_ends(outputs.range(said..), result.clone().err());
        }
        if let Err(Fault::Stopped(_)) = &result {
            self.log_the_last_words();
        }
        result
    }

    fn log_the_last_words(&mut self) {
        for output in std::mem::take(&mut self.outputs) {
            if let Output::Event(event) = output {
                log(&self.effects.name, &event);
            }
        }
    }

    fn input(&mut self, input: Input<'_>) -> Result<(), Fault> {
        self.call(Cause::Input(input))
    }

    /// Tells the machine. Of a stream that is gone it hears nothing any more.
    fn deliver(&mut self, happening: Happening) -> Result<(), Fault> {
        match happening {
            Happening::LinkUp { link, peer, commands } => {
                self.links.insert(link, commands);
                self.input(Input::LinkUp { link, peer })
            }
            Happening::Dialled { op, link, peer, commands } => {
                self.links.insert(link, commands);
                self.input(Input::LinkUp { link, peer })?;
                self.input(Input::Done(op, Completion::Dialled(Ok(link))))
            }
            Happening::LinkDown { link, reason } => {
                self.links.remove(&link);
                let on_link = |(id, stream): (&StreamId, &Stream)| (stream.link == Some(link)).then_some(*id);
                let orphans: Vec<_> = self.streams.iter().filter_map(on_link).collect();
                for stream in orphans {
                    // The machine may have reset it while it heard of the others.
                    if self.streams.remove(&stream).is_some() {
                        self.input(Input::Reset { stream, code: ResetCode::Unreachable })?;
                    }
                }
                self.input(Input::LinkDown { link, reason })
            }
            Happening::Opened { stream, link, handle } => {
                self.streams.insert(stream, Stream::new(handle, Some(link)));
                self.input(Input::Opened { stream, link })
            }
            Happening::Request { stream, surface, head, handle } => {
                self.streams.insert(stream, Stream::new(handle, None));
                self.input(Input::Request { stream, surface, head })
            }
            Happening::Response { stream, head } if self.streams.contains_key(&stream) => {
                self.input(Input::Response { stream, head })
            }
            Happening::Bytes { stream, bytes } if self.streams.contains_key(&stream) => {
                self.input(Input::Bytes { stream, bytes: &bytes })
            }
            Happening::Credit { stream, bytes } if self.streams.contains_key(&stream) => {
                self.input(Input::Credit { stream, bytes })
            }
            Happening::Finished { stream } => {
                let Some(state) = self.streams.get_mut(&stream) else { return Ok(()) };
                state.in_finished = true;
                if state.out_finished {
                    self.streams.remove(&stream);
                }
                self.input(Input::Finished { stream })
            }
            Happening::Reset { stream, code } => match self.streams.remove(&stream) {
                Some(_) => self.input(Input::Reset { stream, code }),
                None => Ok(()),
            },
            Happening::Response { .. } | Happening::Bytes { .. } | Happening::Credit { .. } => Ok(()),
            Happening::Done(op, completion) => self.input(Input::Done(op, completion)),
            Happening::Leave => {
                self.leaving = true;
                self.input(Input::Leave)
            }
        }
    }

    /// What concerns a stream or link that is gone is dropped: the machine hears, or has heard, of its end.
    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Open { stream, link } => {
                let (outgoing, incoming) = self.begin(stream, Some(link));
                let opened = self
                    .links
                    .get(&link)
                    .is_some_and(|commands| commands.send(LinkCommand::Open(outgoing, incoming)).is_ok());
                // A link whose task has ended is still known until its end has been told, and that resets the stream.
                if !opened && !self.links.contains_key(&link) {
                    self.answers.push_back(Happening::Reset { stream, code: ResetCode::Unreachable });
                }
            }
            Output::Request { stream, url, head } => {
                let (outgoing, incoming) = self.begin(stream, None);
                self.requests.push((url, head, outgoing, incoming));
            }
            Output::Response { stream, head } => self.put(stream, Out::Response(head)),
            Output::Send { stream, bytes } => self.put(stream, Out::Send(Bytes::from(bytes))),
            Output::Finish { stream } => {
                self.put(stream, Out::Finish);
                if let Some(state) = self.streams.get_mut(&stream) {
                    state.out_finished = true;
                    if state.in_finished {
                        self.streams.remove(&stream);
                    }
                }
            }
            Output::Reset { stream, code } => match self.streams.remove(&stream) {
                Some(state) if state.out_finished => state.handle.stop_reading(code),
                Some(state) => state.handle.abort(code),
                None => {}
            },
            Output::Grant { stream, bytes } => {
                if let Some(state) = self.streams.get(&stream) {
                    state.handle.grant(bytes);
                }
            }
            Output::Close { link, reason } => {
                if let Some(commands) = self.links.get(&link) {
                    let _ = commands.send(LinkCommand::Close(reason));
                }
            }
            Output::Start(op, Op::Dial(target)) => self.dial(op, target),
            Output::Start(op, Op::Store(batch)) => self.store(op, batch),
            Output::Start(op, Op::Read(range)) => self.read(op, range),
            Output::Start(op, Op::Find(keys)) => self.find(op, keys),
            Output::Event(event) => log(&self.effects.name, &event),
        }
    }

    fn begin(&mut self, id: StreamId, link: Option<LinkId>) -> (Outgoing, Incoming) {
        let (handle, outgoing, incoming) = stream::new(id, &self.port);
        self.streams.insert(id, Stream::new(handle, link));
        (outgoing, incoming)
    }

    fn put(&self, stream: StreamId, out: Out) {
        if let Some(state) = self.streams.get(&stream) {
            state.handle.put(out);
        }
    }

    fn dial(&mut self, op: OpId, target: Target) {
        let port = self.port.clone();
        match (target, &self.effects.mesh) {
            (Target::Mesh { addr, node_id }, Some(mesh)) => {
                self.port.spawn(quic::dial(mesh.clone(), port, op, addr, node_id));
            }
            (Target::Mesh { .. }, None) => {
                let refused = Completion::Dialled(Err("this process was started without a mesh".into()));
                self.answers.push_back(Happening::Done(op, refused));
            }
            (Target::Labman { url, token }, _) => {
                let inside = self.effects.labman_inside.clone();
                self.port.spawn(portman_ws::dial(port, op, url, token, inside));
            }
        }
    }

    fn store(&mut self, op: OpId, batch: Arc<Vec<Write>>) {
        match &self.effects.store {
            Some(store) => store.write(op, batch, self.port.clone()),
            None => self.answers.push_back(Happening::Done(op, Completion::Stored(Err(no_store())))),
        }
    }

    fn read(&mut self, op: OpId, range: Range) {
        match &self.effects.store {
            Some(store) => store.read(op, range, self.port.clone()),
            None => self.answers.push_back(Happening::Done(op, Completion::Page(Err(no_store())))),
        }
    }

    fn find(&mut self, op: OpId, keys: Keys) {
        match &self.effects.store {
            Some(store) => store.find(op, keys, self.port.clone()),
            None => self.answers.push_back(Happening::Done(op, Completion::Page(Err(no_store())))),
        }
    }
}

impl Stream {
    fn new(handle: Handle, link: Option<LinkId>) -> Self {
        Self { handle, link, in_finished: false, out_finished: false }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

async fn next(pulse: &mut Option<Interval>) {
    match pulse {
        Some(pulse) => {
            pulse.tick().await;
        }
        None => std::future::pending().await,
    }
}

fn no_store() -> StoreError {
    StoreError::Failed("this process was started without a store".into())
}

pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message").to_owned()
}

fn log(name: &str, event: &Event) {
    let Event { level, room, text } = event;
    match level {
        Level::Debug => tracing::debug!(name, room, "{text}"),
        Level::Info => tracing::info!(name, room, "{text}"),
        Level::Warn => tracing::warn!(name, room, "{text}"),
        Level::Error => tracing::error!(name, room, "{text}"),
    }
}
