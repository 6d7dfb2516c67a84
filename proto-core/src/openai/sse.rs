//! Server-sent events as OpenAI's API uses them: `data: <json>` and a blank line for each chunk, `data: [DONE]` last.
//!
//! What is absent: event names, ids and retry times (no chunk's meaning depends on them), reconnecting, and a lone `\r`
//! as the end of a line, which no runtime sends. An event that the end of the stream cuts off never was: the reader
//! gives only events that their blank line completed.

use alloc::{string::String, vec::Vec};

use crate::http::{Lines, TooLong};
use crate::limits;

/// The last event of a whole stream.
pub const DONE: &[u8] = b"data: [DONE]\n\n";

/// What readers pass over.
pub const COMMENT: &[u8] = b": keep-alive\n\n";

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The event's data; lines joined by `\n`.
    Data(String),
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("an event longer than {} bytes", limits::LINE)]
    TooLong,
    #[error("an event that is no UTF-8")]
    NotUtf8,
}

/// Cuts a stream's bytes into events.
#[derive(Debug)]
pub struct Reader {
    lines: Lines,
    /// Data of the event under way, once it has any.
    data: Option<String>,
}

impl Default for Reader {
    fn default() -> Self {
        Self { lines: Lines::up_to(limits::LINE), data: None }
    }
}

impl Reader {
    /// The events that these bytes complete. After an error the stream is of no more use.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, Malformed> {
        let mut events = Vec::new();
        for line in self.lines.push(bytes).map_err(|TooLong| Malformed::TooLong)? {
            if line.is_empty() {
                events.extend(self.data.take().map(Event::from_data));
            } else if let Some(value) = data_value(&line) {
                self.add(core::str::from_utf8(value).map_err(|_| Malformed::NotUtf8)?)?;
            }
        }
        Ok(events)
    }

    fn add(&mut self, line: &str) -> Result<(), Malformed> {
        let Some(data) = &mut self.data else {
            self.data = Some(line.into());
            return Ok(());
        };
        if data.len() + line.len() >= limits::LINE {
            return Err(Malformed::TooLong);
        }
        data.push('\n');
        data.push_str(line);
        Ok(())
    }
}

impl Event {
    fn from_data(data: String) -> Self {
        if data == "[DONE]" { Self::Done } else { Self::Data(data) }
    }
}

/// What a `data` field carries. `None`: a comment, or a field without meaning here.
fn data_value(line: &[u8]) -> Option<&[u8]> {
    match line.strip_prefix(b"data")? {
        [] => Some(&[]),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

/// One event that carries `data`.
pub fn event(data: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(data.len() + 8);
    for line in data.split('\n') {
        bytes.extend_from_slice(b"data: ");
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
    }
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn data(text: &str) -> Event {
        Event::Data(text.into())
    }

    #[test]
    fn only_data_matters() {
        let stream = b": keep-alive\r\n\r\nevent: x\r\nid: 7\ndata: {\"a\":1}\r\n\r\ndata:b\n\ndatabase: 5\n\ndata: [DONE]\n\n";
        assert_eq!(Reader::default().push(stream), Ok(vec![data("{\"a\":1}"), data("b"), Event::Done]));
    }

    #[test]
    fn an_event_without_its_blank_line_never_was() {
        let mut reader = Reader::default();
        assert_eq!(reader.push(b"data: whole\n\ndata: cut\n"), Ok(vec![data("whole")]));
        assert_eq!(reader.push(b"\n"), Ok(vec![data("cut")]));
    }

    #[test]
    fn an_endless_event_is_refused_however_it_is_cut_into_lines() {
        let line = |len| [b"data: ".as_slice(), &vec![b'x'; len], b"\n"].concat();
        assert_eq!(Reader::default().push(&line(limits::LINE)), Err(Malformed::TooLong));
        let mut reader = Reader::default();
        let refused = (0..=limits::LINE / 1000).find_map(|_| reader.push(&line(1000)).err());
        assert_eq!(refused, Some(Malformed::TooLong));
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        assert_eq!(Reader::default().push(b"data: \xff\n\n"), Err(Malformed::NotUtf8));
    }

    proptest! {
        #[test]
        fn events_are_the_same_however_the_bytes_are_cut(
            texts in prop::collection::vec("[a-zé {}:\n]{0,40}", 0..12),
            comments in any::<bool>(),
            cuts in prop::collection::vec(1usize..30, 1..20),
        ) {
            let mut stream = Vec::new();
            for text in &texts {
                if comments {
                    stream.extend_from_slice(b": ping\r\n\r\n");
                }
                stream.extend(event(text));
            }
            stream.extend_from_slice(DONE);

            let mut reader = Reader::default();
            let (mut read, mut rest) = (Vec::new(), stream.as_slice());
            for cut in cuts.iter().cycle() {
                let (head, tail) = rest.split_at((*cut).min(rest.len()));
                read.extend(reader.push(head).unwrap());
                rest = tail;
                if rest.is_empty() {
                    break;
                }
            }
            let expected: Vec<_> = texts.iter().map(|text| data(text)).chain([Event::Done]).collect();
            prop_assert_eq!(read, expected);
        }
    }
}
