//! An audit of a provider's rows, alone and beside the FEP's and the gateway's, finds whatever is wrong with them.

use labman_proto_core::audit::{self, Invariant, Report};
use labman_proto_core::http::{RequestHead, Surface};
use labman_proto_core::identity::verify_strict;
use labman_proto_core::money::Micros;
use labman_proto_core::node::Node;
use labman_proto_core::store::{Row, Table, Write};
use labman_proto_core::time::Span;
use labman_proto_core::wire::envelope::Kind;
use labman_proto_core::wire::portman::FromPortman;
use serde_json::{Value, json};

use super::jobs::{Shop, shop};
use super::peer::counts;
use super::portman::delivery;
use super::rig::FEP_KEY;
use super::store::Disk;
use super::twists;

const LIMIT: Micros = Micros(10_000_000);

pub(super) fn judge(disk: &Disk, limit: Micros) -> Report {
    let Ok(report) = audit::provider(disk, verify_strict, &limit.into());
    report
}

/// Delivers a job, and its receipt if that comes.
fn works(shop: &mut Shop, number: u8, receipted: bool) {
    let order = shop.order(number);
    let stream = order.place(&mut shop.rig, &mut shop.gateway);
    let job = u64::from(number);
    shop.portman.text(&mut shop.rig, job, "seven tokens", counts(10, 7));
    shop.portman.say(&mut shop.rig, &FromPortman::Done { job, counts: counts(10, 7) });
    if receipted {
        let mut receipt = order.receipt(counts(10, 7));
        receipt.sequence = number.into();
        shop.gateway.say(&mut shop.rig, stream, Kind::ReceiptDelivery, &delivery(FEP_KEY, &receipt));
    }
}

/// One receipt that is paid, one in a claim, one unclaimed, and a job without its receipt.
fn rich() -> Disk {
    let mut shop = shop();
    shop.rig.fep.rejects = Some("no receipt of this provider");
    works(&mut shop, 1, true);
    works(&mut shop, 2, true);
    shop.rig.pass(Span::from_secs(11));
    shop.rig.fep.rejects = None;
    let (_, disputed) = shop.rig.disk.rows("disputes").remove(0);
    let order = format!("/receipts/write-off?id={}", disputed["receipt_id"].as_str().unwrap());
    let stream = shop.rig.request(Surface::Admin, RequestHead::new("POST", &order));
    shop.rig.finish(stream);
    works(&mut shop, 3, true);
    shop.rig.pass(Span::from_secs(11));
    shop.rig.fep.says = Some(("/v1/claims", 503, Vec::new()));
    works(&mut shop, 4, true);
    shop.rig.pass(Span::from_secs(11));
    works(&mut shop, 5, true);
    works(&mut shop, 6, false);
    let states: Vec<Value> = ["receipts_open", "receipts_paid"]
        .iter()
        .flat_map(|table| shop.rig.disk.rows(table))
        .map(|(_, row)| row["state"].clone())
        .collect();
    assert_eq!(states.len(), 5);
    assert!(
        ["unclaimed", "in_claim", "disputed", "written_off", "paid"]
            .iter()
            .all(|state| states.contains(&json!(state))),
        "{states:?}"
    );
    shop.rig.disk
}

fn table(name: &str) -> Table {
    *Node::TABLES.iter().find(|table| table.name == name).unwrap()
}

#[test]
fn a_provider_s_books_hold_and_its_receipts_are_shown_by_state() {
    let report = judge(&rich(), LIMIT);
    assert!(report.holds(), "{:#?}", report.findings);
    let [sheet] = &report.sheets[..] else { panic!("{:?}", report.sheets) };
    let names: Vec<_> = sheet.lines.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["unclaimed", "in claim", "disputed", "written off", "paid"]);
    for invariant in [Invariant::I4, Invariant::I5, Invariant::I6, Invariant::I8] {
        assert!(report.verdicts().any(|(looked_at, looked, _)| looked_at == invariant && looked > 0));
    }
    assert!(judge(&Disk::default(), LIMIT).holds());
}

/// What no sum follows from: times, what an authorization says beside its amounts, the operator's word, and what only people read. A job whose
/// receipt has not come is judged by nothing but what it may earn.
const UNJUDGED: &[&str] = &[
    "authorizations/",
    "earnings/day/",
    "earnings/slug/",
    "earnings/input/",
    "earnings/cached/",
    "earnings/output/",
    "/slug/",
    "/issued_ms/",
    "/verdict/",
    "/rail_tx/",
    "/payout_id/",
    "/decision/",
    "claims_open/total/",
    "claims/total/",
    "/address/",
    "claims_open/count/",
    "claims_open/currency/",
    "claims/currency/",
    "claims_open/fep_id/",
    "claims/fep_id/",
    "claims_open/signed/",
    "claims/signed/",
    "claims_open/rejected/",
    "claims_open/paid/",
    "claims/lines/",
    "receipts_sums/cleared/",
    "/rejected/",
];

#[test]
fn whatever_row_of_its_receipts_is_gone_or_has_another_value_is_found() {
    let disk = rich();
    let tables = [
        "receipts_open",
        "receipts_paid",
        "receipts_unclaimed",
        "disputes",
        "receipts_sums",
        "receipt_numbers",
        "claims_open",
        "claims",
        "earnings",
    ]
    .map(table);
    let twisted = twists::all(&disk, &tables, UNJUDGED);
    assert!(twisted.len() > 80, "{}", twisted.len());
    let unfound: Vec<_> =
        twisted.into_iter().filter(|(_, disk)| judge(disk, LIMIT).holds()).map(|(what, _)| what).collect();
    assert!(unfound.is_empty(), "{unfound:#?}");
}

#[test]
fn each_invariant_is_found_broken_where_it_is() {
    let good = rich();
    let put = |name: &str, key: String, row: &Value| {
        let mut disk = good.clone();
        disk.apply(&[Write::Put(table(name), Row::json(key, row))]).unwrap();
        disk
    };
    let (paid_key, paid) = good.rows("receipts_paid").remove(0);
    let mut unpaid = paid.clone();
    unpaid["state"] = json!("unclaimed");
    unpaid["claim_id"] = Value::Null;
    let id = paid["receipt"]["receipt_id"].as_str().unwrap().to_string();
    let both = put("receipts_open", id, &unpaid);
    assert!(judge(&both, LIMIT).has_broken(Invariant::I4), "paid and unclaimed");

    let mut lost = good.clone();
    lost.apply(&[Write::Delete(table("receipts_paid"), paid_key.clone())]).unwrap();
    assert!(judge(&lost, LIMIT).has_broken(Invariant::I6), "stored, acknowledged, gone");

    let dearer = {
        let mut row = paid;
        row["receipt"]["payout"] = json!(row["receipt"]["payout"].as_i64().unwrap() + 1);
        put("receipts_paid", paid_key, &row)
    };
    assert!(judge(&dearer, LIMIT).has_broken(Invariant::I8), "a micro-unit more than its offer comes to");

    assert!(judge(&good, Micros(1)).has_broken(Invariant::I5), "more than a FEP may owe");
}
