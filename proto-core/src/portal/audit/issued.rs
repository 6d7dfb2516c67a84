//! What a FEP's rows say of one provider: for the look at both parties' books together.

use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::vec::Vec;

use crate::audit::{Desk, Reader};
use crate::identity::NodeId;
use crate::portal::claimed::{Page, page_of};
use crate::portal::rows::{
    CLAIMED, CLAIMS, ClaimRow, EARNED, EarnedRow, ISSUED, IssuedRow, PAYOUTS, PROVIDERS, PayoutRow,
    ProviderRow, RECEIPTS, ReceiptRow, auth_key, claim_key, earned_key, issued_prefix, numbered, page_key,
};
use crate::wire::ids::{ClaimId, ReceiptId};
use crate::wire::portal::Receipt;

use super::jobs::{bond_key, is_captured};

/// The number of the provider's last receipt.
pub(crate) fn last_sequence<R: Reader>(desk: &mut Desk<'_, R>, provider: NodeId) -> Result<u64, R::Error> {
    let row: Option<ProviderRow> = desk.get(PROVIDERS, &provider.to_string())?;
    Ok(row.map_or(0, |row| row.sequence))
}

/// Each of the provider's receipts, in the order of their numbers.
pub(crate) fn each_receipt<R: Reader>(
    desk: &mut Desk<'_, R>,
    provider: NodeId,
    mut see: impl FnMut(&mut Desk<'_, R>, &Receipt) -> Result<(), R::Error>,
) -> Result<(), R::Error> {
    desk.each_within(ISSUED, &issued_prefix(provider), |desk, _, issued: IssuedRow| {
        let row: Option<ReceiptRow> = desk.get(RECEIPTS, &numbered(issued.number))?;
        let own = row.filter(|row| row.receipt.provider_node_id == provider);
        own.map_or(Ok(()), |row| see(desk, &row.receipt))
    })
}

/// Was its hold captured for these very bytes?
pub(crate) fn has_issued<R: Reader>(
    desk: &mut Desk<'_, R>,
    receipt: &Receipt,
    signed: &[u8],
) -> Result<bool, R::Error> {
    Ok(is_captured(desk, &auth_key(receipt.auth_id), signed)?
        || is_captured(desk, &bond_key(receipt), signed)?)
}

/// What has become of a receipt: claimed by whom, if by anybody. `None`: it is not there.
pub(crate) fn claim_of<R: Reader>(
    desk: &mut Desk<'_, R>,
    provider: NodeId,
    receipt: ReceiptId,
) -> Result<Option<Option<ClaimId>>, R::Error> {
    let row: Option<EarnedRow> = desk.get(EARNED, &earned_key(provider, receipt))?;
    row.map(|row| Claimed::default().claim_of(desk, provider, row.sequence)).transpose()
}

/// What was claimed. Asked in the order of receipts' numbers, it reads each page once.
#[derive(Default)]
pub(super) struct Claimed(BTreeMap<NodeId, (u64, Option<Page>)>);

impl Claimed {
    /// The claim that took the provider's receipt of this number.
    pub(super) fn claim_of<R: Reader>(
        &mut self,
        desk: &mut Desk<'_, R>,
        provider: NodeId,
        sequence: u64,
    ) -> Result<Option<ClaimId>, R::Error> {
        let number = page_of(sequence);
        if self.0.get(&provider).is_none_or(|(read, _)| *read != number) {
            self.0.insert(provider, (number, desk.get(CLAIMED, &page_key(provider, number))?));
        }
        let page = self.0.get(&provider).and_then(|(_, page)| page.as_ref());
        Ok(page.and_then(|page| page.claim_of(sequence)))
    }
}

/// The signed decision on a claim.
pub(crate) fn decision<R: Reader>(
    desk: &mut Desk<'_, R>,
    provider: NodeId,
    claim: ClaimId,
) -> Result<Option<Vec<u8>>, R::Error> {
    let row: Option<ClaimRow> = desk.get(CLAIMS, &claim_key(provider, claim))?;
    Ok(row.map(|row| row.decision.0))
}

/// Each claim that the provider was paid for.
pub(crate) fn each_paid_claim<R: Reader>(
    desk: &mut Desk<'_, R>,
    provider: NodeId,
    mut see: impl FnMut(&mut Desk<'_, R>, ClaimId),
) -> Result<(), R::Error> {
    desk.each_naming(PAYOUTS, &provider.to_string(), |desk, row: PayoutRow| {
        if row.provider == provider {
            see(desk, row.claim_id);
        }
        Ok(())
    })
}
