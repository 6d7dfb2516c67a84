//! Messages become parts of a line, and say what the way they are on is about.

use serde_json::Value;

use super::lane::Message;
use super::line::{Dir, Part, clip};
use super::{Story, Tag, frames, objects};
use crate::host::HostId;

const SHOWN: usize = 400;

impl Story {
    pub(super) fn parts(
        &mut self,
        host: HostId,
        way: Option<u64>,
        dir: Dir,
        messages: impl IntoIterator<Item = Message>,
    ) -> Vec<Part> {
        messages.into_iter().map(|message| self.part(host, way, dir, &message)).collect()
    }

    fn part(&mut self, host: HostId, way: Option<u64>, dir: Dir, message: &Message) -> Part {
        let part = match message {
            Message::Frame(frame) => frames::part(frame, &mut self.names),
            Message::Broken(why) => Part::new("no frames", Vec::new(), why.clone()),
            Message::Object(bytes) => objects::part(bytes, &mut self.names)
                .unwrap_or_else(|| Part::new("no object", Vec::new(), format!("{} bytes", bytes.len()))),
            Message::Event(line) => event(line),
            Message::Body { kept, len } => {
                let text = clip(&String::from_utf8_lossy(kept), SHOWN);
                Part::new("body", Vec::new(), format!("{len} bytes: {text}"))
            }
            Message::Portman(line) => self.portman(host, way, dir, line),
        };
        if let ("ProxyRequest" | "AuthorizeRequest" | "UsageReport", Some(way)) = (part.name.as_str(), way) {
            self.tag(way).about.clone_from(&part.about);
        }
        if dir == Dir::In {
            let call = &mut self.teller(host).call;
            call.about
                .extend(part.about.iter().filter(|id| !call.about.contains(id)).cloned().collect::<Vec<_>>());
        }
        part
    }

    pub(super) fn tag(&mut self, way: u64) -> &mut Tag {
        self.tags.entry(way).or_default()
    }

    /// A line of a Portman's socket. Its start names no request: it is that of the call in which it was said.
    fn portman(&mut self, host: HostId, way: Option<u64>, dir: Dir, line: &[u8]) -> Part {
        let Ok(message) = serde_json::from_slice::<Value>(line) else {
            return Part::new("no message", Vec::new(), clip(&String::from_utf8_lossy(line), SHOWN));
        };
        let name = message["type"].as_str().unwrap_or("no message");
        let key = way.zip(message["job"].as_u64());
        if let ("start", Dir::Out, Some(key)) = (name, dir, key)
            && let [request] = &self.teller(host).call.about[..]
        {
            let request = request.clone();
            self.portman_jobs.insert(key, request);
        }
        let about = key.and_then(|key| self.portman_jobs.get(&key)).cloned();
        if let ("start", Dir::In, Some(request)) = (name, dir, &about) {
            self.teller(host).call.starts.push_back(request.clone());
        }
        let text = portman_text(name, &message);
        Part { portman_job: message["job"].as_u64(), ..Part::new(name, about.into_iter().collect(), text) }
    }
}

fn portman_text(name: &str, message: &Value) -> String {
    let shown = |key: &str| message[key].to_string();
    let tokens = || {
        let counts = &message["counts"];
        format!("{} tokens in, {} out", counts["input"], counts["output"])
    };
    let text = match name {
        "start" => format!("{} with credit for {} bytes: {}", shown("model"), shown("credit"), shown("body")),
        "chunk" => format!("{}, {}", tokens(), message["data"].as_str().unwrap_or_default()),
        "done" => tokens(),
        "failed" => format!("{}: {}", shown("fault"), shown("message")),
        "credit" => format!("{} bytes more", shown("bytes")),
        "cancel" => String::new(),
        _ => message.to_string(),
    };
    clip(&text, SHOWN)
}

/// A line of an event stream.
fn event(line: &[u8]) -> Part {
    let line = String::from_utf8_lossy(line);
    match line.trim_end().split_once(':') {
        Some(("data", data)) if data.trim() == "[DONE]" => Part::new("[DONE]", Vec::new(), String::new()),
        Some(("data", data)) => Part::new("event", Vec::new(), clip(data.trim(), SHOWN)),
        Some(("", _)) => Part::new("comment", Vec::new(), String::new()),
        Some(_) | None => Part::new("field", Vec::new(), clip(&line, SHOWN)),
    }
}
