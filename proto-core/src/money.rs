//! Money is a whole number of micro-units with its currency beside it. No float anywhere.

use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// Millionths of a currency unit. Arithmetic is checked: there is no `+`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Micros(pub i64);

impl Micros {
    pub const ZERO: Self = Self(0);

    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Some(Self(rest)),
            None => None,
        }
    }
}

impl fmt::Display for Micros {
    /// Six decimals, as in `12.500000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let whole = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:06}", whole / 1_000_000, whole % 1_000_000)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMoney {
    #[error("{0:?} is not an amount: write a decimal number with at most six decimals, such as 12.5")]
    Amount(String),
    #[error("{0:?} is not a currency code: write 3 to 8 capital letters or digits, such as XTS")]
    Currency(String),
}

impl FromStr for Micros {
    type Err = BadMoney;

    /// `12.5`, `-3`, `0.000001`.
    fn from_str(text: &str) -> Result<Self, BadMoney> {
        let bad = || BadMoney::Amount(text.to_string());
        let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || fraction.len() > 6 || !all_digits(whole) || !all_digits(fraction) {
            return Err(bad());
        }
        let micros = fraction.bytes().chain(core::iter::repeat(b'0')).take(6);
        let mut total: i64 = whole.parse().map_err(|_| bad())?;
        for digit in micros {
            total =
                total.checked_mul(10).and_then(|t| t.checked_add(i64::from(digit - b'0'))).ok_or_else(bad)?;
        }
        Ok(Self(sign * total))
    }
}

/// A currency's code: 3 to 8 capital letters or digits. `XTS` is ISO 4217's code for testing.
///
/// Every receipt names two: the code is in place, its end filled up with zeros, which sort before all else.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 8]);

impl Currency {
    /// `XXX`, ISO 4217's code for no currency: of a ledger that has not been opened.
    pub const fn none() -> Self {
        Self(*b"XXX\0\0\0\0\0")
    }

    pub fn as_str(&self) -> &str {
        let code = self.0.split(|byte| *byte == 0).next().unwrap_or_default();
        // Capitals and digits are all that was let in.
        core::str::from_utf8(code).unwrap_or_default()
    }
}

impl FromStr for Currency {
    type Err = BadMoney;

    fn from_str(text: &str) -> Result<Self, BadMoney> {
        let fits = (3..=8).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        let mut code = [0; 8];
        code.iter_mut().zip(text.bytes()).for_each(|(to, byte)| *to = byte);
        fits.then_some(Self(code)).ok_or_else(|| BadMoney::Currency(text.to_string()))
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Currency").field(&self.as_str()).finish()
    }
}

impl Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl<C> minicbor::Encode<C> for Micros {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.i64(self.0)?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Micros {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        d.i64().map(Self)
    }
}

impl<C> minicbor::Encode<C> for Currency {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(self.as_str())?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Currency {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        d.str()?.parse().map_err(|_| minicbor::decode::Error::message("not a currency code"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_read_as_people_write_them() {
        assert_eq!("12.5".parse(), Ok(Micros(12_500_000)));
        assert_eq!("-0.000001".parse(), Ok(Micros(-1)));
        for bad in ["", ".5", "1.2345678", "1e3", "99999999999999", "1,5", "--1"] {
            assert!(bad.parse::<Micros>().is_err(), "{bad}");
        }
        assert!("usd".parse::<Currency>().is_err());
    }

    #[test]
    fn a_currency_is_read_kept_and_sorted_as_its_code() {
        let codes = ["EUR", "EURX", "USD", "USDC1234"];
        let read = codes.map(|code| code.parse::<Currency>().unwrap());
        assert!(read.is_sorted() && read.iter().map(Currency::as_str).eq(codes));
        assert!(["", "EU", "USDC12345", "EU\0R"].iter().all(|bad| bad.parse::<Currency>().is_err()));
        assert_eq!(alloc::format!("{} {:?}", Currency::none(), Currency::none()), "XXX Currency(\"XXX\")");
    }

    proptest! {
        #[test]
        fn an_amount_survives_printing(micros in -i64::MAX / 2..i64::MAX / 2) {
            prop_assert_eq!(Micros(micros).to_string().parse(), Ok(Micros(micros)));
        }
    }
}
