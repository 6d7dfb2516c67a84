//! A machine's inputs and outputs, as lines.

use labman_proto_core::machine::{Completion, Input, LinkId, Op, Output, Peer, StreamId, Target};
use labman_proto_core::store::{StoreError, Write};

use super::lane::Lane;
use super::line::{Dir, Line, What};
use super::{Known, Story, Way};
use crate::host::HostId;

/// Rows of a batch that are named.
const ROWS: usize = 4;

impl Story {
    pub(super) fn hear(
        &mut self,
        line: Line,
        host: HostId,
        way: Option<Way>,
        input: &Input<'_>,
    ) -> Option<Line> {
        Some(match input {
            Input::LinkUp { link, peer } => {
                let (mesh, kind) = match peer {
                    Peer::Mesh { dialled: true, .. } => (true, "link up, dialled"),
                    Peer::Mesh { dialled: false, .. } => (true, "link up"),
                    Peer::Portman { .. } | Peer::Labman => (false, "socket up"),
                };
                self.teller(host).links.insert(*link, Known { way, mesh, ..Known::default() });
                self.on_link(line, What::LinkUp, host, *link).with(kind.into())
            }
            Input::LinkDown { link, reason } => {
                let told = self.on_link(line, What::LinkDown, host, *link);
                self.teller(host).links.remove(link);
                told.with(format!("link down: {reason:?}"))
            }
            Input::Opened { stream, link } => self.opened(line, host, way, *stream, *link),
            Input::Request { stream, surface: _, head } => {
                let known = Known { way, lanes: [Lane::of_request(head), Lane::Opaque], ..Known::default() };
                self.teller(host).streams.insert(*stream, known);
                self.on(line, What::Request, host, *stream).with(format!("{} {}", head.method, head.path))
            }
            Input::Response { stream, head } => {
                self.lane(host, *stream, Dir::In, Lane::of_response(head));
                self.answer(line, host, *stream, head.status, head.header("x-request-id"))
            }
            Input::Bytes { stream, bytes } => self.bytes(line, Dir::In, host, *stream, bytes),
            Input::Finished { stream } => self.finish(line, Dir::In, host, *stream),
            Input::Reset { stream, code } => {
                let told = self.on(line, What::Reset, host, *stream);
                self.teller(host).streams.remove(stream);
                told.with(format!("reset: {code:?}"))
            }
            Input::Credit { stream, bytes } => {
                let told = self.on(line, What::Credit, host, *stream);
                Line { len: Some(u64::from(*bytes)), ..told }
            }
            Input::Done(op, completion) => {
                let about = self.teller(host).ops.remove(op).unwrap_or_default();
                self.teller(host).call.about.clone_from(&about);
                Line { what: What::Done, about, ..line }.with(completed(completion))
            }
            Input::Leave => Line { what: What::Note, ..line }.with("is asked to leave".into()),
        })
    }

    pub(super) fn say(&mut self, line: Line, host: HostId, way: Option<Way>, output: &Output) -> Line {
        match output {
            Output::Open { stream, link } => self.opened(line, host, way, *stream, *link),
            Output::Request { stream, url, head } => {
                let known = Known { way, lanes: [Lane::Opaque, Lane::of_request(head)], ..Known::default() };
                let teller = self.teller(host);
                teller.streams.insert(*stream, known);
                let (job, start) = (teller.asks_for.take(), teller.call.starts.pop_front());
                if let Some(way) = way {
                    let tag = self.tag(way.key);
                    tag.job = job;
                    tag.about.extend(start);
                }
                let path = format!("{} {url}{}", head.method, head.path);
                self.on(line, What::Request, host, *stream).with(path)
            }
            Output::Response { stream, head } => {
                self.lane(host, *stream, Dir::Out, Lane::of_response(head));
                self.answer(line, host, *stream, head.status, head.header("x-request-id"))
            }
            Output::Send { stream, bytes } => self.bytes(line, Dir::Out, host, *stream, bytes),
            Output::Finish { stream } => self.finish(line, Dir::Out, host, *stream),
            Output::Reset { stream, code } => {
                let told = self.on(line, What::Reset, host, *stream);
                self.teller(host).streams.remove(stream);
                told.with(format!("reset: {code:?}"))
            }
            Output::Grant { stream, bytes } => {
                let told = self.on(line, What::Grant, host, *stream);
                Line { len: Some(u64::from(*bytes)), ..told }
            }
            Output::Close { link, reason } => {
                self.on_link(line, What::Close, host, *link).with(format!("closes the link: {reason}"))
            }
            Output::Start(id, op) => {
                let text = self.asked(op);
                let about = self.about_op(op);
                self.learn(host, &about);
                self.teller(host).ops.insert(*id, about.clone());
                let job = match op {
                    Op::Store(_) => self.job_of_call(host),
                    Op::Dial(_) | Op::Read(_) | Op::Find(_) => None,
                };
                Line { what: What::Start, about, job, ..line }.with(text)
            }
            Output::Event(event) => {
                let text = format!(
                    "{:5} {}: {}",
                    format!("{:?}", event.level).to_lowercase(),
                    event.room,
                    event.text
                );
                let about = self.names.in_text(&text);
                Line { what: What::Log, dir: None, about, ..line }.with(text)
            }
        }
    }

    fn opened(&mut self, line: Line, host: HostId, way: Option<Way>, stream: StreamId, link: LinkId) -> Line {
        let teller = self.teller(host);
        let mesh = teller.links.get(&link).is_none_or(|link| link.mesh);
        let lanes = [Lane::on_link(mesh), Lane::on_link(mesh)];
        teller.streams.insert(stream, Known { way, mesh, lanes });
        let told = self.on(line, What::Open, host, stream);
        Line { link: Some(link.0), ..told }
    }

    fn lane(&mut self, host: HostId, stream: StreamId, dir: Dir, lane: Lane) {
        if let Some(known) = self.teller(host).streams.get_mut(&stream) {
            known.lanes[dir as usize] = lane;
        }
    }

    /// The head of an answer names the request, if it is one of a gateway's.
    fn answer(&mut self, line: Line, host: HostId, stream: StreamId, status: u16, id: Option<&str>) -> Line {
        let id = id.unwrap_or_default();
        let about = self.names.in_text(id);
        let way = self.teller(host).streams.get(&stream).and_then(|known| known.way);
        if let (Some(way), false) = (way, about.is_empty()) {
            self.tag(way.key).about = about;
        }
        self.on(line, What::Response, host, stream).with(format!("HTTP {status} {id}").trim_end().into())
    }

    fn bytes(&mut self, line: Line, dir: Dir, host: HostId, stream: StreamId, bytes: &[u8]) -> Line {
        let lane = self.teller(host).streams.get_mut(&stream);
        let messages = lane.map(|known| known.lanes[dir as usize].push(bytes)).unwrap_or_default();
        let told = self.with_parts(line, What::Bytes, dir, host, stream, messages);
        Line { len: Some(bytes.len() as u64), ..told }
    }

    fn finish(&mut self, line: Line, dir: Dir, host: HostId, stream: StreamId) -> Line {
        let lane = self.teller(host).streams.get_mut(&stream);
        let message = lane.and_then(|known| known.lanes[dir as usize].end());
        self.with_parts(line, What::Finish, dir, host, stream, message)
    }

    fn with_parts(
        &mut self,
        line: Line,
        what: What,
        dir: Dir,
        host: HostId,
        stream: StreamId,
        messages: impl IntoIterator<Item = super::lane::Message>,
    ) -> Line {
        let way = self.teller(host).streams.get(&stream).and_then(|known| known.way);
        let parts = self.parts(host, way.map(|way| way.key), dir, messages);
        // After the parts: they may have said what the way is about.
        Line { parts, ..self.on(line, what, host, stream) }
    }

    fn on(&mut self, line: Line, what: What, host: HostId, stream: StreamId) -> Line {
        let way = self.teller(host).streams.get(&stream).and_then(|known| known.way);
        if line.dir == Some(Dir::In) {
            self.teller(host).call.way = way.map(|way| way.key);
        }
        let told = self.on_way(line, what, way);
        Line { stream: Some(stream.0), ..told }
    }

    fn on_link(&mut self, line: Line, what: What, host: HostId, link: LinkId) -> Line {
        let way = self.teller(host).links.get(&link).and_then(|known| known.way);
        let told = self.on_way(line, what, way);
        Line { link: Some(link.0), ..told }
    }

    fn on_way(&self, line: Line, what: What, way: Option<Way>) -> Line {
        let tag = way.and_then(|way| self.tags.get(&way.key)).cloned().unwrap_or_default();
        let other = way.and_then(|way| self.hosts.get(way.other.0)).map(|other| other.name.clone());
        Line { what, way: way.map(|way| way.key), other, job: tag.job, about: tag.about, ..line }
    }

    /// What is stored while a user's exchange is heard is about it: the request has no answer yet that would say so.
    fn learn(&mut self, host: HostId, about: &[String]) {
        let way = self.teller(host).call.way;
        let tag = way.and_then(|way| self.tags.get_mut(&way));
        if let (Some(tag), [id]) = (tag.filter(|tag| tag.job.is_some() && tag.about.is_empty()), about) {
            tag.about.push(id.clone());
        }
    }

    fn job_of_call(&mut self, host: HostId) -> Option<String> {
        let way = self.teller(host).call.way?;
        self.tags.get(&way)?.job.clone()
    }

    fn about_op(&mut self, op: &Op) -> Vec<String> {
        let Op::Store(batch) = op else { return Vec::new() };
        let keys: Vec<&str> = batch.iter().map(|write| table_and_key(write).1).collect();
        self.names.in_text(&keys.join(" "))
    }

    fn asked(&mut self, op: &Op) -> String {
        match op {
            Op::Dial(Target::Mesh { addr, node_id }) => {
                format!("dials {} at {addr}", self.names.node_name(*node_id))
            }
            Op::Dial(Target::Labman { url, .. }) => format!("dials {url}"),
            Op::Read(range) => format!("reads {} from {:?}", range.table.name, range.from),
            Op::Find(keys) => format!("looks {} keys up in {}", keys.keys.len(), keys.table.name),
            Op::Store(batch) => {
                let rows: Vec<String> = batch.iter().take(ROWS).map(|write| self.row(write)).collect();
                let more = batch.len().saturating_sub(ROWS);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                format!("stores {}{more}", rows.join(", "))
            }
        }
    }

    fn row(&mut self, write: &Write) -> String {
        let (table, key) = table_and_key(write);
        if table == "gateway_jobs" {
            self.names.job_row(key);
        }
        let verb = if matches!(write, Write::Delete(..)) { "no " } else { "" };
        format!("{verb}{table}/{key}")
    }
}

fn table_and_key(write: &Write) -> (&str, &str) {
    match write {
        Write::Put(table, row) | Write::Insert(table, row) => (table.name, &row.key),
        Write::Delete(table, key) => (table.name, key),
    }
}

fn completed(completion: &Completion) -> String {
    let failed = |error: &StoreError| format!("failed: {error}");
    match completion {
        Completion::Dialled(Ok(link)) => format!("dialled: link {}", link.0),
        Completion::Dialled(Err(why)) => format!("failed: {why}"),
        Completion::Stored(Ok(())) => "stored".into(),
        Completion::Stored(Err(error)) | Completion::Page(Err(error)) => failed(error),
        Completion::Page(Ok(rows)) => format!("read {} rows", rows.len()),
    }
}
