//! How often a gateway asks its FEP before a job is worked on, and how often more when its first provider declines.

use labman_proto_core::wire::mesh::{Refusal, RefusalCode};
use serde_json::json;

use crate::mesh::peer::{Peer, Served, counts};
use crate::mesh::rig::{OTHER, PEER, Rig};
use crate::table::Line;

const SLUG: &str = "acme:box:toy";
const ELSEWHERE: &str = "other:box:toy";

pub(crate) fn line() -> Line {
    let (before, _) = calls(false);
    let (first, all) = calls(true);
    Line {
        what: "calls to the FEP before work, and more on failover",
        goal: "1, and 0",
        measured: format!("{before}, and {}", all - first),
        met: (before, first, all) == (1, 1, 1),
        notes: vec![
            "a gateway's node by hand: calls from a user's question to the first provider's request, and from there to \
             its first token; the other provider's, where the first one says that it is busy"
                .into(),
        ],
        figures: json!({ "before_work": before, "more_on_failover": all - first }),
    }
}

/// Until a provider was asked, and until a token came.
fn calls(declines: bool) -> (usize, usize) {
    let mut rig = Rig::gateway();
    let mut peers =
        [(PEER, SLUG), (OTHER, ELSEWHERE)].map(|(number, slug)| Peer::serving(&mut rig, number, slug));
    let known = rig.fep.calls.len();
    let user = rig.ask(&json!({
        "model": "toy", "stream": true, "max_tokens": 100, "messages": [{ "role": "user", "content": "a question" }],
    }));
    let (at, mut job) = asked(&mut rig, &peers);
    let before = rig.fep.calls.len() - known;
    if declines {
        let busy = Refusal { code: RefusalCode::Busy, message: String::new() };
        job.release(&mut rig, &mut peers[at], busy);
        let (then, second) = asked(&mut rig, &peers);
        assert_ne!(at, then, "the other one is asked");
        job = second;
    }
    job.text(&mut rig, counts(10, 1), "a token");
    assert!(rig.text(user).contains("a token"), "the user reads it");
    (before, rig.fep.calls.len() - known)
}

/// Who has a job, and the job.
fn asked(rig: &mut Rig, peers: &[Peer]) -> (usize, Served) {
    let mut jobs: Vec<_> = Vec::new();
    for (at, peer) in peers.iter().enumerate() {
        jobs.extend(peer.jobs(rig).into_iter().map(|job| (at, job)));
    }
    assert_eq!(jobs.len(), 1, "one provider is asked at a time");
    jobs.remove(0)
}
