//! Money: the FEP's ledger against itself, against its receipts, and against what the providers hold.

use std::collections::{BTreeMap, BTreeSet};

use labman_proto_core::economics::{Counts, Fees, Price, Rate};
use labman_proto_core::identity::NodeId;
use labman_proto_core::limits::{STREAM_WINDOW, UNACKED};
use labman_proto_core::money::{Currency, Micros};
use labman_proto_core::time::Span;
use labman_proto_core::wire::ids::{ReceiptId, RequestId};
use labman_proto_core::wire::portal::Receipt;
use serde::{Deserialize, Deserializer};

use super::price::{self, Prices};
use crate::name::Name;

/// A provider that is up looks at its disputes that soon after a term is over: whatever it does just then.
const LOOKED_FOR_WITHIN: Span = Span::from_secs(3 * 60);

/// `GET /ledger` of a FEP.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Ledger {
    pub balanced: bool,
    /// What users are billed in.
    pub currency: Currency,
    pub accounts: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Line {
    pub currency: Currency,
    pub account: String,
    #[serde(deserialize_with = "decimal")]
    pub balance: Micros,
}

/// One of a provider's receipts, as its `GET /receipts` shows it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Held {
    pub receipt_id: ReceiptId,
    pub state: Name,
    pub slug: Name,
    pub address: Name,
    pub counts: Counts,
    pub charge: Micros,
    pub payout: Micros,
    /// That the payout is in.
    pub currency: Currency,
    pub rate: Rate,
    /// While it is disputed, and its FEP has not said that it stands: Unix milliseconds.
    pub disputed_until_ms: Option<u64>,
}

/// What a provider's `GET /status` says it has of each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct States {
    pub unclaimed: u64,
    pub in_claim: u64,
    /// Only since its last start.
    pub paid_since_start: u64,
}

/// What a provider's `GET /exposure` says of each FEP and currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Owing {
    /// What it owes or may come to owe.
    pub total: Micros,
    /// What it may.
    pub limit: Micros,
}

/// What is looked at of a receipt that the FEP issued.
#[derive(Clone, Debug)]
pub struct Issued {
    pub receipt_id: ReceiptId,
    pub request_id: RequestId,
    pub attempt: u8,
    pub provider_node_id: NodeId,
    pub gateway_node_id: NodeId,
    pub settled: Counts,
    pub charge: Micros,
    pub payout: Micros,
    /// That the payout is in.
    pub currency: Currency,
    pub rate: Rate,
    pub issued_ms: u64,
    pub sequence: u64,
}

impl From<Receipt> for Issued {
    fn from(receipt: Receipt) -> Self {
        Self {
            receipt_id: receipt.receipt_id,
            request_id: receipt.request_id,
            attempt: receipt.attempt,
            provider_node_id: receipt.provider_node_id,
            gateway_node_id: receipt.gateway_node_id,
            settled: receipt.settled,
            charge: receipt.charge,
            payout: receipt.payout,
            currency: receipt.payout_to.currency,
            rate: receipt.rate,
            issued_ms: receipt.issued_ms,
            sequence: receipt.sequence,
        }
    }
}

/// What a user asked for, and what they know came of it.
pub struct Asked {
    pub job: Name,
    /// The user's account at the FEP, such as `u000001`.
    pub user: Name,
    /// As the answer named it.
    pub request_id: Option<Called>,
    pub completed: bool,
    pub refused: bool,
    /// Its user asked for no stream, and was told that it failed in the middle: what its gateway had taken by then is owed
    /// for.
    pub failed_unseen: bool,
    pub completion_tokens: Option<u64>,
    /// `None`: somebody dishonest may have made it, and may have given it away.
    pub text: Option<Text>,
    /// Its gateway died, and may have forgotten that it served, or does not come back to say so.
    pub gateway_forgot: bool,
}

/// What an answer calls its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called {
    By(RequestId),
    /// By what is no request's id.
    Otherwise,
}

impl From<&str> for Called {
    fn from(text: &str) -> Self {
        let id = text.parse::<RequestId>().ok();
        // It is written in one way only.
        id.filter(|id| id.to_string() == text).map_or(Self::Otherwise, Self::By)
    }
}

/// The text that reached a user, in tokens.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    pub read: u64,
    /// The user read the answer to its end, be that an error.
    pub to_its_end: bool,
    /// As many as the runtime can have made.
    pub produced: u64,
}

pub struct Provider {
    pub name: String,
    pub node_id: NodeId,
    pub held: Vec<Held>,
    pub states: States,
    pub owing: Vec<Owing>,
    pub prices: BTreeMap<String, Prices>,
    /// Its disk has forgotten things that it had acknowledged, or it was not there to be told them.
    pub forgot: bool,
    /// It was there to ask for what it had not, or what it had lost.
    pub asks: bool,
    /// Its wall clock, where that ran on, and nothing keeps it from its work: Unix milliseconds.
    pub now_ms: Option<u64>,
}

/// Everybody's books: the FEP's at one moment, and the providers' before that, so that what they hold it had issued.
pub struct Books {
    pub ledger: Ledger,
    /// What users have paid in, by account.
    pub deposits: BTreeMap<Name, Micros>,
    /// What gateways have paid in as their bonds, all together.
    pub bonds: Micros,
    pub asked: Vec<Asked>,
    pub fees: Fees,
    /// Of each currency but the FEP's own: all that its operator ever quoted.
    pub quoted: BTreeMap<Currency, BTreeSet<Rate>>,
    /// Every receipt the FEP issued.
    pub issued: Vec<Issued>,
    pub providers: Vec<Provider>,
    /// Nothing is under way: what one side knows, the other knows too.
    pub at_rest: bool,
    /// By the FEP's clock: what it issued before that every provider has asked for by now.
    pub asked_for_by_ms: Option<u64>,
    pub doubt: Doubt,
}

impl Books {
    /// What gateways' bonds have paid for, in micro-units.
    pub fn bonds_paid(&self) -> i128 {
        i128::from(self.bonds.0) - balance(self, &self.ledger.currency, "bond:")
    }
}

/// Which parts of the books rest on the word of somebody dishonest, or forgetful.
#[derive(Clone, Debug, Default)]
pub struct Doubt {
    /// The FEP answers otherwise than its books say.
    pub fep: bool,
    /// Gateways that may keep receipts back.
    pub gateways: BTreeSet<NodeId>,
    /// Accounts of users who asked through one of them: it may leave their holds to lapse.
    pub holds: BTreeSet<Name>,
    /// Accounts of users who asked through a dishonest one: it can spend their money.
    pub users: BTreeSet<Name>,
    pub providers: BTreeSet<NodeId>,
}

/// What is wrong within one ledger.
pub fn check_ledger(ledger: &Ledger) -> Vec<String> {
    let mut found = Vec::new();
    if !ledger.balanced {
        found.push("the FEP says that its ledger is not balanced".into());
    }
    let mut sums: BTreeMap<&Currency, i128> = BTreeMap::new();
    for line in &ledger.accounts {
        *sums.entry(&line.currency).or_default() += i128::from(line.balance.0);
    }
    for (currency, sum) in sums.into_iter().filter(|(_, sum)| *sum != 0) {
        found.push(format!("I1: the accounts in {currency} sum to {sum} micro-units"));
    }
    for line in &ledger.accounts {
        let exchanged = format!("fx:{}", line.currency);
        let may_fall = line.account == "rail:deposits" || line.account == exchanged;
        if line.balance < Micros::ZERO && !may_fall {
            found.push(format!("I7: {} stands at {}", line.account, line.balance));
        }
    }
    found
}

/// What is wrong between all books.
pub fn check(books: &Books) -> Vec<String> {
    let mut found = check_ledger(&books.ledger);
    let by_request = ByRequest::of(&books.issued);
    check_jobs(books, &by_request, &mut found);
    check_users(books, &by_request, &mut found);
    drop(by_request);
    let mut by_provider: BTreeMap<NodeId, Vec<&Issued>> = BTreeMap::new();
    for receipt in &books.issued {
        by_provider.entry(receipt.provider_node_id).or_default().push(receipt);
    }
    check_sequences(books, &by_provider, &mut found);
    for provider in books.providers.iter().filter(|one| !books.doubt.providers.contains(&one.node_id)) {
        let own = by_provider.get(&provider.node_id).map(Vec::as_slice).unwrap_or_default();
        check_provider(books, provider, own, &mut found);
    }
    found
}

/// A job that was served has one receipt over what the user got; one that was refused has none.
fn check_jobs(books: &Books, by_request: &ByRequest<'_>, found: &mut Vec<String>) {
    for asked in &books.asked {
        let own = by_request.receipts_of(asked);
        let job = &asked.job;
        match *own {
            [] if asked.completed && books.at_rest && !asked.gateway_forgot && !books.doubt.fep => {
                found.push(format!("job {job} was served for free"))
            }
            [] => {}
            [_, ..] if asked.refused && !asked.failed_unseen => {
                found.push(format!("job {job} was refused and charged"))
            }
            [receipt] => check_settled(asked, u64::from(receipt.settled.output), found),
            // A dishonest gateway's bond pays for a second one.
            [_, _, ..] if asked.gateway_forgot => {}
            [_, _, ..] => found.push(format!("job {job} has {} receipts", own.len())),
        }
    }
}

/// Tokens that a gateway may have taken and whose user has not read. It takes more only as its user reads, so that they
/// fit in a window of the stream to it and one of the stream from it. Each is an event of its own, and one of those is
/// never shorter than this: it names its answer and its model.
const ON_THE_WAY: u64 = 2 * STREAM_WINDOW as u64 / 100;

/// A user pays for what was delivered: all that they read, and at most what can have been on the way besides.
fn check_settled(asked: &Asked, paid: u64, found: &mut Vec<String>) {
    let (job, read) = (&asked.job, asked.text.map(|text| text.read));
    // Where the FEP hears of it from the provider alone, it settles what was acknowledged.
    let unacked = u64::from(UNACKED);
    if asked.completed {
        let got = asked.completion_tokens.or(read);
        if got.is_some_and(|got| !(got.saturating_sub(unacked)..=got).contains(&paid)) {
            found.push(format!("job {job} got {got:?} tokens, its receipt says {paid}"));
        }
        return;
    }
    let Some(text) = asked.text else { return };
    let on_the_way = if text.to_its_end { 0 } else { ON_THE_WAY };
    let most = (text.read + on_the_way).min(text.produced);
    if !(text.read.saturating_sub(unacked)..=most).contains(&paid) {
        let read = text.read;
        found.push(format!("job {job} got {read} tokens and no more than {most}, its receipt says {paid}"));
    }
}

/// A user has what they paid in, less what their jobs' receipts charged.
fn check_users(books: &Books, by_request: &ByRequest<'_>, found: &mut Vec<String>) {
    let nameless = books.asked.iter().filter(|asked| asked.request_id.is_none());
    // An answer that never came names no request: nobody can say which receipt of its user's is its.
    let unknown: BTreeSet<&str> = nameless.map(|asked| &*asked.user).collect();
    let mut charges: BTreeMap<&str, i128> = BTreeMap::new();
    for asked in &books.asked {
        let own = by_request.receipts_of(asked).iter().map(|receipt| receipt.charge);
        *charges.entry(&asked.user).or_default() += sum(own);
    }
    let own = books.ledger.accounts.iter().filter(|line| line.currency == books.ledger.currency);
    let balances: BTreeMap<&str, Micros> = own.map(|line| (line.account.as_str(), line.balance)).collect();
    let stands = |account: String| balances.get(account.as_str()).map_or(0, |micros| i128::from(micros.0));
    let certain = |user: &str| !books.doubt.users.contains(user) && !unknown.contains(user);
    for (user, deposit) in books.deposits.iter().filter(|(user, _)| certain(user)) {
        let charged = charges.get(&**user).copied().unwrap_or_default();
        let left = stands(format!("user:{user}")) + stands(format!("held:{user}"));
        let paid_in = i128::from(deposit.0);
        if paid_in - left != charged {
            found.push(format!("{user} paid in {paid_in}, has {left}, was charged {charged} micro-units"));
        }
    }
    let deposits = sum(books.deposits.values().copied()) + i128::from(books.bonds.0);
    let left = ["user:", "held:", "bond:"].map(|prefix| balance(books, &books.ledger.currency, prefix));
    let left: i128 = left.into_iter().sum();
    let charged = sum(books.issued.iter().map(|receipt| receipt.charge));
    if deposits - left != charged {
        found.push(format!(
            "users and gateways paid in {deposits}, have {left}, were charged {charged} micro-units"
        ));
    }
    if books.at_rest && !books.doubt.fep {
        let held = sum(held_for_nothing(&books.ledger, &books.doubt.holds));
        if held != 0 {
            found.push(format!("I2: {held} micro-units are still held with nothing under way"));
        }
    }
}

/// What is held of users, but for those.
pub fn held_for_nothing<'a>(
    ledger: &'a Ledger,
    but_for: &'a BTreeSet<Name>,
) -> impl Iterator<Item = Micros> + 'a {
    let held =
        ledger.accounts.iter().filter_map(|line| Some((line.account.strip_prefix("held:")?, line.balance)));
    held.filter(|(user, held)| *held != Micros::ZERO && !but_for.contains(*user)).map(|(_, held)| held)
}

/// Whether a provider has receipts to claim: whatever the receipts of an address sum to, if that is its Portman's least payout.
pub fn is_claim_due(held: &[Held], least_payouts: &BTreeMap<String, Micros>) -> bool {
    let mut waiting: BTreeMap<&str, i128> = BTreeMap::new();
    for held in held.iter().filter(|held| held.state == "unclaimed") {
        *waiting.entry(&held.address).or_default() += i128::from(held.payout.0);
    }
    let least = |address: &str| least_payouts.get(address).map_or(0, |least| i128::from(least.0));
    waiting.into_iter().any(|(address, waiting)| waiting > 0 && waiting >= least(address))
}

/// Receipts in the order of the requests they are for.
struct ByRequest<'a>(Vec<&'a Issued>);

impl<'a> ByRequest<'a> {
    fn of(issued: &'a [Issued]) -> Self {
        let mut all: Vec<&Issued> = issued.iter().collect();
        all.sort_by_key(|receipt| receipt.request_id);
        Self(all)
    }

    fn receipts_of(&self, asked: &Asked) -> &[&'a Issued] {
        let Some(Called::By(id)) = asked.request_id else { return &[] };
        let from = &self.0[self.0.partition_point(|receipt| receipt.request_id < id)..];
        &from[..from.partition_point(|receipt| receipt.request_id == id)]
    }
}

/// What stands on all accounts of that currency whose name starts so.
fn balance(books: &Books, currency: &Currency, prefix: &str) -> i128 {
    let accounts = books.ledger.accounts.iter().filter(|line| line.currency == *currency);
    sum(accounts.filter(|line| line.account.starts_with(prefix)).map(|line| line.balance))
}

/// I3, and no receipt withheld: each id once, each provider's sequence without a gap.
fn check_sequences(books: &Books, by_provider: &BTreeMap<NodeId, Vec<&Issued>>, found: &mut Vec<String>) {
    let ids: BTreeSet<ReceiptId> = books.issued.iter().map(|receipt| receipt.receipt_id).collect();
    if ids.len() != books.issued.len() {
        found.push("I3: the FEP issued a receipt twice".into());
    }
    for (provider, receipts) in by_provider {
        let mut sequence: Vec<u64> = receipts.iter().map(|receipt| receipt.sequence).collect();
        sequence.sort_unstable();
        if !sequence.iter().copied().eq(1..=sequence.len() as u64) {
            found.push(format!("receipts to {provider} are numbered {sequence:?}"));
        }
    }
}

fn check_provider(books: &Books, provider: &Provider, own: &[&Issued], found: &mut Vec<String>) {
    let name = &provider.name;
    let issued: BTreeMap<ReceiptId, &Issued> =
        own.iter().map(|receipt| (receipt.receipt_id, *receipt)).collect();
    let mut seen = BTreeSet::new();
    for held in &provider.held {
        let id = held.receipt_id;
        if !seen.insert(id) {
            found.push(format!("{name} holds receipt {id:?} twice"));
        }
        check_price(books, provider, held, found);
        if books.doubt.fep {
            continue;
        }
        let Some(receipt) = issued.get(&id) else {
            found.push(format!("{name} holds receipt {id:?}, which its FEP never issued to it"));
            continue;
        };
        if (held.charge, held.payout, held.counts) != (receipt.charge, receipt.payout, receipt.settled) {
            found.push(format!("{name} and the FEP read receipt {id:?} differently"));
        }
    }
    let missing = || issued.values().filter(|receipt| !seen.contains(&receipt.receipt_id));
    let lost = missing().filter(|receipt| !books.doubt.gateways.contains(&receipt.gateway_node_id)).count();
    if books.at_rest && !provider.forgot && !books.doubt.fep && lost > 0 {
        found.push(format!("{name} was issued {} receipts, and {lost} never came", issued.len()));
    }
    let by_ms = books.asked_for_by_ms.filter(|_| provider.asks && !books.doubt.fep);
    let never = missing().filter(|receipt| by_ms.is_some_and(|by_ms| receipt.issued_ms < by_ms));
    let never: Vec<u64> = never.map(|receipt| receipt.sequence).collect();
    if !never.is_empty() {
        found.push(format!("I6: {name} has not asked for its receipts number {never:?}, which never came"));
    }
    let over = |held: &&Held| {
        let by_ms = held.disputed_until_ms.map(|until_ms| until_ms + LOOKED_FOR_WITHIN.as_millis());
        by_ms.zip(provider.now_ms).is_some_and(|(by_ms, now_ms)| by_ms < now_ms)
    };
    if let Some(held) = provider.held.iter().find(over) {
        let (id, until) = (held.receipt_id, held.disputed_until_ms);
        found.push(format!("I4: {name} was to claim receipt {id:?} again at {until:?}, and did not"));
    }
    let mut never_came: BTreeMap<&Currency, i128> = BTreeMap::new();
    for receipt in missing() {
        *never_came.entry(&receipt.currency).or_default() += i128::from(receipt.payout.0);
    }
    check_states(books, provider, &never_came, found);
}

/// The slug of a job that its provider does not remember: its disk was lost, or the job had come to nothing, for all it knew.
const FORGOTTEN: &str = "unknown";

/// I8: the amount is a function of tokens, offer, fees and a rate that was quoted.
fn check_price(books: &Books, provider: &Provider, held: &Held, found: &mut Vec<String>) {
    let (name, id) = (&provider.name, held.receipt_id);
    let quoted = match held.currency == books.ledger.currency {
        true => held.rate == Rate::ONE,
        false => books.quoted.get(&held.currency).is_some_and(|rates| rates.contains(&held.rate)),
    };
    if !quoted {
        found.push(format!("I8: receipt {id:?} of {name} is at {}, which was never quoted", held.rate));
    }
    let owed = |price: &Price| price::owed(price, &books.fees, held.rate.into(), &held.counts);
    let says = (held.charge, held.payout);
    if held.slug == FORGOTTEN {
        if !provider.prices.values().any(|asked| asked.comes_to(owed, says)) {
            found.push(format!("I8: receipt {id:?} of {name} has none of its prices"));
        }
        return;
    }
    let Some(asked) = provider.prices.get(&*held.slug) else {
        return found.push(format!("{name} was paid for {:?}, which it never offered", held.slug));
    };
    if !asked.comes_to(owed, says) {
        let ((charge, payout), bill) = (says, owed(&asked.price));
        found.push(format!(
            "I8: receipt {id:?} of {name} says {charge} and {payout}; its tokens come to {bill:?}"
        ));
    }
}

/// I4 and I5: a provider's receipts are all in one state, and what it counts as paid has left the FEP's debt to it. What never
/// came to it is owed, and it does not wait for that.
fn check_states(
    books: &Books,
    provider: &Provider,
    never_came: &BTreeMap<&Currency, i128>,
    found: &mut Vec<String>,
) {
    let name = &provider.name;
    let count = |state: &str| provider.held.iter().filter(|held| held.state == state).count() as u64;
    let (unclaimed, in_claim, paid) = (count("unclaimed"), count("in_claim"), count("paid"));
    let states = provider.states;
    if (unclaimed, in_claim) != (states.unclaimed, states.in_claim) || paid < states.paid_since_start {
        found.push(format!("I4: {name} lists {unclaimed}, {in_claim}, {paid} and says {states:?}"));
    }
    if unclaimed + in_claim + paid + count("disputed") + count("written_off") != provider.held.len() as u64 {
        found.push(format!("I4: {name} holds receipts in no known state"));
    }
    // What a FEP that lies authorises may be less than what it then settles.
    // Nor does one that forgot what it was owed.
    let counts = !books.doubt.fep && !provider.forgot;
    if counts && provider.owing.iter().any(|fep| fep.total > fep.limit) {
        found.push(format!("I5: {name} has let a FEP owe too much: {:?}", provider.owing));
    }
    let currencies = || books.quoted.keys().chain([&books.ledger.currency]);
    for currency in currencies().filter(|_| books.at_rest && !provider.forgot) {
        let unpaid = provider.held.iter().filter(|held| held.state != "paid" && held.currency == *currency);
        let unpaid = sum(unpaid.map(|held| held.payout));
        let owed = balance(books, currency, &format!("provider:{}", provider.node_id));
        let never_came = never_came.get(currency).copied().unwrap_or_default();
        let agrees = books.doubt.fep || unpaid + never_came == owed;
        if !agrees {
            found
                .push(format!("{name} waits for {unpaid} micro-units of {currency}, the FEP owes it {owed}"));
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
