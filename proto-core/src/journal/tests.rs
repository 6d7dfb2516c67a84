use super::*;
use crate::http::{RequestHead, ResponseHead, Surface};
use crate::machine::{Completion, DownReason, LinkId, OpId, Peer, ResetCode, StreamId};
use crate::store::{Row, StoreError};
use crate::time::{Time, Wall};
use alloc::boxed::Box;
use alloc::vec;
use core::net::SocketAddr;
use proptest::collection::vec as list;
use proptest::prelude::*;

fn header(machine: Config) -> Header {
    Header { build: BUILD.into(), public_key: Some(NodeId([7; 32])), machine }
}

fn a_portal() -> Config {
    let currency = "XTS".parse().unwrap();
    Config::Portal {
        config: portal::config::Config {
            network: "n".into(),
            currency,
            fees: Default::default(),
            rails: Default::default(),
            gateways_paid_every: crate::limits::GATEWAYS_PAID_EVERY,
        },
        ring: "00".into(),
        held: vec![FepKey([8; 32])],
    }
}

fn nows() -> impl Strategy<Value = Now> {
    any::<(u64, u64)>().prop_map(|(mono, wall)| Now { mono: Time(mono), wall: Wall(wall) })
}

fn heads() -> impl Strategy<Value = RequestHead> {
    (any::<String>(), any::<String>(), list(any::<(String, String)>(), 0..4))
        .prop_map(|(method, path, headers)| RequestHead { method, path, headers })
}

fn addresses() -> impl Strategy<Value = SocketAddr> {
    prop_oneof![
        any::<([u8; 4], u16)>().prop_map(SocketAddr::from),
        any::<([u8; 16], u16)>().prop_map(SocketAddr::from)
    ]
}

fn peers() -> impl Strategy<Value = Peer> {
    prop_oneof![
        (any::<([u8; 32], bool, [u8; 32])>(), proptest::option::of(addresses())).prop_map(
            |((id, dialled, binding), addr)| Peer::Mesh { node_id: NodeId(id), dialled, binding, addr }
        ),
        any::<(String, Option<String>)>().prop_map(|(token, origin)| Peer::Portman { token, origin }),
        Just(Peer::Labman),
    ]
}

fn rows() -> impl Strategy<Value = Row> {
    any::<(String, Vec<u8>)>().prop_map(|(key, value)| Row { key, value })
}

fn failures() -> impl Strategy<Value = StoreError> {
    prop_oneof![Just(StoreError::Exists), any::<String>().prop_map(StoreError::Failed)]
}

fn completions() -> impl Strategy<Value = Completion> {
    let rows = list(rows(), 0..4);
    prop_oneof![
        any::<Result<u64, String>>().prop_map(|link| Completion::Dialled(link.map(LinkId))),
        Just(Completion::Stored(Ok(()))),
        failures().prop_map(|why| Completion::Stored(Err(why))),
        rows.prop_map(|rows| Completion::Page(Ok(rows))),
        failures().prop_map(|why| Completion::Page(Err(why))),
    ]
}

/// An input that borrows: the bytes are leaked, a few a case.
fn inputs() -> impl Strategy<Value = Input<'static>> {
    let id = || any::<u64>().prop_map(StreamId);
    let link = || any::<u64>().prop_map(LinkId);
    let surface = prop_oneof![Just(Surface::Public), Just(Surface::Admin)];
    let reason = prop_oneof![Just(DownReason::Closed), Just(DownReason::TimedOut), Just(DownReason::Failed)];
    let answer = any::<(u16, Vec<(String, String)>)>();
    prop_oneof![
        (link(), peers()).prop_map(|(link, peer)| Input::LinkUp { link, peer }),
        (link(), reason).prop_map(|(link, reason)| Input::LinkDown { link, reason }),
        (id(), link()).prop_map(|(stream, link)| Input::Opened { stream, link }),
        (id(), surface, heads()).prop_map(|(stream, surface, head)| Input::Request { stream, surface, head }),
        (id(), answer).prop_map(|(stream, (status, headers))| {
            Input::Response { stream, head: ResponseHead { status, headers } }
        }),
        (id(), any::<Vec<u8>>())
            .prop_map(|(stream, bytes)| Input::Bytes { stream, bytes: Box::leak(bytes.into_boxed_slice()) }),
        id().prop_map(|stream| Input::Finished { stream }),
        (id(), any::<u32>())
            .prop_map(|(stream, code)| Input::Reset { stream, code: ResetCode::from_u32(code) }),
        any::<(u64, u32)>().prop_map(|(id, bytes)| Input::Credit { stream: StreamId(id), bytes }),
        (any::<u64>(), completions()).prop_map(|(op, done)| Input::Done(OpId(op), done)),
        Just(Input::Leave),
    ]
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    let signature = list(any::<u8>(), 64).prop_map(|bytes| <[u8; 64]>::try_from(bytes).unwrap());
    let fault =
        prop_oneof![any::<String>().prop_map(Fault::Panicked), any::<String>().prop_map(Fault::Stopped)];
    let said = any::<(u64, [u8; 32])>().prop_map(|(outputs, hash)| Said { outputs, hash });
    (list(signature, 0..3), proptest::option::of(fault), said).prop_map(|(signatures, fault, said)| Outcome {
        signatures,
        fault,
        said,
    })
}

fn calls() -> impl Strategy<Value = Call<'static>> {
    let cause = prop_oneof![
        8 => inputs().prop_map(Cause::Input),
        1 => Just(Cause::Made),
        1 => Just(Cause::Timeout),
    ];
    (nows(), cause, outcomes()).prop_map(|(now, cause, outcome)| Call { now, cause, outcome })
}

fn encoded(call: &Call<'_>) -> Vec<u8> {
    let mut body = Vec::new();
    put_call(call.now, &call.cause, &mut body);
    put_outcome(&call.outcome, &mut body);
    body
}

/// A decoder that has read a portal's header.
fn in_a_portal() -> Decoder {
    let (mut decoder, mut body) = (Decoder::default(), Vec::new());
    put_header(&header(a_portal()), &mut body);
    decoder.record(&body).unwrap();
    decoder
}

proptest! {
    #[test]
    fn a_call_comes_back_as_it_was(call in calls()) {
        let body = encoded(&call);
        match Decoder::default().record(&body).unwrap() {
            Record::Call(back) => prop_assert_eq!(back, call),
            _ => prop_assert!(false, "another kind of record"),
        }
    }

    #[test]
    fn a_life_comes_back_as_it_was(
        now in nows(), seed in any::<[u8; 32]>(), outcome in outcomes(),
        rows in list((0..Portal::TABLES.len(), rows()), 0..5),
    ) {
        let rows: Vec<_> = rows.into_iter().map(|(table, row)| (Portal::TABLES[table], row)).collect();
        let mut body = Vec::new();
        put_life(now, Seed(seed), &Snapshot { rows: rows.clone() }, &outcome, &mut body);
        match in_a_portal().record(&body).unwrap() {
            Record::Life(life) => {
                prop_assert_eq!((life.now, life.seed.0, life.outcome), (now, seed, outcome));
                prop_assert_eq!(life.snapshot.rows, rows);
            }
            _ => prop_assert!(false, "another kind of record"),
        }
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(body in list(any::<u8>(), 0..400), kind in 0u8..5) {
        let _ = in_a_portal().record(&body);
        let _ = in_a_portal().record(&[&[kind], body.as_slice()].concat());
    }

    /// What was altered is refused, or it is another record: no two byte strings mean the same.
    #[test]
    fn a_record_has_one_encoding(call in calls(), at in any::<prop::sample::Index>(), flip in 1u8..=255) {
        let mut body = encoded(&call);
        let at = at.index(body.len());
        body[at] ^= flip;
        if let Ok(Record::Call(other)) = Decoder::default().record(&body) {
            prop_assert_eq!(&encoded(&other), &body);
            prop_assert_ne!(other, call);
        }
    }

    #[test]
    fn a_record_cut_short_or_with_more_behind_it_is_refused(call in calls(), at in any::<prop::sample::Index>()) {
        let mut body = encoded(&call);
        prop_assert!(Decoder::default().record(&body[..at.index(body.len())]).is_err());
        body.push(0);
        prop_assert!(Decoder::default().record(&body).is_err());
    }

    #[test]
    fn a_frame_tells_damage_and_a_wrong_place(
        number in any::<u64>(), body in list(any::<u8>(), 1..100),
        at in any::<prop::sample::Index>(), flip in 1u8..=255,
    ) {
        let framed = frame(number, &body).unwrap();
        let (prefix, mut body) = (<[u8; PREFIX]>::try_from(&framed[..PREFIX]).unwrap(), body);
        prop_assert_eq!(body_length(&prefix), Some(body.len()));
        prop_assert!(is_intact(number, &prefix, &body));
        prop_assert!(!is_intact(number.wrapping_add(1), &prefix, &body));
        let at = at.index(body.len());
        body[at] ^= flip;
        prop_assert!(!is_intact(number, &prefix, &body));
    }
}

#[test]
fn a_count_of_items_that_are_not_there_allocates_nothing() {
    let (mut body, mut nothing) = (Vec::new(), Vec::new());
    put_life(Now::default(), Seed([0; 32]), &Snapshot::default(), &an_outcome(), &mut body);
    let count_at = 1 + 16 + 32;
    body[count_at..count_at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(in_a_portal().record(&body).is_err());
    nothing.extend_from_slice(&u32::MAX.to_le_bytes());
    nothing.extend_from_slice(&[0; 8]);
    assert_eq!(body_length(&nothing.try_into().unwrap()), None, "no record is that long");
}

#[test]
fn a_table_that_the_machine_does_not_have_is_refused() {
    let row = Row { key: "k".into(), value: b"{}".to_vec() };
    let snapshot = Snapshot { rows: vec![(Table::live("somebody_elses"), row)] };
    let mut body = Vec::new();
    put_life(Now::default(), Seed([0; 32]), &snapshot, &an_outcome(), &mut body);
    let refused = in_a_portal().record(&body).err().expect("no such table");
    assert_eq!(refused.what, "a table that this kind of machine does not have");
}

#[test]
fn a_header_brings_back_the_whole_config() {
    let portman = portman::config::Config {
        labman_url: "ws://127.0.0.1:8765/".into(),
        token: "t".into(),
        runtime_url: "http://127.0.0.1:1/v1".into(),
        runtime_key: None,
        slots: 4,
        context_length: 4096,
    };
    let mut body = Vec::new();
    put_header(&header(Config::Portman(portman)), &mut body);
    let Ok(Record::Header(back)) = Decoder::default().record(&body) else { panic!("no header") };
    let mut again = Vec::new();
    put_header(&back, &mut again);
    assert_eq!(again, body);
}

fn an_outcome() -> Outcome {
    Outcome { signatures: Vec::new(), fault: None, said: Tally::default().said() }
}
