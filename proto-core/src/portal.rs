//! A Front-End Portal: users, keys, balances, holds, receipts, claims and payouts, on a double-entry ledger.
//!
//! ```text
//!   HTTP --> exchanges --> routes --> authorize, usage, claims, --+--> books (accounts, ledger, holds, receipts, accepted
//!                          (api,      pulls, admin, statements,   |           claims, transfers)
//!                           admin)    withdrawals, disputes       |
//!                                     look <---- store reads <----+----> writer ----> store
//!                          payouts, withdrawals --> transfers <--> rails
//! ```
//!
//! A room decides on the books, which move at once; its rows go to the [`writer`]; the answer leaves once they are durable.
//! So two concurrent calls can't spend the same money, and nobody hears of what a crash could undo.
//!
//! Absent: rails other than mock ones.

pub mod config;

mod accounts;
mod admin;
mod answer;
mod answered;
mod api;
pub(crate) mod audit;
mod authorize;
mod bonds;
mod books;
mod civil;
mod claimed;
mod claims;
mod disputes;
mod exchanges;
mod faults;
mod gateway_fees;
mod holds;
mod ledger;
mod look;
mod openapi;
mod payouts;
mod pulls;
mod quotes;
mod rails;
mod reading;
mod receipts;
mod routes;
mod rows;
mod sending;
pub(crate) mod settlement;
mod signing;
mod statements;
mod transfers;
mod uptime;
mod usage;
mod withdrawals;
mod writer;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
    vec::Vec,
};

use crate::machine::{Completion, Input, Level, LinkId, Machine, OpId, Outbox, Output, StreamId};
use crate::mutants::{Mutant, mutant};
use crate::rng::{Seed, Stream};
use crate::store::{BadRow, Range, Row, Snapshot, StoreError, Table};
use crate::time::{Now, Wake};

use answer::{Answer, Refused, Step, Stepped};
use answered::Keyed;
use books::{Books, Fep};
use config::Config;
use exchanges::{Call, Exchanges};
use look::Look;
use rails::{Heard, Rails};
use reading::{Reading, Wanted};
use routes::Cx;
use rows::ANSWERED;
pub use signing::Signers;
use signing::Signing;
use transfers::Due;
use writer::{Commit, Then, Writer, Written};

const ROOM: &str = "portal";

pub struct Portal {
    fep: Fep,
    books: Books,
    /// For API keys.
    random: Stream,
    exchanges: Exchanges,
    writer: Writer,
    reading: Reading,
    /// Calls under an idempotency key that are not answered yet.
    keyed: BTreeMap<StreamId, Keyed>,
    rails: Rails,
    one_at_a_time: OneAtATime,
    out: Outbox,
    stopped: Option<String>,
}

impl Portal {
    pub const TABLES: &'static [Table] = rows::ALL;

    pub fn new(
        config: Config,
        signers: Signers,
        seed: Seed,
        snapshot: &Snapshot,
        now: Now,
    ) -> Result<Self, BadRow> {
        let (signing, ring) = Signing::new(signers, snapshot, now)?;
        let fep = Fep::new(config, signing);
        let books = Books::load(&fep, snapshot, now)?;
        let mut portal = Self {
            rails: Rails::new(&fep.config.rails),
            keyed: BTreeMap::new(),
            fep,
            books,
            random: seed.stream("keys"),
            exchanges: Exchanges::default(),
            writer: Writer::default(),
            reading: Reading::default(),
            one_at_a_time: OneAtATime::default(),
            out: Outbox::default(),
            stopped: None,
        };
        portal.look_at_keys(now);
        if let Some(ring) = ring {
            // What is signed must stay checkable by the store alone.
            let told = "the founding key ring is in force".into();
            portal.commit(now, Commit { batch: [ring].into(), then: Then::Nothing, told });
            portal.write(now);
        }
        Ok(portal)
    }
}

impl Machine for Portal {
    fn handle(&mut self, now: Now, input: Input<'_>) {
        self.look_at_keys(now);
        let heard = match &input {
            Input::Request { .. } => Heard::NotMine,
            input => self.rails.hear(input, &mut self.out),
        };
        match (heard, input) {
            (Heard::Waiting, _) => {}
            (Heard::Became(transfer, outcome), _) => self.heard(now, transfer, outcome),
            (Heard::NotMine, input) => self.take(now, input),
        }
        self.write(now);
    }

    fn handle_timeout(&mut self, now: Now) {
        self.look_at_keys(now);
        if self.stopped.is_none() && self.uptime_due().is_some_and(|due| due.at <= now.mono) {
            let told = String::from("wrote down how long this portal is up");
            self.commit(now, Commit { batch: Vec::new(), then: Then::Nothing, told });
        }
        // What lapses or is to be paid while no key is valid waits for one.
        while self.stopped.is_none()
            && self.fep.signing.signs()
            && let Some(auth_id) = self.books.holds.expired(now.mono)
        {
            match usage::expire(&self.fep, &mut self.books, now, auth_id) {
                Ok(commit) => self.commit(now, commit),
                // The ledger holds less than the hold says: nothing may be decided on such books.
                Err(_) => self.stop(alloc::format!("hold {auth_id} is not covered by its account")),
            }
        }
        while self.stopped.is_none()
            && self.fep.signing.signs()
            && let Some(due) = self.books.transfers.due(now.mono)
        {
            match due {
                Due::Send(transfer) => self.send(now, transfer),
                Due::Ask(transfer) => self.ask(now, transfer),
            }
        }
        while self.stopped.is_none()
            && self.fep.signing.signs()
            && let Some(commit) = payouts::due(&self.fep, &mut self.books, now)
        {
            self.commit(now, commit);
        }
        if self.stopped.is_none() && self.fep.signing.signs() {
            for commit in gateway_fees::due(&self.fep, &mut self.books, now) {
                self.commit(now, commit);
            }
        }
        self.write(now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.out.poll()
    }

    fn poll_timeout(&self) -> Option<Wake> {
        let money = Wake::earliest(self.books.transfers.wake(), self.books.accepted.wake());
        let money = Wake::earliest(money, self.books.pay_day.wake(&self.books.accounts));
        let signed_for = Wake::earliest(self.books.holds.wake(), money).filter(|_| self.fep.signing.signs());
        let wake = Wake::earliest(Some(self.fep.signing.wake()), self.uptime_due());
        Wake::earliest(wake, signed_for).filter(|_| self.stopped.is_none())
    }

    fn stopped(&self) -> Option<&str> {
        self.stopped.as_deref()
    }

    fn has_left(&self) -> bool {
        self.exchanges.is_idle()
    }
}

impl Portal {
    fn take(&mut self, now: Now, input: Input<'_>) {
        match input {
            Input::Request { stream, surface, head } => {
                self.exchanges.begin(stream, surface, head, &mut self.out);
            }
            Input::Bytes { stream, bytes } => self.exchanges.bytes(stream, bytes, &mut self.out),
            Input::Finished { stream } => {
                if let Some(call) = self.exchanges.finished(stream) {
                    self.called(now, stream, call);
                }
            }
            Input::Reset { stream, code: _ } => self.exchanges.reset(stream),
            Input::Done(op, Completion::Stored(result)) => self.stored(now, op, result),
            Input::Done(op, Completion::Page(page)) => self.read(now, op, page),
            // A portal asks nobody, so nobody answers it; it sends whole bodies, so credit tells it nothing.
            Input::Done(_, Completion::Dialled(_)) | Input::Response { .. } | Input::Credit { .. } => {}
            Input::LinkUp { link, peer: _ } | Input::Opened { link, stream: _ } => self.no_links(link),
            // It only ever answers: what is under way is brought to its end anyway.
            Input::LinkDown { .. } | Input::Leave => {}
        }
    }

    fn look_at_keys(&mut self, now: Now) {
        for (level, text) in self.fep.signing.look(&self.fep.config, &self.books.quotes, now) {
            self.out.event(level, ROOM, text);
        }
    }

    fn called(&mut self, now: Now, stream: StreamId, call: Call) {
        if self.stopped.is_some() {
            return self.answer(stream, unavailable().answer());
        }
        let stepped = self.run(now, stream, call);
        self.step(now, stream, stepped);
    }

    /// While holds are open their time must not be forgotten.
    fn uptime_due(&self) -> Option<Wake> {
        let open = self.books.holds.wake().is_some();
        open.then(|| Wake { at: self.books.uptime.due(), why: "write down how long this portal is up" })
    }

    fn run(&mut self, now: Now, stream: StreamId, call: Call) -> Stepped {
        let route = routes::find(&call)?;
        match answered::keyed(&call)? {
            Some(keyed) => {
                let range = Range::exactly(ANSWERED, &keyed.row);
                self.keyed.insert(stream, keyed);
                Ok(Step::Look(range, Look::Answered(call.into())))
            }
            None => (route.run)(&mut self.cx(now, stream), &call),
        }
    }

    fn cx(&mut self, now: Now, stream: StreamId) -> Cx<'_> {
        Cx { fep: &self.fep, books: &mut self.books, random: &mut self.random, now, stream }
    }

    fn step(&mut self, now: Now, stream: StreamId, stepped: Stepped) {
        match stepped {
            // What decided nothing new is kept under its key all the same.
            Ok(Step::Answer(answer)) if self.keyed.contains_key(&stream) => {
                let told = "a call under an idempotency key was answered".into();
                self.commit(now, Commit { batch: Vec::new(), then: Then::Answer(stream, answer), told });
            }
            Ok(Step::Answer(answer) | Step::Again(answer)) => self.answer(stream, answer),
            Ok(Step::Commit(commit)) => self.commit(now, commit),
            Ok(Step::Look(range, look)) => {
                if look.decides() && !self.one_at_a_time.begin(stream, range.table, &range.from) {
                    let refused = Refused::unavailable("the same call is being decided; ask again");
                    return self.answer(stream, refused.answer());
                }
                self.look_up(stream, Wanted::Range(range), look);
            }
            Ok(Step::Find(keys, look)) => self.look_up(stream, Wanted::Keys(keys), look),
            Ok(Step::Wait) => {}
            Err(refused) => self.answer(stream, refused.answer()),
        }
    }

    fn look_up(&mut self, stream: StreamId, wanted: Wanted, look: Look) {
        self.reading.push(stream, wanted, look);
        self.reading.start(&mut self.out);
    }

    fn read(&mut self, now: Now, op: OpId, page: Result<Vec<Row>, StoreError>) {
        let Some((stream, look)) = self.reading.done(op) else { return };
        let stepped = match page {
            Ok(_) if self.stopped.is_some() => Err(unavailable()),
            Ok(rows) => look.found(&mut self.cx(now, stream), &rows),
            Err(error) => {
                self.out.event(Level::Error, ROOM, alloc::format!("{error}"));
                Err(unavailable())
            }
        };
        self.step(now, stream, stepped);
        self.reading.start(&mut self.out);
    }

    fn commit(&mut self, now: Now, mut commit: Commit) {
        if let Then::Answer(stream, answer)
        | Then::Scheduled { answer: Some((stream, answer)), .. }
        | Then::Certified { stream, answer, .. } = &commit.then
        {
            let keyed = self.keyed.remove(stream);
            commit.batch.extend(keyed.and_then(|keyed| answered::remember(&keyed, answer, now)));
        }
        commit.batch.push(self.books.counters(&self.fep, now));
        self.writer.push(commit);
    }

    fn write(&mut self, now: Now) {
        if self.stopped.is_none() {
            self.writer.start(&mut self.out);
            if mutant(Mutant::AnswerBeforeDurable)
                && let Some(op) = self.writer.at_store()
            {
                self.stored(now, op, Ok(()));
            }
        }
    }

    fn stored(&mut self, now: Now, op: OpId, result: Result<(), StoreError>) {
        match self.writer.done(op, result) {
            Some(Written::Durable(batch, commits)) => {
                self.books.receipts.written(&batch);
                commits.into_iter().for_each(|commit| self.durable(now, commit));
            }
            Some(Written::Refused(commit)) => self.refused(commit),
            Some(Written::Again) | None => {}
            Some(Written::Failed(why)) => self.stop(why),
        }
    }

    fn durable(&mut self, now: Now, commit: Commit) {
        let level = if matches!(commit.then, Then::Nothing) { Level::Debug } else { Level::Info };
        self.out.event(level, ROOM, commit.told);
        match commit.then {
            Then::Nothing => {}
            Then::Answer(stream, answer) => self.answer(stream, answer),
            Then::Opened(auth_id) => {
                let (waiting, authorization) = self.books.holds.opened(auth_id).unwrap_or_default();
                self.answer_all(waiting, &Answer::Object(authorization));
            }
            Then::Resolved(auth_id, answer) => {
                let waiting = self.books.holds.ended(auth_id);
                self.answer_all(waiting, &answer);
            }
            Then::Scheduled { transfer, answer } => {
                if let Some((stream, answer)) = answer {
                    self.answer(stream, answer);
                }
                self.send(now, transfer);
            }
            Then::Sent(transfer) => self.ask(now, transfer),
            Then::Certified { stream, answer, ring } => {
                self.fep.signing.take(*ring, now);
                self.look_at_keys(now);
                self.answer(stream, answer);
            }
            Then::Paid(decisions) => {
                for (claim, answer) in decisions {
                    if let Some(stream) = self.books.accepted.paid(claim) {
                        self.answer(stream, answer);
                    }
                }
            }
        }
    }

    /// The store knows a row that had to be new. That is how an old request id is told; everything else was looked up before.
    fn refused(&mut self, commit: Commit) {
        let taken_back = match commit.then {
            Then::Opened(auth_id) => self.books.holds.refused(auth_id),
            Then::Nothing
            | Then::Answer(..)
            | Then::Resolved(..)
            | Then::Scheduled { .. }
            | Then::Sent(_)
            | Then::Certified { .. }
            | Then::Paid(_) => None,
        };
        let undone = taken_back
            .map(|(hold, waiting)| (self.books.ledger.take_back(hold.user, hold.amount()), waiting));
        match undone {
            Some((Ok(()), waiting)) => self.answer_all(waiting, &holds::resolved().answer()),
            Some((Err(_), waiting)) => {
                self.answer_all(waiting, &unavailable().answer());
                self.stop("the ledger can't take back a hold".into());
            }
            None => self.stop("the store holds a row that this portal had not written yet".into()),
        }
    }

    /// Nothing more is decided: what was not durable is answered 503, and the driver starts a new portal from the store.
    fn stop(&mut self, why: String) {
        self.out.event(Level::Error, ROOM, alloc::format!("stopping: {why}"));
        self.stopped = Some(why);
        for commit in self.writer.give_up() {
            let waiting = match commit.then {
                Then::Nothing => Vec::new(),
                Then::Answer(stream, _)
                | Then::Scheduled { answer: Some((stream, _)), .. }
                | Then::Certified { stream, .. } => alloc::vec![stream],
                Then::Scheduled { answer: None, .. } | Then::Sent(_) | Then::Paid(_) => Vec::new(),
                Then::Opened(auth_id) | Then::Resolved(auth_id, _) => self.books.holds.waiting(auth_id),
            };
            self.answer_all(waiting, &unavailable().answer());
        }
        let waiting = self.books.accepted.stop_waiting();
        self.answer_all(waiting, &unavailable().answer());
    }

    fn answer_all(&mut self, waiting: Vec<StreamId>, answer: &Answer) {
        waiting.into_iter().for_each(|stream| self.answer(stream, answer.clone()));
    }

    fn answer(&mut self, stream: StreamId, answer: Answer) {
        self.one_at_a_time.end(stream);
        self.keyed.remove(&stream);
        self.exchanges.answer(stream, answer, &mut self.out);
    }

    fn no_links(&mut self, link: LinkId) {
        self.out.close(link, "a portal is spoken to over HTTP only");
    }
}

fn unavailable() -> Refused {
    Refused::unavailable("the portal's store does not answer; ask again")
}

/// Calls that write under an id of their caller's choice: from looking the id up until its row is durable, nobody else may
/// decide under it.
#[derive(Default)]
struct OneAtATime {
    ids: BTreeSet<(Table, String)>,
    streams: BTreeMap<StreamId, Vec<(Table, String)>>,
}

impl OneAtATime {
    fn begin(&mut self, stream: StreamId, table: Table, id: &str) -> bool {
        let id = (table, String::from(id));
        let free = self.ids.insert(id.clone());
        if free {
            self.streams.entry(stream).or_default().push(id);
        }
        free
    }

    fn end(&mut self, stream: StreamId) {
        for id in self.streams.remove(&stream).unwrap_or_default() {
            self.ids.remove(&id);
        }
    }
}
