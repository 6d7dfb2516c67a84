//! The FEP of the fuzzed node: what it would say to a call if it were honest, and a little that it would not.

use labman_proto_core::economics::{Counts, Fees, Rate, bill, dearest};
use labman_proto_core::identity::NodeId;
use labman_proto_core::money::Micros;
use labman_proto_core::time::Wall;
use labman_proto_core::wire::cbor::Blob;
use labman_proto_core::wire::ids::{AuthId, ClaimId, Hash, PayoutId, ReceiptId};
use labman_proto_core::wire::object;
use labman_proto_core::wire::portal::{
    Attempt, AuthorizeRequest, Claim, ClaimDecision, Dispute, DisputeDecision, IssuedReceipt, IssuedReceipts,
    JobAuthorization, Offer, Payout, Receipt, ReceiptsRequest, RejectedLine, Ruling, UsageReport,
    UsageStatement, Verdict, key_id,
};

use super::{FEP, FEP_KEY, NODE, counts, descriptor, payout_to, price, seal};
use crate::feed::Feed;
use crate::{identity, network};

/// What it says to a call, mostly well. `None`: nothing of its own.
pub(super) fn answer(
    auths: &mut Vec<JobAuthorization>,
    now: Wall,
    path: &str,
    body: &[u8],
    feed: &mut Feed<'_>,
) -> Option<(u16, Vec<u8>)> {
    let fep_id = identity(FEP).fep_id();
    match path {
        "/v1/descriptor" => Some((200, descriptor(1, &[(FEP_KEY, 0, None)], 0))),
        "/v1/authorize" => {
            let asked = object::open::<AuthorizeRequest>(network(), None, body).ok()?;
            let (gateway, asked) = (NodeId(asked.signer), asked.content);
            let offers = asked.offers.iter().map(|offer| object::open::<Offer>(network(), None, &offer.0));
            let offers: Vec<_> = offers.collect::<Result<_, _>>().ok()?;
            let attempts = offers.iter().map(|offer| {
                let (price, fees, rate) = (&offer.content.price, &Fees::default(), Rate::ONE);
                let most = dearest(price, fees, rate, asked.input_bound, asked.max_output);
                let most = most.map_or(Micros::ZERO, |bill| bill.charge);
                Attempt {
                    provider: NodeId(offer.signer),
                    offer_hash: Hash(offer.hash),
                    max_charge: most,
                    max_payout: most,
                    payout_currency: offer.content.payout.currency.clone(),
                    rate,
                }
            });
            let attempts: Vec<Attempt> = attempts.collect();
            let auth = JobAuthorization {
                auth_id: AuthId::of(fep_id, gateway, asked.request_id),
                fep_id,
                request_id: asked.request_id,
                gateway,
                issued_ms: now.0,
                ttl_s: asked.ttl_s,
                currency: payout_to().currency,
                hold: attempts.iter().map(|attempt| attempt.max_charge).max().unwrap_or_default(),
                fees: Fees::default(),
                input_bound: asked.input_bound,
                max_output: asked.max_output,
                attempts,
                key_id: key_id(&identity(FEP_KEY).fep_key().0),
                streamed: asked.streamed,
            };
            auths.push(auth.clone());
            Some((200, seal(FEP_KEY, auth)))
        }
        "/v1/usage" => {
            let report = object::open::<UsageReport>(network(), None, body).ok()?.content;
            let auth = auths.iter().find(|auth| auth.auth_id == report.auth_id)?;
            let Some(attempt) = report.attempt else { return Some((204, Vec::new())) };
            if report.statement.is_none() {
                return Some((202, Vec::new()));
            }
            let mut receipt = receipt(auth, attempt, report.accepted);
            if feed.u8() == 1 {
                receipt.sequence = feed.u64();
            }
            Some((200, seal(FEP_KEY, receipt)))
        }
        "/v1/statements" => {
            let statement = object::open::<UsageStatement>(network(), None, body).ok()?.content;
            let auth = auths.iter().find(|auth| auth.auth_id == statement.auth_id)?;
            match feed.u8() % 4 {
                0 => Some((204, Vec::new())),
                _ => Some((200, seal(FEP_KEY, receipt(auth, statement.attempt, statement.counts)))),
            }
        }
        "/v1/receipts" => {
            let asked = object::open::<ReceiptsRequest>(network(), None, body).ok()?;
            let (provider, after) = (NodeId(asked.signer), asked.content.after);
            let mut receipts = Vec::new();
            for number in 0..u64::from(feed.u8() % 4) {
                let at = usize::from(feed.u8()) % auths.len().max(1);
                let mut receipt = receipt(auths.get(at)?, feed.u8() % 3, counts(feed));
                receipt.sequence = after.saturating_add(number).saturating_add(feed.u8().into());
                if feed.flag() {
                    receipt.auth_id = AuthId([feed.u8(); 16]);
                    receipt.receipt_id = ReceiptId::of(fep_id, receipt.auth_id, receipt.attempt);
                }
                let claim_id = feed.flag().then_some(ClaimId([1; 16]));
                receipts.push(IssuedReceipt { receipt: Blob(seal(FEP_KEY, receipt)), claim_id });
            }
            let last = if feed.flag() { feed.u64() } else { after.saturating_add(receipts.len() as u64) };
            let issued_ms = now.0;
            let issued = IssuedReceipts { fep_id, provider, after, last, receipts, issued_ms };
            Some((200, seal(FEP_KEY, issued)))
        }
        "/v1/claims" => {
            let claim = object::open::<Claim>(network(), None, body).ok()?.content;
            let pays = feed.u8();
            let paid = Payout {
                payout_id: PayoutId([pays; 16]),
                to: claim.payout_to.clone(),
                amount: if pays == 0 { Micros(counts(feed).output.into()) } else { claim.total },
                rail_tx: "tx".into(),
            };
            let refused = claim.receipts.iter().copied().take(usize::from(feed.u8() % 3));
            let rejected: Vec<_> = refused
                .map(|receipt_id| RejectedLine {
                    receipt_id,
                    reason: String::from_utf8_lossy(feed.bytes()).into_owned(),
                })
                .collect();
            let (verdict, payout) = match (feed.u8() % 3, rejected.is_empty()) {
                (0, _) => (Verdict::Rejected, None),
                (_, true) => (Verdict::Accepted, Some(paid)),
                (_, false) => (Verdict::Partial, Some(paid)),
            };
            let (claim_id, decided_ms) = (claim.claim_id, now.0);
            let decision = ClaimDecision { claim_id, fep_id, verdict, rejected, payout, decided_ms };
            Some((200, seal(FEP_KEY, decision)))
        }
        "/v1/disputes" => {
            let dispute = object::open::<Dispute>(network(), None, body).ok()?.content;
            let receipt = object::open::<Receipt>(network(), None, &dispute.receipt.0).ok()?.content;
            let ruling = match feed.u8() % 3 {
                0 => return Some((202, Vec::new())),
                1 => Ruling::ClaimAgain,
                _ => Ruling::Stands,
            };
            let claim_id = if feed.u8() == 1 { ClaimId([1; 16]) } else { dispute.claim_id };
            let (receipt_id, decided_ms) = (receipt.receipt_id, now.0);
            let answer = String::from_utf8_lossy(feed.bytes()).into_owned();
            let decision = DisputeDecision { fep_id, claim_id, receipt_id, ruling, answer, decided_ms };
            Some((200, seal(FEP_KEY, decision)))
        }
        _ => None,
    }
}

pub(super) fn receipt(auth: &JobAuthorization, attempt: u8, settled: Counts) -> Receipt {
    let named = auth.attempts.get(usize::from(attempt));
    let bill = bill(&price(), &Fees::default(), Rate::ONE, &settled);
    Receipt {
        receipt_id: ReceiptId::of(auth.fep_id, auth.auth_id, attempt),
        fep_id: auth.fep_id,
        provider_node_id: named.map_or(identity(NODE).node_id(), |named| named.provider),
        gateway_node_id: auth.gateway,
        auth_id: auth.auth_id,
        attempt,
        offer_hash: named.map_or(Hash([0; 32]), |named| named.offer_hash),
        settled,
        accepted: settled,
        stated: settled,
        billing_currency: auth.currency.clone(),
        charge: bill.as_ref().map_or(Micros::ZERO, |bill| bill.charge),
        payout_to: payout_to(),
        payout: bill.as_ref().map_or(Micros::ZERO, |bill| bill.payout),
        rate: Rate::ONE,
        authorized_ms: auth.issued_ms,
        issued_ms: auth.issued_ms,
        key_id: auth.key_id,
        sequence: 1,
        request_id: auth.request_id,
    }
}
