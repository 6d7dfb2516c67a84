//! What gateways earn, on its way to them.

use labman_proto_core::money::Micros;
use labman_proto_core::time::Span;
use serde_json::{Value, json};

use super::rig::*;

const DAY: Span = Span::from_secs(24 * 60 * 60);

/// A portal with that least payout, whose gateway has earned so many times 2 micros.
fn earned(least: i64, jobs: u8) -> Rig {
    let (mut rig, key) = Rig::with_user_over(rails(least), "0.01");
    earns(&mut rig, &key, 1..=jobs);
    rig
}

fn earns(rig: &mut Rig, key: &str, jobs: std::ops::RangeInclusive<u8>) {
    for number in jobs {
        let auth_id = rig.authorized(&job(number, key)).auth_id;
        rig.settled(auth_id, counts(10, 7));
    }
}

fn paid_at(rig: &mut Rig, address: &str) -> Reply {
    rig.admin("POST", "/gateways/payout-to", json!({ "gateway": node(GATEWAY), "to": address }))
}

fn pay(rig: &mut Rig) -> Reply {
    rig.admin("POST", "/gateways/pay", json!({ "gateway": node(GATEWAY) }))
}

fn fees(rig: &mut Rig) -> i64 {
    rig.balance(&format!("gateway:{}", node(GATEWAY)))
}

fn trouble(rig: &mut Rig, fault: &str) {
    let order = json!({ "rail": "test", "fault": fault, "times": 1 });
    assert_eq!(rig.admin("POST", "/rails/faults", order).status, 200);
}

fn made(rig: &Rig) -> Vec<(String, i64)> {
    let rows = rig.disk.rows("rail").into_iter();
    rows.map(|(_, row)| (row["address"].as_str().unwrap().into(), row["amount"].as_i64().unwrap())).collect()
}

#[test]
fn the_operator_sends_a_gateway_all_that_it_has_earned_and_its_statement_says_so() {
    let mut rig = earned(0, 3);
    assert_eq!(pay(&mut rig).refusal().0, 409, "nobody said where to");
    assert_eq!(paid_at(&mut rig, "mock-fiat:DE89370400440532013001").refusal().0, 400, "a slip of the pen");
    assert_eq!(paid_at(&mut rig, "gate").status, 200);
    let paid = pay(&mut rig).json();
    assert_eq!((&paid["amount"], &paid["transfer"]), (&json!("0.000006"), &json!(1)));
    assert_eq!((fees(&mut rig), rig.balance("rail:payouts")), (0, 6));
    assert_eq!(made(&rig), [("gate".to_string(), 6)]);
    assert_eq!(pay(&mut rig).refusal().0, 409, "nothing is left");
    let query = format!("/statement?gateway={}", node(GATEWAY));
    let statement = rig.admin("GET", &query, Value::Null).json();
    let last = &statement["movements"][3];
    assert_eq!((&last["kind"], &last["amount"]), (&json!("gateway_payout"), &json!("-0.000006")));
    assert_eq!(statement["closing"], "0.000000");
    let report = super::audit::judged(&rig);
    assert!(report.holds(), "{:#?}", report.findings);
}

#[test]
fn each_day_gateways_are_paid_and_what_is_too_little_stays_until_it_is_enough() {
    let (mut rig, key) = Rig::with_user_over(rails(5), "0.01");
    assert_eq!(paid_at(&mut rig, "gate").status, 200);
    earns(&mut rig, &key, 1..=2);
    rig.pass(DAY);
    assert_eq!((fees(&mut rig), made(&rig).len()), (4, 0));
    assert!(pay(&mut rig).json()["error"]["message"].as_str().unwrap().contains("at least"));
    earns(&mut rig, &key, 3..=3);
    // Another address, another name: the fees are the gateway's all the same.
    assert_eq!(paid_at(&mut rig, "other").status, 200);
    rig.admin("POST", "/gateways", json!({ "node_id": node(GATEWAY), "name": "renamed" }));
    rig.crash();
    rig.pass(Span::from_secs(600));
    assert_eq!((fees(&mut rig), made(&rig)), (0, vec![("other".to_string(), 6)]));
}

#[test]
fn fees_that_may_be_on_their_way_are_not_sent_again() {
    let mut rig = earned(0, 1);
    paid_at(&mut rig, "gate");
    trouble(&mut rig, "answer_lost");
    assert_eq!(pay(&mut rig).status, 200);
    assert_eq!((fees(&mut rig), made(&rig).len()), (2, 1), "it has arrived, and nobody knows");
    let again = pay(&mut rig);
    assert!(again.json()["error"]["message"].as_str().unwrap().contains("on its way"));
    rig.pass(Span::from_secs(2));
    assert_eq!((fees(&mut rig), made(&rig).len()), (0, 1), "asked again under the same key");
}

#[test]
fn fees_that_a_rail_refuses_stay_and_go_another_day() {
    let mut rig = earned(0, 1);
    paid_at(&mut rig, "gate");
    trouble(&mut rig, "failed");
    assert_eq!(pay(&mut rig).status, 200);
    assert_eq!((fees(&mut rig), made(&rig).len()), (2, 0));
    assert!(super::audit::judged(&rig).holds());
    rig.pass(DAY);
    assert_eq!((fees(&mut rig), made(&rig).len()), (0, 1));
}

#[test]
fn a_crash_at_any_point_sends_a_gateway_s_fees_once() {
    for steps in 0.. {
        let mut rig = earned(0, 2);
        paid_at(&mut rig, "gate");
        let body = json!({ "gateway": node(GATEWAY) }).to_string();
        rig.begin(labman_proto_core::http::Surface::Admin, "POST", "/gateways/pay", body.as_bytes());
        let mut over = false;
        (0..steps).for_each(|_| over = !rig.step());
        rig.step_unheard();
        rig.crash();
        rig.pass(DAY);
        assert_eq!((fees(&mut rig), made(&rig).len()), (0, 1), "after {steps} steps");
        let listed = rig.admin("GET", "/gateways", Value::Null).json();
        let line = &listed["gateways"][0];
        assert_eq!((&line["fees"], &line["payout_to"]), (&json!(Micros(0).to_string()), &json!("gate")));
        assert!(super::audit::judged(&rig).holds(), "after {steps} steps");
        if over {
            return;
        }
    }
}
