//! Receipts of jobs that are not remembered: they came late, or a disk was lost. The store says whether one is there already; what
//! its FEP gives when it is asked by number is taken on its signature, as far as it can be checked.

use super::receipts::{From, Receipts, Taken};
use super::rows::{RECEIPTS_OPEN, RECEIPTS_PAID, ReceiptRow, ReceiptState, receipt_key};
use crate::economics::{Counts, Rate};
use crate::identity::FepId;
use crate::limits::RECEIPT_LOOKS;
use crate::machine::{Completion, OpId};
use crate::money::Micros;
use crate::node::config;
use crate::node::cx::Cx;
use crate::store::{Keys, Table};
use crate::wire::ids::ReceiptId;
use crate::wire::object::Sealed;
use crate::wire::portal::Receipt;

/// Which model it was that a forgotten job asked for.
const UNKNOWN: &str = "unknown";

/// A receipt that is looked for in a table.
pub(super) struct Lookup {
    pub(super) from: From,
    pub(super) receipt: Sealed<Receipt>,
    table: Table,
}

impl Receipts {
    pub(super) fn look_up(
        &mut self,
        cx: &mut Cx<'_>,
        feps: &[FepId],
        from: From,
        receipt: Sealed<Receipt>,
    ) -> Taken {
        let says = &receipt.content;
        let id = says.receipt_id;
        if !feps.contains(&says.fep_id) {
            return Taken::Refused(Some(id), "it is not by a FEP that is trusted here".into());
        }
        if let Err(why) = cx.feps.bound_when_issued(says.fep_id, &receipt) {
            return Taken::not_bound(id, why);
        }
        if id != ReceiptId::of(says.fep_id, says.auth_id, says.attempt) {
            return Taken::Refused(Some(id), "its id does not follow from what it is for".into());
        }
        if says.provider_node_id != cx.me.node_id {
            return Taken::Refused(Some(id), "it is for no job of this provider".into());
        }
        // Whoever brought it does so again.
        if self.looking.len() < RECEIPT_LOOKS {
            self.look_in(cx, RECEIPTS_OPEN, from, receipt);
        }
        Taken::Storing
    }

    fn look_in(&mut self, cx: &mut Cx<'_>, table: Table, from: From, receipt: Sealed<Receipt>) {
        let op = cx.find(Keys { table, keys: [receipt_key(&receipt.content)].into() });
        self.looking.insert(op, Lookup { from, receipt, table });
    }

    /// What became of a receipt that was looked up. `None`: the operation was no such look, or more is to be looked at.
    pub(super) fn found(
        &mut self,
        cx: &mut Cx<'_>,
        config: &config::Provider,
        op: OpId,
        completion: &Completion,
    ) -> Option<(From, Taken)> {
        let Lookup { from, receipt, table } = self.looking.remove(&op)?;
        let Receipt { receipt_id, fep_id, sequence, .. } = receipt.content;
        let there = match completion {
            Completion::Page(Ok(rows)) => !rows.is_empty(),
            Completion::Page(Err(_)) | Completion::Stored(_) | Completion::Dialled(_) => {
                return Some((from, Taken::Storing));
            }
        };
        if there {
            if !self.numbers(fep_id).contains(sequence) {
                let come = self.has_come(fep_id, sequence);
                cx.store([come].into());
            }
            return Some((from, Taken::Known(receipt_id)));
        }
        // It is moved from the one to the other in one batch: whoever looks in this order finds it.
        if table == RECEIPTS_OPEN {
            self.look_in(cx, RECEIPTS_PAID, from, receipt);
            return None;
        }
        let From::Pulled(claim_id) = from else {
            return Some((
                from,
                Taken::Refused(Some(receipt_id), "it is for no job that is remembered here".into()),
            ));
        };
        if let Err(reason) = check(config, &receipt.content) {
            return Some((from, Taken::Refused(Some(receipt_id), reason.into())));
        }
        let row = ReceiptRow {
            slug: UNKNOWN.into(),
            signed: hex::encode(&receipt.bytes.0),
            receipt: receipt.content,
            state: if claim_id.is_some() { ReceiptState::Paid } else { ReceiptState::Unclaimed },
            dispute: None,
            taken_on_word: claim_id.is_some(),
            claim_id,
            rejected: None,
        };
        let taken = self.keep(cx, from, row);
        Some((from, taken))
    }
}

/// Neither offer nor authorization is known: what is left is that the money is ours, and that it could be right.
fn check(config: &config::Provider, says: &Receipt) -> Result<(), &'static str> {
    if !config.portmans.iter().any(|portman| portman.payout == says.payout_to) {
        return Err("it pays to an address that is not in the config: add the one that it was offered with");
    }
    let Counts { input, cached, .. } = says.settled;
    // Units of another currency may be worth less.
    let too_much = !says.is_exchanged() && (says.payout > says.charge || says.rate != Rate::ONE);
    if says.payout < Micros::ZERO || too_much || cached > input {
        return Err("its amounts can't be right: it pays more than was charged, or less than nothing");
    }
    Ok(())
}
