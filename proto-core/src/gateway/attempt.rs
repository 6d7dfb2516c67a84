//! An authorised request at a provider: the job stream, its chunks, its end; and the next provider where one fails
//! before the first byte. After the first byte nothing is ever replayed.

use alloc::{format, string::ToString, vec::Vec};

use super::job::{Plan, State, progress};
use super::reply::Reply;
use super::settle::{Ended, Tail};
use super::{Gateway, Mesh, abandon};
use crate::economics::Counts;
use crate::flow::Relay;
use crate::identity::NodeId;
use crate::labnet::conduct::{Deed, Offence};
use crate::labnet::conversation::{Conversation, Heard};
use crate::limits::{BODY_FRAME, FIRST_CHUNK, MARK_CHUNKS, NEXT_CHUNK, READER_STALL};
use crate::machine::StreamId;
use crate::mutants::{Mutant, mutant};
use crate::node::cx::Cx;
use crate::openai::answer::Piece;
use crate::openai::error::{ApiError, Retry};
use crate::time::Time;
use crate::wire::cbor;
use crate::wire::envelope::{Kind, LIGHT_OVERHEAD, OVERHEAD};
use crate::wire::ids::{Hash, RequestId};
use crate::wire::mesh::{
    Chunk, ProxyEnd, ProxyError, ProxyMark, ProxyRequest, Refusal, RefusalCode, Transcript,
};
use crate::wire::object::Sealed;
use crate::wire::portal::JobAuthorization;

pub(super) struct Running {
    plan: Plan,
    auth: Sealed<JobAuthorization>,
    reply: Reply,
    /// Which of the authorization's attempts comes next.
    next: usize,
    current: Option<Attempt>,
    /// Why the last attempt failed, if one did.
    failed: Option<Refusal>,
}

struct Attempt {
    index: u8,
    slug: alloc::string::String,
    conversation: Conversation,
    began: bool,
    transcript: Transcript,
    /// Chunks that the provider has signed for.
    marked: u64,
    /// As the provider states it, and as far as we accept that.
    stated: Counts,
    accepted: Counts,
    text_bytes: usize,
    relay: Relay,
}

/// What a frame of the provider's means for the job.
enum Step {
    Go,
    Refused(Refusal),
    Ended(ProxyEnd),
}

impl Running {
    pub(super) fn new(plan: Plan, auth: Sealed<JobAuthorization>, reply: Reply) -> Self {
        Self { plan, auth, reply, next: 0, current: None, failed: None }
    }

    pub(super) fn user_took(&mut self, cx: &mut Cx<'_>, bytes: usize) -> (Time, &'static str) {
        if let Some(attempt) = &mut self.current {
            let grant = attempt.relay.taken(bytes);
            cx.grant(attempt.conversation.stream, grant);
        }
        self.progress_due(cx)
    }

    /// When something must have happened, and what.
    fn progress_due(&self, cx: &Cx<'_>) -> (Time, &'static str) {
        match &self.current {
            Some(attempt) if !attempt.relay.is_drained() => (cx.now.mono + READER_STALL, "the user to read"),
            Some(attempt) if attempt.began => (cx.now.mono + NEXT_CHUNK, "a provider's next chunk"),
            _ => (cx.now.mono + FIRST_CHUNK, "a provider's first chunk"),
        }
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
                let before = sse.len();
                if let Some(piece) = Piece::parse(&chunk.data.0)? {
                    attempt.text_bytes += piece.text_bytes;
                    self.reply.piece(piece, sse)?;
                }
                attempt.began = true;
                attempt.count(chunk.counts, &self.auth.content, self.plan.max_output);
                let grant = attempt.relay.forwarded(heard.payload.len() + LIGHT_OVERHEAD, sse.len() - before);
                cx.grant(attempt.conversation.stream, grant);
                Ok(Step::Go)
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
                if end.request_id != self.auth.content.request_id || end.attempt != attempt.index {
                    return Err("an end of another job");
                }
                if end.chunks != attempt.transcript.chunks() || end.transcript != attempt.transcript.hash() {
                    return Err("an end whose transcript is not of this stream");
                }
                attempt.count(end.counts, &self.auth.content, self.plan.max_output);
                Ok(Step::Ended(end))
            }
            Kind::ProxyError => {
                let error: ProxyError = cbor::decode(&heard.payload).map_err(|_| "a malformed refusal")?;
                if error.request_id != self.auth.content.request_id || error.attempt != attempt.index {
                    return Err("a refusal of another job");
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
        if mark.counts != self.stated {
            return Err("a mark that states other counts than its chunks");
        }
        Ok(())
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
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let State::Running(running) = &mut job.state else { return };
        while let Some(named) = running.auth.content.attempts.get(running.next) {
            let index = running.next as u8;
            running.next += 1;
            let link = mesh.labnet.way_in(cx.me.node_id, named.provider);
            let candidate =
                running.plan.candidates.iter().find(|candidate| candidate.offer.hash == named.offer_hash.0);
            let (Some(link), Some(candidate)) = (link, candidate) else { continue };
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
            };
            let mut conversation = Conversation::new(cx.me.node_id, stream, named.provider);
            conversation.say(cx, Kind::ProxyRequest, &cbor::encode(&request));
            for piece in body.chunks(BODY_FRAME - 64) {
                conversation.say_light(cx, Kind::Body, piece);
            }
            running.current = Some(Attempt {
                index,
                slug: slug.clone(),
                conversation,
                began: false,
                transcript: Transcript::default(),
                marked: 0,
                stated: Counts::default(),
                accepted: Counts::default(),
                text_bytes: 0,
                relay: Relay::default(),
            });
            running.reply.served_by(named.provider, &slug, running.next);
            *self.in_flight.entry((named.provider, slug)).or_default() += 1;
            self.attempts.insert(stream, id);
            let (at, why) = running.progress_due(cx);
            self.due.set(progress(id), at, why);
            return;
        }
        let error = failed(running.failed.as_ref());
        self.give_up(cx, id, &error);
    }

    pub(super) fn attempt_bytes(&mut self, cx: &mut Cx<'_>, mesh: &Mesh<'_>, id: RequestId, bytes: &[u8]) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let (user, State::Running(running)) = (job.user, &mut job.state) else { return };
        let Some(attempt) = &mut running.current else { return };
        attempt.conversation.push(bytes);
        let before = (attempt.transcript.chunks(), attempt.relay.is_drained());
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
            // Only a chunk is progress, and it is none of a user's who has still to read an earlier one.
            progress_made = before.1 && attempt.transcript.chunks() > before.0;
        }
        let dropped = mutant(Mutant::ChunkDropped) && !before.1;
        if let Some(user) = user.filter(|_| !dropped) {
            running.reply.flush(cx, user, sse);
        }
        if progress_made {
            let (at, why) = running.progress_due(cx);
            self.due.set(progress(id), at, why);
        }
        match outcome {
            Ok(Step::Go) => {}
            Ok(Step::Ended(end)) => self.attempt_ended(cx, id, end),
            Ok(Step::Refused(refusal)) => self.attempt_failed(cx, mesh, id, refusal, "it refused"),
            Err(reason) => {
                if let Some(provider) = provider {
                    cx.note(provider, Deed::Offence(Offence::Malformed));
                }
                cx.warn(format!("req_{id}: gave up on its provider: {reason}"));
                self.attempt_lost(cx, mesh, id, "the provider broke the protocol");
            }
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
            Some(attempt) if !attempt.relay.is_drained() => {
                cx.info(format!("req_{id}: the user stopped reading"));
                if let Some(user) = job.user.take() {
                    self.users.remove(&user);
                    abandon(cx, user);
                }
                self.end_running(cx, id, false);
            }
            // The last attempt is not cut off before its first chunk: there is nobody else to ask.
            Some(attempt) if !attempt.began && running.next >= running.auth.content.attempts.len() => {
                self.due.set(progress(id), job.deadline, "a provider's first chunk");
            }
            Some(_) | None => self.attempt_lost(cx, mesh, id, "the provider fell silent"),
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
        cx.info(format!("req_{id}: {} did not serve: {:?}, {why}", attempt.slug, refusal.code));
        if attempt.began && !mutant(Mutant::RetryAfterFirstToken) {
            let message =
                format!("The provider failed in the middle of its answer: {}", clip(&refusal.message));
            return self.break_off(cx, id, "provider_failed", &message);
        }
        let fatal = refusal.code == RefusalCode::BadRequest;
        running.failed = Some(refusal);
        if let Some(attempt) = running.current.take() {
            self.leave(cx, &attempt, true);
        }
        if fatal {
            let Some(State::Running(running)) = self.jobs.get(&id).map(|job| &job.state) else { return };
            let error = failed(running.failed.as_ref());
            return self.give_up(cx, id, &error);
        }
        self.next_attempt(cx, mesh, id);
    }

    fn attempt_ended(&mut self, cx: &mut Cx<'_>, id: RequestId, end: ProxyEnd) {
        if let Some(broken) = end.broken {
            cx.info(format!("req_{id}: its provider broke off: {:?}", broken.code));
            let message =
                format!("The provider failed in the middle of its answer: {}", clip(&broken.message));
            return self.break_off(cx, id, "provider_failed", &message);
        }
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let (Some(user), State::Running(running)) = (job.user.take(), &mut job.state) else { return };
        let counts = running.current.as_ref().map(|attempt| attempt.accepted).unwrap_or_default();
        running.reply.end(cx, user, &counts);
        self.users.remove(&user);
        self.end_running(cx, id, true);
    }

    /// Nobody served: nothing is owed, the hold is freed.
    fn give_up(&mut self, cx: &mut Cx<'_>, id: RequestId, error: &ApiError) {
        if let Some(job) = self.jobs.get_mut(&id)
            && let Some(user) = job.user.take()
        {
            self.users.remove(&user);
            super::reply::error(cx, user, id, error);
        }
        self.end_running(cx, id, false);
    }

    /// Ends an answer in the middle: an error event where a stream has begun, an error answer where not.
    pub(super) fn break_off(&mut self, cx: &mut Cx<'_>, id: RequestId, code: &'static str, message: &str) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let State::Running(running) = &mut job.state else { return };
        if let Some(user) = job.user.take() {
            self.users.remove(&user);
            running.reply.break_off(cx, user, id, code, message);
        }
        self.end_running(cx, id, false);
    }

    /// The job is over for its user: settle what was delivered.
    pub(super) fn end_running(&mut self, cx: &mut Cx<'_>, id: RequestId, complete: bool) {
        let Some(job) = self.drop_job(id) else { return };
        let State::Running(running) = job.state else { return };
        let Running { auth, current, reply, .. } = *running;
        let Some(attempt) = current else { return self.settle.begin(cx, Ended::nothing(id, auth)) };
        self.leave(cx, &attempt, !complete);
        // What a user without a stream never got is not charged; nor is an answer that broke off before its first token.
        let owed = complete || (reply.is_stream() && attempt.accepted.output > 0);
        if !owed {
            return self.settle.begin(cx, Ended::nothing(id, auth));
        }
        self.settle.begin(
            cx,
            Ended {
                id,
                auth,
                attempt: Some(attempt.index),
                provider: Some(attempt.conversation.peer),
                accepted: attempt.accepted,
                stated: attempt.stated,
                complete,
                transcript: attempt.transcript.hash(),
                tail: complete.then(|| Tail::new(attempt.conversation)),
            },
        );
    }

    /// Stops counting an attempt, and ends its stream unless its receipt is still to go there.
    fn leave(&mut self, cx: &mut Cx<'_>, attempt: &Attempt, cut: bool) {
        let stream: StreamId = attempt.conversation.stream;
        self.attempts.remove(&stream);
        let key: (NodeId, _) = (attempt.conversation.peer, attempt.slug.clone());
        if let Some(count) = self.in_flight.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.in_flight.remove(&key);
            }
        }
        if cut {
            abandon(cx, stream);
        }
    }
}

/// The error for a user whose request nobody served.
fn failed(last: Option<&Refusal>) -> ApiError {
    let Some(refusal) = last else {
        return ApiError::unavailable("no_provider", "No provider can be reached now. Try again shortly.");
    };
    let message = clip(&refusal.message);
    match refusal.code {
        RefusalCode::BadRequest if message.contains("context") => {
            ApiError::new(400, Some("context_length_exceeded"), message)
        }
        RefusalCode::BadRequest => ApiError::new(400, None, message),
        RefusalCode::Busy => {
            ApiError::new(429, Some("rate_limit_exceeded"), format!("All providers are busy: {message}"))
                .with_retry(Retry::After { seconds: 2 })
        }
        RefusalCode::ModelNotAvailable
        | RefusalCode::NotTrusted
        | RefusalCode::BadAuthorization
        | RefusalCode::OfferChanged
        | RefusalCode::RuntimeFailed => {
            ApiError::unavailable("no_provider", format!("No provider could serve: {message}"))
        }
    }
}

fn clip(message: &str) -> alloc::string::String {
    message.chars().take(256).collect()
}
