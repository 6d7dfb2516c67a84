//! All at once, each period: batch jobs, whatever runs on the hour.

use labman_proto_core::time::Span;
use serde::{Deserialize, Serialize};

use super::{Draws, Pattern, Window};
use crate::scenario::values;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timetable {
    /// By the scenario's clock, from its start.
    #[serde(with = "values::span")]
    pub period: Span,
    /// So many each time.
    pub many: u32,
}

impl Timetable {
    /// The periods whose beginning is within the window, by number.
    fn rounds(&self, window: &Window) -> std::ops::Range<u64> {
        window.from.0.div_ceil(self.period.0)..window.until.0.div_ceil(self.period.0)
    }
}

impl Pattern for Timetable {
    fn check(&self) -> Result<(), String> {
        match self.period.0 > 0 && self.many > 0 {
            true => Ok(()),
            false => Err("timetable: period and many must be above zero".into()),
        }
    }

    fn moments(&self, window: &Window, _: &mut Draws) -> Vec<Span> {
        let at_once = |round: u64| (0..self.many).map(move |_| Span(round * self.period.0));
        self.rounds(window).flat_map(at_once).collect()
    }

    fn expected(&self, window: &Window) -> u64 {
        let rounds = self.rounds(window);
        rounds.end.saturating_sub(rounds.start).saturating_mul(self.many.into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{HOUR, draws};
    use super::*;

    #[test]
    fn all_come_as_a_period_begins_and_nobody_between() {
        let timetable = Timetable { period: Span::from_secs(1_000), many: 2 };
        let window = Window { from: Span::from_secs(1), until: Span::from_secs(3_000), ..HOUR };
        let moments = timetable.moments(&window, &mut draws());
        assert_eq!(moments, [1_000, 1_000, 2_000, 2_000].map(Span::from_secs));
        assert_eq!(timetable.expected(&window), 4);
        assert!(Timetable { many: 0, ..timetable }.check().is_err());
    }
}
