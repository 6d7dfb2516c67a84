//! A provider, and what it writes when receipts come: each checked and accepted by a real node.

use labman_proto_core::store::{Row, Table, Write};
use labman_proto_core::time::Now;
use labman_proto_core::wire::cbor::{self, Blob};
use labman_proto_core::wire::envelope::Kind;
use labman_proto_core::wire::ids::{Hash, RequestId};
use labman_proto_core::wire::mesh::ReceiptDelivery;
use labman_proto_core::wire::object::{self, Sealed};
use labman_proto_core::wire::portal::{
    AuthorizeRequest, End, JobAuthorization, Offer, StreamAck, UsageStatement,
};
use serde_json::json;

use crate::mesh::fep;
use crate::mesh::peer::{Peer, counts, offer};
use crate::mesh::rig::{FEP, FEP_KEY, NODE, PEER, Rig, identity, net, node, seal};

/// The batches with which so many receipts are stored.
pub(crate) fn receipts(many: u64) -> Vec<Vec<Write>> {
    let mut rig = Rig::provider();
    let offer = object::seal(&identity(NODE), net().id, offer(&rig, "acme:box:toy"));
    let auths: Vec<JobAuthorization> = (0..many).map(|number| auth(rig.now, number, &offer)).collect();
    let rows: Vec<Write> = auths.iter().map(|auth| delivered(auth, &offer)).collect();
    rig.disk.apply(&rows).expect("an empty disk takes them");
    rig.restart();
    let mut gateway = Peer::admitted(&mut rig, PEER);
    rig.disk.kept = Some(Vec::new());
    for auth in &auths {
        let receipt = fep::receipt(auth, &offer.content, 0, counts(10, 7), counts(10, 7));
        let delivery = ReceiptDelivery { receipt: Blob(seal(FEP_KEY, receipt)) };
        gateway.say(&mut rig, gateway.control, Kind::ReceiptDelivery, &cbor::encode(&delivery));
        rig.hear(gateway.control);
    }
    let stores = |batch: &Vec<Write>| batch.iter().any(|write| put(write, "receipts_open").is_some());
    let batches: Vec<_> = rig.disk.kept.take().unwrap_or_default().into_iter().filter(stores).collect();
    assert_eq!(batches.len() as u64, many, "the provider took every receipt: {:?}", rig.log.last());
    batches
}

/// The row that a write puts into the table of that name.
pub(crate) fn put<'a>(write: &'a Write, name: &str) -> Option<&'a Row> {
    match write {
        Write::Put(table, row) if table.name == name => Some(row),
        _ => None,
    }
}

fn auth(now: Now, number: u64, offer: &Sealed<Offer>) -> JobAuthorization {
    let request = AuthorizeRequest {
        fep_id: identity(FEP).fep_id(),
        request_id: RequestId(u128::from(number).to_be_bytes()),
        issued_ms: now.wall.0,
        key: Hash([0; 32]),
        input_bound: 100,
        max_output: 100,
        ttl_s: 720,
        offers: Vec::new(),
        streamed: true,
    };
    fep::authorization(now, node(PEER), &request, std::slice::from_ref(offer))
}

/// A job that was delivered, as it is kept until its receipt comes.
fn delivered(auth: &JobAuthorization, offer: &Sealed<Offer>) -> Write {
    let (auth_id, counts) = (auth.auth_id, counts(10, 7));
    let ack = seal(PEER, StreamAck { auth_id, attempt: 0, counts });
    let statement = UsageStatement {
        fep_id: auth.fep_id,
        auth_id,
        attempt: 0,
        counts,
        end: End::Complete,
        ack: Some(Blob(ack.clone())),
        chunks: 7,
        transcript: Hash([0; 32]),
        stated_ms: auth.issued_ms,
    };
    let row = json!({
        "auth": auth, "attempt": 0, "offer": offer.content, "offer_hash": Hash(offer.hash), "stated": counts,
        "statement": hex::encode(seal(NODE, statement)), "ack": hex::encode(ack), "receipt": "awaited",
        "keep_until_ms": auth.issued_ms + 3_600_000,
    });
    Write::Put(Table::live("authorizations"), Row::json(format!("{auth_id}:0"), &row))
}
