//! The records that are held: one of each key, the latest, for as long as it lives.

use alloc::{collections::BTreeMap, vec::Vec};

use super::shares::{Bringer, Shares};
use crate::identity::NodeId;
use crate::limits::{EQUIVOCATIONS, RECORD_TTL, UNTIMELY, UNTIMELY_OF_ONE};
use crate::machine::LinkId;
use crate::mutants::{Mutant, mutant};
use crate::time::{Now, Span, Wake};
use crate::timers::Timers;
use crate::wire::envelope::{Header, SignedFrame};
use crate::wire::mesh::{About, Key, Mark, Version};
use crate::wire::topic::Topics;

/// A record signed further ahead of our clock than this is not believed.
const CLOCK_TOLERANCE: Span = Span::from_secs(120);

/// A record as it is passed on.
pub(super) struct Record {
    pub(super) frame: SignedFrame,
    /// Whom it concerns.
    pub(super) topics: Topics,
    /// The link by which it came first, if it came.
    pub(super) from: Option<LinkId>,
    /// Its part of a digest.
    sum: u64,
}

#[derive(Default)]
pub(super) struct Records {
    pub(super) shares: Shares,
    /// Bytes that may be put aside.
    most_aside: usize,
    bytes_aside: usize,
    held: BTreeMap<Key, Record>,
    expiry: Timers<Key>,
    /// Records that our clock speaks against. It may be ours that is wrong: they are looked at again when it is set.
    untimely: BTreeMap<Key, (SignedFrame, Option<LinkId>)>,
    untimely_expiry: Timers<Key>,
    /// Two records of one version by the same origin: proof that it says different things to different nodes.
    equivocations: BTreeMap<NodeId, [SignedFrame; 2]>,
}

/// What a record that comes is, before its signature was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    News,
    /// It would be news if our clock were wrong.
    Untimely,
    /// It is the one that is held.
    Held,
    /// It has the version of the one that is held, and is another.
    Other,
    /// Older than that, malformed, or there is no room.
    Unwanted,
}

impl Records {
    /// Bounded by these many bytes, too: held, by [`weight`], and put aside.
    pub(super) fn up_to(most: usize, most_aside: usize) -> Self {
        Self { shares: Shares::up_to(most), most_aside, ..Self::default() }
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Record> {
        self.held.get(key)
    }

    pub(super) fn standing(
        &self,
        now: Now,
        key: &Key,
        frame: &SignedFrame,
        from: Option<LinkId>,
        by: Bringer,
    ) -> Standing {
        let (header, size) = (frame.header(), weight(frame));
        let held = self.held.get(key).map(|record| record.frame.header());
        let sound = header.ttl_s > 0
            && Span::from_secs(u64::from(header.ttl_s)) <= RECORD_TTL
            && header.dest.is_none();
        if sound && held.is_some_and(|held| version(held) == version(header)) {
            let same = self.held.get(key).is_some_and(|record| record.frame.same(frame));
            let proven = self.equivocations.contains_key(&key.origin);
            return if same || proven { Standing::Held } else { Standing::Other };
        }
        let newer = |than: &Header| later(header, than);
        if !sound || !held.is_none_or(newer) {
            return Standing::Unwanted;
        }
        let aside = self.untimely.get(key).map(|(frame, _)| frame.header());
        if is_timely(now, header) {
            if self.shares.has_room(key, size, by) { Standing::News } else { Standing::Unwanted }
        } else {
            let wanted = aside.map_or_else(|| self.has_room_aside(size, from), newer);
            if wanted { Standing::Untimely } else { Standing::Unwanted }
        }
    }

    /// Would a record with that mark be news?
    pub(super) fn lacks(&self, mark: &Mark) -> bool {
        let held =
            |frame: Option<&SignedFrame>| frame.is_some_and(|frame| version(frame.header()) >= mark.version);
        let known = self.held.get(&mark.key).map(|record| &record.frame);
        !held(known) && !held(self.untimely.get(&mark.key).map(|(frame, _)| frame))
    }

    pub(super) fn mark(&self, key: &Key) -> Option<Mark> {
        self.held.get(key).map(|record| mark(*key, record.frame.header()))
    }

    /// Keeps a record for as long as it says; for ever, if it is our own.
    pub(super) fn keep(&mut self, now: Now, key: Key, frame: SignedFrame, topics: Topics, own: bool) -> Mark {
        let mark = mark(key, frame.header());
        if !own {
            let header = frame.header();
            let left = Span::from_millis(header.expires().0.saturating_sub(now.wall.0));
            // Never longer than the life of a record, whatever the clocks say.
            self.expiry.set(key, now.mono + left.min(RECORD_TTL), "a gossip record expires");
        }
        self.held.insert(key, Record { frame, topics, from: None, sum: hash(&mark) });
        mark
    }

    pub(super) fn came_by(&mut self, key: &Key, link: LinkId) {
        if let Some(record) = self.held.get_mut(key) {
            record.from = Some(link);
        }
    }

    pub(super) fn forget(&mut self, key: &Key) {
        self.expiry.clear(*key);
        self.drop(key);
    }

    fn drop(&mut self, key: &Key) {
        if self.held.remove(key).is_some() {
            self.shares.dropped(key);
        }
    }

    /// Keeps a proof, as long as there is room for it.
    pub(super) fn equivocated(&mut self, key: &Key, frame: SignedFrame) {
        let Some(held) = self.held.get(key) else { return };
        if self.equivocations.len() < EQUIVOCATIONS {
            self.equivocations.insert(key.origin, [held.frame.clone(), frame]);
        }
    }

    pub(super) fn equivocations(&self) -> &BTreeMap<NodeId, [SignedFrame; 2]> {
        &self.equivocations
    }

    pub(super) fn put_aside(&mut self, now: Now, key: Key, frame: SignedFrame, from: Option<LinkId>) {
        self.untimely_expiry.set(key, now.mono + RECORD_TTL, "an untimely gossip record is forgotten");
        self.bytes_aside += weight(&frame);
        if let Some((replaced, _)) = self.untimely.insert(key, (frame, from)) {
            self.bytes_aside -= weight(&replaced);
        }
    }

    pub(super) fn take_untimely(&mut self) -> BTreeMap<Key, (SignedFrame, Option<LinkId>)> {
        self.untimely_expiry = Timers::default();
        self.bytes_aside = 0;
        core::mem::take(&mut self.untimely)
    }

    /// No neighbour fills it alone.
    fn has_room_aside(&self, size: usize, from: Option<LinkId>) -> bool {
        let of_one = self.untimely.values().filter(|(_, brought)| *brought == from).count();
        self.untimely.len() < UNTIMELY
            && of_one < UNTIMELY_OF_ONE
            && self.bytes_aside + size <= self.most_aside
    }

    /// The next that is forgotten because its life is over.
    pub(super) fn expired(&mut self, now: Now) -> Option<Key> {
        while let Some(key) = self.untimely_expiry.expired(now.mono) {
            if let Some((gone, _)) = self.untimely.remove(&key) {
                self.bytes_aside -= weight(&gone);
            }
        }
        let key = self.expiry.expired(now.mono)?;
        self.drop(&key);
        Some(key)
    }

    pub(super) fn poll_timeout(&self) -> Option<Wake> {
        Wake::earliest(self.expiry.next(), self.untimely_expiry.next())
    }

    /// What two nodes compare: the capability records that concern what both are interested in, in 256 sums.
    pub(super) fn digest(&self, interest: &Topics) -> Vec<u8> {
        self.sums(interest).iter().flat_map(|sum| sum.to_be_bytes()).collect()
    }

    /// The records in the buckets that differ from those of a digest. `None`: that is no digest.
    pub(super) fn differing(&self, interest: &Topics, digest: &[u8]) -> Option<Vec<Key>> {
        if digest.len() != BUCKETS * 8 {
            return None;
        }
        let mut differs = [false; BUCKETS];
        for ((differs, ours), theirs) in differs.iter_mut().zip(self.sums(interest)).zip(digest.chunks(8)) {
            *differs = ours.to_be_bytes() != theirs;
        }
        let differs = |key: &Key| differs.get(bucket(key)).copied().unwrap_or_default();
        Some(self.compared(interest).map(|(key, _)| *key).filter(differs).collect())
    }

    /// Whoever chooses its records so that sums agree that should not keeps them from being compared, which harms their
    /// spreading only.
    fn sums(&self, interest: &Topics) -> [u64; BUCKETS] {
        let mut sums = [0_u64; BUCKETS];
        for (key, record) in self.compared(interest) {
            if let Some(sum) = sums.get_mut(bucket(key)) {
                *sum = sum.wrapping_add(record.sum);
            }
        }
        sums
    }

    fn compared(&self, interest: &Topics) -> impl Iterator<Item = (&Key, &Record)> {
        let capability = |(key, _): &(&Key, &Record)| key.about == About::Capability;
        self.held.iter().filter(capability).filter(|(_, record)| interest.meet(&record.topics))
    }
}

/// Bytes that a record takes here, about: what it says is there once more, decoded, and in half a dozen tables.
pub(super) fn weight(frame: &SignedFrame) -> usize {
    frame.bytes().len() + 1024
}

/// Alive, and not of a clock far ahead.
fn is_timely(now: Now, header: &Header) -> bool {
    now.wall < header.expires() && header.issued <= now.wall + CLOCK_TOLERANCE
}

pub(super) fn version(header: &Header) -> Version {
    Version { incarnation: header.incarnation, seq: header.seq }
}

fn later(one: &Header, than: &Header) -> bool {
    if mutant(Mutant::SequenceOverIncarnation) {
        return one.seq > than.seq;
    }
    version(one) > version(than)
}

fn mark(key: Key, header: &Header) -> Mark {
    Mark { key, version: version(header) }
}

const BUCKETS: usize = 256;

/// Node ids are spread evenly already.
fn bucket(key: &Key) -> usize {
    usize::from(key.origin.0[0])
}

fn hash(mark: &Mark) -> u64 {
    let hash = blake3::hash(&crate::wire::cbor::encode(mark));
    hash.as_bytes().iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}
