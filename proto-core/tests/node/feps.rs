//! A FEP that is away is told to the operator: in the log once, and in the status for as long as it lasts.

use labman_proto_core::time::Span;
use serde_json::Value;

use super::lies::{SLUG, prompt};
use super::peer::Peer;
use super::rig::{PEER, Rig, gateway_config, provider_config};

const ALL: [&str; 5] = ["/v1/descriptor", "/v1/authorize", "/v1/usage", "/v1/claims", "/v1/receipts"];

fn told(rig: &Rig, words: &str) -> usize {
    rig.log.iter().filter(|line| line.contains("http://fep") && line.contains(words)).count()
}

fn state(rig: &mut Rig) -> Value {
    rig.admin("/status")["feps"][0]["state"].clone()
}

#[test]
fn a_fep_that_stops_answering_is_told_once_and_so_is_its_return() {
    let mut rig = Rig::new(gateway_config());
    Peer::serving(&mut rig, PEER, SLUG);
    assert_eq!(state(&mut rig), "answering");
    rig.fep.silent = ALL.to_vec();
    for _ in 0..3 {
        rig.ask(&prompt(true));
        rig.pass(Span::from_secs(60));
    }
    assert_eq!((told(&rig, "does not answer"), told(&rig, "answers again")), (1, 0), "{:?}", rig.log);
    let status = rig.admin("/status");
    assert_eq!(status["feps"][0]["state"], "not answering");
    assert_eq!(status["feps"][0]["url"], "http://fep");
    assert!(status["feps"][0]["for_ms"].as_u64().is_some_and(|ms| ms > 160_000), "{status}");
    // Nobody asks meanwhile.
    rig.fep.silent.clear();
    rig.pass(Span::from_secs(60));
    assert_eq!((told(&rig, "does not answer"), told(&rig, "answers again")), (1, 1), "{:?}", rig.log);
    assert_eq!(state(&mut rig), "answering");
}

#[test]
fn a_fep_that_was_never_there_is_told_too() {
    let mut rig = Rig::unborn(gateway_config());
    rig.fep.silent = ALL.to_vec();
    rig.release_store();
    rig.fire();
    rig.pass(Span::from_secs(60));
    assert_eq!(told(&rig, "does not answer"), 1, "{:?}", rig.log);
    rig.fep.silent.clear();
    rig.pass(Span::from_secs(60));
    assert_eq!((told(&rig, "answers again"), told(&rig, "paired")), (1, 1), "{:?}", rig.log);
}

#[test]
fn a_provider_asks_its_fep_who_it_is_and_learns_soon_after_its_start_that_it_is_away() {
    let mut rig = Rig::new(provider_config());
    assert_eq!(state(&mut rig), "answering");
    rig.fep.silent = ALL.to_vec();
    rig.restart();
    rig.pass(Span::from_secs(60));
    assert_eq!(told(&rig, "does not answer"), 1, "{:?}", rig.log);
}

#[test]
fn a_fep_that_says_no_answers() {
    let gateway = || {
        let mut rig = Rig::new(gateway_config());
        Peer::serving(&mut rig, PEER, SLUG);
        rig
    };
    for (status, code) in [(401, "invalid_api_key"), (503, "unavailable")] {
        let mut rig = gateway();
        let refusal = serde_json::json!({ "error": { "code": code, "message": "no" } });
        rig.fep.says = Some(("/v1/authorize", status, refusal.to_string().into_bytes()));
        rig.ask(&prompt(true));
        assert_eq!(state(&mut rig), "answering", "{status}");
    }
    let mut rig = gateway();
    rig.fep.silent = vec!["/v1/usage"];
    rig.fep.says = Some(("/v1/authorize", 502, b"<html>".to_vec()));
    rig.ask(&prompt(true));
    assert_eq!(state(&mut rig), "not answering", "somebody in between speaks");
}
