//! A gateway's users: who leaves, who never reads, who sends too much, who comes while others are there.

use labman_proto_core::http::{RequestHead, Surface};
use labman_proto_core::limits::{
    BODY_FRAME, CANCEL_WITHIN, DESCRIPTOR_AT_MOST, HTTP_BODY, JOB_TOTAL, READER_STALL, STREAM_WINDOW,
};
use labman_proto_core::machine::{ResetCode, StreamId};
use labman_proto_core::time::Span;
use labman_proto_core::wire::envelope::Kind;
use labman_proto_core::wire::ids::Hash;
use labman_proto_core::wire::mesh::{Refusal, RefusalCode};
use labman_proto_core::wire::portal::End;
use serde_json::{Value, json};

use super::fep;
use super::lies::{SLUG, prompt, running};
use super::peer::{Peer, ack, content, counts};
use super::rig::{OTHER, PEER, Rig, STRANGER, node};

/// The text of a streamed answer.
fn said(answer: &str) -> String {
    let events = answer.split("\n\n").filter_map(|event| event.strip_prefix("data: "));
    let chunks =
        events.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str::<Value>(data).unwrap());
    chunks
        .map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default().to_string())
        .collect()
}

#[test]
fn a_user_who_leaves_stops_the_provider_and_pays_for_what_came() {
    let (mut rig, _, mut job, user) = running();
    job.text(&mut rig, counts(10, 3), "three tokens");
    rig.reset(user, ResetCode::Cancelled);
    assert!(rig.wires[&job.stream].finished, "the provider is told");
    assert!(rig.fep.reports.is_empty(), "it has the last word");
    job.text(&mut rig, counts(10, 4), " and one that was on its way");
    job.end_as(&mut rig, counts(10, 4), End::Cancelled);
    let report = &rig.fep.reports[0];
    assert_eq!((report.accepted, fep::stated(report)), (counts(10, 3), Some(counts(10, 4))));
}

#[test]
fn a_provider_that_does_not_hear_that_its_user_left_is_not_waited_for() {
    let (mut rig, _, mut job, user) = running();
    job.text(&mut rig, counts(10, 3), "three tokens");
    rig.reset(user, ResetCode::Cancelled);
    rig.pass(CANCEL_WITHIN);
    assert_eq!(rig.reset_of(job.stream), Some(ResetCode::Cancelled));
    let report = &rig.fep.reports[0];
    assert_eq!((report.attempt, report.accepted, &report.statement), (Some(0), counts(10, 3), &None));
}

#[test]
fn a_user_who_leaves_before_anything_came_frees_the_hold() {
    // While the provider is asked.
    let (mut rig, mut peer, job, user) = running();
    rig.reset(user, ResetCode::Cancelled);
    job.release(&mut rig, &mut peer, Refusal { code: RefusalCode::Cancelled, message: String::new() });
    assert_eq!((rig.fep.reports[0].attempt, rig.fep.reports[0].releases.len()), (None, 1));
    assert!(rig.disk.rows("gateway_jobs").is_empty());

    // While the request is recorded, and so before the FEP is asked.
    let mut rig = Rig::gateway();
    let peer = Peer::serving(&mut rig, PEER, SLUG);
    rig.store_held = true;
    let user = rig.ask(&prompt(true));
    rig.reset(user, ResetCode::Cancelled);
    rig.release_store();
    assert!(peer.jobs(&mut rig).is_empty());
    assert_eq!(rig.fep.called("/v1/authorize"), rig.fep.reports.len(), "each hold is freed");
    assert!(rig.disk.rows("gateway_jobs").is_empty());
}

#[test]
fn who_never_reads_holds_one_window_and_is_cancelled() {
    let (mut rig, _, mut job, user) = running();
    rig.wires.get_mut(&user).unwrap().reads = false;
    for number in 0..2_000 {
        job.text(&mut rig, counts(10, number), &"x".repeat(997));
    }
    assert!(rig.waiting(job.stream) > 1_000_000);
    // A window, and the first chunk, which was granted for while it was not whole.
    assert!(rig.delivered(job.stream) <= STREAM_WINDOW as usize + 1_200);
    rig.pass(READER_STALL);
    assert_eq!(rig.reset_of(user), Some(ResetCode::Cancelled));
    assert!(rig.wires[&job.stream].finished);
    rig.pass(CANCEL_WITHIN);
    assert_eq!(rig.reset_of(job.stream), Some(ResetCode::Cancelled));
    assert_eq!(rig.fep.reports[0].statement, None);
}

#[test]
fn who_reads_slowly_gets_all_and_at_most_a_window_and_a_frame_is_in_flight() {
    for size in [1, 997, 30_000, 100_000, 200_000] {
        let (mut rig, _peer, mut job, user) = running();
        rig.wires.get_mut(&user).unwrap().reads = false;
        let many = 400_000 / size.max(400);
        let mut sent = 0;
        for _ in 0..many {
            let frame = job.chunk_frame(counts(10, 1), &content(&"x".repeat(size)));
            sent += frame.len();
            assert!(frame.len() < BODY_FRAME);
            rig.deliver(job.stream, &frame);
        }
        job.end(&mut rig, counts(10, 1));
        let frame = sent / many;
        while rig.wires[&user].untaken > 0 {
            let taken = rig.wires[&user].heard.len() - rig.wires[&user].untaken;
            // What the user took is a little more than what the provider sent for it.
            let ahead = rig.delivered(job.stream).saturating_sub(taken);
            assert!(ahead <= STREAM_WINDOW as usize + frame, "{ahead} bytes ahead, frames of {frame}");
            rig.take(user, 10_000);
            rig.pass(Span::from_millis(100));
        }
        assert_eq!(said(&rig.text(user)).len(), many * size);
        assert!(rig.text(user).ends_with("data: [DONE]\n\n"));
    }
}

#[test]
fn a_body_that_is_too_long_is_refused_before_it_is_whole() {
    let mut rig = Rig::gateway();
    let user = rig.begin_ask();
    rig.deliver(user, &vec![b' '; HTTP_BODY + 100_000]);
    assert_eq!(rig.status(user), Some(413));
    let user = rig.begin_ask();
    rig.deliver(user, b"{\"model\":");
    rig.pass(JOB_TOTAL);
    assert_eq!(rig.status(user), Some(408));
}

#[test]
fn a_body_that_is_encoded_is_refused_with_what_to_do() {
    let mut rig = Rig::gateway();
    let ask = |rig: &mut Rig, encoding: &str| {
        let head = RequestHead::new("POST", "/v1/chat/completions")
            .with("authorization", "Bearer sk-labman-1")
            .with("content-encoding", encoding);
        rig.request(Surface::Public, head)
    };
    for encoding in ["gzip", "br, gzip", "zstd"] {
        let user = ask(&mut rig, encoding);
        assert_eq!(rig.status(user), Some(415));
        let error: serde_json::Value = serde_json::from_str(&rig.text(user)).unwrap();
        assert_eq!(error["error"]["type"], "invalid_request_error");
        assert!(error["error"]["param"].is_null() && error["error"]["code"].is_null(), "{error}");
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.contains("content-encoding") && message.contains(encoding), "{message}");
        assert!(message.contains("unencoded"), "{message}");
    }
    for none in ["identity", "Identity"] {
        let user = ask(&mut rig, none);
        assert_eq!(rig.status(user), None, "it is heard");
    }
}

#[test]
fn a_body_that_grows_when_it_is_written_again_is_refused_and_not_blamed_on_providers() {
    let mut rig = Rig::gateway();
    let peer = Peer::serving(&mut rig, PEER, SLUG);
    let user = rig.begin_ask();
    let numbers = vec!["1e15"; 600_000].join(",");
    let body = format!(
        r#"{{"model":"{SLUG}","messages":[{{"role":"user","content":"x"}}],"guided_json":{{"a":[{numbers}]}}}}"#
    );
    assert!(body.len() < HTTP_BODY);
    rig.deliver(user, body.as_bytes());
    rig.finish(user);
    assert_eq!(rig.status(user), Some(413));
    assert!(peer.jobs(&mut rig).is_empty());
}

#[test]
fn many_bodies_at_once_do_not_fill_the_memory() {
    let mut rig = Rig::gateway();
    let honest = rig.begin_ask();
    rig.deliver(honest, b"{");
    let users: Vec<StreamId> = (0..100).map(|_| rig.begin_ask()).collect();
    for user in &users {
        rig.deliver(*user, &vec![b' '; HTTP_BODY - 1]);
    }
    let refused = users.iter().filter(|user| rig.status(**user) == Some(503)).count();
    let held = (users.len() - refused) * (HTTP_BODY - 1);
    assert!(held <= 256 * 1024 * 1024, "{held} bytes of bodies");
    assert!(users.iter().all(|user| matches!(rig.status(*user), None | Some(503))));
    assert_eq!(rig.status(honest), None, "who sends little is not the one to make room");
    let small = rig.ask(&json!({}));
    assert_eq!(rig.status(small), Some(400), "small ones are still heard");
}

#[test]
fn a_fep_that_is_silent_is_told_to_the_user_and_no_provider_is_asked() {
    let mut rig = Rig::gateway();
    let peer = Peer::serving(&mut rig, PEER, SLUG);
    rig.fep.silent = vec!["/v1/authorize"];
    let user = rig.ask(&prompt(true));
    rig.pass(Span::from_secs(5));
    assert_eq!(rig.status(user), Some(503));
    assert!(peer.jobs(&mut rig).is_empty());
    assert!(rig.disk.rows("gateway_jobs").is_empty());
}

#[test]
fn an_authorization_that_is_not_the_fep_s_or_not_for_this_is_not_used() {
    type Case = (&'static str, fn(&mut Rig));
    let cases: [Case; 15] = [
        ("signed by another", |rig| rig.fep.signer = Some(STRANGER)),
        ("another request", |rig| rig.fep.twist = Some(|auth| auth.request_id.0[0] ^= 1)),
        ("another gateway", |rig| rig.fep.twist = Some(|auth| auth.gateway = node(STRANGER))),
        ("fewer tokens", |rig| rig.fep.twist = Some(|auth| auth.max_output -= 1)),
        ("less input", |rig| rig.fep.twist = Some(|auth| auth.input_bound -= 1)),
        ("no provider", |rig| rig.fep.twist = Some(|auth| auth.attempts.clear())),
        ("another offer", |rig| rig.fep.twist = Some(|auth| auth.attempts[0].offer_hash = Hash([1; 32]))),
        ("another provider than the offer's", |rig| {
            rig.fep.twist = Some(|auth| auth.attempts[0].provider = node(OTHER));
        }),
        ("too many providers", |rig| {
            rig.fep.twist = Some(|auth| auth.attempts = vec![auth.attempts[0].clone(); 4]);
        }),
        ("a dearer attempt", |rig| {
            rig.fep.twist = Some(|auth| {
                auth.attempts[0].max_charge.0 += 1;
                auth.hold.0 += 1;
            });
        }),
        ("a larger hold", |rig| rig.fep.twist = Some(|auth| auth.hold.0 += 1)),
        ("another currency than the offer's", |rig| {
            rig.fep.twist = Some(|auth| auth.attempts[0].payout_currency = "EUR".parse().unwrap());
        }),
        ("a currency that is not worth itself", |rig| {
            rig.fep.twist = Some(|auth| auth.attempts[0].rate = "0.92".parse().unwrap());
        }),
        ("nonsense", |rig| rig.fep.says = Some(("/v1/authorize", 200, vec![1; 100]))),
        ("endless", |rig| rig.fep.says = Some(("/v1/authorize", 200, vec![1; 2_000_000]))),
    ];
    for (what, twist) in cases {
        let mut rig = Rig::gateway();
        let peer = Peer::serving(&mut rig, PEER, SLUG);
        let other = Peer::admitted(&mut rig, OTHER);
        twist(&mut rig);
        let user = rig.ask(&prompt(true));
        // A key that is not known is asked for, once.
        rig.pass(DESCRIPTOR_AT_MOST);
        assert_eq!(rig.status(user), Some(503), "{what}");
        assert!(rig.text(user).contains("fep_unavailable"), "{what}");
        assert!(peer.jobs(&mut rig).is_empty() && other.jobs(&mut rig).is_empty(), "{what}");
    }
}

#[test]
fn a_refusal_of_the_fep_s_is_told_as_the_sdks_know_it() {
    for (status, code, told) in [
        (401, "invalid_api_key", 401),
        (402, "insufficient_quota", 429),
        (403, "not_paired", 503),
        (400, "bad_request", 503),
        (503, "unavailable", 503),
    ] {
        let mut rig = Rig::gateway();
        let peer = Peer::serving(&mut rig, PEER, SLUG);
        let body = json!({ "error": { "code": code, "message": "because" } });
        rig.fep.says = Some(("/v1/authorize", status, body.to_string().into_bytes()));
        let user = rig.ask(&prompt(true));
        assert_eq!(rig.status(user), Some(told), "{code}");
        assert!(peer.jobs(&mut rig).is_empty());
        assert!(rig.disk.rows("gateway_jobs").is_empty());
    }
}

/// One user's job, in pieces that are yet to happen.
struct Flow {
    user: StreamId,
    stream: StreamId,
    pieces: std::collections::VecDeque<Vec<u8>>,
    text: String,
}

#[test]
fn jobs_at_once_give_each_user_exactly_its_own_text() {
    for seed in 0..12 {
        let mut rig = Rig::gateway();
        rig.reseed(seed);
        let mut peers = [Peer::serving(&mut rig, PEER, SLUG), Peer::serving(&mut rig, OTHER, SLUG)];
        let users: Vec<StreamId> = (0..12)
            .map(|number| {
                let mut body = prompt(true);
                body["messages"][0]["content"] = json!(format!("user {number}"));
                let user = rig.ask(&body);
                rig.wires.get_mut(&user).unwrap().reads = number % 3 != 0;
                user
            })
            .collect();
        let mut flows = Vec::new();
        for peer in &mut peers {
            for mut job in peer.jobs(&mut rig) {
                let asked = job.body["messages"][0]["content"].as_str().unwrap().to_string();
                let number: usize = asked.strip_prefix("user ").unwrap().parse().unwrap();
                let (mut bytes, mut text) = (Vec::new(), String::new());
                for part in 0..=rig.draw(40) {
                    let word = format!("<{number}:{part}>").repeat(1 + rig.draw(600) as usize);
                    bytes.extend(job.chunk_frame(counts(10, 5), &content(&word)));
                    text.push_str(&word);
                }
                bytes.extend(job.end_frame(job.statement(counts(10, 5), End::Complete), None));
                let mut pieces = std::collections::VecDeque::new();
                while !bytes.is_empty() {
                    let cut = bytes.len().min(1 + rig.draw(20_000) as usize);
                    pieces.push_back(bytes.drain(..cut).collect());
                }
                flows.push(Flow { user: users[number], stream: job.stream, pieces, text });
            }
        }
        assert_eq!(flows.len(), users.len());
        while flows.iter().any(|flow| !flow.pieces.is_empty() || rig.wires[&flow.user].untaken > 0) {
            let at = rig.draw(flows.len() as u64) as usize;
            if let Some(piece) = flows[at].pieces.pop_front() {
                rig.deliver(flows[at].stream, &piece);
            }
            let at = rig.draw(flows.len() as u64) as usize;
            let most = rig.draw(30_000) as usize;
            rig.take(flows[at].user, most);
        }
        for flow in &flows {
            let answer = rig.text(flow.user);
            assert_eq!(said(&answer), flow.text, "seed {seed}");
            assert!(answer.ends_with("data: [DONE]\n\n") && rig.wires[&flow.user].finished);
        }
        assert_eq!(rig.fep.reports.len(), users.len());
        for flow in &flows {
            let heard = super::peer::frames(&rig.hear(flow.stream));
            let receipt = super::peer::receipt_in(&heard.last().expect("a receipt").1);
            let peer = peers.iter_mut().find(|peer| peer.node_id() == receipt.provider_node_id).unwrap();
            peer.say(&mut rig, flow.stream, Kind::ReceiptAck, &ack(&receipt));
        }
        assert!(rig.disk.rows("gateway_jobs").is_empty());
    }
}

#[test]
fn whoever_asks_for_heads_only_gets_the_same_ones() {
    let mut rig = Rig::gateway();
    Peer::serving(&mut rig, PEER, SLUG);
    for path in ["/v1/models", &format!("/v1/models/{SLUG}"), "/v1/models/nobodys", "/v1/nothing"] {
        let [whole, head] = ["GET", "HEAD"].map(|method| {
            let user = rig.request(Surface::Public, RequestHead::new(method, path));
            rig.finish(user);
            user
        });
        let heads = |user| {
            let mut head = rig.wires[&user].head.clone().unwrap();
            head.headers.retain(|(name, _)| name != "x-request-id");
            head
        };
        let body = rig.text(whole).replace("GET /v1/nothing", "HEAD /v1/nothing");
        assert_eq!(heads(head).header("content-length"), Some(body.len().to_string().as_str()), "{path}");
        assert_eq!(heads(head).status, heads(whole).status, "{path}");
        assert_eq!((rig.text(head).as_str(), rig.wires[&head].finished), ("", true), "{path}");
    }
}

#[test]
fn a_refusal_says_what_would_do_instead() {
    let mut rig = Rig::gateway();
    let mut told = |method, path, name: &str| {
        let user = rig.request(Surface::Public, RequestHead::new(method, path));
        let head = rig.wires[&user].head.clone().unwrap();
        (head.status, head.header(name).map(String::from))
    };
    let keyless = told("POST", "/v1/chat/completions", "www-authenticate");
    assert_eq!(keyless, (401, Some("Bearer".into())));
    assert_eq!(told("GET", "/v1/chat/completions", "allow"), (405, Some("POST, OPTIONS".into())));
    assert_eq!(told("POST", "/v1/models", "allow"), (405, Some("GET, HEAD, OPTIONS".into())));
}
