//! A portal with its gateway and providers: the rig of its tests, over a disk that is quick with many rows.

use labman_proto_core::money::Micros;
use labman_proto_core::wire::ids::{ReceiptId, RequestId};
use labman_proto_core::wire::portal::{AuthorizeRequest, JobAuthorization, Receipt};

use crate::{disk as store, rings};

#[allow(dead_code, reason = "tests need more of it")]
#[path = "../../../proto-core/tests/portal/rig.rs"]
pub(crate) mod rig;

use rig::{GATEWAY, Rig, counts, job, report, seal};

/// A receipt as its portal issued it.
pub(crate) struct Issued {
    pub(crate) id: ReceiptId,
    pub(crate) payout: Micros,
    pub(crate) signed: Vec<u8>,
}

/// A gateway's call for an authorization, no two numbers the same.
pub(crate) fn authorize(rig: &Rig, key: &str, number: u64) -> Vec<u8> {
    let request_id = RequestId(u128::from(number).to_be_bytes());
    seal(GATEWAY, AuthorizeRequest { request_id, ..rig.request(&job(1, key)) })
}

/// A portal that has issued so many receipts for jobs of one user, all of one provider.
pub(crate) fn issued(many: u64) -> (Rig, Vec<Issued>) {
    let (mut rig, key) = Rig::with_user("1000000");
    let mut receipts = Vec::new();
    for number in 0..many {
        let body = authorize(&rig, &key, number);
        let authorization: JobAuthorization = rig.post("/v1/authorize", &body).object();
        let reply = rig.usage(report(authorization.auth_id, Some(0), counts(10, 7)));
        let receipt: Receipt = reply.object();
        receipts.push(Issued { id: receipt.receipt_id, payout: receipt.payout, signed: reply.body });
        rig.log.clear();
    }
    (rig, receipts)
}
