//! Stops in the middle: half a frame and then an end, a reset, or nothing; streams opened and left; a direction ended
//! that had more to say; frames that come so late that nobody waits any more.
//!
//! What must hold: whoever waits has a deadline; a job that breaks off is told to its user as broken, never as whole; a
//! stream that is left holds one window at most.

use labman_proto_core::machine::{ResetCode, StreamId};
use labman_proto_core::time::Span;
use labman_proto_core::wire::envelope::Kind;

use super::craft::{self, Said};
use super::hand::Hand;
use super::lanes::Way;
use super::strategy::{Fate, Letter, Strategy};

#[derive(Default)]
pub(super) struct Truncator;

impl Strategy for Truncator {
    fn says(&mut self, hand: &mut Hand, stream: StreamId, way: &Way, said: &Said) {
        let times = if matches!(way, Way::Control { .. }) { 60 } else { 20 };
        if !hand.once_in(times) {
            return hand.pass(stream, said);
        }
        hand.fired();
        let half = hand.draws.below(said.bytes.len() as u64) as usize;
        match hand.draws.below(4) {
            0 => {
                hand.send(stream, said.bytes[..half].to_vec());
                hand.reset(stream, ResetCode::Internal);
            }
            1 => {
                hand.send(stream, said.bytes[..half].to_vec());
                hand.finish(stream);
            }
            // Silence: the frame is lost, and what follows it comes.
            2 => {}
            _ => {
                let after = Span::from_secs(1 + hand.draws.below(90));
                hand.send_later(after, stream, said.bytes.clone());
            }
        }
    }

    fn posts(&mut self, hand: &mut Hand, letter: &mut Letter) -> Fate {
        match hand.draws.below(8) {
            0 => {
                hand.fired();
                letter.body.truncate(hand.draws.below(letter.body.len() as u64 + 1) as usize);
                Fate::Sent
            }
            1 => {
                hand.fired();
                Fate::SentAfter(Span::from_millis(hand.draws.below(8_000)))
            }
            2 => {
                hand.fired();
                Fate::Kept
            }
            _ => Fate::Sent,
        }
    }

    fn wakes(&mut self, hand: &mut Hand) {
        let peers: Vec<_> = hand.links.values().map(|(peer, _)| *peer).collect();
        let Some(peer) = hand.pick(&peers) else { return };
        let Some(stream) = hand.open_job(peer) else { return };
        hand.fired();
        let header = hand.header(Kind::ProxyRequest as u16, Some(peer));
        let frame = craft::signed(&hand.party.identity, header, &craft::random_cbor(&mut hand.draws));
        let half = hand.draws.below(frame.len() as u64) as usize;
        hand.send(stream, frame[..half].to_vec());
        match hand.draws.below(3) {
            0 => hand.finish(stream),
            1 => hand.reset(stream, ResetCode::Cancelled),
            _ => {}
        }
    }
}
