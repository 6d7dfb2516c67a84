//! Receipts that never came are asked for, by their numbers: at the start, every now and then, and when one is missing for longer
//! than it could be on its way.
//!
//! ```text
//!   idle --due--> asked, behind what has come without a gap --page--> all of it stored --more--> asked, behind that
//!                                                                        '-- up to the last --> idle
//! ```

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use super::receipts::Receipts;
use crate::http::ResponseHead;
use crate::identity::FepId;
use crate::limits::{PULL_EVERY, PULL_GAP, PULL_RECEIPTS, REDELIVER_FIRST, REDELIVER_LAST};
use crate::machine::StreamId;
use crate::mutants::{Mutant, mutant};
use crate::node::config;
use crate::node::cx::Cx;
use crate::node::fep::{Answer, FepCalls};
use crate::time::{Span, Time, Wake};
use crate::timers::Timers;
use crate::wire::object::open;
use crate::wire::portal::{IssuedReceipt, IssuedReceipts, ReceiptsRequest};

#[derive(Default)]
pub(super) struct Pulls {
    feps: BTreeMap<FepId, Pull>,
    /// Behind which number each call asks.
    calls: FepCalls<(FepId, u64)>,
    due: Timers<FepId>,
}

struct Pull {
    url: String,
    under_way: Option<Walk>,
    /// Behind which number it began to ask last.
    began: u64,
    /// The number behind which one was missing that the FEP did not give, or that was not to be taken.
    withheld: Option<u64>,
    pause: Span,
}

#[derive(Clone, Copy)]
enum Walk {
    Asked,
    /// The receipts of a page are being stored; then it goes on behind this number.
    Storing(u64),
}

impl Pulls {
    pub(super) fn new(feps: &[config::Fep], now: Time) -> Self {
        let mut pulls = Self::default();
        for fep in feps {
            let url = fep.url.clone();
            let pull = Pull { url, under_way: None, began: 0, withheld: None, pause: REDELIVER_FIRST };
            pulls.feps.insert(fep.fep_id, pull);
            pulls.ask_at(fep.fep_id, now + REDELIVER_FIRST);
        }
        pulls
    }

    fn ask_at(&mut self, fep_id: FepId, at: Time) {
        if !mutant(Mutant::GapIgnored) {
            self.due.set(fep_id, at, "ask a FEP for receipts that never came");
        }
    }

    /// A receipt came: if one before it is missing, that one may still be on its way.
    pub(super) fn came(&mut self, receipts: &Receipts, fep_id: FepId, now: Time) {
        let numbers = receipts.numbers(fep_id);
        let Some(pull) = self.feps.get(&fep_id) else { return };
        let missing = numbers.has_gap() && pull.withheld != Some(numbers.known_behind(0));
        let soon = now + PULL_GAP;
        if missing && self.due.at(fep_id).is_none_or(|at| at > soon) {
            self.ask_at(fep_id, soon);
        }
    }

    pub(super) fn response(&mut self, stream: StreamId, head: &ResponseHead) {
        self.calls.response(stream, head);
    }

    /// True: the stream is one of ours.
    pub(super) fn bytes(&mut self, cx: &mut Cx<'_>, stream: StreamId, bytes: &[u8]) -> bool {
        self.calls.bytes(cx, stream, bytes)
    }

    /// True: the stream was one of ours. What came is to be taken.
    pub(super) fn finished(&mut self, cx: &mut Cx<'_>, stream: StreamId) -> Option<Vec<IssuedReceipt>> {
        let (call, answer) = self.calls.finished(cx, stream)?;
        Some(self.answered(cx, call, answer))
    }

    pub(super) fn reset(&mut self, cx: &mut Cx<'_>, stream: StreamId) -> Option<Vec<IssuedReceipt>> {
        let (call, answer) = self.calls.reset(cx, stream)?;
        Some(self.answered(cx, call, answer))
    }

    pub(super) fn handle_timeout(&mut self, cx: &mut Cx<'_>, receipts: &Receipts) {
        while let Some(fep_id) = self.due.expired(cx.now.mono) {
            let Some(pull) = self.feps.get_mut(&fep_id) else { continue };
            // What is asked is signed with a time.
            if pull.under_way.is_some() || cx.clock_is_wrong() {
                self.ask_at(fep_id, cx.now.mono + PULL_GAP);
                continue;
            }
            pull.began = receipts.numbers(fep_id).known_behind(0);
            let behind = pull.began;
            self.ask(cx, fep_id, behind);
        }
        for (call, answer) in self.calls.handle_timeout(cx) {
            self.answered(cx, call, answer);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Wake> {
        Wake::earliest(self.due.next(), self.calls.poll_timeout())
    }

    /// Goes on where all that came is stored: no more than a page of receipts waits for the disk.
    pub(super) fn go_on(&mut self, cx: &mut Cx<'_>, receipts: &Receipts) {
        if receipts.takes_pulled() {
            return;
        }
        let stored = |(fep_id, pull): (&FepId, &Pull)| match pull.under_way {
            Some(Walk::Storing(behind)) => Some((*fep_id, behind)),
            Some(Walk::Asked) | None => None,
        };
        for (fep_id, behind) in self.feps.iter().filter_map(stored).collect::<Vec<_>>() {
            self.ask(cx, fep_id, receipts.numbers(fep_id).known_behind(behind));
        }
    }

    fn ask(&mut self, cx: &mut Cx<'_>, fep_id: FepId, after: u64) {
        let Some(pull) = self.feps.get_mut(&fep_id) else { return };
        pull.under_way = Some(Walk::Asked);
        let asked = cx.me.seal(ReceiptsRequest { fep_id, after, issued_ms: cx.now.wall.0 });
        self.calls.post(cx, (fep_id, after), &pull.url, "/v1/receipts", &asked.bytes.0);
    }

    fn answered(
        &mut self,
        cx: &mut Cx<'_>,
        (fep_id, after): (FepId, u64),
        answer: Answer,
    ) -> Vec<IssuedReceipt> {
        let Some(pull) = self.feps.get_mut(&fep_id) else { return Vec::new() };
        pull.under_way = None;
        let bytes = match answer {
            Answer::Given(bytes) => bytes,
            Answer::Silent | Answer::Noted | Answer::Nothing => {
                let at = cx.now.mono + pull.pause;
                pull.pause = pull.pause.doubled().min(REDELIVER_LAST);
                self.ask_at(fep_id, at);
                return Vec::new();
            }
            Answer::Refused(refusal) => {
                cx.warn(format!("FEP {fep_id} does not say which receipts it issued: {:?}", refusal.code));
                self.ask_at(fep_id, cx.now.mono + PULL_EVERY);
                return Vec::new();
            }
        };
        let issued = open::<IssuedReceipts>(cx.me.network, None, &bytes).ok();
        let bound = issued.as_ref().map(|issued| cx.feps.bound_when_issued(fep_id, issued));
        if let Some(Err(why)) = bound
            && why.may_pass()
        {
            // Its keys are asked for, too.
            let at = cx.now.mono + pull.pause;
            pull.pause = pull.pause.doubled().min(REDELIVER_LAST);
            self.ask_at(fep_id, at);
            return Vec::new();
        }
        pull.pause = REDELIVER_FIRST;
        let issued = issued.filter(|_| bound == Some(Ok(()))).map(|issued| issued.content);
        let ours = |issued: &IssuedReceipts| {
            let asked = (issued.fep_id, issued.provider, issued.after) == (fep_id, cx.me.node_id, after);
            asked && issued.receipts.len() <= PULL_RECEIPTS
        };
        let Some(issued) = issued.filter(ours) else {
            cx.warn(format!("FEP {fep_id}: what it says that it issued is not what was asked for"));
            self.ask_at(fep_id, cx.now.mono + PULL_EVERY);
            return Vec::new();
        };
        // They are numbered without a gap: so many follow.
        let behind = after.saturating_add(issued.receipts.len() as u64);
        if behind >= issued.last || issued.receipts.is_empty() {
            pull.withheld = Some(pull.began).filter(|began| *began < issued.last);
            self.ask_at(fep_id, cx.now.mono + PULL_EVERY);
        } else {
            pull.under_way = Some(Walk::Storing(behind));
        }
        issued.receipts
    }
}
