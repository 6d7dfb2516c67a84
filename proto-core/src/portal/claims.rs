//! `POST /v1/claims`: pays a provider for receipts, each once (I3).
//!
//! Here its lines are looked at. One that can be paid is closed in the batch that accepts the claim; [`payouts`] then sees to
//! the money, and the decision is signed when it has arrived. Decisions are kept for providers who were ever issued a
//! receipt; others only hear that their lines are refused.

use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};

use crate::economics::merkle;
use crate::identity::NodeId;
use crate::limits::CLAIM_RECEIPTS;
use crate::machine::StreamId;
use crate::money::Micros;
use crate::mutants::{Mutant, mutant};
use crate::store::{Range, Row, Write};
use crate::time::Now;
use crate::wire::cbor::{self, Blob};
use crate::wire::ids::{ClaimId, Hash, ReceiptId};
use crate::wire::object::{self, Sealed};
use crate::wire::portal::{Claim, ClaimDecision, Payout, RejectedLine, Verdict};

use super::answer::{Answer, Refused, Step, Stepped};
use super::books::{Books, Fep};
use super::look::Look;
use super::rows::{AcceptedRow, CLAIMS, ClaimRow, LineFault, RejectedRow, Signed, UnclaimedRow, claim_key};
use super::writer::{Commit, Then};
use super::{payouts, receipts};

pub(super) fn handle(fep: &Fep, books: &Books, now: Now, body: &[u8]) -> Stepped {
    let sealed = object::open::<Claim>(fep.network, None, body)?;
    fep.must_be_us(sealed.content.fep_id)?;
    must_be_whole(&sealed.content)?;
    // Whatever it comes to will be signed for.
    fep.signer(now)?;
    let provider = NodeId(sealed.signer);
    if !books.receipts.knows(provider) {
        let unknown = |line: &ReceiptId| RejectedRow { receipt_id: *line, fault: LineFault::Unknown };
        let rejected: Vec<_> = sealed.content.receipts.iter().map(unknown).collect();
        let decision = decision(fep, now, sealed.content.claim_id, Verdict::Rejected, &rejected, None)?;
        return Ok(Step::Answer(Answer::Object(decision.bytes)));
    }
    // One that is being paid is told from here: the store will know of it only then.
    if let Some(accepted) = books.accepted.get((provider, sealed.content.claim_id)) {
        return match accepted.digest == digest(&sealed.content) {
            true => Err(payouts::not_yet(accepted.transfer)),
            false => Err(used_otherwise()),
        };
    }
    let range = Range::exactly(CLAIMS, &claim_key(provider, sealed.content.claim_id));
    Ok(Step::Look(range, Look::Claim(Box::new(sealed))))
}

/// A claim, and which of its lines were claimed before, where that was looked at: most claims have none of these.
pub(super) struct Lines {
    claim: Sealed<Claim>,
    closed: Option<BTreeMap<ReceiptId, ClaimId>>,
}

/// The claim is looked at, if the store does not say how it was decided before.
pub(super) fn look(claim: Sealed<Claim>, before: Option<ClaimRow>) -> Stepped {
    if let Some(ClaimRow { digest: decided, decision, .. }) = before {
        return match decided == digest(&claim.content) {
            true => Ok(Step::Answer(Answer::Object(Blob(decision.0)))),
            false => Err(used_otherwise()),
        };
    }
    Ok(look_for_lines(claim, None))
}

/// What can be claimed is looked at last: from then on the books know what is taken.
pub(super) fn look_again(claim: Sealed<Claim>, closed: &[Row]) -> Stepped {
    Ok(look_for_lines(claim, Some(receipts::claims(closed)?)))
}

fn look_for_lines(claim: Sealed<Claim>, closed: Option<BTreeMap<ReceiptId, ClaimId>>) -> Step {
    let keys = receipts::unclaimed(NodeId(claim.signer), claim.content.receipts.iter().copied());
    Step::Find(keys, Look::Lines(Box::new(Lines { claim, closed })))
}

/// Decides, given those of its lines that are unclaimed.
pub(super) fn decide(
    fep: &Fep,
    books: &mut Books,
    now: Now,
    stream: StreamId,
    lines: Lines,
    unclaimed: &[Row],
) -> Stepped {
    let provider = NodeId(lines.claim.signer);
    let unclaimed = receipts::waiting(unclaimed)?;
    if lines.closed.is_none() && lines.claim.content.receipts.iter().any(|id| !unclaimed.contains_key(id)) {
        let keys = receipts::closed(provider, lines.claim.content.receipts.iter().copied());
        return Ok(Step::Find(keys, Look::Closed(Box::new(lines.claim))));
    }
    let claim = &lines.claim.content;
    let digest = digest(claim);
    let Sorted { accepted, sum, rejected, first } = sort(books, &lines, &unclaimed)?;
    let Some(first) = first else {
        return reject(fep, now, stream, provider, claim, digest, &rejected).map(Step::Commit);
    };
    let twice = Some(first).filter(|_| mutant(Mutant::ClaimLineTwice));
    let claimed = AcceptedRow {
        claim_id: claim.claim_id,
        provider,
        digest,
        rejected,
        to: claim.payout_to.clone(),
        amount: sum.checked_add(twice.unwrap_or_default()).ok_or_else(wrong_total)?,
        receipts: accepted.len() as u64,
        at_ms: now.wall.0,
        transfer: None,
    };
    let told = alloc::format!(
        "claim {} of {provider} accepted: {} for {} receipts",
        claimed.claim_id,
        claimed.amount,
        claimed.receipts
    );
    let (mut batch, then) = payouts::accept(fep, books, now, stream, claimed)?;
    batch.extend(books.receipts.close(provider, &accepted, claim.claim_id));
    Ok(Step::Commit(Commit { batch, then, told }))
}

/// The decision of an accepted claim that is paid now: its row, and the answer from now on.
pub(super) fn paid(
    fep: &Fep,
    now: Now,
    accepted: &AcceptedRow,
    payout: Payout,
) -> Result<(Write, Answer), Refused> {
    let verdict = if accepted.rejected.is_empty() { Verdict::Accepted } else { Verdict::Partial };
    let AcceptedRow { claim_id, provider, digest, .. } = *accepted;
    decided(fep, now, provider, claim_id, digest, verdict, &accepted.rejected, Some(payout))
}

/// No line can be paid.
fn reject(
    fep: &Fep,
    now: Now,
    stream: StreamId,
    provider: NodeId,
    claim: &Claim,
    digest: Hash,
    lines: &[RejectedRow],
) -> Result<Commit, Refused> {
    let (row, answer) = decided(fep, now, provider, claim.claim_id, digest, Verdict::Rejected, lines, None)?;
    let told = alloc::format!("claim {} of {provider} rejected: no line can be paid", claim.claim_id);
    Ok(Commit { batch: alloc::vec![row], then: Then::Answer(stream, answer), told })
}

#[expect(clippy::too_many_arguments, reason = "all that a decision says")]
fn decided(
    fep: &Fep,
    now: Now,
    provider: NodeId,
    claim_id: ClaimId,
    digest: Hash,
    verdict: Verdict,
    rejected: &[RejectedRow],
    payout: Option<Payout>,
) -> Result<(Write, Answer), Refused> {
    let decision = decision(fep, now, claim_id, verdict, rejected, payout)?;
    let signed = Signed(decision.bytes.0.clone());
    let row = ClaimRow { claim_id, provider, digest, verdict, decision: signed };
    let row = Row::json(claim_key(provider, claim_id), &row);
    Ok((Write::Insert(CLAIMS, row), Answer::Object(decision.bytes)))
}

/// Does the claim agree with itself?
fn must_be_whole(claim: &Claim) -> Result<(), Refused> {
    if !(1..=CLAIM_RECEIPTS).contains(&claim.receipts.len()) {
        return Err(Refused::bad_request(alloc::format!("a claim has 1 to {CLAIM_RECEIPTS} receipts")));
    }
    if !claim.receipts.is_sorted_by(|a, b| a < b) {
        return Err(Refused::bad_request("a claim's receipt ids must rise, each once"));
    }
    let leaves: Vec<_> = claim.receipts.iter().map(|id| id.0).collect();
    if merkle::root(&leaves) != claim.merkle_root {
        return Err(Refused::bad_request("the Merkle root is not that of the claim's receipt ids"));
    }
    Ok(())
}

/// Of what is claimed; signing the same claim later does not change it.
fn digest(claim: &Claim) -> Hash {
    let timeless = Claim { issued_ms: 0, ..claim.clone() };
    Hash(*blake3::hash(&cbor::encode(&timeless)).as_bytes())
}

#[derive(Default)]
struct Sorted {
    accepted: Vec<ReceiptId>,
    /// Of the accepted lines' payouts; and the first of these.
    sum: Micros,
    first: Option<Micros>,
    rejected: Vec<RejectedRow>,
}

fn sort(
    books: &Books,
    looked: &Lines,
    unclaimed: &BTreeMap<ReceiptId, UnclaimedRow>,
) -> Result<Sorted, Refused> {
    let claim = &looked.claim.content;
    let before = |line: &ReceiptId| looked.closed.as_ref().and_then(|closed| closed.get(line).copied());
    let mut lines = Sorted::default();
    for line in &claim.receipts {
        let claimed = books.receipts.closing(*line).or_else(|| before(line));
        let fault = match (claimed, unclaimed.get(line)) {
            (None, Some(row)) if row.payout_to == claim.payout_to => {
                lines.sum = lines.sum.checked_add(row.payout).ok_or_else(wrong_total)?;
                lines.first.get_or_insert(row.payout);
                lines.accepted.push(*line);
                continue;
            }
            (None, Some(_)) => LineFault::Elsewhere,
            (Some(claim), _) => LineFault::Claimed(claim),
            (None, None) => LineFault::Unknown,
        };
        lines.rejected.push(RejectedRow { receipt_id: *line, fault });
    }
    // What a refused line was thought to be worth is not known here: then the total can only be too small.
    let agrees = match lines.rejected.is_empty() {
        true => claim.total == lines.sum,
        false => claim.total >= lines.sum,
    };
    if agrees { Ok(lines) } else { Err(wrong_total()) }
}

fn used_otherwise() -> Refused {
    Refused::conflict("this claim id was used for another claim")
}

fn wrong_total() -> Refused {
    Refused::bad_request("the claim's total is not the sum of its receipts' payouts")
}

fn line(RejectedRow { receipt_id, fault }: &RejectedRow) -> RejectedLine {
    let reason = match fault {
        LineFault::Unknown => "no receipt of this provider".into(),
        LineFault::Claimed(claim) => alloc::format!("already paid under claim {claim}"),
        LineFault::Elsewhere => "it is paid out to another address or in another currency".into(),
    };
    RejectedLine { receipt_id: *receipt_id, reason }
}

fn decision(
    fep: &Fep,
    now: Now,
    claim_id: ClaimId,
    verdict: Verdict,
    rejected: &[RejectedRow],
    payout: Option<Payout>,
) -> Result<Sealed<ClaimDecision>, Refused> {
    let signer = fep.signer(now)?;
    let decision = ClaimDecision {
        claim_id,
        fep_id: fep.fep_id,
        verdict,
        rejected: rejected.iter().map(line).collect(),
        payout,
        decided_ms: now.wall.0,
    };
    Ok(object::seal(signer, fep.network.id, decision))
}
