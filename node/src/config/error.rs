//! What is wrong with a config file, and where.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

/// A config file that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error(
        "can't read the config file {}: {why}; name another with --config, or write one with `init`",
        path.display()
    )]
    Unreadable { path: PathBuf, why: String },
    #[error("{0}")]
    Fault(Box<Fault>),
}

/// One mistake at one place. Lines and columns count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub path: PathBuf,
    pub line: usize,
    pub column: usize,
    /// Dotted, with the table it is in: `gateway.listen`.
    pub key: String,
    /// What is wrong, and what to write instead.
    pub message: String,
    /// The line itself.
    pub excerpt: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, column, key, message, excerpt } = self;
        write!(f, "{}:{line}:{column}: ", path.display())?;
        if !key.is_empty() {
            write!(f, "`{key}`: ")?;
        }
        let (gutter, indent) = (line.to_string(), " ".repeat(column - 1));
        write!(f, "{message}\n  {gutter} | {excerpt}\n  {} | {indent}^", " ".repeat(gutter.len()))
    }
}

/// A file's text, which every error needs to say where it is.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

impl Source {
    /// An error at `span` (bytes of the text); without one, at the file's beginning.
    pub(super) fn fault(&self, span: Option<Range<usize>>, message: &str) -> ConfigError {
        let at = span.unwrap_or(0..0);
        let start = at.start.min(self.text.len());
        let before = self.text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        let excerpt = self.text.get(line_start..).unwrap_or_default().lines().next().unwrap_or_default();
        ConfigError::Fault(Box::new(Fault {
            path: self.path.clone(),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            key: self.key(before, line_start, at),
            message: with_remedy(message),
            excerpt: excerpt.to_string(),
        }))
    }

    /// The key a span belongs to: the span itself where it is one, else the key left of its `=`, under its table and the
    /// inline tables around it.
    fn key(&self, before: &str, line_start: usize, at: Range<usize>) -> String {
        let spanned = self.text.get(at.clone()).unwrap_or_default();
        let after = self.text.get(at.end..).unwrap_or_default();
        let left = before.get(line_start..).unwrap_or_default();
        let begins_line = left.trim().is_empty() && spanned.starts_with('[');
        if begins_line && !after.trim_start().starts_with('=') && is_header(spanned) {
            return header_name(spanned).to_string();
        }
        let (mut keys, value_of) = around(left);
        if after.trim_start_matches([' ', '\t']).starts_with('=') {
            keys.push(spanned);
        } else {
            keys.extend(value_of);
        }
        let own = keys.join(".");
        let table = before.lines().rev().map(str::trim).find(|line| is_header(line)).map(header_name);
        match (table, own) {
            (Some(table), own) if !own.is_empty() => format!("{table}.{own}"),
            (Some(table), _) => table.to_string(),
            (None, own) => own,
        }
    }
}

fn is_header(line: &str) -> bool {
    line.starts_with('[') && !line.contains('=')
}

fn header_name(line: &str) -> &str {
    line.split('#').next().unwrap_or_default().trim().trim_matches(['[', ']'])
}

/// The inline tables that a line's beginning leaves open, by their keys, and the key whose value comes next.
fn around(left: &str) -> (Vec<&str>, Option<&str>) {
    let (mut open, mut key, mut quote) = (Vec::new(), None, None);
    for (at, c) in left.char_indices() {
        match (quote, c) {
            (Some(end), c) if c == end => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '=') => key = Some(last_word(&left[..at])),
            (None, '{') => open.push(key.take().unwrap_or_default()),
            (None, '}') => key = open.pop(),
            (None, ',') => key = None,
            (None, _) => {}
        }
    }
    (open, key)
}

fn last_word(text: &str) -> &str {
    text.trim_end().rsplit([' ', '\t', '{', ',']).next().unwrap_or_default()
}

/// What a person calls what a field may have. TOML itself has no number beyond 63 bits; a field of type usize or u64 is never 0.
const EXPECTED: [(&str, &str); 9] = [
    ("a nonzero usize", "a whole number from 1 to 9223372036854775807"),
    ("a nonzero u32", "a whole number from 1 to 4294967295"),
    ("a nonzero u64", "a whole number from 1 to 9223372036854775807"),
    ("usize", "a whole number from 1 to 9223372036854775807"),
    ("u64", "a whole number from 1 to 9223372036854775807"),
    ("u32", "a whole number from 0 to 4294967295"),
    ("a sequence", "a list in brackets, such as [\"...\"]"),
    ("a map", "a table such as { name = ... }"),
    ("path string", "a path in quotes"),
];
/// And what a person calls what is written there.
const WRITTEN: [(&str, &str); 2] =
    [("invalid type: sequence", "invalid type: a list"), ("invalid type: map", "invalid type: a table")];

fn in_words(message: &str) -> String {
    let Some((written, expected)) = message.rsplit_once(", expected ") else { return message.to_string() };
    let said = |words: &[(&'static str, &'static str)], name| {
        words.iter().find(|(known, _)| *known == name).map(|(_, said)| *said)
    };
    let written = said(&WRITTEN, written).unwrap_or(written).replacen("unknown variant", "unknown value", 1);
    let written = written.strip_suffix(" as i128").unwrap_or(&written);
    let expected = said(&EXPECTED, expected.trim_end()).unwrap_or(expected);
    format!("{written}, expected {expected}")
}

/// The parser's own messages say what is wrong, not what to do.
fn with_remedy(message: &str) -> String {
    let message = in_words(message);
    let remedy = if message.starts_with("unknown field") {
        "; remove it or correct its spelling"
    } else if message.starts_with("missing field") {
        "; add it"
    } else if message.starts_with("invalid type") {
        "; write the value in the type it expects"
    } else if message.starts_with("invalid value: integer") {
        "; write such a number"
    } else {
        ""
    };
    format!("{}{remedy}", message.trim_end())
}
