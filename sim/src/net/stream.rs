//! A stream between two machines: two pipes of ordered reliable bytes, each with the read credit its receiver granted.

use std::collections::VecDeque;

use labman_proto_core::http::{RequestHead, ResponseHead, Surface};
use labman_proto_core::limits::STREAM_WINDOW;
use labman_proto_core::machine::{ResetCode, StreamId};
use labman_proto_core::time::{Span, Time};

use super::link::{LinkKey, Route};
use super::table::Key;
use crate::host::HostId;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamKey(pub u64);

impl Key for StreamKey {
    fn number(self) -> u64 {
        self.0
    }
}

/// One of the two ends of a stream or link: who opened it, or whom it was opened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Opener,
    Opened,
}

impl Side {
    pub const fn other(self) -> Self {
        match self {
            Self::Opener => Self::Opened,
            Self::Opened => Self::Opener,
        }
    }

    pub const fn index(self) -> usize {
        match self {
            Self::Opener => 0,
            Self::Opened => 1,
        }
    }
}

#[derive(Debug)]
pub struct Stream {
    /// The link it runs on; `None` for an HTTP exchange.
    pub link: Option<LinkKey>,
    pub route: Route,
    pub since: Time,
    pub ends: [End; 2],
    /// By sender.
    pub pipes: [Pipe; 2],
}

#[derive(Debug)]
pub struct End {
    pub host: HostId,
    /// Which of the host's lives the stream belongs to.
    pub life: u32,
    /// What the machine at this end calls the stream. The opened side has no name for it until it hears of it.
    pub id: Option<StreamId>,
    sent_last: bool,
    got_last: bool,
    gone: bool,
}

impl End {
    pub fn new(host: HostId, life: u32, id: Option<StreamId>) -> Self {
        Self { host, life, id, sent_last: false, got_last: false, gone: false }
    }

    /// The machine may not use the stream any more, and hears nothing more of it.
    pub fn is_gone(&self) -> bool {
        self.gone || (self.sent_last && self.got_last)
    }

    pub fn may_send(&self) -> bool {
        !self.is_gone() && !self.sent_last
    }

    pub fn sent_last(&mut self) {
        self.sent_last = true;
    }

    pub fn got_last(&mut self) {
        self.got_last = true;
    }

    pub fn leave(&mut self) {
        self.gone = true;
    }
}

/// What travels through a pipe.
#[derive(Debug, PartialEq, Eq)]
pub enum Item {
    Opened,
    Request(Surface, RequestHead),
    Response(ResponseHead),
    Bytes(Vec<u8>),
    Finish,
    Reset(ResetCode),
}

#[derive(Debug)]
pub struct Pipe {
    /// Held back at the sender until the receiver grants more.
    waiting: VecDeque<Item>,
    /// How much of the first has left already.
    cut: usize,
    /// Bytes that wait, in all.
    backlog: usize,
    /// Bytes the receiver has granted that have not been used.
    window: u64,
    /// Bytes the receiver has granted that the sender has not been told of.
    untold: u32,
    flying: VecDeque<(Time, Item)>,
    /// Bytes that have left the sender, in all.
    left: u64,
    /// Somebody looks after it that it is read.
    pub guarded: bool,
    /// Nothing arrives before this: it keeps the order.
    floor: Time,
}

/// Something that may leave the sender now.
#[derive(Debug, PartialEq, Eq)]
pub enum Departure {
    Item(Item),
    Bytes(Vec<u8>),
}

impl Pipe {
    pub fn from(floor: Time) -> Self {
        Self {
            waiting: VecDeque::new(),
            cut: 0,
            backlog: 0,
            window: u64::from(STREAM_WINDOW),
            untold: 0,
            flying: VecDeque::new(),
            left: 0,
            guarded: false,
            floor,
        }
    }

    pub fn push(&mut self, item: Item) {
        if let Item::Bytes(bytes) = &item {
            self.backlog += bytes.len();
        }
        self.waiting.push_back(item);
    }

    /// Bytes that its sender has given out of hand and that have not left it.
    pub fn backlog(&self) -> usize {
        self.backlog
    }

    /// The receiver grants more. It is told later, as QUIC and TCP do it: told of every few bytes, a sender that waits for
    /// them would send every few bytes, for ever.
    pub fn grant(&mut self, bytes: u32) {
        self.untold = self.untold.saturating_add(bytes);
    }

    /// What the sender is to be told of now: an eighth of a window, or what it waits for while nothing is on its way that
    /// would bring more.
    pub fn tell(&mut self) -> Option<u32> {
        let waits = self.flying.is_empty() && !self.waiting.is_empty();
        let due = self.untold >= STREAM_WINDOW / 8 || (self.untold > 0 && waits);
        due.then(|| std::mem::take(&mut self.untold))
    }

    pub fn granted(&mut self, bytes: u32) {
        self.window += u64::from(bytes);
    }

    /// The next thing the window lets through: bytes at most `piece` at a time.
    pub fn depart(&mut self, piece: usize) -> Option<Departure> {
        let Some(Item::Bytes(bytes)) = self.waiting.front_mut() else {
            return self.waiting.pop_front().map(Departure::Item);
        };
        let window = usize::try_from(self.window).unwrap_or(usize::MAX);
        let uncut = bytes.get(self.cut..).unwrap_or_default();
        let length = uncut.len().min(window).min(piece.max(1));
        if length == 0 && !uncut.is_empty() {
            return None;
        }
        let leaving = if length < uncut.len() {
            self.cut += length;
            uncut.get(..length).unwrap_or_default().to_vec()
        } else {
            let mut last = std::mem::take(bytes);
            last.drain(..std::mem::take(&mut self.cut));
            self.waiting.pop_front();
            rest(&mut self.waiting);
            last
        };
        self.backlog -= length;
        self.window -= length as u64;
        self.left += length as u64;
        Some(Departure::Bytes(leaving))
    }

    pub fn left(&self) -> u64 {
        self.left
    }

    /// Puts something on its way; returns when it arrives.
    pub fn fly(&mut self, item: Item, now: Time, latency: Span) -> Time {
        self.floor = self.floor.max(now + latency);
        self.flying.push_back((self.floor, item));
        self.floor
    }

    /// What has arrived by now, first sent first.
    pub fn arrive(&mut self, now: Time) -> Option<Item> {
        match self.flying.front() {
            Some((at, _)) if *at <= now => {
                let item = self.flying.pop_front().map(|(_, item)| item);
                rest(&mut self.flying);
                item
            }
            Some(_) | None => None,
        }
    }

    /// A reset overtakes what waits for credit, and nothing follows it.
    pub fn abandon(&mut self) {
        self.waiting.clear();
        (self.cut, self.backlog) = (0, 0);
    }

    /// Nobody listens at the other end any more.
    pub fn silence(&mut self) {
        self.waiting.clear();
        (self.cut, self.backlog) = (0, 0);
        self.flying.clear();
    }
}

/// A queue that a burst went through keeps no room for the next: of a hundred thousand pipes few are in use at once.
fn rest<T>(queue: &mut VecDeque<T>) {
    if queue.is_empty() && queue.capacity() > 4 {
        *queue = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(item: Option<Departure>) -> usize {
        match item {
            Some(Departure::Bytes(bytes)) => bytes.len(),
            other => panic!("{other:?} instead of bytes"),
        }
    }

    #[test]
    fn a_pipe_lets_through_what_was_granted_and_keeps_the_rest() {
        let window = STREAM_WINDOW as usize;
        let mut pipe = Pipe::from(Time::ZERO);
        pipe.push(Item::Bytes(vec![1; window + 10]));
        pipe.push(Item::Finish);
        assert_eq!(bytes(pipe.depart(usize::MAX)), window);
        assert_eq!(pipe.depart(usize::MAX), None, "neither bytes nor the finish behind them");
        pipe.granted(4);
        assert_eq!(bytes(pipe.depart(3)), 3);
        assert_eq!(bytes(pipe.depart(3)), 1);
        assert_eq!(pipe.depart(3), None);
        pipe.granted(100);
        assert_eq!(bytes(pipe.depart(usize::MAX)), 6);
        assert_eq!(pipe.depart(usize::MAX), Some(Departure::Item(Item::Finish)));
    }

    #[test]
    fn a_sender_is_told_of_grants_in_pieces_that_are_worth_it_unless_it_would_wait_for_ever() {
        let mut pipe = Pipe::from(Time::ZERO);
        pipe.grant(10);
        assert_eq!(pipe.tell(), None, "it waits for nothing");
        pipe.push(Item::Bytes(vec![1; 10]));
        assert_eq!(pipe.tell(), Some(10));
        pipe.fly(Item::Finish, Time(0), Span(1));
        pipe.grant(10);
        assert_eq!(pipe.tell(), None, "what is on its way brings more");
        pipe.grant(STREAM_WINDOW / 8);
        assert_eq!(pipe.tell(), Some(10 + STREAM_WINDOW / 8));
    }

    #[test]
    fn what_was_sent_later_arrives_no_earlier() {
        let mut pipe = Pipe::from(Time(5));
        assert_eq!(pipe.fly(Item::Opened, Time(0), Span(100)), Time(100));
        assert_eq!(pipe.fly(Item::Finish, Time(1), Span(10)), Time(100));
        assert_eq!(pipe.arrive(Time(99)), None);
        assert_eq!(pipe.arrive(Time(100)), Some(Item::Opened));
        assert_eq!(pipe.arrive(Time(100)), Some(Item::Finish));
    }
}
