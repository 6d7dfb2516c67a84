//! A labman: gateway, provider, or both. Composes the rooms and routes between them; decides nothing itself.
//!
//! Each life begins with one write, the incarnation. Nothing is said or heard on the mesh before it is durable.

pub mod config;
pub(crate) mod cx;
pub(crate) mod descriptors;
pub(crate) mod fep;
pub(crate) mod feps;
mod leaving;
pub(crate) mod loopback;
pub(crate) mod peer_clocks;

mod admin;
mod clock;

use alloc::{format, string::String, vec::Vec};

use serde_json::Value;

use admin::Admin;
use clock::Clock;
use cx::{Cx, Me, Owners, Room};
use descriptors::Descriptors;
use feps::Feps;
use leaving::Leaving;
use peer_clocks::PeerClocks;

use crate::economics::Price;
use crate::gateway::{self, Gateway, Mesh, Tell, Unpaid};
use crate::gossip::{By, Gossip, Say};
use crate::http::Surface;
use crate::identity::{Identity, NodeId};
use crate::labnet::conduct::{Deed, Offence};
use crate::labnet::{self, Labnet};
use crate::machine::{Completion, Input, Level, LinkId, Machine, OpId, Outbox, Output, ResetCode};
use crate::market::MarketRoom;
use crate::mutants::{Mutant, mutant};
use crate::provider::{self, Provider};
use crate::rng::Seed;
use crate::store::{BadRow, Snapshot, Table};
use crate::time::{Now, Wake};
use crate::wire::cbor;
use crate::wire::envelope::Kind;
use crate::wire::ids::RequestId;
use crate::wire::mesh::{PeerRecord, Version};

pub struct Node {
    me: Me,
    config: config::Config,
    out: Outbox,
    owners: Owners,
    feps: Feps,
    /// The write of this life's incarnation, until it is durable.
    being_born: Option<OpId>,
    /// The write of a higher incarnation, until it is durable.
    living_on: Option<(OpId, u64)>,
    clock: Clock,
    clocks: PeerClocks,
    /// It was said that our clock is wrong.
    clock_is_wrong: bool,
    /// Links that came up before that.
    early: Vec<Early>,
    leaving: Leaving,
    stopped: Option<String>,
    labnet: Labnet,
    gossip: Gossip,
    descriptors: Descriptors,
    gateway: Option<Gateway>,
    unpaid: Option<Unpaid>,
    provider: Option<Provider>,
    market: MarketRoom,
    admin: Admin,
}

/// A `Cx` for one of the rooms: borrows what they share and nothing of theirs.
macro_rules! cx {
    ($node:ident, $now:expr, $room:ident) => {
        Cx {
            now: $now,
            me: &$node.me,
            room: Room::$room,
            out: &mut $node.out,
            owners: &mut $node.owners,
            feps: &mut $node.feps,
            clocks: &mut $node.clocks,
        }
    };
}

// Behind the macro that they use.
mod errands;
mod life;
mod links;
mod orders;
mod streams;
mod telling;

use life::{LIFE, LifeRow};
use links::Early;

impl Node {
    /// Every table a node may have, whatever its roles.
    pub const TABLES: &'static [Table] = &{
        let [a, b, c, d, e, f, g, h, i, j, k] = provider::TABLES;
        [LIFE, labnet::ANCHORS, descriptors::TABLE, gateway::TABLE, a, b, c, d, e, f, g, h, i, j, k]
    };

    /// # Errors
    ///
    /// A row of the snapshot that can't be read.
    pub fn new(
        config: config::Config,
        identity: Identity,
        seed: Seed,
        snapshot: &Snapshot,
        now: Now,
    ) -> Result<Self, BadRow> {
        let last = match snapshot.of(LIFE).next() {
            Some(row) => row.parse::<LifeRow>(LIFE)?.incarnation,
            None => 0,
        };
        // The wall clock keeps a rolled-back disk from using an incarnation again; the disk, a rolled-back clock.
        let reused = mutant(Mutant::IncarnationReused) && last > 0;
        let incarnation = if reused { last } else { now.wall.0.max(last.saturating_add(1)) };
        let network = identity.network(&config.network);
        let mut feps = Feps::new(&config.feps);
        let terms_of = config.gateway.as_ref().map(|gateway| gateway.fep);
        let descriptors = Descriptors::new(&mut feps, terms_of, network, snapshot, now.mono)?;
        let me = Me {
            node_id: identity.node_id(),
            identity,
            network,
            incarnation,
            caps: config.caps,
            leaves: false,
        };
        let gateway = match &config.gateway {
            Some(gateway) => Some(Gateway::new(gateway, &config.feps, &seed, snapshot, now.mono)?),
            None => None,
        };
        let provider = match &config.provider {
            Some(provider) => {
                let streams = (seed.stream("claims"), seed.stream("hosting"));
                Some(Provider::new(provider.clone(), &config.feps, streams, snapshot, now.mono)?)
            }
            None => None,
        };
        let unpaid = config.unpaid.as_ref().map(|unpaid| Unpaid::new(unpaid, &seed));
        let mut node = Self {
            labnet: Labnet::new(&config, &seed, snapshot, now)?,
            gossip: Gossip::new(config.interest(), config.reach.clone(), &config.caps, seed.stream("gossip")),
            gateway,
            unpaid,
            provider,
            market: MarketRoom::default(),
            admin: Admin::new(now.mono),
            me,
            feps,
            descriptors,
            config,
            out: Outbox::default(),
            owners: Owners::default(),
            being_born: None,
            living_on: None,
            clock: Clock::new(now),
            clocks: PeerClocks::default(),
            clock_is_wrong: false,
            early: Vec::new(),
            leaving: Leaving::default(),
            stopped: None,
        };
        node.being_born = Some(node.store_life(now, incarnation));
        Ok(node)
    }

    pub fn node_id(&self) -> NodeId {
        self.me.node_id
    }

    /// The version of what this node holds of another's capabilities: for those who measure how records spread.
    pub fn knows(&self, provider: NodeId) -> Option<Version> {
        self.gossip.version_of(provider)
    }

    /// Models that it had loaded since its start: for those who look whether providers alike change together.
    pub fn loads(&self) -> u64 {
        self.provider.as_ref().map_or(0, Provider::loads)
    }

    /// What runs here, and what it costs now: for those who look what a market comes to.
    pub fn prices(&self) -> Vec<(String, Price)> {
        self.provider.as_ref().map(Provider::prices).unwrap_or_default()
    }

    /// Why a request went where it went, as the admin surface tells it: for those who look how a gateway chooses. `None`: it is not
    /// remembered.
    pub fn explain(&self, request: RequestId) -> Option<Value> {
        self.gateway.as_ref()?.explain(request)
    }

    /// The peers that this node may call, linked or not: for those who look for a swarm among them.
    pub fn peers(&self) -> impl Iterator<Item = NodeId> {
        self.gossip.sample()
    }

    fn born(&mut self, now: Now) {
        self.being_born = None;
        self.out.event(
            Level::Info,
            "node",
            format!("{} is up, incarnation {}", self.me.node_id, self.me.incarnation),
        );
        let record = PeerRecord {
            gateway: self.gateway.is_some(),
            provider: self.provider.is_some(),
            addresses: self.config.addresses.clone(),
            public_endpoint: self.config.gateway.as_ref().and_then(|gateway| gateway.public_endpoint.clone()),
            feps: self.config.gateway.iter().map(|gateway| gateway.fep).collect(),
            witnesses: Vec::new(),
            interest: self.config.interest(),
        };
        self.gossip.announce_peer(&cx!(self, now, Labnet), record);
        self.capability_changed(now);
        for Early { link, arrived, control, bytes } in core::mem::take(&mut self.early) {
            self.labnet.link_up(&mut cx!(self, now, Labnet), link, arrived);
            if let Some(stream) = control {
                self.opened(now, stream, link);
                self.bytes(now, stream, &bytes);
            }
        }
    }

    /// Says anew, by the clock as it is now, what we say of ourselves, and looks anew at what others said.
    fn watch_clock(&mut self, now: Now) {
        if self.being_born.is_some() {
            return;
        }
        let step = self.clock.step(now);
        if let Some(step) = step {
            let text = format!("the wall clock was set by {step} ms: our records and offers are signed anew");
            self.out.event(Level::Warn, "node", text);
            self.labnet.greet_again(&mut cx!(self, now, Labnet));
        }
        let disagreement = self.clocks.disagreement(now);
        let judged = disagreement.is_some() != self.clock_is_wrong;
        if judged {
            self.clock_is_wrong = disagreement.is_some();
            let (level, text) = self.judged(disagreement);
            self.out.event(level, "node", text);
        }
        if judged || step.is_some() {
            self.capability_changed(now);
        }
        if step.is_some() {
            self.gossip.clock_was_set(&mut cx!(self, now, Labnet));
        }
    }

    fn judged(&self, disagreement: Option<i64>) -> (Level, String) {
        let peers = self.clocks.peers();
        let Some(ahead) = disagreement else {
            return (
                Level::Info,
                format!("the wall clock agrees with {peers} peers' again: work is taken as before"),
            );
        };
        let side = if ahead > 0 { "ahead of" } else { "behind" };
        let text = format!(
            "the wall clock is {} s {side} the median of {peers} peers': no work is taken and no money signed until it \
             agrees. Is the time synchronised here?",
            ahead.unsigned_abs() / 1_000,
        );
        (Level::Warn, text)
    }

    fn capability_changed(&mut self, now: Now) {
        if self.being_born.is_some() {
            return;
        }
        if let Some(provider) = &mut self.provider {
            let record = provider.capability(&mut cx!(self, now, Provider));
            self.gossip.announce_capability(&cx!(self, now, Labnet), record);
            if self.gossip.take_more_peers() {
                self.labnet.heard_of_peers(now.mono);
            }
        }
    }

    fn say(&mut self, now: Now, says: impl IntoIterator<Item = Say>) {
        for Say { link, kind, payload } in says {
            self.labnet.say(&mut cx!(self, now, Labnet), link, kind, &payload);
        }
    }

    /// Sends a neighbour the records that it is due, as far as it reads.
    fn pass_on(&mut self, now: Now, link: LinkId) {
        while self.labnet.has_room(link)
            && let Some(frame) = self.gossip.next_for(link)
        {
            self.labnet.pass_on(&mut cx!(self, now, Labnet), link, frame);
        }
    }

    fn pass_on_all(&mut self, now: Now) {
        while let Some(link) = self.gossip.poll_ready() {
            self.pass_on(now, link);
        }
    }

    fn tell(&mut self, now: Now, messages: impl IntoIterator<Item = Tell>) {
        for Tell { to, kind, payload } in messages {
            if to == self.me.node_id {
                self.message(now, to, kind, &payload);
            } else {
                // Without a link it is dropped: whoever wants it delivered tries again.
                self.labnet.tell(&mut cx!(self, now, Labnet), to, kind, &payload);
            }
        }
    }

    fn labnet_says(&mut self, now: Now, outputs: Vec<labnet::Output>) {
        for output in outputs {
            match output {
                labnet::Output::Admitted { link, node_id, interest, chosen } => {
                    let says = self.gossip.link_up(&cx!(self, now, Labnet), link, node_id, interest, chosen);
                    self.say(now, says);
                    let waiting = self.gateway.as_mut().map(|gateway| gateway.admitted(node_id));
                    self.tell(now, waiting.into_iter().flatten());
                    if let Some(load) = self.provider.as_ref().and_then(Provider::load) {
                        self.tell_load(now, &load, Some(node_id));
                    }
                    for known in self.descriptors.known(&self.feps) {
                        self.labnet.tell(&mut cx!(self, now, Labnet), node_id, Kind::FepDescriptor, &known);
                    }
                    if let Some(market) = self.market.latest().map(cbor::encode) {
                        self.labnet.tell(&mut cx!(self, now, Labnet), node_id, Kind::Market, &market);
                    }
                }
                labnet::Output::Ready { node_id } => {
                    if let Some(gateway) = &mut self.gateway {
                        let mesh = Mesh { gossip: &self.gossip, labnet: &self.labnet };
                        gateway.came(&mut cx!(self, now, Gateway), &mesh, node_id);
                    }
                    let busy = self.provider.as_ref().map(Provider::works_for).unwrap_or_default();
                    self.labnet.trim_invited(&mut cx!(self, now, Labnet), &busy);
                }
                labnet::Output::Record { from, frame } if self.labnet.admits(&frame.header().sender) => {
                    let by = self
                        .labnet
                        .node_of(from)
                        .map(|node_id| By { node_id, stranger: self.labnet.is_stranger(from) });
                    let says = self.gossip.record(&mut cx!(self, now, Labnet), from, by, frame);
                    self.say(now, says);
                }
                // A record of somebody we do not deal with.
                labnet::Output::Record { .. } => {}
                labnet::Output::Message {
                    link,
                    from,
                    kind:
                        kind @ (Kind::Announce
                        | Kind::Want
                        | Kind::Prune
                        | Kind::Digest
                        | Kind::Shuffle
                        | Kind::Distances),
                    payload,
                } => {
                    let by = By { node_id: from, stranger: self.labnet.is_stranger(link) };
                    let says = self.gossip.message(&mut cx!(self, now, Labnet), link, by, kind, &payload);
                    self.say(now, says);
                    if self.gossip.take_more_peers() {
                        self.labnet.heard_of_peers(now.mono);
                    }
                }
                labnet::Output::Message { link, from, kind: Kind::Invite, payload } => {
                    self.labnet.invited(&mut cx!(self, now, Labnet), &self.gossip, link, from, &payload);
                }
                labnet::Output::Message { link, from, kind: Kind::Market, payload } => {
                    match cbor::decode(&payload) {
                        Ok(_) if self.labnet.is_stranger(link) => {}
                        Ok(market) => self.market.heard(from, market),
                        Err(_) => cx!(self, now, Labnet).note(from, Deed::Offence(Offence::Malformed)),
                    }
                }
                labnet::Output::Message { from, kind: Kind::FepDescriptor, payload, .. } => {
                    self.descriptors.heard(&mut cx!(self, now, Descriptors), from, &payload);
                }
                labnet::Output::Message { from, kind, payload, .. } => {
                    self.message(now, from, kind, &payload);
                }
            }
        }
    }

    fn message(&mut self, now: Now, from: NodeId, kind: Kind, payload: &[u8]) {
        if let Some(gateway) = &mut self.gateway {
            let mesh = Mesh { gossip: &self.gossip, labnet: &self.labnet };
            gateway.message(&mut cx!(self, now, Gateway), &mesh, from, kind, payload);
        }
        if let Some(provider) = &mut self.provider {
            let tell = provider.message(&mut cx!(self, now, Provider), from, kind, payload);
            self.tell(now, tell);
        }
    }

    /// What follows each call, whatever it was.
    fn settle(&mut self, now: Now) {
        self.drain_loopback(now);
        self.judge(now);
        // After the input: it may say that a stream is gone.
        self.watch_clock(now);
        self.live_on(now);
        let settled = self.descriptors.settle(&mut cx!(self, now, Descriptors));
        if settled.first {
            // Until now no job could have been taken.
            self.capability_changed(now);
        }
        if let Some(gateway) = &mut self.gateway
            && settled.looked.contains(&gateway.fep())
        {
            let mesh = Mesh { gossip: &self.gossip, labnet: &self.labnet };
            gateway.keys_came(&mut cx!(self, now, Gateway), &mesh);
        }
        if let Some(provider) = &mut self.provider {
            provider.go_on(&mut cx!(self, now, Provider));
            if let Some(unpaid) = &mut self.unpaid
                && provider.slots_have_changed()
            {
                unpaid.go_on(&mut cx!(self, now, Unpaid), provider);
            }
            if provider.take_reoffer() {
                self.capability_changed(now);
            }
        }
        if let Some(load) = self.provider.as_mut().and_then(|provider| provider.poll_load(now.mono)) {
            self.tell_load(now, &load, None);
        }
        self.tell_market(now);
        self.send_invites(now);
        self.run_errands(now);
        self.pass_on_all(now);
        self.go_on_leaving(now);
    }

    /// Lets what peers did have its consequences.
    fn judge(&mut self, now: Now) {
        for (node_id, deed) in self.owners.take_noted() {
            self.labnet.noted(&mut cx!(self, now, Labnet), node_id, deed);
        }
        if self.labnet.is_to_be_weighed() {
            let queued = |link| self.gossip.queued(link);
            self.labnet.weigh(&mut cx!(self, now, Labnet), queued);
        }
    }

    fn done(&mut self, now: Now, op: OpId, completion: Completion) {
        let room = self.owners.take_op(op);
        if let Completion::Stored(Err(error)) = &completion {
            // What is in memory is ahead of the disk: only the disk is to be believed.
            self.stopped = Some(error.text());
        }
        match room {
            Some(Room::Node) if self.being_born == Some(op) && self.stopped.is_none() => self.born(now),
            Some(Room::Node) => {
                if let Some((_, incarnation)) = self.living_on.filter(|(ours, _)| *ours == op)
                    && self.stopped.is_none()
                {
                    self.lives_on(now, incarnation);
                }
            }
            Some(Room::Unpaid) | None => {}
            Some(Room::Labnet) => self.labnet.done(&mut cx!(self, now, Labnet), op, completion),
            Some(Room::Gateway) => {
                let tell = match &mut self.gateway {
                    Some(gateway) => gateway.done(&mut cx!(self, now, Gateway), op, &completion),
                    None => Vec::new(),
                };
                self.tell(now, tell);
            }
            Some(Room::Provider) => {
                let tell = match &mut self.provider {
                    Some(provider) => provider.done(&mut cx!(self, now, Provider), op, &completion),
                    None => Vec::new(),
                };
                self.tell(now, tell);
            }
            Some(Room::Descriptors) => {
                if let Some(news) = self.descriptors.done(op, &completion) {
                    self.pass_on_news(now, news);
                }
            }
            Some(Room::Admin) => {
                let known = admin::Known::of(&self.provider);
                self.admin.done(&mut cx!(self, now, Admin), &known, op, completion);
            }
        }
    }
}

impl Machine for Node {
    fn handle(&mut self, now: Now, input: Input<'_>) {
        match input {
            Input::LinkUp { link, peer } => self.link_up(now, link, peer),
            Input::LinkDown { link, reason } => self.link_down(now, link, reason),
            Input::Opened { stream, link } => self.opened(now, stream, link),
            Input::Request { stream, surface: Surface::Admin, head } => {
                self.admin_request(now, stream, &head)
            }
            Input::Request { stream, surface: Surface::Public, head }
                if let (Some(unpaid), Some(provider)) = (&mut self.unpaid, &self.provider) =>
            {
                self.owners.adopt(stream, Room::Unpaid, None);
                unpaid.request(&mut cx!(self, now, Unpaid), provider, stream, &head);
            }
            Input::Request { stream, surface: Surface::Public, head } => {
                self.owners.adopt(stream, Room::Gateway, None);
                let mut cx = cx!(self, now, Gateway);
                match &mut self.gateway {
                    Some(gateway) => {
                        let mesh = Mesh { gossip: &self.gossip, labnet: &self.labnet };
                        gateway.request(&mut cx, &mesh, stream, &head);
                    }
                    None => cx.reset(stream, ResetCode::Refused),
                }
            }
            Input::Response { stream, head } => match self.owners.room(stream) {
                Some(Room::Gateway) => {
                    if let Some(gateway) = &mut self.gateway {
                        gateway.response(stream, &head);
                    }
                }
                Some(Room::Provider) => {
                    if let Some(provider) = &mut self.provider {
                        provider.response(stream, &head);
                    }
                }
                Some(Room::Descriptors) => self.descriptors.response(stream, &head),
                Some(Room::Labnet | Room::Admin | Room::Node | Room::Unpaid) | None => {}
            },
            Input::Bytes { stream, bytes } => self.bytes(now, stream, bytes),
            Input::Finished { stream } => self.finished(now, stream),
            Input::Reset { stream, code: _ } => self.reset(now, stream),
            Input::Credit { stream, bytes } => self.credit(now, stream, bytes),
            Input::Done(op, completion) => self.done(now, op, completion),
            Input::Leave => self.leave(now),
        }
        self.settle(now);
    }

    fn handle_timeout(&mut self, now: Now) {
        if self.being_born.is_some() {
            return;
        }
        if self.leaving.has_spoken() {
            return self.settle(now);
        }
        let heard = self.labnet.handle_timeout(&mut cx!(self, now, Labnet));
        self.labnet_says(now, heard);
        let says = self.gossip.handle_timeout(&mut cx!(self, now, Labnet));
        self.say(now, says);
        if let Some(after) = self.labnet.look_around(&mut cx!(self, now, Labnet), &self.gossip) {
            self.gossip.ask_for_peers(&cx!(self, now, Labnet), after);
        }
        self.descriptors.handle_timeout(&mut cx!(self, now, Descriptors));
        if let Some(gateway) = &mut self.gateway {
            let mesh = Mesh { gossip: &self.gossip, labnet: &self.labnet };
            let tell = gateway.handle_timeout(&mut cx!(self, now, Gateway), &mesh);
            self.tell(now, tell);
        }
        if let (Some(unpaid), Some(provider)) = (&mut self.unpaid, &mut self.provider) {
            unpaid.handle_timeout(&mut cx!(self, now, Unpaid), provider);
        }
        if let Some(provider) = &mut self.provider {
            let mut cx = cx!(self, now, Provider);
            provider.handle_timeout(&mut cx);
            if provider.refresh_due(&cx) {
                self.capability_changed(now);
            }
        }
        self.decide_hosting(now);
        self.settle(now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.out.poll()
    }

    fn poll_timeout(&self) -> Option<Wake> {
        if self.being_born.is_some() {
            return None;
        }
        if self.leaving.has_spoken() {
            return self.leaving.poll_timeout();
        }
        let wake = Wake::earliest(self.labnet.poll_timeout(), self.gossip.poll_timeout());
        let wake = Wake::earliest(wake, Some(self.clock.poll_timeout()));
        let wake = Wake::earliest(wake, self.leaving.poll_timeout());
        let wake = Wake::earliest(wake, self.market.poll_timeout());
        let wake = Wake::earliest(wake, self.descriptors.poll_timeout());
        let wake = Wake::earliest(wake, self.gateway.as_ref().and_then(Gateway::poll_timeout));
        let wake = Wake::earliest(wake, self.unpaid.as_ref().and_then(Unpaid::poll_timeout));
        Wake::earliest(wake, self.provider.as_ref().and_then(Provider::poll_timeout))
    }

    fn stopped(&self) -> Option<&str> {
        self.stopped.as_deref()
    }

    /// Who is not born yet has nobody to say goodbye to.
    fn has_left(&self) -> bool {
        self.being_born.is_some() || self.leaving == Leaving::Gone
    }
}
