//! Leads fresh machines through a daemon's journal, and wants them to say exactly what the daemon's said.
//!
//! ```text
//!   file --> Records: whole, undamaged --> decoded --> Player: one life of one machine --> same? --> Replay
//! ```
//!
//! There is no key: the machine gets the recorded signatures in their order, and one more or one fewer is a divergence. So
//! every output is compared whole. After the first divergence nothing more is replayed: what follows would say nothing.
//!
//! What is absent: effects. Nothing is dialled, stored or sent; the answers to all that are in the journal.

mod file;
mod player;
mod report;
mod show;

use std::io::{self, Read};

use labman_proto_core::journal::{Decoder, Header, Record, Said};
use labman_proto_core::time::{Span, Time, Wall};
use serde_json::Value;

use file::{Next, Records};
use player::Player;

#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Stop there, and not at the journal's end.
    pub stop: Option<Stop>,
    /// Ask the machine that lives at the end what it would show of itself.
    pub state: bool,
}

/// A moment in one of the journal's lives.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    /// Counted from 1.
    pub life: usize,
    /// Since the life's start; `None`: its end.
    pub until: Option<Span>,
}

/// What came of a replay.
#[derive(Debug)]
pub struct Replay {
    /// Of each process that wrote this journal, in order.
    pub headers: Vec<Header>,
    pub lives: Vec<Life>,
    /// Read whole, from the first to the last that was replayed.
    pub records: u64,
    pub end: End,
    /// The life in which to stop ended before the moment to stop at: so long after its start.
    pub ended_before: Option<Span>,
    /// Of the machine that was alive last.
    pub state: Option<Value>,
}

#[derive(Debug)]
pub struct Life {
    pub started: Wall,
    /// From its start to its last call.
    pub lasted: Span,
    pub inputs: u64,
    pub timeouts: u64,
    pub signatures: u64,
    /// As the journal has it.
    pub expected: Said,
    /// As it was now.
    pub got: Said,
    /// What ended it, other than the end of its process.
    pub fault: Option<String>,
}

#[derive(Debug)]
pub enum End {
    /// The daemon closed it.
    Closed,
    /// The daemon was killed, or writes it still. `torn`: bytes of a record that is not whole.
    Open {
        torn: u64,
    },
    /// As asked for.
    Stopped,
    /// There is no such life to stop in.
    NoLife(usize),
    Diverged(Divergence),
    /// This record can't be read; those before it were replayed.
    Refused {
        record: u64,
        why: String,
    },
}

/// Where a machine said something else for the first time.
#[derive(Debug)]
pub struct Divergence {
    /// Of the file, counted from 0.
    pub record: u64,
    /// Counted from 1.
    pub life: usize,
    /// Since the life's start.
    pub at: Span,
    pub cause: String,
    pub what: String,
}

impl Replay {
    /// Everything that was replayed came out the same, and that was not nothing.
    pub fn passed(&self) -> bool {
        match self.end {
            End::Closed | End::Open { .. } | End::Stopped => !self.lives.is_empty(),
            End::Diverged(_) | End::Refused { .. } | End::NoLife(_) => false,
        }
    }
}

/// # Errors
///
/// The journal can't be read at all.
pub fn replay(journal: impl Read, options: &Options) -> io::Result<Replay> {
    let mut records = Records::of(journal)?;
    let mut course = Course { headers: Vec::new(), lives: Vec::new(), player: None, closed: false };
    let mut decoder = Decoder::default();
    let (mut replayed, mut stopped_by_call) = (0, false);
    let end = loop {
        let number = records.number();
        let refused = |why: String| End::Refused { record: number, why };
        let body = match records.next(&decoder)? {
            Next::Record(body) => body,
            Next::Nothing if course.closed => break End::Closed,
            Next::Nothing => break End::Open { torn: 0 },
            Next::Torn(torn) => break End::Open { torn },
            Next::Damaged(why) => break refused(why),
        };
        match decoder.record(body) {
            Ok(record) if options.stop.is_some_and(|stop| course.is_past(stop, &record)) => {
                stopped_by_call = matches!(record, Record::Call(_));
                break End::Stopped;
            }
            Ok(record) => {
                replayed += 1;
                if let Err(end) = course.take(number, record) {
                    break end;
                }
            }
            Err(bad) => break refused(bad.to_string()),
        }
    };
    let end = match (end, options.stop) {
        (End::Closed | End::Open { .. }, Some(stop)) if stop.life > course.lives.len() => {
            End::NoLife(stop.life)
        }
        (end, _) => end,
    };
    let state = options.state.then(|| course.state(options.stop));
    let ended_before =
        options.stop.filter(|stop| stop.until.is_some() && !stopped_by_call).and_then(|stop| {
            let life = course.lives.get(stop.life.checked_sub(1)?)?;
            stop.until.filter(|until| life.lasted < *until).map(|_| life.lasted)
        });
    let Course { headers, lives, .. } = course;
    Ok(Replay { headers, lives, records: replayed, end, ended_before, state })
}

/// How far the replay has come.
struct Course {
    headers: Vec<Header>,
    lives: Vec<Life>,
    player: Option<Player>,
    /// The last record was an orderly end.
    closed: bool,
}

impl Course {
    /// Whether a record comes after the moment to stop at.
    fn is_past(&self, stop: Stop, record: &Record<'_>) -> bool {
        let begun = self.lives.len();
        match record {
            Record::Call(call) if begun == stop.life => {
                let started = self.player.as_ref().map_or(Time::ZERO, Player::started);
                stop.until.is_some_and(|until| call.now.mono > started + until)
            }
            Record::Call(_) => begun > stop.life,
            Record::Header(_) | Record::Life(_) | Record::End => begun >= stop.life,
        }
    }

    fn take(&mut self, number: u64, record: Record<'_>) -> Result<(), End> {
        let refused = |why: &str| End::Refused { record: number, why: why.to_owned() };
        self.closed = false;
        match record {
            Record::Header(header) => {
                self.headers.push(header);
                self.player = None;
            }
            Record::Life(life) => {
                let header = self.headers.last().ok_or(refused("a life before any header"))?;
                let expected = life.outcome.said;
                let started = life.now.wall;
                let made = Player::make(header, life);
                self.lives.push(Life {
                    started,
                    lasted: Span(0),
                    inputs: 0,
                    timeouts: 0,
                    signatures: made.signatures,
                    expected,
                    got: made.said,
                    fault: made.fault,
                });
                self.player = made.player;
                made.verdict.map_err(|what| self.diverged(number, Span(0), "its making".into(), what))?;
            }
            Record::Call(call) => {
                let player = self.player.as_mut().ok_or(refused("a call of a machine that does not live"))?;
                let life = self.lives.last_mut().ok_or(refused("a call before any life"))?;
                let cause = show::cause(&call.cause);
                life.expected = call.outcome.said;
                life.lasted = call.now.mono - player.started();
                life.count(&call);
                let at = life.lasted;
                let called = player.call(call);
                life.got = player.said();
                life.fault = called.fault;
                if life.fault.is_some() {
                    self.player = None;
                }
                called.verdict.map_err(|what| self.diverged(number, at, cause, what))?;
            }
            Record::End => self.closed = true,
        }
        Ok(())
    }

    fn diverged(&self, record: u64, at: Span, cause: String, what: String) -> End {
        End::Diverged(Divergence { record, life: self.lives.len(), at, cause, what })
    }

    fn state(&mut self, stop: Option<Stop>) -> Value {
        match &mut self.player {
            Some(player) => player.show(stop.and_then(|stop| stop.until)),
            None => Value::Null,
        }
    }
}
