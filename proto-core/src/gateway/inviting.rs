//! A request that nobody linked can serve, though others could: they are asked to call, and it waits for them.

use alloc::vec::Vec;

use super::job::State;
use super::{Due, Gateway, Mesh};
use crate::http::Body;
use crate::identity::NodeId;
use crate::limits::{INVITE_AGAIN, INVITE_WAIT, INVITED_AT_ONCE, INVITED_IN_VAIN};
use crate::node::cx::Cx;
use crate::openai::request::Request;
use crate::time::Time;
use crate::wire::ids::RequestId;

pub(super) struct Inviting {
    request: Request,
    /// Who was asked, for this request or another.
    whom: Vec<NodeId>,
}

/// Whom a request has waited for when it is routed.
pub(super) enum Asked {
    Nobody,
    /// There is still time.
    These(Vec<NodeId>),
    InVain,
}

/// A provider that was asked to call and has not come.
pub(super) struct Invited {
    since: Time,
    last: Time,
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

    /// The first of these, those last that were asked a while ago and did not come: who never does is not to keep others out.
    pub(super) fn whom_to_invite(&mut self, now: Time, others: Vec<NodeId>) -> Vec<NodeId> {
        self.invited.retain(|_, invited| now - invited.since < INVITED_IN_VAIN);
        let in_vain = |node_id: &NodeId| {
            self.invited.get(node_id).is_some_and(|invited| now - invited.since >= INVITE_WAIT)
        };
        let mut whom = others;
        whom.sort_by_key(in_vain);
        whom.truncate(INVITED_AT_ONCE);
        whom
    }

    pub(super) fn invite(&mut self, cx: &mut Cx<'_>, id: RequestId, request: Request, whom: Vec<NodeId>) {
        cx.info(alloc::format!("req_{id}: asks {} providers that are not linked to call", whom.len()));
        let now = cx.now.mono;
        for one in &whom {
            let known = self.invited.get_mut(one).filter(|invited| now - invited.since < INVITE_WAIT);
            match known {
                Some(invited) if now - invited.last < INVITE_AGAIN => continue,
                // One may have been lost on its way.
                Some(invited) => invited.last = now,
                None => {
                    self.invited.insert(*one, Invited { since: now, last: now });
                }
            }
            self.invites.push(*one);
        }
        self.due.set(Due::Invited(id), now + INVITE_WAIT, "a provider that was asked to call");
        self.wait_for(id, request, whom);
    }

    pub(super) fn wait_for(&mut self, id: RequestId, request: Request, whom: Vec<NodeId>) {
        if let Some(job) = self.jobs.get_mut(&id) {
            self.reading += job.size;
            job.state = State::Inviting(Inviting { request, whom });
        }
    }

    /// Streams may be opened to a node: who has waited for it goes on.
    pub(crate) fn came(&mut self, cx: &mut Cx<'_>, mesh: &Mesh<'_>, node_id: NodeId) {
        self.invited.remove(&node_id);
        let waiting = self.jobs.iter().filter(|(_, job)| job.state.waits_for(&node_id));
        let waiting: Vec<RequestId> = waiting.map(|(id, _)| *id).collect();
        for id in waiting {
            self.go_on(cx, mesh, id, Asked::These);
        }
    }

    /// Nobody has come in time; but somebody else may have a free slot by now.
    pub(super) fn waited(&mut self, cx: &mut Cx<'_>, mesh: &Mesh<'_>, id: RequestId) {
        self.go_on(cx, mesh, id, |_| Asked::InVain);
    }

    fn go_on(
        &mut self,
        cx: &mut Cx<'_>,
        mesh: &Mesh<'_>,
        id: RequestId,
        asked: impl FnOnce(Vec<NodeId>) -> Asked,
    ) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let reading = State::Reading(Body::up_to(0));
        match core::mem::replace(&mut job.state, reading) {
            State::Inviting(Inviting { request, whom }) => {
                self.reading -= job.size;
                self.choose(cx, mesh, id, request, asked(whom));
            }
            other => job.state = other,
        }
    }
}
