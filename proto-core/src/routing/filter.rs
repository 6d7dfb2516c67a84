//! Who can't serve a request, and why: looked at before anybody is compared.

use super::Need;
use super::breaker::State;
use super::hints::Hints;
use crate::economics::{Rate, dearest};
use crate::gossip::Served;
use crate::identity::NodeId;
use crate::money::Micros;
use crate::openai::request::may_fit;
use crate::time::Wall;

/// In the order in which they are looked at: the first is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Removed {
    /// By the user's hints.
    Ignored,
    NotAmongOnly,
    Quantised,
    /// It is not linked, and nobody waits for it.
    Unlinked,
    /// Its offer lapses before the job could be settled.
    Lapses,
    /// It is paid in a currency that the FEP does not quote.
    NotQuoted,
    /// Its model has no room for such a prompt.
    TooLong,
    /// It costs more than the user pays.
    TooDear,
    /// It failed again and again.
    Broken,
    /// All its slots are taken, and as many wait as may.
    Full,
}

impl Removed {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Ignored => "ignored by the request",
            Self::NotAmongOnly => "not among those that the request names",
            Self::Quantised => "of another quantisation than the request names",
            Self::Unlinked => "not linked",
            Self::Lapses => "its offer lapses too soon",
            Self::NotQuoted => "paid in a currency that is not quoted",
            Self::TooLong => "the prompt is too long for it",
            Self::TooDear => "dearer than the request allows",
            Self::Broken => "failed again and again",
            Self::Full => "full",
        }
    }
}

/// The most that the job may cost there. `own`: this gateway's jobs there.
pub(super) fn charge(
    need: &Need<'_>,
    provider: &NodeId,
    served: &Served,
    now: Wall,
    linked: bool,
    own: u32,
    breaker: State,
) -> Result<Micros, Removed> {
    let offer = &served.offer.content;
    let is_named = |list: &[_]| Hints::names(list, provider, &offer.slug).is_some();
    if is_named(&need.hints.ignore) {
        return Err(Removed::Ignored);
    }
    if !need.hints.only.is_empty() && !is_named(&need.hints.only) {
        return Err(Removed::NotAmongOnly);
    }
    if !need.hints.quantised_as_wanted(&offer.slug) {
        return Err(Removed::Quantised);
    }
    if !linked {
        return Err(Removed::Unlinked);
    }
    if Wall(offer.valid_until_ms) < now + need.job || offer.max_output == 0 {
        return Err(Removed::Lapses);
    }
    let rate = need.fep.map_or(Some(Rate::ONE), |fep| fep.rate(&offer.payout.currency, now));
    let rate = rate.ok_or(Removed::NotQuoted)?;
    if !may_fit(need.output.longest, offer.context_length) {
        return Err(Removed::TooLong);
    }
    let fees = need.fep.map(|fep| fep.fees).unwrap_or_default();
    if need.hints.max_price.is_some_and(|most| !most.allows(&offer.price, &fees, rate)) {
        return Err(Removed::TooDear);
    }
    let bill = dearest(&offer.price, &fees, rate, need.input_bound, need.max_output_at(offer));
    let charge = bill.ok_or(Removed::TooDear)?.charge;
    match breaker {
        State::Open { .. } => return Err(Removed::Broken),
        State::HalfOpen if own > 0 => return Err(Removed::Broken),
        State::HalfOpen | State::Closed => {}
    }
    // Who said to be full may have a slot by now: what is known for sure are one's own jobs.
    if own >= served.slots.saturating_add(served.queue) {
        return Err(Removed::Full);
    }
    Ok(charge)
}
