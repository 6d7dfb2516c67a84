//! The local model runner: turns its labman's jobs into requests at a runtime. Knows nothing of mesh or FEPs.
//!
//! ```text
//!                  JSON lines, one socket               HTTP, a request a job
//!   labman  <--------------------------->  Portman  -------------------------->  runtime
//!            hello, chunks / jobs, credit            models, chat completions
//! ```
//!
//! - [`labman`]: the socket: dialled, redialled, cut into lines.
//! - [`models`]: what the runtime has, asked again and again; [`moves`]: what of it is to be loaded, and unloaded.
//! - [`job`]: one request's way through the runtime, no faster than its reader; [`meter`] counts it.
//! - [`runtime`]: the runtime's address and the ways it says no.
//!
//! What is absent: a queue (a job beyond the slots is refused: its labman lets jobs wait), a choice of what to load or
//! unload (that is the labman's), metrics, a store.

pub mod config;
mod job;
mod labman;
pub mod meter;
mod models;
mod moves;
mod runtime;
#[cfg(test)]
mod tests;

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use serde_json::Value;

use crate::limits::{FAREWELL, LEAVE, RUNTIME_MESSAGE};
use crate::machine::{
    Completion, DownReason, Input, Level, Machine, Outbox, Output, Peer, ResetCode, StreamId,
};
use crate::openai::task::Task;
use crate::rng::Seed;
use crate::time::{Now, Time, Wake};
use crate::wire::portman::{Fault, FromPortman, JobId, ToPortman};

use config::Config;
use job::Job;
use labman::Labman;
use models::{Learnt, Models, State};
use moves::Moves;
use runtime::{Heard, Runtime};

pub struct Portman {
    runtime: Runtime,
    labman: Labman,
    models: Models,
    moves: Moves,
    jobs: BTreeMap<JobId, Job>,
    /// Which job an HTTP exchange at the runtime serves.
    exchanges: BTreeMap<StreamId, JobId>,
    /// Asked to leave: until then running jobs may end, and the labman read of it.
    leaves: Option<Time>,
    out: Outbox,
}

impl Portman {
    /// Begins with the first call of `handle_timeout`, which is due at once.
    pub fn new(config: Config, seed: Seed, now: Now) -> Self {
        let runtime = Runtime::new(&config.runtime_url, config.runtime_key.as_deref());
        Self {
            models: Models::new(config.slots, config.context_length, now.mono),
            labman: Labman::new(config.labman_url, config.token, seed.stream("redial"), now.mono),
            runtime,
            moves: Moves::default(),
            jobs: BTreeMap::new(),
            exchanges: BTreeMap::new(),
            leaves: None,
            out: Outbox::default(),
        }
    }

    fn handle_labman(&mut self, now: Time, message: ToPortman) {
        match message {
            ToPortman::Start { job, .. } if self.jobs.contains_key(&job) => {
                self.drop_labman(now, "a job's number was used twice");
            }
            ToPortman::Start { job, model, body, credit } => match self.start(now, &model, body, credit) {
                Ok(started) => {
                    self.exchanges.insert(started.exchange(), job);
                    self.jobs.insert(job, started);
                }
                Err((fault, message)) => self.say(&FromPortman::Failed { job, fault, message }),
            },
            ToPortman::Credit { job, bytes } => {
                if let Some(running) = self.jobs.get_mut(&job) {
                    running.add_credit(bytes);
                    self.advance(now, job);
                }
            }
            ToPortman::LoadModel { model, priority } => self.load(now, model, priority),
            ToPortman::UnloadModel { model, reason } => self.unload(now, model, &reason),
            ToPortman::SetConcurrency { model, slots } => {
                if self.models.set_slots(model, slots) {
                    self.hello();
                }
            }
            ToPortman::Cancel { job } => {
                if let Some(mut running) = self.jobs.remove(&job) {
                    self.exchanges.remove(&running.exchange());
                    running.hang_up(&mut self.out);
                }
            }
        }
    }

    fn start(&mut self, now: Time, model: &str, body: Value, credit: u32) -> Result<Job, (Fault, String)> {
        let runs = self.models.state(model) == Some(State::Running) && !self.moves.is_unloading(model);
        if self.leaves.is_some() || !runs {
            return Err((Fault::ModelNotAvailable, format!("no model {model:?} runs here")));
        }
        if self.jobs_of(model) >= self.models.slots_of(model) as usize {
            return Err((Fault::Busy, "all slots are taken".into()));
        }
        let Value::Object(body) = body else {
            return Err((Fault::BadRequest, "the request is no JSON object".into()));
        };
        let asked = Task::of(&body).map(|task| (task, body));
        let started =
            asked.and_then(|asked| Job::start(model, asked, credit, now, &self.runtime, &mut self.out));
        started.ok_or((Fault::BadRequest, "the request is for nothing that a runtime does".into()))
    }

    fn jobs_of(&self, model: &str) -> usize {
        self.jobs.values().filter(|job| job.model() == model).count()
    }

    fn load(&mut self, now: Time, model: String, priority: u8) {
        match self.movable(&model) {
            Err(message) => self.say(&FromPortman::NotMoved { model, message }),
            // Its labman asked before it heard that: it waits for a hello.
            Ok(State::Running) if !self.moves.is_unloading(&model) => self.hello(),
            Ok(_) => {
                self.moves.load(model, priority);
                self.moves.go_on(now, &self.models, &self.runtime, &mut self.out);
            }
        }
    }

    fn unload(&mut self, now: Time, model: String, reason: &str) {
        let jobs = self.jobs_of(&model);
        match self.movable(&model) {
            Err(message) => self.say(&FromPortman::NotMoved { model, message }),
            Ok(_) if jobs > 0 => {
                let message = format!("jobs of it run here: {jobs}");
                self.say(&FromPortman::NotMoved { model, message });
            }
            Ok(State::Shelved | State::Failed) if !self.moves.is_loading(&model) => {
                self.moves.give_up_load(&model, &mut self.out);
                self.hello();
            }
            Ok(_) => {
                let reason: String = reason.chars().take(RUNTIME_MESSAGE).collect();
                self.out.event(
                    Level::Info,
                    "portman",
                    format!("the labman wants {model:?} unloaded: {reason}"),
                );
                self.moves.unload(now, model, &self.runtime, &mut self.out);
            }
        }
    }

    /// Where a model is, if it can be asked to be anywhere else.
    fn movable(&self, model: &str) -> Result<State, String> {
        let state = self.models.state(model).ok_or_else(|| format!("the runtime has no model {model:?}"))?;
        match (self.leaves, self.models.can_move()) {
            (Some(_), _) => Err("this Portman is about to leave".into()),
            (None, false) => Err("this runtime loads and unloads its models by itself".into()),
            (None, true) => Ok(state),
        }
    }

    /// There is a new list of the runtime's models, or none to be had.
    fn learnt(&mut self, now: Time, Learnt { changed }: Learnt) {
        if changed {
            self.hello();
        }
        for message in self.moves.listed(&self.models, &mut self.out) {
            self.say(&message);
        }
        self.moves.go_on(now, &self.models, &self.runtime, &mut self.out);
    }

    /// If it is time to; or gives up waiting for the answer.
    fn ask_for_models(&mut self, now: Time, moving: bool) {
        if let Some(learnt) = self.models.handle_timeout(now, moving, &self.runtime, &mut self.out) {
            self.learnt(now, learnt);
        }
    }

    /// Something came from the runtime.
    fn handle_runtime(&mut self, now: Time, exchange: StreamId, heard: Heard<'_>) {
        if self.models.is_asking(exchange) {
            if let Some(learnt) = self.models.handle(&self.runtime, heard, &mut self.out) {
                self.learnt(now, learnt);
            }
            return;
        }
        if self.moves.handle(now, exchange, heard, &mut self.out) {
            return;
        }
        let Some(id) = self.exchanges.get(&exchange).copied() else { return };
        if let Some(job) = self.jobs.get_mut(&id) {
            job.handle(now, heard, &mut self.out);
            self.advance(now, id);
        }
    }

    /// Says what a job's credit allows it to say, and forgets the job once it has said all.
    fn advance(&mut self, now: Time, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        for message in job.advance(now, id, &mut self.out) {
            self.labman.say(&message, &mut self.out);
        }
        let before = job.exchange();
        if job.go_on(now, &self.runtime, &mut self.out) {
            self.exchanges.remove(&before);
            self.exchanges.insert(job.exchange(), id);
        }
        if job.is_told() {
            self.exchanges.remove(&job.exchange());
            self.jobs.remove(&id);
        }
    }

    fn hello(&mut self) {
        // Who leaves serves nothing any more.
        let hello = match self.leaves {
            Some(_) => FromPortman::Hello { models: Vec::new(), shelf: Vec::new() },
            None => FromPortman::Hello { models: self.models.running(), shelf: self.models.shelf() },
        };
        self.say(&hello);
    }

    fn say(&mut self, message: &FromPortman) {
        self.labman.say(message, &mut self.out);
    }

    fn drop_labman(&mut self, now: Time, why: &'static str) {
        self.labman.hang_up(why, &mut self.out);
        self.labman_gone(now, DownReason::Failed);
    }

    /// Nobody waits for the jobs any more. What it wanted loaded, and how many at once, the labman says again.
    fn labman_gone(&mut self, now: Time, reason: DownReason) {
        self.labman.gone(now, reason, &mut self.out);
        self.moves.forget(&mut self.out);
        self.models.forget_slots();
        self.exchanges.clear();
        for mut job in core::mem::take(&mut self.jobs).into_values() {
            job.hang_up(&mut self.out);
        }
    }

    /// Asked to leave: nothing new from now on.
    fn leave(&mut self, now: Time) {
        if self.leaves.is_none() {
            self.leaves = Some(now + LEAVE);
            let text = match self.jobs.len() {
                0 => "leaves: no job runs".into(),
                jobs => format!("leaves once these are over: jobs: {jobs}"),
            };
            self.out.event(Level::Info, "portman", text);
            self.moves.forget(&mut self.out);
            self.hello();
            self.labman.leave();
        }
    }

    /// Its process ends when it has left, and with it whatever has not yet reached the labman. So it says that this is all, and
    /// waits until the labman, which has then read the rest too, closes the link.
    fn go_on_leaving(&mut self, now: Time) {
        if let Some(until) = self.leaves
            && self.jobs.is_empty()
            && self.labman.end(&mut self.out)
        {
            self.leaves = Some(until.max(now + FAREWELL));
        }
    }

    fn leave_timeout(&self) -> Option<Wake> {
        let at = self.leaves.filter(|_| !self.has_left())?;
        let why = match self.jobs.is_empty() {
            true => "the labman to read its last words",
            false => "running jobs to end before it leaves",
        };
        Some(Wake { at, why })
    }

    fn bytes(&mut self, now: Time, stream: StreamId, bytes: &[u8]) {
        if !self.labman.speaks_on(stream) {
            return self.handle_runtime(now, stream, Heard::Bytes(bytes));
        }
        match self.labman.read(bytes, &mut self.out) {
            Ok(messages) => {
                for message in messages {
                    // A message may have ended the link: what follows it was said to nobody.
                    if self.labman.speaks_on(stream) {
                        self.handle_labman(now, message);
                    }
                }
            }
            Err(why) => self.drop_labman(now, why),
        }
    }
}

impl Machine for Portman {
    fn handle(&mut self, now: Now, input: Input<'_>) {
        let now = now.mono;
        match input {
            Input::LinkUp { link, peer: Peer::Labman } => {
                if self.labman.up(now, link, &mut self.out) {
                    self.hello();
                }
            }
            Input::LinkUp { link, peer: Peer::Mesh { .. } | Peer::Portman { .. } } => {
                self.out.close(link, "a Portman links with its labman only");
            }
            Input::LinkDown { link, reason } => {
                if self.labman.is_on(link) {
                    self.labman_gone(now, reason);
                }
            }
            Input::Opened { stream, .. } | Input::Request { stream, .. } => {
                self.out.reset(stream, ResetCode::Refused);
            }
            Input::Response { stream, head } => {
                self.handle_runtime(now, stream, Heard::Head { status: head.status });
            }
            Input::Bytes { stream, bytes } => self.bytes(now, stream, bytes),
            // As it leaves: nothing is wrong.
            Input::Finished { stream } if self.labman.speaks_on(stream) => {
                self.labman.hang_up("the labman ended its stream", &mut self.out);
                self.labman_gone(now, DownReason::Closed);
            }
            // With its link, whose end comes next and tells whether anything is wrong.
            Input::Reset { stream, code: ResetCode::Unreachable } if self.labman.speaks_on(stream) => {}
            Input::Reset { stream, .. } if self.labman.speaks_on(stream) => {
                self.drop_labman(now, "the labman reset its stream");
            }
            Input::Finished { stream } => self.handle_runtime(now, stream, Heard::Finished),
            Input::Reset { stream, .. } => self.handle_runtime(now, stream, Heard::Reset),
            // What is under way to the labman is bounded by the jobs' credit, and a request's body is sent whole.
            Input::Credit { .. } => {}
            Input::Leave => self.leave(now),
            Input::Done(op, Completion::Dialled(Err(why))) => {
                self.labman.not_reached(now, op, &why, &mut self.out);
            }
            // The link itself was announced before; nothing is ever stored or read.
            Input::Done(_, Completion::Dialled(Ok(_)) | Completion::Stored(_) | Completion::Page(_)) => {}
        }
        self.go_on_leaving(now);
    }

    fn handle_timeout(&mut self, now: Now) {
        let now = now.mono;
        self.labman.handle_timeout(now, &mut self.out);
        for message in self.moves.handle_timeout(now, &mut self.out) {
            self.say(&message);
        }
        let moving = self.moves.is_moving();
        self.ask_for_models(now, moving);
        self.moves.go_on(now, &self.models, &self.runtime, &mut self.out);
        // What has just begun to move is asked for more often, so perhaps at once.
        if !moving && self.moves.is_moving() {
            self.ask_for_models(now, true);
        }
        let is_due = |job: &Job| job.poll_timeout().is_some_and(|wake| wake.at <= now);
        let due: Vec<JobId> = self.jobs.iter().filter(|(_, job)| is_due(job)).map(|(id, _)| *id).collect();
        for id in due {
            if let Some(job) = self.jobs.get_mut(&id) {
                job.handle_timeout(&mut self.out);
            }
            self.advance(now, id);
        }
        if self.leave_timeout().is_some_and(|wake| wake.at <= now) {
            self.drop_labman(now, "it leaves, and can't wait any longer");
        }
        self.go_on_leaving(now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.out.poll()
    }

    fn poll_timeout(&self) -> Option<Wake> {
        self.jobs
            .values()
            .map(Job::poll_timeout)
            .chain([self.labman.poll_timeout(), self.leave_timeout()])
            .chain([Some(self.models.poll_timeout(self.moves.is_moving())), self.moves.poll_timeout()])
            .fold(None, Wake::earliest)
    }

    fn stopped(&self) -> Option<&str> {
        None
    }

    fn has_left(&self) -> bool {
        self.labman.has_left()
    }
}
