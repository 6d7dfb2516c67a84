//! Says again what was said before: its own frames twice, what it heard back to whoever said it or on to others, on the
//! stream where it belongs and on streams where it does not; old records behind newer ones; posts each paper twice.
//!
//! What must hold: a directed frame is heard once, on its own stream, by whom it is for; an old record never replaces a
//! newer one; a paper that is posted twice moves money once.

use labman_proto_core::machine::StreamId;
use labman_proto_core::time::Span;

use super::craft::Said;
use super::hand::Hand;
use super::lanes::Way;
use super::strategy::{Fate, Letter, Strategy};

#[derive(Default)]
pub(super) struct Replayer;

impl Strategy for Replayer {
    fn says(&mut self, hand: &mut Hand, stream: StreamId, way: &Way, said: &Said) {
        hand.pass(stream, said);
        let light = said.header.is_none();
        // Twice on a control stream costs the link, so it is rarer there.
        let times = if matches!(way, Way::Control { .. }) && said.is_directed() { 20 } else { 6 };
        if hand.once_in(times) {
            hand.fired();
            hand.send(stream, said.bytes.clone());
            if light && hand.once_in(2) {
                let after = Span::from_millis(hand.draws.below(300));
                hand.send_later(after, stream, said.bytes.clone());
            }
        }
    }

    fn posts(&mut self, hand: &mut Hand, letter: &mut Letter) -> Fate {
        if letter.to.is_some() && !letter.body.is_empty() && hand.once_in(2) {
            hand.fired();
            hand.post(&letter.path.clone(), letter.body.clone());
        }
        Fate::Sent
    }

    fn wakes(&mut self, hand: &mut Hand) {
        let seen: Vec<_> = hand.seen.iter().cloned().collect();
        let old: Vec<_> = seen.iter().filter(|(_, said)| !said.is_directed()).cloned().collect();
        for (control, _) in hand.controls() {
            // Records and pieces of bodies; the latter have no place there and would cost the link.
            if let Some((_, said)) = hand.pick(&old).filter(|(_, said)| said.header.is_some()) {
                hand.fired();
                hand.send(control, said.bytes);
            }
        }
        let Some((peer, said)) = hand.pick(&seen) else { return };
        let jobs = hand.jobs();
        if let (Some((job, _)), true) = (hand.pick(&jobs), hand.once_in(2)) {
            hand.fired();
            hand.send(job, said.bytes);
        } else if let Some(stream) = hand.open_job(peer) {
            hand.fired();
            hand.send(stream, said.bytes);
            hand.finish(stream);
        }
    }
}
