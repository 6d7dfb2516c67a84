//! A portal on a disk in memory, with a gateway and two providers that know how to talk to it.

use std::collections::{BTreeMap, VecDeque};

use labman_proto_core::economics::{Counts, merkle};
use labman_proto_core::economics::{Fees, Price};
use labman_proto_core::http::{RequestHead, Surface};
use labman_proto_core::identity::{Identity, Network, NodeId};
use labman_proto_core::limits::{GATEWAYS_PAID_EVERY, STREAM_WINDOW};
use labman_proto_core::machine::{Input, Machine, Op, OpId, Output, ResetCode, StreamId};
use labman_proto_core::money::Micros;
use labman_proto_core::portal::config::{Config, RailName, RailTerms, Rails};
use labman_proto_core::portal::{Portal, Signers};
use labman_proto_core::rng::Seed;
use labman_proto_core::store::BadRow;
use labman_proto_core::time::{Now, Span};
use labman_proto_core::wire::cbor::Blob;
use labman_proto_core::wire::ids::{AuthId, ClaimId, ReceiptId};
use labman_proto_core::wire::ids::{Hash, RequestId};
use labman_proto_core::wire::object::{self, Object};
use labman_proto_core::wire::portal::{
    AttemptRelease, AuthorizeRequest, Claim, ClaimDecision, Dispute, End, IssuedReceipts, JobAuthorization,
    Offer, PayoutTo, Receipt, ReceiptsRequest, StreamAck, UsageReport, UsageStatement, key_digest,
};
use serde_json::{Value, json};

use super::rings;
use super::store::Disk;

/// The portal's root, and the keys that it holds: the first signs, unless a test says otherwise.
pub(crate) const PORTAL: u8 = 1;
pub(crate) const PORTAL_KEY: u8 = 4;
pub(crate) const NEXT_KEY: u8 = 5;
pub(crate) const GATEWAY: u8 = 2;
pub(crate) const STRANGER: u8 = 3;
pub(crate) const PROVIDER: u8 = 10;
pub(crate) const OTHER_PROVIDER: u8 = 11;

/// Keys in these tests are numbers.
pub(crate) fn identity(number: u8) -> Identity {
    Identity::from_secret(&[number; 32])
}

pub(crate) fn node(number: u8) -> NodeId {
    identity(number).node_id()
}

pub(crate) fn net() -> Network {
    Network::of("test")
}

pub(crate) fn seal<T: Object>(signer: u8, content: T) -> Vec<u8> {
    object::seal(&identity(signer), net().id, content).bytes.0
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON answer")
    }

    /// The refusal's status and code.
    pub(crate) fn refusal(&self) -> (u16, String) {
        let code = self.json()["error"]["code"].as_str().expect("a refusal").to_string();
        (self.status, code)
    }

    /// The object in it, which the portal must have signed.
    pub(crate) fn object<T: Object>(&self) -> T {
        self.object_by(PORTAL_KEY)
    }

    pub(crate) fn object_by<T: Object>(&self, key: u8) -> T {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        object::open(net(), Some(node(key).0), &self.body).expect("the portal's object").content
    }
}

/// What a gateway asks to be authorized.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) number: u8,
    pub(crate) key: String,
    pub(crate) offers: Vec<Vec<u8>>,
    pub(crate) input_bound: u32,
    pub(crate) max_output: u32,
    pub(crate) ttl_s: u32,
    pub(crate) streamed: bool,
}

pub(crate) fn job(number: u8, key: &str) -> Job {
    let offers = vec![seal(PROVIDER, offer())];
    Job { number, key: key.into(), offers, input_bound: 100, max_output: 100, ttl_s: 720, streamed: true }
}

/// 2 micros for an input token, 5 for an output token: at the job's bounds 700, and with 5 % fees 735.
pub(crate) fn offer() -> Offer {
    Offer {
        slug: "acme:box:toy".into(),
        context_length: 4096,
        max_output: 1024,
        price: Price {
            input_per_mtok: Micros(2_000_000),
            cached_per_mtok: Micros(1_000_000),
            output_per_mtok: Micros(5_000_000),
            per_request: Micros::ZERO,
        },
        payout: payout_to("address"),
        valid_until_ms: u64::MAX,
    }
}

pub(crate) fn payout_to(address: &str) -> PayoutTo {
    PayoutTo { currency: "XTS".parse().unwrap(), address: address.into() }
}

pub(crate) fn in_euro(address: &str) -> PayoutTo {
    PayoutTo { currency: "EUR".parse().unwrap(), address: address.into() }
}

pub(crate) fn counts(input: u32, output: u32) -> Counts {
    Counts { input, cached: 0, output }
}

/// A gateway's report of a whole answer, with the statement of its provider, who says the same.
pub(crate) fn report(auth_id: AuthId, attempt: Option<u8>, counts: Counts) -> UsageReport {
    let statement = attempt.map(|attempt| {
        let said = statement(auth_id, attempt, counts, End::Complete, None);
        Blob(seal(PROVIDER.wrapping_add(attempt), said))
    });
    UsageReport { statement, ..bare_report(auth_id, attempt, counts) }
}

/// What a gateway says without its provider.
pub(crate) fn bare_report(auth_id: AuthId, attempt: Option<u8>, counts: Counts) -> UsageReport {
    UsageReport {
        fep_id: identity(PORTAL).fep_id(),
        auth_id,
        attempt,
        accepted: counts,
        statement: None,
        releases: Vec::new(),
        ended_ms: 0,
    }
}

pub(crate) fn release(auth_id: AuthId, attempt: u8) -> Blob {
    Blob(seal(PROVIDER + attempt, AttemptRelease { auth_id, attempt }))
}

/// With the gateway's acknowledgement of so much output, if there is one.
pub(crate) fn statement(
    auth_id: AuthId,
    attempt: u8,
    counts: Counts,
    end: End,
    acked: Option<u32>,
) -> UsageStatement {
    let ack = |output| StreamAck { auth_id, attempt, counts: Counts { output, ..counts } };
    UsageStatement {
        fep_id: identity(PORTAL).fep_id(),
        auth_id,
        attempt,
        counts,
        end,
        ack: acked.map(|output| Blob(seal(GATEWAY, ack(output)))),
        chunks: 1,
        transcript: Hash([0; 32]),
        stated_ms: 0,
    }
}

/// A claim for these receipts that agrees with itself.
pub(crate) fn claim(number: u8, total: i64, mut receipts: Vec<ReceiptId>) -> Claim {
    receipts.sort();
    let leaves: Vec<_> = receipts.iter().map(|id| id.0).collect();
    Claim {
        claim_id: ClaimId([number; 16]),
        fep_id: identity(PORTAL).fep_id(),
        payout_to: payout_to("address"),
        total: Micros(total),
        receipts,
        merkle_root: merkle::root(&leaves),
        issued_ms: 0,
    }
}

pub(crate) struct Rig {
    pub(crate) disk: Disk,
    pub(crate) now: Now,
    pub(crate) log: Vec<String>,
    pub(crate) rails: Rails,
    /// With which it starts.
    pub(crate) founding: Vec<u8>,
    portal: Portal,
    /// Asked for and not done yet.
    ops: VecDeque<(OpId, Op)>,
    streams: u64,
    replies: BTreeMap<StreamId, Reply>,
    finished: Vec<StreamId>,
    credit: BTreeMap<StreamId, usize>,
    /// Of the first attempt of each authorization.
    providers: BTreeMap<AuthId, NodeId>,
}

fn start(disk: &Disk, now: Now, currency: &str, rails: &Rails, founding: &[u8]) -> Result<Portal, BadRow> {
    let fees = Fees { fep_bps: 100, gateway_bps: 400 };
    let currency = currency.parse().unwrap();
    let config = Config {
        network: "test".into(),
        currency,
        fees,
        rails: rails.clone(),
        gateways_paid_every: GATEWAYS_PAID_EVERY,
    };
    Portal::new(config, signers(founding), Seed::from_u64(1), &disk.snapshot(), now)
}

/// The root certifies the first key for all time.
pub(crate) fn founding() -> Vec<u8> {
    rings::ring(&identity(PORTAL), 1, vec![rings::always(&identity(PORTAL_KEY))])
}

pub(crate) fn signers(founding: &[u8]) -> Signers {
    let held = vec![identity(PORTAL_KEY), identity(NEXT_KEY)];
    Signers::new("test", founding, held).expect("a ring by its root")
}

/// All of them in XTS, and one in EUR, with the same least payout in micros.
pub(crate) fn rails(least: i64) -> Rails {
    let terms = |rail, currency| RailTerms { rail, currency, least_payout: Micros(least) };
    let in_xts = RailName::ALL.into_iter().map(|rail| terms(rail, None));
    Rails(in_xts.chain([terms(RailName::Test, Some(in_euro("").currency))]).collect())
}

impl Rig {
    /// An empty portal.
    pub(crate) fn empty() -> Self {
        Self::over(Rails::default())
    }

    /// An empty portal that offers these rails.
    pub(crate) fn over(rails: Rails) -> Self {
        Self::founded(rails, founding())
    }

    /// An empty portal that begins with that key ring.
    pub(crate) fn founded(rails: Rails, founding: Vec<u8>) -> Self {
        let disk = Disk::default();
        let mut now = Now::default();
        now.wall.0 = 1_700_000_000_000;
        let portal = start(&disk, now, "XTS", &rails, &founding).expect("an empty store is a good one");
        Self {
            disk,
            now,
            log: Vec::new(),
            rails,
            founding,
            portal,
            ops: VecDeque::new(),
            streams: 1,
            replies: BTreeMap::new(),
            finished: Vec::new(),
            credit: BTreeMap::new(),
            providers: BTreeMap::new(),
        }
    }

    /// A portal with its gateway, and one user with that balance; the user's API key.
    pub(crate) fn with_user(balance: &str) -> (Self, String) {
        Self::with_user_over(Rails::default(), balance)
    }

    pub(crate) fn with_user_over(rails: Rails, balance: &str) -> (Self, String) {
        Self::over(rails).and_user(balance)
    }

    pub(crate) fn and_user(self, balance: &str) -> (Self, String) {
        let mut rig = self;
        rig.admin("POST", "/gateways", json!({ "node_id": node(GATEWAY), "name": "gateway" }));
        rig.bond("1", "first bond");
        let key = rig.user("ann", balance);
        (rig, key)
    }

    /// Pays into the gateway's bond, or out of it.
    pub(crate) fn bond(&mut self, amount: &str, reference: &str) -> Reply {
        let body = json!({ "gateway": node(GATEWAY), "amount": amount, "reference": reference });
        self.admin("POST", "/bonds", body)
    }

    /// Says what a currency is worth for the next hour.
    pub(crate) fn quote(&mut self, currency: &str, rate: &str) {
        let body = json!({ "currency": currency, "rate": rate, "valid_for_s": 3_600 });
        assert_eq!(self.admin("POST", "/fx", body).status, 200);
    }

    /// Of the gateway's bond: all, and what is locked, in micros.
    pub(crate) fn bonded(&mut self) -> (i64, i64) {
        let gateways = self.admin("GET", "/gateways", Value::Null).json();
        let micros = |of: &str| gateways["gateways"][0][of].as_str().unwrap().parse::<Micros>().unwrap().0;
        (micros("bond"), micros("locked"))
    }

    /// Adds a user, pays in, and makes a key.
    pub(crate) fn user(&mut self, name: &str, balance: &str) -> String {
        let user = self.admin("POST", "/users", json!({ "name": name })).json()["user"].clone();
        let paid =
            json!({ "user": user, "amount": balance, "reference": format!("first deposit of {name}") });
        assert_eq!(self.admin("POST", "/deposits", paid).status, 200);
        let key = self.admin("POST", "/keys", json!({ "user": user })).json()["api_key"].clone();
        key.as_str().unwrap().into()
    }

    // Calls.

    pub(crate) fn admin(&mut self, method: &str, path: &str, body: Value) -> Reply {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        self.call(Surface::Admin, method, path, &body)
    }

    /// The operator's call under an idempotency key.
    pub(crate) fn keyed(&mut self, path: &str, key: &str, body: Value) -> Reply {
        let head = RequestHead::new("POST", path).with("idempotency-key", key);
        let stream = self.begin_with(Surface::Admin, head, body.to_string().as_bytes());
        self.run();
        self.reply(stream).expect("an answer")
    }

    pub(crate) fn call(&mut self, surface: Surface, method: &str, path: &str, body: &[u8]) -> Reply {
        let stream = self.begin(surface, method, path, body);
        self.run();
        self.reply(stream).expect("an answer")
    }

    pub(crate) fn authorize(&mut self, job: &Job) -> Reply {
        let body = self.authorize_body(job);
        self.post("/v1/authorize", &body)
    }

    pub(crate) fn authorized(&mut self, job: &Job) -> JobAuthorization {
        let authorization: JobAuthorization = self.authorize(job).object();
        self.providers.insert(authorization.auth_id, authorization.attempts[0].provider);
        authorization
    }

    pub(crate) fn usage(&mut self, report: UsageReport) -> Reply {
        self.post("/v1/usage", &seal(GATEWAY, report))
    }

    pub(crate) fn states(&mut self, provider: u8, statement: UsageStatement) -> Reply {
        self.post("/v1/statements", &seal(provider, statement))
    }

    pub(crate) fn settled(&mut self, auth_id: AuthId, counts: Counts) -> Receipt {
        let provider = [PROVIDER, OTHER_PROVIDER, STRANGER].into_iter();
        let provider = provider.map(|number| (node(number), number)).collect::<BTreeMap<_, _>>();
        let provider = self.providers.get(&auth_id).map_or(PROVIDER, |node| provider[node]);
        let said = Blob(seal(provider, statement(auth_id, 0, counts, End::Complete, None)));
        let report = UsageReport { statement: Some(said), ..bare_report(auth_id, Some(0), counts) };
        self.usage(report).object()
    }

    pub(crate) fn claim(&mut self, provider: u8, claim: Claim) -> Reply {
        self.post("/v1/claims", &seal(provider, claim))
    }

    /// What a provider hears that it was issued behind that number.
    pub(crate) fn pulled(&mut self, provider: u8, after: u64) -> IssuedReceipts {
        let asked = ReceiptsRequest { fep_id: identity(PORTAL).fep_id(), after, issued_ms: self.now.wall.0 };
        self.post("/v1/receipts", &seal(provider, asked)).object()
    }

    /// What a provider shows whose receipt was not paid under that claim.
    pub(crate) fn dispute(&self, receipt: &Receipt, claim: u8) -> Dispute {
        let issued_ms = self.now.wall.0;
        Dispute {
            fep_id: identity(PORTAL).fep_id(),
            claim_id: ClaimId([claim; 16]),
            // The same content by the same key is the same bytes.
            receipt: Blob(seal(PORTAL_KEY, receipt.clone())),
            reason: "already paid under claim 00".into(),
            until_ms: issued_ms + 3_600_000,
            issued_ms,
        }
    }

    pub(crate) fn decided(&mut self, provider: u8, claim: Claim) -> ClaimDecision {
        self.claim(provider, claim).object()
    }

    pub(crate) fn post(&mut self, path: &str, body: &[u8]) -> Reply {
        self.call(Surface::Public, "POST", path, body)
    }

    pub(crate) fn authorize_body(&self, job: &Job) -> Vec<u8> {
        seal(GATEWAY, self.request(job))
    }

    pub(crate) fn request(&self, job: &Job) -> AuthorizeRequest {
        AuthorizeRequest {
            fep_id: identity(PORTAL).fep_id(),
            request_id: RequestId([job.number; 16]),
            issued_ms: self.now.wall.0,
            key: key_digest(&job.key),
            input_bound: job.input_bound,
            max_output: job.max_output,
            ttl_s: job.ttl_s,
            offers: job.offers.iter().cloned().map(Blob).collect(),
            streamed: job.streamed,
        }
    }

    // What stands in the books.

    /// An account's balance in micros.
    /// Of an account in XTS, such as `user:u000001`, or in another currency, such as `EUR fx:EUR`.
    pub(crate) fn balance(&mut self, account: &str) -> i64 {
        self.accounts().get(account).copied().unwrap_or_default()
    }

    pub(crate) fn accounts(&mut self) -> BTreeMap<String, i64> {
        let ledger = self.admin("GET", "/ledger", Value::Null).json();
        assert_eq!(ledger["balanced"], true, "{ledger}");
        let lines = ledger["accounts"].as_array().unwrap().iter();
        lines
            .map(|line| {
                let balance: Micros = line["balance"].as_str().unwrap().parse().unwrap();
                (in_book(&line["currency"], &line["account"]), balance.0)
            })
            .collect()
    }

    // Time and trouble.

    /// Lets time pass, waking the portal whenever it asked for it.
    pub(crate) fn pass(&mut self, span: Span) {
        let end = self.now.mono + span;
        while let Some(wake) = self.portal.poll_timeout().filter(|wake| wake.at <= end) {
            self.advance(wake.at - self.now.mono);
            self.portal.handle_timeout(self.now);
            self.drain();
            self.run();
        }
        self.advance(end - self.now.mono);
    }

    /// Lets time pass, and the portal start what is due by then; the store does nothing yet.
    pub(crate) fn doze(&mut self, span: Span) {
        self.advance(span);
        while self.portal.poll_timeout().is_some_and(|wake| wake.at <= self.now.mono) {
            self.portal.handle_timeout(self.now);
            self.drain();
        }
    }

    fn advance(&mut self, span: Span) {
        self.now.mono = self.now.mono + span;
        self.now.wall = self.now.wall + span;
    }

    /// The process dies: what was not done is lost, nobody gets an answer. It starts again from its disk.
    pub(crate) fn crash(&mut self) {
        self.ops.clear();
        self.credit.clear();
        let portal = start(&self.disk, self.now, "XTS", &self.rails, &self.founding);
        self.portal = portal.expect("what the portal wrote it can read");
        self.drain();
    }

    pub(crate) fn restart_in(&self, currency: &str) -> Option<BadRow> {
        start(&self.disk, self.now, currency, &self.rails, &self.founding).err()
    }

    pub(crate) fn stopped(&self) -> bool {
        self.portal.stopped().is_some()
    }

    // The driver's side.

    /// Feeds a whole request, as far as the portal grants credit for it; the store does nothing yet.
    pub(crate) fn begin(&mut self, surface: Surface, method: &str, path: &str, body: &[u8]) -> StreamId {
        self.begin_with(surface, RequestHead::new(method, path), body)
    }

    pub(crate) fn begin_with(&mut self, surface: Surface, head: RequestHead, body: &[u8]) -> StreamId {
        let stream = StreamId(self.streams);
        self.streams += 2;
        self.credit.insert(stream, STREAM_WINDOW as usize);
        self.handle(Input::Request { stream, surface, head });
        for chunk in body.chunks(16 * 1024) {
            if self.finished.contains(&stream) {
                return stream;
            }
            let credit = self.credit.get_mut(&stream).unwrap();
            *credit = credit.checked_sub(chunk.len()).expect("the portal grants what it has read");
            self.handle(Input::Bytes { stream, bytes: chunk });
        }
        self.handle(Input::Finished { stream });
        stream
    }

    pub(crate) fn begin_post(&mut self, path: &str, body: &[u8]) -> StreamId {
        self.begin(Surface::Public, "POST", path, body)
    }

    /// The caller leaves. Nothing may be said to it any more.
    pub(crate) fn leave(&mut self, stream: StreamId) {
        self.handle(Input::Reset { stream, code: ResetCode::Cancelled });
        self.credit.remove(&stream);
    }

    /// The answer, once it is whole.
    pub(crate) fn reply(&mut self, stream: StreamId) -> Option<Reply> {
        self.finished.contains(&stream).then(|| self.replies[&stream].clone())
    }

    /// Lets the store do all that is asked of it.
    pub(crate) fn run(&mut self) {
        while self.step() {}
    }

    /// Lets the store do one thing, and tells the portal.
    pub(crate) fn step(&mut self) -> bool {
        let Some((op, asked)) = self.ops.pop_front() else { return false };
        let done = self.disk.run(asked).expect("a portal uses its store only");
        self.handle(Input::Done(op, done));
        true
    }

    /// Lets the store do one thing; the portal does not hear of it.
    pub(crate) fn step_unheard(&mut self) {
        if let Some((_, asked)) = self.ops.pop_front() {
            self.disk.run(asked);
        }
    }

    fn handle(&mut self, input: Input<'_>) {
        self.portal.handle(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.portal.poll_output() {
            match output {
                Output::Start(op, asked) => self.ops.push_back((op, asked)),
                Output::Response { stream, head } => {
                    assert!(self.credit.contains_key(&stream), "an answer to nobody");
                    let reply = Reply { status: head.status, body: Vec::new() };
                    assert!(self.replies.insert(stream, reply).is_none(), "a second answer");
                }
                Output::Send { stream, bytes } => {
                    self.replies.get_mut(&stream).expect("a head first").body.extend(bytes);
                }
                Output::Finish { stream } => self.finished.push(stream),
                Output::Grant { stream, bytes } => *self.credit.get_mut(&stream).unwrap() += bytes as usize,
                Output::Event(event) => self.log.push(event.text),
                Output::Open { .. }
                | Output::Request { .. }
                | Output::Reset { .. }
                | Output::Close { .. } => panic!("a portal answers only: {output:?}"),
            }
        }
    }
}

/// What an account is called here: by its currency too, where that is not XTS.
pub(crate) fn in_book(currency: &Value, account: &Value) -> String {
    match (currency.as_str().unwrap(), account.as_str().unwrap()) {
        ("XTS", account) => account.into(),
        (currency, account) => format!("{currency} {account}"),
    }
}
