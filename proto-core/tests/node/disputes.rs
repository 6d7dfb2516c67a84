//! Receipts that their FEP would not pay: left for people to look into, claimed again, or given up by the operator alone.

use std::collections::BTreeSet;

use labman_proto_core::http::{RequestHead, Surface};
use labman_proto_core::limits::{DISPUTE_EVERY, DISPUTE_PAGE_EVERY, DISPUTES_READ};
use labman_proto_core::money::Micros;
use labman_proto_core::time::Span;
use labman_proto_core::wire::cbor::{self, Blob};
use labman_proto_core::wire::envelope::Kind;
use labman_proto_core::wire::ids::ReceiptId;
use labman_proto_core::wire::mesh::FepDescriptor;
use labman_proto_core::wire::portal::Ruling;
use serde_json::{Value, json};

use super::fep::FEES;
use super::jobs::{Shop, shop};
use super::peer::counts;
use super::portman::delivery;
use super::rig::{FEP, FEP_KEY, STRANGER, identity};
use super::rings;

/// Of the rig's provider, and a claim's time.
const TERM: Span = Span::from_secs(24 * 3_600);
const LATER: Span = Span::from_secs(1_800);
const CLAIMED: Span = Span::from_secs(30);
const LONG: &str = match str::from_utf8(&[b'x'; 300]) {
    Ok(text) => text,
    Err(_) => "",
};
const WHY: &str = "no receipt of this provider";

impl Shop {
    /// A receipt whose claim its FEP rejects.
    fn is_refused(&mut self, number: u8) -> ReceiptId {
        self.rig.fep.rejects = Some(WHY);
        let id = self.earns(number);
        self.rig.pass(CLAIMED);
        id
    }

    fn earns(&mut self, number: u8) -> ReceiptId {
        let (order, stream) = self.delivers(number);
        let mut receipt = order.receipt(counts(10, 7));
        receipt.sequence = number.into();
        self.gateway.say(&mut self.rig, stream, Kind::ReceiptDelivery, &delivery(FEP_KEY, &receipt));
        self.rig.finish(stream);
        receipt.receipt_id
    }

    fn states(&mut self) -> Vec<Value> {
        let shown = self.rig.admin("/receipts");
        shown["receipts"].as_array().unwrap().iter().map(|receipt| receipt["state"].clone()).collect()
    }

    fn says(&mut self, order: &str) -> (Option<u16>, Value) {
        let stream = self.rig.request(Surface::Admin, RequestHead::new("POST", order));
        self.rig.finish(stream);
        (self.rig.status(stream), serde_json::from_str(&self.rig.text(stream)).unwrap_or_default())
    }

    fn owes(&mut self, part: &str) -> i64 {
        self.rig.admin("/exposure")["feps"][0][part].as_i64().unwrap()
    }

    fn holds(&self) {
        let report = super::audit::judge(&self.rig.disk, Micros(1_000_000_000));
        assert!(report.holds(), "{:#?}", report.findings);
    }
}

#[test]
fn a_rejected_line_is_disputed_and_claimed_again_once_its_term_is_over() {
    let mut shop = shop();
    shop.is_refused(1);
    let receipt = &shop.rig.admin("/receipts")["receipts"][0];
    assert_eq!((&receipt["state"], &receipt["rejected"]), (&json!("disputed"), &json!(WHY)));
    let left = receipt["disputed_until_ms"].as_u64().unwrap() - shop.rig.now.wall.0;
    assert!((TERM.as_millis() - CLAIMED.as_millis()..=TERM.as_millis()).contains(&left), "{left}");
    shop.holds();

    shop.rig.fep.rejects = None;
    shop.rig.pass(Span::from_secs(24 * 3_600 - 60));
    assert_eq!((shop.states(), shop.rig.fep.claims.len()), (vec![json!("disputed")], 1));
    shop.rig.pass(Span::from_secs(120));
    assert_eq!((shop.states(), shop.rig.fep.claims.len()), (vec![json!("paid")], 2));
    shop.holds();
}

#[test]
fn one_line_that_is_rejected_again_and_again_is_one_fault_of_its_fep() {
    // As after a restore from a backup that had not seen the payout: the FEP is right each time, and owed work all the same.
    let mut shop = shop();
    shop.is_refused(1);
    for claims in 2..7 {
        shop.rig.pass(TERM);
        shop.rig.pass(CLAIMED);
        assert_eq!((shop.rig.fep.claims.len(), shop.states()), (claims, vec![json!("disputed")]));
        assert_eq!(shop.rig.admin("/denials")["denials"], json!([]));
    }
}

#[test]
fn its_fep_is_shown_the_receipt_and_asked_each_hour_what_its_people_say() {
    let mut shop = shop();
    let id = shop.is_refused(1);
    let (dispute, receipt) = shop.rig.fep.disputes[0].clone();
    let claim = &shop.rig.fep.claims[0];
    assert_eq!((dispute.claim_id, receipt.receipt_id, dispute.reason.as_str()), (claim.claim_id, id, WHY));
    shop.rig.pass(DISPUTE_EVERY);
    shop.rig.pass(DISPUTE_EVERY);
    assert_eq!(shop.rig.fep.disputes.len(), 3);
}

#[test]
fn a_dispute_is_shown_in_plain_words_whatever_reason_was_given() {
    for (reason, told) in [("", "no reason was given"), ("naïve\u{7}", "na?ve?"), (LONG, &LONG[..128])] {
        let mut shop = shop();
        shop.rig.fep.rejects = Some(reason);
        shop.earns(1);
        shop.rig.pass(CLAIMED);
        assert_eq!(shop.rig.fep.disputes[0].0.reason, told);
    }
}

#[test]
fn what_its_fep_rules_is_done() {
    let mut shop = shop();
    let id = shop.is_refused(1);
    // By somebody else, and of another claim: of no account.
    shop.rig.fep.ruling = Some((Ruling::Stands, "no"));
    shop.rig.fep.signer = Some(STRANGER);
    shop.rig.restart();
    shop.rig.pass(CLAIMED);
    assert!(shop.rig.admin("/receipts")["receipts"][0]["disputed_until_ms"].is_u64());
    shop.rig.fep.signer = None;

    shop.rig.fep.ruling = Some((Ruling::ClaimAgain, "found it"));
    shop.rig.fep.rejects = None;
    shop.rig.restart();
    shop.rig.pass(CLAIMED);
    assert_eq!(shop.states(), [json!("paid")]);
    assert_eq!(shop.rig.fep.claims.last().unwrap().receipts, [id]);
    shop.holds();
}

#[test]
fn a_rejection_that_stands_waits_for_the_operator_alone() {
    let mut shop = shop();
    let id = shop.is_refused(1);
    shop.rig.fep.ruling = Some((Ruling::Stands, "paid under claim 7, on Tuesday"));
    shop.rig.restart();
    shop.rig.pass(CLAIMED);
    let asked = shop.rig.fep.disputes.len();
    shop.holds();
    shop.rig.restart();
    shop.rig.pass(TERM + TERM);
    let receipt = shop.rig.admin("/receipts")["receipts"][0].clone();
    assert_eq!((&receipt["state"], &receipt["disputed_until_ms"]), (&json!("disputed"), &Value::Null));
    assert_eq!(receipt["rejected"], "paid under claim 7, on Tuesday");
    assert_eq!((shop.rig.fep.disputes.len(), shop.rig.fep.claims.len()), (asked, 1), "nobody is asked again");
    let (status, _) = shop.says(&format!("/receipts/paid?id={id}"));
    assert_eq!((status, shop.states()), (Some(200), vec![json!("paid")]));
    shop.holds();
}

#[test]
fn a_fep_that_goes_on_refusing_is_asked_once_in_a_term() {
    let mut shop = shop();
    shop.is_refused(1);
    for asked in 1..5 {
        assert_eq!((shop.states(), shop.rig.fep.claims.len()), (vec![json!("disputed")], asked));
        shop.rig.pass(TERM + CLAIMED);
    }
    shop.holds();
}

#[test]
fn a_dispute_ends_in_its_time_across_restarts() {
    let mut shop = shop();
    let first = shop.is_refused(1);
    shop.rig.pass(LATER);
    shop.is_refused(2);
    shop.rig.restart();
    shop.rig.pass(Span::from_secs(24 * 3_600 - 1_800));
    assert_eq!(shop.rig.fep.claims.last().unwrap().receipts, [first], "the other's term is not over");
    shop.rig.restart();
    shop.rig.fep.rejects = None;
    shop.rig.pass(LATER);
    assert_eq!(shop.states().iter().filter(|state| **state == "paid").count(), 1);
    shop.holds();
}

#[test]
fn many_disputes_end_together() {
    let mut shop = shop();
    shop.rig.fep.rejects = Some(WHY);
    // More than are read at once.
    let all = u8::try_from(2 * DISPUTES_READ + 1).unwrap();
    for number in 1..=all {
        shop.earns(number);
    }
    shop.rig.pass(CLAIMED);
    assert!(shop.states().iter().all(|state| *state == "disputed"));
    // A FEP is not asked about all of them at once.
    assert!(shop.rig.fep.disputes.len() <= DISPUTES_READ);
    shop.rig.pass(DISPUTE_PAGE_EVERY);
    assert!(shop.rig.fep.disputes.len() <= 2 * DISPUTES_READ);
    shop.rig.pass(DISPUTE_PAGE_EVERY + DISPUTE_PAGE_EVERY);
    let shown: BTreeSet<_> = shop.rig.fep.disputes.iter().map(|(_, receipt)| receipt.receipt_id).collect();
    assert_eq!((shown.len(), shop.rig.fep.disputes.len()), (usize::from(all), usize::from(all)));
    shop.rig.fep.rejects = None;
    shop.rig.pass(TERM + CLAIMED);
    let states = shop.states();
    assert!(states.iter().all(|state| *state == "paid") && states.len() == 100, "{states:?}");
    shop.holds();
}

#[test]
fn a_receipt_for_which_every_claim_is_refused_keeps_no_other_from_being_paid() {
    let mut shop = shop();
    let ids: Vec<_> = (1..=11).map(|number| shop.earns(number)).collect();
    shop.rig.fep.cant_take = Some(ids[4]);
    shop.rig.pass(Span::from_secs(120));
    let states = shop.states();
    assert_eq!(states.iter().filter(|state| **state == "paid").count(), 10, "{states:?}");
    let receipt = &shop.rig.admin("/receipts")["receipts"][0];
    assert_eq!((&receipt["state"], &receipt["receipt_id"]), (&json!("disputed"), &json!(ids[4])));
    assert!(
        receipt["rejected"].as_str().unwrap().ends_with("not the sum of its receipts' payouts"),
        "{receipt}"
    );
    let sizes: Vec<_> = shop.rig.fep.claims.iter().map(|claim| claim.receipts.len()).collect();
    assert!(sizes.len() <= 12 && sizes[0] == 11, "{sizes:?}");

    // The next ones are claimed together again.
    let before = sizes.len();
    for number in 12..=19 {
        shop.earns(number);
    }
    shop.rig.pass(CLAIMED);
    assert!(shop.rig.fep.claims.len() <= before + 4, "{:?}", shop.rig.fep.claims.len());
    shop.holds();
}

#[test]
fn a_claim_that_comes_too_early_blames_no_line() {
    let mut shop = shop();
    (1..=4).for_each(|number| {
        shop.earns(number);
    });
    let body = br#"{"error":{"code":"conflict","message":"64 claims wait for more to be owed"}}"#;
    shop.rig.fep.says = Some(("/v1/claims", 409, body.to_vec()));
    shop.rig.pass(Span::from_secs(120));
    assert_eq!(shop.rig.admin("/exposure")["feps"][0]["disputed"], 0);
    shop.rig.fep.says = None;
    shop.rig.pass(CLAIMED);
    assert_eq!((shop.states(), shop.rig.fep.claims.len()), (vec![json!("paid"); 4], 1), "all together");
}

#[test]
fn a_term_that_began_by_a_wrong_clock_is_no_longer_than_any() {
    let mut shop = shop();
    shop.earns(1);
    shop.rig.fep.rejects = Some(WHY);
    shop.rig.set_clock(30 * 24 * 3_600_000);
    shop.rig.pass(CLAIMED);
    assert_eq!(shop.states(), [json!("disputed")]);
    shop.rig.set_clock(-30 * 24 * 3_600_000);
    shop.rig.restart();
    shop.rig.fep.rejects = None;
    shop.rig.pass(CLAIMED);
    shop.holds();
    shop.rig.pass(TERM + CLAIMED);
    assert_eq!(shop.states(), [json!("paid")]);
}

#[test]
fn a_key_that_is_revoked_rules_on_nothing_whatever_the_date() {
    let mut shop = shop();
    shop.is_refused(1);
    let keys = vec![
        rings::revoked(rings::always(&identity(FEP_KEY)), shop.rig.now.wall.0),
        rings::always(&identity(STRANGER)),
    ];
    let ring = rings::ring(&identity(FEP), 2, keys);
    let descriptor = Blob(rings::descriptor(&identity(STRANGER), ring, 0, FEES));
    let told = cbor::encode(&FepDescriptor { fep_id: identity(FEP).fep_id(), descriptor });
    shop.gateway.say(&mut shop.rig, shop.gateway.control, Kind::FepDescriptor, &told);
    shop.rig.fep.ruling = Some((Ruling::Stands, "no"));
    shop.rig.pass(DISPUTE_EVERY);
    assert!(shop.rig.admin("/receipts")["receipts"][0]["disputed_until_ms"].is_u64());
    shop.rig.fep.signer = Some(STRANGER);
    shop.rig.pass(DISPUTE_EVERY);
    assert!(shop.rig.admin("/receipts")["receipts"][0]["disputed_until_ms"].is_null());
}

#[test]
fn what_the_operator_writes_off_is_claimed_no_more_and_counts_until_that_is_cleared() {
    let mut shop = shop();
    let id = shop.is_refused(1);
    let owed = shop.owes("disputed");
    assert!(owed > 0);
    let (status, said) = shop.says(&format!("/receipts/write-off?id={}", &id.to_string()[..10]));
    assert_eq!((status, &said["receipt"]["state"]), (Some(200), &json!("written_off")), "{said}");
    assert_eq!((shop.owes("disputed"), shop.owes("written_off"), shop.owes("total")), (0, owed, owed));
    shop.holds();

    shop.rig.fep.rejects = None;
    shop.rig.pass(TERM + TERM);
    assert_eq!((shop.states(), shop.rig.fep.claims.len()), (vec![json!("written_off")], 1));
    shop.rig.restart();
    assert_eq!(shop.owes("total"), owed, "for ever");

    let fep = shop.rig.admin("/exposure")["feps"][0]["fep_id"].as_str().unwrap().to_string();
    assert_eq!(shop.says("/exposure/clear?fep=nobody").1["cleared"], json!([]));
    let (status, said) = shop.says(&format!("/exposure/clear?fep={fep}"));
    assert_eq!((status, &said["cleared"][0]["cleared"]), (Some(200), &json!(owed)));
    assert_eq!(shop.owes("total"), 0);
    shop.holds();
    shop.rig.restart();
    assert_eq!((shop.owes("total"), shop.states()), (0, vec![json!("written_off")]));
}

#[test]
fn the_operator_says_that_one_was_paid_or_is_to_be_claimed_now() {
    let mut shop = shop();
    let [first, second] = [1, 2].map(|number| shop.is_refused(number));
    let (status, said) = shop.says(&format!("/receipts/paid?id={first}"));
    assert_eq!((status, &said["receipt"]["state"]), (Some(200), &json!("paid")));
    shop.holds();
    shop.rig.fep.rejects = None;
    let (status, _) = shop.says(&format!("/receipts/claim-again?id={second}"));
    shop.rig.pass(CLAIMED);
    assert_eq!((status, shop.states()), (Some(200), vec![json!("paid"); 2]));
    assert_eq!(shop.rig.fep.claims.last().unwrap().receipts, [second]);
    shop.holds();
}

#[test]
fn an_order_that_names_no_disputed_receipt_changes_nothing_and_says_why() {
    let mut shop = shop();
    let id = shop.is_refused(1);
    for (order, status) in [
        ("/receipts/write-off?id=ffffffffffffffffffffffffffffffff".to_string(), 404),
        ("/receipts/write-off".to_string(), 400),
        ("/receipts/write-off?id=".to_string(), 400),
        ("/receipts/write-off?id=~".to_string(), 400),
        ("/receipts/burn?id=ff".to_string(), 404),
        ("/exposure/clear".to_string(), 400),
        ("/exposure/clear?fep=".to_string(), 400),
    ] {
        let (answered, said) = shop.says(&order);
        assert_eq!(answered, Some(status), "{order}: {said}");
        assert!(said["error"]["message"].as_str().is_some_and(|message| message.len() > 20), "{said}");
    }
    assert_eq!(shop.states(), [json!("disputed")]);
    // Twice the same at once: the second finds that it is done.
    shop.rig.store_held = true;
    let order = format!("/receipts/write-off?id={id}");
    let streams = [1, 2].map(|_| {
        let stream = shop.rig.request(Surface::Admin, RequestHead::new("POST", &order));
        shop.rig.finish(stream);
        stream
    });
    assert_eq!(
        streams.map(|stream| shop.rig.status(stream)),
        [None, None],
        "nothing is said before it is durable"
    );
    shop.rig.release_store();
    assert_eq!(streams.map(|stream| shop.rig.status(stream)), [Some(200), Some(404)]);
    shop.holds();
}
