//! The paying side: takes users' requests over HTTP, has the FEP authorise each, tries providers in order, streams the
//! answer back and settles what was delivered.
//!
//! ```text
//!   Reading --body--> Recording --stored--> Asking --authorised--> Running --end--> settled apart (settle.rs)
//!      |  \-> Inviting -^ (inviting.rs: only providers without a link could serve it)
//!      |400 413 404 503    |503                |401 429 503            |next attempt, or 503; after the
//!                                                                      |first byte an error event
//! ```

mod attempt;
mod courier;
mod inviting;
mod job;
mod loads;
mod own;
mod quota;
mod reply;
mod rows;
mod settle;
mod unpaid;

use alloc::{collections::BTreeMap, string::String, string::ToString, vec::Vec};

use courier::Courier;
use inviting::Invited;
use job::{Job, State};
use loads::Loads;
use own::Owns;
use quota::Quotas;
pub(crate) use rows::TABLE;
use settle::Settle;
pub(crate) use unpaid::Unpaid;

use crate::gossip::{Gossip, View};
use crate::http::{RequestHead, ResponseHead};
use crate::identity::{FepId, NodeId};
use crate::labnet::Labnet;
use crate::labnet::conduct::{Deed, Offence};
use crate::limits::{GATEWAY_JOBS, HTTP_BODY};
use crate::machine::{Completion, OpId, ResetCode, StreamId};
use crate::market::{Slots, demand::Demand};
use crate::names::Aliases;
use crate::node::config;
use crate::node::cx::Cx;
use crate::node::fep::{Answer, FepCalls};
use crate::openai::error::ApiError;
use crate::openai::models::{self, Listed};
use crate::openai::route::Route;
use crate::openai::task::Call;
use crate::rng::{Seed, Stream};
use crate::routing::Router;
use crate::store::{BadRow, Snapshot, StoreError};
use crate::time::{Time, Wake};
use crate::timers::Timers;
use crate::wire::cbor;
use crate::wire::envelope::Kind;
use crate::wire::ids::RequestId;
use crate::wire::mesh::Errand;
use crate::wire::portal::key_digest;

/// A message for a connected node.
pub(crate) struct Tell {
    pub(crate) to: NodeId,
    pub(crate) kind: Kind,
    pub(crate) payload: Vec<u8>,
}

/// The mesh, as far as a request needs it.
pub(crate) struct Mesh<'a> {
    pub(crate) gossip: &'a Gossip,
    pub(crate) labnet: &'a Labnet,
}

/// What a call to the FEP was for.
#[derive(Clone, Copy, Debug)]
enum Purpose {
    Authorize(RequestId),
    Settle(RequestId),
    /// For that node, under its number.
    Errand(NodeId, u64),
}

pub(crate) struct Gateway {
    fep_id: FepId,
    fep_url: String,
    aliases: Aliases,
    /// The largest body of a request.
    body: usize,
    rng: Stream,
    router: Router,
    jobs: BTreeMap<RequestId, Job>,
    /// Bytes of bodies that are not whole, or wait for a provider.
    reading: usize,
    /// A user's exchange, and an attempt's job stream, by stream.
    users: BTreeMap<StreamId, RequestId>,
    attempts: BTreeMap<StreamId, RequestId>,
    /// This gateway's own jobs under way, by provider and slug.
    own: Owns,
    recording: BTreeMap<OpId, RequestId>,
    calls: FepCalls<Purpose>,
    /// Authorizations by a key that is not known here, until their FEP has been asked for its keys.
    unverified: Vec<(RequestId, Vec<u8>)>,
    due: Timers<Due>,
    settle: Settle,
    courier: Courier,
    loads: Loads,
    quotas: Quotas,
    demand: Demand,
    /// Providers that were asked to call and have not come; those that are to be asked now.
    invited: BTreeMap<NodeId, Invited>,
    invites: Vec<NodeId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// The whole job.
    Total(RequestId),
    /// A provider that was asked to call.
    Invited(RequestId),
    /// Its provider's next chunk, or its user's next read.
    Progress(RequestId),
    /// What was taken is to be acknowledged.
    Ack(RequestId),
    /// A user's stream may have been silent for long.
    KeepAlive(RequestId),
}

impl Gateway {
    pub(crate) fn new(
        config: &config::Gateway,
        feps: &[config::Fep],
        seed: &Seed,
        snapshot: &Snapshot,
        now: Time,
    ) -> Result<Self, BadRow> {
        let fep_url = feps.iter().find(|fep| fep.fep_id == config.fep).map(|fep| fep.url.clone());
        Ok(Self {
            fep_id: config.fep,
            fep_url: fep_url.unwrap_or_default(),
            aliases: config.aliases.clone(),
            body: config.body.min(HTTP_BODY),
            rng: seed.stream("gateway"),
            router: Router::new(config.routing.clone(), seed.stream("routing"), now),
            jobs: BTreeMap::new(),
            reading: 0,
            users: BTreeMap::new(),
            attempts: BTreeMap::new(),
            own: Owns::default(),
            recording: BTreeMap::new(),
            calls: FepCalls::default(),
            unverified: Vec::new(),
            due: Timers::default(),
            settle: Settle::new(snapshot, now)?,
            courier: Courier::default(),
            loads: Loads::default(),
            quotas: Quotas::new(config.key_limits),
            demand: Demand::default(),
            invited: BTreeMap::new(),
            invites: Vec::new(),
        })
    }

    /// Jobs that await their receipt's way to the provider.
    pub(crate) fn unsettled(&self) -> usize {
        self.settle.len()
    }

    pub(crate) fn jobs_under_way(&self) -> usize {
        self.jobs.len()
    }

    pub(crate) fn fep(&self) -> FepId {
        self.fep_id
    }

    pub(crate) fn request(&mut self, cx: &mut Cx<'_>, mesh: &Mesh<'_>, stream: StreamId, head: &RequestHead) {
        let id = RequestId(self.rng.bytes());
        let body = match Route::of(&head.method, &head.path) {
            Ok(Route::Call(call)) => return self.begin(cx, stream, head, id, call),
            Ok(Route::Preflight) => return reply::preflight(cx, stream, id),
            Ok(Route::Models) => Ok(models::list(&mesh.listed(cx), &self.aliases)),
            Ok(Route::Model(name)) => {
                models::one(&mesh.listed(cx), &self.aliases, &name).ok_or_else(|| job::no_such_model(&name))
            }
            Err(error) => Err(error),
        };
        reply::at_once(cx, stream, id, head, &body);
    }

    fn begin(&mut self, cx: &mut Cx<'_>, stream: StreamId, head: &RequestHead, id: RequestId, call: Call) {
        let key = match head.bearer().map(key_digest) {
            None => Err(ApiError::no_key()),
            Some(key) if self.quotas.is_refused(&key, cx.now.mono) => Err(job::no_such_key()),
            Some(_) if cx.clock_is_wrong() => Err(job::clock_is_wrong()),
            Some(_) if cx.me.leaves => Err(job::leaves()),
            Some(_) if cx.feps.described(self.fep_id).is_none() => Err(job::keys_unknown()),
            Some(_) if self.jobs.len() + self.settle.reporting() >= GATEWAY_JOBS => Err(job::no_room()),
            Some(key) => job::check_head(head, self.body).map(|()| key),
        };
        let key = match key {
            Ok(key) => key,
            Err(error) => return reply::error(cx, stream, id, None, &error),
        };
        let (left, begins) = self.quotas.begins(key, cx.now.mono);
        if let Err(error) = begins {
            return reply::error(cx, stream, id, Some(&left), &error);
        }
        let job = Job::new(id, stream, call, self.body, (key, left), cx.now.mono);
        self.due.set(Due::Total(id), job.deadline, "a job's total time");
        self.users.insert(stream, id);
        self.jobs.insert(id, job);
    }

    pub(crate) fn response(&mut self, stream: StreamId, head: &ResponseHead) {
        self.calls.response(stream, head);
    }

    pub(crate) fn bytes(&mut self, cx: &mut Cx<'_>, mesh: &Mesh<'_>, stream: StreamId, bytes: &[u8]) {
        if self.calls.bytes(cx, stream, bytes) {
            return;
        }
        if let Some(id) = self.users.get(&stream).copied() {
            while self.reading + bytes.len() > cx.me.caps.bodies() {
                // Whoever sends most makes room for the others.
                let Some(largest) = self.largest_body() else { return self.refuse(cx, id, &job::full()) };
                self.refuse(cx, largest, &job::full());
            }
            let Some(job) = self.jobs.get_mut(&id) else { return };
            let State::Reading(body) = &mut job.state else { return };
            match body.push(bytes) {
                Ok(()) => {
                    self.reading += bytes.len();
                    cx.grant(stream, bytes.len());
                }
                Err(_) => self.refuse(cx, id, &job::too_large(self.body)),
            }
        } else if let Some(id) = self.attempts.get(&stream).copied() {
            self.attempt_bytes(cx, mesh, id, bytes);
        } else {
            self.settle.bytes(cx, stream, bytes);
        }
    }

    /// The request that has sent most of a body that is not whole.
    fn largest_body(&self) -> Option<RequestId> {
        let bodies = self.jobs.values().filter_map(|job| match &job.state {
            State::Reading(body) => Some((body.len(), job.id)),
            State::Inviting(_) | State::Recording(_) | State::Asking(_) | State::Running(_) => None,
        });
        bodies.max().map(|(_, id)| id)
    }

    pub(crate) fn finished(&mut self, cx: &mut Cx<'_>, mesh: &Mesh<'_>, stream: StreamId) {
        if let Some((purpose, answer)) = self.calls.finished(cx, stream) {
            return self.answered(cx, mesh, purpose, answer);
        }
        if let Some(id) = self.users.get(&stream).copied() {
            if self.jobs.get(&id).is_some_and(|job| matches!(job.state, State::Reading(_))) {
                self.route(cx, mesh, id);
            }
        } else if let Some(id) = self.attempts.get(&stream).copied() {
            self.attempt_lost(cx, mesh, id, "the provider ended its stream too early");
        } else if self.settle.stream_gone(stream) {
            abandon(cx, stream);
        }
    }

    pub(crate) fn reset(&mut self, cx: &mut Cx<'_>, mesh: &Mesh<'_>, stream: StreamId) {
        if let Some((purpose, answer)) = self.calls.reset(cx, stream) {
            return self.answered(cx, mesh, purpose, answer);
        }
        if let Some(id) = self.users.remove(&stream) {
            self.user_left(cx, id);
        } else if let Some(id) = self.attempts.remove(&stream) {
            self.attempt_lost(cx, mesh, id, "the provider was lost");
        } else {
            self.settle.stream_gone(stream);
        }
    }

    pub(crate) fn credit(&mut self, cx: &mut Cx<'_>, stream: StreamId, bytes: u32) {
        let Some(id) = self.users.get(&stream) else { return };
        let Some(job) = self.jobs.get_mut(id) else { return };
        if let Some((at, why)) = job.user_took(cx, bytes as usize) {
            self.due.set(Due::Progress(job.id), at, why);
        }
    }

    pub(crate) fn done(&mut self, cx: &mut Cx<'_>, op: OpId, completion: &Completion) -> Vec<Tell> {
        let Some(id) = self.recording.remove(&op) else {
            let (usage, tell) = self.settle.done(cx, op, completion);
            self.post_usage(cx, usage);
            return tell;
        };
        match completion {
            Completion::Stored(Ok(())) => self.ask(cx, id),
            _ => {
                let error = ApiError::unavailable("unavailable", "This gateway can't write its store.");
                self.refuse(cx, id, &error);
            }
        }
        Vec::new()
    }

    /// A message on a control stream.
    pub(crate) fn message(
        &mut self,
        cx: &mut Cx<'_>,
        mesh: &Mesh<'_>,
        from: NodeId,
        kind: Kind,
        payload: &[u8],
    ) {
        match kind {
            Kind::ReceiptAck => self.settle.acknowledged(cx, from, payload),
            Kind::Load => match cbor::decode(payload) {
                Ok(load) => {
                    self.loads.heard(mesh.gossip.view(), from, load, cx.now.mono);
                }
                Err(_) => cx.note(from, Deed::Offence(Offence::Malformed)),
            },
            Kind::Errand => match cbor::decode(payload) {
                Ok(errand) => self.carry(cx, from, &errand),
                Err(_) => cx.note(from, Deed::Offence(Offence::Malformed)),
            },
            _ => {}
        }
    }

    fn carry(&mut self, cx: &mut Cx<'_>, from: NodeId, errand: &Errand) {
        if self.courier.takes(cx, self.fep_id, from, errand) {
            let purpose = Purpose::Errand(from, errand.number);
            self.calls.post(cx, purpose, &self.fep_url, errand.call.path(), &errand.object.0);
        }
    }

    /// What was carried to the FEP for others, and its answers.
    pub(crate) fn take_errands_done(&mut self) -> Vec<Tell> {
        self.courier.take_done()
    }

    /// For people: why a request went where it went. `None`: it is not remembered.
    pub(crate) fn explain(&self, id: RequestId) -> Option<serde_json::Value> {
        self.router.explain(id)
    }

    /// What users asked for.
    pub(crate) fn demand(&mut self) -> &mut Demand {
        &mut self.demand
    }

    /// What there is of it.
    pub(crate) fn slots(&self, view: &View) -> Slots {
        Slots::known(view, |provider, slug| self.loads.of(provider, slug))
    }

    /// No link to that node is left.
    pub(crate) fn left(&mut self, node_id: &NodeId) {
        self.loads.left(node_id);
    }

    /// The FEP has been asked for its keys: what waited for that is looked at once more.
    pub(crate) fn keys_came(&mut self, cx: &mut Cx<'_>, mesh: &Mesh<'_>) {
        for (id, authorization) in core::mem::take(&mut self.unverified) {
            self.authorized(cx, mesh, id, Answer::Given(authorization));
        }
    }

    /// A node is linked (again): it may be waiting for receipts.
    pub(crate) fn admitted(&mut self, node_id: NodeId) -> Vec<Tell> {
        self.settle.admitted(node_id)
    }

    pub(crate) fn handle_timeout(&mut self, cx: &mut Cx<'_>, mesh: &Mesh<'_>) -> Vec<Tell> {
        while let Some(due) = self.due.expired(cx.now.mono) {
            match due {
                Due::Total(id) => self.out_of_time(cx, id),
                Due::Invited(id) => self.waited(cx, mesh, id),
                Due::Progress(id) => self.no_progress(cx, mesh, id),
                Due::Ack(id) => self.ack_due(cx, id),
                Due::KeepAlive(id) => self.keep_alive(cx, id),
            }
        }
        for (purpose, answer) in self.calls.handle_timeout(cx) {
            self.answered(cx, mesh, purpose, answer);
        }
        let (usage, tell) = self.settle.handle_timeout(cx);
        self.post_usage(cx, usage);
        tell
    }

    pub(crate) fn poll_timeout(&self) -> Option<Wake> {
        let wake = Wake::earliest(self.due.next(), self.calls.poll_timeout());
        Wake::earliest(wake, self.settle.poll_timeout())
    }

    fn answered(&mut self, cx: &mut Cx<'_>, mesh: &Mesh<'_>, purpose: Purpose, answer: Answer) {
        match purpose {
            Purpose::Authorize(id) => self.authorized(cx, mesh, id, answer),
            Purpose::Settle(id) => self.settle.answered(cx, self.fep_id, id, answer),
            Purpose::Errand(to, number) => self.courier.answered(to, number, answer),
        }
    }

    fn post_usage(&mut self, cx: &mut Cx<'_>, reports: Vec<(RequestId, Vec<u8>)>) {
        for (id, report) in reports {
            self.calls.post(cx, Purpose::Settle(id), &self.fep_url, "/v1/usage", &report);
        }
    }

    /// Ends a job that has cost nothing, with an error for its user.
    fn refuse(&mut self, cx: &mut Cx<'_>, id: RequestId, error: &ApiError) {
        if let Some(job) = self.drop_job(id) {
            cx.debug(alloc::format!("req_{id} answered {}", error.status));
            if let Some(user) = job.user {
                reply::error(cx, user, id, Some(&job.left), error);
            }
            if job.recorded {
                self.settle.forget(cx, id);
            }
        }
    }

    fn drop_job(&mut self, id: RequestId) -> Option<Job> {
        let job = self.jobs.remove(&id)?;
        match &job.state {
            State::Reading(body) => self.reading -= body.len(),
            State::Inviting(_) => self.reading -= job.size,
            State::Recording(_) | State::Asking(_) | State::Running(_) => {}
        }
        self.own.release(id);
        self.due.clear(Due::Invited(id));
        self.due.clear(Due::Total(id));
        self.due.clear(Due::Progress(id));
        self.due.clear(Due::Ack(id));
        self.due.clear(Due::KeepAlive(id));
        self.quotas.ended(job.key);
        if let Some(user) = job.user {
            self.users.remove(&user);
        }
        Some(job)
    }
}

impl Mesh<'_> {
    fn reaches(&self, cx: &Cx<'_>, node_id: &NodeId) -> bool {
        self.labnet.way_in(cx.me.node_id, *node_id).is_some()
    }

    /// What could be taken now, not only heard of.
    fn listed(&self, cx: &Cx<'_>) -> Vec<Listed<'_>> {
        let usable = |node: &NodeId| self.reaches(cx, node) || self.may_reach(cx, node);
        let served = self.gossip.view().served().filter(|(provider, _)| usable(provider));
        served.map(|(_, served)| served.into()).collect()
    }

    /// It can be asked to call.
    fn may_reach(&self, cx: &Cx<'_>, node_id: &NodeId) -> bool {
        self.labnet.can_invite(cx.me.node_id, self.gossip, *node_id)
    }
}

impl StoreError {
    /// For a log line.
    pub(crate) fn text(&self) -> String {
        self.to_string()
    }
}

/// The stream of a job that nobody wants any more.
fn abandon(cx: &mut Cx<'_>, stream: StreamId) {
    cx.reset(stream, ResetCode::Cancelled);
}
