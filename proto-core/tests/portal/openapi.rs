//! The document says what the portal does: each call is made as it is described.

use labman_proto_core::http::Surface;
use serde_json::{Map, Value, json};

use super::rig::*;
use super::rings;

fn document(rig: &mut Rig, surface: Surface) -> Value {
    rig.call(surface, "GET", "/openapi.json", b"").json()
}

/// Method, path and description of each call.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(move |(method, operation)| (method.to_uppercase(), path.clone(), operation.clone()))
    });
    all.collect()
}

fn json_schema(content: &Value) -> &Value {
    &content["content"]["application/json"]["schema"]
}

fn names(object: &Value) -> Vec<String> {
    object.as_object().unwrap().keys().cloned().collect()
}

/// A body for each of the operator's calls that is taken.
fn body(path: &str, key: &Value, receipt: &Value) -> Value {
    match path {
        "/users" => json!({ "name": "bob" }),
        "/keys" => json!({ "user": "u000001" }),
        "/keys/state" => json!({ "key": key, "state": "frozen" }),
        "/deposits" => json!({ "user": "u000001", "amount": "1", "reference": "r" }),
        "/withdrawals" => json!({ "user": "u000001", "amount": "1", "to": "address", "reference": "r" }),
        "/bonds" => json!({ "gateway": node(GATEWAY), "amount": "1", "reference": "r" }),
        "/gateways" => json!({ "node_id": node(STRANGER), "name": "g" }),
        "/gateways/payout-to" => json!({ "gateway": node(GATEWAY), "to": "gate" }),
        "/gateways/pay" => json!({ "gateway": node(GATEWAY) }),
        "/fx" => json!({ "currency": "EUR", "rate": "0.92", "valid_for_s": 60 }),
        "/fx/drop" => json!({ "currency": "EUR" }),
        "/ring" => {
            let next = rings::between(&identity(NEXT_KEY), 0, 1);
            let keys = vec![rings::always(&identity(PORTAL_KEY)), next];
            json!({ "ring": hex::encode(rings::ring(&identity(PORTAL), 2, keys)) })
        }
        "/disputes/decide" => json!({ "receipt": receipt, "ruling": "stands", "answer": "it was paid" }),
        "/rails/faults" => json!({ "rail": "test", "fault": "failed", "times": 0 }),
        other => panic!("write a body for POST {other}"),
    }
}

#[test]
fn the_operator_s_calls_take_and_give_what_the_document_says() {
    let (mut rig, api_key) = Rig::with_user("10");
    // The gateway has earned something, and is paid somewhere.
    let auth_id = rig.authorized(&job(1, &api_key)).auth_id;
    let receipt = rig.settled(auth_id, counts(10, 7));
    rig.admin("POST", "/gateways/payout-to", body("/gateways/payout-to", &Value::Null, &Value::Null));
    let disputed = seal(PROVIDER, rig.dispute(&receipt, 1));
    assert_eq!(rig.post("/v1/disputes", &disputed).status, 202);
    let receipt = json!(receipt.receipt_id);
    let key = rig.admin("GET", "/keys", Value::Null).json()["keys"][0]["key"].clone();
    let document = document(&mut rig, Surface::Admin);
    let operations = operations(&document);
    assert!(operations.len() > 15);
    for (method, path, operation) in operations {
        let asked = if path == "/statement" { format!("{path}?user=u000001") } else { path.clone() };
        let sent = if method == "POST" { body(&path, &key, &receipt) } else { Value::Null };
        let reply = rig.admin(&method, &asked, sent.clone());
        assert_eq!(reply.status, 200, "{method} {path}: {}", String::from_utf8_lossy(&reply.body));
        if path != "/openapi.json" {
            let given = json_schema(&operation["responses"]["200"]);
            assert_eq!(names(&reply.json()), names(&given["properties"]), "{method} {path}");
        }
        if method == "POST" {
            let taken = json_schema(&operation["requestBody"]);
            assert_eq!(names(&sent), names(&taken["properties"]), "{path}");
            let Value::Object(fields) = sent else { panic!("a body is an object") };
            for left_out in fields.keys() {
                let less: Map<_, _> =
                    fields.clone().into_iter().filter(|(name, _)| name != left_out).collect();
                assert_eq!(
                    rig.admin("POST", &path, Value::Object(less)).refusal().0,
                    400,
                    "{path} {left_out}"
                );
            }
            let mut more = fields.clone();
            more.insert("more".into(), json!(1));
            assert_eq!(rig.admin("POST", &path, Value::Object(more)).refusal().0, 400, "{path}");
        }
    }
}

#[test]
fn the_public_document_names_every_public_call_and_no_other() {
    let mut rig = Rig::empty();
    let document = document(&mut rig, Surface::Public);
    let calls: Vec<_> =
        operations(&document).into_iter().map(|(method, path, _)| format!("{method} {path}")).collect();
    assert_eq!(
        calls,
        [
            "GET /openapi.json",
            "POST /v1/authorize",
            "POST /v1/claims",
            "GET /v1/descriptor",
            "POST /v1/disputes",
            "GET /v1/health",
            "POST /v1/receipts",
            "POST /v1/statements",
            "POST /v1/usage"
        ]
    );
    for (method, path, operation) in operations(&document) {
        let reply = rig.call(Surface::Public, &method, &path, b"");
        let expected = if method == "GET" { 200 } else { 400 };
        assert_eq!(reply.status, expected, "{method} {path}");
        if method == "GET" && !["/openapi.json", "/v1/descriptor"].contains(&path.as_str()) {
            let given = json_schema(&operation["responses"]["200"]);
            assert_eq!(names(&reply.json()), names(&given["properties"]), "{path}");
        }
    }
}
