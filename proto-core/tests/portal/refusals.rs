//! Calls that get nothing, and hear why.

use labman_proto_core::http::Surface;
use labman_proto_core::keys::Described;
use labman_proto_core::limits::PORTAL_EXCHANGES;
use labman_proto_core::machine::StreamId;
use labman_proto_core::money::Micros;
use labman_proto_core::wire::ids::AuthId;
use labman_proto_core::wire::portal::{AuthorizeRequest, Offer};
use serde_json::{Value, json};

use super::rig::*;

#[test]
fn a_wrong_key_a_strange_gateway_and_an_empty_purse_are_told_apart() {
    let (mut rig, key) = Rig::with_user("0.0007");
    assert_eq!(rig.authorize(&job(1, "sk-labman-guess")).refusal(), (401, "invalid_api_key".into()));
    assert_eq!(rig.authorize(&job(1, &key)).refusal(), (402, "insufficient_quota".into()));
    let strange = seal(STRANGER, rig.request(&job(1, &key)));
    assert_eq!(rig.post("/v1/authorize", &strange).refusal(), (403, "not_paired".into()));
    let mut forged = rig.authorize_body(&job(1, &key));
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(rig.post("/v1/authorize", &forged).refusal(), (403, "not_paired".into()));
    assert_eq!(rig.balance("user:u000001"), 700);
    assert!(rig.disk.rows("requests").is_empty(), "a refusal uses up no request id");
}

#[test]
fn a_request_that_cannot_be_meant_is_called_bad() {
    let (mut rig, key) = Rig::with_user("1");
    let good = rig.request(&job(1, &key));
    let stale = AuthorizeRequest { issued_ms: good.issued_ms - 120_001, ..good.clone() };
    let reply = rig.post("/v1/authorize", &seal(GATEWAY, stale));
    assert!(reply.json()["error"]["message"].as_str().unwrap().contains("clocks differ"));

    let mut negative = offer();
    negative.price.output_per_mtok = Micros(-1);
    let dear = Offer { price: negative.price, ..offer() };
    let with = |offer: Offer| Job { offers: vec![seal(PROVIDER, offer)], ..job(1, &key) };
    let mut huge = offer();
    huge.price.input_per_mtok = Micros(i64::MAX);
    let mut dollars = offer();
    dollars.payout.currency = "USD".parse().unwrap();
    let now_ms = good.issued_ms;
    let jobs = [
        ("negative price", with(dear)),
        ("price beyond counting", Job { input_bound: u32::MAX, ..with(huge) }),
        ("expired offer", with(Offer { valid_until_ms: now_ms, ..offer() })),
        ("other currency", with(dollars)),
        ("no address", with(Offer { payout: payout_to(""), ..offer() })),
        ("no offers", Job { offers: vec![], ..job(1, &key) }),
        ("four offers", Job { offers: vec![seal(PROVIDER, offer()); 4], ..job(1, &key) }),
        ("no offer but noise", Job { offers: vec![vec![1, 2, 3]], ..job(1, &key) }),
        ("no life", Job { ttl_s: 0, ..job(1, &key) }),
        ("too long a life", Job { ttl_s: u32::MAX, ..job(1, &key) }),
    ];
    for (what, job) in jobs {
        assert_eq!(rig.authorize(&job).refusal(), (400, "bad_request".into()), "{what}");
    }
    let elsewhere = AuthorizeRequest { fep_id: identity(STRANGER).fep_id(), ..good };
    assert_eq!(rig.post("/v1/authorize", &seal(GATEWAY, elsewhere)).refusal().0, 400);
    assert_eq!(rig.post("/v1/authorize", b"hello").refusal().0, 400);
    assert_eq!(rig.balance("user:u000001"), 1_000_000);
}

#[test]
fn only_the_gateway_of_a_hold_settles_it() {
    let (mut rig, key) = Rig::with_user("1");
    rig.admin("POST", "/gateways", json!({ "node_id": node(STRANGER), "name": "another" }));
    let auth_id = rig.authorized(&job(1, &key)).auth_id;
    let usage = report(auth_id, Some(0), counts(1, 1));
    assert_eq!(rig.post("/v1/usage", &seal(STRANGER, usage.clone())).refusal(), (403, "not_paired".into()));
    assert_eq!(rig.post("/v1/usage", &seal(PROVIDER, usage.clone())).refusal(), (403, "not_paired".into()));
    assert_eq!(rig.usage(report(auth_id, Some(1), counts(1, 1))).refusal(), (400, "bad_request".into()));
    assert_eq!(
        rig.usage(report(AuthId([0; 16]), Some(0), counts(1, 1))).refusal(),
        (404, "not_found".into())
    );
    assert_eq!(rig.usage(usage.clone()).status, 200);
    // Nor does another learn of the receipt.
    assert_eq!(rig.post("/v1/usage", &seal(STRANGER, usage)).refusal(), (403, "not_paired".into()));
}

#[test]
fn the_operator_s_calls_are_not_there_for_the_public_nor_the_other_way_round() {
    let mut rig = Rig::empty();
    let name = br#"{"name": "mallory"}"#;
    assert_eq!(rig.call(Surface::Public, "POST", "/users", name).refusal().0, 404);
    assert_eq!(rig.call(Surface::Public, "GET", "/ledger", b"").refusal().0, 404);
    assert_eq!(rig.call(Surface::Admin, "GET", "/v1/health", b"").refusal().0, 404);
    assert_eq!(rig.call(Surface::Public, "GET", "/v1/authorize", b"").refusal().0, 404);
    assert_eq!(rig.call(Surface::Public, "GET", "/v1/health", b"").json(), json!({ "ok": true }));
    let descriptor = rig.call(Surface::Public, "GET", "/v1/descriptor", b"").body;
    let described = Described::open(net(), identity(PORTAL).fep_id(), &descriptor).unwrap();
    assert_eq!(described.currency.as_str(), "XTS");
    assert_eq!(described.keys.serial(), 1);
}

#[test]
fn a_body_too_large_is_cut_off_with_413() {
    let mut rig = Rig::empty();
    assert_eq!(rig.post("/v1/claims", &vec![0; 64 * 1024]).refusal().0, 400);
    assert_eq!(rig.post("/v1/claims", &vec![0; 64 * 1024 + 1]).status, 413);
}

#[test]
fn an_operator_s_slip_is_named() {
    let (mut rig, _) = Rig::with_user("1");
    let slips = [
        ("/users", json!({ "name": "" }), 400),
        ("/users", json!({ "nmae": "ann" }), 400),
        ("/keys", json!({ "user": "u000009" }), 404),
        ("/keys", json!({ "user": "ann" }), 400),
        ("/deposits", json!({ "user": "u000009", "amount": "1", "reference": "x" }), 404),
        ("/deposits", json!({ "user": "u000001", "amount": "1", "reference": "" }), 400),
        ("/deposits", json!({ "user": "u000001", "amount": "9223372036854", "reference": "x" }), 400),
        ("/gateways", json!({ "node_id": "me", "name": "x" }), 400),
    ];
    for (path, body, status) in slips {
        assert_eq!(rig.admin("POST", path, body.clone()).refusal().0, status, "{path} {body}");
    }
    assert_eq!(rig.admin("GET", "/receipts?limit=many", Value::Null).refusal().0, 400);
}

#[test]
fn beyond_the_most_calls_at_once_one_is_told_to_come_back() {
    let mut rig = Rig::empty();
    let body = br#"{"name": "ann"}"#;
    let begin = |rig: &mut Rig| rig.begin(Surface::Admin, "POST", "/users", body);
    let streams: Vec<StreamId> = (0..PORTAL_EXCHANGES).map(|_| begin(&mut rig)).collect();
    let refused = begin(&mut rig);
    assert_eq!(rig.reply(refused).unwrap().refusal(), (503, "unavailable".into()));
    // Leaving does not make room for more work than staying.
    rig.leave(streams[1]);
    let refused = begin(&mut rig);
    assert_eq!(rig.reply(refused).unwrap().status, 503);
    rig.run();
    assert_eq!(rig.reply(streams[0]).unwrap().status, 200);
    let welcome = begin(&mut rig);
    rig.run();
    assert_eq!(rig.reply(welcome).unwrap().status, 200);
}

#[test]
fn a_ledger_in_one_currency_is_not_opened_in_another() {
    let (rig, _) = Rig::with_user("1");
    let bad = rig.restart_in("USD").unwrap();
    assert!(bad.to_string().contains("XTS") && bad.to_string().contains("USD"), "{bad}");
}
