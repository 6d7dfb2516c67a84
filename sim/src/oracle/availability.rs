//! How often somebody is there, of several who come and go.

use labman_proto_core::time::Span;
use serde::{Deserialize, Serialize};

use super::Law;
use crate::scenario::values;

/// How often, in millionths, one of `replicas` is there, each up and down for times of these means, by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Availability {
    #[serde(with = "values::span")]
    pub up: Span,
    #[serde(with = "values::span")]
    pub down: Span,
    pub replicas: u32,
}

impl Law for Availability {
    fn check(&self) -> Result<(), String> {
        match self.up.0 > 0 && self.down.0 > 0 && self.replicas > 0 {
            true => Ok(()),
            false => Err("up, down and replicas must be above zero".into()),
        }
    }

    fn value(&self) -> f64 {
        let (up, down) = (self.up.0 as f64, self.down.0 as f64);
        1e6 * (1.0 - (down / (up + down)).powf(self.replicas.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_there_are_the_less_often_all_are_gone() {
        let of = |replicas| {
            let law = Availability { up: Span::from_secs(600), down: Span::from_secs(300), replicas };
            (law.value() / 1e2).round() / 1e4
        };
        assert_eq!([of(1), of(2), of(3)], [0.6667, 0.8889, 0.963]);
        let never = Availability { up: Span(0), down: Span(1), replicas: 1 };
        assert!(never.check().is_err());
    }
}
