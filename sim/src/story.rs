//! The story of a run, for people: one JSON line for each thing that happened, in a file that `labman-sim trace` reads.
//!
//! A [`Story`] hears what the trace hash hears. Bytes are cut into the messages that they carry, each is named, and
//! each says which requests it is about, so that one job can be followed through every party. Where a message does not
//! name its request (a Portman's job, the runtime's exchange), it follows from the call in which it was sent.
//!
//! What is absent: any influence on the run, checks of signatures, and headers of HTTP (they hold keys).

mod frames;
mod heard;
mod lane;
mod line;
mod names;
mod objects;
mod page;
mod pieces;
mod survey;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use labman_proto_core::identity::NodeId;
use labman_proto_core::machine::{Input, LinkId, OpId, Output, StreamId};
use labman_proto_core::time::Time;

use crate::host::HostId;
use lane::Lane;
use line::{Dir, Line, What};
use names::Names;

pub use page::{Wish, page};

/// A link or stream as the world knows it: one number for both ends, and who is at the other.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    pub key: u64,
    pub other: HostId,
}

pub struct Story {
    out: BufWriter<File>,
    /// The first write that failed. Nothing is written after it.
    failed: Option<io::Error>,
    hosts: Vec<Teller>,
    names: Names,
    tags: BTreeMap<u64, Tag>,
    /// Which request a job on a Portman's socket is, by the socket's stream and the job's number.
    portman_jobs: BTreeMap<(u64, u64), String>,
}

/// What a whole exchange or stream is about.
#[derive(Clone, Default)]
struct Tag {
    job: Option<String>,
    about: Vec<String>,
}

/// What is known of a host in its present life.
#[derive(Default)]
struct Teller {
    name: String,
    links: BTreeMap<LinkId, Known>,
    streams: BTreeMap<StreamId, Known>,
    /// What each write under way is about.
    ops: BTreeMap<OpId, Vec<String>>,
    call: Call,
    /// The scenario's job for which this user asks next.
    asks_for: Option<String>,
}

#[derive(Default)]
struct Known {
    way: Option<Way>,
    mesh: bool,
    /// By direction.
    lanes: [Lane; 2],
}

/// What the present call of a machine came from: its outputs follow from it.
#[derive(Default)]
struct Call {
    about: Vec<String>,
    way: Option<u64>,
    /// Jobs that a Portman was told to start, whose requests to the runtime have not been seen.
    starts: std::collections::VecDeque<String>,
}

impl Story {
    /// # Errors
    /// If the file can't be made.
    pub fn to(path: &Path) -> io::Result<Self> {
        Ok(Self {
            out: BufWriter::new(File::create(path)?),
            failed: None,
            hosts: Vec::new(),
            names: Names::default(),
            tags: BTreeMap::new(),
            portman_jobs: BTreeMap::new(),
        })
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// The first that there was while the story was written.
    pub fn close(mut self) -> io::Result<()> {
        match self.failed.take() {
            Some(error) => Err(error),
            None => self.out.flush(),
        }
    }

    /// A machine is started (again).
    pub fn started(&mut self, at: Time, host: HostId, name: &str, node_id: Option<NodeId>) {
        if let Some(node_id) = node_id {
            self.names.node(node_id, name);
        }
        self.fresh(host, name);
        self.write(self.line(at, host, What::Started).with("starts".into()));
    }

    pub fn died(&mut self, at: Time, host: HostId) {
        let line = self.line(at, host, What::Died).with("dies".into());
        let name = std::mem::take(&mut self.teller(host).name);
        self.fresh(host, &name);
        self.write(line);
    }

    pub fn woke(&mut self, at: Time, host: HostId, why: &str) {
        self.teller(host).call = Call::default();
        self.write(self.line(at, host, What::Wake).with(why.into()));
    }

    /// `way`: the link or stream that the input is on, as far as the world still knows it.
    pub fn input(&mut self, at: Time, host: HostId, way: Option<Way>, input: &Input<'_>) {
        self.teller(host).call = Call::default();
        let line = Line { dir: Some(Dir::In), ..self.line(at, host, What::Bytes) };
        if let Some(line) = self.hear(line, host, way, input) {
            self.write(line);
        }
    }

    /// To be called when the world has carried the output out, or it knows no `way` for what was opened.
    pub fn output(&mut self, at: Time, host: HostId, way: Option<Way>, output: &Output) {
        let line = Line { dir: Some(Dir::Out), ..self.line(at, host, What::Bytes) };
        let line = self.say(line, host, way, output);
        self.write(line);
    }

    /// Something that is said of a host: a fault begins, a job is asked for (`job`: which), something failed.
    pub fn note(&mut self, at: Time, host: HostId, job: Option<&str>, text: &str) {
        if job.is_some() {
            self.teller(host).asks_for = job.map(str::to_owned);
        }
        let about = self.names.in_text(text);
        let line = Line { job: job.map(str::to_owned), about, ..self.line(at, host, What::Note) };
        self.write(line.with(text.into()));
    }

    fn line(&self, at: Time, host: HostId, what: What) -> Line {
        let name = self.hosts.get(host.0).map(|teller| teller.name.clone()).unwrap_or_default();
        Line { us: at.0 / 1_000, host: name, what, ..Line::default() }
    }

    fn teller(&mut self, host: HostId) -> &mut Teller {
        if self.hosts.len() <= host.0 {
            self.hosts.resize_with(host.0 + 1, Teller::default);
        }
        &mut self.hosts[host.0]
    }

    fn fresh(&mut self, host: HostId, name: &str) {
        *self.teller(host) = Teller { name: name.to_owned(), ..Teller::default() };
    }

    fn write(&mut self, line: Line) {
        if self.failed.is_some() {
            return;
        }
        let written = serde_json::to_writer(&mut self.out, &line).map_err(io::Error::from);
        if let Err(error) = written.and_then(|()| self.out.write_all(b"\n")) {
            self.failed = Some(error);
        }
    }
}
