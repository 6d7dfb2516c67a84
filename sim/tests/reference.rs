//! `scenarios/README.md` has all that a scenario can hold.

use labman_sim::{adversary, faults, report};

const PAGE: &str = include_str!("../../scenarios/README.md");

#[test]
fn every_kind_of_fault_every_strategy_and_every_figure_is_in_the_reference() {
    let rows = faults::KINDS.iter().chain(adversary::KINDS);
    let missing: Vec<_> = rows.filter(|name| !PAGE.contains(&format!("\n| `{name}` | "))).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let missing: Vec<_> =
        report::FIGURES.iter().filter(|name| !PAGE.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
