//! The working side: takes jobs from gateways, checks that each is paid for before any work, runs it on a Portman,
//! streams the chunks, states what was delivered, keeps the receipt and claims its money.
//!
//! ```text
//!   Hearing --request, body--> admit.rs --ok--> Recording --stored--> Running --end--> Stating --stored--> Awaiting
//!                                |no                 |              ^ (running.rs)                         receipt
//!                            ProxyError              v              | cut: stated, no end            (receipts.rs)
//!                                                 Waiting, no slot -+       no receipt: statements.rs
//! ```

mod admit;
mod appeals;
pub(crate) mod audit;
mod claims;
mod credit;
mod denials;
mod disputes;
mod drafts;
mod earnings;
mod errands;
mod exposure;
mod forgotten;
mod hosting;
mod job;
mod load;
mod offers;
mod pulls;
mod receipts;
mod rows;
mod running;
mod sockets;
mod statements;
mod sums;
mod unacked;
mod unpaid;
mod used;
mod waiting;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::{String, ToString},
    vec::Vec,
};

use appeals::Appeals;
use claims::Claims;
pub(crate) use credit::Credit;
use denials::{Denials, Fault, Party};
use disputes::Disputes;
pub(crate) use disputes::{Act, Order as DisputeOrder};
pub(crate) use earnings::By;
use errands::{Errands, For};
use hosting::Hosting;
use job::Job;
use load::{Taken, Teller};
use offers::Offers;
use pulls::Pulls;
pub(crate) use receipts::{Open, Receipts};
use rows::{AuthKey, AuthorizationRow, Group};
pub(crate) use rows::{
    CLAIMS, ClaimRow, RECEIPTS_OPEN, RECEIPTS_PAID, ReceiptRow, TABLES, show_claim, show_payout, show_receipt,
};
use serde_json::Value;
pub(crate) use sockets::NotStarted;
use sockets::Sockets;
use statements::Statements;
use unacked::Unacked;
pub(crate) use unpaid::{Heard, Here, PortmanJob};
use waiting::Waiting;

use crate::gateway::Tell;
use crate::http::ResponseHead;
use crate::identity::{FepId, NodeId};
use crate::labnet::conduct::Deed;
use crate::limits::WITHHELD_AFTER;
use crate::machine::{Completion, DownReason, LinkId, OpId, StreamId};
use crate::money::{Currency, Micros};
use crate::node::config;
use crate::node::cx::Cx;
use crate::node::fep::Answer;
use crate::portal::settlement::Words;
use crate::rng::Stream;
use crate::store::{BadRow, Snapshot};
use crate::time::{Time, Wake, Wall};
use crate::timers::Timers;
use crate::wire::cbor::{self, Blob};
use crate::wire::envelope::Kind;
use crate::wire::ids::ReceiptId;
use crate::wire::mesh::{
    CapabilityRecord, Errand, ErrandDone, Hosted, Load, ReceiptAck, ReceiptDelivery, Transcript,
};
use crate::wire::object::{Sealed, open};
use crate::wire::portal::{End, IssuedReceipt, Receipt, StreamAck, UsageStatement};
use crate::wire::topic::{Topic, Topics};

pub(crate) struct Provider {
    config: config::Provider,
    feps: Vec<FepId>,
    sockets: Sockets,
    offers: Offers,
    jobs: BTreeMap<StreamId, Job>,
    /// Jobs by the Portman that runs them.
    running: BTreeMap<(LinkId, u64), StreamId>,
    waiting: Waiting,
    hosting: Hosting,
    storing: BTreeMap<OpId, StreamId>,
    due: Timers<StreamId>,
    receipts: Receipts,
    statements: Statements,
    unacked: Unacked,
    denials: Denials,
    errands: Errands,
    claims: Claims,
    disputes: Disputes,
    appeals: Appeals,
    pulls: Pulls,
    /// When to sign the offers anew.
    refresh: Timers<()>,
    teller: Teller,
}

impl Provider {
    pub(crate) fn new(
        config: config::Provider,
        feps: &[config::Fep],
        (claims, hosting): (Stream, Stream),
        snapshot: &Snapshot,
        now: Time,
    ) -> Result<Self, BadRow> {
        let receipts = Receipts::new(snapshot)?;
        let disputes = Disputes::new(config.dispute_for, &receipts, now);
        let appeals = Appeals::new(feps, &receipts, now);
        let mut statements = Statements::new(feps);
        for row in receipts.awaited() {
            statements.show(row.key(), now + row.shown_after_crash());
        }
        Ok(Self {
            sockets: Sockets::new(&config.portmans),
            offers: Offers::default(),
            feps: feps.iter().map(|fep| fep.fep_id).collect(),
            jobs: BTreeMap::new(),
            running: BTreeMap::new(),
            waiting: Waiting::default(),
            hosting: Hosting::new(&config, hosting, now),
            storing: BTreeMap::new(),
            due: Timers::default(),
            receipts,
            statements,
            unacked: Unacked::default(),
            denials: Denials::new(snapshot)?,
            errands: Errands::default(),
            claims: Claims::new(&config, feps, claims, snapshot, now)?,
            disputes,
            appeals,
            pulls: Pulls::new(feps, now),
            refresh: Timers::default(),
            teller: Teller::new(config.load_every),
            config,
        })
    }

    pub(crate) fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    pub(crate) fn receipts(&self) -> &Receipts {
        &self.receipts
    }

    pub(crate) fn claims(&self) -> &Claims {
        &self.claims
    }

    /// For people: what was earned, and what of it was paid.
    pub(crate) fn earnings(&self, by: By) -> Value {
        self.receipts.earnings.show(by)
    }

    /// For people: what each FEP that is trusted here owes, or may come to owe.
    pub(crate) fn exposures(&self) -> Vec<Value> {
        let owed = self.receipts.exposures();
        let paid_in = self.config.portmans.iter().map(|portman| &portman.payout.currency);
        let paid_in = paid_in.flat_map(|currency| self.feps.iter().map(|fep| (*fep, currency.clone())));
        let all: BTreeSet<(FepId, Currency)> = paid_in.chain(owed.keys().cloned()).collect();
        let show = |of: &(FepId, Currency)| {
            let limit = self.config.exposure.of(&of.1);
            owed.get(of).copied().unwrap_or_default().show(of.0, &of.1, limit)
        };
        all.iter().map(show).collect()
    }

    /// For people: who is not worked for.
    pub(crate) fn denials(&self, now: Wall) -> Vec<Value> {
        self.denials.show(now)
    }

    /// Ends denials by the operator's word: of one, or of all.
    pub(crate) fn clear_denials(&mut self, cx: &mut Cx<'_>, id: Option<&str>) -> Vec<String> {
        self.denials.clear(cx, id)
    }

    /// Claims what waits to be paid, without waiting for its time. For people: from what, and what is left to wait.
    pub(crate) fn build_claims(&mut self, cx: &mut Cx<'_>, all: bool) -> Value {
        let claimed = self.claims.build(cx, &self.receipts, all);
        let show = |group: &Group, open: &sums::Open| {
            let (fep_id, payout_to) = group;
            serde_json::json!({
                "fep_id": fep_id, "currency": payout_to.currency, "address": payout_to.address,
                "receipts": open.unclaimed.count, "sum": open.unclaimed.sum,
            })
        };
        let (mut claims, mut waits) = (Vec::new(), Vec::new());
        for (group, open) in self.receipts.sums.iter().filter(|(_, open)| open.unclaimed.count > 0) {
            if claimed.contains(group) { &mut claims } else { &mut waits }.push(show(group, open));
        }
        serde_json::json!({ "claims": claims, "waits": waits })
    }

    /// What becomes of a disputed receipt, by the operator's word: it is answered once that is durable.
    pub(crate) fn resolve(&mut self, cx: &mut Cx<'_>, order: DisputeOrder) {
        self.disputes.order(cx, order);
    }

    /// What FEPs whose id begins so did not pay, and was written off, counts in their exposure no more. For people: what that was.
    pub(crate) fn clear_exposure(&mut self, cx: &mut Cx<'_>, fep: &str) -> Vec<Value> {
        let (cleared, batch) = self.receipts.sums.clear(fep);
        if !batch.is_empty() {
            cx.store(batch);
        }
        let show = |((fep_id, payout_to), amount): &(Group, Micros)| {
            serde_json::json!({
                "fep_id": fep_id, "currency": payout_to.currency, "address": payout_to.address, "cleared": amount,
            })
        };
        cleared.iter().map(show).collect()
    }

    pub(crate) fn jobs_under_way(&self) -> usize {
        self.jobs.len()
    }

    /// Of them those that are not over, and those that only a receipt is missing of.
    pub(crate) fn under_way(&self) -> (usize, usize) {
        let receipts = self.jobs.values().filter(|job| job.is_over()).count();
        (self.jobs.len() - receipts, receipts)
    }

    /// Says goodbye to its Portmans.
    pub(crate) fn leave(&mut self, cx: &mut Cx<'_>) {
        self.sockets.leave(cx);
    }

    /// They have all heard it.
    pub(crate) fn is_alone(&self) -> bool {
        self.sockets.is_alone()
    }

    /// What this node serves now, for gossip. Nothing, while its clock is wrong, when it is to leave, or as long as it knows no
    /// FEP's keys: it could take no job.
    pub(crate) fn capability(&mut self, cx: &mut Cx<'_>) -> CapabilityRecord {
        self.refresh.set((), cx.now.mono + offers::REFRESH, "sign the offers anew");
        let (mut hosted, mut topics) = (Vec::new(), BTreeSet::new());
        let offers = match cx.clock_is_wrong() || cx.me.leaves || !cx.feps.knows_any() {
            true => Vec::new(),
            false => self.offers.of(cx, &self.config, &self.sockets, &self.hosting),
        };
        for offers::Offered { offer: Sealed { bytes, content, .. }, slots, queue } in offers {
            topics.insert(Topic::of_model(&content.slug));
            hosted.push(Hosted { offer: bytes, slots, queue });
        }
        CapabilityRecord { hosted, witnesses: Vec::new(), topics: Topics::These(topics) }
    }

    /// A Portman's socket came up. True: the models served may have changed.
    pub(crate) fn portman_up(&mut self, cx: &mut Cx<'_>, link: LinkId, token: &str, origin: Option<&str>) {
        self.sockets.link_up(cx, link, token, origin);
        // It knows nothing of what one before it was told.
        if let Some(ep) = self.sockets.ep(link) {
            self.hosting.lost(ep);
        }
    }

    /// A link went down. True: the models served have changed.
    pub(crate) fn link_down(&mut self, cx: &mut Cx<'_>, link: LinkId, reason: DownReason) -> bool {
        let lost: Vec<StreamId> =
            self.running.range((link, 0)..=(link, u64::MAX)).map(|(_, stream)| *stream).collect();
        for stream in lost {
            self.portman_failed(cx, stream, "its Portman was lost");
        }
        if let Some(ep) = self.sockets.ep(link).filter(|_| self.sockets.is_latest(link)) {
            self.hosting.lost(ep);
        }
        self.sockets.link_down(cx, link, reason)
    }

    /// A stream was opened to us: by a gateway, or by a Portman.
    pub(crate) fn opened(
        &mut self,
        cx: &mut Cx<'_>,
        stream: StreamId,
        link: LinkId,
        gateway: Option<NodeId>,
    ) {
        match gateway {
            Some(gateway) => self.job_opened(cx, stream, gateway),
            None => self.sockets.opened(cx, stream, link),
        }
    }

    pub(crate) fn bytes(&mut self, cx: &mut Cx<'_>, stream: StreamId, bytes: &[u8]) -> Heard {
        let mut heard = Heard::default();
        if self.jobs.contains_key(&stream) {
            self.job_bytes(cx, stream, bytes);
            return heard;
        }
        if self.claims.bytes(cx, stream, bytes)
            || self.statements.bytes(cx, stream, bytes)
            || self.pulls.bytes(cx, stream, bytes)
            || self.appeals.bytes(cx, stream, bytes)
        {
            return heard;
        }
        for (link, message) in self.sockets.bytes(cx, stream, bytes) {
            self.portman_says(cx, link, message, &mut heard);
        }
        heard
    }

    pub(crate) fn response(&mut self, stream: StreamId, head: &ResponseHead) {
        self.claims.response(stream, head);
        self.statements.response(stream, head);
        self.pulls.response(stream, head);
        self.appeals.response(stream, head);
    }

    pub(crate) fn finished(&mut self, cx: &mut Cx<'_>, stream: StreamId) {
        if self.jobs.contains_key(&stream) {
            self.job_finished(cx, stream);
        } else if let Some((key, answer)) = self.statements.finished(cx, stream) {
            self.statement_answered(cx, key, answer);
        } else if let Some(issued) = self.pulls.finished(cx, stream) {
            self.pulled(cx, issued);
        } else if self.claims.finished(cx, stream) {
            self.claims_answered(cx);
        } else if let Some(ruled) = self.appeals.finished(cx, stream) {
            if let Some(ruled) = ruled {
                self.disputes.ruled(cx, ruled);
            }
        } else {
            self.sockets.ended(cx, stream);
        }
    }

    pub(crate) fn reset(&mut self, cx: &mut Cx<'_>, stream: StreamId) {
        if self.jobs.contains_key(&stream) {
            self.job_cut(cx, stream);
        } else if let Some((key, answer)) = self.statements.reset(cx, stream) {
            self.statement_answered(cx, key, answer);
        } else if let Some(issued) = self.pulls.reset(cx, stream) {
            self.pulled(cx, issued);
        } else if self.claims.reset(cx, stream) {
            self.claims_answered(cx);
        } else if self.appeals.reset(cx, stream) {
        } else {
            self.sockets.ended(cx, stream);
        }
    }

    pub(crate) fn credit(&mut self, cx: &mut Cx<'_>, stream: StreamId, bytes: u32) {
        self.job_credit(cx, stream, bytes as usize);
    }

    pub(crate) fn done(&mut self, cx: &mut Cx<'_>, op: OpId, completion: &Completion) -> Vec<Tell> {
        self.statements.stored(op);
        if let Some(stream) = self.storing.remove(&op) {
            self.job_stored(cx, stream, completion);
            return Vec::new();
        }
        if self.claims.done(cx, &mut self.receipts, op, completion) {
            self.claims_answered(cx);
            return Vec::new();
        }
        if let Some(waits) = self.disputes.done(cx, &mut self.receipts, op, completion) {
            self.appeals.watch(&self.receipts, cx.now.mono);
            if waits {
                self.claims.look(cx.now.mono);
            }
            return Vec::new();
        }
        if self.appeals.done(cx, op, completion) {
            return Vec::new();
        }
        if let Some((from, taken)) = self.receipts.found(cx, &self.config, op, completion) {
            self.pulls.go_on(cx, &self.receipts);
            return self.taken(cx, from, taken).into_iter().collect();
        }
        // The receipt is durable: only now is it acknowledged, where it came from.
        let Some(receipts::Arriving { from, receipt_id, fep_id, input }) =
            self.receipts.stored(op, completion)
        else {
            return Vec::new();
        };
        self.claims.look(cx.now.mono);
        self.pulls.came(&self.receipts, fep_id, cx.now.mono);
        self.pulls.go_on(cx, &self.receipts);
        if let Some((gateway, input)) = input {
            self.unacked.made_good(&gateway, input);
            self.denials.made_good(cx, Party::Fep(fep_id), Fault::Withheld);
            let gateway = Party::Gateway(gateway);
            match from {
                receipts::From::Job { .. } | receipts::From::Control(_) => {
                    self.denials.made_good(cx, gateway, Fault::NoReceipts);
                }
                receipts::From::Fep => self.denials.fault(cx, gateway, Fault::NoReceipts),
                receipts::From::Pulled(_) => {}
            }
        }
        if let Some(gateway) = from.gateway() {
            cx.note(gateway, Deed::Worked);
        }
        self.acknowledge(cx, from, receipt_id, None).into_iter().collect()
    }

    /// A message on a control stream.
    pub(crate) fn message(
        &mut self,
        cx: &mut Cx<'_>,
        from: NodeId,
        kind: Kind,
        payload: &[u8],
    ) -> Option<Tell> {
        match kind {
            Kind::ReceiptDelivery => self.receipt(cx, receipts::From::Control(from), payload),
            Kind::ErrandDone => {
                self.errand_done(cx, from, payload);
                None
            }
            _ => None,
        }
    }

    pub(crate) fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        while let Some(stream) = self.due.expired(cx.now.mono) {
            self.job_overdue(cx, stream);
        }
        while let Some(key) = self.statements.due(cx.now.mono) {
            self.show_statement(cx, key);
        }
        for (key, answer) in self.statements.handle_timeout(cx) {
            self.statement_answered(cx, key, answer);
        }
        self.receipts.handle_timeout(cx);
        self.claims.handle_timeout(cx, &self.receipts);
        self.claims_answered(cx);
        self.disputes.handle_timeout(cx);
        self.appeals.handle_timeout(cx);
        self.pulls.handle_timeout(cx, &self.receipts);
        self.move_models(cx);
    }

    /// True: the offers are to be signed anew.
    pub(crate) fn refresh_due(&mut self, cx: &Cx<'_>) -> bool {
        self.refresh.expired(cx.now.mono).is_some()
    }

    /// How busy it is, where that is to be told now.
    pub(crate) fn poll_load(&mut self, now: Time) -> Option<Load> {
        if self.sockets.take_changed() {
            self.teller.changed(now, &taken(&self.sockets, &self.waiting, &self.config));
        }
        self.teller.poll(now, || taken(&self.sockets, &self.waiting, &self.config))
    }

    /// The jobs of that gateway that [`taken`] counts, by slug.
    pub(crate) fn jobs_of(&self, gateway: NodeId) -> BTreeMap<&str, u32> {
        let mut all = BTreeMap::new();
        for job in self.jobs.values().filter(|job| job.conversation.peer == gateway) {
            if let Some(slug) = job.takes_a_slot_of() {
                *all.entry(slug).or_default() += 1;
            }
        }
        all
    }

    /// What a gateway that is new to us has missed.
    pub(crate) fn load(&self) -> Option<Load> {
        Some(self.teller.latest()).filter(|load| !load.busy.is_empty())
    }

    pub(crate) fn poll_timeout(&self) -> Option<Wake> {
        let wake = Wake::earliest(self.due.next(), self.refresh.next());
        let wake = Wake::earliest(wake, self.teller.poll_timeout());
        let wake = Wake::earliest(wake, self.hosting.poll_timeout());
        let wake = Wake::earliest(wake, self.receipts.poll_timeout());
        let wake = Wake::earliest(wake, self.statements.poll_timeout());
        let wake = Wake::earliest(wake, self.pulls.poll_timeout());
        let wake = Wake::earliest(wake, self.disputes.poll_timeout());
        let wake = Wake::earliest(wake, self.appeals.poll_timeout());
        Wake::earliest(wake, self.claims.poll_timeout())
    }

    /// No receipt came for it: the FEP is shown what was delivered. One that crashed states what was acknowledged.
    fn show_statement(&mut self, cx: &mut Cx<'_>, key: AuthKey) {
        let Some(row) = self.receipts.awaits(key) else { return self.statements.settled(key) };
        if self.statements.is_storing(key) {
            // What is said must be on disk.
            return self.statements.again(key, cx.now.mono);
        }
        if let Some(statement) = row.signed_statement() {
            return self.statements.post(cx, key, &row.auth.fep_id, &statement);
        }
        let row = statement_after_crash(cx, row);
        let used = self.receipts.used(&row, cx.now.mono);
        let op = cx.store([used].into());
        self.statements.storing(op, key);
        self.statements.show(key, cx.now.mono);
    }

    fn statement_answered(&mut self, cx: &mut Cx<'_>, key: AuthKey, answer: Answer) {
        let Some(row) = self.receipts.awaits(key) else { return self.statements.settled(key) };
        let request_id = row.auth.request_id;
        match answer {
            Answer::Silent | Answer::Noted => {
                if self.statements.asked_in_vain(key, cx.now.mono) >= WITHHELD_AFTER && is_owed(cx, row) {
                    self.denials.fault(cx, Party::Fep(row.auth.fep_id), Fault::Withheld);
                }
                if let Some(statement) = row.signed_statement().filter(|_| cx.feps.is_silent(row.auth.fep_id))
                {
                    self.errands.ask(cx.now.mono, For::Statement(key), row.auth.fep_id, statement);
                }
                self.statements.again(key, cx.now.mono);
            }
            Answer::Given(bytes) if !is_receipt_for(cx, key, &bytes) => {
                cx.warn(alloc::format!("req_{request_id}: what came for its statement is no receipt for it"));
                self.statements.again(key, cx.now.mono);
            }
            Answer::Given(bytes) => match self.receipts.take(cx, &self.feps, receipts::From::Fep, &bytes) {
                receipts::Taken::Storing | receipts::Taken::Known(_) => self.statements.settled(key),
                receipts::Taken::Refused(_, refused) => {
                    let reason = self.weigh_refused(cx, refused);
                    cx.warn(alloc::format!("req_{request_id}: refused the FEP's receipt: {reason}"));
                    self.statements.again(key, cx.now.mono);
                }
            },
            Answer::Nothing => self.nothing_owed(cx, key),
            Answer::Refused(refusal) if refusal.code.is_final() => {
                cx.warn(alloc::format!("req_{request_id}: the FEP owes nothing for it: {}", refusal.message));
                self.nothing_owed(cx, key);
            }
            // It is another FEP, or none, that speaks there now.
            Answer::Refused(refusal) => {
                cx.warn(alloc::format!(
                    "req_{request_id}: the FEP does not take its statement: {}",
                    refusal.message
                ));
                self.statements.again(key, cx.now.mono);
            }
        }
    }

    /// A receipt that its FEP signed, and should not have, is held against that.
    fn weigh_refused(&mut self, cx: &mut Cx<'_>, refused: receipts::Refused) -> &'static str {
        if let Some(fep) = refused.signed_by {
            self.denials.fault(cx, Party::Fep(fep), Fault::FalsePaper);
        }
        refused.reason
    }

    /// What FEPs decided of claims meanwhile, and which they were not asked for.
    fn claims_answered(&mut self, cx: &mut Cx<'_>) {
        for (claim, fep_id, signed) in self.claims.take_unheard() {
            if cx.feps.is_silent(fep_id) {
                self.errands.ask(cx.now.mono, For::Claim(claim), fep_id, signed);
            }
        }
        self.disputes.watch(&self.receipts, cx.now.mono);
        self.appeals.watch(&self.receipts, cx.now.mono);
        for (fep, paid) in self.claims.take_decided() {
            match paid {
                true => self.denials.made_good(cx, Party::Fep(fep), Fault::Unpaid),
                false => self.denials.fault(cx, Party::Fep(fep), Fault::Unpaid),
            }
        }
    }

    /// Calls for a gateway to carry.
    pub(crate) fn take_errands(&mut self) -> Vec<Errand> {
        self.errands.take_ready()
    }

    /// It is that gateway's to carry.
    pub(crate) fn errand_sent(&mut self, number: u64, to: NodeId) {
        self.errands.sent(number, to);
    }

    fn errand_done(&mut self, cx: &mut Cx<'_>, from: NodeId, payload: &[u8]) {
        let Ok(ErrandDone { number, object }) = cbor::decode(payload) else { return };
        match self.errands.done(from, number) {
            Some(For::Statement(key)) => self.statement_answered(cx, key, Answer::Given(object.0)),
            Some(For::Claim(claim)) => {
                self.claims.answered(cx, claim, Answer::Given(object.0));
                self.claims_answered(cx);
            }
            None => {}
        }
    }

    fn nothing_owed(&mut self, cx: &mut Cx<'_>, key: AuthKey) {
        self.statements.settled(key);
        self.receipts.unused(cx, key);
    }

    /// A receipt was delivered: checks it and stores it, or says why not.
    fn receipt(&mut self, cx: &mut Cx<'_>, from: receipts::From, payload: &[u8]) -> Option<Tell> {
        let delivery: ReceiptDelivery = cbor::decode(payload).ok()?;
        let taken = self.receipts.take(cx, &self.feps, from, &delivery.receipt.0);
        self.taken(cx, from, taken)
    }

    /// Receipts that were asked for by their numbers.
    fn pulled(&mut self, cx: &mut Cx<'_>, issued: Vec<IssuedReceipt>) {
        for IssuedReceipt { receipt, claim_id } in issued {
            let from = receipts::From::Pulled(claim_id);
            let taken = self.receipts.take(cx, &self.feps, from, &receipt.0);
            self.taken(cx, from, taken);
        }
        self.pulls.go_on(cx, &self.receipts);
    }

    fn taken(&mut self, cx: &mut Cx<'_>, from: receipts::From, taken: receipts::Taken) -> Option<Tell> {
        match taken {
            receipts::Taken::Storing => None,
            receipts::Taken::Known(receipt_id) => self.acknowledge(cx, from, receipt_id, None),
            receipts::Taken::Refused(receipt_id, refused) => {
                let reason = self.weigh_refused(cx, refused);
                let by = from.gateway().map_or_else(|| "its FEP".into(), |gateway| gateway.to_string());
                cx.warn(alloc::format!("refused a receipt from {by}: {reason}"));
                self.acknowledge(cx, from, receipt_id?, Some(reason))
            }
        }
    }

    fn acknowledge(
        &mut self,
        cx: &mut Cx<'_>,
        from: receipts::From,
        receipt_id: ReceiptId,
        refused: Option<&'static str>,
    ) -> Option<Tell> {
        let payload = cbor::encode(&ReceiptAck { receipt_id, refused: refused.map(Into::into) });
        match from {
            receipts::From::Job { stream, .. } if self.jobs.contains_key(&stream) => {
                self.job_settled(cx, stream, &payload);
                None
            }
            receipts::From::Job { gateway, .. } | receipts::From::Control(gateway) => {
                Some(Tell { to: gateway, kind: Kind::ReceiptAck, payload })
            }
            // Whoever asked it for the receipt has it.
            receipts::From::Fep | receipts::From::Pulled(_) => None,
        }
    }
}

/// Of a job that was under way when this provider died: what is known of it is its last stored acknowledgement.
fn statement_after_crash(cx: &Cx<'_>, row: &AuthorizationRow) -> AuthorizationRow {
    let ack = row.ack.as_ref().and_then(|ack| hex::decode(ack).ok());
    let acked = ack.as_ref().and_then(|ack| open::<StreamAck>(cx.me.network, None, ack).ok());
    let counts = acked.map(|ack| ack.content.counts).unwrap_or_default();
    let statement = cx.me.seal(UsageStatement {
        fep_id: row.auth.fep_id,
        auth_id: row.auth.auth_id,
        attempt: row.attempt,
        counts,
        end: End::Forgotten,
        ack: ack.map(Blob),
        // They are lost with the life in which they were counted.
        chunks: 0,
        transcript: Transcript::default().hash(),
        stated_ms: cx.now.wall.0,
    });
    // What it comes to is for the FEP to say: until then it may be all that was authorised.
    AuthorizationRow { stated: None, ..row.stating(counts, &statement.bytes) }
}

fn is_receipt_for(cx: &Cx<'_>, key: AuthKey, bytes: &[u8]) -> bool {
    let receipt = open::<Receipt>(cx.me.network, None, bytes);
    receipt.is_ok_and(|receipt| (receipt.content.auth_id, receipt.content.attempt) == key)
}

/// The FEP must settle it by the provider's word alone: its gateway has acknowledged some of it.
fn is_owed(cx: &Cx<'_>, row: &AuthorizationRow) -> bool {
    let said = row
        .signed_statement()
        .and_then(|bytes| open::<UsageStatement>(cx.me.network, Some(cx.me.node_id.0), &bytes).ok())
        .map(|said| said.content);
    let ack = said.as_ref().and_then(|said| said.ack.as_ref());
    let ack = ack.and_then(|ack| open::<StreamAck>(cx.me.network, Some(row.auth.gateway.0), &ack.0).ok());
    let words = Words { accepted: None, statement: said.as_ref(), ack: ack.as_ref().map(|ack| &ack.content) };
    words.settled(&row.auth).is_some()
}

fn taken(sockets: &Sockets, waiting: &Waiting, config: &config::Provider) -> Taken {
    let of = |(ep, model, busy, slots): (&str, &str, u32, u32)| {
        let waits = u32::try_from(waiting.len(ep, model)).unwrap_or(u32::MAX);
        (offers::slug(config, ep, model), (busy.saturating_add(waits), slots))
    };
    sockets.slots().map(of).collect()
}
