//! Receipts that a FEP would not pay. Each is `disputed` for a term, in which people can look into it ([`appeals`](super::appeals)). Where
//! they say nothing it waits to be claimed again when the term is over, as often as it takes. Only this provider's operator
//! writes one off, and that counts in the exposure until the operator clears it.
//!
//! ```text
//!   rejected line --> disputed --its term is over, its FEP says so, or the operator--> unclaimed
//!                        |-- its FEP says that it stands: disputed, until the operator acts
//!                        |---- by the operator's word --> written_off
//!                        '---- by the operator's word --> paid
//! ```
//!
//! One thing is done after the other, each once the one before is durable: no receipt is moved twice.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::{Value, json};

use super::appeals::Ruled;
use super::claims::{REASON, plain};
use super::receipts::Receipts;
use super::rows::{self, DISPUTES, DisputeRow, RECEIPTS_OPEN, ReceiptRow, ReceiptState, show_receipt};
use crate::http::ResponseHead;
use crate::limits::DISPUTES_READ;
use crate::machine::{Completion, OpId, StreamId};
use crate::mutants::{Mutant, mutant};
use crate::node::cx::Cx;
use crate::store::{Keys, Range, Row, Write};
use crate::time::{Span, Time, Wake, Wall};
use crate::timers::Timers;
use crate::wire::portal::{DisputeDecision, Ruling};

/// How soon to look again while something else is done, or the time is not known.
const LOOK_AGAIN: Span = Span::from_secs(60);
const LEAST_PAUSE: Span = Span::from_secs(1);

pub(super) struct Disputes {
    term: Span,
    doing: Option<(OpId, Doing)>,
    next: VecDeque<Word>,
    /// To look for those whose term is over.
    due: Timers<()>,
}

/// What somebody says of a disputed receipt.
enum Word {
    Operator(Order),
    Fep(Ruled),
}

pub(crate) struct Order {
    pub(crate) stream: StreamId,
    /// How the receipt's id begins.
    pub(crate) id: String,
    pub(crate) act: Act,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    WriteOff,
    /// It was paid after all.
    Paid,
    ClaimAgain,
}

impl Act {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "write-off" => Self::WriteOff,
            "paid" => Self::Paid,
            "claim-again" => Self::ClaimAgain,
            _ => return None,
        })
    }
}

/// All of them are looked at, a page at a time.
#[derive(Default)]
struct Scan {
    from: String,
    /// When the first of those ends that go on.
    next: Option<Wall>,
    /// Those of this page are the last.
    is_last: bool,
}

enum Doing {
    Scan(Scan),
    /// Those of its page whose term is over.
    Over(Scan),
    Returned(Scan),
    /// Which receipt is meant?
    Find(Order),
    Read(Order),
    Moved(StreamId, Value),
    Rule(DisputeDecision),
    Ruled,
}

impl Disputes {
    pub(super) fn new(term: Span, receipts: &Receipts, now: Time) -> Self {
        let mut disputes = Self { term, doing: None, next: VecDeque::new(), due: Timers::default() };
        if receipts.open().disputed > 0 {
            disputes.due.set((), now, "look for disputes that are over");
        }
        disputes
    }

    /// There may be new ones: none of them ends before that.
    pub(super) fn watch(&mut self, receipts: &Receipts, now: Time) {
        if receipts.open().disputed > 0 {
            self.due.start((), now + self.term, "look for disputes that are over");
        }
    }

    /// By the operator's word. It is answered when that is durable.
    pub(super) fn order(&mut self, cx: &mut Cx<'_>, order: Order) {
        self.next.push_back(Word::Operator(order));
        self.go_on(cx);
    }

    /// By its FEP's word.
    pub(super) fn ruled(&mut self, cx: &mut Cx<'_>, ruled: Ruled) {
        self.next.push_back(Word::Fep(ruled));
        self.go_on(cx);
    }

    pub(super) fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        if self.due.expired(cx.now.mono).is_none() {
            return;
        }
        if cx.clock_is_wrong() || self.doing.is_some() {
            return self.due.set((), cx.now.mono + LOOK_AGAIN, "look again for disputes that are over");
        }
        self.scan(cx, Scan::default());
    }

    pub(super) fn poll_timeout(&self) -> Option<Wake> {
        self.due.next()
    }

    /// `None`: the operation is none of these. True: a receipt may wait to be claimed again.
    pub(super) fn done(
        &mut self,
        cx: &mut Cx<'_>,
        receipts: &mut Receipts,
        op: OpId,
        completion: &Completion,
    ) -> Option<bool> {
        let (_, doing) = self.doing.take_if(|(own, _)| *own == op)?;
        let none = &Vec::new();
        let rows = match completion {
            Completion::Page(Ok(rows)) => rows,
            Completion::Stored(Ok(())) | Completion::Dialled(_) => none,
            Completion::Page(Err(error)) | Completion::Stored(Err(error)) => {
                match doing {
                    Doing::Scan(_) | Doing::Over(_) | Doing::Returned(_) => {
                        self.due.set((), cx.now.mono + LOOK_AGAIN, "look again for disputes that are over");
                    }
                    Doing::Find(Order { stream, .. })
                    | Doing::Read(Order { stream, .. })
                    | Doing::Moved(stream, _) => refuse(cx, stream, 503, "unavailable", error.text()),
                    // It says the same when it is asked again.
                    Doing::Rule(_) | Doing::Ruled => {}
                }
                self.go_on(cx);
                return Some(false);
            }
        };
        let moved = matches!(doing, Doing::Returned(_) | Doing::Moved(..) | Doing::Ruled);
        match doing {
            Doing::Scan(scan) => self.scanned(cx, scan, rows),
            Doing::Over(scan) => self.over(cx, receipts, scan, rows),
            Doing::Returned(scan) => self.scan_on(cx, scan),
            Doing::Find(order) => self.find(cx, order, rows),
            Doing::Read(order) => self.act(cx, receipts, order, rows),
            Doing::Moved(stream, receipt) => {
                let body = serde_json::to_vec(&json!({ "receipt": receipt })).unwrap_or_default();
                cx.respond_whole(stream, ResponseHead::json(200), body);
            }
            Doing::Rule(decision) => self.rule(cx, receipts, decision, rows),
            Doing::Ruled => {}
        }
        self.go_on(cx);
        Some(moved)
    }

    fn go_on(&mut self, cx: &mut Cx<'_>) {
        if self.doing.is_some() {
            return;
        }
        self.doing = self.next.pop_front().map(|word| match word {
            Word::Operator(order) => {
                let (from, to) = (order.id.clone(), format!("{}~", order.id));
                // A second one tells that more than one is meant.
                (cx.read(Range { table: DISPUTES, from, to, limit: 2 }), Doing::Find(order))
            }
            Word::Fep(Ruled { line, decision }) => {
                (cx.find(open_rows([line.key()].into())), Doing::Rule(decision))
            }
        });
    }

    fn scan(&mut self, cx: &mut Cx<'_>, scan: Scan) {
        let (from, to) = (scan.from.clone(), "~".into());
        let op = cx.read(Range { table: DISPUTES, from, to, limit: DISPUTES_READ as u32 });
        self.doing = Some((op, Doing::Scan(scan)));
    }

    fn scanned(&mut self, cx: &mut Cx<'_>, mut scan: Scan, rows: &[Row]) {
        scan.is_last = rows.len() < DISPUTES_READ;
        scan.from = rows.last().map(|row| format!("{}~", row.key)).unwrap_or_default();
        let (now, latest) = (cx.now.wall, cx.now.wall + self.term);
        let mut over = Vec::new();
        for row in disputed(cx, rows).into_iter().filter(|row| !row.dispute.stands) {
            let until = Wall(row.dispute.until_ms);
            // No term is longer: the clock was wrong when it began, or the config said otherwise.
            if until <= now || until > latest {
                over.push(row.line.key());
            }
            if until > now {
                let until = until.min(latest);
                scan.next = Some(scan.next.map_or(until, |next| next.min(until)));
            }
        }
        if over.is_empty() {
            return self.scan_on(cx, scan);
        }
        self.doing = Some((cx.find(open_rows(over)), Doing::Over(scan)));
    }

    fn over(&mut self, cx: &mut Cx<'_>, receipts: &mut Receipts, scan: Scan, rows: &[Row]) {
        let mut batch = Vec::new();
        for mut row in rows.iter().filter_map(|row| row.parse::<ReceiptRow>(RECEIPTS_OPEN).ok()) {
            let Some(dispute) = row.dispute else { continue };
            if Wall(dispute.until_ms) > cx.now.wall {
                row.dispute = Some(rows::Dispute { until_ms: (cx.now.wall + self.term).0, ..dispute });
                batch.extend(receipts.changed(&row, ReceiptState::Disputed));
            } else if !mutant(Mutant::DisputeForgotten) {
                cx.info(format!("receipt {} will be claimed again: nobody settled its dispute", row.id()));
                batch.extend(receipts.resolved(row, Act::ClaimAgain).1);
            }
        }
        self.doing = Some((cx.store(batch), Doing::Returned(scan)));
    }

    fn scan_on(&mut self, cx: &mut Cx<'_>, scan: Scan) {
        if !scan.is_last {
            return self.scan(cx, scan);
        }
        if let Some(next) = scan.next {
            let pause = Span::from_millis(next.0.saturating_sub(cx.now.wall.0));
            // A clock that stands still does not keep us busy.
            let pause = pause.min(self.term).max(LEAST_PAUSE);
            self.due.set((), cx.now.mono + pause, "look for disputes that are over");
        }
    }

    fn find(&mut self, cx: &mut Cx<'_>, order: Order, rows: &[Row]) {
        let mut found = disputed(cx, rows);
        match (found.pop(), found.pop()) {
            (Some(row), None) => {
                let op = cx.find(open_rows([row.line.key()].into()));
                self.doing = Some((op, Doing::Read(order)));
            }
            (Some(_), Some(_)) => {
                let message = format!("more than one disputed receipt's id begins with {}", order.id);
                refuse(cx, order.stream, 409, "conflict", message);
            }
            (None, _) => {
                let message =
                    format!("no receipt {} is disputed: `labman-cli receipts` lists what there is", order.id);
                refuse(cx, order.stream, 404, "not_found", message);
            }
        }
    }

    fn act(&mut self, cx: &mut Cx<'_>, receipts: &mut Receipts, order: Order, rows: &[Row]) {
        let Some(row) = only(rows) else {
            let message =
                format!("receipt {} is not in the store as it should be: `labman-cli audit`", order.id);
            return refuse(cx, order.stream, 503, "unavailable", message);
        };
        let (row, batch) = receipts.resolved(row, order.act);
        self.doing = Some((cx.store(batch), Doing::Moved(order.stream, show_receipt(&row))));
    }

    /// What the FEP's people say, unless something was done since, or it is about another claim.
    fn rule(&mut self, cx: &mut Cx<'_>, receipts: &mut Receipts, decision: DisputeDecision, rows: &[Row]) {
        let said = only(rows).filter(|row| row.claim_id == Some(decision.claim_id));
        let Some(mut row) = said.filter(|row| row.dispute.is_some_and(|dispute| !dispute.stands)) else {
            return;
        };
        let (id, answer) = (row.id(), plain(&decision.answer, REASON));
        let batch = match decision.ruling {
            Ruling::ClaimAgain => {
                cx.info(format!("receipt {id} will be claimed again, its FEP says: {answer}"));
                receipts.resolved(row, Act::ClaimAgain).1
            }
            Ruling::Stands => {
                cx.warn(format!("receipt {id} will not be paid, its FEP says: {answer}"));
                row.rejected = Some(answer);
                row.dispute = row.dispute.map(|dispute| rows::Dispute { stands: true, ..dispute });
                receipts.changed(&row, ReceiptState::Disputed)
            }
        };
        self.doing = Some((cx.store(batch), Doing::Ruled));
    }
}

impl Receipts {
    /// A disputed receipt, of which this was decided: as it is then, and the writes that say so.
    fn resolved(&mut self, mut row: ReceiptRow, act: Act) -> (ReceiptRow, Vec<Write>) {
        row.dispute = None;
        match act {
            Act::WriteOff => row.state = ReceiptState::WrittenOff,
            Act::Paid => (row.state, row.taken_on_word) = (ReceiptState::Paid, true),
            Act::ClaimAgain => {
                (row.state, row.claim_id) = (ReceiptState::Unclaimed, None);
            }
        }
        let mut batch = self.changed(&row, ReceiptState::Disputed);
        batch.push(self.sums.put(&row.group()));
        (row, batch)
    }
}

pub(super) fn open_rows(keys: Vec<String>) -> Keys {
    Keys { table: RECEIPTS_OPEN, keys }
}

/// The receipt that was looked for, if it is there and disputed.
fn only(rows: &[Row]) -> Option<ReceiptRow> {
    let row = rows.first()?.parse::<ReceiptRow>(RECEIPTS_OPEN).ok()?;
    Some(row).filter(|row| row.state == ReceiptState::Disputed)
}

pub(super) fn disputed(cx: &mut Cx<'_>, rows: &[Row]) -> Vec<DisputeRow> {
    let mut parsed = Vec::new();
    for row in rows {
        match row.parse(DISPUTES) {
            Ok(dispute) => parsed.push(dispute),
            Err(bad) => cx.warn(format!("a dispute can't be read: {bad}")),
        }
    }
    parsed
}

fn refuse(cx: &mut Cx<'_>, stream: StreamId, status: u16, code: &str, message: impl Into<String>) {
    let body = json!({ "error": { "code": code, "message": message.into() } });
    cx.respond_whole(stream, ResponseHead::json(status), serde_json::to_vec(&body).unwrap_or_default());
}
