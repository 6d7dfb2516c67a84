//! A line was not paid, and its provider says that it should be: this portal's people decide, once.

use labman_proto_core::http::{RequestHead, Surface};
use labman_proto_core::limits::{PORTAL_DISPUTES, PORTAL_DISPUTES_OF_ONE, PORTAL_TEXT};
use labman_proto_core::portal::Portal;
use labman_proto_core::store::{Row, Table, Write};
use labman_proto_core::time::Span;
use labman_proto_core::wire::cbor::Blob;
use labman_proto_core::wire::ids::ClaimId;
use labman_proto_core::wire::portal::{Dispute, DisputeDecision, Receipt, Ruling};
use serde_json::{Value, json};

use super::rig::*;
use super::rings;

/// A portal that has issued each of these providers a receipt of 7 micros, in that order.
fn issued(providers: &[u8]) -> (Rig, Vec<Receipt>) {
    let (mut rig, key) = Rig::with_user("1");
    let mut receipts = Vec::new();
    for (number, provider) in (1..).zip(providers) {
        let job = Job { offers: vec![seal(*provider, offer())], ..job(number, &key) };
        let auth_id = rig.authorized(&job).auth_id;
        receipts.push(rig.settled(auth_id, counts(1, 1)));
    }
    (rig, receipts)
}

fn raise(rig: &mut Rig, provider: u8, dispute: Dispute) -> Reply {
    rig.post("/v1/disputes", &seal(provider, dispute))
}

fn open(rig: &mut Rig) -> Vec<Value> {
    rig.admin("GET", "/disputes", Value::Null).json()["disputes"].as_array().unwrap().clone()
}

fn ids(open: &[Value]) -> Vec<&str> {
    open.iter().map(|line| line["receipt_id"].as_str().unwrap()).collect()
}

fn word(receipt: impl ToString, ruling: &str) -> Value {
    json!({ "receipt": receipt.to_string(), "ruling": ruling, "answer": "we looked into it" })
}

fn decide(rig: &mut Rig, receipt: impl ToString, ruling: &str) -> Reply {
    rig.admin("POST", "/disputes/decide", word(receipt, ruling))
}

#[test]
fn a_dispute_is_raised_listed_decided_and_then_gets_the_same_bytes_for_ever() {
    let (mut rig, receipts) = issued(&[PROVIDER]);
    let receipt = &receipts[0];
    let raised_ms = rig.now.wall.0;
    let disputed = rig.dispute(receipt, 1);
    let noted = raise(&mut rig, PROVIDER, disputed.clone());
    assert_eq!((noted.status, noted.body.len()), (202, 0));
    // Asking again changes nothing, whatever is said then.
    rig.pass(Span::from_secs(3_600));
    let again = Dispute { reason: "another".into(), ..rig.dispute(receipt, 1) };
    assert_eq!(raise(&mut rig, PROVIDER, again).status, 202);
    let line = json!({
        "receipt_id": receipt.receipt_id, "claim_id": "01".repeat(16), "provider": node(PROVIDER),
        "payout": "0.000007", "currency": "XTS", "address": "address", "reason": "already paid under claim 00",
        "raised_ms": raised_ms, "until_ms": disputed.until_ms,
    });
    let listed = open(&mut rig);
    assert_eq!(listed, [line]);
    rig.crash();
    assert_eq!(open(&mut rig), listed);

    let decided = decide(&mut rig, receipt.receipt_id, "claim_again").json();
    assert!(open(&mut rig).is_empty());
    assert_eq!(
        (&decided["ruling"], &decided["answer"]),
        (&json!("claim_again"), &json!("we looked into it"))
    );
    let asked = rig.dispute(receipt, 1);
    let told = raise(&mut rig, PROVIDER, asked.clone());
    assert_eq!(decided["decision"], hex::encode(&told.body));
    let expected = DisputeDecision {
        fep_id: identity(PORTAL).fep_id(),
        claim_id: ClaimId([1; 16]),
        receipt_id: receipt.receipt_id,
        ruling: Ruling::ClaimAgain,
        answer: "we looked into it".into(),
        decided_ms: rig.now.wall.0,
    };
    assert_eq!(told.object::<DisputeDecision>(), expected);
    rig.crash();
    rig.pass(Span::from_secs(60));
    assert_eq!(raise(&mut rig, PROVIDER, asked), told);
    assert!(open(&mut rig).is_empty());
    assert!(super::audit::judged(&rig).holds());
}

#[test]
fn one_that_stands_says_so_and_another_claim_of_its_receipt_is_another_dispute() {
    let (mut rig, receipts) = issued(&[PROVIDER]);
    let first = rig.dispute(&receipts[0], 1);
    raise(&mut rig, PROVIDER, first.clone());
    decide(&mut rig, receipts[0].receipt_id, "stands");
    let told: DisputeDecision = raise(&mut rig, PROVIDER, first).object();
    assert_eq!(told.ruling, Ruling::Stands);
    let second = rig.dispute(&receipts[0], 2);
    assert_eq!(raise(&mut rig, PROVIDER, second).status, 202);
}

#[test]
fn the_oldest_is_listed_first() {
    let (mut rig, receipts) = issued(&[PROVIDER, OTHER_PROVIDER, PROVIDER]);
    let providers = [PROVIDER, OTHER_PROVIDER, PROVIDER];
    for at in [1, 2, 0] {
        let disputed = rig.dispute(&receipts[at], 1);
        raise(&mut rig, providers[at], disputed);
        rig.pass(Span::from_secs(1));
    }
    let expected = [1, 2, 0].map(|at: usize| receipts[at].receipt_id.to_string());
    assert_eq!(ids(&open(&mut rig)), expected);
}

#[test]
fn a_receipt_of_another_or_that_we_did_not_sign_is_not_disputed_here() {
    let (mut rig, receipts) = issued(&[PROVIDER, OTHER_PROVIDER]);
    let good = rig.dispute(&receipts[0], 1);
    let with = |receipt: Vec<u8>| Dispute { receipt: Blob(receipt), ..good.clone() };
    let elsewhere = Receipt { fep_id: identity(STRANGER).fep_id(), ..receipts[0].clone() };
    let refused = [
        ("another provider's", with(seal(PORTAL_KEY, receipts[1].clone()))),
        ("by a stranger", with(seal(STRANGER, receipts[0].clone()))),
        ("by the root", with(seal(PORTAL, receipts[0].clone()))),
        ("by a key that it does not name", with(seal(NEXT_KEY, receipts[0].clone()))),
        ("another portal's", with(seal(PORTAL_KEY, elsewhere))),
    ];
    for (what, bad) in refused {
        assert_eq!(raise(&mut rig, PROVIDER, bad).refusal(), (403, "not_paired".into()), "{what}");
    }
    assert_eq!(raise(&mut rig, OTHER_PROVIDER, good.clone()).refusal(), (403, "not_paired".into()));
    let mut forged = seal(PORTAL_KEY, receipts[0].clone());
    *forged.last_mut().unwrap() ^= 1;
    let long = "x".repeat(PORTAL_TEXT + 1);
    let bad = [
        ("no receipt", with(vec![1, 2, 3])),
        ("a forged receipt", with(forged)),
        ("an offer", with(seal(PROVIDER, offer()))),
        ("another portal's dispute", Dispute { fep_id: identity(STRANGER).fep_id(), ..good.clone() }),
        ("stale", Dispute { issued_ms: good.issued_ms - 120_001, ..good.clone() }),
        ("no reason", Dispute { reason: String::new(), ..good.clone() }),
        ("a long reason", Dispute { reason: long, ..good.clone() }),
        ("a reason of two lines", Dispute { reason: "no\nno".into(), ..good.clone() }),
    ];
    for (what, bad) in bad {
        assert_eq!(raise(&mut rig, PROVIDER, bad).refusal(), (400, "bad_request".into()), "{what}");
    }
    assert!(rig.disk.rows("disputes").is_empty());
    assert_eq!(raise(&mut rig, PROVIDER, good).status, 202);
}

#[test]
fn a_receipt_counts_by_the_key_that_was_valid_when_it_was_issued() {
    let (mut rig, receipts) = issued(&[PROVIDER]);
    rig.pass(Span::from_secs(60));
    let next = rings::always(&identity(NEXT_KEY));
    let revoke_from = |from_ms| {
        let revoked = labman_proto_core::wire::keys::CertifiedKey {
            revoked_from_ms: Some(from_ms),
            ..rings::always(&identity(PORTAL_KEY))
        };
        vec![revoked, next.clone()]
    };
    let certify = |rig: &mut Rig, serial, from_ms| {
        let ring = hex::encode(rings::ring(&identity(PORTAL), serial, revoke_from(from_ms)));
        assert_eq!(rig.admin("POST", "/ring", json!({ "ring": ring })).status, 200);
    };
    let issued_ms = receipts[0].issued_ms;
    certify(&mut rig, 2, issued_ms + 1);
    let disputed = rig.dispute(&receipts[0], 1);
    assert_eq!(raise(&mut rig, PROVIDER, disputed.clone()).status, 202);
    // The next key signs what is decided.
    decide(&mut rig, receipts[0].receipt_id, "stands");
    let told = raise(&mut rig, PROVIDER, disputed);
    assert_eq!(told.object_by::<DisputeDecision>(NEXT_KEY).ruling, Ruling::Stands);
    certify(&mut rig, 3, issued_ms);
    let disputed = rig.dispute(&receipts[0], 2);
    assert_eq!(raise(&mut rig, PROVIDER, disputed).refusal(), (403, "not_paired".into()));
}

#[test]
fn an_operator_names_a_dispute_by_how_its_receipt_s_id_begins() {
    let (mut rig, receipts) = issued(&[PROVIDER; 20]);
    for receipt in &receipts {
        let disputed = rig.dispute(receipt, 1);
        raise(&mut rig, PROVIDER, disputed);
    }
    let mut all: Vec<String> = receipts.iter().map(|receipt| receipt.receipt_id.to_string()).collect();
    all.sort();
    // Twenty ids begin with sixteen digits.
    let begin = all.windows(2).find(|pair| pair[0][..1] == pair[1][..1]).unwrap()[0][..1].to_string();
    for (named, refusal) in
        [(begin.as_str(), (409, "conflict")), ("zz", (404, "not_found")), ("", (400, "bad_request"))]
    {
        let refused = decide(&mut rig, named, "stands").refusal();
        assert_eq!(refused, (refusal.0, refusal.1.to_string()), "{named:?}");
    }
    assert_eq!(open(&mut rig).len(), 20);
    assert_eq!(decide(&mut rig, all[3][..8].to_uppercase(), "stands").json()["receipt_id"], all[3]);
    assert_eq!(decide(&mut rig, &all[3], "stands").refusal(), (404, "not_found".into()));
}

#[test]
fn of_a_receipt_the_last_dispute_is_open() {
    let (mut rig, receipts) = issued(&[PROVIDER; 2]);
    let [first, second, other] =
        [(0, 1), (0, 2), (1, 1)].map(|(at, claim)| rig.dispute(&receipts[at], claim));
    for dispute in [first, other, second] {
        assert_eq!(raise(&mut rig, PROVIDER, dispute).status, 202);
    }
    rig.crash();
    assert_eq!(open(&mut rig).len(), 2);
    let decided = decide(&mut rig, receipts[0].receipt_id, "stands").json();
    assert_eq!(decided["claim_id"], json!("02".repeat(16)));
}

#[test]
fn one_that_is_over_makes_way_where_there_is_no_room() {
    let (mut rig, receipts) = issued(&[PROVIDER, PROVIDER]);
    let [first, further] = [0, 1].map(|at: usize| rig.dispute(&receipts[at], 1));
    let soon = rig.now.wall.0 + 1_000;
    raise(&mut rig, PROVIDER, Dispute { until_ms: soon, ..first });
    crowd(&mut rig, PORTAL_DISPUTES_OF_ONE - 1, PROVIDER, 7);
    assert_eq!(raise(&mut rig, PROVIDER, further.clone()).status, 503);
    rig.pass(Span::from_secs(2));
    assert_eq!(raise(&mut rig, PROVIDER, further).status, 202);
    assert_eq!(open(&mut rig).len(), 1);
}

#[test]
fn an_operator_s_slip_decides_nothing() {
    let (mut rig, receipts) = issued(&[PROVIDER]);
    let disputed = rig.dispute(&receipts[0], 1);
    raise(&mut rig, PROVIDER, disputed);
    let receipt = receipts[0].receipt_id;
    for (ruling, answer) in [("perhaps", "x".into()), ("stands", String::new()), ("stands", "x".repeat(129))]
    {
        let body = json!({ "receipt": receipt, "ruling": ruling, "answer": answer });
        assert_eq!(rig.admin("POST", "/disputes/decide", body).refusal().0, 400, "{ruling} {answer}");
    }
    assert_eq!(open(&mut rig).len(), 1);
}

#[test]
fn a_decision_under_an_idempotency_key_is_made_once_and_said_again() {
    let (mut rig, receipts) = issued(&[PROVIDER]);
    let disputed = rig.dispute(&receipts[0], 1);
    raise(&mut rig, PROVIDER, disputed);
    let body = word(receipts[0].receipt_id, "stands");
    let first = rig.keyed("/disputes/decide", "k", body.clone());
    assert_eq!(first.status, 200);
    rig.crash();
    assert_eq!(rig.keyed("/disputes/decide", "k", body), first);
    let other = word(receipts[0].receipt_id, "claim_again");
    assert_eq!(rig.keyed("/disputes/decide", "k", other).refusal(), (409, "conflict".into()));
}

#[test]
fn nothing_is_said_before_it_is_durable_and_one_thing_is_done_after_the_other() {
    let (mut rig, receipts) = issued(&[PROVIDER]);
    let body = seal(PROVIDER, rig.dispute(&receipts[0], 1));
    let [first, second] = [(); 2].map(|()| rig.begin_post("/v1/disputes", &body));
    assert_eq!(rig.reply(second).unwrap().refusal(), (503, "unavailable".into()));
    rig.step();
    assert!(rig.reply(first).is_none(), "it is being written");
    rig.run();
    assert_eq!(rig.reply(first).unwrap().status, 202);

    let said = word(receipts[0].receipt_id, "stands").to_string();
    let deciding =
        rig.begin_with(Surface::Admin, RequestHead::new("POST", "/disputes/decide"), said.as_bytes());
    rig.step();
    // Decided, but not on disk: it is neither told nor raised anew.
    let early = rig.begin_post("/v1/disputes", &body);
    assert_eq!(rig.reply(early).unwrap().refusal(), (503, "unavailable".into()));
    assert!(rig.reply(deciding).is_none());
    rig.run();
    assert_eq!(rig.reply(deciding).unwrap().status, 200);
    assert_eq!(rig.post("/v1/disputes", &body).status, 200);
    assert_eq!((rig.disk.rows("disputes").len(), rig.disk.rows("disputes_ended").len()), (0, 1));
}

#[test]
fn a_crash_while_one_is_raised_or_decided_leaves_it_whole_or_not_there() {
    for applied in [false, true] {
        let (mut rig, receipts) = issued(&[PROVIDER]);
        let body = seal(PROVIDER, rig.dispute(&receipts[0], 1));
        let die = |rig: &mut Rig| {
            rig.step();
            if applied {
                rig.step_unheard();
            }
            rig.crash();
        };
        rig.begin_post("/v1/disputes", &body);
        die(&mut rig);
        assert_eq!(open(&mut rig).len(), usize::from(applied));
        assert_eq!(rig.post("/v1/disputes", &body).status, 202);
        let said = word(receipts[0].receipt_id, "stands").to_string();
        rig.begin_with(Surface::Admin, RequestHead::new("POST", "/disputes/decide"), said.as_bytes());
        die(&mut rig);
        assert_eq!(open(&mut rig).len(), usize::from(!applied));
        assert_eq!(rig.post("/v1/disputes", &body).status, if applied { 200 } else { 202 });
        assert!(super::audit::judged(&rig).holds());
    }
}

#[test]
fn a_disk_that_takes_no_write_stops_the_portal_with_its_disputes_as_they_were() {
    let (mut rig, receipts) = issued(&[PROVIDER]);
    let disputed = rig.dispute(&receipts[0], 1);
    rig.disk.full = true;
    assert_eq!(raise(&mut rig, PROVIDER, disputed.clone()).refusal(), (503, "unavailable".into()));
    assert!(rig.stopped());
    rig.disk.full = false;
    rig.crash();
    assert!(open(&mut rig).is_empty());
    assert_eq!(raise(&mut rig, PROVIDER, disputed.clone()).status, 202);

    rig.disk.full = true;
    let refused = decide(&mut rig, receipts[0].receipt_id, "stands");
    assert_eq!(refused.refusal(), (503, "unavailable".into()));
    assert!(rig.stopped());
    rig.disk.full = false;
    rig.crash();
    assert_eq!(open(&mut rig).len(), 1);
    assert_eq!(raise(&mut rig, PROVIDER, disputed).status, 202);
    assert_eq!(decide(&mut rig, receipts[0].receipt_id, "stands").status, 200);
}

#[test]
fn without_a_valid_key_nothing_is_taken_that_could_not_be_answered() {
    let (mut rig, receipts) = issued(&[PROVIDER]);
    let disputed = rig.dispute(&receipts[0], 1);
    raise(&mut rig, PROVIDER, disputed.clone());
    let revoked = labman_proto_core::wire::keys::CertifiedKey {
        revoked_from_ms: Some(receipts[0].issued_ms + 1),
        ..rings::always(&identity(PORTAL_KEY))
    };
    rig.pass(Span::from_secs(60));
    let ring = hex::encode(rings::ring(&identity(PORTAL), 2, vec![revoked]));
    assert_eq!(rig.admin("POST", "/ring", json!({ "ring": ring })).status, 200);
    assert_eq!(raise(&mut rig, PROVIDER, disputed).refusal(), (503, "unavailable".into()));
    let refused = decide(&mut rig, receipts[0].receipt_id, "stands");
    assert_eq!(refused.refusal(), (503, "unavailable".into()));
    assert_eq!(open(&mut rig).len(), 1);
}

/// As if the first dispute that is open had been raised by that provider under so many claims.
fn crowd(rig: &mut Rig, count: usize, provider: u8, tag: u8) {
    let disputes: Table = *Portal::TABLES.iter().find(|table| table.name == "disputes").unwrap();
    let (_, row) = rig.disk.rows("disputes").remove(0);
    let rows = (0..count).map(|number| {
        let mut id = [tag; 16];
        id[..2].copy_from_slice(&(number as u16).to_be_bytes());
        let claim_id = ClaimId(id);
        let mut row = row.clone();
        (row["claim_id"], row["provider"]) = (json!(claim_id), json!(node(provider)));
        let key = format!("{}/{claim_id}", row["receipt"]["receipt_id"].as_str().unwrap());
        Write::Insert(disputes, Row::json(key, &row))
    });
    rig.disk.apply(&rows.collect::<Vec<_>>()).unwrap();
    rig.crash();
}

#[test]
fn beyond_the_most_open_disputes_a_further_one_is_told_to_come_back() {
    let (mut rig, receipts) = issued(&[PROVIDER, PROVIDER, OTHER_PROVIDER, OTHER_PROVIDER]);
    let first = rig.dispute(&receipts[0], 1);
    raise(&mut rig, PROVIDER, first.clone());
    // One provider does not take all the room.
    crowd(&mut rig, PORTAL_DISPUTES_OF_ONE - 1, PROVIDER, 7);
    let [further, others] = [1, 2].map(|at: usize| rig.dispute(&receipts[at], 1));
    let refused = raise(&mut rig, PROVIDER, further.clone());
    assert_eq!(refused.refusal(), (503, "unavailable".into()));
    assert!(refused.json()["error"]["message"].as_str().unwrap().contains("of yours"));
    assert_eq!(raise(&mut rig, PROVIDER, first.clone()).status, 202, "it is open");
    assert_eq!(raise(&mut rig, OTHER_PROVIDER, others).status, 202);
    crowd(&mut rig, PORTAL_DISPUTES - PORTAL_DISPUTES_OF_ONE - 1, STRANGER, 8);
    assert_eq!(open(&mut rig).len(), PORTAL_DISPUTES);
    let others = rig.dispute(&receipts[3], 1);
    assert_eq!(raise(&mut rig, OTHER_PROVIDER, others.clone()).refusal(), (503, "unavailable".into()));
    // Once some are decided there is room again.
    let exact = format!("{}/{}", receipts[0].receipt_id, "01".repeat(16));
    assert_eq!(decide(&mut rig, exact, "stands").status, 200);
    assert_eq!(raise(&mut rig, OTHER_PROVIDER, others).status, 202);
    assert_eq!(raise(&mut rig, PROVIDER, further).status, 503);
}
