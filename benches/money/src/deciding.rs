//! What deciding on a receipt costs the portal, in claims, beside what checking its signature would.

use std::time::{Duration, Instant};

use labman_proto_core::identity::verify_strict;
use labman_proto_core::limits::CLAIM_RECEIPTS;
use labman_proto_core::wire::object;
use labman_proto_core::wire::portal::{ClaimDecision, Receipt, Verdict};
use serde_json::json;

use crate::table::{Line, median};
use crate::till::rig::{PORTAL_KEY, PROVIDER, Rig, claim, identity, net, seal};
use crate::till::{Issued, issued};

const RECEIPTS: u64 = 10_000;
/// How often in a round: then it takes about as long as verifying once.
const DECIDED: usize = 20;
/// What an object's signature is made over begins with this.
const DOMAIN: &[u8] = b"labman/object/1\0";
const SIGNATURE: usize = 64;

pub(crate) fn line(rounds: usize) -> Line {
    let (mut rig, mut receipts) = issued(RECEIPTS);
    // A provider claims together what was issued together, and a claim's lines rise.
    receipts.chunks_mut(CLAIM_RECEIPTS).for_each(|claim| claim.sort_by_key(|receipt| receipt.id));
    let claims: Vec<Vec<u8>> = (1..).zip(receipts.chunks(CLAIM_RECEIPTS)).map(body).collect();
    let messages: Vec<_> = receipts.iter().map(|receipt| split(&receipt.signed)).collect();
    let disk = rig.disk.clone();
    let (mut deciding, mut verifying) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        // So short that somebody else's moment on the processor shows.
        for _ in 0..DECIDED {
            rig.disk = disk.clone();
            rig.crash();
            deciding.push(decide(&mut rig, &claims).as_secs_f64());
        }
        verifying.push(verify(&messages).as_secs_f64());
    }
    let [deciding, verifying] = [deciding, verifying].map(median);
    let ratio = verifying / deciding;
    let each = |all: f64| all * 1e6 / RECEIPTS as f64;
    let least = 2 * claims.len();
    Line {
        what: "deciding claims over 10,000 receipts, to verifying each",
        goal: ">= 20 x",
        measured: format!("{ratio:.1} x"),
        met: ratio >= 20.0,
        notes: vec![
            format!(
                "{:.2} us a receipt in {} claims, {:.2} us its signature (verify_strict alone, nothing read)",
                each(deciding),
                claims.len(),
                each(verifying)
            ),
            format!(
                "deciding is all of it: call, claim's signature, look-up, lines, a mock rail's transfer, decision signed, \
                 answered, and a disk in memory; {least} signatures are made or verified"
            ),
        ],
        figures: json!({ "ratio": ratio, "decide_s": deciding, "verify_s": verifying, "claims": claims.len() }),
    }
}

fn body((number, receipts): (u8, &[Issued])) -> Vec<u8> {
    let total = receipts.iter().map(|receipt| receipt.payout.0).sum();
    seal(PROVIDER, claim(number, total, receipts.iter().map(|receipt| receipt.id).collect()))
}

fn decide(rig: &mut Rig, claims: &[Vec<u8>]) -> Duration {
    let begun = Instant::now();
    let replies: Vec<_> = claims.iter().map(|body| rig.post("/v1/claims", body)).collect();
    let took = begun.elapsed();
    let accepted = replies.iter().all(|reply| reply.object::<ClaimDecision>().verdict == Verdict::Accepted);
    assert!(accepted, "every claim is paid whole");
    took
}

/// What was signed, and the signature.
fn split(signed: &[u8]) -> (Vec<u8>, [u8; SIGNATURE]) {
    object::open::<Receipt>(net(), None, signed).expect("a receipt");
    let (content, signature) = signed.split_last_chunk().expect("an object ends with its signature");
    ([DOMAIN, content].concat(), *signature)
}

fn verify(messages: &[(Vec<u8>, [u8; SIGNATURE])]) -> Duration {
    let signer = identity(PORTAL_KEY).node_id().0;
    let begun = Instant::now();
    let good =
        messages.iter().filter(|(message, signature)| verify_strict(&signer, message, signature)).count();
    let took = begun.elapsed();
    assert_eq!(good, messages.len(), "the portal signed them all");
    took
}
