//! What an API key may send to a gateway, and what every answer tells of that; and a stream that waits is kept alive.

use labman_proto_core::limits::{FIRST_CHUNK, KEEP_ALIVE, KEY_REFUSED_FOR};
use labman_proto_core::machine::StreamId;
use labman_proto_core::node::config::KeyLimits;
use labman_proto_core::time::Span;
use serde_json::json;

use super::lies::{SLUG, prompt, running};
use super::peer::{Peer, counts};
use super::rig::{PEER, Rig, gateway_config};

fn with(limits: KeyLimits) -> Rig {
    let mut config = gateway_config();
    config.gateway.as_mut().unwrap().key_limits = limits;
    Rig::new(config)
}

fn header(rig: &Rig, user: StreamId, name: &str) -> String {
    rig.wires[&user].head.as_ref().unwrap().header(name).unwrap_or_default().to_string()
}

#[test]
fn who_has_had_its_requests_is_told_when_to_come_again_and_costs_nobody_anything() {
    let mut rig = with(KeyLimits { requests_per_minute: 2, ..KeyLimits::default() });
    let peer = Peer::serving(&mut rig, PEER, SLUG);
    rig.ask(&prompt(true));
    rig.ask(&prompt(true));
    let asked = rig.fep.called("/v1/authorize");
    let user = rig.ask(&prompt(true));
    assert_eq!(rig.status(user), Some(429));
    assert!(rig.text(user).contains("rate_limit_exceeded"));
    assert_eq!(header(&rig, user, "retry-after"), "30");
    assert_eq!(header(&rig, user, "x-ratelimit-remaining-requests"), "0");
    assert_eq!(rig.fep.called("/v1/authorize"), asked);
    assert_eq!(peer.jobs(&mut rig).len(), 2);
    rig.pass(Span::from_secs(30));
    let user = rig.ask(&prompt(true));
    assert_eq!(rig.status(user), None, "it is taken again");
}

#[test]
fn requests_at_once_count_until_they_are_over_however_they_end() {
    let mut rig = with(KeyLimits { at_once: 1, ..KeyLimits::default() });
    let peer = Peer::serving(&mut rig, PEER, SLUG);
    rig.ask(&prompt(true));
    let refused = rig.ask(&prompt(true));
    assert_eq!(rig.status(refused), Some(429));
    let mut job = peer.job(&mut rig);
    job.text(&mut rig, counts(10, 3), "three tokens");
    job.end(&mut rig, counts(10, 3));
    let wrong = rig.ask(&json!({}));
    assert_eq!(rig.status(wrong), Some(400));
    rig.ask(&prompt(true));
    assert_eq!(peer.jobs(&mut rig).len(), 1);
}

#[test]
fn the_tokens_of_prompts_and_answers_count_once_they_are_known() {
    let mut rig = with(KeyLimits { tokens_per_minute: 60, ..KeyLimits::default() });
    let peer = Peer::serving(&mut rig, PEER, SLUG);
    rig.ask(&prompt(true));
    let mut job = peer.job(&mut rig);
    job.text(&mut rig, counts(50, 20), "twenty tokens that are text");
    job.end(&mut rig, counts(50, 20));
    let refused = rig.ask(&prompt(true));
    assert_eq!(rig.status(refused), Some(429));
    assert_eq!(header(&rig, refused, "x-ratelimit-remaining-tokens"), "0");
    rig.pass(Span::from_secs(11));
    rig.ask(&prompt(true));
    assert_eq!(peer.jobs(&mut rig).len(), 1);
}

#[test]
fn a_served_request_tells_what_is_left() {
    let (mut rig, _, mut job, user) = running();
    job.text(&mut rig, counts(10, 3), "three tokens");
    for of in ["requests", "tokens"] {
        let number =
            |what: &str| header(&rig, user, &format!("x-ratelimit-{what}-{of}")).parse::<u64>().unwrap();
        assert!(number("remaining") <= number("limit") && number("remaining") > 0);
        assert!(!header(&rig, user, &format!("x-ratelimit-reset-{of}")).is_empty());
    }
}

#[test]
fn a_key_that_its_fep_does_not_know_is_refused_for_a_while_without_asking_again() {
    let mut rig = Rig::gateway();
    let _peer = Peer::serving(&mut rig, PEER, SLUG);
    let body = json!({ "error": { "code": "invalid_api_key", "message": "because" } });
    rig.fep.says = Some(("/v1/authorize", 401, body.to_string().into_bytes()));
    for _ in 0..3 {
        let user = rig.ask(&prompt(true));
        assert_eq!(rig.status(user), Some(401));
        assert!(rig.text(user).contains("invalid_api_key"));
    }
    assert_eq!(rig.fep.called("/v1/authorize"), 1);
    rig.pass(KEY_REFUSED_FOR);
    rig.ask(&prompt(true));
    assert_eq!(rig.fep.called("/v1/authorize"), 2);
}

#[test]
fn a_stream_that_waits_hears_something_now_and_then_and_is_served_all_the_same() {
    let (mut rig, _, mut job, user) = running();
    rig.pass(KEEP_ALIVE);
    assert_eq!(rig.status(user), Some(200));
    assert_eq!(rig.text(user), ": keep-alive\n\n");
    assert_eq!(header(&rig, user, "x-labman-provider"), "", "who serves is not certain yet");
    rig.pass(KEEP_ALIVE);
    assert_eq!(rig.text(user).matches(": keep-alive").count(), 2);
    job.text(&mut rig, counts(10, 3), "three tokens");
    job.end(&mut rig, counts(10, 3));
    assert!(rig.text(user).contains("three tokens") && rig.text(user).ends_with("data: [DONE]\n\n"));
}

#[test]
fn a_stream_that_was_kept_alive_in_vain_ends_with_an_error() {
    let (mut rig, mut peer, job, user) = running();
    rig.pass(KEEP_ALIVE);
    job.release(
        &mut rig,
        &mut peer,
        labman_proto_core::wire::mesh::Refusal {
            code: labman_proto_core::wire::mesh::RefusalCode::RuntimeFailed,
            message: "it broke".into(),
        },
    );
    assert!(rig.text(user).contains(r#""code":"no_provider""#), "{}", rig.text(user));
    assert!(rig.wires[&user].finished);
}

#[test]
fn who_did_not_ask_for_a_stream_or_reads_nothing_is_sent_nothing_else() {
    let mut rig = Rig::gateway();
    let peer = Peer::serving(&mut rig, PEER, SLUG);
    let whole = rig.ask(&prompt(false));
    let _job = peer.job(&mut rig);
    rig.pass(Span(FIRST_CHUNK.0 / 2));
    assert_eq!(rig.status(whole), None);

    let (mut rig, _, mut job, user) = running();
    rig.wires.get_mut(&user).unwrap().reads = false;
    job.text(&mut rig, counts(10, 3), "three tokens");
    rig.pass(KEEP_ALIVE);
    rig.pass(KEEP_ALIVE);
    assert!(!rig.text(user).contains("keep-alive"));
}

#[test]
fn comments_are_no_progress_a_silent_provider_is_given_up_all_the_same() {
    let (mut rig, _, mut job, user) = running();
    job.text(&mut rig, counts(10, 3), "three tokens");
    for _ in 0..6 {
        rig.pass(KEEP_ALIVE);
    }
    assert!(rig.text(user).contains("keep-alive") && rig.text(user).contains("provider_failed"));
}
