//! Disputes: each is of a receipt that this FEP signed, is open or decided, and is decided as was signed. No money follows from one,
//! so that of one that is gone nothing tells, nor of what its provider says.

use alloc::string::String;

use crate::audit::{Desk, Invariant, Reader, place};
use crate::keys::Keys;
use crate::portal::rows::{DISPUTES, DISPUTES_ENDED, DisputeRow, EndedDisputeRow};
use crate::store::Table;
use crate::wire::portal::{DisputeDecision, Receipt};

pub(super) fn check<R: Reader>(desk: &mut Desk<'_, R>, keys: Option<&Keys>) -> Result<(), R::Error> {
    desk.each(DISPUTES, |desk, key, row: DisputeRow| {
        check_receipt(desk, DISPUTES, key, keys, &row);
        let open = !desk.has(DISPUTES_ENDED, key)?;
        desk.report.must(Invariant::Rows, open, place(DISPUTES, key), || "is decided already".into());
        Ok(())
    })?;
    desk.each(DISPUTES_ENDED, |desk, key, row: EndedDisputeRow| {
        check_receipt(desk, DISPUTES_ENDED, key, keys, &row.dispute);
        let paper = desk.paper::<DisputeDecision>(DISPUTES_ENDED, key, keys, &row.decision.0);
        let Some(paper) = paper else { return Ok(()) };
        let said = DisputeDecision {
            fep_id: row.dispute.receipt.fep_id,
            claim_id: row.dispute.claim_id,
            receipt_id: row.dispute.receipt.receipt_id,
            ruling: row.ruling,
            answer: row.answer,
            decided_ms: row.decided_ms,
        };
        let what = || String::from("is decided otherwise than it says");
        desk.report.must(Invariant::Rows, paper.content == said, place(DISPUTES_ENDED, key), what);
        Ok(())
    })
}

fn check_receipt<R: Reader>(
    desk: &mut Desk<'_, R>,
    table: Table,
    key: &str,
    keys: Option<&Keys>,
    row: &DisputeRow,
) {
    let Some(paper) = desk.paper::<Receipt>(table, key, keys, &row.signed.0) else { return };
    let its_own =
        key == row.key() && paper.content == row.receipt && row.provider == row.receipt.provider_node_id;
    let what = || String::from("is of another receipt, claim or provider than it says");
    desk.report.must(Invariant::Rows, its_own, place(table, key), what);
}
