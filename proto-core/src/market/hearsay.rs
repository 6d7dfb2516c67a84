//! What a provider makes of what it is told of the market.
//!
//! Neighbourhoods overlap, so that sums would count twice, and any neighbour may lie: what counts is what the middle one says of those that
//! name a model.

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use crate::limits::MARKET_CURRENCIES;
use crate::money::{Currency, Micros};
use crate::names;
use crate::wire::mesh::{Cheapest, Wanted};

/// What is said, by name, and by whom of those that say something. Names of one model are found together, however many there are.
#[derive(Default)]
pub(crate) struct Hearsay(BTreeMap<String, BTreeMap<String, Vec<(usize, Wanted)>>>);

/// What a provider that could serve a model hears of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outlook {
    /// Asked for in the last hour.
    pub(crate) jobs: u32,
    /// Of all providers.
    pub(crate) slots: u32,
    cheapest: Vec<Cheapest>,
}

impl Outlook {
    fn and(&mut self, one: &Wanted) {
        self.jobs = self.jobs.saturating_add(one.all());
        self.slots = self.slots.saturating_add(one.slots);
        self.cheapest.extend(one.cheapest.iter().take(MARKET_CURRENCIES).cloned());
    }

    /// What the middle one says; what is cheapest, anybody may tell.
    fn middle(said: impl Iterator<Item = Self>) -> Self {
        let said: Vec<Self> = said.collect();
        Self {
            jobs: middle(said.iter().map(|one| one.jobs)),
            slots: middle(said.iter().map(|one| one.slots)),
            cheapest: said.into_iter().flat_map(|one| one.cheapest).collect(),
        }
    }

    pub(crate) fn cheapest_in(&self, currency: &Currency) -> Option<Micros> {
        let prices = self.cheapest.iter().filter(|one| one.currency == *currency).map(|one| one.price);
        prices.filter(|price| *price > Micros::ZERO).min()
    }
}

impl Hearsay {
    pub(super) fn of_all(said: impl Iterator<Item = BTreeMap<String, Wanted>>) -> Self {
        let mut all = Self::default();
        for (who, market) in said.enumerate() {
            for (name, one) in market {
                let names = all.0.entry(names::model(&name)).or_default();
                names.entry(name).or_default().push((who, one));
            }
        }
        all
    }

    /// Of all names by which a model may be asked for, but those that are not to count for it.
    pub(crate) fn of(&self, model: &str, counts: impl Fn(&str) -> bool) -> Outlook {
        let mut by_one: BTreeMap<usize, Outlook> = BTreeMap::new();
        for (name, said) in self.0.get(&names::model(model)).into_iter().flatten() {
            if names::asks_for(name, model) && counts(name) {
                said.iter().for_each(|(who, one)| by_one.entry(*who).or_default().and(one));
            }
        }
        Outlook::middle(by_one.into_values())
    }

    /// Of what is offered by that very name.
    pub(crate) fn named(&self, name: &str) -> Outlook {
        self.of(name, |other| other == name)
    }

    /// Of all models.
    pub(crate) fn slots(&self) -> u64 {
        let named = self.0.values().flat_map(BTreeMap::values);
        named.map(|said| u64::from(middle(said.iter().map(|(_, one)| one.slots)))).sum()
    }
}

/// The lower one, of two.
fn middle(said: impl Iterator<Item = u32>) -> u32 {
    let mut said: Vec<u32> = said.collect();
    said.sort_unstable();
    said.get(said.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn says(wanted: &[(&str, u32, u32)]) -> BTreeMap<String, Wanted> {
        let one = |&(model, jobs, slots): &(&str, u32, u32)| Wanted {
            model: model.into(),
            jobs,
            slots,
            ..Wanted::default()
        };
        wanted.iter().map(one).map(|one| (one.model.clone(), one)).collect()
    }

    #[test]
    fn names_that_a_model_serves_are_summed_and_then_the_middle_one_is_believed() {
        let said = vec![
            says(&[("qwen", 10, 2), ("qwen-q4_0", 5, 4), ("qwen-q8_0", 100, 8)]),
            says(&[("qwen", 12, 2), ("qwen-q4_0", 5, 4)]),
            // However many spellings a liar has.
            says(&[("Qwen", 1_000, 1_000), ("qweN", 1_000, 1_000), ("QWEN-q4_0", 1_000, 1_000)]),
        ];
        let hearsay = Hearsay::of_all(said.into_iter());
        let of = |model: &str| {
            let outlook = hearsay.of(model, |_| true);
            (outlook.jobs, outlook.slots)
        };
        assert_eq!(of("qwen-q4_0"), (17, 6));
        assert_eq!(of("qwen"), (12, 2));
        assert_eq!(of("llama"), (0, 0));
        let only = hearsay.of("qwen-q4_0", |name| name == "qwen-q4_0");
        assert_eq!((only.jobs, only.slots), (5, 4));
        assert_eq!(hearsay.named("qwen-q4_0").slots, 4);
    }

    #[test]
    fn all_slots_are_those_of_each_name() {
        let hearsay = Hearsay::of_all([says(&[("a", 0, 3), ("b", 0, 5)]), says(&[("a", 0, 1)])].into_iter());
        assert_eq!(hearsay.slots(), 6);
    }
}
