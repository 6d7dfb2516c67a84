//! The Portman protocol: JSON objects, one a line (`\n`), on the one stream of a Portman's socket.
//!
//! A Portman dials its labman's WebSocket with a token, opens the stream and says `hello`. From then on the labman
//! starts jobs, and the Portman streams each one's chunks as far as the job's credit reaches.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::economics::Counts;

/// A job on one Portman socket, numbered by the labman from 1, never used again on that socket.
pub type JobId = u64;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToPortman {
    /// Run this OpenAI chat request (with `stream` and `max_tokens` set), sending at most `credit` bytes of chunk `data`.
    Start { job: JobId, model: String, body: serde_json::Value, credit: u32 },
    /// So many bytes of chunk `data` more.
    Credit { job: JobId, bytes: u32 },
    /// The job is not wanted any more: stop the runtime; nothing need be answered.
    Cancel { job: JobId },
    /// Get this model ready; of several the one of the highest priority first. A `hello` says when it is.
    LoadModel { model: String, priority: u8 },
    /// Give up this model's memory: no job of it runs. A `hello` says when that is done.
    UnloadModel { model: String, reason: String },
    /// Run so many requests of this model at once.
    SetConcurrency { model: String, slots: u32 },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromPortman {
    /// First, and again whenever what it says has changed: all models that run here now, and those that could be loaded.
    Hello {
        models: Vec<Model>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        shelf: Vec<Shelved>,
    },
    /// One `chat.completion.chunk` of the runtime, as JSON text, with the running counts.
    Chunk { job: JobId, data: String, counts: Counts },
    /// The runtime finished; final counts.
    Done { job: JobId, counts: Counts },
    /// The job ended without finishing. Before the first chunk it may be tried elsewhere.
    Failed { job: JobId, fault: Fault, message: String },
    /// A model could not be loaded or unloaded.
    NotMoved { model: String, message: String },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// As the runtime calls it.
    pub id: String,
    /// Longest prompt and answer together, in tokens.
    pub context_length: u32,
    /// Requests it may run at once.
    pub slots: u32,
}

/// A model that the runtime has, and does not run now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shelved {
    pub id: String,
    /// It is being loaded.
    #[serde(default)]
    pub loading: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The runtime says that the request is wrong.
    BadRequest,
    /// No such model here.
    ModelNotAvailable,
    /// All slots are taken.
    Busy,
    /// The runtime failed or can't be reached.
    RuntimeFailed,
}
