//! `scenarios/README.md` has all that a scenario can hold.

use labman_sim::{adversary, faults, report, scenario};

const PAGE: &str = include_str!("../../scenarios/README.md");
const AGENTS: &str = include_str!("../../scenarios/AGENTS.md");
const PATTERNS: &str = include_str!("../src/workload/pattern.rs");
const TIMETABLE: &str = include_str!("../src/workload/pattern/timetable.rs");

#[test]
fn every_kind_of_fault_every_strategy_and_every_figure_is_in_the_reference() {
    let rows = faults::KINDS.iter().chain(adversary::KINDS);
    let missing: Vec<_> = rows.filter(|name| !PAGE.contains(&format!("\n| `{name}` | "))).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let missing: Vec<_> =
        report::FIGURES.iter().filter(|name| !PAGE.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_key_of_a_scenario_s_tables_is_in_the_reference() {
    let tables = ["[latency]", "[fep]", "[[gateway]]", "[[provider]]", "[[provider]]\n[[provider.portman]]"];
    let asked =
        ["[[user]]", "[[job]]", "[[arrivals]]", "[[replay]]", "[[expect]]", "[[baseline]]", "[[variant]]"];
    for table in tables.into_iter().chain(asked) {
        let said = scenario::parse("x.toml", &format!("{table}\nno-such-key = 1\n")).unwrap_err().to_string();
        let (_, keys) = said.split_once("expected ").unwrap_or_else(|| panic!("{table}: {said}"));
        let keys: Vec<&str> = keys.split('`').skip(1).step_by(2).collect();
        assert!(keys.len() > 1, "{table}: {said}");
        // Of those that are tables themselves, how they are written.
        let is_told = |key: &&&str| PAGE.contains(&format!("`{key}`")) || PAGE.contains(&format!(".{key}]]"));
        let missing: Vec<_> = keys.iter().filter(|key| !is_told(key)).collect();
        assert!(missing.is_empty(), "{table}: {missing:?}");
    }
}

#[test]
fn the_worked_example_of_a_strategy_is_the_one_that_is_compiled() {
    let code = TIMETABLE.split("\n#[cfg(test)]").next().unwrap_or_default();
    assert!(AGENTS.contains(&format!("```rust\n{code}```\n")), "it is to be:\n{code}");
    let list = AGENTS.lines().find(|line| line.starts_with("patterns! {")).expect("the list is shown");
    assert!(PATTERNS.lines().any(|line| line == list), "{list}");
}
