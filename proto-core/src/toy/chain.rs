//! The generator: each word follows from the two before it, or from the one, as in the text.
//!
//! All arithmetic is in integers, so the same request gives the same words on every machine.

use alloc::{collections::BTreeMap, vec::Vec};

use super::text::TEXT;
use crate::limits::{TOY_LONGEST, TOY_SHORTEST};
use crate::rng::Stream;

/// One in so many words follows from the one before it alone, at a temperature of 1; half as often at 0.5.
const WANDER_ONE_IN: u64 = 4;
const PUNCTUATION: [char; 5] = ['.', ',', ';', '?', '!'];

/// The text as words and punctuation. To read it takes as long as to speak for a while: one that speaks often keeps it.
pub struct Chain {
    tokens: Vec<&'static str>,
    /// Those that begin a sentence.
    firsts: Vec<&'static str>,
    /// Where each stands first, and from each place where the same stands next.
    places: BTreeMap<&'static str, usize>,
    again: Vec<Option<usize>>,
}

/// How to speak.
pub(super) struct Manner {
    /// Picks the first word, and how much there is to say.
    pub topic: Stream,
    /// In tokens.
    pub at_least: usize,
    pub at_most: usize,
    /// Nobody listens to more than this; what comes after may be left out.
    pub heard: usize,
    /// In thousandths, up to 2000. At 0 the likeliest word always follows.
    pub temperature: u64,
    pub choices: Stream,
}

impl Chain {
    pub fn of_the_text() -> Self {
        let mut tokens: Vec<&'static str> = Vec::new();
        for word in TEXT.split_whitespace() {
            let bare = word.trim_end_matches(PUNCTUATION);
            let (bare, mark) = word.split_at(bare.len());
            tokens.extend([bare, mark].into_iter().filter(|token| !token.is_empty()));
        }
        let after_a_sentence = tokens.windows(2).filter_map(|pair| match pair {
            [end, first] if ends_sentence(end) => Some(*first),
            _ => None,
        });
        let firsts = tokens.first().copied().into_iter().chain(after_a_sentence).collect();
        let mut places = BTreeMap::new();
        let mut again: Vec<Option<usize>> =
            tokens.iter().enumerate().rev().map(|(at, token)| places.insert(*token, at)).collect();
        again.reverse();
        Self { tokens, firsts, places, again }
    }

    /// Whole sentences, some [`TOY_SHORTEST`] to [`TOY_LONGEST`] tokens in all, or more where more is asked for.
    pub(super) fn speak(&self, mut manner: Manner) -> Vec<&'static str> {
        let enough = TOY_SHORTEST + manner.topic.below((TOY_LONGEST - TOY_SHORTEST) as u64) as usize;
        let enough = enough.max(manner.at_least);
        let mut said: Vec<&'static str> = Vec::new();
        said.extend(self.first_word(&mut manner.topic));
        while let Some(last) = said.last().copied() {
            if said.len() > manner.heard || (ends_sentence(last) && said.len() >= enough) {
                break;
            }
            if said.len() >= manner.at_most - 1 {
                said.pop_if(|last| is_mark(last));
                said.push(".");
                break;
            }
            said.extend(self.after(&said, &mut manner));
        }
        said
    }

    fn first_word(&self, topic: &mut Stream) -> Option<&'static str> {
        self.firsts.get(topic.below(self.firsts.len() as u64) as usize).copied()
    }

    /// The next word; after the text's very last, the very first.
    fn after(&self, said: &[&'static str], manner: &mut Manner) -> Option<&'static str> {
        let wanders = manner.choices.below(1000 * WANDER_ONE_IN) < manner.temperature;
        let contexts = if wanders { [1, 2] } else { [2, 1] };
        let followers = contexts.iter().find_map(|words| {
            let context = said.get(said.len().checked_sub(*words)?..)?;
            Some(self.followers(context)).filter(|followers| !followers.is_empty())
        });
        match followers {
            Some(followers) => pick(&followers, manner),
            None => self.tokens.first().copied(),
        }
    }

    /// What follows these words in the text, and how often, in the order of the text.
    fn followers(&self, context: &[&str]) -> Vec<(&'static str, u64)> {
        let mut followers: Vec<(&'static str, u64)> = Vec::new();
        let first = context.last().and_then(|last| self.places.get(last)).copied();
        let places = core::iter::successors(first, |at| self.again.get(*at).copied().flatten());
        for end in places.map(|at| at + 1) {
            let before = end.checked_sub(context.len()).and_then(|begin| self.tokens.get(begin..end));
            let (Some(next), true) = (self.tokens.get(end), before == Some(context)) else { continue };
            match followers.iter_mut().find(|(word, _)| word == next) {
                Some((_, times)) => *times += 1,
                None => followers.push((*next, 1)),
            }
        }
        followers
    }
}

/// Draws one of the followers. The likeliest (of equals the first) keeps its weight; temperature scales the others'.
fn pick(followers: &[(&'static str, u64)], manner: &mut Manner) -> Option<&'static str> {
    let most = followers.iter().map(|(_, times)| *times).max()?;
    let likeliest = followers.iter().position(|(_, times)| *times == most)?;
    let weight = |at: usize, times: u64| times * if at == likeliest { 1000 } else { manner.temperature };
    let weights: Vec<u64> = followers.iter().enumerate().map(|(at, (_, times))| weight(at, *times)).collect();
    let mut drawn = manner.choices.below(weights.iter().sum());
    for ((word, _), weight) in followers.iter().zip(weights) {
        match drawn.checked_sub(weight) {
            Some(rest) => drawn = rest,
            None => return Some(word),
        }
    }
    None
}

pub(super) fn is_mark(token: &str) -> bool {
    token.starts_with(PUNCTUATION)
}

fn ends_sentence(token: &str) -> bool {
    matches!(token, "." | "?" | "!")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Seed;
    use proptest::prelude::*;

    fn speak(topic: u64, temperature: u64, seed: u64) -> Vec<&'static str> {
        let (topic, choices) = (Seed::from_u64(topic).stream("topic"), Seed::from_u64(seed).stream("words"));
        let (at_least, at_most, heard) = (0, TOY_LONGEST, usize::MAX);
        Chain::of_the_text().speak(Manner { topic, at_least, at_most, heard, temperature, choices })
    }

    #[test]
    fn at_temperature_zero_the_seed_changes_nothing() {
        assert_eq!(speak(3, 0, 1), speak(3, 0, 2));
        assert_ne!(speak(3, 1000, 1), speak(3, 1000, 2));
        assert_ne!(speak(3, 0, 1), speak(4, 0, 1));
    }

    #[test]
    fn what_is_heard_does_not_depend_on_how_long_one_listens() {
        let listened = |heard| {
            let (topic, choices) = (Seed::from_u64(7).stream("topic"), Seed::from_u64(9).stream("words"));
            let (at_least, at_most, temperature) = (40, 60, 1_000);
            Chain::of_the_text().speak(Manner { topic, at_least, at_most, heard, temperature, choices })
        };
        let whole = listened(usize::MAX);
        for heard in 0..whole.len() {
            assert_eq!(listened(heard)[..heard], whole[..heard]);
            assert!(listened(heard).len() > heard, "it is known that there was more");
        }
    }

    #[test]
    fn heat_makes_it_leave_the_text() {
        let copied = |temperature| {
            let quotes = |seed| {
                let said = speak(0, temperature, seed);
                Chain::of_the_text().tokens.windows(12).any(|window| said.windows(12).any(|w| w == window))
            };
            (0..50).filter(|seed| quotes(*seed)).count()
        };
        assert!(copied(2000) < copied(200), "a hot toy quotes less");
    }

    proptest! {
        #[test]
        fn it_speaks_whole_sentences_of_bounded_length(
            topic in any::<u64>(), temperature in 0u64..=2000, seed in any::<u64>(),
        ) {
            let said = speak(topic, temperature, seed);
            prop_assert!((TOY_SHORTEST..=TOY_LONGEST).contains(&said.len()), "{}", said.len());
            prop_assert!(said.last().is_some_and(|token| ends_sentence(token)));
            prop_assert!(said.first().is_some_and(|token| token.starts_with(char::is_uppercase)));
        }
    }
}
