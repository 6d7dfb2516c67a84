//! Turns receipts into money: at a steady pace, for each FEP and payout address, a signed claim over the receipts that
//! wait, sent to the FEP until it decides. The receipts are on disk: they are read when a claim is made ([`drafts`](super::drafts)),
//! and when one is decided.
//!
//! ```text
//!   receipts: unclaimed --claim stored--> in_claim --decision--> paid | disputed (a rejected line: disputes.rs)
//!                 ^-- the claim itself was refused; as wrong (400), the next has half as many, until one line is to blame
//!   claim:                submitted --decision stored--> paid | rejected
//! ```

use alloc::{boxed::Box, collections::BTreeMap, string::String, vec::Vec};

use super::drafts::{Draft, Drafts};
use super::receipts::Receipts;
use super::rows::{
    CLAIMS_OPEN, ClaimRow, ClaimState, Dispute, Group, Line, RECEIPTS_OPEN, ReceiptRow, ReceiptState,
    put_claim,
};
use crate::economics::merkle;
use crate::http::ResponseHead;
use crate::identity::{FepId, FepKey};
use crate::limits::{CLAIMS_OPEN as MOST_OPEN, REDELIVER_FIRST, REDELIVER_LAST};
use crate::machine::{Completion, OpId, StreamId};
use crate::money::Micros;
use crate::mutants::{Mutant, mutant};
use crate::node::config;
use crate::node::cx::Cx;
use crate::node::fep::{Answer, FepCalls};
use crate::rng::Stream;
use crate::store::{BadRow, Keys, Row, Snapshot};
use crate::time::{Span, Time, Wake};
use crate::timers::Timers;
use crate::wire::ids::{ClaimId, ReceiptId};
use crate::wire::object::{Sealed, open};
use crate::wire::portal::{Claim, ClaimDecision, PayoutTo, PortalErrorBody, PortalErrorCode, Verdict};

/// Characters of a FEP's reason that are kept.
pub(super) const REASON: usize = 256;

/// What a FEP wrote, as it can be shown on a terminal, and told to others.
pub(super) fn plain(text: &str, most: usize) -> String {
    let plain = text.chars().map(|char| if char == ' ' || char.is_ascii_graphic() { char } else { '?' });
    plain.take(most).collect()
}

pub(crate) struct Claims {
    rng: Stream,
    every: Span,
    /// How long what is rejected stays disputed.
    dispute_for: Span,
    /// The least payout of each address we are paid at.
    least: BTreeMap<PayoutTo, Micros>,
    urls: BTreeMap<FepId, String>,
    open: BTreeMap<ClaimId, ClaimRow>,
    drafts: Drafts,
    storing: BTreeMap<OpId, Stored>,
    /// What was said of a claim, while its receipts are read.
    deciding: BTreeMap<OpId, (ClaimId, Said)>,
    calls: FepCalls<ClaimId>,
    due: Timers<Due>,
    pause: Span,
    /// Whether a FEP paid for all that a claim has, claim by claim, since somebody asked.
    decided: Vec<(FepId, bool)>,
    /// Signed claims that their FEP did not answer, since somebody asked.
    unheard: Vec<(ClaimId, FepId, Vec<u8>)>,
}

enum Stored {
    Submitted(ClaimId),
    Decided(ClaimId),
}

/// What a FEP says of a claim.
enum Said {
    /// Nothing of its lines: they may be claimed anew.
    Refused(PortalErrorBody),
    Decided(Box<Sealed<ClaimDecision>>),
    /// Nothing, which only a mutant takes for an answer.
    Nothing,
}

/// What a decision means for one receipt of a claim.
#[derive(Clone)]
enum Fate {
    Paid,
    Disputed(String),
    /// Undecided.
    Open,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// Look for receipts to claim.
    Look,
    Submit(ClaimId),
}

impl Claims {
    pub(super) fn new(
        config: &config::Provider,
        feps: &[config::Fep],
        rng: Stream,
        snapshot: &Snapshot,
        now: Time,
    ) -> Result<Self, BadRow> {
        let mut claims = Self {
            rng,
            every: config.claim_every,
            dispute_for: config.dispute_for,
            least: config.portmans.iter().map(|p| (p.payout.clone(), p.least_payout)).collect(),
            urls: feps.iter().map(|fep| (fep.fep_id, fep.url.clone())).collect(),
            open: BTreeMap::new(),
            drafts: Drafts::default(),
            storing: BTreeMap::new(),
            deciding: BTreeMap::new(),
            calls: FepCalls::default(),
            due: Timers::default(),
            pause: REDELIVER_FIRST,
            decided: Vec::new(),
            unheard: Vec::new(),
        };
        for stored in snapshot.of(CLAIMS_OPEN) {
            let row: ClaimRow = stored.parse(CLAIMS_OPEN)?;
            claims.due.set(Due::Submit(row.claim_id), now, "submit a claim of an earlier life");
            claims.open.insert(row.claim_id, row);
        }
        claims.look(now);
        Ok(claims)
    }

    pub(super) fn take_decided(&mut self) -> Vec<(FepId, bool)> {
        core::mem::take(&mut self.decided)
    }

    pub(super) fn take_unheard(&mut self) -> Vec<(ClaimId, FepId, Vec<u8>)> {
        core::mem::take(&mut self.unheard)
    }

    pub(crate) fn open(&self) -> impl Iterator<Item = &ClaimRow> {
        self.open.values()
    }

    /// There may be something to claim: look when the period is over. A period that has begun is not begun again, or a
    /// provider whose receipts come faster than that would never be paid.
    pub(super) fn look(&mut self, now: Time) {
        if !mutant(Mutant::NeverClaims) {
            self.due.start(Due::Look, now + self.every, "look for receipts to claim");
        }
    }

    pub(super) fn response(&mut self, stream: StreamId, head: &ResponseHead) {
        self.calls.response(stream, head);
    }

    /// True: the stream is one of ours.
    pub(super) fn bytes(&mut self, cx: &mut Cx<'_>, stream: StreamId, bytes: &[u8]) -> bool {
        self.calls.bytes(cx, stream, bytes)
    }

    pub(super) fn finished(&mut self, cx: &mut Cx<'_>, stream: StreamId) -> bool {
        let Some((claim, answer)) = self.calls.finished(cx, stream) else { return false };
        self.answered(cx, claim, answer);
        true
    }

    pub(super) fn reset(&mut self, cx: &mut Cx<'_>, stream: StreamId) -> bool {
        let Some((claim, answer)) = self.calls.reset(cx, stream) else { return false };
        self.answered(cx, claim, answer);
        true
    }

    pub(super) fn done(
        &mut self,
        cx: &mut Cx<'_>,
        receipts: &mut Receipts,
        op: OpId,
        completion: &Completion,
    ) -> bool {
        if let Some((claim, said)) = self.deciding.remove(&op) {
            match completion {
                Completion::Page(Ok(rows)) => self.decide(cx, receipts, claim, &said, rows),
                // It says the same when it is asked again.
                Completion::Page(Err(_)) | Completion::Stored(_) | Completion::Dialled(_) => {
                    self.again(cx.now.mono, claim);
                }
            }
            return true;
        }
        if let Some(draft) = self.drafts.read(cx, op, completion) {
            match draft {
                Draft::Reading => {}
                Draft::Whole(rows) => self.make(cx, receipts, rows),
                Draft::Nothing => self.draft(cx, receipts),
            }
            return true;
        }
        let Some(stored) = self.storing.remove(&op) else { return false };
        if matches!(completion, Completion::Stored(Ok(()))) {
            match stored {
                Stored::Submitted(claim) => {
                    self.submit(cx, claim);
                    self.draft(cx, receipts);
                }
                Stored::Decided(claim) => {
                    self.open.remove(&claim);
                }
            }
        }
        true
    }

    pub(super) fn handle_timeout(&mut self, cx: &mut Cx<'_>, receipts: &Receipts) {
        while let Some(due) = self.due.expired(cx.now.mono) {
            match due {
                // What waits can wait until the time is known.
                Due::Look if cx.clock_is_wrong() => self.look(cx.now.mono),
                Due::Look => {
                    // Where all that waits together is too little, one claim's lines are, too.
                    self.drafts.begin(receipts.sums.due(&self.least));
                    self.draft(cx, receipts);
                }
                Due::Submit(claim) => self.submit(cx, claim),
            }
        }
        for (claim, answer) in self.calls.handle_timeout(cx) {
            self.answered(cx, claim, answer);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Wake> {
        Wake::earliest(self.due.next(), self.calls.poll_timeout())
    }

    /// Claims what waits now, by the operator's word: of `all`, even what is less than it wants to be paid at once. What there is
    /// to claim from.
    pub(super) fn build(&mut self, cx: &mut Cx<'_>, receipts: &Receipts, all: bool) -> Vec<Group> {
        let none = BTreeMap::new();
        let groups = receipts.sums.due(if all { &none } else { &self.least });
        self.drafts.begin(groups.clone());
        self.draft(cx, receipts);
        groups
    }

    /// Goes on to claim what waits, one claim after the other. What is left over is looked at again.
    fn draft(&mut self, cx: &mut Cx<'_>, receipts: &Receipts) {
        let open = &self.open;
        let room = |fep_id| open.values().filter(|row| row.fep_id == fep_id).count() < MOST_OPEN;
        if self.drafts.go_on(cx, &receipts.sums, room) {
            self.look(cx.now.mono);
        }
    }

    /// Claims these receipts, all of one FEP and one address.
    fn make(&mut self, cx: &mut Cx<'_>, receipts: &mut Receipts, mut rows: Vec<ReceiptRow>) {
        rows.sort_by_key(|row| row.receipt.receipt_id);
        // Of papers that name one receipt twice the second waits for the next claim.
        rows.dedup_by_key(|row| row.receipt.receipt_id);
        let total = rows.iter().try_fold(Micros::ZERO, |sum, row| sum.checked_add(row.receipt.payout));
        let (Some(first), Some(total)) = (rows.first(), total) else { return };
        let group = first.group();
        let (fep_id, payout_to) = group.clone();
        let claim_id = ClaimId(self.rng.bytes());
        let ids: Vec<ReceiptId> = rows.iter().map(|row| row.receipt.receipt_id).collect();
        let leaves: Vec<[u8; 16]> = ids.iter().map(|id| id.0).collect();
        let claim = cx.me.seal(Claim {
            claim_id,
            fep_id,
            payout_to: payout_to.clone(),
            total,
            receipts: ids,
            merkle_root: merkle::root(&leaves),
            issued_ms: cx.now.wall.0,
        });
        let line = |row: &ReceiptRow| {
            let (receipt_id, issued_ms) = (row.receipt.receipt_id, row.issued_ms());
            Line { receipt_id, issued_ms }
        };
        let row = ClaimRow {
            claim_id,
            state: ClaimState::Submitted,
            fep_id,
            currency: payout_to.currency,
            address: payout_to.address,
            count: rows.len(),
            total,
            issued_ms: cx.now.wall.0,
            verdict: None,
            refused: 0,
            payout_id: None,
            paid: None,
            rail_tx: None,
            signed: hex::encode(&claim.bytes.0),
            decision: None,
            lines: rows.iter().map(line).collect(),
            revoked: cx.feps.revoked(fep_id, cx.now.wall),
        };
        let mut batch = put_claim(&row);
        for mut receipt in rows {
            (receipt.state, receipt.claim_id) = (ReceiptState::InClaim, Some(claim_id));
            batch.extend(receipts.changed(&receipt, ReceiptState::Unclaimed));
        }
        batch.push(receipts.sums.put(&group));
        self.open.insert(claim_id, row);
        let op = cx.store(batch);
        self.storing.insert(op, Stored::Submitted(claim_id));
    }

    fn submit(&mut self, cx: &mut Cx<'_>, claim: ClaimId) {
        let Some(row) = self.open.get(&claim) else { return };
        let Some(url) = self.urls.get(&row.fep_id) else {
            return cx
                .warn(alloc::format!("claim {claim}: its FEP {} is not in the config any more", row.fep_id));
        };
        if let Ok(bytes) = hex::decode(&row.signed) {
            self.calls.post(cx, claim, url, "/v1/claims", &bytes);
        }
    }

    fn again(&mut self, now: Time, claim: ClaimId) {
        self.due.set(Due::Submit(claim), now + self.pause, "submit a claim again");
        self.pause = self.pause.doubled().min(REDELIVER_LAST);
    }

    pub(super) fn answered(&mut self, cx: &mut Cx<'_>, claim: ClaimId, answer: Answer) {
        let Some(row) = self.open.get(&claim) else { return };
        // Two calls may be under way, one of them carried: what came first is being written down.
        if row.state != ClaimState::Submitted
            || self.deciding.values().any(|(deciding, _)| *deciding == claim)
        {
            return;
        }
        let said = match answer {
            Answer::Silent if mutant(Mutant::SilenceCountsAsPaid) => Said::Nothing,
            Answer::Silent | Answer::Noted | Answer::Nothing => {
                self.unheard.extend(hex::decode(&row.signed).ok().map(|signed| (claim, row.fep_id, signed)));
                return self.again(cx.now.mono, claim);
            }
            Answer::Refused(refusal) => {
                cx.warn(alloc::format!("claim {claim} was refused by its FEP: {:?}", refusal.code));
                Said::Refused(refusal)
            }
            Answer::Given(bytes) => {
                let decision = open::<ClaimDecision>(cx.me.network, None, &bytes);
                let decision = decision.ok().filter(|decision| {
                    decision.content.claim_id == claim
                        && row.is_paid_to(decision.content.payout.as_ref())
                        && !row.revoked.contains(&FepKey(decision.signer))
                        && cx.feps.bound_when_issued(row.fep_id, decision).is_ok()
                });
                let Some(decision) = decision else {
                    cx.warn(alloc::format!("claim {claim}: the FEP's decision does not hold; asking again"));
                    return self.again(cx.now.mono, claim);
                };
                self.pause = REDELIVER_FIRST;
                Said::Decided(Box::new(decision))
            }
        };
        let keys = row.lines.iter().map(Line::key).collect();
        let op = cx.find(Keys { table: RECEIPTS_OPEN, keys });
        self.deciding.insert(op, (claim, said));
    }

    /// What was said of a claim is written down, and what it means for each of its receipts.
    fn decide(
        &mut self,
        cx: &mut Cx<'_>,
        receipts: &mut Receipts,
        claim: ClaimId,
        said: &Said,
        stored: &[Row],
    ) {
        let Some(row) = self.open.get_mut(&claim) else { return };
        let rows = stored.iter().map(|stored| stored.parse::<ReceiptRow>(RECEIPTS_OPEN));
        let rows: Vec<ReceiptRow> = match rows.collect() {
            Ok(rows) => rows,
            Err(bad) => {
                cx.warn(alloc::format!("claim {claim} can't be decided: {bad}"));
                return self.again(cx.now.mono, claim);
            }
        };
        match said {
            Said::Nothing => {
                row.state = ClaimState::Paid;
                self.decided(cx, receipts, claim, rows, |_| Fate::Paid);
            }
            Said::Refused(refusal) => {
                row.state = ClaimState::Rejected;
                let mut fate = Fate::Open;
                if let Some(group) = rows.first().map(ReceiptRow::group)
                    && refusal.code == PortalErrorCode::BadRequest
                {
                    self.drafts.refused(&group, rows.len());
                    if rows.len() == 1 {
                        let why = alloc::format!("its FEP refuses a claim for it: {}", refusal.message);
                        fate = Fate::Disputed(plain(&why, REASON));
                    }
                }
                self.decided(cx, receipts, claim, rows, |_| fate.clone());
            }
            Said::Decided(decision) => {
                row.decision = Some(hex::encode(&decision.bytes.0));
                row.verdict = Some(decision.content.verdict);
                if let Some(payout) = &decision.content.payout {
                    row.payout_id = Some(payout.payout_id);
                    row.paid = Some(payout.amount);
                    row.rail_tx = Some(payout.rail_tx.chars().take(128).collect());
                }
                let rejected = &decision.content.rejected;
                let named = |id: &ReceiptId| rejected.iter().find(|line| line.receipt_id == *id);
                let mut accepted = rows.iter().filter(|row| named(&row.receipt.receipt_id).is_none());
                let owed = accepted.try_fold(Micros::ZERO, |sum, row| sum.checked_add(row.receipt.payout));
                let paid =
                    owed.is_some() && row.paid == owed && decision.content.verdict != Verdict::Rejected;
                row.state = if paid { ClaimState::Paid } else { ClaimState::Rejected };
                // A line that was rejected before is disputed already: to hear the same of it again is no new fault.
                let is_bad = |row: &&ReceiptRow| !paid || named(&row.receipt.receipt_id).is_some();
                let is_new = rows.iter().filter(is_bad).any(|row| row.rejected.is_none());
                if paid && rejected.is_empty() || is_new {
                    self.decided.push((row.fep_id, !is_new));
                }
                if let Some(group) = rows.first().map(ReceiptRow::group) {
                    self.drafts.taken(&group);
                }
                if paid {
                    cx.info(alloc::format!(
                        "claim {claim}: paid {} {}",
                        row.paid.unwrap_or_default(),
                        row.currency
                    ));
                }
                // A line is paid only by a payout that covers it, whatever the verdict says.
                let unnamed = match row.paid {
                    _ if paid => Fate::Paid,
                    Some(_) => Fate::Disputed("the payout is not the sum of the lines it is for".into()),
                    None => Fate::Open,
                };
                self.decided(cx, receipts, claim, rows, |id| match named(id) {
                    Some(line) => Fate::Disputed(plain(&line.reason, REASON)),
                    None => unnamed.clone(),
                });
            }
        }
    }

    fn decided(
        &mut self,
        cx: &mut Cx<'_>,
        receipts: &mut Receipts,
        claim: ClaimId,
        rows: Vec<ReceiptRow>,
        fate: impl Fn(&ReceiptId) -> Fate,
    ) {
        let Some(row) = self.open.get_mut(&claim) else { return };
        let (mut batch, mut refused) = (Vec::new(), 0);
        let group = rows.first().map(ReceiptRow::group);
        for mut receipt in rows {
            let id = receipt.receipt.receipt_id;
            match fate(&id) {
                Fate::Paid => (receipt.state, receipt.rejected) = (ReceiptState::Paid, None),
                Fate::Disputed(reason) => {
                    cx.warn(alloc::format!(
                        "receipt {id} was not paid: `labman-cli receipts` has the FEP's reason"
                    ));
                    receipt.state = ReceiptState::Disputed;
                    receipt.rejected = Some(reason);
                    let until_ms = (cx.now.wall + self.dispute_for).0;
                    receipt.dispute = Some(Dispute { until_ms, stands: false });
                    refused += 1;
                }
                Fate::Open => {
                    receipt.state = ReceiptState::Unclaimed;
                    receipt.claim_id = None;
                }
            }
            batch.extend(receipts.changed(&receipt, ReceiptState::InClaim));
        }
        row.refused = refused;
        batch.extend(put_claim(row));
        batch.extend(group.map(|group| receipts.sums.put(&group)));
        let op = cx.store(batch);
        self.storing.insert(op, Stored::Decided(claim));
        self.look(cx.now.mono);
    }
}
