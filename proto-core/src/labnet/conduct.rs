//! How peers have behaved, and what follows from it.
//!
//! ```text
//!   an offence --> score --CLOSE_AT--> the link is closed --BAN_AT--> banned: 10 min, 20 min, ... a day
//!                    ^ time takes it down again
//! ```
//!
//! A key costs nothing, so what is remembered of a node is remembered of its network, too (a /24 or /48), at a price that
//! one bad neighbour of honest ones does not reach. A network's ban holds for new inbound links only.
//!
//! What is absent: memory of bans across a restart, and any offence that somebody else could bring upon a node: each is of
//! what TLS proved to come from it.

use alloc::collections::BTreeMap;
use core::net::IpAddr;

use crate::identity::NodeId;
use crate::limits::{
    BAN_AT, BAN_FIRST, BAN_LAST, CLOSE_AT, CONDUCT_NETWORKS, CONDUCT_NODES, FORGIVE_EVERY, NETWORK_BAN_AT,
    USEFUL_NODES,
};
use crate::time::{Span, Time};

/// What a peer did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Offence(Offence),
    /// A job with it came to its receipt: it is worth a place.
    Worked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offence {
    /// A frame in its name whose signature does not hold.
    Forged,
    /// Bytes that are no frame, or a frame that has no place where it came.
    Broken,
    /// A record was passed on whose signature does not hold: an honest node looks before it passes on.
    PassedOn,
    /// A message that can't be decoded, or that nothing can follow from.
    Malformed,
}

impl Offence {
    const fn points(self) -> u64 {
        match self {
            Self::Forged => 50,
            Self::Broken => 20,
            Self::PassedOn => 20,
            Self::Malformed => 5,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Noted,
    /// Its link is to be closed.
    Close,
    /// All its links are.
    Ban,
}

/// The part of an address that is one operator's, as far as one can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Prefix {
    V4([u8; 3]),
    V6([u8; 6]),
}

impl Prefix {
    pub(crate) fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                Self::V4([a, b, c])
            }
            IpAddr::V6(ip) => {
                let [a, b, c, d, e, f, ..] = ip.octets();
                Self::V6([a, b, c, d, e, f])
            }
        }
    }
}

#[derive(Default)]
pub(crate) struct Conduct {
    nodes: BTreeMap<NodeId, Record>,
    networks: BTreeMap<Prefix, Record>,
    /// Nodes with which a job came to its receipt, and when the last did.
    useful: BTreeMap<NodeId, Time>,
}

#[derive(Clone, Copy, Default)]
struct Record {
    /// As it was at `as_of`.
    score: u64,
    as_of: Time,
    bans: u32,
    banned_until: Time,
}

impl Conduct {
    /// A peer did wrong. `network`: where it came from, if that is to be held against others there.
    pub(crate) fn offended(
        &mut self,
        now: Time,
        node_id: NodeId,
        network: Option<Prefix>,
        offence: Offence,
    ) -> Verdict {
        if let Some(network) = network {
            record(&mut self.networks, network, now, CONDUCT_NETWORKS).add(now, offence, NETWORK_BAN_AT);
        }
        let record = record(&mut self.nodes, node_id, now, CONDUCT_NODES);
        if record.add(now, offence, BAN_AT) {
            return Verdict::Ban;
        }
        if record.score >= CLOSE_AT { Verdict::Close } else { Verdict::Noted }
    }

    /// Whether it is banned now, by its name or (where that is given) by where it comes from.
    pub(crate) fn bans(&self, now: Time, node_id: &NodeId, network: Option<Prefix>) -> bool {
        let network = network.and_then(|network| self.networks.get(&network));
        self.nodes.get(node_id).into_iter().chain(network).any(|record| now < record.banned_until)
    }

    pub(crate) fn worked(&mut self, now: Time, node_id: NodeId) {
        if self.useful.len() >= USEFUL_NODES && !self.useful.contains_key(&node_id) {
            let oldest = self.useful.iter().min_by_key(|(_, at)| **at).map(|(node_id, _)| *node_id);
            oldest.map(|oldest| self.useful.remove(&oldest));
        }
        self.useful.insert(node_id, now);
    }

    pub(crate) fn is_useful(&self, node_id: &NodeId) -> bool {
        self.useful.contains_key(node_id)
    }

    /// Nodes that are banned, and networks.
    pub(crate) fn banned(&self, now: Time) -> (usize, usize) {
        let banned = |record: &&Record| now < record.banned_until;
        (self.nodes.values().filter(banned).count(), self.networks.values().filter(banned).count())
    }
}

/// The record of a node or network. At the bound whoever has the least to answer for is forgotten for it.
fn record<K: Ord + Copy>(records: &mut BTreeMap<K, Record>, key: K, now: Time, most: usize) -> &mut Record {
    if records.len() >= most && !records.contains_key(&key) {
        let weight = |record: &Record| (record.banned_until.max(now), record.score_at(now));
        let least = records.iter().min_by_key(|(_, record)| weight(record)).map(|(key, _)| *key);
        least.map(|least| records.remove(&least));
    }
    records.entry(key).or_default()
}

impl Record {
    fn score_at(&self, now: Time) -> u64 {
        self.score.saturating_sub((now - self.as_of).0 / FORGIVE_EVERY.0)
    }

    /// True: it is banned by this.
    fn add(&mut self, now: Time, offence: Offence, ban_at: u64) -> bool {
        self.score = self.score_at(now).saturating_add(offence.points());
        self.as_of = now;
        if self.score < ban_at {
            return false;
        }
        let doubled = BAN_FIRST.0.saturating_mul(1 << self.bans.min(16));
        self.banned_until = now + Span::from_nanos(doubled).min(BAN_LAST);
        self.bans += 1;
        // What it was banned for is paid by the ban.
        self.score = 0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId([1; 32]);

    fn minutes(count: u64) -> Time {
        Time::ZERO + Span::from_secs(60 * count)
    }

    #[test]
    fn an_honest_mistake_now_and_then_is_forgiven() {
        let mut conduct = Conduct::default();
        for minute in 0..1_000 {
            let verdict = conduct.offended(minutes(2 * minute), NODE, None, Offence::Broken);
            assert_eq!(verdict, Verdict::Noted, "minute {minute}");
        }
    }

    #[test]
    fn whoever_goes_on_loses_its_link_then_its_place_and_each_time_for_longer() {
        let mut conduct = Conduct::default();
        let mut now = minutes(1);
        for ban in [10, 20, 40, 80] {
            assert_eq!(conduct.offended(now, NODE, None, Offence::PassedOn), Verdict::Noted);
            assert_eq!(conduct.offended(now, NODE, None, Offence::PassedOn), Verdict::Noted);
            assert_eq!(conduct.offended(now, NODE, None, Offence::PassedOn), Verdict::Close);
            assert!(!conduct.bans(now, &NODE, None));
            assert_eq!(conduct.offended(now, NODE, None, Offence::Forged), Verdict::Ban);
            assert!(conduct.bans(now + Span::from_secs(60 * ban - 1), &NODE, None));
            now = now + Span::from_secs(60 * ban);
            assert!(!conduct.bans(now, &NODE, None), "after {ban} minutes");
        }
        for _ in 0..100 {
            conduct.offended(now, NODE, None, Offence::Forged);
            now = now + Span::from_secs(1);
        }
        assert!(!conduct.bans(now + BAN_LAST, &NODE, None), "no ban is for ever");
    }

    #[test]
    fn many_keys_of_one_network_cost_the_network_and_one_does_not() {
        let network = Some(Prefix::of([192, 0, 2, 7].into()));
        let other = Some(Prefix::of([192, 0, 3, 7].into()));
        let mut conduct = Conduct::default();
        let stranger = NodeId([255; 32]);
        for key in 0..20 {
            let banned = conduct.bans(minutes(1), &stranger, network);
            assert_eq!(banned, key * 50 >= NETWORK_BAN_AT, "{key} keys");
            if banned {
                break;
            }
            conduct.offended(minutes(1), NodeId([key as u8; 32]), network, Offence::Forged);
        }
        assert!(conduct.bans(minutes(1), &stranger, network));
        assert!(!conduct.bans(minutes(1), &stranger, other));
        assert!(!conduct.bans(minutes(1), &stranger, None));
    }

    #[test]
    fn a_flood_of_keys_does_not_make_it_forget_who_is_banned() {
        let mut conduct = Conduct::default();
        conduct.offended(minutes(1), NODE, None, Offence::Forged);
        assert_eq!(conduct.offended(minutes(1), NODE, None, Offence::Forged), Verdict::Ban);
        for key in 0..2 * CONDUCT_NODES as u64 {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&(key + 7).to_be_bytes());
            conduct.offended(minutes(1), NodeId(id), None, Offence::Malformed);
        }
        assert!(conduct.bans(minutes(2), &NODE, None));
        assert_eq!(conduct.nodes.len(), CONDUCT_NODES);
    }
}
