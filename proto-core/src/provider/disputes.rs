//! Receipts that a FEP would not pay. Each is `disputed` for a term, in which people can look into it: the FEP is shown the receipt,
//! and asked now and then what its people say. Where they say nothing it waits to be claimed again when the term is over, as
//! often as it takes. Only this provider's operator writes one off, and that counts in the exposure until the operator clears it.
//!
//! ```text
//!   rejected line --> disputed --its term is over, its FEP says so, or the operator--> unclaimed
//!                        |-- its FEP says that it stands: disputed, until the operator acts
//!                        |---- by the operator's word --> written_off
//!                        '---- by the operator's word --> paid
//! ```
//!
//! One thing is done after the other, each once the one before is durable: no receipt is moved twice.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::{Value, json};

use super::claims::REASON;
use super::receipts::Receipts;
use super::rows::{DISPUTES, DisputeRow, Line, RECEIPTS_OPEN, ReceiptRow, ReceiptState, show_receipt};
use crate::http::ResponseHead;
use crate::identity::FepId;
use crate::limits::{DISPUTE_EVERY, DISPUTES_READ, PORTAL_TEXT, REDELIVER_FIRST};
use crate::machine::{Completion, OpId, StreamId};
use crate::mutants::{Mutant, mutant};
use crate::node::config;
use crate::node::cx::Cx;
use crate::node::fep::{Answer, FepCalls};
use crate::store::{Keys, Range, Row, Write};
use crate::time::{Span, Time, Wake, Wall};
use crate::timers::Timers;
use crate::wire::cbor::Blob;
use crate::wire::object::open;
use crate::wire::portal::{Dispute, DisputeDecision, Ruling};

/// How soon to look again while something else is done, or the time is not known.
const LOOK_AGAIN: Span = Span::from_secs(60);

pub(super) struct Disputes {
    term: Span,
    urls: BTreeMap<FepId, String>,
    doing: Option<(OpId, Doing)>,
    next: VecDeque<Word>,
    calls: FepCalls<(FepId, Line)>,
    /// To look for those whose term is over, and to ask about the others.
    due: Timers<()>,
    /// How many there were when that was seen last.
    known: u64,
}

/// What somebody says of a disputed receipt.
enum Word {
    Operator(Order),
    Fep(Line, DisputeDecision),
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
    /// When to look again.
    next: Option<Wall>,
    /// Those of this page are the last.
    is_last: bool,
}

enum Doing {
    Scan(Scan),
    /// What is to be claimed again, or asked about, of its page.
    Page(Scan),
    Returned(Scan),
    /// Which receipt is meant?
    Find(Order),
    Read(Order),
    Moved(StreamId, Value),
    Rule(DisputeDecision),
    Ruled,
}

impl Disputes {
    pub(super) fn new(
        config: &config::Provider,
        feps: &[config::Fep],
        receipts: &Receipts,
        now: Time,
    ) -> Self {
        let mut disputes = Self {
            term: config.dispute_for,
            urls: feps.iter().map(|fep| (fep.fep_id, fep.url.clone())).collect(),
            doing: None,
            next: VecDeque::new(),
            calls: FepCalls::default(),
            due: Timers::default(),
            known: 0,
        };
        disputes.watch(receipts, now);
        disputes
    }

    /// New ones are shown to their FEP soon.
    pub(super) fn watch(&mut self, receipts: &Receipts, now: Time) {
        let disputed = receipts.open().disputed;
        if disputed > self.known {
            self.due.set((), now + REDELIVER_FIRST, "look at the disputes");
        }
        self.known = disputed;
    }

    /// By the operator's word. It is answered when that is durable.
    pub(super) fn order(&mut self, cx: &mut Cx<'_>, order: Order) {
        self.next.push_back(Word::Operator(order));
        self.go_on(cx);
    }

    pub(super) fn response(&mut self, stream: StreamId, head: &ResponseHead) {
        self.calls.response(stream, head);
    }

    /// True: the stream is one of ours.
    pub(super) fn bytes(&mut self, cx: &mut Cx<'_>, stream: StreamId, bytes: &[u8]) -> bool {
        self.calls.bytes(cx, stream, bytes)
    }

    pub(super) fn finished(&mut self, cx: &mut Cx<'_>, stream: StreamId) -> bool {
        let Some((of, answer)) = self.calls.finished(cx, stream) else { return false };
        self.answered(cx, of, &answer);
        true
    }

    pub(super) fn reset(&mut self, cx: &mut Cx<'_>, stream: StreamId) -> bool {
        self.calls.reset(cx, stream).is_some()
    }

    pub(super) fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        // Who does not answer is asked again with the next look.
        self.calls.handle_timeout(cx);
        if self.due.expired(cx.now.mono).is_none() {
            return;
        }
        if cx.clock_is_wrong() || self.doing.is_some() {
            return self.due.set((), cx.now.mono + LOOK_AGAIN, "look again at the disputes");
        }
        self.scan(cx, Scan::default());
    }

    pub(super) fn poll_timeout(&self) -> Option<Wake> {
        Wake::earliest(self.due.next(), self.calls.poll_timeout())
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
                    Doing::Scan(_) | Doing::Page(_) | Doing::Returned(_) => {
                        self.due.set((), cx.now.mono + LOOK_AGAIN, "look again at the disputes");
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
            Doing::Page(scan) => self.page(cx, receipts, scan, rows),
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
        self.known = receipts.open().disputed;
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
            Word::Fep(line, decision) => (cx.find(open_rows([line.key()].into())), Doing::Rule(decision)),
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
        let lasting = disputed(cx, rows).into_iter().filter(|row| !row.dispute.stands);
        let keys: Vec<String> = lasting.map(|row| row.line.key()).collect();
        if keys.is_empty() {
            return self.scan_on(cx, scan);
        }
        let op = cx.find(open_rows(keys));
        self.doing = Some((op, Doing::Page(scan)));
    }

    /// Those whose term is over are to be claimed again; the FEP is asked about the others.
    fn page(&mut self, cx: &mut Cx<'_>, receipts: &mut Receipts, mut scan: Scan, rows: &[Row]) {
        let mut batch = Vec::new();
        for row in rows.iter().filter_map(|row| row.parse::<ReceiptRow>(RECEIPTS_OPEN).ok()) {
            let Some(until) = row.dispute.map(|dispute| Wall(dispute.until_ms)) else { continue };
            if until <= cx.now.wall && !mutant(Mutant::DisputeForgotten) {
                cx.info(format!("receipt {} will be claimed again: nobody settled its dispute", row.id()));
                batch.extend(receipts.resolved(row, Act::ClaimAgain).1);
                continue;
            }
            let next = until.min(cx.now.wall + DISPUTE_EVERY);
            scan.next = Some(scan.next.map_or(next, |known| known.min(next)));
            self.ask(cx, &row, until);
        }
        if batch.is_empty() {
            return self.scan_on(cx, scan);
        }
        self.doing = Some((cx.store(batch), Doing::Returned(scan)));
    }

    fn scan_on(&mut self, cx: &mut Cx<'_>, scan: Scan) {
        if !scan.is_last {
            return self.scan(cx, scan);
        }
        if let Some(next) = scan.next {
            let pause = Span::from_millis(next.0.saturating_sub(cx.now.wall.0)).min(self.term);
            let at = cx.now.mono + pause;
            if self.due.at(()).is_none_or(|sooner| sooner > at) {
                self.due.set((), at, "look at the disputes");
            }
        }
    }

    fn ask(&mut self, cx: &mut Cx<'_>, row: &ReceiptRow, until: Wall) {
        let fep_id = row.receipt.fep_id;
        let (Some(url), Some(claim_id)) = (self.urls.get(&fep_id), row.claim_id) else { return };
        let dispute = cx.me.seal(Dispute {
            fep_id,
            claim_id,
            receipt: Blob(hex::decode(&row.signed).unwrap_or_default()),
            reason: as_told(row.rejected.as_deref().unwrap_or_default()),
            until_ms: until.0,
            issued_ms: cx.now.wall.0,
        });
        let line = Line { receipt_id: row.id(), issued_ms: row.issued_ms() };
        self.calls.post(cx, (fep_id, line), url, "/v1/disputes", &dispute.bytes.0);
    }

    fn answered(&mut self, cx: &mut Cx<'_>, (fep_id, line): (FepId, Line), answer: &Answer) {
        match answer {
            Answer::Given(bytes) => {
                let decision = open::<DisputeDecision>(cx.me.network, None, bytes);
                let decision = decision.ok().filter(|decision| {
                    decision.content.receipt_id == line.receipt_id
                        && cx.feps.bound_when_issued(fep_id, decision).is_ok()
                });
                match decision {
                    Some(decision) => {
                        self.next.push_back(Word::Fep(line, decision.content));
                        self.go_on(cx);
                    }
                    None => cx.warn(format!(
                        "receipt {}: what its FEP says of the dispute does not hold; asking again",
                        line.receipt_id
                    )),
                }
            }
            Answer::Refused(refusal) => cx.warn(format!(
                "receipt {}: its FEP takes no dispute for it: {:?}",
                line.receipt_id, refusal.code
            )),
            Answer::Silent | Answer::Noted | Answer::Nothing => {}
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
        let (id, answer) = (row.id(), decision.answer.chars().take(REASON).collect::<String>());
        let batch = match decision.ruling {
            Ruling::ClaimAgain => {
                cx.info(format!("receipt {id} will be claimed again, its FEP says: {answer}"));
                receipts.resolved(row, Act::ClaimAgain).1
            }
            Ruling::Stands => {
                cx.warn(format!("receipt {id} will not be paid, its FEP says: {answer}"));
                row.rejected = Some(answer);
                row.dispute = row.dispute.map(|dispute| super::rows::Dispute { stands: true, ..dispute });
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
                (row.state, row.claim_id, row.rejected) = (ReceiptState::Unclaimed, None, None);
            }
        }
        let mut batch = self.changed(&row, ReceiptState::Disputed);
        batch.push(self.sums.put(&row.group()));
        (row, batch)
    }
}

/// A reason is whatever its FEP wrote; in a dispute it is short, and plain.
fn as_told(reason: &str) -> String {
    let plain = reason.chars().map(|char| if char == ' ' || char.is_ascii_graphic() { char } else { '?' });
    let told: String = plain.take(PORTAL_TEXT).collect();
    if told.is_empty() { "no reason was given".into() } else { told }
}

fn open_rows(keys: Vec<String>) -> Keys {
    Keys { table: RECEIPTS_OPEN, keys }
}

/// The receipt that was looked for, if it is there and disputed.
fn only(rows: &[Row]) -> Option<ReceiptRow> {
    let row = rows.first()?.parse::<ReceiptRow>(RECEIPTS_OPEN).ok()?;
    Some(row).filter(|row| row.state == ReceiptState::Disputed)
}

fn disputed(cx: &mut Cx<'_>, rows: &[Row]) -> Vec<DisputeRow> {
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
