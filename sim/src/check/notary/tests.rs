//! Papers that may go out, and the same ones at the wrong moment.

use labman_proto_core::economics::Counts;
use labman_proto_core::identity::Identity;
use labman_proto_core::machine::{OpId, StreamId};
use labman_proto_core::store::{Row, Table, Write};
use labman_proto_core::time::Wall;
use labman_proto_core::wire::envelope::light;
use labman_proto_core::wire::ids::AuthId;
use labman_proto_core::wire::mesh::Transcript;
use labman_proto_core::wire::object;
use labman_proto_core::wire::portal::End;

use super::*;
use crate::disk::Request;
use crate::tag;

fn me() -> Identity {
    tag::identity(&[7; 32])
}

fn notary() -> Notary {
    let hosts = ["p", "q"].map(|host| (host.to_owned(), Some(me().node_id())));
    let watched = Watched { hosts: hosts.into(), nodes: BTreeSet::from([me().node_id()]) };
    Notary::new(me().network("n"), FepId([9; 32]), BTreeSet::from([[9; 32]]), watched)
}

fn frame(kind: Kind, dest: Option<NodeId>, seq: u64, payload: &[u8]) -> Output {
    let header = Header {
        kind: kind as u16,
        net_id: me().network("n").id,
        sender: me().node_id(),
        dest,
        incarnation: 1,
        seq,
        issued: Wall(1_000),
        ttl_s: 0,
    };
    let frame = SignedFrame::sign(&me(), header, payload);
    Output::Send { stream: StreamId(1), bytes: frame.bytes().to_vec() }
}

fn acknowledgement() -> Output {
    let ack = ReceiptAck { receipt_id: ReceiptId([3; 16]), refused: None };
    frame(Kind::ReceiptAck, Some(NodeId([2; 32])), 1, &cbor::encode(&ack))
}

fn disk_with(table: Table, key: &str, value: &str) -> Disk {
    let mut disk = Disk::default();
    let row = Row { key: key.into(), value: value.into() };
    disk.start(OpId(1), Request::Store(vec![Write::Put(table, row)]));
    disk.finish();
    disk
}

#[test]
fn a_receipt_may_be_acknowledged_once_it_is_on_the_disk_and_not_before() {
    let id = ReceiptId([3; 16]).to_string();
    let found = notary().saw("p", &Disk::default(), &acknowledgement());
    assert!(found.is_some_and(|found| found.contains("I6: acknowledged")));
    for table in ["receipts_open", "receipts_paid"] {
        let disk = disk_with(Table::history(table), &format!("007-{id}"), "{}");
        assert_eq!(notary().saw("p", &disk, &acknowledgement()), None, "{table}");
    }
    assert_eq!(notary().saw("liar", &Disk::default(), &acknowledgement()), None);
}

#[test]
fn a_record_may_be_passed_on_but_not_differ_under_the_same_number() {
    let (mut notary, disk) = (notary(), Disk::default());
    for host in ["p", "q"] {
        assert_eq!(notary.saw(host, &disk, &frame(Kind::PeerRecord, None, 1, b"one")), None);
    }
    assert_eq!(notary.saw("p", &disk, &frame(Kind::PeerRecord, None, 2, b"another")), None);
    let found = notary.saw("p", &disk, &frame(Kind::PeerRecord, None, 1, b"another"));
    assert!(found.is_some_and(|found| found.contains("are both 1/1")));
}

#[test]
fn an_attempt_is_stated_once_and_only_when_that_is_on_disk() {
    let network = me().network("n");
    let said = |output: u32| {
        let counts = Counts { input: 1, cached: 0, output };
        let said = UsageStatement {
            fep_id: FepId([1; 32]),
            auth_id: AuthId([4; 16]),
            attempt: 0,
            counts,
            end: End::Complete,
            ack: None,
            chunks: 0,
            transcript: Transcript::default().hash(),
            stated_ms: 0,
        };
        let statement = object::seal(&me(), network.id, said).bytes;
        let end = cbor::encode(&ProxyEnd { statement, broken: None });
        Output::Send { stream: StreamId(1), bytes: light(Kind::ProxyEnd, &end) }
    };
    let key = format!("{}:0", AuthId([4; 16]));
    let row = |stated: &str| {
        disk_with(Table::live("authorizations"), &key, &format!(r#"{{"statement":{stated}}}"#))
    };
    let mut notary = notary();
    let found = notary.saw("p", &row("null"), &said(5));
    assert!(found.is_some_and(|found| found.contains("stated what was delivered")));
    assert_eq!(notary.saw("p", &row(r#""00""#), &said(5)), None);
    assert_eq!(notary.saw("p", &row(r#""00""#), &said(5)), None, "the same again");
    let found = notary.saw("p", &row(r#""00""#), &said(6));
    assert!(found.is_some_and(|found| found.contains("twice")));
}
