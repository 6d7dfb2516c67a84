//! What the network does to what crosses it, beyond the latency of a way: loss, delays, narrow uplinks, and directions in
//! which nothing gets through.
//!
//! Streams are reliable, as QUIC's and TCP's are: what is lost comes later, and what can't get through waits until it can.
//! What happens within one home or one machine is not touched.

use std::collections::BTreeMap;

use labman_proto_core::rng::Stream;
use labman_proto_core::time::{Span, Time};

use crate::host::HostId;

/// A lost packet is noticed and sent again after a round trip and this.
const RETRANSMIT: Span = Span::from_millis(25);

#[derive(Debug, Default)]
pub struct Conditions {
    blocks: BTreeMap<(HostId, HostId), Block>,
    /// How many of a thousand packets are lost.
    loss_permille: u64,
    /// What a host sends takes up to so much longer.
    delays: BTreeMap<HostId, Span>,
    uplinks: BTreeMap<HostId, Uplink>,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    fault: &'static str,
    since: Time,
    until: Time,
}

#[derive(Debug)]
struct Uplink {
    bytes_per_second: u64,
    free_at: Time,
}

/// How the conditions bore on one thing sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Toll {
    pub extra: Span,
    pub lost: bool,
    pub delayed: bool,
    pub queued: bool,
}

impl Conditions {
    /// Nothing gets from one host to the other until then, because of that fault.
    pub fn block(&mut self, (from, to): (HostId, HostId), now: Time, until: Time, fault: &'static str) {
        let block = self.blocks.entry((from, to)).or_insert(Block { fault, since: now, until });
        if block.until <= now {
            (block.since, block.fault) = (now, fault);
        }
        block.until = block.until.max(until);
    }

    /// When something that is to get from one to the other now can; `None`: at once.
    pub fn blocked_until(&self, from: HostId, to: HostId, now: Time) -> Option<Time> {
        self.blocked(from, to, now).map(|(_, until)| until)
    }

    /// The same, with the fault's name.
    pub fn blocked(&self, from: HostId, to: HostId, now: Time) -> Option<(&'static str, Time)> {
        let block = self.blocks.get(&(from, to)).filter(|block| block.until > now);
        block.map(|block| (block.fault, block.until))
    }

    /// For how long nothing has got through.
    pub fn silent_for(&self, from: HostId, to: HostId, now: Time) -> Span {
        let block = self.blocks.get(&(from, to)).filter(|block| block.until > now);
        block.map(|block| now - block.since).unwrap_or_default()
    }

    pub fn set_loss(&mut self, permille: u64) {
        // Something must get through, or nothing would ever arrive.
        self.loss_permille = permille.min(900);
    }

    /// `None`: no more than the way itself.
    pub fn set_delay(&mut self, host: HostId, up_to: Option<Span>) {
        match up_to {
            Some(up_to) => self.delays.insert(host, up_to),
            None => self.delays.remove(&host),
        };
    }

    /// `None`: as wide as one likes.
    pub fn set_uplink(&mut self, host: HostId, bytes_per_second: Option<u64>) {
        match bytes_per_second {
            Some(rate) => {
                let uplink = Uplink { bytes_per_second: rate.max(1), free_at: Time::ZERO };
                self.uplinks.insert(host, uplink);
            }
            None => {
                self.uplinks.remove(&host);
            }
        }
    }

    /// What sending so many bytes takes beyond the way's latency.
    pub fn toll(&mut self, from: HostId, bytes: usize, latency: Span, now: Time, draws: &mut Stream) -> Toll {
        let mut toll = Toll::default();
        while self.loss_permille > 0 && draws.below(1_000) < self.loss_permille {
            toll.extra = toll.extra + latency.doubled() + RETRANSMIT;
            toll.lost = true;
        }
        if let Some(up_to) = self.delays.get(&from) {
            toll.extra = toll.extra + Span(draws.below(up_to.0.saturating_add(1)));
            toll.delayed = true;
        }
        if let Some(uplink) = self.uplinks.get_mut(&from) {
            let nanos = (bytes as u128) * 1_000_000_000 / u128::from(uplink.bytes_per_second);
            let leaves = uplink.free_at.max(now) + Span(u64::try_from(nanos).unwrap_or(u64::MAX));
            uplink.free_at = leaves;
            toll.extra = toll.extra + (leaves - now);
            toll.queued = true;
        }
        toll
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use labman_proto_core::rng::Seed;

    const A: HostId = HostId(0);
    const B: HostId = HostId(1);

    #[test]
    fn a_block_has_a_direction_and_an_end_and_a_later_one_prolongs_it() {
        let mut net = Conditions::default();
        net.block((A, B), Time(10), Time(50), "clog");
        net.block((A, B), Time(20), Time(40), "clog");
        assert_eq!(net.blocked_until(A, B, Time(30)), Some(Time(50)));
        assert_eq!(net.blocked_until(B, A, Time(30)), None);
        assert_eq!(net.silent_for(A, B, Time(30)), Span(20));
        assert_eq!(net.blocked_until(A, B, Time(50)), None);
        net.block((A, B), Time(60), Time(70), "clog");
        assert_eq!(net.silent_for(A, B, Time(65)), Span(5), "it had ended in between");
    }

    #[test]
    fn a_narrow_uplink_sends_one_thing_after_the_other() {
        let mut net = Conditions::default();
        let mut draws = Seed::from_u64(1).stream("x");
        net.set_uplink(A, Some(1_000));
        let mut send = |net: &mut Conditions, from| net.toll(from, 500, Span(0), Time(0), &mut draws).extra;
        assert_eq!(send(&mut net, A), Span::from_millis(500));
        assert_eq!(send(&mut net, A), Span::from_millis(1_000));
        assert_eq!(send(&mut net, B), Span(0));
    }

    #[test]
    fn what_is_lost_comes_later_and_as_often_as_was_said() {
        let mut net = Conditions::default();
        let mut draws = Seed::from_u64(1).stream("x");
        net.set_loss(300);
        let tolls = (0..10_000).map(|_| net.toll(A, 1, Span::from_millis(10), Time(0), &mut draws));
        let lost = tolls.filter(|toll| toll.lost).count();
        assert!((2_850..3_150).contains(&lost), "{lost}");
    }
}
