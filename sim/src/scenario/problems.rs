//! What is wrong with a scenario, as far as that shows without running it.
//!
//! What is absent: whether it would pass.

use std::path::Path;

use super::Scenario;
use super::set::{Document, Set};
use crate::report::{audits, market, mesh};

/// Each names the file. A file that can't be read as a scenario has one problem, the first.
#[must_use]
pub fn problems(file: &Path, sets: &[Set]) -> Vec<String> {
    match Document::read(file) {
        Ok(document) => of(&file.display().to_string(), &document, sets),
        Err(why) => vec![why],
    }
}

fn of(file: &str, document: &Document, sets: &[Set]) -> Vec<String> {
    let scenario = match document.with(sets) {
        Ok(variant) => variant.scenario,
        Err(why) => return vec![why],
    };
    let mut found = Vec::new();
    for (place, field) in fields(&scenario) {
        if let Some(why) = absent(&scenario, field) {
            found.push(format!("{file}: {place}: field: no run of it has {field:?}, {why}"));
        }
    }
    if let Err(why) = document.variants(sets) {
        found.push(why);
    }
    for (index, baseline) in scenario.baselines.iter().enumerate() {
        let more: Result<Vec<Set>, String> = baseline.set.iter().map(|set| set.parse()).collect();
        if let Err(why) = more.and_then(|more| document.with(&[sets, &more].concat())) {
            // It names the file itself.
            let why = why.strip_prefix(file).map_or_else(|| format!(": {why}"), str::to_owned);
            found.push(format!("{file}: baseline {}{why}", index + 1));
        }
    }
    found
}

/// What is looked at in a report, and where that is said: the kind of table, and which of them, from 1.
fn fields(scenario: &Scenario) -> impl Iterator<Item = (String, &str)> {
    let expects = scenario.expects.iter().map(|one| one.field.as_str()).enumerate();
    let oracles = scenario.oracles.iter().map(|one| one.field.as_str()).enumerate();
    let baselines = scenario.baselines.iter().map(|one| one.field.as_str()).enumerate();
    let expects = expects.map(|(index, field)| (format!("expect {}", index + 1), field));
    let oracles = oracles.map(|(index, field)| (format!("oracle {}", index + 1), field));
    let baselines = baselines.map(|(index, field)| (format!("baseline {}", index + 1), field));
    expects.chain(oracles).chain(baselines)
}

/// Why a figure that there is, is none of this scenario's.
fn absent(scenario: &Scenario, field: &str) -> Option<&'static str> {
    let checks = scenario.arrivals.iter().any(|arrivals| arrivals.audit.is_some());
    let decides = scenario.providers.iter().flat_map(|one| &one.portmans).any(|one| one.shelf.is_some());
    if mesh::FIGURES.contains(&field) && scenario.mesh.is_none() {
        Some("for the mesh is not watched: add a [mesh] table")
    } else if market::FIGURES.contains(&field) && !decides {
        Some("for nobody decides what it hosts: give a Portman a shelf")
    } else if audits::FIGURES.contains(&field) && !checks {
        Some("for nobody checks what it is answered: give arrivals an audit")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(more: &str, sets: &[&str]) -> Vec<String> {
        let text = include_str!("../../../scenarios/conformance/one-provider.toml");
        let document = Document::new("x.toml".into(), format!("{text}\n{more}")).unwrap();
        let sets: Vec<Set> = sets.iter().map(|set| set.parse().unwrap()).collect();
        of("x.toml", &document, &sets)
    }

    #[test]
    fn a_good_scenario_has_no_problem() {
        assert_eq!(found("", &["duration=9m"]), Vec::<String>::new());
    }

    #[test]
    fn a_figure_that_no_run_of_it_has_is_told_before_it_runs() {
        let mesh = "[[expect]]\nfield = \"mesh.lost\"\nop = \"==\"\nvalue = 0\n";
        let told = found(mesh, &[]);
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("no run of it has \"mesh.lost\"") && told[0].contains("[mesh]"), "{told:?}");
        assert!(found(&format!("{mesh}\n[mesh]\nwatch = 1\n"), &[]).is_empty());
    }

    #[test]
    fn a_baseline_that_is_no_scenario_is_told_before_it_runs() {
        let baseline =
            "[[baseline]]\nname = \"more\"\nset = [\"gateway.7.dials=1\"]\nfield = \"jobs.completed\"\n";
        let told = found(baseline, &[]);
        assert!(told.len() == 1 && told[0].starts_with("x.toml: baseline 1: --set gateway.7"), "{told:?}");
    }

    #[test]
    fn a_mistake_in_a_variant_or_a_baseline_names_the_file_once() {
        let variant = |set: &str| format!("[[variant]]\nname = \"two\"\nset = [\"{set}\"]\n");
        let baseline = |set: &str| {
            format!("[[baseline]]\nname = \"more\"\nset = [\"{set}\"]\nfield = \"jobs.completed\"\n")
        };
        for (set, rest) in [("gateway.7.dials=1", ": "), ("gateway.0.dials=lots", " with ")] {
            let told = [found(&variant(set), &[]), found(&baseline(set), &[])].concat();
            assert!(told.len() == 2 && told.iter().all(|why| why.matches("x.toml").count() == 1), "{told:?}");
            assert!(told[0].starts_with(&format!("x.toml{rest}variant two")), "{told:?}");
            assert!(told[1].starts_with(&format!("x.toml: baseline 1{rest}--set {set}: ")), "{told:?}");
        }
    }

    #[test]
    fn what_is_no_scenario_has_one_problem_that_names_the_key() {
        let told = found("", &["fep.fee=1"]);
        assert!(told.len() == 1 && told[0].contains("fee: unknown field"), "{told:?}");
        assert!(problems(Path::new("no/such.toml"), &[])[0].starts_with("no/such.toml: "));
    }
}
