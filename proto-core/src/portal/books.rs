//! What every room of a portal works on: who we are, and what we know.

use crate::identity::{FepId, Identity, Network, NodeId};
use crate::money::Micros;
use crate::store::{BadRow, Row, Snapshot, Write};
use crate::time::Now;

use super::accounts::Accounts;
use super::answer::Refused;
use super::config::Config;
use super::disputes::Disputes;
use super::faults::Faults;
use super::gateway_fees::PayDay;
use super::holds::Holds;
use super::ledger::{Account, Ledger};
use super::payouts::Accepted;
use super::quotes::Quotes;
use super::receipts::Receipts;
use super::rows::{COUNTERS, COUNTERS_KEY, CountersRow, HOLDS};
use super::signing::Signing;
use super::transfers::Transfers;
use super::uptime::Uptime;

pub(super) struct Fep {
    pub(super) config: Config,
    pub(super) signing: Signing,
    pub(super) fep_id: FepId,
    pub(super) network: Network,
}

impl Fep {
    pub(super) fn new(config: Config, signing: Signing) -> Self {
        let (fep_id, network) = (signing.ring().fep_id(), signing.network);
        Self { config, signing, fep_id, network }
    }

    /// The key that signs now: to be asked for in front of whatever must be signed for.
    pub(super) fn signer(&self, now: Now) -> Result<&Identity, Refused> {
        self.signing.signer(now)
    }

    pub(super) fn must_be_us(&self, fep_id: FepId) -> Result<(), Refused> {
        match fep_id == self.fep_id {
            true => Ok(()),
            false => Err(Refused::bad_request(alloc::format!(
                "this is portal {}; the call was made for {fep_id}",
                self.fep_id
            ))),
        }
    }
}

/// The state that decisions need. It runs ahead of the store by what is being written.
pub(super) struct Books {
    pub(super) accounts: Accounts,
    pub(super) ledger: Ledger,
    pub(super) holds: Holds,
    pub(super) receipts: Receipts,
    /// The number of the last payout.
    pub(super) payouts: u64,
    pub(super) uptime: Uptime,
    pub(super) accepted: Accepted,
    pub(super) transfers: Transfers,
    pub(super) faults: Faults,
    pub(super) quotes: Quotes,
    pub(super) pay_day: PayDay,
    pub(super) disputes: Disputes,
}

impl Books {
    pub(super) fn load(fep: &Fep, snapshot: &Snapshot, now: Now) -> Result<Self, BadRow> {
        let currency = fep.config.currency.clone();
        let mut last = CountersRow {
            currency: currency.clone(),
            users: 0,
            journal: 0,
            receipts: 0,
            payouts: 0,
            uptime_ms: 0,
            transfers: 0,
        };
        for row in snapshot.of(COUNTERS) {
            last = row.parse(COUNTERS)?;
            if last.currency != currency {
                let what = alloc::format!("its ledger is in {}, the config says {currency}", last.currency);
                return Err(BadRow { table: COUNTERS.name, key: row.key.clone(), what });
            }
        }
        let mut ledger = Ledger::load(snapshot, currency, last.journal)?;
        let uptime = Uptime::new(last.uptime_ms, now.mono);
        let holds = Holds::load(snapshot, fep.network, fep.signing.ring(), &uptime, now)?;
        for hold in holds.iter() {
            ledger.set_aside(hold.user, hold.amount()).map_err(|refusal| BadRow {
                table: HOLDS.name,
                key: alloc::format!("{}", hold.authorization.content.auth_id),
                what: alloc::format!("{refusal}"),
            })?;
        }
        Ok(Self {
            accounts: Accounts::load(snapshot, last.users)?,
            ledger,
            holds,
            receipts: Receipts::load(snapshot, last.receipts)?,
            payouts: last.payouts,
            uptime,
            accepted: Accepted::load(snapshot, now.mono)?,
            transfers: Transfers::load(snapshot, last.transfers, now.mono)?,
            faults: Faults::load(snapshot)?,
            quotes: Quotes::load(snapshot)?,
            pay_day: PayDay::new(now.mono, fep.config.gateways_paid_every),
            disputes: Disputes::load(snapshot)?,
        })
    }

    /// Of a gateway's bond: what no authorization has locked.
    pub(super) fn free_bond(&self, gateway: NodeId) -> Micros {
        let bond = self.ledger.balance(Account::Bond(gateway));
        Micros(bond.0.saturating_sub(self.holds.locked(gateway).0))
    }

    /// The counters as they stand: part of every batch.
    pub(super) fn counters(&mut self, fep: &Fep, now: Now) -> Write {
        self.uptime.written(now.mono);
        let row = CountersRow {
            currency: fep.config.currency.clone(),
            users: self.accounts.last_user(),
            journal: self.ledger.last(),
            receipts: self.receipts.last(),
            payouts: self.payouts,
            uptime_ms: self.uptime.at_ms(now.mono),
            transfers: self.transfers.last(),
        };
        Write::Put(COUNTERS, Row::json(COUNTERS_KEY, &row))
    }
}
