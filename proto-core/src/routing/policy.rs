//! Policies: how a gateway weighs price against time, and how it chooses among providers that are about as good.
//!
//! Adding one is a line in [`Policy::named`]; every number of it can be set apart.

use alloc::format;
use alloc::string::{String, ToString};

use serde::{Deserialize, Serialize};

/// Names that [`Policy::named`] knows, for messages.
const POLICIES: &str =
    "balanced, cheapest, fastest, sticky, proportional, ucb, two-choices, least-loaded or random";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Settings", into = "Settings")]
pub struct Policy {
    pub name: String,
    /// What it weighs that a provider costs twice as much as the cheapest, or takes twice as long as the quickest; in
    /// thousandths.
    pub price: u32,
    pub time: u32,
    /// Who is worse than the best by no more than this, in thousandths of the best's score, is as good: load decides.
    pub band: u32,
    /// Of these so many are drawn, and the least loaded is taken; 0: the least loaded of all. Gateways that are alike and hear
    /// late of each other's choices would otherwise all run to the same one.
    pub choices: u32,
    /// Where a provider has few slots free, and others have just used it, too, the gateways take turns: all would otherwise run to the cheapest
    /// slot that has just become free.
    pub turns: bool,
    /// Who has a free slot goes before who has none.
    pub free_first: bool,
    /// A conversation stays with one provider, whose cache knows it, unless that is more loaded than the one drawn by this, in
    /// thousandths of its slots. `None`: conversations don't count.
    pub sticky: Option<u32>,
    /// Of a thousand requests so many would go first to a provider that has not proved itself here, were all like that: of n
    /// that have and k that have not, k/(n + k) of them. They get no others while one that has proved itself has a slot. 0: all
    /// are alike.
    pub explore: u32,
    /// One of all that have a slot is drawn, each in proportion to what it charges to the power of minus this, up to
    /// [`MOST_EXPONENT`](Self::MOST_EXPONENT). 0: nobody is drawn by price.
    pub exponent: u32,
    /// Each is taken for as reliable as it may be, by how little it was tried: how wide that bound is, in thousandths of UCB1's. 0: what is
    /// known counts.
    pub confidence: u32,
}

impl Policy {
    /// Beyond it nearly all go to the cheapest.
    pub const MOST_EXPONENT: u32 = 8;
    /// Beyond it everybody is asked in turn.
    pub const MOST_CONFIDENCE: u32 = 10_000;

    /// A policy with its usual numbers.
    pub fn named(name: &str) -> Option<Self> {
        let balanced = Self {
            name: name.to_string(),
            price: 1_000,
            time: 1_000,
            band: 100,
            choices: 2,
            turns: true,
            free_first: true,
            sticky: Some(250),
            explore: 100,
            exponent: 0,
            confidence: 0,
        };
        // As in the books: nothing is known of providers but how many jobs they have.
        let by_load = Self {
            price: 0,
            time: 0,
            turns: false,
            free_first: false,
            sticky: None,
            explore: 0,
            ..balanced.clone()
        };
        Some(match name {
            "balanced" => balanced,
            "cheapest" => Self { time: 0, band: 0, turns: false, ..balanced },
            "fastest" => Self { price: 0, ..balanced },
            "sticky" => Self { sticky: Some(1_000), turns: false, ..balanced },
            "proportional" => {
                Self { time: 0, turns: false, sticky: None, explore: 0, exponent: 2, ..balanced }
            }
            "ucb" => Self { turns: false, sticky: None, explore: 0, confidence: 1_000, ..balanced },
            "two-choices" => by_load,
            "least-loaded" => Self { choices: 0, ..by_load },
            "random" => Self { choices: 1, ..by_load },
            _ => return None,
        })
    }
}

/// A policy as it is written: a name, and what is to be other than usual.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table such as { policy = \"cheapest\", band = 50 }")]
struct Settings {
    policy: String,
    price: Option<u32>,
    time: Option<u32>,
    band: Option<u32>,
    choices: Option<u32>,
    turns: Option<bool>,
    free_first: Option<bool>,
    /// -1: conversations don't count.
    sticky: Option<i64>,
    explore: Option<u32>,
    exponent: Option<u32>,
    confidence: Option<u32>,
}

impl TryFrom<Settings> for Policy {
    type Error = String;

    fn try_from(said: Settings) -> Result<Self, String> {
        let unknown = || format!("there is no policy {:?}: write {POLICIES}", said.policy);
        let usual = Self::named(&said.policy).ok_or_else(unknown)?;
        if usual.exponent == 0 && said.exponent.is_some_and(|exponent| exponent > 0) {
            return Err(format!(
                "exponent: {:?} does not draw by price, only proportional does",
                said.policy
            ));
        }
        if usual.confidence == 0 && said.confidence.is_some_and(|confidence| confidence > 0) {
            return Err(format!("confidence: {:?} goes by what it knows, only ucb does not", said.policy));
        }
        let sticky = match said.sticky {
            None => usual.sticky,
            Some(-1) => None,
            Some(most) => Some(u32::try_from(most).map_err(|_| "sticky: -1, or thousandths of the slots")?),
        };
        Ok(Self {
            price: said.price.unwrap_or(usual.price),
            time: said.time.unwrap_or(usual.time),
            band: said.band.unwrap_or(usual.band),
            choices: said.choices.unwrap_or(usual.choices),
            turns: said.turns.unwrap_or(usual.turns),
            free_first: said.free_first.unwrap_or(usual.free_first),
            sticky,
            explore: said.explore.unwrap_or(usual.explore).min(1_000),
            exponent: said.exponent.unwrap_or(usual.exponent).min(Self::MOST_EXPONENT),
            confidence: said.confidence.unwrap_or(usual.confidence).min(Self::MOST_CONFIDENCE),
            name: usual.name,
        })
    }
}

impl From<Policy> for Settings {
    fn from(policy: Policy) -> Self {
        Self {
            policy: policy.name,
            price: Some(policy.price),
            time: Some(policy.time),
            band: Some(policy.band),
            choices: Some(policy.choices),
            turns: Some(policy.turns),
            free_first: Some(policy.free_first),
            sticky: Some(policy.sticky.map_or(-1, i64::from)),
            explore: Some(policy.explore),
            exponent: Some(policy.exponent),
            confidence: Some(policy.confidence),
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::named("balanced").unwrap_or_else(|| unreachable!("it is in the list"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_policy_has_no_use_for_is_refused_and_each_reads_what_it_wrote() {
        let read = |text: &str| serde_json::from_str::<Policy>(text);
        let wrong = read(r#"{ "policy": "cheapest", "exponent": 2 }"#).unwrap_err().to_string();
        assert!(wrong.contains("exponent: \"cheapest\" does not draw by price"), "{wrong}");
        let wrong = read(r#"{ "policy": "balanced", "confidence": 500 }"#).unwrap_err().to_string();
        assert!(wrong.contains("confidence: \"balanced\" goes by what it knows"), "{wrong}");
        for name in [
            "balanced",
            "cheapest",
            "fastest",
            "sticky",
            "proportional",
            "ucb",
            "two-choices",
            "least-loaded",
            "random",
        ] {
            let policy = Policy::named(name).unwrap();
            assert_eq!(read(&serde_json::to_string(&policy).unwrap()).unwrap(), policy);
        }
    }
}
