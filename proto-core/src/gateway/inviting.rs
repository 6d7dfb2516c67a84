//! A request that nobody linked can serve, though others could: they are asked to call, and it waits for them.

use alloc::vec::Vec;

use super::job::{State, progress};
use super::{Gateway, Mesh};
use crate::http::Body;
use crate::identity::NodeId;
use crate::limits::INVITE_WAIT;
use crate::node::cx::Cx;
use crate::openai::request::ChatRequest;
use crate::wire::ids::RequestId;

pub(super) struct Inviting {
    request: ChatRequest,
    /// Who was asked and has not come.
    whom: Vec<NodeId>,
}

impl State {
    fn waits_for(&self, node_id: &NodeId) -> bool {
        matches!(self, Self::Inviting(inviting) if inviting.whom.contains(node_id))
    }
}

impl Gateway {
    /// Providers that are to be asked to call, since this was last asked.
    pub(crate) fn take_invites(&mut self) -> Vec<NodeId> {
        core::mem::take(&mut self.invites)
    }

    pub(super) fn invite(&mut self, cx: &mut Cx<'_>, id: RequestId, request: ChatRequest, whom: Vec<NodeId>) {
        cx.info(alloc::format!("req_{id}: asks {} providers that are not linked to call", whom.len()));
        let waits = |one: &NodeId| self.jobs.values().any(|job| job.state.waits_for(one));
        let news: Vec<NodeId> = whom.iter().copied().filter(|one| !waits(one)).collect();
        self.invites.extend(news);
        if let Some(job) = self.jobs.get_mut(&id) {
            job.state = State::Inviting(Inviting { request, whom });
            self.due.set(progress(id), cx.now.mono + INVITE_WAIT, "a provider that was asked to call");
        }
    }

    /// Streams may be opened to a node: who has waited for it goes on.
    pub(crate) fn came(&mut self, cx: &mut Cx<'_>, mesh: &Mesh<'_>, node_id: NodeId) {
        let waiting = self.jobs.iter().filter(|(_, job)| job.state.waits_for(&node_id));
        let waiting: Vec<RequestId> = waiting.map(|(id, _)| *id).collect();
        for id in waiting {
            self.go_on(cx, mesh, id);
        }
    }

    /// Goes on with whoever has come, if somebody has.
    pub(super) fn go_on(&mut self, cx: &mut Cx<'_>, mesh: &Mesh<'_>, id: RequestId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if !matches!(job.state, State::Inviting(_)) {
            return;
        }
        self.due.clear(progress(id));
        let reading = State::Reading(Body::up_to(0));
        if let State::Inviting(Inviting { request, .. }) = core::mem::replace(&mut job.state, reading) {
            self.choose(cx, mesh, id, request, false);
        }
    }
}
