//! What a strategy is asked, and the HTTP messages it may alter.

use labman_proto_core::http::{RequestHead, ResponseHead};
use labman_proto_core::machine::{Output, StreamId};
use labman_proto_core::time::Span;

use super::craft::Said;
use super::hand::Hand;
use super::lanes::Way;

/// A way of being dishonest. Whatever is not overridden is honest.
pub(super) trait Strategy: Send {
    /// The daemon is about to say this whole frame.
    fn says(&mut self, hand: &mut Hand, stream: StreamId, way: &Way, said: &Said) {
        let _ = way;
        hand.pass(stream, said);
    }

    /// This whole frame came. `false`: the daemon is not to hear of it.
    fn hears(&mut self, hand: &mut Hand, stream: StreamId, way: &Way, said: &Said) -> bool {
        let _ = (hand, stream, way, said);
        true
    }

    /// A node is about to post this to its FEP, or a FEP to answer so.
    fn posts(&mut self, hand: &mut Hand, letter: &mut Letter) -> Fate {
        let _ = (hand, letter);
        Fate::Sent
    }

    /// Somebody asks a FEP for what is at that path. What is answered here the daemon never hears of.
    fn asked(&mut self, hand: &mut Hand, path: &str) -> Option<Letter> {
        let _ = (hand, path);
        None
    }

    /// Comes every few seconds.
    fn wakes(&mut self, hand: &mut Hand) {
        let _ = hand;
    }
}

/// What becomes of an HTTP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Sent,
    SentAfter(Span),
    Kept,
}

/// A whole HTTP message: a request to a FEP, or its answer.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    /// Whose URL it goes to; `None`: it is an answer.
    pub(super) to: Option<String>,
    pub(super) method: String,
    /// Of the request.
    pub(super) path: String,
    /// Of the answer.
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Letter {
    pub(super) fn request(url: String, head: RequestHead) -> Self {
        let RequestHead { method, path, headers } = head;
        Self { to: Some(url), method, path, status: 0, headers, body: Vec::new() }
    }

    pub(super) fn answer(path: String, head: ResponseHead) -> Self {
        let ResponseHead { status, headers } = head;
        Self { to: None, method: String::new(), path, status, headers, body: Vec::new() }
    }

    pub(super) fn into_outputs(mut self, stream: StreamId) -> Vec<Output> {
        // A driver would refuse a body that is not as long as its head says.
        for (_, length) in self.headers.iter_mut().filter(|(name, _)| name == "content-length") {
            *length = self.body.len().to_string();
        }
        let head = match self.to {
            Some(url) => {
                let head = RequestHead { method: self.method, path: self.path, headers: self.headers };
                Output::Request { stream, url, head }
            }
            None => {
                let head = ResponseHead { status: self.status, headers: self.headers };
                Output::Response { stream, head }
            }
        };
        let mut outputs = vec![head];
        if !self.body.is_empty() {
            outputs.push(Output::Send { stream, bytes: self.body });
        }
        outputs.push(Output::Finish { stream });
        outputs
    }
}
