//! A node's lives: each under an incarnation of its own, on disk before anything is said; and how one ends.

use alloc::format;

use serde::{Deserialize, Serialize};

use super::leaving::{Leaving, UnderWay};
use super::{Node, Room};
use crate::gateway::{Gateway, Unpaid};
use crate::machine::{Level, OpId};
use crate::node::cx::Cx;
use crate::provider::Provider;
use crate::store::{Row, Table, Write};
use crate::time::Now;

/// One row: which life this is.
pub(super) const LIFE: Table = Table::live("life");

#[derive(Serialize, Deserialize)]
pub(super) struct LifeRow {
    pub(super) incarnation: u64,
}

impl Node {
    pub(super) fn store_life(&mut self, now: Now, incarnation: u64) -> OpId {
        let row = Row::json("life", &LifeRow { incarnation });
        cx!(self, now, Node).store([Write::Put(LIFE, row)].into())
    }

    /// Goes on above the incarnation of a later life of ours that others know of, once that is durable.
    pub(super) fn live_on(&mut self, now: Now) {
        let Some(later) = self.gossip.take_outlived_by().filter(|_| self.living_on.is_none()) else { return };
        if let Some(incarnation) = later.checked_add(1) {
            self.living_on = Some((self.store_life(now, incarnation), incarnation));
        }
    }

    pub(super) fn lives_on(&mut self, now: Now, incarnation: u64) {
        self.living_on = None;
        self.me.incarnation = incarnation;
        let text = format!(
            "others know of a later life of this node: disk and clock were set back, or another process has its key. It \
             goes on as incarnation {incarnation}"
        );
        self.out.event(Level::Warn, "node", text);
        self.gossip.renew(&cx!(self, now, Labnet));
    }

    /// Asked to leave: nothing new from now on.
    pub(super) fn leave(&mut self, now: Now) {
        if !self.me.leaves {
            self.me.leaves = true;
            self.leaving.begin(now.mono);
            let under_way = self.under_way();
            let text = match under_way.is_nothing() {
                true => "leaves: nothing is under way".into(),
                false => format!("leaves once these are over: {under_way}"),
            };
            self.out.event(Level::Info, "node", text);
            self.capability_changed(now);
        }
    }

    pub(super) fn go_on_leaving(&mut self, now: Now) {
        if self.leaving == Leaving::Staying {
            return;
        }
        let under_way = self.under_way();
        if self.leaving.finished(now.mono, under_way.is_nothing()) {
            if !under_way.is_nothing() {
                self.out.event(Level::Warn, "node", format!("leaves in the middle of these: {under_way}"));
            }
            self.gossip.depart(&cx!(self, now, Labnet));
            self.pass_on_all(now);
            self.labnet.leave(&mut cx!(self, now, Labnet));
            if let Some(provider) = &mut self.provider {
                provider.leave(&mut cx!(self, now, Provider));
            }
        } else if let Some(left) = self.leaving.lingers(now.mono) {
            let seconds = left.as_millis() / 1000;
            let text = format!("waits for these, for {seconds} s at most: {under_way}");
            self.out.event(Level::Info, "node", text);
        }
        let is_alone = self.labnet.is_alone() && self.provider.as_ref().is_none_or(Provider::is_alone);
        self.leaving.said(now.mono, is_alone);
    }

    fn under_way(&self) -> UnderWay {
        let (jobs, receipts) = self.provider.as_ref().map_or((0, 0), Provider::under_way);
        let requests = self.gateway.as_ref().map_or(0, Gateway::jobs_under_way)
            + self.unpaid.as_ref().map_or(0, Unpaid::jobs_under_way);
        UnderWay { requests, jobs, receipts }
    }
}
