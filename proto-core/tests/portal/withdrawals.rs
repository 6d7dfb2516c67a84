//! A user's money goes back where it came from, once.

use labman_proto_core::time::Span;
use serde_json::{Value, json};

use super::rig::*;

fn withdrawal(amount: &str, to: &str, reference: &str) -> Value {
    json!({ "user": "u000001", "amount": amount, "to": to, "reference": reference })
}

fn withdraw(rig: &mut Rig, amount: &str, to: &str, reference: &str) -> Reply {
    rig.admin("POST", "/withdrawals", withdrawal(amount, to, reference))
}

#[test]
fn a_withdrawal_is_made_once_for_its_reference() {
    let (mut rig, _) = Rig::with_user("1");
    let first = withdraw(&mut rig, "0.4", "address", "back 1");
    assert_eq!(first.json(), json!({ "user": "u000001", "balance": "0.600000", "transfer": 1 }));
    rig.crash();
    assert_eq!(withdraw(&mut rig, "0.4", "address", "back 1"), first);
    assert_eq!(withdraw(&mut rig, "0.5", "address", "back 1").refusal(), (409, "conflict".into()));
    assert_eq!(rig.balance("user:u000001"), 600_000);
    assert_eq!(rig.balance("rail:withdrawals"), 400_000);
    assert_eq!(rig.disk.rows("rail").len(), 1);
}

#[test]
fn what_is_on_its_way_cannot_be_spent_and_a_final_failure_brings_it_back() {
    let (mut rig, _) = Rig::with_user("1");
    for (fault, times) in [("ask_lost", 1), ("failed", 1)] {
        let order = json!({ "rail": "test", "fault": fault, "times": times });
        rig.admin("POST", "/rails/faults", order);
        assert_eq!(withdraw(&mut rig, "0.4", "address", fault).status, 200);
        let on_its_way = if fault == "failed" { 0 } else { 400_000 };
        assert_eq!(rig.balance("leaving:u000001"), on_its_way);
        if fault == "ask_lost" {
            assert_eq!(withdraw(&mut rig, "0.7", "address", "too much").refusal().0, 402);
            rig.pass(Span::from_secs(2));
        }
    }
    assert_eq!(rig.balance("leaving:u000001"), 0);
    assert_eq!(rig.balance("user:u000001"), 600_000);
    assert_eq!(rig.balance("rail:withdrawals"), 400_000);
    // The failure is in the journal: nothing is taken out of it.
    let kinds: Vec<_> =
        rig.disk.rows("journal").into_iter().map(|(_, entry)| entry["kind"].clone()).collect();
    assert_eq!(kinds[1..], ["deposit", "withdrawal", "withdrawn", "withdrawal", "withdrawal_failed"]);
}

#[test]
fn a_slip_in_a_withdrawal_is_named() {
    let (mut rig, _) = Rig::with_user_over(rails(100), "1");
    let cases = [
        ("0", "address", 400),
        ("-1", "address", 400),
        ("0.000099", "address", 400),
        ("0.5", "", 400),
        ("0.5", "mock-fiat:DE89370400440532013001", 400),
        ("1.000001", "address", 402),
    ];
    for (amount, to, status) in cases {
        assert_eq!(withdraw(&mut rig, amount, to, "x").refusal().0, status, "{amount} {to}");
    }
    assert_eq!(rig.balance("user:u000001"), 1_000_000);
    assert_eq!(withdraw(&mut rig, "1", "address", "x").status, 200, "a refusal uses up no reference");
}

#[test]
fn a_crash_at_any_point_of_a_withdrawal_moves_the_money_once() {
    for fault in [None, Some("answer_lost"), Some("ask_lost"), Some("failed")] {
        for steps in 0..8 {
            for applied in [false, true] {
                let (mut rig, _) = Rig::with_user("1");
                if let Some(fault) = fault {
                    rig.admin("POST", "/rails/faults", json!({ "rail": "test", "fault": fault, "times": 1 }));
                }
                let body = withdrawal("0.4", "address", "x").to_string();
                rig.begin(labman_proto_core::http::Surface::Admin, "POST", "/withdrawals", body.as_bytes());
                (0..steps).for_each(|_| {
                    rig.step();
                });
                if applied {
                    rig.step_unheard();
                }
                rig.crash();
                rig.pass(Span::from_secs(60));
                assert_eq!(withdraw(&mut rig, "0.4", "address", "x").status, 200);
                rig.pass(Span::from_secs(60));
                let books = rig.accounts();
                let (gone, made) = (books.get("rail:withdrawals").copied(), rig.disk.rows("rail").len());
                match gone {
                    Some(400_000) => assert_eq!((books["user:u000001"], made), (600_000, 1)),
                    None => assert_eq!((fault, books["user:u000001"], made), (Some("failed"), 1_000_000, 0)),
                    Some(other) => panic!("{other} have gone"),
                }
                assert_eq!(books.get("leaving:u000001").copied().unwrap_or_default(), 0);
            }
        }
    }
}
