//! The socket to the labman: kept dialled, cut into lines.
//!
//! ```text
//!            due                     up
//!   Away ----------> Dialling ----------------> Up
//!    ^                  | not reached            | gone
//!    +------------------+------------------------+     each time with a longer pause, until one link has lasted
//!
//!   asked to leave: Up --all is said--> Ended --the labman has read it, and closes--> Left; Away, Dialling --> Left
//! ```

use alloc::{string::String, vec::Vec};

use crate::http::{Lines, TooLong};
use crate::limits;
use crate::machine::{DownReason, Level, LinkId, OpId, Outbox, StreamId, Target};
use crate::rng::Stream;
use crate::time::{Span, Time, Wake};
use crate::wire::portman::{FromPortman, ToPortman};

pub(super) struct Labman {
    url: String,
    token: String,
    state: State,
    /// The next pause, before jitter.
    pause: Span,
    jitter: Stream,
    /// A person has been told that the labman is out of reach.
    told: bool,
    /// Once there is no link, there is none ever again.
    leaves: bool,
}

enum State {
    Away {
        redial_at: Time,
    },
    Dialling {
        op: OpId,
    },
    Up {
        link: LinkId,
        stream: StreamId,
        lines: Lines,
        since: Time,
    },
    /// Our last word is on its way: until the link is gone nobody knows that it has come.
    Ended {
        link: LinkId,
        stream: StreamId,
    },
    Left,
}

impl Labman {
    pub(super) fn new(url: String, token: String, jitter: Stream, now: Time) -> Self {
        let state = State::Away { redial_at: now };
        Self { url, token, state, pause: limits::REDIAL_FIRST, jitter, told: false, leaves: false }
    }

    /// Opens the stream. `false`: the link was not wanted.
    pub(super) fn up(&mut self, now: Time, link: LinkId, out: &mut Outbox) -> bool {
        match self.state {
            State::Up { .. } => {
                out.close(link, "one link is enough");
                return false;
            }
            State::Ended { .. } | State::Left => {
                out.close(link, "this Portman leaves");
                return false;
            }
            State::Away { .. } | State::Dialling { .. } => {}
        }
        let stream = out.open(link);
        let lines = Lines::up_to(limits::PORTMAN_LINE);
        self.state = State::Up { link, stream, lines, since: now };
        self.told = false;
        out.event(Level::Info, "portman", alloc::format!("attached to the labman at {}", self.url));
        true
    }

    pub(super) fn is_on(&self, link: LinkId) -> bool {
        matches!(self.state, State::Up { link: ours, .. } | State::Ended { link: ours, .. } if ours == link)
    }

    pub(super) fn speaks_on(&self, stream: StreamId) -> bool {
        matches!(self.state, State::Up { stream: ours, .. } | State::Ended { stream: ours, .. } if ours == stream)
    }

    /// The messages that these bytes complete. An error: the labman broke the protocol.
    pub(super) fn read(&mut self, bytes: &[u8], out: &mut Outbox) -> Result<Vec<ToPortman>, &'static str> {
        let State::Up { stream, lines, .. } = &mut self.state else {
            // What crosses our last word could not be answered any more.
            return Ok(Vec::new());
        };
        let lines = lines.push(bytes).map_err(|TooLong| "the labman sent too long a line")?;
        out.grant(*stream, bytes.len());
        let parse = |line: &Vec<u8>| serde_json::from_slice(line);
        lines
            .iter()
            .map(parse)
            .collect::<Result<_, _>>()
            .map_err(|_| "the labman sent a line that is no message")
    }

    /// Unheard while there is no link: the labman is greeted anew when there is.
    pub(super) fn say(&mut self, message: &FromPortman, out: &mut Outbox) {
        let State::Up { stream, .. } = &self.state else { return };
        // Our own message types have string keys and no failing serializers.
        let mut line = serde_json::to_vec(message).unwrap_or_default();
        line.push(b'\n');
        out.send(*stream, line);
    }

    pub(super) fn hang_up(&mut self, why: &'static str, out: &mut Outbox) {
        if let State::Up { link, .. } | State::Ended { link, .. } = self.state {
            out.close(link, why);
        }
    }

    /// Asked to leave.
    pub(super) fn leave(&mut self) {
        self.leaves = true;
        if matches!(self.state, State::Away { .. } | State::Dialling { .. }) {
            self.state = State::Left;
        }
    }

    /// All is said. True: now, and not before.
    pub(super) fn end(&mut self, out: &mut Outbox) -> bool {
        let State::Up { link, stream, .. } = self.state else { return false };
        out.finish(stream);
        self.state = State::Ended { link, stream };
        true
    }

    /// Whoever would still say or hear something is gone.
    pub(super) fn has_left(&self) -> bool {
        matches!(self.state, State::Left)
    }

    pub(super) fn gone(&mut self, now: Time, reason: DownReason, out: &mut Outbox) {
        if let State::Up { since, .. } = self.state {
            // A labman that takes the link and drops it at once (a wrong token, say) is not dialled any faster for it.
            if now - since >= limits::REDIAL_LAST {
                self.pause = limits::REDIAL_FIRST;
            }
        }
        match reason {
            // It stops, or is started again: nothing is wrong.
            DownReason::Closed => self.retreat(now, Level::Info, "it closed the link", out),
            DownReason::TimedOut | DownReason::Failed => {
                self.retreat(now, Level::Warn, "the link is lost", out);
            }
        }
    }

    pub(super) fn not_reached(&mut self, now: Time, op: OpId, why: &str, out: &mut Outbox) {
        if matches!(self.state, State::Dialling { op: ours } if ours == op) {
            self.retreat(now, Level::Warn, why, out);
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Time, out: &mut Outbox) {
        if matches!(self.state, State::Away { redial_at } if redial_at <= now) {
            let op = out.dial(Target::Labman { url: self.url.clone(), token: self.token.clone() });
            self.state = State::Dialling { op };
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Wake> {
        match self.state {
            State::Away { redial_at } => Some(Wake { at: redial_at, why: "dial the labman" }),
            State::Dialling { .. } | State::Up { .. } | State::Ended { .. } | State::Left => None,
        }
    }

    fn retreat(&mut self, now: Time, level: Level, why: &str, out: &mut Outbox) {
        if self.leaves {
            self.state = State::Left;
            return;
        }
        if !self.told {
            let text = alloc::format!("no labman at {}: {why}; trying again until it is there", self.url);
            out.event(level, "portman", text);
            self.told = true;
        }
        let half = self.pause.0 / 2;
        let pause = Span(half + self.jitter.below(half));
        self.state = State::Away { redial_at: now + pause };
        self.pause = self.pause.doubled().min(limits::REDIAL_LAST);
    }
}
