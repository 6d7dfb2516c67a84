//! A rail that moves nothing of value: a table of the portal's own store, in which a row is a transfer that was made.
//!
//! It is asked as any rail is, and nobody but it touches its table: the portal learns what is in there from its answers.

use alloc::collections::BTreeMap;

use crate::machine::{Completion, Input, OpId, Outbox};
use crate::store::{Range, Row, Write};

use super::super::config::RailName;
use super::super::rows::{RAIL, RailRow};
use super::{Heard, Order, Outcome, Rail};

pub(super) struct Mock {
    name: RailName,
    asked: BTreeMap<OpId, (Order, Asked)>,
}

enum Asked {
    WasItMade,
    Make,
}

impl Mock {
    pub(super) fn new(name: RailName) -> Self {
        Self { name, asked: BTreeMap::new() }
    }

    fn made(&self, order: &Order) -> RailRow {
        let Order { key, address, currency, amount, .. } = order.clone();
        let tx = alloc::format!("{}-{key}", self.name);
        RailRow { rail: self.name, tx, address, currency, amount }
    }
}

impl Rail for Mock {
    fn ask(&mut self, order: Order, out: &mut Outbox) {
        let op = out.read(Range::exactly(RAIL, &order.key));
        self.asked.insert(op, (order, Asked::WasItMade));
    }

    fn hear(&mut self, input: &Input<'_>, out: &mut Outbox) -> Heard {
        let Input::Done(op, completion) = input else { return Heard::NotMine };
        let Some((order, asked)) = self.asked.remove(op) else { return Heard::NotMine };
        let outcome = match (asked, completion) {
            (Asked::WasItMade, Completion::Page(Ok(rows))) => match rows.first() {
                Some(row) => match row.parse::<RailRow>(RAIL) {
                    Ok(RailRow { tx, .. }) => Outcome::Confirmed { tx },
                    Err(_) => Outcome::Unknown,
                },
                None => {
                    let row = Row::json(order.key.clone(), &self.made(&order));
                    let op = out.store(alloc::vec![Write::Insert(RAIL, row)]);
                    self.asked.insert(op, (order, Asked::Make));
                    return Heard::Waiting;
                }
            },
            (Asked::Make, Completion::Stored(Ok(()))) => Outcome::Confirmed { tx: self.made(&order).tx },
            // The disk may have the row or not; who asks again will see.
            (Asked::WasItMade | Asked::Make, _) => Outcome::Unknown,
        };
        Heard::Became(order.transfer, outcome)
    }
}
