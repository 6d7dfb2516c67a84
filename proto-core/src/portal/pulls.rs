//! `POST /v1/receipts`: a provider's receipts by their numbers. So it need not trust gateways to bring them, and one whose disk
//! is lost gets them again, and hears which were claimed before.

use alloc::vec::Vec;

use crate::identity::NodeId;
use crate::limits::PULL_RECEIPTS;
use crate::store::{Keys, Range, Row};
use crate::time::Now;
use crate::wire::cbor::Blob;
use crate::wire::object;
use crate::wire::portal::{IssuedReceipt, IssuedReceipts, ReceiptsRequest};

use super::answer::{Answer, Refused, Step, Stepped};
use super::authorize::must_be_fresh;
use super::books::{Books, Fep};
use super::claimed::Pages;
use super::look::Look;
use super::rows::{ISSUED, IssuedRow, RECEIPTS, ReceiptRow, issued_key, numbered as number_key};

/// Who asks, for what lies behind which number, and the last there was when it asked.
#[derive(Clone, Copy)]
pub(super) struct Pull {
    provider: NodeId,
    after: u64,
    last: u64,
}

pub(super) fn handle(fep: &Fep, books: &Books, now: Now, body: &[u8]) -> Stepped {
    let sealed = object::open::<ReceiptsRequest>(fep.network, None, body)?;
    let (provider, asked) = (NodeId(sealed.signer), sealed.content);
    fep.must_be_us(asked.fep_id)?;
    must_be_fresh(now, asked.issued_ms)?;
    // What is answered is signed.
    fep.signer(now)?;
    let pull = Pull { provider, after: asked.after, last: books.receipts.last_sequence(provider) };
    let first = asked.after.saturating_add(1);
    if first > pull.last {
        return answer(fep, now, &pull, Vec::new(), &[]).map(Step::Answer);
    }
    let (from, to) = (issued_key(provider, first), issued_key(provider, pull.last.saturating_add(1)));
    let range = Range { table: ISSUED, from, to, limit: PULL_RECEIPTS as u32 };
    Ok(Step::Look(range, Look::Numbers(pull)))
}

pub(super) fn numbered(pull: Pull, rows: &[IssuedRow]) -> Step {
    let keys = rows.iter().map(|row| number_key(row.number)).collect();
    Step::Find(Keys { table: RECEIPTS, keys }, Look::Issued(pull))
}

pub(super) fn issued(pull: Pull, receipts: Vec<ReceiptRow>) -> Step {
    let keys = Pages::keys(receipts.iter().map(|row| (pull.provider, row.receipt.sequence)));
    Step::Find(keys, Look::Claimed(pull, receipts))
}

pub(super) fn answer(
    fep: &Fep,
    now: Now,
    pull: &Pull,
    receipts: Vec<ReceiptRow>,
    claimed: &[Row],
) -> Result<Answer, Refused> {
    let Pull { provider, after, last } = *pull;
    let claimed = Pages::found(claimed)?;
    let issued = |ReceiptRow { receipt, signed }| IssuedReceipt {
        receipt: Blob(signed.0),
        claim_id: claimed.claim_of(provider, receipt.sequence),
    };
    let receipts = receipts.into_iter().map(issued).collect();
    let issued_ms = now.wall.0;
    let all = IssuedReceipts { fep_id: fep.fep_id, provider, after, last, receipts, issued_ms };
    Ok(Answer::Object(object::seal(fep.signer(now)?, fep.network.id, all).bytes))
}
