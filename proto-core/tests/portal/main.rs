//! A portal's life in stories, then its invariants under whatever happens.

mod answered;
mod audit;
mod claims;
mod crashes;
mod disputes;
mod exchange;
mod gateway_fees;
mod holds;
mod invariants;
mod keys;
mod openapi;
mod payouts;
mod pulls;
mod refusals;
mod rig;
#[path = "../rig/rings.rs"]
mod rings;
mod signing;
mod statements;
#[path = "../rig/store.rs"]
mod store;
#[path = "../rig/twists.rs"]
mod twists;
mod withdrawals;
mod words;

use labman_proto_core::money::Micros;
use labman_proto_core::wire::portal::Verdict;
use rig::*;
use serde_json::{Value, json};

#[test]
fn a_job_is_authorized_settled_claimed_and_paid() {
    let (mut rig, key) = Rig::with_user("0.01");

    let authorization = rig.authorized(&job(1, &key));
    assert_eq!(authorization.hold, Micros(735));
    assert_eq!(rig.balance("user:u000001"), 10_000 - 735);
    assert_eq!(rig.balance("held:u000001"), 735);

    // 10 * 2 + 7 * 5 = 55; with 5 % fees 57.75.
    let receipt = rig.settled(authorization.auth_id, counts(10, 7));
    assert_eq!((receipt.charge, receipt.payout, receipt.sequence), (Micros(58), Micros(55), 1));
    assert_eq!(rig.balance("user:u000001"), 10_000 - 58);
    assert_eq!(rig.balance("held:u000001"), 0);
    assert_eq!(rig.balance(&format!("provider:{}", node(PROVIDER))), 55);
    assert_eq!(rig.balance(&format!("gateway:{}", node(GATEWAY))), 2);
    assert_eq!(rig.balance("fep:rounding"), 1);

    let decision = rig.decided(PROVIDER, claim(1, 55, vec![receipt.receipt_id]));
    assert_eq!(decision.verdict, Verdict::Accepted);
    let payout = decision.payout.unwrap();
    assert_eq!((payout.amount, payout.to), (Micros(55), payout_to("address")));
    assert_eq!(rig.balance(&format!("provider:{}", node(PROVIDER))), 0);
    assert_eq!(rig.balance("rail:payouts"), 55);

    let receipts = rig.admin("GET", "/receipts?limit=10", Value::Null).json();
    assert_eq!(receipts["receipts"][0]["state"], "paid");
    assert_eq!(receipts["receipts"][0]["receipt_id"], json!(receipt.receipt_id));
    let payouts = rig.admin("GET", "/payouts?limit=10", Value::Null).json();
    assert_eq!(payouts["payouts"][0]["rail_tx"], json!(payout.rail_tx));
}

#[test]
fn each_provider_s_receipts_are_numbered_without_a_gap() {
    let (mut rig, key) = Rig::with_user("1");
    let mut sequences = Vec::new();
    for (number, provider) in [(1, PROVIDER), (2, OTHER_PROVIDER), (3, PROVIDER), (4, PROVIDER)] {
        let job = Job { offers: vec![seal(provider, offer())], ..job(number, &key) };
        let auth_id = rig.authorized(&job).auth_id;
        sequences.push((provider, rig.settled(auth_id, counts(1, 1)).sequence));
        rig.crash();
    }
    assert_eq!(sequences, [(PROVIDER, 1), (OTHER_PROVIDER, 1), (PROVIDER, 2), (PROVIDER, 3)]);
}

#[test]
fn a_listing_shows_the_newest_first() {
    let (mut rig, key) = Rig::with_user("1");
    for number in 1..=3 {
        let auth_id = rig.authorized(&job(number, &key)).auth_id;
        rig.settled(auth_id, counts(1, 1));
    }
    let receipts = rig.admin("GET", "/receipts?limit=2", Value::Null).json();
    let sequences: Vec<_> =
        receipts["receipts"].as_array().unwrap().iter().map(|line| line["sequence"].clone()).collect();
    assert_eq!(sequences, [3, 2]);
}

#[test]
fn a_deposit_is_booked_once_for_its_reference() {
    let mut rig = Rig::empty();
    let user = rig.admin("POST", "/users", json!({ "name": "ann" })).json()["user"].clone();
    let deposit = |amount: &str| json!({ "user": user, "amount": amount, "reference": "bank 17" });
    let first = rig.admin("POST", "/deposits", deposit("12.5"));
    assert_eq!(first.json(), json!({ "user": user, "balance": "12.500000" }));
    rig.crash();
    assert_eq!(rig.admin("POST", "/deposits", deposit("12.5")), first);
    assert_eq!(rig.admin("POST", "/deposits", deposit("13")).refusal(), (409, "conflict".into()));
    for bad in ["0", "-1", "a lot", "0.0000001"] {
        assert_eq!(rig.admin("POST", "/deposits", deposit(bad)).refusal().0, 400, "{bad}");
    }
    assert_eq!(rig.balance("user:u000001"), 12_500_000);
}

#[test]
fn an_api_key_is_shown_once_and_kept_nowhere() {
    let (mut rig, key) = Rig::with_user("1");
    assert!(key.starts_with("sk-labman-"));
    rig.authorized(&job(1, &key));
    let secrets = [key.clone(), labman_proto_core::wire::portal::key_digest(&key).to_string()];
    let tables = ["api_keys", "users", "holds", "requests", "journal", "counters"];
    let stored: String = tables.iter().map(|table| format!("{:?}", rig.disk.rows(table))).collect();
    for secret in secrets {
        assert!(!stored.contains(&secret));
        assert!(!rig.log.iter().any(|line| line.contains(&secret)));
    }
    // The seed is the same after a restart, the next key is not.
    rig.crash();
    assert_ne!(rig.user("bob", "1"), key);
}
