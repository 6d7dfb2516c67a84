//! The log is for operators, and never holds what users ask or models answer, whoever repeats it in an error.

use labman_proto_core::limits::SETTLE_MARGIN;
use labman_proto_core::wire::cbor;
use labman_proto_core::wire::envelope::Kind;
use labman_proto_core::wire::mesh::{ReceiptAck, Refusal, RefusalCode};
use labman_proto_core::wire::portal::End;
use labman_proto_core::wire::portman::{Fault, FromPortman, ToPortman};
use serde_json::{Value, json};

use super::lies::{prompt, running};
use super::peer::{Peer, counts};
use super::portman::{Portman, model};
use super::rig::{PEER, Rig, both_config};

const CANARY: &str = "MY SECRET TEXT 1234";

/// A request that holds the canary wherever it may stand.
fn secret(stream: bool) -> Value {
    let mut request = prompt(stream);
    request["messages"][0]["content"] = json!(CANARY);
    for field in ["guided_json", "guided_regex", "grammar", "stop"] {
        request[field] = json!(CANARY);
    }
    request["tools"] = json!([{ "type": "function", "function": { "name": "f", "description": CANARY } }]);
    request
}

/// Does the log know it?
fn is_silent(rig: &Rig, what: &str) {
    let told = rig.log.iter().find(|line| line.contains(CANARY));
    assert_eq!(told, None, "{what}");
    assert!(!rig.log.is_empty());
}

#[test]
fn what_a_runtime_quotes_of_a_request_reaches_the_user_and_no_log() {
    for stream in [true, false] {
        for begun in [false, true] {
            for fault in [Fault::BadRequest, Fault::ModelNotAvailable, Fault::Busy, Fault::RuntimeFailed] {
                let mut rig = Rig::new(both_config());
                let portman = Portman::attach(&mut rig, vec![model("toy", 1)]);
                let user = rig.ask(&secret(stream));
                let heard = portman.hears(&mut rig);
                let [ToPortman::Start { job, body, .. }] = heard.as_slice() else { panic!("{heard:?}") };
                assert_eq!(body["guided_json"], CANARY, "it comes to the runtime as it was written");
                if begun {
                    portman.text(&mut rig, *job, CANARY, counts(10, 3));
                }
                let message = format!("invalid type: string {:?}, expected f64", body["guided_json"]);
                portman.say(&mut rig, &FromPortman::Failed { job: *job, fault, message });
                assert!(rig.text(user).contains(CANARY), "{}", rig.text(user));
                rig.pass(SETTLE_MARGIN);
                is_silent(&rig, &format!("{fault:?}, begun: {begun}, a stream: {stream}"));
            }
        }
    }
}

#[test]
fn a_request_that_is_refused_at_once_is_not_logged() {
    let mut rig = Rig::gateway();
    Peer::serving(&mut rig, PEER, super::lies::SLUG);
    for body in [
        json!({ "model": CANARY, "messages": [{ "role": "user", "content": CANARY }] }),
        json!({ "model": super::lies::SLUG, "messages": CANARY }),
        json!({ "model": super::lies::SLUG, "messages": [{ "role": CANARY, "content": [CANARY] }] }),
        json!({ "model": super::lies::SLUG, "max_tokens": CANARY, "messages": [] }),
        json!(CANARY),
    ] {
        let user = rig.ask(&body);
        assert!(rig.status(user).is_some_and(|status| status >= 400), "{body}");
    }
    is_silent(&rig, "refused at once");
}

#[test]
fn a_portman_s_nonsense_is_not_logged() {
    for nonsense in
        [format!("{{\"type\":\"{CANARY}\"}}\n"), format!("{{\"type\":\"done\",\"job\":\"{CANARY}\"}}\n")]
    {
        let mut rig = Rig::provider();
        let portman = Portman::attach(&mut rig, vec![model("toy", 1)]);
        rig.deliver(portman.stream, nonsense.as_bytes());
        assert!(!rig.is_up(portman.link));
        is_silent(&rig, &nonsense);
    }
}

#[test]
fn a_provider_s_words_are_not_logged() {
    for code in [RefusalCode::BadRequest, RefusalCode::Busy, RefusalCode::RuntimeFailed] {
        let (mut rig, mut peer, job, user) = running();
        job.refuse(&mut rig, &mut peer, Refusal { code, message: CANARY.into() });
        assert!(rig.text(user).contains(CANARY));
        is_silent(&rig, &format!("a refusal: {code:?}"));
    }
    let (mut rig, _peer, mut job, user) = running();
    job.text(&mut rig, counts(10, 3), CANARY);
    let broken = Refusal { code: RefusalCode::RuntimeFailed, message: CANARY.into() };
    let frame = job.end_frame(job.statement(counts(10, 3), End::Broken), Some(broken));
    rig.deliver(job.stream, &frame);
    assert!(rig.text(user).contains("in the middle"));
    is_silent(&rig, "an end that is said to be broken");

    let (mut rig, mut peer, mut job, _) = running();
    job.text(&mut rig, counts(10, 3), CANARY);
    job.end(&mut rig, counts(10, 3));
    let receipt = job.receipt(&mut rig).expect("a receipt");
    let refused = ReceiptAck { receipt_id: receipt.receipt_id, refused: Some(CANARY.into()) };
    peer.say(&mut rig, job.stream, Kind::ReceiptAck, &cbor::encode(&refused));
    assert!(rig.disk.rows("gateway_jobs").is_empty());
    is_silent(&rig, "a receipt that is refused");
}

#[test]
fn a_fep_s_words_are_not_logged() {
    let refusal =
        |code: &str| json!({ "error": { "code": code, "message": CANARY } }).to_string().into_bytes();
    for (path, status, code) in [("/v1/authorize", 403, "not_paired"), ("/v1/authorize", 400, "bad_request")]
    {
        let mut rig = Rig::gateway();
        Peer::serving(&mut rig, PEER, super::lies::SLUG);
        rig.fep.says = Some((path, status, refusal(code)));
        rig.ask(&prompt(true));
        is_silent(&rig, code);
    }
    for path in ["/v1/usage", "/v1/claims"] {
        let mut rig = Rig::new(both_config());
        rig.fep.says = Some((path, 409, refusal("conflict")));
        let portman = Portman::attach(&mut rig, vec![model("toy", 1)]);
        rig.ask(&prompt(true));
        portman.text(&mut rig, 1, "hello", counts(10, 2));
        portman.say(&mut rig, &FromPortman::Done { job: 1, counts: counts(10, 2) });
        rig.pass(SETTLE_MARGIN);
        assert!(rig.fep.called(path) > 0);
        is_silent(&rig, path);
    }
    let mut rig = Rig::new(both_config());
    rig.fep.rejects = Some(CANARY);
    let portman = Portman::attach(&mut rig, vec![model("toy", 1)]);
    rig.ask(&prompt(true));
    portman.text(&mut rig, 1, CANARY, counts(10, 2));
    portman.say(&mut rig, &FromPortman::Done { job: 1, counts: counts(10, 2) });
    rig.pass(SETTLE_MARGIN);
    assert!(rig.admin("/receipts").to_string().contains(CANARY), "the operator may see it");
    is_silent(&rig, "a line that is rejected");
}
