//! A gateway whose provider lies, breaks off or falls silent: the user is told, and pays for what came, at most.

use labman_proto_core::http::{RequestHead, Surface};
use labman_proto_core::limits::{FIRST_CHUNK, JOB_TOTAL, NEXT_CHUNK};
use labman_proto_core::machine::{ResetCode, StreamId};
use labman_proto_core::time::Span;
use labman_proto_core::wire::cbor;
use labman_proto_core::wire::envelope::{Kind, light};
use labman_proto_core::wire::ids::{AuthId, Hash};
use labman_proto_core::wire::mesh::{Refusal, RefusalCode};
use labman_proto_core::wire::portal::{End, UsageReport, UsageStatement};
use serde_json::{Value, json};

use super::fep;
use super::peer::{Peer, Served, content, counts, offer};
use super::rig::{OTHER, PEER, Rig, seal};

pub(crate) const SLUG: &str = "acme:box:toy";

pub(crate) fn prompt(stream: bool) -> Value {
    json!({
        "model": SLUG, "stream": stream, "max_tokens": 100,
        "messages": [{ "role": "user", "content": "a question" }],
    })
}

/// A streaming user's request at its provider.
pub(crate) fn running() -> (Rig, Peer, Served, StreamId) {
    let mut rig = Rig::gateway();
    let peer = Peer::serving(&mut rig, PEER, SLUG);
    let user = rig.ask(&prompt(true));
    let job = peer.job(&mut rig);
    (rig, peer, job, user)
}

fn report(rig: &Rig) -> &UsageReport {
    assert_eq!(rig.fep.reports.len(), 1, "one report for one job");
    &rig.fep.reports[0]
}

/// The answer broke off in the middle: the SDKs must not take it for a whole one.
fn broke_off(rig: &Rig, user: StreamId) -> bool {
    let text = rig.text(user);
    rig.wires[&user].finished && text.contains("\"error\"") && !text.contains("[DONE]")
}

#[test]
fn tokens_are_settled_as_far_as_text_came_and_no_further_than_was_asked() {
    for (text, stated, accepted) in [
        ("four", counts(10, 4), counts(10, 4)),
        ("four", counts(10, 1_000), counts(10, 4)),
        ("four", counts(10, u32::MAX), counts(10, 4)),
        (&"x".repeat(500), counts(10, 400), counts(10, 100)),
        ("", counts(10, 50), counts(10, 0)),
    ] {
        let (mut rig, _peer, mut job, user) = running();
        job.text(&mut rig, stated, text);
        job.end(&mut rig, stated);
        assert!(rig.text(user).ends_with("data: [DONE]\n\n"));
        let report = report(&rig);
        assert_eq!((report.accepted, fep::stated(report)), (accepted, Some(stated)));
    }
}

#[test]
fn input_is_settled_no_higher_than_its_bound() {
    let (mut rig, _peer, mut job, _) = running();
    let stated = labman_proto_core::economics::Counts { input: u32::MAX, cached: u32::MAX, output: 1 };
    job.text(&mut rig, stated, "x");
    job.end(&mut rig, stated);
    let accepted = report(&rig).accepted;
    assert!(accepted.input < 500 && accepted.cached <= accepted.input, "{accepted:?}");
}

#[test]
fn an_end_that_does_not_hold_breaks_off_and_settles_what_came() {
    type Twist = fn(&mut UsageStatement, &mut Option<Refusal>);
    let cases: [(&str, Twist); 6] = [
        ("another transcript", |said, _| said.transcript = Hash([1; 32])),
        ("more chunks", |said, _| said.chunks += 1),
        ("another authorization", |said, _| said.auth_id = AuthId([1; 16])),
        ("another attempt", |said, _| said.attempt = 1),
        ("cancelled by nobody", |said, _| said.end = End::Cancelled),
        ("broken and whole", |_, broken| {
            let message = "the cable".into();
            *broken = Some(Refusal { code: RefusalCode::RuntimeFailed, message });
        }),
    ];
    for (what, twist) in cases {
        let (mut rig, peer, mut job, user) = running();
        job.text(&mut rig, counts(10, 3), "three tokens");
        let (mut said, mut broken) = (job.statement(counts(10, 3), End::Complete), None);
        twist(&mut said, &mut broken);
        let frame = job.end_frame(said, broken);
        rig.deliver(job.stream, &frame);
        assert!(broke_off(&rig, user), "{what}: {}", rig.text(user));
        let report = report(&rig);
        assert_eq!((report.accepted, &report.statement), (counts(10, 3), &None), "{what}");
        assert_eq!(rig.reset_of(job.stream), Some(ResetCode::Cancelled), "{what}");
        assert!(rig.is_up(peer.link), "{what}");
    }
}

#[test]
fn an_answer_that_its_provider_says_to_be_broken_is_reported_with_its_statement() {
    let (mut rig, _, mut job, user) = running();
    job.text(&mut rig, counts(10, 3), "three tokens");
    let broken = Refusal { code: RefusalCode::RuntimeFailed, message: "the cable".into() };
    let frame = job.end_frame(job.statement(counts(10, 3), End::Broken), Some(broken));
    rig.deliver(job.stream, &frame);
    assert!(broke_off(&rig, user));
    assert_eq!((report(&rig).accepted, fep::stated(report(&rig))), (counts(10, 3), Some(counts(10, 3))));
}

#[test]
fn whatever_breaks_the_stream_after_its_first_byte_is_told_and_settled() {
    type Break = fn(&mut Rig, &mut Peer, &mut Served);
    let cases: [(&str, Break); 9] = [
        ("reset", |rig, _, job| rig.reset(job.stream, ResetCode::Internal)),
        ("ended without an end", |rig, _, job| rig.finish(job.stream)),
        ("link lost", |rig, peer, _| rig.link_down(peer.link)),
        ("a refusal", |rig, peer, job| {
            job.refuse(rig, peer, Refusal { code: RefusalCode::Busy, message: "x".repeat(5_000) });
        }),
        ("no frame", |rig, _, job| rig.deliver(job.stream, &[0xff; 4])),
        ("not a chunk", |rig, _, job| rig.deliver(job.stream, &light(Kind::Chunk, b"\xff"))),
        ("not JSON", |rig, _, job| {
            let data = cbor::encode(&labman_proto_core::wire::mesh::Chunk {
                counts: counts(1, 9),
                data: cbor::Blob(b"{".to_vec()),
            });
            rig.deliver(job.stream, &light(Kind::Chunk, &data));
        }),
        ("a body", |rig, _, job| rig.deliver(job.stream, &light(Kind::Body, b"{}"))),
        ("silence", |rig, _, _| rig.pass(NEXT_CHUNK)),
    ];
    for (what, broken) in cases {
        let (mut rig, mut peer, mut job, user) = running();
        // A second provider that must not be asked: nothing is replayed after the first byte.
        let other = Peer::serving(&mut rig, OTHER, SLUG);
        job.text(&mut rig, counts(10, 3), "three tokens");
        broken(&mut rig, &mut peer, &mut job);
        assert!(broke_off(&rig, user), "{what}: {}", rig.text(user));
        assert!(rig.text(user).len() < 2_000, "{what}");
        assert_eq!(report(&rig).accepted, counts(10, 3), "{what}");
        assert!(rig.wires[&job.stream].is_gone(), "{what}");
        assert!(other.jobs(&mut rig).is_empty(), "{what}");
    }
}

#[test]
fn half_an_answer_is_reported_though_its_user_got_none_of_it() {
    let mut rig = Rig::gateway();
    let peer = Peer::serving(&mut rig, PEER, SLUG);
    let user = rig.ask(&prompt(false));
    let mut job = peer.job(&mut rig);
    job.text(&mut rig, counts(10, 3), "three tokens");
    rig.reset(job.stream, ResetCode::Internal);
    assert_eq!(rig.status(user), Some(502));
    assert_eq!(
        (report(&rig).attempt, report(&rig).accepted),
        (Some(0), counts(10, 3)),
        "it was acknowledged"
    );
}

#[test]
fn chunks_after_the_end_change_nothing() {
    let (mut rig, peer, mut job, user) = running();
    job.text(&mut rig, counts(10, 3), "three tokens");
    let end = job.end_frame(job.statement(counts(10, 3), End::Complete), None);
    let after = job.chunk_frame(counts(10, 90), &content("and much much more"));
    rig.fep.silent = vec!["/v1/usage"];
    rig.deliver(job.stream, &[end, after.clone()].concat());
    rig.deliver(job.stream, &after);
    assert!(rig.text(user).ends_with("data: [DONE]\n\n") && !rig.text(user).contains("much"));
    assert_eq!(report(&rig).accepted, counts(10, 3));
    // Its stream is gone, but its receipt comes all the same.
    assert_eq!(rig.reset_of(job.stream), Some(ResetCode::Cancelled));
    rig.fep.silent.clear();
    peer.hears(&mut rig);
    rig.pass(Span::from_secs(30));
    assert!(peer.hears(&mut rig).iter().any(|(kind, _)| *kind == Kind::ReceiptDelivery));
}

#[test]
fn a_provider_that_ends_its_side_early_leaves_no_half_open_stream() {
    let (mut rig, _peer, mut job, _) = running();
    job.text(&mut rig, counts(10, 3), "three tokens");
    rig.fep.silent = vec!["/v1/usage"];
    job.end(&mut rig, counts(10, 3));
    rig.finish(job.stream);
    assert!(rig.wires[&job.stream].is_gone());
}

#[test]
fn a_provider_that_says_nothing_is_left_for_the_next_one_and_the_last_is_waited_for() {
    let mut rig = Rig::gateway();
    let peers = [Peer::serving(&mut rig, PEER, SLUG), Peer::serving(&mut rig, OTHER, SLUG)];
    let user = rig.ask(&prompt(true));
    let at = peers.iter().position(|peer| rig.opened.iter().any(|(_, link)| *link == peer.link)).unwrap();
    let silent = peers[at].job(&mut rig);
    rig.pass(FIRST_CHUNK);
    assert_eq!(rig.reset_of(silent.stream), Some(ResetCode::Cancelled));
    let mut last = peers[1 - at].job(&mut rig);
    assert_eq!(last.request.attempt, 1);
    rig.pass(FIRST_CHUNK);
    rig.pass(FIRST_CHUNK);
    assert_eq!(rig.reset_of(last.stream), None);
    last.text(&mut rig, counts(10, 2), "late");
    last.end(&mut rig, counts(10, 2));
    assert!(rig.text(user).ends_with("data: [DONE]\n\n"));
    assert_eq!(report(&rig).attempt, Some(1));
    // It was kept alive before it was certain who serves.
    assert_eq!(rig.wires[&user].head.as_ref().unwrap().header("x-labman-attempts"), None);
}

#[test]
fn a_provider_that_dribbles_is_silent_all_the_same() {
    // Before its first chunk: half a frame, and frames without meaning.
    let mut rig = Rig::gateway();
    let peers = [Peer::serving(&mut rig, PEER, SLUG), Peer::serving(&mut rig, OTHER, SLUG)];
    rig.ask(&prompt(true));
    let at = peers.iter().position(|peer| rig.opened.iter().any(|(_, link)| *link == peer.link)).unwrap();
    let dribbling = peers[at].job(&mut rig);
    for _ in 0..8 {
        rig.deliver(dribbling.stream, &[0, 0, 0, 3, 1, 0xff, 0xff]);
        rig.pass(Span::from_secs(10));
    }
    assert_eq!(rig.reset_of(dribbling.stream), Some(ResetCode::Cancelled));
    assert_eq!(peers[1 - at].jobs(&mut rig).len(), 1);

    // And after it.
    let (mut rig, _, mut job, user) = running();
    job.text(&mut rig, counts(10, 2), "late");
    for _ in 0..8 {
        rig.deliver(job.stream, &[0, 0, 0, 3, 1, 0xff, 0xff]);
        rig.pass(Span::from_secs(10));
    }
    assert!(broke_off(&rig, user));
}

#[test]
fn a_job_ends_after_its_total_time_whatever_keeps_it_going() {
    let (mut rig, _, mut job, user) = running();
    let mut passed = Span::default();
    while passed < JOB_TOTAL {
        job.text(&mut rig, counts(10, 2), ".");
        rig.pass(Span::from_secs(30));
        passed = passed + Span::from_secs(30);
    }
    assert!(broke_off(&rig, user));
    assert!(rig.text(user).contains("timeout"));
}

#[test]
fn what_a_later_provider_says_does_not_use_up_its_credit() {
    let (mut rig, _peer, mut job, user) = running();
    let unknown = [&[0, 0, 0x40, 0, 1, 0xff, 0xff][..], &[7; 0x4000 - 3]].concat();
    for _ in 0..40 {
        rig.deliver(job.stream, &unknown);
    }
    job.text(&mut rig, counts(10, 2), "heard");
    job.end(&mut rig, counts(10, 2));
    assert_eq!(rig.waiting(job.stream), 0);
    assert!(rig.text(user).contains("heard"));
}

#[test]
fn refusals_before_the_first_chunk_go_to_the_next_provider_but_a_bad_request_ends_it() {
    use RefusalCode::*;
    for (code, status) in [
        (ModelNotAvailable, 503),
        (Busy, 429),
        (NotTrusted, 503),
        (BadAuthorization, 503),
        (OfferChanged, 503),
        (RuntimeFailed, 503),
        (BadRequest, 400),
    ] {
        let mut rig = Rig::gateway();
        let mut peers = [Peer::serving(&mut rig, PEER, SLUG), Peer::serving(&mut rig, OTHER, SLUG)];
        let user = rig.ask(&prompt(true));
        let mut asked = 0;
        for _ in 0..2 {
            for peer in &mut peers {
                for job in peer.jobs(&mut rig) {
                    asked += 1;
                    job.refuse(&mut rig, peer, Refusal { code, message: "no\r\nx: y".into() });
                    assert!(rig.wires[&job.stream].is_gone());
                }
            }
        }
        assert_eq!((rig.status(user), asked), (Some(status), if code == BadRequest { 1 } else { 2 }));
        assert_eq!(report(&rig).attempt, None, "nothing is owed");
        assert!(rig.disk.rows("gateway_jobs").is_empty());
    }
}

#[test]
fn a_prompt_that_a_runtime_finds_too_long_is_told_where_and_with_what_to_do_and_another_mistake_without() {
    let told = |path: &str, body: Value, message: &str| {
        let mut rig = Rig::gateway();
        let mut peer = Peer::serving(&mut rig, PEER, SLUG);
        let head = RequestHead::new("POST", path).with("authorization", "Bearer sk-labman-1");
        let user = rig.request(Surface::Public, head);
        rig.deliver(user, body.to_string().as_bytes());
        rig.finish(user);
        let refusal = Refusal { code: RefusalCode::BadRequest, message: message.into() };
        peer.job(&mut rig).refuse(&mut rig, &mut peer, refusal);
        let answer: Value = serde_json::from_str(&rig.text(user)).unwrap();
        (rig.status(user), answer["error"].clone())
    };
    let long = "the request exceeds the available context size.";
    for (path, body, param, bound) in [
        ("/v1/chat/completions", prompt(false), "messages", "`max_tokens`"),
        ("/v1/completions", json!({ "model": SLUG, "prompt": "x" }), "prompt", "`max_tokens`"),
        ("/v1/responses", json!({ "model": SLUG, "input": "x" }), "input", "`max_output_tokens`"),
        ("/v1/embeddings", json!({ "model": SLUG, "input": "x" }), "input", "Shorten each text"),
    ] {
        let (status, error) = told(path, body, long);
        assert_eq!((status, &error["code"]), (Some(400), &json!("context_length_exceeded")), "{path}");
        assert_eq!(error["param"], param, "{path}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("context size. Shorten") && message.contains(bound), "{message}");
    }
    // Which field it is, the cut off end may have said.
    let (_, error) = told("/v1/chat/completions", prompt(false), &"`stop` is wrong ".repeat(99));
    assert_eq!((&error["code"], &error["param"]), (&Value::Null, &Value::Null));
}

#[test]
fn an_offer_of_no_tokens_does_not_spoil_the_requests_of_others() {
    let mut rig = Rig::gateway();
    let honest = Peer::serving(&mut rig, PEER, SLUG);
    let mut greedy = Peer::admitted(&mut rig, OTHER);
    let mut none = offer(&rig, SLUG);
    none.max_output = 0;
    none.price.output_per_mtok = labman_proto_core::money::Micros(0);
    greedy.announce(&mut rig, vec![seal(OTHER, none)]);
    rig.ask(&prompt(true));
    assert_eq!(honest.job(&mut rig).body["max_tokens"], 100);
}

#[test]
fn an_answer_that_only_grows_beside_its_text_is_not_collected_for_ever() {
    let mut rig = Rig::gateway();
    let peer = Peer::serving(&mut rig, PEER, SLUG);
    let user = rig.ask(&prompt(false));
    let mut job = peer.job(&mut rig);
    let token = "x".repeat(200_000);
    let chunk = json!({ "choices": [{ "delta": {}, "logprobs": { "content": [{ "token": token }] } }] });
    for _ in 0..100 {
        job.chunk(&mut rig, counts(10, 1), &chunk);
    }
    assert_eq!(rig.status(user), Some(502));
}
