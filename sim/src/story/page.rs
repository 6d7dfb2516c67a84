//! A story as a person reads it: one line a happening, in columns.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use labman_proto_core::time::Span;

use super::line::{Dir, Line, Part, What, clip};
use super::survey::{Survey, Trail, each};

/// Of what is said of a happening, unless all is wished for.
const WIDE: usize = 140;

/// What of a story is to be shown.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// Only these hosts; empty: all.
    pub nodes: Vec<String>,
    /// Only what belongs to this job: its name in the scenario, or a request id.
    pub job: Option<String>,
    pub from: Option<Span>,
    pub until: Option<Span>,
    /// Also pieces, credit, wakes and ends.
    pub all: bool,
}

#[derive(Debug)]
struct Row {
    us: u64,
    host: String,
    dir: Option<Dir>,
    other: String,
    what: String,
    /// Where it belongs, to be folded with its like.
    way: Option<u64>,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// The head of an exchange, in whose row its body is shown.
    Head,
    /// One of many of a job's, of which the first two and the last are shown.
    Chunk(Vec<String>),
    Other,
}

/// Writes what is wished for of the story in that file.
///
/// # Errors
/// With a text for people: the file can't be read, a name is not in it, or `out` can't be written.
pub fn page(file: &Path, wish: &Wish, out: &mut impl Write) -> Result<(), String> {
    let (survey, broken) = Survey::of(file)?;
    survey.check_hosts(&wish.nodes)?;
    let trail = wish.job.as_deref().map(|job| survey.trail(job)).transpose()?;
    let mut rows = Vec::new();
    let read = each(file, |line| {
        if wish.wants(&line) {
            add_rows(&mut rows, wish, trail.as_ref(), &line);
        }
    });
    let rows = if wish.all { rows } else { fold(merge(rows)) };
    match print(&rows, wish, out).and_then(|()| out.flush()) {
        // Whoever reads only the beginning has closed the pipe by then.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.to_string()),
        // A story that breaks off is told as far as it goes.
        Ok(()) | Err(_) => broken.map_or(read, Err),
    }
}

impl Wish {
    fn wants(&self, line: &Line) -> bool {
        let at = line.us.saturating_mul(1_000);
        self.from.is_none_or(|from| from.0 <= at)
            && self.until.is_none_or(|until| at <= until.0)
            && (self.nodes.is_empty() || self.nodes.contains(&line.host))
    }
}

fn add_rows(rows: &mut Vec<Row>, wish: &Wish, trail: Option<&Trail>, line: &Line) {
    let owned = trail.is_none_or(|trail| trail.owns(line));
    if owned && (wish.all || is_telling(line)) {
        let kind = match line.what {
            What::Request | What::Response => Kind::Head,
            _ => Kind::Other,
        };
        rows.push(row(line, whole(line), kind));
    }
    for part in &line.parts {
        let told = owned || trail.is_some_and(|trail| trail.names(&part.about));
        if told && (wish.all || part.name != "credit") {
            rows.push(row(line, part_text(part), part_kind(part)));
        }
    }
}

fn row(line: &Line, what: String, kind: Kind) -> Row {
    Row {
        us: line.us,
        host: line.host.clone(),
        dir: line.dir.filter(|_| line.way.is_some()),
        other: line.other.clone().unwrap_or_default(),
        what,
        way: line.way,
        kind,
    }
}

/// Whether a line says something by itself, apart from the messages in it.
fn is_telling(line: &Line) -> bool {
    match line.what {
        What::Started
        | What::Died
        | What::LinkUp
        | What::LinkDown
        | What::Request
        | What::Response
        | What::Reset
        | What::Close
        | What::Start
        | What::Log
        | What::Note => true,
        What::Done => line.text.starts_with("failed"),
        What::Wake | What::Open | What::Bytes | What::Finish | What::Credit | What::Grant => false,
    }
}

/// With its numbers, where the text has none.
fn whole(line: &Line) -> String {
    let (len, stream) = (line.len.unwrap_or_default(), line.stream.unwrap_or_default());
    match line.what {
        What::Wake => format!("wakes: {}", line.text),
        What::Open => format!("opens stream {stream} on link {}", line.link.unwrap_or_default()),
        What::Bytes => format!("{len} bytes on stream {stream}"),
        What::Finish => format!("end of stream {stream}"),
        What::Credit => format!("{len} bytes left stream {stream}"),
        What::Grant => format!("grants {len} bytes on stream {stream}"),
        _ => line.text.clone(),
    }
}

fn part_text(part: &Part) -> String {
    let job = part.portman_job.map(|job| format!(" job {job}")).unwrap_or_default();
    let about = match &part.about[..] {
        [request] if part.portman_job.is_some() && part.name == "start" => format!(" (req_{request})"),
        _ => String::new(),
    };
    format!("{}{job}{about} {}", part.name, part.text).trim_end().to_owned()
}

fn part_kind(part: &Part) -> Kind {
    match part.name.as_str() {
        "Chunk" | "chunk" | "event" => Kind::Chunk(part.about.clone()),
        _ => Kind::Other,
    }
}

/// Puts a body into the row of its head, where both went at once.
fn merge(rows: Vec<Row>) -> Vec<Row> {
    let mut merged: Vec<Row> = Vec::with_capacity(rows.len());
    for row in rows {
        match merged.last_mut() {
            Some(head)
                if head.kind == Kind::Head
                    && row.kind != Kind::Head
                    && (head.us, head.way, head.dir) == (row.us, row.way, row.dir)
                    && head.way.is_some()
                    && head.host == row.host =>
            {
                head.what = format!("{}  {}", head.what, row.what);
                head.kind = Kind::Other;
            }
            Some(_) | None => merged.push(row),
        }
    }
    merged
}

/// Leaves out the middle of long rows of chunks.
fn fold(rows: Vec<Row>) -> Vec<Row> {
    // By who says or hears it where, and which job's it is: the last one's place, and how many there were.
    let mut runs: BTreeMap<_, (usize, usize)> = BTreeMap::new();
    // How many each row stands for besides itself; `None`: it is left out.
    let mut stands_for = vec![Some(0_usize); rows.len()];
    for (index, row) in rows.iter().enumerate() {
        let Kind::Chunk(about) = &row.kind else { continue };
        let run = (row.host.as_str(), row.way, row.dir == Some(Dir::In), about);
        let (last, length) = runs.get(&run).copied().unwrap_or((index, 0));
        if length > 2 {
            stands_for[index] = stands_for[last].take().map(|more| more + 1);
        }
        runs.insert(run, (index, length + 1));
    }
    let told = rows.into_iter().zip(stands_for).filter_map(|(row, more)| match more? {
        0 => Some(row),
        more => Some(Row { what: format!("(after {more} more) {}", row.what), ..row }),
    });
    told.collect()
}

fn print(rows: &[Row], wish: &Wish, out: &mut impl Write) -> io::Result<()> {
    let widest = |of: fn(&Row) -> &str| rows.iter().map(|row| of(row).chars().count()).max().unwrap_or(0);
    let (host, other) = (widest(|row| &row.host), widest(|row| &row.other));
    for row in rows {
        let arrow = match row.dir {
            Some(Dir::In) => "<-",
            Some(Dir::Out) => "->",
            None => "  ",
        };
        let time = format!("{}.{:06}", row.us / 1_000_000, row.us % 1_000_000);
        let what = if wish.all { row.what.clone() } else { clip(&row.what, WIDE) };
        writeln!(out, "{time:>13}  {:host$} {arrow} {:other$}  {what}", row.host, row.other)?;
    }
    Ok(())
}
