//! A whole portal, and a fuzzer that is its gateways, providers, operator, disk and clock.

use labman_proto_core::economics::Fees;
use labman_proto_core::economics::{Counts, Price, Rate, merkle};
use labman_proto_core::http::{RequestHead, Surface};
use labman_proto_core::machine::{ResetCode, StreamId};
use labman_proto_core::money::{Currency, Micros};
use labman_proto_core::portal::{Portal, Signers, config};
use labman_proto_core::rng::Seed;
use labman_proto_core::time::{Span, Wall};
use labman_proto_core::wire::cbor::{Blob, decode};
use labman_proto_core::wire::ids::{AuthId, ClaimId, Hash, ReceiptId, RequestId};
use labman_proto_core::wire::object::{self, Object};
use labman_proto_core::wire::portal::{
    AttemptRelease, AuthorizeRequest, Claim, Dispute, End, Offer, PayoutTo, Receipt, ReceiptsRequest,
    StreamAck, UsageReport, UsageStatement, key_digest, key_id,
};
use serde_json::{Value, json};

use crate::driver::{Driver, beginning};
use crate::feed::Feed;
use crate::{NETWORK, identity, network};

const PORTAL: u8 = 1;
/// The keys that it holds.
const KEYS: [u8; 2] = [3, 4];
const GATEWAY: u8 = 2;
const PROVIDER: u8 = 10;

pub(crate) fn portal_config() -> config::Config {
    config::Config {
        network: NETWORK.into(),
        currency: "XTS".parse().expect("a currency"),
        fees: Fees { fep_bps: 100, gateway_bps: 400 },
        rails: rails(),
        gateways_paid_every: Span::from_secs(600),
    }
}

/// The first key signs, until the operator says otherwise.
pub(crate) fn signers() -> Signers {
    let founding = crate::ring(PORTAL, 1, &[(KEYS[0], 0, None)]);
    Signers::new(NETWORK, &founding, KEYS.map(identity).into()).expect("a ring by its root")
}

/// No sequence of calls makes a portal panic, break its contract, or lose count of its money.
pub fn portal(bytes: &[u8]) {
    let now = beginning();
    let machine = Portal::new(portal_config(), signers(), Seed::from_u64(1), &Default::default(), now);
    let driver = Driver::new(machine.expect("an empty store is a good one"), now);
    let mut world = World { driver, key: String::new(), auths: Vec::new(), last: 0 };
    world.furnish();
    let mut feed = Feed::new(bytes);
    for _ in 0..128 {
        if feed.is_empty() || world.driver.stopped() {
            break;
        }
        world.step(&mut feed);
    }
    if !world.driver.stopped() {
        world.driver.settle();
        let ledger = world.call(Surface::Admin, "GET", "/ledger", &[]);
        if !world.driver.stopped() {
            let ledger = serde_json::from_slice::<Value>(&ledger).expect("the ledger is JSON");
            assert_eq!(ledger["balanced"], true, "{ledger}");
        }
    }
}

struct World {
    driver: Driver<Portal>,
    key: String,
    /// What was authorized, by the ids the portal derives.
    auths: Vec<AuthId>,
    last: u8,
}

impl World {
    /// A user with money, and a gateway with a bond.
    fn furnish(&mut self) {
        self.call(Surface::Admin, "POST", "/users", &json!({ "name": "ann" }).to_string().into_bytes());
        let key = self.call(
            Surface::Admin,
            "POST",
            "/keys",
            &json!({ "user": "u000001" }).to_string().into_bytes(),
        );
        let key = serde_json::from_slice::<Value>(&key).unwrap_or_default();
        self.key = key["api_key"].as_str().expect("a user has a key").into();
        let money = json!({ "user": "u000001", "amount": "1", "reference": "first" });
        self.call(Surface::Admin, "POST", "/deposits", money.to_string().as_bytes());
        let gateway = json!({ "node_id": identity(GATEWAY).node_id(), "name": "gate" });
        self.call(Surface::Admin, "POST", "/gateways", gateway.to_string().as_bytes());
        self.call(Surface::Admin, "POST", "/bonds", &bond("0.2", "first"));
        let paid_at = json!({ "gateway": identity(GATEWAY).node_id(), "to": "gate" });
        self.call(Surface::Admin, "POST", "/gateways/payout-to", paid_at.to_string().as_bytes());
        let quote = json!({ "currency": foreign(), "rate": "0.92", "valid_for_s": 10_000 });
        self.call(Surface::Admin, "POST", "/fx", quote.to_string().as_bytes());
    }

    /// The answer, which is the last thing the portal says before all is quiet.
    fn call(&mut self, surface: Surface, method: &str, path: &str, body: &[u8]) -> Vec<u8> {
        self.driver.last_heard.clear();
        let stream = self.begin(surface, method, path, body);
        self.driver.finish(stream);
        self.driver.settle();
        self.driver.last_heard.clone()
    }

    fn begin(&mut self, surface: Surface, method: &str, path: &str, body: &[u8]) -> StreamId {
        let stream = self.driver.request(surface, RequestHead::new(method, path));
        self.driver.bytes(stream, body);
        stream
    }

    fn step(&mut self, feed: &mut Feed<'_>) {
        let known = [
            "/v1/authorize",
            "/v1/usage",
            "/v1/claims",
            "/v1/descriptor",
            "/v1/health",
            "/v1/statements",
            "/v1/receipts",
            "/v1/disputes",
        ];
        match feed.u8() % 13 {
            // A stranger's bytes.
            0 => {
                let path = *feed.one(&known);
                let stream =
                    self.begin(Surface::Public, if feed.flag() { "POST" } else { "GET" }, path, feed.bytes());
                self.driver.finish(stream);
            }
            // A stranger's payload, behind a signature that holds.
            1 => {
                let signer = *feed.one(&[GATEWAY, PROVIDER, 99]);
                let kind = feed.u8() % 6;
                let payload = feed.bytes();
                match kind {
                    0 => self.post_if::<AuthorizeRequest>(known[0], signer, payload),
                    1 => self.post_if::<UsageReport>(known[1], signer, payload),
                    2 => self.post_if::<Claim>(known[2], signer, payload),
                    3 => self.post_if::<UsageStatement>(known[5], signer, payload),
                    4 => self.post_if::<ReceiptsRequest>(known[6], signer, payload),
                    _ => self.post_if::<Dispute>(known[7], signer, payload),
                }
            }
            2 | 3 => {
                let asked = self.authorize(feed);
                let id = AuthId::of(asked.fep_id, identity(GATEWAY).node_id(), asked.request_id);
                self.auths.push(id);
                self.post(known[0], GATEWAY, asked);
            }
            4 => {
                let report = self.usage(feed);
                self.post(known[1], GATEWAY, report);
            }
            5 => {
                let (auth_id, attempt) = (self.auth(feed), feed.u8() % 4);
                let statement = self.statement(feed, auth_id, attempt);
                self.post(known[5], *feed.one(&[PROVIDER, PROVIDER, PROVIDER, GATEWAY]), statement);
            }
            6 => {
                let (after, issued_ms) = (feed.u64(), self.driver.now.wall.0);
                let after = if feed.flag() { after } else { after % 8 };
                let asked = ReceiptsRequest { fep_id: identity(PORTAL).fep_id(), after, issued_ms };
                self.post(known[6], *feed.one(&[PROVIDER, PROVIDER, GATEWAY]), asked);
            }
            7 => {
                let claim = self.claim(feed);
                self.post(known[2], *feed.one(&[PROVIDER, PROVIDER, GATEWAY]), claim);
            }
            8 => {
                let path = *feed.one(&[
                    "/users",
                    "/keys",
                    "/deposits",
                    "/gateways",
                    "/receipts?limit=3&skip=1",
                    "/payouts?limit=9",
                    "/ledger",
                    "/receipts?limit=99999999999999999999",
                    "/bonds",
                    "/keys?user=u000001",
                    "/keys/state",
                    "/withdrawals",
                    "/rails/faults",
                    "/rails",
                    "/payouts/open?skip=1",
                    "/transfers?limit=9",
                    "/transfers/open",
                    "/statement?user=u000001&month=1970-01",
                    "/statement?user=u000001&next=1.2.3",
                    "/openapi.json",
                    "/fx",
                    "/fx/drop",
                    "/gateways/payout-to",
                    "/gateways/pay",
                    "/ring",
                    "/disputes",
                    "/disputes/decide",
                ]);
                let method = *feed.one(&["GET", "POST"]);
                let body = match path {
                    "/bonds" if feed.flag() => {
                        let amount = *feed.one(&["0.1", "-0.05", "-0.2", "0", "-1"]);
                        let reference = *feed.one(&["a", "b", "c"]);
                        bond(amount, reference)
                    }
                    "/disputes/decide" if feed.flag() => decides(feed),
                    "/gateways/pay" if feed.flag() => {
                        json!({ "gateway": identity(GATEWAY).node_id() }).to_string().into_bytes()
                    }
                    "/fx" if feed.flag() => {
                        let rate = *feed.one(&["0.92", "1/1000000000000", "1000000000000", "0"]);
                        let quote = json!({ "currency": foreign(), "rate": rate, "valid_for_s": feed.u16() });
                        quote.to_string().into_bytes()
                    }
                    "/ring" if feed.flag() => {
                        let moment = |feed: &mut Feed<'_>| u64::from(feed.u8()) * 10_000_000_000;
                        let first = (KEYS[0], 0, feed.flag().then(|| moment(feed)));
                        let next = (KEYS[1], moment(feed), feed.flag().then(|| moment(feed)));
                        let ring = crate::ring(PORTAL, u64::from(feed.u8()), &[first, next]);
                        let ring: String = ring.iter().map(|byte| format!("{byte:02x}")).collect();
                        json!({ "ring": ring }).to_string().into_bytes()
                    }
                    _ => feed.bytes().to_vec(),
                };
                let stream = self.begin(Surface::Admin, method, path, &body);
                self.driver.finish(stream);
            }
            9 => {
                self.driver.pass(Span::from_secs(*feed.one(&[1, 60, 1_000, 4_000])));
                if feed.u8() == 1 {
                    self.driver.set_clock(Wall(feed.u64()));
                }
            }
            10 => match self.driver.stream(feed.u8()) {
                Some(stream) if feed.flag() => self.driver.reset(stream, ResetCode::Cancelled),
                Some(stream) => self.driver.finish(stream),
                None => {}
            },
            11 if feed.flag() => self.driver.settle(),
            11 => drop(self.driver.complete(feed.u8() == 1)),
            _ if feed.flag() => {
                let dispute = self.dispute(feed);
                self.post(known[7], *feed.one(&[PROVIDER, PROVIDER, GATEWAY]), dispute);
            }
            _ => {
                let stream = self.begin(Surface::Admin, "POST", "/disputes/decide", &decides(feed));
                self.driver.finish(stream);
            }
        }
    }

    fn post_if<T: Object>(&mut self, path: &str, signer: u8, payload: &[u8]) {
        if let Ok(content) = decode::<T>(payload) {
            self.post(path, signer, content);
        }
    }

    fn post<T: Object>(&mut self, path: &str, signer: u8, content: T) {
        let stream = self.begin(Surface::Public, "POST", path, &seal(signer, content));
        self.driver.finish(stream);
    }

    fn authorize(&mut self, feed: &mut Feed<'_>) -> AuthorizeRequest {
        self.last = if feed.flag() { feed.u8() } else { self.last.wrapping_add(1) };
        let money = |feed: &mut Feed<'_>| match feed.u8() {
            255 => Micros(feed.u64() as i64),
            small => Micros(i64::from(small) * 1_000),
        };
        let offer = Offer {
            slug: "acme:box:toy".into(),
            context_length: 4_096,
            max_output: 1_024,
            price: Price {
                input_per_mtok: money(feed),
                cached_per_mtok: money(feed),
                output_per_mtok: money(feed),
                per_request: money(feed),
            },
            payout: match self.last % 4 {
                3 => PayoutTo { currency: foreign(), ..payout_to() },
                _ => payout_to(),
            },
            valid_until_ms: u64::MAX,
        };
        let offer = object::seal(&identity(PROVIDER), network().id, offer).bytes;
        AuthorizeRequest {
            fep_id: identity(PORTAL).fep_id(),
            request_id: RequestId([self.last; 16]),
            issued_ms: self.driver.now.wall.0,
            key: key_digest(&self.key),
            input_bound: u32::from(feed.u16()),
            max_output: u32::from(feed.u16() % 1_024),
            ttl_s: 720,
            offers: vec![offer; usize::from(feed.u8() % 5)],
            streamed: feed.u8() != 1,
        }
    }

    fn usage(&self, feed: &mut Feed<'_>) -> UsageReport {
        let (accepted, auth_id) = (counts(feed), self.auth(feed));
        let attempt = Some(feed.u8() % 4).filter(|attempt| *attempt < 3);
        let stated = feed.flag().then(|| {
            let of = if feed.u8() == 1 { 1 } else { attempt.unwrap_or_default() };
            Blob(seal(PROVIDER, self.statement(feed, auth_id, of)))
        });
        let mut released = || AttemptRelease { auth_id, attempt: feed.u8() % 4 };
        let releases = [released(), released()].map(|release| Blob(seal(PROVIDER, release)));
        UsageReport {
            fep_id: identity(PORTAL).fep_id(),
            auth_id,
            attempt,
            accepted,
            statement: stated,
            releases: releases.into_iter().take(usize::from(feed.u8() % 3)).collect(),
            ended_ms: self.driver.now.wall.0,
        }
    }

    /// With an acknowledgement of the gateway's, mostly of that attempt.
    fn statement(&self, feed: &mut Feed<'_>, auth_id: AuthId, attempt: u8) -> UsageStatement {
        let stated = counts(feed);
        let acked = |attempt, counts| Some(Blob(seal(GATEWAY, StreamAck { auth_id, attempt, counts })));
        UsageStatement {
            fep_id: identity(PORTAL).fep_id(),
            auth_id,
            attempt,
            counts: stated,
            end: *feed.one(&[End::Complete, End::Cancelled, End::Broken, End::Forgotten]),
            ack: match feed.u8() % 4 {
                0 => None,
                1 => acked(feed.u8() % 4, stated),
                2 => acked(attempt, stated),
                _ => acked(attempt, counts(feed)),
            },
            chunks: feed.u8().into(),
            transcript: Hash([0; 32]),
            stated_ms: self.driver.now.wall.0,
        }
    }

    fn claim(&self, feed: &mut Feed<'_>) -> Claim {
        let mut receipts: Vec<ReceiptId> = Vec::new();
        for _ in 0..=feed.u8() % 4 {
            receipts.push(ReceiptId::of(identity(PORTAL).fep_id(), self.auth(feed), feed.u8() % 2));
        }
        if feed.u8() != 1 {
            receipts.sort();
            receipts.dedup();
        }
        let leaves: Vec<[u8; 16]> = receipts.iter().map(|id| id.0).collect();
        Claim {
            claim_id: ClaimId([feed.u8() % 4; 16]),
            fep_id: identity(PORTAL).fep_id(),
            payout_to: payout_to(),
            total: Micros(i64::from(feed.u16()) * 1_000),
            receipts,
            merkle_root: merkle::root(&leaves),
            issued_ms: self.driver.now.wall.0,
        }
    }

    /// Of a receipt as this portal may have signed it: what is checked of it holds, mostly.
    fn dispute(&self, feed: &mut Feed<'_>) -> Dispute {
        let (fep_id, auth_id, attempt) = (identity(PORTAL).fep_id(), self.auth(feed), feed.u8() % 2);
        let key = *feed.one(&[KEYS[0], KEYS[0], KEYS[1], PORTAL]);
        let receipt = Receipt {
            receipt_id: ReceiptId::of(fep_id, auth_id, attempt),
            fep_id,
            provider_node_id: identity(PROVIDER).node_id(),
            gateway_node_id: identity(GATEWAY).node_id(),
            auth_id,
            attempt,
            offer_hash: Hash([0; 32]),
            settled: counts(feed),
            accepted: counts(feed),
            stated: counts(feed),
            billing_currency: payout_to().currency,
            charge: Micros(1_000),
            payout_to: payout_to(),
            payout: Micros(feed.u64() as i64),
            rate: Rate::ONE,
            authorized_ms: self.driver.now.wall.0,
            issued_ms: self.driver.now.wall.0,
            key_id: key_id(&identity(key).node_id().0),
            sequence: 1,
            request_id: RequestId([0; 16]),
        };
        Dispute {
            fep_id,
            claim_id: ClaimId([feed.u8() % 4; 16]),
            receipt: Blob(seal(key, receipt)),
            reason: String::from(*feed.one(&["already paid", "already paid", "", "\n"])),
            until_ms: feed.u64(),
            issued_ms: self.driver.now.wall.0,
        }
    }

    fn auth(&self, feed: &mut Feed<'_>) -> AuthId {
        let at = usize::from(feed.u8()) % self.auths.len().max(1);
        self.auths.get(at).copied().unwrap_or(AuthId([7; 16]))
    }
}

fn counts(feed: &mut Feed<'_>) -> Counts {
    let (input, cached, output) = (feed.u16().into(), feed.u8().into(), feed.u16().into());
    Counts { input, cached, output }
}

fn decides(feed: &mut Feed<'_>) -> Vec<u8> {
    // How an id begins that a fuzzer need not guess.
    let receipt = format!("{:x}", feed.u8() % 16);
    let ruling = *feed.one(&["claim_again", "stands", "perhaps"]);
    json!({ "receipt": receipt, "ruling": ruling, "answer": "so it is" }).to_string().into_bytes()
}

fn bond(amount: &str, reference: &str) -> Vec<u8> {
    let gateway = identity(GATEWAY).node_id();
    json!({ "gateway": gateway, "amount": amount, "reference": reference }).to_string().into_bytes()
}

fn seal<T: Object>(signer: u8, content: T) -> Vec<u8> {
    object::seal(&identity(signer), network().id, content).bytes.0
}

/// In the billing currency, and in another.
fn rails() -> config::Rails {
    let mut rails = config::Rails::default();
    let also = rails.0.iter().map(|terms| config::RailTerms { currency: Some(foreign()), ..terms.clone() });
    let also: Vec<_> = also.collect();
    rails.0.extend(also);
    rails
}

fn foreign() -> Currency {
    "EUR".parse().expect("a currency")
}

fn payout_to() -> PayoutTo {
    PayoutTo { currency: "XTS".parse().expect("a currency"), address: "address".into() }
}
