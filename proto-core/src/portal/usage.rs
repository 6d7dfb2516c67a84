//! `POST /v1/usage`: ends a hold, by paying for what was delivered or by giving all of it back.
//!
//! The first report settles. Repeating it gives the same receipt, whatever the repetition counts.

use alloc::vec::Vec;

use crate::economics::{self, Bill, Counts};
use crate::identity::NodeId;
use crate::machine::StreamId;
use crate::money::Micros;
use crate::mutants::{Mutant, mutant};
use crate::store::{Range, Row, Write};
use crate::time::Now;
use crate::wire::cbor::Blob;
use crate::wire::ids::{AuthId, ReceiptId};
use crate::wire::object;
use crate::wire::portal::{Receipt, UsageReport, key_id};

use super::accounts::UserId;
use super::answer::{Answer, Refused, Step, Stepped};
use super::books::{Books, Fep};
use super::holds::{self, End, Hold};
use super::ledger::{self, Account, Entry};
use super::look::Look;
use super::rows::{HOLDS, Kind, Outcome, RESOLUTIONS, ResolutionRow, Signed, auth_key};
use super::writer::{Commit, Then};

pub(super) fn handle(fep: &Fep, books: &mut Books, now: Now, stream: StreamId, body: &[u8]) -> Stepped {
    let sealed = object::open::<UsageReport>(fep.network, None, body)?;
    let (gateway, report) = (NodeId(sealed.signer), sealed.content);
    fep.must_be_us(report.fep_id)?;
    books.accounts.enrolled(gateway)?;
    let (auth_id, attempt) = (report.auth_id, report.attempt);
    if books.holds.is_opening(auth_id) {
        return Err(Refused::unavailable("the hold is still being written; report again"));
    }
    if let Some(ending) = books.holds.await_end(auth_id, gateway, attempt, stream) {
        return ending;
    }
    let Some(hold) = books.holds.open(auth_id) else {
        let range = Range::exactly(RESOLUTIONS, &auth_key(auth_id));
        return Ok(Step::Look(range, Look::Resolution { gateway, attempt }));
    };
    if hold.authorization.content.gateway != gateway {
        return Err(holds::not_its_gateway());
    }
    let commit = match attempt {
        Some(attempt) => {
            let settlement = settle(fep, books, now, hold, attempt, &report)?;
            capture(fep, books, settlement, stream)?
        }
        None => give_back(books, now, auth_id, End::Released, alloc::vec![stream])?,
    };
    Ok(Step::Commit(commit))
}

/// Returns a hold whose life is over.
pub(super) fn expire(books: &mut Books, now: Now, auth_id: AuthId) -> Result<Commit, Refused> {
    give_back(books, now, auth_id, End::Expired, Vec::new())
}

/// A report for a hold that is long resolved: what the store remembers of it.
pub(super) fn remembered(
    gateway: NodeId,
    attempt: Option<u8>,
    resolution: Option<ResolutionRow>,
) -> Result<Answer, Refused> {
    let resolution = resolution.ok_or_else(no_such_hold)?;
    if resolution.gateway != gateway {
        return Err(holds::not_its_gateway());
    }
    match resolution.outcome {
        Outcome::Captured { attempt: captured, receipt } if attempt == Some(captured) => {
            Ok(Answer::Object(Blob(receipt.0)))
        }
        Outcome::Released if attempt.is_none() => Ok(Answer::NoContent),
        Outcome::Captured { .. } | Outcome::Released | Outcome::Expired => Err(holds::resolved()),
    }
}

/// What a report comes to.
struct Settlement {
    user: UserId,
    hold: Micros,
    receipt: Receipt,
    bill: Bill,
}

fn settle(
    fep: &Fep,
    books: &Books,
    now: Now,
    hold: &Hold,
    attempt: u8,
    report: &UsageReport,
) -> Result<Settlement, Refused> {
    let authorization = &hold.authorization.content;
    let at = usize::from(attempt);
    let (Some(named), Some(offer)) = (authorization.attempts.get(at), hold.offers.get(at)) else {
        return Err(Refused::bad_request("the authorization has no such attempt"));
    };
    // Neither side's word is taken beyond the other's, nor beyond the job's bounds.
    let agreed = Counts {
        cached: report.accepted.cached.min(report.stated.cached),
        ..report.accepted.bounded_by(report.stated.input, report.stated.output)
    };
    let settled = agreed.bounded_by(authorization.input_bound, authorization.max_output);
    let bill = economics::bill(&offer.price, &authorization.fees, &settled)
        .filter(|bill| bill.charge <= named.max_charge && named.max_charge <= authorization.hold)
        .ok_or_else(|| Refused::bad_request("what was used costs more than was authorized"))?;
    let receipt = Receipt {
        receipt_id: ReceiptId::of(fep.fep_id, authorization.auth_id, attempt),
        fep_id: fep.fep_id,
        provider_node_id: named.provider,
        gateway_node_id: authorization.gateway,
        auth_id: authorization.auth_id,
        attempt,
        offer_hash: named.offer_hash,
        settled,
        accepted: report.accepted,
        stated: report.stated,
        billing_currency: authorization.currency.clone(),
        charge: bill.charge,
        payout_to: offer.payout.clone(),
        payout: bill.payout,
        // Billing and payout currency are one.
        rate: (1, 1),
        authorized_ms: authorization.issued_ms,
        issued_ms: now.wall.0,
        key_id: key_id(&fep.fep_id.0),
        sequence: books.receipts.next_sequence(named.provider),
        request_id: authorization.request_id,
    };
    Ok(Settlement { user: hold.user, hold: authorization.hold, receipt, bill })
}

fn capture(
    fep: &Fep,
    books: &mut Books,
    settlement: Settlement,
    stream: StreamId,
) -> Result<Commit, Refused> {
    let Settlement { user, hold, receipt, bill } = settlement;
    let Receipt { auth_id, attempt, provider_node_id: provider, gateway_node_id: gateway, .. } = receipt;
    let rest = Micros(hold.0.saturating_sub(bill.charge.0));
    let rest_to = if mutant(Mutant::RemainderKept) { Account::Fees } else { Account::User(user) };
    let entry = Entry {
        kind: Kind::Capture,
        reference: auth_key(auth_id),
        at_ms: receipt.issued_ms,
        postings: alloc::vec![
            (Account::Held(user), ledger::negated(hold)),
            (Account::Provider(provider), bill.payout),
            (Account::Gateway(gateway), bill.gateway_fee),
            (Account::Fees, bill.fep_fee),
            (Account::Rounding, bill.rounding),
            (rest_to, rest),
        ],
    };
    let mut batch = post(books, entry)?;
    let receipt = object::seal(&fep.identity, fep.network.id, receipt);
    let outcome = Outcome::Captured { attempt, receipt: Signed(receipt.bytes.0.clone()) };
    batch.extend(books.receipts.add(&receipt));
    batch.extend(resolve(auth_id, gateway, outcome, receipt.content.issued_ms));
    books.holds.end(auth_id, End::Captured { attempt }, alloc::vec![stream]);
    let told = alloc::format!(
        "settled {auth_id}: {user} pays {}, provider {provider} gets {}, receipt {}",
        bill.charge,
        bill.payout,
        receipt.content.receipt_id
    );
    Ok(Commit { batch, then: Then::Resolved(auth_id, Answer::Object(receipt.bytes)), told })
}

fn give_back(
    books: &mut Books,
    now: Now,
    auth_id: AuthId,
    end: End,
    waiting: Vec<StreamId>,
) -> Result<Commit, Refused> {
    let hold = books.holds.open(auth_id).ok_or_else(no_such_hold)?;
    let (user, amount, gateway) = (hold.user, hold.amount(), hold.authorization.content.gateway);
    let (kind, outcome, why) = match end {
        End::Expired => (Kind::Expiry, Outcome::Expired, "expired"),
        End::Released | End::Captured { .. } => (Kind::Release, Outcome::Released, "released"),
    };
    let entry = Entry {
        kind,
        reference: auth_key(auth_id),
        at_ms: now.wall.0,
        postings: ledger::release(user, amount),
    };
    let mut batch = post(books, entry)?;
    batch.extend(resolve(auth_id, gateway, outcome, now.wall.0));
    books.holds.end(auth_id, end, waiting);
    let told = alloc::format!("{why} {auth_id}: {amount} returns to {user}");
    Ok(Commit { batch, then: Then::Resolved(auth_id, Answer::NoContent), told })
}

/// The store refuses a second resolution of the same hold (I2).
fn resolve(auth_id: AuthId, gateway: NodeId, outcome: Outcome, at_ms: u64) -> [Write; 2] {
    let row = ResolutionRow { gateway, outcome, at_ms };
    [Write::Delete(HOLDS, auth_key(auth_id)), Write::Insert(RESOLUTIONS, Row::json(auth_key(auth_id), &row))]
}

fn post(books: &mut Books, entry: Entry) -> Result<Vec<Write>, Refused> {
    books.ledger.post(entry).map_err(|refusal| Refused::unavailable(alloc::format!("{refusal}")))
}

fn no_such_hold() -> Refused {
    Refused::not_found("there is no such hold")
}
