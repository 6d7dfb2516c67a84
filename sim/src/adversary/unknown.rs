//! Speaks as later versions might: frames of unknown versions and kinds, unknown keys in known messages, some of them
//! critical, unknown feature bits, unknown paths and statuses at the FEP.
//!
//! What must hold: unknown kinds are passed over, unknown keys ignored; an unknown version or a critical key is refused;
//! nobody stops over either.

use labman_proto_core::machine::StreamId;
use labman_proto_core::wire::envelope::Header;

use super::craft::{self, Said};
use super::hand::Hand;
use super::lanes::Way;
use super::strategy::{Fate, Letter, Strategy};

#[derive(Default)]
pub(super) struct Unknown;

impl Strategy for Unknown {
    fn says(&mut self, hand: &mut Hand, stream: StreamId, way: &Way, said: &Said) {
        let control = matches!(way, Way::Control { .. });
        if !control && hand.once_in(8) {
            // Both are passed over.
            hand.fired();
            hand.send(stream, craft::light(0x9000, b"unknown"));
            hand.say(stream, 999, &[0xa0]);
        }
        let critical = hand.once_in(10);
        let extended = hand.once_in(3).then(|| craft::with_unknown_key(&said.payload, critical)).flatten();
        let Some(payload) = extended else { return hand.pass(stream, said) };
        match said.header {
            // What others signed, and what a transcript covers, stays.
            Some(header) if header.sender == hand.me() && header.dest.is_some() => {
                hand.fired();
                hand.say(stream, said.kind, &payload);
            }
            Some(header) if header.sender == hand.me() => {
                hand.fired();
                let frame = craft::signed(&hand.party.identity, header, &payload);
                hand.send(stream, frame);
            }
            Some(_) | None => hand.pass(stream, said),
        }
    }

    fn posts(&mut self, hand: &mut Hand, letter: &mut Letter) -> Fate {
        if hand.once_in(3) {
            hand.fired();
            let payload = craft::payload_of(&letter.body);
            let critical = hand.draws.below(4) == 0;
            let payload = payload.and_then(|payload| craft::with_unknown_key(payload, critical));
            let net = hand.party.network.id;
            let me = &hand.party.identity;
            match payload.and_then(|payload| craft::reseal(me, net, &letter.body, payload)) {
                Some(body) => letter.body = body,
                None if letter.to.is_some() => letter.path = "/v2/authorise".into(),
                None => letter.status = 299,
            }
        }
        Fate::Sent
    }

    fn wakes(&mut self, hand: &mut Hand) {
        let controls = hand.controls();
        let Some((control, peer)) = hand.pick(&controls) else { return };
        hand.fired();
        match hand.draws.below(8) {
            // Costs the link.
            0 => hand.send(control, craft::raw(2, 1, &[0; 200])),
            1 => {
                if let Some(stream) = hand.open_job(peer) {
                    hand.send(stream, craft::raw(7, 16, &[0; 300]));
                }
            }
            2 => {
                let header = Header { ttl_s: 60, ..hand.header(998, None) };
                let frame = craft::signed(&hand.party.identity, header, &[0xa0]);
                if let Some(stream) = hand.open_job(peer) {
                    hand.send(stream, frame);
                }
            }
            _ => hand.say(control, 1_000, &[0xa1, 0x00, 0x01]),
        }
    }
}
