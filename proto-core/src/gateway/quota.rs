//! What each API key may ask of this gateway, where its front-end portal says only what the key can pay: requests and tokens a
//! minute, and requests at once. And which keys the portal did not know a moment ago: it is not asked again and again.
//!
//! Tokens are counted when they are known. So a key that has none left has had a little more, and waits for it.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::{format, string::String};

use crate::http::ResponseHead;
use crate::limits::{KEY_REFUSED_FOR, KEYS_REFUSED, KEYS_WATCHED};
use crate::node::config::KeyLimits;
use crate::openai::error::{ApiError, Retry};
use crate::rate::{Bucket, Rate};
use crate::time::{Span, Time};
use crate::wire::ids::Hash;

/// The longest that a client is told to wait by `retry-after`: some sleep as long as that says, and no deadline of theirs wakes them.
/// People are told the truth.
const PATIENCE_S: u64 = 60;

pub(super) struct Quotas {
    limits: KeyLimits,
    keys: BTreeMap<Hash, Use>,
    refused: BTreeMap<Hash, Time>,
    /// The same, in the order in which they end.
    refusals: VecDeque<(Time, Hash)>,
}

#[derive(Default)]
struct Use {
    requests: Bucket,
    tokens: Bucket,
    at_once: u32,
    /// Its portal has authorised a job of it.
    is_good: bool,
}

impl Use {
    fn is_over(&self, now: Time) -> bool {
        self.at_once == 0 && [self.requests, self.tokens].iter().all(|it| it.full_in(now) == Span::default())
    }
}

/// What was left of a key's limits when a request came in, that one counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left {
    requests: Of,
    tokens: Of,
}

#[derive(Clone, Copy, Debug)]
struct Of {
    limit: u64,
    remaining: u64,
    reset: Span,
}

impl Of {
    fn a_minute(limit: u64, bucket: &Bucket, now: Time) -> Self {
        let remaining = bucket.left(now, Rate::per_minute(limit)).min(limit);
        Self { limit, remaining, reset: bucket.full_in(now) }
    }
}

impl Left {
    /// As the SDKs know them.
    pub(super) fn on(&self, head: ResponseHead) -> ResponseHead {
        [("requests", self.requests), ("tokens", self.tokens)].into_iter().fold(head, |head, (what, of)| {
            head.with(&format!("x-ratelimit-limit-{what}"), &format!("{}", of.limit))
                .with(&format!("x-ratelimit-remaining-{what}"), &format!("{}", of.remaining))
                .with(&format!("x-ratelimit-reset-{what}"), &as_reset(of.reset))
        })
    }
}

impl Quotas {
    pub(super) fn new(limits: KeyLimits) -> Self {
        Self { limits, keys: BTreeMap::new(), refused: BTreeMap::new(), refusals: VecDeque::new() }
    }

    /// A request by that key begins, unless it has had its share. What is left is told in either case.
    pub(super) fn begins(&mut self, key: Hash, now: Time) -> (Left, Result<(), ApiError>) {
        self.make_room(now);
        let limits = self.limits;
        let used = self.keys.entry(key).or_default();
        let (by_request, by_token) =
            (Rate::per_minute(limits.requests_per_minute.into()), Rate::per_minute(limits.tokens_per_minute));
        let over = if used.at_once >= limits.at_once {
            Some((format!("{} requests at once", limits.at_once), Span::from_secs(1)))
        } else if used.requests.left(now, by_request) == 0 {
            let most = format!("{} requests a minute", limits.requests_per_minute);
            Some((most, used.requests.next_in(now, by_request)))
        } else if used.tokens.left(now, by_token) == 0 {
            Some((
                format!("{} tokens a minute", limits.tokens_per_minute),
                used.tokens.next_in(now, by_token),
            ))
        } else {
            used.requests.take(now, by_request, 1);
            used.at_once += 1;
            None
        };
        let left = Left {
            requests: Of::a_minute(limits.requests_per_minute.into(), &used.requests, now),
            tokens: Of::a_minute(limits.tokens_per_minute, &used.tokens, now),
        };
        (left, over.map_or(Ok(()), |(most, wait)| Err(too_many(&most, wait))))
    }

    /// One of its requests is over. Nothing is remembered of a key that somebody may have made up.
    pub(super) fn ended(&mut self, key: Hash) {
        if let Some(used) = self.keys.get_mut(&key) {
            used.at_once = used.at_once.saturating_sub(1);
            if used.at_once == 0 && !used.is_good {
                self.keys.remove(&key);
            }
        }
    }

    /// Its portal knows it.
    pub(super) fn is_good(&mut self, key: Hash) {
        if let Some(used) = self.keys.get_mut(&key) {
            used.is_good = true;
        }
    }

    /// It took so many tokens.
    pub(super) fn spent(&mut self, key: Hash, tokens: u64, now: Time) {
        let rate = Rate::per_minute(self.limits.tokens_per_minute);
        if let Some(used) = self.keys.get_mut(&key) {
            used.tokens.take(now, rate, usize::try_from(tokens).unwrap_or(usize::MAX));
        }
    }

    /// Its portal does not know it.
    pub(super) fn refuse(&mut self, key: Hash, now: Time) {
        if self.refusals.len() >= KEYS_REFUSED {
            self.pardon_first();
        }
        let until = now + KEY_REFUSED_FOR;
        self.refused.insert(key, until);
        self.refusals.push_back((until, key));
    }

    /// Was it refused a moment ago?
    pub(super) fn is_refused(&mut self, key: &Hash, now: Time) -> bool {
        while self.refusals.front().is_some_and(|(until, _)| *until <= now) {
            self.pardon_first();
        }
        self.refused.contains_key(key)
    }

    fn pardon_first(&mut self) {
        if let Some((until, key)) = self.refusals.pop_front()
            && self.refused.get(&key) == Some(&until)
        {
            self.refused.remove(&key);
        }
    }

    fn make_room(&mut self, now: Time) {
        if self.keys.len() < KEYS_WATCHED {
            return;
        }
        self.keys.retain(|_, used| !used.is_over(now));
        // All in use: whoever has none under way begins anew.
        if self.keys.len() >= KEYS_WATCHED {
            self.keys.retain(|_, used| used.at_once > 0);
        }
    }
}

fn too_many(most: &str, wait: Span) -> ApiError {
    let seconds = wait.as_millis().div_ceil(1_000).max(1);
    let free_in = as_reset(Span::from_secs(seconds));
    let message = format!("This API key may send {most} to this gateway. Try again in {free_in}.");
    let seconds = u32::try_from(seconds.min(PATIENCE_S)).unwrap_or(u32::MAX);
    ApiError::new(429, Some("rate_limit_exceeded"), message).with_retry(Retry::After { seconds })
}

/// As OpenAI writes it: `1h30m0s`, `6m0s`, `1s`, `12ms`.
fn as_reset(span: Span) -> String {
    let millis = span.0.div_ceil(1_000_000);
    let seconds = millis.div_ceil(1_000);
    match (seconds / 3_600, seconds / 60 % 60) {
        _ if millis < 1_000 => format!("{millis}ms"),
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{}s", seconds % 60),
        (hours, minutes) => format!("{hours}h{minutes}m{}s", seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: Hash = Hash([1; 32]);
    const BOB: Hash = Hash([2; 32]);
    const LIMITS: KeyLimits = KeyLimits { requests_per_minute: 6, tokens_per_minute: 600, at_once: 2 };

    fn begins(quotas: &mut Quotas, key: Hash, now: Time) -> bool {
        quotas.begins(key, now).1.is_ok()
    }

    #[test]
    fn a_key_has_its_requests_a_minute_and_others_have_theirs() {
        let (mut quotas, now) = (Quotas::new(LIMITS), Time(1));
        for _ in 0..6 {
            assert!(begins(&mut quotas, ANN, now));
            quotas.is_good(ANN);
            quotas.ended(ANN);
        }
        let (left, refused) = quotas.begins(ANN, now);
        let error = refused.unwrap_err();
        assert_eq!(
            (error.status, error.code, error.retry),
            (429, Some("rate_limit_exceeded"), Retry::After { seconds: 10 })
        );
        let head = left.on(ResponseHead::new(429));
        assert_eq!(head.header("x-ratelimit-limit-requests"), Some("6"));
        assert_eq!(head.header("x-ratelimit-remaining-requests"), Some("0"));
        assert_eq!(head.header("x-ratelimit-reset-requests"), Some("1m0s"));
        assert_eq!(head.header("x-ratelimit-remaining-tokens"), Some("600"));
        assert_eq!(head.header("x-ratelimit-reset-tokens"), Some("0ms"));
        assert!(begins(&mut quotas, BOB, now));
        assert!(begins(&mut quotas, ANN, now + Span::from_secs(10)));
    }

    #[test]
    fn a_key_has_so_many_at_once_until_they_end() {
        let (mut quotas, now) = (Quotas::new(LIMITS), Time(1));
        assert!(begins(&mut quotas, ANN, now) && begins(&mut quotas, ANN, now));
        assert!(!begins(&mut quotas, ANN, now));
        quotas.ended(ANN);
        assert!(begins(&mut quotas, ANN, now), "and what was refused counts for nothing");
    }

    #[test]
    fn who_took_more_tokens_than_there_were_waits_until_they_are_made_up_for() {
        let (mut quotas, now) = (Quotas::new(LIMITS), Time(1));
        assert!(begins(&mut quotas, ANN, now));
        quotas.spent(ANN, 900, now);
        assert!(!begins(&mut quotas, ANN, now + Span::from_secs(30)));
        assert!(begins(&mut quotas, ANN, now + Span::from_millis(30_100)));
    }

    #[test]
    fn who_is_deep_in_debt_is_told_how_long_it_lasts_and_no_sdk_sleeps_as_long() {
        let (mut quotas, now) = (Quotas::new(LIMITS), Time(1));
        assert!(begins(&mut quotas, ANN, now));
        // An hour's worth, and a minute's that there was.
        quotas.spent(ANN, 36_000 + 600, now);
        let (left, refused) = quotas.begins(ANN, now);
        let error = refused.unwrap_err();
        assert_eq!(error.retry, Retry::After { seconds: 60 });
        assert!(
            error.message.ends_with("600 tokens a minute to this gateway. Try again in 1h0m1s."),
            "{error:?}"
        );
        let head = left.on(ResponseHead::new(429));
        assert_eq!(head.header("x-ratelimit-remaining-tokens"), Some("0"));
        assert_eq!(head.header("x-ratelimit-reset-tokens"), Some("1h1m0s"), "when all of it is there again");
        let told = now + Span::from_secs(3_601);
        assert!(!begins(&mut quotas, ANN, now + Span::from_secs(3_599)));
        assert!(begins(&mut quotas, ANN, told));
    }

    #[test]
    fn a_key_that_was_refused_is_so_for_a_while_only() {
        let (mut quotas, now) = (Quotas::new(LIMITS), Time(1));
        quotas.refuse(ANN, now);
        assert!(quotas.is_refused(&ANN, now) && !quotas.is_refused(&BOB, now));
        assert!(!quotas.is_refused(&ANN, now + KEY_REFUSED_FOR));
        assert!(quotas.refusals.is_empty(), "nothing is kept of it");
    }

    #[test]
    fn keys_made_up_by_the_thousand_are_no_more_than_their_bounds() {
        let (mut quotas, now) = (Quotas::new(LIMITS), Time(1));
        let key = |number: u64| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            Hash(bytes)
        };
        assert!(begins(&mut quotas, BOB, now));
        for number in 0..3 * KEYS_WATCHED as u64 {
            begins(&mut quotas, key(number), now);
            quotas.refuse(key(number), now);
            quotas.ended(key(number));
        }
        assert_eq!(quotas.keys.len(), 1, "nothing is kept of a key that is none");
        for number in 0..2 * KEYS_WATCHED as u64 {
            begins(&mut quotas, key(number), now);
            quotas.is_good(key(number));
            quotas.ended(key(number));
        }
        assert!(quotas.keys.len() <= KEYS_WATCHED && quotas.refused.len() <= KEYS_REFUSED);
        assert!(quotas.refusals.len() <= KEYS_REFUSED);
        assert_eq!(quotas.keys[&BOB].at_once, 1, "who has something under way is not forgotten");
    }
}
