//! Disputed receipts, as their FEPs are asked about them: each is shown with the dispute soon after its line was rejected, and
//! then once an hour, a page of them a minute. What a FEP's people say of one is for [`disputes`](super::disputes) to do.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::{format, vec::Vec};

use super::claims::plain;
use super::disputes::{disputed, open_rows};
use super::receipts::Receipts;
use super::rows::{DISPUTES, Line, RECEIPTS_OPEN, ReceiptRow};
use crate::http::ResponseHead;
use crate::identity::{FepId, FepKey};
use crate::limits::{DISPUTE_EVERY, DISPUTE_PAGE_EVERY, DISPUTES_READ, PORTAL_TEXT, REDELIVER_FIRST};
use crate::machine::{Completion, OpId, StreamId};
use crate::node::config;
use crate::node::cx::Cx;
use crate::node::fep::{Answer, FepCalls};
use crate::store::Range;
use crate::time::{Time, Wake};
use crate::timers::Timers;
use crate::wire::cbor::Blob;
use crate::wire::object::open;
use crate::wire::portal::{Dispute, DisputeDecision};

pub(super) struct Appeals {
    urls: BTreeMap<FepId, String>,
    reading: Option<(OpId, Reading)>,
    /// Where the next page begins; at the beginning it is empty.
    from: String,
    calls: FepCalls<(FepId, Line)>,
    due: Timers<()>,
    /// How many there were when that was seen last.
    known: u64,
    /// There are new ones since this round began.
    has_new: bool,
}

#[derive(Clone, Copy)]
enum Reading {
    Index,
    Receipts,
}

/// What a FEP's people say of a dispute.
pub(super) struct Ruled {
    pub(super) line: Line,
    pub(super) decision: DisputeDecision,
}

impl Appeals {
    pub(super) fn new(feps: &[config::Fep], receipts: &Receipts, now: Time) -> Self {
        let mut appeals = Self {
            urls: feps.iter().map(|fep| (fep.fep_id, fep.url.clone())).collect(),
            reading: None,
            from: String::new(),
            calls: FepCalls::default(),
            due: Timers::default(),
            known: 0,
            has_new: false,
        };
        appeals.watch(receipts, now);
        appeals
    }

    /// New ones are shown soon: once those that were there before are through, if these are on their way.
    pub(super) fn watch(&mut self, receipts: &Receipts, now: Time) {
        let disputed = receipts.open().disputed;
        if disputed > self.known {
            match self.from.is_empty() && self.reading.is_none() {
                true => self.due.set((), now + REDELIVER_FIRST, "show a FEP what is disputed"),
                false => self.has_new = true,
            }
        }
        self.known = disputed;
    }

    pub(super) fn response(&mut self, stream: StreamId, head: &ResponseHead) {
        self.calls.response(stream, head);
    }

    /// True: the stream is one of ours.
    pub(super) fn bytes(&mut self, cx: &mut Cx<'_>, stream: StreamId, bytes: &[u8]) -> bool {
        self.calls.bytes(cx, stream, bytes)
    }

    /// `None`: the stream is none of ours.
    pub(super) fn finished(&mut self, cx: &mut Cx<'_>, stream: StreamId) -> Option<Option<Ruled>> {
        let (of, answer) = self.calls.finished(cx, stream)?;
        Some(answered(cx, of, &answer))
    }

    pub(super) fn reset(&mut self, cx: &mut Cx<'_>, stream: StreamId) -> bool {
        self.calls.reset(cx, stream).is_some()
    }

    pub(super) fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        // Who does not answer is asked again in the next round.
        self.calls.handle_timeout(cx);
        if self.due.expired(cx.now.mono).is_none() {
            return;
        }
        // What is asked is signed with a time.
        if cx.clock_is_wrong() || self.reading.is_some() {
            return self.later(cx.now.mono);
        }
        let range =
            Range { table: DISPUTES, from: self.from.clone(), to: "~".into(), limit: DISPUTES_READ as u32 };
        self.reading = Some((cx.read(range), Reading::Index));
    }

    pub(super) fn poll_timeout(&self) -> Option<Wake> {
        Wake::earliest(self.due.next(), self.calls.poll_timeout())
    }

    /// True: the operation is one of ours.
    pub(super) fn done(&mut self, cx: &mut Cx<'_>, op: OpId, completion: &Completion) -> bool {
        let Some((_, reading)) = self.reading.take_if(|(own, _)| *own == op) else { return false };
        let Completion::Page(Ok(rows)) = completion else {
            self.later(cx.now.mono);
            return true;
        };
        match reading {
            Reading::Index => {
                let is_last = rows.len() < DISPUTES_READ;
                self.from = match rows.last().filter(|_| !is_last) {
                    Some(last) => format!("{}~", last.key),
                    None => String::new(),
                };
                let open = disputed(cx, rows).into_iter().filter(|row| !row.dispute.stands);
                let keys: Vec<String> = open.map(|row| row.line.key()).collect();
                if keys.is_empty() {
                    self.go_on(cx.now.mono);
                } else {
                    self.reading = Some((cx.find(open_rows(keys)), Reading::Receipts));
                }
            }
            Reading::Receipts => {
                for row in rows.iter().filter_map(|row| row.parse::<ReceiptRow>(RECEIPTS_OPEN).ok()) {
                    self.ask(cx, &row);
                }
                self.go_on(cx.now.mono);
            }
        }
        true
    }

    /// To the next page, or the next round, if there is anything to ask about.
    fn go_on(&mut self, now: Time) {
        match self.from.is_empty() && !core::mem::take(&mut self.has_new) {
            true if self.known > 0 => self.due.set((), now + DISPUTE_EVERY, "ask about what is disputed"),
            true => {}
            false => self.later(now),
        }
    }

    fn later(&mut self, now: Time) {
        self.due.set((), now + DISPUTE_PAGE_EVERY, "ask about more that is disputed");
    }

    fn ask(&mut self, cx: &mut Cx<'_>, row: &ReceiptRow) {
        let fep_id = row.receipt.fep_id;
        let (Some(url), Some(claim_id)) = (self.urls.get(&fep_id), row.claim_id) else { return };
        let Some(dispute) = row.dispute else { return };
        let reason = plain(row.rejected.as_deref().unwrap_or_default(), PORTAL_TEXT);
        let dispute = cx.me.seal(Dispute {
            fep_id,
            claim_id,
            receipt: Blob(hex::decode(&row.signed).unwrap_or_default()),
            reason: if reason.is_empty() { "no reason was given".into() } else { reason },
            until_ms: dispute.until_ms,
            issued_ms: cx.now.wall.0,
        });
        let line = Line { receipt_id: row.id(), issued_ms: row.issued_ms() };
        self.calls.post(cx, (fep_id, line), url, "/v1/disputes", &dispute.bytes.0);
    }
}

fn answered(cx: &mut Cx<'_>, (fep_id, line): (FepId, Line), answer: &Answer) -> Option<Ruled> {
    let id = line.receipt_id;
    match answer {
        Answer::Given(bytes) => {
            let revoked = cx.feps.revoked(fep_id, cx.now.wall);
            let decision = open::<DisputeDecision>(cx.me.network, None, bytes);
            // A thief's has whatever date is wanted. Without any the receipt is claimed again at its term.
            let decision = decision.ok().filter(|decision| {
                decision.content.receipt_id == id
                    && !revoked.contains(&FepKey(decision.signer))
                    && cx.feps.bound_when_issued(fep_id, decision).is_ok()
            });
            if decision.is_none() {
                cx.warn(format!(
                    "receipt {id}: what its FEP says of the dispute does not hold; asking again"
                ));
            }
            decision.map(|decision| Ruled { line, decision: decision.content })
        }
        Answer::Refused(refusal) => {
            cx.warn(format!("receipt {id}: its FEP takes no dispute for it: {:?}", refusal.code));
            None
        }
        Answer::Silent | Answer::Noted | Answer::Nothing => None,
    }
}
