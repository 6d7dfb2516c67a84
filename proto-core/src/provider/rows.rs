//! What a provider keeps on disk.

use alloc::{format, string::String, string::ToString, vec::Vec};

use serde::{Deserialize, Serialize};

use super::denials;
use crate::economics::{Counts, Rate};
use crate::identity::{FepId, FepKey, NodeId};
use crate::limits::{REDELIVER_FIRST, STATE_AFTER};
use crate::money::{Currency, Micros};
use crate::numbers::Numbers;
use crate::store::{Row, Table, Write};
use crate::time::Span;
use crate::wire::cbor::{self, Blob};
use crate::wire::ids::{AuthId, ClaimId, PayoutId, ReceiptId};
use crate::wire::ids::{Hash, RequestId};
use crate::wire::portal::{JobAuthorization, Offer, Payout, PayoutTo, Receipt, Verdict};

/// Authorizations that were used, until they lapse and their receipts have come.
pub(super) const AUTHORIZATIONS: Table = Table::live("authorizations");
/// Receipts that are not paid yet, newest first.
pub(crate) const RECEIPTS_OPEN: Table = Table::history("receipts_open");
/// Receipts that are, newest first.
pub(crate) const RECEIPTS_PAID: Table = Table::history("receipts_paid");
/// The keys of those that no claim has taken, by FEP and payout address.
pub(super) const RECEIPTS_UNCLAIMED: Table = Table::history("receipts_unclaimed");
/// Those that a FEP would not pay, by id.
pub(super) const DISPUTES: Table = Table::history("disputes");
/// How many of the open ones there are in each state and what they come to, by FEP and payout address.
pub(super) const RECEIPTS_SUMS: Table = Table::live("receipts_sums");
/// Which of a FEP's numbers have come, by FEP.
pub(super) const RECEIPT_NUMBERS: Table = Table::live("receipt_numbers");
/// Claims without a decision.
pub(super) const CLAIMS_OPEN: Table = Table::live("claims_open");
/// Claims that are decided, newest first.
pub(crate) const CLAIMS: Table = Table::history("claims");

/// What was earned, by day, FEP and model.
pub(super) const EARNINGS: Table = Table::live("earnings");

pub(crate) const TABLES: [Table; 11] = [
    AUTHORIZATIONS,
    RECEIPTS_OPEN,
    RECEIPTS_PAID,
    RECEIPTS_UNCLAIMED,
    DISPUTES,
    RECEIPTS_SUMS,
    RECEIPT_NUMBERS,
    CLAIMS_OPEN,
    CLAIMS,
    EARNINGS,
    denials::TABLE,
];

/// An attempt that we took on: what its receipt will be checked against.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct AuthorizationRow {
    pub(super) auth: JobAuthorization,
    pub(super) attempt: u8,
    pub(super) offer: Offer,
    pub(super) offer_hash: Hash,
    /// What we delivered, once the job is over; and our signed statement of it, hex.
    pub(super) stated: Option<Counts>,
    pub(super) statement: Option<String>,
    /// The gateway's signed acknowledgement, hex: not every one, but enough of them.
    pub(super) ack: Option<String>,
    pub(super) receipt: Owed,
    /// Kept that long, in Unix milliseconds: until it can't be used again, and longer while its receipt is missing.
    pub(super) keep_until_ms: u64,
}

impl AuthorizationRow {
    pub(super) const fn key(&self) -> AuthKey {
        (self.auth.auth_id, self.attempt)
    }

    pub(super) fn signed_statement(&self) -> Option<Vec<u8>> {
        hex::decode(self.statement.as_ref()?).ok()
    }

    /// At which it was authorized.
    pub(super) fn rate(&self) -> Option<Rate> {
        self.auth.attempts.get(usize::from(self.attempt)).map(|attempt| attempt.rate)
    }

    /// How long after its restart a provider shows the FEP what it knows of this. Where it knows nothing, the FEP has the
    /// gateway's word, or waits for it: there is nothing to lose by asking soon.
    pub(super) const fn shown_after_crash(&self) -> Span {
        if self.statement.is_some() || self.ack.is_some() { STATE_AFTER } else { REDELIVER_FIRST }
    }

    /// As it is once that is stated.
    pub(super) fn stating(&self, counts: Counts, statement: &Blob) -> Self {
        Self { stated: Some(counts), statement: Some(hex::encode(&statement.0)), ..self.clone() }
    }
}

/// What is owed for an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Owed {
    /// A receipt, which has not come.
    Awaited,
    /// It is stored.
    Stored,
    /// The attempt came to nothing.
    Nothing,
}

pub(super) type AuthKey = (AuthId, u8);

pub(super) fn auth_key((auth, attempt): AuthKey) -> String {
    format!("{auth}:{attempt}")
}

pub(super) fn put_authorization(row: &AuthorizationRow) -> Write {
    Write::Put(AUTHORIZATIONS, Row::json(auth_key(row.key()), row))
}

/// A receipt as it is kept: readable fields for people, and the signed bytes that prove them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ReceiptRow {
    pub(super) receipt: Receipt,
    pub(super) state: ReceiptState,
    pub(super) slug: String,
    /// Of the claim it is in, or was paid by.
    pub(super) claim_id: Option<ClaimId>,
    /// Why the FEP would not pay it when it was claimed last.
    pub(super) rejected: Option<String>,
    /// While it is disputed.
    pub(super) dispute: Option<Dispute>,
    /// No claim that is kept here paid it: that it is paid is its FEP's word, who gave it again when its claim was forgotten
    /// here, or the operator's.
    pub(super) taken_on_word: bool,
    /// The FEP's signed bytes, hex.
    pub(super) signed: String,
}

impl ReceiptRow {
    pub(crate) const fn id(&self) -> ReceiptId {
        self.receipt.receipt_id
    }

    pub(crate) const fn issued_ms(&self) -> u64 {
        self.receipt.issued_ms
    }

    /// Whose money it is, and where to.
    pub(super) fn group(&self) -> Group {
        (self.receipt.fep_id, self.receipt.payout_to.clone())
    }
}

/// Where a receipt is paid out, and by whom: what one claim may hold together.
pub(super) type Group = (FepId, PayoutTo);

pub(super) fn group_key((fep_id, payout_to): &Group) -> String {
    // An address is any text; a key is short.
    let address = Hash(*blake3::hash(&cbor::encode(payout_to)).as_bytes());
    format!("{fep_id}/{address}")
}

/// Under which it lies in the tables that are read newest first.
pub(super) fn receipt_key(receipt: &Receipt) -> String {
    newest_first(receipt.issued_ms, &receipt.receipt_id.to_string())
}

/// Begins as people name it. A FEP may have signed two papers of one id.
pub(super) fn dispute_key(row: &ReceiptRow) -> String {
    format!("{}-{}", row.id(), row.issued_ms())
}

pub(super) fn unclaimed_key(group: &Group, receipt: &str) -> String {
    format!("{}/{receipt}", group_key(group))
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Dispute {
    /// When it will be claimed again, in Unix milliseconds.
    pub(super) until_ms: u64,
    /// Its FEP's people have said that they will not pay: then the operator acts, and nobody else.
    pub(super) stands: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReceiptState {
    Unclaimed,
    InClaim,
    Paid,
    Disputed,
    WrittenOff,
}

/// A receipt that is new, or was `before` in another state.
pub(super) fn put_receipt(row: &ReceiptRow, before: Option<ReceiptState>) -> Vec<Write> {
    let key = receipt_key(&row.receipt);
    let unclaimed = unclaimed_key(&row.group(), &key);
    let mut batch = Vec::new();
    if before == Some(ReceiptState::Unclaimed) {
        batch.push(Write::Delete(RECEIPTS_UNCLAIMED, unclaimed.clone()));
    }
    if before == Some(ReceiptState::Disputed) {
        batch.push(Write::Delete(DISPUTES, dispute_key(row)));
    }
    match row.state {
        ReceiptState::Unclaimed => {
            let receipt_id = row.receipt.receipt_id;
            batch.push(Write::Put(RECEIPTS_UNCLAIMED, Row::json(unclaimed, &UnclaimedRow { receipt_id })));
            batch.push(Write::Put(RECEIPTS_OPEN, Row::json(key, row)));
        }
        ReceiptState::Disputed => {
            let line = Line { receipt_id: row.id(), issued_ms: row.issued_ms() };
            let dispute = DisputeRow { line, dispute: row.dispute.unwrap_or_default() };
            batch.push(Write::Put(DISPUTES, Row::json(dispute_key(row), &dispute)));
            batch.push(Write::Put(RECEIPTS_OPEN, Row::json(key, row)));
        }
        ReceiptState::InClaim | ReceiptState::WrittenOff => {
            batch.push(Write::Put(RECEIPTS_OPEN, Row::json(key, row)));
        }
        ReceiptState::Paid => {
            if before.is_some() {
                batch.push(Write::Delete(RECEIPTS_OPEN, key.clone()));
            }
            batch.push(Write::Put(RECEIPTS_PAID, Row::json(key, row)));
        }
    }
    batch
}

#[derive(Serialize, Deserialize)]
pub(super) struct UnclaimedRow {
    pub(super) receipt_id: ReceiptId,
}

#[derive(Serialize, Deserialize)]
pub(super) struct DisputeRow {
    #[serde(flatten)]
    pub(super) line: Line,
    #[serde(flatten)]
    pub(super) dispute: Dispute,
}

#[derive(Serialize, Deserialize)]
pub(super) struct NumbersRow {
    pub(super) fep_id: FepId,
    pub(super) numbers: Numbers,
}

/// A receipt of a claim: its key, in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) receipt_id: ReceiptId,
    pub(super) issued_ms: u64,
}

impl Line {
    pub(super) fn key(&self) -> String {
        newest_first(self.issued_ms, &self.receipt_id.to_string())
    }
}

/// A claim as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ClaimRow {
    pub(super) claim_id: ClaimId,
    pub(super) state: ClaimState,
    pub(super) fep_id: FepId,
    pub(super) currency: Currency,
    pub(super) address: String,
    pub(super) count: usize,
    pub(super) total: Micros,
    pub(super) issued_ms: u64,
    pub(super) lines: Vec<Line>,
    /// Keys of its FEP that were known to be revoked when it was made: no decision is theirs, whatever its date.
    pub(super) revoked: Vec<FepKey>,
    pub(super) verdict: Option<Verdict>,
    /// Lines that the FEP would not pay.
    pub(super) refused: usize,
    pub(super) payout_id: Option<PayoutId>,
    pub(super) paid: Option<Micros>,
    pub(super) rail_tx: Option<String>,
    /// Our signed bytes, and the FEP's decision's, hex.
    pub(super) signed: String,
    pub(super) decision: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClaimState {
    Submitted,
    Paid,
    Rejected,
}

pub(super) fn put_claim(row: &ClaimRow) -> Vec<Write> {
    let id = row.claim_id.to_string();
    match row.state {
        ClaimState::Submitted => [Write::Put(CLAIMS_OPEN, Row::json(id, row))].into(),
        ClaimState::Paid | ClaimState::Rejected => {
            let key = newest_first(row.issued_ms, &id);
            [Write::Delete(CLAIMS_OPEN, id), Write::Put(CLAIMS, Row::json(key, row))].into()
        }
    }
}

/// What the operator sees of a receipt.
pub(crate) fn show_receipt(row: &ReceiptRow) -> serde_json::Value {
    let Receipt { receipt_id, fep_id, gateway_node_id, request_id, settled, ref payout_to, .. } = row.receipt;
    let ids: (ReceiptId, FepId, NodeId, RequestId) = (receipt_id, fep_id, gateway_node_id, request_id);
    serde_json::json!({
        "receipt_id": ids.0, "state": row.state, "fep_id": ids.1, "gateway_node_id": ids.2, "request_id": ids.3,
        "slug": row.slug, "counts": settled, "charge": row.receipt.charge, "payout": row.receipt.payout, "rate": row.receipt.rate,
        "currency": payout_to.currency, "address": payout_to.address, "issued_ms": row.receipt.issued_ms,
        "sequence": row.receipt.sequence, "claim_id": row.claim_id, "rejected": row.rejected,
        "disputed_until_ms": row.dispute.filter(|dispute| !dispute.stands).map(|dispute| dispute.until_ms),
    })
}

impl ClaimRow {
    /// Is it paid where it was to be, if it is?
    pub(super) fn is_paid_to(&self, payout: Option<&Payout>) -> bool {
        payout
            .is_none_or(|payout| (&payout.to.currency, &payout.to.address) == (&self.currency, &self.address))
    }
}

/// What the operator sees of a claim.
pub(crate) fn show_claim(row: &ClaimRow) -> serde_json::Value {
    serde_json::json!({
        "claim_id": row.claim_id, "state": row.state, "fep_id": row.fep_id, "currency": row.currency,
        "address": row.address, "count": row.count, "total": row.total, "issued_ms": row.issued_ms,
        "verdict": row.verdict, "refused": row.refused, "payout_id": row.payout_id, "paid": row.paid, "rail_tx": row.rail_tx,
    })
}

/// What the operator sees of the money that came for a claim, if any did.
pub(crate) fn show_payout(row: &ClaimRow) -> Option<serde_json::Value> {
    let (payout_id, paid) = (row.payout_id?, row.paid?);
    Some(serde_json::json!({
        "payout_id": payout_id, "paid": paid, "currency": row.currency, "address": row.address,
        "rail_tx": row.rail_tx, "fep_id": row.fep_id, "claim_id": row.claim_id, "total": row.total,
    }))
}

/// Sorts later times first.
fn newest_first(ms: u64, id: &str) -> String {
    format!("{:020}-{id}", u64::MAX - ms)
}
