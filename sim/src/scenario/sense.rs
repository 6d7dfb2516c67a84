//! Values that the types allow and that make no sense, or more than a machine can hold. Looked at before anything is made
//! of them, so a group of four thousand million users costs nothing.

use std::collections::BTreeMap;

use labman_proto_core::economics::{Fees, Price};
use labman_proto_core::limits::{PORTMAN_MODELS, QUOTE_LIFE};
use labman_proto_core::money::{Currency, Micros};
use labman_proto_core::time::Span;

use super::{Arrivals, Fep, Gateway, LEAST_TICK, Portman, Provider, Quote, Scenario};
use crate::faults::Stage;

/// Hosts that a scenario may have.
const MOST_HOSTS: u64 = 100_000;
/// Jobs, those that come at random among them.
const MOST_JOBS: u64 = 4_000_000;
/// Intervals that a run is told in.
const MOST_TICKS: u64 = 100_000;
/// Basis points in a whole: fees come on top of what the provider gets, and are together at most as much.
const MOST_BPS: u64 = 10_000;
/// A century, in milliseconds: how far a clock may be off.
const FARTHEST: u64 = 3_155_760_000_000;

/// A mistake: in which table, in which of its kind, and `key: what`. The table "" is the file's beginning.
pub(super) type Mistake = (&'static str, usize, String);

fn wrong<T>(table: &'static str, index: usize, what: impl Into<String>) -> Result<T, Mistake> {
    Err((table, index, what.into()))
}

/// Of a scenario as it was written, its groups not yet told out.
pub(super) fn check(scenario: &Scenario) -> Result<(), Mistake> {
    for (key, text) in [("name", &scenario.name), ("network", &scenario.network)] {
        if text.is_empty() {
            return wrong("", 0, format!("{key}: must not be empty"));
        }
    }
    for (key, span) in [("duration", scenario.duration), ("check_every", scenario.check_every)] {
        if span.0 == 0 {
            return wrong("", 0, format!("{key}: must be above zero"));
        }
    }
    if scenario.measure_from >= scenario.duration {
        return wrong("", 0, "measure_from: the scenario's duration is over by then");
    }
    if let Some(ticks) = scenario.ticks {
        let many = scenario.duration.0.checked_div(ticks.every.0);
        if ticks.every < LEAST_TICK || many.is_none_or(|many| many > MOST_TICKS) {
            return wrong(
                "ticks",
                0,
                format!("every: must be 1ms at least, and {MOST_TICKS} in the duration at most"),
            );
        }
    }
    check_size(scenario)?;
    check_fees(&scenario.fep.fees)?;
    check_quotes(&scenario.fep)?;
    check_gateways(&scenario.gateways)?;
    check_providers(scenario)?;
    check_deposits(scenario)?;
    for (index, job) in scenario.jobs.iter().enumerate() {
        if job.temperature.is_some_and(|temperature| !temperature.is_finite()) {
            return wrong("job", index, "temperature: must be a finite number");
        }
    }
    check_arrivals(scenario)?;
    check_replays(scenario)?;
    for (index, adversary) in scenario.adversaries.iter().enumerate() {
        if adversary.until.is_some_and(|until| adversary.from > until) {
            return wrong("adversary", index, "from: must not be after until");
        }
        for (key, number) in [("count", adversary.count), ("networks", adversary.networks)] {
            if number == Some(0) {
                return wrong("adversary", index, format!("{key}: must be above zero"));
            }
        }
    }
    Ok(())
}

/// Of a scenario whose groups were told out, and whose faults name hosts that there are.
pub(super) fn check_faults(scenario: &Scenario) -> Result<(), Mistake> {
    let stage = Stage::of(scenario);
    for (index, fault) in scenario.faults.iter().enumerate() {
        if fault.lasting.0 == 0 {
            return wrong("fault", index, "for: must be above zero");
        }
        if fault.at >= scenario.duration {
            return wrong("fault", index, "at: the scenario's duration is over by then");
        }
        fault.inject.check(&stage).map_err(|what| ("fault", index, format!("inject: {what}")))?;
    }
    Ok(())
}

pub(super) fn check_tenants(scenario: &Scenario) -> Result<(), Mistake> {
    let mut tenants = BTreeMap::new();
    for (index, Provider { name, tenant, .. }) in scenario.providers.iter().enumerate() {
        if let Some(first) = tenants.insert(tenant, name) {
            return wrong("provider", index, format!("tenant: {tenant:?} is that of {first:?}"));
        }
    }
    Ok(())
}

fn check_size(scenario: &Scenario) -> Result<(), Mistake> {
    let many = |count: Option<u32>| u64::from(count.unwrap_or(1));
    let mut hosts = 0_u64;
    let mut room = |table, index, more: u64| {
        hosts = hosts.saturating_add(more);
        match hosts > MOST_HOSTS {
            true => wrong(table, index, format!("count: {hosts} hosts with these, at most {MOST_HOSTS}")),
            false => Ok(()),
        }
    };
    for (index, gateway) in scenario.gateways.iter().enumerate() {
        room("gateway", index, many(gateway.count))?;
    }
    for (index, provider) in scenario.providers.iter().enumerate() {
        // Each Portman has a runtime.
        let each = 1 + 2 * provider.portmans.len() as u64;
        room("provider", index, many(provider.count).saturating_mul(each))?;
    }
    for (index, user) in scenario.users.iter().enumerate() {
        room("user", index, many(user.count))?;
    }
    for (index, adversary) in scenario.adversaries.iter().enumerate() {
        room("adversary", index, many(adversary.count))?;
    }
    Ok(())
}

/// A real FEP's config refuses each that is more; a sweep that mistakes the unit would run for hours before anybody sees it.
fn check_fees(fees: &Fees) -> Result<(), Mistake> {
    let Fees { fep_bps, gateway_bps } = *fees;
    let (fep, gateway) = (u64::from(fep_bps), u64::from(gateway_bps));
    let sums =
        [("fep_bps", fep), ("gateway_bps", gateway), ("fep_bps and gateway_bps together", fep + gateway)];
    match sums.into_iter().find(|(_, bps)| *bps > MOST_BPS) {
        Some((key, bps)) => wrong(
            "fep",
            0,
            format!(
                "fees: {key}: {bps} basis points are more than what the provider gets: a fee is in hundredths of a percent, write \
                 at most {MOST_BPS}"
            ),
        ),
        None => Ok(()),
    }
}

fn check_quotes(fep: &Fep) -> Result<(), Mistake> {
    let mut before = Span::default();
    for (index, Quote { currency, at, valid_for, .. }) in fep.quotes.iter().enumerate() {
        if *currency == fep.currency {
            return wrong("fep.quote", index, format!("currency: {currency} is the FEP's own"));
        }
        if *at < std::mem::replace(&mut before, *at) {
            return wrong("fep.quote", index, "at: must not be before the quote above it");
        }
        if !(Span::from_secs(1)..=QUOTE_LIFE).contains(valid_for) {
            return wrong("fep.quote", index, "valid_for: must be from 1s to 744h");
        }
    }
    Ok(())
}

fn check_gateways(gateways: &[Gateway]) -> Result<(), Mistake> {
    let mut known = 0_u64;
    for (index, gateway) in gateways.iter().enumerate() {
        known += u64::from(gateway.count.unwrap_or(1));
        check_dials("gateway", index, gateway.dials, known.saturating_sub(1))?;
        check_clock("gateway", index, gateway.wall_offset_ms)?;
    }
    Ok(())
}

fn check_dials(table: &'static str, index: usize, dials: Option<u32>, most: u64) -> Result<(), Mistake> {
    match dials {
        Some(dials) if u64::from(dials) > most => {
            wrong(table, index, format!("dials: {dials} gateways, where there are {most} to dial"))
        }
        Some(_) | None => Ok(()),
    }
}

fn check_clock(table: &'static str, index: usize, millis: i64) -> Result<(), Mistake> {
    match millis.unsigned_abs() > FARTHEST {
        true => wrong(table, index, format!("wall_offset_ms: at most {FARTHEST} either way, a century")),
        false => Ok(()),
    }
}

fn check_providers(scenario: &Scenario) -> Result<(), Mistake> {
    let gateways: u64 = scenario.gateways.iter().map(|gateway| u64::from(gateway.count.unwrap_or(1))).sum();
    let mut portmans = 0;
    for (index, provider) in scenario.providers.iter().enumerate() {
        let Provider { tenant, dials, claim_every, dispute_for, wall_offset_ms, .. } = provider;
        if tenant.is_empty() || tenant.contains(':') {
            return wrong("provider", index, format!("tenant: {tenant:?} must be a name without ':'"));
        }
        if provider.hosting.epoch < Span::from_secs(1) || provider.hosting.horizon < Span::from_secs(1) {
            return wrong("provider", index, "hosting: epoch and horizon must be 1s at least");
        }
        if claim_every.0 == 0 {
            return wrong("provider", index, "claim_every: must be above zero");
        }
        if dispute_for.0 == 0 {
            return wrong("provider", index, "dispute_for: must be above zero");
        }
        if provider.portmans.is_empty() {
            return wrong("provider", index, "portman: at least one is needed");
        }
        check_dials("provider", index, *dials, gateways)?;
        check_clock("provider", index, *wall_offset_ms)?;
        for portman in &provider.portmans {
            check_portman(&scenario.fep, portman, portmans)?;
            if portman.turns.is_some_and(|turn| turn.at >= scenario.duration) {
                return wrong("provider.portman", portmans, "turns: the scenario's duration is over by then");
            }
            portmans += 1;
        }
    }
    Ok(())
}

fn check_portman(fep: &Fep, portman: &Portman, index: usize) -> Result<(), Mistake> {
    let Portman { model, price, slots, context_length, least_payout, currency, .. } = portman;
    let Price { input_per_mtok, cached_per_mtok, output_per_mtok, per_request } = price;
    let table = "provider.portman";
    if model.is_empty() {
        return wrong(table, index, "model: must not be empty");
    }
    for (key, number) in [("slots", *slots), ("context_length", *context_length)] {
        if number == 0 {
            return wrong(table, index, format!("{key}: must be above zero"));
        }
    }
    if let Some(shelf) = &portman.shelf {
        for (key, number) in [("count", shelf.count), ("room", shelf.room)] {
            if number == 0 {
                return wrong(table, index, format!("shelf: {key} must be above zero"));
            }
        }
        if shelf.count as usize > PORTMAN_MODELS {
            return wrong(table, index, format!("shelf: a Portman has at most {PORTMAN_MODELS} models"));
        }
    }
    let known = |currency: &Currency| {
        fep.currency == *currency || fep.quotes.iter().any(|one| one.currency == *currency)
    };
    if let Some(unknown) = currency.as_ref().filter(|currency| !known(currency)) {
        return wrong(table, index, format!("currency: {unknown} is not the FEP's and never quoted"));
    }
    for amount in [input_per_mtok, cached_per_mtok, output_per_mtok, per_request] {
        check_amount(table, index, "price", *amount)?;
    }
    check_amount(table, index, "least_payout", *least_payout)
}

fn check_amount(table: &'static str, index: usize, key: &str, amount: Micros) -> Result<(), Mistake> {
    match amount.0 < 0 {
        true => wrong(table, index, format!("{key}: {amount} is below zero")),
        false => Ok(()),
    }
}

fn check_deposits(scenario: &Scenario) -> Result<(), Mistake> {
    check_amount("fep", 0, "bond", scenario.fep.bond)?;
    let gateways: u64 = scenario.gateways.iter().map(|gateway| u64::from(gateway.count.unwrap_or(1))).sum();
    let bonds = i64::try_from(gateways).ok().and_then(|gateways| scenario.fep.bond.0.checked_mul(gateways));
    let Some(mut total) = bonds else {
        return wrong("fep", 0, format!("bond: all together are more than {}", Micros(i64::MAX)));
    };
    for (index, user) in scenario.users.iter().enumerate() {
        check_amount("user", index, "deposit", user.deposit)?;
        let of_all = user.deposit.0.checked_mul(i64::from(user.count.unwrap_or(1)));
        match of_all.and_then(|more| total.checked_add(more)) {
            Some(sum) => total = sum,
            None => {
                let most = Micros(i64::MAX);
                return wrong("user", index, format!("deposit: all together are more than {most}"));
            }
        }
    }
    Ok(())
}

fn check_replays(scenario: &Scenario) -> Result<(), Mistake> {
    for (index, replay) in scenario.replays.iter().enumerate() {
        for (key, number) in [("copies", replay.copies), ("tokens_by", replay.tokens_by)] {
            if !(1..=1_000).contains(&number) {
                return wrong("replay", index, format!("{key}: must be from 1 to 1000"));
            }
        }
        if replay.from >= replay.until {
            return wrong("replay", index, "from: must be before until");
        }
        if replay.trace.requests().count() as u64 * u64::from(replay.copies) > MOST_JOBS {
            return wrong("replay", index, format!("copies: more than {MOST_JOBS} jobs"));
        }
    }
    Ok(())
}

fn check_arrivals(scenario: &Scenario) -> Result<(), Mistake> {
    let mut jobs = scenario.jobs.len() as u64;
    for (index, arrivals) in scenario.arrivals.iter().enumerate() {
        let Arrivals { every, from, until, .. } = arrivals;
        if every.0 == 0 {
            return wrong("arrivals", index, "every: must be above zero");
        }
        if from > until {
            return wrong("arrivals", index, "from: must not be after until");
        }
        if let Some(zipf) = &arrivals.zipf {
            zipf.check().map_err(|what| ("arrivals", index, format!("zipf: {what}")))?;
        }
        if let Some(values) = &arrivals.values {
            values.check().map_err(|what| ("arrivals", index, what))?;
            if arrivals.provider.as_ref().is_some_and(|provider| provider.contains_key("max_price")) {
                return wrong("arrivals", index, "values: provider has a max_price; remove one of the two");
            }
        }
        if let Some(audit) = &arrivals.audit {
            audit.check().map_err(|what| ("arrivals", index, what))?;
        }
        let pattern = arrivals.pattern.as_pattern();
        pattern.check().map_err(|what| ("arrivals", index, format!("pattern: {what}")))?;
        jobs = jobs.saturating_add(pattern.expected(&arrivals.window()));
        if jobs > MOST_JOBS {
            return wrong("arrivals", index, format!("every: about {jobs} jobs, at most {MOST_JOBS}"));
        }
    }
    Ok(())
}
