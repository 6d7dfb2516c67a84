//! Alters what others signed, and signs what is not its own: other bytes under an old signature, another's name over its
//! own, frames of another network, for another node, under another kind, papers by keys that nobody knows.
//!
//! What must hold: a record that does not verify changes nobody's view and costs nobody a link; a directed frame ends
//! its stream, on the control stream the forger's own link; no paper that the right party has not signed is believed.

use labman_proto_core::identity::NetId;
use labman_proto_core::machine::StreamId;
use labman_proto_core::wire::cbor::{self, Blob};
use labman_proto_core::wire::envelope::{Header, Kind};
use labman_proto_core::wire::mesh::ReceiptDelivery;

use super::craft::{self, Said};
use super::hand::Hand;
use super::lanes::Way;
use super::strategy::{Fate, Letter, Strategy};

/// Where a signed frame names its sender, and its number.
const SENDER: std::ops::Range<usize> = 15..47;
const SEQ: std::ops::Range<usize> = 87..95;

#[derive(Default)]
pub(super) struct Forger;

impl Strategy for Forger {
    fn says(&mut self, hand: &mut Hand, stream: StreamId, way: &Way, said: &Said) {
        let job = matches!(way, Way::Job { .. });
        match said.header {
            Some(header) if job && hand.once_in(3) => {
                hand.fired();
                let forged = misdirected(hand, header, said);
                hand.send(stream, forged);
            }
            Some(_) if said.kind == Kind::ReceiptDelivery as u16 && hand.once_in(3) => {
                hand.fired();
                let Ok(mut delivery) = cbor::decode::<ReceiptDelivery>(&said.payload) else { return };
                craft::flip(&mut delivery.receipt.0, &mut hand.draws);
                hand.say(stream, said.kind, &cbor::encode(&delivery));
                hand.pass(stream, said);
            }
            Some(_) | None => hand.pass(stream, said),
        }
    }

    fn posts(&mut self, hand: &mut Hand, letter: &mut Letter) -> Fate {
        if hand.once_in(4) && !letter.body.is_empty() {
            hand.fired();
            let stranger = hand.new_key();
            let payload = craft::payload_of(&letter.body).map(<[u8]>::to_vec);
            let net = hand.party.network.id;
            match payload.and_then(|payload| craft::reseal(&stranger, net, &letter.body, payload)) {
                Some(body) if hand.once_in(2) => letter.body = body,
                Some(_) | None => craft::flip(&mut letter.body, &mut hand.draws),
            }
        }
        Fate::Sent
    }

    fn wakes(&mut self, hand: &mut Hand) {
        let Some(forged) = forged_record(hand) else { return };
        for (control, _) in hand.controls() {
            hand.fired();
            hand.send(control, forged.clone());
        }
        // This one costs the link it goes on.
        if hand.once_in(12)
            && let Some((control, _)) = hand.controls().first()
        {
            let header = hand.header(Kind::ReceiptAck as u16, Some(hand.me()));
            let delivery = cbor::encode(&ReceiptDelivery { receipt: Blob(Vec::new()) });
            let frame = craft::signed(&hand.party.identity, header, &delivery);
            hand.send(*control, frame);
        }
    }
}

/// The frame, but not by, for, or of what it should be.
fn misdirected(hand: &mut Hand, header: Header, said: &Said) -> Vec<u8> {
    let elsewhere = match hand.draws.below(4) {
        0 => {
            let mut bytes = said.bytes.clone();
            craft::spoil(&mut bytes, &mut hand.draws);
            return bytes;
        }
        1 => Header { net_id: NetId::of("another"), ..header },
        2 => Header { dest: Some(hand.me()), ..header },
        _ => Header { kind: Kind::ProxyError as u16, ..header },
    };
    craft::signed(&hand.party.identity, elsewhere, &said.payload)
}

/// Somebody's record, made newer than it is by somebody who can't sign it.
fn forged_record(hand: &mut Hand) -> Option<Vec<u8>> {
    let me = hand.me();
    let records =
        hand.seen.iter().filter(|(_, said)| said.header.is_some_and(|header| header.dest.is_none()));
    let others: Vec<Said> =
        records.filter(|(_, said)| !said.is_record_of(me)).map(|(_, said)| said.clone()).collect();
    let record = hand.pick(&others)?;
    let header = record.header?;
    let newer = header.seq.saturating_add(1 + hand.draws.below(1_000)).to_be_bytes();
    Some(match hand.draws.below(3) {
        0 => {
            let mut bytes = record.bytes;
            bytes.get_mut(SEQ)?.copy_from_slice(&newer);
            bytes
        }
        1 => {
            // Another's name, our signature.
            let mut bytes = craft::signed(
                &hand.party.identity,
                Header { seq: u64::from_be_bytes(newer), ..header },
                &record.payload,
            );
            bytes.get_mut(SENDER)?.copy_from_slice(&header.sender.0);
            bytes
        }
        _ => {
            let other = Header { net_id: NetId::of("another"), seq: u64::MAX, ..header };
            craft::signed(&hand.party.identity, other, &record.payload)
        }
    })
}
