//! A line of a story: what it holds, as it is written and read.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    /// Microseconds of virtual time.
    pub(super) us: u64,
    pub(super) host: String,
    pub(super) what: What,
    /// Whether the machine heard it or said it; absent where it did neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) dir: Option<Dir>,
    /// As the machine calls them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) link: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stream: Option<u64>,
    /// The link or stream by a number that both ends share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) way: Option<u64>,
    /// Who is at the other end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) other: Option<String>,
    /// In bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) len: Option<u64>,
    /// The scenario's job that the whole way, or the line that has none, is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) job: Option<String>,
    /// The same for request ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) about: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) text: String,
    /// Messages that became complete with this.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) parts: Vec<Part>,
}

/// One message: a frame, an object, a line of a Portman's, an event, a body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) name: String,
    /// Ids of the requests it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) about: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) text: String,
    /// The job's number on a Portman's socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) portman_job: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Dir {
    In,
    Out,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    Started,
    Died,
    Wake,
    LinkUp,
    LinkDown,
    /// A stream on a link.
    Open,
    Request,
    Response,
    #[default]
    Bytes,
    Finish,
    Reset,
    Credit,
    Grant,
    Close,
    /// An operation, and its end.
    Start,
    Done,
    Log,
    Note,
}

impl Line {
    pub(super) fn with(self, text: String) -> Self {
        Self { text, ..self }
    }
}

impl Part {
    pub(super) fn new(name: &str, about: Vec<String>, text: String) -> Self {
        Self { name: name.into(), about, text, portman_job: None }
    }
}

/// The beginning of a text, of so many characters at most.
pub(super) fn clip(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
