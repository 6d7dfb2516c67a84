//! The journal, entry by entry, and the balances that follow from it.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::{String, ToString},
};

use crate::audit::{Desk, Invariant, Reader, Sheet, Tally, place};
use crate::economics;
use crate::money::{Currency, Micros};
use crate::portal::accounts::UserId;
use crate::portal::ledger::Account;
use crate::portal::rows::{
    BALANCES, BONDS, BalanceRow, BondRow, CountersRow, DEPOSITS, DepositRow, Ended, JOURNAL, JournalRow,
    Kind, Outcome, PAYOUTS, PayoutRow, Purpose, REQUESTS, RESOLUTIONS, RequestRow, ResolutionRow,
    TRANSFERS_ENDED, TransferRow, WITHDRAWALS, WithdrawalRow, balance_key, numbered,
};
use crate::wire::portal::Receipt;

use super::wide;

/// What the journal says was moved.
#[derive(Default)]
pub(super) struct Booked {
    /// By authorization; those that no later entry ends.
    pub(super) open: BTreeMap<String, (UserId, i128)>,
    /// What each user has, held or not.
    pub(super) users: BTreeMap<UserId, i128>,
    pub(super) deposits: Tally,
    pub(super) holds: Tally,
    /// By what was taken out of the hold.
    pub(super) captures: Tally,
    pub(super) returns: Tally,
    pub(super) bonds: Tally,
    pub(super) bond_captures: Tally,
    pub(super) payouts: BTreeMap<Currency, Tally>,
    /// Transfers to gateways that have arrived, by number.
    pub(super) gateways_paid: BTreeSet<u64>,
    /// By what was captured: what is exchanged for it and not owed to its provider yet.
    exchanged: BTreeMap<String, Receipt>,
    /// The number of the last payout that moved something.
    last_payout: u64,
    /// What each user has taken out, or is about to.
    pub(super) withdrawn: BTreeMap<UserId, i128>,
    /// Withdrawals on their way, by reference.
    pub(super) leaving: BTreeMap<String, (UserId, i128)>,
}

type Balances = BTreeMap<Currency, BTreeMap<Account, i128>>;

pub(super) fn check<R: Reader>(desk: &mut Desk<'_, R>, last: &CountersRow) -> Result<Booked, R::Error> {
    let (mut booked, mut balances) = (Booked::default(), Balances::new());
    let end = numbered(last.journal);
    desk.each(JOURNAL, |desk, key, entry: JournalRow| {
        let known = key <= end.as_str();
        desk.report.must(Invariant::I1, known, place(JOURNAL, key), || "is beyond the last number".into());
        let foreign = matches!(entry.kind, Kind::Exchange | Kind::Payout) || entry.currency == last.currency;
        let what = || format!("a {:?} is never in {}", entry.kind, entry.currency);
        desk.report.must(Invariant::I1, foreign, place(JOURNAL, key), what);
        post(desk, key, &entry, &mut balances);
        agree(desk, key, &entry, &mut booked)
    })?;
    for reference in booked.exchanged.keys() {
        let what = || "what was exchanged for it is owed to nobody".into();
        desk.report.must(Invariant::I1, false, place(RESOLUTIONS, reference), what);
    }
    check_balances(desk, &balances)?;
    for (currency, accounts) in balances {
        for (account, balance) in &accounts {
            if let Some(user) = owner(account) {
                *booked.users.entry(user).or_default() += *balance;
            }
        }
        // What is held and spent again leaves an account of nothing.
        let lines = accounts.into_iter().filter(|(_, balance)| *balance != 0);
        let lines = lines.map(|(account, balance)| (account.to_string(), balance));
        let sheet = Sheet { currency, lines: lines.collect() };
        let (sum, currency) = (sheet.sum(), sheet.currency.clone());
        let what = || format!("all accounts sum to {sum} micro-units");
        desk.report.must(Invariant::I1, sum == 0, || format!("accounts in {currency}"), what);
        desk.report.sheets.push(sheet);
    }
    Ok(booked)
}

/// An entry sums to zero, and overdraws nobody at the moment when it is made.
fn post<R: Reader>(desk: &mut Desk<'_, R>, key: &str, entry: &JournalRow, balances: &mut Balances) {
    let sum: i128 = entry.postings.iter().map(|posting| wide(posting.amount)).sum();
    let what = || format!("its postings sum to {sum} micro-units");
    desk.report.must(Invariant::I1, sum == 0, place(JOURNAL, key), what);
    let accounts = balances.entry(entry.currency.clone()).or_default();
    for posting in &entry.postings {
        *accounts.entry(posting.account.clone()).or_default() += wide(posting.amount);
    }
    for account in entry.postings.iter().map(|posting| &posting.account) {
        let balance = accounts.get(account).copied().unwrap_or_default();
        let covered = balance >= 0 || account.may_fall(&entry.currency);
        let what = || format!("brings {account} to {balance} micro-units");
        desk.report.must(Invariant::I7, covered, place(JOURNAL, key), what);
    }
}

/// An entry agrees with the row that says why it was made.
fn agree<R: Reader>(
    desk: &mut Desk<'_, R>,
    key: &str,
    entry: &JournalRow,
    booked: &mut Booked,
) -> Result<(), R::Error> {
    let reference = entry.reference.as_str();
    let moved = |account: Account| -> i128 {
        let own = entry.postings.iter().filter(|posting| posting.account == account);
        own.map(|posting| wide(posting.amount)).sum()
    };
    let (invariant, agrees) = match entry.kind {
        Kind::Deposit => {
            let amount = -moved(Account::Deposits);
            booked.deposits.add(amount);
            let row: Option<DepositRow> = desk.get(DEPOSITS, reference)?;
            let same =
                |row: DepositRow| wide(row.amount) == amount && moved(Account::User(row.user)) == amount;
            (Invariant::I1, row.is_some_and(same))
        }
        Kind::Hold => {
            let row: Option<RequestRow> = desk.get(REQUESTS, reference)?;
            let held = row.map(|row| (row.user, wide(row.hold)));
            let same = held.is_some_and(|(user, held)| moved(Account::Held(user)) == held);
            let new = held.is_some_and(|held| booked.open.insert(reference.into(), held).is_none());
            booked.holds.add(held.map_or(0, |(_, held)| held));
            (Invariant::I2, same && new)
        }
        Kind::Capture => {
            let ended = ends_a_hold(entry, booked);
            let row: Option<ResolutionRow> = desk.get(RESOLUTIONS, reference)?;
            let receipt = row.and_then(|row| match row.outcome {
                Outcome::Captured { receipt, .. } => desk.checked_paper::<Receipt>(&receipt.0),
                Outcome::Released | Outcome::Expired => None,
            });
            let charged: i128 = -entry.postings.iter().filter_map(users_part).sum::<i128>();
            booked.captures.add(charged);
            must_pay(desk, key, entry, receipt.map(|receipt| receipt.content), charged, booked);
            (Invariant::I2, ended)
        }
        Kind::BondCapture => {
            let row: Option<ResolutionRow> = desk.get(RESOLUTIONS, reference)?;
            let receipt = row.and_then(|row| match row.outcome {
                Outcome::Captured { receipt, .. } => desk.checked_paper::<Receipt>(&receipt.0),
                Outcome::Released | Outcome::Expired => None,
            });
            let receipt = receipt.map(|receipt| receipt.content);
            let bond = receipt.as_ref().map(|receipt| Account::Bond(receipt.gateway_node_id));
            let charged = bond.map_or(0, |bond| -moved(bond));
            booked.bond_captures.add(charged);
            let known = receipt.is_some();
            must_pay(desk, key, entry, receipt, charged, booked);
            (Invariant::I2, known)
        }
        Kind::Exchange => {
            let same = booked.exchanged.remove(reference).is_some_and(|receipt| {
                let (currency, payout) = (receipt.payout_to.currency, wide(receipt.payout));
                entry.currency == currency
                    && moved(Account::Fx(currency)) == -payout
                    && moved(Account::Provider(receipt.provider_node_id)) == payout
            });
            (Invariant::I8, same)
        }
        Kind::GatewayPayout => {
            let number = reference.parse().unwrap_or_default();
            let row: Option<TransferRow> = desk.get(TRANSFERS_ENDED, &numbered(number))?;
            let same = row.is_some_and(|row| {
                let Purpose::GatewayFees { gateway } = row.purpose else { return false };
                let amount = wide(row.amount);
                matches!(row.ended, Some(Ended::Confirmed { .. }))
                    && moved(Account::Gateway(gateway)) == -amount
                    && moved(Account::Payouts) == amount
            });
            (Invariant::I3, same && booked.gateways_paid.insert(number))
        }
        Kind::Bond => {
            let amount = -moved(Account::Deposits);
            booked.bonds.add(amount);
            let row: Option<BondRow> = desk.get(BONDS, reference)?;
            let same =
                |row: BondRow| wide(row.amount) == amount && moved(Account::Bond(row.gateway)) == amount;
            (Invariant::I1, row.is_some_and(same))
        }
        Kind::Withdrawal => {
            let row: Option<WithdrawalRow> = desk.get(WITHDRAWALS, reference)?;
            let same = row.is_some_and(|row| {
                let amount = wide(row.amount);
                *booked.withdrawn.entry(row.user).or_default() += amount;
                let new = booked.leaving.insert(reference.into(), (row.user, amount)).is_none();
                new && moved(Account::User(row.user)) == -amount
                    && moved(Account::Leaving(row.user)) == amount
            });
            (Invariant::I1, same)
        }
        Kind::Withdrawn | Kind::WithdrawalFailed => {
            let back = entry.kind == Kind::WithdrawalFailed;
            let left = booked.leaving.remove(reference);
            if let Some((user, amount)) = left.filter(|_| back) {
                *booked.withdrawn.entry(user).or_default() -= amount;
            }
            let row: Option<WithdrawalRow> = desk.get(WITHDRAWALS, reference)?;
            let number = row.map(|row| numbered(row.transfer)).unwrap_or_default();
            let transfer: Option<TransferRow> = desk.get(TRANSFERS_ENDED, &number)?;
            let as_it_ended = transfer.is_some_and(|transfer| match transfer.ended {
                Some(Ended::Confirmed { .. }) => !back,
                Some(Ended::Failed { .. }) => back,
                None => false,
            });
            let all = left.is_some_and(|(user, amount)| {
                let to = if back { Account::User(user) } else { Account::Withdrawals };
                moved(Account::Leaving(user)) == -amount && moved(to) == amount
            });
            (Invariant::I3, as_it_ended && all)
        }
        Kind::Release | Kind::Expiry => {
            let ended = ends_a_hold(entry, booked);
            let given_back = entry.postings.iter().filter_map(users_part).sum::<i128>() == 0;
            booked
                .returns
                .add(entry.postings.iter().map(|posting| wide(posting.amount)).filter(|n| *n > 0).sum());
            let row: Option<ResolutionRow> = desk.get(RESOLUTIONS, reference)?;
            let same = row.is_some_and(|row| match row.outcome {
                Outcome::Released => entry.kind == Kind::Release,
                Outcome::Expired => entry.kind == Kind::Expiry,
                Outcome::Captured { .. } => false,
            });
            (Invariant::I2, ended && given_back && same)
        }
        Kind::Payout => {
            let amount = moved(Account::Payouts);
            booked.payouts.entry(entry.currency.clone()).or_default().add(amount);
            let same = |row: PayoutRow| {
                row.payout.payout_id.to_string() == reference
                    && row.payout.to.currency == entry.currency
                    && wide(row.payout.amount) == amount
                    && moved(Account::Provider(row.provider)) == -amount
            };
            (Invariant::I3, next_payout(desk, booked)?.is_some_and(same))
        }
    };
    let what = || format!("a {:?} for {reference}, which has no row that says the same", entry.kind);
    desk.report.must(invariant, agrees, place(JOURNAL, key), what);
    Ok(())
}

/// The entry moves what the receipt says: what is owed to the provider, or what is exchanged for that.
fn must_pay<R: Reader>(
    desk: &mut Desk<'_, R>,
    key: &str,
    entry: &JournalRow,
    receipt: Option<Receipt>,
    charged: i128,
    booked: &mut Booked,
) {
    let moved = |account: Account| -> i128 {
        let own = entry.postings.iter().filter(|posting| posting.account == account);
        own.map(|posting| wide(posting.amount)).sum()
    };
    let same = receipt.is_some_and(|receipt| {
        let to = match receipt.is_exchanged() {
            true => Account::Fx(receipt.payout_to.currency.clone()),
            false => Account::Provider(receipt.provider_node_id),
        };
        let same = charged == wide(receipt.charge)
            && entry.currency == receipt.billing_currency
            && economics::worth(receipt.payout, receipt.rate).is_some_and(|worth| moved(to) == wide(worth))
            && moved(Account::Rounding) >= 0
            && moved(Account::Fees) >= 0;
        if receipt.is_exchanged() && receipt.payout != Micros::ZERO {
            booked.exchanged.insert(entry.reference.clone(), receipt);
        }
        same
    });
    let reference = &entry.reference;
    let what = || format!("moves other amounts than the receipt of {reference} says");
    desk.report.must(Invariant::I8, same, place(JOURNAL, key), what);
}

/// Payouts are numbered as they are booked; one of nothing is booked nowhere.
fn next_payout<R: Reader>(
    desk: &mut Desk<'_, R>,
    booked: &mut Booked,
) -> Result<Option<PayoutRow>, R::Error> {
    loop {
        booked.last_payout += 1;
        let row: Option<PayoutRow> = desk.get(PAYOUTS, &numbered(booked.last_payout))?;
        if row.as_ref().is_none_or(|row| row.payout.amount != Micros::ZERO) {
            return Ok(row);
        }
    }
}

/// The hold was open, and all of it is taken.
fn ends_a_hold(entry: &JournalRow, booked: &mut Booked) -> bool {
    let Some((user, held)) = booked.open.remove(&entry.reference) else { return false };
    let taken = entry.postings.iter().filter(|posting| posting.account == Account::Held(user));
    taken.map(|posting| wide(posting.amount)).sum::<i128>() == -held
}

fn users_part(posting: &crate::portal::rows::PostingRow) -> Option<i128> {
    owner(&posting.account).map(|_| wide(posting.amount))
}

/// The user whose money it is.
fn owner(account: &Account) -> Option<UserId> {
    match account {
        Account::User(user) | Account::Held(user) => Some(*user),
        Account::Provider(_)
        | Account::Gateway(_)
        | Account::Bond(_)
        | Account::Leaving(_)
        | Account::Withdrawals
        | Account::Fx(_)
        | Account::Fees
        | Account::Rounding
        | Account::Deposits
        | Account::Payouts => None,
    }
}

/// The stored balances are the journal's sums; a user's has what is held in it.
fn check_balances<R: Reader>(desk: &mut Desk<'_, R>, journal: &Balances) -> Result<(), R::Error> {
    let mut sums: BTreeMap<String, i128> = BTreeMap::new();
    for (currency, accounts) in journal {
        for (account, balance) in accounts {
            let account = owner(account).map_or(account.clone(), Account::User);
            *sums.entry(balance_key(currency, &account)).or_default() += *balance;
        }
    }
    desk.each(BALANCES, |desk, key, BalanceRow { currency, account, balance }: BalanceRow| {
        let sum = sums.remove(key).unwrap_or_default();
        let same = sum == wide(balance) && key == balance_key(&currency, &account);
        let what = || format!("stands at {balance} {currency}, the journal comes to {sum} micro-units");
        desk.report.must(Invariant::I1, same, place(BALANCES, key), what);
        let covered = balance >= Micros::ZERO || account.may_fall(&currency);
        desk.report.must(Invariant::I7, covered, place(BALANCES, key), || format!("stands at {balance}"));
        Ok(())
    })?;
    for (key, sum) in sums {
        let what = || format!("is not there, the journal comes to {sum} micro-units");
        desk.report.must(Invariant::I1, sum == 0, place(BALANCES, &key), what);
    }
    Ok(())
}
