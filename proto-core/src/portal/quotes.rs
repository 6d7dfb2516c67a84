//! What other currencies are worth in the billing currency, by the operator's word, for as long as that word holds.
//!
//! A quote is looked at when a job is authorized and never again: from then on the job's own [`Rate`] counts, which stands in
//! its authorization. One that has lapsed stays here, so that its operator sees it, until it is set anew or dropped.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::Deserialize;

use crate::economics::Rate;
use crate::limits::{PORTAL_QUOTES, QUOTE_LIFE};
use crate::machine::StreamId;
use crate::money::Currency;
use crate::store::{BadRow, Row, Snapshot, Write};
use crate::time::{Now, Span, Wall};
use crate::wire::keys::Quote;

use super::admin::{commit, error_text};
use super::answer::{Answer, Refused, Stepped};
use super::books::{Books, Fep};
use super::rows::{QUOTES, QuoteRow};

#[derive(Default)]
pub(super) struct Quotes {
    by_currency: BTreeMap<Currency, QuoteRow>,
}

impl Quotes {
    pub(super) fn load(snapshot: &Snapshot) -> Result<Self, BadRow> {
        let mut quotes = Self::default();
        for row in snapshot.of(QUOTES) {
            let row: QuoteRow = row.parse(QUOTES)?;
            quotes.by_currency.insert(row.currency.clone(), row);
        }
        Ok(quotes)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &QuoteRow> {
        self.by_currency.values()
    }

    /// Those that hold now, as they are told to others.
    pub(super) fn valid(&self, now: Wall) -> impl Iterator<Item = Quote> {
        let told = move |row: &QuoteRow| {
            let QuoteRow { currency, rate, until_ms, .. } = row.clone();
            (now.0 < until_ms).then_some(Quote { currency, rate, until_ms })
        };
        self.iter().filter_map(told)
    }

    /// At what rate an offer in that currency is authorized now. The error is for people.
    pub(super) fn rate(&self, billing: &Currency, payout: &Currency, now: Wall) -> Result<Rate, String> {
        if billing == payout {
            return Ok(Rate::ONE);
        }
        let quote = self.by_currency.get(payout).ok_or_else(|| {
            alloc::format!(
                "this portal bills in {billing} and has no quote for {payout}: its operator sets one with `labman-fep fx \
                 set {payout}`"
            )
        })?;
        match now.0 < quote.until_ms {
            true => Ok(quote.rate),
            false => Err(alloc::format!(
                "this portal's quote for {payout} has lapsed: its operator sets a new one with `labman-fep fx set \
                 {payout}`"
            )),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SetQuote {
    currency: String,
    rate: String,
    valid_for_s: u32,
}

/// In place of the last one for that currency. Jobs that are authorized keep theirs.
pub(super) fn set(fep: &Fep, books: &mut Books, now: Now, stream: StreamId, body: SetQuote) -> Stepped {
    let bad = |error: &dyn ToString| Refused::bad_request(error.to_string());
    let currency: Currency = body.currency.parse().map_err(|error| bad(&error))?;
    let rate: Rate = body.rate.parse().map_err(|error| bad(&error))?;
    if currency == fep.config.currency {
        return Err(Refused::bad_request(alloc::format!(
            "this portal bills in {currency}, which is always worth itself: quote another currency"
        )));
    }
    let life = Span::from_secs(u64::from(body.valid_for_s));
    if life == Span::default() || life > QUOTE_LIFE {
        let most_s = QUOTE_LIFE.as_millis() / 1000;
        return Err(Refused::bad_request(alloc::format!("valid_for_s must be between 1 and {most_s}")));
    }
    let quotes = &mut books.quotes.by_currency;
    if quotes.len() >= PORTAL_QUOTES && !quotes.contains_key(&currency) {
        return Err(Refused::unavailable(alloc::format!(
            "this portal quotes at most {PORTAL_QUOTES} currencies: drop one first"
        )));
    }
    let row = QuoteRow { currency: currency.clone(), rate, until_ms: (now.wall + life).0, at_ms: now.wall.0 };
    let answer = Answer::ok(&shown(&row, now.wall));
    let told = alloc::format!("{currency} is quoted at {rate} from now on, for {} s", body.valid_for_s);
    let write = Write::Put(QUOTES, Row::json(currency.to_string(), &row));
    quotes.insert(currency, row);
    commit(stream, alloc::vec![write], answer, told)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DropQuote {
    currency: String,
}

pub(super) fn drop(books: &mut Books, stream: StreamId, body: DropQuote) -> Stepped {
    let currency: Currency =
        body.currency.parse().map_err(|error| Refused::bad_request(error_text(error)))?;
    if books.quotes.by_currency.remove(&currency).is_none() {
        return Err(Refused::not_found(alloc::format!("{currency} is not quoted")));
    }
    let write = Write::Delete(QUOTES, currency.to_string());
    let answer = Answer::ok(&serde_json::json!({ "currency": currency }));
    commit(stream, alloc::vec![write], answer, alloc::format!("{currency} is not quoted any more"))
}

pub(super) fn list(books: &Books, now: Now) -> Answer {
    let quotes: Vec<_> = books.quotes.iter().map(|row| shown(row, now.wall)).collect();
    Answer::ok(&serde_json::json!({ "quotes": quotes }))
}

fn shown(row: &QuoteRow, now: Wall) -> serde_json::Value {
    let QuoteRow { currency, rate, until_ms, at_ms } = row;
    let state = if now.0 < *until_ms { "valid" } else { "lapsed" };
    serde_json::json!({
        "currency": currency, "rate": rate.to_string(), "until_ms": until_ms, "at_ms": at_ms, "state": state,
    })
}
