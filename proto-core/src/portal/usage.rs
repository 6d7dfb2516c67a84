//! `POST /v1/usage` and `POST /v1/statements`: what was delivered, by the gateway's word and by the provider's.
//!
//! ```text
//!   report with statement ---------------------------> settled
//!   report without one  --recorded--> statement comes -> settled;  hold lapses -> settled by the report
//!   statement with ack  ------------------------------> settled
//!   report that nobody delivered: each attempt that its provider has not released is the gateway's bond's to answer for
//! ```
//!
//! The first settlement takes the charge out of the hold and returns the rest. A further attempt that the gateway has
//! acknowledged all the same is paid from its bond. Repeating a call gives the same receipt.

use alloc::vec::Vec;

use crate::economics::{self, Bill, Counts};
use crate::identity::NodeId;
use crate::limits::ATTEMPTS;
use crate::machine::StreamId;
use crate::money::Micros;
use crate::mutants::{Mutant, mutant};
use crate::store::{Range, Row, Write};
use crate::time::Now;
use crate::wire::cbor::Blob;
use crate::wire::ids::{AuthId, ReceiptId};
use crate::wire::object::{self, Sealed};
use crate::wire::portal::{AttemptRelease, Receipt, StreamAck, UsageReport, UsageStatement, key_id};

use super::answer::{Answer, Refused, Step, Stepped};
use super::books::{Books, Fep};
use super::holds::{self, Caller, Ended, Hold};
use super::ledger::{self, Account, Entry};
use super::look::Look;
use super::rows::{HOLDS, Kind, Outcome, RESOLUTIONS, ResolutionRow, Signed, auth_key};
use super::settlement::Words;
use super::writer::{Commit, Then};

/// A gateway's report.
pub(super) fn report(fep: &Fep, books: &mut Books, now: Now, stream: StreamId, body: &[u8]) -> Stepped {
    let sealed = object::open::<UsageReport>(fep.network, None, body)?;
    let (gateway, report) = (NodeId(sealed.signer), &sealed.content);
    fep.must_be_us(report.fep_id)?;
    books.accounts.enrolled(gateway)?;
    let caller = Caller::Gateway { gateway, attempt: report.attempt };
    let (auth_id, free) = (report.auth_id, books.free_bond(gateway));
    let hold = match begin(books, auth_id, caller, stream)? {
        Begun::Open(hold) => hold,
        Begun::Elsewhere(step) => return Ok(step),
    };
    if hold.authorization.content.gateway != gateway {
        return Err(holds::not_its_gateway());
    }
    if hold.returned {
        return Ok(look(auth_id, caller));
    }
    let mut closed = released(fep, hold, &report.releases)?;
    if let Some(attempt) = report.attempt {
        hold.provider(attempt)?;
        let Some(statement) = &report.statement else {
            return record(books, auth_id, &closed, sealed, stream);
        };
        let (statement, ack) = said(fep, hold, attempt, &statement.0)?;
        let words = Words { accepted: Some(report.accepted), statement: Some(&statement), ack: ack.as_ref() };
        // What its provider has released is not owed for.
        let open = hold.is_open(attempt) && !closed.contains(&attempt);
        let settled = words.settled(&hold.authorization.content).filter(|_| open);
        if let Some(counts) = settled {
            let receipt = issue(fep, books, now, auth_id, attempt, &words, counts)?;
            let deed = Deed { auth_id, closed, now };
            return capture(books, &deed, receipt, alloc::vec![stream]).map(Step::Commit);
        }
        closed.push(attempt);
    }
    if !hold.can_return(&closed, free) {
        // Until its providers have had the time to show otherwise.
        return record(books, auth_id, &closed, sealed, stream);
    }
    let deed = Deed { auth_id, closed, now };
    give_back(books, &deed, Ended::Released, alloc::vec![stream]).map(Step::Commit)
}

/// A provider's statement.
pub(super) fn statement(fep: &Fep, books: &mut Books, now: Now, stream: StreamId, body: &[u8]) -> Stepped {
    let sealed = object::open::<UsageStatement>(fep.network, None, body)?;
    let (provider, statement) = (NodeId(sealed.signer), &sealed.content);
    fep.must_be_us(statement.fep_id)?;
    let (auth_id, attempt) = (statement.auth_id, statement.attempt);
    let caller = Caller::Provider { provider, attempt };
    let hold = match begin(books, auth_id, caller, stream)? {
        Begun::Open(hold) => hold,
        Begun::Elsewhere(step) => return Ok(step),
    };
    if hold.provider(attempt)? != provider {
        return Err(Refused::not_paired("the attempt is another provider's"));
    }
    if !hold.is_open(attempt) {
        return Ok(look(auth_id, caller));
    }
    let (statement, ack) = said(fep, hold, attempt, body)?;
    let accepted = hold.reported(attempt);
    let words = Words { accepted, statement: Some(&statement), ack: ack.as_ref() };
    let waiting = alloc::vec![stream];
    match words.settled(&hold.authorization.content) {
        Some(counts) => {
            let receipt = issue(fep, books, now, auth_id, attempt, &words, counts)?;
            let deed = Deed { auth_id, closed: Vec::new(), now };
            capture(books, &deed, receipt, waiting).map(Step::Commit)
        }
        // Both have spoken, of whichever attempt (once the hold is returned no word of the gateway counts any more), or its
        // provider says itself that there was nothing. It states once: no acknowledgement will be shown later.
        None if hold.has_report() || hold.returned || statement.says_nothing_is_owed() => {
            release(books, now, auth_id, attempt, waiting).map(Step::Commit)
        }
        None => Err(Refused::unavailable(
            "nothing of it is acknowledged: it is settled when its gateway reports, or its hold lapses; ask again",
        )),
    }
}

/// Ends a hold whose life is over.
pub(super) fn expire(fep: &Fep, books: &mut Books, now: Now, auth_id: AuthId) -> Result<Commit, Refused> {
    let hold = books.holds.open(auth_id).ok_or_else(no_such_hold)?;
    let by_report = hold.last_report().filter(|(attempt, _)| !hold.returned && hold.is_open(*attempt));
    let settled = by_report.and_then(|(attempt, accepted)| {
        let words = Words { accepted: Some(accepted), statement: None, ack: None };
        words.settled(&hold.authorization.content).map(|counts| (attempt, words, counts))
    });
    let everything = hold.attempts().filter(|attempt| hold.is_open(*attempt)).collect();
    if let Some((attempt, words, counts)) = settled {
        let receipt = issue(fep, books, now, auth_id, attempt, &words, counts)?;
        let deed = Deed { auth_id, closed: everything, now };
        return capture(books, &deed, receipt, Vec::new());
    }
    let returned = hold.returned;
    let deed = Deed { auth_id, closed: everything, now };
    if returned {
        // Its user has long had the rest: only the gateway's bond is free again.
        let gone = books.holds.end(auth_id, Ended::Expired, &deed.closed, true, Vec::new());
        let batch = alloc::vec![gone];
        let told = alloc::format!("{auth_id} has lapsed");
        return Ok(Commit { batch, then: Then::Resolved(auth_id, Answer::NoContent), told });
    }
    give_back(books, &deed, Ended::Expired, Vec::new())
}

/// A call for a hold that is long resolved: what the store remembers of it.
pub(super) fn remembered(caller: Caller, resolutions: Vec<ResolutionRow>) -> Result<Answer, Refused> {
    let Some(first) = resolutions.first() else { return Err(no_such_hold()) };
    let gateway = first.gateway;
    let captured = |wanted: u8| {
        resolutions.iter().find_map(|resolution| match &resolution.outcome {
            Outcome::Captured { attempt, provider, receipt } if *attempt == wanted => {
                Some((*provider, Blob(receipt.0.clone())))
            }
            Outcome::Captured { .. } | Outcome::Released | Outcome::Expired => None,
        })
    };
    let released = matches!(first.outcome, Outcome::Released);
    match caller {
        Caller::Gateway { gateway: by, .. } if by != gateway => Err(holds::not_its_gateway()),
        Caller::Gateway { attempt, .. } => match attempt.and_then(captured) {
            Some((_, receipt)) => Ok(Answer::Object(receipt)),
            None if released => Ok(Answer::NoContent),
            None => Err(holds::resolved()),
        },
        Caller::Provider { provider, attempt } => match captured(attempt) {
            Some((of, receipt)) if of == provider => Ok(Answer::Object(receipt)),
            Some(_) => Err(Refused::not_paired("the attempt is another provider's")),
            None if released => Ok(Answer::NoContent),
            None => Err(holds::resolved()),
        },
    }
}

/// What a call brings about.
struct Deed {
    auth_id: AuthId,
    /// Attempts for which nothing can be owed any more.
    closed: Vec<u8>,
    now: Now,
}

/// What a call about a hold finds.
enum Begun<'a> {
    /// It stands, and nobody else is at it.
    Open(&'a Hold),
    /// It ends just now, or has long ended: the answer follows from that.
    Elsewhere(Step),
}

fn begin(books: &mut Books, auth_id: AuthId, caller: Caller, stream: StreamId) -> Result<Begun<'_>, Refused> {
    if books.holds.is_opening(auth_id) {
        return Err(Refused::unavailable("the hold is still being written; report again"));
    }
    if let Some(ending) = books.holds.await_end(auth_id, caller, stream) {
        return ending.map(Begun::Elsewhere);
    }
    Ok(books.holds.open(auth_id).map_or_else(|| Begun::Elsewhere(look(auth_id, caller)), Begun::Open))
}

fn look(auth_id: AuthId, caller: Caller) -> Step {
    // Behind the hold's own end stand those of attempts that its gateway's bond paid for.
    let from = auth_key(auth_id);
    let to = alloc::format!("{from}0");
    Step::Look(Range { table: RESOLUTIONS, from, to, limit: 8 }, Look::Resolution(caller))
}

/// The attempts that their providers have released.
fn released(fep: &Fep, hold: &Hold, releases: &[Blob]) -> Result<Vec<u8>, Refused> {
    if releases.len() > ATTEMPTS {
        return Err(Refused::bad_request(alloc::format!("a report has at most {ATTEMPTS} releases")));
    }
    let mut released = Vec::new();
    for bytes in releases {
        let sealed = object::open::<AttemptRelease>(fep.network, None, &bytes.0)?;
        let AttemptRelease { auth_id, attempt } = sealed.content;
        if auth_id != hold.authorization.content.auth_id || hold.provider(attempt)? != NodeId(sealed.signer) {
            return Err(Refused::bad_request("a release is of another attempt"));
        }
        released.push(attempt);
    }
    Ok(released)
}

/// A provider's statement, checked, with the acknowledgement that it shows.
fn said(
    fep: &Fep,
    hold: &Hold,
    attempt: u8,
    bytes: &[u8],
) -> Result<(UsageStatement, Option<StreamAck>), Refused> {
    let provider = hold.provider(attempt)?;
    let statement = object::open::<UsageStatement>(fep.network, Some(provider.0), bytes)?.content;
    let authorization = &hold.authorization.content;
    if (statement.auth_id, statement.attempt) != (authorization.auth_id, attempt) {
        return Err(Refused::bad_request("the statement is of another attempt"));
    }
    let ack = statement.ack.as_ref().map(|ack| {
        let ack = object::open::<StreamAck>(fep.network, Some(authorization.gateway.0), &ack.0)?.content;
        match (ack.auth_id, ack.attempt) == (authorization.auth_id, attempt) {
            true => Ok(ack),
            false => Err(Refused::bad_request("the acknowledgement is of another attempt")),
        }
    });
    Ok((statement, ack.transpose()?))
}

/// Keeps a gateway's word until more is known.
fn record(
    books: &mut Books,
    auth_id: AuthId,
    released: &[u8],
    report: Sealed<UsageReport>,
    stream: StreamId,
) -> Stepped {
    let hold = books.holds.record(auth_id, released, report).ok_or_else(no_such_hold)?;
    let batch = alloc::vec![Write::Put(HOLDS, hold.row())];
    let told = alloc::format!("noted what its gateway says of {auth_id}");
    Ok(Step::Commit(Commit { batch, then: Then::Answer(stream, Answer::Noted), told }))
}

fn issue(
    fep: &Fep,
    books: &Books,
    now: Now,
    auth_id: AuthId,
    attempt: u8,
    words: &Words<'_>,
    settled: Counts,
) -> Result<(Sealed<Receipt>, Bill), Refused> {
    let signer = fep.signer(now)?;
    let hold = books.holds.open(auth_id).ok_or_else(no_such_hold)?;
    let authorization = &hold.authorization.content;
    let at = usize::from(attempt);
    let (Some(named), Some(offer)) = (authorization.attempts.get(at), hold.offers.get(at)) else {
        return Err(holds::no_such_attempt());
    };
    let rate = match books.quotes.rate(&authorization.currency, &offer.payout.currency, now.wall) {
        Ok(today) if mutant(Mutant::RateNotPinned) => today,
        _ => named.rate,
    };
    let bill = economics::bill(&offer.price, &authorization.fees, rate, &settled)
        .filter(|bill| bill.charge <= named.max_charge && named.max_charge <= authorization.hold)
        .ok_or_else(|| Refused::bad_request("what was used costs more than was authorized"))?;
    let acked = words.ack.map(|ack| ack.counts);
    let receipt = Receipt {
        receipt_id: ReceiptId::of(fep.fep_id, authorization.auth_id, attempt),
        fep_id: fep.fep_id,
        provider_node_id: named.provider,
        gateway_node_id: authorization.gateway,
        auth_id: authorization.auth_id,
        attempt,
        offer_hash: named.offer_hash,
        settled,
        accepted: words.accepted.or(acked).unwrap_or_default(),
        stated: words.statement.map(|statement| statement.counts).unwrap_or_default(),
        billing_currency: authorization.currency.clone(),
        charge: bill.charge,
        payout_to: offer.payout.clone(),
        payout: bill.payout,
        rate,
        authorized_ms: authorization.issued_ms,
        issued_ms: now.wall.0,
        key_id: key_id(&signer.fep_key().0),
        sequence: books.receipts.next_sequence(named.provider),
        request_id: authorization.request_id,
    };
    Ok((object::seal(signer, fep.network.id, receipt), bill))
}

/// Pays an attempt: out of the hold, of which the rest returns to its user, or, where that is returned already because the
/// gateway had declared the attempt void, from the gateway's bond.
fn capture(
    books: &mut Books,
    deed: &Deed,
    (receipt, bill): (Sealed<Receipt>, Bill),
    waiting: Vec<StreamId>,
) -> Result<Commit, Refused> {
    let hold = books.holds.open(deed.auth_id).ok_or_else(no_such_hold)?;
    let Receipt { auth_id, attempt, provider_node_id: provider, gateway_node_id: gateway, .. } =
        receipt.content;
    let says = &receipt.content;
    let at_ms = says.issued_ms;
    let payout_account = match says.is_exchanged() {
        true => Account::Fx(says.payout_to.currency.clone()),
        false => Account::Provider(provider),
    };
    // Of the charge, in the billing currency.
    let mut postings = alloc::vec![
        (payout_account, bill.exchanged),
        (Account::Gateway(gateway), bill.gateway_fee),
        (Account::Fees, bill.fep_fee),
        (Account::Rounding, bill.rounding),
    ];
    let (kind, key, payer) = if hold.returned {
        postings.push((Account::Bond(gateway), ledger::negated(bill.charge)));
        let payer = alloc::format!("the bond of gateway {gateway}");
        (Kind::BondCapture, alloc::format!("{}/{attempt}", auth_key(auth_id)), payer)
    } else {
        let (user, held) = (hold.user, hold.amount());
        let rest = Micros(held.0.saturating_sub(bill.charge.0));
        let rest_to = if mutant(Mutant::RemainderKept) { Account::Fees } else { Account::User(user) };
        postings.extend([(Account::Held(user), ledger::negated(held)), (rest_to, rest)]);
        (Kind::Capture, auth_key(auth_id), alloc::format!("{user}"))
    };
    let captured = Entry { kind, reference: key.clone(), at_ms, postings };
    let mut entries = alloc::vec![(says.billing_currency.clone(), captured)];
    if says.is_exchanged() {
        let currency = says.payout_to.currency.clone();
        let postings =
            ledger::transfer(Account::Fx(currency.clone()), Account::Provider(provider), says.payout);
        let exchanged = Entry { kind: Kind::Exchange, reference: key.clone(), at_ms, postings };
        entries.push((currency, exchanged));
    }
    let posted = books.ledger.post_all(entries);
    let mut batch = posted.map_err(|refusal| Refused::unavailable(alloc::format!("{refusal}")))?;
    let outcome = Outcome::Captured { attempt, provider, receipt: Signed(receipt.bytes.0.clone()) };
    batch.extend(books.receipts.add(&receipt));
    batch.push(resolve(key, gateway, outcome, at_ms));
    let closed: Vec<u8> = deed.closed.iter().copied().chain([attempt]).collect();
    batch.push(books.holds.end(auth_id, Ended::Captured { attempt }, &closed, true, waiting));
    let told = alloc::format!(
        "settled {auth_id}: {payer} pays {}, provider {provider} gets {} {}, receipt {}",
        bill.charge,
        receipt.content.payout,
        receipt.content.payout_to.currency,
        receipt.content.receipt_id
    );
    Ok(Commit { batch, then: Then::Resolved(auth_id, Answer::Object(receipt.bytes)), told })
}

/// Nothing is owed for an attempt, by its provider's own word. If it was the last one, nothing is for any.
fn release(
    books: &mut Books,
    now: Now,
    auth_id: AuthId,
    attempt: u8,
    waiting: Vec<StreamId>,
) -> Result<Commit, Refused> {
    let hold = books.holds.open(auth_id).ok_or_else(no_such_hold)?;
    // Its gateway may have said before that nobody else delivered: now its bond may do for what is left.
    let free = books.free_bond(hold.authorization.content.gateway);
    let given_up = hold.is_given_up_without(attempt) && hold.can_return(&[attempt], free);
    if !hold.returned && (given_up || hold.attempts_open_but(&[attempt]) == 0) {
        let deed = Deed { auth_id, closed: alloc::vec![attempt], now };
        return give_back(books, &deed, Ended::Released, waiting);
    }
    let row = books.holds.end(auth_id, Ended::Closed, &[attempt], false, waiting);
    let told = alloc::format!("nothing is owed for attempt {attempt} of {auth_id}");
    Ok(Commit { batch: alloc::vec![row], then: Then::Resolved(auth_id, Answer::NoContent), told })
}

fn give_back(
    books: &mut Books,
    deed: &Deed,
    ended: Ended,
    waiting: Vec<StreamId>,
) -> Result<Commit, Refused> {
    let auth_id = deed.auth_id;
    let hold = books.holds.open(auth_id).ok_or_else(no_such_hold)?;
    let (user, amount, gateway) = (hold.user, hold.amount(), hold.authorization.content.gateway);
    let (kind, outcome, why) = match ended {
        Ended::Expired => (Kind::Expiry, Outcome::Expired, "expired"),
        Ended::Released | Ended::Closed | Ended::Captured { .. } => {
            (Kind::Release, Outcome::Released, "released")
        }
    };
    let at_ms = deed.now.wall.0;
    let postings = ledger::release(user, amount);
    let mut batch = post(books, Entry { kind, reference: auth_key(auth_id), at_ms, postings })?;
    batch.push(resolve(auth_key(auth_id), gateway, outcome, at_ms));
    batch.push(books.holds.end(auth_id, ended, &deed.closed, true, waiting));
    let told = alloc::format!("{why} {auth_id}: {amount} returns to {user}");
    Ok(Commit { batch, then: Then::Resolved(auth_id, Answer::NoContent), told })
}

/// The store refuses a second resolution of the same hold (I2), and of the same attempt (I3).
fn resolve(key: alloc::string::String, gateway: NodeId, outcome: Outcome, at_ms: u64) -> Write {
    Write::Insert(RESOLUTIONS, Row::json(key, &ResolutionRow { gateway, outcome, at_ms }))
}

fn post(books: &mut Books, entry: Entry) -> Result<Vec<Write>, Refused> {
    books.ledger.post(entry).map_err(|refusal| Refused::unavailable(alloc::format!("{refusal}")))
}

fn no_such_hold() -> Refused {
    Refused::not_found("there is no such hold")
}
