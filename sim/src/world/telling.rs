//! What the story of a run hears of the world: the same as the trace hash, and on which link or stream it was.

use labman_proto_core::machine::{Input, LinkId, Machine, Output, StreamId};

use super::World;
use crate::host::HostId;
use crate::story::{Story, Way};

impl<M: Machine> World<M> {
    /// Tells a story from now on. To be called before there are hosts.
    pub fn tell(&mut self, story: Story) {
        self.story = Some(Box::new(story));
    }

    pub fn take_story(&mut self) -> Option<Story> {
        self.story.take().map(|story| *story)
    }

    pub(super) fn tell_started(&mut self, host: HostId) {
        let now = self.engine.now();
        if let Some(story) = &mut self.story {
            let place = &self.hosts[host.0];
            story.started(now, host, &place.name, place.node_id);
        }
    }

    pub(super) fn tell_died(&mut self, host: HostId) {
        let now = self.engine.now();
        if let Some(story) = &mut self.story {
            story.died(now, host);
        }
    }

    /// A machine is about to be woken.
    pub(super) fn tell_wake(&mut self, host: HostId) {
        let now = self.engine.now();
        if let Some(story) = &mut self.story {
            let wake = self.hosts[host.0].machine().and_then(Machine::poll_timeout);
            story.woke(now, host, wake.map_or("nothing", |wake| wake.why));
        }
    }

    /// A machine is about to hear something.
    pub(super) fn tell_input(&mut self, host: HostId, input: &Input<'_>) {
        if self.story.is_none() {
            return;
        }
        let way = match input {
            Input::LinkUp { link, .. } | Input::LinkDown { link, .. } => self.way_of_link(host, *link),
            Input::Opened { stream, .. }
            | Input::Request { stream, .. }
            | Input::Response { stream, .. }
            | Input::Bytes { stream, .. }
            | Input::Finished { stream }
            | Input::Reset { stream, .. }
            | Input::Credit { stream, .. } => self.way_of_stream(host, *stream),
            Input::Done(..) | Input::Leave => None,
        };
        let now = self.engine.now();
        if let Some(story) = &mut self.story {
            story.input(now, host, way, input);
        }
    }

    /// What a machine said was carried out.
    pub(super) fn tell_output(&mut self, host: HostId, output: &Output) {
        let way = match output {
            Output::Open { stream, .. } | Output::Request { stream, .. } => self.way_of_stream(host, *stream),
            _ => None,
        };
        let now = self.engine.now();
        if let Some(story) = &mut self.story {
            story.output(now, host, way, output);
        }
    }

    fn way_of_stream(&self, host: HostId, stream: StreamId) -> Option<Way> {
        let (key, side) = self.hosts[host.0].streams.get(&stream)?;
        let other = self.streams.get(key)?.ends[side.other().index()].host;
        Some(Way { key: key.0, other })
    }

    fn way_of_link(&self, host: HostId, link: LinkId) -> Option<Way> {
        let (key, side) = self.hosts[host.0].links.get(&link)?;
        let other = self.links.get(key)?.ends[side.other().index()].host;
        Some(Way { key: key.0, other })
    }
}
