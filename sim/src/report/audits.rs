//! How soon users who check their answers catch whoever cheats them.

use std::fmt::{self, Write as _};

use serde::Serialize;

use crate::workload::audit::Found;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AuditReport {
    /// Answers that were not the model's, and how often somebody was caught by one.
    pub cheated: u64,
    pub caught: u64,
    /// Cheated answers for each time that somebody was caught, in thousandths.
    pub answers_per_catch_milli: i64,
    /// How often a cheat was caught within as many answers as the scenario counts, in millionths.
    pub caught_within_ppm: i64,
}

/// What `[[expect]]` may name.
pub const FIGURES: &[&str] =
    &["audit.cheated", "audit.caught", "audit.answers_per_catch_milli", "audit.caught_within_ppm"];

impl AuditReport {
    pub fn of(found: &Found) -> Self {
        let Found { cheated, caught, reached, within } = *found;
        let part = |some: u64, of: u64, unit: u64| {
            i64::try_from((some * unit).checked_div(of).unwrap_or(0)).unwrap_or(i64::MAX)
        };
        Self {
            cheated,
            caught,
            answers_per_catch_milli: part(cheated, caught, 1_000),
            caught_within_ppm: part(within, reached, 1_000_000),
        }
    }

    /// The value of one of [`FIGURES`].
    pub fn figure(&self, name: &str) -> Option<i64> {
        Some(match name {
            "audit.cheated" => i64::try_from(self.cheated).unwrap_or(i64::MAX),
            "audit.caught" => i64::try_from(self.caught).unwrap_or(i64::MAX),
            "audit.answers_per_catch_milli" => self.answers_per_catch_milli,
            "audit.caught_within_ppm" => self.caught_within_ppm,
            _ => return None,
        })
    }

    pub fn summary(&self, out: &mut String) -> fmt::Result {
        writeln!(
            out,
            "  audits    {} answers were another model's; {} times somebody was caught, {:.4} of the time soon enough",
            self.cheated,
            self.caught,
            self.caught_within_ppm as f64 / 1e6
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_comes_to_answers_per_catch_and_a_part_that_was_in_time() {
        let report = AuditReport::of(&Found { cheated: 10, caught: 4, reached: 3, within: 2 });
        let figures: Vec<i64> = FIGURES.iter().map(|name| report.figure(name).unwrap()).collect();
        assert_eq!(figures, [10, 4, 2_500, 666_666]);
        assert_eq!(report.figure("audit.none"), None);
        assert_eq!(AuditReport::of(&Found::default()), AuditReport::default());
    }
}
