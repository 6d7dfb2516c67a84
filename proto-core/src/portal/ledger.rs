//! Double entry: every movement of money is a journal entry whose postings sum to zero.
//!
//! Each currency has a book of its own. Users, gateways and the portal itself have accounts in the billing currency only; a
//! provider has one in each that it is paid in. What is exchanged stands on `fx:CUR`, in the billing book as what was taken in for
//! payouts in that currency, in that currency's book as what they came to.
//!
//! The portal owes what stands in `user`, `held`, `leaving`, `provider`, `gateway`, `bond` and `fep` accounts; the `rail` accounts are
//! the outside world, where deposits come from (so it falls), and payouts and withdrawals go to. Nothing but a deposit makes money, and only
//! `rail:deposits`, and what of a foreign currency has been given out for exchange, may be negative.
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
use super::rows::{BALANCES, BalanceRow, JOURNAL, JournalRow, Kind, PostingRow, balance_key, numbered};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    /// What is exchanged for payouts in that currency.
    Fx(Currency),
}

impl Account {
    /// May it be negative, in that currency's book?
    pub(super) fn may_fall(&self, currency: &Currency) -> bool {
        match self {
            Self::Deposits => true,
            Self::Fx(given) => given == currency,
            Self::User(_)
            | Self::Held(_)
            | Self::Provider(_)
            | Self::Gateway(_)
            | Self::Bond(_)
            | Self::Fees
            | Self::Rounding
            | Self::Payouts
            | Self::Leaving(_)
            | Self::Withdrawals => false,
        }
    }
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
            Self::Fx(currency) => write!(f, "fx:{currency}"),
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
            ("fx", currency) => currency.parse().map(Self::Fx).map_err(|_| ()),
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

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("{0} does not hold that much")]
    Overdrawn(Account),
    #[error("the amount is too large for this ledger")]
    Overflow,
    #[error("an entry does not sum to zero")]
    Unbalanced,
}

type Book = BTreeMap<Account, Micros>;

pub(super) struct Ledger {
    billing: Currency,
    books: BTreeMap<Currency, Book>,
    /// The number of the last journal entry.
    last: u64,
}

impl Ledger {
    /// Without what is held: [`Self::set_aside`] follows for each open hold.
    pub(super) fn load(snapshot: &Snapshot, billing: Currency, last: u64) -> Result<Self, BadRow> {
        let mut books = BTreeMap::from([(billing.clone(), Book::new())]);
        for row in snapshot.of(BALANCES) {
            let BalanceRow { currency, account, balance } = row.parse(BALANCES)?;
            books.entry(currency).or_default().insert(account, balance);
        }
        Ok(Self { billing, books, last })
    }

    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// In the billing currency.
    pub(super) fn balance(&self, account: Account) -> Micros {
        self.balance_in(&self.billing, &account)
    }

    pub(super) fn balance_in(&self, currency: &Currency, account: &Account) -> Micros {
        let book = self.books.get(currency);
        book.and_then(|book| book.get(account)).copied().unwrap_or_default()
    }

    /// By currency.
    pub(super) fn balances(&self) -> impl Iterator<Item = (&Currency, &Account, Micros)> {
        self.books.iter().flat_map(|(currency, book)| {
            book.iter().map(move |(account, balance)| (currency, account, *balance))
        })
    }

    /// Do the accounts of each currency together hold nothing (I1)?
    pub(super) fn sums_to_zero(&self) -> bool {
        let sum = |book: &Book| book.values().map(|balance| i128::from(balance.0)).sum::<i128>();
        self.books.values().all(|book| sum(book) == 0)
    }

    /// Moves money of the billing currency, and gives the rows that say so. An entry that moves nothing leaves none.
    pub(super) fn post(&mut self, entry: Entry) -> Result<Vec<Write>, Refusal> {
        self.post_in(self.billing.clone(), entry)
    }

    pub(super) fn post_in(&mut self, currency: Currency, mut entry: Entry) -> Result<Vec<Write>, Refusal> {
        entry.postings.retain(|(_, amount)| *amount != Micros::ZERO);
        if entry.postings.is_empty() {
            return Ok(Vec::new());
        }
        self.apply(&currency, &entry.postings)?;
        self.last += 1;
        let mut batch = self.balance_rows(&currency, &entry.postings);
        let postings = entry.postings.into_iter().map(|(account, amount)| PostingRow { account, amount });
        let row = JournalRow {
            at_ms: entry.at_ms,
            kind: entry.kind,
            reference: entry.reference,
            currency,
            postings: postings.collect(),
        };
        batch.push(Write::Insert(JOURNAL, Row::json(numbered(self.last), &row)));
        Ok(batch)
    }

    /// All of these, or none.
    pub(super) fn post_all(&mut self, entries: Vec<(Currency, Entry)>) -> Result<Vec<Write>, Refusal> {
        let (last, mut batch) = (self.last, Vec::new());
        let mut undo: Vec<(Currency, Vec<(Account, Micros)>)> = Vec::new();
        for (currency, entry) in entries {
            let back: Vec<_> =
                entry.postings.iter().map(|(to, amount)| (to.clone(), negated(*amount))).collect();
            match self.post_in(currency.clone(), entry) {
                Ok(writes) => batch.extend(writes),
                Err(refusal) => {
                    for (currency, back) in undo.iter().rev() {
                        // What stood there before can stand there again.
                        let undone = self.apply(currency, back);
                        debug_assert!(undone.is_ok());
                    }
                    self.last = last;
                    return Err(refusal);
                }
            }
            undo.push((currency, back));
        }
        Ok(batch)
    }

    /// An open hold that was found in the store at the start.
    pub(super) fn set_aside(&mut self, user: UserId, amount: Micros) -> Result<(), Refusal> {
        self.apply(&self.billing.clone(), &hold(user, amount))
    }

    /// Undoes a hold that the store refused: it was never in the journal.
    pub(super) fn take_back(&mut self, user: UserId, amount: Micros) -> Result<(), Refusal> {
        self.apply(&self.billing.clone(), &release(user, amount))
    }

    /// All postings or none.
    fn apply(&mut self, currency: &Currency, postings: &[(Account, Micros)]) -> Result<(), Refusal> {
        if postings.iter().map(|(_, amount)| i128::from(amount.0)).sum::<i128>() != 0 {
            return Err(Refusal::Unbalanced);
        }
        let mut after = Book::new();
        for (account, amount) in postings {
            let before = after.get(account).copied().unwrap_or_else(|| self.balance_in(currency, account));
            after.insert(account.clone(), before.checked_add(*amount).ok_or(Refusal::Overflow)?);
        }
        let overdrawn = |(account, balance): (&Account, &Micros)| {
            (*balance < Micros::ZERO && !account.may_fall(currency)).then(|| account.clone())
        };
        if let Some(account) = after.iter().find_map(overdrawn) {
            return Err(Refusal::Overdrawn(account));
        }
        let book = self.books.entry(currency.clone()).or_default();
        for (account, balance) in after {
            match (&account, balance) {
                (Account::Held(_), Micros::ZERO) => book.remove(&account),
                (_, _) => book.insert(account, balance),
            };
        }
        Ok(())
    }

    /// The rows of the accounts whose sum has changed.
    fn balance_rows(&self, currency: &Currency, postings: &[(Account, Micros)]) -> Vec<Write> {
        let mut net: BTreeMap<Account, i128> = BTreeMap::new();
        for (account, amount) in postings {
            let row = match account {
                Account::Held(user) => Account::User(*user),
                account => account.clone(),
            };
            *net.entry(row).or_default() += i128::from(amount.0);
        }
        net.retain(|_, amount| *amount != 0);
        net.into_keys().map(|account| Write::Put(BALANCES, self.balance_row(currency, account))).collect()
    }

    fn balance_row(&self, currency: &Currency, account: Account) -> Row {
        let held = match account {
            Account::User(user) => self.balance_in(currency, &Account::Held(user)),
            _ => Micros::ZERO,
        };
        // The two fit together: both come out of deposits, whose sum fits.
        let balance = Micros(self.balance_in(currency, &account).0.saturating_add(held.0));
        let key = balance_key(currency, &account);
        Row::json(key, &BalanceRow { currency: currency.clone(), account, balance })
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
