//! Reading a scenario file, with errors that name the place.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use super::set::{BASE, Set};
use super::{Scenario, sense};
use crate::adversary::{Dishonest, Role};
use crate::like::meant;
use crate::report;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct BadScenario {
    pub file: String,
    /// From 1; 0 where it is not about a line.
    pub line: usize,
    pub what: String,
}

impl fmt::Display for BadScenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, what } = self;
        match line {
            0 => write!(f, "{file}: {what}"),
            line => write!(f, "{file}:{line}: {what}"),
        }
    }
}

pub fn load(path: &Path) -> Result<Scenario, BadScenario> {
    parse(&path.display().to_string(), &read(path)?)
}

pub(super) fn read(path: &Path) -> Result<String, BadScenario> {
    let bad = |line, what: String| BadScenario { file: path.display().to_string(), line, what };
    let bytes = std::fs::read(path).map_err(|error| bad(0, error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        bad(1 + good.iter().filter(|byte| **byte == b'\n').count(), "is not UTF-8".into())
    })
}

/// What is wrong with a text that is no TOML, or of another type than was asked for.
pub(super) fn blame(file: &str, text: &str, error: &toml::de::Error) -> BadScenario {
    let at = error.span().map_or(0, |span| span.start);
    let (line, key) = place(text, at);
    let remedy = match key.starts_with("inject") && error.message().contains("exactly 1 element") {
        true => format!("; write {{ KIND = {{ ... }} }}, KIND one of {}", crate::faults::KINDS.join(", ")),
        false => String::new(),
    };
    BadScenario { file: file.into(), line, what: format!("{key}{}{remedy}", error.message()) }
}

/// Reads a scenario; `file` is what its errors call it.
pub fn parse(file: &str, text: &str) -> Result<Scenario, BadScenario> {
    let bad = |line, what| BadScenario { file: file.into(), line, what };
    let scenario: Scenario = toml::from_str(text).map_err(|error| blame(file, text, &error))?;
    let mistaken =
        |(table, index, what): (&str, usize, String)| bad(line_of(text, table, index, &what), what);
    sense::check(&scenario).map_err(mistaken)?;
    let origins = Origins::of(&scenario);
    let scenario = expand(scenario);
    check(&scenario)
        .map_err(|(table, index, what)| mistaken((table, origins.of_member(table, index), what)))?;
    Ok(scenario)
}

/// Puts a group's members in its place.
fn expand(mut scenario: Scenario) -> Scenario {
    scenario.gateways = members(
        scenario.gateways,
        |gateway| &mut gateway.count,
        |gateway, number| {
            gateway.name = numbered(&gateway.name, number);
        },
    );
    scenario.providers = members(
        scenario.providers,
        |provider| &mut provider.count,
        |provider, number| {
            provider.name = numbered(&provider.name, number);
            provider.tenant = numbered(&provider.tenant, number);
        },
    );
    scenario.users = members(
        scenario.users,
        |user| &mut user.count,
        |user, number| {
            user.name = numbered(&user.name, number);
        },
    );
    scenario
}

fn members<T: Clone>(all: Vec<T>, count: fn(&mut T) -> &mut Option<u32>, name: fn(&mut T, u32)) -> Vec<T> {
    let mut expanded = Vec::new();
    for mut one in all {
        match count(&mut one).take() {
            None => expanded.push(one),
            Some(many) => expanded.extend((1..=many).map(|number| {
                let mut member = one.clone();
                name(&mut member, number);
                member
            })),
        }
    }
    expanded
}

fn numbered(name: &str, number: u32) -> String {
    format!("{name}-{number}")
}

/// The line with that byte, and the key it sets, as `key: `.
fn place(text: &str, at: usize) -> (usize, String) {
    let before = text.get(..at).unwrap_or(text);
    let number = before.matches('\n').count();
    let line = text.lines().nth(number).unwrap_or_default();
    let key = line.split_once('=').map_or("", |(key, _)| key.trim());
    (number + 1, if key.is_empty() { String::new() } else { format!("{key}: ") })
}

/// Where the members of groups come from: the first member of each table, by kind.
struct Origins([(&'static str, Vec<usize>); 3]);

impl Origins {
    fn of(scenario: &Scenario) -> Self {
        let begins = |counts: &mut dyn Iterator<Item = Option<u32>>| {
            let next = |at: &mut usize, count: Option<u32>| {
                let begin = *at;
                *at += count.unwrap_or(1) as usize;
                Some(begin)
            };
            counts.scan(0, next).collect()
        };
        Self([
            ("gateway", begins(&mut scenario.gateways.iter().map(|gateway| gateway.count))),
            ("provider", begins(&mut scenario.providers.iter().map(|provider| provider.count))),
            ("user", begins(&mut scenario.users.iter().map(|user| user.count))),
        ])
    }

    fn of_member(&self, table: &str, index: usize) -> usize {
        let begins = self.0.iter().find(|(name, _)| *name == table).map(|(_, begins)| begins);
        begins.map_or(index, |begins| begins.partition_point(|begin| *begin <= index).saturating_sub(1))
    }
}

/// The line of the key that `what` begins with, in the `index`th table of that name; if it is not there, of the table.
/// The table "" is what stands before all others.
fn line_of(text: &str, table: &str, index: usize, what: &str) -> usize {
    let named = |line: &str| line.trim().strip_prefix('[').map(|rest| rest.trim_matches(['[', ']']) == table);
    let lines = || text.lines().enumerate();
    let header = match table {
        "" => Some(0),
        _ => lines().filter(|(_, line)| named(line) == Some(true)).nth(index).map(|(number, _)| number + 1),
    };
    let Some(header) = header else { return 0 };
    let key = what.split(':').next().unwrap_or_default();
    let is_key = |line: &str| line.split_once('=').is_some_and(|(name, _)| name.trim() == key);
    let mut within = lines().skip(header).take_while(|(_, line)| named(line).is_none());
    within.find(|(_, line)| is_key(line)).map_or(header, |(number, _)| number + 1)
}

/// What the types can't say. An error names the table, and which of its kind it is.
fn check(scenario: &Scenario) -> Result<(), (&'static str, usize, String)> {
    let mut names = BTreeSet::from([scenario.fep.name.as_str()]);
    for (index, gateway) in scenario.gateways.iter().enumerate() {
        unique(&mut names, "gateway", index, &gateway.name)?;
    }
    for (index, provider) in scenario.providers.iter().enumerate() {
        unique(&mut names, "provider", index, &provider.name)?;
        let mut eps = BTreeSet::new();
        for portman in &provider.portmans {
            unique(&mut eps, "provider", index, &portman.ep)?;
        }
    }
    sense::check_tenants(scenario)?;
    for (index, user) in scenario.users.iter().enumerate() {
        unique(&mut names, "user", index, &user.name)?;
    }
    for (index, adversary) in scenario.adversaries.iter().enumerate() {
        unique(&mut names, "adversary", index, &adversary.name)?;
    }
    check_strategies(scenario)?;
    if scenario.gateways.is_empty() {
        return Err(("gateway", 0, "gateway: at least one is needed".into()));
    }
    let mut jobs = BTreeSet::new();
    for (index, job) in scenario.jobs.iter().enumerate() {
        unique(&mut jobs, "job", index, &job.name)?;
        check_asker(scenario, "job", index, &job.user, job.gateway.as_deref())?;
    }
    for (index, arrivals) in scenario.arrivals.iter().enumerate() {
        unique(&mut jobs, "arrivals", index, &arrivals.name)?;
        if scenario.users_of(&arrivals.user).next().is_none() {
            return Err(("arrivals", index, format!("user: there is no user {:?}", arrivals.user)));
        }
        let any = scenario.gateways[0].name.as_str();
        let gateway = arrivals.gateway.as_deref().unwrap_or(any);
        check_asker(scenario, "arrivals", index, &scenario.users[0].name, Some(gateway))?;
    }
    for (index, replay) in scenario.replays.iter().enumerate() {
        if scenario.users_of(&replay.user).next().is_none() {
            return Err(("replay", index, format!("user: there is no user {:?}", replay.user)));
        }
    }
    for (index, churn) in scenario.churns.iter().enumerate() {
        if scenario.providers_of(&churn.provider).next().is_none() {
            return Err(("churn", index, format!("provider: there is no provider {:?}", churn.provider)));
        }
        for (key, span) in [("up", churn.up), ("down", churn.down)] {
            if span.0 < 1_000_000 {
                return Err(("churn", index, format!("{key}: must be a millisecond at least")));
            }
        }
    }
    let hosts: BTreeSet<String> = scenario.hosts().collect();
    for (index, fault) in scenario.faults.iter().enumerate() {
        if let Some(unknown) = fault.inject.hosts().into_iter().find(|name| !hosts.contains(*name)) {
            return Err(("fault", index, format!("inject: there is no host {unknown:?}")));
        }
    }
    sense::check_faults(scenario)?;
    for (index, expect) in scenario.expects.iter().enumerate() {
        check_field("expect", index, &expect.field)?;
    }
    for (index, baseline) in scenario.baselines.iter().enumerate() {
        check_field("baseline", index, &baseline.field)?;
        for set in &baseline.set {
            set.parse::<Set>().map_err(|what| ("baseline", index, format!("set: {what}")))?;
        }
    }
    let mut variants = BTreeSet::from([BASE]);
    for (index, variant) in scenario.variants.iter().enumerate() {
        unique(&mut variants, "variant", index, &variant.name)?;
        for set in &variant.set {
            set.parse::<Set>().map_err(|what| ("variant", index, format!("set: {what}")))?;
        }
    }
    for (index, oracle) in scenario.oracles.iter().enumerate() {
        check_field("oracle", index, &oracle.field)?;
        oracle.formula.check().map_err(|what| ("oracle", index, format!("formula: {what}")))?;
    }
    Ok(())
}

/// Only what a report has can be looked at.
fn check_field(table: &'static str, index: usize, field: &str) -> Result<(), (&'static str, usize, String)> {
    match report::figures().any(|known| known == field) {
        true => Ok(()),
        false => Err((
            table,
            index,
            format!(
                "field: there is no {field:?}{}",
                meant(field, report::figures(), "labman-sim explain lists all")
            ),
        )),
    }
}

/// A strategy that can do nothing where it stands is a mistake.
fn check_strategies(scenario: &Scenario) -> Result<(), (&'static str, usize, String)> {
    let gateways = scenario.gateways.iter().map(|gateway| gateway.strategy);
    let providers = scenario.providers.iter().map(|provider| provider.strategy);
    let misplaced = |table, role, mut strategies: Box<dyn Iterator<Item = Option<Dishonest>> + '_>| {
        let at = strategies.position(|strategy| strategy.is_some_and(|strategy| !strategy.fits(role)));
        at.map_or(Ok(()), |index| Err((table, index, format!("strategy: it does nothing in a {table}"))))
    };
    misplaced("fep", Role::Fep, Box::new([scenario.fep.strategy].into_iter()))?;
    let fep = &scenario.fep;
    let of_another = |key: &str, strategy: Dishonest| {
        let what = format!("{key}: only a FEP whose strategy is {:?} has it", strategy.name());
        Err(("fep", 0, what))
    };
    if fep.late.is_some() && fep.strategy != Some(Dishonest::Slow) {
        return of_another("late", Dishonest::Slow);
    }
    if fep.defaults_at.is_some() && fep.strategy != Some(Dishonest::Defaulting) {
        return of_another("defaults_at", Dishonest::Defaulting);
    }
    misplaced("gateway", Role::Gateway, Box::new(gateways))?;
    misplaced("provider", Role::Provider, Box::new(providers))?;
    for (index, adversary) in scenario.adversaries.iter().enumerate() {
        let role = scenario.role_of(&adversary.target);
        if !role.is_some_and(|role| adversary.strategy.fits(role)) {
            let (name, target) = (adversary.strategy.name(), &adversary.target);
            return Err(("adversary", index, format!("target: {name} can do nothing to {target:?}")));
        }
    }
    Ok(())
}

fn unique<'a>(
    names: &mut BTreeSet<&'a str>,
    table: &'static str,
    index: usize,
    name: &'a str,
) -> Result<(), (&'static str, usize, String)> {
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if !plain {
        return Err((table, index, format!("name: {name:?} must be letters, digits, '-', '_' and '.'")));
    }
    match names.insert(name) {
        true => Ok(()),
        false => Err((table, index, format!("name: {name:?} is taken"))),
    }
}

fn check_asker(
    scenario: &Scenario,
    table: &'static str,
    index: usize,
    user: &str,
    gateway: Option<&str>,
) -> Result<(), (&'static str, usize, String)> {
    if !scenario.users.iter().any(|known| known.name == user) {
        return Err((table, index, format!("user: there is no user {user:?}")));
    }
    match gateway {
        None if scenario.gateways.len() > 1 => {
            Err((table, index, "gateway: must be said, there is more than one".into()))
        }
        Some(gateway) if !scenario.gateways.iter().any(|known| known.name == gateway) => {
            Err((table, index, format!("gateway: there is no gateway {gateway:?}")))
        }
        None | Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use labman_proto_core::time::Span;
    use labman_proto_core::toy::config::Thinks;

    use super::*;

    const SMALL: &str = r#"name = "small"
duration = "1m"
[fep]
name = "fep"
[[gateway]]
name = "gateway"
[[provider]]
name = "provider"
tenant = "acme"
[[provider.portman]]
ep = "box"
model = "toy"
price = { output_per_mtok = "0.50" }
[[user]]
name = "ada"
[[job]]
name = "first"
user = "ada"
model = "acme:box:toy"
prompt = "hello"
"#;

    fn error(change: impl Fn(&str) -> String) -> String {
        parse("small.toml", &change(SMALL)).unwrap_err().to_string()
    }

    #[test]
    fn a_small_scenario_is_read_with_its_defaults() {
        let scenario = parse("small.toml", SMALL).unwrap();
        assert_eq!(scenario.providers[0].slugs().collect::<Vec<_>>(), ["acme:box:toy"]);
        assert_eq!(scenario.providers[0].portmans[0].price.output_per_mtok.0, 500_000);
        assert!(scenario.jobs[0].stream);
    }

    #[test]
    fn how_a_runtime_takes_its_time_is_written_as_it_is_read() {
        let thinks = |thinks: &str| {
            let keys = format!("model = \"toy\"\nprompt_token_every = \"1ms\"\nthinks = {{ {thinks} }}");
            parse("small.toml", &SMALL.replace("model = \"toy\"", &keys)).unwrap()
        };
        for (text, wanted) in [
            ("constant = \"20ms\"", Thinks::Constant(Span::from_millis(20))),
            ("exponential = \"0s\"", Thinks::Exponential(Span::default())),
        ] {
            let scenario = thinks(text);
            let portman = &scenario.providers[0].portmans[0];
            assert_eq!((portman.prompt_token_every, portman.thinks), (Span::from_millis(1), wanted));
            assert_eq!(parse("again.toml", &scenario.to_toml().unwrap()), Ok(scenario), "{text}");
        }
    }

    #[test]
    fn an_error_names_file_line_and_key() {
        let unknown = error(|text| text.replace("tenant =", "tenent ="));
        assert!(unknown.starts_with("small.toml:9: tenent: unknown field `tenent`"), "{unknown}");
        let kind = error(|text| text.replace("\"1m\"", "60"));
        assert!(kind.starts_with("small.toml:2: duration: "), "{kind}");
        let price = error(|text| text.replace("\"0.50\"", "\"0.5x\""));
        assert!(price.starts_with("small.toml:13: price: "), "{price}");
        let user = error(|text| text.replace("user = \"ada\"", "user = \"eve\""));
        assert_eq!(user, "small.toml:18: user: there is no user \"eve\"");
        let twice = error(|text| text.replace("name = \"gateway\"", "name = \"fep\""));
        assert_eq!(twice, "small.toml:6: name: \"fep\" is taken");
        let crash = error(|text| {
            format!("{text}[[fault]]\nat = \"1s\"\nfor = \"1s\"\ninject = {{ crash = {{ host = \"x\" }} }}\n")
        });
        assert_eq!(crash, "small.toml:24: inject: there is no host \"x\"");
        let unknown = error(|text| text.replace("tenant =", "strategy = \"good\"\ntenant ="));
        assert!(unknown.starts_with("small.toml:9: strategy: unknown variant `good`"), "{unknown}");
        let misplaced = error(|text| text.replace("tenant =", "strategy = \"lying-fep\"\ntenant ="));
        assert_eq!(misplaced, "small.toml:9: strategy: it does nothing in a provider");
        let target = error(|text| {
            let adversary = "name = \"eve\"\nstrategy = \"slow-loris\"\ntarget = \"ada\"";
            format!("{text}[[adversary]]\n{adversary}\n")
        });
        assert_eq!(target, "small.toml:24: target: slow-loris can do nothing to \"ada\"");
        let expect = error(|text| format!("{text}[[expect]]\nfield = \"jobs\"\nop = \"==\"\nvalue = 1\n"));
        assert!(expect.starts_with("small.toml:22: field: there is no \"jobs\""), "{expect}");
    }
    #[test]
    fn what_makes_no_sense_is_refused_where_it_stands() {
        let replaced = |from: &str, to: &str, wanted: &str| {
            assert!(SMALL.contains(from), "{from}");
            let error = error(|text| text.replace(from, to));
            assert!(error.starts_with(&format!("small.toml:{wanted}")), "{from} to {to}: {error}");
        };
        replaced("name = \"small\"", "name = \"\"", "1: name: must not be empty");
        replaced("\"1m\"", "\"1m\"\nnetwork = \"\"", "3: network: ");
        replaced("\"1m\"", "\"1m\"\ncheck_every = \"0s\"", "3: check_every: must be above zero");
        replaced(
            "\"1m\"",
            "\"1m\"\nmeasure_from = \"1m\"",
            "3: measure_from: the scenario's duration is over",
        );
        let fep = |key: &str| format!("name = \"fep\"\n{key} = \"1s\"");
        replaced("name = \"fep\"", &fep("late"), "5: late: only a FEP whose strategy is \"slow\"");
        replaced(
            "name = \"fep\"",
            &fep("defaults_at"),
            "5: defaults_at: only a FEP whose strategy is \"defaulting\"",
        );
        replaced("\"gateway\"", "\"gateway\"\ndials = 1", "7: dials: 1 gateways, where there are 0");
        replaced("\"acme\"", "\"a:b\"", "9: tenant: \"a:b\" must");
        replaced("\"acme\"", "\"\"", "9: tenant: ");
        replaced("model = \"toy\"", "model = \"toy\"\nslots = 0", "13: slots: must be above zero");
        replaced("model = \"toy\"", "model = \"toy\"\ncontext_length = 0", "13: context_length: ");
        let thinks = |what: &str| format!("model = \"toy\"\nthinks = {{ {what} }}");
        replaced(
            "model = \"toy\"",
            &thinks("constant = \"-1s\""),
            "13: thinks: \"-1s\" is no length of time",
        );
        replaced("model = \"toy\"", &thinks("uniform = \"1s\""), "13: thinks: unknown variant `uniform`");
        let paced = "model = \"toy\"\nprompt_token_every = \"fast\"";
        replaced("model = \"toy\"", paced, "13: prompt_token_every: \"fast\" is no length of time");
        let turning = "model = \"toy\"\nturns = { at = \"1m\", fails = 1 }";
        replaced("model = \"toy\"", turning, "13: turns: the scenario's duration is over by then");
        replaced("\"0.50\"", "\"-0.50\"", "13: price: ");
        replaced("\"ada\"\n[", "\"ada\"\ndeposit = \"-1\"\n[", "16: deposit: ");
        let rich = "\"ada\"\ncount = 3\ndeposit = \"9000000000000\"\n[";
        replaced("\"ada\"\n[", rich, "17: deposit: all together are more than 9223372036854.775807");
        let crowd = "\"ada\"\ncount = 4294967295\n[";
        replaced("\"ada\"\n[", crowd, "16: count: 4294967299 hosts with these, at most 100000");
        replaced("\"hello\"", "\"hello\"\ntemperature = nan", "21: temperature: ");
        replaced("\"hello\"", "\"hello\"\nseed = 99999999999999999999", "21: seed: ");
        let twice = "\"0.50\" }\n[[provider]]\nname = \"other\"\ntenant = \"acme\"\n[[provider.portman]]\nep = \"b\"\n\
                     model = \"toy\"\nprice = {";
        replaced("\"0.50\"", twice, "16: tenant: \"acme\" is that of \"provider\"");
        let arrivals = |from: &str, every: &str| {
            format!(
                "[[arrivals]]\nname = \"a\"\nuser = \"ada\"\nmodel = \"m\"\nprompt = \"p\"\n{from}\n{every}\nuntil = \"1h\""
            )
        };
        let added = |table: String| error(|text| format!("{text}{table}\n"));
        let error = added(arrivals("from = \"2h\"", "every = \"1s\""));
        assert_eq!(error, "small.toml:26: from: must not be after until");
        let error = added(arrivals("", "every = \"1ns\""));
        assert_eq!(error, "small.toml:27: every: about 3600000000001 jobs, at most 4000000");
        let checking = "audit = { permille = 1001, shuns = 1, within = 1 }";
        let error = added(arrivals(checking, "every = \"1s\""));
        assert_eq!(error, "small.toml:26: audit: permille must be of a thousand, and within above zero");
        let eve =
            "name = \"eve\"\nstrategy = \"slow-loris\"\ntarget = \"gateway\"\nfrom = \"2s\"\nuntil = \"1s\"";
        assert_eq!(added(format!("[[adversary]]\n{eve}")), "small.toml:25: from: must not be after until");
    }

    #[test]
    fn fees_of_more_than_the_provider_gets_are_refused() {
        let with = |fees: &str| SMALL.replace("[[gateway]]", &format!("fees = {{ {fees} }}\n[[gateway]]"));
        for (fees, wanted) in [
            ("fep_bps = 9000, gateway_bps = 5000", "fep_bps and gateway_bps together: 14000 "),
            ("fep_bps = 10001", "fep_bps: 10001 "),
            ("gateway_bps = 4294967295", "gateway_bps: 4294967295 "),
        ] {
            let error = error(|_| with(fees));
            assert!(error.starts_with(&format!("small.toml:5: fees: {wanted}")), "{error}");
            assert!(error.ends_with("write at most 10000"), "{error}");
        }
        assert!(parse("small.toml", &with("fep_bps = 4000, gateway_bps = 6000")).is_ok());
    }

    #[test]
    fn what_goes_on_is_told_sixty_times_or_as_often_as_is_said() {
        let scenario = parse("small.toml", SMALL).unwrap();
        assert_eq!(scenario.tick_every(), Span::from_secs(1));
        let told = |every: &str| SMALL.replace("[fep]", &format!("[ticks]\nevery = \"{every}\"\n[fep]"));
        let scenario = parse("small.toml", &told("7s")).unwrap();
        assert_eq!(scenario.tick_every(), Span::from_secs(7));
        assert_eq!(parse("again.toml", &scenario.to_toml().unwrap()), Ok(scenario));
        for every in ["0s", "10us"] {
            let error = parse("small.toml", &told(every)).unwrap_err().to_string();
            assert!(error.starts_with("small.toml:4: every: must be 1ms at least"), "{error}");
        }
    }

    #[test]
    fn a_fault_that_can_never_bite_is_refused() {
        let fault = |at: &str, lasting: &str, inject: &str| {
            let fault = format!("[[fault]]\nat = \"{at}\"\nfor = \"{lasting}\"\ninject = {{ {inject} }}\n");
            error(|text| format!("{text}{fault}"))
        };
        let good = "crash = { host = \"gateway\" }";
        assert_eq!(fault("1m", "1s", good), "small.toml:22: at: the scenario's duration is over by then");
        assert_eq!(fault("1s", "0s", good), "small.toml:23: for: must be above zero");
        for (inject, wanted) in [
            ("disk-full = { host = \"ada\" }", "host: \"ada\" has no store, choose one of "),
            ("torn = { host = \"provider/box\" }", "host: "),
            ("replay = { host = \"ada\" }", "host: "),
            ("clog = { from = \"ada\", to = \"ada\" }", "to: "),
            ("partition = { shape = \"symmetric\", hosts = [] }", "hosts: "),
            ("partition = { shape = \"bridged\", hosts = [\"ada\"] }", "bridge: "),
            ("disk-slow = { host = \"fep\", times = 10001 }", "times: must be from 2 to 10000, not 10001"),
            ("loss = { permille = 1001 }", "permille: "),
        ] {
            let error = fault("1s", "1s", inject);
            assert!(error.starts_with(&format!("small.toml:24: inject: {wanted}")), "{error}");
        }
        let empty = fault("1s", "1s", "");
        assert!(empty.starts_with("small.toml:24: inject: ") && empty.contains("clock-freeze, "), "{empty}");
    }

    #[test]
    fn a_file_that_is_no_text_is_refused_with_its_line() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("bad.toml");
        std::fs::write(&file, b"name = \"x\"\n# \xff\n").unwrap();
        assert!(load(&file).unwrap_err().to_string().ends_with("bad.toml:2: is not UTF-8"));
    }
}
