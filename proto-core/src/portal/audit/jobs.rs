//! Holds and how they ended, the receipts that came of them, and what users were charged.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::{String, ToString},
};

use crate::audit::{Desk, Invariant, Reader, Tally, place};
use crate::economics::{self, Counts};
use crate::identity::NodeId;
use crate::keys::Keys;
use crate::money::{Currency, Micros};
use crate::portal::accounts::UserId;
use crate::portal::claimed::{Page, Run};
use crate::portal::holds;
use crate::portal::ledger::Account;
use crate::portal::rows::{
    ACCEPTED, BALANCES, BONDS, BalanceRow, BondRow, CLAIMED, CLAIMS, CountersRow, DEPOSITS, DepositRow,
    EARNED, EarnedRow, HOLDS, HoldRow, ISSUED, IssuedRow, Outcome, PROVIDERS, ProviderRow, RECEIPTS,
    REQUESTS, RESOLUTIONS, ReceiptRow, RequestRow, ResolutionRow, USERS, auth_key, balance_key, claim_key,
    earned_key, issued_key, numbered, payout_place,
};
use crate::wire::ids::ReceiptId;
use crate::wire::portal::{Attempt, JobAuthorization, Receipt, UsageReport};

use super::issued::Claimed;
use super::ledger::Booked;
use super::wide;

/// What each provider was issued.
#[derive(Default)]
pub(super) struct Issued {
    /// Receipts that are not unclaimed any more, by provider and currency.
    pub(super) paid: BTreeMap<(NodeId, Currency), Tally>,
}

pub(super) fn check<R: Reader>(
    desk: &mut Desk<'_, R>,
    keys: Option<&Keys>,
    booked: &mut Booked,
    last: &CountersRow,
) -> Result<Issued, R::Error> {
    let open = check_holds(desk, keys, booked, last)?;
    check_requests(desk, booked, &open)?;
    let captured = check_resolutions(desk, booked)?;
    let (issued, charged) = check_receipts(desk, keys, captured, last)?;
    check_users(desk, booked, charged)?;
    Ok(issued)
}

/// Open holds are those that the journal left open (I2), and as large as the dearest attempt (I8).
fn check_holds<R: Reader>(
    desk: &mut Desk<'_, R>,
    keys: Option<&Keys>,
    booked: &mut Booked,
    last: &CountersRow,
) -> Result<BTreeSet<String>, R::Error> {
    let mut open = BTreeSet::new();
    let mut locked: BTreeMap<NodeId, i128> = BTreeMap::new();
    desk.each(HOLDS, |desk, key, hold: HoldRow| {
        if !hold.returned {
            open.insert(key.into());
        }
        let Some(auth) = desk.paper::<JobAuthorization>(HOLDS, key, keys, &hold.authorization.0) else {
            return Ok(());
        };
        let auth = auth.content;
        let named = (hold.user, wide(auth.hold));
        let held = booked.open.remove(key);
        // What its user has back, only the gateway's bond answers for.
        let in_journal = match hold.returned {
            true => held.is_none(),
            false => held.map_or(auth.hold == Micros::ZERO, |held| held == named),
        };
        let what = || format!("{} is held of {}, which the journal does not say", auth.hold, hold.user);
        desk.report.must(Invariant::I2, in_journal, place(HOLDS, key), what);
        let request: Option<RequestRow> = desk.get(REQUESTS, key)?;
        let asked = request.map(|request| (request.gateway, request.request_id, request.user, request.hold));
        let same = asked == Some((auth.gateway, auth.request_id, hold.user, auth.hold))
            && key == auth_key(auth.auth_id);
        let what = || "is not what was asked for".into();
        desk.report.must(Invariant::I2, same, place(HOLDS, key), what);
        let what = || "is not what its attempts' offers, bounds and fees come to".into();
        desk.report.must(Invariant::I8, is_dearest(&auth, &hold), place(HOLDS, key), what);
        for (attempt, _) in (0u8..).zip(&auth.attempts) {
            let closed = !is_paid(desk, key, attempt)? || hold.closed.contains(&attempt);
            let what = || format!("is open for attempt {attempt}, which is paid");
            desk.report.must(Invariant::I2, closed, place(HOLDS, key), what);
        }
        if let Some(report) = &hold.report
            && let Some(report) = desk.paper_by::<UsageReport>(HOLDS, key, auth.gateway.0, &report.0)
        {
            let its_own = report.content.auth_id == auth.auth_id;
            let what = || "has its gateway's word of another".into();
            desk.report.must(Invariant::I2, its_own, place(HOLDS, key), what);
        }
        let named = (0u8..).zip(&auth.attempts).filter(|(attempt, _)| !hold.closed.contains(attempt));
        let most = named.map(|(_, named)| named.max_charge);
        *locked.entry(auth.gateway).or_default() += wide(holds::lock(most, hold.returned));
        Ok(())
    })?;
    for (gateway, locked) in locked {
        let account = balance_key(&last.currency, &Account::Bond(gateway));
        let bond: Option<BalanceRow> = desk.get(BALANCES, &account)?;
        let bond = bond.map_or(0, |row| wide(row.balance));
        let what = || format!("is {bond} micro-units, and answers for {locked}");
        desk.report.must(Invariant::I2, locked <= bond, || account.clone(), what);
    }
    for (key, (user, held)) in &booked.open {
        let what = || format!("the journal holds {held} micro-units of {user} for it, and no hold is open");
        desk.report.must(Invariant::I2, false, place(HOLDS, key), what);
    }
    Ok(open)
}

/// By the hold, or by its gateway's bond.
fn is_paid<R: Reader>(desk: &mut Desk<'_, R>, key: &str, attempt: u8) -> Result<bool, R::Error> {
    let by_hold: Option<ResolutionRow> = desk.get(RESOLUTIONS, key)?;
    let of_it =
        |row: ResolutionRow| matches!(row.outcome, Outcome::Captured { attempt: of, .. } if of == attempt);
    Ok(by_hold.is_some_and(of_it) || desk.has(RESOLUTIONS, &format!("{key}/{attempt}"))?)
}

fn is_dearest(auth: &JobAuthorization, hold: &HoldRow) -> bool {
    let attempts = auth.attempts.iter().zip(&hold.offers);
    let each = attempts.into_iter().all(|(attempt, offer)| {
        let Attempt { max_charge, max_payout, rate, .. } = *attempt;
        let most = economics::dearest(&offer.price, &auth.fees, rate, auth.input_bound, auth.max_output);
        auth.pays_as_asked(attempt, offer)
            && most.is_some_and(|most| (most.charge, most.payout) == (max_charge, max_payout))
    });
    let most = auth.attempts.iter().map(|attempt| attempt.max_charge).max().unwrap_or_default();
    each && auth.attempts.len() == hold.offers.len() && most == auth.hold
}

/// Each request is open or resolved, never both (I2).
fn check_requests<R: Reader>(
    desk: &mut Desk<'_, R>,
    booked: &Booked,
    open: &BTreeSet<String>,
) -> Result<(), R::Error> {
    let mut asked = Tally::default();
    let mut unasked = open.clone();
    desk.each(REQUESTS, |desk, key, request: RequestRow| {
        if request.hold != Micros::ZERO {
            asked.add(wide(request.hold));
        }
        unasked.remove(key);
        let known = desk.has(USERS, &request.user.to_string())?;
        let what = || format!("was asked for by {}, whom nobody knows", request.user);
        desk.report.must(Invariant::I2, known, place(REQUESTS, key), what);
        let (is_open, is_resolved) = (open.contains(key), desk.has(RESOLUTIONS, key)?);
        let what = || match is_open {
            true => "is open and resolved".into(),
            false => "is neither open nor resolved".into(),
        };
        desk.report.must(Invariant::I2, is_open != is_resolved, place(REQUESTS, key), what);
        Ok(())
    })?;
    for key in &unasked {
        desk.report.must(Invariant::I2, false, place(HOLDS, key), || "was never asked for".into());
    }
    let place = || REQUESTS.name.into();
    let what = || format!("{asked} were asked for, the journal has {}", booked.holds);
    desk.report.must(Invariant::I2, asked == booked.holds, place, what);
    Ok(())
}

/// Each end is of a hold that was asked for; how many were captured.
fn check_resolutions<R: Reader>(desk: &mut Desk<'_, R>, booked: &Booked) -> Result<u64, R::Error> {
    let mut captured = 0u64;
    let (mut charged, mut returned, mut bonds) = (Tally::default(), Tally::default(), Tally::default());
    desk.each(RESOLUTIONS, |desk, key, resolution: ResolutionRow| {
        // Behind the hold's own end stand those of attempts that its gateway's bond paid for.
        let (auth, of_bond) = match key.split_once('/') {
            Some((auth, attempt)) => (auth, Some(attempt)),
            None => (key, None),
        };
        let request: Option<RequestRow> = desk.get(REQUESTS, auth)?;
        let hold = request.as_ref().map(|request| wide(request.hold));
        let its_own = request.is_some_and(|request| request.gateway == resolution.gateway);
        let what = || "no such request of that gateway".into();
        desk.report.must(Invariant::I2, its_own, place(RESOLUTIONS, key), what);
        match resolution.outcome {
            Outcome::Captured { attempt, provider, receipt } => {
                captured += 1;
                let receipt = desk.checked_paper::<Receipt>(&receipt.0).map(|sealed| sealed.content);
                let its_own = receipt.as_ref().is_some_and(|r| {
                    (auth_key(r.auth_id).as_str(), r.attempt, r.provider_node_id) == (auth, attempt, provider)
                }) && of_bond.is_none_or(|of| of == attempt.to_string());
                let what = || "is captured for another hold's receipt".into();
                desk.report.must(Invariant::I3, its_own, place(RESOLUTIONS, key), what);
                let charge = receipt.map_or(0, |receipt| wide(receipt.charge));
                let covered = hold.is_some_and(|hold| (0..=hold).contains(&charge));
                let what = || format!("{charge} micro-units were taken out of a hold of {hold:?}");
                desk.report.must(Invariant::I8, covered, place(RESOLUTIONS, key), what);
                // An entry that moves nothing is not written.
                match of_bond {
                    Some(_) if charge != 0 => bonds.add(charge),
                    None if hold != Some(0) => charged.add(charge),
                    Some(_) | None => {}
                }
            }
            Outcome::Released | Outcome::Expired => {
                let what = || "is an attempt's end, and not paid for".into();
                desk.report.must(Invariant::I2, of_bond.is_none(), place(RESOLUTIONS, key), what);
                if let Some(hold) = hold.filter(|hold| *hold != 0) {
                    returned.add(hold);
                }
            }
        }
        Ok(())
    })?;
    for (what, rows, journal) in [
        ("captured", charged, booked.captures),
        ("given back", returned, booked.returns),
        ("paid from bonds", bonds, booked.bond_captures),
    ] {
        let what = || format!("{rows} were {what}, the journal has {journal}");
        desk.report.must(Invariant::I2, rows == journal, || RESOLUTIONS.name.into(), what);
    }
    Ok(captured)
}

/// Each capture has one receipt, numbered without a gap, for its provider and of all; it is unclaimed, or was paid.
fn check_receipts<R: Reader>(
    desk: &mut Desk<'_, R>,
    keys: Option<&Keys>,
    captured: u64,
    last: &CountersRow,
) -> Result<(Issued, BTreeMap<UserId, i128>), R::Error> {
    let (mut earned, mut taken, mut claimed) = (0u64, 0u64, Claimed::default());
    let mut sequences: BTreeMap<NodeId, u64> = BTreeMap::new();
    let (mut issued, mut charged) = (Issued::default(), BTreeMap::<UserId, i128>::new());
    let mut number = 0u64;
    desk.each(RECEIPTS, |desk, key, ReceiptRow { receipt, signed }: ReceiptRow| {
        number += 1;
        let next = numbered(number);
        desk.report.must(Invariant::I3, key == next, place(RECEIPTS, key), || format!("{next} was next"));
        number = key.parse().unwrap_or(number);

        let sequence = sequences.entry(receipt.provider_node_id).or_default();
        *sequence += 1;
        let (next, provider) = (*sequence, receipt.provider_node_id);
        let what = || format!("is number {} of {provider}, {next} was next", receipt.sequence);
        desk.report.must(Invariant::I3, receipt.sequence == next, place(RECEIPTS, key), what);

        let paper = desk.paper::<Receipt>(RECEIPTS, key, keys, &signed.0);
        let from_hold = is_captured(desk, &auth_key(receipt.auth_id), &signed.0)?;
        let captured = from_hold || is_captured(desk, &bond_key(&receipt), &signed.0)?;
        let derived = receipt.receipt_id == ReceiptId::of(receipt.fep_id, receipt.auth_id, receipt.attempt);
        let once = captured && derived && paper.is_some_and(|paper| paper.content == receipt);
        let what = || format!("is not what the hold {} was captured for", receipt.auth_id);
        desk.report.must(Invariant::I3, once, place(RECEIPTS, key), what);

        let said = |of: fn(Counts) -> u32| of(receipt.accepted).max(of(receipt.stated));
        let (input, output) = (said(|counts| counts.input), said(|counts| counts.output));
        let within = receipt.settled.bounded_by(input, output) == receipt.settled;
        let worth = economics::worth(receipt.payout, receipt.rate);
        let priced = within && worth.is_some_and(|worth| worth <= receipt.charge);
        let what =
            || format!("charges {} and pays {} for more than was agreed", receipt.charge, receipt.payout);
        desk.report.must(Invariant::I8, priced, place(RECEIPTS, key), what);

        let numbered: Option<IssuedRow> = desk.get(ISSUED, &issued_key(provider, receipt.sequence))?;
        let found = numbered.is_some_and(|row| row.number == number);
        let what = || format!("is not found as number {} of {provider}", receipt.sequence);
        desk.report.must(Invariant::I3, found, place(RECEIPTS, key), what);

        let id = earned_key(provider, receipt.receipt_id);
        let row: Option<EarnedRow> = desk.get(EARNED, &id)?;
        earned += u64::from(row.is_some());
        let to = payout_place(&receipt.payout_to);
        let same =
            |row: &EarnedRow| (row.payout, &row.to, row.sequence) == (receipt.payout, &to, receipt.sequence);
        let what = || "is not earned as it says".into();
        desk.report.must(Invariant::I3, row.as_ref().is_some_and(same), place(RECEIPTS, key), what);
        if let Some(claim_id) = claimed.claim_of(desk, provider, receipt.sequence)? {
            taken += 1;
            let of = (provider, receipt.payout_to.currency.clone());
            issued.paid.entry(of).or_default().add(wide(receipt.payout));
            let claim = claim_key(provider, claim_id);
            let there = desk.has(CLAIMS, &claim)? || desk.has(ACCEPTED, &claim)?;
            let what = || format!("was taken by claim {claim_id}, which was never accepted");
            desk.report.must(Invariant::I3, there, place(RECEIPTS, key), what);
        }
        if let Some(request) =
            desk.get::<RequestRow>(REQUESTS, &auth_key(receipt.auth_id))?.filter(|_| from_hold)
        {
            *charged.entry(request.user).or_default() += wide(receipt.charge);
        }
        Ok(())
    })?;
    for (table, known) in [(ISSUED, number), (EARNED, earned)] {
        let mut rows = 0u64;
        desk.rows(table, |_| rows += 1)?;
        let what = || format!("has {rows} rows, of which {known} are of receipts that were issued");
        desk.report.must(Invariant::I3, rows == known, || table.name.into(), what);
    }
    check_pages(desk, taken)?;
    let what = || format!("{number} were issued, {captured} captured, the last is {}", last.receipts);
    let agrees = (number, number) == (captured, last.receipts);
    desk.report.must(Invariant::I3, agrees, || RECEIPTS.name.into(), what);
    desk.each(PROVIDERS, |desk, key, row: ProviderRow| {
        let sequence = sequences.remove(&row.node_id).unwrap_or_default();
        let what = || format!("was issued {sequence} receipts, and is said to have {}", row.sequence);
        desk.report.must(Invariant::I3, sequence == row.sequence, place(PROVIDERS, key), what);
        Ok(())
    })?;
    for (provider, sequence) in sequences {
        let what = || format!("is not there, and was issued {sequence} receipts");
        desk.report.must(Invariant::I3, false, place(PROVIDERS, &provider.to_string()), what);
    }
    Ok((issued, charged))
}

/// What was claimed was issued, and by one claim each.
fn check_pages<R: Reader>(desk: &mut Desk<'_, R>, taken: u64) -> Result<(), R::Error> {
    let mut claimed = 0u64;
    desk.each(CLAIMED, |desk, key, page: Page| {
        let number = key.rsplit_once('/').and_then(|(_, number)| number.parse().ok());
        let agrees = number.is_some_and(|number| page.is_whole(number));
        for Run(first, last, _) in &page.runs {
            claimed = claimed.saturating_add(last.saturating_sub(*first)).saturating_add(1);
        }
        let what = || "says of a receipt twice, or of another page's, what claim it was taken by".into();
        desk.report.must(Invariant::I3, agrees, place(CLAIMED, key), what);
        Ok(())
    })?;
    let what = || format!("has {claimed} receipts, of which {taken} were issued");
    desk.report.must(Invariant::I3, claimed == taken, || CLAIMED.name.into(), what);
    Ok(())
}

/// Was that resolved by these very bytes?
pub(super) fn is_captured<R: Reader>(
    desk: &mut Desk<'_, R>,
    key: &str,
    signed: &[u8],
) -> Result<bool, R::Error> {
    let row: Option<ResolutionRow> = desk.get(RESOLUTIONS, key)?;
    Ok(row.is_some_and(|row| match row.outcome {
        Outcome::Captured { receipt, .. } => receipt.0 == signed,
        Outcome::Released | Outcome::Expired => false,
    }))
}

/// Where an attempt's end stands that a bond paid for.
pub(super) fn bond_key(receipt: &Receipt) -> String {
    format!("{}/{}", auth_key(receipt.auth_id), receipt.attempt)
}

/// A user has what they paid in, less what their receipts charged.
fn check_users<R: Reader>(
    desk: &mut Desk<'_, R>,
    booked: &Booked,
    charged: BTreeMap<UserId, i128>,
) -> Result<(), R::Error> {
    let mut left: BTreeMap<UserId, i128> = BTreeMap::new();
    let mut deposits = Tally::default();
    desk.each(DEPOSITS, |_, _, row: DepositRow| {
        deposits.add(wide(row.amount));
        *left.entry(row.user).or_default() += wide(row.amount);
        Ok(())
    })?;
    let what = || format!("{deposits} are there, the journal has {}", booked.deposits);
    desk.report.must(Invariant::I1, deposits == booked.deposits, || DEPOSITS.name.into(), what);
    for (user, charge) in charged.into_iter().chain(booked.withdrawn.clone()) {
        *left.entry(user).or_default() -= charge;
    }
    let mut bonds = Tally::default();
    desk.each(BONDS, |_, _, row: BondRow| {
        bonds.add(wide(row.amount));
        Ok(())
    })?;
    let what = || format!("{bonds} are there, the journal has {}", booked.bonds);
    desk.report.must(Invariant::I1, bonds == booked.bonds, || BONDS.name.into(), what);
    let users: BTreeSet<UserId> = left.keys().chain(booked.users.keys()).copied().collect();
    for user in users {
        let of = |all: &BTreeMap<UserId, i128>| all.get(&user).copied().unwrap_or_default();
        let (ought, has) = (of(&left), of(&booked.users));
        let what = || format!("paid in and was charged so that {ought} micro-units are left, and has {has}");
        desk.report.must(Invariant::I1, ought == has, || format!("user:{user}"), what);
    }
    Ok(())
}
