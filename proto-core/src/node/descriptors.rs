//! Keeps the newest descriptor of each FEP that is trusted here: asks for it, stores it, and tells neighbours what is news. So a
//! node that cannot reach a FEP still hears from others which of its keys are revoked; and what it has heard it never
//! forgets, since only a descriptor with a higher serial, or a later one of the same, takes the place of another.
//!
//! ```text
//!   start, hourly, an unexpected key --GET--> FEP --,
//!                                                    news? --> in use, and stored --durable--> told to neighbours
//!   neighbour --FepDescriptor-----------------------'
//! ```

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    vec::Vec,
};

use serde::{Deserialize, Serialize};

use super::feps::{Feps, News};
use crate::http::ResponseHead;
use crate::identity::{FepId, Network, NodeId};
use crate::keys::Described;
use crate::labnet::conduct::{Deed, Offence};
use crate::limits::{
    DESCRIPTOR_AT_MOST, DESCRIPTOR_EVERY, DESCRIPTOR_RETRY, DESCRIPTOR_RETRY_LAST, TERMS_EVERY,
};
use crate::machine::{Completion, OpId, StreamId};
use crate::node::cx::Cx;
use crate::node::fep::{Answer, FepCalls};
use crate::store::{BadRow, Row, Snapshot, Table, Write};
use crate::time::{Span, Time, Wake};
use crate::timers::Timers;
use crate::wire::cbor::{self, Blob};
use crate::wire::mesh::FepDescriptor;

const WHY: &str = "ask a FEP for its descriptor";

/// By FEP.
pub(crate) const TABLE: Table = Table::live("feps");

#[derive(Serialize, Deserialize)]
pub(crate) struct FepRow {
    /// Signed, in hex.
    pub(crate) descriptor: String,
}

#[derive(Default)]
pub(super) struct Descriptors {
    calls: FepCalls<FepId>,
    /// Whose terms this node goes by: its gateway's FEP.
    terms_of: Option<FepId>,
    due: Timers<FepId>,
    asked: BTreeMap<FepId, Asked>,
    storing: BTreeMap<OpId, News>,
    /// FEPs whose descriptor is known.
    paired: BTreeSet<FepId>,
    /// A FEP is known of which nothing was known before.
    first: bool,
    /// FEPs that have answered, or have not, or of which others have told.
    looked: BTreeSet<FepId>,
}

/// What others should know of it.
pub(super) struct Settled {
    pub(super) first: bool,
    pub(super) looked: BTreeSet<FepId>,
}

struct Asked {
    last: Time,
    pause: Span,
}

impl Descriptors {
    /// What was stored is in use again.
    pub(super) fn new(
        feps: &mut Feps,
        terms_of: Option<FepId>,
        network: Network,
        snapshot: &Snapshot,
        now: Time,
    ) -> Result<Self, BadRow> {
        let mut room = Self { terms_of, ..Self::default() };
        for stored in snapshot.of(TABLE) {
            let bad = |what| BadRow { table: TABLE.name, key: stored.key.clone(), what };
            let fep_id: FepId = stored.key.parse().map_err(|error| bad(format!("{error}")))?;
            // One that is not trusted any more stays for the receipts that it gave.
            if feps.trusts(fep_id) {
                let row: FepRow = stored.parse(TABLE)?;
                let bytes = hex::decode(&row.descriptor).map_err(|error| bad(format!("{error}")))?;
                let described = Described::open(network, fep_id, &bytes);
                room.paired.insert(fep_id);
                feps.remember(fep_id, &described.map_err(|error| bad(format!("{error}")))?);
            }
        }
        for fep_id in feps.each() {
            room.due.set(fep_id, now, WHY);
        }
        Ok(room)
    }

    pub(super) fn response(&mut self, stream: StreamId, head: &ResponseHead) {
        self.calls.response(stream, head);
    }

    pub(super) fn bytes(&mut self, cx: &mut Cx<'_>, stream: StreamId, bytes: &[u8]) {
        self.calls.bytes(cx, stream, bytes);
    }

    pub(super) fn finished(&mut self, cx: &mut Cx<'_>, stream: StreamId) {
        if let Some((fep_id, answer)) = self.calls.finished(cx, stream) {
            self.answered(cx, fep_id, answer);
        }
    }

    pub(super) fn reset(&mut self, cx: &mut Cx<'_>, stream: StreamId) {
        if let Some((fep_id, answer)) = self.calls.reset(cx, stream) {
            self.answered(cx, fep_id, answer);
        }
    }

    /// It is durable: it may be passed on.
    pub(super) fn done(&mut self, op: OpId, completion: &Completion) -> Option<News> {
        let news = self.storing.remove(&op)?;
        matches!(completion, Completion::Stored(Ok(()))).then_some(news)
    }

    /// A neighbour tells what it knows.
    pub(super) fn heard(&mut self, cx: &mut Cx<'_>, from: NodeId, payload: &[u8]) {
        let Ok(FepDescriptor { fep_id, descriptor }) = cbor::decode(payload) else {
            return cx.note(from, Deed::Offence(Offence::Malformed));
        };
        let taken = cx.feps.take(cx.me.network, cx.now.mono, fep_id, Some(from), &descriptor.0);
        if taken.is_err() {
            cx.note(from, Deed::Offence(Offence::Malformed));
        }
    }

    /// All that is known, for a neighbour that is new.
    pub(super) fn known(&self, feps: &Feps) -> Vec<Vec<u8>> {
        feps.each().filter_map(|fep_id| message(feps, fep_id)).collect()
    }

    /// Stores what is news, and asks for what others have found that they need.
    pub(super) fn settle(&mut self, cx: &mut Cx<'_>) -> Settled {
        for news in cx.feps.take_news() {
            self.store(cx, news);
        }
        for fep_id in cx.feps.take_wanted() {
            let soon = match self.asked.get(&fep_id) {
                Some(asked) if cx.feps.described(fep_id).is_some() => asked.last + DESCRIPTOR_AT_MOST,
                Some(asked) => asked.last + DESCRIPTOR_RETRY,
                None => cx.now.mono,
            };
            if soon <= cx.now.mono {
                self.ask(cx, fep_id);
            } else if self.due.at(fep_id).is_none_or(|due| due > soon) {
                self.due.set(fep_id, soon, WHY);
            }
        }
        Settled { first: core::mem::take(&mut self.first), looked: core::mem::take(&mut self.looked) }
    }

    pub(super) fn handle_timeout(&mut self, cx: &mut Cx<'_>) {
        while let Some(fep_id) = self.due.expired(cx.now.mono) {
            self.ask(cx, fep_id);
        }
        for (fep_id, answer) in self.calls.handle_timeout(cx) {
            self.answered(cx, fep_id, answer);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Wake> {
        Wake::earliest(self.due.next(), self.calls.poll_timeout())
    }

    fn ask(&mut self, cx: &mut Cx<'_>, fep_id: FepId) {
        let Some(url) = cx.feps.url(fep_id).map(String::from) else { return };
        let last = cx.now.mono;
        self.asked.entry(fep_id).or_insert(Asked { last, pause: DESCRIPTOR_RETRY }).last = last;
        self.due.set(fep_id, last + self.holds(cx, fep_id), WHY);
        self.calls.get(cx, fep_id, &url, "/v1/descriptor");
    }

    /// For how long what is known of a FEP may be relied on: where its terms are, until the first of its quotes lapses at most.
    fn holds(&self, cx: &Cx<'_>, fep_id: FepId) -> Span {
        if self.terms_of != Some(fep_id) {
            return DESCRIPTOR_EVERY;
        }
        let lapse = cx.feps.described(fep_id).and_then(|described| described.next_lapse(cx.now.wall));
        let left = lapse.map(|at| Span::from_millis(at.0.saturating_sub(cx.now.wall.0)) + DESCRIPTOR_RETRY);
        left.map_or(TERMS_EVERY, |left| left.min(TERMS_EVERY))
    }

    fn answered(&mut self, cx: &mut Cx<'_>, fep_id: FepId, answer: Answer) {
        self.looked.insert(fep_id);
        let taken = match answer {
            Answer::Given(bytes) => match cx.feps.take(cx.me.network, cx.now.mono, fep_id, None, &bytes) {
                Ok(()) => true,
                Err(why) => {
                    cx.warn(format!(
                        "what answers for FEP {fep_id} did not show to be it: {why}; see that `id` and `url` of its [[fep]] \
                         are right"
                    ));
                    false
                }
            },
            Answer::Refused(_) | Answer::Silent | Answer::Nothing | Answer::Noted => false,
        };
        let Some(asked) = self.asked.get_mut(&fep_id) else { return };
        if taken {
            asked.pause = DESCRIPTOR_RETRY;
        } else {
            self.due.set(fep_id, cx.now.mono + asked.pause, WHY);
            asked.pause = asked.pause.doubled().min(DESCRIPTOR_RETRY_LAST);
        }
    }

    fn store(&mut self, cx: &mut Cx<'_>, news: News) {
        let Some(described) = cx.feps.described(news.fep_id) else { return };
        let (fep_id, serial) = (news.fep_id, described.keys.serial());
        let row = FepRow { descriptor: hex::encode(&described.bytes.0) };
        let url = cx.feps.url(fep_id).unwrap_or_default();
        self.first |= !self.paired.contains(&fep_id);
        cx.info(match self.paired.insert(fep_id) {
            true => format!("paired with FEP {fep_id} at {url}, key ring {serial}"),
            false => format!("FEP {fep_id} has a new descriptor, key ring {serial}"),
        });
        self.looked.insert(fep_id);
        let again = cx.now.mono + self.holds(cx, fep_id);
        if self.due.at(fep_id).is_none_or(|due| due > again) {
            self.due.set(fep_id, again, WHY);
        }
        let op = cx.store([Write::Put(TABLE, Row::json(format!("{fep_id}"), &row))].into());
        self.storing.insert(op, news);
    }
}

/// What a neighbour is told of that FEP.
pub(super) fn message(feps: &Feps, fep_id: FepId) -> Option<Vec<u8>> {
    let descriptor = Blob(feps.described(fep_id)?.bytes.0.clone());
    Some(cbor::encode(&FepDescriptor { fep_id, descriptor }))
}
