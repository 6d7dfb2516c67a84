//! Authorizations that were used, and the receipts that came for them: each checked, in every economic field, against
//! what was authorised and delivered, and stored before it is acknowledged.

use alloc::{collections::BTreeMap, vec::Vec};

use super::earnings::Earnings;
use super::rows::{
    AUTHORIZATIONS, AuthKey, AuthorizationRow, Owed, RECEIPTS_OPEN, ReceiptRow, ReceiptState, auth_key,
    put_authorization, put_receipt,
};
use crate::economics::bill;
use crate::identity::{FepId, NodeId};
use crate::machine::{Completion, OpId, StreamId};
use crate::mutants::{Mutant, mutant};
use crate::node::cx::Cx;
use crate::store::{BadRow, Snapshot, Write};
use crate::time::{Span, Time, Wake, Wall};
use crate::timers::Timers;
use crate::wire::ids::ReceiptId;
use crate::wire::object::open;
use crate::wire::portal::Receipt;

/// How often authorizations that have lapsed are swept.
const SWEEP: Span = Span::from_secs(60);

/// The way a receipt came, and its acknowledgement goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum From {
    Job {
        stream: StreamId,
        gateway: NodeId,
    },
    Control(NodeId),
    /// As the answer to a statement.
    Fep,
}

impl From {
    pub(super) const fn gateway(self) -> Option<NodeId> {
        match self {
            Self::Job { gateway, .. } | Self::Control(gateway) => Some(gateway),
            Self::Fep => None,
        }
    }
}

pub(super) enum Taken {
    /// It is good, and on its way to the disk.
    Storing,
    /// It was stored before: repeated receipts are acknowledged again.
    Known(ReceiptId),
    /// The id where it could be read.
    Refused(Option<ReceiptId>, &'static str),
}

pub(crate) struct Receipts {
    used: BTreeMap<AuthKey, AuthorizationRow>,
    /// Not paid yet.
    pub(super) open: BTreeMap<ReceiptId, ReceiptRow>,
    storing: BTreeMap<OpId, (From, ReceiptId)>,
    /// Since this start.
    pub(super) paid: u64,
    pub(super) earnings: Earnings,
    sweep: Timers<()>,
}

impl Receipts {
    pub(super) fn new(snapshot: &Snapshot) -> Result<Self, BadRow> {
        let (mut used, mut open) = (BTreeMap::new(), BTreeMap::new());
        for stored in snapshot.of(AUTHORIZATIONS) {
            let row: AuthorizationRow = stored.parse(AUTHORIZATIONS)?;
            used.insert(row.key(), row);
        }
        for stored in snapshot.of(RECEIPTS_OPEN) {
            let row: ReceiptRow = stored.parse(RECEIPTS_OPEN)?;
            open.insert(row.receipt.receipt_id, row);
        }
        let mut sweep = Timers::default();
        if !used.is_empty() {
            sweep.set((), Time::ZERO + SWEEP, "sweep lapsed authorizations");
        }
        let earnings = Earnings::new(snapshot)?;
        Ok(Self { used, open, storing: BTreeMap::new(), paid: 0, earnings, sweep })
    }

    pub(crate) fn open(&self) -> impl DoubleEndedIterator<Item = &ReceiptRow> {
        self.open.values()
    }

    /// Attempts whose receipt has not come.
    pub(super) fn awaited(&self) -> impl Iterator<Item = &AuthorizationRow> {
        self.used.values().filter(|row| row.receipt == Owed::Awaited)
    }

    /// An attempt whose receipt has not come.
    pub(super) fn awaits(&self, key: AuthKey) -> Option<&AuthorizationRow> {
        self.used.get(&key).filter(|row| row.receipt == Owed::Awaited)
    }

    /// For people: unclaimed, in a claim, paid since the start, and jobs whose receipt is missing.
    pub(crate) fn counts(&self) -> (usize, usize, u64, usize) {
        let in_state = |state| self.open.values().filter(|row| row.state == state).count();
        (
            in_state(ReceiptState::Unclaimed),
            in_state(ReceiptState::InClaim),
            self.paid,
            self.awaited().count(),
        )
    }

    /// When the oldest job was authorised whose receipt is missing.
    pub(crate) fn awaited_since(&self) -> Option<Wall> {
        self.awaited().map(|row| Wall(row.auth.issued_ms)).min()
    }

    pub(super) fn has_used(&self, key: AuthKey) -> bool {
        self.used.contains_key(&key)
    }

    /// Remembers an attempt, or what is new about it, and gives the write that says so. A receipt may have come for it while it
    /// still ran here: that stands.
    pub(super) fn used(&mut self, row: &AuthorizationRow, now: Time) -> Write {
        let receipt = match self.used.get(&row.key()).map(|known| known.receipt) {
            Some(Owed::Stored) => Owed::Stored,
            Some(Owed::Awaited | Owed::Nothing) | None => row.receipt,
        };
        let row = AuthorizationRow { receipt, ..row.clone() };
        let write = put_authorization(&row);
        self.used.insert(row.key(), row);
        if self.sweep.next().is_none() {
            self.sweep.set((), now + SWEEP, "sweep lapsed authorizations");
        }
        write
    }

    /// Of a receipt that is not paid: its gateway, and the bound of its job's input in tokens.
    pub(super) fn input_of(&self, receipt_id: ReceiptId) -> Option<(NodeId, u32)> {
        let receipt = &self.open.get(&receipt_id)?.receipt;
        let used = self.used.get(&(receipt.auth_id, receipt.attempt))?;
        Some((receipt.gateway_node_id, used.auth.input_bound))
    }

    /// The attempt came to nothing. It stays used for as long as it could be shown again, but no receipt is awaited.
    pub(super) fn unused(&mut self, cx: &mut Cx<'_>, key: AuthKey) {
        if let Some(row) = self.used.get_mut(&key).filter(|row| row.receipt == Owed::Awaited) {
            row.receipt = Owed::Nothing;
            cx.store([put_authorization(row)].into());
            self.sweep.set((), cx.now.mono + SWEEP, "sweep lapsed authorizations");
        }
    }

    pub(super) fn take(&mut self, cx: &mut Cx<'_>, feps: &[FepId], from: From, bytes: &[u8]) -> Taken {
        let receipt = match open::<Receipt>(cx.me.network, None, bytes) {
            Ok(receipt) => receipt,
            Err(_) => return Taken::Refused(None, "its signature does not hold"),
        };
        let id = receipt.content.receipt_id;
        if self.storing.values().any(|(_, storing)| *storing == id) {
            return Taken::Storing;
        }
        if self.open.contains_key(&id) {
            return Taken::Known(id);
        }
        let key = (receipt.content.auth_id, receipt.content.attempt);
        let Some(used) = self.used.get_mut(&key) else {
            return Taken::Refused(Some(id), "it is for no job of this provider");
        };
        if let Err(why) = cx.feps.bound_when_issued(used.auth.fep_id, &receipt) {
            // It comes again: by then its key may be known.
            let id = (!why.may_pass()).then_some(id);
            return Taken::Refused(
                id,
                "its key does not sign, or did not then, for the FEP that authorised the job",
            );
        }
        if let Err(reason) = check(cx, feps, used, &receipt.content) {
            return Taken::Refused(Some(id), reason);
        }
        match used.receipt {
            Owed::Awaited => used.receipt = Owed::Stored,
            Owed::Stored => return Taken::Known(id),
            Owed::Nothing => return Taken::Refused(Some(id), "nothing was delivered for it"),
        }
        if used.stated.is_some_and(|stated| stated.output > receipt.content.settled.output) {
            cx.warn(alloc::format!(
                "receipt {id} settles {} output tokens, {} were delivered",
                receipt.content.settled.output,
                used.stated.unwrap_or_default().output
            ));
        }
        let row = ReceiptRow {
            slug: used.offer.slug.clone(),
            signed: hex::encode(&receipt.bytes.0),
            receipt: receipt.content,
            state: ReceiptState::Unclaimed,
            claim_id: None,
            rejected: None,
        };
        let mut batch = put_receipt(&row);
        batch.push(put_authorization(used));
        batch.push(self.earnings.earned(&row));
        let op = cx.store(batch);
        self.storing.insert(op, (from, id));
        self.open.insert(id, row);
        self.sweep.set((), cx.now.mono + SWEEP, "sweep lapsed authorizations");
        if mutant(Mutant::AckBeforeStored) {
            return Taken::Known(id);
        }
        Taken::Storing
    }

    /// A receipt's write is done: it may be acknowledged now.
    pub(super) fn stored(&mut self, op: OpId, completion: &Completion) -> Option<(From, ReceiptId)> {
        let stored = self.storing.remove(&op)?;
        matches!(completion, Completion::Stored(Ok(()))).then_some(stored)
    }

    /// Receipts that a claim may take: stored, and in no other claim.
    pub(super) fn claimable(&self) -> impl Iterator<Item = &ReceiptRow> {
        self.open.values().filter(|row| {
            row.state == ReceiptState::Unclaimed
                && !self.storing.values().any(|(_, storing)| *storing == row.receipt.receipt_id)
        })
    }

    /// Forgets attempts that can't be shown again, settled or given up.
    pub(super) fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        if self.sweep.expired(cx.now.mono).is_none() {
            return;
        }
        // What has lapsed can't be told then.
        if cx.clock_is_wrong() {
            return self.sweep.set((), cx.now.mono + SWEEP, "sweep lapsed authorizations");
        }
        let lapsed = |row: &AuthorizationRow| {
            let expires = Wall(row.auth.issued_ms) + Span::from_secs(u64::from(row.auth.ttl_s));
            match row.receipt {
                Owed::Awaited => cx.now.wall.0 > row.keep_until_ms,
                Owed::Stored | Owed::Nothing => cx.now.wall > expires,
            }
        };
        let gone: Vec<AuthKey> =
            self.used.iter().filter(|(_, row)| lapsed(row)).map(|(key, _)| *key).collect();
        for key in &gone {
            if let Some(row) = self.used.remove(key)
                && row.receipt == Owed::Awaited
            {
                cx.warn(alloc::format!("no receipt ever came for req_{}", row.auth.request_id));
            }
        }
        if !gone.is_empty() {
            cx.store(gone.into_iter().map(|key| Write::Delete(AUTHORIZATIONS, auth_key(key))).collect());
        }
        if !self.used.is_empty() {
            let pause = if mutant(Mutant::BusyTimer) { Span::default() } else { SWEEP };
            self.sweep.set((), cx.now.mono + pause, "sweep lapsed authorizations");
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Wake> {
        self.sweep.next()
    }
}

/// Is this receipt what the authorization, the offer and the counts make it (I8)?
fn check(cx: &Cx<'_>, feps: &[FepId], used: &AuthorizationRow, says: &Receipt) -> Result<(), &'static str> {
    if !feps.contains(&says.fep_id) || says.fep_id != used.auth.fep_id {
        return Err("it is not by the FEP that authorised the job");
    }
    if says.receipt_id != ReceiptId::of(says.fep_id, says.auth_id, says.attempt) {
        return Err("its id does not follow from what it is for");
    }
    if says.provider_node_id != cx.me.node_id
        || says.gateway_node_id != used.auth.gateway
        || says.request_id != used.auth.request_id
        || says.offer_hash != used.offer_hash
    {
        return Err("it is for another job");
    }
    if says.payout_to != used.offer.payout
        || says.billing_currency != used.auth.currency
        || says.rate != (1, 1)
    {
        return Err("it pays elsewhere, or otherwise, than was authorised");
    }
    let within = says.settled.bounded_by(used.auth.input_bound, used.auth.max_output) == says.settled;
    let bill = bill(&used.offer.price, &used.auth.fees, &says.settled).filter(|_| within);
    let Some(bill) = bill else { return Err("its counts are beyond what was authorised") };
    if (bill.charge, bill.payout) != (says.charge, says.payout) {
        return Err("its amounts do not follow from its counts and the offer");
    }
    Ok(())
}
