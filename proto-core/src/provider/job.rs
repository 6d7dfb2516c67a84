//! One job at a provider: heard, recorded, run on a Portman, stated, settled.

use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    string::String,
    string::ToString,
    vec::Vec,
};

use super::admit::Admitted;
use super::receipts::From;
use super::sockets::Start;
use super::{Provider, rows};
use crate::economics::Counts;
use crate::flow::Relay;
use crate::identity::NodeId;
use crate::labnet::conduct::{Deed, Offence};
use crate::labnet::conversation::Conversation;
use crate::limits::{
    BODY_FRAME, CONTROL_FRAME, FIRST_CHUNK, GATEWAY_STALL, HTTP_BODY, JOB_TOTAL, JOBS_HEARD_OF_ONE,
    MARK_CHUNKS, MARK_EVERY, PROVIDER_JOBS, SETTLE_MARGIN, STREAM_WINDOW,
};
use crate::machine::{Completion, LinkId, ResetCode, StreamId};
use crate::mutants::{Mutant, mutant};
use crate::node::cx::Cx;
use crate::time::Time;
use crate::wire::cbor::{self, Blob};
use crate::wire::envelope::Kind;
use crate::wire::mesh::{
    Chunk, ProxyEnd, ProxyError, ProxyMark, ProxyRequest, Refusal, RefusalCode, Transcript,
};
use crate::wire::portman::{Fault, FromPortman, ToPortman};

pub(super) struct Job {
    conversation: Conversation,
    state: State,
}

enum State {
    Hearing {
        request: Option<ProxyRequest>,
        body: Vec<u8>,
    },
    /// The authorization is on its way to the disk.
    Recording(alloc::boxed::Box<Admitted>),
    Running(alloc::boxed::Box<Running>),
    /// The statement is on its way to the disk; then it is sent.
    Stating(ProxyEnd),
    /// The statement was sent: the receipt is to come on this stream.
    Awaiting,
}

struct Running {
    row: rows::AuthorizationRow,
    model: String,
    portman: (LinkId, u64),
    transcript: Transcript,
    /// How many chunks were there when the transcript was last signed, and when that was.
    marked: Option<(u64, Time)>,
    counts: Counts,
    relay: Relay,
    /// Bytes of chunks that the Portman may still send.
    credit: usize,
    /// When its total time is over.
    ends: Time,
    /// When the gateway last took something, or was first sent something to take.
    taken: Time,
}

impl Running {
    /// When it is cut off, if nothing happens before: it holds a slot that others would pay for.
    fn deadline(&self) -> (Time, &'static str) {
        let stalled = self.taken + GATEWAY_STALL;
        match self.relay.is_drained() || self.ends < stalled {
            true => (self.ends, "a job's total time"),
            false => (stalled, "a gateway to take what waits for it"),
        }
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
            counts: self.counts,
            chunks,
            transcript: self.transcript.hash(),
        })
    }
}

/// A body is there twice where it comes as one frame.
const fn weight_of_body(len: u32) -> usize {
    let len = len as usize;
    len + if len < BODY_FRAME { len } else { BODY_FRAME }
}

impl Job {
    /// Bytes that it may take while nobody has paid for it.
    fn weight(&self) -> usize {
        match &self.state {
            State::Hearing { request: None, .. } => CONTROL_FRAME,
            State::Hearing { request: Some(request), .. } => CONTROL_FRAME + weight_of_body(request.body_len),
            State::Recording(_) | State::Running(_) | State::Stating(_) | State::Awaiting => 0,
        }
    }

    /// Half of a frame that would be no request, or more than is missing of the body.
    fn holds_too_much(&self) -> bool {
        let most = match &self.state {
            State::Hearing { request: None, .. } => CONTROL_FRAME,
            State::Hearing { request: Some(request), body } => {
                (request.body_len as usize).saturating_sub(body.len()) + CONTROL_FRAME
            }
            State::Recording(_) | State::Running(_) | State::Stating(_) | State::Awaiting => CONTROL_FRAME,
        };
        self.conversation.buffered() > most
    }
}

impl Provider {
    /// Gateways with a job here that is paid for.
    pub(crate) fn works_for(&self) -> BTreeSet<NodeId> {
        let paid_for = self.jobs.values().filter(|job| job.weight() == 0);
        paid_for.map(|job| job.conversation.peer).collect()
    }

    pub(super) fn job_opened(&mut self, cx: &mut Cx<'_>, stream: StreamId, gateway: NodeId) {
        if self.jobs.len() >= PROVIDER_JOBS || !self.can_hear_one_more(cx, gateway) {
            return cx.reset(stream, ResetCode::Refused);
        }
        let state = State::Hearing { request: None, body: Vec::new() };
        let conversation = Conversation::new(cx.me.node_id, stream, gateway);
        self.jobs.insert(stream, Job { conversation, state });
        self.due.set(stream, cx.now.mono + FIRST_CHUNK, "a gateway's request");
    }

    fn can_hear_one_more(&mut self, cx: &mut Cx<'_>, gateway: NodeId) -> bool {
        let heard = self.jobs.values().filter(|job| job.conversation.peer == gateway && job.weight() > 0);
        heard.count() < JOBS_HEARD_OF_ONE && self.make_room(cx, gateway, CONTROL_FRAME)
    }

    /// Nobody has paid for a request that is being heard. Where they take more than they may in all, whoever has most loses
    /// its oldest ones for what comes, unless that leaves it with less than who comes would have; then nobody loses any.
    fn make_room(&mut self, cx: &mut Cx<'_>, gateway: NodeId, bytes: usize) -> bool {
        let mut heard: BTreeMap<NodeId, (usize, VecDeque<(StreamId, usize)>)> = BTreeMap::new();
        for (stream, job) in self.jobs.iter().filter(|(_, job)| job.weight() > 0) {
            let (of_one, streams) = heard.entry(job.conversation.peer).or_default();
            *of_one += job.weight();
            streams.push_back((*stream, job.weight()));
        }
        let own = heard.get(&gateway).map_or(0, |(own, _)| *own);
        let mut all: usize = heard.values().map(|(of_one, _)| of_one).sum();
        let mut losers = Vec::new();
        while all + bytes > cx.me.caps.bodies() {
            let most = heard.values_mut().max_by_key(|(of_one, _)| *of_one);
            let Some((of_one, streams)) = most else { return false };
            let Some((oldest, weight)) = streams.pop_front() else { return false };
            *of_one -= weight;
            all -= weight;
            if *of_one < own + bytes {
                return false;
            }
            losers.push(oldest);
        }
        for stream in losers {
            self.drop_job(stream);
            cx.reset(stream, ResetCode::Refused);
        }
        true
    }

    pub(super) fn job_bytes(&mut self, cx: &mut Cx<'_>, stream: StreamId, bytes: &[u8]) {
        cx.grant(stream, bytes.len());
        if let Some(job) = self.jobs.get_mut(&stream) {
            job.conversation.push(bytes);
        }
        while let Some(job) = self.jobs.get_mut(&stream) {
            match job.conversation.poll(cx) {
                Ok(Some(heard)) => {
                    if let Err(reason) = self.hear(cx, stream, heard.kind, heard.payload) {
                        return self.protocol_broken(cx, stream, reason);
                    }
                }
                Ok(None) if job.holds_too_much() => {
                    return self.protocol_broken(cx, stream, "a frame that has no place here");
                }
                Ok(None) => return,
                Err(reason) => return self.protocol_broken(cx, stream, reason),
            }
        }
    }

    fn hear(
        &mut self,
        cx: &mut Cx<'_>,
        stream: StreamId,
        kind: Kind,
        payload: Vec<u8>,
    ) -> Result<(), &'static str> {
        let Some(job) = self.jobs.get_mut(&stream) else { return Ok(()) };
        match (&mut job.state, kind) {
            (State::Hearing { request: None, .. }, Kind::ProxyRequest) => {
                let heard: ProxyRequest = cbor::decode(&payload).map_err(|_| "a malformed request")?;
                if heard.body_len as usize > HTTP_BODY {
                    return Err("a body beyond the limit");
                }
                if self.has_room_for(cx, stream, heard.body_len) {
                    self.await_body(stream, heard);
                } else {
                    let message = "too many requests are on their way here".to_string();
                    self.decline(cx, stream, &heard, Refusal { code: RefusalCode::Busy, message });
                    return Ok(());
                }
            }
            (State::Hearing { request: Some(request), body }, Kind::Body) => {
                let missing = (request.body_len as usize).saturating_sub(body.len());
                if payload.len() > missing {
                    return Err("a body longer than was said");
                }
                // Twice as much each time, as a vector grows, but no more than the body takes: that is what was weighed.
                if body.capacity() - body.len() < payload.len() {
                    body.reserve_exact(payload.len().max(body.len()).min(missing));
                }
                body.extend_from_slice(&payload);
            }
            (State::Awaiting, Kind::ReceiptDelivery) => {
                let gateway = job.conversation.peer;
                let known = self.receipt(cx, From::Job { stream, gateway }, &payload);
                debug_assert!(known.is_none(), "a job stream's answer goes on the stream");
                return Ok(());
            }
            _ => return Err("a frame that has no place here"),
        }
        if let Some(Job { state: State::Hearing { request: Some(request), body }, .. }) =
            self.jobs.get_mut(&stream)
            && body.len() == request.body_len as usize
        {
            if blake3::hash(body) != blake3::Hash::from_bytes(request.body_hash.0) {
                return Err("a body that is not the one that was signed for");
            }
            let (request, body) = (request.clone(), core::mem::take(body));
            self.offered(cx, stream, &request, &body);
        }
        Ok(())
    }

    fn await_body(&mut self, stream: StreamId, heard: ProxyRequest) {
        if let Some(Job { state: State::Hearing { request, .. }, .. }) = self.jobs.get_mut(&stream) {
            *request = Some(heard);
        }
    }

    /// Nothing of a body is paid for before it is whole, so what may be on its way is bounded, also for each gateway.
    fn has_room_for(&mut self, cx: &mut Cx<'_>, stream: StreamId, body_len: u32) -> bool {
        let Some(gateway) = self.jobs.get(&stream).map(|job| job.conversation.peer) else { return false };
        let of_one = self.jobs.values().filter(|job| job.conversation.peer == gateway).map(Job::weight);
        let body_len = body_len as usize;
        of_one.sum::<usize>() + body_len <= cx.me.caps.bodies_of_one()
            && self.make_room(cx, gateway, body_len)
    }

    fn offered(&mut self, cx: &mut Cx<'_>, stream: StreamId, request: &ProxyRequest, body: &[u8]) {
        let Some(job) = self.jobs.get(&stream) else { return };
        let gateway = job.conversation.peer;
        match self.admit(cx, gateway, request, body) {
            Err(refusal) => {
                cx.info(alloc::format!("req_{}: refused: {}", request.request_id, refusal.message));
                self.decline(cx, stream, request, refusal);
            }
            Ok(admitted) => {
                self.receipts.used(&admitted.row);
                let op = cx.store([rows::put_authorization(&admitted.row)].into());
                self.storing.insert(op, stream);
                if let Some(job) = self.jobs.get_mut(&stream) {
                    job.state = State::Recording(alloc::boxed::Box::new(admitted));
                }
            }
        }
    }

    fn decline(&mut self, cx: &mut Cx<'_>, stream: StreamId, request: &ProxyRequest, refusal: Refusal) {
        let Some(mut job) = self.drop_job(stream) else { return };
        let error = ProxyError { request_id: request.request_id, attempt: request.attempt, refusal };
        job.conversation.say(cx, Kind::ProxyError, &cbor::encode(&error));
        cx.finish(stream);
    }

    pub(super) fn job_stored(&mut self, cx: &mut Cx<'_>, stream: StreamId, completion: &Completion) {
        if !matches!(completion, Completion::Stored(Ok(()))) {
            // The machine is stopping; its streams go with it.
            return;
        }
        let Some(job) = self.jobs.get_mut(&stream) else { return };
        let empty = State::Hearing { request: None, body: Vec::new() };
        match core::mem::replace(&mut job.state, empty) {
            State::Recording(admitted) => self.run(cx, stream, *admitted),
            State::Stating(end) => {
                job.conversation.say(cx, Kind::ProxyEnd, &cbor::encode(&end));
                job.state = State::Awaiting;
                self.due.set(stream, cx.now.mono + SETTLE_MARGIN, "a receipt on the job's stream");
            }
            other @ (State::Hearing { .. } | State::Running(_) | State::Awaiting) => job.state = other,
        }
    }

    fn run(&mut self, cx: &mut Cx<'_>, stream: StreamId, admitted: Admitted) {
        let key = admitted.key();
        let Admitted { row, known, body } = admitted;
        // It may have been lost, or filled up, while the disk was written.
        let started = match self.sockets.start(cx, &known.ep, &known.model, body.body, STREAM_WINDOW) {
            Start::Started(link, job) => Ok((link, job)),
            Start::NoModel => Err((RefusalCode::ModelNotAvailable, "the model does not run here now")),
            Start::NoSlot => Err((RefusalCode::Busy, "all slots of the model are taken")),
        };
        let portman = match started {
            Ok(portman) => portman,
            Err((code, message)) => {
                self.receipts.unused(cx, key);
                return self.refuse_late(cx, stream, &row, Refusal { code, message: message.to_string() });
            }
        };
        cx.info(alloc::format!("req_{}: running on {}", row.auth.request_id, row.offer.slug));
        self.running.insert(portman, stream);
        let (transcript, counts, relay) = (Transcript::default(), Counts::default(), Relay::default());
        if let Some(job) = self.jobs.get_mut(&stream) {
            let credit = STREAM_WINDOW as usize;
            let model = known.model;
            let (ends, taken, marked) = (cx.now.mono + JOB_TOTAL, cx.now.mono, None);
            let running =
                Running { row, model, portman, transcript, marked, counts, relay, credit, ends, taken };
            let (at, what) = running.deadline();
            self.due.set(stream, at, what);
            job.state = State::Running(alloc::boxed::Box::new(running));
        }
    }

    /// A Portman spoke. True: the models served have changed.
    pub(super) fn portman_says(&mut self, cx: &mut Cx<'_>, link: LinkId, message: FromPortman) -> bool {
        match message {
            FromPortman::Hello { models } => return self.sockets.hello(cx, link, models),
            FromPortman::Chunk { job, data, counts } => {
                if let Some(stream) = self.running.get(&(link, job)).copied() {
                    self.chunk(cx, stream, data, counts);
                }
            }
            FromPortman::Done { job, counts } => {
                if let Some(stream) = self.running.get(&(link, job)).copied() {
                    self.ran(cx, stream, Some(counts), None);
                }
            }
            FromPortman::Failed { job, fault, message } => {
                if let Some(stream) = self.running.get(&(link, job)).copied() {
                    let code = match fault {
                        Fault::BadRequest => RefusalCode::BadRequest,
                        Fault::ModelNotAvailable => RefusalCode::ModelNotAvailable,
                        Fault::Busy => RefusalCode::Busy,
                        Fault::RuntimeFailed => RefusalCode::RuntimeFailed,
                    };
                    let message = message.chars().take(256).collect();
                    self.ran(cx, stream, None, Some(Refusal { code, message }));
                }
            }
        }
        false
    }

    pub(super) fn portman_failed(&mut self, cx: &mut Cx<'_>, stream: StreamId, why: &str) {
        let refusal = Refusal { code: RefusalCode::RuntimeFailed, message: why.to_string() };
        self.ran(cx, stream, None, Some(refusal));
    }

    fn chunk(&mut self, cx: &mut Cx<'_>, stream: StreamId, data: String, counts: Counts) {
        let Some(job) = self.jobs.get_mut(&stream) else { return };
        let State::Running(running) = &mut job.state else { return };
        let source = data.len();
        let Some(credit) = running.credit.checked_sub(source) else {
            let (link, job) = running.portman;
            self.sockets.say(cx, link, &ToPortman::Cancel { job });
            return self.portman_failed(cx, stream, "its Portman sent more than it was granted");
        };
        (running.credit, running.counts) = (credit, counts);
        let payload = cbor::encode(&Chunk { counts, data: Blob(data.into_bytes()) });
        running.transcript.add(&payload);
        let mut sink = job.conversation.say_light(cx, Kind::Chunk, &payload);
        if let Some(mark) = running.mark(cx.now.mono) {
            sink += job.conversation.say(cx, Kind::ProxyMark, &cbor::encode(&mark));
        }
        let was_drained = running.relay.is_drained();
        // Never zero: a frame has a header, so its credit comes when the gateway has taken it.
        running.relay.forwarded(source, sink);
        if was_drained {
            running.taken = cx.now.mono;
            let (at, what) = running.deadline();
            self.due.set(stream, at, what);
        }
    }

    pub(super) fn job_credit(&mut self, cx: &mut Cx<'_>, stream: StreamId, bytes: usize) {
        let Some(job) = self.jobs.get_mut(&stream) else { return };
        let State::Running(running) = &mut job.state else { return };
        let grant = running.relay.taken(bytes);
        running.taken = cx.now.mono;
        running.credit += grant;
        if let Ok(bytes @ 1..) = u32::try_from(grant) {
            let (link, job) = running.portman;
            if !mutant(Mutant::CreditLost) {
                self.sockets.say(cx, link, &ToPortman::Credit { job, bytes });
            }
        }
    }

    /// The Portman is done with the job, well or not: state what was delivered.
    fn ran(&mut self, cx: &mut Cx<'_>, stream: StreamId, counts: Option<Counts>, failed: Option<Refusal>) {
        let Some(job) = self.jobs.get_mut(&stream) else { return };
        let State::Running(running) = &mut job.state else { return };
        let (link, number) = running.portman;
        self.running.remove(&(link, number));
        self.sockets.free(link, &running.model);
        let counts = counts.unwrap_or(running.counts);
        let mut row = running.row.clone();
        if let (Some(refusal), 0) = (&failed, running.transcript.chunks()) {
            // Nothing was sent: declined, and nothing is owed.
            let (key, refusal) = ((row.auth.auth_id, row.attempt), refusal.clone());
            self.receipts.unused(cx, key);
            return self.refuse_late(cx, stream, &row, refusal);
        }
        let end = ProxyEnd {
            request_id: row.auth.request_id,
            attempt: row.attempt,
            counts,
            chunks: running.transcript.chunks(),
            transcript: running.transcript.hash(),
            broken: failed,
        };
        row.stated = Some(counts);
        self.receipts.used(&row);
        if mutant(Mutant::EndBeforeStated) {
            job.conversation.say(cx, Kind::ProxyEnd, &cbor::encode(&end));
            job.state = State::Awaiting;
        } else {
            job.state = State::Stating(end);
        }
        let op = cx.store([rows::put_authorization(&row)].into());
        self.storing.insert(op, stream);
    }

    fn refuse_late(
        &mut self,
        cx: &mut Cx<'_>,
        stream: StreamId,
        row: &rows::AuthorizationRow,
        refusal: Refusal,
    ) {
        let Some(mut job) = self.drop_job(stream) else { return };
        let error = ProxyError { request_id: row.auth.request_id, attempt: row.attempt, refusal };
        job.conversation.say(cx, Kind::ProxyError, &cbor::encode(&error));
        cx.finish(stream);
    }

    /// The gateway ended its direction: after the receipt that is the end; before, it wants no more.
    pub(super) fn job_finished(&mut self, cx: &mut Cx<'_>, stream: StreamId) {
        if self.jobs.get(&stream).is_some_and(|job| matches!(job.state, State::Awaiting)) {
            self.drop_job(stream);
            cx.finish(stream);
        } else {
            cx.reset(stream, ResetCode::Cancelled);
            self.job_cut(cx, stream);
        }
    }

    /// The stream is gone: stop the work, remember what was delivered. The receipt comes another way.
    pub(super) fn job_cut(&mut self, cx: &mut Cx<'_>, stream: StreamId) {
        let Some(job) = self.drop_job(stream) else { return };
        match job.state {
            State::Running(running) => {
                let (link, number) = running.portman;
                self.running.remove(&(link, number));
                if !mutant(Mutant::RuntimeNotCancelled) {
                    self.sockets.say(cx, link, &ToPortman::Cancel { job: number });
                }
                if !mutant(Mutant::SlotLeaked) {
                    self.sockets.free(link, &running.model);
                }
                let row = rows::AuthorizationRow { stated: Some(running.counts), ..running.row };
                cx.info(alloc::format!("req_{}: cut off by its gateway", row.auth.request_id));
                self.receipts.used(&row);
                cx.store([rows::put_authorization(&row)].into());
            }
            State::Recording(admitted) => self.receipts.unused(cx, admitted.key()),
            State::Hearing { .. } | State::Stating(_) | State::Awaiting => {}
        }
    }

    pub(super) fn job_overdue(&mut self, cx: &mut Cx<'_>, stream: StreamId) {
        if let Some(Job { state: State::Running(running), .. }) = self.jobs.get(&stream) {
            let (at, what) = running.deadline();
            if at > cx.now.mono {
                // The gateway took something since the timer was set.
                return self.due.set(stream, at, what);
            }
            cx.warn(alloc::format!("req_{}: cut off, waiting for {what}", running.row.auth.request_id));
        }
        cx.reset(stream, ResetCode::Cancelled);
        self.job_cut(cx, stream);
    }

    /// The receipt is stored, or refused: say so. The gateway then ends the stream.
    pub(super) fn job_settled(&mut self, cx: &mut Cx<'_>, stream: StreamId, ack: &[u8]) {
        if let Some(job) = self.jobs.get_mut(&stream) {
            job.conversation.say(cx, Kind::ReceiptAck, ack);
        }
    }

    fn protocol_broken(&mut self, cx: &mut Cx<'_>, stream: StreamId, reason: &'static str) {
        let Some(job) = self.jobs.get(&stream) else { return };
        let gateway = job.conversation.peer;
        cx.note(gateway, Deed::Offence(Offence::Malformed));
        cx.warn(alloc::format!("gateway {gateway} broke the protocol: {reason}"));
        cx.reset(stream, ResetCode::Protocol);
        self.job_cut(cx, stream);
    }

    fn drop_job(&mut self, stream: StreamId) -> Option<Job> {
        self.due.clear(stream);
        self.jobs.remove(&stream)
    }
}
