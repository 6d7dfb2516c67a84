//! API keys can be listed, frozen and taken back; nobody sees one twice.

use serde_json::{Value, json};

use super::rig::*;

fn set(rig: &mut Rig, key: &Value, state: &str) -> Reply {
    rig.admin("POST", "/keys/state", json!({ "key": key, "state": state }))
}

#[test]
fn a_frozen_key_spends_nothing_until_it_is_thawed_and_a_revoked_one_never_again() {
    let (mut rig, secret) = Rig::with_user("1");
    let listed = rig.admin("GET", "/keys?user=u000001", Value::Null).json();
    let key = listed["keys"][0]["key"].clone();
    assert_eq!(listed["keys"][0]["state"], "active");
    let before = rig.authorized(&job(1, &secret));

    assert_eq!(set(&mut rig, &key, "frozen").json()["state"], "frozen");
    rig.crash();
    assert_eq!(rig.authorize(&job(2, &secret)).refusal(), (401, "invalid_api_key".into()));
    // What was authorized before stands.
    assert_eq!(rig.authorized(&job(1, &secret)), before);
    set(&mut rig, &key, "active");
    assert_eq!(rig.authorize(&job(2, &secret)).status, 200);

    set(&mut rig, &key, "revoked");
    rig.crash();
    assert_eq!(rig.authorize(&job(3, &secret)).refusal().0, 401);
    assert_eq!(set(&mut rig, &key, "active").refusal(), (409, "conflict".into()));
    assert_eq!(set(&mut rig, &key, "revoked").status, 200);
    assert_eq!(rig.settled(before.auth_id, counts(1, 1)).sequence, 1);
}

#[test]
fn a_rotated_user_has_a_new_key_and_no_old_one() {
    let (mut rig, old) = Rig::with_user("1");
    let made = rig.admin("POST", "/keys", json!({ "user": "u000001" })).json();
    let all = rig.admin("GET", "/keys", Value::Null).json()["keys"].as_array().unwrap().clone();
    let old_name = all.iter().find(|line| line["key"] != made["key"]).unwrap()["key"].clone();
    set(&mut rig, &old_name, "revoked");
    assert_eq!(rig.authorize(&job(1, &old)).refusal().0, 401);
    assert_eq!(rig.authorize(&job(2, made["api_key"].as_str().unwrap())).status, 200);
    assert_eq!(
        rig.admin("GET", "/keys?limit=1&skip=1", Value::Null).json()["keys"].as_array().unwrap().len(),
        1
    );
}

#[test]
fn a_key_is_named_as_the_list_does() {
    let (mut rig, secret) = Rig::with_user("1");
    for (key, status) in [(secret.as_str(), 404), ("", 404), ("0000000000000000", 404), ("+1", 404)] {
        assert_eq!(set(&mut rig, &json!(key), "frozen").refusal().0, status, "{key}");
    }
    let key = rig.admin("GET", "/keys", Value::Null).json()["keys"][0]["key"].clone();
    assert_eq!(set(&mut rig, &key, "lost").refusal().0, 400);
    assert_eq!(rig.admin("GET", "/keys?user=u000009", Value::Null).refusal().0, 404);
}
