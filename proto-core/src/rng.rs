//! Randomness comes in once, as a seed, and is split into labelled streams: one more draw in gossip does not move the
//! market.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

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
}
