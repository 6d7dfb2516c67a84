//! A study as the page looks at it: figures by point, what differs, what is the same everywhere, and what the page is about.

use std::collections::BTreeSet;

use super::Choice;
use super::label::{Labels, as_numbers};
use super::unit::{Format, Unit};
use crate::results::table::{BALANCE, BALANCE_OF_USER};
use crate::results::{Row, Study};
use crate::stats::quantile;
use crate::stats::{Estimate, estimate};

/// Figures that tell of the simulator, not of the mesh: never what a study is about.
const OF_THE_RUN: [&str; 4] = ["events", "virtual_seconds", "ledger_balanced", "settled"];

/// So much of a figure's variance must lie between points that a study is taken to be about it.
const MUCH: f64 = 0.1;

/// Looked at in this order where theory doesn't say what the study is about.
const USUAL: [&str; 10] = [
    "sojourn.mean_us",
    "ttft.mean_us",
    "money.charged",
    "money.earned",
    "jobs.completed",
    "jobs.failed",
    "ttft.p95_ms",
    "money.charged_per_mtok",
    "income.gini_ppm",
    "slots.busy_ppm",
];

pub(super) struct View<'a> {
    pub study: &'a Study,
    pub baseline: usize,
    pub labels: Labels,
    /// By point, in the order of runs.
    pub rows: Vec<Vec<&'a Row>>,
    /// In the order in which they are shown.
    pub figures: Vec<Figure>,
    /// Where what the page is about stands among the figures, and why it is that.
    pub primary: Option<usize>,
    pub why_primary: &'static str,
    /// Figures that were asked for.
    chosen: Vec<String>,
}

pub(super) struct Figure {
    pub name: String,
    pub unit: Unit,
    pub format: Format,
    /// By point and, within it, as the view's rows. A run that panicked has none.
    pub values: Vec<Vec<Option<f64>>>,
    /// By point; `None` where no run has a value.
    pub summaries: Vec<Option<Summary>>,
    /// The same in every run of every point.
    pub constant: bool,
    /// What part of the variance lies between points: eta squared.
    pub between: f64,
    /// The scenario says what it should be.
    pub expected: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Summary {
    pub median: f64,
    pub p5: f64,
    pub p95: f64,
    pub estimate: Estimate,
}

impl<'a> View<'a> {
    pub(super) fn new(study: &'a Study, choice: &Choice) -> Self {
        let points = study.manifest.points.len().max(1);
        let mut rows: Vec<Vec<&Row>> = vec![Vec::new(); points];
        for row in &study.runs.rows {
            if let Some(of_point) = rows.get_mut(row.point as usize) {
                of_point.push(row);
            }
        }
        let expected: BTreeSet<&str> = expected(study).collect();
        let mut figures: Vec<Figure> = (0..study.runs.figures.len())
            .map(|column| Figure::new(study, &rows, column, &expected))
            .filter(|figure| figure.summaries.iter().any(Option::is_some))
            // There may be a thousand users, and what was charged says as much of all.
            .filter(|figure| {
                !figure.name.starts_with(BALANCE_OF_USER) || choice.figures.contains(&figure.name)
            })
            .collect();
        let (name, why_primary) = primary(study, &figures, choice.figures.first().map(String::as_str));
        let rank = |figure: &Figure| {
            let first = name.as_deref() == Some(figure.name.as_str());
            let chosen = choice.figures.iter().position(|name| *name == figure.name).unwrap_or(usize::MAX);
            let of_the_run = OF_THE_RUN.contains(&figure.name.as_str());
            (!first, chosen, figure.constant, of_the_run, figure.name.starts_with(BALANCE), !figure.expected)
        };
        let usual =
            |figure: &Figure| USUAL.iter().position(|name| *name == figure.name).unwrap_or(USUAL.len());
        // Of one run a point all variance lies between points.
        let between = |a: &Figure, b: &Figure| match study.manifest.seeds {
            1 => usual(a).cmp(&usual(b)),
            _ => b.between.total_cmp(&a.between),
        };
        figures.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| between(a, b)));
        let primary = figures.iter().position(|figure| Some(&figure.name) == name.as_ref());
        let baseline = choice.baseline.min(points - 1);
        let chosen = choice.figures.clone();
        let labels = Labels::new(&study.manifest);
        Self { study, baseline, labels, rows, figures, primary, why_primary, chosen }
    }

    /// Of the command that makes this page, beyond where the results are.
    pub(super) fn options(&self) -> String {
        let figures = self.chosen.iter().map(|name| format!(" --figure {name}"));
        let baseline = (self.baseline != 0).then(|| format!(" --baseline {}", self.baseline));
        figures.chain(baseline).collect()
    }

    /// It is a part of a sweep in which no run of another point has the seed of one of the baseline's.
    pub(super) fn is_without_pairs(&self) -> bool {
        let seeds = |point: usize| self.rows[point].iter().map(|row| row.seed).collect::<BTreeSet<_>>();
        let of_baseline = seeds(self.baseline);
        self.points() > 1 && self.others().all(|point| seeds(point).is_disjoint(&of_baseline))
    }

    pub(super) fn points(&self) -> usize {
        self.rows.len()
    }

    /// All but the baseline.
    pub(super) fn others(&self) -> impl Iterator<Item = usize> {
        let baseline = self.baseline;
        (0..self.points()).filter(move |point| *point != baseline)
    }

    pub(super) fn primary(&self) -> Option<&Figure> {
        self.primary.map(|at| &self.figures[at])
    }

    /// What was asked for beside what the page is about.
    pub(super) fn beside(&self) -> impl Iterator<Item = &Figure> {
        self.chosen.iter().skip(1).filter_map(|name| self.figure(name))
    }

    pub(super) fn figure(&self, name: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.name == name)
    }

    /// What varies, without what tells of the simulator.
    pub(super) fn telling(&self) -> impl Iterator<Item = &Figure> {
        self.figures.iter().filter(|figure| !figure.constant && !OF_THE_RUN.contains(&figure.name.as_str()))
    }

    pub(super) fn currency(&self) -> &str {
        &self.study.manifest.currency
    }

    /// A path's values as numbers, by point, if they can be put in an order.
    pub(super) fn numbers(&self, path: usize) -> Option<Vec<f64>> {
        let values = self.study.manifest.points.iter().map(|point| point.values[path].as_str());
        as_numbers(&values.collect::<Vec<_>>())
    }

    /// At most so many points to draw: all, or the baseline and others evenly by the primary figure's mean, the least and the
    /// greatest among them.
    pub(super) fn drawn(&self, most: usize) -> Vec<usize> {
        if self.points() <= most {
            return (0..self.points()).collect();
        }
        let mean = |point: &usize| {
            self.primary().and_then(|figure| figure.summaries[*point]).map_or(0.0, |it| it.estimate.mean)
        };
        let mut others: Vec<usize> = self.others().collect();
        others.sort_by(|a, b| mean(a).total_cmp(&mean(b)));
        let steps = (most - 1).max(2) - 1;
        let chosen: BTreeSet<usize> =
            (0..=steps).map(|step| others[step * (others.len() - 1) / steps]).collect();
        [self.baseline].into_iter().chain(chosen).collect()
    }

    /// Values of the runs that both points have, by seed: before, after.
    pub(super) fn pairs(&self, figure: &Figure, before: usize, after: usize) -> Vec<(f64, f64)> {
        let of = |point: usize| self.rows[point].iter().zip(&figure.values[point]);
        let partner = |seed: u64| of(after).find(|(row, _)| row.seed == seed).and_then(|(_, value)| *value);
        // Both are in the order of seeds, so the partner is where one expects it unless runs are lacking.
        let value = |(at, (row, value)): (usize, (&&Row, &Option<f64>))| {
            let there = self.rows[after].get(at).filter(|other| other.seed == row.seed);
            let other = if there.is_some() { figure.values[after][at] } else { partner(row.seed) };
            (*value).zip(other)
        };
        of(before).enumerate().filter_map(value).collect()
    }
}

impl Figure {
    fn new(study: &Study, rows: &[Vec<&Row>], column: usize, expected: &BTreeSet<&str>) -> Self {
        let name = study.runs.figures[column].clone();
        let value = |row: &&Row| row.figures.get(column).copied().flatten();
        let values: Vec<Vec<Option<f64>>> =
            rows.iter().map(|of_point| of_point.iter().map(value).collect()).collect();
        let known: Vec<Vec<f64>> =
            values.iter().map(|of_point| of_point.iter().flatten().copied().collect()).collect();
        let summaries: Vec<Option<Summary>> = known.iter().map(|of_point| Summary::of(of_point)).collect();
        let all: Vec<f64> = known.concat();
        let constant = all.windows(2).all(|pair| pair[0] == pair[1]);
        let unit = Unit::of(&name);
        let largest = all.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
        let format = Format::new(unit, largest, uncertainty(&summaries), &study.manifest.currency);
        let expected = expected.contains(name.as_str());
        let between = share_between(&known, &all);
        Self { name, unit, format, values, summaries, constant, between, expected }
    }

    /// Of a point, those that are known.
    pub(super) fn known(&self, point: usize) -> Vec<f64> {
        self.values[point].iter().flatten().copied().collect()
    }

    pub(super) fn mean(&self, point: usize) -> Option<f64> {
        self.summaries[point].map(|summary| summary.estimate.mean)
    }
}

impl Summary {
    pub(super) fn of(sample: &[f64]) -> Option<Self> {
        let mut sorted = sample.to_vec();
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            estimate: estimate(sample)?,
            median: quantile(&sorted, 0.5)?,
            p5: quantile(&sorted, 0.05)?,
            p95: quantile(&sorted, 0.95)?,
        })
    }
}

/// The least half-width of the points' intervals that have one.
fn uncertainty(summaries: &[Option<Summary>]) -> f64 {
    let intervals = summaries.iter().flatten().filter_map(|summary| summary.estimate.interval);
    let halves = intervals.map(|it| it.half_width()).filter(|half| *half > 0.0);
    halves.reduce(f64::min).unwrap_or_default()
}

fn share_between(by_point: &[Vec<f64>], all: &[f64]) -> f64 {
    let mean = |sample: &[f64]| sample.iter().sum::<f64>() / sample.len().max(1) as f64;
    let middle = mean(all);
    let total: f64 = all.iter().map(|value| (value - middle).powi(2)).sum();
    let between = |sample: &Vec<f64>| sample.len() as f64 * (mean(sample) - middle).powi(2);
    if total > 0.0 { by_point.iter().map(between).sum::<f64>() / total } else { 0.0 }
}

/// Figures that the scenario says something of.
fn expected(study: &Study) -> impl Iterator<Item = &str> {
    let oracles = study.manifest.oracles.iter().map(|oracle| oracle.field.as_str());
    oracles.chain(study.manifest.expects.iter().map(|expect| expect.field.as_str()))
}

/// What the page is about, and why that.
fn primary(study: &Study, figures: &[Figure], wanted: Option<&str>) -> (Option<String>, &'static str) {
    let known = |name: &str| figures.iter().find(|figure| figure.name == name);
    let varies = |name: &str| known(name).is_some_and(|figure| !figure.constant);
    if let Some(name) = wanted.filter(|name| known(name).is_some()) {
        return (Some(name.into()), "as it was asked for");
    }
    if let Some(oracle) = study.manifest.oracles.iter().find(|oracle| known(&oracle.field).is_some()) {
        return (Some(oracle.field.clone()), "since theory says what it should be");
    }
    let differs = |name: &str| known(name).is_some_and(|figure| figure.between >= MUCH);
    if let Some(name) = USUAL.into_iter().find(|name| differs(name)) {
        return (Some(name.into()), "the first of the usual ones that differs much between points");
    }
    let expects = study.manifest.expects.iter().map(|expect| expect.field.as_str());
    if let Some(name) = expects.filter(|name| !OF_THE_RUN.contains(name)).find(|name| varies(name)) {
        return (Some(name.into()), "the first that the scenario expects something of and that varies");
    }
    let rest = figures.iter().filter(|figure| !OF_THE_RUN.contains(&figure.name.as_str()));
    let usual = USUAL.into_iter().find(|name| varies(name)).map(str::to_owned);
    let any = || rest.clone().find(|figure| !figure.constant).or(figures.first()).map(|it| it.name.clone());
    let why = if usual.is_some() {
        "the first of the usual ones that varies"
    } else {
        "for none of the usual ones varies"
    };
    (usual.or_else(any), why)
}
