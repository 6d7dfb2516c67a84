//! What a provider keeps on disk.

use alloc::{format, string::String, string::ToString, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::economics::{Counts, Rate};
use crate::identity::{FepId, NodeId};
use crate::limits::{REDELIVER_FIRST, STATE_AFTER};
use crate::money::{Currency, Micros};
use crate::store::{Row, Table, Write};
use crate::time::Span;
use crate::wire::cbor::Blob;
use crate::wire::ids::{AuthId, ClaimId, PayoutId, ReceiptId};
use crate::wire::ids::{Hash, RequestId};
use crate::wire::portal::{JobAuthorization, Offer, Receipt, Verdict};

/// Authorizations that were used, until they lapse and their receipts have come.
pub(super) const AUTHORIZATIONS: Table = Table::live("authorizations");
/// Receipts that are not paid yet.
pub(super) const RECEIPTS_OPEN: Table = Table::live("receipts_open");
/// Receipts that are, newest first.
pub(crate) const RECEIPTS_PAID: Table = Table::history("receipts_paid");
/// Claims without a decision.
pub(super) const CLAIMS_OPEN: Table = Table::live("claims_open");
/// Claims that are decided, newest first.
pub(crate) const CLAIMS: Table = Table::history("claims");

/// What was earned, by day, FEP and model.
pub(super) const EARNINGS: Table = Table::live("earnings");

pub(crate) const fn tables() -> [Table; 6] {
    [AUTHORIZATIONS, RECEIPTS_OPEN, RECEIPTS_PAID, CLAIMS_OPEN, CLAIMS, EARNINGS]
}

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
    /// Why the FEP would not pay it.
    pub(super) rejected: Option<String>,
    /// The FEP's signed bytes, hex.
    pub(super) signed: String,
}

impl ReceiptRow {
    pub(crate) const fn issued_ms(&self) -> u64 {
        self.receipt.issued_ms
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReceiptState {
    Unclaimed,
    InClaim,
    Paid,
    Disputed,
}

pub(super) fn put_receipt(row: &ReceiptRow) -> Vec<Write> {
    let id = row.receipt.receipt_id;
    match row.state {
        ReceiptState::Unclaimed | ReceiptState::InClaim | ReceiptState::Disputed => {
            [Write::Put(RECEIPTS_OPEN, Row::json(id.to_string(), row))].into()
        }
        ReceiptState::Paid => {
            let key = newest_first(row.receipt.issued_ms, &id.to_string());
            [Write::Delete(RECEIPTS_OPEN, id.to_string()), Write::Put(RECEIPTS_PAID, Row::json(key, row))]
                .into()
        }
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
    pub(super) receipts: Vec<ReceiptId>,
    pub(super) verdict: Option<Verdict>,
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
    })
}

/// What the operator sees of a claim.
pub(crate) fn show_claim(row: &ClaimRow) -> serde_json::Value {
    serde_json::json!({
        "claim_id": row.claim_id, "state": row.state, "fep_id": row.fep_id, "currency": row.currency,
        "address": row.address, "count": row.count, "total": row.total, "issued_ms": row.issued_ms,
        "verdict": row.verdict, "payout_id": row.payout_id, "paid": row.paid, "rail_tx": row.rail_tx,
        "receipts": row.receipts,
    })
}

/// Sorts later times first.
fn newest_first(ms: u64, id: &str) -> String {
    format!("{:020}-{id}", u64::MAX - ms)
}
