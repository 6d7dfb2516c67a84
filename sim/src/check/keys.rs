//! Whose promise is taken: no job is placed on an authorization by a key that its gateway knows to be revoked.

use labman_proto_core::identity::{FepId, Network};
use labman_proto_core::keys::{BadPaper, Described};
use labman_proto_core::store::Table;
use serde_json::Value;

use super::notary::Paper;
use crate::disk::Disk;

const FEPS: Table = Table::live("feps");

pub(super) fn check(network: Network, fep: FepId, disk: &Disk, paper: &Paper) -> Option<String> {
    let Paper::Placed(auth) = paper else { return None };
    let row: Value = serde_json::from_slice(&disk.row(FEPS, &fep.to_string())?).ok()?;
    let descriptor = hex::decode(row["descriptor"].as_str()?).ok()?;
    let keys = Described::open(network, fep, &descriptor).ok()?.keys;
    // That a key has lapsed since is told by a clock, which is not seen here.
    let revoked = keys.bound_when_issued(auth) == Err(BadPaper::NotValid);
    revoked.then(|| {
        format!("keys: placed a job on authorization {}, by a key that is revoked", auth.content.auth_id)
    })
}
