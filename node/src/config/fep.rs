//! `fep.toml`: a Front-End Portal.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use labman_proto_core::economics::Fees;
use labman_proto_core::limits::GATEWAYS_PAID_EVERY;
use labman_proto_core::money::{Currency, Micros};
use labman_proto_core::portal;
use labman_proto_core::portal::config::{RailName, RailTerms, Rails};
use serde::Deserialize;
use toml::Spanned;

use super::error::Source;
use super::fields::{Amount, Every, Listen};
use super::{ConfigError, parse, read};

/// What `labman-fep` runs with.
#[derive(Clone, Debug)]
pub struct Fep {
    pub data_dir: PathBuf,
    /// Nodes call this over HTTP.
    pub listen: SocketAddr,
    pub portal: portal::config::Config,
    /// From the command line: where the portal's journal is kept.
    pub journal: Option<PathBuf>,
}

/// Together at most all of it: fees come on top of what the provider gets.
const MOST_BPS: u32 = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    network: String,
    data_dir: PathBuf,
    listen: Listen,
    currency: Currency,
    fees: Option<FeesField>,
    /// The test rail where there is none.
    #[serde(default)]
    rail: Vec<RailField>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table, such as [[rail]] with name = \"test\" in it")]
struct RailField {
    name: Spanned<RailName>,
    /// The billing currency where absent.
    currency: Option<Currency>,
    /// Nothing where absent.
    least_payout: Option<Amount>,
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table, such as [fees] with fep_bps = 200 and gateway_bps = 300 in it"
)]
struct FeesField {
    fep_bps: Spanned<u32>,
    gateway_bps: Spanned<u32>,
    /// A day where absent.
    gateways_paid_every: Option<Every>,
}

impl Fep {
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let (file, source) = read::<File>(path)?;
        file.checked(&source)
    }

    /// The file's text; `path` is what errors call it, and what its paths are relative to.
    pub fn parse(path: &Path, text: String) -> Result<Self, ConfigError> {
        let (file, source) = parse::<File>(path, text)?;
        file.checked(&source)
    }
}

impl File {
    fn checked(self, source: &Source) -> Result<Fep, ConfigError> {
        let paid_every = self.fees.as_ref().and_then(|fees| fees.gateways_paid_every);
        let fees = self.fees.map_or(Ok(Fees::default()), |fees| fees.checked(source))?;
        let rails = rails(self.rail, &self.currency, source)?;
        Ok(Fep {
            data_dir: source.resolve(&self.data_dir),
            listen: self.listen.0,
            portal: portal::config::Config {
                network: self.network,
                currency: self.currency,
                fees,
                rails,
                gateways_paid_every: paid_every.map_or(GATEWAYS_PAID_EVERY, |every| every.0),
            },
            journal: None,
        })
    }
}

fn rails(fields: Vec<RailField>, billing: &Currency, source: &Source) -> Result<Rails, ConfigError> {
    let mut rails: Vec<RailTerms> = Vec::new();
    for RailField { name, currency, least_payout } in fields {
        let rail = *name.get_ref();
        // The billing currency has one name here.
        let currency = currency.filter(|currency| currency != billing);
        if rails.iter().any(|terms| (terms.rail, &terms.currency) == (rail, &currency)) {
            let message = "this rail is there already for that currency; remove one of its entries";
            return Err(source.fault(Some(name.span()), message));
        }
        let least_payout = least_payout.map_or(Micros::ZERO, |least| least.0);
        rails.push(RailTerms { rail, currency, least_payout });
    }
    Ok(if rails.is_empty() { Rails::default() } else { Rails(rails) })
}

impl FeesField {
    fn checked(&self, source: &Source) -> Result<Fees, ConfigError> {
        let (fep_bps, gateway_bps) = (*self.fep_bps.get_ref(), *self.gateway_bps.get_ref());
        // The second is where the two become too much, unless the first is so alone.
        for (sum, of) in [(fep_bps, &self.fep_bps), (fep_bps.saturating_add(gateway_bps), &self.gateway_bps)]
        {
            if sum > MOST_BPS {
                let message = "fees are in basis points, hundredths of a percent; write at most 10000 for both together";
                return Err(source.fault(Some(of.span()), message));
            }
        }
        Ok(Fees { fep_bps, gateway_bps })
    }
}
