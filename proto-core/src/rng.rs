//! Randomness comes in once, as a seed, and is split into labelled streams: one more draw in gossip does not move the
//! market.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use crate::time::Span;

/// 32 bytes from which every random choice of one machine follows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub [u8; 32]);

impl Seed {
    /// A seed from a number, for scenarios and tests.
    pub fn from_u64(number: u64) -> Self {
        Self(blake3::derive_key("labman seed 1 number", &number.to_be_bytes()))
    }

    /// An independent seed for something named under this one, such as one of a scenario's machines.
    pub fn child(&self, label: &str) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(b"child\0");
        hasher.update(label.as_bytes());
        Self(*hasher.finalize().as_bytes())
    }

    /// The stream of one concern. The same label always gives the same stream.
    pub fn stream(&self, label: &str) -> Stream {
        Stream(ChaCha8Rng::from_seed(self.child(label).0))
    }
}

/// One labelled stream of random numbers.
#[derive(Clone)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in `0..bound`, by multiplication: the bias is below `bound / 2^64`. 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// Exponentially distributed with that mean, by von Neumann's comparison method ("Various techniques used in connection
    /// with random digits", 1951): draw numbers while they fall; a run of odd length gives its first number as the fraction,
    /// one of even length adds a whole mean and starts again. No logarithm, hence no float: every platform draws the same.
    pub fn exponential(&mut self, mean: Span) -> Span {
        let mut whole: u64 = 0;
        loop {
            let first = self.next_u64();
            let (mut last, mut length) = (first, 1);
            loop {
                let next = self.next_u64();
                if next >= last {
                    break;
                }
                (last, length) = (next, length + 1);
            }
            if length % 2 == 1 {
                let fraction = ((u128::from(mean.0) * u128::from(first)) >> 64) as u64;
                return Span(mean.0.saturating_mul(whole).saturating_add(fraction));
            }
            whole += 1;
        }
    }

    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        self.0.fill_bytes(&mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_concern_does_not_move_another() {
        let seed = Seed::from_u64(7);
        let mut market = seed.stream("market");
        let mut gossip = seed.stream("gossip");
        let expected = seed.stream("market").next_u64();
        gossip.next_u64();
        assert_eq!(market.next_u64(), expected);
        assert_ne!(gossip.next_u64(), market.next_u64());
    }

    #[test]
    fn a_draw_stays_below_its_bound() {
        let mut stream = Seed::from_u64(1).stream("x");
        assert!((0..1_000).all(|_| stream.below(3) < 3));
        assert_eq!(stream.below(0), 0);
    }

    #[test]
    fn an_exponential_draw_has_its_mean_and_its_tail() {
        let (draws, mean) = (100_000, 1_000_000);
        let mut stream = Seed::from_u64(5).stream("exponential");
        let drawn: alloc::vec::Vec<u64> = (0..draws).map(|_| stream.exponential(Span(mean)).0).collect();
        let average = drawn.iter().sum::<u64>() / draws;
        assert!(average.abs_diff(mean) < mean / 50, "{average}");
        // P(X > 2 means) = e^-2 = 0.1353.
        let beyond = drawn.iter().filter(|span| **span > 2 * mean).count() as u64;
        assert!(beyond.abs_diff(13_534) < 500, "{beyond}");
    }
}
