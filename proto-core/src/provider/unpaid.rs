//! Work for users of this node's own, for nothing: no authorization and no statement, only a slot.

use alloc::{string::String, vec::Vec};

use serde_json::Value;

use super::Provider;
use super::offers::slug;
use super::sockets::{NotStarted, Room};
use crate::limits::STREAM_WINDOW;
use crate::machine::LinkId;
use crate::node::config;
use crate::node::cx::Cx;
use crate::wire::portman::{FromPortman, JobId, ToPortman};

/// A job at a Portman that is attached.
pub(crate) type PortmanJob = (LinkId, JobId);

/// What came from a Portman.
#[derive(Default)]
pub(crate) struct Heard {
    /// The models that are served have changed.
    pub(crate) models: bool,
    /// Of jobs that nobody pays for.
    pub(crate) unpaid: Vec<(PortmanJob, FromPortman)>,
}

/// A model in the memory of one of this node's runtimes.
#[derive(Clone, Debug)]
pub(crate) struct Here {
    pub(crate) ep: String,
    pub(crate) model: String,
    pub(crate) slug: String,
    pub(crate) context_length: u32,
    pub(crate) slots: u32,
}

impl Provider {
    pub(crate) fn in_memory(&self) -> impl Iterator<Item = Here> {
        let endpoints = self.config.portmans.iter().map(|portman| portman.ep.as_str());
        let models = endpoints.flat_map(|ep| self.sockets.models(ep).iter().map(move |model| (ep, model)));
        models.filter(|(ep, model)| !self.hosting.is_leaving(ep, &model.id)).map(|(ep, model)| Here {
            ep: ep.into(),
            model: model.id.clone(),
            slug: slug(&self.config, ep, &model.id),
            context_length: model.context_length,
            slots: model.slots,
        })
    }

    /// Some endpoint's Portman is not there, or has no model in memory: more may be served soon.
    pub(crate) fn awaits_models(&self) -> bool {
        let is_empty = |portman: &config::Portman| self.sockets.models(&portman.ep).is_empty();
        self.config.portmans.iter().any(is_empty)
    }

    /// Slots that are free. `None`: it does not run there any more, or makes room for others.
    pub(crate) fn free_slots(&self, here: &Here) -> Option<u32> {
        let Here { ep, model, .. } = here;
        if self.hosting.is_leaving(ep, model) {
            return None;
        }
        match self.sockets.room(ep, model) {
            Room::NoModel => None,
            Room::Full => Some(0),
            Room::Slot => {
                Some(self.sockets.slots_of(ep, model)?.saturating_sub(self.sockets.in_flight(ep, model)))
            }
        }
    }

    pub(crate) fn start_unpaid(
        &mut self,
        cx: &mut Cx<'_>,
        here: &Here,
        body: Value,
    ) -> Result<PortmanJob, NotStarted> {
        self.sockets.start(cx, &here.ep, &here.model, body, STREAM_WINDOW)
    }

    pub(crate) fn grant_unpaid(&mut self, cx: &mut Cx<'_>, (link, job): PortmanJob, bytes: u32) {
        self.sockets.say(cx, link, &ToPortman::Credit { job, bytes });
    }

    /// Its Portman is done with it.
    pub(crate) fn unpaid_is_over(&mut self, (link, _): PortmanJob, here: &Here) {
        self.sockets.free(link, &here.model);
    }

    /// It is not wanted any more.
    pub(crate) fn cancel_unpaid(&mut self, cx: &mut Cx<'_>, (link, job): PortmanJob, here: &Here) {
        self.sockets.say(cx, link, &ToPortman::Cancel { job });
        self.sockets.free(link, &here.model);
    }

    /// Slots were taken or freed, or there are others.
    pub(crate) fn slots_have_changed(&self) -> bool {
        self.sockets.has_changed()
    }
}
