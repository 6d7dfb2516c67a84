//! Reads every signed paper at the moment when it leaves a machine, and has it looked at: what it says must be on its
//! speaker's disk by then ([`durable`]), no other paper may have gone out in its place ([`once`]), and it must not rest on a key that
//! its speaker knows to be revoked ([`keys`]).
//!
//! It sees what is sent, not what is signed: a FEP signs an authorization before its hold is durable, and keeps it.

use std::collections::{BTreeMap, BTreeSet};

use labman_proto_core::identity::{FepId, Network, NodeId};
use labman_proto_core::machine::Output;
use labman_proto_core::wire::cbor;
use labman_proto_core::wire::envelope::{Header, Kind, SignedFrame};
use labman_proto_core::wire::ids::ReceiptId;
use labman_proto_core::wire::mesh::{
    Errand, FepCall, ProxyEnd, ProxyError, ProxyRequest, ReceiptAck, ReceiptDelivery,
};
use labman_proto_core::wire::object::{Object, Sealed, open};
use labman_proto_core::wire::portal::{
    AttemptRelease, AuthorizeRequest, Claim, ClaimDecision, JobAuthorization, Receipt, StreamAck,
    UsageReport, UsageStatement,
};

use super::{durable, keys, once::Once};
use crate::disk::Disk;
use crate::world::witness::Witness;

/// A paper that binds whoever lets it out.
pub(super) enum Paper {
    /// A gossip record, its own or passed on.
    Record(Header),
    /// A provider has that receipt for good.
    Acknowledged(ReceiptId),
    /// What a provider delivered, wherever it says so, and the output tokens of the acknowledgement that it shows.
    Stated {
        said: UsageStatement,
        acked: Option<u32>,
    },
    /// A provider will never be owed anything for that attempt.
    Released(AttemptRelease),
    Delivered(Receipt),
    Asked(AuthorizeRequest),
    /// A gateway offers a job to a provider.
    Placed(Box<Sealed<JobAuthorization>>),
    Authorized(JobAuthorization),
    Reported,
    Issued(Receipt),
    Claimed(Claim),
    Decided(ClaimDecision),
}

/// Who is held to their papers. The others say what they like, or say again what they do not know they said.
pub struct Watched {
    /// Honest parties whose disks forget nothing; under which id, where one is a node. What it carries for others binds
    /// them and not it.
    pub hosts: BTreeMap<String, Option<NodeId>>,
    /// Honest nodes that must never live one life twice: what they sign is passed on by others.
    pub nodes: BTreeSet<NodeId>,
}

pub struct Notary {
    network: Network,
    fep: FepId,
    /// Keys that sign for it.
    keys: BTreeSet<[u8; 32]>,
    watched: Watched,
    once: Once,
}

impl Notary {
    pub fn new(network: Network, fep: FepId, keys: BTreeSet<[u8; 32]>, watched: Watched) -> Self {
        Self { network, fep, keys, watched, once: Once::default() }
    }

    /// A paper of the FEP's.
    fn of_fep<T: Object>(&self, bytes: &[u8]) -> Option<T> {
        let paper = open::<T>(self.network, None, bytes).ok()?;
        self.keys.contains(&paper.signer).then_some(paper.content)
    }

    fn read(&self, by: Option<[u8; 32]>, bytes: &[u8]) -> Option<Paper> {
        match bytes {
            [1, high, low, ..] => self.object(by, u16::from_be_bytes([*high, *low]), bytes),
            // A light frame binds nobody, but for what is signed in it.
            [_, _, _, _, 1, 0x80, 0x04, end @ ..] => {
                self.object(by, UsageStatement::KIND, &cbor::decode::<ProxyEnd>(end).ok()?.statement.0)
            }
            [0, _, _, _, 1, 0, _, ..] => self.frame(by, SignedFrame::parse(bytes.to_vec()).ok()?),
            _ => None,
        }
    }

    fn frame(&self, by: Option<[u8; 32]>, frame: SignedFrame) -> Option<Paper> {
        let kind = Kind::from_u16(frame.header().kind)?;
        if let Kind::PeerRecord | Kind::CapabilityRecord | Kind::Departure | Kind::Suspicion = kind {
            let header = *frame.header();
            return self.watched.nodes.contains(&header.sender).then_some(Paper::Record(header));
        }
        let payload = frame.open(self.network).ok()?;
        match kind {
            Kind::ReceiptAck => {
                let ack: ReceiptAck = cbor::decode(payload).ok()?;
                ack.refused.is_none().then_some(Paper::Acknowledged(ack.receipt_id))
            }
            Kind::ProxyError => {
                self.object(by, AttemptRelease::KIND, &cbor::decode::<ProxyError>(payload).ok()?.release?.0)
            }
            Kind::ReceiptDelivery => {
                let delivery: ReceiptDelivery = cbor::decode(payload).ok()?;
                self.of_fep(&delivery.receipt.0).map(Paper::Delivered)
            }
            Kind::ProxyRequest => {
                let placed: ProxyRequest = cbor::decode(payload).ok()?;
                let auth = open::<JobAuthorization>(self.network, None, &placed.authorization.0).ok()?;
                Some(Paper::Placed(Box::new(auth)))
            }
            Kind::Errand => {
                let errand: Errand = cbor::decode(payload).ok()?;
                let kind = match errand.call {
                    FepCall::Statement => UsageStatement::KIND,
                    FepCall::Claim => Claim::KIND,
                };
                self.object(by, kind, &errand.object.0)
            }
            Kind::PeerRecord
            | Kind::CapabilityRecord
            | Kind::Departure
            | Kind::Suspicion
            | Kind::Shuffle
            | Kind::Hello
            | Kind::Announce
            | Kind::Want
            | Kind::Prune
            | Kind::Digest
            | Kind::Distances
            | Kind::Invite
            | Kind::ProxyEnd
            | Kind::StreamAck
            | Kind::ProxyMark
            | Kind::Load
            | Kind::Market
            | Kind::ErrandDone
            | Kind::FepDescriptor
            | Kind::Body
            | Kind::Chunk => None,
        }
    }

    fn object(&self, by: Option<[u8; 32]>, kind: u16, bytes: &[u8]) -> Option<Paper> {
        match kind {
            AuthorizeRequest::KIND => open(self.network, by, bytes).ok().map(|it| Paper::Asked(it.content)),
            JobAuthorization::KIND => self.of_fep(bytes).map(Paper::Authorized),
            UsageReport::KIND => open::<UsageReport>(self.network, by, bytes).ok().map(|_| Paper::Reported),
            UsageStatement::KIND => {
                let said = open::<UsageStatement>(self.network, by, bytes).ok()?.content;
                let ack =
                    said.ack.as_ref().and_then(|ack| open::<StreamAck>(self.network, None, &ack.0).ok());
                Some(Paper::Stated { said, acked: ack.map(|ack| ack.content.counts.output) })
            }
            AttemptRelease::KIND => open(self.network, by, bytes).ok().map(|it| Paper::Released(it.content)),
            Receipt::KIND => self.of_fep(bytes).map(Paper::Issued),
            Claim::KIND => open(self.network, by, bytes).ok().map(|it| Paper::Claimed(it.content)),
            ClaimDecision::KIND => self.of_fep(bytes).map(Paper::Decided),
            _ => None,
        }
    }
}

impl Witness for Notary {
    fn saw(&mut self, host: &str, disk: &Disk, output: &Output) -> Option<String> {
        let Output::Send { bytes, .. } = output else { return None };
        let by = self.watched.hosts.get(host)?.map(|node_id| node_id.0);
        let paper = self.read(by, bytes)?;
        let again = || self.once.check(&paper, bytes);
        let by_key = || keys::check(self.network, self.fep, disk, &paper);
        durable::check(disk, &paper, bytes).or_else(by_key).or_else(again)
    }
}

#[cfg(test)]
mod tests;
