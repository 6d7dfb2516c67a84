//! Calls to a Front-End Portal, each with a deadline. `K` says what a call was for.

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use crate::http::{Body, RequestHead, ResponseHead};
use crate::limits::{FEP_ANSWER, HTTP_ANSWER};
use crate::machine::{ResetCode, StreamId};
use crate::node::cx::Cx;
use crate::time::{Time, Wake};
use crate::timers::Timers;
use crate::wire::portal::{OBJECT_TYPE, PortalError, PortalErrorBody};

pub(crate) enum Answer {
    /// 200, with its body.
    Given(Vec<u8>),
    /// 204: there is nothing to give, and that is final.
    Nothing,
    /// 202: what was said is on record, and nothing is decided yet.
    Noted,
    /// The FEP said no, for good.
    Refused(PortalErrorBody),
    /// It can't be reached, did not answer in time, or says that it can't now: ask again later.
    Silent,
}

pub(crate) struct FepCalls<K> {
    calls: BTreeMap<StreamId, Call<K>>,
    due: Timers<StreamId>,
}

struct Call<K> {
    purpose: K,
    url: String,
    began: Time,
    status: u16,
    body: Body,
}

impl<K> Default for FepCalls<K> {
    fn default() -> Self {
        Self { calls: BTreeMap::new(), due: Timers::default() }
    }
}

impl<K> FepCalls<K> {
    /// Posts a signed object.
    pub(crate) fn post(&mut self, cx: &mut Cx<'_>, purpose: K, url: &str, path: &str, object: &[u8]) {
        let head = RequestHead::new("POST", path)
            .with("content-type", OBJECT_TYPE)
            .with("content-length", &alloc::format!("{}", object.len()));
        let stream = cx.request(url, head, object.to_vec());
        self.began(cx.now.mono, purpose, url, stream);
    }

    pub(crate) fn get(&mut self, cx: &mut Cx<'_>, purpose: K, url: &str, path: &str) {
        let stream = cx.request(url, RequestHead::new("GET", path), Vec::new());
        self.began(cx.now.mono, purpose, url, stream);
    }

    pub(crate) fn response(&mut self, stream: StreamId, head: &ResponseHead) {
        if let Some(call) = self.calls.get_mut(&stream) {
            call.status = head.status;
        }
    }

    /// True: the stream is one of these calls.
    pub(crate) fn bytes(&mut self, cx: &mut Cx<'_>, stream: StreamId, bytes: &[u8]) -> bool {
        let Some(call) = self.calls.get_mut(&stream) else { return false };
        cx.grant(stream, bytes.len());
        if call.body.push(bytes).is_err() {
            // Counts as no answer once its deadline passes: nothing honest is that long.
            call.status = 0;
        }
        true
    }

    pub(crate) fn finished(&mut self, cx: &mut Cx<'_>, stream: StreamId) -> Option<(K, Answer)> {
        let mut call = self.ended(stream)?;
        let body = call.body.take();
        // Without a reason of the FEP's own it is somebody in between who speaks, and nothing is final.
        let refusal = serde_json::from_slice::<PortalError>(&body).ok();
        let (heard, answer) = match (call.status, refusal) {
            (202, _) => (true, Answer::Noted),
            (204, _) => (true, Answer::Nothing),
            (200..300, _) => (true, Answer::Given(body)),
            (400..500, Some(refusal)) => (true, Answer::Refused(refusal.error)),
            (500..600, Some(_)) => (true, Answer::Silent),
            _ => (false, Answer::Silent),
        };
        cx.fep_called(&call.url, call.began, heard);
        Some((call.purpose, answer))
    }

    pub(crate) fn reset(&mut self, cx: &mut Cx<'_>, stream: StreamId) -> Option<(K, Answer)> {
        let call = self.ended(stream)?;
        cx.fep_called(&call.url, call.began, false);
        Some((call.purpose, Answer::Silent))
    }

    /// Calls whose deadline has passed.
    pub(crate) fn handle_timeout(&mut self, cx: &mut Cx<'_>) -> Vec<(K, Answer)> {
        let mut answers = Vec::new();
        while let Some(stream) = self.due.expired(cx.now.mono) {
            cx.reset(stream, ResetCode::Cancelled);
            answers.extend(self.reset(cx, stream));
        }
        answers
    }

    pub(crate) fn poll_timeout(&self) -> Option<Wake> {
        self.due.next()
    }

    fn began(&mut self, now: Time, purpose: K, url: &str, stream: StreamId) {
        let (url, body) = (url.into(), Body::up_to(HTTP_ANSWER));
        self.calls.insert(stream, Call { purpose, url, began: now, status: 0, body });
        self.due.set(stream, now + FEP_ANSWER, "a FEP's answer");
    }

    fn ended(&mut self, stream: StreamId) -> Option<Call<K>> {
        self.due.clear(stream);
        self.calls.remove(&stream)
    }
}
