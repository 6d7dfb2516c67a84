//! The price that earns most for whoever can't serve everybody, beside others who can't either, where gateways go to the cheapest that has
//! a slot.
//!
//! Users are thought to pay evenly up to `most`: of all of them a part 1 - p / most would pay p. The others have so many slots, and ask
//! for what the cheapest of them does. Users are served as they come, whatever they would pay, so that of those whom the others
//! have no slot for as large a part would pay p as of all (A. Beckmann's rationing, 1965):
//!
//! ```text
//!   below them:  min(own slots, all who would pay p)
//!   beside:      min(own slots, all who would * own slots / all slots)
//!   above:       min(own slots, all who would * (1 - their slots / all who would pay theirs))
//! ```
//!
//! Below, best is just below. Above, it is what fills the own slots, or where that is dearer half way between cost and `most`.
//! Two who have room for a part q of all users each meet where they are just full, at 1 - 2 q of `most`, if q is a quarter at most. Up to
//! a half there is no pair of prices at which both stay: each goes below the other until what the other leaves over earns more, and
//! up again (F. Edgeworth, 1897; R. Levitan and M. Shubik, 1972).
//!
//! How many users there are is learnt from how many asked in the last hour, and for how little they were served. What is absent: any
//! other curve than a straight line.

use super::super::policy::Pricing;
use super::{Seen, Turn, below};
use crate::time::Span;

/// What asked in the last hour asked half an hour ago in the mean, at the price of then.
const AGO: Span = Span::from_secs(1_800);
/// How many users there are does not change with the price: it is the mean of about the last hour.
const ABOUT: Span = Span::from_secs(3_600);
/// Where fewer than one in so many would pay what is asked for, they tell nothing of the others.
const TELLING: u32 = 20;
/// Nobody's word of what is asked for counts for more than so many times what we could do.
const CREDIBLE: u64 = 100;

/// Fixed point of parts: so many make one.
const ONE: u128 = 1_000_000;

/// What is known of users, and where the price is on its way to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Crowd {
    /// Slots that all of them would take if it cost nothing, in thousandths.
    all: Option<u64>,
    /// The cheapest offer of late, in millionths of the configured price.
    cheapest: Option<u64>,
    aim: Option<u32>,
}

pub(super) fn next(turn: &mut Turn<'_>) -> u32 {
    // The cheapest offer that is heard of, or our own.
    let theirs = turn.cheaper().unwrap_or(turn.factor).min(turn.factor);
    let bounds = (turn.down, turn.factor, turn.up);
    answer(turn.pricing, theirs, bounds, &turn.seen, &mut turn.memory.crowd)
}

/// From `down` to `up`.
fn answer(
    pricing: Pricing,
    theirs: u32,
    (down, factor, up): (u32, u32, u32),
    seen: &Seen,
    crowd: &mut Crowd,
) -> u32 {
    crowd.learn(pricing, theirs, seen);
    let best = crowd.all.map_or_else(
        || within(pricing, half_way(pricing)),
        |all| {
            Duel { pricing, theirs, all: all.into(), ours: slots(seen.ours), others: slots(seen.others) }
                .best()
        },
    );
    // On the way up each step leaves others behind, whom it would then seem best to undercut: who has set out goes on.
    let wanted = crowd.aim.filter(|aim| *aim > factor).unwrap_or(best);
    crowd.aim = Some(wanted).filter(|wanted| *wanted > up);
    wanted.clamp(down, up)
}

impl Crowd {
    fn learn(&mut self, pricing: Pricing, theirs: u32, seen: &Seen) {
        let now = u64::from(theirs) * 1_000;
        let cheapest = drift(self.cheapest.unwrap_or(now), now, seen.lasted, AGO);
        self.cheapest = Some(cheapest);
        let most = u64::from(pricing.most) * 1_000;
        let would = most.saturating_sub(cheapest);
        let nobody_asked = seen.wanted == 0 && self.all.is_none();
        if nobody_asked || would.saturating_mul(TELLING.into()) < most || would == 0 {
            return;
        }
        let wanted = seen.wanted.min(u64::from(seen.ours).saturating_mul(1_000 * CREDIBLE));
        let all = u128::from(wanted) * u128::from(most) / u128::from(would);
        let all = u64::try_from(all).unwrap_or(u64::MAX);
        self.all = Some(drift(self.all.unwrap_or(all), all, seen.lasted, ABOUT));
    }
}

/// A mean of late, to which the newest adds for as long as it lasted.
fn drift(old: u64, new: u64, lasted: Span, over: Span) -> u64 {
    let (lasted, over) = (u128::from(lasted.as_millis()), u128::from(over.as_millis()));
    let sum = u128::from(old) * over + u128::from(new) * lasted;
    u64::try_from(sum / (over + lasted).max(1)).unwrap_or(u64::MAX)
}

fn slots(many: u32) -> u128 {
    u128::from(many) * 1_000
}

fn within(pricing: Pricing, price: u32) -> u32 {
    price.clamp(pricing.floor, pricing.ceiling.max(pricing.floor))
}

/// What earns most of one user of whom nothing is known but that he would pay `most` at most.
fn half_way(pricing: Pricing) -> u32 {
    pricing.floor.midpoint(pricing.most.max(pricing.floor))
}

/// Slots, and users by those that they would take, in thousandths.
struct Duel {
    pricing: Pricing,
    theirs: u32,
    all: u128,
    ours: u128,
    others: u128,
}

impl Duel {
    /// Where two earn as much, rather the one that is nearer to what the others ask for.
    fn best(&self) -> u32 {
        let beside = within(self.pricing, self.theirs);
        let below = within(self.pricing, below(self.theirs).min(self.dearest(ONE)));
        let above = within(self.pricing, self.theirs.max(self.dearest(self.left())));
        [below, above, beside].into_iter().max_by_key(|price| self.earns(*price)).unwrap_or(beside)
    }

    fn earns(&self, price: u32) -> u128 {
        u128::from(price.saturating_sub(self.pricing.floor)) * self.serves(price)
    }

    fn serves(&self, price: u32) -> u128 {
        let would = self.would_pay(price);
        let come = match price.cmp(&self.theirs) {
            core::cmp::Ordering::Less => would,
            core::cmp::Ordering::Equal => would * self.ours / (self.ours + self.others).max(1),
            core::cmp::Ordering::Greater => would * self.left() / ONE,
        };
        come.min(self.ours)
    }

    fn would_pay(&self, price: u32) -> u128 {
        let most = self.pricing.most.max(1);
        self.all * u128::from(most.saturating_sub(price)) / u128::from(most)
    }

    /// The part of those who would pay what others ask for, whom they have no slot for.
    fn left(&self) -> u128 {
        let would = self.would_pay(self.theirs);
        would.saturating_sub(self.others) * ONE / would.max(1)
    }

    /// What earns most of such a part of all users, if nobody else were there: what just fills our slots, or half way where that is dearer.
    fn dearest(&self, part: u128) -> u32 {
        let come = (self.all * part).max(1);
        // One less, so that rounding leaves no slot free.
        let unpaid = (self.ours * ONE * u128::from(self.pricing.most)).div_ceil(come);
        let fills = u128::from(self.pricing.most).saturating_sub(unpaid);
        half_way(self.pricing).max(u32::try_from(fills).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::super::super::policy::Strategy;
    use super::super::{Memory, both, next as priced};
    use super::*;
    use crate::economics::Price;
    use crate::money::Micros;

    const FREE: Pricing =
        Pricing { strategy: Strategy::Capacity, floor: 0, ceiling: 1_000, elasticity: 2, most: 1_000 };
    const PRICE: Price = Price {
        input_per_mtok: Micros(0),
        cached_per_mtok: Micros(0),
        output_per_mtok: Micros(100_000_000),
        per_request: Micros(0),
    };
    const EPOCH: Span = Span::from_secs(300);

    /// What two ask for, epoch after epoch, each of whom has ten slots and hears of the cheaper price, and of as many users as would
    /// have paid it in the last hour: all would take `all` slots if it cost nothing.
    fn duel(all: u64, from: [u32; 2], epochs: usize) -> Vec<[u32; 2]> {
        let (mut prices, mut memories) = (from, [Memory::default(); 2]);
        let mut hour = Vec::new();
        let mut epoch = || {
            let cheapest = prices[0].min(prices[1]);
            hour.push(all * u64::from(1_000 - cheapest));
            let late = &hour[hour.len().saturating_sub(12)..];
            let seen = Seen {
                lasted: EPOCH,
                cheapest: Some(both(&super::super::at(&PRICE, cheapest))),
                ours: 10,
                others: 10,
                wanted: late.iter().sum::<u64>() / late.len() as u64,
                ..Seen::default()
            };
            for (price, memory) in prices.iter_mut().zip(&mut memories) {
                let before = *price;
                *price = priced(FREE, before, &PRICE, seen, memory);
                assert!(price.abs_diff(before) <= (before / 20).max(1), "{before} to {price}");
            }
            prices
        };
        (0..epochs).map(|_| epoch()).collect()
    }

    #[test]
    fn who_have_little_room_ask_for_what_fills_them_and_stay_there() {
        for (all, meet) in [(100, 800), (50, 600), (42, 523)] {
            for from in [[900, 900], [300, 500], [50, 999]] {
                let prices = duel(all, from, 400);
                for price in prices[300..].iter().flatten() {
                    assert!(price.abs_diff(meet) <= meet / 100, "{meet} from {from:?}: {:?}", &prices[300..]);
                }
            }
        }
    }

    /// With room for two fifths, what the other leaves over earns most at a half, and more than going on below it from .279 down: there
    /// .4 p is .25 (1 - .4 / (1 - p)).
    #[test]
    fn who_have_more_room_go_down_and_up_between_two_prices_for_ever() {
        let prices = duel(25, [600, 500], 1_000);
        let settled = || prices[200..].iter().flatten().copied();
        let (least, most) = (settled().min().unwrap(), settled().max().unwrap());
        assert!((265..=285).contains(&least), "{least}");
        assert!((485..=505).contains(&most), "{most}");
        let is_low = |prices: &[u32; 2]| prices[0].max(prices[1]) < 300;
        let is_high = |prices: &[u32; 2]| prices[0].min(prices[1]) > 450;
        let turns = prices[200..].iter().filter_map(|now| match (is_low(now), is_high(now)) {
            (true, _) => Some(false),
            (_, true) => Some(true),
            (false, false) => None,
        });
        let mut turns: Vec<bool> = turns.collect();
        turns.dedup();
        assert!(turns.len() >= 16, "{} turns", turns.len());
        // Down by as large a part each time, and up by as large a one: in the mean (.5 - .279) / ln (.5 / .279).
        let mean = settled().sum::<u32>() / settled().count() as u32;
        assert!((365..=390).contains(&mean), "{mean}");
    }

    #[test]
    fn nothing_that_others_would_see_as_another_price_earns_more() {
        for (all, theirs, others, floor) in [
            (50_000, 600, 10, 0),
            (25_000, 300, 10, 0),
            (25_000, 450, 10, 100),
            (90_000, 900, 30, 200),
            (12_000, 700, 5, 0),
        ] {
            let pricing = Pricing { floor, ..FREE };
            let duel = Duel { pricing, theirs, all, ours: slots(10), others: slots(others) };
            let best = duel.best();
            let as_cheap = below(theirs) + 1..theirs;
            for price in (floor..=1_000).filter(|price| !as_cheap.contains(price)) {
                let (most, other) = (duel.earns(best), duel.earns(price));
                // Whole thousandths.
                assert!(other <= most + most / 300, "{best} or {price}, at {theirs}: {most}, {other}");
            }
        }
    }

    #[test]
    fn who_is_alone_asks_for_what_earns_most_of_all() {
        let alone = |all, ours| Duel { pricing: FREE, theirs: 900, all, ours: slots(ours), others: 0 }.best();
        assert_eq!(alone(10_000, 10), 500, "there is room for all");
        assert_eq!(alone(50_000, 10), 800, "a fifth of them fill it");
    }

    #[test]
    fn of_whom_nothing_is_known_half_is_asked_for() {
        let after = |seen, from| {
            let mut memory = Memory::default();
            (0..100).fold(from, |price, _| priced(FREE, price, &PRICE, seen, &mut memory))
        };
        assert_eq!(after(Seen { ours: 10, lasted: EPOCH, ..Seen::default() }, 1_000), 500);
        let dear = Seen {
            ours: 10,
            others: 10,
            lasted: EPOCH,
            cheapest: Some(Micros(99_000_000)),
            ..Seen::default()
        };
        assert_eq!(after(dear, 1_000), 500, "who would pay what nobody asked for is not known");
    }

    #[test]
    fn the_widest_of_figures_are_borne() {
        for (figure, wide) in [(0, 0), (1, 1), (u32::MAX, u64::MAX)] {
            for most in [0, 1, u32::MAX] {
                let pricing = Pricing { floor: figure.min(1), ceiling: u32::MAX, most, ..FREE };
                let seen = Seen {
                    lasted: Span(wide),
                    cheapest: Some(Micros(i64::from(figure))),
                    ours: figure,
                    others: figure,
                    wanted: wide,
                    ..Seen::default()
                };
                let mut memory = Memory::default();
                for _ in 0..3 {
                    let price = priced(pricing, figure, &PRICE, seen, &mut memory);
                    assert!(price >= pricing.floor && price <= pricing.ceiling);
                }
            }
        }
    }
}
