//! The trace hash: BLAKE3 over everything that went into a machine and came out, in order, with its time and host.
//!
//! Two runs with the same hash did the same thing. The encoding is unambiguous (each field fixed or length-prefixed) and
//! private to a build: hashes of different builds say nothing about each other.

use labman_proto_core::http::{RequestHead, ResponseHead, Surface};
use labman_proto_core::machine::{Completion, DownReason, Input, Level, Op, Output, Peer, ResetCode, Target};
use labman_proto_core::store::{Range, Row, StoreError, Table, Write};
use labman_proto_core::time::Time;

use crate::host::HostId;

#[derive(Default)]
pub struct Trace {
    hasher: blake3::Hasher,
    record: Record,
}

#[derive(Default)]
struct Record(Vec<u8>);

impl Trace {
    pub fn input(&mut self, at: Time, host: HostId, input: &Input<'_>) {
        self.note(at, host, 0, |record| record.input(input));
    }

    pub fn timeout(&mut self, at: Time, host: HostId) {
        self.note(at, host, 1, |_| {});
    }

    pub fn output(&mut self, at: Time, host: HostId, output: &Output) {
        self.note(at, host, 2, |record| record.output(output));
    }

    /// A machine was started (again).
    pub fn started(&mut self, at: Time, host: HostId) {
        self.note(at, host, 3, |_| {});
    }

    /// A machine ended without a word.
    pub fn died(&mut self, at: Time, host: HostId) {
        self.note(at, host, 4, |_| {});
    }

    pub fn hash(&self) -> String {
        self.hasher.finalize().to_hex().to_string()
    }

    fn note(&mut self, at: Time, host: HostId, kind: u8, fill: impl FnOnce(&mut Record)) {
        self.record.0.clear();
        self.record.u64(at.0);
        self.record.u64(host.0 as u64);
        self.record.u8(kind);
        fill(&mut self.record);
        self.hasher.update(&(self.record.0.len() as u64).to_le_bytes());
        self.hasher.update(&self.record.0);
    }
}

impl Record {
    fn u8(&mut self, n: u8) {
        self.0.push(n);
    }

    fn u32(&mut self, n: u32) {
        self.0.extend_from_slice(&n.to_le_bytes());
    }

    fn u64(&mut self, n: u64) {
        self.0.extend_from_slice(&n.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.u64(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn input(&mut self, input: &Input<'_>) {
        match input {
            Input::LinkUp { link, peer } => {
                self.u8(0);
                self.u64(link.0);
                self.peer(peer);
            }
            Input::LinkDown { link, reason } => {
                self.u8(1);
                self.u64(link.0);
                self.u8(match reason {
                    DownReason::Closed => 0,
                    DownReason::TimedOut => 1,
                    DownReason::Failed => 2,
                });
            }
            Input::Opened { stream, link } => {
                self.u8(2);
                self.u64(stream.0);
                self.u64(link.0);
            }
            Input::Request { stream, surface, head } => {
                self.u8(3);
                self.u64(stream.0);
                self.u8(match surface {
                    Surface::Public => 0,
                    Surface::Admin => 1,
                });
                self.request(head);
            }
            Input::Response { stream, head } => {
                self.u8(4);
                self.u64(stream.0);
                self.response(head);
            }
            Input::Bytes { stream, bytes } => {
                self.u8(5);
                self.u64(stream.0);
                self.bytes(bytes);
            }
            Input::Finished { stream } => {
                self.u8(6);
                self.u64(stream.0);
            }
            Input::Reset { stream, code } => self.reset(7, stream.0, *code),
            Input::Credit { stream, bytes } => {
                self.u8(8);
                self.u64(stream.0);
                self.u32(*bytes);
            }
            Input::Done(op, completion) => {
                self.u8(9);
                self.u64(op.0);
                self.completion(completion);
            }
        }
    }

    fn output(&mut self, output: &Output) {
        match output {
            Output::Open { stream, link } => {
                self.u8(0);
                self.u64(stream.0);
                self.u64(link.0);
            }
            Output::Request { stream, url, head } => {
                self.u8(1);
                self.u64(stream.0);
                self.text(url);
                self.request(head);
            }
            Output::Response { stream, head } => {
                self.u8(2);
                self.u64(stream.0);
                self.response(head);
            }
            Output::Send { stream, bytes } => {
                self.u8(3);
                self.u64(stream.0);
                self.bytes(bytes);
            }
            Output::Finish { stream } => {
                self.u8(4);
                self.u64(stream.0);
            }
            Output::Reset { stream, code } => self.reset(5, stream.0, *code),
            Output::Grant { stream, bytes } => {
                self.u8(6);
                self.u64(stream.0);
                self.u32(*bytes);
            }
            Output::Close { link, reason } => {
                self.u8(7);
                self.u64(link.0);
                self.text(reason);
            }
            Output::Start(id, op) => {
                self.u8(8);
                self.u64(id.0);
                self.op(op);
            }
            Output::Event(event) => {
                self.u8(9);
                self.u8(match event.level {
                    Level::Debug => 0,
                    Level::Info => 1,
                    Level::Warn => 2,
                    Level::Error => 3,
                });
                self.text(event.room);
                self.text(&event.text);
            }
        }
    }

    fn peer(&mut self, peer: &Peer) {
        match peer {
            Peer::Mesh { node_id, dialled } => {
                self.u8(0);
                self.bytes(&node_id.0);
                self.u8(u8::from(*dialled));
            }
            Peer::Portman { token, origin } => {
                self.u8(1);
                self.text(token);
                self.u8(u8::from(origin.is_some()));
                self.text(origin.as_deref().unwrap_or_default());
            }
            Peer::Labman => self.u8(2),
        }
    }

    fn request(&mut self, head: &RequestHead) {
        self.text(&head.method);
        self.text(&head.path);
        self.headers(&head.headers);
    }

    fn response(&mut self, head: &ResponseHead) {
        self.u32(u32::from(head.status));
        self.headers(&head.headers);
    }

    fn headers(&mut self, headers: &[(String, String)]) {
        self.u64(headers.len() as u64);
        for (name, value) in headers {
            self.text(name);
            self.text(value);
        }
    }

    fn reset(&mut self, kind: u8, stream: u64, code: ResetCode) {
        self.u8(kind);
        self.u64(stream);
        self.u32(code.to_u32());
    }

    fn op(&mut self, op: &Op) {
        match op {
            Op::Dial(Target::Mesh { addr, node_id }) => {
                self.u8(0);
                self.text(addr);
                self.bytes(&node_id.0);
            }
            Op::Dial(Target::Labman { url, token }) => {
                self.u8(1);
                self.text(url);
                self.text(token);
            }
            Op::Store(batch) => {
                self.u8(2);
                self.u64(batch.len() as u64);
                batch.iter().for_each(|write| self.write(write));
            }
            Op::Read(Range { table, from, to, limit }) => {
                self.u8(3);
                self.table(*table);
                self.text(from);
                self.text(to);
                self.u32(*limit);
            }
        }
    }

    fn write(&mut self, write: &Write) {
        match write {
            Write::Put(table, row) => {
                self.u8(0);
                self.table(*table);
                self.row(row);
            }
            Write::Insert(table, row) => {
                self.u8(1);
                self.table(*table);
                self.row(row);
            }
            Write::Delete(table, key) => {
                self.u8(2);
                self.table(*table);
                self.text(key);
            }
        }
    }

    fn table(&mut self, table: Table) {
        self.text(table.name);
    }

    fn row(&mut self, row: &Row) {
        self.text(&row.key);
        self.bytes(&row.value);
    }

    fn completion(&mut self, completion: &Completion) {
        match completion {
            Completion::Dialled(Ok(link)) => {
                self.u8(0);
                self.u64(link.0);
            }
            Completion::Dialled(Err(why)) => {
                self.u8(1);
                self.text(why);
            }
            Completion::Stored(Ok(())) => self.u8(2),
            Completion::Stored(Err(error)) => {
                self.u8(3);
                self.store_error(error);
            }
            Completion::Page(Ok(rows)) => {
                self.u8(4);
                self.u64(rows.len() as u64);
                rows.iter().for_each(|row| self.row(row));
            }
            Completion::Page(Err(error)) => {
                self.u8(5);
                self.store_error(error);
            }
        }
    }

    fn store_error(&mut self, error: &StoreError) {
        match error {
            StoreError::Exists => self.u8(0),
            StoreError::Failed(why) => {
                self.u8(1);
                self.text(why);
            }
        }
    }
}
