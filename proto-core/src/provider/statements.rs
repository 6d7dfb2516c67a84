//! Statements that no receipt came for are shown to the FEP, which then settles by them: neither a gateway that is lost nor
//! one that keeps a receipt back costs more than what it had not acknowledged.

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use super::rows::AuthKey;
use crate::http::ResponseHead;
use crate::identity::FepId;
use crate::limits::{REDELIVER_FIRST, REDELIVER_LAST};
use crate::machine::{OpId, StreamId};
use crate::node::config;
use crate::node::cx::Cx;
use crate::node::fep::{Answer, FepCalls};
use crate::time::{Span, Time, Wake};
use crate::timers::Timers;

#[derive(Default)]
pub(super) struct Statements {
    urls: BTreeMap<FepId, String>,
    calls: FepCalls<AuthKey>,
    due: Timers<AuthKey>,
    pauses: BTreeMap<AuthKey, Span>,
    /// When each was shown first in this life.
    shown: BTreeMap<AuthKey, Time>,
    storing: BTreeMap<OpId, AuthKey>,
}

impl Statements {
    pub(super) fn new(feps: &[config::Fep]) -> Self {
        let urls = feps.iter().map(|fep| (fep.fep_id, fep.url.clone())).collect();
        Self { urls, ..Self::default() }
    }

    /// It is on its way to the disk.
    pub(super) fn storing(&mut self, op: OpId, key: AuthKey) {
        self.storing.insert(op, key);
    }

    pub(super) fn stored(&mut self, op: OpId) {
        self.storing.remove(&op);
    }

    pub(super) fn is_storing(&self, key: AuthKey) -> bool {
        self.storing.values().any(|storing| *storing == key)
    }

    /// To be shown then, if no receipt has come.
    pub(super) fn show(&mut self, key: AuthKey, at: Time) {
        self.due.set(key, at, "show a statement to the FEP");
    }

    /// Its receipt has come, or nothing is owed for it.
    pub(super) fn settled(&mut self, key: AuthKey) {
        self.due.clear(key);
        self.pauses.remove(&key);
        self.shown.remove(&key);
    }

    /// For how long the FEP has been asked for its receipt.
    pub(super) fn asked_in_vain(&self, key: AuthKey, now: Time) -> Span {
        self.shown.get(&key).map_or(Span::default(), |since| now - *since)
    }

    /// The next that is to be shown now.
    pub(super) fn due(&mut self, now: Time) -> Option<AuthKey> {
        self.due.expired(now)
    }

    pub(super) fn post(&mut self, cx: &mut Cx<'_>, key: AuthKey, fep_id: &FepId, statement: &[u8]) {
        if let Some(url) = self.urls.get(fep_id) {
            self.shown.entry(key).or_insert(cx.now.mono);
            self.calls.post(cx, key, url, "/v1/statements", statement);
        }
    }

    /// The FEP did not answer: it is asked until it does.
    pub(super) fn again(&mut self, key: AuthKey, now: Time) {
        let pause = self.pauses.entry(key).or_insert(REDELIVER_FIRST);
        self.due.set(key, now + *pause, "show a statement to the FEP again");
        *pause = pause.doubled().min(REDELIVER_LAST);
    }

    pub(super) fn response(&mut self, stream: StreamId, head: &ResponseHead) {
        self.calls.response(stream, head);
    }

    /// True: the stream is one of ours.
    pub(super) fn bytes(&mut self, cx: &mut Cx<'_>, stream: StreamId, bytes: &[u8]) -> bool {
        self.calls.bytes(cx, stream, bytes)
    }

    pub(super) fn finished(&mut self, cx: &mut Cx<'_>, stream: StreamId) -> Option<(AuthKey, Answer)> {
        self.calls.finished(cx, stream)
    }

    pub(super) fn reset(&mut self, cx: &mut Cx<'_>, stream: StreamId) -> Option<(AuthKey, Answer)> {
        self.calls.reset(cx, stream)
    }

    pub(super) fn handle_timeout(&mut self, cx: &mut Cx<'_>) -> Vec<(AuthKey, Answer)> {
        self.calls.handle_timeout(cx)
    }

    pub(super) fn poll_timeout(&self) -> Option<Wake> {
        Wake::earliest(self.due.next(), self.calls.poll_timeout())
    }
}
