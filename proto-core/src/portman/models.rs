//! What the runtime has, and what of it runs: asked at the start and every ten seconds, because models come and go while
//! it runs; up to a minute apart while nothing changes, and each second while the labman waits for a model to move.
//!
//! llama-server's router says of each model whether it is loaded (`status`). A runtime that says nothing of the kind loads
//! its models by itself when they are asked for, so that all it lists counts as running.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use serde_json::Value;

use super::runtime::{Heard, Runtime};
use crate::http::Body;
use crate::limits;
use crate::machine::{Level, Outbox, ResetCode, StreamId};
use crate::time::{Span, Time, Wake};
use crate::wire::portman::{Model, Shelved};

pub(super) struct Models {
    slots: u32,
    /// What the labman said instead, by model.
    slots_of: BTreeMap<String, u32>,
    /// For a model whose own the runtime does not tell.
    context_length: u32,
    list: Vec<Listed>,
    /// Whether the last answer was one; `None` before the first.
    answers: Option<bool>,
    asking: Option<Asking>,
    /// When it was asked last, and how long after that it is asked again.
    asked: Time,
    pause: Span,
}

/// A model as the runtime lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Listed {
    id: String,
    context_length: u32,
    /// `None`: it does not say.
    status: Option<State>,
}

/// Where a model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Running,
    Loading,
    Shelved,
    /// On the shelf, because it could not be loaded.
    Failed,
}

struct Asking {
    exchange: StreamId,
    body: Body,
    since: Time,
}

/// The question for the models has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Learnt {
    /// A hello would say something else than before.
    pub(super) changed: bool,
}

impl Asking {
    fn until(&self) -> Time {
        self.since + limits::MODELS_WITHIN
    }
}

impl Listed {
    fn state(&self) -> State {
        self.status.unwrap_or(State::Running)
    }
}

impl Models {
    pub(super) fn new(slots: u32, context_length: u32, now: Time) -> Self {
        Self {
            slots,
            slots_of: BTreeMap::new(),
            context_length,
            list: Vec::new(),
            answers: None,
            asking: None,
            asked: now,
            pause: Span::default(),
        }
    }

    /// Those that run.
    pub(super) fn running(&self) -> Vec<Model> {
        let running = self.list.iter().filter(|listed| listed.state() == State::Running);
        running
            .map(|listed| Model {
                id: listed.id.clone(),
                context_length: listed.context_length,
                slots: self.slots_of(&listed.id),
            })
            .collect()
    }

    /// Those that do not.
    pub(super) fn shelf(&self) -> Vec<Shelved> {
        let shelf = self.list.iter().filter(|listed| listed.state() != State::Running);
        shelf
            .map(|listed| Shelved { id: listed.id.clone(), loading: listed.state() == State::Loading })
            .collect()
    }

    /// `None`: the runtime has no such model, as far as is known.
    pub(super) fn state(&self, id: &str) -> Option<State> {
        self.list.iter().find(|listed| listed.id == id).map(Listed::state)
    }

    /// The runtime can be told which of its models to load.
    pub(super) fn can_move(&self) -> bool {
        self.list.iter().any(|listed| listed.status.is_some())
    }

    /// Whether the last answer was a list; and when that was asked for.
    pub(super) fn answers(&self) -> bool {
        self.answers == Some(true)
    }

    pub(super) fn asked(&self) -> Time {
        self.asked
    }

    pub(super) fn slots_of(&self, id: &str) -> u32 {
        self.slots_of.get(id).copied().unwrap_or(self.slots)
    }

    /// `true`: a hello would say something else than before.
    pub(super) fn set_slots(&mut self, id: String, slots: u32) -> bool {
        // A model without a slot would be one that is not there: that is said by unloading it.
        let slots = slots.max(1);
        let changed = self.slots_of(&id) != slots && self.state(&id) == Some(State::Running);
        let has_room = self.slots_of.len() < limits::PORTMAN_MODELS && id.len() <= limits::PORTMAN_MODEL_ID;
        if has_room || self.slots_of.contains_key(&id) {
            self.slots_of.insert(id, slots);
            return changed;
        }
        false
    }

    /// What a labman said of slots holds as long as its socket.
    pub(super) fn forget_slots(&mut self) {
        self.slots_of.clear();
    }

    pub(super) fn is_asking(&self, exchange: StreamId) -> bool {
        self.asking.as_ref().is_some_and(|asking| asking.exchange == exchange)
    }

    /// Takes in a part of the answer. `None`: there is more to come.
    pub(super) fn handle(&mut self, runtime: &Runtime, heard: Heard<'_>, out: &mut Outbox) -> Option<Learnt> {
        let asking = self.asking.as_mut()?;
        let exchange = asking.exchange;
        let outcome = match heard {
            Heard::Head { status: 200 } => return None,
            Heard::Bytes(bytes) => match asking.body.push(bytes) {
                Ok(()) => {
                    out.grant(exchange, bytes.len());
                    return None;
                }
                Err(_) => {
                    out.reset(exchange, ResetCode::Cancelled);
                    Err(format!("its list of models exceeds {} bytes", limits::HTTP_ANSWER))
                }
            },
            Heard::Finished => {
                let body = asking.body.take();
                parse(&body, self.context_length)
                    .ok_or_else(|| String::from("what it answered is no list of models"))
            }
            Heard::Head { status } => {
                out.reset(exchange, ResetCode::Cancelled);
                Err(match status {
                    401 | 403 => format!("it answered {status}: check the runtime's key"),
                    _ => format!("it answered {status}: check the runtime's URL"),
                })
            }
            Heard::Reset => Err("it can't be reached: start it, or correct its URL".into()),
        };
        Some(self.learn(runtime, outcome, out))
    }

    /// Asks, or gives up asking; each second while something is `moving`.
    pub(super) fn handle_timeout(
        &mut self,
        now: Time,
        moving: bool,
        runtime: &Runtime,
        out: &mut Outbox,
    ) -> Option<Learnt> {
        let mut learnt = None;
        if let Some(asking) = self.asking.as_ref().filter(|asking| asking.until() <= now) {
            out.reset(asking.exchange, ResetCode::Cancelled);
            learnt = Some(self.learn(runtime, Err("it does not answer: restart it".into()), out));
        }
        if self.asking.is_none() && self.next(moving) <= now {
            let exchange = runtime.ask_for_models(out);
            let body = Body::up_to(limits::HTTP_ANSWER);
            self.asking = Some(Asking { exchange, body, since: now });
        }
        learnt
    }

    pub(super) fn poll_timeout(&self, moving: bool) -> Wake {
        match &self.asking {
            Some(asking) => Wake { at: asking.until(), why: "the runtime's models must be here" },
            None => Wake { at: self.next(moving), why: "ask the runtime for its models" },
        }
    }

    fn next(&self, moving: bool) -> Time {
        self.asked + if moving { self.pause.min(limits::MOVING_EVERY) } else { self.pause }
    }

    fn learn(&mut self, runtime: &Runtime, outcome: Result<Vec<Listed>, String>, out: &mut Outbox) -> Learnt {
        let said = (self.running(), self.shelf());
        let was_known = self.answers;
        let failed = outcome.as_ref().err().cloned();
        let list = outcome.unwrap_or_default();
        let same = failed.is_none() && list == self.list;
        self.answers = Some(failed.is_none());
        self.list = list;
        let running = self.running();
        let shelf = self.shelf();
        if let Some(asking) = self.asking.take() {
            self.pause =
                if same { self.pause.doubled().min(limits::MODELS_AT_LEAST) } else { limits::MODELS_EVERY };
            self.asked = asking.since;
        }
        let origin = runtime.origin();
        match failed {
            None if said.0 != running || was_known != Some(true) => {
                let ids: Vec<&str> = running.iter().map(|model| model.id.as_str()).collect();
                let text = format!("the runtime at {origin} offers {} models: {}", ids.len(), ids.join(", "));
                out.event(Level::Info, "portman", text);
            }
            Some(why) if was_known != Some(false) => {
                out.event(Level::Warn, "portman", format!("no models from the runtime at {origin}: {why}"));
            }
            None | Some(_) => {}
        }
        Learnt { changed: said != (running, shelf) }
    }
}

/// `None`: no such list. A model without a (fitting) id is left out, as are those beyond the limit.
fn parse(body: &[u8], context_length: u32) -> Option<Vec<Listed>> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let models = answer.get("data")?.as_array()?.iter().filter_map(|model| {
        let id = model.get("id")?.as_str()?;
        let context_length = own_context_length(model).unwrap_or(context_length);
        let fits = id.len() <= limits::PORTMAN_MODEL_ID;
        fits.then(|| Listed { id: id.into(), context_length, status: status(model) })
    });
    Some(models.take(limits::PORTMAN_MODELS).collect())
}

/// A model that sleeps wakes by itself when it is asked, so it counts as running. What this version does not know of counts
/// as not running.
fn status(model: &Value) -> Option<State> {
    Some(match model.pointer("/status/value")?.as_str()? {
        "loaded" | "sleeping" => State::Running,
        "loading" => State::Loading,
        _ if model.pointer("/status/failed").and_then(Value::as_bool) == Some(true) => State::Failed,
        _ => State::Shelved,
    })
}

/// vLLM says `max_model_len`; llama.cpp `meta.n_ctx` (of one slot, so it is not divided) or the length it was trained
/// for; others, this project's toy among them, `context_length`.
fn own_context_length(model: &Value) -> Option<u32> {
    ["/max_model_len", "/meta/n_ctx", "/meta/n_ctx_train", "/context_length"]
        .iter()
        .filter_map(|place| model.pointer(place)?.as_u64())
        .find(|tokens| *tokens > 0)
        .map(|tokens| u32::try_from(tokens).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_runtime_tells_the_context_length_in_its_own_way() {
        let body = br#"{"object":"list","data":[
            {"id":"vllm","max_model_len":8192},
            {"id":"llama.cpp","meta":{"n_ctx":2048,"n_ctx_train":4096}},
            {"id":"unloaded","meta":{"n_ctx_train":4096}},
            {"id":"toy","context_length":512},
            {"id":"ollama","meta":null,"context_length":0},
            {"no":"id"}
        ]}"#;
        let models = parse(body, 1000).unwrap();
        let lengths: Vec<_> = models.iter().map(|model| (model.id.as_str(), model.context_length)).collect();
        let expected =
            [("vllm", 8192), ("llama.cpp", 2048), ("unloaded", 4096), ("toy", 512), ("ollama", 1000)];
        assert_eq!(lengths, expected);
        assert!(models.iter().all(|model| model.state() == State::Running), "none says anything else");
    }

    #[test]
    fn an_answer_of_another_kind_is_no_list() {
        for body in ["", "<html>", "[]", r#"{"data":5}"#, r#"{"error":{"message":"no"}}"#] {
            assert_eq!(parse(body.as_bytes(), 1), None, "{body}");
        }
        assert_eq!(parse(br#"{"data":[]}"#, 1), Some(Vec::new()));
    }

    #[test]
    fn only_what_is_loaded_runs_where_the_runtime_tells() {
        let body = br#"{"data":[
            {"id":"a","status":{"value":"loaded","args":["x"]}},
            {"id":"b","status":{"value":"sleeping"}},
            {"id":"c","status":{"value":"loading","failed":true}},
            {"id":"d","status":{"value":"unloaded"}},
            {"id":"e","status":{"value":"unloaded","failed":true,"exit_code":1}},
            {"id":"f","status":{"value":"frozen","failed":"no"}},
            {"id":"g","status":"loaded"}
        ]}"#;
        let states: Vec<_> = parse(body, 1).unwrap().iter().map(|model| model.status).collect();
        let expected = [
            Some(State::Running),
            Some(State::Running),
            Some(State::Loading),
            Some(State::Shelved),
            Some(State::Failed),
            Some(State::Shelved),
            None,
        ];
        assert_eq!(states, expected);
    }
}
