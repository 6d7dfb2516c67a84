//! I1, I2, I3 and I7 of the economy, over random lives of a portal.

use std::collections::{BTreeMap, BTreeSet};

use labman_proto_core::http::Surface;
use labman_proto_core::time::Span;
use labman_proto_core::wire::ids::{AuthId, ReceiptId};
use labman_proto_core::wire::object;
use labman_proto_core::wire::portal::{Claim, ClaimDecision, End, JobAuthorization, Receipt, UsageReport};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::rig::*;

#[derive(Clone, Debug)]
enum Act {
    Deposit {
        reference: u8,
        micros: u32,
    },
    /// Several requests reach the portal before the store has done anything; numbers repeat, so old ones come again.
    Authorize {
        numbers: Vec<u8>,
        bound: u32,
    },
    Report {
        of: u8,
        attempt: Option<u8>,
        input: u32,
        output: u32,
    },
    /// The gateway alone: the provider has still to speak.
    Word {
        of: u8,
        attempt: Option<u8>,
        output: u32,
        releases: Vec<u8>,
    },
    Statement {
        of: u8,
        attempt: u8,
        output: u32,
        acked: Option<u32>,
        end: u8,
    },
    Bond {
        reference: u8,
        micros: i16,
    },
    /// Receipts by their place in the order of issue, whosever they are; too many name ones that were never issued.
    Claim {
        by: bool,
        number: u8,
        lines: BTreeSet<u8>,
        wrong: bool,
    },
    /// Back over the rail of that address; some of these are no addresses.
    Withdraw {
        reference: u8,
        micros: u32,
        to: usize,
    },
    /// The operator's call under an idempotency key: the same again, or another.
    Keyed {
        key: u8,
        micros: u32,
    },
    /// A receipt's provider disputes it under that claim, and the operator may decide: claim again, or not.
    Dispute {
        of: u8,
        claim: u8,
        again: Option<bool>,
    },
    Trouble {
        rail: usize,
        fault: usize,
        times: u8,
    },
    Freeze {
        state: bool,
    },
    /// To an address of a rail, or of none; then a gateway's fees may be sent at once.
    PayGateway {
        to: usize,
        now: bool,
    },
    /// For so many minutes.
    Quote {
        rate: u32,
        minutes: u32,
    },
    Pass {
        seconds: u64,
    },
    /// The store does so many things before the process dies, the last of them unheard.
    Crash {
        numbers: Vec<u8>,
        steps: u8,
    },
}

fn act() -> impl Strategy<Value = Act> {
    let numbers = || prop::collection::vec(0u8..16, 1..4);
    prop_oneof![
        1 => (0u8..4, 1u32..3_000).prop_map(|(reference, micros)| Act::Deposit { reference, micros }),
        4 => (numbers(), 1u32..200).prop_map(|(numbers, bound)| Act::Authorize { numbers, bound }),
        5 => (0u8..16, prop::option::weighted(0.9, 0u8..3), 0u32..300, 0u32..300)
            .prop_map(|(of, attempt, input, output)| Act::Report { of, attempt, input, output }),
        3 => (0u8..16, prop::option::weighted(0.6, 0u8..2), 0u32..300, prop::collection::vec(0u8..2, 0..2))
            .prop_map(|(of, attempt, output, releases)| Act::Word { of, attempt, output, releases }),
        4 => (0u8..16, 0u8..2, 0u32..300, prop::option::weighted(0.8, 0u32..300), 0u8..4)
            .prop_map(|(of, attempt, output, acked, end)| Act::Statement { of, attempt, output, acked, end }),
        1 => (0u8..8, -3_000i16..3_000).prop_map(|(reference, micros)| Act::Bond { reference, micros }),
        3 => (prop::bool::weighted(0.7), 0u8..16, prop::collection::btree_set(0u8..6, 1..4), prop::bool::weighted(0.1))
            .prop_map(|(by, number, lines, wrong)| Act::Claim { by, number, lines, wrong }),
        2 => (0u8..8, 1u32..1_500, 0usize..4)
            .prop_map(|(reference, micros, to)| Act::Withdraw { reference, micros, to }),
        1 => (0u8..4, 1u32..3).prop_map(|(key, micros)| Act::Keyed { key, micros }),
        1 => (0u8..6, 0u8..3, any::<Option<bool>>())
            .prop_map(|(of, claim, again)| Act::Dispute { of, claim, again }),
        2 => (0usize..3, 0usize..3, 0u8..3).prop_map(|(rail, fault, times)| Act::Trouble { rail, fault, times }),
        1 => any::<bool>().prop_map(|state| Act::Freeze { state }),
        1 => (0usize..4, any::<bool>()).prop_map(|(to, now)| Act::PayGateway { to, now }),
        2 => (1u32..3_000, 1u32..60).prop_map(|(rate, minutes)| Act::Quote { rate, minutes }),
        1 => (1u64..900).prop_map(|seconds| Act::Pass { seconds }),
        1 => (numbers(), 0u8..12).prop_map(|(numbers, steps)| Act::Crash { numbers, steps }),
    ]
}

/// Micros that a rail sends at least: what most receipts are worth, so that some claims are carried over.
const LEAST: i64 = 300;

/// Of each rail, and of none.
const ADDRESSES: [&str; 4] = [
    "address",
    "mock-fiat:DE89370400440532013000",
    "mock-crypto:eA9ctCNq41iLLnQErtTUVdxpRybDdN78",
    "mock-fiat:DE89370400440532013001",
];

/// A portal, and what its callers remember.
struct World {
    rig: Rig,
    key: String,
    authorizations: BTreeMap<AuthId, JobAuthorization>,
    receipts: Vec<Receipt>,
    /// Micros paid out for each receipt, as the decisions say it.
    paid: BTreeSet<ReceiptId>,
    decisions: BTreeMap<(bool, u8), Vec<u8>>,
    crashes: u8,
    /// Told to ask again.
    waiting: BTreeMap<(bool, u8), Claim>,
    /// Bodies and answers, by idempotency key.
    keyed: BTreeMap<u8, (Value, Reply)>,
    /// What disputes were answered, by receipt and claim.
    ruled: BTreeMap<(ReceiptId, u8), Vec<u8>>,
}

impl World {
    fn new() -> Self {
        let (mut rig, key) = Rig::with_user_over(rails(LEAST), "0.01");
        // Little enough that it does not always do.
        assert_eq!(rig.bond("-0.998", "back").status, 200);
        rig.quote("EUR", "0.92");
        Self {
            rig,
            key,
            authorizations: BTreeMap::new(),
            receipts: Vec::new(),
            paid: BTreeSet::new(),
            decisions: BTreeMap::new(),
            crashes: 0,
            waiting: BTreeMap::new(),
            keyed: BTreeMap::new(),
            ruled: BTreeMap::new(),
        }
    }

    fn job(&self, number: u8, bound: u32) -> Job {
        let mut dear = offer();
        dear.price.per_request.0 = 13;
        dear.price.cached_per_mtok.0 = 3_333_333;
        if foreign(number) {
            dear.payout = in_euro("address");
        }
        let offers = vec![seal(PROVIDER, offer()), seal(OTHER_PROVIDER, dear)];
        Job { offers, input_bound: bound, max_output: bound, ttl_s: 300, ..job(number, &self.key) }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Deposit { reference, micros } => {
                let amount = labman_proto_core::money::Micros(i64::from(micros)).to_string();
                let body = json!({ "user": "u000001", "amount": amount, "reference": reference.to_string() });
                let status = self.rig.admin("POST", "/deposits", body).status;
                assert!([200, 409].contains(&status));
            }
            Act::Authorize { numbers, bound } => {
                let bodies: Vec<_> =
                    numbers.iter().map(|number| self.rig.authorize_body(&self.job(*number, bound))).collect();
                let streams: Vec<_> =
                    bodies.iter().map(|body| self.rig.begin_post("/v1/authorize", body)).collect();
                self.rig.run();
                for stream in streams {
                    let reply = self.rig.reply(stream).expect("an answer");
                    match reply.status {
                        200 => self.remember(reply.object()),
                        // A quote may have lapsed.
                        status => assert!([400, 401, 402, 409].contains(&status), "{:?}", reply.refusal()),
                    }
                }
            }
            Act::Report { of, attempt, input, output } => self.report(of, attempt, input, output),
            Act::Word { of, attempt, output, releases } => {
                let auth_id = auth_of(of);
                let releases = releases.into_iter().map(|attempt| release(auth_id, attempt)).collect();
                let report = UsageReport { releases, ..bare_report(auth_id, attempt, counts(20, output)) };
                let status = self.rig.usage(report).status;
                assert!([200, 202, 204, 400, 404, 409].contains(&status), "{status}");
            }
            Act::Statement { of, attempt, output, acked, end } => {
                let end = [End::Complete, End::Cancelled, End::Broken, End::Forgotten][usize::from(end)];
                let said = statement(auth_of(of), attempt, counts(20, output), end, acked);
                let reply = self.rig.states(PROVIDER + attempt, said);
                match reply.status {
                    200 => self.issued(reply.object()),
                    status => assert!([204, 400, 404, 409, 503].contains(&status), "{status}"),
                }
            }
            Act::Bond { reference, micros } => {
                let amount = labman_proto_core::money::Micros(i64::from(micros)).to_string();
                let status = self.rig.bond(&amount, &reference.to_string()).status;
                assert!([200, 400, 409].contains(&status), "{status}");
            }
            Act::Claim { by, number, lines, wrong } => self.claim(by, number, &lines, wrong),
            Act::Withdraw { reference, micros, to } => {
                let amount = labman_proto_core::money::Micros(i64::from(micros)).to_string();
                let reference = reference.to_string();
                let body = json!({ "user": "u000001", "amount": amount, "to": ADDRESSES[to], "reference": reference });
                let reply = self.rig.admin("POST", "/withdrawals", body);
                assert!([200, 400, 402, 409].contains(&reply.status));
            }
            Act::Keyed { key, micros } => {
                let amount = labman_proto_core::money::Micros(i64::from(micros)).to_string();
                let body =
                    json!({ "user": "u000001", "amount": amount, "reference": format!("under {key}") });
                let reply = self.rig.keyed("/deposits", &key.to_string(), body.clone());
                match self.keyed.get(&key) {
                    Some((before, answer)) if *before == body => assert_eq!(reply, *answer),
                    Some(_) => assert_eq!(reply.status, 409),
                    None => drop(self.keyed.insert(key, (body, reply))),
                }
            }
            Act::Dispute { of, claim, again } => self.dispute(of, claim, again),
            Act::Trouble { rail, fault, times } => {
                let rail = ["test", "mock-fiat", "mock-crypto"][rail];
                let fault = ["failed", "answer_lost", "ask_lost"][fault];
                let order = json!({ "rail": rail, "fault": fault, "times": times });
                assert_eq!(self.rig.admin("POST", "/rails/faults", order).status, 200);
            }
            Act::Freeze { state } => {
                let key = self.rig.admin("GET", "/keys", Value::Null).json()["keys"][0]["key"].clone();
                let state = if state { "frozen" } else { "active" };
                assert_eq!(
                    self.rig.admin("POST", "/keys/state", json!({ "key": key, "state": state })).status,
                    200
                );
            }
            Act::PayGateway { to, now } => {
                let gateway = node(GATEWAY);
                let paid_at = json!({ "gateway": gateway, "to": ADDRESSES[to] });
                let status = self.rig.admin("POST", "/gateways/payout-to", paid_at).status;
                assert!([200, 400].contains(&status), "{status}");
                if now {
                    let status =
                        self.rig.admin("POST", "/gateways/pay", json!({ "gateway": gateway })).status;
                    assert!([200, 409].contains(&status), "{status}");
                }
            }
            Act::Quote { rate, minutes } => {
                let rate = format!("{rate}/1000");
                let body = json!({ "currency": "EUR", "rate": rate, "valid_for_s": 60 * minutes });
                assert_eq!(self.rig.admin("POST", "/fx", body).status, 200);
            }
            Act::Pass { seconds } => self.rig.pass(Span::from_secs(seconds)),
            Act::Crash { numbers, steps } => {
                for number in numbers {
                    let body = self.rig.authorize_body(&self.job(number, 50));
                    self.rig.begin_post("/v1/authorize", &body);
                }
                self.crashes += 1;
                let number = 100 + self.crashes;
                // All that was earned is claimed, and something taken out, just before the end.
                let asked = self.claim_for(number, &(0..6).collect(), false);
                self.rig.begin_post("/v1/claims", &seal(PROVIDER, asked.clone()));
                self.waiting.insert((true, number), asked);
                let withdrawal = json!({ "user": "u000001", "amount": "0.0004", "to": "address", "reference": format!("last {number}") });
                self.rig.begin(Surface::Admin, "POST", "/withdrawals", withdrawal.to_string().as_bytes());
                (0..steps).for_each(|_| {
                    self.rig.step();
                });
                self.rig.step_unheard();
                self.rig.crash();
            }
        }
    }

    fn remember(&mut self, authorization: JobAuthorization) {
        let before = self.authorizations.insert(authorization.auth_id, authorization.clone());
        assert!(before.is_none_or(|before| before == authorization), "one id, one authorization");
    }

    fn report(&mut self, of: u8, attempt: Option<u8>, input: u32, output: u32) {
        let reply = self.rig.usage(report(auth_of(of), attempt, counts(input, output)));
        match reply.status {
            200 => self.issued(reply.object()),
            status => assert!([202, 204, 400, 404, 409].contains(&status), "{status}"),
        }
    }

    /// A receipt was shown, for the first time or again.
    fn issued(&mut self, receipt: Receipt) {
        let key = |receipt: &Receipt| (receipt.auth_id, receipt.attempt);
        match self.receipts.iter().find(|known| key(known) == key(&receipt)) {
            Some(known) => assert_eq!(*known, receipt, "an attempt is captured once (I2)"),
            None => {
                if let Some(authorization) = self.authorizations.get(&receipt.auth_id) {
                    let most = authorization.attempts[usize::from(receipt.attempt)].max_charge;
                    assert!(receipt.charge <= most, "captures are within the hold, or the bond (I2)");
                }
                let of_provider = |r: &&Receipt| r.provider_node_id == receipt.provider_node_id;
                // Those of holds that lapsed, by their gateway's word, are shown in any order.
                let mut numbers = self.receipts.iter().filter(of_provider).map(|receipt| receipt.sequence);
                assert!(numbers.all(|number| number != receipt.sequence), "each has a number of its own");
                self.receipts.push(receipt);
            }
        }
    }

    fn claim(&mut self, by: bool, number: u8, lines: &BTreeSet<u8>, wrong: bool) {
        let asked = self.claim_for(number, lines, wrong);
        let reply = self.rig.claim(if by { PROVIDER } else { OTHER_PROVIDER }, asked.clone());
        self.answered(by, number, asked, &reply);
    }

    fn claim_for(&self, number: u8, lines: &BTreeSet<u8>, wrong: bool) -> Claim {
        let (mut total, mut ids) = (i64::from(wrong), Vec::new());
        for line in lines {
            match self.receipts.get(usize::from(*line)) {
                Some(receipt) => {
                    total += receipt.payout.0;
                    ids.push(receipt.receipt_id);
                }
                None => ids.push(ReceiptId([*line; 16])),
            }
        }
        // Most lines of some are to be paid in another currency.
        let to = if foreign(number) { in_euro("address") } else { payout_to("address") };
        Claim { payout_to: to, ..claim(number, total, ids) }
    }

    fn answered(&mut self, by: bool, number: u8, asked: Claim, reply: &Reply) {
        if reply.status == 503 {
            self.waiting.entry((by, number)).or_insert(asked);
            return;
        }
        if reply.status != 200 {
            assert!([400, 409].contains(&reply.status));
            return;
        }
        self.waiting.remove(&(by, number));
        let decision: ClaimDecision = reply.object();
        let Some(payout) = decision.payout else { return };
        match self.decisions.insert((by, number), reply.body.clone()) {
            Some(before) => assert_eq!(before, reply.body, "a claim is decided once"),
            None => {
                let refused: BTreeSet<_> = decision.rejected.iter().map(|line| line.receipt_id).collect();
                let mut sum = 0;
                for id in asked.receipts.iter().filter(|id| !refused.contains(id)) {
                    let receipt = self.receipts.iter().find(|receipt| receipt.receipt_id == *id);
                    let receipt = receipt.expect("only issued receipts are paid");
                    assert_eq!(receipt.provider_node_id, node(if by { PROVIDER } else { OTHER_PROVIDER }));
                    assert_eq!(receipt.payout_to, payout.to);
                    assert!(self.paid.insert(*id), "a receipt is paid once (I3)");
                    sum += receipt.payout.0;
                }
                assert_eq!(payout.amount.0, sum);
            }
        }
    }

    fn dispute(&mut self, of: u8, claim: u8, again: Option<bool>) {
        let Some(receipt) = self.receipts.get(usize::from(of)).cloned() else { return };
        let by = if receipt.provider_node_id == node(PROVIDER) { PROVIDER } else { OTHER_PROVIDER };
        let ask = |world: &mut Self| {
            let body = seal(by, world.rig.dispute(&receipt, claim));
            world.rig.post("/v1/disputes", &body)
        };
        let key = (receipt.receipt_id, claim);
        let reply = ask(self);
        match self.ruled.get(&key) {
            Some(before) => assert_eq!((200, before), (reply.status, &reply.body), "decided once"),
            None => assert_eq!(reply.status, 202),
        }
        let Some(again) = again.filter(|_| !self.ruled.contains_key(&key)) else { return };
        let named = format!("{}/{}", receipt.receipt_id, hex::encode([claim; 16]));
        let ruling = if again { "claim_again" } else { "stands" };
        let word = json!({ "receipt": named, "ruling": ruling, "answer": "so it is" });
        assert_eq!(self.rig.admin("POST", "/disputes/decide", word).status, 200);
        let told = ask(self);
        assert_eq!(told.status, 200);
        self.ruled.insert(key, told.body);
    }

    /// Who was told to ask again does. One claim may bring the money of others that were asked for before it.
    fn ask_again(&mut self) {
        let mut before = usize::MAX;
        while self.waiting.len() < before {
            before = self.waiting.len();
            for ((by, number), asked) in self.waiting.clone() {
                let reply = self.rig.claim(if by { PROVIDER } else { OTHER_PROVIDER }, asked.clone());
                if reply.status != 503 {
                    self.waiting.remove(&(by, number));
                }
                self.answered(by, number, asked, &reply);
            }
        }
    }

    /// What the rails have really moved of that currency.
    fn moved(&self, currency: &str) -> i64 {
        let made = self.rig.disk.rows("rail").into_iter().map(|(_, made)| made);
        made.filter(|made| made["currency"] == currency).map(|made| made["amount"].as_i64().unwrap()).sum()
    }

    /// With no more trouble, everything that is on its way arrives or comes back.
    fn settle(&mut self) {
        for rail in 0..3 {
            self.act(Act::Trouble { rail, fault: 0, times: 0 });
        }
        self.rig.pass(Span::from_secs(2_000));
        self.ask_again();
        self.check();
        let books = self.rig.accounts();
        let stands = |name: &str| books.get(name).copied().unwrap_or_default();
        assert_eq!(stands("leaving:u000001"), 0);
        assert_eq!(self.moved("XTS"), stands("rail:payouts") + stands("rail:withdrawals"), "paid twice");
        assert_eq!(self.moved("EUR"), stands("EUR rail:payouts"), "paid twice");
        let open = self.rig.admin("GET", "/transfers/open", Value::Null).json();
        assert_eq!(open["transfers"], json!([]));
        let carried = self.rig.admin("GET", "/payouts/open", Value::Null).json();
        let carried = carried["open"].as_array().unwrap().iter().map(|line| line["amount"].as_i64().unwrap());
        for provider in [PROVIDER, OTHER_PROVIDER] {
            assert!(stands(&format!("provider:{}", node(provider))) >= 0);
        }
        assert!(carried.sum::<i64>() < 3 * LEAST, "only what is too little waits");
        self.pull_everything();
    }

    /// A provider that has lost everything gets every receipt again, and hears which of them were claimed.
    fn pull_everything(&mut self) {
        let mut closed = BTreeSet::new();
        for (key, page) in self.rig.disk.rows("claimed") {
            let (provider, _) = key.split_once('/').unwrap();
            for run in page["runs"].as_array().unwrap() {
                let [first, last] = [0, 1].map(|end| run[end].as_u64().unwrap());
                closed.extend((first..=last).map(|number| (provider.to_owned(), number)));
            }
        }
        let mut given = BTreeMap::new();
        for provider in [PROVIDER, OTHER_PROVIDER] {
            let pulled = self.rig.pulled(provider, 0);
            assert_eq!(pulled.last, pulled.receipts.len() as u64, "few enough for one answer");
            for (number, issued) in (1..).zip(pulled.receipts) {
                let receipt: Receipt =
                    object::open(net(), Some(identity(PORTAL_KEY).fep_key().0), &issued.receipt.0)
                        .unwrap()
                        .content;
                assert_eq!((receipt.provider_node_id, receipt.sequence), (node(provider), number));
                let is_closed = closed.contains(&(node(provider).to_string(), number));
                assert_eq!(issued.claim_id.is_some(), is_closed, "{receipt:?}");
                given.insert(receipt.receipt_id, receipt);
            }
        }
        for known in &self.receipts {
            assert_eq!(given.get(&known.receipt_id), Some(known));
        }
    }

    fn check(&mut self) {
        assert!(!self.rig.stopped());
        self.ask_again();
        let books = self.rig.accounts();
        let (foreign, own): (Vec<_>, Vec<_>) = books.iter().partition(|(name, _)| name.starts_with("EUR "));
        let sum = |book: &[(&String, &i64)]| book.iter().map(|(_, balance)| **balance).sum::<i64>();
        assert_eq!((sum(&foreign), sum(&own)), (0, 0), "I1");
        let may_fall = |name: &str| ["rail:deposits", "EUR fx:EUR"].contains(&name);
        let negative = books.iter().find(|(name, balance)| **balance < 0 && !may_fall(name));
        assert_eq!(negative, None, "I7");
        assert_eq!(self.journaled(), books, "the journal alone gives the balances");
        let (bond, locked) = self.rig.bonded();
        assert!(locked <= bond, "a bond covers what it answers for: {locked} of {bond}");
        let paid_in = |currency: &str| {
            let paid = self.receipts.iter().filter(|receipt| self.paid.contains(&receipt.receipt_id));
            let paid = paid.filter(|receipt| receipt.payout_to.currency.as_str() == currency);
            paid.map(|receipt| receipt.payout.0).sum::<i64>()
        };
        let stands = |name: &str| books.get(name).copied().unwrap_or_default();
        let (paid, in_euro) = (paid_in("XTS") + self.gateway_got(), paid_in("EUR"));
        assert_eq!((stands("rail:payouts"), stands("EUR rail:payouts")), (paid, in_euro), "I3");
        let left = paid + stands("rail:withdrawals");
        assert!(self.moved("XTS") >= left, "nothing is booked that has not arrived");
        assert!(self.moved("EUR") >= in_euro, "nothing is booked that has not arrived");
    }

    /// What has arrived of a gateway's fees.
    fn gateway_got(&self) -> i64 {
        let ended = self.rig.disk.rows("transfers_ended").into_iter().map(|(_, transfer)| transfer);
        let of_fees = ended.filter(|transfer| !transfer["purpose"]["gateway_fees"].is_null());
        let arrived = of_fees.filter(|transfer| !transfer["ended"]["confirmed"].is_null());
        arrived.map(|transfer| transfer["amount"].as_i64().unwrap()).sum()
    }

    /// Every account's balance, from nothing but the journal, whose every entry must sum to zero.
    fn journaled(&self) -> BTreeMap<String, i64> {
        let mut sums: BTreeMap<String, i64> = BTreeMap::new();
        for (number, entry) in self.rig.disk.rows("journal") {
            let postings = entry["postings"].as_array().unwrap();
            let amount = |posting: &Value| posting["amount"].as_i64().unwrap();
            assert_eq!(postings.iter().map(amount).sum::<i64>(), 0, "entry {number}");
            for posting in postings {
                let account = in_book(&entry["currency"], &posting["account"]);
                *sums.entry(account).or_default() += amount(posting);
            }
        }
        sums.retain(|name, sum| *sum != 0 || !name.starts_with("held:"));
        sums
    }
}

/// A third is paid in another currency.
fn foreign(number: u8) -> bool {
    number.is_multiple_of(3)
}

fn auth_of(number: u8) -> AuthId {
    let request_id = labman_proto_core::wire::ids::RequestId([number; 16]);
    AuthId::of(identity(PORTAL).fep_id(), node(GATEWAY), request_id)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn money_is_conserved_and_nobody_is_paid_twice(acts in prop::collection::vec(act(), 1..120)) {
        let mut world = World::new();
        for act in acts {
            world.act(act);
            world.check();
        }
        let report = super::audit::judged(&world.rig);
        prop_assert!(report.holds(), "{:#?}", report.findings);
        world.settle();
        let before = world.rig.accounts();
        world.rig.crash();
        prop_assert_eq!(world.rig.accounts(), before);
    }
}
