//! Receipts that a FEP would not pay. Each is `disputed` for a term, in which people can look into it; then it waits to be claimed
//! again, as often as it takes. Only this provider's operator writes one off, and that counts in the exposure until the
//! operator clears it.
//!
//! ```text
//!   rejected line --> disputed --its term is over, or by the operator's word--> unclaimed
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

use super::receipts::Receipts;
use super::rows::{DISPUTES, DisputeRow, RECEIPTS_OPEN, ReceiptRow, ReceiptState, show_receipt};
use crate::http::ResponseHead;
use crate::limits::DISPUTES_READ;
use crate::machine::{Completion, OpId, StreamId};
use crate::node::cx::Cx;
use crate::store::{Keys, Range, Row};
use crate::time::{Span, Time, Wake, Wall};
use crate::timers::Timers;

/// How soon to look again while the time is not known.
const CLOCK_RETRY: Span = Span::from_secs(60);

pub(super) struct Disputes {
    term: Span,
    doing: Option<(OpId, Doing)>,
    orders: VecDeque<Order>,
    /// To look for those whose term is over.
    due: Timers<()>,
}

/// What an operator says of a disputed receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    WriteOff,
    Paid,
    ClaimAgain,
}

impl Word {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "write-off" => Self::WriteOff,
            "paid" => Self::Paid,
            "claim-again" => Self::ClaimAgain,
            _ => return None,
        })
    }

    const fn state(self) -> ReceiptState {
        match self {
            Self::WriteOff => ReceiptState::WrittenOff,
            Self::Paid => ReceiptState::Paid,
            Self::ClaimAgain => ReceiptState::Unclaimed,
        }
    }
}

pub(crate) struct Order {
    pub(crate) stream: StreamId,
    /// How the receipt's id begins.
    pub(crate) id: String,
    pub(crate) word: Word,
}

/// Receipts whose term is over are looked for, a page at a time.
#[derive(Default)]
struct Scan {
    from: String,
    /// When the first ends of those that go on.
    next: Option<Wall>,
    /// Those of this page are all that there are.
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
}

impl Disputes {
    pub(super) fn new(term: Span, receipts: &Receipts, now: Time) -> Self {
        let mut disputes = Self { term, doing: None, orders: VecDeque::new(), due: Timers::default() };
        if receipts.open().disputed > 0 {
            disputes.due.set((), now, "look for disputes that are over");
        }
        disputes
    }

    /// There may be new ones.
    pub(super) fn watch(&mut self, receipts: &Receipts, now: Time) {
        if receipts.open().disputed > 0 && self.due.next().is_none() {
            self.due.set((), now + self.term, "look for disputes that are over");
        }
    }

    /// By the operator's word. It is answered when that is durable.
    pub(super) fn order(&mut self, cx: &mut Cx<'_>, order: Order) {
        self.orders.push_back(order);
        self.go_on(cx);
    }

    pub(super) fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        if self.due.expired(cx.now.mono).is_none() {
            return;
        }
        if cx.clock_is_wrong() || self.doing.is_some() {
            return self.due.set((), cx.now.mono + CLOCK_RETRY, "look again for disputes that are over");
        }
        self.scan(cx, Scan::default());
    }

    pub(super) fn poll_timeout(&self) -> Option<Wake> {
        self.due.next()
    }

    /// `None`: the operation is none of these. True: a receipt waits to be claimed again.
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
            Completion::Stored(Ok(())) => none,
            Completion::Page(Err(error)) | Completion::Stored(Err(error)) => {
                match doing {
                    Doing::Scan(_) | Doing::Over(_) | Doing::Returned(_) => {
                        self.due.set((), cx.now.mono + CLOCK_RETRY, "look again for disputes that are over");
                    }
                    Doing::Find(Order { stream, .. })
                    | Doing::Read(Order { stream, .. })
                    | Doing::Moved(stream, _) => refuse(cx, stream, 503, "unavailable", error.text()),
                }
                self.go_on(cx);
                return Some(false);
            }
            Completion::Dialled(_) => none,
        };
        let waits = matches!(doing, Doing::Returned(_) | Doing::Moved(..));
        match doing {
            Doing::Scan(scan) => self.scanned(cx, scan, rows),
            Doing::Over(scan) => self.over(cx, receipts, scan, rows),
            Doing::Returned(scan) => self.scanned_page(cx, scan),
            Doing::Find(order) => self.find(cx, order, rows),
            Doing::Read(order) => self.read(cx, receipts, order, rows),
            Doing::Moved(stream, receipt) => {
                let body = serde_json::to_vec(&json!({ "receipt": receipt })).unwrap_or_default();
                cx.respond_whole(stream, ResponseHead::json(200), body);
            }
        }
        self.go_on(cx);
        Some(waits)
    }

    fn go_on(&mut self, cx: &mut Cx<'_>) {
        if self.doing.is_some() {
            return;
        }
        if let Some(order) = self.orders.pop_front() {
            let (from, to) = (order.id.clone(), format!("{}~", order.id));
            // A second one tells that more than one is meant.
            let op = cx.read(Range { table: DISPUTES, from, to, limit: 2 });
            self.doing = Some((op, Doing::Find(order)));
        }
    }

    fn scan(&mut self, cx: &mut Cx<'_>, scan: Scan) {
        let range =
            Range { table: DISPUTES, from: scan.from.clone(), to: "~".into(), limit: DISPUTES_READ as u32 };
        self.doing = Some((cx.read(range), Doing::Scan(scan)));
    }

    fn scanned(&mut self, cx: &mut Cx<'_>, mut scan: Scan, rows: &[Row]) {
        scan.is_last = rows.len() < DISPUTES_READ;
        scan.from = rows.last().map(|row| format!("{}~", row.key)).unwrap_or_default();
        let mut over = Vec::new();
        for row in disputed(cx, rows) {
            let ends = Wall(row.until_ms);
            if ends <= cx.now.wall {
                over.push(row.line.key());
            } else {
                scan.next = Some(scan.next.map_or(ends, |next| next.min(ends)));
            }
        }
        if over.is_empty() {
            return self.scanned_page(cx, scan);
        }
        let op = cx.find(Keys { table: RECEIPTS_OPEN, keys: over });
        self.doing = Some((op, Doing::Over(scan)));
    }

    fn over(&mut self, cx: &mut Cx<'_>, receipts: &mut Receipts, scan: Scan, rows: &[Row]) {
        let mut batch = Vec::new();
        for row in rows.iter().filter_map(|row| row.parse::<ReceiptRow>(RECEIPTS_OPEN).ok()) {
            if row.state == ReceiptState::Disputed {
                cx.info(format!("receipt {} will be claimed again: nobody settled its dispute", row.id()));
                batch.extend(receipts.resolved(row, Word::ClaimAgain.state()).1);
            }
        }
        let op = cx.store(batch);
        self.doing = Some((op, Doing::Returned(scan)));
    }

    fn scanned_page(&mut self, cx: &mut Cx<'_>, scan: Scan) {
        if !scan.is_last {
            return self.scan(cx, scan);
        }
        if let Some(next) = scan.next {
            let pause = Span::from_millis(next.0.saturating_sub(cx.now.wall.0)).min(self.term);
            self.due.set((), cx.now.mono + pause, "look for disputes that are over");
        }
    }

    fn find(&mut self, cx: &mut Cx<'_>, order: Order, rows: &[Row]) {
        let mut found = disputed(cx, rows);
        match (found.pop(), found.pop()) {
            (Some(row), None) => {
                let op = cx.find(Keys { table: RECEIPTS_OPEN, keys: [row.line.key()].into() });
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

    fn read(&mut self, cx: &mut Cx<'_>, receipts: &mut Receipts, order: Order, rows: &[Row]) {
        let row = rows.first().and_then(|row| row.parse::<ReceiptRow>(RECEIPTS_OPEN).ok());
        let Some(row) = row.filter(|row| row.state == ReceiptState::Disputed) else {
            let message =
                format!("receipt {} is not in the store as it should be: `labman-cli audit`", order.id);
            return refuse(cx, order.stream, 503, "unavailable", message);
        };
        let (row, batch) = receipts.resolved(row, order.word.state());
        let op = cx.store(batch);
        self.doing = Some((op, Doing::Moved(order.stream, show_receipt(&row))));
    }
}

impl Receipts {
    /// A receipt that was disputed is in that state now: as it is then, and the writes that say so.
    fn resolved(
        &mut self,
        mut row: ReceiptRow,
        state: ReceiptState,
    ) -> (ReceiptRow, Vec<crate::store::Write>) {
        row.state = state;
        row.disputed_until_ms = None;
        match state {
            ReceiptState::Unclaimed => (row.claim_id, row.rejected) = (None, None),
            ReceiptState::Paid => row.taken_on_word = true,
            ReceiptState::WrittenOff | ReceiptState::InClaim | ReceiptState::Disputed => {}
        }
        let mut batch = self.changed(&row, ReceiptState::Disputed);
        batch.push(self.sums.put(&row.group()));
        (row, batch)
    }
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
