//! What a FEP's operator decides.

use alloc::{string::String, vec::Vec};
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::economics::Fees;
use crate::money::{Currency, Micros};
use crate::time::Span;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Config {
    pub network: String,
    /// What users are billed in.
    pub currency: Currency,
    pub fees: Fees,
    #[serde(default)]
    pub rails: Rails,
    /// How often gateways' fees are paid out, where an address is enrolled for them.
    pub gateways_paid_every: Span,
}

impl Config {
    /// What a rail moves under these terms.
    pub(super) fn currency_of<'a>(&'a self, terms: &'a RailTerms) -> &'a Currency {
        terms.currency.as_ref().unwrap_or(&self.currency)
    }
}

/// The ways by which money leaves, each once for each currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rails(pub Vec<RailTerms>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RailTerms {
    pub rail: RailName,
    /// What it moves; `None`: the billing currency.
    #[serde(default)]
    pub currency: Option<Currency>,
    /// Less than this is not sent: it waits until more is owed to the same address.
    pub least_payout: Micros,
}

/// `test`, at which anything is an address, and nothing too little, in the billing currency.
impl Default for Rails {
    fn default() -> Self {
        Self(alloc::vec![RailTerms { rail: RailName::Test, currency: None, least_payout: Micros::ZERO }])
    }
}

/// None of these moves anything of value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RailName {
    /// Any text is an address.
    Test,
    /// `mock-crypto:` and a checksummed address, as chains have them.
    MockCrypto,
    /// `mock-fiat:` and an IBAN.
    MockFiat,
}

impl RailName {
    pub const ALL: [Self; 3] = [Self::Test, Self::MockCrypto, Self::MockFiat];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::MockCrypto => "mock-crypto",
            Self::MockFiat => "mock-fiat",
        }
    }
}

impl fmt::Display for RailName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no rail: write test, mock-crypto or mock-fiat")]
pub struct NoSuchRail(String);

impl FromStr for RailName {
    type Err = NoSuchRail;

    fn from_str(text: &str) -> Result<Self, NoSuchRail> {
        Self::ALL.into_iter().find(|rail| rail.as_str() == text).ok_or_else(|| NoSuchRail(text.into()))
    }
}
