//! `POST /v1/claims`: pays a provider for receipts, each once (I3).
//!
//! The rail is a mock: it is a table of this store, so that claim, payout and ledger entry are one batch, and a payout can't
//! be sent twice. Decisions are kept for providers who were ever issued a receipt; others only hear that their lines are
//! refused.

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
use crate::wire::ids::Hash;
use crate::wire::ids::{PayoutId, ReceiptId};
use crate::wire::object::{self, Sealed};
use crate::wire::portal::{Claim, ClaimDecision, Payout, RejectedLine, Verdict};

use super::answer::{Answer, Refused, Step, Stepped};
use super::books::{Books, Fep};
use super::ledger::{self, Account, Entry};
use super::look::Look;
use super::rows::{CLAIMS, ClaimRow, Kind, PAYOUTS, PayoutRow, RAIL, Signed, claim_key, numbered};
use super::writer::{Commit, Then};

pub(super) fn handle(fep: &Fep, books: &Books, now: Now, body: &[u8]) -> Stepped {
    let sealed = object::open::<Claim>(fep.network, None, body)?;
    fep.must_be_us(sealed.content.fep_id)?;
    must_be_whole(&sealed.content)?;
    let provider = NodeId(sealed.signer);
    if !books.receipts.knows(provider) {
        let rejected = sealed.content.receipts.iter().map(|line| unknown(*line)).collect();
        let decision = decision(fep, now, &sealed.content, Verdict::Rejected, rejected, None);
        return Ok(Step::Answer(Answer::Object(decision.bytes)));
    }
    let range = Range::exactly(CLAIMS, &claim_key(provider, sealed.content.claim_id));
    Ok(Step::Look(range, Look::Claim(Box::new(sealed))))
}

/// Decides, once the store has said whether it was decided before.
pub(super) fn decide(
    fep: &Fep,
    books: &mut Books,
    now: Now,
    stream: StreamId,
    claim: Sealed<Claim>,
    before: Option<ClaimRow>,
) -> Stepped {
    let (provider, claim) = (NodeId(claim.signer), claim.content);
    let digest = digest(&claim);
    if let Some(ClaimRow { digest: decided, decision, .. }) = before {
        return match decided == digest {
            true => Ok(Step::Answer(Answer::Object(Blob(decision.0)))),
            false => Err(Refused::conflict("this claim id was used for another claim")),
        };
    }
    let Lines { accepted, sum, rejected } = sort(books, provider, &claim)?;
    let verdict = match (accepted.is_empty(), rejected.is_empty()) {
        (true, _) => Verdict::Rejected,
        (false, true) => Verdict::Accepted,
        (false, false) => Verdict::Partial,
    };
    let first = accepted.first().and_then(|line| books.receipts.unclaimed(*line));
    let twice = first.map(|line| line.payout).filter(|_| mutant(Mutant::ClaimLineTwice));
    let sum = sum.checked_add(twice.unwrap_or_default()).ok_or_else(wrong_total)?;
    let paid = (!accepted.is_empty()).then(|| PayoutRow {
        payout: payout(fep, provider, &claim, sum),
        provider,
        claim_id: claim.claim_id,
        receipts: accepted.len() as u64,
        at_ms: now.wall.0,
    });
    let mut batch = match &paid {
        Some(paid) => pay(books, paid)?,
        None => Vec::new(),
    };
    batch.extend(accepted.into_iter().map(|receipt_id| books.receipts.close(receipt_id)));
    let payout = paid.as_ref().map(|paid| paid.payout.clone());
    let decision = decision(fep, now, &claim, verdict, rejected, payout);
    let row = ClaimRow {
        claim_id: claim.claim_id,
        provider,
        digest,
        verdict,
        decision: Signed(decision.bytes.0.clone()),
    };
    batch.push(Write::Insert(CLAIMS, Row::json(claim_key(provider, claim.claim_id), &row)));
    let told = match paid {
        Some(PayoutRow { payout, receipts, .. }) => alloc::format!(
            "claim {} of {provider} paid: {} for {receipts} receipts, {}",
            claim.claim_id,
            payout.amount,
            payout.rail_tx
        ),
        None => alloc::format!("claim {} of {provider} rejected: no line can be paid", claim.claim_id),
    };
    let then = Then::Answer(stream, Answer::Object(decision.bytes));
    Ok(Step::Commit(Commit { batch, then, told }))
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

struct Lines {
    accepted: Vec<ReceiptId>,
    /// Of the accepted lines' payouts.
    sum: Micros,
    rejected: Vec<RejectedLine>,
}

fn sort(books: &Books, provider: NodeId, claim: &Claim) -> Result<Lines, Refused> {
    let mut lines = Lines { accepted: Vec::new(), sum: Micros::ZERO, rejected: Vec::new() };
    for line in &claim.receipts {
        let unclaimed = books.receipts.unclaimed(*line).filter(|receipt| receipt.provider == provider);
        match unclaimed {
            None => lines.rejected.push(unknown(*line)),
            Some(receipt) if receipt.payout_to != claim.payout_to => lines.rejected.push(RejectedLine {
                receipt_id: *line,
                reason: "it is paid out to another address or in another currency".into(),
            }),
            Some(receipt) => {
                lines.sum = lines.sum.checked_add(receipt.payout).ok_or_else(wrong_total)?;
                lines.accepted.push(*line);
            }
        }
    }
    // What a refused line was thought to be worth is not known here: then the total can only be too small.
    let agrees = match lines.rejected.is_empty() {
        true => claim.total == lines.sum,
        false => claim.total >= lines.sum,
    };
    if agrees { Ok(lines) } else { Err(wrong_total()) }
}

fn wrong_total() -> Refused {
    Refused::bad_request("the claim's total is not the sum of its receipts' payouts")
}

fn unknown(receipt_id: ReceiptId) -> RejectedLine {
    RejectedLine { receipt_id, reason: "no unclaimed receipt of this provider".into() }
}

fn payout(fep: &Fep, provider: NodeId, claim: &Claim, amount: Micros) -> Payout {
    let payout_id = PayoutId::of(fep.fep_id, provider, claim.claim_id);
    Payout { payout_id, to: claim.payout_to.clone(), amount, rail_tx: alloc::format!("mock-{payout_id}") }
}

/// Intent, execution and ledger entry in one: the mock rail executes what is written.
fn pay(books: &mut Books, paid: &PayoutRow) -> Result<Vec<Write>, Refused> {
    let Payout { payout_id, amount, .. } = paid.payout;
    let entry = Entry {
        kind: Kind::Payout,
        reference: alloc::format!("{payout_id}"),
        at_ms: paid.at_ms,
        postings: ledger::transfer(Account::Provider(paid.provider), Account::Payouts, amount),
    };
    let posted = books.ledger.post(entry);
    let mut batch = posted.map_err(|refusal| Refused::unavailable(alloc::format!("{refusal}")))?;
    books.payouts += 1;
    batch.push(Write::Insert(RAIL, Row::json(alloc::format!("{payout_id}"), paid)));
    batch.push(Write::Insert(PAYOUTS, Row::json(numbered(books.payouts), paid)));
    Ok(batch)
}

fn decision(
    fep: &Fep,
    now: Now,
    claim: &Claim,
    verdict: Verdict,
    rejected: Vec<RejectedLine>,
    payout: Option<Payout>,
) -> Sealed<ClaimDecision> {
    let decision = ClaimDecision {
        claim_id: claim.claim_id,
        fep_id: fep.fep_id,
        verdict,
        rejected,
        payout,
        decided_ms: now.wall.0,
    };
    object::seal(&fep.identity, fep.network.id, decision)
}
