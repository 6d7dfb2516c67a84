//! A node that is gateway and provider at once serves its own users, as strictly as it serves strangers.

use labman_proto_core::limits::{READER_STALL, STREAM_WINDOW};
use labman_proto_core::machine::{ResetCode, StreamId};
use labman_proto_core::time::Span;
use labman_proto_core::wire::portman::{FromPortman, ToPortman};

use super::lies::prompt;
use super::peer::{content, counts};
use super::portman::{Portman, model};
use super::rig::{Rig, both_config};

fn asked() -> (Rig, Portman, StreamId) {
    let mut rig = Rig::new(both_config());
    let portman = Portman::attach(&mut rig, vec![model("toy", 1)]);
    let user = rig.ask(&prompt(true));
    assert_eq!(portman.started(&mut rig), [1]);
    (rig, portman, user)
}

#[test]
fn a_node_serves_its_own_user_and_is_paid_for_it() {
    let (mut rig, portman, user) = asked();
    portman.text(&mut rig, 1, "hello ", counts(10, 2));
    portman.text(&mut rig, 1, "you", counts(10, 3));
    portman.say(&mut rig, &FromPortman::Done { job: 1, counts: counts(10, 3) });
    let text = rig.text(user);
    assert!(text.contains("hello ") && text.contains("you") && text.ends_with("data: [DONE]\n\n"));
    assert!(rig.disk.rows("gateway_jobs").is_empty(), "acknowledged by ourselves");
    rig.pass(Span::from_secs(60));
    assert_eq!(rig.fep.claims.len(), 1);
    assert_eq!(rig.disk.rows("receipts_paid").len(), 1);
    let status = rig.admin("/status");
    assert_eq!(status["jobs"]["gateway"], 0, "{status}");
    assert_eq!(status["jobs"]["provider"], 0, "{status}");
}

#[test]
fn a_slow_user_of_our_own_holds_the_portman_back() {
    let (mut rig, portman, user) = asked();
    rig.wires.get_mut(&user).unwrap().reads = false;
    let data = content(&"x".repeat(1_000)).to_string();
    let (mut credit, mut sent) = (STREAM_WINDOW as usize, 0);
    while sent < 500 {
        while sent < 500 && credit >= data.len() {
            credit -= data.len();
            sent += 1;
            portman
                .say(&mut rig, &FromPortman::Chunk { job: 1, data: data.clone(), counts: counts(10, sent) });
        }
        assert_eq!(portman.hears(&mut rig), [], "credit before anything was read");
        assert!(rig.wires[&user].untaken <= 6 * STREAM_WINDOW as usize);
        rig.take(user, usize::MAX);
        for message in portman.hears(&mut rig) {
            let ToPortman::Credit { job: 1, bytes } = message else { panic!("{message:?}") };
            credit += bytes as usize;
        }
        assert!(credit >= data.len(), "the job stands still");
    }
    portman.say(&mut rig, &FromPortman::Done { job: 1, counts: counts(10, sent) });
    assert!(rig.text(user).ends_with("data: [DONE]\n\n"));
}

#[test]
fn a_user_of_our_own_who_leaves_or_never_reads_stops_the_portman() {
    let (mut rig, portman, user) = asked();
    portman.text(&mut rig, 1, "x", counts(10, 1));
    rig.reset(user, ResetCode::Cancelled);
    assert_eq!(portman.cancelled(&mut rig), [1]);

    let (mut rig, portman, user) = asked();
    rig.wires.get_mut(&user).unwrap().reads = false;
    portman.text(&mut rig, 1, "x", counts(10, 1));
    rig.pass(READER_STALL);
    assert_eq!(portman.cancelled(&mut rig), [1]);
    // What was delivered is paid, on both sides of the same node.
    rig.pass(Span::from_secs(60));
    assert!(rig.disk.rows("gateway_jobs").is_empty());
    assert_eq!(rig.disk.rows("receipts_paid").len(), 1);
}

#[test]
fn a_receipt_of_our_own_survives_a_restart() {
    let (mut rig, portman, _) = asked();
    rig.fep.silent = vec!["/v1/usage"];
    portman.text(&mut rig, 1, "x", counts(10, 1));
    portman.say(&mut rig, &FromPortman::Done { job: 1, counts: counts(10, 1) });
    rig.restart();
    rig.fep.silent.clear();
    rig.pass(Span::from_secs(60));
    assert!(rig.disk.rows("gateway_jobs").is_empty());
    assert_eq!(rig.disk.rows("receipts_paid").len(), 1);
}
