//! Signed objects by name, with what a person wants to know of each. Signatures are not looked at.

use std::collections::BTreeSet;

use labman_proto_core::identity::NodeId;
use labman_proto_core::wire::cbor;
use labman_proto_core::wire::keys::{Descriptor, KeyRing};
use labman_proto_core::wire::mesh::Invitation;
use labman_proto_core::wire::object::Object;
use labman_proto_core::wire::portal::{
    AttemptRelease, AuthorizeRequest, Claim, ClaimDecision, Dispute, DisputeDecision, IssuedReceipts,
    JobAuthorization, Offer, Receipt, ReceiptsRequest, StreamAck, UsageReport, UsageStatement,
};

use super::frames::tokens;
use super::line::Part;
use super::names::Names;

/// As protocol.md has it, section 4.
const HEADER: usize = 47;
const SIGNATURE: usize = 64;

/// `None`: it is no object that can be read.
pub(super) fn part(bytes: &[u8], names: &mut Names) -> Option<Part> {
    let (kind, signer, payload) = take_apart(bytes)?;
    Some(match kind {
        Offer::KIND => Part::new("Offer", Vec::new(), slug(bytes)?),
        AuthorizeRequest::KIND => {
            let asked: AuthorizeRequest = cbor::decode(payload).ok()?;
            let about = names.asked(asked.fep_id, signer, asked.request_id);
            let slugs: Vec<_> = asked.offers.iter().filter_map(|offer| slug(&offer.0)).collect();
            let text = format!(
                "req_{}, at most {} tokens in, {} out, on {}",
                asked.request_id,
                asked.input_bound,
                asked.max_output,
                slugs.join(", ")
            );
            Part::new("AuthorizeRequest", about, text)
        }
        JobAuthorization::KIND => {
            let auth: JobAuthorization = cbor::decode(payload).ok()?;
            let providers: Vec<_> = auth.attempts.iter().map(|one| names.node_name(one.provider)).collect();
            let (id, request, to) = (auth.auth_id, auth.request_id, providers.join(", "));
            let text = format!("{id} for req_{request}, holds {} {}, for {to}", auth.hold, auth.currency);
            Part::new("JobAuthorization", names.request(request), text)
        }
        Descriptor::KIND => {
            let said: Descriptor = cbor::decode(payload).ok()?;
            let ring: KeyRing = cbor::decode(take_apart(&said.ring.0)?.2).ok()?;
            let revoked = ring.keys.iter().filter(|key| key.revoked_from_ms.is_some()).count();
            let text = format!("key ring {} of {} keys, {revoked} revoked", ring.serial, ring.keys.len());
            Part::new("Descriptor", Vec::new(), text)
        }
        UsageReport::KIND => {
            let usage: UsageReport = cbor::decode(payload).ok()?;
            let about = names.about(&usage.auth_id.to_string()).into_iter().collect();
            let delivered = match usage.attempt {
                Some(attempt) => format!(
                    "attempt {attempt}, {}{}",
                    tokens(usage.accepted),
                    if usage.statement.is_some() { "" } else { ", not stated" }
                ),
                None => format!("nothing delivered, {} released", usage.releases.len()),
            };
            Part::new("UsageReport", about, format!("authorization {}, {delivered}", usage.auth_id))
        }
        StreamAck::KIND => {
            let ack: StreamAck = cbor::decode(payload).ok()?;
            let about = names.about(&ack.auth_id.to_string()).into_iter().collect();
            let text =
                format!("authorization {}, attempt {}, {}", ack.auth_id, ack.attempt, tokens(ack.counts));
            Part::new("StreamAck", about, text)
        }
        UsageStatement::KIND => {
            let said: UsageStatement = cbor::decode(payload).ok()?;
            let about = names.about(&said.auth_id.to_string()).into_iter().collect();
            let (counts, end) = (tokens(said.counts), said.end);
            let text = format!(
                "authorization {}, attempt {}, {end:?}, {} chunks, {counts}",
                said.auth_id, said.attempt, said.chunks
            );
            Part::new("UsageStatement", about, text)
        }
        AttemptRelease::KIND => {
            let release: AttemptRelease = cbor::decode(payload).ok()?;
            let about = names.about(&release.auth_id.to_string()).into_iter().collect();
            let text = format!("authorization {}, attempt {}", release.auth_id, release.attempt);
            Part::new("AttemptRelease", about, text)
        }
        Receipt::KIND => {
            let receipt: Receipt = cbor::decode(payload).ok()?;
            let text = format!(
                "{} for req_{}, {} charged, {} for {}",
                receipt.receipt_id,
                receipt.request_id,
                receipt.charge,
                receipt.payout,
                names.node_name(receipt.provider_node_id)
            );
            Part::new("Receipt", names.request(receipt.request_id), text)
        }
        Claim::KIND => {
            let claim: Claim = cbor::decode(payload).ok()?;
            let about: BTreeSet<_> =
                claim.receipts.iter().filter_map(|id| names.about(&id.to_string())).collect();
            let text = format!("{} over {} receipts, {}", claim.claim_id, claim.receipts.len(), claim.total);
            Part::new("Claim", about.into_iter().collect(), text)
        }
        ClaimDecision::KIND => {
            let decision: ClaimDecision = cbor::decode(payload).ok()?;
            let paid = decision.payout.map(|payout| format!(", {} paid", payout.amount));
            let text = format!("{} {:?}{}", decision.claim_id, decision.verdict, paid.unwrap_or_default());
            Part::new("ClaimDecision", Vec::new(), text)
        }
        ReceiptsRequest::KIND => {
            let asked: ReceiptsRequest = cbor::decode(payload).ok()?;
            Part::new("ReceiptsRequest", Vec::new(), format!("behind number {}", asked.after))
        }
        IssuedReceipts::KIND => {
            let issued: IssuedReceipts = cbor::decode(payload).ok()?;
            let text = format!(
                "{} behind number {}, the last is {}",
                issued.receipts.len(),
                issued.after,
                issued.last
            );
            Part::new("IssuedReceipts", Vec::new(), text)
        }
        Dispute::KIND => {
            let dispute: Dispute = cbor::decode(payload).ok()?;
            let text = format!("of claim {}: {:?}", dispute.claim_id, dispute.reason);
            Part::new("Dispute", Vec::new(), text)
        }
        DisputeDecision::KIND => {
            let decision: DisputeDecision = cbor::decode(payload).ok()?;
            let text =
                format!("{:?}: receipt {}, {:?}", decision.ruling, decision.receipt_id, decision.answer);
            Part::new("DisputeDecision", Vec::new(), text)
        }
        Invitation::KIND => {
            let invitation: Invitation = cbor::decode(payload).ok()?;
            let text = format!("to {}", names.node_name(invitation.provider));
            Part::new("Invitation", Vec::new(), text)
        }
        other => Part::new(&format!("object {other}"), Vec::new(), format!("{} bytes", bytes.len())),
    })
}

/// What an offer is for.
pub(super) fn slug(offer: &[u8]) -> Option<String> {
    let (kind, _, payload) = take_apart(offer)?;
    (kind == Offer::KIND).then(|| cbor::decode::<Offer>(payload).ok()).flatten().map(|offer| offer.slug)
}

fn take_apart(bytes: &[u8]) -> Option<(u16, NodeId, &[u8])> {
    let (signed, _) = bytes.split_last_chunk::<SIGNATURE>()?;
    let (header, payload) = signed.split_first_chunk::<HEADER>()?;
    let signer = header.get(11..43)?.try_into().ok()?;
    Some((u16::from_be_bytes([header[1], header[2]]), NodeId(signer), payload))
}
