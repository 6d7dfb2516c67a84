//! What a portal keeps: its tables, and the JSON in their rows.
//!
//! Live tables hold what decisions need; history is written once (`Insert`), so that the store itself refuses a second
//! request, settlement, claim or payout under the same id. Only what is [`CLAIMED`] is written again, by each claim that takes
//! of it. Amounts are micro-units.

use alloc::{borrow::Cow, string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::economics::Rate;
use crate::identity::NodeId;
use crate::money::{Currency, Micros};
use crate::store::Table;
use crate::wire::ids::{AuthId, ClaimId, ReceiptId};
use crate::wire::ids::{Hash, RequestId};
use crate::wire::portal::{Offer, Payout, PayoutTo, Receipt, Ruling, Verdict};

use super::accounts::UserId;
use super::config::RailName;
use super::faults::Fault;
use super::ledger::Account;

/// One row, [`COUNTERS_KEY`]: the currency, and the last of each number given.
pub(super) const COUNTERS: Table = Table::live("counters");
pub(super) const USERS: Table = Table::live("users");
/// By the hash's hex.
pub(super) const API_KEYS: Table = Table::live("api_keys");
pub(super) const GATEWAYS: Table = Table::live("gateways");
/// By provider: how many receipts it was issued.
pub(super) const PROVIDERS: Table = Table::live("providers");
/// By currency and account. A user's row includes what is held: what a hold moves follows from `holds`.
pub(super) const BALANCES: Table = Table::live("balances");
/// Open holds, by authorization.
pub(super) const HOLDS: Table = Table::live("holds");

/// Every entry of the ledger, by number. A number is missing where the store refused a repeated request.
pub(super) const JOURNAL: Table = Table::history("journal");
/// By authorization, which follows from gateway and request: each request once for ever.
pub(super) const REQUESTS: Table = Table::history("requests");
/// How each hold ended, by authorization; and each attempt that a gateway's bond paid for, by authorization and attempt.
pub(super) const RESOLUTIONS: Table = Table::history("resolutions");
/// By number.
pub(super) const RECEIPTS: Table = Table::history("receipts");
/// Their numbers, by provider and its own sequence.
pub(super) const ISSUED: Table = Table::history("issued");
/// What each receipt is worth to its provider, by provider and receipt.
pub(super) const EARNED: Table = Table::history("earned");
/// The claims that were accepted for them, by provider and [page](super::claimed) of their numbers.
pub(super) const CLAIMED: Table = Table::history("claimed");
/// By the operator's reference.
pub(super) const BONDS: Table = Table::history("bonds");
/// By the operator's reference.
pub(super) const DEPOSITS: Table = Table::history("deposits");
/// By provider and claim.
pub(super) const CLAIMS: Table = Table::history("claims");
/// The mock rails: what is written here is paid. By the transfer's key.
pub(super) const RAIL: Table = Table::history("rail");
/// What providers were paid, by number.
pub(super) const PAYOUTS: Table = Table::history("payouts");
/// By provider and claim: claims that are accepted and not paid yet.
pub(super) const ACCEPTED: Table = Table::live("accepted");
/// Money on its way out, by number.
pub(super) const TRANSFERS: Table = Table::live("transfers");
/// What became of it, by the same number.
pub(super) const TRANSFERS_ENDED: Table = Table::history("transfers_ended");
/// By the operator's reference.
pub(super) const WITHDRAWALS: Table = Table::history("withdrawals");
/// By currency: what it is worth, for a while.
pub(super) const QUOTES: Table = Table::live("quotes");
/// By rail: trouble that the operator ordered.
pub(super) const FAULTS: Table = Table::live("faults");
/// Lines that were not paid and are disputed, by receipt and claim, until somebody decides.
pub(super) const DISPUTES: Table = Table::live("disputes");
/// What was decided, by the same key.
pub(super) const DISPUTES_ENDED: Table = Table::history("disputes_ended");
/// Answers to calls with an `Idempotency-Key`, by operation and key.
pub(super) const ANSWERED: Table = Table::history("answered");

/// One row, [`RING_KEY`]: the key ring in force.
pub(super) const RING: Table = Table::live("ring");

pub(super) const ALL: &[Table] = &[
    RING,
    COUNTERS,
    USERS,
    API_KEYS,
    GATEWAYS,
    PROVIDERS,
    BALANCES,
    HOLDS,
    JOURNAL,
    REQUESTS,
    RESOLUTIONS,
    RECEIPTS,
    ISSUED,
    EARNED,
    CLAIMED,
    DEPOSITS,
    BONDS,
    CLAIMS,
    RAIL,
    PAYOUTS,
    ACCEPTED,
    TRANSFERS,
    TRANSFERS_ENDED,
    WITHDRAWALS,
    QUOTES,
    FAULTS,
    DISPUTES,
    DISPUTES_ENDED,
    ANSWERED,
];

pub(super) const COUNTERS_KEY: &str = "all";

/// A number as a key: it sorts as it counts.
pub(super) fn numbered(number: u64) -> String {
    alloc::format!("{number:020}")
}

/// A signed object's bytes, in hex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signed(pub(super) Vec<u8>);

impl Serialize for Signed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Signed {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(text).map(Self).map_err(serde::de::Error::custom)
    }
}

pub(super) const RING_KEY: &str = "ring";

#[derive(Serialize, Deserialize)]
pub(super) struct RingRow {
    pub(super) ring: Signed,
}

#[derive(Serialize, Deserialize)]
pub(super) struct CountersRow {
    pub(super) currency: Currency,
    pub(super) users: u64,
    pub(super) journal: u64,
    pub(super) receipts: u64,
    pub(super) payouts: u64,
    /// How long this portal was up in all its lives, in milliseconds.
    pub(super) uptime_ms: u64,
    #[serde(default)]
    pub(super) transfers: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct UserRow {
    pub(super) user: UserId,
    pub(super) name: String,
    pub(super) created_ms: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ApiKeyRow {
    pub(super) hash: Hash,
    pub(super) user: UserId,
    pub(super) created_ms: u64,
    #[serde(default)]
    pub(super) state: KeyState,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum KeyState {
    #[default]
    Active,
    /// Nothing is authorized under it until it is active again.
    Frozen,
    /// Never again.
    Revoked,
}

#[derive(Serialize, Deserialize)]
pub(super) struct GatewayRow {
    pub(super) node_id: NodeId,
    pub(super) name: String,
    /// Where its fees go, once an address was enrolled.
    pub(super) payout_to: Option<String>,
    pub(super) created_ms: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ProviderRow {
    pub(super) node_id: NodeId,
    pub(super) sequence: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct BalanceRow {
    pub(super) currency: Currency,
    pub(super) account: Account,
    pub(super) balance: Micros,
}

#[derive(Serialize, Deserialize)]
pub(super) struct HoldRow {
    pub(super) user: UserId,
    /// Of what was asked for.
    pub(super) digest: Hash,
    pub(super) authorization: Signed,
    /// In the order of the authorization's attempts.
    pub(super) offers: Vec<Offer>,
    /// By the portal's uptime in all its lives, in milliseconds.
    pub(super) expires_ms: u64,
    /// The user has the money back, or what was left of it: the gateway's bond answers for what is open.
    pub(super) returned: bool,
    /// Attempts that are paid, or released by their providers.
    pub(super) closed: Vec<u8>,
    /// The gateway's report, while it decides nothing yet.
    pub(super) report: Option<Signed>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct RequestRow {
    pub(super) gateway: NodeId,
    pub(super) request_id: RequestId,
    pub(super) user: UserId,
    pub(super) digest: Hash,
    pub(super) hold: Micros,
    pub(super) issued_ms: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ResolutionRow {
    pub(super) gateway: NodeId,
    pub(super) outcome: Outcome,
    pub(super) at_ms: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    Captured { attempt: u8, provider: NodeId, receipt: Signed },
    Released,
    Expired,
}

#[derive(Serialize, Deserialize)]
pub(super) struct EarnedRow<T = String> {
    pub(super) payout: Micros,
    /// Where it is paid out, as [`payout_place`] has it.
    pub(super) to: T,
    /// The receipt's number among its provider's.
    pub(super) sequence: u64,
}

/// A row's text that is only looked at: without an allocation, since a claim has many rows.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// An address and its currency, as one text.
pub(super) fn payout_place(to: &PayoutTo) -> String {
    alloc::format!("{} {}", to.currency, to.address)
}

#[derive(Serialize, Deserialize)]
pub(super) struct IssuedRow {
    /// Of the receipt, among all.
    pub(super) number: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ReceiptRow {
    pub(super) receipt: Receipt,
    pub(super) signed: Signed,
}

#[derive(Serialize, Deserialize)]
pub(super) struct JournalRow {
    pub(super) at_ms: u64,
    pub(super) kind: Kind,
    /// What it was for: a hold, a deposit's reference, a payout.
    pub(super) reference: String,
    pub(super) currency: Currency,
    pub(super) postings: Vec<PostingRow>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Deposit,
    Hold,
    Capture,
    Release,
    Expiry,
    Payout,
    /// A gateway's bond is paid in, or out.
    Bond,
    /// A gateway's bond pays for an attempt.
    BondCapture,
    /// What a capture set aside for a payout in another currency is owed to the provider, in that currency.
    Exchange,
    /// A gateway's fees have arrived where it is paid.
    GatewayPayout,
    /// A user's money sets out for a rail,
    Withdrawal,
    /// has arrived there,
    Withdrawn,
    /// or comes back, because it never will.
    WithdrawalFailed,
}

#[derive(Serialize, Deserialize)]
pub(super) struct PostingRow {
    pub(super) account: Account,
    pub(super) amount: Micros,
}

#[derive(Serialize, Deserialize)]
pub(super) struct DepositRow {
    pub(super) user: UserId,
    pub(super) amount: Micros,
    /// The user's available balance right after it: repeating the call gives the same answer.
    pub(super) balance: Micros,
    pub(super) at_ms: u64,
}

/// A payment into a gateway's bond, or out of it.
#[derive(Serialize, Deserialize)]
pub(super) struct BondRow {
    pub(super) gateway: NodeId,
    pub(super) amount: Micros,
    /// The bond right after it.
    pub(super) bond: Micros,
    pub(super) at_ms: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ClaimRow {
    pub(super) claim_id: ClaimId,
    pub(super) provider: NodeId,
    /// Of what was claimed.
    pub(super) digest: Hash,
    pub(super) verdict: Verdict,
    pub(super) decision: Signed,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct PayoutRow {
    #[serde(flatten)]
    pub(super) payout: Payout,
    pub(super) provider: NodeId,
    pub(super) claim_id: ClaimId,
    pub(super) receipts: u64,
    pub(super) at_ms: u64,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct AcceptedRow {
    pub(super) claim_id: ClaimId,
    pub(super) provider: NodeId,
    /// Of what was claimed.
    pub(super) digest: Hash,
    pub(super) rejected: Vec<RejectedRow>,
    pub(super) to: PayoutTo,
    pub(super) amount: Micros,
    pub(super) receipts: u64,
    pub(super) at_ms: u64,
    /// That brings the money. `None`: it is carried over.
    pub(super) transfer: Option<u64>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct RejectedRow {
    pub(super) receipt_id: ReceiptId,
    pub(super) fault: LineFault,
}

/// Why a claim's line can't be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum LineFault {
    Unknown,
    /// Under another claim.
    Claimed(ClaimId),
    Elsewhere,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct TransferRow {
    pub(super) transfer: u64,
    pub(super) rail: RailName,
    /// At the rail.
    pub(super) key: String,
    pub(super) to: String,
    pub(super) currency: Currency,
    pub(super) amount: Micros,
    pub(super) purpose: Purpose,
    pub(super) state: TransferState,
    /// When it was scheduled.
    pub(super) at_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ended: Option<Ended>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Purpose {
    Payout { provider: NodeId, claims: Vec<ClaimId> },
    Withdrawal { user: UserId, reference: String },
    GatewayFees { gateway: NodeId },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TransferState {
    Scheduled,
    /// The rail may have been asked.
    Sent,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ended {
    Confirmed { tx: String, at_ms: u64 },
    Failed { why: String, at_ms: u64 },
}

/// A mock rail's own: a transfer that it made.
#[derive(Serialize, Deserialize)]
pub(super) struct RailRow {
    pub(super) rail: RailName,
    pub(super) tx: String,
    pub(super) address: String,
    pub(super) currency: Currency,
    pub(super) amount: Micros,
}

#[derive(Serialize, Deserialize)]
pub(super) struct WithdrawalRow {
    pub(super) user: UserId,
    pub(super) amount: Micros,
    pub(super) to: String,
    pub(super) transfer: u64,
    /// The user's available balance right after it.
    pub(super) balance: Micros,
    pub(super) at_ms: u64,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct QuoteRow {
    pub(super) currency: Currency,
    pub(super) rate: Rate,
    /// When it lapses.
    pub(super) until_ms: u64,
    pub(super) at_ms: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct FaultRow {
    pub(super) rail: RailName,
    pub(super) fault: Fault,
    /// So often still.
    pub(super) times: u32,
}

#[derive(Serialize, Deserialize)]
pub(super) struct DisputeRow {
    pub(super) receipt: Receipt,
    pub(super) signed: Signed,
    pub(super) provider: NodeId,
    /// Whose line was not paid.
    pub(super) claim_id: ClaimId,
    /// As the provider was told it.
    pub(super) reason: String,
    pub(super) raised_ms: u64,
    /// Then the provider claims it again.
    pub(super) until_ms: u64,
}

impl DisputeRow {
    pub(super) fn key(&self) -> String {
        alloc::format!("{}/{}", self.receipt.receipt_id, self.claim_id)
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct EndedDisputeRow {
    #[serde(flatten)]
    pub(super) dispute: DisputeRow,
    pub(super) ruling: Ruling,
    /// For the provider's people.
    pub(super) answer: String,
    pub(super) decided_ms: u64,
    pub(super) decision: Signed,
}

#[derive(Serialize, Deserialize)]
pub(super) struct AnsweredRow {
    /// Of the body that was answered.
    pub(super) digest: Hash,
    /// Its body.
    pub(super) answer: String,
    pub(super) at_ms: u64,
}

/// The key of a resolved or requested authorization.
pub(super) fn auth_key(auth_id: AuthId) -> String {
    alloc::format!("{auth_id}")
}

/// A receipt by whose it is and its id: a claim finds those of the claimer, and no row need say the provider.
pub(super) fn earned_key(provider: NodeId, receipt_id: ReceiptId) -> String {
    alloc::format!("{provider}/{receipt_id}")
}

/// Of what was claimed of a provider's receipts.
pub(super) fn page_key(provider: NodeId, page: u64) -> String {
    alloc::format!("{provider}/{}", numbered(page))
}

/// A provider's receipt as it is numbered for it.
pub(super) fn issued_key(provider: NodeId, sequence: u64) -> String {
    issued_prefix(provider) + &numbered(sequence)
}

pub(super) fn issued_prefix(provider: NodeId) -> String {
    alloc::format!("{provider}/")
}

pub(super) fn balance_key(currency: &Currency, account: &Account) -> String {
    alloc::format!("{currency} {account}")
}

pub(super) fn claim_key(provider: NodeId, claim_id: ClaimId) -> String {
    alloc::format!("{provider}/{claim_id}")
}
