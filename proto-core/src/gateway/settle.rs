//! After a job: tell the FEP what was delivered, bring the receipt to the provider, and repeat both until they are
//! acknowledged, across restarts too.
//!
//! ```text
//!   begin --stored--> report to the FEP --receipt--> store it --stored--> deliver --ReceiptAck--> forget
//!                        ^ silent: again later                               ^ no link: when there is one
//! ```
//!
//! A FEP that did not say whether it made a hold gets the report that nothing was delivered, until it says that the hold
//! is gone, or that there is none and the request is too old to become one.
//!
//! A job that was under way when this gateway died is not reported: what was delivered is not known. Its hold lapses at
//! the FEP.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use super::rows::{self, JobRow, JobState, TABLE, Terms};
use super::{Answer, Tell};
use crate::economics::Counts;
use crate::identity::{FepId, NodeId};
use crate::labnet::conduct::Deed;
use crate::labnet::conversation::Conversation;
use crate::limits::{CLOCK_SKEW, GATEWAY_UNSURE, REDELIVER_FIRST, REDELIVER_FOR, REDELIVER_LAST};
use crate::machine::{Completion, OpId, StreamId};
use crate::mutants::{Mutant, mutant};
use crate::node::cx::Cx;
use crate::store::{BadRow, Snapshot};
use crate::time::{Span, Time, Wake, Wall};
use crate::timers::Timers;
use crate::wire::cbor::{self, Blob};
use crate::wire::envelope::Kind;
use crate::wire::ids::{AuthId, ReceiptId, RequestId};
use crate::wire::mesh::{ReceiptAck, ReceiptDelivery};
use crate::wire::object::{Sealed, open};
use crate::wire::portal::{JobAuthorization, PortalErrorCode, Receipt, UsageReport};

/// A job that is over for its user.
pub(super) struct Ended {
    pub(super) id: RequestId,
    pub(super) auth: Sealed<JobAuthorization>,
    pub(super) attempt: Option<u8>,
    pub(super) provider: Option<NodeId>,
    /// Those of the attempt.
    pub(super) terms: Option<Terms>,
    pub(super) accepted: Counts,
    /// Signed by the provider.
    pub(super) statement: Option<Blob>,
    pub(super) releases: Vec<Blob>,
    pub(super) tail: Option<Tail>,
}

impl Ended {
    /// Nothing was delivered: the hold is freed.
    pub(super) fn nothing(id: RequestId, auth: Sealed<JobAuthorization>, releases: Vec<Blob>) -> Self {
        Self {
            id,
            auth,
            attempt: None,
            provider: None,
            terms: None,
            accepted: Counts::default(),
            statement: None,
            releases,
            tail: None,
        }
    }
}

/// The job stream, kept open so that the receipt can go where the answer came from.
pub(super) struct Tail {
    conversation: Conversation,
}

impl Tail {
    pub(super) const fn new(conversation: Conversation) -> Self {
        Self { conversation }
    }
}

/// Reports for the FEP, and messages for providers.
type ToSend = (Vec<(RequestId, Vec<u8>)>, Vec<Tell>);

#[derive(Default)]
pub(super) struct Settle {
    open: BTreeMap<RequestId, Open>,
    tails: BTreeMap<StreamId, RequestId>,
    storing: BTreeMap<OpId, RequestId>,
    again: Timers<RequestId>,
}

struct Open {
    row: JobRow,
    /// Known from the receipt.
    receipt_id: Option<ReceiptId>,
    tail: Option<Tail>,
    pause: Span,
}

impl Open {
    fn again(&mut self, cx: &Cx<'_>, id: RequestId, again: &mut Timers<RequestId>) {
        again.set(id, cx.now.mono + self.pause, "report usage to the FEP again");
        self.pause = self.pause.doubled().min(REDELIVER_LAST);
    }

    /// Is it this job's, and does it charge what was agreed?
    fn is_for(&self, id: RequestId, receipt: &Receipt) -> bool {
        receipt.request_id == id && self.row.terms.is_none_or(|terms| terms.make(receipt))
    }

    /// Its provider can ask the FEP itself, and has had the time to.
    fn is_old(&self, now: Wall) -> bool {
        now > Wall(self.row.since_ms) + REDELIVER_FOR
    }

    /// Whether a request for a hold that got no answer may still be taken by the FEP. By its clock, which may be behind
    /// ours as far as a request may be old.
    fn may_be_held_yet(&self, now: Wall) -> bool {
        let patience = Span(2 * CLOCK_SKEW.0);
        self.row.provider.is_none() && now <= Wall(self.row.since_ms) + patience
    }
}

impl Settle {
    pub(super) fn new(snapshot: &Snapshot, now: Time) -> Result<Self, BadRow> {
        let mut settle = Self::default();
        for stored in snapshot.of(TABLE) {
            let bad = |what: String| BadRow { table: TABLE.name, key: stored.key.clone(), what };
            let row: JobRow = stored.parse(TABLE)?;
            if mutant(Mutant::ReceiptNotRedelivered) && row.state == JobState::Receipted {
                continue;
            }
            let mut id = [0; 16];
            hex::decode_to_slice(&stored.key, &mut id).map_err(|error| bad(format!("{error}")))?;
            let id = RequestId(id);
            settle.open.insert(id, Open { row, receipt_id: None, tail: None, pause: REDELIVER_FIRST });
            settle.again.set(id, now, "settle a job of an earlier life");
        }
        Ok(settle)
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Jobs whose report the FEP has still to take. Those whose receipt a provider does not take keep nobody out.
    pub(super) fn reporting(&self) -> usize {
        self.open.values().filter(|open_job| open_job.row.state != JobState::Receipted).count()
    }

    pub(super) fn begin(&mut self, cx: &mut Cx<'_>, ended: Ended) {
        let auth = &ended.auth.content;
        let report = UsageReport {
            fep_id: auth.fep_id,
            auth_id: auth.auth_id,
            attempt: ended.attempt,
            accepted: ended.accepted,
            statement: ended.statement,
            releases: ended.releases,
            ended_ms: cx.now.wall.0,
        };
        self.report(cx, ended.id, report, ended.provider, ended.terms, ended.tail);
    }

    /// Frees the hold that a FEP may have made, or may yet make, for a request it did not answer. False: too many such
    /// holds are being freed already.
    pub(super) fn give_back(&mut self, cx: &mut Cx<'_>, fep_id: FepId, id: RequestId) -> bool {
        if self.open.values().filter(|open_job| open_job.row.provider.is_none()).count() >= GATEWAY_UNSURE {
            return false;
        }
        let report = UsageReport {
            fep_id,
            auth_id: AuthId::of(fep_id, cx.me.node_id, id),
            attempt: None,
            accepted: Counts::default(),
            statement: None,
            releases: Vec::new(),
            ended_ms: cx.now.wall.0,
        };
        self.report(cx, id, report, None, None, None);
        true
    }

    fn report(
        &mut self,
        cx: &mut Cx<'_>,
        id: RequestId,
        report: UsageReport,
        provider: Option<NodeId>,
        terms: Option<Terms>,
        tail: Option<Tail>,
    ) {
        let row = JobRow {
            state: JobState::Ended,
            since_ms: cx.now.wall.0,
            auth_id: Some(report.auth_id),
            provider,
            terms,
            report: Some(hex::encode(&cx.me.seal(report).bytes.0)),
            receipt: None,
        };
        self.store(cx, id, &row);
        if let Some(tail) = &tail {
            self.tails.insert(tail.conversation.stream, id);
        }
        self.open.insert(id, Open { row, receipt_id: None, tail, pause: REDELIVER_FIRST });
    }

    /// Drops the row of a job that ended without a hold.
    pub(super) fn forget(&mut self, cx: &mut Cx<'_>, id: RequestId) {
        cx.store([rows::delete(id)].into());
    }

    pub(super) fn done(&mut self, cx: &mut Cx<'_>, op: OpId, completion: &Completion) -> ToSend {
        let Some(id) = self.storing.remove(&op) else { return ToSend::default() };
        match completion {
            Completion::Stored(Ok(())) => self.advance(cx, id),
            // The machine is stopping; the next life goes on from the row before.
            _ => ToSend::default(),
        }
    }

    /// The FEP answered a report.
    pub(super) fn answered(&mut self, cx: &mut Cx<'_>, fep_id: FepId, id: RequestId, answer: Answer) {
        let Some(open_job) = self.open.get_mut(&id) else { return };
        match answer {
            Answer::Silent if mutant(Mutant::SilenceCountsAsSettled) => self.end(cx, id),
            Answer::Silent => open_job.again(cx, id, &mut self.again),
            Answer::Refused(refusal)
                if refusal.code == PortalErrorCode::NotFound && open_job.may_be_held_yet(cx.now.wall) =>
            {
                open_job.again(cx, id, &mut self.again);
            }
            // Its hold is gone, or never was.
            Answer::Refused(refusal) if refusal.code.is_final() && open_job.row.provider.is_none() => {
                self.end(cx, id);
            }
            Answer::Refused(refusal) if refusal.code.is_final() || open_job.is_old(cx.now.wall) => {
                cx.warn(format!("req_{id}: the FEP refuses to settle it: {:?}", refusal.code));
                self.end(cx, id);
            }
            // It is another FEP, or none, that speaks there now.
            Answer::Refused(refusal) => {
                cx.warn(format!("req_{id}: the FEP does not take its report: {:?}", refusal.code));
                open_job.again(cx, id, &mut self.again);
            }
            // Nothing is owed; or the FEP has our word and waits for the provider's, which then gets its receipt there.
            Answer::Nothing | Answer::Noted => self.end(cx, id),
            Answer::Given(bytes) => match open::<Receipt>(cx.me.network, None, &bytes) {
                Ok(receipt)
                    if open_job.is_for(id, &receipt.content)
                        && cx.feps.bound_when_issued(fep_id, &receipt).is_ok() =>
                {
                    open_job.row.state = JobState::Receipted;
                    open_job.row.receipt = Some(hex::encode(&bytes));
                    open_job.pause = REDELIVER_FIRST;
                    let row = open_job.row.clone();
                    self.store(cx, id, &row);
                }
                // It is always the same.
                _ if open_job.is_old(cx.now.wall) => {
                    cx.warn(format!("req_{id}: the FEP's receipt does not hold; it is asked for no more"));
                    self.end(cx, id);
                }
                _ => {
                    cx.warn(format!("req_{id}: the FEP's receipt does not hold; asking again"));
                    self.again.set(id, cx.now.mono + REDELIVER_LAST, "report usage to the FEP again");
                }
            },
        }
    }

    /// Bytes on the end of a job stream: the provider's acknowledgement.
    pub(super) fn bytes(&mut self, cx: &mut Cx<'_>, stream: StreamId, bytes: &[u8]) {
        let Some(tail) = self.tail(stream) else { return };
        cx.grant(stream, bytes.len());
        tail.conversation.push(bytes);
        while let Some(Tail { conversation }) = self.tail(stream) {
            let from = conversation.peer;
            match conversation.poll(cx) {
                Ok(Some(heard)) if heard.kind == Kind::ReceiptAck => {
                    self.acknowledged(cx, from, &heard.payload);
                }
                Ok(None) => return,
                Ok(Some(_)) | Err(_) => {
                    self.stream_gone(stream);
                    super::abandon(cx, stream);
                }
            }
        }
    }

    fn tail(&mut self, stream: StreamId) -> Option<&mut Tail> {
        let id = self.tails.get(&stream)?;
        self.open.get_mut(id)?.tail.as_mut()
    }

    /// True: it was the end of a job's stream.
    pub(super) fn stream_gone(&mut self, stream: StreamId) -> bool {
        let Some(id) = self.tails.remove(&stream) else { return false };
        if let Some(open_job) = self.open.get_mut(&id) {
            open_job.tail = None;
        }
        true
    }

    pub(super) fn acknowledged(&mut self, cx: &mut Cx<'_>, from: NodeId, payload: &[u8]) {
        let Ok(ack) = cbor::decode::<ReceiptAck>(payload) else { return };
        let acked = self.open.iter().find(|(_, open_job)| {
            open_job.receipt_id == Some(ack.receipt_id) && open_job.row.provider == Some(from)
        });
        let Some(id) = acked.map(|(id, _)| *id) else { return };
        if ack.refused.is_some() {
            cx.warn(format!("req_{id}: {from} refuses its receipt; that node's log says why"));
        } else {
            cx.note(from, Deed::Worked);
        }
        self.end(cx, id);
    }

    /// A node is linked (again): receipts that wait for it go out now.
    pub(super) fn admitted(&mut self, node_id: NodeId) -> Vec<Tell> {
        // One that is still being stored goes when that is done: nothing is delivered that a crash could make unknown.
        let durable = |id: &RequestId| !self.storing.values().any(|storing| storing == id);
        let theirs = self.open.iter().filter(|(_, open_job)| open_job.row.provider == Some(node_id));
        theirs.filter(|(id, _)| durable(id)).filter_map(|(_, open_job)| delivery(&open_job.row)).collect()
    }

    pub(super) fn handle_timeout(&mut self, cx: &mut Cx<'_>) -> ToSend {
        let mut to_send = ToSend::default();
        while let Some(id) = self.again.expired(cx.now.mono) {
            let (reports, tells) = self.advance(cx, id);
            to_send.0.extend(reports);
            to_send.1.extend(tells);
        }
        to_send
    }

    pub(super) fn poll_timeout(&self) -> Option<Wake> {
        self.again.next()
    }

    /// Does what the job's stored state calls for.
    fn advance(&mut self, cx: &mut Cx<'_>, id: RequestId) -> ToSend {
        let Some(open_job) = self.open.get_mut(&id) else { return ToSend::default() };
        match open_job.row.state {
            JobState::Asked => {
                cx.warn(format!("req_{id} was cut off by a restart: its hold lapses at the FEP"));
                self.end(cx, id);
                ToSend::default()
            }
            JobState::Ended => {
                let report = open_job.row.report.as_ref().and_then(|report| hex::decode(report).ok());
                (report.map(|report| (id, report)).into_iter().collect(), Vec::new())
            }
            JobState::Receipted if open_job.is_old(cx.now.wall) => {
                cx.info(format!("req_{id}: its provider never took its receipt; it can ask the FEP for it"));
                self.end(cx, id);
                ToSend::default()
            }
            JobState::Receipted => {
                self.again.set(id, cx.now.mono + open_job.pause, "deliver a receipt again");
                open_job.pause = open_job.pause.doubled().min(REDELIVER_LAST);
                let Some(tell) = delivery(&open_job.row) else { return ToSend::default() };
                if open_job.receipt_id.is_none() {
                    open_job.receipt_id =
                        open_job.row.receipt.as_ref().and_then(|bytes| receipt_id(cx, bytes));
                    if let Some(tail) = &mut open_job.tail {
                        tail.conversation.say(cx, tell.kind, &tell.payload);
                        return ToSend::default();
                    }
                }
                (Vec::new(), [tell].into())
            }
        }
    }

    fn end(&mut self, cx: &mut Cx<'_>, id: RequestId) {
        self.again.clear(id);
        if let Some(open_job) = self.open.remove(&id) {
            if let Some(tail) = open_job.tail {
                self.tails.remove(&tail.conversation.stream);
                cx.finish(tail.conversation.stream);
            }
            self.forget(cx, id);
        }
    }

    fn store(&mut self, cx: &mut Cx<'_>, id: RequestId, row: &JobRow) {
        let op = cx.store([rows::put(id, row)].into());
        self.storing.insert(op, id);
    }
}

fn delivery(row: &JobRow) -> Option<Tell> {
    let receipt = Blob(hex::decode(row.receipt.as_ref()?).ok()?);
    let payload = cbor::encode(&ReceiptDelivery { receipt });
    Some(Tell { to: row.provider?, kind: Kind::ReceiptDelivery, payload })
}

fn receipt_id(cx: &Cx<'_>, hex: &str) -> Option<ReceiptId> {
    let bytes = hex::decode(hex).ok()?;
    open::<Receipt>(cx.me.network, None, &bytes).ok().map(|receipt| receipt.content.receipt_id)
}
