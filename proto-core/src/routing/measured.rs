//! What this gateway has seen of providers itself: how long until the first token, how long from one to the next, and how
//! often they served at all.
//!
//! Running means: of the first few samples the plain mean, then each new one counts an eighth. Nobody else's word is in them.

use alloc::collections::BTreeMap;

use super::along::Along;
use crate::identity::NodeId;
use crate::limits::{MEASURED, MEASURED_FOR, PROBATION, WARM_UP};
use crate::names::SlugKey;
use crate::time::{Span, Time};

/// Samples before which a mean is plain.
const PLAIN: u32 = 8;
/// Everybody is thought to serve until seen otherwise.
const SURE: u32 = 1_000;

#[derive(Default)]
pub(crate) struct Measured {
    /// It is walked for each request.
    of: BTreeMap<(NodeId, SlugKey), Figures>,
    answers: u32,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    /// From the request to the first chunk, in microseconds.
    first_us: Mean,
    /// From one output token to the next, in microseconds.
    token_us: Mean,
    /// Attempts that served, of a thousand.
    served: Mean,
    /// How many did.
    answers: u32,
    last: Time,
}

#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    value: u64,
    samples: u32,
}

impl Mean {
    fn add(&mut self, sample: u64) {
        self.samples = self.samples.saturating_add(1);
        let weight = u64::from(self.samples.min(PLAIN));
        self.value = match sample >= self.value {
            true => self.value + (sample - self.value) / weight,
            false => self.value - (self.value - sample) / weight,
        };
    }

    fn known(&self) -> Option<u64> {
        (self.samples > 0).then_some(self.value)
    }
}

impl Figures {
    pub(crate) fn first_us(&self) -> Option<u64> {
        self.first_us.known()
    }

    pub(crate) fn token_us(&self) -> Option<u64> {
        self.token_us.known()
    }

    /// What counts of what was seen.
    fn fresh(known: Option<&Self>, now: Time) -> Self {
        known.filter(|figures| figures.is_fresh(now)).copied().unwrap_or_default()
    }

    /// A bad hour is not held against anybody for ever.
    fn is_fresh(&self, now: Time) -> bool {
        now - self.last < MEASURED_FOR
    }

    /// Attempts, and those of them that served.
    pub(crate) fn attempts(&self) -> (u32, u32) {
        (self.served.samples, self.answers)
    }

    /// Attempts that served, of a thousand.
    pub(crate) fn reliability(&self) -> u32 {
        self.served.known().map_or(SURE, |value| u32::try_from(value).unwrap_or(SURE))
    }
}

impl Measured {
    pub(crate) fn of(&self, provider: NodeId, slug: &str, now: Time) -> Figures {
        Figures::fresh(self.of.get(&(provider, SlugKey::of(slug))), now)
    }

    /// The same, of one after the other.
    pub(crate) fn along(&self, now: Time) -> impl FnMut(&NodeId, SlugKey) -> Figures {
        let mut along = Along::new(&self.of);
        move |provider, slug| Figures::fresh(along.at(&(*provider, slug)), now)
    }

    /// It has not proved itself here, where others had the time to.
    pub(crate) fn is_newcomer(&self, figures: &Figures) -> bool {
        self.answers >= WARM_UP && figures.first_us.samples < PROBATION
    }

    /// Its first chunk came.
    pub(crate) fn began(&mut self, provider: NodeId, slug: &str, now: Time, after: Span) {
        self.answers = self.answers.saturating_add(1);
        let figures = self.entry(provider, slug, now);
        figures.first_us.add(micros(after));
    }

    /// Its answer is whole: so many output tokens, the last so long after the first.
    pub(crate) fn ended(&mut self, provider: NodeId, slug: &str, now: Time, tokens: u32, took: Span) {
        let figures = self.entry(provider, slug, now);
        figures.served.add(u64::from(SURE));
        figures.answers = figures.answers.saturating_add(1);
        if let Some(gaps @ 1..) = tokens.checked_sub(1) {
            figures.token_us.add(micros(took) / u64::from(gaps));
        }
    }

    /// It did not serve, though nothing was wrong with the request.
    pub(crate) fn failed(&mut self, provider: NodeId, slug: &str, now: Time) {
        self.entry(provider, slug, now).served.add(0);
    }

    fn entry(&mut self, provider: NodeId, slug: &str, now: Time) -> &mut Figures {
        let key = (provider, SlugKey::of(slug));
        if self.of.len() >= MEASURED && !self.of.contains_key(&key) {
            self.forget_the_oldest();
        }
        let figures = self.of.entry(key).or_default();
        if !figures.is_fresh(now) {
            *figures = Figures::default();
        }
        figures.last = now;
        figures
    }

    fn forget_the_oldest(&mut self) {
        let oldest = self.of.iter().min_by_key(|(_, figures)| figures.last).map(|(key, _)| *key);
        oldest.map(|key| self.of.remove(&key));
    }
}

fn micros(span: Span) -> u64 {
    span.0 / 1_000
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn a_mean_is_plain_at_first_and_then_follows_the_last() {
        let mut mean = Mean::default();
        assert_eq!(mean.known(), None);
        [100, 300].into_iter().for_each(|sample| mean.add(sample));
        assert_eq!(mean.known(), Some(200));
        (0..100).for_each(|_| mean.add(1_000));
        assert!((990..=1_000).contains(&mean.value));
        (0..100).for_each(|_| mean.add(0));
        assert!(mean.value < 10);
    }

    #[test]
    fn who_was_seen_longest_ago_is_forgotten_first() {
        let mut measured = Measured::default();
        for number in 0..=MEASURED as u64 {
            measured.began(NodeId([1; 32]), &number.to_string(), Time(number), Span::from_millis(5));
        }
        assert_eq!(measured.of.len(), MEASURED);
        let of = |slug: &str, now| measured.of(NodeId([1; 32]), slug, now).first_us();
        assert_eq!((of("0", Time(9)), of("1", Time(9))), (None, Some(5_000)));
        assert_eq!(of("1", Time(1) + MEASURED_FOR), None, "what was seen long ago");
    }
}
