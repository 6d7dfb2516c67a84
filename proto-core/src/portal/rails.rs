//! Rails: by which money leaves for the outside world, each behind one interface.
//!
//! A rail is an outside party. It is asked for a transfer under a key that never changes, and may answer late, not at all,
//! or twice; asking again under the same key moves nothing a second time and says what became of the first. What a portal
//! makes of that is in [`transfers`](super::transfers).
//!
//! Absent: rails that move anything of value. One over HTTP would ask with [`Outbox::request`] and hear `Response`, `Bytes`,
//! `Finished` and `Reset`; it is told of every input but calls to the portal.

pub(super) mod address;
mod mock;
pub(super) mod operator;

use alloc::{boxed::Box, collections::BTreeMap, string::String};

use crate::machine::{Input, Outbox};
use crate::money::{Currency, Micros};

use super::config::{self, RailName};
use super::transfers::TransferId;
use mock::Mock;

pub(super) trait Rail: Send {
    /// Asks for a transfer, or for what became of it if this key was asked for before.
    fn ask(&mut self, order: Order, out: &mut Outbox);
    fn hear(&mut self, input: &Input<'_>, out: &mut Outbox) -> Heard;
}

/// What a rail is asked to do.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) transfer: TransferId,
    /// Moves money once, however often it is asked for.
    pub(super) key: String,
    /// As this rail writes addresses.
    pub(super) address: String,
    pub(super) currency: Currency,
    pub(super) amount: Micros,
}

pub(super) enum Heard {
    /// The input is not for this rail.
    NotMine,
    Waiting,
    Became(TransferId, Outcome),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The money has arrived.
    Confirmed { tx: String },
    /// It never will under this key: nothing was moved, and nothing is going to be.
    Failed { why: String },
    /// It may have arrived or not. Only the same key may be asked for again.
    Unknown,
}

/// Those that the config offers.
pub(super) struct Rails {
    by_name: BTreeMap<RailName, Box<dyn Rail>>,
}

impl Rails {
    pub(super) fn new(offered: &config::Rails) -> Self {
        let mock = |rail| (rail, Box::new(Mock::new(rail)) as Box<dyn Rail>);
        Self { by_name: offered.0.iter().map(|terms| mock(terms.rail)).collect() }
    }

    /// False: it is not offered any more, and nobody is asked.
    pub(super) fn ask(&mut self, rail: RailName, order: Order, out: &mut Outbox) -> bool {
        let Some(rail) = self.by_name.get_mut(&rail) else { return false };
        rail.ask(order, out);
        true
    }

    /// `NotMine`: for none of them.
    pub(super) fn hear(&mut self, input: &Input<'_>, out: &mut Outbox) -> Heard {
        for rail in self.by_name.values_mut() {
            match rail.hear(input, out) {
                Heard::NotMine => {}
                heard => return heard,
            }
        }
        Heard::NotMine
    }
}
