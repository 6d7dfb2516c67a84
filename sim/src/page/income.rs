//! What providers earned and how many jobs each did, by point.

use std::collections::BTreeMap;

use super::chart::lorenz;
use super::view::View;
use crate::stats;

/// Places at which curves of several runs are put together.
const PLACES: usize = 50;

/// One point's providers, over its runs.
#[derive(Default)]
pub(super) struct Incomes {
    /// Gini coefficient of each run in which anybody earned anything.
    pub gini: Vec<f64>,
    /// The mean of the runs' Lorenz curves.
    pub curve: Vec<(f64, f64)>,
    /// Jobs of each provider in each run, sorted.
    pub jobs: Vec<f64>,
}

pub(super) fn by_point(view: &View<'_>) -> BTreeMap<usize, Incomes> {
    let mut earned: BTreeMap<(usize, u32), Vec<i64>> = BTreeMap::new();
    let mut found: BTreeMap<usize, Incomes> = BTreeMap::new();
    for income in &view.study.incomes {
        let point = income.point as usize;
        earned.entry((point, income.run)).or_default().push(income.earned);
        found.entry(point).or_default().jobs.push(income.jobs as f64);
    }
    let mut curves: BTreeMap<usize, Vec<Vec<(f64, f64)>>> = BTreeMap::new();
    for ((point, _), incomes) in earned {
        if let Some(curve) = lorenz::curve(&incomes) {
            curves.entry(point).or_default().push(curve);
            let incomes: Vec<f64> = incomes.iter().map(|earned| *earned as f64).collect();
            found.entry(point).or_default().gini.extend(stats::gini(&incomes));
        }
    }
    for (point, incomes) in &mut found {
        incomes.jobs.sort_by(f64::total_cmp);
        let curves = curves.remove(point).unwrap_or_default();
        incomes.curve = mean(&curves);
    }
    found
}

fn mean(curves: &[Vec<(f64, f64)>]) -> Vec<(f64, f64)> {
    if curves.is_empty() {
        return Vec::new();
    }
    let at =
        |people: f64| curves.iter().map(|curve| lorenz::at(curve, people)).sum::<f64>() / curves.len() as f64;
    (0..=PLACES).map(|place| place as f64 / PLACES as f64).map(|people| (people, at(people))).collect()
}
