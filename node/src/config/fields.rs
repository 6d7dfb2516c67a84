//! Values of the config files that TOML has no type for, each read from text with an error that says how to write it.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use labman_proto_core::economics::Price;
use labman_proto_core::money::Micros;
use labman_proto_core::time::Span;
use labman_proto_core::wire::portal::PayoutTo;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

/// An amount of money, never negative, written in quotes: `"0.50"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Amount(pub(super) Micros);

/// A length of time, written in quotes: `"500ms"`, `"30s"`, `"5m"`, `"1h"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Every(pub(crate) Span);

/// A number of bytes, written in quotes: `"256 MiB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) usize);

/// An address to listen on, `ip:port`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listen(pub(super) SocketAddr);

/// Where somebody else listens, `host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostPort(pub(super) String);

/// `http://host:port`, perhaps with a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HttpUrl(pub(super) String);

/// `http://host:port/v1`: where an OpenAI-compatible runtime is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RuntimeUrl(pub(super) String);

/// Prices in currency units, tokens by the million.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { input_per_mtok = \"0.50\", output_per_mtok = \"2.00\" }"
)]
pub(super) struct PriceField {
    input_per_mtok: Amount,
    /// As `input_per_mtok` where absent.
    cached_per_mtok: Option<Amount>,
    output_per_mtok: Amount,
    /// Nothing where absent.
    per_request: Option<Amount>,
}

impl PriceField {
    pub(super) fn price(&self) -> Price {
        Price {
            input_per_mtok: self.input_per_mtok.0,
            cached_per_mtok: self.cached_per_mtok.unwrap_or(self.input_per_mtok).0,
            output_per_mtok: self.output_per_mtok.0,
            per_request: self.per_request.map_or(Micros::ZERO, |fee| fee.0),
        }
    }
}

/// Where a Portman's earnings go.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table such as { currency = \"XTS\", address = \"test:alice\" }")]
pub(super) struct PayoutField {
    currency: labman_proto_core::money::Currency,
    address: String,
}

impl PayoutField {
    pub(super) fn payout_to(&self) -> PayoutTo {
        PayoutTo { currency: self.currency.clone(), address: self.address.clone() }
    }
}

impl FromStr for Amount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let micros: Micros =
            text.parse().map_err(|bad: labman_proto_core::money::BadMoney| bad.to_string())?;
        match micros < Micros::ZERO {
            true => Err(format!("{text:?} is negative; write 0 or more")),
            false => Ok(Self(micros)),
        }
    }
}

impl FromStr for Every {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || {
            format!(
                "{text:?} is not a length of time; write a number and a unit, such as 500ms, 30s, 5m or 1h"
            )
        };
        let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let (number, unit) = text.split_at(unit_at);
        let number: u64 = number.parse().map_err(|_| bad())?;
        let span = match unit {
            "ms" => Span::from_millis(number),
            "s" => Span::from_secs(number),
            "m" => Span::from_secs(number.saturating_mul(60)),
            "h" => Span::from_secs(number.saturating_mul(3600)),
            _ => return Err(bad()),
        };
        match span.as_millis() {
            0 => Err(format!("{text:?} is no time at all; write at least 1ms")),
            _ => Ok(Self(span)),
        }
    }
}

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || {
            format!(
                "{text:?} is not a number of bytes; write a number and a unit, KiB, MiB or GiB, such as 4 MiB or 256 MiB"
            )
        };
        let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let (number, unit) = text.split_at(unit_at);
        let number: usize = number.parse().map_err(|_| bad())?;
        let unit: usize = match unit.trim_start() {
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(bad()),
        };
        number.checked_mul(unit).map(Self).ok_or_else(bad)
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            |_| format!("{text:?} is not an address to listen on; write ip:port, such as 127.0.0.1:8080");
        text.parse().map(Self).map_err(wrong)
    }
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fits = text
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0));
        let wrong = || format!("{text:?} is not an address; write host:port, such as gateway.example:7700");
        fits.then(|| Self(text.to_string())).ok_or_else(wrong)
    }
}

impl FromStr for HttpUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is not a URL that can be asked; write http://host:port, such as http://127.0.0.1:8800"
            )
        };
        plain_http(text).map(Self).ok_or_else(wrong)
    }
}

impl FromStr for RuntimeUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || match text.starts_with("https://") {
            true => format!(
                "{text:?} has TLS, which Portmans do not speak; put a local proxy before that runtime and write the \
                 proxy's URL, such as http://127.0.0.1:8000/v1"
            ),
            false => format!(
                "{text:?} is not a runtime's URL; write http://host:port and its path, such as \
                 http://127.0.0.1:11434/v1"
            ),
        };
        plain_http(text).map(Self).ok_or_else(wrong)
    }
}

/// A URL of plain HTTP with a host, without its last slashes.
fn plain_http(text: &str) -> Option<String> {
    let host = text.strip_prefix("http://")?.split('/').next()?;
    let fits = !host.is_empty() && !text.contains(char::is_whitespace);
    fits.then(|| text.trim_end_matches('/').to_string())
}

/// Reads a field from TOML text; a number where text belongs is told to put it in quotes.
struct FromText<T> {
    expecting: &'static str,
    of: std::marker::PhantomData<T>,
}

impl<T: FromStr<Err = String>> Visitor<'_> for FromText<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in quotes", self.expecting)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

macro_rules! from_text {
    ($($field:ident: $expecting:literal),* $(,)?) => {$(
        impl<'de> Deserialize<'de> for $field {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(FromText { expecting: $expecting, of: std::marker::PhantomData })
            }
        }
    )*};
}

from_text! {
    Amount: "an amount such as \"0.50\"",
    Every: "a length of time such as \"30s\"",
    Bytes: "a number of bytes such as \"256 MiB\"",
    Listen: "an address such as \"127.0.0.1:8080\"",
    HostPort: "an address such as \"gateway.example:7700\"",
    HttpUrl: "a URL such as \"http://127.0.0.1:8800\"",
    RuntimeUrl: "a URL such as \"http://127.0.0.1:11434/v1\"",
}
