//! Says different things to different neighbours under one number: two of its records with the same (incarnation, seq),
//! with other addresses, other prices, other models.
//!
//! What must hold: each node keeps one of the two and passes on only what is news to it, so the storm dies out; whoever
//! was told another price is refused by the provider's own books, and nobody else pays for that.

use labman_proto_core::machine::StreamId;
use labman_proto_core::money::Micros;
use labman_proto_core::wire::cbor;
use labman_proto_core::wire::envelope::Kind;
use labman_proto_core::wire::mesh::{CapabilityRecord, Hosted, PeerRecord};
use labman_proto_core::wire::object;
use labman_proto_core::wire::portal::Offer;

use super::craft::{self, Said};
use super::hand::Hand;
use super::lanes::Way;
use super::strategy::Strategy;

#[derive(Default)]
pub(super) struct Equivocator;

impl Strategy for Equivocator {
    fn says(&mut self, hand: &mut Hand, stream: StreamId, _: &Way, said: &Said) {
        if said.is_record_of(hand.me())
            && hand.once_in(2)
            && let Some(other) = other_version(hand, said)
        {
            hand.fired();
            // One neighbour hears this version only, another both, in either order.
            match hand.draws.below(3) {
                0 => hand.send(stream, other),
                1 => {
                    hand.send(stream, other);
                    hand.pass(stream, said);
                }
                _ => {
                    hand.pass(stream, said);
                    hand.send(stream, other);
                }
            }
            return;
        }
        hand.pass(stream, said);
    }

    fn wakes(&mut self, hand: &mut Hand) {
        let me = hand.me();
        let own: Vec<Said> =
            hand.seen.iter().map(|(_, said)| said).filter(|said| said.is_record_of(me)).cloned().collect();
        let Some(mut said) = hand.pick(&own) else { return };
        // A new number now and then, or nobody would look at it.
        if let Some(header) = said.header.as_mut() {
            header.seq = header.seq.saturating_add(hand.draws.below(2));
        }
        for (control, _) in hand.controls() {
            if let Some(other) = other_version(hand, &said) {
                hand.fired();
                hand.send(control, other);
            }
        }
    }
}

/// The same number over something else.
fn other_version(hand: &mut Hand, said: &Said) -> Option<Vec<u8>> {
    let payload = match said.kind {
        kind if kind == Kind::PeerRecord as u16 => {
            let mut record: PeerRecord = cbor::decode(&said.payload).ok()?;
            record.addresses = vec![format!("[2600::{:x}]:4433", hand.draws.below(256))];
            record.gateway ^= hand.once_in(2);
            cbor::encode(&record)
        }
        kind if kind == Kind::CapabilityRecord as u16 => {
            let mut record: CapabilityRecord = cbor::decode(&said.payload).ok()?;
            let hosted = core::mem::take(&mut record.hosted)
                .into_iter()
                .filter_map(|hosted| repriced(hand, hosted))
                .collect();
            cbor::encode(&CapabilityRecord { hosted, ..record })
        }
        _ => return None,
    };
    Some(craft::signed(&hand.party.identity, said.header?, &payload))
}

fn repriced(hand: &mut Hand, hosted: Hosted) -> Option<Hosted> {
    let network = hand.party.network;
    let mut offer = object::open::<Offer>(network, None, &hosted.offer.0).ok()?.content;
    offer.price.output_per_mtok = Micros(hand.draws.below(2_000_000) as i64);
    offer.max_output = offer.max_output.saturating_add(hand.draws.below(100) as u32);
    let offer = object::seal(&hand.party.identity, network.id, offer).bytes;
    Some(Hosted { offer, slots: hand.draws.below(1_000) as u32, queue: 0 })
}
