//! Sends as much as it can: frames at their cap and just above, lengths that promise more than comes, records padded to
//! the brim, papers and answers of megabytes, heads without end.
//!
//! What must hold: what is above a cap ends its stream (on the control stream its link, and so do records); what is at
//! it is taken; nobody holds more of it than one window and one frame, nor of an answer more than its limit.

use labman_proto_core::limits::{BODY_FRAME, CONTROL_FRAME, GOSSIP_FRAME, HTTP_ANSWER, PORTAL_BODY};
use labman_proto_core::machine::StreamId;
use labman_proto_core::wire::cbor;
use labman_proto_core::wire::envelope::{Header, Kind, OVERHEAD};
use labman_proto_core::wire::mesh::PeerRecord;
use labman_proto_core::wire::topic::Topics;

use super::craft::{self, Said};
use super::hand::Hand;
use super::lanes::Way;
use super::strategy::{Fate, Letter, Strategy};

#[derive(Default)]
pub(super) struct Oversizer;

impl Strategy for Oversizer {
    fn says(&mut self, hand: &mut Hand, stream: StreamId, way: &Way, said: &Said) {
        if matches!(way, Way::Job { .. }) && hand.once_in(8) {
            hand.fired();
            let frame = outsize(hand, said);
            return hand.send(stream, frame);
        }
        hand.pass(stream, said);
    }

    fn posts(&mut self, hand: &mut Hand, letter: &mut Letter) -> Fate {
        if hand.once_in(4) {
            hand.fired();
            match hand.draws.below(3) {
                0 => letter.body.resize(PORTAL_BODY + 1, 0),
                1 => letter.body.resize(HTTP_ANSWER + 1 + hand.draws.below(1 << 20) as usize, b'x'),
                _ => letter.headers.extend((0..500).map(|n| (format!("x-filler-{n}"), "y".repeat(200)))),
            }
        }
        Fate::Sent
    }

    fn wakes(&mut self, hand: &mut Hand) {
        let Some((stream, peer)) = hand.controls().first().copied() else { return };
        hand.fired();
        if hand.once_in(10) {
            // Above its cap: this costs the link.
            let record = padded_record(hand, GOSSIP_FRAME + 1);
            return hand.send(stream, record);
        }
        let record = padded_record(hand, GOSSIP_FRAME);
        hand.send(stream, record);
        if let Some(job) = hand.open_job(peer) {
            let frame = match hand.draws.below(3) {
                0 => craft::light(Kind::Body as u16, &vec![0; BODY_FRAME - 7]),
                1 => craft::light(Kind::Body as u16, &vec![0; BODY_FRAME - 6]),
                // It promises four gigabytes.
                _ => [&u32::MAX.to_be_bytes()[..], &[1, 0, 16]].concat(),
            };
            hand.send(job, frame);
        }
    }
}

/// A frame at its cap or above, of the kind that would come now.
fn outsize(hand: &mut Hand, said: &Said) -> Vec<u8> {
    let (cap, front) = match said.header {
        Some(_) => (CONTROL_FRAME, OVERHEAD),
        None => (BODY_FRAME, 7),
    };
    let mut payload = said.payload.clone();
    payload.resize(cap - front + hand.draws.below(2) as usize, 0);
    match said.header {
        Some(header) => craft::signed(&hand.party.identity, header, &payload),
        None => craft::light(said.kind, &payload),
    }
}

/// A record of our own that is so many bytes long. Only its length is odd.
fn padded_record(hand: &mut Hand, length: usize) -> Vec<u8> {
    let me = hand.me();
    let own = hand.seen.iter().filter_map(|(_, said)| said.header.filter(|_| said.is_record_of(me)));
    let seq = own.map(|header| header.seq).max().unwrap_or(0).saturating_add(1);
    let record = |filler: usize| {
        let filler = "z".repeat(filler);
        let addresses = vec![filler];
        let public_endpoint = None;
        cbor::encode(&PeerRecord {
            gateway: true,
            provider: true,
            addresses,
            public_endpoint,
            feps: Vec::new(),
            witnesses: Vec::new(),
            interest: Topics::All,
        })
    };
    let room = length - OVERHEAD;
    let filler = room - (record(room - 64).len() - (room - 64));
    let header = Header { seq, ..hand.header(Kind::PeerRecord as u16, None) };
    craft::signed(&hand.party.identity, header, &record(filler))
}
