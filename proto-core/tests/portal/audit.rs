//! An audit of a FEP's rows finds whatever is wrong with them, and nothing where nothing is.

use labman_proto_core::audit::{self, Invariant, Report};
use labman_proto_core::identity::verify_strict;
use labman_proto_core::portal::Portal;
use labman_proto_core::store::{Row, Table, Write};
use labman_proto_core::time::Span;
use labman_proto_core::wire::portal::{Claim, End, Offer, Receipt, UsageReport};
use serde_json::{Value, json};

use super::rig::*;
use super::store::Disk;
use super::twists;

pub(super) fn judged(rig: &Rig) -> Report {
    judge(&rig.disk)
}

fn judge(disk: &Disk) -> Report {
    let Ok(report) = audit::fep(disk, verify_strict);
    report
}

/// Books with something of everything: two users; holds that are open, reported and waiting, captured and paid, captured and
/// unclaimed, in a claim that a rail does not answer, returned with an attempt that the bond answers for, paid from the
/// bond, released, expired; a job for nothing; the same in a currency of its provider's; a gateway's fees that were sent;
/// withdrawals that have arrived, and have not; disputes that are open, and decided.
fn rich() -> Disk {
    let (mut rig, ann) = Rig::with_user_over(rails(0), "1");
    let bob = rig.user("bob", "2.5");
    let expiring = Job { ttl_s: 1, ..job(1, &ann) };
    rig.authorized(&expiring);
    rig.pass(Span::from_secs(120));
    let paid = earned(&mut rig, 2, &ann);
    rig.decided(PROVIDER, claim(1, paid.payout.0, vec![paid.receipt_id]));
    earned(&mut rig, 3, &bob);
    let released = rig.authorized(&job(4, &bob)).auth_id;
    let releases = vec![release(released, 0)];
    let nothing = UsageReport { releases, ..bare_report(released, None, counts(0, 0)) };
    assert_eq!(rig.usage(nothing).status, 204);
    let mut gift = offer();
    gift.price = Default::default();
    let free = rig.authorized(&Job { offers: vec![seal(OTHER_PROVIDER, gift)], ..job(5, &bob) });
    rig.settled(free.auth_id, counts(3, 3));
    rig.authorized(&job(6, &ann));
    let reported = rig.authorized(&job(7, &ann)).auth_id;
    assert_eq!(rig.usage(bare_report(reported, Some(0), counts(10, 7))).status, 202);
    let for_two = |number, key| Job {
        offers: vec![seal(PROVIDER, offer()), seal(OTHER_PROVIDER, offer())],
        ..job(number, key)
    };
    let answered_for = rig.authorized(&for_two(8, &bob)).auth_id;
    rig.settled(answered_for, counts(10, 7));
    let twice = rig.authorized(&for_two(9, &bob)).auth_id;
    rig.settled(twice, counts(10, 7));
    let said = statement(twice, 1, counts(10, 9), End::Cancelled, Some(4));
    assert_eq!(rig.states(OTHER_PROVIDER, said).object::<Receipt>().attempt, 1);
    // Two in another currency, the first of them paid; and one that is not over.
    rig.quote("EUR", "0.5");
    let foreign = |number| Job {
        offers: vec![seal(PROVIDER, Offer { payout: in_euro("address"), ..offer() })],
        ..job(number, &bob)
    };
    let [paid, _] = [11, 12].map(|number| {
        let auth_id = rig.authorized(&foreign(number)).auth_id;
        rig.settled(auth_id, counts(10, 7))
    });
    let in_euro_claim =
        Claim { payout_to: in_euro("address"), ..claim(3, paid.payout.0, vec![paid.receipt_id]) };
    rig.decided(PROVIDER, in_euro_claim);
    rig.authorized(&foreign(13));
    assert_eq!(pays_its_gateway(&mut rig).status, 200);
    earned(&mut rig, 14, &ann);
    withdraw(&mut rig, "0.1", "arrives");
    let unanswered = earned(&mut rig, 10, &bob);
    let fault = json!({ "rail": "test", "fault": "ask_lost", "times": 2 });
    assert_eq!(rig.admin("POST", "/rails/faults", fault).status, 200);
    assert_eq!(rig.claim(PROVIDER, claim(2, unanswered.payout.0, vec![unanswered.receipt_id])).status, 503);
    withdraw(&mut rig, "0.2", "leaves");
    let disputes = |rig: &mut Rig, claim| {
        let disputed = seal(PROVIDER, rig.dispute(&unanswered, claim));
        assert_eq!(rig.post("/v1/disputes", &disputed).status, 202);
    };
    disputes(&mut rig, 8);
    let word = json!({ "receipt": unanswered.receipt_id, "ruling": "stands", "answer": "paid" });
    assert_eq!(rig.admin("POST", "/disputes/decide", word).status, 200);
    disputes(&mut rig, 9);
    assert_eq!(rig.balance("leaving:u000001"), 200_000);
    rig.disk
}

fn earned(rig: &mut Rig, number: u8, key: &str) -> Receipt {
    let auth_id = rig.authorized(&job(number, key)).auth_id;
    rig.settled(auth_id, counts(10, 7))
}

fn withdraw(rig: &mut Rig, amount: &str, reference: &str) {
    let order = json!({ "user": "u000001", "amount": amount, "to": "address", "reference": reference });
    assert_eq!(rig.admin("POST", "/withdrawals", order).status, 200);
}

fn pays_its_gateway(rig: &mut Rig) -> Reply {
    rig.admin("POST", "/gateways/payout-to", json!({ "gateway": node(GATEWAY), "to": "gate" }));
    rig.admin("POST", "/gateways/pay", json!({ "gateway": node(GATEWAY) }))
}

fn table(name: &str) -> Table {
    *Portal::TABLES.iter().find(|table| table.name == name).unwrap()
}

#[test]
fn books_with_something_of_everything_hold_and_their_accounts_are_shown() {
    let report = judge(&rich());
    assert!(report.holds(), "{:#?}", report.findings);
    let [foreign, sheet] = &report.sheets[..] else { panic!("{:?}", report.sheets) };
    assert_eq!((foreign.currency.as_str(), foreign.sum()), ("EUR", 0));
    assert_eq!((sheet.currency.as_str(), sheet.sum()), ("XTS", 0));
    let held = sheet.lines.iter().find(|(name, _)| name == "held:u000001");
    assert_eq!(held.map(|(_, amount)| *amount), Some(1_470));
    for invariant in [Invariant::I1, Invariant::I2, Invariant::I3, Invariant::I7, Invariant::I8] {
        assert!(report.verdicts().any(|(looked_at, looked, _)| looked_at == invariant && looked > 0));
    }
}

#[test]
fn an_empty_store_has_nothing_wrong_with_it() {
    assert!(judge(&Disk::default()).holds());
    assert!(judged(&Rig::empty()).holds());
}

#[test]
fn a_claim_for_nothing_is_paid_nothing_and_the_books_hold() {
    let (mut rig, key) = Rig::with_user("1");
    let mut gift = offer();
    gift.price = Default::default();
    let free = rig.authorized(&Job { offers: vec![seal(PROVIDER, gift)], ..job(1, &key) });
    let free = rig.settled(free.auth_id, counts(3, 3));
    let decision = rig.decided(PROVIDER, claim(1, 0, vec![free.receipt_id]));
    assert_eq!(decision.payout.unwrap().amount.0, 0);
    let paid = rig.authorized(&job(2, &key)).auth_id;
    let paid = rig.settled(paid, counts(10, 7));
    rig.decided(PROVIDER, claim(2, paid.payout.0, vec![paid.receipt_id]));
    assert!(judged(&rig).holds(), "{:#?}", judged(&rig).findings);
}

/// What tells no money: when things were said, what tells a repeated call from another, the last number given (some are
/// missing), what of an offer decides no price, what a rail was not asked for yet, and what a provider says of its dispute.
const UNJUDGED: &[&str] = &[
    "/at_ms/",
    "/created_ms/",
    "/digest/",
    "requests/issued_ms/",
    "requests/request_id/",
    "deposits/balance/",
    "withdrawals/balance/",
    "transfers/key/",
    "transfers/currency/",
    "bonds/bond/",
    "counters/transfers/",
    "counters/uptime_ms/",
    "holds/expires_ms/",
    "counters/journal/",
    "counters/users/",
    "/offers/0/context_length/",
    "/offers/1/context_length/",
    "/offers/0/max_output/",
    "/offers/1/max_output/",
    "/offers/0/payout/address/",
    "/offers/1/payout/address/",
    "/offers/0/slug/",
    "/offers/1/slug/",
    "/offers/0/valid_until_ms/",
    "/offers/1/valid_until_ms/",
    "/cached_per_mtok/",
    "/raised_ms/",
    "/reason/",
    "/until_ms/",
];

#[test]
fn whatever_row_is_gone_or_has_another_value_is_found() {
    let disk = rich();
    let tables: Vec<Table> = Portal::TABLES
        .iter()
        .copied()
        .filter(|table| !["users", "api_keys", "gateways", "quotes"].contains(&table.name))
        .collect();
    let twisted = twists::all(&disk, &tables, UNJUDGED);
    assert!(twisted.len() > 300, "{}", twisted.len());
    // What its user has back goes without a trace when it lapses; and no money follows from a dispute.
    let returned = disk.rows("holds").into_iter().filter(|(_, hold)| hold["returned"] == true);
    let returned = returned.map(|(key, _)| format!("holds {key} is gone"));
    let disputes = ["disputes", "disputes_ended"]
        .into_iter()
        .flat_map(|table| disk.rows(table).into_iter().map(move |(key, _)| format!("{table} {key} is gone")));
    let traceless: Vec<_> = returned.chain(disputes).collect();
    let unfound: Vec<_> = twisted
        .into_iter()
        .filter(|(what, disk)| !traceless.contains(what) && judge(disk).holds())
        .map(|(what, _)| what)
        .collect();
    assert!(unfound.is_empty(), "{unfound:#?}");
}

/// Changes the first row of that table.
fn with(name: &str, change: impl FnOnce(&mut Value)) -> Disk {
    let mut disk = rich();
    let (key, mut row) = disk.rows(name).remove(0);
    change(&mut row);
    disk.apply(&[Write::Put(table(name), Row::json(key, &row))]).unwrap();
    disk
}

/// A further row in a table.
fn also(name: &str, key: &str, row: &Value) -> Disk {
    let mut disk = rich();
    disk.apply(&[Write::Insert(table(name), Row::json(key, row))]).unwrap();
    disk
}

#[test]
fn each_invariant_is_found_broken_where_it_is() {
    let first = |name: &str| rich().rows(name).remove(0);
    let last = |name: &str| rich().rows(name).pop().unwrap();
    let of = |name: &str, key: &str| Row::json(key, &rich().rows(name).remove(0).1).key;
    let cases: [(&str, Invariant, &str, Disk); 14] = [
        ("a row is no JSON", Invariant::Rows, "journal", {
            let mut disk = rich();
            let row = Row { key: first("journal").0, value: b"{".to_vec() };
            disk.apply(&[Write::Put(table("journal"), row)]).unwrap();
            disk
        }),
        (
            "an entry makes money",
            Invariant::I1,
            "journal",
            with("journal", |entry| {
                entry["postings"][1]["amount"] = json!(2_000_000);
            }),
        ),
        (
            "a balance is not the journal's",
            Invariant::I1,
            "balances",
            with("balances", |row| {
                row["balance"] = json!(7);
            }),
        ),
        (
            "an entry overdraws a user",
            Invariant::I7,
            "journal",
            with("journal", |entry| {
                for posting in entry["postings"].as_array_mut().unwrap() {
                    posting["amount"] = json!(-posting["amount"].as_i64().unwrap());
                }
            }),
        ),
        ("a hold is open and resolved", Invariant::I2, "requests", {
            let open = first("holds").0;
            also("resolutions", &open, &last("resolutions").1)
        }),
        ("a resolved hold is open again", Invariant::I2, "holds", {
            let mut disk = rich();
            let resolved = first("resolutions").0;
            let hold = first("holds").1;
            disk.apply(&[Write::Insert(table("holds"), Row::json(resolved, &hold))]).unwrap();
            disk
        }),
        ("a receipt is issued twice", Invariant::I3, "receipts", {
            also("receipts", &format!("{:020}", 99), &last("receipts").1)
        }),
        (
            "a receipt that was paid can be claimed again",
            Invariant::I3,
            "provider",
            with("claimed", |page| {
                page["runs"].as_array_mut().unwrap().remove(0);
            }),
        ),
        ("what was claimed is another provider's", Invariant::I3, "claimed", {
            let mut disk = rich();
            let (key, page) = disk.rows("claimed").remove(0);
            let other = key.replacen(|one: char| one != '1', "1", 1);
            let put = Write::Insert(table("claimed"), Row::json(other, &page));
            disk.apply(&[Write::Delete(table("claimed"), key), put]).unwrap();
            disk
        }),
        (
            "a receipt was taken by a claim that never was",
            Invariant::I3,
            "receipts",
            with("claimed", |page| page["runs"][0][2] = "0".repeat(32).into()),
        ),
        (
            "a receipt was taken by two claims",
            Invariant::I3,
            "claimed",
            with("claimed", |page| {
                let runs = page["runs"].as_array_mut().unwrap();
                runs.push(runs[0].clone());
            }),
        ),
        ("a payout is on the rail twice", Invariant::I3, "rail", {
            also("rail", &of("rail", "00000000000000000000000000000000"), &first("rail").1)
        }),
        ("a decided dispute is open again", Invariant::Rows, "disputes ", {
            let (key, row) = first("disputes_ended");
            also("disputes", &key, &row)
        }),
        (
            "a hold is not the dearest outcome",
            Invariant::I8,
            "holds",
            with("holds", |hold| {
                hold["offers"][0]["price"]["output_per_mtok"] = json!(5_000_001);
            }),
        ),
    ];
    for (what, invariant, place, disk) in cases {
        let report = judge(&disk);
        let there =
            |finding: &audit::Finding| finding.invariant == invariant && finding.place.starts_with(place);
        assert!(report.findings.iter().any(there), "{what}: {:#?}", report.findings);
    }
}

#[test]
fn a_gateway_that_is_being_sent_more_than_its_fees_is_found() {
    let (mut rig, key) = Rig::with_user("1");
    let auth_id = rig.authorized(&job(1, &key)).auth_id;
    rig.settled(auth_id, counts(10, 7));
    rig.admin("POST", "/rails/faults", json!({ "rail": "test", "fault": "ask_lost", "times": 1 }));
    assert_eq!(pays_its_gateway(&mut rig).status, 200);
    assert!(judged(&rig).holds());
    let (transfer, mut row) = rig.disk.rows("transfers").remove(0);
    row["amount"] = json!(3);
    rig.disk.apply(&[Write::Put(table("transfers"), Row::json(transfer, &row))]).unwrap();
    let account = format!("XTS gateway:{}", node(GATEWAY));
    assert!(judged(&rig).findings.iter().any(|finding| finding.place == account));
}

#[test]
fn a_forged_signature_is_found() {
    let disk = with("receipts", |row| {
        let mut signed = row["signed"].as_str().unwrap().to_string();
        let last = if signed.ends_with('0') { "1" } else { "0" };
        signed.replace_range(signed.len() - 1.., last);
        row["signed"] = json!(signed);
    });
    assert!(judge(&disk).has_broken(Invariant::Rows));
}
