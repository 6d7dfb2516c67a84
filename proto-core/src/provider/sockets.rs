//! The Portmans attached to this node: who may attach, what runs on each, and the lines between us.

use alloc::{collections::BTreeMap, collections::BTreeSet, string::String, string::ToString, vec::Vec};

use crate::http::Lines;
use crate::limits::{LINE, PORTMAN_LINE, PORTMAN_MODEL_ID, PORTMAN_MODELS};
use crate::machine::{DownReason, LinkId, StreamId};
use crate::node::config;
use crate::node::cx::Cx;
use crate::wire::portman::{FromPortman, Model, Shelved, ToPortman};

pub(crate) struct Sockets {
    /// Endpoint names by the hash of their token, so that comparing takes the same time whatever was sent.
    tokens: Vec<(blake3::Hash, String)>,
    sockets: BTreeMap<LinkId, Socket>,
    streams: BTreeMap<StreamId, LinkId>,
    /// Slots were taken or freed, or there are others.
    changed: bool,
}

/// What there is of a model at an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Slot,
    /// All of its slots are taken.
    Full,
    /// It does not run there now.
    NoModel,
}

/// Why a job was not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotStarted {
    NoPortman,
    /// Its Portman would give up the socket for it.
    TooLong,
}

struct Socket {
    ep: String,
    stream: Option<StreamId>,
    lines: Lines,
    models: Vec<Model>,
    /// What it could run.
    shelf: Vec<Shelved>,
    last_job: u64,
    in_flight: BTreeMap<String, u32>,
}

impl Sockets {
    pub(super) fn new(portmans: &[config::Portman]) -> Self {
        let tokens =
            portmans.iter().map(|portman| (blake3::hash(portman.token.as_bytes()), portman.ep.clone()));
        Self { tokens: tokens.collect(), sockets: BTreeMap::new(), streams: BTreeMap::new(), changed: false }
    }

    pub(super) fn link_up(&mut self, cx: &mut Cx<'_>, link: LinkId, token: &str, origin: Option<&str>) {
        if origin.is_some() {
            cx.warn("a web page tried to attach as a Portman: refused");
            return cx.out.close(link, "browsers may not attach");
        }
        let presented = blake3::hash(token.as_bytes());
        let Some((_, ep)) = self.tokens.iter().find(|(hash, _)| *hash == presented) else {
            cx.warn("a Portman with a wrong token was refused: give it the token of its [[portman]] entry");
            return cx.out.close(link, "wrong token");
        };
        // A Portman that restarted may be back before its old socket is known to be dead.
        let old = self.sockets.iter().find(|(_, socket)| socket.ep == *ep).map(|(link, _)| *link);
        if let Some(old) = old {
            cx.out.close(old, "replaced by a newer socket");
        }
        let (ep, lines) = (ep.clone(), Lines::up_to(LINE * 2));
        let (models, shelf, in_flight) = (Vec::new(), Vec::new(), BTreeMap::new());
        self.sockets.insert(link, Socket { ep, stream: None, lines, models, shelf, last_job: 0, in_flight });
    }

    pub(super) fn opened(&mut self, cx: &mut Cx<'_>, stream: StreamId, link: LinkId) {
        match self.sockets.get_mut(&link) {
            Some(socket) if socket.stream.is_none() => {
                socket.stream = Some(stream);
                self.streams.insert(stream, link);
            }
            _ => cx.reset(stream, crate::machine::ResetCode::Refused),
        }
    }

    pub(super) fn link_down(&mut self, cx: &mut Cx<'_>, link: LinkId, reason: DownReason) -> bool {
        let Some(socket) = self.sockets.remove(&link) else { return false };
        self.changed = true;
        if let Some(stream) = socket.stream {
            self.streams.remove(&stream);
        }
        match reason {
            // It was stopped, or we closed it and have said why.
            DownReason::Closed => cx.info(alloc::format!("Portman {:?} is detached", socket.ep)),
            DownReason::TimedOut | DownReason::Failed => {
                cx.warn(alloc::format!(
                    "Portman {:?} is gone: see that it runs and reaches this node",
                    socket.ep
                ));
            }
        }
        !socket.models.is_empty()
    }

    /// This node leaves: ends what it says to each Portman, which then closes its link.
    pub(super) fn leave(&mut self, cx: &mut Cx<'_>) {
        self.streams.clear();
        for (link, socket) in &mut self.sockets {
            match socket.stream.take() {
                Some(stream) => cx.finish(stream),
                None => cx.out.close(*link, "this node leaves"),
            }
        }
    }

    /// No Portman's link is left.
    pub(super) fn is_alone(&self) -> bool {
        self.sockets.is_empty()
    }

    pub(super) fn ended(&mut self, cx: &mut Cx<'_>, stream: StreamId) {
        if let Some(link) = self.streams.get(&stream) {
            cx.out.close(*link, "the Portman's stream ended");
        }
    }

    /// The messages in these bytes. A Portman that breaks the protocol loses its socket.
    pub(super) fn bytes(
        &mut self,
        cx: &mut Cx<'_>,
        stream: StreamId,
        bytes: &[u8],
    ) -> Vec<(LinkId, FromPortman)> {
        let Some(link) = self.streams.get(&stream).copied() else { return Vec::new() };
        let Some(socket) = self.sockets.get_mut(&link) else { return Vec::new() };
        cx.grant(stream, bytes.len());
        let mut messages = Vec::new();
        let lines = socket.lines.push(bytes).unwrap_or_else(|_| {
            cx.out.close(link, "a line is too long");
            Vec::new()
        });
        for line in lines.iter().filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(message) => messages.push((link, message)),
                Err(_) => {
                    cx.warn(alloc::format!(
                        "Portman {:?} said something unknown: run the same version there as here",
                        socket.ep
                    ));
                    cx.out.close(link, "an unknown message");
                    break;
                }
            }
        }
        messages
    }

    /// The Portman tells what it runs. True: that is news.
    pub(super) fn hello(
        &mut self,
        cx: &mut Cx<'_>,
        link: LinkId,
        mut models: Vec<Model>,
        mut shelf: Vec<Shelved>,
    ) -> bool {
        let Some(socket) = self.sockets.get_mut(&link) else { return false };
        let mut named = BTreeSet::new();
        models.retain(|model| named.insert(model.id.clone()));
        shelf.retain(|shelved| shelved.id.len() <= PORTMAN_MODEL_ID && named.insert(shelved.id.clone()));
        shelf.truncate(PORTMAN_MODELS);
        self.changed |= socket.shelf != shelf;
        socket.shelf = shelf;
        models.retain(|model| model.id.len() <= PORTMAN_MODEL_ID);
        models.truncate(PORTMAN_MODELS);
        let changed = socket.models != models;
        if changed {
            let names: Vec<&str> = models.iter().map(|model| model.id.as_str()).collect();
            cx.info(alloc::format!("Portman {:?} runs: {}", socket.ep, names.join(", ")));
            socket.models = models;
            self.changed = true;
        }
        changed
    }

    /// Starts a job, where there is [a slot](Room::Slot) for it.
    pub(super) fn start(
        &mut self,
        cx: &mut Cx<'_>,
        ep: &str,
        model: &str,
        body: serde_json::Value,
        credit: u32,
    ) -> Result<(LinkId, u64), NotStarted> {
        let attached = self.sockets.iter_mut().rfind(|(_, socket)| socket.ep == ep);
        let (link, socket) = attached.ok_or(NotStarted::NoPortman)?;
        let stream = socket.stream.ok_or(NotStarted::NoPortman)?;
        let job = socket.last_job + 1;
        let order = line(&ToPortman::Start { job, model: model.to_string(), body, credit });
        // Numbers may be written longer than they came.
        if order.len() > PORTMAN_LINE {
            return Err(NotStarted::TooLong);
        }
        socket.last_job = job;
        *socket.in_flight.entry(model.to_string()).or_default() += 1;
        self.changed = true;
        cx.send(stream, order);
        Ok((*link, job))
    }

    pub(super) fn say(&mut self, cx: &mut Cx<'_>, link: LinkId, message: &ToPortman) {
        if let Some(socket) = self.sockets.get_mut(&link) {
            socket.say(cx, message);
        }
    }

    /// A job is over: its slot is free.
    pub(super) fn free(&mut self, link: LinkId, model: &str) {
        if let Some(busy) = self.sockets.get_mut(&link).and_then(|socket| socket.in_flight.get_mut(model)) {
            *busy = busy.saturating_sub(1);
            self.changed = true;
        }
    }

    /// Somebody began or ceased to wait for a slot.
    pub(super) fn note_changed(&mut self) {
        self.changed = true;
    }

    pub(super) fn has_changed(&self) -> bool {
        self.changed
    }

    pub(super) fn take_changed(&mut self) -> bool {
        core::mem::take(&mut self.changed)
    }

    /// Jobs that run, and slots, of each model at each endpoint.
    pub(super) fn slots(&self) -> impl Iterator<Item = (&str, &str, u32, u32)> {
        self.sockets.values().flat_map(|socket| {
            socket.models.iter().map(|model| {
                let busy = socket.in_flight.get(&model.id).copied().unwrap_or(0);
                (socket.ep.as_str(), model.id.as_str(), busy, model.slots)
            })
        })
    }

    pub(super) fn room(&self, ep: &str, model: &str) -> Room {
        let latest = self.sockets.values().rfind(|socket| socket.ep == ep);
        let Some(socket) = latest.filter(|socket| socket.stream.is_some()) else { return Room::NoModel };
        match socket.models.iter().find(|known| known.id == model) {
            None => Room::NoModel,
            Some(known) if socket.in_flight.get(model).is_none_or(|busy| *busy < known.slots) => Room::Slot,
            Some(_) => Room::Full,
        }
    }

    /// What runs at an endpoint: empty while no Portman is attached there.
    pub(crate) fn models(&self, ep: &str) -> &[Model] {
        self.sockets.values().rfind(|socket| socket.ep == ep).map_or(&[], |socket| &socket.models)
    }

    /// It runs there now.
    pub(super) fn runs(&self, ep: &str, model: &str) -> bool {
        self.models(ep).iter().any(|known| known.id == model)
    }

    /// It runs there, or is being loaded: it takes memory.
    pub(super) fn holds(&self, ep: &str, model: &str) -> bool {
        let socket = self.sockets.values().rfind(|socket| socket.ep == ep);
        let loading = |socket: &Socket| socket.shelf.iter().any(|one| one.id == model && one.loading);
        self.runs(ep, model) || socket.is_some_and(loading)
    }

    /// All models that an endpoint has, in memory or not.
    pub(super) fn known(&self, ep: &str) -> impl Iterator<Item = &str> {
        let socket = self.sockets.values().rfind(|socket| socket.ep == ep);
        let (models, shelf) =
            socket.map(|socket| (socket.models.as_slice(), socket.shelf.as_slice())).unwrap_or_default();
        models.iter().map(|model| model.id.as_str()).chain(shelf.iter().map(|shelved| shelved.id.as_str()))
    }

    pub(super) fn slots_of(&self, ep: &str, model: &str) -> Option<u32> {
        self.models(ep).iter().find(|known| known.id == model).map(|known| known.slots)
    }

    /// Of the model there that has most.
    pub(super) fn most_slots(&self, ep: &str) -> u32 {
        self.models(ep).iter().map(|model| model.slots).max().unwrap_or(1)
    }

    pub(super) fn in_flight(&self, ep: &str, model: &str) -> u32 {
        let socket = self.sockets.values().rfind(|socket| socket.ep == ep);
        socket.and_then(|socket| socket.in_flight.get(model).copied()).unwrap_or(0)
    }

    pub(super) fn order(&self, cx: &mut Cx<'_>, ep: &str, order: &ToPortman) {
        if let Some(socket) = self.sockets.values().rfind(|socket| socket.ep == ep) {
            socket.say(cx, order);
        }
    }

    /// No later socket has taken its place.
    pub(super) fn is_latest(&self, link: LinkId) -> bool {
        let ep = self.ep(link);
        ep.is_some()
            && self
                .sockets
                .range(link..)
                .all(|(later, socket)| *later == link || Some(socket.ep.as_str()) != ep)
    }

    pub(super) fn ep(&self, link: LinkId) -> Option<&str> {
        self.sockets.get(&link).map(|socket| socket.ep.as_str())
    }

    pub(crate) fn is_attached(&self, ep: &str) -> bool {
        self.sockets.values().any(|socket| socket.ep == ep)
    }
}

impl Socket {
    fn say(&self, cx: &mut Cx<'_>, message: &ToPortman) {
        let Some(stream) = self.stream else { return };
        cx.send(stream, line(message));
    }
}

fn line(message: &ToPortman) -> Vec<u8> {
    let mut line = serde_json::to_vec(message).unwrap_or_default();
    line.push(b'\n');
    line
}
