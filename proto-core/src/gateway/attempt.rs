//! An authorised request at a provider: the job stream, its chunks, its end; and the next provider where one fails
//! before the first byte. After the first byte nothing is ever replayed.
//!
//! What is taken is acknowledged as it comes: the provider goes on only then. Who wants no more ends its direction of the
//! stream and hears the provider's last word: a statement, or that nothing is owed.

use alloc::{format, string::ToString, vec::Vec};

use super::job::{Plan, State, progress};
use super::reply::{Reply, Unfit, VECTOR};
use super::rows::Terms;
use super::settle::{Ended, Tail};
use super::{Due, Gateway, Mesh, abandon};
use crate::economics::Counts;
use crate::flow::Relay;
use crate::labnet::conduct::{Deed, Offence};
use crate::labnet::conversation::{Conversation, Heard};
use crate::limits::{
    ACK_EVERY, ACK_TOKENS, BODY_FRAME, CANCEL_WITHIN, FIRST_CHUNK, KEEP_ALIVE, MARK_CHUNKS, NEXT_CHUNK,
    READER_STALL,
};
use crate::machine::StreamId;
use crate::mutants::{Mutant, mutant};
use crate::names::SlugKey;
use crate::node::cx::Cx;
use crate::openai::error::{ApiError, Retry, is_of_length};
use crate::openai::task::Call;
use crate::time::{Span, Time};
use crate::wire::cbor::{self, Blob};
use crate::wire::envelope::{Kind, LIGHT_OVERHEAD, OVERHEAD};
use crate::wire::ids::{Hash, RequestId};
use crate::wire::mesh::{
    Chunk, ProxyEnd, ProxyError, ProxyMark, ProxyRequest, Refusal, RefusalCode, Taken, Transcript,
};
use crate::wire::object::{Sealed, open};
use crate::wire::portal::{AttemptRelease, End, JobAuthorization, StreamAck, UsageStatement};

pub(super) struct Running {
    plan: Plan,
    auth: Sealed<JobAuthorization>,
    reply: Reply,
    /// When the user was sent something last.
    said: Option<Time>,
    /// Which of the authorization's attempts comes next.
    next: usize,
    current: Option<Attempt>,
    /// Why the last attempt failed, if one did.
    failed: Option<Refusal>,
    /// Providers' signed words that nothing is owed to them.
    releases: Vec<Blob>,
}

struct Attempt {
    index: u8,
    slug: alloc::string::String,
    conversation: Conversation,
    asked: Time,
    /// How long it has until its first chunk.
    patience: Span,
    /// When that came.
    began: Option<Time>,
    transcript: Transcript,
    /// Chunks that the provider has signed for.
    marked: u64,
    /// As the provider states it, and as far as we accept that.
    stated: Counts,
    accepted: Counts,
    text_bytes: usize,
    /// As far as that is acknowledged, and when.
    acked: Counts,
    acked_at: Option<Time>,
    /// Nothing more is wanted of it but its last word.
    cancelled: bool,
    relay: Relay,
}

/// What a frame of the provider's means for the job.
enum Step {
    Go,
    Refused(Refusal),
    /// With its signed statement.
    Ended(Blob, Option<Refusal>),
    /// It is not what the user asked for.
    Unfit(ApiError),
}

impl Running {
    pub(super) fn new(plan: Plan, auth: Sealed<JobAuthorization>, reply: Reply) -> Self {
        Self { plan, auth, reply, said: None, next: 0, current: None, failed: None, releases: Vec::new() }
    }

    /// Gives when something must have happened next. `None`: what was taken was no provider's, and is no progress.
    pub(super) fn user_took(&mut self, cx: &mut Cx<'_>, bytes: usize) -> Option<(Time, &'static str)> {
        let attempt = self.current.as_mut().filter(|attempt| !attempt.relay.is_drained())?;
        let grant = attempt.relay.taken(bytes);
        cx.grant(attempt.conversation.stream, grant);
        Some(self.progress_due(cx))
    }

    /// When something must have happened, and what.
    fn progress_due(&self, cx: &Cx<'_>) -> (Time, &'static str) {
        match &self.current {
            Some(attempt) if attempt.cancelled => (cx.now.mono + CANCEL_WITHIN, "a provider's last word"),
            Some(attempt) if !attempt.relay.is_drained() => (cx.now.mono + READER_STALL, "the user to read"),
            Some(attempt) if attempt.began.is_some() => (cx.now.mono + NEXT_CHUNK, "a provider's next chunk"),
            Some(attempt) => (attempt.asked + attempt.patience, "a provider's first chunk"),
            None => (cx.now.mono, "a provider to try"),
        }
    }

    /// Gives when it is to be looked at again. Who reads nothing is not sent more.
    fn keep_alive(&mut self, cx: &mut Cx<'_>, user: StreamId) -> Time {
        let silent = self.said.is_none_or(|said| cx.now.mono - said >= KEEP_ALIVE);
        // So few bytes are no provider's to answer for: its relay does not count them.
        if silent && self.current.as_ref().is_some_and(|attempt| attempt.relay.is_drained()) {
            self.reply.keep_alive(cx, user);
        }
        match self.said {
            Some(said) if !silent => said + KEEP_ALIVE,
            _ => cx.now.mono + KEEP_ALIVE,
        }
    }

    fn acknowledge(&mut self, cx: &mut Cx<'_>) -> Option<Time> {
        self.current.as_mut()?.acknowledge(cx, &self.auth.content)
    }

    /// Hears one frame; SSE bytes for the user go to `sse`.
    fn hear(&mut self, cx: &mut Cx<'_>, heard: &Heard, sse: &mut Vec<u8>) -> Result<Step, &'static str> {
        let Some(attempt) = &mut self.current else { return Ok(Step::Go) };
        match heard.kind {
            Kind::Chunk => {
                let chunk: Chunk = cbor::decode(&heard.payload).map_err(|_| "a malformed chunk")?;
                if attempt.transcript.chunks() >= attempt.may_be_unsigned() {
                    return Err("a chunk where what came before is not signed yet");
                }
                attempt.transcript.add(&heard.payload);
                if attempt.cancelled {
                    let grant = attempt.relay.forwarded(heard.payload.len() + LIGHT_OVERHEAD, 0);
                    cx.grant(attempt.conversation.stream, grant);
                    return Ok(Step::Go);
                }
                let before = sse.len();
                let (text, unfit) = match self.reply.chunk(&chunk.data.0, sse) {
                    Ok(text) => (text, None),
                    Err(Unfit::Provider(what)) => return Err(what),
                    // The work was done as it was asked for.
                    Err(Unfit::User(error)) => (VECTOR, Some(error)),
                };
                attempt.text_bytes += text;
                attempt.began.get_or_insert(cx.now.mono);
                attempt.count(chunk.counts, &self.auth.content, self.plan.max_output);
                let grant = attempt.relay.forwarded(heard.payload.len() + LIGHT_OVERHEAD, sse.len() - before);
                cx.grant(attempt.conversation.stream, grant);
                Ok(unfit.map_or(Step::Go, Step::Unfit))
            }
            Kind::ProxyMark => {
                let mark: ProxyMark = cbor::decode(&heard.payload).map_err(|_| "a malformed mark")?;
                attempt.check(&mark, self.auth.content.request_id)?;
                attempt.marked = mark.chunks;
                let grant = attempt.relay.forwarded(heard.payload.len() + OVERHEAD, 0);
                cx.grant(attempt.conversation.stream, grant);
                Ok(Step::Go)
            }
            Kind::ProxyEnd => {
                let end: ProxyEnd = cbor::decode(&heard.payload).map_err(|_| "a malformed end")?;
                if end.broken.is_none() && !attempt.cancelled && !self.reply.has_all() {
                    return Err("an end before all answers");
                }
                attempt.end(cx, &end, &self.auth.content, self.plan.max_output)?;
                Ok(Step::Ended(end.statement, end.broken))
            }
            Kind::ProxyError => {
                let error: ProxyError = cbor::decode(&heard.payload).map_err(|_| "a malformed refusal")?;
                if error.request_id != self.auth.content.request_id || error.attempt != attempt.index {
                    return Err("a refusal of another job");
                }
                if let Some(release) = error.release {
                    let (auth_id, index) = (self.auth.content.auth_id, attempt.index);
                    let by = attempt.conversation.peer;
                    let said = open::<AttemptRelease>(cx.me.network, Some(by.0), &release.0);
                    let said = said.map_err(|_| "a release whose signature does not hold")?.content;
                    if said != (AttemptRelease { auth_id, attempt: index }) {
                        return Err("a release of another attempt");
                    }
                    self.releases.push(release);
                }
                Ok(Step::Refused(error.refusal))
            }
            _ => Err("a frame that has no place on a job stream"),
        }
    }
}

impl Attempt {
    /// The first chunk is signed for at once, the others in time.
    fn may_be_unsigned(&self) -> u64 {
        if self.marked == 0 { 1 } else { self.marked.saturating_add(MARK_CHUNKS) }
    }

    fn check(&self, mark: &ProxyMark, request_id: RequestId) -> Result<(), &'static str> {
        if mark.request_id != request_id || mark.attempt != self.index {
            return Err("a mark of another job");
        }
        // Each costs us a signature to check.
        if mark.chunks <= self.marked {
            return Err("a mark of nothing new");
        }
        if mark.chunks != self.transcript.chunks() || mark.transcript != self.transcript.hash() {
            return Err("a mark whose transcript is not of this stream");
        }
        if mark.counts != self.stated && !self.cancelled {
            return Err("a mark that states other counts than its chunks");
        }
        Ok(())
    }

    /// The provider's statement, if it is of this stream.
    fn end(
        &mut self,
        cx: &Cx<'_>,
        end: &ProxyEnd,
        auth: &JobAuthorization,
        max_output: u32,
    ) -> Result<(), &'static str> {
        let by = self.conversation.peer;
        let said = open::<UsageStatement>(cx.me.network, Some(by.0), &end.statement.0)
            .map_err(|_| "a statement whose signature does not hold")?
            .content;
        if (said.auth_id, said.attempt, said.fep_id) != (auth.auth_id, self.index, auth.fep_id) {
            return Err("a statement of another job");
        }
        if said.chunks != self.transcript.chunks() || said.transcript != self.transcript.hash() {
            return Err("a statement whose transcript is not of this stream");
        }
        let fits = match said.end {
            End::Complete => end.broken.is_none(),
            End::Broken => end.broken.is_some(),
            // It had been on its way before.
            End::Cancelled => self.cancelled,
            End::Forgotten => false,
        };
        if !fits {
            return Err("a statement of another end");
        }
        if !self.cancelled {
            self.count(said.counts, auth, max_output);
        }
        Ok(())
    }

    /// Tells the provider how much was taken, when it is time to; or gives when it will be.
    fn acknowledge(&mut self, cx: &mut Cx<'_>, auth: &JobAuthorization) -> Option<Time> {
        let new = self.accepted.output.saturating_sub(self.acked.output);
        if self.cancelled || new == 0 || mutant(Mutant::NeverAcks) {
            return None;
        }
        let due = self.acked_at.map(|at| at + ACK_EVERY).filter(|due| *due > cx.now.mono);
        if due.is_some() && new < ACK_TOKENS {
            return due;
        }
        let ack = cx.me.seal(StreamAck { auth_id: auth.auth_id, attempt: self.index, counts: self.accepted });
        self.conversation.say_light(cx, Kind::StreamAck, &cbor::encode(&Taken { ack: ack.bytes }));
        (self.acked, self.acked_at) = (self.accepted, Some(cx.now.mono));
        None
    }

    /// Tokens are accepted as far as text came for them, and no further than was asked for. A provider may correct
    /// itself downwards: a runtime's own count replaces the running estimate.
    fn count(&mut self, stated: Counts, auth: &JobAuthorization, max_output: u32) {
        let text = u32::try_from(self.text_bytes).unwrap_or(u32::MAX);
        self.accepted = stated.bounded_by(auth.input_bound, max_output.min(auth.max_output).min(text));
        self.stated = stated;
    }
}

impl Gateway {
    /// Goes to the next provider that the authorization names; without one the job ends with an error.
    pub(super) fn next_attempt(&mut self, cx: &mut Cx<'_>, mesh: &Mesh<'_>, id: RequestId) {
        self.own.release(id);
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let State::Running(running) = &mut job.state else { return };
        while let Some(named) = running.auth.content.attempts.get(running.next) {
            let index = running.next as u8;
            running.next += 1;
            let link = mesh.labnet.way_in(cx.me.node_id, named.provider);
            let candidate =
                running.plan.candidates.iter().find(|candidate| candidate.offer.hash == named.offer_hash.0);
            let (Some(link), Some(candidate)) = (link, candidate) else {
                self.router.unlinked(id, named.provider, cx.now.mono);
                continue;
            };
            let slug = candidate.offer.content.slug.clone();
            let stream = cx.open(link);
            let body = running.plan.request.for_provider(running.plan.max_output);
            let request = ProxyRequest {
                request_id: id,
                fep_id: running.auth.content.fep_id,
                authorization: running.auth.bytes.clone(),
                attempt: index,
                offer_hash: named.offer_hash,
                body_len: body.len() as u32,
                body_hash: Hash(*blake3::hash(&body).as_bytes()),
                descriptor: cx.feps.fresh_descriptor(self.fep_id, cx.now.mono),
            };
            let mut conversation = Conversation::new(cx.me.node_id, stream, named.provider);
            conversation.say(cx, Kind::ProxyRequest, &cbor::encode(&request));
            for piece in body.chunks(BODY_FRAME - 64) {
                conversation.say_light(cx, Kind::Body, piece);
            }
            self.router.asked(id, named.provider, cx.now.mono);
            let is_last = running.next >= running.auth.content.attempts.len();
            let own = self.own.at(&named.provider, candidate.key);
            let waits = self.loads.now(&named.provider, candidate.key, own) >= candidate.slots;
            let input_bound = running.plan.request.input_bound();
            let patience = match is_last {
                true => FIRST_CHUNK,
                false => self.router.patience(named.provider, &slug, cx.now.mono, waits, input_bound),
            };
            running.current = Some(Attempt {
                index,
                slug: slug.clone(),
                conversation,
                asked: cx.now.mono,
                patience,
                began: None,
                transcript: Transcript::default(),
                marked: 0,
                stated: Counts::default(),
                accepted: Counts::default(),
                text_bytes: 0,
                acked: Counts::default(),
                acked_at: None,
                cancelled: false,
                relay: Relay::default(),
            });
            running.reply.served_by(named.provider, &candidate.offer.content, running.next);
            self.own.begun(named.provider, candidate.key);
            self.attempts.insert(stream, id);
            let (at, why) = running.progress_due(cx);
            self.due.set(progress(id), at, why);
            return;
        }
        let error = failed(running.failed.as_ref(), running.plan.request.call);
        self.give_up(cx, id, &error);
    }

    pub(super) fn attempt_bytes(&mut self, cx: &mut Cx<'_>, mesh: &Mesh<'_>, id: RequestId, bytes: &[u8]) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let (user, State::Running(running)) = (job.user, &mut job.state) else { return };
        let Some(attempt) = &mut running.current else { return };
        attempt.conversation.push(bytes);
        let before = (attempt.transcript.chunks(), attempt.relay.is_drained());
        let not_begun = attempt.began.is_none();
        let mut sse = Vec::new();
        let outcome = loop {
            let Some(attempt) = &mut running.current else { break Ok(Step::Go) };
            let heard = match attempt.conversation.poll(cx) {
                Ok(Some(heard)) => heard,
                Ok(None) => break Ok(Step::Go),
                Err(reason) => break Err(reason),
            };
            match running.hear(cx, &heard, &mut sse) {
                Ok(Step::Go) => {}
                other => break other,
            }
        };
        let provider = running.current.as_ref().map(|attempt| attempt.conversation.peer);
        let mut progress_made = false;
        if let Some(attempt) = &mut running.current {
            let passed_over = match attempt.conversation.take_passed_over() {
                0 => 0,
                bytes => attempt.relay.forwarded(bytes, 0),
            };
            let grant = passed_over + attempt.relay.buffered(attempt.conversation.buffered());
            cx.grant(attempt.conversation.stream, grant);
            if let Some(at) = attempt.began.filter(|_| not_begun) {
                let (provider, after) = (attempt.conversation.peer, at - attempt.asked);
                self.router.began(id, provider, &attempt.slug, at, after);
            }
            // Only a chunk is progress, and it is none of a user's who has still to read an earlier one, or wants no more.
            progress_made = before.1 && attempt.transcript.chunks() > before.0 && !attempt.cancelled;
        }
        let dropped = mutant(Mutant::ChunkDropped) && !before.1;
        if !sse.is_empty() {
            running.said = Some(cx.now.mono);
        }
        if let Some(user) = user.filter(|_| !dropped) {
            running.reply.flush(cx, user, sse);
        }
        if matches!(outcome, Ok(Step::Go)) {
            match running.acknowledge(cx) {
                Some(at) => self.due.set(Due::Ack(id), at, "acknowledge what was taken"),
                None => self.due.clear(Due::Ack(id)),
            }
        }
        if progress_made {
            let (at, why) = running.progress_due(cx);
            self.due.set(progress(id), at, why);
        }
        match outcome {
            Ok(Step::Go) => {}
            Ok(Step::Ended(statement, broken)) => self.attempt_ended(cx, id, statement, broken),
            Ok(Step::Refused(refusal)) => self.attempt_failed(cx, mesh, id, refusal, REFUSED),
            Ok(Step::Unfit(error)) => {
                // What was done as it was asked for is acknowledged, or nobody could show that it was.
                running.acknowledge(cx);
                self.break_off(cx, id, &error);
            }
            Err(reason) => {
                if let Some(provider) = provider {
                    cx.note(provider, Deed::Offence(Offence::Malformed));
                }
                cx.warn(format!("req_{id}: gave up on its provider: {reason}"));
                self.attempt_lost(cx, mesh, id, "the provider broke the protocol");
            }
        }
    }

    /// Something is sent at least every so often, from the moment when a provider is to be asked.
    pub(super) fn keep_alive(&mut self, cx: &mut Cx<'_>, id: RequestId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let (Some(user), State::Running(running)) = (job.user, &mut job.state) else { return };
        let next = running.keep_alive(cx, user);
        self.due.set(Due::KeepAlive(id), next, "keep a stream alive");
    }

    /// The provider may wait for it, though nothing more comes.
    pub(super) fn ack_due(&mut self, cx: &mut Cx<'_>, id: RequestId) {
        if let Some(State::Running(running)) = self.jobs.get_mut(&id).map(|job| &mut job.state) {
            running.acknowledge(cx);
        }
    }

    /// The provider is gone, or of no use, without an end.
    pub(super) fn attempt_lost(
        &mut self,
        cx: &mut Cx<'_>,
        mesh: &Mesh<'_>,
        id: RequestId,
        why: &'static str,
    ) {
        let refusal = Refusal { code: RefusalCode::RuntimeFailed, message: why.to_string() };
        self.attempt_failed(cx, mesh, id, refusal, why);
    }

    pub(super) fn no_progress(&mut self, cx: &mut Cx<'_>, mesh: &Mesh<'_>, id: RequestId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let State::Running(running) = &mut job.state else { return };
        match &running.current {
            Some(attempt) if !attempt.relay.is_drained() && !attempt.cancelled => {
                cx.info(format!("req_{id}: the user stopped reading"));
                if let Some(user) = job.user.take() {
                    self.users.remove(&user);
                    abandon(cx, user);
                }
                self.cancel(cx, id);
            }
            // The last attempt is not cut off before its first chunk: there is nobody else to ask.
            Some(attempt)
                if attempt.began.is_none()
                    && !attempt.cancelled
                    && running.next >= running.auth.content.attempts.len() =>
            {
                let (provider, slug) = (attempt.conversation.peer, attempt.slug.clone());
                self.router.failed(id, provider, &slug, cx.now.mono, (true, SILENT));
                self.due.set(progress(id), job.deadline, "a provider's first chunk");
            }
            Some(_) | None => self.attempt_lost(cx, mesh, id, SILENT),
        }
    }

    /// `why` is for the log, and our own: a refusal's message is for the user alone, whose words it may quote.
    fn attempt_failed(
        &mut self,
        cx: &mut Cx<'_>,
        mesh: &Mesh<'_>,
        id: RequestId,
        refusal: Refusal,
        why: &'static str,
    ) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let State::Running(running) = &mut job.state else { return };
        let Some(attempt) = &running.current else { return };
        if attempt.cancelled {
            return self.end_running(cx, id, None);
        }
        cx.info(format!("req_{id}: {} did not serve: {:?}, {why}", attempt.slug, refusal.code));
        let (provider, at) = (attempt.conversation.peer, cx.now.mono);
        // One that was given less time than it may take is only not waited for.
        let hasty = why == SILENT && attempt.began.is_none() && at - attempt.asked < FIRST_CHUNK;
        let its_fault = is_its_fault(refusal.code) && !hasty;
        let what = (its_fault, if why == REFUSED { refusal.code.text() } else { why });
        if self.router.failed(id, provider, &attempt.slug, at, what) {
            cx.info(format!("{provider} failed again and again: it is left alone for a while"));
        }
        if attempt.began.is_some() && !mutant(Mutant::RetryAfterFirstToken) {
            let message =
                format!("The provider failed in the middle of its answer: {}", clip(&refusal.message));
            self.answer_broken(cx, id, &provider_failed(message));
            return self.end_running(cx, id, None);
        }
        let fatal = refusal.code == RefusalCode::BadRequest;
        running.failed = Some(refusal);
        if let Some(attempt) = running.current.take() {
            self.leave(cx, &attempt, true);
        }
        if fatal {
            let Some(State::Running(running)) = self.jobs.get(&id).map(|job| &job.state) else { return };
            let error = failed(running.failed.as_ref(), running.plan.request.call);
            return self.give_up(cx, id, &error);
        }
        self.next_attempt(cx, mesh, id);
    }

    fn attempt_ended(&mut self, cx: &mut Cx<'_>, id: RequestId, statement: Blob, broken: Option<Refusal>) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let State::Running(running) = &mut job.state else { return };
        let counts = running.current.as_ref().map(|attempt| attempt.accepted).unwrap_or_default();
        if let Some(attempt) = running.current.as_ref().filter(|attempt| !attempt.cancelled) {
            let (provider, now) = (attempt.conversation.peer, cx.now.mono);
            if let Some(broken) = &broken {
                let its_fault = is_its_fault(broken.code);
                self.router.failed(id, provider, &attempt.slug, now, (its_fault, "broke off"));
            } else {
                let took = attempt.began.map_or(Span::default(), |began| now - began);
                self.router.ended(id, provider, &attempt.slug, now, (counts.output, took));
            }
        }
        if let Some(broken) = broken {
            cx.info(format!("req_{id}: its provider broke off: {:?}", broken.code));
            let message =
                format!("The provider failed in the middle of its answer: {}", clip(&broken.message));
            self.answer_broken(cx, id, &provider_failed(message));
        } else if let Some(user) = job.user.take() {
            running.reply.end(cx, user, &counts);
            self.users.remove(&user);
        }
        self.end_running(cx, id, Some(statement));
    }

    /// Nobody served: nothing is owed, the hold is freed.
    fn give_up(&mut self, cx: &mut Cx<'_>, id: RequestId, error: &ApiError) {
        self.answer_broken(cx, id, error);
        self.end_running(cx, id, None);
    }

    /// Ends an answer in the middle, and the work on it.
    pub(super) fn break_off(&mut self, cx: &mut Cx<'_>, id: RequestId, why: &ApiError) {
        self.answer_broken(cx, id, why);
        self.cancel(cx, id);
    }

    /// An error event where a stream has begun, an error answer where not.
    fn answer_broken(&mut self, cx: &mut Cx<'_>, id: RequestId, why: &ApiError) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let State::Running(running) = &mut job.state else { return };
        if let Some(user) = job.user.take() {
            self.users.remove(&user);
            running.reply.break_off(cx, user, why);
        }
    }

    /// The user wants no more, or is not to have it: the provider is told, and has the last word.
    pub(super) fn cancel(&mut self, cx: &mut Cx<'_>, id: RequestId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let State::Running(running) = &mut job.state else { return };
        let Some(attempt) = &mut running.current else { return self.end_running(cx, id, None) };
        if attempt.cancelled {
            return;
        }
        attempt.cancelled = true;
        let stream = attempt.conversation.stream;
        cx.finish(stream);
        // Nobody has to take what is on its way.
        let grant = attempt.relay.taken(usize::MAX);
        cx.grant(stream, grant);
        let (at, why) = running.progress_due(cx);
        self.due.clear(Due::Total(id));
        self.due.set(progress(id), at, why);
    }

    /// The job is over, with the provider's statement where one came: settle what was delivered.
    fn end_running(&mut self, cx: &mut Cx<'_>, id: RequestId, statement: Option<Blob>) {
        let Some(job) = self.drop_job(id) else { return };
        let State::Running(running) = job.state else { return };
        let Running { plan, auth, current, releases, .. } = *running;
        let ended = Ended::nothing(id, auth, releases);
        let Some(attempt) = current else { return self.settle.begin(cx, ended) };
        let goes_on = statement.is_some() && !attempt.cancelled;
        self.leave(cx, &attempt, !goes_on);
        if statement.is_none() && attempt.accepted.output == 0 {
            return self.settle.begin(cx, ended);
        }
        let Counts { input, output, .. } = attempt.accepted;
        self.quotas.spent(job.key, u64::from(input) + u64::from(output), cx.now.mono);
        let named = ended.auth.content.attempts.get(usize::from(attempt.index));
        let terms = named.and_then(|named| {
            let (price, fees) = (plan.offer_of(named)?.price, ended.auth.content.fees);
            Some(Terms { price, fees, rate: named.rate })
        });
        self.settle.begin(
            cx,
            Ended {
                attempt: Some(attempt.index),
                terms,
                provider: Some(attempt.conversation.peer),
                accepted: attempt.accepted,
                statement,
                tail: goes_on.then(|| Tail::new(attempt.conversation)),
                ..ended
            },
        );
    }

    /// Stops counting an attempt, and ends its stream unless its receipt is still to go there.
    fn leave(&mut self, cx: &mut Cx<'_>, attempt: &Attempt, cut: bool) {
        let stream: StreamId = attempt.conversation.stream;
        self.attempts.remove(&stream);
        self.own.ended(attempt.conversation.peer, SlugKey::of(&attempt.slug));
        if cut {
            abandon(cx, stream);
        }
    }
}

/// What an attempt that its provider refused is called in the log.
const REFUSED: &str = "it refused";
const SILENT: &str = "the provider fell silent";

/// May others hear the same? A full provider serves later, and a bad request is nobody's fault but the user's.
const fn is_its_fault(code: RefusalCode) -> bool {
    match code {
        RefusalCode::ModelNotAvailable
        | RefusalCode::NotTrusted
        | RefusalCode::BadAuthorization
        | RefusalCode::RuntimeFailed => true,
        RefusalCode::Busy | RefusalCode::OfferChanged | RefusalCode::BadRequest | RefusalCode::Cancelled => {
            false
        }
    }
}

/// The error for a user whose request nobody served.
pub(super) fn failed(last: Option<&Refusal>, call: Call) -> ApiError {
    let Some(refusal) = last else {
        return ApiError::unavailable("no_provider", "No provider can be reached now. Try again shortly.");
    };
    let message = clip(&refusal.message);
    match refusal.code {
        RefusalCode::BadRequest if is_of_length(&refusal.message) => call.too_long(&message),
        // Which field of it, only the runtime knows.
        RefusalCode::BadRequest => ApiError::new(400, None, message),
        RefusalCode::Busy => {
            ApiError::new(429, Some("rate_limit_exceeded"), format!("All providers are busy: {message}"))
                .with_retry(Retry::After { seconds: 2 })
        }
        RefusalCode::ModelNotAvailable
        | RefusalCode::NotTrusted
        | RefusalCode::BadAuthorization
        | RefusalCode::OfferChanged
        | RefusalCode::RuntimeFailed
        | RefusalCode::Cancelled => {
            ApiError::unavailable("no_provider", format!("No provider could serve: {message}"))
        }
    }
}

pub(super) fn provider_failed(message: alloc::string::String) -> ApiError {
    ApiError::new(502, Some("provider_failed"), message)
}

pub(super) fn clip(message: &str) -> alloc::string::String {
    message.chars().take(256).collect()
}
