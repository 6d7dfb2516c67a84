//! What nodes and a Front-End Portal say to each other over HTTP.
//!
//! | call | body | answer 200 |
//! |---|---|---|
//! | `POST /v1/authorize` | [`AuthorizeRequest`] by the gateway | [`JobAuthorization`] |
//! | `POST /v1/usage` | [`UsageReport`] by the gateway | [`Receipt`]; 202 until the provider's word comes; 204 when nothing is owed |
//! | `POST /v1/statements` | [`UsageStatement`] by the provider | [`Receipt`], or 204 when nothing is owed |
//! | `POST /v1/receipts` | [`ReceiptsRequest`] by the provider | [`IssuedReceipts`] |
//! | `POST /v1/claims` | [`Claim`] by the provider | [`ClaimDecision`] |
//! | `POST /v1/disputes` | [`Dispute`] by the provider | [`DisputeDecision`]; 202 until somebody has decided |
//! | `GET /v1/descriptor` | | [`Descriptor`](super::keys::Descriptor) |
//! | `GET /v1/health` | | JSON `{"ok": true}` |
//!
//! Bodies and answers are signed [objects](super::object), `content-type: application/vnd.labman.object`. Any other status
//! carries a JSON [`PortalError`]. Every POST may be repeated: the answer is the same.

use alloc::{string::String, vec::Vec};

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::economics::{Counts, Fees, Price, Rate};
use crate::identity::{FepId, NodeId};
use crate::money::{Currency, Micros};
use crate::wire::cbor::Blob;
use crate::wire::ids::{AuthId, ClaimId, Hash, PayoutId, ReceiptId, RequestId};
use crate::wire::object::Object;

pub const OBJECT_TYPE: &str = "application/vnd.labman.object";

/// What a provider asks for one model. Signed by the provider.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(map)]
pub struct Offer {
    /// `tenant:ep:model`.
    #[n(0)]
    pub slug: String,
    /// Longest prompt and answer together, in tokens.
    #[n(1)]
    pub context_length: u32,
    /// Most output tokens of one request.
    #[n(2)]
    pub max_output: u32,
    #[n(3)]
    pub price: Price,
    /// Where and in what the provider is paid.
    #[n(4)]
    pub payout: PayoutTo,
    /// Unix milliseconds.
    #[n(5)]
    pub valid_until_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize, Deserialize)]
#[cbor(map)]
pub struct PayoutTo {
    #[n(0)]
    pub currency: Currency,
    /// Opaque to labman: the rail reads it. At most 128 bytes.
    #[n(1)]
    pub address: String,
}

/// May this key spend that much on one of these providers? Signed by the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct AuthorizeRequest {
    #[n(0)]
    pub fep_id: FepId,
    #[n(1)]
    pub request_id: RequestId,
    #[n(2)]
    pub issued_ms: u64,
    /// [`key_digest`] of the user's API key: the key itself stays at the gateway.
    #[n(3)]
    pub key: Hash,
    /// Upper bounds of the job.
    #[n(4)]
    pub input_bound: u32,
    #[n(5)]
    pub max_output: u32,
    #[n(6)]
    pub ttl_s: u32,
    /// Signed [`Offer`]s, best first, at most three.
    #[n(7)]
    pub offers: Vec<Blob>,
    /// As in [`JobAuthorization::streamed`].
    #[n(8)]
    pub streamed: bool,
}

/// The FEP's promise to pay for one job, given before the work. Signed by the FEP.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(map)]
pub struct JobAuthorization {
    #[n(0)]
    pub auth_id: AuthId,
    #[n(1)]
    pub fep_id: FepId,
    #[n(2)]
    pub request_id: RequestId,
    #[n(3)]
    pub gateway: NodeId,
    #[n(4)]
    pub issued_ms: u64,
    #[n(5)]
    pub ttl_s: u32,
    /// What the user is billed in.
    #[n(6)]
    pub currency: Currency,
    /// Held of the user's balance: the largest attempt's `max_charge`.
    #[n(7)]
    pub hold: Micros,
    #[n(8)]
    pub fees: Fees,
    #[n(9)]
    pub input_bound: u32,
    #[n(10)]
    pub max_output: u32,
    /// At most three, in the order in which the gateway may try them.
    #[n(11)]
    pub attempts: Vec<Attempt>,
    /// Which of the FEP's keys signed this.
    #[n(12)]
    pub key_id: Hash,
    /// The user sees the answer while it is made: one that its provider breaks off is owed for as far as it came. Of others
    /// nothing is.
    #[n(13)]
    pub streamed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(map)]
pub struct Attempt {
    #[n(0)]
    pub provider: NodeId,
    #[n(1)]
    pub offer_hash: Hash,
    /// The most this attempt can cost the user, and pay the provider.
    #[n(2)]
    pub max_charge: Micros,
    #[n(3)]
    pub max_payout: Micros,
    /// What the offer asks in, and the provider is paid in.
    #[n(4)]
    pub payout_currency: Currency,
    /// Pinned: the receipt is worked out at it, whatever is quoted by then.
    #[n(5)]
    pub rate: Rate,
}

impl JobAuthorization {
    /// Does the attempt pay in what the offer asks in, and leave a currency worth itself?
    pub(crate) fn pays_as_asked(&self, attempt: &Attempt, offer: &Offer) -> bool {
        attempt.payout_currency == offer.payout.currency
            && (attempt.payout_currency != self.currency || attempt.rate == Rate::ONE)
    }
}

/// How much of an attempt's stream the gateway has taken: what is owed for, whatever comes. Signed by the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct StreamAck {
    #[n(0)]
    pub auth_id: AuthId,
    #[n(1)]
    pub attempt: u8,
    /// Since the stream began. The output rises from one acknowledgement to the next.
    #[n(2)]
    pub counts: Counts,
}

/// What was delivered in an attempt, once that is over. Signed by the provider, once.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct UsageStatement {
    #[n(0)]
    pub fep_id: FepId,
    #[n(1)]
    pub auth_id: AuthId,
    #[n(2)]
    pub attempt: u8,
    #[n(3)]
    pub counts: Counts,
    #[n(4)]
    pub end: End,
    /// The gateway's last signed [`StreamAck`], if one came.
    #[n(5)]
    pub ack: Option<Blob>,
    #[n(6)]
    pub chunks: u64,
    /// The [`Transcript`](super::mesh::Transcript) over them.
    #[n(7)]
    pub transcript: Hash,
    #[n(8)]
    pub stated_ms: u64,
}

impl UsageStatement {
    /// The provider's own word that it delivered nothing, or that it has forgotten what and shows all that it was paid for.
    pub(crate) const fn says_nothing_is_owed(&self) -> bool {
        match self.end {
            End::Complete => false,
            End::Cancelled | End::Broken => self.counts.output == 0,
            End::Forgotten => self.ack.is_some(),
        }
    }
}

/// How an attempt's stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum End {
    #[n(0)]
    Complete,
    /// The gateway wanted no more, or was lost.
    #[n(1)]
    Cancelled,
    /// The provider or its runtime failed.
    #[n(2)]
    Broken,
    /// The provider crashed meanwhile and knows of no more than the acknowledgement that it shows.
    #[n(3)]
    Forgotten,
}

/// Nothing is owed for an attempt, nor ever will be. Signed by the provider.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct AttemptRelease {
    #[n(0)]
    pub auth_id: AuthId,
    #[n(1)]
    pub attempt: u8,
}

/// What was delivered, by the gateway's own word: its last acknowledgement. Signed by the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct UsageReport {
    #[n(0)]
    pub fep_id: FepId,
    #[n(1)]
    pub auth_id: AuthId,
    /// The attempt that delivered; `None` if none did. The others have not, says the gateway, and answers for it with its bond.
    #[n(2)]
    pub attempt: Option<u8>,
    #[n(3)]
    pub accepted: Counts,
    /// That attempt's signed [`UsageStatement`]. Without it nothing is settled until the provider sends it, or the hold lapses.
    #[n(4)]
    pub statement: Option<Blob>,
    /// Signed [`AttemptRelease`]s of providers.
    #[n(5)]
    pub releases: Vec<Blob>,
    #[n(6)]
    pub ended_ms: u64,
}

/// One per finished job. Signed by the FEP; worth its `payout` to the provider. No user, no prompt.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(map)]
pub struct Receipt {
    #[n(0)]
    pub receipt_id: ReceiptId,
    #[n(1)]
    pub fep_id: FepId,
    #[n(2)]
    pub provider_node_id: NodeId,
    #[n(3)]
    pub gateway_node_id: NodeId,
    #[n(4)]
    pub auth_id: AuthId,
    #[n(5)]
    pub attempt: u8,
    #[n(6)]
    pub offer_hash: Hash,
    /// Settled, as the gateway accepted it, and as the provider stated it.
    #[n(7)]
    pub settled: Counts,
    #[n(8)]
    pub accepted: Counts,
    #[n(9)]
    pub stated: Counts,
    #[n(10)]
    pub billing_currency: Currency,
    /// What the user paid, all fees included.
    #[n(11)]
    pub charge: Micros,
    #[n(12)]
    pub payout_to: PayoutTo,
    /// What the provider gets, in its payout currency.
    #[n(13)]
    pub payout: Micros,
    /// The attempt's.
    #[n(14)]
    pub rate: Rate,
    #[n(15)]
    pub authorized_ms: u64,
    #[n(16)]
    pub issued_ms: u64,
    #[n(17)]
    pub key_id: Hash,
    /// Counts this FEP's receipts to this provider from 1: a gap shows one that was withheld.
    #[n(18)]
    pub sequence: u64,
    #[n(19)]
    pub request_id: RequestId,
}

impl Receipt {
    /// The provider is paid in another currency than the user is billed in.
    pub(crate) fn is_exchanged(&self) -> bool {
        self.payout_to.currency != self.billing_currency
    }
}

/// What was I issued behind that number? Signed by the provider.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ReceiptsRequest {
    #[n(0)]
    pub fep_id: FepId,
    /// A [`Receipt::sequence`]; 0 for all.
    #[n(1)]
    pub after: u64,
    #[n(2)]
    pub issued_ms: u64,
}

/// A provider's receipts, as they were signed. Signed by the FEP.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct IssuedReceipts {
    #[n(0)]
    pub fep_id: FepId,
    #[n(1)]
    pub provider: NodeId,
    /// As it was asked for.
    #[n(2)]
    pub after: u64,
    /// The number of the provider's last receipt; 0 where it has none.
    #[n(3)]
    pub last: u64,
    /// The first behind `after`, in the order of their numbers, at most 32.
    #[n(4)]
    pub receipts: Vec<IssuedReceipt>,
    #[n(5)]
    pub issued_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct IssuedReceipt {
    /// A signed [`Receipt`].
    #[n(0)]
    pub receipt: Blob,
    /// The claim that was accepted for it, where one was: it is paid, or its payout is on its way.
    #[n(1)]
    pub claim_id: Option<ClaimId>,
}

/// Pay these. Signed by the provider.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(map)]
pub struct Claim {
    #[n(0)]
    pub claim_id: ClaimId,
    #[n(1)]
    pub fep_id: FepId,
    #[n(2)]
    pub payout_to: PayoutTo,
    #[n(3)]
    pub total: Micros,
    /// Rising.
    #[n(4)]
    pub receipts: Vec<ReceiptId>,
    /// RFC 6962 tree over the ids, with BLAKE3.
    #[n(5)]
    pub merkle_root: Hash,
    #[n(6)]
    pub issued_ms: u64,
}

/// Signed by the FEP.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(map)]
pub struct ClaimDecision {
    #[n(0)]
    pub claim_id: ClaimId,
    #[n(1)]
    pub fep_id: FepId,
    #[n(2)]
    pub verdict: Verdict,
    /// Lines that are not paid, with the reason.
    #[n(3)]
    pub rejected: Vec<RejectedLine>,
    /// What was paid, where anything was.
    #[n(4)]
    pub payout: Option<Payout>,
    #[n(5)]
    pub decided_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum Verdict {
    #[n(0)]
    Accepted,
    #[n(1)]
    Partial,
    #[n(2)]
    Rejected,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(map)]
pub struct RejectedLine {
    #[n(0)]
    pub receipt_id: ReceiptId,
    #[n(1)]
    pub reason: String,
}

/// A line was not paid, and its provider says that it should be. Signed by the provider.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Dispute {
    #[n(0)]
    pub fep_id: FepId,
    /// The claim whose line was not paid.
    #[n(1)]
    pub claim_id: ClaimId,
    /// The signed [`Receipt`].
    #[n(2)]
    pub receipt: Blob,
    /// Why it was not paid, as its provider was told.
    #[n(3)]
    pub reason: String,
    /// When it will be claimed again, where nothing is said till then.
    #[n(4)]
    pub until_ms: u64,
    #[n(5)]
    pub issued_ms: u64,
}

/// What a FEP's people say of a dispute. Signed by the FEP.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct DisputeDecision {
    #[n(0)]
    pub fep_id: FepId,
    #[n(1)]
    pub claim_id: ClaimId,
    #[n(2)]
    pub receipt_id: ReceiptId,
    #[n(3)]
    pub ruling: Ruling,
    /// For people.
    #[n(4)]
    pub answer: String,
    #[n(5)]
    pub decided_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum Ruling {
    /// The receipt can be claimed again.
    #[n(0)]
    ClaimAgain,
    /// It will not be paid.
    #[n(1)]
    Stands,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(map)]
pub struct Payout {
    #[n(0)]
    pub payout_id: PayoutId,
    #[n(1)]
    pub to: PayoutTo,
    #[n(2)]
    pub amount: Micros,
    /// The rail's transaction id.
    #[n(3)]
    pub rail_tx: String,
}

/// The body of every refusal: `{"error": {"code", "message"}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortalError {
    pub error: PortalErrorBody,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortalErrorBody {
    pub code: PortalErrorCode,
    /// For people: what to do.
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PortalErrorCode {
    /// 401: no such API key.
    InvalidApiKey,
    /// 402: the balance does not cover the hold.
    InsufficientQuota,
    /// 403: the gateway is not enrolled here, or the signature is not of who it must be of.
    NotPaired,
    /// 400: the call itself is wrong.
    BadRequest,
    /// 404: no such hold, receipt, route.
    NotFound,
    /// 409: the id was used for something else, or the hold is settled or expired.
    Conflict,
    /// 503: the store can't be written, or too much is open.
    Unavailable,
}

impl Object for Offer {
    const KIND: u16 = 1;
}
impl Object for AuthorizeRequest {
    const KIND: u16 = 2;
}
impl Object for JobAuthorization {
    const KIND: u16 = 3;
}
impl Object for UsageReport {
    const KIND: u16 = 4;
}
impl Object for Receipt {
    const KIND: u16 = 5;
}
impl Object for Claim {
    const KIND: u16 = 6;
}
impl Object for ClaimDecision {
    const KIND: u16 = 7;
}
impl Object for StreamAck {
    const KIND: u16 = 9;
}
impl Object for UsageStatement {
    const KIND: u16 = 10;
}
impl Object for AttemptRelease {
    const KIND: u16 = 11;
}

impl Object for ReceiptsRequest {
    const KIND: u16 = 14;
}
impl Object for IssuedReceipts {
    const KIND: u16 = 15;
}
impl Object for Dispute {
    const KIND: u16 = 16;
}
impl Object for DisputeDecision {
    const KIND: u16 = 17;
}

impl PortalErrorCode {
    /// Of a call about something that the FEP knows, or knew: asking again changes nothing. Any other code may come of a FEP
    /// that is set up wrong, or of another one at its address.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Conflict | Self::NotFound => true,
            Self::InvalidApiKey
            | Self::InsufficientQuota
            | Self::NotPaired
            | Self::BadRequest
            | Self::Unavailable => false,
        }
    }
}

/// What a gateway sends in place of an API key. A FEP stores a hash of this again, so that neither the wire nor a stolen
/// database holds anything a user could log in with.
pub fn key_digest(api_key: &str) -> Hash {
    Hash(blake3::derive_key("labman api key 1", api_key.as_bytes()))
}

/// Which key signed: a hash of the public key.
pub fn key_id(public_key: &[u8; 32]) -> Hash {
    Hash(blake3::derive_key("labman key id 1", public_key))
}
