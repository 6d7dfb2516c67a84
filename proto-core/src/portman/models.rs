//! What the runtime offers: asked at the start and every ten seconds, because models come and go while it runs; up to a
//! minute apart while nothing changes.

use alloc::{format, string::String, vec::Vec};

use serde_json::Value;

use super::runtime::{Heard, Runtime};
use crate::http::Body;
use crate::limits;
use crate::machine::{Level, Outbox, ResetCode, StreamId};
use crate::time::{Span, Time, Wake};
use crate::wire::portman::Model;

pub(super) struct Models {
    slots: u32,
    /// For a model whose own the runtime does not tell.
    context_length: u32,
    list: Vec<Model>,
    /// Whether the last answer was one; `None` before the first.
    answers: Option<bool>,
    asking: Option<Asking>,
    /// When to ask next, and how long after the last time.
    next: Time,
    pause: Span,
}

struct Asking {
    exchange: StreamId,
    body: Body,
    since: Time,
}

impl Asking {
    fn until(&self) -> Time {
        self.since + limits::MODELS_WITHIN
    }
}

impl Models {
    pub(super) fn new(slots: u32, context_length: u32, now: Time) -> Self {
        Self {
            slots,
            context_length,
            list: Vec::new(),
            answers: None,
            asking: None,
            next: now,
            pause: limits::MODELS_EVERY,
        }
    }

    pub(super) fn list(&self) -> &[Model] {
        &self.list
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.list.iter().any(|model| model.id == id)
    }

    pub(super) fn is_asking(&self, exchange: StreamId) -> bool {
        self.asking.as_ref().is_some_and(|asking| asking.exchange == exchange)
    }

    /// Takes in a part of the answer. `true`: the list has changed.
    pub(super) fn handle(&mut self, runtime: &Runtime, heard: Heard<'_>, out: &mut Outbox) -> bool {
        let Some(asking) = &mut self.asking else { return false };
        let exchange = asking.exchange;
        let outcome = match heard {
            Heard::Head { status: 200 } => return false,
            Heard::Bytes(bytes) => match asking.body.push(bytes) {
                Ok(()) => {
                    out.grant(exchange, bytes.len());
                    return false;
                }
                Err(_) => {
                    out.reset(exchange, ResetCode::Cancelled);
                    Err(format!("its list of models exceeds {} bytes", limits::HTTP_ANSWER))
                }
            },
            Heard::Finished => {
                let body = asking.body.take();
                parse(&body, self.slots, self.context_length)
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
        self.learn(runtime, outcome, out)
    }

    /// Asks, or gives up asking. `true`: the list has changed.
    pub(super) fn handle_timeout(&mut self, now: Time, runtime: &Runtime, out: &mut Outbox) -> bool {
        let mut changed = false;
        if let Some(asking) = self.asking.as_ref().filter(|asking| asking.until() <= now) {
            out.reset(asking.exchange, ResetCode::Cancelled);
            changed = self.learn(runtime, Err("it does not answer: restart it".into()), out);
        }
        if self.asking.is_none() && self.next <= now {
            let exchange = runtime.ask_for_models(out);
            let body = Body::up_to(limits::HTTP_ANSWER);
            self.asking = Some(Asking { exchange, body, since: now });
        }
        changed
    }

    pub(super) fn poll_timeout(&self) -> Wake {
        match &self.asking {
            Some(asking) => Wake { at: asking.until(), why: "the runtime's models must be here" },
            None => Wake { at: self.next, why: "ask the runtime for its models" },
        }
    }

    fn learn(&mut self, runtime: &Runtime, outcome: Result<Vec<Model>, String>, out: &mut Outbox) -> bool {
        let (answers, list) = (outcome.is_ok(), outcome.as_ref().cloned().unwrap_or_default());
        let changed = list != self.list;
        if let Some(asking) = self.asking.take() {
            let same = answers && !changed;
            self.pause =
                if same { self.pause.doubled().min(limits::MODELS_AT_LEAST) } else { limits::MODELS_EVERY };
            self.next = asking.since + self.pause;
        }
        let origin = runtime.origin();
        match outcome {
            Ok(list) if changed || self.answers != Some(true) => {
                let ids: Vec<&str> = list.iter().map(|model| model.id.as_str()).collect();
                let text = format!("the runtime at {origin} offers {} models: {}", ids.len(), ids.join(", "));
                out.event(Level::Info, "portman", text);
            }
            Err(why) if self.answers != Some(false) => {
                out.event(Level::Warn, "portman", format!("no models from the runtime at {origin}: {why}"));
            }
            Ok(_) | Err(_) => {}
        }
        self.answers = Some(answers);
        self.list = list;
        changed
    }
}

/// `None`: no such list. A model without a (fitting) id is left out, as are those beyond the limit.
fn parse(body: &[u8], slots: u32, context_length: u32) -> Option<Vec<Model>> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let models = answer.get("data")?.as_array()?.iter().filter_map(|model| {
        let id = model.get("id")?.as_str()?;
        let context_length = own_context_length(model).unwrap_or(context_length);
        (id.len() <= limits::PORTMAN_MODEL_ID).then(|| Model { id: id.into(), context_length, slots })
    });
    Some(models.take(limits::PORTMAN_MODELS).collect())
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
        let models = parse(body, 3, 1000).unwrap();
        let lengths: Vec<_> = models.iter().map(|model| (model.id.as_str(), model.context_length)).collect();
        let expected =
            [("vllm", 8192), ("llama.cpp", 2048), ("unloaded", 4096), ("toy", 512), ("ollama", 1000)];
        assert_eq!(lengths, expected);
        assert!(models.iter().all(|model| model.slots == 3));
    }

    #[test]
    fn an_answer_of_another_kind_is_no_list() {
        for body in ["", "<html>", "[]", r#"{"data":5}"#, r#"{"error":{"message":"no"}}"#] {
            assert_eq!(parse(body.as_bytes(), 1, 1), None, "{body}");
        }
        assert_eq!(parse(br#"{"data":[]}"#, 1, 1), Some(Vec::new()));
    }
}
