//! Runs a scenario as each of its baselines has it, with the same seed, and tells what came of it beside the run itself.

use std::collections::BTreeMap;

use super::Baseline;
use crate::Report;
use crate::run::run;
use crate::scenario::Scenario;
use crate::scenario::set::{Document, Set};

/// The scenarios of baselines, read before anything runs.
pub struct Baselines {
    baselines: Vec<Baseline>,
    /// By what is changed.
    changed: BTreeMap<Vec<String>, Scenario>,
}

impl Baselines {
    /// Of a scenario that is its document with `sets`, all.
    ///
    /// # Errors
    /// A baseline that changes what is not there, or to what can't be.
    pub fn new(document: &Document, sets: &[Set], of: &Scenario) -> Result<Self, String> {
        Self::of(document, sets, of.baselines.clone())
    }

    /// Only those that a run can fail at: what is told only need not run where nobody is told.
    ///
    /// # Errors
    /// As of all.
    pub fn that_bind(document: &Document, sets: &[Set], of: &Scenario) -> Result<Self, String> {
        Self::of(document, sets, of.baselines.iter().filter(|baseline| baseline.binds()).cloned().collect())
    }

    fn of(document: &Document, sets: &[Set], baselines: Vec<Baseline>) -> Result<Self, String> {
        let changed = baselines.iter().map(|baseline| {
            let more: Vec<Set> = baseline.set.iter().map(|set| set.parse()).collect::<Result<_, String>>()?;
            let changed = document.with(&[sets, &more].concat());
            let changed = changed.map_err(|why| format!("baseline {:?}: {why}", baseline.name))?;
            Ok((baseline.set.clone(), changed.scenario))
        });
        Ok(Self { changed: changed.collect::<Result<_, String>>()?, baselines })
    }

    /// Runs each that differs once, and notes in the report what is too far from them.
    pub fn beside(&self, seed: u64, report: &mut Report) {
        let ran: BTreeMap<&[String], Report> =
            self.changed.iter().map(|(set, scenario)| (set.as_slice(), run(scenario, seed))).collect();
        for baseline in &self.baselines {
            let figure = |report: &Report| report.figure(&baseline.field);
            let expected = ran.get(baseline.set.as_slice()).and_then(figure);
            if let Some((expected, measured)) = expected.zip(figure(report)) {
                report.set_beside(baseline.beside(expected, measured));
            }
        }
    }
}
