//! `Idempotency-Key`: asking again under the same key does it once.

use labman_proto_core::http::{RequestHead, Surface};
use serde_json::{Value, json};

use super::rig::*;

#[test]
fn the_same_call_under_a_key_is_done_once_and_answered_alike() {
    let mut rig = Rig::empty();
    let first = rig.keyed("/users", "k1", json!({ "name": "ann" }));
    assert_eq!(first.json(), json!({ "user": "u000001" }));
    assert_eq!(rig.keyed("/users", "k1", json!({ "name": "ann" })), first);
    rig.crash();
    assert_eq!(rig.keyed("/users", "k1", json!({ "name": "ann" })), first);
    assert_eq!(rig.keyed("/users", "k1", json!({ "name": "bob" })).refusal(), (409, "conflict".into()));
    assert_eq!(rig.keyed("/users", "k2", json!({ "name": "bob" })).json()["user"], "u000002");
    // The key is the operation's own.
    let gateway = json!({ "node_id": node(GATEWAY), "name": "g" });
    let enrolled = rig.keyed("/gateways", "k1", gateway.clone());
    assert_eq!(enrolled.status, 200);
    assert_eq!(rig.keyed("/gateways", "k1", gateway), enrolled);
    assert_eq!(rig.admin("GET", "/users", Value::Null).json()["users"].as_array().unwrap().len(), 2);
}

#[test]
fn a_refusal_leaves_its_key_free() {
    let mut rig = Rig::empty();
    let deposit = json!({ "user": "u000001", "amount": "1", "reference": "r" });
    assert_eq!(rig.keyed("/deposits", "k", deposit.clone()).status, 404);
    rig.admin("POST", "/users", json!({ "name": "ann" }));
    assert_eq!(rig.keyed("/deposits", "k", deposit.clone()).status, 200);
    assert_eq!(rig.keyed("/deposits", "k", deposit.clone()).json()["balance"], "1.000000");
    // Another key for the same reference: booked before, and kept under this key too.
    assert_eq!(rig.keyed("/deposits", "k2", deposit.clone()).json()["balance"], "1.000000");
    let other = json!({ "user": "u000001", "amount": "2", "reference": "r2" });
    assert_eq!(rig.keyed("/deposits", "k2", other).refusal().0, 409);
    let withdrawal = json!({ "user": "u000001", "amount": "1", "to": "address", "reference": "w" });
    let first = rig.keyed("/withdrawals", "k", withdrawal.clone());
    rig.admin("POST", "/deposits", json!({ "user": "u000001", "amount": "5", "reference": "r5" }));
    assert_eq!(rig.keyed("/withdrawals", "k", withdrawal), first);
    assert_eq!(rig.keyed("/users", "", json!({ "name": "x" })).refusal().0, 400);
    assert_eq!(rig.keyed("/users", &"k".repeat(129), json!({ "name": "x" })).refusal().0, 400);
}

#[test]
fn an_api_key_is_not_kept_for_a_repetition_either() {
    let mut rig = Rig::empty();
    rig.admin("POST", "/users", json!({ "name": "ann" }));
    let first = rig.keyed("/keys", "k", json!({ "user": "u000001" })).json();
    let again = rig.keyed("/keys", "k", json!({ "user": "u000001" })).json();
    assert!(first["api_key"].is_string());
    assert_eq!(again, json!({ "key": first["key"] }));
    let stored = format!("{:?}", rig.disk.rows("answered"));
    assert!(!stored.contains(first["api_key"].as_str().unwrap()));
}

#[test]
fn two_calls_at_once_under_one_key_are_one() {
    let mut rig = Rig::empty();
    let head = || RequestHead::new("POST", "/users").with("idempotency-key", "k");
    let streams = [(); 2].map(|()| rig.begin_with(Surface::Admin, head(), br#"{"name": "ann"}"#));
    rig.run();
    assert_eq!(streams.map(|stream| rig.reply(stream).unwrap().status), [200, 503]);
    assert_eq!(rig.keyed("/users", "k", json!({ "name": "ann" })).refusal().0, 409, "the bytes count");
    let stream = rig.begin_with(Surface::Admin, head(), br#"{"name": "ann"}"#);
    rig.run();
    assert_eq!(rig.reply(stream).unwrap().json()["user"], "u000001");
}

#[test]
fn a_crash_forgets_the_answer_together_with_what_it_is_about() {
    for applied in [false, true] {
        let mut rig = Rig::empty();
        let head = RequestHead::new("POST", "/users").with("idempotency-key", "k");
        rig.begin_with(Surface::Admin, head, json!({ "name": "ann" }).to_string().as_bytes());
        rig.step();
        if applied {
            rig.step_unheard();
        }
        rig.crash();
        assert_eq!(rig.keyed("/users", "k", json!({ "name": "ann" })).json()["user"], "u000001");
        assert_eq!(rig.admin("GET", "/users", Value::Null).json()["users"].as_array().unwrap().len(), 1);
    }
}
