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
            Self::Exponential(mean) => from.exponential(mean),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use labman_proto_core::rng::Seed;

    #[test]
    fn a_uniform_latency_reaches_both_its_ends_and_nothing_beyond() {
        let latency = Latency::Uniform(Span(10), Span(13));
        let mut stream = Seed::from_u64(5).stream("latency");
        let drawn: Vec<u64> = (0..100_000).map(|_| latency.draw(&mut stream).0).collect();
        assert_eq!((drawn.iter().min(), drawn.iter().max()), (Some(&10), Some(&13)));
    }
}
