//! What a provider's rows say of its receipts and claims: for the look at both parties' books together.

use alloc::vec::Vec;

use crate::audit::{Desk, Reader};
use crate::identity::FepId;
use crate::provider::rows::{
    AUTHORIZATIONS, AuthKey, AuthorizationRow, CLAIMS, CLAIMS_OPEN, ClaimRow, Owed, RECEIPTS_OPEN,
    RECEIPTS_PAID, ReceiptRow, ReceiptState, auth_key,
};
use crate::wire::ids::ClaimId;
use crate::wire::portal::Receipt;

/// One receipt, as it is held.
pub(crate) struct Held<'a> {
    pub(crate) receipt: &'a Receipt,
    pub(crate) signed: Vec<u8>,
    pub(crate) is_paid: bool,
    /// Its FEP would not pay it, or people have said what becomes of it: no claim that is kept here needs to know of it.
    pub(crate) is_disputed: bool,
    /// That took it.
    pub(crate) claim: Option<ClaimId>,
}

/// Each receipt by that FEP.
pub(crate) fn each_receipt<R: Reader>(
    desk: &mut Desk<'_, R>,
    fep_id: FepId,
    mut see: impl FnMut(&Held<'_>) -> Result<(), R::Error>,
) -> Result<(), R::Error> {
    for table in [RECEIPTS_OPEN, RECEIPTS_PAID] {
        desk.each(table, |_, _, row: ReceiptRow| {
            if row.receipt.fep_id != fep_id {
                return Ok(());
            }
            let signed = hex::decode(&row.signed).unwrap_or_default();
            see(&Held {
                receipt: &row.receipt,
                signed,
                is_paid: row.state == ReceiptState::Paid && !row.taken_on_word,
                is_disputed: row.taken_on_word
                    || matches!(row.state, ReceiptState::Disputed | ReceiptState::WrittenOff),
                claim: row.claim_id,
            })
        })?;
    }
    Ok(())
}

/// Will it ask for that attempt's receipt?
pub(crate) fn awaits<R: Reader>(desk: &mut Desk<'_, R>, key: AuthKey) -> Result<bool, R::Error> {
    let row: Option<AuthorizationRow> = desk.get(AUTHORIZATIONS, &auth_key(key))?;
    Ok(row.is_some_and(|row| row.receipt == Owed::Awaited))
}

/// Each claim at that FEP, with the decision that came, if one did.
pub(crate) fn each_claim<R: Reader>(
    desk: &mut Desk<'_, R>,
    fep_id: FepId,
    mut see: impl FnMut(ClaimId, Option<Vec<u8>>) -> Result<(), R::Error>,
) -> Result<(), R::Error> {
    for table in [CLAIMS_OPEN, CLAIMS] {
        desk.each(table, |_, _, row: ClaimRow| {
            if row.fep_id != fep_id {
                return Ok(());
            }
            see(row.claim_id, row.decision.and_then(|decision| hex::decode(decision).ok()))
        })?;
    }
    Ok(())
}
