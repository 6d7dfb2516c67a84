//! From an accepted claim to the provider's money.
//!
//! ```text
//!               the least payout is reached           the rail confirms
//!   carried over --------------------------> in a transfer ------------> decided: decision, payout and ledger entry
//!        ^                                     |
//!        '---- 10 min after a final failure ---'
//! ```
//!
//! What is accepted stays owed, on the provider's account, until a rail has confirmed that it arrived: only then is the
//! decision signed, with the rail's transaction in it, and given to whoever asks for it again. So a provider counts as paid
//! what was paid, and all else as owed. What is too little to be sent waits for more of the same provider to the same address;
//! one transfer then brings all of it, and each claim's decision says its own part.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::{string::String, vec::Vec};

use crate::identity::NodeId;
use crate::limits::{PAYOUT_ANEW, PORTAL_ACCEPTED, PORTAL_CARRIED, PORTAL_TRANSFERS};
use crate::machine::StreamId;
use crate::money::Micros;
use crate::store::{BadRow, Row, Snapshot, Write};
use crate::time::{Now, Time, Wake};
use crate::wire::ids::{ClaimId, PayoutId};
use crate::wire::portal::{Payout, PayoutTo};

use super::answer::{Answer, Refused};
use super::books::{Books, Fep};
use super::claims;
use super::ledger::{self, Account, Entry};
use super::rails::address;
use super::rows::{
    ACCEPTED, AcceptedRow, Ended, Kind, PAYOUTS, PayoutRow, Purpose, TransferRow, claim_key, numbered,
};
use super::transfers::TransferId;
use super::writer::{Commit, Then};

pub(super) type ClaimKey = (NodeId, ClaimId);

/// Whose money, and where to.
type Group = (NodeId, PayoutTo);

struct Claim {
    row: AcceptedRow,
    /// Who claimed, and has not been answered.
    waiting: Option<StreamId>,
    /// Booked, and not durably yet: its money is not owed any more, but nobody may be told.
    booked: bool,
}

/// Claims that are accepted and not paid.
#[derive(Default)]
pub(super) struct Accepted {
    claims: BTreeMap<ClaimKey, Claim>,
    /// When to see whether what is carried over can be sent, by group and by time.
    look: BTreeMap<Group, Time>,
    looks: BTreeSet<(Time, Group)>,
}

impl Accepted {
    /// What was carried over is looked at again: the least payout may be another than it was.
    pub(super) fn load(snapshot: &Snapshot, now: Time) -> Result<Self, BadRow> {
        let mut accepted = Self::default();
        for row in snapshot.of(ACCEPTED) {
            let row: AcceptedRow = row.parse(ACCEPTED)?;
            if row.transfer.is_none() {
                accepted.look_at((row.provider, row.to.clone()), now);
            }
            accepted.claims.insert((row.provider, row.claim_id), Claim { row, waiting: None, booked: false });
        }
        Ok(accepted)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &AcceptedRow> {
        self.claims.values().filter(|claim| !claim.booked).map(|claim| &claim.row)
    }

    pub(super) fn get(&self, key: ClaimKey) -> Option<&AcceptedRow> {
        self.claims.get(&key).map(|claim| &claim.row)
    }

    pub(super) fn wake(&self) -> Option<Wake> {
        self.looks.first().map(|(at, _)| Wake { at: *at, why: "what is carried over may be sent" })
    }

    fn due(&mut self, now: Time) -> Option<Group> {
        let (_, group) = self.looks.first().filter(|(at, _)| *at <= now)?.clone();
        self.look_no_more(&group);
        Some(group)
    }

    /// All who still wait.
    pub(super) fn stop_waiting(&mut self) -> Vec<StreamId> {
        self.claims.values_mut().filter_map(|claim| claim.waiting.take()).collect()
    }

    /// Who waits for one of these claims; they are not told later.
    pub(super) fn stop_waiting_for(&mut self, provider: NodeId, claims: &[ClaimId]) -> Vec<StreamId> {
        let waiting = |claim_id| self.claims.get_mut(&(provider, claim_id))?.waiting.take();
        claims.iter().copied().filter_map(waiting).collect()
    }

    /// It is paid, durably; who waits for it.
    pub(super) fn paid(&mut self, key: ClaimKey) -> Option<StreamId> {
        self.claims.remove(&key)?.waiting
    }

    fn look_at(&mut self, group: Group, at: Time) {
        self.look_no_more(&group);
        self.looks.insert((at, group.clone()));
        self.look.insert(group, at);
    }

    fn look_no_more(&mut self, group: &Group) {
        if let Some(at) = self.look.remove(group) {
            self.looks.remove(&(at, group.clone()));
        }
    }

    fn of(&self, provider: NodeId) -> impl Iterator<Item = &AcceptedRow> {
        let all = (provider, ClaimId([0; 16]))..=(provider, ClaimId([0xff; 16]));
        self.claims.range(all).filter(|(_, claim)| !claim.booked).map(|(_, claim)| &claim.row)
    }

    /// What waits for more, of one group: the claims, and their sum.
    fn carried(&self, (provider, to): &Group) -> Option<(Vec<ClaimId>, Micros)> {
        let carried = self.of(*provider).filter(|row| row.transfer.is_none() && row.to == *to);
        carried.into_iter().try_fold((Vec::new(), Micros::ZERO), |(mut claims, sum), row| {
            claims.push(row.claim_id);
            Some((claims, sum.checked_add(row.amount)?))
        })
    }

    fn book(&mut self, key: ClaimKey) -> Option<AcceptedRow> {
        let claim = self.claims.get_mut(&key).filter(|claim| !claim.booked)?;
        claim.booked = true;
        Some(claim.row.clone())
    }

    fn put_in(&mut self, key: ClaimKey, transfer: Option<TransferId>) -> Option<Write> {
        let claim = self.claims.get_mut(&key)?;
        claim.row.transfer = transfer;
        Some(Write::Put(ACCEPTED, row(&claim.row)))
    }
}

fn row(row: &AcceptedRow) -> Row {
    Row::json(claim_key(row.provider, row.claim_id), row)
}

/// Takes on what a claim comes to; if that is enough, with the transfer of it.
pub(super) fn accept(
    fep: &Fep,
    books: &mut Books,
    now: Now,
    stream: StreamId,
    claimed: AcceptedRow,
) -> Result<(Vec<Write>, Then), Refused> {
    must_have_room(fep, books, &claimed)?;
    if claimed.amount == Micros::ZERO {
        return nothing(fep, books, now, stream, &claimed);
    }
    let group = (claimed.provider, claimed.to.clone());
    let mut batch = alloc::vec![Write::Insert(ACCEPTED, row(&claimed))];
    let key = (claimed.provider, claimed.claim_id);
    books.accepted.claims.insert(key, Claim { row: claimed, waiting: None, booked: false });
    let then = match schedule(fep, books, now, &group) {
        Some((transfer, writes)) => {
            batch.extend(writes);
            if let Some(claim) = books.accepted.claims.get_mut(&key) {
                claim.waiting = Some(stream);
            }
            Then::Scheduled { transfer, answer: None }
        }
        None => Then::Answer(stream, not_yet(None).answer()),
    };
    Ok((batch, then))
}

/// No rail is asked to move nothing: such a claim is decided at once, and its payout is one like any other.
fn nothing(
    fep: &Fep,
    books: &mut Books,
    now: Now,
    stream: StreamId,
    claimed: &AcceptedRow,
) -> Result<(Vec<Write>, Then), Refused> {
    let (provider, claim_id) = (claimed.provider, claimed.claim_id);
    let payout_id = PayoutId::of(fep.fep_id, provider, claim_id);
    let payout = Payout { payout_id, to: claimed.to.clone(), amount: claimed.amount, rail_tx: String::new() };
    let (decided, answer) = claims::paid(fep, now, claimed, payout.clone())?;
    books.payouts += 1;
    let paid = PayoutRow { payout, provider, claim_id, receipts: claimed.receipts, at_ms: now.wall.0 };
    let paid = Write::Insert(PAYOUTS, Row::json(numbered(books.payouts), &paid));
    Ok((alloc::vec![decided, paid], Then::Answer(stream, answer)))
}

/// The answer for a claim that is accepted and not paid.
pub(super) fn not_yet(transfer: Option<TransferId>) -> Refused {
    Refused::unavailable(match transfer {
        Some(transfer) => alloc::format!("accepted, and on its way as transfer {transfer}; ask again"),
        None => String::from("accepted, and carried over until the least payout is owed; ask again"),
    })
}

/// The first thing that is due: a transfer of what was carried over.
pub(super) fn due(fep: &Fep, books: &mut Books, now: Now) -> Option<Commit> {
    loop {
        let group = books.accepted.due(now.mono)?;
        if books.transfers.len() >= PORTAL_TRANSFERS {
            books.accepted.look_at(group, now.mono + PAYOUT_ANEW);
            continue;
        }
        if let Some((transfer, batch)) = schedule(fep, books, now, &group) {
            let told = alloc::format!("payout to {} scheduled as transfer {transfer}", group.0);
            return Some(Commit { batch, then: Then::Scheduled { transfer, answer: None }, told });
        }
    }
}

/// A rail's last word on a transfer for claims.
pub(super) fn ended(
    fep: &Fep,
    books: &mut Books,
    now: Now,
    transfer: &TransferRow,
    provider: NodeId,
    claims: &[ClaimId],
) -> Result<Commit, Refused> {
    match &transfer.ended {
        Some(Ended::Confirmed { tx, .. }) => confirmed(fep, books, now, transfer, tx, provider, claims),
        Some(Ended::Failed { why, .. }) => Ok(failed(books, now, transfer, why, provider, claims)),
        None => Err(Refused::unavailable("this transfer has not ended")),
    }
}

fn confirmed(
    fep: &Fep,
    books: &mut Books,
    now: Now,
    transfer: &TransferRow,
    tx: &str,
    provider: NodeId,
    claims: &[ClaimId],
) -> Result<Commit, Refused> {
    let (mut batch, mut answers) = (Vec::new(), Vec::new());
    for claim_id in claims {
        let Some(accepted) = books.accepted.book((provider, *claim_id)) else { continue };
        let payout_id = PayoutId::of(fep.fep_id, provider, *claim_id);
        let payout =
            Payout { payout_id, to: accepted.to.clone(), amount: accepted.amount, rail_tx: tx.into() };
        let entry = Entry {
            kind: Kind::Payout,
            reference: alloc::format!("{payout_id}"),
            at_ms: now.wall.0,
            postings: ledger::transfer(Account::Provider(provider), Account::Payouts, accepted.amount),
        };
        let posted = books.ledger.post_in(accepted.to.currency.clone(), entry);
        batch.extend(posted.map_err(|refusal| Refused::unavailable(alloc::format!("{refusal}")))?);
        books.payouts += 1;
        let receipts = accepted.receipts;
        let paid = PayoutRow { payout, provider, claim_id: *claim_id, receipts, at_ms: now.wall.0 };
        batch.push(Write::Insert(PAYOUTS, Row::json(numbered(books.payouts), &paid)));
        let (decided, answer) = claims::paid(fep, now, &accepted, paid.payout)?;
        batch.push(decided);
        batch.push(Write::Delete(ACCEPTED, claim_key(provider, *claim_id)));
        answers.push(((provider, *claim_id), answer));
    }
    let told = alloc::format!(
        "transfer {} confirmed: {} paid to {provider} for {} claims, {tx}",
        transfer.transfer,
        transfer.amount,
        answers.len()
    );
    Ok(Commit { batch, then: Then::Paid(answers), told })
}

/// Nothing was moved and nothing will be: all of it is carried over again, for a while.
fn failed(
    books: &mut Books,
    now: Now,
    transfer: &TransferRow,
    why: &str,
    provider: NodeId,
    claims: &[ClaimId],
) -> Commit {
    let batch =
        claims.iter().filter_map(|claim_id| books.accepted.put_in((provider, *claim_id), None)).collect();
    let first = claims.first().and_then(|claim_id| books.accepted.get((provider, *claim_id)));
    if let Some(to) = first.map(|row| row.to.clone()) {
        books.accepted.look_at((provider, to), now.mono + PAYOUT_ANEW);
    }
    let told = alloc::format!(
        "transfer {} of {} to {provider} failed: {why}; it is scheduled anew later",
        transfer.transfer,
        transfer.amount
    );
    Commit { batch, then: Then::Paid(Vec::new()), told }
}

/// A transfer of all that a provider is owed at one address, if that is enough and a rail goes there.
fn schedule(fep: &Fep, books: &mut Books, now: Now, group: &Group) -> Option<(TransferId, Vec<Write>)> {
    let (provider, to) = group;
    let terms = address::payable(&fep.config, to).ok()?;
    let (claims, sum) = books.accepted.carried(group)?;
    if claims.is_empty() || sum < terms.least_payout || books.transfers.len() >= PORTAL_TRANSFERS {
        return None;
    }
    books.accepted.look_no_more(group);
    let purpose = Purpose::Payout { provider: *provider, claims: claims.clone() };
    let (transfer, write) = books.transfers.schedule(fep, terms.rail, to.clone(), sum, purpose, now.wall.0);
    let mut batch = alloc::vec![write];
    batch.extend(
        claims
            .into_iter()
            .filter_map(|claim_id| books.accepted.put_in((*provider, claim_id), Some(transfer))),
    );
    Some((transfer, batch))
}

/// Room for the claim, and money: what is accepted of a provider's claims is on its account.
fn must_have_room(fep: &Fep, books: &Books, claimed: &AcceptedRow) -> Result<(), Refused> {
    let group = (claimed.provider, claimed.to.clone());
    let least = address::payable(&fep.config, &claimed.to).ok().map(|terms| terms.least_payout);
    let too_much = || Refused::unavailable("the claims of this provider come to more than it is owed");
    let (claims, carried) = books.accepted.carried(&group).ok_or_else(too_much)?;
    let sum = carried.checked_add(claimed.amount).ok_or_else(too_much)?;
    if claims.len() >= PORTAL_CARRIED && least.is_none_or(|least| sum < least) {
        // Nothing is wrong with the claim: no line of it is to blame.
        return Err(Refused::conflict(alloc::format!(
            "{PORTAL_CARRIED} claims wait for more to be owed to this address; claim more at once"
        )));
    }
    if books.accepted.claims.len() >= PORTAL_ACCEPTED || books.transfers.len() >= PORTAL_TRANSFERS {
        return Err(Refused::unavailable("too many claims wait to be paid here; ask again"));
    }
    let currency = &claimed.to.currency;
    let accepted = books.accepted.of(claimed.provider).filter(|row| row.to.currency == *currency);
    let of_all = accepted.map(|row| i128::from(row.amount.0)).sum::<i128>();
    let owed = books.ledger.balance_in(currency, &Account::Provider(claimed.provider));
    let owed = i128::from(owed.0);
    if of_all + i128::from(claimed.amount.0) > owed {
        return Err(too_much());
    }
    Ok(())
}

/// What [`Then::Paid`] brings: each claim's decision.
pub(super) type Decisions = Vec<(ClaimKey, Answer)>;
