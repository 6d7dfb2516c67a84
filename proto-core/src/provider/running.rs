//! A job that runs on a Portman: its chunks go to the gateway only as far as the gateway acknowledges what it has taken.
//!
//! ```text
//!   Portman --chunk--> waiting --at most 8, then 64 tokens beyond the last ack--> sent --StreamAck--> acked
//! ```
//!
//! What is acknowledged will be paid, so what can be lost is what is sent and not acknowledged. The runtime goes on meanwhile:
//! nobody should see a pause at the ninth token.

use alloc::{collections::VecDeque, string::String, string::ToString, vec::Vec};

use super::Provider;
use super::admit::Admitted;
use super::credit::Credit;
use super::job::{Job, State};
use super::offers::Known;
use super::rows::AuthorizationRow;
use super::sockets::{NotStarted, Room, Sockets};
use super::unpaid::Heard;
use super::waiting::Where;
use crate::economics::Counts;
use crate::flow::Relay;
use crate::identity::NodeId;
use crate::labnet::conversation::Conversation;
use crate::limits::{
    ACK_STORED, ACK_WITHIN, FIRST_CHUNK, GATEWAY_STALL, JOB_TOTAL, MARK_CHUNKS, MARK_EVERY, RUNTIME_MESSAGE,
    SETTLE_MARGIN, STATE_AFTER, STREAM_WINDOW, UNACKED, UNACKED_FIRST,
};
use crate::machine::{LinkId, StreamId};
use crate::mutants::{Mutant, mutant};
use crate::node::cx::Cx;
use crate::time::{Span, Time};
use crate::wire::cbor::{self, Blob};
use crate::wire::envelope::Kind;
use crate::wire::mesh::{Chunk, ProxyEnd, ProxyMark, Refusal, RefusalCode, Taken, Transcript};
use crate::wire::object::open;
use crate::wire::portal::{End, StreamAck, UsageStatement};
use crate::wire::portman::{FromPortman, ToPortman};

pub(super) const FULL: &str = "all slots of the model are taken";

pub(super) struct Running {
    pub(super) row: AuthorizationRow,
    model: String,
    portman: (LinkId, u64),
    /// Output tokens of the request at most.
    max_output: u32,
    /// Chunks that the gateway may not be sent yet.
    waiting: VecDeque<Waiting>,
    /// The Portman is done; what waits is still to be sent.
    over: Option<Over>,
    transcript: Transcript,
    /// How many chunks were there when the transcript was last signed, and when that was.
    marked: Option<(u64, Time)>,
    /// Of the last chunk that was sent; the most output that any was sent with; and as far as the gateway has taken it.
    sent: Counts,
    sent_output: u32,
    acked: Counts,
    ack: Option<Blob>,
    /// Output of the last acknowledgement that is on disk.
    stored: u32,
    relay: Relay,
    credit: Credit,
    began: Time,
    /// When its total time is over.
    ends: Time,
    /// When the gateway last took something, or was first sent something to take.
    taken: Time,
    /// Since when something waits for an acknowledgement.
    paused: Option<Time>,
}

struct Waiting {
    payload: Vec<u8>,
    counts: Counts,
    /// Bytes that the Portman sent.
    source: usize,
}

struct Over {
    /// Where the runtime gave final ones.
    counts: Option<Counts>,
    failed: Option<Refusal>,
}

impl Running {
    pub(super) const fn has_slot(&self) -> bool {
        self.over.is_none()
    }

    /// When it is cut off, if nothing happens before: it holds a slot that others would pay for.
    pub(super) fn deadline(&self) -> (Time, &'static str) {
        let stalled = (self.taken + GATEWAY_STALL, "a gateway to take what waits for it");
        let paused = self.paused.map(|since| (since + ACK_WITHIN, "a gateway's acknowledgement"));
        let due = match (self.relay.is_drained(), paused) {
            (false, _) => Some(stalled),
            (true, paused) => paused,
        };
        due.filter(|(at, _)| *at < self.ends).unwrap_or((self.ends, "a job's total time"))
    }

    /// Whether a chunk that brings the output to so much may be sent. One that is more than the window by itself goes when
    /// all before it is acknowledged.
    fn may_send(&self, output: u32) -> bool {
        let window = if self.ack.is_some() { UNACKED } else { UNACKED_FIRST };
        let acked = self.acked.output;
        output <= acked.saturating_add(window) || self.sent_output <= acked || mutant(Mutant::NoWindow)
    }

    /// Sends what may be sent. True: the deadline may be sooner now.
    fn send(&mut self, cx: &mut Cx<'_>, conversation: &mut Conversation) -> bool {
        let was_drained = self.relay.is_drained();
        while self.waiting.front().is_some_and(|next| self.may_send(next.counts.output))
            && let Some(next) = self.waiting.pop_front()
        {
            self.transcript.add(&next.payload);
            self.sent = next.counts;
            self.sent_output = self.sent_output.max(next.counts.output);
            let mut sink = conversation.say_light(cx, Kind::Chunk, &next.payload);
            if let Some(mark) = self.mark(cx.now.mono) {
                sink += conversation.say(cx, Kind::ProxyMark, &cbor::encode(&mark));
            }
            // Never zero: a frame has a header, so its credit comes when the gateway has taken it.
            self.relay.forwarded(next.source, sink);
        }
        let fills = was_drained && !self.relay.is_drained();
        if fills {
            self.taken = cx.now.mono;
        }
        self.paused = match self.waiting.is_empty() {
            true => None,
            false => self.paused.or(Some(cx.now.mono)),
        };
        fills || self.paused.is_some()
    }

    /// The endpoint and the model that it has a slot of, if its Portman is there.
    pub(super) fn whereto<'s>(&'s self, sockets: &'s Sockets) -> Option<(&'s str, &'s str)> {
        Some((sockets.ep(self.portman.0)?, &self.model))
    }

    pub(super) const fn began(&self) -> Time {
        self.began
    }

    /// Nothing of it is acknowledged yet.
    pub(super) const fn is_unacked(&self) -> bool {
        self.ack.is_none()
    }

    /// It ends with its prompt read for nothing, and not because we were slow.
    fn is_gateway_s_loss(&self, now: Time) -> bool {
        self.is_unacked() && (self.sent.output > 0 || now - self.began < FIRST_CHUNK)
    }

    /// The transcript so far, when it is time to sign it. Asked with each chunk: while none flows there is nothing to sign.
    fn mark(&mut self, now: Time) -> Option<ProxyMark> {
        let chunks = self.transcript.chunks();
        if let Some((marked, at)) = self.marked
            && chunks - marked < MARK_CHUNKS
            && now - at < MARK_EVERY
        {
            return None;
        }
        self.marked = Some((chunks, now));
        Some(ProxyMark {
            request_id: self.row.auth.request_id,
            attempt: self.row.attempt,
            counts: self.sent,
            chunks,
            transcript: self.transcript.hash(),
        })
    }

    /// Takes in an acknowledgement. True: it is time to store it.
    fn acknowledge(&mut self, cx: &Cx<'_>, gateway: NodeId, payload: &[u8]) -> Result<bool, &'static str> {
        let taken: Taken = cbor::decode(payload).map_err(|_| "a malformed acknowledgement")?;
        let ack = open::<StreamAck>(cx.me.network, Some(gateway.0), &taken.ack.0)
            .map_err(|_| "an acknowledgement whose signature does not hold")?
            .content;
        if (ack.auth_id, ack.attempt) != self.row.key() {
            return Err("an acknowledgement of another job");
        }
        if ack.counts.output <= self.acked.output || ack.counts.output > self.sent_output {
            return Err("an acknowledgement of nothing new, or of what was not sent");
        }
        (self.acked, self.ack) = (ack.counts, Some(taken.ack));
        self.paused = None;
        let much = ack.counts.output - self.stored >= ACK_STORED;
        if much {
            self.stored = ack.counts.output;
            self.row.ack = self.ack.as_ref().map(|ack| hex::encode(&ack.0));
        }
        Ok(much)
    }

    /// What is stated of it, when it ends now.
    fn statement(&self, cx: &Cx<'_>, counts: Counts, end: End) -> Blob {
        let statement = UsageStatement {
            fep_id: self.row.auth.fep_id,
            auth_id: self.row.auth.auth_id,
            attempt: self.row.attempt,
            counts,
            end,
            ack: self.ack.clone(),
            chunks: self.transcript.chunks(),
            transcript: self.transcript.hash(),
            stated_ms: cx.now.wall.0,
        };
        cx.me.seal(statement).bytes
    }

    fn bounded(&self, counts: Counts) -> Counts {
        counts.bounded_by(self.row.auth.input_bound, self.max_output.min(self.row.auth.max_output))
    }
}

impl Provider {
    /// Whether a job of that offer can be run, now or when one before it is over.
    pub(super) fn room(&self, known: &Known) -> Room {
        let Known { ep, model, queue, .. } = known;
        match self.sockets.room(ep, model) {
            Room::Full if self.waiting.len(ep, model) < *queue as usize => Room::Slot,
            room => room,
        }
    }

    /// It is on disk that the authorization is used: runs it, or lets it wait for a slot. The model may have been lost, or
    /// filled up, meanwhile.
    pub(super) fn run(&mut self, cx: &mut Cx<'_>, stream: StreamId, admitted: Admitted) {
        let Known { ep, model, .. } = &admitted.known;
        let whereto = (ep.clone(), model.clone());
        match self.sockets.room(ep, model) {
            Room::Slot => self.start(cx, stream, admitted),
            Room::Full if self.room(&admitted.known) == Room::Slot => {
                cx.debug(alloc::format!("req_{}: waits for a slot", admitted.row.auth.request_id));
                self.waiting.push(whereto, stream);
                self.sockets.note_changed();
                self.due.set(stream, cx.now.mono + FIRST_CHUNK, "a slot");
                if let Some(job) = self.jobs.get_mut(&stream) {
                    job.state = State::Waiting(alloc::boxed::Box::new(admitted));
                }
            }
            Room::Full => self.release(cx, stream, &admitted.row, refusal(RefusalCode::Busy, FULL)),
            Room::NoModel => self.release(cx, stream, &admitted.row, no_model()),
        }
    }

    /// Slots may have become free, or a model be lost: whoever waited for that.
    pub(crate) fn go_on(&mut self, cx: &mut Cx<'_>) {
        if !self.sockets.has_changed() && !cx.me.leaves {
            return;
        }
        self.move_models(cx);
        let queues: Vec<Where> = self.waiting.queues().cloned().collect();
        for whereto in queues {
            while let Some(stream) = self.waiting.first(&whereto) {
                // What is begun while the node leaves would be cut off in the middle.
                let room = match cx.me.leaves {
                    true => Room::NoModel,
                    false => self.sockets.room(&whereto.0, &whereto.1),
                };
                if room == Room::Full {
                    break;
                }
                self.waiting.remove(&whereto, stream);
                let Some(admitted) = self.take_waiting(stream) else { continue };
                match room {
                    Room::Slot => self.start(cx, stream, admitted),
                    Room::Full | Room::NoModel => self.release(cx, stream, &admitted.row, no_model()),
                }
            }
        }
    }

    /// It waits no more for a slot.
    fn take_waiting(&mut self, stream: StreamId) -> Option<Admitted> {
        let job = self.jobs.get_mut(&stream)?;
        let empty = State::Hearing { request: None, body: Vec::new() };
        match core::mem::replace(&mut job.state, empty) {
            State::Waiting(admitted) => Some(*admitted),
            other => {
                job.state = other;
                None
            }
        }
    }

    /// Its gateway wants it no more, or no slot came free in time.
    pub(super) fn give_up_waiting(&mut self, cx: &mut Cx<'_>, stream: StreamId, refusal: Refusal) {
        let Some(Job { state: State::Waiting(admitted), .. }) = self.jobs.get(&stream) else { return };
        let (row, known) = (admitted.row.clone(), &admitted.known);
        let whereto = (known.ep.clone(), known.model.clone());
        self.stop_waiting(&whereto, stream);
        self.release(cx, stream, &row, refusal);
    }

    pub(super) fn stop_waiting(&mut self, whereto: &Where, stream: StreamId) {
        if self.waiting.remove(whereto, stream) {
            self.sockets.note_changed();
        }
    }

    fn start(&mut self, cx: &mut Cx<'_>, stream: StreamId, admitted: Admitted) {
        let Admitted { row, known, body, since } = admitted;
        let max_output = body.max_output;
        let started = self.sockets.start(cx, &known.ep, &known.model, body.body, STREAM_WINDOW);
        let portman = match started {
            Ok(portman) => portman,
            Err(NotStarted::NoPortman) => return self.release(cx, stream, &row, no_model()),
            Err(NotStarted::TooLong) => {
                let refusal = refusal(
                    RefusalCode::BadRequest,
                    "the request is too long when its numbers are written out",
                );
                return self.release(cx, stream, &row, refusal);
            }
        };
        cx.info(alloc::format!("req_{}: running on {}", row.auth.request_id, row.offer.slug));
        self.running.insert(portman, stream);
        let running = Running {
            row,
            model: known.model,
            portman,
            max_output,
            waiting: VecDeque::new(),
            over: None,
            transcript: Transcript::default(),
            marked: None,
            sent: Counts::default(),
            sent_output: 0,
            acked: Counts::default(),
            ack: None,
            stored: 0,
            relay: Relay::default(),
            credit: Credit::new(),
            began: cx.now.mono,
            // Its wait for a slot is part of that: the authorization lives no longer.
            ends: since + JOB_TOTAL,
            taken: cx.now.mono,
            paused: None,
        };
        if let Some(job) = self.jobs.get_mut(&stream) {
            let (at, what) = running.deadline();
            self.due.set(stream, at, what);
            job.state = State::Running(alloc::boxed::Box::new(running));
        }
    }

    /// The operator's word on how many requests a model runs at once is above its Portman's.
    fn set_concurrency(&self, cx: &mut Cx<'_>, link: LinkId) {
        let Some(ep) = self.sockets.ep(link) else { return };
        let Some(portman) = self.config.portmans.iter().find(|portman| portman.ep == ep) else { return };
        for model in self.sockets.models(ep) {
            let wanted = portman.shelf.as_ref().and_then(|shelf| shelf.models.get(&model.id)?.slots);
            if let Some(slots) = wanted.filter(|slots| *slots != model.slots) {
                let model = model.id.clone();
                self.sockets.order(cx, ep, &ToPortman::SetConcurrency { model, slots });
            }
        }
    }

    /// A Portman spoke.
    pub(super) fn portman_says(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        message: FromPortman,
        heard: &mut Heard,
    ) {
        match message {
            FromPortman::Hello { models, shelf } => {
                heard.models |= self.sockets.hello(cx, link, models, shelf);
                self.set_concurrency(cx, link);
            }
            FromPortman::NotMoved { model, message } => {
                let message: String = message.chars().take(RUNTIME_MESSAGE).collect();
                cx.warn(alloc::format!("{model} was not loaded or unloaded: {message}"));
                if let Some(ep) = self.sockets.ep(link) {
                    self.hosting.failed(cx.now.mono, (ep.to_string(), model));
                }
                // What drained is offered again.
                heard.models = true;
            }
            FromPortman::Chunk { job, .. }
            | FromPortman::Done { job, .. }
            | FromPortman::Failed { job, .. } => match self.running.get(&(link, job)).copied() {
                Some(stream) => self.job_says(cx, stream, message),
                None => heard.unpaid.push(((link, job), message)),
            },
        }
    }

    fn job_says(&mut self, cx: &mut Cx<'_>, stream: StreamId, message: FromPortman) {
        match message {
            FromPortman::Chunk { data, counts, .. } => self.chunk(cx, stream, data, counts),
            FromPortman::Done { counts, .. } => self.ran(cx, stream, Some(counts), None),
            FromPortman::Failed { fault, message, .. } => {
                let message = message.chars().take(256).collect();
                self.ran(cx, stream, None, Some(Refusal { code: fault.into(), message }));
            }
            FromPortman::Hello { .. } | FromPortman::NotMoved { .. } => {}
        }
    }

    pub(super) fn portman_failed(&mut self, cx: &mut Cx<'_>, stream: StreamId, why: &str) {
        let refusal = Refusal { code: RefusalCode::RuntimeFailed, message: why.to_string() };
        self.ran(cx, stream, None, Some(refusal));
    }

    fn chunk(&mut self, cx: &mut Cx<'_>, stream: StreamId, data: String, counts: Counts) {
        let Some(Job { state: State::Running(running), .. }) = self.jobs.get_mut(&stream) else { return };
        let source = data.len();
        if !running.credit.spend(source) {
            let (link, job) = running.portman;
            self.sockets.say(cx, link, &ToPortman::Cancel { job });
            return self.portman_failed(cx, stream, "its Portman sent more than it was granted");
        }
        let counts = running.bounded(counts);
        let payload = cbor::encode(&Chunk { counts, data: Blob(data.into_bytes()) });
        running.waiting.push_back(Waiting { payload, counts, source });
        self.send_on(cx, stream);
    }

    pub(super) fn acknowledged(
        &mut self,
        cx: &mut Cx<'_>,
        stream: StreamId,
        payload: &[u8],
    ) -> Result<(), &'static str> {
        let Some(Job { state: State::Running(running), conversation, .. }) = self.jobs.get_mut(&stream)
        else {
            return Ok(());
        };
        if running.acknowledge(cx, conversation.peer, payload)? {
            let used = self.receipts.used(&running.row, cx.now.mono);
            cx.store([used].into());
        }
        self.send_on(cx, stream);
        Ok(())
    }

    /// The gateway may have been let go on: sends what waits, and the end behind it.
    fn send_on(&mut self, cx: &mut Cx<'_>, stream: StreamId) {
        let Some(Job { state: State::Running(running), conversation, .. }) = self.jobs.get_mut(&stream)
        else {
            return;
        };
        if running.send(cx, conversation) {
            let (at, what) = running.deadline();
            self.due.set(stream, at, what);
        }
        if running.waiting.is_empty()
            && let Some(over) = running.over.take()
        {
            self.ended(cx, stream, over);
        }
    }

    pub(super) fn job_credit(&mut self, cx: &mut Cx<'_>, stream: StreamId, bytes: usize) {
        let Some(Job { state: State::Running(running), .. }) = self.jobs.get_mut(&stream) else { return };
        let grant = running.relay.taken(bytes);
        running.taken = cx.now.mono;
        // Who has taken all has the time from here on to acknowledge it.
        if running.paused.is_some() {
            running.paused = Some(cx.now.mono);
            let (at, what) = running.deadline();
            self.due.set(stream, at, what);
        }
        if let Some(bytes) = running.credit.add(grant) {
            let (link, job) = running.portman;
            if !mutant(Mutant::CreditLost) {
                self.sockets.say(cx, link, &ToPortman::Credit { job, bytes });
            }
        }
    }

    /// The Portman is done with the job, well or not.
    fn ran(&mut self, cx: &mut Cx<'_>, stream: StreamId, counts: Option<Counts>, failed: Option<Refusal>) {
        let Some(Job { state: State::Running(running), .. }) = self.jobs.get_mut(&stream) else { return };
        let (link, number) = running.portman;
        self.running.remove(&(link, number));
        let counts_of_it = running.bounded(counts.unwrap_or(running.sent));
        if let Some((ep, model)) = running.whereto(&self.sockets) {
            let whereto = (ep.to_string(), model.to_string());
            self.hosting.ran(whereto, running.began, cx.now.mono, counts_of_it);
        }
        self.sockets.free(link, &running.model);
        running.over = Some(Over { counts, failed });
        self.send_on(cx, stream);
    }

    /// All is sent: state what was delivered.
    fn ended(&mut self, cx: &mut Cx<'_>, stream: StreamId, over: Over) {
        let Some(Job { state: State::Running(running), .. }) = self.jobs.get_mut(&stream) else { return };
        match over.failed {
            Some(refusal) if running.transcript.chunks() == 0 => {
                let row = running.row.clone();
                self.release(cx, stream, &row, refusal);
            }
            Some(refusal) => {
                let counts = running.sent;
                self.state(cx, stream, counts, End::Broken, Some(refusal));
            }
            None => {
                let counts = running.bounded(over.counts.unwrap_or(running.sent));
                self.state(cx, stream, counts, End::Complete, None);
            }
        }
    }

    /// The gateway wants no more.
    pub(super) fn cancelled(&mut self, cx: &mut Cx<'_>, stream: StreamId) {
        let Some(Job { state: State::Running(running), .. }) = self.jobs.get_mut(&stream) else { return };
        running.waiting.clear();
        let (row, counts, portman) = (running.row.clone(), running.sent, running.portman);
        cx.info(alloc::format!("req_{}: cancelled by its gateway", row.auth.request_id));
        let model = running.model.clone();
        let lost = counts.output == 0 && running.is_gateway_s_loss(cx.now.mono);
        if let Some((ep, _)) = running.whereto(&self.sockets).filter(|_| running.over.is_none()) {
            self.hosting.ran((ep.to_string(), model.clone()), running.began, cx.now.mono, counts);
        }
        self.stop(cx, portman, &model);
        if lost {
            self.unacked.lost(row.auth.gateway, row.auth.input_bound, cx.now.mono);
        }
        if counts.output == 0 {
            let message = "its gateway wants it no more".to_string();
            return self.release(cx, stream, &row, Refusal { code: RefusalCode::Cancelled, message });
        }
        self.state(cx, stream, counts, End::Cancelled, None);
    }

    /// Stores the statement, which is then sent.
    fn state(
        &mut self,
        cx: &mut Cx<'_>,
        stream: StreamId,
        counts: Counts,
        end: End,
        broken: Option<Refusal>,
    ) {
        let Some(job) = self.jobs.get_mut(&stream) else { return };
        let State::Running(running) = &mut job.state else { return };
        if running.is_gateway_s_loss(cx.now.mono) && end != End::Broken {
            let auth = &running.row.auth;
            self.unacked.lost(auth.gateway, auth.input_bound, cx.now.mono);
        }
        let statement = running.statement(cx, counts, end);
        let row = running.row.stating(counts, &statement);
        let said = ProxyEnd { statement, broken };
        if mutant(Mutant::EndBeforeStated) {
            job.conversation.say_light(cx, Kind::ProxyEnd, &cbor::encode(&said));
            job.state = State::Awaiting;
        } else {
            job.state = State::Stating(said);
        }
        let used = self.receipts.used(&row, cx.now.mono);
        // By then the gateway has reported, or will not; and no clock that is trusted is so wrong that the hold has lapsed.
        self.statements.show(row.key(), cx.now.mono + Span(SETTLE_MARGIN.0 / 2));
        let op = cx.store([used].into());
        self.statements.storing(op, row.key());
        self.storing.insert(op, stream);
    }

    /// The stream of a job that runs is gone.
    pub(super) fn cut_off(&mut self, cx: &mut Cx<'_>, running: Running) {
        self.stop(cx, running.portman, &running.model);
        let row = &running.row;
        cx.info(alloc::format!("req_{}: cut off by its gateway", row.auth.request_id));
        if running.is_gateway_s_loss(cx.now.mono) {
            self.unacked.lost(row.auth.gateway, row.auth.input_bound, cx.now.mono);
        }
        if running.sent.output == 0 {
            return self.receipts.unused(cx, row.key());
        }
        let statement = running.statement(cx, running.sent, End::Cancelled);
        let row = row.stating(running.sent, &statement);
        let used = self.receipts.used(&row, cx.now.mono);
        self.statements.show(row.key(), cx.now.mono + STATE_AFTER);
        let op = cx.store([used].into());
        self.statements.storing(op, row.key());
    }

    /// Stops the work of a job that nobody wants any more.
    fn stop(&mut self, cx: &mut Cx<'_>, portman: (LinkId, u64), model: &str) {
        // It may be done with it already.
        if self.running.remove(&portman).is_none() {
            return;
        }
        let (link, job) = portman;
        if !mutant(Mutant::RuntimeNotCancelled) {
            self.sockets.say(cx, link, &ToPortman::Cancel { job });
        }
        if !mutant(Mutant::SlotLeaked) {
            self.sockets.free(link, model);
        }
    }
}

impl Provider {
    /// Input that was taken on for a gateway, or lost to it, and nothing of it acknowledged, in tokens.
    pub(super) fn unacked_input(&self, cx: &Cx<'_>, gateway: &NodeId) -> u64 {
        let running = self.jobs.values().filter_map(|job| match &job.state {
            State::Recording(admitted) => Some(&admitted.row.auth),
            State::Running(running) if running.is_unacked() => Some(&running.row.auth),
            _ => None,
        });
        let theirs = running.filter(|auth| auth.gateway == *gateway);
        theirs.map(|auth| u64::from(auth.input_bound)).sum::<u64>() + self.unacked.of(gateway, cx.now.mono)
    }
}

fn refusal(code: RefusalCode, message: &str) -> Refusal {
    Refusal { code, message: message.to_string() }
}

fn no_model() -> Refusal {
    refusal(RefusalCode::ModelNotAvailable, "the model does not run here now")
}
