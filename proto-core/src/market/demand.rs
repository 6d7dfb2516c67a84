//! What a gateway's users asked for in the last hour, by model.

use alloc::{collections::BTreeMap, string::String, string::ToString};

use crate::limits::{MARKET_NAMES, PORTMAN_MODEL_ID};
use crate::names::bare;
use crate::time::{Span, Time};

/// An hour is counted in so many parts. It begins within one more, of which as much counts as is within it.
const PARTS: usize = 6;
const PART: Span = Span::from_secs(600);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Jobs that their users' portal authorised.
    pub(crate) jobs: u32,
    /// Requests that nobody could serve. Whether their users would have paid is not known.
    pub(crate) unserved: u32,
}

#[derive(Default)]
pub(crate) struct Demand {
    models: BTreeMap<String, [Asked; PARTS + 1]>,
    /// The number of the part that is being counted, since the node's start.
    part: u64,
    /// Something was asked for.
    stirred: bool,
}

impl Demand {
    pub(crate) fn job(&mut self, now: Time, slug: &str) {
        self.count(now, slug, |asked| asked.jobs = asked.jobs.saturating_add(1));
    }

    pub(crate) fn unserved(&mut self, now: Time, slug: &str) {
        self.count(now, slug, |asked| asked.unserved = asked.unserved.saturating_add(1));
    }

    fn count(&mut self, now: Time, slug: &str, add: impl FnOnce(&mut Asked)) {
        self.turn(now);
        let model = bare(slug);
        let is_new = !self.models.contains_key(model);
        if is_new && (self.models.len() >= MARKET_NAMES || model.len() > PORTMAN_MODEL_ID) {
            return;
        }
        self.stirred = true;
        let parts = self.models.entry(model.to_string()).or_default();
        if let Some(part) = parts.get_mut(place(self.part)) {
            add(part);
        }
    }

    /// Begins as many new parts as have begun.
    fn turn(&mut self, now: Time) {
        let part = now.0 / PART.0;
        for gone in (self.part + 1..=part).take(PARTS + 1) {
            for parts in self.models.values_mut() {
                if let Some(old) = parts.get_mut(place(gone)) {
                    *old = Asked::default();
                }
            }
        }
        if self.part != part {
            self.part = part;
            self.models.retain(|_, parts| parts.iter().any(|asked| *asked != Asked::default()));
        }
    }

    /// Those of nothing are left out.
    pub(crate) fn of_the_last_hour(&mut self, now: Time) -> BTreeMap<String, Asked> {
        self.turn(now);
        let within = THOUSANDTHS - now.0 % PART.0 / (PART.0 / THOUSANDTHS);
        let oldest = place(self.part + 1);
        let counts = |(at, part): (usize, &Asked)| match at == oldest {
            true => Asked { jobs: part_of(part.jobs, within), unserved: part_of(part.unserved, within) },
            false => *part,
        };
        let sum = |parts: &[Asked; PARTS + 1]| {
            parts.iter().enumerate().map(counts).fold(Asked::default(), |sum, part| Asked {
                jobs: sum.jobs.saturating_add(part.jobs),
                unserved: sum.unserved.saturating_add(part.unserved),
            })
        };
        let sums = self.models.iter().map(|(model, parts)| (model.clone(), sum(parts)));
        sums.filter(|(_, sum)| *sum != Asked::default()).collect()
    }

    pub(crate) fn take_stirred(&mut self) -> bool {
        core::mem::take(&mut self.stirred)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.models.is_empty()
    }
}

const THOUSANDTHS: u64 = 1_000;

/// Rounded down.
fn part_of(many: u32, thousandths: u64) -> u32 {
    u32::try_from(u64::from(many) * thousandths / THOUSANDTHS).unwrap_or(many)
}

/// Where a part is counted: the one that is counted next is the oldest.
const fn place(part: u64) -> usize {
    (part % (PARTS as u64 + 1)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_counts_for_an_hour_whatever_tenant_was_named() {
        let mut demand = Demand::default();
        let at = |minutes: u64| Time::ZERO + Span::from_secs(minutes * 60);
        demand.job(at(1), "home:gpu:qwen:7b");
        demand.job(at(9), "qwen:7b");
        demand.unserved(at(25), "qwen:7b");
        let asked = |demand: &mut Demand, minutes| demand.of_the_last_hour(at(minutes)).remove("qwen:7b");
        assert_eq!(asked(&mut demand, 59), Some(Asked { jobs: 2, unserved: 1 }));
        assert_eq!(asked(&mut demand, 70), Some(Asked { jobs: 0, unserved: 1 }));
        assert_eq!(asked(&mut demand, 91), None);
        assert!(demand.is_empty());
        demand.job(at(1_000_000), "b");
        assert_eq!(demand.of_the_last_hour(at(1_000_000)).len(), 1);
    }

    #[test]
    fn of_who_came_evenly_an_hour_s_are_counted_at_any_moment() {
        let mut demand = Demand::default();
        for second in 0..4 * 3_600 {
            let now = Time::ZERO + Span::from_secs(second);
            demand.job(now, "qwen");
            if second > 2 * 3_600 && second % 97 == 0 {
                let jobs = demand.of_the_last_hour(now)["qwen"].jobs;
                assert!((3_599..=3_601).contains(&jobs), "{jobs} after {second} s");
            }
        }
    }

    #[test]
    fn users_can_name_what_they_like_and_only_so_much_is_kept() {
        let mut demand = Demand::default();
        for n in 0..2 * MARKET_NAMES {
            demand.unserved(Time::ZERO, &n.to_string());
        }
        assert_eq!(demand.of_the_last_hour(Time::ZERO).len(), MARKET_NAMES);
    }
}
