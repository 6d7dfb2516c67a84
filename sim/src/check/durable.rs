//! Store, then say (I6): what a paper promises is on the disk of whoever lets it out, at the moment when it leaves.
//!
//! Each line of the table "What is durable before what" in economics.md that a paper can break is an arm here.

use labman_proto_core::store::Table;
use serde_json::Value;

use super::notary::Paper;
use crate::disk::Disk;

const GATEWAY_JOBS: Table = Table::live("gateway_jobs");
const AUTHORIZATIONS: Table = Table::live("authorizations");
const RECEIPTS_OPEN: Table = Table::history("receipts_open");
const RECEIPTS_PAID: Table = Table::history("receipts_paid");
const CLAIMS_OPEN: Table = Table::live("claims_open");
const HOLDS: Table = Table::live("holds");
const RESOLUTIONS: Table = Table::history("resolutions");
const FEP_CLAIMS: Table = Table::history("claims");

pub(super) fn check(disk: &Disk, paper: &Paper, bytes: &[u8]) -> Option<String> {
    let missing = match paper {
        Paper::Record(_) | Paper::Placed(_) => return None,
        Paper::Acknowledged(id) => {
            let id = id.to_string();
            let within = |table| disk.any(table, |key, _| key.ends_with(&id));
            let there = within(RECEIPTS_OPEN) || within(RECEIPTS_PAID);
            (!there).then(|| format!("acknowledged receipt {id}"))
        }
        Paper::Stated { said, .. } => {
            let key = format!("{}:{}", said.auth_id, said.attempt);
            let row = disk.row(AUTHORIZATIONS, &key).and_then(|row| json(&row));
            let there = row.is_some_and(|row| !row["statement"].is_null());
            (!there).then(|| format!("stated what was delivered of {key}"))
        }
        Paper::Released(said) => {
            let key = format!("{}:{}", said.auth_id, said.attempt);
            disk.row(AUTHORIZATIONS, &key)
                .is_none()
                .then(|| format!("released {key}, which may be used yet,"))
        }
        Paper::Delivered(receipt) => {
            let id = receipt.request_id.to_string();
            let row = disk.row(GATEWAY_JOBS, &id).and_then(|row| json(&row));
            let there = row.is_some_and(|row| row["state"] == "receipted");
            (!there).then(|| format!("delivered the receipt of req_{id}"))
        }
        Paper::Asked(request) => {
            let id = request.request_id.to_string();
            disk.row(GATEWAY_JOBS, &id).is_none().then(|| format!("asked the FEP about req_{id}"))
        }
        Paper::Authorized(auth) => {
            let id = auth.auth_id.to_string();
            let there = disk.row(HOLDS, &id).is_some() || disk.row(RESOLUTIONS, &id).is_some();
            (!there).then(|| format!("authorized {id}"))
        }
        Paper::Reported => {
            let report = hex::encode(bytes);
            // Of many jobs' rows, few are worth reading.
            let finder = memchr::memmem::Finder::new(&report);
            let names = |row: &[u8]| finder.find(row).is_some();
            let there = |row: &[u8]| names(row) && json(row).is_some_and(|row| row["report"] == *report);
            (!disk.any(GATEWAY_JOBS, |_, row| there(row))).then(|| "reported usage".into())
        }
        Paper::Issued(receipt) => {
            let (auth_id, signed) = (receipt.auth_id.to_string(), hex::encode(bytes));
            let from_bond = format!("{auth_id}/{}", receipt.attempt);
            let row = |key: &str| disk.row(RESOLUTIONS, key).is_some_and(|row| holds(&row, &signed));
            let there = row(&auth_id) || row(&from_bond);
            (!there).then(|| format!("issued receipt {}", receipt.receipt_id))
        }
        Paper::Claimed(claim) => {
            let id = claim.claim_id.to_string();
            disk.row(CLAIMS_OPEN, &id).is_none().then(|| format!("claimed {id}"))
        }
        // Strangers' claims are refused without a trace.
        Paper::Decided(decision) if decision.payout.is_none() => return None,
        Paper::Decided(decision) => {
            let id = decision.claim_id.to_string();
            let signed = hex::encode(bytes);
            let there = disk.any(FEP_CLAIMS, |key, row| key.ends_with(&id) && holds(row, &signed));
            (!there).then(|| format!("decided claim {id}"))
        }
    };
    missing.map(|what| format!("I6: {what} before that was on its disk"))
}

fn json(row: &[u8]) -> Option<Value> {
    serde_json::from_slice(row).ok()
}

fn holds(row: &[u8], text: &str) -> bool {
    std::str::from_utf8(row).is_ok_and(|row| row.contains(text))
}
