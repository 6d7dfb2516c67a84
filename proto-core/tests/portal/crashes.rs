//! Whatever a crash or a full disk interrupts, asking again comes to the same books.

use labman_proto_core::time::Span;
use labman_proto_core::wire::ids::AuthId;
use labman_proto_core::wire::portal::{Receipt, Verdict};

use serde_json::json;

use super::rig::*;

/// A crash at this many steps of the store from now: before the step, or after it but before the portal hears of it.
#[derive(Clone, Copy, Debug)]
struct Crash {
    at: u32,
    applied: bool,
}

/// Lets the store do one thing, or crashes if it is time. False: nothing was to be done.
fn step(rig: &mut Rig, crash: &mut Option<Crash>) -> bool {
    match crash {
        Some(Crash { at: 0, applied }) => {
            if *applied {
                rig.step_unheard();
            }
            *crash = None;
            rig.crash();
            rig.doze(Span::from_secs(0));
            true
        }
        Some(Crash { at, .. }) => {
            let stepped = rig.step();
            *at -= u32::from(stepped);
            stepped
        }
        None => rig.step(),
    }
}

/// Posts, and asks again until answered, as gateways and providers do.
fn persist(rig: &mut Rig, crash: &mut Option<Crash>, path: &str, body: &[u8]) -> Reply {
    loop {
        let before = *crash;
        let stream = rig.begin_post(path, body);
        while rig.reply(stream).is_none() && step(rig, crash) {}
        match rig.reply(stream) {
            Some(reply) if reply.status != 503 => return reply,
            Some(_) => rig.doze(Span::from_secs(30)),
            None => assert!(before.is_some() && crash.is_none(), "an answer comes in the end"),
        }
        while step(rig, crash) {}
    }
}

/// A job settled, a job given up, both claimed and paid, with some trouble at the rail. Its receipt and its books.
fn story(
    trouble: Option<&str>,
    mut crash: Option<Crash>,
) -> (Receipt, std::collections::BTreeMap<String, i64>, Option<Crash>) {
    let (mut rig, key) = Rig::with_user("1");
    if let Some(fault) = trouble {
        let order = json!({ "rail": "test", "fault": fault, "times": 1 });
        assert_eq!(rig.admin("POST", "/rails/faults", order).status, 200);
    }
    for number in [1, 2] {
        let body = rig.authorize_body(&job(number, &key));
        assert_eq!(persist(&mut rig, &mut crash, "/v1/authorize", &body).status, 200);
    }
    let [done, given_up] = [1, 2]
        .map(|number| rig.request(&job(number, &key)).request_id)
        .map(|request_id| AuthId::of(identity(PORTAL).fep_id(), node(GATEWAY), request_id));
    let usage = seal(GATEWAY, report(done, Some(0), counts(10, 7)));
    let receipt: Receipt = persist(&mut rig, &mut crash, "/v1/usage", &usage).object();
    let nothing = seal(GATEWAY, report(given_up, None, counts(0, 0)));
    assert_eq!(persist(&mut rig, &mut crash, "/v1/usage", &nothing).status, 204);
    let body = seal(PROVIDER, claim(1, 55, vec![receipt.receipt_id]));
    let decision = persist(&mut rig, &mut crash, "/v1/claims", &body);
    assert_eq!(
        decision.object::<labman_proto_core::wire::portal::ClaimDecision>().verdict,
        Verdict::Accepted
    );
    rig.crash();
    assert_eq!(rig.disk.rows("rail").len(), 1);
    (receipt, rig.accounts(), crash)
}

#[test]
fn a_crash_at_any_point_changes_nothing_in_the_end() {
    // Two authorizations, two reports; a claim that looks for itself, for its lines and for what was claimed of them, is accepted, sent, asked of the rail,
    // which looks and writes, and confirmed. Where that takes long, the claim is looked up once more; a lost answer has the rail look twice, and a failure
    // is written down, and another transfer scheduled and sent.
    let steps = [(None, 12), (Some("answer_lost"), 15), (Some("ask_lost"), 14), (Some("failed"), 35)];
    for (trouble, steps) in steps {
        let (receipt, books, _) = story(trouble, None);
        let mut crashes = 0;
        for applied in [false, true] {
            for at in 0.. {
                let (after, after_books, left) = story(trouble, Some(Crash { at, applied }));
                assert_eq!(
                    (&after, &after_books),
                    (&receipt, &books),
                    "{trouble:?}: crash at {at}, {applied}"
                );
                if left.is_some() {
                    break;
                }
                crashes += 1;
            }
        }
        assert_eq!(crashes, 2 * steps, "{trouble:?}");
    }
}

#[test]
fn a_full_disk_is_answered_503_and_stops_the_portal_with_its_books_as_they_were() {
    let (mut rig, key) = Rig::with_user("1");
    let auth_id = rig.authorized(&job(1, &key)).auth_id;
    rig.disk.full = true;
    let usage = seal(GATEWAY, report(auth_id, Some(0), counts(10, 7)));
    let waiting = [rig.begin_post("/v1/usage", &usage), rig.begin_post("/v1/usage", &usage), {
        let body = rig.authorize_body(&job(2, &key));
        rig.begin_post("/v1/authorize", &body)
    }];
    rig.run();
    for stream in waiting {
        assert_eq!(rig.reply(stream).unwrap().refusal(), (503, "unavailable".into()));
    }
    assert!(rig.stopped());
    assert_eq!(rig.authorize(&job(3, &key)).refusal(), (503, "unavailable".into()));

    rig.disk.full = false;
    rig.crash();
    assert_eq!(rig.balance("held:u000001"), 735);
    assert_eq!(rig.settled(auth_id, counts(10, 7)).sequence, 1);
}

#[test]
fn a_caller_that_left_is_not_spoken_to_and_its_call_still_counts() {
    let (mut rig, key) = Rig::with_user("1");
    let body = rig.authorize_body(&job(1, &key));
    let stream = rig.begin_post("/v1/authorize", &body);
    rig.leave(stream);
    rig.run();
    assert!(rig.reply(stream).is_none());
    assert_eq!(rig.balance("held:u000001"), 735);
    assert_eq!(rig.authorize(&job(1, &key)).status, 200);
    assert_eq!(rig.balance("held:u000001"), 735);
}
