//! What this node says of itself, and under which number.

use alloc::{collections::BTreeSet, vec::Vec};

use super::said::Said;
use crate::identity::NodeId;
use crate::limits::{RECORD_TTL, SIGN_AT_MOST, SIGN_IN_A_ROW, WITNESSES};
use crate::node::cx::Cx;
use crate::time::Time;
use crate::wire::envelope::SignedFrame;
use crate::wire::mesh::{About, CapabilityRecord, Departure, PeerRecord, Version};
use crate::wire::topic::Topics;

#[derive(Default)]
pub(super) struct Own {
    peer: Option<PeerRecord>,
    capability: Option<CapabilityRecord>,
    witnesses: Vec<NodeId>,
    seq: u64,
    /// The numbers under which the peer and the capability record were signed last.
    signed: [Option<u64>; 2],
    /// When these two were due to be signed again, had they been signed at an even pace.
    paced: [Time; 2],
}

impl Own {
    /// False: that was said before.
    pub(super) fn set_peer(&mut self, record: PeerRecord) -> bool {
        let changed = self.peer.as_ref() != Some(&record);
        self.peer = Some(record);
        changed
    }

    pub(super) fn set_capability(&mut self, record: CapabilityRecord) -> bool {
        let changed = self.capability.as_ref() != Some(&record);
        self.capability = Some(record);
        changed
    }

    /// Who is a witness stays one, so that not every new link changes what we say.
    pub(super) fn set_witnesses(&mut self, gateways: &BTreeSet<NodeId>) -> bool {
        let stay = self.witnesses.iter().copied().filter(|one| gateways.contains(one));
        let join = gateways.iter().copied().filter(|one| !self.witnesses.contains(one));
        let witnesses: Vec<NodeId> = stay.chain(join).take(WITNESSES).collect();
        let changed = self.witnesses != witnesses;
        self.witnesses = witnesses;
        changed
    }

    /// Nothing more is signed: it would take back our departure.
    pub(super) fn fall_silent(&mut self) {
        (self.peer, self.capability) = (None, None);
    }

    /// The families of what we serve.
    pub(super) fn topics(&self) -> Topics {
        self.capability.as_ref().map_or_else(Topics::none, |record| record.topics.clone())
    }

    /// From when on it may be signed for another change.
    pub(super) fn sign_from(&self, about: About) -> Time {
        let ahead = SIGN_AT_MOST.0 * (SIGN_IN_A_ROW - 1);
        Time(self.paced[place(about)].0.saturating_sub(ahead))
    }

    /// Does one of our records end with a death of ours up to that version?
    pub(super) fn ends_with(&self, cx: &Cx<'_>, version: Version) -> bool {
        let of = |seq: &u64| Version { incarnation: cx.me.incarnation, seq: *seq };
        self.signed.iter().flatten().any(|seq| of(seq) <= version)
    }

    /// Signs what there is to say, if there is something.
    pub(super) fn sign(&mut self, cx: &Cx<'_>, about: About) -> Option<(SignedFrame, Said)> {
        let said = match about {
            About::Peer => {
                let witnesses = self.witnesses.clone();
                Said::Peer(PeerRecord { witnesses, ..self.peer.clone()? })
            }
            About::Capability => {
                let witnesses = self.witnesses.clone();
                Said::Capability(CapabilityRecord { witnesses, ..self.capability.clone()? })
            }
            About::Departure => {
                let gateway = self.peer.as_ref().is_some_and(|record| record.gateway);
                Said::Departure(Departure { topics: if gateway { Topics::All } else { self.topics() } })
            }
            About::Suspicion => return None,
        };
        let paced = &mut self.paced[place(about)];
        *paced = cx.now.mono.max(*paced) + SIGN_AT_MOST;
        let frame = self.sign_said(cx, &said);
        self.signed[place(about)] = Some(self.seq);
        Some((frame, said))
    }

    pub(super) fn sign_said(&mut self, cx: &Cx<'_>, said: &Said) -> SignedFrame {
        self.seq += 1;
        cx.me.sign(cx.now, said.about().kind(), None, self.seq, RECORD_TTL, &said.encode())
    }
}

fn place(about: About) -> usize {
    usize::from(about == About::Capability)
}
