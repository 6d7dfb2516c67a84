//! What of the toy's models is in memory. Like llama-server's router it moves them when it is told to; unlike it, it evicts
//! none to make room, and loads none because it is asked something: whoever tells it has to know what they do.

use alloc::{format, string::String, vec::Vec};

use super::Refusal;
use super::config::Config;
use crate::time::{Span, Time};

pub(super) struct Memory {
    models: Vec<Model>,
    room: usize,
    load_takes: Span,
}

struct Model {
    name: String,
    /// From when on it can be asked. `None`: it is not in memory. Until then it takes its room already.
    ready_at: Option<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Unloaded,
    Loading,
    Loaded,
}

impl Status {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Unloaded => "unloaded",
            Self::Loading => "loading",
            Self::Loaded => "loaded",
        }
    }
}

impl Memory {
    pub(super) fn new(config: &Config, now: Time) -> Self {
        let mut memory = Self { models: Vec::new(), room: config.room, load_takes: config.load_takes };
        for name in &config.models {
            let is_in = config.models.len() == 1 || (config.loaded.contains(name) && memory.has_room());
            memory.models.push(Model { name: name.clone(), ready_at: is_in.then_some(now) });
        }
        memory
    }

    /// There is something to load and unload.
    pub(super) fn moves(&self) -> bool {
        self.models.len() > 1
    }

    pub(super) fn list(&self, now: Time) -> impl Iterator<Item = (&str, Status)> {
        self.models.iter().map(move |model| (model.name.as_str(), model.status(now)))
    }

    /// Whether this model can be asked.
    pub(super) fn check(&self, now: Time, name: &str) -> Result<(), Refusal> {
        let model = self.models.iter().find(|model| model.name == name).ok_or_else(|| unknown(name))?;
        match model.status(now) {
            Status::Loaded => Ok(()),
            Status::Loading => Err((503, None, format!("the model {name:?} is being loaded"))),
            Status::Unloaded => Err((503, None, format!("the model {name:?} is not loaded: load it first"))),
        }
    }

    pub(super) fn load(&mut self, now: Time, name: &str) -> Result<(), Refusal> {
        let (has_room, room, ready_at) = (self.has_room(), self.room, now + self.load_takes);
        let model = self.model(name)?;
        if model.ready_at.is_some() {
            return Err((400, None, format!("the model {name:?} is {} already", model.status(now).name())));
        }
        if !has_room {
            let message = format!("memory is full with {room} models, and none is evicted: unload one first");
            return Err((400, None, message));
        }
        model.ready_at = Some(ready_at);
        Ok(())
    }

    /// Also of a model that is being loaded. Answers that are under way go on to their end.
    pub(super) fn unload(&mut self, name: &str) -> Result<(), Refusal> {
        match self.model(name)?.ready_at.take() {
            Some(_) => Ok(()),
            None => Err((400, None, format!("the model {name:?} is not loaded"))),
        }
    }

    fn has_room(&self) -> bool {
        self.models.iter().filter(|model| model.ready_at.is_some()).count() < self.room
    }

    fn model(&mut self, name: &str) -> Result<&mut Model, Refusal> {
        self.models.iter_mut().find(|model| model.name == name).ok_or_else(|| unknown(name))
    }
}

impl Model {
    fn status(&self, now: Time) -> Status {
        match self.ready_at {
            None => Status::Unloaded,
            Some(at) if now < at => Status::Loading,
            Some(_) => Status::Loaded,
        }
    }
}

fn unknown(name: &str) -> Refusal {
    (404, Some("model_not_found"), format!("the model {name:?} does not exist"))
}
