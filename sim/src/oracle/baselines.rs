//! Runs a scenario as each of its baselines has it, with the same seed, and tells what came of it beside the run itself.

use std::collections::BTreeMap;

use crate::Report;
use crate::run::run;
use crate::scenario::Scenario;
use crate::scenario::set::{Document, Set};

/// The scenarios of all baselines, read before anything runs.
pub struct Baselines<'a> {
    of: &'a Scenario,
    /// By what is changed.
    changed: BTreeMap<&'a [String], Scenario>,
}

impl<'a> Baselines<'a> {
    /// # Errors
    /// A baseline that changes what is not there, or to what can't be.
    pub fn new(document: &Document, sets: &[Set], of: &'a Scenario) -> Result<Self, String> {
        let changed = of.baselines.iter().map(|baseline| {
            let more: Vec<Set> = baseline.set.iter().map(|set| set.parse()).collect::<Result<_, String>>()?;
            let changed = document.with(&[sets, &more].concat());
            let changed = changed.map_err(|why| format!("baseline {:?}: {why}", baseline.name))?;
            Ok((baseline.set.as_slice(), changed.scenario))
        });
        Ok(Self { of, changed: changed.collect::<Result<_, String>>()? })
    }

    /// Runs each that differs once, and notes in the report what is too far from them.
    pub fn beside(&self, seed: u64, report: &mut Report) {
        let ran: BTreeMap<&[String], Report> =
            self.changed.iter().map(|(set, scenario)| (*set, run(scenario, seed))).collect();
        for baseline in &self.of.baselines {
            let figure = |report: &Report| report.figure(&baseline.field);
            let expected = ran.get(baseline.set.as_slice()).and_then(figure);
            if let Some((expected, measured)) = expected.zip(figure(report)) {
                report.set_beside(baseline.beside(expected, measured));
            }
        }
    }
}
