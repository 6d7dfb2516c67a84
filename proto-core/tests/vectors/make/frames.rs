//! The envelope of directed frames: lengths, version, who it is from and for, its number, and what is not looked at.

use labman_proto_core::identity::NetId;
use labman_proto_core::limits::CONTROL_FRAME;
use labman_proto_core::time::Wall;
use labman_proto_core::wire::cbor;
use labman_proto_core::wire::envelope::{Header, Kind, OVERHEAD};

use super::{Suite, to_gateway};
use crate::craft::{bent, header, signed};
use crate::format::File;
use crate::keys::{GATEWAY, OTHER, PROVIDER, node};
use crate::samples::receipt_ack;

const WHAT: &str = "directed";

pub(crate) fn make() -> File {
    let mut suite = Suite::new("Directed frames, whatever they say: protocol.md, sections 2 and 3.");
    let kind = Kind::ReceiptAck as u16;
    let payload = cbor::encode(&receipt_ack());
    let frame = |header: Header| signed(PROVIDER, header, &payload);
    let good = frame(header(kind));

    suite.good(WHAT, to_gateway(0), "the first on its stream", &good);
    let seq = |seq| frame(Header { seq, ..header(kind) });
    suite.good(WHAT, to_gateway(6), "a number one above the last", seq(7));
    suite.good(WHAT, to_gateway(6), "a gap in the numbers", seq(1_000));
    suite.good(WHAT, to_gateway(u64::MAX - 1), "the last number there is", seq(u64::MAX));
    suite.bad("frame.repeated", WHAT, to_gateway(7), "the number of the last one", seq(7));
    suite.bad("frame.repeated", WHAT, to_gateway(7), "a number below the last", seq(3));
    suite.bad("frame.repeated", WHAT, to_gateway(0), "number 0, before the first", seq(0));

    let old = Header { incarnation: 1, issued: Wall(0), ..header(kind) };
    suite.good(WHAT, to_gateway(0), "issued_ms 0 and incarnation 1 are not looked at", frame(old));
    let late = Header { incarnation: u64::MAX, issued: Wall(u64::MAX), ttl_s: u32::MAX, ..header(kind) };
    suite.good(WHAT, to_gateway(0), "nor is a time in the far future, or a ttl_s", frame(late));
    suite.good(WHAT, to_gateway(0), "an unknown kind is dropped", signed(PROVIDER, header(0x7fff), b"\xa0"));
    suite.good(
        WHAT,
        to_gateway(0),
        "an unknown kind need not hold CBOR",
        signed(PROVIDER, header(0x0400), b"\xff\xff"),
    );
    suite.good(WHAT, to_gateway(0), "an unknown kind may be empty", signed(PROVIDER, header(0x0401), b""));
    let most = vec![0; CONTROL_FRAME - OVERHEAD];
    suite.good(
        WHAT,
        to_gateway(0),
        "as long as a control frame may be",
        signed(PROVIDER, header(0x0402), &most),
    );

    let other_net = Header { net_id: NetId::of("another network"), ..header(kind) };
    suite.bad("frame.network", WHAT, to_gateway(0), "another network", frame(other_net));
    let net = NetId([0; 8]);
    suite.bad(
        "frame.network",
        WHAT,
        to_gateway(0),
        "net id zero",
        frame(Header { net_id: net, ..header(kind) }),
    );
    let to = |dest| frame(Header { dest, ..header(kind) });
    suite.bad("frame.destination", WHAT, to_gateway(0), "for somebody else", to(Some(node(OTHER))));
    suite.bad("frame.destination", WHAT, to_gateway(0), "for its own sender", to(Some(node(PROVIDER))));
    suite.bad(
        "frame.destination",
        WHAT,
        to_gateway(0),
        "a broadcast where a directed frame must be",
        to(None),
    );
    let by = |party| signed(party, header(kind), &payload);
    suite.bad("frame.sender", WHAT, to_gateway(0), "signed by a third party", by(OTHER));
    suite.bad("frame.sender", WHAT, to_gateway(0), "signed by the receiver", by(GATEWAY));

    let mut named = by(OTHER);
    named[4 + 11..4 + 43].copy_from_slice(&node(PROVIDER).0);
    suite.bad("frame.signature", WHAT, to_gateway(0), "says the peer's name, signed with another key", named);
    let mut copied = seq(9);
    let end = copied.len() - 64;
    copied[end..].copy_from_slice(&good[good.len() - 64..]);
    suite.bad(
        "frame.signature",
        WHAT,
        to_gateway(0),
        "the signature of another frame of the same sender",
        copied,
    );
    let object_domain = {
        let mut frame = good.clone();
        let message = [crate::craft::OBJECT, &frame[4..end]].concat();
        frame[end..].copy_from_slice(&crate::craft::raw_sign(PROVIDER, &message));
        frame
    };
    suite.bad("frame.signature", WHAT, to_gateway(0), "signed in the domain of objects", object_domain);
    let no_domain = {
        let mut frame = good.clone();
        let signature = crate::craft::raw_sign(PROVIDER, &good[4..end]);
        frame[end..].copy_from_slice(&signature);
        frame
    };
    suite.bad("frame.signature", WHAT, to_gateway(0), "signed without a domain", no_domain);
    let with_len = {
        let mut frame = good.clone();
        let signature = crate::craft::raw_sign(PROVIDER, &[crate::craft::MESH, &good[..end]].concat());
        frame[end..].copy_from_slice(&signature);
        frame
    };
    suite.bad("frame.signature", WHAT, to_gateway(0), "signed with its len in front", with_len);
    let mut other_kind = good.clone();
    other_kind[6] = Kind::ReceiptDelivery as u8;
    suite.bad("frame.signature", WHAT, to_gateway(0), "another kind under the same signature", other_kind);
    for (what, at) in [("incarnation", 75), ("seq", 83), ("issued_ms", 91), ("ttl_s", 99)] {
        let mut changed = good.clone();
        changed[4 + at + 1] ^= 1;
        suite.bad(
            "frame.signature",
            WHAT,
            to_gateway(0),
            format!("another {what} under the same signature"),
            changed,
        );
    }

    for version in [0, 2, 255] {
        let frame = bent(&good, |bytes| bytes[4] = version);
        suite.bad("frame.version", WHAT, to_gateway(0), format!("version {version}, well signed"), frame);
    }
    let payload_len =
        |len: u32| bent(&good, |bytes| bytes[4 + 103..4 + 107].copy_from_slice(&len.to_be_bytes()));
    let size = payload.len() as u32;
    suite.bad(
        "frame.payload-length",
        WHAT,
        to_gateway(0),
        "payload_len one too small, well signed",
        payload_len(size - 1),
    );
    suite.bad(
        "frame.payload-length",
        WHAT,
        to_gateway(0),
        "payload_len one too large, well signed",
        payload_len(size + 1),
    );
    suite.bad(
        "frame.payload-length",
        WHAT,
        to_gateway(0),
        "payload_len 2^32 - 1, well signed",
        payload_len(u32::MAX),
    );
    let len = |len: u32| [&len.to_be_bytes(), &good[4..]].concat();
    let whole = (good.len() - 4) as u32;
    suite.bad("frame.length", WHAT, to_gateway(0), "a byte is missing of it", &good[..good.len() - 1]);
    suite.bad(
        "frame.payload-length",
        WHAT,
        to_gateway(0),
        "len one too small",
        &len(whole - 1)[..good.len() - 1],
    );
    suite.bad("frame.length", WHAT, to_gateway(0), "len one too large", len(whole + 1));
    for (name, value) in [
        ("0", 0),
        ("2", 2),
        ("170, too short for a signed frame", 170),
        ("262,145", 262_145),
        ("2^32 - 1", u32::MAX),
    ] {
        suite.bad("frame.length", WHAT, to_gateway(0), format!("len {name}"), len(value));
    }
    let cap = |kind: u16, len: u32| [&len.to_be_bytes()[..], &[1], &kind.to_be_bytes(), &[0; 16]].concat();
    suite.bad(
        "frame.length",
        WHAT,
        to_gateway(0),
        "a byte above the cap of a control frame",
        cap(kind, 65_533),
    );
    suite.bad(
        "frame.length",
        WHAT,
        to_gateway(0),
        "a byte above the cap of an unknown signed kind",
        cap(0x7fff, 65_533),
    );
    suite.bad(
        "cbor.cut-short",
        WHAT,
        to_gateway(0),
        "an empty payload of a known kind",
        signed(PROVIDER, header(kind), b""),
    );
    suite.0
}
