//! Mesh frames by name, with what a person wants to know of each. Signatures are not looked at.

use labman_proto_core::economics::Counts;
use labman_proto_core::wire::cbor;
use labman_proto_core::wire::envelope::{Frame, Kind, OVERHEAD};
use labman_proto_core::wire::mesh::{
    About, Announce, Busy, CapabilityRecord, Chunk, Distance, Distances, Errand, ErrandDone, FepDescriptor,
    Hello, Invite, Key, Load, Market, PeerRecord, ProxyEnd, ProxyError, ProxyMark, ProxyRequest, ReceiptAck,
    ReceiptDelivery, Refusal, Shuffle, Suspicion, Taken, Want,
};

use super::line::{Part, clip};
use super::names::Names;
use super::objects;

const SIGNATURE: usize = 64;
const SHOWN: usize = 200;

pub(super) fn part(frame: &Frame, names: &mut Names) -> Part {
    let (number, payload) = match frame {
        Frame::Light { kind, payload } => (*kind, payload.as_slice()),
        Frame::Signed(signed) => {
            let bytes = signed.bytes();
            let payload = bytes.get(OVERHEAD - SIGNATURE..bytes.len() - SIGNATURE).unwrap_or_default();
            (signed.header().kind, payload)
        }
    };
    let Some(kind) = Kind::from_u16(number) else {
        return Part::new(&format!("kind {number}"), Vec::new(), format!("{} bytes", payload.len()));
    };
    let named = format!("{kind:?}");
    match told(kind, frame, payload, names) {
        Some((about, text)) => Part::new(&named, about, text),
        None => Part::new(&named, Vec::new(), "that can't be read".into()),
    }
}

/// Keys of a message that are shown.
const KEYS_SHOWN: usize = 4;

fn told(kind: Kind, frame: &Frame, payload: &[u8], names: &mut Names) -> Option<(Vec<String>, String)> {
    Some(match kind {
        Kind::Hello => (Vec::new(), cbor::decode::<Hello>(payload).ok()?.software),
        Kind::PeerRecord => {
            let record: PeerRecord = cbor::decode(payload).ok()?;
            let roles = [(record.gateway, "gateway"), (record.provider, "provider")];
            let roles: Vec<_> = roles.iter().filter(|role| role.0).map(|role| role.1).collect();
            (Vec::new(), format!("of {}: {}", origin(frame, names), roles.join(", ")))
        }
        Kind::CapabilityRecord => {
            let record: CapabilityRecord = cbor::decode(payload).ok()?;
            let slugs = record.hosted.iter().filter_map(|hosted| objects::slug(&hosted.offer.0));
            let slugs: Vec<_> = slugs.collect();
            (Vec::new(), format!("of {}: {}", origin(frame, names), slugs.join(", ")))
        }
        Kind::Announce => {
            let marks = cbor::decode::<Announce>(payload).ok()?.marks;
            (
                Vec::new(),
                format!("{} records: {}", marks.len(), keys(marks.iter().map(|mark| mark.key), names)),
            )
        }
        Kind::Want => {
            let wanted = cbor::decode::<Want>(payload).ok()?.keys;
            (Vec::new(), format!("{} records: {}", wanted.len(), keys(wanted.into_iter(), names)))
        }
        Kind::Prune => (Vec::new(), "announce only".into()),
        Kind::Load => {
            let busy = cbor::decode::<Load>(payload).ok()?.busy;
            let told = |one: &Busy| format!("{} of {}, {} its own", one.jobs, one.slug, one.yours);
            let busy: Vec<String> = busy.iter().map(told).collect();
            (Vec::new(), format!("busy: {}", busy.join(", ")))
        }
        Kind::Market => {
            let wanted = cbor::decode::<Market>(payload).ok()?.wanted;
            (Vec::new(), format!("{} models are asked for", wanted.len()))
        }
        Kind::FepDescriptor => {
            let FepDescriptor { descriptor, .. } = cbor::decode(payload).ok()?;
            (Vec::new(), objects::part(&descriptor.0, names)?.text)
        }
        Kind::Distances => {
            let trees = cbor::decode::<Distances>(payload).ok()?.trees;
            let far = |one: &Distance| format!("{} links from {}", one.links, names.node_name(one.root));
            (Vec::new(), trees.iter().map(far).collect::<Vec<_>>().join(", "))
        }
        Kind::Invite => {
            let Invite { hops, invitation } = cbor::decode(payload).ok()?;
            let part = objects::part(&invitation.0, names)?;
            (Vec::new(), format!("{}, {hops} hops left", part.text))
        }
        Kind::Shuffle => {
            let peers = cbor::decode::<Shuffle>(payload).ok()?.peers.len();
            (Vec::new(), format!("{peers} peers"))
        }
        Kind::Departure => (Vec::new(), format!("of {}", origin(frame, names))),
        Kind::Suspicion => {
            let suspicion: Suspicion = cbor::decode(payload).ok()?;
            let subject = names.node_name(suspicion.subject);
            (Vec::new(), format!("{} misses {subject}", origin(frame, names)))
        }
        Kind::Digest => (Vec::new(), "of all records".into()),
        Kind::ProxyRequest => {
            let request: ProxyRequest = cbor::decode(payload).ok()?;
            let id = request.request_id;
            let text = format!("req_{id}, attempt {}, body of {} bytes", request.attempt, request.body_len);
            (names.request(id), text)
        }
        Kind::ProxyMark => {
            let mark: ProxyMark = cbor::decode(payload).ok()?;
            let (id, counts) = (mark.request_id, tokens(mark.counts));
            (
                names.request(id),
                format!("req_{id}, attempt {}, {} chunks, {counts}", mark.attempt, mark.chunks),
            )
        }
        Kind::ProxyEnd => {
            let end: ProxyEnd = cbor::decode(payload).ok()?;
            let broken = end.broken.map(|refusal| format!(", broken: {}", why(&refusal)));
            let part = objects::part(&end.statement.0, names)?;
            (part.about, part.text + &broken.unwrap_or_default())
        }
        Kind::StreamAck => {
            let part = objects::part(&cbor::decode::<Taken>(payload).ok()?.ack.0, names)?;
            (part.about, part.text)
        }
        Kind::ProxyError => {
            let error: ProxyError = cbor::decode(payload).ok()?;
            let (id, refusal) = (error.request_id, why(&error.refusal));
            let released = if error.release.is_some() { ", released" } else { "" };
            (names.request(id), format!("req_{id}, attempt {}, {refusal}{released}", error.attempt))
        }
        Kind::ReceiptDelivery => {
            let receipt = cbor::decode::<ReceiptDelivery>(payload).ok()?.receipt;
            let part = objects::part(&receipt.0, names)?;
            (part.about, part.text)
        }
        Kind::ReceiptAck => {
            let ack: ReceiptAck = cbor::decode(payload).ok()?;
            let id = ack.receipt_id.to_string();
            let refused = ack.refused.map(|why| format!(", refused: {}", clip(&why, SHOWN)));
            (names.about(&id).into_iter().collect(), format!("receipt {id}{}", refused.unwrap_or_default()))
        }
        Kind::Errand => {
            let errand: Errand = cbor::decode(payload).ok()?;
            let part = objects::part(&errand.object.0, names)?;
            (part.about, format!("{}: {}", errand.call.path(), part.text))
        }
        Kind::ErrandDone => {
            let part = objects::part(&cbor::decode::<ErrandDone>(payload).ok()?.object.0, names)?;
            (part.about, part.text)
        }
        Kind::Body => (Vec::new(), format!("{} bytes", payload.len())),
        Kind::Chunk => {
            let chunk: Chunk = cbor::decode(payload).ok()?;
            let data = String::from_utf8_lossy(&chunk.data.0);
            (Vec::new(), format!("{}, {}", tokens(chunk.counts), clip(&data, SHOWN)))
        }
    })
}

/// A few of them.
fn keys(keys: impl Iterator<Item = Key>, names: &Names) -> String {
    let key = |key: Key| match key.about {
        About::Peer => format!("PeerRecord of {}", names.node_name(key.origin)),
        About::Capability => format!("CapabilityRecord of {}", names.node_name(key.origin)),
        About::Departure => format!("Departure of {}", names.node_name(key.origin)),
        About::Suspicion => format!("Suspicion by {}", names.node_name(key.origin)),
    };
    keys.map(key).take(KEYS_SHOWN).collect::<Vec<_>>().join(", ")
}

/// Whose record it is, whoever passed it on.
fn origin(frame: &Frame, names: &Names) -> String {
    match frame {
        Frame::Signed(signed) => names.node_name(signed.header().sender),
        Frame::Light { .. } => "nobody".into(),
    }
}

fn why(refusal: &Refusal) -> String {
    format!("{:?}: {}", refusal.code, clip(&refusal.message, SHOWN))
}

pub(super) fn tokens(counts: Counts) -> String {
    format!("{} tokens in, {} out", counts.input, counts.output)
}
