//! Money: the FEP's ledger against itself, against its receipts, and against what the providers hold.

use std::collections::{BTreeMap, BTreeSet};

use labman_proto_core::economics::{self, Counts};
use labman_proto_core::identity::NodeId;
use labman_proto_core::money::Micros;
use labman_proto_core::wire::portal::{Fees, Price, Receipt, ReceiptId};
use serde::{Deserialize, Deserializer};

/// `GET /ledger` of a FEP.
#[derive(Clone, Debug, Deserialize)]
pub struct Ledger {
    pub balanced: bool,
    pub accounts: Vec<Line>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Line {
    pub account: String,
    #[serde(deserialize_with = "decimal")]
    pub balance: Micros,
}

/// One of a provider's receipts, as its `GET /receipts` shows it.
#[derive(Clone, Debug, Deserialize)]
pub struct Held {
    pub receipt_id: ReceiptId,
    pub state: String,
    pub slug: String,
    pub counts: Counts,
    pub charge: Micros,
    pub payout: Micros,
}

/// What a provider's `GET /status` says it has of each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct States {
    pub unclaimed: u64,
    pub in_claim: u64,
    pub paid: u64,
}

pub struct Provider {
    pub name: String,
    pub node_id: NodeId,
    pub held: Vec<Held>,
    pub states: States,
    pub prices: BTreeMap<String, Price>,
}

/// Everybody's books at one moment.
pub struct Books {
    pub ledger: Ledger,
    /// What users have paid in.
    pub deposits: Micros,
    pub fees: Fees,
    /// Every receipt the FEP issued.
    pub issued: Vec<Receipt>,
    pub providers: Vec<Provider>,
    /// Nothing is under way: what one side knows, the other knows too.
    pub at_rest: bool,
}

/// What is wrong within one ledger.
pub fn check_ledger(ledger: &Ledger) -> Vec<String> {
    let mut found = Vec::new();
    if !ledger.balanced {
        found.push("the FEP says that its ledger is not balanced".into());
    }
    let sum: i128 = ledger.accounts.iter().map(|line| i128::from(line.balance.0)).sum();
    if sum != 0 {
        found.push(format!("I1: the accounts sum to {sum} micro-units"));
    }
    for line in &ledger.accounts {
        if line.balance < Micros::ZERO && line.account != "rail:deposits" {
            found.push(format!("I7: {} stands at {}", line.account, line.balance));
        }
    }
    found
}

/// What is wrong between all books.
pub fn check(books: &Books) -> Vec<String> {
    let mut found = check_ledger(&books.ledger);
    check_users(books, &mut found);
    check_sequences(books, &mut found);
    for provider in &books.providers {
        check_provider(books, provider, &mut found);
    }
    found
}

/// What users no longer have is what receipts charged them.
fn check_users(books: &Books, found: &mut Vec<String>) {
    let sum_of = |of: &str| sum(books.ledger.accounts.iter().filter(|l| l.account.starts_with(of)).map(|l| l.balance));
    let (deposits, left) = (i128::from(books.deposits.0), sum_of("user:") + sum_of("held:"));
    let charged = sum(books.issued.iter().map(|receipt| receipt.charge));
    if deposits - left != charged {
        found.push(format!("users deposited {deposits} and have {left}, but were charged {charged} micro-units"));
    }
    if books.at_rest && sum_of("held:") != 0 {
        found.push(format!("I2: {} micro-units are still held with nothing under way", sum_of("held:")));
    }
}

/// I3, and no receipt withheld: each id once, each provider's sequence without a gap.
fn check_sequences(books: &Books, found: &mut Vec<String>) {
    let ids: BTreeSet<ReceiptId> = books.issued.iter().map(|receipt| receipt.receipt_id).collect();
    if ids.len() != books.issued.len() {
        found.push("I3: the FEP issued a receipt twice".into());
    }
    let mut sequences: BTreeMap<NodeId, Vec<u64>> = BTreeMap::new();
    for receipt in &books.issued {
        sequences.entry(receipt.provider_node_id).or_default().push(receipt.sequence);
    }
    for (provider, mut sequence) in sequences {
        sequence.sort_unstable();
        if !sequence.iter().copied().eq(1..=sequence.len() as u64) {
            found.push(format!("receipts to {provider} are numbered {sequence:?}"));
        }
    }
}

fn check_provider(books: &Books, provider: &Provider, found: &mut Vec<String>) {
    let name = &provider.name;
    let own = books.issued.iter().filter(|receipt| receipt.provider_node_id == provider.node_id);
    let issued: BTreeMap<ReceiptId, &Receipt> = own.map(|receipt| (receipt.receipt_id, receipt)).collect();
    let mut seen = BTreeSet::new();
    for held in &provider.held {
        let id = held.receipt_id;
        if !seen.insert(id) {
            found.push(format!("{name} holds receipt {id:?} twice"));
        }
        let Some(receipt) = issued.get(&id) else {
            found.push(format!("{name} holds receipt {id:?}, which its FEP never issued to it"));
            continue;
        };
        if (held.charge, held.payout, held.counts) != (receipt.charge, receipt.payout, receipt.settled) {
            found.push(format!("{name} and the FEP read receipt {id:?} differently"));
        }
        check_price(books, provider, held, found);
    }
    if books.at_rest && seen.len() != issued.len() {
        found.push(format!("{name} was issued {} receipts and holds {}", issued.len(), seen.len()));
    }
    check_states(books, provider, found);
}

/// I8: the amount is a function of tokens, offer and fees.
fn check_price(books: &Books, provider: &Provider, held: &Held, found: &mut Vec<String>) {
    let (name, id) = (&provider.name, held.receipt_id);
    let Some(price) = provider.prices.get(&held.slug) else {
        return found.push(format!("{name} was paid for {:?}, which it never offered", held.slug));
    };
    let bill = economics::bill(price, &books.fees, &held.counts).map(|bill| (bill.charge, bill.payout));
    if bill != Some((held.charge, held.payout)) {
        let (charge, payout) = (held.charge, held.payout);
        found.push(format!("I8: receipt {id:?} of {name} says {charge} and {payout}; its tokens come to {bill:?}"));
    }
}

/// I4: a provider's receipts are all in one state, and what it counts as paid has left the FEP's debt to it.
fn check_states(books: &Books, provider: &Provider, found: &mut Vec<String>) {
    let name = &provider.name;
    let count = |state: &str| provider.held.iter().filter(|held| held.state == state).count() as u64;
    let counted =
        States { unclaimed: count("unclaimed"), in_claim: count("in_claim"), paid: count("paid") };
    if counted != provider.states {
        found.push(format!("I4: {name} lists {counted:?} and says {:?}", provider.states));
    }
    if counted.unclaimed + counted.in_claim + counted.paid != provider.held.len() as u64 {
        found.push(format!("I4: {name} holds receipts in no known state"));
    }
    if books.at_rest {
        let unpaid = sum(provider.held.iter().filter(|held| held.state != "paid").map(|held| held.payout));
        let account = format!("provider:{}", provider.node_id);
        let owed = sum(books.ledger.accounts.iter().filter(|l| l.account == account).map(|l| l.balance));
        if unpaid != owed {
            found.push(format!("{name} waits for {unpaid} micro-units, the FEP owes it {owed}"));
        }
    }
}

fn sum(amounts: impl Iterator<Item = Micros>) -> i128 {
    amounts.map(|amount| i128::from(amount.0)).sum()
}

fn decimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Micros, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests;
