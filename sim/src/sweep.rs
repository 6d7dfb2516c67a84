//! One scenario over many seeds and settings. Every point of the grid gets the same seeds (common random numbers), so that
//! what two points differ by is due to the settings and not to luck.
//!
//! Runs share nothing and each has one thread. What is absent: statistics, and what becomes of a run that has ended
//! ([`crate::results`]).

mod dimension;
mod grid;
pub mod latin;
pub mod list;
mod shard;
mod zip;

use std::collections::BTreeMap;
use std::num::NonZero;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub use dimension::Dimension;
pub use grid::Grid;
pub(crate) use grid::split;
pub use shard::Shard;
pub use zip::{Zip, zipped};

use dimension::product;

use crate::Report;
use crate::crew;
use crate::oracle::baselines::Baselines;
use crate::results::manifest::FORMAT;
use crate::results::{Manifest, PointOf};
use crate::run::{Options, Passed, run_with};
use crate::scenario::Scenario;
use crate::scenario::set::{Changed, Document, Set};

/// Runs that a sweep may have: their rows are kept until the last has ended.
pub const MOST_RUNS: u64 = 1_000_000;

/// What is to be run: every point with every seed.
pub struct Plan {
    /// What varies, in the order it was asked for.
    pub paths: Vec<String>,
    pub points: Vec<Point>,
    seeds: Range<u64>,
    /// The part of it that is to be run; `None`: all.
    pub shard: Option<Shard>,
    /// The scenario's file, what is in it, and what is changed at all points.
    file: String,
    text: String,
    always: Vec<Set>,
}

/// One setting of all that varies.
pub struct Point {
    /// One for each of the plan's paths.
    pub values: Vec<String>,
    /// Everything that was changed: what is the same at all points, then the values.
    pub sets: Vec<Set>,
    pub variant: Changed,
    baselines: Baselines,
}

/// How a run ended.
pub struct Ended {
    /// In the plan's order: by point, then by seed.
    pub index: usize,
    /// In the plan's points.
    pub point: u32,
    /// The seed's number within the point, from 0.
    pub run: u32,
    pub seed: u64,
    /// `Err`: the simulator panicked, and said this. Such a run has no figures.
    pub report: Result<Report, String>,
}

impl Plan {
    /// Reads the scenario of every point, so that a mistake in one shows before anything runs. The first dimension varies
    /// slowest.
    ///
    /// # Errors
    /// If a path is varied twice or set as well, or one change undoes another; there are too many runs, or a point is no scenario.
    pub fn new(
        document: &Document,
        always: &[Set],
        dimensions: &[Dimension],
        seeds: Range<u64>,
    ) -> Result<Self, String> {
        let mut paths: Vec<String> = Vec::new();
        for dimension in dimensions {
            dimension.check()?;
            for path in &dimension.paths {
                let option = &dimension.option;
                if paths.contains(path) {
                    return Err(format!("{option} {path}: named twice"));
                }
                if always.iter().any(|set| set.path() == path) {
                    return Err(format!(
                        "{option} {path}: --set {path} says that it does not vary, leave one out"
                    ));
                }
                paths.push(path.clone());
            }
        }
        let runs = dimensions.iter().fold(seeds.end - seeds.start, |runs, dimension| {
            runs.saturating_mul(dimension.places.len() as u64)
        });
        if runs > MOST_RUNS {
            return Err(format!(
                "{runs} runs, at most {MOST_RUNS}: fewer --seeds or points, or split the sweep"
            ));
        }
        let point = |values: Vec<String>| {
            let chosen = paths.iter().zip(&values).map(|(path, value)| Set::new(path, value));
            let sets: Vec<Set> =
                always.iter().cloned().map(Ok).chain(chosen).collect::<Result<_, String>>()?;
            let variant = document.with(&sets)?;
            for (one, by) in document.undone(&sets)? {
                // What is the same everywhere may be refined.
                let is_refined =
                    one < always.len() && sets[by].path().starts_with(&format!("{}.", sets[one].path()));
                if !is_refined {
                    return Err(format!(
                        "{} would be undone by {}: leave one of the two out",
                        sets[one], sets[by]
                    ));
                }
            }
            let baselines = Baselines::that_bind(document, &sets, &variant.scenario)?;
            Ok(Point { values, sets, variant, baselines })
        };
        // Nobody typed what is in a file as --set.
        let list = dimensions.iter().map(|dimension| &dimension.option).find(|it| it.starts_with("--list"));
        let named = |why: String| list.map_or_else(|| why.clone(), |list| format!("{list}: {why}"));
        let points = product(dimensions).into_iter().map(|values| point(values).map_err(named));
        let points: Vec<Point> = points.collect::<Result<_, String>>()?;
        let currency = |point: &Point| point.variant.scenario.fep.currency.clone();
        if let Some(other) = points.iter().map(currency).find(|other| *other != currency(&points[0])) {
            return Err(format!(
                "fep.currency: {} and {other}: what is in two currencies can't be compared; sweep each by itself",
                currency(&points[0])
            ));
        }
        let (file, text) = (document.file_name(), document.text().to_owned());
        Ok(Self { paths, points, seeds, shard: None, file, text, always: always.to_vec() })
    }

    /// Two points that are the same scenario, if there are any.
    #[must_use]
    pub fn same_points(&self) -> Option<(usize, usize)> {
        let mut known: BTreeMap<&str, usize> = BTreeMap::new();
        self.points
            .iter()
            .enumerate()
            .find_map(|(at, point)| known.insert(&point.variant.hash, at).map(|first| (first, at)))
    }

    /// What this will have been, once all of it has run and none has failed.
    #[must_use]
    pub fn manifest(&self) -> Manifest {
        let point = |Point { values, variant, .. }: &Point| PointOf {
            values: values.clone(),
            variant: variant.hash.clone(),
        };
        let scenario = &self.points[0].variant.scenario;
        Manifest {
            format: FORMAT,
            scenario: scenario.name.clone(),
            file: self.file.clone(),
            text: self.text.clone(),
            sets: self.always.iter().map(Set::to_string).collect(),
            paths: self.paths.clone(),
            points: self.points.iter().map(point).collect(),
            first_seed: self.seeds.start,
            seeds: self.seeds.end - self.seeds.start,
            shard: self.shard.as_ref().map(Shard::to_string),
            build: crate::BUILD.into(),
            currency: scenario.fep.currency.as_str().into(),
            runs: self.own().count() as u64,
            failed: 0,
            expects: scenario.expects.clone(),
            oracles: scenario.oracles.clone(),
            baselines: scenario.baselines.clone(),
        }
    }

    /// Those of its runs that are to be run, by number in the plan's order: by point, then by seed.
    pub fn own(&self) -> impl Iterator<Item = usize> {
        (0..self.runs()).filter(|index| self.shard.is_none_or(|shard| shard.has(*index)))
    }

    /// How many runs all of it is.
    pub fn runs(&self) -> usize {
        usize::try_from(self.seeds.end - self.seeds.start)
            .unwrap_or(usize::MAX)
            .saturating_mul(self.points.len())
    }

    /// Runs these, by number, on so many threads. Of each run `keep` keeps what is wanted, on the thread that ran it: reports
    /// hold every job's text. `ended` gets that on this thread, as each ends, whatever its place in the plan; how far all are
    /// stands in `passed`.
    ///
    /// # Errors
    /// The first that `ended` returns; no run is begun after it.
    pub fn run<T: Send, E>(
        &self,
        threads: NonZero<usize>,
        which: &[usize],
        passed: &Passed,
        keep: impl Fn(Ended) -> T + Sync,
        ended: impl FnMut(T) -> Result<(), E>,
    ) -> Result<(), E> {
        crew::each(which, threads, |index| keep(self.run_one(index, passed)), ended)
    }

    fn run_one(&self, index: usize, passed: &Passed) -> Ended {
        let part = passed.begin();
        let options = Options { passed: Some(&part), ..Options::default() };
        let seeds = self.runs() / self.points.len();
        let (point, run) = (index / seeds, index % seeds);
        let seed = self.seeds.start + run as u64;
        let Point { variant, baselines, .. } = &self.points[point];
        let report = run_or_panic(&variant.scenario, baselines, seed, options);
        // A sweep has a million runs at most.
        Ended { index, point: point as u32, run: run as u32, seed, report }
    }
}

/// One run of many, held beside its baselines, which the others survive. `Err`: the simulator panicked, and said this.
///
/// # Errors
/// What it said.
pub fn run_or_panic(
    scenario: &Scenario,
    baselines: &Baselines,
    seed: u64,
    options: Options<'_>,
) -> Result<Report, String> {
    let run = || {
        let mut report = run_with(scenario, seed, options);
        baselines.beside(seed, &mut report);
        report
    };
    // A run owns all it touches, so one that panics leaves nothing half done to the others.
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: NonZero<usize> = NonZero::new(3).unwrap();

    fn plan(grids: &[&str], seeds: Range<u64>) -> Result<Plan, String> {
        let text = include_str!("../../scenarios/conformance/one-provider.toml");
        let document = Document::new("one-provider.toml".into(), text.into())?;
        let grids: Vec<Dimension> = grids.iter().map(|grid| grid.parse::<Grid>().unwrap().into()).collect();
        Plan::new(&document, &["duration=9m".parse()?], &grids, seeds)
    }

    #[test]
    fn every_point_gets_the_same_seeds_and_comes_in_the_order_asked_for() {
        let plan =
            plan(&["fep.fees.fep_bps=0,500", "provider.0.portman.0.slots=2,4,8"], 5..7).expect("a plan");
        assert_eq!((plan.points.len(), plan.runs()), (6, 12));
        let mut ran = Vec::new();
        let keep = |ended: Ended| (ended.index, ended.point, ended.run, ended.report.map(|r| r.seed));
        let all: Vec<usize> = (0..12).collect();
        plan.run(THREE, &all, &Passed::default(), keep, |kept| {
            ran.push(kept);
            Ok::<(), String>(())
        })
        .unwrap();
        ran.sort();
        let wanted: Vec<_> = (0..12).map(|i| (i, i as u32 / 2, i as u32 % 2, Ok(5 + i as u64 % 2))).collect();
        assert_eq!(ran, wanted);
        assert_eq!(plan.same_points(), None);
        let places: Vec<String> = plan.points.iter().map(|point| point.values.join(" ")).collect();
        assert_eq!(places, ["0 2", "0 4", "0 8", "500 2", "500 4", "500 8"]);
        let last = &plan.points[5].variant.scenario;
        assert_eq!((last.fep.fees.fep_bps, last.providers[0].portmans[0].slots), (500, 8));
        assert_eq!(last.duration.as_millis(), 540_000);
    }

    #[test]
    fn a_run_is_held_beside_its_baselines() {
        let text = include_str!("../../scenarios/conformance/one-provider.toml");
        let bound =
            "[[baseline]]\nname = \"free\"\nset = [\"fep.fees.fep_bps=0\"]\nfield = \"jobs.completed\"\n";
        let failures = |bounds: &str| {
            let document = Document::new("x.toml".into(), format!("{text}\n{bound}{bounds}")).unwrap();
            let plan = Plan::new(&document, &[], &[], 1..2).unwrap();
            let mut failures = Vec::new();
            plan.run(
                THREE,
                &[0],
                &Passed::default(),
                |ended| ended.report.unwrap().failures,
                |found| {
                    failures = found;
                    Ok::<(), String>(())
                },
            )
            .unwrap();
            failures
        };
        assert_eq!(failures("at_most = 1.0"), Vec::<String>::new());
        assert!(failures("at_most = 0.1")[0].contains("of free"), "as many are done, and not a tenth");
        assert_eq!(failures(""), Vec::<String>::new(), "what is told only is not run");
    }

    #[test]
    fn nothing_is_begun_after_what_has_ended_could_not_be_kept() {
        let plan = plan(&[], 0..100).unwrap();
        let mut kept = 0;
        let full = |_| {
            kept += 1;
            Err("the disk is full".to_owned())
        };
        let all: Vec<usize> = (0..100).collect();
        assert_eq!(
            plan.run(THREE, &all, &Passed::default(), |ended| ended.seed, full),
            Err("the disk is full".into())
        );
        assert_eq!(kept, 1);
    }

    #[test]
    fn a_mistake_at_any_point_shows_before_anything_runs() {
        let error = plan(&["fep.fees.fep_bps=0,lots"], 1..2).err().unwrap();
        assert!(error.contains("--set fep.fees.fep_bps=lots: "), "{error}");
        let text = include_str!("../../scenarios/conformance/one-provider.toml");
        let document = Document::new("one-provider.toml".into(), text.into()).unwrap();
        let option = "--list points.csv".into();
        let list = Dimension { option, paths: vec!["fep.fees.fep".into()], places: vec![vec!["0".into()]] };
        let error = Plan::new(&document, &[], &[list], 1..2).err().unwrap();
        assert!(
            error.starts_with("--list points.csv: one-provider.toml with --set fep.fees.fep=0: "),
            "{error}"
        );
        let twice = plan(&["one_by_one=true", "one_by_one=false"], 1..2).err().unwrap();
        assert_eq!(twice, "--grid one_by_one: named twice");
        let within =
            plan(&["fep.fees.fep_bps=1,2", "fep.fees={ fep_bps = 3 },{ fep_bps = 4 }"], 1..2).err().unwrap();
        assert_eq!(
            within,
            "fep.fees.fep_bps=1 would be undone by fep.fees={ fep_bps = 3 }: leave one of the two out"
        );
        let money = plan(&["fep.currency=EUR,USD"], 1..2).err().unwrap();
        assert!(money.starts_with("fep.currency: EUR and USD: "), "{money}");
        let set = plan(&["duration=1m,2m"], 1..2).err().unwrap();
        assert!(set.starts_with("--grid duration: --set duration says"), "{set}");
        let many = plan(&["fep.fees.fep_bps=0,1"], 0..500_001).err().unwrap();
        assert!(many.contains("1000002 runs, at most 1000000"), "{many}");
    }

    #[test]
    fn one_setting_that_is_written_in_two_ways_is_told() {
        let plan = plan(&["fep.fees.fep_bps=0,1,0x1"], 1..2).unwrap();
        assert_eq!(plan.same_points(), Some((1, 2)));
    }

    #[test]
    fn what_one_option_says_no_other_undoes() {
        let text = include_str!("../../scenarios/conformance/one-provider.toml");
        let variants = "[[variant]]\nname = \"two\"\nset = [\"fep.fees.fep_bps=7\"]\n\
                        [[variant]]\nname = \"three\"\nset = [\"network=three\"]\n";
        // It becomes a scenario by what is set.
        let text = text.replacen("duration = ", "# ", 1);
        let document = Document::new("one-provider.toml".into(), format!("{text}\n{variants}")).unwrap();
        let plan = |sets: &[&str], grids: &[&str]| {
            let grids: Vec<Dimension> =
                grids.iter().map(|grid| grid.parse::<Grid>().unwrap().into()).collect();
            let sets = ["duration=9m"].iter().chain(sets).map(|set| set.parse().unwrap());
            Plan::new(&document, &sets.collect::<Vec<Set>>(), &grids, 1..2).map(|plan| plan.points.len())
        };
        assert_eq!(plan(&[], &["variant.name=base,two", "provider.0.portman.0.slots=1,2"]), Ok(4));
        assert_eq!(plan(&[], &["variant.name=base,three", "fep.fees.fep_bps=1,2"]), Ok(4));
        assert_eq!(plan(&["fep.fees={ fep_bps = 1 }"], &["fep.fees.gateway_bps=1,2"]), Ok(2), "refined");
        let undone = |sets: &[&str], grids: &[&str]| plan(sets, grids).unwrap_err();
        let refined = "fep.fees={ fep_bps = 1 }";
        let behind = undone(
            &[refined],
            &["fep.fees.gateway_bps=1,2", "user.0.deposit=5,6", "user.0={ name = \"ada\", deposit = \"7\" }"],
        );
        assert!(behind.starts_with("user.0.deposit=5 would be undone by user.0="), "{behind}");
        let by_grid = undone(&[], &["variant.name=base,two", "fep.fees.fep_bps=1,2"]);
        assert_eq!(
            by_grid,
            "variant.name=two would be undone by fep.fees.fep_bps=1: leave one of the two out"
        );
        let by_variant = undone(&["fep.fees.fep_bps=5"], &["variant.name=base,two"]);
        assert!(
            by_variant.starts_with("fep.fees.fep_bps=5 would be undone by variant.name=two"),
            "{by_variant}"
        );
        let whole = undone(&["fep.fees.fep_bps=5"], &["fep.fees={ fep_bps = 1 },{ fep_bps = 2 }"]);
        assert!(
            whole.starts_with("fep.fees.fep_bps=5 would be undone by fep.fees={ fep_bps = 1 }"),
            "{whole}"
        );
    }
}
