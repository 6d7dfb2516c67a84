//! Turns receipts into money: at a steady pace, for each FEP and payout address, a signed claim over the receipts that
//! wait, sent to the FEP until it decides.
//!
//! ```text
//!   receipts: unclaimed --claim stored--> in_claim --decision--> paid | disputed (a rejected line)
//!                 ^----------- the claim itself was refused -----'
//!   claim:                submitted --decision stored--> paid | rejected
//! ```

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use super::receipts::Receipts;
use super::rows::{CLAIMS_OPEN, ClaimRow, ClaimState, ReceiptState, put_claim, put_receipt};
use crate::economics::merkle;
use crate::http::ResponseHead;
use crate::identity::FepId;
use crate::limits::{CLAIM_RECEIPTS, CLAIMS_AT_ONCE, REDELIVER_FIRST, REDELIVER_LAST};
use crate::machine::{Completion, OpId, StreamId};
use crate::money::Micros;
use crate::mutants::{Mutant, mutant};
use crate::node::config;
use crate::node::cx::Cx;
use crate::node::fep::{Answer, FepCalls};
use crate::rng::Stream;
use crate::store::{BadRow, Snapshot};
use crate::time::{Span, Time, Wake};
use crate::timers::Timers;
use crate::wire::ids::{ClaimId, ReceiptId};
use crate::wire::object::open;
use crate::wire::portal::{Claim, ClaimDecision, PayoutTo, Verdict};

pub(crate) struct Claims {
    rng: Stream,
    every: Span,
    /// The least payout of each address we are paid at.
    least: BTreeMap<PayoutTo, Micros>,
    urls: BTreeMap<FepId, String>,
    open: BTreeMap<ClaimId, ClaimRow>,
    storing: BTreeMap<OpId, Stored>,
    calls: FepCalls<ClaimId>,
    due: Timers<Due>,
    pause: Span,
}

enum Stored {
    Submitted(ClaimId),
    Decided(ClaimId),
}

/// What a decision means for one receipt of a claim.
#[derive(Clone)]
enum Line {
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
            least: config.portmans.iter().map(|p| (p.payout.clone(), p.least_payout)).collect(),
            urls: feps.iter().map(|fep| (fep.fep_id, fep.url.clone())).collect(),
            open: BTreeMap::new(),
            storing: BTreeMap::new(),
            calls: FepCalls::default(),
            due: Timers::default(),
            pause: REDELIVER_FIRST,
        };
        for stored in snapshot.of(CLAIMS_OPEN) {
            let row: ClaimRow = stored.parse(CLAIMS_OPEN)?;
            claims.due.set(Due::Submit(row.claim_id), now, "submit a claim of an earlier life");
            claims.open.insert(row.claim_id, row);
        }
        claims.look(now);
        Ok(claims)
    }

    pub(crate) fn open(&self) -> impl Iterator<Item = &ClaimRow> {
        self.open.values()
    }

    /// There may be something to claim: look when the period is over. A period that has begun is not begun again, or a
    /// provider whose receipts come faster than that would never be paid.
    pub(super) fn look(&mut self, now: Time) {
        if !self.due.is_set(Due::Look) && !mutant(Mutant::NeverClaims) {
            self.due.set(Due::Look, now + self.every, "look for receipts to claim");
        }
    }

    pub(super) fn response(&mut self, stream: StreamId, head: &ResponseHead) {
        self.calls.response(stream, head);
    }

    /// True: the stream is one of ours.
    pub(super) fn bytes(&mut self, cx: &mut Cx<'_>, stream: StreamId, bytes: &[u8]) -> bool {
        self.calls.bytes(cx, stream, bytes)
    }

    pub(super) fn finished(&mut self, cx: &mut Cx<'_>, receipts: &mut Receipts, stream: StreamId) -> bool {
        let Some((claim, answer)) = self.calls.finished(cx, stream) else { return false };
        self.answered(cx, receipts, claim, answer);
        true
    }

    pub(super) fn reset(&mut self, cx: &mut Cx<'_>, receipts: &mut Receipts, stream: StreamId) -> bool {
        let Some((claim, answer)) = self.calls.reset(cx, stream) else { return false };
        self.answered(cx, receipts, claim, answer);
        true
    }

    pub(super) fn done(
        &mut self,
        cx: &mut Cx<'_>,
        receipts: &mut Receipts,
        op: OpId,
        completion: &Completion,
    ) -> bool {
        let Some(stored) = self.storing.remove(&op) else { return false };
        if matches!(completion, Completion::Stored(Ok(()))) {
            match stored {
                Stored::Submitted(claim) => self.submit(cx, claim),
                Stored::Decided(claim) => {
                    self.open.remove(&claim);
                    receipts.open.retain(|_, row| row.state != ReceiptState::Paid);
                }
            }
        }
        true
    }

    pub(super) fn handle_timeout(&mut self, cx: &mut Cx<'_>, receipts: &mut Receipts) {
        while let Some(due) = self.due.expired(cx.now.mono) {
            match due {
                // What waits can wait until the time is known.
                Due::Look if cx.clock_is_wrong() => self.look(cx.now.mono),
                Due::Look => self.claim(cx, receipts),
                Due::Submit(claim) => self.submit(cx, claim),
            }
        }
        for (claim, answer) in self.calls.handle_timeout(cx) {
            self.answered(cx, receipts, claim, answer);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Wake> {
        Wake::earliest(self.due.next(), self.calls.poll_timeout())
    }

    /// Claims what waits for one FEP and one address, once that reaches the least payout.
    fn claim(&mut self, cx: &mut Cx<'_>, receipts: &mut Receipts) {
        let mut groups: BTreeMap<(FepId, PayoutTo), Vec<(ReceiptId, Micros)>> = BTreeMap::new();
        for row in receipts.claimable() {
            let key = (row.receipt.fep_id, row.receipt.payout_to.clone());
            groups.entry(key).or_default().push((row.receipt.receipt_id, row.receipt.payout));
        }
        let mut more = false;
        let sum = |lines: &[(ReceiptId, Micros)]| {
            lines.iter().try_fold(Micros::ZERO, |sum, (_, payout)| sum.checked_add(*payout))
        };
        for ((fep_id, payout_to), lines) in groups {
            let least = self.least.get(&payout_to).copied().unwrap_or_default();
            // All that waits together: one claim's lines may come to little. What is worth nothing is claimed to be done with.
            let enough = sum(&lines).is_none_or(|total| total >= least || total == Micros::ZERO);
            if !enough {
                continue;
            }
            more |= lines.len() > CLAIMS_AT_ONCE * CLAIM_RECEIPTS;
            for lines in lines.chunks(CLAIM_RECEIPTS).take(CLAIMS_AT_ONCE) {
                let Some(total) = sum(lines) else { continue };
                let ids: Vec<ReceiptId> = lines.iter().map(|(id, _)| *id).collect();
                self.make(cx, receipts, fep_id, payout_to.clone(), ids, total);
            }
        }
        if more {
            self.look(cx.now.mono);
        }
    }

    fn make(
        &mut self,
        cx: &mut Cx<'_>,
        receipts: &mut Receipts,
        fep_id: FepId,
        payout_to: PayoutTo,
        ids: Vec<ReceiptId>,
        total: Micros,
    ) {
        let claim_id = ClaimId(self.rng.bytes());
        let leaves: Vec<[u8; 16]> = ids.iter().map(|id| id.0).collect();
        let claim = cx.me.seal(Claim {
            claim_id,
            fep_id,
            payout_to: payout_to.clone(),
            total,
            receipts: ids.clone(),
            merkle_root: merkle::root(&leaves),
            issued_ms: cx.now.wall.0,
        });
        let row = ClaimRow {
            claim_id,
            state: ClaimState::Submitted,
            fep_id,
            currency: payout_to.currency,
            address: payout_to.address,
            count: ids.len(),
            total,
            issued_ms: cx.now.wall.0,
            verdict: None,
            payout_id: None,
            paid: None,
            rail_tx: None,
            signed: hex::encode(&claim.bytes.0),
            decision: None,
            receipts: ids,
        };
        let mut batch = put_claim(&row);
        for id in &row.receipts {
            if let Some(receipt) = receipts.open.get_mut(id) {
                receipt.state = ReceiptState::InClaim;
                receipt.claim_id = Some(claim_id);
                batch.extend(put_receipt(receipt));
            }
        }
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

    fn answered(&mut self, cx: &mut Cx<'_>, receipts: &mut Receipts, claim: ClaimId, answer: Answer) {
        let Some(row) = self.open.get_mut(&claim) else { return };
        match answer {
            Answer::Silent if mutant(Mutant::SilenceCountsAsPaid) => {
                row.state = ClaimState::Paid;
                self.decided(cx, receipts, claim, |_| Line::Paid);
            }
            Answer::Silent | Answer::Noted | Answer::Nothing => self.again(cx.now.mono, claim),
            Answer::Refused(refusal) => {
                // Nothing was said of its lines: they may be claimed anew.
                cx.warn(alloc::format!("claim {claim} was refused by its FEP: {:?}", refusal.code));
                row.state = ClaimState::Rejected;
                self.decided(cx, receipts, claim, |_| Line::Open);
            }
            Answer::Given(bytes) => {
                let decision = open::<ClaimDecision>(cx.me.network, None, &bytes);
                let decision = decision.ok().filter(|decision| {
                    decision.content.claim_id == claim
                        && cx.feps.bound_when_issued(row.fep_id, decision).is_ok()
                });
                let Some(decision) = decision else {
                    cx.warn(alloc::format!("claim {claim}: the FEP's decision does not hold; asking again"));
                    return self.again(cx.now.mono, claim);
                };
                self.pause = REDELIVER_FIRST;
                row.decision = Some(hex::encode(&decision.bytes.0));
                row.verdict = Some(decision.content.verdict);
                if let Some(payout) = &decision.content.payout {
                    row.payout_id = Some(payout.payout_id);
                    row.paid = Some(payout.amount);
                    row.rail_tx = Some(payout.rail_tx.chars().take(128).collect());
                }
                let rejected = decision.content.rejected;
                let named = |id: &ReceiptId| rejected.iter().find(|line| line.receipt_id == *id);
                let accepted = row.receipts.iter().filter(|id| named(id).is_none());
                let owed =
                    accepted.filter_map(|id| receipts.open.get(id)).map(|receipt| receipt.receipt.payout.0);
                let paid =
                    row.paid == Some(Micros(owed.sum())) && decision.content.verdict != Verdict::Rejected;
                row.state = if paid { ClaimState::Paid } else { ClaimState::Rejected };
                if paid {
                    cx.info(alloc::format!(
                        "claim {claim}: paid {} {}",
                        row.paid.unwrap_or_default(),
                        row.currency
                    ));
                }
                // A line is paid only by a payout that covers it, whatever the verdict says.
                let unnamed = match row.paid {
                    _ if paid => Line::Paid,
                    Some(_) => Line::Disputed("the payout is not the sum of the lines it is for".into()),
                    None => Line::Open,
                };
                self.decided(cx, receipts, claim, |id| match named(id) {
                    Some(line) => Line::Disputed(line.reason.chars().take(256).collect()),
                    None => unnamed.clone(),
                });
            }
        }
    }

    /// Stores a decision, and what it means for each receipt.
    fn decided(
        &mut self,
        cx: &mut Cx<'_>,
        receipts: &mut Receipts,
        claim: ClaimId,
        fate: impl Fn(&ReceiptId) -> Line,
    ) {
        let Some(row) = self.open.get(&claim) else { return };
        let mut batch = put_claim(row);
        for id in &row.receipts {
            let Some(receipt) = receipts.open.get_mut(id) else { continue };
            match fate(id) {
                Line::Paid => {
                    receipt.state = ReceiptState::Paid;
                    receipts.paid += 1;
                    batch.push(receipts.earnings.paid(receipt));
                }
                Line::Disputed(reason) => {
                    cx.warn(alloc::format!(
                        "receipt {id} was not paid: `labman-cli receipts --json` has the FEP's reason"
                    ));
                    receipt.state = ReceiptState::Disputed;
                    receipt.rejected = Some(reason);
                }
                Line::Open => {
                    receipt.state = ReceiptState::Unclaimed;
                    receipt.claim_id = None;
                }
            }
            batch.extend(put_receipt(receipt));
        }
        let op = cx.store(batch);
        self.storing.insert(op, Stored::Decided(claim));
        self.look(cx.now.mono);
    }
}
