//! One job at a provider, from its request to its receipt; while it runs: running.rs.

use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    string::ToString,
    vec::Vec,
};

use super::admit::{Admitted, Declined};
use super::offers::Known;
use super::receipts::From;
use super::running::Running;
use super::{Provider, rows};
use crate::identity::NodeId;
use crate::labnet::conduct::{Deed, Offence};
use crate::labnet::conversation::Conversation;
use crate::limits::{
    BODY_FRAME, CONTROL_FRAME, FIRST_CHUNK, HTTP_BODY, JOBS_HEARD_OF_ONE, PROVIDER_JOBS, SETTLE_MARGIN,
};
use crate::machine::{Completion, ResetCode, StreamId};
use crate::node::cx::Cx;
use crate::wire::cbor;
use crate::wire::envelope::Kind;
use crate::wire::mesh::{ProxyEnd, ProxyError, ProxyRequest, Refusal, RefusalCode};
use crate::wire::portal::AttemptRelease;

pub(super) struct Job {
    pub(super) conversation: Conversation,
    pub(super) state: State,
    /// The gateway wants no more: it has ended its direction, but hears how this ends.
    pub(super) cancelled: bool,
}

pub(super) enum State {
    Hearing {
        request: Option<ProxyRequest>,
        body: Vec<u8>,
    },
    /// The authorization is on its way to the disk.
    Recording(alloc::boxed::Box<Admitted>),
    /// That it is declined is on its way to the disk; then it is said.
    Declining(ProxyError),
    /// All slots of its model are taken.
    Waiting(alloc::boxed::Box<Admitted>),
    Running(alloc::boxed::Box<Running>),
    /// The statement is on its way to the disk; then it is sent.
    Stating(ProxyEnd),
    /// The statement was sent: the receipt is to come on this stream.
    Awaiting,
}

/// A body is there twice where it comes as one frame.
const fn weight_of_body(len: u32) -> usize {
    let len = len as usize;
    len + if len < BODY_FRAME { len } else { BODY_FRAME }
}

impl Job {
    /// Of which model it takes a slot, or waits for one.
    pub(super) fn takes_a_slot_of(&self) -> Option<&str> {
        match &self.state {
            State::Waiting(admitted) => Some(&admitted.row.offer.slug),
            State::Running(running) => running.has_slot().then_some(running.row.offer.slug.as_str()),
            _ => None,
        }
    }

    /// Only its receipt is missing.
    pub(super) const fn is_over(&self) -> bool {
        matches!(self.state, State::Stating(_) | State::Awaiting)
    }

    /// Bytes that it may take while nobody has paid for it.
    fn weight(&self) -> usize {
        match &self.state {
            State::Hearing { request: None, .. } => CONTROL_FRAME,
            State::Hearing { request: Some(request), .. } => CONTROL_FRAME + weight_of_body(request.body_len),
            State::Recording(_)
            | State::Declining(_)
            | State::Waiting(_)
            | State::Running(_)
            | State::Stating(_)
            | State::Awaiting => 0,
        }
    }

    /// Half of a frame that would be no request, or more than is missing of the body.
    fn holds_too_much(&self) -> bool {
        let most = match &self.state {
            State::Hearing { request: None, .. } => CONTROL_FRAME,
            State::Hearing { request: Some(request), body } => {
                (request.body_len as usize).saturating_sub(body.len()) + CONTROL_FRAME
            }
            State::Recording(_)
            | State::Declining(_)
            | State::Waiting(_)
            | State::Running(_)
            | State::Stating(_)
            | State::Awaiting => CONTROL_FRAME,
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
        self.jobs.insert(stream, Job { conversation, state, cancelled: false });
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
            (State::Running(_), Kind::StreamAck) => return self.acknowledged(cx, stream, &payload),
            // It was on its way when the end was.
            (State::Stating(_) | State::Awaiting, Kind::StreamAck) => return Ok(()),
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
        let admitted = self.admit(cx, gateway, request, body);
        if let Err(Declined { refusal, .. }) = &admitted {
            cx.info(alloc::format!("req_{}: refused: {}", request.request_id, refusal.message));
        }
        let (row, state) = match admitted {
            Err(Declined { refusal, row: None }) => return self.decline(cx, stream, request, refusal),
            Err(Declined { refusal, row: Some(row) }) => {
                let error = declined(cx, &row, refusal);
                (*row, State::Declining(error))
            }
            Ok(admitted) => (admitted.row.clone(), State::Recording(alloc::boxed::Box::new(admitted))),
        };
        let used = self.receipts.used(&row, cx.now.mono);
        let op = cx.store([used].into());
        self.storing.insert(op, stream);
        if let Some(job) = self.jobs.get_mut(&stream) {
            job.state = state;
        }
    }

    /// Declines what was not paid for, or not to us.
    fn decline(&mut self, cx: &mut Cx<'_>, stream: StreamId, request: &ProxyRequest, refusal: Refusal) {
        let (request_id, attempt) = (request.request_id, request.attempt);
        self.say_declined(cx, stream, &ProxyError { request_id, attempt, refusal, release: None });
    }

    /// Declines what was: nothing will be owed for it, and our signature says so.
    pub(super) fn release(
        &mut self,
        cx: &mut Cx<'_>,
        stream: StreamId,
        row: &rows::AuthorizationRow,
        refusal: Refusal,
    ) {
        self.receipts.unused(cx, row.key());
        let error = declined(cx, row, refusal);
        self.say_declined(cx, stream, &error);
    }

    fn say_declined(&mut self, cx: &mut Cx<'_>, stream: StreamId, error: &ProxyError) {
        let Some(mut job) = self.drop_job(stream) else { return };
        job.conversation.say(cx, Kind::ProxyError, &cbor::encode(error));
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
            State::Recording(admitted) if job.cancelled => {
                self.release(cx, stream, &admitted.row, unwanted());
            }
            State::Recording(admitted) => self.run(cx, stream, *admitted),
            State::Declining(error) => self.say_declined(cx, stream, &error),
            State::Stating(end) => {
                job.conversation.say_light(cx, Kind::ProxyEnd, &cbor::encode(&end));
                if job.cancelled {
                    self.drop_job(stream);
                    return cx.finish(stream);
                }
                job.state = State::Awaiting;
                self.due.set(stream, cx.now.mono + SETTLE_MARGIN, "a receipt on the job's stream");
            }
            other @ (State::Hearing { .. } | State::Waiting(_) | State::Running(_) | State::Awaiting) => {
                job.state = other;
            }
        }
    }

    /// The gateway ended its direction: after the receipt that is the end; before, it wants no more.
    pub(super) fn job_finished(&mut self, cx: &mut Cx<'_>, stream: StreamId) {
        let Some(job) = self.jobs.get_mut(&stream) else { return };
        job.cancelled = true;
        match job.state {
            State::Awaiting => {
                self.drop_job(stream);
                cx.finish(stream);
            }
            State::Hearing { .. } => {
                self.drop_job(stream);
                cx.reset(stream, ResetCode::Cancelled);
            }
            State::Running(_) => self.cancelled(cx, stream),
            State::Waiting(_) => self.give_up_waiting(cx, stream, unwanted()),
            State::Recording(_) | State::Declining(_) | State::Stating(_) => {}
        }
    }

    /// The stream is gone: stop the work, remember what was delivered. The receipt comes another way.
    pub(super) fn job_cut(&mut self, cx: &mut Cx<'_>, stream: StreamId) {
        let Some(job) = self.drop_job(stream) else { return };
        match job.state {
            State::Running(running) => self.cut_off(cx, *running),
            State::Recording(admitted) => self.receipts.unused(cx, admitted.row.key()),
            State::Waiting(admitted) => {
                let Known { ep, model, .. } = admitted.known;
                self.stop_waiting(&(ep, model), stream);
                self.receipts.unused(cx, admitted.row.key());
            }
            State::Hearing { .. } | State::Declining(_) | State::Stating(_) | State::Awaiting => {}
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
        if let Some(Job { state: State::Waiting(_), .. }) = self.jobs.get(&stream) {
            let message = "no slot of the model came free in time".to_string();
            return self.give_up_waiting(cx, stream, Refusal { code: RefusalCode::Busy, message });
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

    pub(super) fn drop_job(&mut self, stream: StreamId) -> Option<Job> {
        self.due.clear(stream);
        self.jobs.remove(&stream)
    }
}

fn unwanted() -> Refusal {
    Refusal { code: RefusalCode::Cancelled, message: "its gateway wants it no more".to_string() }
}

fn declined(cx: &Cx<'_>, row: &rows::AuthorizationRow, refusal: Refusal) -> ProxyError {
    let (auth_id, attempt) = row.key();
    let release = cx.me.seal(AttemptRelease { auth_id, attempt });
    ProxyError { request_id: row.auth.request_id, attempt, refusal, release: Some(release.bytes) }
}
