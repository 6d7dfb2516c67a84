//! A machine's driver: as strict about the contract as the real one is, with a fuzzer's bytes in place of a world.
//!
//! After each call it holds what no peer may bring about: a panic, an output against the contract, a machine that is due
//! again at once, more outputs than [`OUTPUTS`] of one call, more bytes than [`UNREAD`] that wait for one reader.

use std::collections::{BTreeMap, VecDeque};

use labman_proto_core::http::{RequestHead, Surface};
use labman_proto_core::limits::{CONTROL_BACKLOG, STREAM_WINDOW};
use labman_proto_core::machine::{
    Completion, DownReason, Input, LinkId, Machine, Op, OpId, Output, Peer, ResetCode, StreamId,
};
use labman_proto_core::store::{Keys, Range, Row, Snapshot, StoreError, Table, Write};
use labman_proto_core::time::{Now, Span, Time, Wall};

/// Of one call.
pub const OUTPUTS: usize = 8 * 1024;
/// On one stream: a control stream's backlog, and what goes beyond it before its link is closed.
pub const UNREAD: usize = CONTROL_BACKLOG + 1024 * 1024;

pub struct Driver<M> {
    pub machine: M,
    pub now: Now,
    pub disk: Disk,
    pub streams: BTreeMap<StreamId, Stream>,
    pub links: BTreeMap<LinkId, Peer>,
    /// Operations that were asked for.
    pub ops: VecDeque<(OpId, Op)>,
    /// What the machine sent last, on whatever stream.
    pub last_heard: Vec<u8>,
    ids: u64,
}

/// One stream that is open in either direction.
#[derive(Default)]
pub struct Stream {
    pub link: Option<LinkId>,
    /// The machine asks over HTTP, and there was no answer yet.
    pub asked: Option<(String, RequestHead)>,
    /// What the machine sent, the first and the last of it.
    pub first_heard: Vec<u8>,
    pub heard: Vec<u8>,
    /// Sent by the machine and not taken.
    pub unread: usize,
    window: usize,
    in_done: bool,
    out_done: bool,
    answered: bool,
}

impl<M: Machine> Driver<M> {
    pub fn new(machine: M, now: Now) -> Self {
        let mut driver = Self {
            machine,
            now,
            disk: Disk::default(),
            streams: BTreeMap::new(),
            links: BTreeMap::new(),
            ops: VecDeque::new(),
            last_heard: Vec::new(),
            ids: 1,
        };
        driver.drain();
        driver
    }

    /// It can't go on: a real driver would start another.
    pub fn stopped(&self) -> bool {
        self.machine.stopped().is_some()
    }

    /// One of the open streams.
    pub fn stream(&self, number: u8) -> Option<StreamId> {
        let at = usize::from(number) % self.streams.len().max(1);
        self.streams.keys().nth(at).copied()
    }

    pub fn link(&self, number: u8) -> Option<LinkId> {
        let at = usize::from(number) % self.links.len().max(1);
        self.links.keys().nth(at).copied()
    }

    pub fn link_up(&mut self, peer: Peer) -> LinkId {
        let link = LinkId(self.next_id());
        self.links.insert(link, peer.clone());
        self.tell(Input::LinkUp { link, peer });
        link
    }

    pub fn link_down(&mut self, link: LinkId) {
        if self.links.remove(&link).is_none() {
            return;
        }
        for stream in self.on_link(link) {
            self.reset(stream, ResetCode::Unreachable);
        }
        self.tell(Input::LinkDown { link, reason: DownReason::Failed });
    }

    pub fn open(&mut self, link: LinkId) -> StreamId {
        let stream = StreamId(self.next_id());
        self.streams.insert(stream, Stream::on(Some(link)));
        self.tell(Input::Opened { stream, link });
        stream
    }

    pub fn request(&mut self, surface: Surface, head: RequestHead) -> StreamId {
        let stream = StreamId(self.next_id());
        self.streams.insert(stream, Stream::on(None));
        self.tell(Input::Request { stream, surface, head });
        stream
    }

    /// As much as the machine lets in now: the rest is lost, as if the peer had never sent it.
    pub fn bytes(&mut self, stream: StreamId, bytes: &[u8]) {
        let Some(state) = self.streams.get_mut(&stream).filter(|state| !state.in_done) else { return };
        // The machine asked and was not answered: nothing can come before the head.
        if state.asked.is_some() && !state.answered {
            return;
        }
        let bytes = &bytes[..bytes.len().min(state.window)];
        if !bytes.is_empty() {
            state.window -= bytes.len();
            self.tell(Input::Bytes { stream, bytes });
        }
    }

    pub fn respond(&mut self, stream: StreamId, head: labman_proto_core::http::ResponseHead) {
        if let Some(state) = self.streams.get_mut(&stream)
            && state.asked.is_some()
            && !std::mem::replace(&mut state.answered, true)
        {
            self.tell(Input::Response { stream, head });
        }
    }

    pub fn finish(&mut self, stream: StreamId) {
        let Some(state) = self.streams.get_mut(&stream).filter(|state| !state.in_done) else { return };
        if state.asked.is_some() && !state.answered {
            return;
        }
        state.in_done = true;
        self.tell(Input::Finished { stream });
        self.forget_if_over(stream);
    }

    pub fn reset(&mut self, stream: StreamId, code: ResetCode) {
        if self.streams.remove(&stream).is_some() {
            self.tell(Input::Reset { stream, code });
        }
    }

    /// The other end takes what waits for it.
    pub fn take(&mut self, stream: StreamId, most: usize) {
        let Some(state) = self.streams.get_mut(&stream) else { return };
        let bytes = state.unread.min(most);
        state.unread -= bytes;
        if bytes > 0 {
            self.tell(Input::Credit { stream, bytes: bytes as u32 });
        }
    }

    /// Ends an operation of the store, well or not. A dial is the caller's: it is given back.
    pub fn complete(&mut self, fails: bool) -> Option<(OpId, Op)> {
        let (op, asked) = self.ops.pop_front()?;
        let done = match &asked {
            Op::Dial(_) => return Some((op, asked)),
            Op::Store(_) if fails => Completion::Stored(Err(StoreError::Failed("full".into()))),
            Op::Read(_) | Op::Find(_) if fails => Completion::Page(Err(StoreError::Failed("torn".into()))),
            Op::Store(batch) => Completion::Stored(self.disk.apply(batch)),
            Op::Read(range) => Completion::Page(Ok(self.disk.page(range))),
            Op::Find(keys) => Completion::Page(Ok(self.disk.find(keys))),
        };
        self.tell(Input::Done(op, done));
        None
    }

    /// Ends all that waits for the store, well.
    pub fn settle(&mut self) {
        let mut dials = VecDeque::new();
        for _ in 0..64 {
            dials.extend(self.complete(false));
        }
        dials.append(&mut self.ops);
        self.ops = dials;
    }

    pub fn done(&mut self, op: OpId, completion: Completion) {
        self.tell(Input::Done(op, completion));
    }

    /// Time passes, and the machine is woken as often as it asked for.
    pub fn pass(&mut self, span: Span) {
        let end = self.now.mono + span;
        for _ in 0..64 {
            let Some(wake) = self.machine.poll_timeout().filter(|wake| wake.at <= end) else { break };
            let step = wake.at - self.now.mono;
            self.now = Now { mono: self.now.mono + step, wall: self.now.wall + step };
            self.machine.handle_timeout(self.now);
            if let Some(next) = self.machine.poll_timeout() {
                assert!(
                    next.at > self.now.mono,
                    "woken for {:?}, and at once again for {:?}",
                    wake.why,
                    next.why
                );
            }
            self.drain();
        }
        let step = end - self.now.mono;
        self.now = Now { mono: end, wall: self.now.wall + step };
    }

    pub fn set_clock(&mut self, wall: Wall) {
        self.now.wall = wall;
    }

    fn tell(&mut self, input: Input<'_>) {
        self.machine.handle(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        let (mut outputs, mut broken, mut closed) = (0, Vec::new(), Vec::new());
        while let Some(output) = self.machine.poll_output() {
            outputs += 1;
            assert!(outputs <= OUTPUTS, "one call makes more than {OUTPUTS} outputs");
            match output {
                Output::Open { stream, link } => {
                    self.streams.insert(stream, Stream::on(Some(link)));
                    if !self.links.contains_key(&link) {
                        broken.push(stream);
                    }
                }
                Output::Request { stream, url, head } => {
                    self.streams.insert(stream, Stream { asked: Some((url, head)), ..Stream::on(None) });
                }
                Output::Response { stream, .. } => {
                    assert!(self.streams.contains_key(&stream), "an answer to nobody");
                }
                Output::Send { stream, bytes } => {
                    let state = self.streams.get_mut(&stream).expect("bytes on an open stream");
                    assert!(!state.out_done, "bytes after the end");
                    state.unread += bytes.len();
                    assert!(state.unread <= UNREAD, "{} bytes wait for one reader", state.unread);
                    if state.first_heard.is_empty() {
                        state.first_heard.clone_from(&bytes);
                    }
                    state.heard.clone_from(&bytes);
                    self.last_heard = bytes;
                }
                Output::Finish { stream } => {
                    let state = self.streams.get_mut(&stream).expect("an open stream ends");
                    assert!(!std::mem::replace(&mut state.out_done, true), "a second end");
                    self.forget_if_over(stream);
                }
                Output::Reset { stream, .. } => {
                    assert!(self.streams.remove(&stream).is_some(), "a stream is reset that is gone");
                }
                Output::Grant { stream, bytes } => {
                    // The machine may grant in the call in which the stream's last byte came.
                    if let Some(state) = self.streams.get_mut(&stream) {
                        state.window += bytes as usize;
                        assert!(state.window <= STREAM_WINDOW as usize, "more is granted than was read");
                    }
                }
                Output::Close { link, .. } => closed.push(link),
                Output::Start(op, asked) => self.ops.push_back((op, asked)),
                Output::Event(_) => {}
            }
        }
        for stream in broken {
            self.reset(stream, ResetCode::Unreachable);
        }
        for link in closed {
            self.link_down(link);
        }
    }

    fn forget_if_over(&mut self, stream: StreamId) {
        if self.streams.get(&stream).is_some_and(|state| state.in_done && state.out_done) {
            self.streams.remove(&stream);
        }
    }

    fn on_link(&self, link: LinkId) -> Vec<StreamId> {
        let on = self.streams.iter().filter(|(_, state)| state.link == Some(link));
        on.map(|(stream, _)| *stream).collect()
    }

    fn next_id(&mut self) -> u64 {
        self.ids += 2;
        self.ids
    }
}

impl Stream {
    fn on(link: Option<LinkId>) -> Self {
        Self { link, window: STREAM_WINDOW as usize, ..Self::default() }
    }
}

/// When all targets begin.
pub fn beginning() -> Now {
    Now { mono: Time(1_000_000_000), wall: Wall(1_700_000_000_000) }
}

/// A store in memory.
#[derive(Default)]
pub struct Disk {
    tables: BTreeMap<Table, BTreeMap<String, Vec<u8>>>,
}

impl Disk {
    fn apply(&mut self, batch: &[Write]) -> Result<(), StoreError> {
        let exists = |write: &Write| match write {
            Write::Insert(table, row) => {
                self.tables.get(table).is_some_and(|rows| rows.contains_key(&row.key))
            }
            Write::Put(..) | Write::Delete(..) => false,
        };
        if batch.iter().any(exists) {
            return Err(StoreError::Exists);
        }
        for write in batch {
            match write {
                Write::Put(table, row) | Write::Insert(table, row) => {
                    self.tables.entry(*table).or_default().insert(row.key.clone(), row.value.clone());
                }
                Write::Delete(table, key) => {
                    self.tables.entry(*table).or_default().remove(key);
                }
            }
        }
        Ok(())
    }

    fn find(&self, keys: &Keys) -> Vec<Row> {
        let rows = self.tables.get(&keys.table);
        let found = |key: &String| rows?.get(key).map(|value| Row { key: key.clone(), value: value.clone() });
        keys.keys.iter().filter_map(found).collect()
    }

    fn page(&self, range: &Range) -> Vec<Row> {
        let rows = self.tables.get(&range.table).into_iter().flatten();
        rows.filter(|(key, _)| (&range.from..&range.to).contains(key))
            .take(range.limit as usize)
            .map(|(key, value)| Row { key: key.clone(), value: value.clone() })
            .collect()
    }

    pub fn snapshot(&self) -> Snapshot {
        let live = self.tables.iter().filter(|(table, _)| table.at_start);
        let rows = live.flat_map(|(table, rows)| {
            rows.iter().map(|(key, value)| (*table, Row { key: key.clone(), value: value.clone() }))
        });
        Snapshot { rows: rows.collect() }
    }
}
