//! `scenarios/README.md` has all that a scenario can hold.

use labman_sim::{adversary, faults, report};

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
fn the_worked_example_of_a_strategy_is_the_one_that_is_compiled() {
    let code = TIMETABLE.split("\n#[cfg(test)]").next().unwrap_or_default();
    assert!(AGENTS.contains(&format!("```rust\n{code}```\n")), "it is to be:\n{code}");
    let list = AGENTS.lines().find(|line| line.starts_with("patterns! {")).expect("the list is shown");
    assert!(PATTERNS.lines().any(|line| line == list), "{list}");
}
