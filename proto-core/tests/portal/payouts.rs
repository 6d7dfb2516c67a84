//! How what was accepted becomes a provider's money, whatever its rail does.

use labman_proto_core::http::Surface;
use labman_proto_core::limits::PORTAL_CARRIED;
use labman_proto_core::money::Micros;
use labman_proto_core::time::Span;
use labman_proto_core::wire::ids::{ClaimId, ReceiptId};
use labman_proto_core::wire::portal::{Claim, ClaimDecision, Offer, Verdict};
use serde_json::{Value, json};

use super::rig::*;

const IBAN: &str = "mock-fiat:DE89370400440532013000";
const COIN: &str = "mock-crypto:eA9ctCNq41iLLnQErtTUVdxpRybDdN78";

/// A portal over all rails with that least payout, and so many receipts of 7 micros to that address.
fn earned(least: i64, receipts: u8, address: &str) -> (Rig, Vec<ReceiptId>) {
    let (mut rig, key) = Rig::with_user_over(rails(least), "1");
    let offer = seal(PROVIDER, Offer { payout: payout_to(address), ..offer() });
    let receipts = (1..=receipts).map(|number| {
        let job = Job { offers: vec![offer.clone()], ..job(number, &key) };
        let auth_id = rig.authorized(&job).auth_id;
        rig.settled(auth_id, counts(1, 1)).receipt_id
    });
    let receipts = receipts.collect();
    (rig, receipts)
}

fn trouble(rig: &mut Rig, rail: &str, fault: &str) {
    let order = json!({ "rail": rail, "fault": fault, "times": 1 });
    assert_eq!(rig.admin("POST", "/rails/faults", order).status, 200);
}

fn is_not_yet(reply: &Reply) -> bool {
    reply.refusal() == (503, "unavailable".into())
        && reply.json()["error"]["message"].to_string().contains("accepted")
}

fn listed(rig: &mut Rig, path: &str, name: &str) -> Vec<Value> {
    rig.admin("GET", path, Value::Null).json()[name].as_array().unwrap().clone()
}

#[test]
fn each_rail_pays_to_its_own_addresses() {
    for (address, rail) in [("address", "test"), (IBAN, "mock-fiat"), (COIN, "mock-crypto")] {
        let (mut rig, receipts) = earned(0, 1, address);
        let claim = Claim { payout_to: payout_to(address), ..claim(1, 7, receipts) };
        let payout = rig.decided(PROVIDER, claim).payout.unwrap();
        assert!(payout.rail_tx.starts_with(rail), "{}", payout.rail_tx);
        let transfer = &listed(&mut rig, "/transfers", "transfers")[0];
        assert_eq!((&transfer["rail"], &transfer["to"]), (&json!(rail), &json!(address)));
        let (_, made) = rig.disk.rows("rail").pop().unwrap();
        assert!(address.ends_with(made["address"].as_str().unwrap()));
    }
}

#[test]
fn nobody_works_for_an_address_that_could_not_be_paid() {
    let (mut rig, key) = Rig::with_user_over(rails(0), "1");
    let asks = |address: &str| Job {
        offers: vec![seal(PROVIDER, Offer { payout: payout_to(address), ..offer() })],
        ..job(1, &key)
    };
    let slip = rig.authorize(&asks("mock-fiat:DE89370400440532013001"));
    assert_eq!(slip.refusal(), (400, "bad_request".into()));
    assert!(slip.json()["error"]["message"].to_string().contains("typing error"));
    rig.rails = Default::default();
    rig.crash();
    assert_eq!(rig.authorize(&asks(IBAN)).refusal().0, 400);
    assert_eq!(rig.authorize(&asks("address")).status, 200);
}

#[test]
fn what_is_too_little_is_carried_over_and_swept_by_a_later_claim() {
    let (mut rig, receipts) = earned(20, 3, "address");
    let claims: Vec<_> = (1..).zip(&receipts).map(|(number, id)| claim(number, 7, vec![*id])).collect();
    for dust in &claims[..2] {
        assert!(is_not_yet(&rig.claim(PROVIDER, dust.clone())));
    }
    // It is owed, and listed as waiting; other words for the same claim are not taken.
    assert_eq!(rig.balance(&format!("provider:{}", node(PROVIDER))), 21);
    let open = listed(&mut rig, "/payouts/open", "open");
    assert_eq!((open.len(), &open[0]["transfer"], &open[0]["amount"]), (2, &Value::Null, &json!(7)));
    let other = Claim { claim_id: ClaimId([1; 16]), ..claims[2].clone() };
    assert_eq!(rig.claim(PROVIDER, other).refusal(), (409, "conflict".into()));
    rig.crash();
    assert!(is_not_yet(&rig.claim(PROVIDER, claims[0].clone())));

    let swept = rig.decided(PROVIDER, claims[2].clone());
    let decisions: Vec<ClaimDecision> =
        claims[..2].iter().map(|dust| rig.decided(PROVIDER, dust.clone())).collect();
    for decision in decisions.iter().chain([&swept]) {
        let payout = decision.payout.as_ref().unwrap();
        assert_eq!((decision.verdict, payout.amount), (Verdict::Accepted, Micros(7)));
        assert_eq!(payout.rail_tx, swept.payout.as_ref().unwrap().rail_tx, "one transfer brought all");
    }
    let made = rig.disk.rows("rail");
    assert_eq!((made.len(), &made[0].1["amount"]), (1, &json!(21)));
    assert_eq!(rig.balance("rail:payouts"), 21);
    assert!(listed(&mut rig, "/payouts/open", "open").is_empty());
}

#[test]
fn a_lower_least_payout_frees_what_was_carried_over() {
    let (mut rig, receipts) = earned(20, 1, "address");
    assert!(is_not_yet(&rig.claim(PROVIDER, claim(1, 7, receipts.clone()))));
    rig.rails = rails(5);
    rig.crash();
    rig.pass(Span::from_secs(1));
    assert_eq!(rig.decided(PROVIDER, claim(1, 7, receipts)).payout.unwrap().amount, Micros(7));
}

#[test]
fn too_many_small_claims_are_sent_back_to_be_claimed_together() {
    let most = PORTAL_CARRIED as u8;
    let (mut rig, receipts) = earned(7 * (i64::from(most) + 2), most + 2, "address");
    for (number, id) in (1..=most).zip(&receipts) {
        assert!(is_not_yet(&rig.claim(PROVIDER, claim(number, 7, vec![*id]))));
    }
    let [.., last, latest] = receipts[..] else { panic!("there are more") };
    assert_eq!(rig.claim(PROVIDER, claim(100, 7, vec![last])).refusal(), (409, "conflict".into()));
    let together = rig.decided(PROVIDER, claim(101, 14, vec![last, latest]));
    assert_eq!(together.payout.unwrap().amount, Micros(14));
    assert_eq!(rig.balance("rail:payouts"), 7 * (i64::from(most) + 2));
}

#[test]
fn an_unknown_outcome_is_asked_again_under_the_same_key() {
    for (fault, made) in [("answer_lost", 1), ("ask_lost", 0)] {
        let (mut rig, receipts) = earned(0, 1, IBAN);
        trouble(&mut rig, "mock-fiat", fault);
        let claim = Claim { payout_to: payout_to(IBAN), ..claim(1, 7, receipts) };
        assert!(is_not_yet(&rig.claim(PROVIDER, claim.clone())));
        assert_eq!(rig.disk.rows("rail").len(), made, "{fault}");
        let open = listed(&mut rig, "/transfers/open", "transfers");
        assert_eq!((open.len(), &open[0]["state"]), (1, &json!("sent")));
        assert_eq!(rig.balance("rail:payouts"), 0, "what nobody knows is still owed");

        rig.pass(Span::from_secs(2));
        let payout = rig.decided(PROVIDER, claim).payout.unwrap();
        assert!(payout.rail_tx.ends_with(open[0]["key"].as_str().unwrap()));
        assert_eq!(rig.disk.rows("rail").len(), 1);
        assert_eq!(listed(&mut rig, "/transfers", "transfers").len(), 1);
    }
}

#[test]
fn only_a_final_failure_has_a_payout_scheduled_anew() {
    let (mut rig, receipts) = earned(0, 1, COIN);
    trouble(&mut rig, "mock-crypto", "failed");
    let claim = Claim { payout_to: payout_to(COIN), ..claim(1, 7, receipts) };
    assert!(is_not_yet(&rig.claim(PROVIDER, claim.clone())));
    rig.pass(Span::from_secs(599));
    assert!(is_not_yet(&rig.claim(PROVIDER, claim.clone())));
    assert!(rig.disk.rows("rail").is_empty());
    rig.pass(Span::from_secs(2));
    assert_eq!(rig.decided(PROVIDER, claim).verdict, Verdict::Accepted);
    let transfers = listed(&mut rig, "/transfers", "transfers");
    assert_ne!(transfers[0]["key"], transfers[1]["key"]);
    assert!(transfers[0]["ended"]["confirmed"].is_object() && transfers[1]["ended"]["failed"].is_object());
    assert_eq!(rig.balance("rail:payouts"), 7);
}

#[test]
fn a_partly_rejected_claim_says_so_once_it_is_paid() {
    let (mut rig, receipts) = earned(14, 2, "address");
    let strange = ReceiptId([9; 16]);
    assert!(is_not_yet(&rig.claim(PROVIDER, claim(1, 7, vec![receipts[0], strange]))));
    rig.crash();
    rig.decided(PROVIDER, claim(2, 7, vec![receipts[1]]));
    let decision = rig.decided(PROVIDER, claim(1, 7, vec![receipts[0], strange]));
    assert_eq!((decision.verdict, decision.rejected[0].receipt_id), (Verdict::Partial, strange));
}

#[test]
fn a_rail_that_is_offered_no_more_keeps_its_payouts_waiting() {
    let (mut rig, receipts) = earned(0, 1, IBAN);
    rig.rails = Default::default();
    rig.crash();
    let claim = Claim { payout_to: payout_to(IBAN), ..claim(1, 7, receipts) };
    assert!(is_not_yet(&rig.claim(PROVIDER, claim.clone())));
    rig.rails = rails(0);
    rig.crash();
    rig.pass(Span::from_secs(1));
    assert_eq!(rig.decided(PROVIDER, claim).verdict, Verdict::Accepted);
}

#[test]
fn the_ledger_agrees_with_itself_at_every_step_of_a_payout() {
    let (mut rig, receipts) = earned(0, 2, "address");
    rig.decided(PROVIDER, claim(1, 7, receipts[..1].to_vec()));
    rig.begin_post("/v1/claims", &seal(PROVIDER, claim(2, 7, receipts[1..].to_vec())));
    while rig.step() {
        let ledger = rig.begin(Surface::Admin, "GET", "/ledger", b"");
        assert_eq!(rig.reply(ledger).unwrap().json()["balanced"], true);
    }
    assert_eq!(rig.balance("rail:payouts"), 14);
}
