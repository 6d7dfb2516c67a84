//! Users of this node's own, served for nothing: whoever reaches the socket may use what runs on this node's Portmans. No key, no
//! portal, no mesh; what others pay for goes first where both wait for a slot.
//!
//! ```text
//!   Reading --body--> Asked, waits --a slot--> Asked, works --its end--> answered
//!      |4xx 503            |503    ^--no first byte, another Portman--|  |after the first byte an error event
//! ```

use alloc::{boxed::Box, collections::BTreeMap, collections::VecDeque, format, string::String, vec::Vec};

use super::abandon;
use super::attempt::{clip, failed, provider_failed};
use super::job::{check_head, full, leaves, no_room, no_such_model, nobody, too_large};
use super::reply::{self, Reply, Unfit};
use crate::economics::Counts;
use crate::flow::Relay;
use crate::http::{Body, RequestHead};
use crate::limits::{
    ATTEMPTS, BYGONE_FOR, GATEWAY_JOBS, HTTP_BODY, JOB_TOTAL, KEEP_ALIVE, NEXT_CHUNK, READER_STALL,
};
use crate::machine::{LinkId, StreamId};
use crate::names::{Aliases, Asked as Name};
use crate::node::config;
use crate::node::cx::Cx;
use crate::openai::error::ApiError;
use crate::openai::models::{self, Listed};
use crate::openai::request::Request;
use crate::openai::route::Route;
use crate::openai::task::Call;
use crate::provider::{Credit, Here, NotStarted, PortmanJob, Provider};
use crate::rng::{Seed, Stream};
use crate::routing::NoCandidate;
use crate::routing::hints::Hints;
use crate::time::{Time, Wake};
use crate::timers::Timers;
use crate::wire::ids::RequestId;
use crate::wire::mesh::{Refusal, RefusalCode};
use crate::wire::portman::FromPortman;

pub(crate) struct Unpaid {
    /// The largest body of a request.
    body: usize,
    aliases: Aliases,
    origins: Vec<String>,
    rng: Stream,
    /// By their users' exchanges.
    jobs: BTreeMap<StreamId, Job>,
    running: BTreeMap<PortmanJob, StreamId>,
    /// For a slot, in the order in which they came.
    waiting: VecDeque<StreamId>,
    /// Bytes of bodies whose answers have not begun.
    held: usize,
    due: Timers<Due>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// The whole job.
    Total(StreamId),
    /// A model that is not in memory now; the runtime's next chunk, or the user's next read.
    Progress(StreamId),
    /// A user's stream may have been silent for long.
    KeepAlive(StreamId),
}

struct Job {
    id: RequestId,
    call: Call,
    state: State,
}

enum State {
    Reading(Body),
    Asked(Box<Asked>),
}

struct Asked {
    /// Until its answer begins: others may have to be asked for it. While it waits it is held as it came, which is less.
    body: Vec<u8>,
    request: Option<Request>,
    reply: Reply,
    /// Who could serve it, and did not fail at it.
    whom: Vec<Here>,
    /// Portmans that it was given to.
    attempts: usize,
    work: Option<Work>,
    /// When the user was sent something last.
    said: Time,
}

struct Work {
    here: Here,
    portman: PortmanJob,
    credit: Credit,
    relay: Relay,
    /// Its first chunk came.
    began: bool,
}

impl Unpaid {
    pub(crate) fn new(config: &config::Unpaid, seed: &Seed) -> Self {
        Self {
            body: config.body.min(HTTP_BODY),
            aliases: config.aliases.clone(),
            origins: config.origins.clone(),
            rng: seed.stream("unpaid"),
            jobs: BTreeMap::new(),
            running: BTreeMap::new(),
            waiting: VecDeque::new(),
            held: 0,
            due: Timers::default(),
        }
    }

    pub(crate) fn jobs_under_way(&self) -> usize {
        self.jobs.len()
    }

    pub(crate) fn request(
        &mut self,
        cx: &mut Cx<'_>,
        provider: &Provider,
        user: StreamId,
        head: &RequestHead,
    ) {
        let id = RequestId(self.rng.bytes());
        if let Some(origin) =
            head.header("origin").filter(|origin| !self.origins.iter().any(|may| may == origin))
        {
            let origin: String = origin.chars().take(64).collect();
            let message = format!(
                "Web pages of {origin} may not use this node. Its operator allows them by `origins` in its [gateway] table."
            );
            let error = ApiError::new(403, Some("origin_not_allowed"), message);
            return reply::error(cx, user, id, None, &error);
        }
        let here = || provider.in_memory().collect::<Vec<Here>>();
        let body = match Route::of(&head.method, &head.path) {
            Ok(Route::Call(call)) => return self.begin(cx, user, head, id, call),
            Ok(Route::Preflight) => return reply::preflight(cx, user, id),
            Ok(Route::Models) => Ok(models::list(&listed(&here()), &self.aliases)),
            Ok(Route::Model(name)) => {
                models::one(&listed(&here()), &self.aliases, &name).ok_or_else(|| no_such_model(&name))
            }
            Err(error) => Err(error),
        };
        reply::at_once(cx, user, id, head, &body);
    }

    fn begin(&mut self, cx: &mut Cx<'_>, user: StreamId, head: &RequestHead, id: RequestId, call: Call) {
        let may = match () {
            () if cx.me.leaves => Err(leaves()),
            () if self.jobs.len() >= GATEWAY_JOBS => Err(no_room()),
            () => check_head(head, self.body),
        };
        if let Err(error) = may {
            return reply::error(cx, user, id, None, &error);
        }
        self.jobs.insert(user, Job { id, call, state: State::Reading(Body::up_to(self.body)) });
        self.due.set(Due::Total(user), cx.now.mono + JOB_TOTAL, "a job's total time");
    }

    pub(crate) fn bytes(&mut self, cx: &mut Cx<'_>, user: StreamId, bytes: &[u8]) {
        while self.held + bytes.len() > cx.me.caps.bodies() {
            // Whoever sends most makes room for the others.
            let Some(largest) = self.largest_body() else { return self.refuse(cx, user, &full()) };
            self.refuse(cx, largest, &full());
        }
        let Some(Job { state: State::Reading(body), .. }) = self.jobs.get_mut(&user) else { return };
        match body.push(bytes) {
            Ok(()) => {
                self.held += bytes.len();
                cx.grant(user, bytes.len());
            }
            Err(_) => self.refuse(cx, user, &too_large(self.body)),
        }
    }

    /// Of those that are not whole.
    fn largest_body(&self) -> Option<StreamId> {
        let bodies = self.jobs.iter().filter_map(|(user, job)| match &job.state {
            State::Reading(body) => Some((body.len(), *user)),
            State::Asked(_) => None,
        });
        bodies.max().map(|(_, user)| user)
    }

    /// The body is whole: is it right, and who could serve it?
    pub(crate) fn finished(&mut self, cx: &mut Cx<'_>, provider: &mut Provider, user: StreamId) {
        let Some(job) = self.jobs.get_mut(&user) else { return };
        let State::Reading(body) = &mut job.state else { return };
        let body = body.take();
        self.held -= body.len();
        let request = match Request::parse(job.call, &body) {
            Ok(request) => without_hints(request),
            Err(error) => return self.refuse(cx, user, &error),
        };
        let name = Name::of(&request.model, &self.aliases);
        let mut whom: Vec<Here> = provider.in_memory().filter(|here| name.is_served_by(&here.slug)).collect();
        let known = !whom.is_empty();
        whom.retain(|here| request.fits(here.context_length));
        if whom.is_empty() {
            let why = match known {
                true => NoCandidate::TooLong,
                false if provider.awaits_models() => NoCandidate::Awaited,
                false => NoCandidate::Unknown,
            };
            return self.refuse(cx, user, &nobody(&request, why));
        }
        let reply = Reply::new(&request, job.id, "unpaid", None, cx.now.wall);
        if reply.is_events() {
            self.due.set(Due::KeepAlive(user), cx.now.mono + KEEP_ALIVE, "keep a stream alive");
        }
        self.held += body.len();
        let (request, said) = (Some(request), cx.now.mono);
        let asked = Asked { body, request, reply, whom, attempts: 0, work: None, said };
        job.state = State::Asked(Box::new(asked));
        self.waiting.push_back(user);
        self.go_on(cx, provider);
    }

    /// Slots may have become free, or a model be lost.
    pub(crate) fn go_on(&mut self, cx: &mut Cx<'_>, provider: &mut Provider) {
        for user in core::mem::take(&mut self.waiting) {
            if self.waits(cx, provider, user) {
                self.waiting.push_back(user);
            }
        }
    }

    /// Starts a job where there is a slot for it. False: it does not wait any more.
    fn waits(&mut self, cx: &mut Cx<'_>, provider: &mut Provider, user: StreamId) -> bool {
        let Some(Job { id, call, state: State::Asked(asked) }) = self.jobs.get_mut(&user) else {
            return false;
        };
        let there = asked.whom.iter().filter_map(|here| Some((provider.free_slots(here)?, here)));
        let Some((free, here)) = there.max_by_key(|(free, _)| *free) else {
            if cx.me.leaves {
                self.end(cx, user, &leaves());
                return false;
            }
            // Its Portman may be starting again.
            asked.request = None;
            if !self.due.is_set(Due::Progress(user)) {
                self.due.set(
                    Due::Progress(user),
                    cx.now.mono + BYGONE_FOR,
                    "its model to be in memory again",
                );
            }
            return true;
        };
        self.due.clear(Due::Progress(user));
        if free == 0 {
            asked.request = None;
            return true;
        }
        let here = here.clone();
        let request = asked.request.take().map_or_else(|| Request::parse(*call, &asked.body), Ok);
        let started = request.and_then(|request| {
            let most = request.output().most(here.context_length, here.context_length);
            provider.start_unpaid(cx, &here, request.as_sent(most)).map_err(|why| match why {
                NotStarted::TooLong => too_large(HTTP_BODY),
                NotStarted::NoPortman => nobody(&request, NoCandidate::Awaited),
            })
        });
        let portman = match started {
            Ok(portman) => portman,
            Err(error) => {
                self.end(cx, user, &error);
                return false;
            }
        };
        cx.debug(format!("req_{id}: running on {}", here.slug));
        asked.attempts += 1;
        asked.reply.served_here(cx.me.node_id, &here.slug, asked.attempts);
        asked.work =
            Some(Work { here, portman, credit: Credit::new(), relay: Relay::default(), began: false });
        self.running.insert(portman, user);
        false
    }

    pub(crate) fn portman_says(
        &mut self,
        cx: &mut Cx<'_>,
        provider: &mut Provider,
        portman: PortmanJob,
        message: FromPortman,
    ) {
        let Some(user) = self.running.get(&portman).copied() else { return };
        match message {
            FromPortman::Chunk { data, .. } => self.chunk(cx, provider, user, &data),
            FromPortman::Done { counts, .. } => self.done(cx, provider, user, &counts),
            FromPortman::Failed { fault, message, .. } => {
                let refusal = Refusal { code: fault.into(), message: clip(&message) };
                self.failed(cx, provider, user, refusal, false);
            }
            FromPortman::Hello { .. } | FromPortman::NotMoved { .. } => {}
        }
    }

    fn chunk(&mut self, cx: &mut Cx<'_>, provider: &mut Provider, user: StreamId, data: &str) {
        let Some(Job { state: State::Asked(asked), .. }) = self.jobs.get_mut(&user) else { return };
        let Some(work) = &mut asked.work else { return };
        if !work.credit.spend(data.len()) {
            return self.broke(cx, provider, user, "its Portman sent more than it was granted");
        }
        if !core::mem::replace(&mut work.began, true) {
            self.held -= core::mem::take(&mut asked.body).len();
        }
        let mut out = Vec::new();
        match asked.reply.chunk(data.as_bytes(), &mut out) {
            Ok(_) => {}
            Err(Unfit::Provider(what)) => return self.broke(cx, provider, user, what),
            Err(Unfit::User(error)) => {
                self.cancel(cx, provider, user);
                return self.end(cx, user, &error);
            }
        }
        let was_drained = work.relay.is_drained();
        let grant = work.relay.forwarded(data.len(), out.len());
        if let Some(bytes) = work.credit.add(grant) {
            provider.grant_unpaid(cx, work.portman, bytes);
        }
        if !out.is_empty() {
            asked.said = cx.now.mono;
            asked.reply.flush(cx, user, out);
        }
        // None is progress of a user's who has still to read an earlier one.
        if was_drained {
            self.await_progress(cx, user);
        }
    }

    fn await_progress(&mut self, cx: &Cx<'_>, user: StreamId) {
        let Some(work) = self.asked(user).and_then(|asked| asked.work.as_ref()) else { return };
        let (after, why) = match work.relay.is_drained() {
            true => (NEXT_CHUNK, "a runtime's next chunk"),
            false => (READER_STALL, "the user to read"),
        };
        self.due.set(Due::Progress(user), cx.now.mono + after, why);
    }

    fn done(&mut self, cx: &mut Cx<'_>, provider: &mut Provider, user: StreamId, counts: &Counts) {
        let Some(asked) = self.asked(user) else { return };
        if !asked.reply.has_all() {
            let message = "an end before all answers".into();
            let refusal = Refusal { code: RefusalCode::RuntimeFailed, message };
            return self.failed(cx, provider, user, refusal, false);
        }
        asked.reply.end(cx, user, counts);
        self.drop_job(provider, user);
    }

    /// The Portman is done with it, and it is not done: somebody else may do it, if nothing of it was given yet, or the same Portman
    /// when it was `lost` and is there again.
    fn failed(
        &mut self,
        cx: &mut Cx<'_>,
        provider: &mut Provider,
        user: StreamId,
        refusal: Refusal,
        lost: bool,
    ) {
        let Some(Job { id, call, state: State::Asked(asked) }) = self.jobs.get_mut(&user) else { return };
        let Some(work) = asked.work.take() else { return };
        self.running.remove(&work.portman);
        provider.unpaid_is_over(work.portman, &work.here);
        cx.info(format!("req_{id}: {} did not serve: {:?}", work.here.slug, refusal.code));
        if work.began {
            let message = format!("The runtime failed in the middle of its answer: {}", refusal.message);
            return self.end(cx, user, &provider_failed(message));
        }
        if !lost || asked.attempts >= ATTEMPTS {
            asked.whom.retain(|here| here.slug != work.here.slug);
        }
        if refusal.code == RefusalCode::BadRequest || asked.whom.is_empty() {
            let error = failed(Some(&refusal), *call);
            return self.end(cx, user, &error);
        }
        self.waiting.push_front(user);
    }

    /// It can't go on, though its Portman would.
    fn broke(&mut self, cx: &mut Cx<'_>, provider: &mut Provider, user: StreamId, why: &str) {
        self.cancel(cx, provider, user);
        self.end(
            cx,
            user,
            &provider_failed(format!("The runtime failed in the middle of its answer: {why}")),
        );
    }

    pub(crate) fn portman_lost(&mut self, cx: &mut Cx<'_>, provider: &mut Provider, link: LinkId) {
        let lost: Vec<StreamId> =
            self.running.range((link, 0)..=(link, u64::MAX)).map(|(_, user)| *user).collect();
        for user in lost {
            let message = "its Portman was lost".into();
            let refusal = Refusal { code: RefusalCode::RuntimeFailed, message };
            self.failed(cx, provider, user, refusal, true);
        }
    }

    /// The user took bytes of the answer.
    pub(crate) fn credit(&mut self, cx: &mut Cx<'_>, provider: &mut Provider, user: StreamId, bytes: u32) {
        let Some(work) = self.asked(user).and_then(|asked| asked.work.as_mut()) else { return };
        if work.relay.is_drained() {
            return;
        }
        let grant = work.relay.taken(bytes as usize);
        if let Some(bytes) = work.credit.add(grant) {
            provider.grant_unpaid(cx, work.portman, bytes);
        }
        self.await_progress(cx, user);
    }

    /// The user left.
    pub(crate) fn reset(&mut self, cx: &mut Cx<'_>, provider: &mut Provider, user: StreamId) {
        if let Some(job) = self.jobs.get(&user) {
            cx.info(format!("req_{}: the user left", job.id));
        }
        self.cancel(cx, provider, user);
        self.drop_job(provider, user);
    }

    pub(crate) fn handle_timeout(&mut self, cx: &mut Cx<'_>, provider: &mut Provider) {
        while let Some(due) = self.due.expired(cx.now.mono) {
            match due {
                Due::Total(user) => self.out_of_time(cx, provider, user),
                Due::Progress(user) => self.no_progress(cx, provider, user),
                Due::KeepAlive(user) => self.keep_alive(cx, user),
            }
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Wake> {
        self.due.next()
    }

    fn out_of_time(&mut self, cx: &mut Cx<'_>, provider: &mut Provider, user: StreamId) {
        self.cancel(cx, provider, user);
        let message = format!("The request took longer than {} s.", JOB_TOTAL.as_millis() / 1_000);
        let status = if self.asked(user).is_some_and(|asked| asked.attempts > 0) { 502 } else { 408 };
        self.end(cx, user, &ApiError::new(status, Some("timeout"), message));
    }

    fn no_progress(&mut self, cx: &mut Cx<'_>, provider: &mut Provider, user: StreamId) {
        let Some(asked) = self.asked(user) else { return };
        let Some(work) = &asked.work else {
            let error = ApiError::unavailable(
                "no_provider",
                "The model is not in memory any more, and did not come back. Try again shortly.",
            );
            return self.end(cx, user, &error);
        };
        if work.relay.is_drained() {
            return self.broke(cx, provider, user, "the runtime fell silent");
        }
        if let Some(job) = self.jobs.get(&user) {
            cx.info(format!("req_{}: the user stopped reading", job.id));
        }
        abandon(cx, user);
        self.cancel(cx, provider, user);
        self.drop_job(provider, user);
    }

    /// Something is sent at least every so often; who reads nothing is not sent more.
    fn keep_alive(&mut self, cx: &mut Cx<'_>, user: StreamId) {
        let Some(asked) = self.asked(user) else { return };
        let silent = cx.now.mono - asked.said >= KEEP_ALIVE;
        if silent && asked.work.as_ref().is_none_or(|work| work.relay.is_drained()) {
            asked.reply.keep_alive(cx, user);
        }
        let next = if silent { cx.now.mono } else { asked.said } + KEEP_ALIVE;
        self.due.set(Due::KeepAlive(user), next, "keep a stream alive");
    }

    fn asked(&mut self, user: StreamId) -> Option<&mut Asked> {
        match &mut self.jobs.get_mut(&user)?.state {
            State::Asked(asked) => Some(asked),
            State::Reading(_) => None,
        }
    }

    /// Stops the runtime, where it works for this job.
    fn cancel(&mut self, cx: &mut Cx<'_>, provider: &mut Provider, user: StreamId) {
        let Some(work) = self.asked(user).and_then(|asked| asked.work.take()) else { return };
        self.running.remove(&work.portman);
        provider.cancel_unpaid(cx, work.portman, &work.here);
    }

    /// An error answer, or an error event where an answer has begun.
    fn end(&mut self, cx: &mut Cx<'_>, user: StreamId, why: &ApiError) {
        let Some(asked) = self.asked(user) else { return self.refuse(cx, user, why) };
        asked.reply.break_off(cx, user, why);
        self.forget(user);
    }

    /// Before it is known what is asked.
    fn refuse(&mut self, cx: &mut Cx<'_>, user: StreamId, error: &ApiError) {
        if let Some(job) = self.forget(user) {
            cx.debug(format!("req_{} answered {}", job.id, error.status));
            reply::error(cx, user, job.id, None, error);
        }
    }

    fn drop_job(&mut self, provider: &mut Provider, user: StreamId) {
        let Some(Job { state: State::Asked(asked), .. }) = self.forget(user) else { return };
        if let Some(work) = asked.work {
            self.running.remove(&work.portman);
            provider.unpaid_is_over(work.portman, &work.here);
        }
    }

    fn forget(&mut self, user: StreamId) -> Option<Job> {
        let job = self.jobs.remove(&user)?;
        self.held -= match &job.state {
            State::Reading(body) => body.len(),
            State::Asked(asked) => asked.body.len(),
        };
        self.waiting.retain(|waiting| *waiting != user);
        self.due.clear(Due::Total(user));
        self.due.clear(Due::Progress(user));
        self.due.clear(Due::KeepAlive(user));
        Some(job)
    }
}

/// There is nobody to choose among.
fn without_hints(mut request: Request) -> Request {
    if request.hints != Hints::default() {
        request.ignored.push("provider".into());
    }
    request
}

fn listed(here: &[Here]) -> Vec<Listed<'_>> {
    let listed = here.iter().map(|Here { slug, context_length, slots, .. }| Listed {
        slug,
        context_length: *context_length,
        slots: *slots,
        offer: None,
    });
    listed.collect()
}
