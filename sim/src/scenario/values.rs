//! How times, money and distributions are written in a scenario: `"250ms"`, `"0.20"`, `{ uniform = ["5ms", "25ms"] }`.

use labman_proto_core::economics::{self, Rate};
use labman_proto_core::money::Micros;
use labman_proto_core::time::Span;
use labman_proto_core::toy::config;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::net::latency::Latency;

/// Units of time, the longer name first where one ends in another.
pub(crate) const UNITS: [(&str, u64); 6] = [
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

pub(crate) fn write_span(span: Span) -> String {
    let fits = UNITS
        .iter()
        .filter(|(_, nanos)| span.0.is_multiple_of(*nanos) && (span.0 > 0 || *nanos == UNITS[3].1));
    let (name, nanos) = fits.max_by_key(|(_, nanos)| *nanos).unwrap_or(&UNITS[0]);
    format!("{}{name}", span.0 / nanos)
}

/// For `#[serde(with)]`.
pub(crate) mod span {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(span: &Span, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&write_span(*span))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        let text = text(deserializer, "is no length of time: write a text such as \"5s\"")?;
        parse_span(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "{text:?} is no length of time: write a whole number and ns, us, ms, s, m or h"
            ))
        })
    }
}

/// For `#[serde(with)]` where the key may be left out.
pub(crate) mod maybe_span {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(span: &Option<Span>, serializer: S) -> Result<S::Ok, S::Error> {
        span.map(write_span).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Span>, D::Error> {
        super::span::deserialize(deserializer).map(Some)
    }
}

/// For `#[serde(with)]`.
pub(crate) mod amount {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(amount: &Micros, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(amount)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Micros, D::Error> {
        text(deserializer, "is no amount: money is a text such as \"0.20\"")?
            .parse()
            .map_err(D::Error::custom)
    }
}

/// Numbers are refused with a remedy.
fn text<'de, D: Deserializer<'de>>(deserializer: D, instead: &str) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Text(String),
        Whole(i64),
        Decimal(f64),
        Other(serde::de::IgnoredAny),
    }
    match Written::deserialize(deserializer)? {
        Written::Text(text) => Ok(text),
        Written::Whole(number) => Err(D::Error::custom(format!("{number} {instead}"))),
        Written::Decimal(number) => Err(D::Error::custom(format!("{number} {instead}"))),
        Written::Other(_) => Err(D::Error::custom(format!("this {instead}"))),
    }
}

pub(crate) mod rate {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(rate: &Rate, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(rate)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Rate, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Text(#[serde(with = "span")] Span);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Named {
    Constant(Text),
    Uniform([Text; 2]),
    Exponential(Text),
}

impl<'de> Deserialize<'de> for Latency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Named::deserialize(deserializer)? {
            Named::Constant(Text(span)) => Ok(Self::Constant(span)),
            Named::Uniform([Text(least), Text(most)]) if least <= most => Ok(Self::Uniform(least, most)),
            Named::Uniform(_) => Err(D::Error::custom("uniform: the first time must be the shorter one")),
            Named::Exponential(Text(mean)) => Ok(Self::Exponential(mean)),
        }
    }
}

impl Serialize for Latency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let named = match *self {
            Self::Constant(span) => Named::Constant(Text(span)),
            Self::Uniform(least, most) => Named::Uniform([Text(least), Text(most)]),
            Self::Exponential(mean) => Named::Exponential(Text(mean)),
        };
        named.serialize(serializer)
    }
}

/// [`config::Thinks`], its times as people write them.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Thinks {
    Constant(Text),
    Exponential(Text),
}

impl Thinks {
    pub(super) fn serialize<S: Serializer>(
        thinks: &config::Thinks,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let named = match *thinks {
            config::Thinks::Constant(span) => Self::Constant(Text(span)),
            config::Thinks::Exponential(mean) => Self::Exponential(Text(mean)),
        };
        named.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<config::Thinks, D::Error> {
        Ok(match Deserialize::deserialize(deserializer)? {
            Self::Constant(Text(span)) => config::Thinks::Constant(span),
            Self::Exponential(Text(mean)) => config::Thinks::Exponential(mean),
        })
    }
}

/// [`economics::Price`], its amounts as people write them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Price {
    #[serde(default, with = "amount")]
    input_per_mtok: Micros,
    #[serde(default, with = "amount")]
    cached_per_mtok: Micros,
    #[serde(default, with = "amount")]
    output_per_mtok: Micros,
    #[serde(default, with = "amount")]
    per_request: Micros,
}

impl Price {
    pub(super) fn serialize<S: Serializer>(
        price: &economics::Price,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let economics::Price { input_per_mtok, cached_per_mtok, output_per_mtok, per_request } = *price;
        Self { input_per_mtok, cached_per_mtok, output_per_mtok, per_request }.serialize(serializer)
    }

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
    pub(super) fn serialize<S: Serializer>(fees: &economics::Fees, serializer: S) -> Result<S::Ok, S::Error> {
        fees.serialize(serializer)
    }

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
    fn times_are_written_as_they_are_read() {
        for text in ["250ms", "10m", "1500us", "90s", "2h", "7ns", "0s"] {
            assert_eq!(parse_span(text).map(write_span).as_deref(), Some(text));
        }
    }

    #[test]
    fn times_read_as_people_write_them() {
        assert_eq!(parse_span("250ms"), Some(Span::from_millis(250)));
        assert_eq!(parse_span("10m"), Some(Span::from_secs(600)));
        for bad in ["", "5", "ms", "1.5s", "-1s", "5 parsecs", "99999999999h"] {
            assert_eq!(parse_span(bad), None, "{bad}");
        }
    }
}
