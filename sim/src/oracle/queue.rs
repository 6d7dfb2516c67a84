//! Queues as the books have them: what they come to in the mean, and what each job of a given stream would have met.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use labman_proto_core::rng::Stream;
use labman_proto_core::time::Span;
use serde::{Deserialize, Serialize};

use super::Law;
use crate::scenario::values;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    pub servers: u32,
    /// Of each server, below 1.
    pub load: f64,
    /// Mean time of service.
    #[serde(with = "values::span")]
    pub service: Span,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ErlangC(pub Queue);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Choices(pub Queue);

impl Law for ErlangC {
    fn check(&self) -> Result<(), String> {
        self.0.check()
    }

    fn value(&self) -> f64 {
        self.0.erlang_c_us()
    }
}

impl Law for Choices {
    fn check(&self) -> Result<(), String> {
        self.0.check()
    }

    fn value(&self) -> f64 {
        self.0.choices_us()
    }
}

impl Queue {
    fn check(&self) -> Result<(), String> {
        match self.servers > 0 && self.servers <= 1_000_000 && self.load > 0.0 && self.load < 1.0 {
            true => Ok(()),
            false => Err("servers must be from 1 to 1000000, and load between 0 and 1".into()),
        }
    }

    fn service_us(&self) -> f64 {
        self.service.0 as f64 / 1e3
    }

    /// Erlang's B by its recursion, from that C, and from that the mean wait.
    fn erlang_c_us(&self) -> f64 {
        let (servers, offered) = (f64::from(self.servers), self.load * f64::from(self.servers));
        let blocked = (1..=self.servers).fold(1.0, |b, k| offered * b / (f64::from(k) + offered * b));
        let waits = blocked / (1.0 - self.load * (1.0 - blocked));
        self.service_us() * (1.0 + waits / (servers - offered))
    }

    /// The sum over i from 1 of load^((d^i - d) / (d - 1)).
    fn choices_us(&self) -> f64 {
        let d = f64::from(self.servers);
        let (mut sum, mut exponent) = (0.0, 0.0);
        loop {
            let term = self.load.powf(exponent);
            sum += term;
            if term < 1e-12 {
                return self.service_us() * sum;
            }
            // (d^(i+1) - d) / (d - 1) is d times that of i, and d.
            exponent = if self.servers == 1 { exponent + 1.0 } else { exponent * d + d };
        }
    }
}

/// How long each job takes, waiting and being served, where each goes to the first of `servers` that is free, in the order in
/// which they come (J. Kiefer and J. Wolfowitz, 1955). Of each: when it comes, and how long it is served.
pub fn first_come_first_served(servers: u32, jobs: impl IntoIterator<Item = (Span, Span)>) -> Vec<Span> {
    let mut free_at: BinaryHeap<Reverse<u64>> = (0..servers).map(|_| Reverse(0)).collect();
    let sojourn = |(comes, served): (Span, Span)| {
        let free = free_at.pop().map_or(u64::MAX, |Reverse(at)| at);
        let ends = comes.0.max(free).saturating_add(served.0);
        free_at.push(Reverse(ends));
        Span(ends - comes.0)
    };
    jobs.into_iter().map(sojourn).collect()
}

/// The same where each goes to the least loaded of some that are drawn, waits for it and nobody else, and each serves one at a time.
pub fn least_loaded(servers: usize, drawn: usize, jobs: &[(Span, Span)], draws: &mut Stream) -> Vec<Span> {
    let (mut loads, mut free_at) = (vec![0_u32; servers], vec![0_u64; servers]);
    let mut under_way: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    let sojourn = |(comes, served): &(Span, Span)| {
        while let Some(Reverse((ends, server))) = under_way.peek().copied()
            && ends <= comes.0
        {
            under_way.pop();
            loads[server] -= 1;
        }
        let server = some(servers, drawn, draws).into_iter().min_by_key(|server| loads[*server]).unwrap_or(0);
        let ends = comes.0.max(free_at[server]).saturating_add(served.0);
        (free_at[server], loads[server]) = (ends, loads[server] + 1);
        under_way.push(Reverse((ends, server)));
        Span(ends - comes.0)
    };
    jobs.iter().map(sojourn).collect()
}

/// Different ones, in an order by chance.
fn some(servers: usize, drawn: usize, draws: &mut Stream) -> Vec<usize> {
    let mut some: Vec<usize> = Vec::with_capacity(drawn);
    while some.len() < drawn.min(servers) {
        let server = draws.below(servers as u64) as usize;
        if !some.contains(&server) {
            some.push(server);
        }
    }
    some
}

#[cfg(test)]
mod tests {
    use super::*;
    use labman_proto_core::rng::Seed;

    fn queue(servers: u32, load: f64) -> Queue {
        Queue { servers, load, service: Span::from_millis(1_000) }
    }

    fn near(value: f64, expected: f64) {
        assert!((value / expected - 1.0).abs() < 1e-4, "{value} is not {expected}");
    }

    #[test]
    fn formulas_give_the_figures_of_the_books() {
        near(queue(10, 0.9).erlang_c_us(), 1_668_730.0);
        near(queue(100, 0.95).erlang_c_us(), 1_101_290.0);
        // M/M/1.
        near(queue(1, 0.9).erlang_c_us(), 10_000_000.0);
        near(queue(1, 0.9).choices_us(), 10_000_000.0);
        near(queue(2, 0.9).choices_us(), 2_614_000.0);
        near(queue(2, 0.99).choices_us(), 5_432_000.0);
    }

    #[test]
    fn a_queue_that_is_none_is_refused() {
        for wrong in [queue(0, 0.5), queue(1, 1.0), queue(1, 0.0), queue(1, f64::NAN)] {
            assert!(wrong.check().is_err());
        }
    }

    #[test]
    fn who_comes_while_all_serve_waits_for_the_first_that_is_free() {
        let jobs = [(0, 10), (1, 4), (2, 3), (3, 1), (30, 2)].map(|(at, took)| (Span(at), Span(took)));
        assert_eq!(first_come_first_served(2, jobs), [10, 4, 6, 6, 2].map(Span));
    }

    #[test]
    fn a_long_stream_comes_to_what_the_formula_says() {
        let mut draws = Seed::from_u64(1).stream("jobs");
        let mut at = 0;
        let job = || {
            at += draws.exponential(Span(2_000)).0;
            (Span(at), draws.exponential(Span(3_000)))
        };
        let many = 400_000;
        let took = first_come_first_served(2, std::iter::repeat_with(job).take(many));
        let mean = took.iter().map(|span| span.0 as f64).sum::<f64>() / many as f64;
        let expected = Queue { servers: 2, load: 0.75, service: Span(3_000) }.erlang_c_us() * 1e3;
        assert!((mean / expected - 1.0).abs() < 0.03, "{mean} is not {expected}");
    }

    #[test]
    fn two_choices_among_many_come_to_what_the_formula_says_and_one_to_much_more() {
        let mut draws = Seed::from_u64(1).stream("jobs");
        let mut at = 0;
        let job = || {
            at += draws.exponential(Span(2_500)).0;
            (Span(at), draws.exponential(Span(1_000_000)))
        };
        let jobs: Vec<(Span, Span)> = std::iter::repeat_with(job).take(200_000).collect();
        let mean = |drawn| {
            let took = least_loaded(500, drawn, &jobs, &mut Seed::from_u64(2).stream("draws"));
            // Without the first, who found nobody there.
            took[40_000..].iter().map(|span| span.0 as f64).sum::<f64>() / 160_000.0 / 1e3
        };
        let expected = |servers| Queue { servers, load: 0.8, service: Span(1_000_000) }.choices_us();
        for drawn in [1, 2, 3] {
            let (mean, expected) = (mean(drawn), expected(drawn as u32));
            assert!((mean / expected - 1.0).abs() < 0.05, "{drawn}: {mean} is not {expected}");
        }
    }
}
