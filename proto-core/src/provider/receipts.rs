//! Authorizations that were used, and the receipts that came for them: each checked, in every economic field, against
//! what was authorised and delivered, and stored before it is acknowledged. One of a job that is not remembered is looked up
//! in the store ([`forgotten`](super::forgotten)): what is stored is not in memory.

use alloc::{collections::BTreeMap, vec::Vec};

use super::earnings::Earnings;
use super::forgotten::Lookup;
use super::rows::{
    AUTHORIZATIONS, AuthKey, AuthorizationRow, NumbersRow, Owed, RECEIPT_NUMBERS, ReceiptRow, ReceiptState,
    auth_key, put_authorization, put_receipt,
};
use super::sums::Sums;
use super::used::Used;
use crate::economics::bill;
use crate::identity::{FepId, NodeId};
use crate::keys::BadPaper;
use crate::limits::RECEIPT_RUNS;
use crate::machine::{Completion, OpId, StreamId};
use crate::mutants::{Mutant, mutant};
use crate::node::cx::Cx;
use crate::numbers::Numbers;
use crate::store::{BadRow, Row, Snapshot, Write};
use crate::time::{Span, Time, Wake, Wall};
use crate::timers::Timers;
use crate::wire::ids::{ClaimId, ReceiptId};
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
    /// Asked for by its number; the claim that took it, as its FEP says.
    Pulled(Option<ClaimId>),
}

impl From {
    pub(super) const fn gateway(self) -> Option<NodeId> {
        match self {
            Self::Job { gateway, .. } | Self::Control(gateway) => Some(gateway),
            Self::Fep | Self::Pulled(_) => None,
        }
    }
}

/// A receipt on its way to the disk.
pub(super) struct Arriving {
    pub(super) from: From,
    pub(super) receipt_id: ReceiptId,
    pub(super) fep_id: FepId,
    /// Its gateway, and the bound of its job's input in tokens.
    pub(super) input: Option<(NodeId, u32)>,
}

/// How many receipts there are in each state that is not the last.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Open {
    pub(crate) unclaimed: u64,
    pub(crate) in_claim: u64,
    pub(crate) disputed: u64,
    pub(crate) written_off: u64,
}

pub(super) enum Taken {
    /// It is good, and on its way to the disk.
    Storing,
    /// It was stored before: repeated receipts are acknowledged again.
    Known(ReceiptId),
    /// The id where it could be read.
    Refused(Option<ReceiptId>, Refused),
}

impl Taken {
    /// It is not by a key of its FEP's, or that is not known: then it comes again, once it may be.
    pub(super) fn not_bound(id: ReceiptId, why: BadPaper) -> Self {
        let id = (!why.may_pass()).then_some(id);
        Self::Refused(id, "it is signed by no key that its FEP had certified then".into())
    }
}

pub(super) struct Refused {
    pub(super) reason: &'static str,
    /// By whose signature, where that alone makes it wrong.
    pub(super) signed_by: Option<FepId>,
}

impl core::convert::From<&'static str> for Refused {
    fn from(reason: &'static str) -> Self {
        Self { reason, signed_by: None }
    }
}

pub(crate) struct Receipts {
    used: Used,
    storing: BTreeMap<OpId, Arriving>,
    pub(super) looking: BTreeMap<OpId, Lookup>,
    pub(super) sums: Sums,
    numbers: BTreeMap<FepId, Numbers>,
    /// Since this start.
    pub(super) paid: u64,
    pub(super) earnings: Earnings,
    sweep: Timers<()>,
}

impl Receipts {
    pub(super) fn new(snapshot: &Snapshot) -> Result<Self, BadRow> {
        let (mut used, mut numbers) = (Used::default(), BTreeMap::new());
        for stored in snapshot.of(AUTHORIZATIONS) {
            used.insert(stored.parse(AUTHORIZATIONS)?);
        }
        for stored in snapshot.of(RECEIPT_NUMBERS) {
            let row: NumbersRow = stored.parse(RECEIPT_NUMBERS)?;
            numbers.insert(row.fep_id, row.numbers);
        }
        let mut sweep = Timers::default();
        if !used.is_empty() {
            sweep.set((), Time::ZERO + SWEEP, "sweep lapsed authorizations");
        }
        Ok(Self {
            used,
            storing: BTreeMap::new(),
            looking: BTreeMap::new(),
            sums: Sums::new(snapshot)?,
            numbers,
            paid: 0,
            earnings: Earnings::new(snapshot)?,
            sweep,
        })
    }

    /// Attempts whose receipt has not come.
    pub(super) fn awaited(&self) -> impl Iterator<Item = &AuthorizationRow> {
        self.used.awaited()
    }

    /// An attempt whose receipt has not come.
    pub(super) fn awaits(&self, key: AuthKey) -> Option<&AuthorizationRow> {
        self.used.get(&key).filter(|row| row.receipt == Owed::Awaited)
    }

    /// Of a thousand that were earned so many did not have to be given up.
    pub(super) fn collected(&self) -> u32 {
        let (earned, lost) = (self.earnings.all(), self.sums.lost());
        let kept = (earned - lost).max(0) * 1_000 / earned.max(1);
        if earned == 0 { 1_000 } else { u32::try_from(kept).unwrap_or(1_000).min(1_000) }
    }

    /// For people: receipts that are open, by state.
    pub(crate) fn open(&self) -> Open {
        let mut all = Open::default();
        for (_, open) in self.sums.iter() {
            all.unclaimed += open.unclaimed.count;
            all.in_claim += open.in_claim.count;
            all.disputed += open.disputed.count;
            all.written_off += open.written_off.count;
        }
        all
    }

    /// For people: how many were paid since the start.
    pub(crate) const fn paid(&self) -> u64 {
        self.paid
    }

    /// For people: jobs whose receipt is missing.
    pub(crate) fn missing(&self) -> usize {
        self.awaited().count()
    }

    /// Which of a FEP's receipts have come.
    pub(super) fn numbers(&self, fep_id: FepId) -> Numbers {
        self.numbers.get(&fep_id).cloned().unwrap_or_default()
    }

    /// Receipts that were asked for by their numbers are looked up, or on their way to the disk.
    pub(super) fn takes_pulled(&self) -> bool {
        let from = self.looking.values().map(|look| look.from);
        from.chain(self.storing.values().map(|arriving| arriving.from))
            .any(|from| matches!(from, From::Pulled(_)))
    }

    /// When the oldest job was authorised whose receipt is missing.
    pub(crate) fn awaited_since(&self) -> Option<Wall> {
        self.awaited().map(|row| Wall(row.auth.issued_ms)).min()
    }

    pub(super) fn has_used(&self, key: AuthKey) -> bool {
        self.used.get(&key).is_some()
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
        self.used.insert(row);
        self.sweep.start((), now + SWEEP, "sweep lapsed authorizations");
        write
    }

    /// The attempt came to nothing. It stays used for as long as it could be shown again, but no receipt is awaited.
    pub(super) fn unused(&mut self, cx: &mut Cx<'_>, key: AuthKey) {
        if self.awaits(key).is_some()
            && let Some(row) = self.used.settle(&key, Owed::Nothing)
        {
            cx.store([put_authorization(row)].into());
            self.sweep.start((), cx.now.mono + SWEEP, "sweep lapsed authorizations");
        }
    }

    pub(super) fn take(&mut self, cx: &mut Cx<'_>, feps: &[FepId], from: From, bytes: &[u8]) -> Taken {
        let receipt = match open::<Receipt>(cx.me.network, None, bytes) {
            Ok(receipt) => receipt,
            Err(_) => return Taken::Refused(None, "its signature does not hold".into()),
        };
        let id = receipt.content.receipt_id;
        if self.is_on_its_way(id) {
            return Taken::Storing;
        }
        let key = (receipt.content.auth_id, receipt.content.attempt);
        let Some(used) = self.used.get(&key) else { return self.look_up(cx, feps, from, receipt) };
        if let Err(why) = cx.feps.bound_when_issued(used.auth.fep_id, &receipt) {
            return Taken::not_bound(id, why);
        }
        if let Err(refused) = check(cx, feps, used, &receipt.content) {
            return Taken::Refused(Some(id), refused);
        }
        match used.receipt {
            Owed::Awaited => {}
            Owed::Stored => return Taken::Known(id),
            // What its FEP has signed, and says itself, is owed all the same.
            Owed::Nothing if matches!(from, From::Pulled(_)) => {}
            Owed::Nothing => return Taken::Refused(Some(id), "nothing was delivered for it".into()),
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
            dispute: None,
            taken_on_word: false,
        };
        self.keep(cx, from, row)
    }

    /// Its way to the disk is not over.
    fn is_on_its_way(&self, id: ReceiptId) -> bool {
        self.storing.values().any(|arriving| arriving.receipt_id == id)
            || self.looking.values().any(|look| look.receipt.content.receipt_id == id)
    }

    /// Stores a receipt that is new, with all that follows from it.
    pub(super) fn keep(&mut self, cx: &mut Cx<'_>, from: From, row: ReceiptRow) -> Taken {
        let Receipt { receipt_id, fep_id, auth_id, attempt, sequence, gateway_node_id, payout, .. } =
            row.receipt;
        let group = row.group();
        if !self.sums.can_count(&group, payout) {
            return Taken::Refused(
                Some(receipt_id),
                "with it, more would be owed than can be counted".into(),
            );
        }
        let mut batch = put_receipt(&row, None);
        let used = self.used.settle(&(auth_id, attempt), Owed::Stored);
        let input = used.as_ref().map(|used| (gateway_node_id, used.auth.input_bound));
        if let Some(used) = used {
            batch.push(put_authorization(used));
            // The disk has what proves it. Here it stands only for that it was used, until nobody can show it again.
            (used.statement, used.ack) = (None, None);
            self.sweep.start((), cx.now.mono + SWEEP, "sweep lapsed authorizations");
        }
        self.sums.changed(&row, None);
        batch.extend([self.sums.put(&group), self.has_come(fep_id, sequence), self.earnings.earned(&row)]);
        if row.state == ReceiptState::Paid {
            self.paid += 1;
            batch.push(self.earnings.paid(&row));
        }
        let op = cx.store(batch);
        self.storing.insert(op, Arriving { from, receipt_id, fep_id, input });
        if mutant(Mutant::AckBeforeStored) {
            return Taken::Known(receipt_id);
        }
        Taken::Storing
    }

    /// A receipt that was `before` in another state: what says so, but for its group's sums.
    pub(super) fn changed(&mut self, row: &ReceiptRow, before: ReceiptState) -> Vec<Write> {
        self.sums.changed(row, Some(before));
        let mut batch = put_receipt(row, Some(before));
        if row.state == ReceiptState::Paid {
            self.paid += 1;
            batch.push(self.earnings.paid(row));
        }
        batch
    }

    /// That number of the FEP's is not missing any more.
    pub(super) fn has_come(&mut self, fep_id: FepId, sequence: u64) -> Write {
        let numbers = self.numbers.entry(fep_id).or_default();
        // They are counted from 1.
        if sequence > 0 {
            numbers.insert(sequence);
        }
        numbers.bound(RECEIPT_RUNS);
        let row = NumbersRow { fep_id, numbers: numbers.clone() };
        Write::Put(RECEIPT_NUMBERS, Row::json(alloc::format!("{fep_id}"), &row))
    }

    /// A receipt's write is done: it may be acknowledged now.
    pub(super) fn stored(&mut self, op: OpId, completion: &Completion) -> Option<Arriving> {
        let stored = self.storing.remove(&op)?;
        matches!(completion, Completion::Stored(Ok(()))).then_some(stored)
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
fn check(cx: &Cx<'_>, feps: &[FepId], used: &AuthorizationRow, says: &Receipt) -> Result<(), Refused> {
    if !feps.contains(&says.fep_id) || says.fep_id != used.auth.fep_id {
        return Err("it is not by the FEP that authorised the job".into());
    }
    follows(cx, used, says).map_err(|reason| Refused { reason, signed_by: Some(says.fep_id) })
}

/// What a FEP that is honest signs.
fn follows(cx: &Cx<'_>, used: &AuthorizationRow, says: &Receipt) -> Result<(), &'static str> {
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
        || Some(says.rate) != used.rate()
    {
        return Err("it pays elsewhere, or otherwise, than was authorised");
    }
    let within = says.settled.bounded_by(used.auth.input_bound, used.auth.max_output) == says.settled;
    let bill = bill(&used.offer.price, &used.auth.fees, says.rate, &says.settled).filter(|_| within);
    let Some(bill) = bill else { return Err("its counts are beyond what was authorised") };
    if (bill.charge, bill.payout) != (says.charge, says.payout) {
        return Err("its amounts do not follow from its counts and the offer");
    }
    Ok(())
}
