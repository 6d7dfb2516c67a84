//! What the operator sees and orders of rails: money on its way, what became of it, and trouble.

use alloc::string::ToString;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::machine::StreamId;
use crate::store::Row;

use super::super::admin::{commit, page};
use super::super::answer::{Answer, Refused, Stepped};
use super::super::books::{Books, Fep};
use super::super::config::{RailName, RailTerms};
use super::super::faults::Fault;
use super::super::look;
use super::super::rows::{TRANSFERS_ENDED, TransferRow};

pub(in crate::portal) fn open_payouts(books: &Books, query: &str) -> Result<Answer, Refused> {
    let (skip, limit) = page(query)?;
    let lines = books.accepted.iter().skip(skip).take(limit).map(|row| {
        serde_json::json!({
            "claim_id": row.claim_id, "provider": row.provider, "to": row.to, "amount": row.amount,
            "receipts": row.receipts, "at_ms": row.at_ms, "transfer": row.transfer,
        })
    });
    Ok(Answer::ok(&serde_json::json!({ "open": lines.collect::<Vec<_>>() })))
}

pub(in crate::portal) fn open_transfers(books: &Books, query: &str) -> Result<Answer, Refused> {
    let (skip, limit) = page(query)?;
    let lines: Vec<_> = books.transfers.iter().rev().skip(skip).take(limit).collect();
    Ok(Answer::ok(&serde_json::json!({ "transfers": lines })))
}

/// The newest transfers that ended, from their rows in rising order.
pub(in crate::portal) fn transfers(rows: &[Row]) -> Result<Answer, Refused> {
    let mut transfers: Vec<TransferRow> = look::all(TRANSFERS_ENDED, rows)?;
    transfers.reverse();
    Ok(Answer::ok(&serde_json::json!({ "transfers": transfers })))
}

pub(in crate::portal) fn rails(fep: &Fep, books: &Books) -> Answer {
    let line = |terms: &RailTerms| {
        let currency = fep.config.currency_of(terms);
        serde_json::json!({
            "rail": terms.rail, "currency": currency, "least_payout": terms.least_payout.to_string(),
        })
    };
    let rails: Vec<_> = fep.config.rails.0.iter().map(line).collect();
    let faults: Vec<_> = books.faults.iter().collect();
    Answer::ok(&serde_json::json!({ "rails": rails, "faults": faults }))
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::portal) struct OrderFault {
    rail: RailName,
    fault: Fault,
    times: u32,
}

pub(in crate::portal) fn order_fault(books: &mut Books, stream: StreamId, body: OrderFault) -> Stepped {
    let OrderFault { rail, fault, times } = body;
    let write = books.faults.order(rail, fault, times);
    let told = alloc::format!("trouble with the rail {rail} was ordered: {fault:?}, {times} times");
    commit(stream, alloc::vec![write], Answer::ok(&body), told)
}
