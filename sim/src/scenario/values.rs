//! How times, money and distributions are written in a scenario: `"250ms"`, `"0.20"`, `{ uniform = ["5ms", "25ms"] }`.

use labman_proto_core::economics;
use labman_proto_core::money::Micros;
use labman_proto_core::time::Span;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::net::latency::Latency;

/// Units of time, the longer name first where one ends in another.
const UNITS: [(&str, u64); 6] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

fn parse_span(text: &str) -> Option<Span> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit.trim())?;
    number.parse::<u64>().ok()?.checked_mul(*nanos).map(Span)
}

pub(super) fn span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_span(&text).ok_or_else(|| {
        D::Error::custom(format!(
            "{text:?} is no length of time: write a whole number and ns, us, ms, s, m or h"
        ))
    })
}

pub(super) fn amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Micros, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

impl<'de> Deserialize<'de> for Latency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(transparent)]
        struct Text(#[serde(deserialize_with = "span")] Span);

        #[derive(Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Named {
            Constant(Text),
            Uniform([Text; 2]),
            Exponential(Text),
        }

        match Named::deserialize(deserializer)? {
            Named::Constant(Text(span)) => Ok(Self::Constant(span)),
            Named::Uniform([Text(least), Text(most)]) if least <= most => Ok(Self::Uniform(least, most)),
            Named::Uniform(_) => Err(D::Error::custom("uniform: the first time must be the shorter one")),
            Named::Exponential(Text(mean)) => Ok(Self::Exponential(mean)),
        }
    }
}

/// [`economics::Price`], its amounts as people write them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Price {
    #[serde(default, deserialize_with = "amount")]
    input_per_mtok: Micros,
    #[serde(default, deserialize_with = "amount")]
    cached_per_mtok: Micros,
    #[serde(default, deserialize_with = "amount")]
    output_per_mtok: Micros,
    #[serde(default, deserialize_with = "amount")]
    per_request: Micros,
}

impl Price {
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<economics::Price, D::Error> {
        let Self { input_per_mtok, cached_per_mtok, output_per_mtok, per_request } =
            Deserialize::deserialize(deserializer)?;
        Ok(economics::Price { input_per_mtok, cached_per_mtok, output_per_mtok, per_request })
    }
}

/// [`economics::Fees`], with unknown keys refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fees {
    #[serde(default)]
    fep_bps: u32,
    #[serde(default)]
    gateway_bps: u32,
}

impl Fees {
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<economics::Fees, D::Error> {
        let Self { fep_bps, gateway_bps } = Deserialize::deserialize(deserializer)?;
        Ok(economics::Fees { fep_bps, gateway_bps })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_people_write_them() {
        assert_eq!(parse_span("250ms"), Some(Span::from_millis(250)));
        assert_eq!(parse_span("10m"), Some(Span::from_secs(600)));
        for bad in ["", "5", "ms", "1.5s", "-1s", "5 parsecs", "99999999999h"] {
            assert_eq!(parse_span(bad), None, "{bad}");
        }
    }
}
