//! `POST /v1/claims`: pays a provider for receipts, each once (I3).
//!
//! Here its lines are looked at. One that can be paid is closed in the batch that accepts the claim; [`payouts`] then sees to
//! the money, and the decision is signed when it has arrived. Decisions are kept for providers who were ever issued a
//! receipt; others only hear that their lines are refused.

use alloc::{boxed::Box, vec::Vec};

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
use super::claimed::Pages;
use super::look::{self, Look};
use super::payouts;
use super::receipts::{self, Receipts};
use super::rows::{
    AcceptedRow, CLAIMS, ClaimRow, EARNED, EarnedRow, LineFault, RejectedRow, Signed, Text, claim_key,
    payout_place,
};
use super::writer::{Commit, Then};

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

/// The claim is looked at, if the store does not say how it was decided before.
pub(super) fn look(claim: Sealed<Claim>, before: Option<ClaimRow>) -> Stepped {
    if let Some(ClaimRow { digest: decided, decision, .. }) = before {
        return match decided == digest(&claim.content) {
            true => Ok(Step::Answer(Answer::Object(Blob(decision.0)))),
            false => Err(used_otherwise()),
        };
    }
    let keys = receipts::earned(NodeId(claim.signer), claim.content.receipts.iter().copied());
    Ok(Step::Find(keys, Look::Lines(Box::new(claim))))
}

/// A claim, and what of its lines is known.
pub(super) struct Lines {
    claim: Sealed<Claim>,
    /// In the claim's order. `None`: it is no receipt of this provider.
    lines: Vec<Option<Line>>,
}

struct Line {
    sequence: u64,
    payout: Micros,
    /// It is paid out where the claim says.
    is_here: bool,
}

/// Its lines are known, given what the provider has earned with those that are its receipts.
pub(super) fn lines(claim: Sealed<Claim>, earned: &[Row]) -> Stepped {
    // The store's rows come in the order of the claim's lines.
    let mut earned = earned.iter().peekable();
    let here = payout_place(&claim.content.payout_to);
    let line = |receipt_id: &ReceiptId| {
        let row = earned.next_if(|row| receipt_id.with_hex(|hex| row.key.ends_with(hex)));
        row.map(|row| {
            let EarnedRow { payout, to: Text(to), sequence } = look::parse(EARNED, row)?;
            Ok(Line { sequence, payout, is_here: to == here })
        })
        .transpose()
    };
    let lines = claim.content.receipts.iter().map(line).collect::<Result<Vec<_>, Refused>>()?;
    let provider = NodeId(claim.signer);
    // What was claimed is looked at last: from then on the books know what is taken.
    let keys = Pages::keys(lines.iter().flatten().map(|line| (provider, line.sequence)));
    Ok(Step::Find(keys, Look::Taken(Box::new(Lines { claim, lines }))))
}

/// Decides, given what was claimed before on the pages of its lines.
pub(super) fn decide(
    fep: &Fep,
    books: &mut Books,
    now: Now,
    stream: StreamId,
    lines: Lines,
    claimed: &[Row],
) -> Stepped {
    let found = Pages::found(claimed)?;
    let provider = NodeId(lines.claim.signer);
    let claim = &lines.claim.content;
    let digest = digest(claim);
    let Sorted { taken, sum, rejected, first } = sort(&books.receipts, &found, &lines)?;
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
        receipts: taken.len() as u64,
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
    batch.extend(books.receipts.closing.close(provider, claim.claim_id, taken, found));
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

/// Of what is claimed; signing the same claim later does not change it. The Merkle root stands for the receipts.
fn digest(claim: &Claim) -> Hash {
    let Claim { claim_id, fep_id, receipts: _, merkle_root, total, payout_to, issued_ms: _ } = claim;
    let (payout_to, receipts) = (payout_to.clone(), Vec::new());
    let said = Claim {
        claim_id: *claim_id,
        fep_id: *fep_id,
        receipts,
        merkle_root: *merkle_root,
        total: *total,
        payout_to,
        issued_ms: 0,
    };
    Hash(*blake3::hash(&cbor::encode(&said)).as_bytes())
}

#[derive(Default)]
struct Sorted {
    /// The lines that can be paid, by their numbers.
    taken: Vec<u64>,
    /// Of their payouts; and the first of these.
    sum: Micros,
    first: Option<Micros>,
    rejected: Vec<RejectedRow>,
}

fn sort(receipts: &Receipts, found: &Pages, Lines { claim, lines }: &Lines) -> Result<Sorted, Refused> {
    let provider = NodeId(claim.signer);
    let claim = &claim.content;
    let mut sorted = Sorted::default();
    let taken_by = |line: &Line| {
        let closing = receipts.closing.claim_of(provider, line.sequence);
        closing.or_else(|| found.claim_of(provider, line.sequence))
    };
    for (receipt_id, line) in claim.receipts.iter().zip(lines) {
        let fault = match line {
            None => LineFault::Unknown,
            Some(line) => match taken_by(line) {
                Some(before) => LineFault::Claimed(before),
                None if !line.is_here => LineFault::Elsewhere,
                None => {
                    sorted.sum = sorted.sum.checked_add(line.payout).ok_or_else(wrong_total)?;
                    sorted.first.get_or_insert(line.payout);
                    sorted.taken.push(line.sequence);
                    continue;
                }
            },
        };
        sorted.rejected.push(RejectedRow { receipt_id: *receipt_id, fault });
    }
    // What a refused line was thought to be worth is not known here: then the total can only be too small.
    let agrees = match sorted.rejected.is_empty() {
        true => claim.total == sorted.sum,
        false => claim.total >= sorted.sum,
    };
    if agrees { Ok(sorted) } else { Err(wrong_total()) }
}

fn used_otherwise() -> Refused {
    Refused::conflict("this claim id was used for another claim")
}

fn wrong_total() -> Refused {
    Refused::bad_request("the claim's total is not the sum of its receipts' payouts")
}

fn rejected_line(RejectedRow { receipt_id, fault }: &RejectedRow) -> RejectedLine {
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
        rejected: rejected.iter().map(rejected_line).collect(),
        payout,
        decided_ms: now.wall.0,
    };
    Ok(object::seal(signer, fep.network.id, decision))
}
