//! Receipts by their numbers: all of them, for whom they were issued to, as they were signed.

use labman_proto_core::limits::PULL_RECEIPTS;
use labman_proto_core::time::Span;
use labman_proto_core::wire::object;
use labman_proto_core::wire::portal::{IssuedReceipts, Receipt, ReceiptsRequest};

use super::rig::*;

/// A portal that has issued each of these providers a receipt, in that order.
fn issued(providers: &[u8]) -> (Rig, Vec<Receipt>) {
    let (mut rig, key) = Rig::with_user("1");
    let mut receipts = Vec::new();
    for (number, provider) in (1..).zip(providers) {
        let job = Job { offers: vec![seal(*provider, offer())], ..job(number, &key) };
        let auth_id = rig.authorized(&job).auth_id;
        receipts.push(rig.settled(auth_id, counts(1, 1)));
    }
    (rig, receipts)
}

fn receipts(pulled: &IssuedReceipts) -> Vec<Receipt> {
    let open =
        |bytes| object::open(net(), Some(identity(PORTAL_KEY).fep_key().0), bytes).expect("as it was signed");
    pulled.receipts.iter().map(|issued| open(&issued.receipt.0).content).collect()
}

#[test]
fn a_provider_gets_its_own_receipts_behind_a_number_as_they_were_signed() {
    let (mut rig, all) = issued(&[PROVIDER, OTHER_PROVIDER, PROVIDER, PROVIDER]);
    let pulled = rig.pulled(PROVIDER, 1);
    assert_eq!((pulled.after, pulled.last), (1, 3));
    assert_eq!(receipts(&pulled), all[2..]);
    let others = rig.pulled(OTHER_PROVIDER, 0);
    assert_eq!((others.last, receipts(&others)), (1, vec![all[1].clone()]));
    for (who, after, last) in [(PROVIDER, 3, 3), (PROVIDER, u64::MAX, 3), (STRANGER, 0, 0)] {
        let nothing = rig.pulled(who, after);
        assert_eq!((nothing.last, nothing.receipts.len()), (last, 0), "{who} behind {after}");
    }
    rig.crash();
    assert_eq!(receipts(&rig.pulled(PROVIDER, 0)).len(), 3);
}

#[test]
fn a_receipt_that_was_claimed_is_given_with_its_claim() {
    let (mut rig, all) = issued(&[PROVIDER, PROVIDER]);
    let paid = claim(1, 7, vec![all[1].receipt_id]);
    let claim_id = paid.claim_id;
    rig.decided(PROVIDER, paid);
    let claims: Vec<_> = rig.pulled(PROVIDER, 0).receipts.into_iter().map(|issued| issued.claim_id).collect();
    assert_eq!(claims, [None, Some(claim_id)]);
}

#[test]
fn more_receipts_than_fit_an_answer_come_in_several() {
    let (mut rig, all) = issued(&[PROVIDER; PULL_RECEIPTS + 1]);
    let first = rig.pulled(PROVIDER, 0);
    assert_eq!((first.last, receipts(&first).len()), (PULL_RECEIPTS as u64 + 1, PULL_RECEIPTS));
    assert_eq!(receipts(&rig.pulled(PROVIDER, PULL_RECEIPTS as u64)), all[PULL_RECEIPTS..]);
}

#[test]
fn a_receipt_that_is_not_durable_is_not_numbered_to_anybody() {
    let (mut rig, key) = Rig::with_user("1");
    let auth_id = rig.authorized(&job(1, &key)).auth_id;
    rig.begin_post("/v1/usage", &seal(GATEWAY, report(auth_id, Some(0), counts(1, 1))));
    let asked = ReceiptsRequest { fep_id: identity(PORTAL).fep_id(), after: 0, issued_ms: rig.now.wall.0 };
    let early = rig.begin_post("/v1/receipts", &seal(PROVIDER, asked));
    let told: IssuedReceipts = rig.reply(early).expect("an answer without a look").object();
    assert_eq!((told.last, told.receipts.len()), (0, 0));
    rig.run();
    assert_eq!(rig.pulled(PROVIDER, 0).last, 1);
}

#[test]
fn a_request_of_long_ago_or_for_another_portal_is_refused() {
    let (mut rig, _) = issued(&[PROVIDER]);
    let asked = ReceiptsRequest { fep_id: identity(PORTAL).fep_id(), after: 0, issued_ms: rig.now.wall.0 };
    let elsewhere = ReceiptsRequest { fep_id: identity(STRANGER).fep_id(), ..asked.clone() };
    assert_eq!(rig.post("/v1/receipts", &seal(PROVIDER, elsewhere)).refusal().0, 400);
    rig.pass(Span::from_secs(121));
    assert_eq!(rig.post("/v1/receipts", &seal(PROVIDER, asked)).refusal().0, 400);
}
