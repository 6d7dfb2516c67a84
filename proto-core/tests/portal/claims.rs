//! Getting paid: each receipt once, whoever asks and however often.

use labman_proto_core::limits::PORTAL_READS;
use labman_proto_core::money::Micros;
use labman_proto_core::wire::ids::Hash;
use labman_proto_core::wire::ids::ReceiptId;
use labman_proto_core::wire::portal::{Claim, ClaimDecision, Verdict};
use serde_json::Value;

use super::rig::*;

/// A portal with one receipt of 7 micros for each of these providers.
fn with_receipts(providers: &[u8]) -> (Rig, Vec<ReceiptId>) {
    let (mut rig, key) = Rig::with_user("1");
    let mut receipts = Vec::new();
    for (number, provider) in (1..).zip(providers) {
        let job = Job { offers: vec![seal(*provider, offer())], ..job(number, &key) };
        let auth_id = rig.authorized(&job).auth_id;
        receipts.push(rig.settled(auth_id, counts(1, 1)).receipt_id);
    }
    (rig, receipts)
}

#[test]
fn a_repeated_claim_gets_the_same_bytes_and_one_payout() {
    let (mut rig, receipts) = with_receipts(&[PROVIDER, PROVIDER]);
    let first = rig.claim(PROVIDER, claim(1, 14, receipts.clone()));
    assert_eq!(rig.claim(PROVIDER, claim(1, 14, receipts.clone())), first);
    rig.crash();
    assert_eq!(rig.claim(PROVIDER, claim(1, 14, receipts.clone())), first);
    assert_eq!(rig.claim(PROVIDER, claim(1, 7, receipts[..1].to_vec())).refusal(), (409, "conflict".into()));
    assert_eq!(rig.balance("rail:payouts"), 14);
    assert_eq!(rig.disk.rows("rail").len(), 1);
}

#[test]
fn the_same_claim_twice_at_once_is_decided_once() {
    let (mut rig, receipts) = with_receipts(&[PROVIDER]);
    let body = seal(PROVIDER, claim(1, 7, receipts));
    let [first, second] = [(); 2].map(|()| rig.begin_post("/v1/claims", &body));
    rig.run();
    assert_eq!(rig.reply(first).unwrap().status, 200);
    assert_eq!(rig.reply(second).unwrap().refusal(), (503, "unavailable".into()));
    assert_eq!(rig.post("/v1/claims", &body), rig.reply(first).unwrap());
    assert!(!rig.stopped());
}

#[test]
fn claims_that_come_all_at_once_keep_nobody_from_being_authorized() {
    let (mut rig, key) = Rig::with_user("1");
    let receipts: Vec<ReceiptId> = (1..=40)
        .map(|number| {
            let auth_id = rig.authorized(&job(number, &key)).auth_id;
            rig.settled(auth_id, counts(1, 1)).receipt_id
        })
        .collect();
    let claims: Vec<_> = (1..)
        .zip(receipts)
        .map(|(number, receipt)| {
            rig.begin_post("/v1/claims", &seal(PROVIDER, claim(number, 7, vec![receipt])))
        })
        .collect();
    let asked = rig.authorize_body(&job(99, &key));
    let asked = rig.begin_post("/v1/authorize", &asked);
    let waited = (0..).find(|_| !rig.step() || rig.reply(asked).is_some()).unwrap();
    assert!(waited <= PORTAL_READS, "its hold was written after {waited} other things");
    assert_eq!(rig.reply(asked).unwrap().status, 200);
    rig.run();
    assert!(claims.into_iter().all(|claim| rig.reply(claim).unwrap().status == 200));
    assert_eq!(rig.balance("rail:payouts"), 7 * 40);
}

#[test]
fn a_receipt_paid_under_one_claim_is_not_paid_under_another() {
    let (mut rig, receipts) = with_receipts(&[PROVIDER, PROVIDER]);
    rig.decided(PROVIDER, claim(1, 7, receipts[..1].to_vec()));
    let decision = rig.decided(PROVIDER, claim(2, 14, receipts.clone()));
    assert_eq!(decision.verdict, Verdict::Partial);
    assert_eq!(decision.rejected.iter().map(|line| line.receipt_id).collect::<Vec<_>>(), receipts[..1]);
    assert_eq!(decision.rejected[0].reason, format!("already paid under claim {}", "01".repeat(16)));
    assert_eq!(decision.payout.unwrap().amount, Micros(7));
    assert_eq!(rig.decided(PROVIDER, claim(3, 14, receipts)).verdict, Verdict::Rejected);
    assert_eq!(rig.balance("rail:payouts"), 14);
}

#[test]
fn receipts_that_were_claimed_in_any_order_are_found_claimed_by_their_own_claims() {
    let (mut rig, receipts) = with_receipts(&[PROVIDER; 130]);
    // Every third together: then no page of numbers is of one claim.
    let thirds = [0, 1, 2].map(|first| receipts.iter().skip(first).step_by(3).copied().collect::<Vec<_>>());
    for (number, third) in (1..).zip(&thirds) {
        let sum = 7 * third.len() as i64;
        assert_eq!(rig.decided(PROVIDER, claim(number, sum, third.clone())).verdict, Verdict::Accepted);
    }
    let again = rig.decided(PROVIDER, claim(4, 7 * 130, receipts.clone()));
    assert_eq!(again.verdict, Verdict::Rejected);
    for line in again.rejected {
        let third = (1..).zip(&thirds).find(|(_, third)| third.contains(&line.receipt_id)).unwrap().0;
        let claim = format!("{third:02x}").repeat(16);
        assert_eq!(line.reason, format!("already paid under claim {claim}"), "{}", line.receipt_id);
    }
    for (third, issued) in (0..3).cycle().zip(rig.pulled(PROVIDER, 0).receipts) {
        assert_eq!(issued.claim_id.unwrap().0, [third + 1; 16]);
    }
    assert_eq!(rig.disk.rows("claimed").len(), 5, "130 numbers, 32 a page, the first is 1");
}

#[test]
fn claims_at_once_for_different_receipts_of_one_page_each_keep_their_own() {
    let (mut rig, receipts) = with_receipts(&[PROVIDER; 7]);
    let (odd, even) = ([0, 2].map(|at| receipts[at]), [1, 3].map(|at| receipts[at]));
    let body = |number, sum, lines: &[ReceiptId]| seal(PROVIDER, claim(number, sum, lines.to_vec()));
    let bodies = [body(1, 14, &odd), body(2, 14, &even), body(3, 28, &receipts[..4])];
    let streams = bodies.map(|body| rig.begin_post("/v1/claims", &body));
    // One more comes while the first batch is at the store, and a last one when all are written.
    while rig.disk.rows("claimed").is_empty() {
        assert!(rig.step());
    }
    let late = rig.begin_post("/v1/claims", &body(4, 35, &receipts[..5]));
    rig.run();
    let decided = |rig: &mut Rig, stream| rig.reply(stream).unwrap().object::<ClaimDecision>();
    let paid = streams.map(|stream| decided(&mut rig, stream).verdict);
    assert_eq!(paid, [Verdict::Accepted, Verdict::Accepted, Verdict::Rejected]);
    let late = decided(&mut rig, late);
    assert_eq!((late.rejected.len(), late.payout.unwrap().amount), (4, Micros(7)));
    let last = rig.decided(PROVIDER, claim(5, 49, receipts));
    assert_eq!((last.rejected.len(), last.payout.unwrap().amount), (5, Micros(14)));
    assert_eq!(rig.balance("rail:payouts"), 49);
    let (_, page) = rig.disk.rows("claimed").remove(0);
    let by: Vec<&str> =
        page["runs"].as_array().unwrap().iter().map(|run| &run[2].as_str().unwrap()[..2]).collect();
    assert_eq!(by, ["01", "02", "01", "02", "04", "05"]);
}

#[test]
fn a_page_that_says_of_a_receipt_twice_who_took_it_lets_nobody_take_it_again() {
    let (mut rig, receipts) = with_receipts(&[PROVIDER, PROVIDER]);
    rig.decided(PROVIDER, claim(1, 14, receipts.clone()));
    let (key, mut page) = rig.disk.rows("claimed").remove(0);
    let run = page["runs"][0].clone();
    page["runs"].as_array_mut().unwrap().push(run);
    let row = labman_proto_core::store::Row::json(key, &page);
    let claimed =
        labman_proto_core::portal::Portal::TABLES.iter().find(|table| table.name == "claimed").unwrap();
    rig.disk.apply(&[labman_proto_core::store::Write::Put(*claimed, row)]).unwrap();
    let (status, _) = rig.claim(PROVIDER, claim(2, 14, receipts)).refusal();
    assert_eq!(status, 503);
    assert_eq!(rig.balance("rail:payouts"), 14);
}

#[test]
fn a_portal_holds_no_more_in_memory_however_many_receipts_wait_to_be_claimed() {
    let (one, _) = with_receipts(&[PROVIDER]);
    let (five, receipts) = with_receipts(&[PROVIDER; 5]);
    assert_eq!(five.disk.rows("earned").len(), receipts.len());
    assert_eq!(five.disk.snapshot().rows.len(), one.disk.snapshot().rows.len());
}

#[test]
fn overlapping_claims_at_once_pay_each_receipt_once() {
    let (mut rig, receipts) = with_receipts(&[PROVIDER]);
    let bodies = [1, 2].map(|number| seal(PROVIDER, claim(number, 7, receipts.clone())));
    let streams = bodies.map(|body| rig.begin_post("/v1/claims", &body));
    rig.run();
    let verdicts = streams.map(|stream| rig.reply(stream).unwrap().object::<ClaimDecision>().verdict);
    assert_eq!(verdicts, [Verdict::Accepted, Verdict::Rejected]);
    assert_eq!(rig.balance("rail:payouts"), 7);
}

#[test]
fn forged_and_foreign_receipts_are_refused_alone() {
    let (mut rig, receipts) = with_receipts(&[PROVIDER, OTHER_PROVIDER]);
    let mut lines = receipts.clone();
    lines.push(ReceiptId([9; 16]));
    let decision = rig.decided(PROVIDER, claim(1, 21, lines));
    assert_eq!((decision.verdict, decision.rejected.len()), (Verdict::Partial, 2));
    assert_eq!(decision.payout.unwrap().amount, Micros(7));
    // The other's receipt is still the other's.
    assert_eq!(rig.decided(OTHER_PROVIDER, claim(1, 7, receipts[1..].to_vec())).verdict, Verdict::Accepted);

    // One who never earned anything here leaves no trace.
    let rows = rig.disk.rows("claims").len();
    assert_eq!(rig.decided(STRANGER, claim(1, 7, receipts)).verdict, Verdict::Rejected);
    assert_eq!(rig.disk.rows("claims").len(), rows);
}

#[test]
fn a_receipt_is_paid_to_the_address_in_its_offer_only() {
    let (mut rig, receipts) = with_receipts(&[PROVIDER]);
    let elsewhere = Claim { payout_to: payout_to("elsewhere"), ..claim(1, 7, receipts.clone()) };
    assert_eq!(rig.decided(PROVIDER, elsewhere).verdict, Verdict::Rejected);
    assert_eq!(rig.decided(PROVIDER, claim(2, 7, receipts)).verdict, Verdict::Accepted);
}

#[test]
fn a_claim_that_disagrees_with_itself_is_refused_whole() {
    let (mut rig, receipts) = with_receipts(&[PROVIDER, PROVIDER]);
    let good = claim(1, 14, receipts.clone());
    let mut falling = good.clone();
    falling.receipts.reverse();
    let mut twice = claim(1, 14, vec![receipts[0], receipts[0]]);
    twice.receipts = vec![receipts[0]; 2];
    let cases = [
        ("empty", claim(1, 0, Vec::new())),
        ("falling", falling),
        ("twice", twice),
        ("root", Claim { merkle_root: Hash([0; 32]), ..good.clone() }),
        ("too much", claim(1, 15, receipts.clone())),
        ("too little", claim(1, 13, receipts.clone())),
        ("another portal", Claim { fep_id: identity(STRANGER).fep_id(), ..good.clone() }),
    ];
    for (what, bad) in cases {
        assert_eq!(rig.claim(PROVIDER, bad).refusal(), (400, "bad_request".into()), "{what}");
    }
    // None of them has used up the id.
    assert_eq!(rig.decided(PROVIDER, good).verdict, Verdict::Accepted);
    let payouts = rig.admin("GET", "/payouts", Value::Null).json();
    assert_eq!(payouts["payouts"].as_array().unwrap().len(), 1);
}
