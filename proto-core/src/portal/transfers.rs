//! Money on its way out over a rail.
//!
//! ```text
//!               durable             durable, then the rail is asked        the rail's last word, durable
//!   Scheduled ----------> Scheduled -------------------------------> Sent ------------------------------> confirmed | failed
//!                                                                     |  ^
//!                                              no answer, or unknown  '--' the same key, after a pause
//! ```
//!
//! A transfer has one key at its rail for all its life, made from what it moves and from its number: asking twice, before or
//! after a crash, moves the money once. Only a rail's final failure ends it unpaid. What it was for then decides:
//! a [payout](super::payouts) is scheduled anew, as another transfer; a [withdrawal](super::withdrawals) goes back to its user.

use alloc::collections::BTreeMap;
use alloc::string::String;

use crate::limits::{RAIL_FIRST, RAIL_LAST};
use crate::money::Micros;
use crate::store::{BadRow, Row, Snapshot, Write};
use crate::time::{Span, Time, Wake};
use crate::timers::Timers;
use crate::wire::cbor;
use crate::wire::portal::PayoutTo;

use super::books::Fep;
use super::config::RailName;
use super::faults::Fault;
use super::rails::{Order, Outcome, address};
use super::rows::{Ended, Purpose, TRANSFERS, TRANSFERS_ENDED, TransferRow, TransferState, numbered};

/// Counts from 1.
pub(super) type TransferId = u64;

pub(super) struct Transfer {
    pub(super) row: TransferRow,
    /// What befalls it when the rail is asked first.
    fault: Option<Fault>,
    /// Until the rail is asked again.
    pause: Span,
}

#[derive(Default)]
pub(super) struct Transfers {
    open: BTreeMap<TransferId, Transfer>,
    last: TransferId,
    due: Timers<TransferId>,
}

/// What is to be done about a transfer whose time has come.
pub(super) enum Due {
    Send(TransferId),
    Ask(TransferId),
}

impl Transfers {
    /// Whatever an earlier life left open goes on at once.
    pub(super) fn load(snapshot: &Snapshot, last: TransferId, now: Time) -> Result<Self, BadRow> {
        let mut transfers = Self { last, ..Self::default() };
        for row in snapshot.of(TRANSFERS) {
            let row: TransferRow = row.parse(TRANSFERS)?;
            transfers.due.set(row.transfer, now, "a transfer of an earlier life goes on");
            transfers.open.insert(row.transfer, Transfer { row, fault: None, pause: RAIL_FIRST });
        }
        Ok(transfers)
    }

    pub(super) fn last(&self) -> TransferId {
        self.last
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &TransferRow> {
        self.open.values().map(|transfer| &transfer.row)
    }

    pub(super) fn get(&self, id: TransferId) -> Option<&TransferRow> {
        self.open.get(&id).map(|transfer| &transfer.row)
    }

    pub(super) fn purpose(&self, id: TransferId) -> Option<Purpose> {
        self.get(id).map(|row| row.purpose.clone())
    }

    pub(super) fn wake(&self) -> Option<Wake> {
        self.due.next()
    }

    pub(super) fn due(&mut self, now: Time) -> Option<Due> {
        let id = self.due.expired(now)?;
        let sent = self.open.get(&id).is_some_and(|transfer| transfer.row.state == TransferState::Sent);
        Some(if sent { Due::Ask(id) } else { Due::Send(id) })
    }

    /// Nobody is asked yet.
    pub(super) fn schedule(
        &mut self,
        fep: &Fep,
        rail: RailName,
        to: PayoutTo,
        amount: Micros,
        purpose: Purpose,
        at_ms: u64,
    ) -> (TransferId, Write) {
        self.last += 1;
        let transfer = self.last;
        let key = key(fep, transfer, &to, amount, &purpose);
        let state = TransferState::Scheduled;
        let PayoutTo { currency, address: to } = to;
        let row =
            TransferRow { transfer, rail, key, to, currency, amount, purpose, state, at_ms, ended: None };
        let write = put(&row);
        self.open.insert(transfer, Transfer { row, fault: None, pause: RAIL_FIRST });
        (transfer, write)
    }

    /// From when this is durable, the rail may have been asked.
    pub(super) fn send(&mut self, id: TransferId, fault: Option<Fault>) -> Option<Write> {
        let transfer = self.open.get_mut(&id)?;
        transfer.row.state = TransferState::Sent;
        transfer.fault = fault;
        Some(put(&transfer.row))
    }

    /// What to ask the rail, and what befalls the asking. A lost answer is [told](Self::is_lost) when it comes.
    pub(super) fn ask(&mut self, id: TransferId) -> Option<(RailName, Order, Option<Fault>)> {
        let transfer = self.open.get_mut(&id)?;
        let fault = transfer.fault.take_if(|fault| *fault != Fault::AnswerLost);
        let TransferRow { rail, key, to, currency, amount, .. } = transfer.row.clone();
        let address = address::parts(&to).1.into();
        Some((rail, Order { transfer: id, key, address, currency, amount }, fault))
    }

    /// Is this answer lost? The next one is not.
    pub(super) fn is_lost(&mut self, id: TransferId) -> bool {
        self.open.get_mut(&id).is_some_and(|transfer| transfer.fault.take() == Some(Fault::AnswerLost))
    }

    /// Nobody knows what became of it: the rail is asked again, under the same key.
    pub(super) fn unknown(&mut self, id: TransferId, now: Time) {
        if let Some(transfer) = self.open.get_mut(&id) {
            self.due.set(id, now + transfer.pause, "what became of a transfer is asked again");
            transfer.pause = transfer.pause.doubled().min(RAIL_LAST);
        }
    }

    /// The rail's last word. `None`: it was ended before.
    pub(super) fn end(&mut self, id: TransferId, ended: Ended) -> Option<(TransferRow, [Write; 2])> {
        let Transfer { mut row, .. } = self.open.remove(&id)?;
        self.due.clear(id);
        row.ended = Some(ended);
        let history = Write::Insert(TRANSFERS_ENDED, Row::json(numbered(id), &row));
        Some((row, [Write::Delete(TRANSFERS, numbered(id)), history]))
    }
}

impl Outcome {
    /// `None`: this is not the end.
    pub(super) fn ended(self, at_ms: u64) -> Option<Ended> {
        match self {
            Self::Confirmed { tx } => Some(Ended::Confirmed { tx, at_ms }),
            Self::Failed { why } => Some(Ended::Failed { why, at_ms }),
            Self::Unknown => None,
        }
    }
}

fn put(row: &TransferRow) -> Write {
    Write::Put(TRANSFERS, Row::json(numbered(row.transfer), row))
}

/// Says all that is moved, so that even a portal whose store was rolled back asks for nothing else under a key that was used.
fn key(fep: &Fep, transfer: TransferId, to: &PayoutTo, amount: Micros, purpose: &Purpose) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("labman rail key 1");
    hasher.update(&fep.fep_id.0);
    hasher.update(&cbor::encode(&(transfer, to, amount)));
    hasher.update(&serde_json::to_vec(purpose).unwrap_or_default());
    hex::encode(&hasher.finalize().as_bytes()[..16])
}
