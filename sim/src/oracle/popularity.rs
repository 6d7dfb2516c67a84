//! What comes of some models being more popular than others, by a law like Zipf's: whatever is a part is in millionths.

use serde::{Deserialize, Serialize};

use super::Law;
use crate::scenario::market::{Popularity, Zipf, usual_exponent};

/// The requests that find their model in memory, of those for `models`, where there is `room` for some.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    pub models: u32,
    pub room: u32,
    #[serde(default = "usual_exponent")]
    pub exponent: f64,
}

/// The most wanted are in memory, for ever.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ZipfTop(pub Memory);

/// Whatever was asked for last is in memory: H. Che, Y. Tung and Z. Wang, 2002.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CheLru(pub Memory);

/// What a search costs that asks one provider after the other until one has the model, in millionths of what it costs where each model
/// is hosted as often: E. Cohen and S. Shenker, Replication Strategies in Unstructured Peer-to-Peer Networks, 2002.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZipfHosting {
    pub models: u32,
    #[serde(default = "usual_exponent")]
    pub exponent: f64,
    pub allocation: Allocation,
}

/// How often a model is hosted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Allocation {
    /// In proportion to its part of the requests.
    Proportional,
    /// To the root of that, which makes searches the shortest.
    SquareRoot,
}

fn law(models: u32, exponent: f64) -> Zipf {
    Zipf { count: models, exponent, shift: 0 }
}

impl Memory {
    fn law(&self) -> Zipf {
        law(self.models, self.exponent)
    }

    fn check(&self) -> Result<(), String> {
        self.law().check().map_err(|what| what.replace("count", "models"))?;
        if self.room > 0 { Ok(()) } else { Err("room must be above zero".into()) }
    }
}

impl Law for ZipfTop {
    fn check(&self) -> Result<(), String> {
        self.0.check()
    }

    fn value(&self) -> f64 {
        self.0.law().top_ppm(self.0.room) as f64
    }
}

impl Law for CheLru {
    fn check(&self) -> Result<(), String> {
        self.0.check()
    }

    /// A model stays for a time T without being asked for, the same for all, in which as many are asked for as have room.
    fn value(&self) -> f64 {
        let (parts, room) = (Popularity::of(&self.0.law()).parts(), f64::from(self.0.room));
        if room >= parts.len() as f64 {
            return 1e6;
        }
        let held = |time: f64| parts.iter().map(|part| -libm::expm1(-part * time)).sum::<f64>();
        let (mut low, mut high) = (0.0, 1.0);
        while held(high) < room {
            high *= 2.0;
        }
        for _ in 0..100 {
            let middle = f64::midpoint(low, high);
            if held(middle) < room { low = middle } else { high = middle }
        }
        parts.iter().map(|part| -part * libm::expm1(-part * low)).sum::<f64>() * 1e6
    }
}

impl Law for ZipfHosting {
    fn check(&self) -> Result<(), String> {
        law(self.models, self.exponent).check().map_err(|what| what.replace("count", "models"))
    }

    fn value(&self) -> f64 {
        let parts = Popularity::of(&law(self.models, self.exponent)).parts();
        let hosted = |part: f64| match self.allocation {
            Allocation::Proportional => part,
            Allocation::SquareRoot => part.sqrt(),
        };
        let hosted: Vec<f64> = parts.iter().map(|part| hosted(*part)).collect();
        search_ppm(&parts, &hosted)
    }
}

/// Where `hosted` says how often each model is, in any unit: the mean over requests of all that is hosted over what is of the model,
/// in millionths of that where all are hosted as often. What nobody hosts is found nowhere, and left out.
pub fn search_ppm(parts: &[f64], hosted: &[f64]) -> f64 {
    let all: f64 = hosted.iter().sum();
    let found = || parts.iter().zip(hosted).filter(|(_, of_it)| **of_it > 0.0);
    let asked: f64 = found().map(|(part, _)| part).sum();
    let cost: f64 = found().map(|(part, of_it)| part * all / of_it).sum();
    if asked == 0.0 { 0.0 } else { cost / asked / parts.len() as f64 * 1e6 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The books' figures have four digits.
    fn near(value: f64, expected: f64) {
        assert!((value - expected).abs() < 100.0, "{value} is not {expected}");
    }

    /// 1,000 models and room for 100; worked out a second time by sums in Python.
    #[test]
    fn a_cache_hits_as_often_as_the_books_say() {
        for (exponent, top, lru) in
            [(0.8, 525_800.0, 377_800.0), (1.0, 693_000.0, 576_500.0), (1.2, 831_000.0, 757_500.0)]
        {
            let memory = Memory { models: 1_000, room: 100, exponent };
            near(ZipfTop(memory.clone()).value(), top);
            near(CheLru(memory.clone()).value(), lru);
            assert_eq!(CheLru(Memory { room: 1_000, ..memory }).value(), 1e6);
        }
        assert!(ZipfTop(Memory { models: 0, room: 1, exponent: 1.0 }).check().is_err());
        assert!(CheLru(Memory { models: 1, room: 0, exponent: 1.0 }).check().is_err());
    }

    #[test]
    fn by_the_root_searches_are_shorter_and_in_proportion_they_are_as_long_as_if_all_were_alike() {
        for (exponent, root) in [(0.8, 790_600.0), (1.0, 666_200.0), (1.2, 532_600.0)] {
            let search = |allocation| ZipfHosting { models: 100, exponent, allocation }.value();
            near(search(Allocation::SquareRoot), root);
            near(search(Allocation::Proportional), 1e6);
        }
    }
}
