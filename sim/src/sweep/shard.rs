//! A part of a sweep for one of several machines: `2/8` is every eighth run, from the second on. Nobody has to agree on
//! anything but the command line.

use std::fmt;
use std::num::NonZero;
use std::str::FromStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 1.
    number: u32,
    of: NonZero<u32>,
}

impl Shard {
    pub fn number(self) -> usize {
        self.number as usize
    }

    pub fn of(self) -> usize {
        self.of.get() as usize
    }

    /// Whether that run of the plan, counted from 0, is one of its own.
    pub fn has(self, index: usize) -> bool {
        index % self.of() == self.number() - 1
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers =
            text.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((number, of)) if (1..=NonZero::get(of)).contains(&number) => Ok(Self { number, of }),
            Some(_) | None => {
                Err(format!("{text:?} is no shard: write 1/8 for the first of eight, 8/8 for the last"))
            }
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_is_one_shard_s() {
        let shards: Vec<Shard> = (1..=3).map(|n| format!("{n}/3").parse().unwrap()).collect();
        for index in 0..10 {
            assert_eq!(shards.iter().filter(|shard| shard.has(index)).count(), 1);
        }
        assert!(shards[0].has(0) && shards[2].has(5));
    }

    #[test]
    fn what_is_no_shard_is_refused() {
        for bad in ["0/3", "4/3", "1/0", "1", "a/b", "-1/3"] {
            assert!(bad.parse::<Shard>().unwrap_err().contains("is no shard"), "{bad}");
        }
        assert_eq!("2/8".parse::<Shard>().unwrap().to_string(), "2/8");
    }
}
