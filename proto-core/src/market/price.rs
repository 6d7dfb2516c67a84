//! What a model costs in the next epoch: its configured price times a factor, moved by a named strategy within the operator's floor
//! and ceiling.
//!
//! A strategy is a file: a function from what it sees at its [`Turn`] to the factor that it would have next. What is absent there:
//! bounds and steps, which are the same for all.

mod best_response;
mod capacity;
mod learning;
mod undercut;
mod utilisation;

use capacity::Crowd;
use learning::Tried;
use serde::{Deserialize, Serialize};

use super::policy::Pricing;
use crate::economics::Price;
use crate::money::Micros;
use crate::time::Span;

/// How far a price moves in an epoch, in thousandths of itself: so little that what follows is seen before the next step.
const STEP: u32 = 50;
/// How far below the cheapest other one goes who undercuts it, in thousandths.
const BELOW: u32 = 10;

pub(crate) const AS_CONFIGURED: u32 = 1_000;

/// The list: a strategy, and the file that has it. Who never moves has none.
macro_rules! strategies {
    ($($(#[$doc:meta])* $name:ident: $file:ident,)*) => {
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Strategy {
            /// As configured.
            #[default]
            Fixed,
            $($(#[$doc])* $name,)*
        }

        impl Strategy {
            /// `None`: it never moves.
            fn next(self, turn: &mut Turn<'_>) -> Option<u32> {
                match self {
                    Self::Fixed => None,
                    $(Self::$name => Some($file::next(turn)),)*
                }
            }
        }
    };
}

strategies! {
    /// Dearer while most slots are taken, cheaper while most are free.
    Utilisation: utilisation,
    /// A hundredth below the cheapest other offer that is heard of.
    Undercut: undercut,
    /// What earns most if gateways share requests out by price, and the others stay where the cheapest of them is.
    BestResponse: best_response,
    /// What earns most if all go to the cheapest that has a slot, and each seller has only so many.
    Capacity: capacity,
    /// On in the same direction while that earns more, back while it does not. It believes nobody.
    Learning: learning,
}

/// What an epoch was like for one model.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// How long it lasted.
    pub(crate) lasted: Span,
    /// Slot time that was used, in thousandths.
    pub(crate) utilisation: u32,
    /// The cheapest offer that is heard of, our own among them: input and output of a million tokens together, in our currency.
    pub(crate) cheapest: Option<Micros>,
    /// Nobody else is heard to offer it.
    pub(crate) alone: bool,
    /// Others of our size, as far as is heard of their slots.
    pub(crate) rivals: u32,
    /// Slots of our own, of what is offered by that name, and of all others.
    pub(crate) ours: u32,
    pub(crate) others: u32,
    /// Slots, in thousandths, that would be taken all the time if all were served who are heard to have asked in the last hour.
    pub(crate) wanted: u64,
    /// What came in beyond what it cost, in millionths of a micro-unit for each second.
    pub(crate) earned: i64,
}

/// What a strategy keeps in mind from one epoch to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    tried: Tried,
    crowd: Crowd,
}

/// The end of an epoch, as a strategy finds it.
struct Turn<'a> {
    pricing: Pricing,
    /// In thousandths of the configured price, as are the next two: as low and as high as it may be next.
    factor: u32,
    down: u32,
    up: u32,
    configured: &'a Price,
    seen: Seen,
    memory: &'a mut Memory,
}

impl Turn<'_> {
    /// The cheapest offer that is heard of, our own among them, in thousandths of our configured price.
    fn cheapest(&self) -> Option<u32> {
        self.seen.cheapest.and_then(|cheapest| ratio(cheapest, both(self.configured)))
    }

    /// The same where it is another's, and cheaper than ours.
    fn cheaper(&self) -> Option<u32> {
        let ours = both(&at(self.configured, self.factor));
        let cheaper = self.seen.cheapest.filter(|cheapest| *cheapest < ours);
        cheaper.and_then(|cheapest| ratio(cheapest, both(self.configured)))
    }

    /// There is nobody to answer.
    fn is_alone(&self) -> bool {
        self.seen.alone || self.seen.cheapest.is_none()
    }
}

/// The factor to begin with.
pub(crate) fn first(pricing: Pricing) -> u32 {
    match pricing.strategy {
        Strategy::Fixed => AS_CONFIGURED,
        _ => bounded(pricing, AS_CONFIGURED),
    }
}

/// The next factor, in thousandths of the configured price. It moves by a step at most, whoever says whatever.
pub(crate) fn next(
    pricing: Pricing,
    factor: u32,
    configured: &Price,
    seen: Seen,
    memory: &mut Memory,
) -> u32 {
    let step = (factor / (1_000 / STEP)).max(1);
    let (down, up) = (factor.saturating_sub(step), factor.saturating_add(step));
    let mut turn = Turn { pricing, factor, down, up, configured, seen, memory };
    let Some(wanted) = pricing.strategy.next(&mut turn) else { return AS_CONFIGURED };
    let next = bounded(pricing, wanted.clamp(down, up));
    memory.tried = Tried { fell: next < factor, earned: seen.earned };
    next
}

/// As little less as is seen as less: gateways take what differs by a thousandth for the same.
fn below(theirs: u32) -> u32 {
    theirs.saturating_sub((theirs / (1_000 / BELOW)).max(1))
}

fn bounded(pricing: Pricing, factor: u32) -> u32 {
    factor.clamp(pricing.floor, pricing.ceiling.max(pricing.floor))
}

/// Input and output of a million tokens.
pub(crate) fn both(price: &Price) -> Micros {
    price.input_per_mtok.checked_add(price.output_per_mtok).unwrap_or(price.output_per_mtok)
}

/// In thousandths. `None`: there is nothing to compare with.
fn ratio(one: Micros, of: Micros) -> Option<u32> {
    let ratio = i128::from(one.0) * 1_000 / i128::from(of.0).max(1);
    if of.0 <= 0 { None } else { u32::try_from(ratio).ok() }
}

/// A price at that factor. What has a price keeps one.
pub(crate) fn at(price: &Price, factor: u32) -> Price {
    let scaled = |micros: Micros| {
        let scaled = i128::from(micros.0) * i128::from(factor) / 1_000;
        let scaled = i64::try_from(scaled).unwrap_or(i64::MAX);
        Micros(if micros.0 > 0 { scaled.max(1) } else { scaled })
    };
    Price {
        input_per_mtok: scaled(price.input_per_mtok),
        cached_per_mtok: scaled(price.cached_per_mtok),
        output_per_mtok: scaled(price.output_per_mtok),
        per_request: scaled(price.per_request),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(super) const PRICE: Price = Price {
        input_per_mtok: Micros(500_000),
        cached_per_mtok: Micros(100_000),
        output_per_mtok: Micros(1_500_000),
        per_request: Micros(1),
    };

    /// Of strategies that keep nothing in mind.
    pub(super) fn after(pricing: Pricing, factor: u32, configured: &Price, seen: Seen) -> u32 {
        next(pricing, factor, configured, seen, &mut Memory::default())
    }

    pub(super) fn run(strategy: Strategy, seen: impl Fn(u32) -> Seen) -> u32 {
        let pricing = Pricing { strategy, ..Pricing::default() };
        (0..100).fold(AS_CONFIGURED, |factor, _| after(pricing, factor, &PRICE, seen(factor)))
    }

    #[test]
    fn a_price_begins_within_its_bounds() {
        let dear = Pricing { strategy: Strategy::Utilisation, floor: 1_500, ..Pricing::default() };
        assert_eq!(first(dear), 1_500);
        assert_eq!(first(Pricing::default()), AS_CONFIGURED);
    }

    #[test]
    fn a_price_scales_in_all_its_parts_and_never_to_nothing() {
        let half = at(&PRICE, 500);
        assert_eq!((half.input_per_mtok, half.output_per_mtok), (Micros(250_000), Micros(750_000)));
        assert_eq!(half.per_request, Micros(1));
        assert_eq!(at(&PRICE, AS_CONFIGURED), PRICE);
        assert_eq!(at(&Price::default(), 500), Price::default());
    }
}
