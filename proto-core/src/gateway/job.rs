//! One request from its arrival to its first attempt: read, routed, recorded, authorised.

use alloc::{format, vec::Vec};

use super::attempt::Running;
use super::inviting::{Asked, Inviting};
use super::quota::Left;
use super::{Answer, Due, Gateway, Mesh, Purpose, reply, rows};
use crate::economics::dearest;
use crate::gossip::Served;
use crate::http::{Body, RequestHead};
use crate::identity::NodeId;
use crate::limits::{ATTEMPTS, FIRST_CHUNK, HTTP_BODY, JOB_TOTAL, KEEP_ALIVE, SETTLE_MARGIN};
use crate::machine::StreamId;
use crate::names;
use crate::node::cx::Cx;
use crate::openai::error::{ApiError, Retry};
use crate::openai::request::Request;
use crate::openai::task::Call;
use crate::routing::{Need, NoCandidate, Seen};
use crate::time::{Span, Time};
use crate::wire::ids::{AuthId, Hash, RequestId};
use crate::wire::object::{Sealed, open};
use crate::wire::portal::{
    Attempt, AuthorizeRequest, JobAuthorization, Offer, PortalErrorBody, PortalErrorCode,
};

/// How much longer an authorization is asked for than job and settlement need: what clocks may differ by, and what the
/// attempts before the last may take to fall silent.
const TTL_SLACK: Span = Span(Span::from_secs(60).0 + ATTEMPTS as u64 * FIRST_CHUNK.0);

pub(super) struct Job {
    pub(super) id: RequestId,
    /// `None` once the user has left, or has been answered.
    pub(super) user: Option<StreamId>,
    pub(super) deadline: Time,
    pub(super) state: State,
    call: Call,
    /// Its row is in the store, or on its way there.
    pub(super) recorded: bool,
    /// Its authorization is by a key of which the FEP was asked.
    awaited_keys: bool,
    /// Bytes of its body.
    pub(super) size: usize,
    pub(super) key: Hash,
    /// Of that key's limits, when it came in.
    pub(super) left: Left,
}

pub(super) enum State {
    Reading(Body),
    Inviting(Inviting),
    Recording(Plan),
    Asking(Plan),
    Running(alloc::boxed::Box<Running>),
}

/// What is asked of whom.
pub(super) struct Plan {
    pub(super) request: Request,
    /// Of all its parts.
    pub(super) max_output: u32,
    pub(super) candidates: Vec<Served>,
}

impl Plan {
    /// What that attempt's provider asked for it.
    pub(super) fn offer_of(&self, attempt: &Attempt) -> Option<&Offer> {
        let named = (attempt.offer_hash.0, attempt.provider.0);
        let mut offers = self.candidates.iter().map(|candidate| &candidate.offer);
        offers.find(|offer| (offer.hash, offer.signer) == named).map(|offer| &offer.content)
    }
}

impl Job {
    pub(super) fn new(
        id: RequestId,
        user: StreamId,
        call: Call,
        most: usize,
        by: (Hash, Left),
        now: Time,
    ) -> Self {
        let (deadline, state) = (now + JOB_TOTAL, State::Reading(Body::up_to(most)));
        let (key, left) = by;
        let user = Some(user);
        Self { id, user, deadline, state, call, recorded: false, awaited_keys: false, size: 0, key, left }
    }

    /// The user took bytes of the answer: lets the provider send as many more. Gives when progress is due next, if that changes.
    pub(super) fn user_took(&mut self, cx: &mut Cx<'_>, bytes: usize) -> Option<(Time, &'static str)> {
        match &mut self.state {
            State::Running(running) => running.user_took(cx, bytes),
            State::Reading(_) | State::Inviting(_) | State::Recording(_) | State::Asking(_) => None,
        }
    }
}

impl Gateway {
    /// The body is whole: is it right?
    pub(super) fn route(&mut self, cx: &mut Cx<'_>, mesh: &Mesh<'_>, id: RequestId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let State::Reading(body) = &mut job.state else { return };
        self.reading -= body.len();
        job.size = body.len();
        match Request::parse(job.call, &body.take()) {
            Ok(request) => self.choose(cx, mesh, id, request, Asked::Nobody),
            Err(error) => self.refuse(cx, id, &error),
        }
    }

    /// Who could serve it? Whoever is linked; only if nobody is (or all are full) somebody else, that is asked to call.
    pub(super) fn choose(
        &mut self,
        cx: &mut Cx<'_>,
        mesh: &Mesh<'_>,
        id: RequestId,
        request: Request,
        asked: Asked,
    ) {
        let wanted = names::Asked::of(&request.model, &self.aliases);
        let need = Need {
            model: &request.model,
            asked: &wanted,
            input_bound: request.input_bound(),
            output: request.output(),
            fep: cx.feps.described(self.fep_id),
            job: JOB_TOTAL + SETTLE_MARGIN,
            hints: &request.hints,
            head: request.head(),
            continues: request.continues(),
            me: cx.me.node_id,
        };
        let view = mesh.gossip.view();
        let routed = {
            let (mut own, mut load) = (self.own.along(), self.loads.along(cx.now.mono));
            let mut reaches = mesh.labnet.ways_in(cx.me.node_id);
            let mut seen = Seen { view, linked: &mut reaches, own: &mut own, load: &mut load };
            self.router.route(id, &need, cx.now, &mut seen)
        };
        let candidates = match routed {
            Ok(candidates) => candidates,
            Err(why) => {
                match asked {
                    Asked::Nobody => {
                        let others = {
                            let (mut own, mut load) = (self.own.along(), self.loads.along(cx.now.mono));
                            let mut may_come = |node: &_| !mesh.reaches(cx, node) && mesh.may_reach(cx, node);
                            let mut seen =
                                Seen { view, linked: &mut may_come, own: &mut own, load: &mut load };
                            self.router.callable(&need, cx.now, &mut seen)
                        };
                        let size = self.jobs.get(&id).map_or(0, |job| job.size);
                        if !others.is_empty() && self.reading + size <= cx.me.caps.bodies() {
                            let whom = self.whom_to_invite(cx.now.mono, others);
                            return self.invite(cx, id, request, whom);
                        }
                    }
                    Asked::These(whom) => return self.wait_for(id, request, whom),
                    Asked::InVain => {}
                }
                // Who is not wanted, or not at that price, would not be wanted more if there were more of them.
                if why != NoCandidate::Unwanted {
                    self.demand.unserved(cx.now.mono, wanted.first());
                }
                return self.refuse(cx, id, &nobody(&request, why));
            }
        };
        // One body for all attempts, so the smallest bound of them.
        let bounds = candidates.iter().map(|candidate| need.max_output_at(&candidate.offer.content));
        let max_output = bounds.min().unwrap_or(1);
        // Numbers may be written longer than the user did.
        if request.for_provider(max_output).len() > HTTP_BODY {
            return self.refuse(cx, id, &too_large(HTTP_BODY));
        }
        self.due.clear(Due::Invited(id));
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if let Some(first) = candidates.first() {
            self.own.reserve(id, NodeId(first.offer.signer), first.key);
        }
        job.state = State::Recording(Plan { request, max_output, candidates });
        job.recorded = true;
        let op = cx.store([rows::asked(id, cx.now.wall)].into());
        self.recording.insert(op, id);
    }

    /// The request is on record: ask the FEP, once.
    pub(super) fn ask(&mut self, cx: &mut Cx<'_>, id: RequestId) {
        let Some(job) = self.jobs.get_mut(&id) else { return self.settle.forget(cx, id) };
        if cx.clock_is_wrong() {
            return self.refuse(cx, id, &clock_is_wrong());
        }
        let reading = State::Reading(Body::up_to(0));
        let State::Recording(plan) = core::mem::replace(&mut job.state, reading) else { return };
        let offers = plan.candidates.iter().map(|candidate| candidate.offer.bytes.clone());
        let request = cx.me.seal(AuthorizeRequest {
            fep_id: self.fep_id,
            request_id: id,
            issued_ms: cx.now.wall.0,
            key: job.key,
            input_bound: plan.request.input_bound(),
            max_output: plan.max_output,
            ttl_s: ((JOB_TOTAL + SETTLE_MARGIN + TTL_SLACK).as_millis() / 1_000) as u32,
            offers: offers.collect(),
            streamed: plan.request.stream,
        });
        job.state = State::Asking(plan);
        self.calls.post(cx, Purpose::Authorize(id), &self.fep_url, "/v1/authorize", &request.bytes.0);
    }

    pub(super) fn authorized(&mut self, cx: &mut Cx<'_>, mesh: &Mesh<'_>, id: RequestId, answer: Answer) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let reading = State::Reading(Body::up_to(0));
        let State::Asking(plan) = core::mem::replace(&mut job.state, reading) else { return };
        let bytes = match answer {
            Answer::Given(bytes) => bytes,
            Answer::Refused(refusal) => {
                if refusal.code == PortalErrorCode::NotPaired {
                    let me = cx.me.node_id;
                    cx.warn(format!(
                        "the FEP does not know this gateway: let it run `labman-fep gateway add {me}`"
                    ));
                }
                if refusal.code == PortalErrorCode::BadRequest {
                    // Its terms may have changed since it was asked for them.
                    cx.feps.want(self.fep_id);
                }
                if refusal.code == PortalErrorCode::InvalidApiKey {
                    self.quotas.refuse(job.key, cx.now.mono);
                }
                return self.refuse(cx, id, &refused(&refusal));
            }
            Answer::Silent | Answer::Noted | Answer::Nothing => {
                // The hold may be made all the same, later: nobody will use it.
                job.recorded = !self.settle.give_back(cx, self.fep_id, id);
                let message =
                    "The front-end portal that keeps your account does not answer. Try again shortly.";
                return self.refuse(cx, id, &ApiError::unavailable("fep_unavailable", message));
            }
        };
        let auth = open::<JobAuthorization>(cx.me.network, None, &bytes).ok();
        let bound = auth.as_ref().map(|auth| cx.feps.binds_now(self.fep_id, auth, cx.now.wall));
        if let Some(Err(why)) = bound {
            if why.may_pass() && !core::mem::replace(&mut job.awaited_keys, true) {
                job.state = State::Asking(plan);
                return self.unverified.push((id, bytes));
            }
            // No provider would take it: the hold is of no use.
            job.recorded = !self.settle.give_back(cx, self.fep_id, id);
            cx.warn(format!("req_{id}: the FEP's authorization can't be used: {why}"));
            return self.refuse(cx, id, &keys_unknown());
        }
        match auth {
            Some(auth) if self.fits(cx, id, &plan, &auth) => self.run(cx, mesh, id, plan, auth),
            _ => {
                cx.warn(format!("req_{id}: the FEP's authorization is not for what was asked"));
                let message = "The front-end portal gave an answer that does not hold. Try again shortly.";
                self.refuse(cx, id, &ApiError::unavailable("fep_unavailable", message));
            }
        }
    }

    fn fits(&self, cx: &Cx<'_>, id: RequestId, plan: &Plan, auth: &Sealed<JobAuthorization>) -> bool {
        let JobAuthorization {
            auth_id,
            fep_id,
            request_id,
            gateway,
            input_bound,
            max_output,
            ref attempts,
            streamed,
            hold,
            ..
        } = auth.content;
        // A prompt goes only to whom its gateway chose, the provider that signed the offer, and at its price.
        let known = |attempt: &Attempt| {
            let offer = plan.offer_of(attempt);
            offer.is_some_and(|offer| {
                auth.content.pays_as_asked(attempt, offer) && is_dearest(auth, attempt, offer)
            })
        };
        fep_id == self.fep_id
            && request_id == id
            && gateway == cx.me.node_id
            && streamed == plan.request.stream
            && auth_id == AuthId::of(fep_id, gateway, id)
            && input_bound >= plan.request.input_bound()
            && max_output >= plan.max_output
            && (1..=ATTEMPTS).contains(&attempts.len())
            && attempts.iter().all(known)
            && attempts.iter().map(|attempt| attempt.max_charge).max() == Some(hold)
    }

    fn run(
        &mut self,
        cx: &mut Cx<'_>,
        mesh: &Mesh<'_>,
        id: RequestId,
        plan: Plan,
        auth: Sealed<JobAuthorization>,
    ) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if job.user.is_none() {
            // The user left while the FEP was asked: free the hold.
            self.drop_job(id);
            return self.settle.begin(cx, super::settle::Ended::nothing(id, auth, Vec::new()));
        }
        self.quotas.is_good(job.key);
        if let Some(first) = plan.candidates.first() {
            self.demand.job(cx.now.mono, &first.offer.content.slug);
        }
        let reply = reply::Reply::new(&plan.request, id, self.router.policy(), Some(job.left), cx.now.wall);
        if reply.is_events() {
            // Its user has waited for so long already.
            let waited = Span(JOB_TOTAL.0.saturating_sub((job.deadline - cx.now.mono).0));
            let due = cx.now.mono + Span(KEEP_ALIVE.0.saturating_sub(waited.0));
            self.due.set(Due::KeepAlive(id), due, "keep a stream alive");
        }
        job.state = State::Running(alloc::boxed::Box::new(Running::new(plan, auth, reply)));
        self.next_attempt(cx, mesh, id);
    }

    pub(super) fn user_left(&mut self, cx: &mut Cx<'_>, id: RequestId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.user = None;
        match &job.state {
            State::Reading(_) | State::Inviting(_) => {
                self.drop_job(id);
            }
            // Ends when its answer comes, which tells whether there is a hold to free.
            State::Recording(_) | State::Asking(_) => {}
            State::Running(_) => {
                cx.info(format!("req_{id}: the user left"));
                self.cancel(cx, id);
            }
        }
    }

    pub(super) fn out_of_time(&mut self, cx: &mut Cx<'_>, id: RequestId) {
        let Some(job) = self.jobs.get(&id) else { return };
        let message = format!("The request took longer than {} s.", JOB_TOTAL.as_millis() / 1_000);
        match job.state {
            State::Running(_) => self.break_off(cx, id, &ApiError::new(502, Some("timeout"), message)),
            State::Reading(_) | State::Inviting(_) | State::Recording(_) | State::Asking(_) => {
                self.refuse(cx, id, &ApiError::new(408, Some("timeout"), message));
            }
        }
    }
}

/// Is the most that the attempt may cost what its offer makes it, at the rate that was pinned?
fn is_dearest(auth: &Sealed<JobAuthorization>, attempt: &Attempt, offer: &Offer) -> bool {
    let JobAuthorization { ref fees, input_bound, max_output, .. } = auth.content;
    let most = dearest(&offer.price, fees, attempt.rate, input_bound, max_output);
    most.is_some_and(|most| (most.charge, most.payout) == (attempt.max_charge, attempt.max_payout))
}

pub(super) fn too_large(most: usize) -> ApiError {
    ApiError::new(413, None, format!("The request body is larger than {most} bytes."))
}

/// What its head says of a body: is there any use in hearing it?
pub(super) fn check_head(head: &RequestHead, most: usize) -> Result<(), ApiError> {
    let length = head.header("content-length").and_then(|length| length.parse::<usize>().ok());
    if length.is_some_and(|length| length > most) {
        return Err(too_large(most));
    }
    let encoding = head.header("content-encoding");
    encoding.filter(|coding| !coding.eq_ignore_ascii_case("identity")).map_or(Ok(()), |it| Err(encoded(it)))
}

/// A small body may come to any length when it is decoded, so none is.
fn encoded(encoding: &str) -> ApiError {
    let encoding: alloc::string::String = encoding.chars().take(64).collect();
    let message = format!(
        "The request's content-encoding is {encoding:?}, which this gateway does not decode. Send the body unencoded, without \
         a content-encoding header."
    );
    ApiError::new(415, None, message)
}

pub(super) fn no_room() -> ApiError {
    let error = ApiError::new(429, Some("rate_limit_exceeded"), "This gateway is full. Try again shortly.");
    error.with_retry(Retry::After { seconds: 2 })
}

pub(super) fn full() -> ApiError {
    ApiError::unavailable("unavailable", "This gateway is being sent too much at once. Try again shortly.")
}

/// What it would sign now, nobody would take.
pub(super) fn clock_is_wrong() -> ApiError {
    ApiError::unavailable(
        "unavailable",
        "This gateway's clock is wrong. Try again shortly, or another gateway.",
    )
}

/// What the portal promises can't be checked.
pub(super) fn keys_unknown() -> ApiError {
    ApiError::unavailable(
        "fep_unavailable",
        "This gateway is asking the front-end portal that keeps your account for its keys. Try again shortly.",
    )
}

pub(super) fn leaves() -> ApiError {
    ApiError::unavailable("unavailable", "This gateway is being shut down. Try another gateway.")
}

pub(super) fn no_such_model(model: &str) -> ApiError {
    let model: alloc::string::String = model.chars().take(128).collect();
    let message = format!("The model `{model}` is not served by anybody now. GET /v1/models lists what is.");
    ApiError { param: Some("model".into()), ..ApiError::new(404, Some("model_not_found"), message) }
}

pub(super) fn nobody(request: &Request, why: NoCandidate) -> ApiError {
    let model = request.model.as_str();
    match why {
        NoCandidate::Unknown => no_such_model(model),
        NoCandidate::Awaited => ApiError::unavailable(
            "no_provider",
            format!("No provider of `{model}` is heard of now, though one may be soon. Try again shortly."),
        ),
        NoCandidate::Ineligible => ApiError::unavailable(
            "no_provider",
            format!("No provider of `{model}` can be used now. Try again shortly."),
        ),
        NoCandidate::Unwanted => ApiError {
            param: Some("provider".into()),
            ..ApiError::new(
                404,
                Some("no_provider"),
                format!(
                    "`provider` leaves nobody who serves `{model}`: allow more providers, or a higher price."
                ),
            )
        },
        NoCandidate::TooLong => request
            .call
            .too_long(&format!("The prompt is longer than the context of any `{model}` that is served now.")),
        NoCandidate::Full => {
            let message = format!("All providers of `{model}` are busy. Try again shortly.");
            ApiError::new(429, Some("rate_limit_exceeded"), message).with_retry(Retry::After { seconds: 2 })
        }
    }
}

/// Such a key its FEP did not know, a moment ago or just now.
pub(super) fn no_such_key() -> ApiError {
    let message = "Incorrect API key provided. Your front-end portal gives you one.";
    ApiError::new(401, Some("invalid_api_key"), message)
}

/// The FEP's no, as the SDKs know it.
fn refused(refusal: &PortalErrorBody) -> ApiError {
    match refusal.code {
        PortalErrorCode::InvalidApiKey => no_such_key(),
        // 402 would confuse the SDKs, and asking again does not help.
        PortalErrorCode::InsufficientQuota => {
            ApiError::new(429, Some("insufficient_quota"), refusal.message.clone()).with_retry(Retry::Never)
        }
        PortalErrorCode::NotPaired
        | PortalErrorCode::BadRequest
        | PortalErrorCode::NotFound
        | PortalErrorCode::Conflict
        | PortalErrorCode::Unavailable => {
            let message = format!("The front-end portal refused: {}", refusal.message);
            ApiError::unavailable("fep_unavailable", message)
        }
    }
}

/// When a job's user or provider is to be given up.
pub(super) const fn progress(id: RequestId) -> Due {
    Due::Progress(id)
}
