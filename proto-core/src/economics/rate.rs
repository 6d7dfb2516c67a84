//! Exchange rates: whole numbers over whole numbers, so that everybody who works a bill out comes to the same.

use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// Neither number of a rate is larger.
const MOST: u64 = 1_000_000_000_000;

/// Units of the payout currency for units of the billing currency. Neither is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "(u64, u64)", into = "(u64, u64)")]
pub struct Rate {
    payout: u64,
    billing: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no exchange rate: write what one unit of the billing currency is worth, such as 0.92, or as a fraction \
     such as 23/25, of numbers up to 1000000000000"
)]
pub struct BadRate(String);

impl Rate {
    /// Of a currency for itself.
    pub const ONE: Self = Self { payout: 1, billing: 1 };

    /// So much of the payout currency is worth so much of the billing currency; `None` where a number is zero or too large.
    pub fn new(payout: u64, billing: u64) -> Option<Self> {
        let fits = |number| (1..=MOST).contains(&number);
        (fits(payout) && fits(billing)).then_some(Self { payout, billing })
    }

    /// What something is worth in the billing currency that costs so much of the payout currency: as a fraction, its two
    /// parts. `None`: beyond all bounds.
    pub(super) fn in_billing(self, payout: u128) -> Option<(u128, u128)> {
        Some((payout.checked_mul(u128::from(self.billing))?, u128::from(self.payout)))
    }

    /// In its smallest numbers.
    fn reduced(payout: u64, billing: u64) -> Option<Self> {
        let (mut one, mut other) = (payout, billing);
        while let Some(rest) = one.checked_rem(other) {
            (one, other) = (other, rest);
        }
        Self::new(payout.checked_div(one)?, billing.checked_div(one)?)
    }
}

impl fmt::Display for Rate {
    /// As in `23/25`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.payout, self.billing)
    }
}

impl FromStr for Rate {
    type Err = BadRate;

    /// `0.92`, `23/25`.
    fn from_str(text: &str) -> Result<Self, BadRate> {
        let number = |digits: &str| -> Option<u64> {
            let fits = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            digits.parse().ok().filter(|_| fits)
        };
        let read = || match text.split_once('/') {
            Some((payout, billing)) => Self::reduced(number(payout)?, number(billing)?),
            None => {
                let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
                let billing = 10u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
                let payout = number(whole)?.checked_mul(billing)?.checked_add(number(fraction)?)?;
                Self::reduced(payout, billing)
            }
        };
        read().ok_or_else(|| BadRate(text.to_string()))
    }
}

impl TryFrom<(u64, u64)> for Rate {
    type Error = BadRate;

    fn try_from((payout, billing): (u64, u64)) -> Result<Self, BadRate> {
        Self::new(payout, billing).ok_or_else(|| BadRate(alloc::format!("{payout}/{billing}")))
    }
}

impl From<Rate> for (u64, u64) {
    fn from(rate: Rate) -> Self {
        (rate.payout, rate.billing)
    }
}

impl<C> minicbor::Encode<C> for Rate {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(2)?.u64(self.payout)?.u64(self.billing)?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Rate {
    fn decode(d: &mut minicbor::Decoder<'b>, cx: &mut C) -> Result<Self, minicbor::decode::Error> {
        let (payout, billing) = d.decode_with(cx)?;
        Self::new(payout, billing).ok_or_else(|| minicbor::decode::Error::message("not an exchange rate"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_read_as_people_write_them() {
        let rate = |text: &str| text.parse::<Rate>().map(<(u64, u64)>::from);
        for (text, is) in [("0.92", (23, 25)), ("1", (1, 1)), ("23/25", (23, 25)), ("150.50", (301, 2))] {
            assert_eq!(rate(text), Ok(is), "{text}");
        }
        assert_eq!(rate("0.000000000001"), Ok((1, 1_000_000_000_000)));
        for bad in ["", "0", "0.0", "-1", "1/0", "0/1", ".5", "1.", "1e3", "1/2/3", "+1", "1000000000001"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }
}
