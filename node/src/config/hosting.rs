//! What a `[[portman]]` says of the models that its runtime could keep in memory, and how prices move.

use std::collections::BTreeMap;

use labman_proto_core::node::config as node;
use labman_proto_core::time::Span;
use serde::Deserialize;
use toml::Spanned;

use super::ConfigError;
use super::error::Source;
use super::fields::{Bytes, Every};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table such as { epoch = \"10m\", horizon = \"6h\", loads = 2 }")]
pub(super) struct HostingField {
    epoch: Option<Spanned<Every>>,
    horizon: Option<Spanned<Every>>,
    loads: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table such as { memory = \"2 GiB\", load = \"5s\" }")]
pub(super) struct HostedField {
    memory: Spanned<Bytes>,
    load: Option<Every>,
    slots: Option<Spanned<u32>>,
    #[serde(default)]
    pin: bool,
    #[serde(default)]
    never: bool,
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { strategy = \"utilisation\", floor = 0.5, ceiling = 2.0 }"
)]
pub(super) struct PricingField {
    strategy: node::Strategy,
    floor: Option<Spanned<f64>>,
    ceiling: Option<Spanned<f64>>,
    elasticity: Option<Spanned<u32>>,
    most: Option<Spanned<f64>>,
}

/// A gibibyte in a second: where an operator does not say how long a model takes to load.
const USUAL_LOAD: u64 = 1 << 30;

impl HostingField {
    pub(super) fn checked(&self, source: &Source) -> Result<node::Hosting, ConfigError> {
        let default = node::Hosting::default();
        let read = |field: &Option<Spanned<Every>>, or: Span| match field {
            Some(every) if every.get_ref().0 < Span::from_secs(1) => Err(source.fault(
                Some(every.span()),
                "nothing is decided more often than once a second; write \"10m\"",
            )),
            Some(every) => Ok(every.get_ref().0),
            None => Ok(or),
        };
        Ok(node::Hosting {
            epoch: read(&self.epoch, default.epoch)?,
            horizon: read(&self.horizon, default.horizon)?,
            loads: self.loads.unwrap_or(default.loads),
        })
    }
}

pub(super) fn checked_shelf(
    memory: Option<&Spanned<Bytes>>,
    models: &BTreeMap<String, Spanned<HostedField>>,
    source: &Source,
) -> Result<Option<node::Shelf>, ConfigError> {
    let Some(memory) = memory else {
        let Some(model) = models.values().next() else { return Ok(None) };
        let message = "to decide what is kept in memory labman must know how much there is; add memory = \"24 GiB\" to this [[portman]]";
        return Err(source.fault(Some(model.span()), message));
    };
    let most = memory.get_ref().0 as u64;
    let one = |(name, field): (&String, &Spanned<HostedField>)| {
        let hosted = field.get_ref();
        let takes = hosted.memory.get_ref().0 as u64;
        if takes == 0 || takes > most {
            let message = "a model takes some memory, and not more than its Portman has";
            return Err(source.fault(Some(hosted.memory.span()), message));
        }
        if hosted.pin && hosted.never {
            return Err(
                source.fault(Some(field.span()), "a model is pinned or never hosted; remove one of the two")
            );
        }
        if let Some(slots) = hosted.slots.as_ref().filter(|slots| *slots.get_ref() == 0) {
            return Err(source.fault(Some(slots.span()), "a model that is hosted has a slot at least"));
        }
        let load = hosted.load.map_or(Span::from_secs(takes.div_ceil(USUAL_LOAD)), |every| every.0);
        let slots = hosted.slots.as_ref().map(|slots| *slots.get_ref());
        Ok((name.clone(), node::Hosted { memory: takes, load, slots, pin: hosted.pin, never: hosted.never }))
    };
    let models: BTreeMap<String, node::Hosted> = models.iter().map(one).collect::<Result<_, _>>()?;
    let pinned: u64 =
        models.values().filter(|hosted| hosted.pin).map(|hosted| hosted.memory).fold(0, u64::saturating_add);
    if pinned > most {
        return Err(source.fault(Some(memory.span()), "the pinned models take more than this; pin fewer"));
    }
    Ok(Some(node::Shelf { memory: most, models }))
}

impl PricingField {
    pub(super) fn checked(&self, source: &Source) -> Result<node::Pricing, ConfigError> {
        let default = node::Pricing::default();
        let read = |field: &Option<Spanned<f64>>, or: u32| match field {
            Some(factor) if !(0.001..=1_000.0).contains(factor.get_ref()) => {
                let message = "floor, ceiling and most are factors of the price, such as 0.5 and 2.0";
                Err(source.fault(Some(factor.span()), message))
            }
            Some(factor) => Ok((factor.get_ref() * 1_000.0).round() as u32),
            None => Ok(or),
        };
        let (floor, ceiling) = (read(&self.floor, default.floor)?, read(&self.ceiling, default.ceiling)?);
        if floor > ceiling {
            let place = self.floor.as_ref().or(self.ceiling.as_ref()).map(Spanned::span);
            return Err(source.fault(place, "the floor is above the ceiling; the usual ones are 0.5 and 2.0"));
        }
        let elasticity = match &self.elasticity {
            Some(power) if !(1..=node::Pricing::MOST_ELASTIC).contains(power.get_ref()) => {
                let message = "elasticity is the power of the price by which gateways draw, from 1 to 8; the usual one is 2";
                return Err(source.fault(Some(power.span()), message));
            }
            Some(power) => *power.get_ref(),
            None => default.elasticity,
        };
        let most = read(&self.most, default.most)?;
        if self.strategy == node::Strategy::Capacity && most <= floor {
            let place = self.most.as_ref().or(self.floor.as_ref()).map(Spanned::span);
            let message = "nobody would pay the floor, as most is what users pay at most; the usual ones are 0.5 and 2.0";
            return Err(source.fault(place, message));
        }
        Ok(node::Pricing { strategy: self.strategy, floor, ceiling, elasticity, most })
    }
}
