//! Loading and unloading: what the labman asked for, until the runtime's list of models shows it, or shows that it will
//! not come.
//!
//! ```text
//!   load ---> waits for its turn --+             answered             the list shows the model moved
//!                                  +--> Asked -------------> Answered ------------------------------> over
//!   unload ------------------------+                                  or that it failed, or in vain
//! ```
//!
//! The list decides, not the answer: a runtime answers before it has moved anything, and refuses what it is doing already,
//! as after a lost socket, when the labman asks for everything again.
//!
//! Unloads are asked for at once. A load needs the memory that they free, and all of the bandwidth that there is to load
//! with: loads go one at a time, after all unloads.

use alloc::{format, string::String, vec::Vec};

use serde_json::Value;

use super::models::{Models, State};
use super::runtime::{self, Heard, Runtime};
use crate::http::Body;
use crate::limits;
use crate::machine::{Level, Outbox, ResetCode, StreamId};
use crate::openai::task::Task;
use crate::time::{Span, Time, Wake};
use crate::wire::portman::FromPortman;

#[derive(Default)]
pub(super) struct Moves {
    /// Loads that wait for their turn, in the order in which they were first asked for.
    waiting: Vec<Waiting>,
    under_way: Vec<Move>,
}

struct Waiting {
    model: String,
    priority: u8,
}

struct Move {
    model: String,
    to: Goal,
    until: Time,
    step: Step,
    /// A list has shown that the runtime is at it.
    was_loading: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    Running,
    Shelved,
}

enum Step {
    Asked {
        exchange: StreamId,
        status: u16,
        body: Body,
    },
    /// Lists that were asked for later decide.
    Answered {
        at: Time,
        refused: Option<String>,
    },
}

/// What a list makes of a move.
enum Verdict {
    GoesOn,
    Moved,
    NotMoved(String),
}

impl Moves {
    /// The list must be asked for more often.
    pub(super) fn is_moving(&self) -> bool {
        !self.under_way.is_empty()
    }

    pub(super) fn is_loading(&self, model: &str) -> bool {
        self.under_way.iter().any(|each| each.is(Goal::Running, model))
    }

    pub(super) fn is_unloading(&self, model: &str) -> bool {
        self.under_way.iter().any(|each| each.is(Goal::Shelved, model))
    }

    /// For a model that does not run. It begins with [`Self::go_on`].
    pub(super) fn load(&mut self, model: String, priority: u8) {
        if self.is_loading(&model) {
            return;
        }
        match self.waiting.iter_mut().find(|waiting| waiting.model == model) {
            Some(waiting) => waiting.priority = priority,
            None => self.waiting.push(Waiting { model, priority }),
        }
    }

    /// For a model that runs or is being loaded; a load of it is given up.
    pub(super) fn unload(&mut self, now: Time, model: String, runtime: &Runtime, out: &mut Outbox) {
        self.give_up_load(&model, out);
        if !self.is_unloading(&model) {
            self.under_way.push(Move::ask(now, model, Goal::Shelved, runtime, out));
        }
    }

    /// Nobody wants it loaded any more.
    pub(super) fn give_up_load(&mut self, model: &str, out: &mut Outbox) {
        self.waiting.retain(|waiting| waiting.model != model);
        self.under_way.retain(|each| {
            let given_up = each.is(Goal::Running, model);
            if given_up {
                each.hang_up(out);
            }
            !given_up
        });
    }

    /// Begins with the next load, if its turn has come.
    pub(super) fn go_on(&mut self, now: Time, models: &Models, runtime: &Runtime, out: &mut Outbox) {
        while self.under_way.is_empty() {
            let Some(waiting) = self.next() else { return };
            self.under_way.push(match models.state(&waiting.model) {
                // A hello has said so.
                Some(State::Running) => continue,
                // Somebody else has asked for it.
                Some(State::Loading) => Move::watch(now, waiting.model, Goal::Running),
                Some(State::Shelved | State::Failed) | None => {
                    Move::ask(now, waiting.model, Goal::Running, runtime, out)
                }
            });
        }
    }

    /// The highest priority; of several the first that came.
    fn next(&mut self) -> Option<Waiting> {
        let highest = self.waiting.iter().map(|waiting| waiting.priority).max()?;
        let at = self.waiting.iter().position(|waiting| waiting.priority == highest)?;
        Some(self.waiting.remove(at))
    }

    /// `false`: the exchange is none of these.
    pub(super) fn handle(
        &mut self,
        now: Time,
        exchange: StreamId,
        heard: Heard<'_>,
        out: &mut Outbox,
    ) -> bool {
        let mine = self.under_way.iter_mut().find(|each| each.exchange() == Some(exchange));
        mine.map(|each| each.handle(now, heard, out)).is_some()
    }

    /// There is a new list of models, or none to be had: ends the moves on which that decides.
    pub(super) fn listed(&mut self, models: &Models, out: &mut Outbox) -> Vec<FromPortman> {
        let mut said = Vec::new();
        self.under_way.retain_mut(|each| match each.judge(models) {
            Verdict::GoesOn => true,
            Verdict::Moved => false,
            Verdict::NotMoved(why) => {
                said.push(each.not_moved(why, out));
                false
            }
        });
        said
    }

    /// Ends the moves that take too long.
    pub(super) fn handle_timeout(&mut self, now: Time, out: &mut Outbox) -> Vec<FromPortman> {
        let mut said = Vec::new();
        self.under_way.retain(|each| {
            let late = each.until <= now;
            if late {
                each.hang_up(out);
                let why = format!("the runtime took more than {} s", each.to.within().as_millis() / 1000);
                said.push(each.not_moved(why, out));
            }
            !late
        });
        said
    }

    pub(super) fn poll_timeout(&self) -> Option<Wake> {
        let at = self.under_way.iter().map(|each| each.until).min()?;
        Some(Wake { at, why: "the runtime to have moved a model" })
    }

    /// The labman that asked is gone. What the runtime has begun it brings to its end.
    pub(super) fn forget(&mut self, out: &mut Outbox) {
        self.waiting.clear();
        for each in self.under_way.drain(..) {
            each.hang_up(out);
        }
    }
}

impl Goal {
    fn verb(self) -> &'static str {
        match self {
            Self::Running => "load",
            Self::Shelved => "unload",
        }
    }

    fn within(self) -> Span {
        match self {
            Self::Running => limits::LOAD_WITHIN,
            Self::Shelved => limits::UNLOAD_WITHIN,
        }
    }
}

impl Move {
    fn ask(now: Time, model: String, to: Goal, runtime: &Runtime, out: &mut Outbox) -> Self {
        out.event(Level::Info, "portman", format!("asks the runtime to {} {model:?}", to.verb()));
        let exchange = runtime.ask_to_move(to.verb(), &model, out);
        let step = Step::Asked { exchange, status: 0, body: Body::up_to(limits::HTTP_ANSWER) };
        Self { step, ..Self::watch(now, model, to) }
    }

    /// Without asking.
    fn watch(now: Time, model: String, to: Goal) -> Self {
        let step = Step::Answered { at: now, refused: None };
        Self { model, to, until: now + to.within(), step, was_loading: false }
    }

    fn is(&self, to: Goal, model: &str) -> bool {
        self.to == to && self.model == model
    }

    fn exchange(&self) -> Option<StreamId> {
        match self.step {
            Step::Asked { exchange, .. } => Some(exchange),
            Step::Answered { .. } => None,
        }
    }

    fn handle(&mut self, now: Time, heard: Heard<'_>, out: &mut Outbox) {
        let Step::Asked { exchange, status, body } = &mut self.step else { return };
        let refused = match heard {
            Heard::Head { status: answered } => {
                *status = answered;
                return;
            }
            Heard::Bytes(bytes) => match body.push(bytes) {
                Ok(()) => {
                    out.grant(*exchange, bytes.len());
                    return;
                }
                Err(_) => {
                    out.reset(*exchange, ResetCode::Cancelled);
                    Some(format!("the runtime answered more than {} bytes", limits::HTTP_ANSWER))
                }
            },
            Heard::Finished => refusal(*status, &body.take()),
            Heard::Reset => Some("the runtime can't be reached, or broke its answer off".into()),
        };
        self.step = Step::Answered { at: now, refused };
    }

    fn judge(&mut self, models: &Models) -> Verdict {
        let Step::Answered { at, refused } = &mut self.step else { return Verdict::GoesOn };
        if models.asked() <= *at {
            return Verdict::GoesOn;
        }
        if !models.answers() {
            return refused.take().map_or(Verdict::GoesOn, Verdict::NotMoved);
        }
        match (self.to, models.state(&self.model)) {
            (Goal::Running, Some(State::Running)) => Verdict::Moved,
            (Goal::Running, Some(State::Loading)) => {
                // Who is at it has refused nothing but to begin anew.
                *refused = None;
                self.was_loading = true;
                Verdict::GoesOn
            }
            (Goal::Running, state) => {
                let why = match state {
                    None => Some("the runtime has this model no more"),
                    Some(State::Failed) => Some("the runtime failed to load it: its own log says why"),
                    Some(_) if self.was_loading => Some("the runtime stopped loading it"),
                    Some(_) => None,
                };
                let why = refused.take().or(why.map(String::from));
                why.map_or(Verdict::GoesOn, Verdict::NotMoved)
            }
            (Goal::Shelved, Some(State::Running | State::Loading)) => {
                refused.take().map_or(Verdict::GoesOn, Verdict::NotMoved)
            }
            (Goal::Shelved, Some(State::Shelved | State::Failed) | None) => Verdict::Moved,
        }
    }

    fn not_moved(&self, message: String, out: &mut Outbox) -> FromPortman {
        let text = format!("the runtime did not {} {:?}: {message}", self.to.verb(), self.model);
        out.event(Level::Warn, "portman", text);
        FromPortman::NotMoved { model: self.model.clone(), message }
    }

    /// Stops listening.
    fn hang_up(&self, out: &mut Outbox) {
        if let Some(exchange) = self.exchange() {
            out.reset(exchange, ResetCode::Cancelled);
        }
    }
}

/// `None`: it will do as it was asked.
fn refusal(status: u16, body: &[u8]) -> Option<String> {
    let done = || -> Option<bool> { serde_json::from_slice::<Value>(body).ok()?.get("success")?.as_bool() };
    match status {
        200..300 if done() != Some(false) => None,
        _ => Some(runtime::refusal(Task::Chat, status, body).1),
    }
}
