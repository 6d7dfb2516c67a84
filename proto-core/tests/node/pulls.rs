//! Receipts that never came are asked for by their numbers, whatever happened to them: kept back, or lost with a disk.

use labman_proto_core::audit;
use labman_proto_core::economics::Rate;
use labman_proto_core::identity::verify_strict;
use labman_proto_core::limits::{CLAIM_RECEIPTS, PULL_EVERY, PULL_GAP, PULL_RECEIPTS};
use labman_proto_core::money::Micros;
use labman_proto_core::time::Span;
use labman_proto_core::wire::envelope::Kind;
use labman_proto_core::wire::ids::{AuthId, ClaimId, ReceiptId};
use labman_proto_core::wire::portal::{Receipt, key_id};
use serde_json::Value;

use super::fep::FEES;
use super::jobs::{Shop, shop};
use super::peer::counts;
use super::portman::delivery;
use super::rig::{FEP, FEP_KEY, OTHER, Rig, STRANGER, identity, node, provider_config};
use super::rings;
use super::store::Disk;

const NEXT_KEY: u8 = 4;
const SOON: Span = Span::from_secs(1);

impl Shop {
    /// Delivers a job. Its receipt has that number, and is not brought.
    fn works(&mut self, number: u8) -> Receipt {
        let (order, _) = self.delivers(number);
        Receipt { sequence: number.into(), ..order.receipt(counts(10, 7)) }
    }

    fn brings(&mut self, receipt: &Receipt) {
        let control = self.gateway.control;
        self.gateway.say(&mut self.rig, control, Kind::ReceiptDelivery, &delivery(FEP_KEY, receipt));
    }
}

/// Numbers and states, as the operator sees them.
fn held(rig: &mut Rig) -> Vec<(u64, String)> {
    let shown = rig.admin("/receipts?limit=1000");
    let line =
        |line: &Value| (line["sequence"].as_u64().unwrap(), line["state"].as_str().unwrap().to_owned());
    let mut held: Vec<_> = shown["receipts"].as_array().unwrap().iter().map(line).collect();
    held.sort();
    held
}

fn numbers(rig: &mut Rig) -> Vec<u64> {
    held(rig).into_iter().map(|(number, _)| number).collect()
}

fn must_hold(rig: &Rig) {
    let Ok(report) = audit::provider(&rig.disk, verify_strict, &Micros(i64::MAX).into());
    assert!(report.holds(), "{:#?}", report.findings);
}

/// A provider that remembers nothing, and so many receipts that its FEP has issued to it.
fn forgetful(receipts: u64) -> (Rig, Vec<Receipt>) {
    let mut shop = shop();
    let real = shop.works(1);
    let of = |sequence: u64| {
        let auth_id = AuthId(u128::from(sequence).to_be_bytes());
        let receipt_id = ReceiptId::of(real.fep_id, auth_id, 0);
        Receipt { auth_id, receipt_id, sequence, ..real.clone() }
    };
    shop.rig.disk = Disk::default();
    shop.rig.restart();
    (shop.rig, (1..=receipts).map(of).collect())
}

#[test]
fn a_number_that_is_missing_is_asked_for_once_its_receipt_can_t_be_on_its_way_any_more() {
    let mut shop = shop();
    let all = [1, 2, 3].map(|number| shop.works(number));
    shop.rig.pass(SOON);
    assert_eq!(shop.rig.fep.called("/v1/receipts"), 1, "at the start");
    shop.rig.fep.issued = all.iter().map(|receipt| (receipt.clone(), None)).collect();
    shop.brings(&all[0]);
    shop.brings(&all[2]);
    shop.rig.pass(Span(PULL_GAP.0 - SOON.0));
    assert_eq!((shop.rig.fep.called("/v1/receipts"), numbers(&mut shop.rig)), (1, vec![1, 3]));
    shop.rig.pass(SOON + SOON);
    assert_eq!((shop.rig.fep.called("/v1/receipts"), numbers(&mut shop.rig)), (2, vec![1, 2, 3]));
    // Brought after all, it is known.
    shop.brings(&all[1]);
    assert_eq!(numbers(&mut shop.rig), [1, 2, 3]);
    must_hold(&shop.rig);
}

#[test]
fn what_a_fep_lists_by_a_key_that_is_not_known_yet_comes_once_it_is() {
    let (mut rig, all) = forgetful(1);
    let signed_anew = |receipt| Receipt { key_id: key_id(&node(NEXT_KEY).0), ..receipt };
    rig.fep.issued = all.into_iter().map(|receipt| (signed_anew(receipt), None)).collect();
    rig.fep.signer = Some(NEXT_KEY);
    rig.fep.silent = vec!["/v1/descriptor"];
    rig.pass(Span::from_secs(60));
    assert!(rig.fep.called("/v1/receipts") > 1);
    assert!(numbers(&mut rig).is_empty());
    let keys = [FEP_KEY, NEXT_KEY].map(|key| rings::always(&identity(key)));
    let ring = rings::ring(&identity(FEP), 2, keys.into());
    rig.fep.descriptor = Some(rings::descriptor(&identity(NEXT_KEY), ring, 0, FEES));
    rig.fep.silent.clear();
    rig.pass(Span::from_secs(60));
    assert_eq!(numbers(&mut rig), [1]);
    must_hold(&rig);
}

#[test]
fn the_last_one_that_is_kept_back_is_found_by_asking_now_and_then() {
    let mut shop = shop();
    shop.rig.pass(SOON);
    let kept_back = shop.works(1);
    shop.rig.fep.issued = vec![(kept_back, None)];
    shop.rig.pass(PULL_EVERY);
    assert_eq!(numbers(&mut shop.rig), [1]);
}

#[test]
fn a_fep_that_gives_no_receipt_for_a_number_is_not_asked_all_the_time() {
    let mut shop = shop();
    let all = [1, 2, 3].map(|number| shop.works(number));
    shop.brings(&all[0]);
    shop.brings(&all[2]);
    shop.rig.fep.issued = vec![(all[0].clone(), None), (all[2].clone(), None)];
    shop.rig.pass(PULL_GAP + PULL_GAP);
    let asked = shop.rig.fep.called("/v1/receipts");
    // Each receipt that comes shows the gap again.
    let further = shop.works(4);
    shop.brings(&further);
    shop.rig.pass(Span(PULL_EVERY.0 - 2 * PULL_GAP.0));
    assert!(shop.rig.fep.called("/v1/receipts") <= asked + 1, "{} after {asked}", shop.rig.fep.calls.len());
    assert_eq!(numbers(&mut shop.rig), [1, 3, 4]);
}

#[test]
fn a_provider_that_lost_its_disk_gets_its_receipts_again_and_claims_what_was_not_claimed() {
    let (mut rig, all) = forgetful(3);
    let before = ClaimId([7; 16]);
    rig.fep.issued = all.iter().cloned().zip([Some(before), None, None]).collect();
    rig.pass(SOON);
    let states: Vec<_> = held(&mut rig).into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, ["paid", "unclaimed", "unclaimed"]);
    must_hold(&rig);
    rig.pass(Span::from_secs(20));
    assert_eq!(rig.fep.claims.len(), 1);
    assert_eq!(rig.fep.claims[0].receipts.len(), 2);
    assert!(held(&mut rig).into_iter().all(|(_, state)| state == "paid"));
    let earned = rig.admin("/earnings?by=model")["earnings"][0].clone();
    assert_eq!((&earned["slug"], &earned["receipts"]), (&"unknown".into(), &3.into()), "{earned}");
    assert_eq!(earned["paid"], earned["earned"]);
    must_hold(&rig);
}

#[test]
fn all_of_more_receipts_than_fit_an_answer_come_and_are_claimed_a_claim_s_lines_at_a_time() {
    let many = CLAIM_RECEIPTS as u64 + 50;
    let (mut rig, all) = forgetful(many);
    rig.fep.issued = all.into_iter().map(|receipt| (receipt, None)).collect();
    rig.pass(SOON);
    assert_eq!(numbers(&mut rig), (1..=many).collect::<Vec<_>>());
    assert_eq!(rig.fep.called("/v1/receipts") as u64, many.div_ceil(PULL_RECEIPTS as u64));
    must_hold(&rig);
    rig.pass(Span::from_secs(20));
    assert_eq!(
        rig.fep.claims.iter().map(|claim| claim.receipts.len()).collect::<Vec<_>>(),
        [CLAIM_RECEIPTS, 50]
    );
    assert!(held(&mut rig).into_iter().all(|(_, state)| state == "paid"));
    must_hold(&rig);
}

#[test]
fn a_provider_holds_no_more_in_memory_however_many_receipts_wait() {
    let wait = |many| {
        let (mut rig, all) = forgetful(many);
        rig.fep.issued = all.into_iter().map(|receipt| (receipt, None)).collect();
        rig.config.provider.as_mut().unwrap().portmans[0].least_payout = Micros(i64::MAX);
        rig.restart();
        rig.pass(Span::from_secs(20));
        assert_eq!((numbers(&mut rig).len() as u64, rig.fep.claims.len()), (many, 0));
        rig.disk.snapshot().rows.len()
    };
    assert_eq!(wait(1), wait(70));
}

#[test]
fn what_was_given_already_is_kept_once_even_where_its_number_is_forgotten() {
    let (mut rig, all) = forgetful(3);
    rig.fep.issued = all.into_iter().map(|receipt| (receipt, None)).collect();
    rig.pass(SOON);
    let (key, _) = rig.disk.rows("receipt_numbers").remove(0);
    let table = *labman_proto_core::node::Node::TABLES.iter().find(|t| t.name == "receipt_numbers").unwrap();
    rig.disk.apply(&[labman_proto_core::store::Write::Delete(table, key)]).unwrap();
    let earned = rig.admin("/earnings?by=day");
    rig.restart();
    rig.pass(SOON);
    assert_eq!((numbers(&mut rig), rig.admin("/earnings?by=day")), (vec![1, 2, 3], earned));
    must_hold(&rig);
}

#[test]
fn of_a_forgotten_job_only_what_can_be_ours_is_taken() {
    type Twist = fn(&mut Receipt);
    let cases: [(&str, Twist); 7] = [
        ("another provider's", |r| r.provider_node_id = node(OTHER)),
        ("another FEP's", |r| {
            r.fep_id = identity(STRANGER).fep_id();
            r.receipt_id = ReceiptId::of(r.fep_id, r.auth_id, r.attempt);
        }),
        ("an id of its own", |r| r.receipt_id = ReceiptId([9; 16])),
        ("another address", |r| r.payout_to.address = "thief".into()),
        ("more than was charged", |r| r.payout = Micros(r.charge.0 + 1)),
        ("less than nothing", |r| r.payout = Micros(-1)),
        ("another rate", |r| r.rate = Rate::new(1, 2).unwrap()),
    ];
    for (what, twist) in cases {
        let (mut rig, mut all) = forgetful(2);
        twist(&mut all[0]);
        rig.fep.issued = all.into_iter().map(|receipt| (receipt, None)).collect();
        rig.pass(SOON);
        assert_eq!(numbers(&mut rig), [2], "{what}");
        assert!(rig.log.iter().any(|line| line.contains("refused a receipt from its FEP")), "{what}");
    }
}

#[test]
fn what_somebody_else_says_that_a_fep_issued_is_not_heard() {
    let (mut rig, all) = forgetful(1);
    rig.fep.issued = vec![(all[0].clone(), None)];
    rig.fep.signer = Some(STRANGER);
    rig.pass(SOON);
    assert!(numbers(&mut rig).is_empty());
}

#[test]
fn a_fep_that_is_away_is_asked_until_it_answers() {
    let mut rig = Rig::new(provider_config());
    rig.fep.silent = vec!["/v1/receipts"];
    rig.pass(Span::from_secs(60));
    let asked = rig.fep.called("/v1/receipts");
    assert!((3..20).contains(&asked), "{asked}");
    rig.fep.silent.clear();
    rig.pass(Span::from_secs(60));
    assert_eq!(rig.fep.called("/v1/receipts"), asked + 1);
}
