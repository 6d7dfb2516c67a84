//! Double entry: every movement of money is a journal entry whose postings sum to zero.
//!
//! The portal owes what stands in `user`, `held`, `leaving`, `provider`, `gateway`, `bond` and `fep` accounts; the `rail` accounts are
//! the outside world, where deposits come from (so it falls), and payouts and withdrawals go to. Nothing but a deposit makes money, and only
//! `rail:deposits` may be negative.
//!
//! The journal is only ever appended to. The rows of `balances` are its sums, with one exception: what is held stays in its
//! user's row and is told from the rows of `holds`. So opening or releasing a hold touches no balance row, and one that the
//! store refuses leaves none to correct.

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::identity::NodeId;
use crate::money::{Currency, Micros};
use crate::store::{BadRow, Row, Snapshot, Write};

use super::accounts::UserId;
use super::rows::{BALANCES, BalanceRow, JOURNAL, JournalRow, Kind, PostingRow, numbered};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Account {
    /// What a user can spend.
    User(UserId),
    /// What open holds have set aside of it.
    Held(UserId),
    /// What a provider has earned and not been paid.
    Provider(NodeId),
    Gateway(NodeId),
    /// What a gateway answers with for the attempts that it declares void.
    Bond(NodeId),
    Fees,
    Rounding,
    Deposits,
    Payouts,
    /// What of a user's money is on its way to a rail.
    Leaving(UserId),
    /// What users have taken out.
    Withdrawals,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => write!(f, "user:{user}"),
            Self::Held(user) => write!(f, "held:{user}"),
            Self::Provider(node) => write!(f, "provider:{node}"),
            Self::Gateway(node) => write!(f, "gateway:{node}"),
            Self::Bond(node) => write!(f, "bond:{node}"),
            Self::Fees => f.write_str("fep:fees"),
            Self::Rounding => f.write_str("fep:rounding"),
            Self::Deposits => f.write_str("rail:deposits"),
            Self::Payouts => f.write_str("rail:payouts"),
            Self::Leaving(user) => write!(f, "leaving:{user}"),
            Self::Withdrawals => f.write_str("rail:withdrawals"),
        }
    }
}

impl FromStr for Account {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (of, id) = text.split_once(':').ok_or(())?;
        match (of, id) {
            ("user", id) => id.parse().map(Self::User).map_err(|_| ()),
            ("held", id) => id.parse().map(Self::Held).map_err(|_| ()),
            ("provider", id) => id.parse().map(Self::Provider).map_err(|_| ()),
            ("gateway", id) => id.parse().map(Self::Gateway).map_err(|_| ()),
            ("bond", id) => id.parse().map(Self::Bond).map_err(|_| ()),
            ("fep", "fees") => Ok(Self::Fees),
            ("fep", "rounding") => Ok(Self::Rounding),
            ("rail", "deposits") => Ok(Self::Deposits),
            ("rail", "payouts") => Ok(Self::Payouts),
            ("leaving", id) => id.parse().map(Self::Leaving).map_err(|_| ()),
            ("rail", "withdrawals") => Ok(Self::Withdrawals),
            _ => Err(()),
        }
    }
}

impl Serialize for Account {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Account {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|()| serde::de::Error::custom("not an account of this ledger"))
    }
}

/// What one event moves.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) reference: String,
    pub(super) at_ms: u64,
    pub(super) postings: Vec<(Account, Micros)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("{0} does not hold that much")]
    Overdrawn(Account),
    #[error("the amount is too large for this ledger")]
    Overflow,
    #[error("an entry does not sum to zero")]
    Unbalanced,
}

pub(super) struct Ledger {
    currency: Currency,
    balances: BTreeMap<Account, Micros>,
    /// The number of the last journal entry.
    last: u64,
}

impl Ledger {
    /// Without what is held: [`Self::set_aside`] follows for each open hold.
    pub(super) fn load(snapshot: &Snapshot, currency: Currency, last: u64) -> Result<Self, BadRow> {
        let mut balances = BTreeMap::new();
        for row in snapshot.of(BALANCES) {
            let BalanceRow { account, balance } = row.parse(BALANCES)?;
            balances.insert(account, balance);
        }
        Ok(Self { currency, balances, last })
    }

    pub(super) fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn balance(&self, account: Account) -> Micros {
        self.balances.get(&account).copied().unwrap_or_default()
    }

    pub(super) fn balances(&self) -> impl Iterator<Item = (Account, Micros)> {
        self.balances.iter().map(|(account, balance)| (*account, *balance))
    }

    /// Do all accounts together hold nothing (I1)?
    pub(super) fn sums_to_zero(&self) -> bool {
        self.balances.values().map(|balance| i128::from(balance.0)).sum::<i128>() == 0
    }

    /// Moves the money, and gives the rows that say so. An entry that moves nothing leaves none.
    pub(super) fn post(&mut self, mut entry: Entry) -> Result<Vec<Write>, Refusal> {
        entry.postings.retain(|(_, amount)| *amount != Micros::ZERO);
        if entry.postings.is_empty() {
            return Ok(Vec::new());
        }
        self.apply(&entry.postings)?;
        self.last += 1;
        let mut batch = self.balance_rows(&entry.postings);
        let postings = entry.postings.into_iter().map(|(account, amount)| PostingRow { account, amount });
        let row = JournalRow {
            at_ms: entry.at_ms,
            kind: entry.kind,
            reference: entry.reference,
            currency: self.currency.clone(),
            postings: postings.collect(),
        };
        batch.push(Write::Insert(JOURNAL, Row::json(numbered(self.last), &row)));
        Ok(batch)
    }

    /// An open hold that was found in the store at the start.
    pub(super) fn set_aside(&mut self, user: UserId, amount: Micros) -> Result<(), Refusal> {
        self.apply(&hold(user, amount))
    }

    /// Undoes a hold that the store refused: it was never in the journal.
    pub(super) fn take_back(&mut self, user: UserId, amount: Micros) -> Result<(), Refusal> {
        self.apply(&release(user, amount))
    }

    /// All postings or none.
    fn apply(&mut self, postings: &[(Account, Micros)]) -> Result<(), Refusal> {
        if postings.iter().map(|(_, amount)| i128::from(amount.0)).sum::<i128>() != 0 {
            return Err(Refusal::Unbalanced);
        }
        let mut after = BTreeMap::new();
        for (account, amount) in postings {
            let before = after.get(account).copied().unwrap_or_else(|| self.balance(*account));
            after.insert(*account, before.checked_add(*amount).ok_or(Refusal::Overflow)?);
        }
        let overdrawn = |(account, balance): (&Account, &Micros)| {
            (*balance < Micros::ZERO && *account != Account::Deposits).then_some(*account)
        };
        if let Some(account) = after.iter().find_map(overdrawn) {
            return Err(Refusal::Overdrawn(account));
        }
        for (account, balance) in after {
            match (account, balance) {
                (Account::Held(_), Micros::ZERO) => self.balances.remove(&account),
                (_, _) => self.balances.insert(account, balance),
            };
        }
        Ok(())
    }

    /// The rows of the accounts whose sum has changed.
    fn balance_rows(&self, postings: &[(Account, Micros)]) -> Vec<Write> {
        let mut net: BTreeMap<Account, i128> = BTreeMap::new();
        for (account, amount) in postings {
            let row = match *account {
                Account::Held(user) => Account::User(user),
                account => account,
            };
            *net.entry(row).or_default() += i128::from(amount.0);
        }
        net.retain(|_, amount| *amount != 0);
        net.into_keys().map(|account| Write::Put(BALANCES, self.balance_row(account))).collect()
    }

    fn balance_row(&self, account: Account) -> Row {
        let held = match account {
            Account::User(user) => self.balance(Account::Held(user)),
            _ => Micros::ZERO,
        };
        // The two fit together: both come out of deposits, whose sum fits.
        let balance = Micros(self.balance(account).0.saturating_add(held.0));
        Row::json(alloc::format!("{account}"), &BalanceRow { account, balance })
    }
}

pub(super) fn hold(user: UserId, amount: Micros) -> Vec<(Account, Micros)> {
    transfer(Account::User(user), Account::Held(user), amount)
}

pub(super) fn release(user: UserId, amount: Micros) -> Vec<(Account, Micros)> {
    transfer(Account::Held(user), Account::User(user), amount)
}

/// `amount` is not negative.
pub(super) fn transfer(from: Account, to: Account, amount: Micros) -> Vec<(Account, Micros)> {
    alloc::vec![(from, negated(amount)), (to, amount)]
}

/// `amount` is not negative, so that its negative exists.
pub(super) fn negated(amount: Micros) -> Micros {
    Micros(amount.0.saturating_neg())
}
