//! Reading a scenario file, with errors that name the place.

use std::collections::BTreeSet;
use std::path::Path;

use super::Scenario;
use crate::adversary::{Dishonest, Role};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {what}")]
pub struct BadScenario {
    pub file: String,
    /// From 1; 0 where it is not about a line.
    pub line: usize,
    pub what: String,
}

pub fn load(path: &Path) -> Result<Scenario, BadScenario> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| BadScenario {
        file: file.clone(),
        line: 0,
        what: error.to_string(),
    })?;
    parse(&file, &text)
}

/// Reads a scenario; `file` is what its errors call it.
pub fn parse(file: &str, text: &str) -> Result<Scenario, BadScenario> {
    let bad = |line, what| BadScenario { file: file.into(), line, what };
    let scenario: Scenario = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let (line, key) = place(text, at);
        bad(line, format!("{key}{}", error.message()))
    })?;
    let scenario = expand(scenario);
    check(&scenario).map_err(|(table, index, what)| bad(line_of_table(text, table, index), what))?;
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

/// The line of the `index`th header of that name.
fn line_of_table(text: &str, table: &str, index: usize) -> usize {
    let header = |line: &str| {
        let line = line.trim();
        line.strip_prefix('[').is_some_and(|rest| rest.trim_matches(['[', ']']) == table)
    };
    let mut lines = text.lines().enumerate().filter(|(_, line)| header(line));
    lines.nth(index).map_or(0, |(number, _)| number + 1)
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
        if arrivals.every.0 == 0 {
            return Err(("arrivals", index, "every: must be above zero".into()));
        }
    }
    let hosts: BTreeSet<String> = scenario.hosts().collect();
    for (index, fault) in scenario.faults.iter().enumerate() {
        if let Some(unknown) = fault.inject.hosts().into_iter().find(|name| !hosts.contains(*name)) {
            return Err(("fault", index, format!("inject: there is no host {unknown:?}")));
        }
    }
    for (index, expect) in scenario.expects.iter().enumerate() {
        if !crate::report::FIGURES.contains(&expect.field.as_str()) {
            let known = crate::report::FIGURES.join(", ");
            return Err((
                "expect",
                index,
                format!("field: there is no {:?}; there is {known}", expect.field),
            ));
        }
    }
    Ok(())
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
    fn an_error_names_file_line_and_key() {
        let unknown = error(|text| text.replace("tenant =", "tenent ="));
        assert!(unknown.starts_with("small.toml:9: tenent: unknown field `tenent`"), "{unknown}");
        let kind = error(|text| text.replace("\"1m\"", "60"));
        assert!(kind.starts_with("small.toml:2: duration: "), "{kind}");
        let price = error(|text| text.replace("\"0.50\"", "\"0.5x\""));
        assert!(price.starts_with("small.toml:13: price: "), "{price}");
        let user = error(|text| text.replace("user = \"ada\"", "user = \"eve\""));
        assert_eq!(user, "small.toml:16: user: there is no user \"eve\"");
        let twice = error(|text| text.replace("name = \"gateway\"", "name = \"fep\""));
        assert_eq!(twice, "small.toml:5: name: \"fep\" is taken");
        let crash = error(|text| {
            format!("{text}[[fault]]\nat = \"1s\"\nfor = \"1s\"\ninject = {{ crash = {{ host = \"x\" }} }}\n")
        });
        assert_eq!(crash, "small.toml:21: inject: there is no host \"x\"");
        let unknown = error(|text| text.replace("tenant =", "strategy = \"good\"\ntenant ="));
        assert!(unknown.starts_with("small.toml:9: strategy: unknown variant `good`"), "{unknown}");
        let misplaced = error(|text| text.replace("tenant =", "strategy = \"lying-fep\"\ntenant ="));
        assert_eq!(misplaced, "small.toml:7: strategy: it does nothing in a provider");
        let target = error(|text| {
            let adversary = "name = \"eve\"\nstrategy = \"slow-loris\"\ntarget = \"ada\"";
            format!("{text}[[adversary]]\n{adversary}\n")
        });
        assert_eq!(target, "small.toml:21: target: slow-loris can do nothing to \"ada\"");
        let expect = error(|text| format!("{text}[[expect]]\nfield = \"jobs\"\nop = \"==\"\nvalue = 1\n"));
        assert!(expect.starts_with("small.toml:21: field: there is no \"jobs\""), "{expect}");
    }
}
