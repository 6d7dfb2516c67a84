//! Lines that were not paid, and whose providers say that they should be. They wait here for this FEP's people, whose decision is
//! signed and given to whoever asks again, for ever. No money moves by it: what can be claimed again is claimed as anything is.
//!
//! ```text
//!   POST /v1/disputes --> open (202) --POST /disputes/decide--> decided: the same signed bytes from then on
//! ```
//!
//! One is known by its receipt and claim; of a receipt one is open, the last that was raised. What is done under these goes one after the other, each from looking it up until it is
//! durable: so nobody is told of what a crash could undo, and none is raised anew while it is being decided.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::Deserialize;

use crate::identity::NodeId;
use crate::limits::{DISPUTE_LONGEST, PORTAL_DISPUTES, PORTAL_DISPUTES_OF_ONE};
use crate::machine::StreamId;
use crate::store::{BadRow, Range, Row, Snapshot, Write};
use crate::time::{Now, Wall};
use crate::wire::cbor::Blob;
use crate::wire::object;
use crate::wire::portal::{Dispute, DisputeDecision, Receipt, Ruling};

use super::admin::{commit, must_be_text};
use super::answer::{Answer, Refused, Step, Stepped};
use super::authorize::must_be_fresh;
use super::books::{Books, Fep};
use super::look::Look;
use super::routes::{Field, Is, field};
use super::rows::{DISPUTES, DISPUTES_ENDED, DisputeRow, EndedDisputeRow, Signed};

/// Those that nobody has decided, by key.
#[derive(Default)]
pub(super) struct Disputes {
    open: BTreeMap<String, DisputeRow>,
}

impl Disputes {
    pub(super) fn load(snapshot: &Snapshot) -> Result<Self, BadRow> {
        let mut disputes = Self::default();
        for row in snapshot.of(DISPUTES) {
            disputes.open.insert(row.key.clone(), row.parse(DISPUTES)?);
        }
        Ok(disputes)
    }

    /// What makes way for this one: what was said of its receipt before, and where there is no room, what is over: those receipts
    /// were claimed again.
    fn make_room(&mut self, row: &DisputeRow, now: Wall) -> Result<Vec<Write>, Refused> {
        let of_it = format!("{}/", row.receipt.receipt_id);
        let before = self.open.keys().filter(|key| key.starts_with(&of_it));
        let mut gone: Vec<String> = before.cloned().collect();
        let must_fit = |gone: &[String]| {
            let others = || self.open.iter().filter(|(key, _)| !gone.contains(key)).map(|(_, other)| other);
            if others().count() >= PORTAL_DISPUTES {
                return Err(Refused::unavailable("too many disputes are open here; ask again"));
            }
            match others().filter(|other| other.provider == row.provider).count() < PORTAL_DISPUTES_OF_ONE {
                true => Ok(()),
                false => Err(Refused::unavailable("too many disputes of yours are open here; ask again")),
            }
        };
        if must_fit(&gone).is_err() {
            let over = self.open.iter().filter(|(_, other)| other.until_ms < now.0);
            gone.extend(over.map(|(key, _)| key.clone()));
            must_fit(&gone)?;
        }
        for key in &gone {
            self.open.remove(key);
        }
        Ok(gone.into_iter().map(|key| Write::Delete(DISPUTES, key)).collect())
    }

    /// The key of the one that begins so.
    fn named(&self, begin: &str) -> Result<String, Refused> {
        let mut found = self.open.keys().filter(|key| key.starts_with(begin));
        match (found.next(), found.next()) {
            (Some(key), None) => Ok(key.clone()),
            (None, _) => Err(Refused::not_found(format!(
                "no dispute is open of a receipt whose id begins with {begin}: `labman-fep dispute list` shows them"
            ))),
            (Some(_), Some(_)) => Err(Refused::conflict(format!(
                "more than one dispute is open of a receipt whose id begins with {begin}: say more of it"
            ))),
        }
    }
}

/// `POST /v1/disputes`.
pub(super) fn handle(fep: &Fep, now: Now, body: &[u8]) -> Stepped {
    let sealed = object::open::<Dispute>(fep.network, None, body)?;
    let (provider, dispute) = (NodeId(sealed.signer), sealed.content);
    fep.must_be_us(dispute.fep_id)?;
    must_be_fresh(now, dispute.issued_ms)?;
    must_be_text("reason", &dispute.reason)?;
    let receipt = our_receipt(fep, provider, &dispute.receipt.0)?;
    // What is answered in the end is signed.
    fep.signer(now)?;
    let row = DisputeRow {
        receipt,
        signed: Signed(dispute.receipt.0),
        provider,
        claim_id: dispute.claim_id,
        reason: dispute.reason,
        raised_ms: now.wall.0,
        until_ms: dispute.until_ms.min((now.wall + DISPUTE_LONGEST).0),
    };
    Ok(Step::Look(Range::exactly(DISPUTES_ENDED, &row.key()), Look::Dispute(Box::new(row))))
}

fn our_receipt(fep: &Fep, provider: NodeId, bytes: &[u8]) -> Result<Receipt, Refused> {
    let receipt = object::open::<Receipt>(fep.network, None, bytes)
        .map_err(|bad| Refused::bad_request(format!("the receipt: {bad}")))?;
    let signed = fep.signing.ring().bound_when_issued(&receipt);
    signed.map_err(|bad| Refused::not_paired(format!("the receipt: {bad}")))?;
    match receipt.content.provider_node_id == provider {
        true => Ok(receipt.content),
        false => Err(Refused::not_paired("the receipt is another provider's")),
    }
}

/// Raised, if the store does not say how it was decided.
pub(super) fn raise(
    books: &mut Books,
    now: Now,
    stream: StreamId,
    row: DisputeRow,
    ended: Option<EndedDisputeRow>,
) -> Stepped {
    if let Some(ended) = ended {
        return Ok(Step::Answer(Answer::Object(Blob(ended.decision.0))));
    }
    let key = row.key();
    if books.disputes.open.contains_key(&key) {
        return Ok(Step::Answer(Answer::Noted));
    }
    let mut batch = books.disputes.make_room(&row, now.wall)?;
    let told = format!(
        "provider {} disputes receipt {} of claim {}",
        row.provider, row.receipt.receipt_id, row.claim_id
    );
    batch.push(Write::Insert(DISPUTES, Row::json(key.clone(), &row)));
    books.disputes.open.insert(key, row);
    commit(stream, batch, Answer::Noted, told)
}

/// `GET /disputes`.
pub(super) fn list(books: &Books) -> Answer {
    let mut open: Vec<&DisputeRow> = books.disputes.open.values().collect();
    open.sort_by_key(|row| row.raised_ms);
    let line = |row: &DisputeRow| {
        serde_json::json!({
            "receipt_id": row.receipt.receipt_id, "claim_id": row.claim_id, "provider": row.provider,
            "payout": row.receipt.payout.to_string(), "currency": row.receipt.payout_to.currency,
            "address": row.receipt.payout_to.address, "reason": row.reason, "raised_ms": row.raised_ms,
            "until_ms": row.until_ms,
        })
    };
    let lines: Vec<_> = open.into_iter().map(line).collect();
    Answer::ok(&serde_json::json!({ "disputes": lines }))
}

pub(super) const DECIDE: &[Field] = &[
    field("receipt", Is::Text, "how its id begins"),
    RULING,
    field("answer", Is::Text, "for the provider's people"),
];

pub(super) const DECIDED: &[Field] = &[
    field("receipt_id", Is::Hex, "the receipt"),
    field("claim_id", Is::Hex, "whose line was not paid"),
    field("provider", Is::NodeId, "that disputed it"),
    RULING,
    field("answer", Is::Text, "the same"),
    field("decided_ms", Is::Count64, "Unix milliseconds"),
    field("decision", Is::Hex, "the signed DisputeDecision, in hex"),
];

const RULING: Field = field(
    "ruling",
    Is::OneOf(&["claim_again", "stands"]),
    "the provider can claim it again; it will not be paid",
);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Decide {
    receipt: String,
    ruling: Ruling,
    answer: String,
}

/// What the operator says of an open dispute.
pub(super) struct Word {
    key: String,
    ruling: Ruling,
    answer: String,
}

/// `POST /disputes/decide`.
pub(super) fn decide(books: &Books, body: Decide) -> Stepped {
    must_be_text("receipt", &body.receipt)?;
    must_be_text("answer", &body.answer)?;
    let Decide { receipt, ruling, answer } = body;
    let key = books.disputes.named(&receipt.to_ascii_lowercase())?;
    // Looked up only so that nothing else is done under it meanwhile.
    Ok(Step::Look(Range::exactly(DISPUTES_ENDED, &key), Look::Ruling(Word { key, ruling, answer })))
}

pub(super) fn rule(fep: &Fep, books: &mut Books, now: Now, stream: StreamId, word: Word) -> Stepped {
    let signer = fep.signer(now)?;
    let Word { key, ruling, answer } = word;
    let row = books
        .disputes
        .open
        .remove(&key)
        .ok_or_else(|| Refused::conflict(format!("dispute {key} was decided a moment ago")))?;
    let (receipt_id, claim_id, provider) = (row.receipt.receipt_id, row.claim_id, row.provider);
    let decided_ms = now.wall.0;
    let decision = DisputeDecision {
        fep_id: fep.fep_id,
        claim_id,
        receipt_id,
        ruling,
        answer: answer.clone(),
        decided_ms,
    };
    let decision = Signed(object::seal(signer, fep.network.id, decision).bytes.0);
    let said = Answer::ok(&serde_json::json!({
        "receipt_id": receipt_id, "claim_id": claim_id, "provider": provider, "ruling": ruling, "answer": answer,
        "decided_ms": decided_ms, "decision": decision,
    }));
    let ended = EndedDisputeRow { dispute: row, ruling, answer, decided_ms, decision };
    let batch = alloc::vec![
        Write::Delete(DISPUTES, key.clone()),
        Write::Insert(DISPUTES_ENDED, Row::json(key, &ended)),
    ];
    let told = format!("the dispute of receipt {receipt_id}, claim {claim_id}, is decided: {ruling:?}");
    commit(stream, batch, said, told)
}
