//! `POST /v1/authorize`: sets money aside for one job, before the work.

use alloc::vec::Vec;

use crate::economics;
use crate::identity::NodeId;
use crate::limits::{ATTEMPTS, CLOCK_SKEW, HOLD_LIFE, PORTAL_HOLDS, PORTAL_PROVIDERS};
use crate::machine::StreamId;
use crate::money::Micros;
use crate::mutants::{Mutant, mutant};
use crate::store::{Row, Write};
use crate::time::Now;
use crate::wire::cbor;
use crate::wire::ids::AuthId;
use crate::wire::ids::Hash;
use crate::wire::object;
use crate::wire::portal::{Attempt, AuthorizeRequest, JobAuthorization, Offer, key_id};

use super::answer::{Refused, Step, Stepped};
use super::books::{Books, Fep};
use super::holds::{self, Expires, Hold};
use super::ledger::{self, Entry, Refusal};
use super::rails::address;
use super::rows::{HOLDS, Kind, REQUESTS, RequestRow, auth_key};
use super::writer::{Commit, Then};

pub(super) fn handle(fep: &Fep, books: &mut Books, now: Now, stream: StreamId, body: &[u8]) -> Stepped {
    let sealed = object::open::<AuthorizeRequest>(fep.network, None, body)?;
    let (gateway, request) = (NodeId(sealed.signer), sealed.content);
    fep.must_be_us(request.fep_id)?;
    must_be_fresh(now, request.issued_ms)?;
    books.accounts.enrolled(gateway)?;
    let auth_id = AuthId::of(fep.fep_id, gateway, request.request_id);
    let digest = digest(&request);
    if let Some(again) = books.holds.again(auth_id, digest, stream) {
        return again;
    }
    let user = books.accounts.owner(&request.key)?;
    let signer = fep.signer(now)?;
    must_live_a_while(request.ttl_s)?;
    let (mut attempts, mut offers) = attempts(fep, books, now, &request)?;
    let covered = covered(books.free_bond(gateway), &attempts);
    attempts.truncate(covered);
    offers.truncate(covered);
    must_have_room(books, &attempts)?;
    let hold = attempts.iter().map(|attempt| attempt.max_charge).max().unwrap_or_default();

    let entry = Entry {
        kind: Kind::Hold,
        reference: auth_key(auth_id),
        at_ms: now.wall.0,
        postings: ledger::hold(user, hold),
    };
    let mut batch = books.ledger.post(entry).map_err(|refusal| match refusal {
        Refusal::Overdrawn(_) => {
            Refused::insufficient_quota(alloc::format!("the balance does not cover {hold}"))
        }
        Refusal::Overflow | Refusal::Unbalanced => Refused::bad_request(alloc::format!("{refusal}")),
    })?;
    let authorization = JobAuthorization {
        auth_id,
        fep_id: fep.fep_id,
        request_id: request.request_id,
        gateway,
        issued_ms: now.wall.0,
        ttl_s: request.ttl_s,
        currency: fep.config.currency.clone(),
        hold,
        fees: fep.config.fees,
        input_bound: request.input_bound,
        max_output: request.max_output,
        attempts,
        key_id: key_id(&signer.fep_key().0),
        streamed: request.streamed,
    };
    let authorization = object::seal(signer, fep.network.id, authorization);
    let expires = Expires::of(&books.uptime, now, request.ttl_s);
    let hold_made = Hold::new(user, digest, authorization, offers, expires);
    let once =
        RequestRow { gateway, request_id: request.request_id, user, digest, hold, issued_ms: now.wall.0 };
    batch.push(Write::Insert(REQUESTS, Row::json(auth_key(auth_id), &once)));
    batch.push(Write::Put(HOLDS, hold_made.row()));
    books.holds.begin(hold_made, stream);
    let told = alloc::format!("authorized {auth_id}: request {} of {user} holds {hold}", request.request_id);
    Ok(Step::Commit(Commit { batch, then: Then::Opened(auth_id), told }))
}

/// Of what is asked for; signing the same request later does not change it.
fn digest(request: &AuthorizeRequest) -> Hash {
    let timeless = AuthorizeRequest { issued_ms: 0, ..request.clone() };
    Hash(*blake3::hash(&cbor::encode(&timeless)).as_bytes())
}

pub(super) fn must_be_fresh(now: Now, issued_ms: u64) -> Result<(), Refused> {
    let apart_ms = now.wall.0.abs_diff(issued_ms);
    if apart_ms <= CLOCK_SKEW.as_millis() {
        return Ok(());
    }
    let apart_s = apart_ms / 1000;
    Err(Refused::bad_request(alloc::format!(
        "the request was signed {apart_s} s off this portal's time: the two hosts' clocks differ, set them"
    )))
}

fn must_live_a_while(ttl_s: u32) -> Result<(), Refused> {
    let most_s = HOLD_LIFE.as_millis() / 1000;
    match (1..=most_s).contains(&u64::from(ttl_s)) {
        true => Ok(()),
        false => Err(Refused::bad_request(alloc::format!("ttl_s must be between 1 and {most_s}"))),
    }
}

/// How many of the attempts may be named: the hold pays for one, and the gateway's bond must cover that it says to have
/// used none of the others.
fn covered(free: Micros, attempts: &[Attempt]) -> usize {
    let lock =
        |named: usize| holds::lock(attempts.iter().take(named).map(|attempt| attempt.max_charge), false);
    let within = |named: &usize| lock(*named) <= free || mutant(Mutant::BondUnlocked);
    (1..=attempts.len()).rev().find(within).unwrap_or_default()
}

/// Room for the hold, and for its provider: capturing must not fail for want of it.
fn must_have_room(books: &Books, attempts: &[Attempt]) -> Result<(), Refused> {
    let new_provider = attempts.iter().any(|attempt| !books.receipts.knows(attempt.provider));
    if books.holds.len() >= PORTAL_HOLDS {
        return Err(Refused::unavailable("too many jobs are open here; ask again"));
    }
    if new_provider && books.receipts.providers() >= PORTAL_PROVIDERS {
        return Err(Refused::unavailable("this portal takes no further provider"));
    }
    Ok(())
}

/// Each offer, checked, as an attempt with the most it can cost.
fn attempts(
    fep: &Fep,
    books: &Books,
    now: Now,
    request: &AuthorizeRequest,
) -> Result<(Vec<Attempt>, Vec<Offer>), Refused> {
    if !(1..=ATTEMPTS).contains(&request.offers.len()) {
        return Err(Refused::bad_request(alloc::format!("a request names 1 to {ATTEMPTS} offers")));
    }
    let (mut attempts, mut offers) = (Vec::new(), Vec::new());
    for (at, bytes) in request.offers.iter().enumerate() {
        let bad = |what: &str| Refused::bad_request(alloc::format!("offer {at}: {what}"));
        let sealed = object::open::<Offer>(fep.network, None, &bytes.0)
            .map_err(|error| bad(&alloc::format!("{error}")))?;
        let offer = sealed.content;
        if offer.valid_until_ms <= now.wall.0 {
            return Err(bad("it has expired"));
        }
        let (billing, payout) = (&fep.config.currency, &offer.payout);
        let rate = books.quotes.rate(billing, &payout.currency, now.wall).map_err(|why| bad(&why))?;
        // What could not be paid in the end must not be worked for.
        address::payable(&fep.config, payout).map_err(|why| bad(&why))?;
        let (fees, input, output) = (&fep.config.fees, request.input_bound, request.max_output);
        let most = economics::dearest(&offer.price, fees, rate, input, output)
            .ok_or_else(|| bad("a price is negative, or the job too dear to be counted"))?;
        attempts.push(Attempt {
            provider: NodeId(sealed.signer),
            offer_hash: Hash(sealed.hash),
            max_charge: most.charge,
            max_payout: most.payout,
            payout_currency: payout.currency.clone(),
            rate,
        });
        offers.push(offer);
    }
    Ok((attempts, offers))
}
