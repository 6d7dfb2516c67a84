//! The portal's side of its rails: when one is asked, and what follows from what it says.

use crate::machine::Level;
use crate::time::Now;

use super::faults::Fault;
use super::rails::Outcome;
use super::rows::Purpose;
use super::transfers::TransferId;
use super::writer::{Commit, Then};
use super::{Portal, ROOM, gateway_fees, payouts, withdrawals};

impl Portal {
    /// The rail is asked once it is durable that it may have been.
    pub(super) fn send(&mut self, now: Now, transfer: TransferId) {
        let Some(rail) = self.books.transfers.get(transfer).map(|row| row.rail) else { return };
        let (fault, spent) = self.books.faults.strike(rail).unzip();
        let Some(sent) = self.books.transfers.send(transfer, fault) else { return };
        let batch = core::iter::once(sent).chain(spent).collect();
        let told = alloc::format!("transfer {transfer} is sent over {rail}");
        self.commit(now, Commit { batch, then: Then::Sent(transfer), told });
    }

    pub(super) fn ask(&mut self, now: Now, transfer: TransferId) {
        let Some((rail, order, fault)) = self.books.transfers.ask(transfer) else { return };
        match fault {
            Some(Fault::Failed) => {
                self.became(now, transfer, Outcome::Failed { why: "trouble that was ordered".into() });
            }
            Some(Fault::AskLost) => self.became(now, transfer, Outcome::Unknown),
            Some(Fault::AnswerLost) | None => {
                if !self.rails.ask(rail, order, &mut self.out) {
                    self.became(now, transfer, Outcome::Unknown);
                }
            }
        }
    }

    pub(super) fn heard(&mut self, now: Now, transfer: TransferId, outcome: Outcome) {
        // What can't be signed for can't be booked: the rail says it again, under the same key.
        let lost = self.books.transfers.is_lost(transfer) || !self.fep.signing.signs();
        if self.stopped.is_none() {
            self.became(now, transfer, if lost { Outcome::Unknown } else { outcome });
        }
    }

    fn became(&mut self, now: Now, transfer: TransferId, outcome: Outcome) {
        let arrived = matches!(outcome, Outcome::Confirmed { .. });
        if !arrived && let Some(Purpose::Payout { provider, claims }) = self.books.transfers.purpose(transfer)
        {
            let waiting = self.books.accepted.stop_waiting_for(provider, &claims);
            self.answer_all(waiting, &payouts::not_yet(Some(transfer)).answer());
        }
        let Some(ended) = outcome.ended(now.wall.0) else {
            let text =
                alloc::format!("what became of transfer {transfer} is not known; the rail is asked again");
            self.out.event(Level::Warn, ROOM, text);
            return self.books.transfers.unknown(transfer, now.mono);
        };
        let Some((row, writes)) = self.books.transfers.end(transfer, ended) else { return };
        let commit = match &row.purpose {
            Purpose::Payout { provider, claims } => {
                payouts::ended(&self.fep, &mut self.books, now, &row, *provider, claims)
            }
            Purpose::Withdrawal { user, reference } => {
                withdrawals::ended(&mut self.books, now, &row, *user, reference)
            }
            Purpose::GatewayFees { gateway } => gateway_fees::ended(&mut self.books, now, &row, *gateway),
        };
        match commit {
            Ok(mut commit) => {
                commit.batch.extend(writes);
                self.commit(now, commit);
            }
            // The ledger holds less than is owed or on its way: nothing may be decided on such books.
            Err(_) => self.stop(alloc::format!("transfer {transfer} is not covered by its account")),
        }
    }
}
