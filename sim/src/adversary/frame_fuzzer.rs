//! Says frames and papers whose content is bent or is nonsense, under signatures that hold: so that decoders and the
//! checks behind them are reached. Flipped bits, random CBOR, both inside of what the CBOR subset allows and outside.
//!
//! What must hold: no bytes make anybody panic; what can't be decoded ends its stream or drops its record; what can is
//! checked for what it says.

use labman_proto_core::machine::StreamId;
use labman_proto_core::wire::envelope::Header;

use super::craft::{self, Said};
use super::hand::Hand;
use super::lanes::Way;
use super::strategy::{Fate, Letter, Strategy};

#[derive(Default)]
pub(super) struct FrameFuzzer;

impl Strategy for FrameFuzzer {
    fn says(&mut self, hand: &mut Hand, stream: StreamId, way: &Way, said: &Said) {
        let record = said.header.is_some_and(|header| header.dest.is_none());
        let times = match way {
            Way::Control { .. } if record => 2,
            // A malformed hello costs the link.
            Way::Control { .. } => 8,
            Way::Job { .. } | Way::Other => 6,
        };
        if !hand.once_in(times) {
            return hand.pass(stream, said);
        }
        hand.fired();
        let payload = bent(hand, &said.payload);
        match said.header {
            None => hand.send(stream, craft::light(said.kind, &payload)),
            Some(Header { dest: Some(_), .. }) => hand.say(stream, said.kind, &payload),
            Some(header) => {
                let header = Header { seq: header.seq.saturating_add(hand.draws.below(3)), ..header };
                let frame = craft::signed(&hand.party.identity, header, &payload);
                hand.send(stream, frame);
            }
        }
    }

    fn posts(&mut self, hand: &mut Hand, letter: &mut Letter) -> Fate {
        let payload = craft::payload_of(&letter.body).map(<[u8]>::to_vec);
        if let (Some(payload), true) = (payload, hand.once_in(2)) {
            hand.fired();
            let payload = bent(hand, &payload);
            let net = hand.party.network.id;
            match craft::reseal(&hand.party.identity, net, &letter.body, payload) {
                Some(body) => letter.body = body,
                None => craft::flip(&mut letter.body, &mut hand.draws),
            }
        }
        Fate::Sent
    }

    fn wakes(&mut self, hand: &mut Hand) {
        let seen: Vec<_> = hand.seen.iter().map(|(_, said)| said.clone()).collect();
        let peers: Vec<_> = hand.links.values().map(|(peer, _)| *peer).collect();
        let (Some(said), Some(peer)) = (hand.pick(&seen), hand.pick(&peers)) else { return };
        let Some(stream) = hand.open_job(peer) else { return };
        hand.fired();
        let payload = bent(hand, &said.payload);
        match said.header {
            Some(_) => hand.say(stream, said.kind, &payload),
            None => hand.send(stream, craft::light(said.kind, &payload)),
        }
    }
}

fn bent(hand: &mut Hand, payload: &[u8]) -> Vec<u8> {
    let mut bytes = payload.to_vec();
    match hand.draws.below(4) {
        0 => craft::random_cbor(&mut hand.draws),
        1 => {
            bytes.truncate(hand.draws.below(bytes.len() as u64 + 1) as usize);
            bytes
        }
        _ => {
            craft::flip(&mut bytes, &mut hand.draws);
            bytes
        }
    }
}
