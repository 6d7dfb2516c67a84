//! One direction of a stream: bytes go in, messages come out when they are whole.

use labman_proto_core::http::{RequestHead, ResponseHead};
use labman_proto_core::wire::envelope::{Frame, FrameReader};
use labman_proto_core::wire::portal::OBJECT_TYPE;

/// So much of a body or line is kept; any signed object fits.
const KEPT: usize = 64 * 1024;

#[derive(Debug, Default)]
pub(super) enum Lane {
    /// It can't be read, or is not looked at.
    #[default]
    Opaque,
    Frames(FrameReader),
    /// A Portman's socket.
    Messages(Vec<u8>),
    /// Server-sent events.
    Events(Vec<u8>),
    Body {
        object: bool,
        kept: Vec<u8>,
        len: usize,
    },
}

#[derive(Debug)]
pub(super) enum Message {
    Frame(Frame),
    /// From here on the stream makes no sense.
    Broken(String),
    Portman(Vec<u8>),
    Event(Vec<u8>),
    Object(Vec<u8>),
    Body {
        kept: Vec<u8>,
        len: usize,
    },
}

impl Lane {
    pub(super) fn on_link(mesh: bool) -> Self {
        if mesh { Self::Frames(FrameReader::default()) } else { Self::Messages(Vec::new()) }
    }

    pub(super) fn of_request(head: &RequestHead) -> Self {
        Self::of(head.header("content-type"))
    }

    pub(super) fn of_response(head: &ResponseHead) -> Self {
        Self::of(head.header("content-type"))
    }

    fn of(content_type: Option<&str>) -> Self {
        match content_type {
            Some(kind) if kind.starts_with("text/event-stream") => Self::Events(Vec::new()),
            kind => Self::Body { object: kind == Some(OBJECT_TYPE), kept: Vec::new(), len: 0 },
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Message> {
        match self {
            Self::Opaque => Vec::new(),
            Self::Frames(reader) => {
                reader.push(bytes);
                let mut messages = Vec::new();
                loop {
                    match reader.poll() {
                        Ok(Some(frame)) => messages.push(Message::Frame(frame)),
                        Ok(None) => return messages,
                        Err(bad) => {
                            messages.push(Message::Broken(bad.to_string()));
                            *self = Self::Opaque;
                            return messages;
                        }
                    }
                }
            }
            Self::Messages(kept) => lines(kept, bytes).into_iter().map(Message::Portman).collect(),
            Self::Events(kept) => lines(kept, bytes).into_iter().map(Message::Event).collect(),
            Self::Body { kept, len, .. } => {
                *len += bytes.len();
                keep(kept, bytes);
                Vec::new()
            }
        }
    }

    /// No more comes.
    pub(super) fn end(&mut self) -> Option<Message> {
        match std::mem::take(self) {
            Self::Body { len: 0, .. } | Self::Opaque | Self::Frames(_) => None,
            Self::Body { object: true, kept, .. } => Some(Message::Object(kept)),
            Self::Body { object: false, kept, len } => Some(Message::Body { kept, len }),
            Self::Messages(kept) => (!kept.is_empty()).then_some(Message::Portman(kept)),
            Self::Events(kept) => (!kept.is_empty()).then_some(Message::Event(kept)),
        }
    }
}

fn keep(kept: &mut Vec<u8>, bytes: &[u8]) {
    let room = KEPT.saturating_sub(kept.len()).min(bytes.len());
    kept.extend_from_slice(&bytes[..room]);
}

/// Lines that end in these bytes, without their ends. Empty ones are left out.
fn lines(kept: &mut Vec<u8>, bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
        keep(kept, piece.strip_suffix(b"\n").unwrap_or(piece));
        if piece.ends_with(b"\n") {
            let line = std::mem::take(kept);
            found.extend(Some(line).filter(|line| !line.is_empty() && line != b"\r"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_told_once_its_last_byte_has_come() {
        let mut lane = Lane::Events(Vec::new());
        assert!(lane.push(b"data: {\"a\":").is_empty());
        let messages = lane.push(b"1}\n\ndata: [DONE]\n\n");
        let texts: Vec<_> = messages.iter().map(|message| format!("{message:?}")).collect();
        assert_eq!(texts.len(), 2, "{texts:?}");
        assert!(lane.end().is_none());
    }

    #[test]
    fn a_stream_that_is_no_frames_is_told_of_once() {
        let mut lane = Lane::on_link(true);
        assert!(matches!(lane.push(&[0xff; 64])[..], [Message::Broken(_)]));
        assert!(lane.push(&[0xff; 64]).is_empty());
    }
}
