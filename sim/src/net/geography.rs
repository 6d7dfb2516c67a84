//! Real round-trip times: hosts stand in countries, and what goes between two takes half of what pings between them took.

use std::sync::OnceLock;

use labman_proto_core::rng::Stream;
use labman_proto_core::time::Span;

/// RIPE Atlas pings; see scenarios/data/README.md.
const PINGS: &str = include_str!("../../../scenarios/data/country_rtt_ms.csv");

/// Where a host stands: an index into the table's countries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(usize);

struct Table {
    countries: Vec<String>,
    /// Least and mean one-way time, by two places.
    ways: Vec<(Span, Span)>,
}

impl Place {
    pub fn named(country: &str) -> Option<Self> {
        table().countries.iter().position(|known| known == country).map(Self)
    }

    pub fn draw(draws: &mut Stream) -> Self {
        Self(draws.below(table().countries.len() as u64) as usize)
    }

    pub fn country(self) -> &'static str {
        &table().countries[self.0]
    }

    /// The least that was seen between the two, and beyond it exponentially distributed with the mean that was seen.
    pub fn way_to(self, other: Self, draws: &mut Stream) -> Span {
        let table = table();
        let (least, mean) = table.ways[self.0 * table.countries.len() + other.0];
        least + draws.exponential(Span(mean.0.saturating_sub(least.0)))
    }
}

pub fn countries() -> impl Iterator<Item = &'static str> {
    table().countries.iter().map(String::as_str)
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| read(PINGS).expect("the project's own table"))
}

/// Lines of `country,country,samples,mean,standard deviation,least`, in milliseconds there and back; each pair once.
fn read(text: &str) -> Option<Table> {
    let pings: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let mut countries: Vec<String> = pings.iter().map(|ping| ping[0].to_owned()).collect();
    countries.sort();
    countries.dedup();
    let mut ways = vec![None; countries.len() * countries.len()];
    for ping in pings {
        let [one, other, _, mean, _, least] = ping[..] else { return None };
        let place = |name: &str| countries.iter().position(|known| known == name);
        let (one, other) = (place(one)?, place(other)?);
        let half = |rtt: &str| rtt.parse::<f64>().ok().map(|millis| Span((millis * 500_000.0) as u64));
        let way = Some((half(least)?, half(mean)?));
        ways[one * countries.len() + other] = way;
        ways[other * countries.len() + one] = way;
    }
    Some(Table { ways: ways.into_iter().collect::<Option<_>>()?, countries })
}

#[cfg(test)]
mod tests {
    use super::*;
    use labman_proto_core::rng::Seed;

    #[test]
    fn ways_between_countries_are_half_of_the_pings_seen_on_average() {
        let (here, there) = (Place::named("AE").unwrap(), Place::named("AO").unwrap());
        assert_eq!((countries().count(), here.country()), (47, "AE"));
        let mut draws = Seed::from_u64(3).stream("x");
        let mean = (0..20_000).map(|_| there.way_to(here, &mut draws).0).sum::<u64>() / 20_000;
        assert!(mean.abs_diff(134_304_500) < 1_000_000, "{mean}");
        assert!((0..1_000).all(|_| here.way_to(there, &mut draws) >= Span(90_478_000)));
    }
}
