//! How long something takes: a named distribution, drawn from with integers only, so that every platform draws the same.

use labman_proto_core::rng::Stream;
use labman_proto_core::time::Span;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latency {
    Constant(Span),
    /// Anywhere from the first to the second.
    Uniform(Span, Span),
    /// With this mean.
    Exponential(Span),
}

impl Latency {
    pub fn draw(&self, from: &mut Stream) -> Span {
        match *self {
            Self::Constant(span) => span,
            Self::Uniform(least, most) => {
                let width = most.0.saturating_sub(least.0).saturating_add(1);
                Span(least.0.saturating_add(from.below(width)))
            }
            Self::Exponential(mean) => exponential(mean, from),
        }
    }
}

/// Exponentially distributed with that mean, by von Neumann's comparison method ("Various techniques used in connection
/// with random digits", 1951): draw numbers while they fall; a run of odd length gives its first number as the fraction,
/// one of even length adds a whole mean and starts again. No logarithm, hence no float.
pub fn exponential(mean: Span, from: &mut Stream) -> Span {
    let mut whole: u64 = 0;
    loop {
        let first = from.next_u64();
        let (mut last, mut length) = (first, 1);
        loop {
            let next = from.next_u64();
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

#[cfg(test)]
mod tests {
    use super::*;
    use labman_proto_core::rng::Seed;

    const DRAWS: u64 = 100_000;

    fn draws(latency: Latency) -> Vec<u64> {
        let mut stream = Seed::from_u64(5).stream("latency");
        (0..DRAWS).map(|_| latency.draw(&mut stream).0).collect()
    }

    #[test]
    fn a_uniform_latency_reaches_both_its_ends_and_nothing_beyond() {
        let drawn = draws(Latency::Uniform(Span(10), Span(13)));
        assert_eq!((drawn.iter().min(), drawn.iter().max()), (Some(&10), Some(&13)));
    }

    #[test]
    fn an_exponential_latency_has_its_mean_and_its_tail() {
        let mean = 1_000_000;
        let drawn = draws(Latency::Exponential(Span(mean)));
        let average = drawn.iter().sum::<u64>() / DRAWS;
        assert!(average.abs_diff(mean) < mean / 50, "{average}");
        // P(X > 2 means) = e^-2 = 0.1353.
        let beyond = drawn.iter().filter(|span| **span > 2 * mean).count() as u64;
        assert!(beyond.abs_diff(13_534) < 500, "{beyond}");
    }
}
