//! Gateways' fees on their way out: all that stands on a gateway's account, to the address that was enrolled for it.
//!
//! ```text
//!   on the account --the operator, or the time--> in a transfer --the rail confirms--> off the account
//!        ^                                            |
//!        '--------------- a final failure ------------'
//! ```
//!
//! Until a rail has confirmed that it arrived, it stays on the account, and no further transfer takes it. What is less than
//! the rail's least payout stays there until it is more.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::Deserialize;

use crate::identity::NodeId;
use crate::limits::{PAYOUT_ANEW, PORTAL_TRANSFERS};
use crate::machine::StreamId;
use crate::money::Micros;
use crate::mutants::{Mutant, mutant};
use crate::store::Write;
use crate::time::{Now, Span, Time, Wake};
use crate::wire::portal::PayoutTo;

use super::accounts::Accounts;
use super::admin::{commit, error_text};
use super::answer::{Answer, Refused, Step, Stepped};
use super::books::{Books, Fep};
use super::ledger::{self, Account, Entry};
use super::rails::address;
use super::rows::{Ended, Kind, Purpose, TransferRow};
use super::transfers::TransferId;
use super::writer::{Commit, Then};

/// When all gateways' fees are looked at next.
pub(super) struct PayDay(Time);

impl PayDay {
    /// Soon: a portal that is started again and again pays its gateways, too.
    pub(super) fn new(now: Time, every: Span) -> Self {
        Self(now + every.min(PAYOUT_ANEW))
    }

    /// `None`: nobody is to be paid.
    pub(super) fn wake(&self, accounts: &Accounts) -> Option<Wake> {
        let somebody = accounts.gateways().any(|(gateway, _)| accounts.pays_gateway_to(gateway).is_some());
        somebody.then_some(Wake { at: self.0, why: "gateways' fees may be paid out" })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SetAddress {
    gateway: NodeId,
    to: String,
}

/// From now on; what is on its way goes where it went.
pub(super) fn set_address(fep: &Fep, books: &mut Books, stream: StreamId, body: SetAddress) -> Stepped {
    let SetAddress { gateway, to } = body;
    let to = PayoutTo { currency: fep.config.currency.clone(), address: to };
    address::payable(&fep.config, &to).map_err(Refused::bad_request)?;
    let write = books.accounts.pay_gateway_to(gateway, to.address.clone())?;
    let answer = Answer::ok(&serde_json::json!({ "gateway": gateway, "to": to.address }));
    commit(
        stream,
        alloc::vec![write],
        answer,
        alloc::format!("gateway {gateway} is paid at {to:?} from now on"),
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pay {
    gateway: NodeId,
}

pub(super) fn pay(fep: &Fep, books: &mut Books, now: Now, stream: StreamId, body: Pay) -> Stepped {
    let gateway = books.accounts.enrolled(body.gateway)?;
    let on_their_way = on_their_way(books).contains_key(&gateway);
    let Scheduled { transfer, amount, write } = schedule(fep, books, now, gateway, on_their_way)?;
    let answer =
        serde_json::json!({ "gateway": gateway, "amount": amount.to_string(), "transfer": transfer });
    let answer = Some((stream, Answer::ok(&answer)));
    let told = told(gateway, amount, transfer);
    let then = Then::Scheduled { transfer, answer };
    Ok(Step::Commit(Commit { batch: alloc::vec![write], then, told }))
}

/// When their time has come, the transfers to all gateways that can be paid.
pub(super) fn due(fep: &Fep, books: &mut Books, now: Now) -> Vec<Commit> {
    if books.pay_day.0 > now.mono {
        return Vec::new();
    }
    books.pay_day = PayDay(now.mono + fep.config.gateways_paid_every);
    let on_their_way: BTreeSet<NodeId> = match mutant(Mutant::GatewayPaidTwice) {
        true => BTreeSet::new(),
        false => on_their_way(books).into_keys().collect(),
    };
    let gateways: Vec<NodeId> = books.accounts.gateways().map(|(gateway, _)| gateway).collect();
    let mut pay = |gateway| {
        let on_its_way = on_their_way.contains(&gateway);
        let Scheduled { transfer, amount, write } = schedule(fep, books, now, gateway, on_its_way).ok()?;
        let (then, told) = (Then::Scheduled { transfer, answer: None }, told(gateway, amount, transfer));
        Some(Commit { batch: alloc::vec![write], then, told })
    };
    gateways.into_iter().filter_map(&mut pay).collect()
}

/// What of gateways' fees is in transfers.
pub(super) fn on_their_way(books: &Books) -> BTreeMap<NodeId, Micros> {
    let fees = books.transfers.iter().filter_map(|transfer| match transfer.purpose {
        Purpose::GatewayFees { gateway } => Some((gateway, transfer.amount)),
        Purpose::Payout { .. } | Purpose::Withdrawal { .. } => None,
    });
    let mut sums: BTreeMap<NodeId, Micros> = BTreeMap::new();
    for (gateway, amount) in fees {
        let sum = sums.entry(gateway).or_default();
        *sum = Micros(sum.0.saturating_add(amount.0));
    }
    sums
}

struct Scheduled {
    transfer: TransferId,
    amount: Micros,
    write: Write,
}

fn schedule(
    fep: &Fep,
    books: &mut Books,
    now: Now,
    gateway: NodeId,
    on_its_way: bool,
) -> Result<Scheduled, Refused> {
    let address = books.accounts.pays_gateway_to(gateway).ok_or_else(|| {
        Refused::conflict(alloc::format!(
            "gateway {gateway} has no payout address: set one with `labman-fep gateway payout-to {gateway} ADDRESS`"
        ))
    })?;
    let to = PayoutTo { currency: fep.config.currency.clone(), address: address.into() };
    let terms = address::payable(&fep.config, &to).map_err(Refused::conflict)?;
    if on_its_way {
        return Err(Refused::conflict("a transfer to this gateway is on its way; what comes after it waits"));
    }
    let amount = books.ledger.balance(Account::Gateway(gateway));
    let least = terms.least_payout.max(Micros(1));
    if amount < least {
        return Err(Refused::conflict(alloc::format!(
            "its fees are {amount}, this rail sends {least} at least: they stay on its account"
        )));
    }
    if books.transfers.len() >= PORTAL_TRANSFERS {
        return Err(Refused::unavailable("too many transfers are on their way; ask again"));
    }
    let purpose = Purpose::GatewayFees { gateway };
    let (transfer, write) = books.transfers.schedule(fep, terms.rail, to, amount, purpose, now.wall.0);
    Ok(Scheduled { transfer, amount, write })
}

fn told(gateway: NodeId, amount: Micros, transfer: TransferId) -> String {
    alloc::format!("{amount} of fees to gateway {gateway} scheduled as transfer {transfer}")
}

/// A rail's last word.
pub(super) fn ended(
    books: &mut Books,
    now: Now,
    transfer: &TransferRow,
    gateway: NodeId,
) -> Result<Commit, Refused> {
    let then = Then::Paid(Vec::new());
    match &transfer.ended {
        Some(Ended::Confirmed { tx, .. }) => {
            let posted = books.ledger.post(Entry {
                kind: Kind::GatewayPayout,
                reference: alloc::format!("{}", transfer.transfer),
                at_ms: now.wall.0,
                postings: ledger::transfer(Account::Gateway(gateway), Account::Payouts, transfer.amount),
            });
            let batch = posted.map_err(|refusal| Refused::unavailable(error_text(refusal)))?;
            let told = alloc::format!("{} of fees paid to gateway {gateway}, {tx}", transfer.amount);
            Ok(Commit { batch, then, told })
        }
        Some(Ended::Failed { why, .. }) => {
            let told = alloc::format!(
                "transfer {} of fees to gateway {gateway} failed: {why}; they stay on its account",
                transfer.transfer
            );
            Ok(Commit { batch: Vec::new(), then, told })
        }
        None => Err(Refused::unavailable("this transfer has not ended")),
    }
}
