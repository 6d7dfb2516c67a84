//! Is honest until it is trusted, then follows another strategy.
//!
//! What must hold: whatever must hold under that one; there is nothing here that a good past would buy.

use labman_proto_core::machine::StreamId;
use labman_proto_core::time::{Span, Time};

use super::craft::Said;
use super::hand::Hand;
use super::lanes::Way;
use super::strategy::{Fate, Letter, Strategy};
use super::{forger, frame_fuzzer, oversizer, replayer, truncator, unknown};

/// Good at least so long, and up to twice that.
const GOOD: Span = Span::from_secs(8);

#[derive(Default)]
pub(super) struct GoodThenBad {
    turns: Option<Time>,
    then: Option<Box<dyn Strategy>>,
}

impl GoodThenBad {
    fn bad(&mut self, hand: &mut Hand) -> Option<&mut Box<dyn Strategy>> {
        let turns = *self.turns.get_or_insert_with(|| hand.now.mono + GOOD + Span(hand.draws.below(GOOD.0)));
        if hand.now.mono < turns {
            return None;
        }
        Some(self.then.get_or_insert_with(|| match hand.draws.below(6) {
            0 => Box::new(forger::Forger),
            1 => Box::new(frame_fuzzer::FrameFuzzer),
            2 => Box::new(oversizer::Oversizer),
            3 => Box::new(replayer::Replayer),
            4 => Box::new(truncator::Truncator),
            _ => Box::new(unknown::Unknown),
        }))
    }
}

impl Strategy for GoodThenBad {
    fn says(&mut self, hand: &mut Hand, stream: StreamId, way: &Way, said: &Said) {
        match self.bad(hand) {
            Some(bad) => bad.says(hand, stream, way, said),
            None => hand.pass(stream, said),
        }
    }

    fn hears(&mut self, hand: &mut Hand, stream: StreamId, way: &Way, said: &Said) -> bool {
        self.bad(hand).is_none_or(|bad| bad.hears(hand, stream, way, said))
    }

    fn posts(&mut self, hand: &mut Hand, letter: &mut Letter) -> Fate {
        self.bad(hand).map_or(Fate::Sent, |bad| bad.posts(hand, letter))
    }

    fn wakes(&mut self, hand: &mut Hand) {
        if let Some(bad) = self.bad(hand) {
            bad.wakes(hand);
        }
    }
}
