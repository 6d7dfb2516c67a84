//! One scenario over many seeds and settings. Every point of the grid gets the same seeds (common random numbers), so that
//! what two points differ by is due to the settings and not to luck.
//!
//! Runs share nothing and each has one thread; results are put in the plan's order whatever the order they end in. What is
//! absent: statistics, and any memory of an earlier sweep.

mod grid;
pub mod rows;

use std::num::NonZero;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub use grid::Grid;

use crate::Report;
use crate::crew;
use crate::scenario::set::{Changed, Document, Set};

/// Runs that a sweep may have: their rows are kept until the last has ended.
const MOST_RUNS: u64 = 1_000_000;

/// What is to be run: every point with every seed.
pub struct Plan {
    /// What the grid varies, in the order it was asked for.
    pub paths: Vec<String>,
    pub points: Vec<Point>,
    seeds: Range<u64>,
}

/// A place on the grid.
pub struct Point {
    /// One for each of the plan's paths.
    pub values: Vec<String>,
    /// Everything that was changed: what is the same at all points, then the values.
    pub sets: Vec<Set>,
    pub variant: Changed,
}

/// How a run ended.
pub struct Ended {
    /// In the plan's points.
    pub point: usize,
    pub seed: u64,
    /// `Err`: the simulator panicked, and said this. Such a run has no figures.
    pub report: Result<Report, String>,
}

impl Plan {
    /// Reads the scenario of every point, so that a mistake in one shows before anything runs. The first grid varies
    /// slowest.
    pub fn new(
        document: &Document,
        always: &[Set],
        grids: &[Grid],
        seeds: Range<u64>,
    ) -> Result<Self, String> {
        for (index, grid) in grids.iter().enumerate() {
            if grids[..index].iter().any(|other| other.path == grid.path) {
                return Err(format!("--grid {}: named twice", grid.path));
            }
            if always.iter().any(|set| set.path() == grid.path) {
                let path = &grid.path;
                return Err(format!("--grid {path}: --set {path} says that it does not vary, leave one out"));
            }
        }
        let runs = grids
            .iter()
            .fold(seeds.end - seeds.start, |runs, grid| runs.saturating_mul(grid.values.len() as u64));
        if runs > MOST_RUNS {
            return Err(format!("--seeds and --grid make {runs} runs, at most {MOST_RUNS}: split the sweep"));
        }
        let mut places: Vec<Vec<String>> = vec![Vec::new()];
        for grid in grids {
            let longer = |place: &[String], value: &String| [place, std::slice::from_ref(value)].concat();
            places = places
                .iter()
                .flat_map(|place| grid.values.iter().map(move |value| longer(place, value)))
                .collect();
        }
        let point = |values: Vec<String>| {
            let chosen = grids.iter().zip(&values).map(|(grid, value)| Set::new(&grid.path, value));
            let sets: Vec<Set> =
                always.iter().cloned().map(Ok).chain(chosen).collect::<Result<_, String>>()?;
            let variant = document.with(&sets)?;
            Ok(Point { values, sets, variant })
        };
        Ok(Self {
            paths: grids.iter().map(|grid| grid.path.clone()).collect(),
            points: places.into_iter().map(point).collect::<Result<_, String>>()?,
            seeds,
        })
    }

    /// How many runs that is.
    pub fn runs(&self) -> usize {
        usize::try_from(self.seeds.end - self.seeds.start)
            .unwrap_or(usize::MAX)
            .saturating_mul(self.points.len())
    }

    /// Runs everything on so many threads. Of each run `keep` keeps what is wanted, on the thread that ran it: reports hold
    /// every job's text. `tick` is called on this thread as each ends. What was kept comes in the plan's order: by point,
    /// then by seed.
    pub fn run<T: Send>(
        &self,
        threads: NonZero<usize>,
        keep: impl Fn(Ended) -> T + Sync,
        mut tick: impl FnMut(),
    ) -> Vec<T> {
        crew::all(self.runs(), threads, |index| keep(self.run_one(index)), |_| tick())
    }

    fn run_one(&self, index: usize) -> Ended {
        let seeds = self.runs() / self.points.len();
        let (point, seed) = (index / seeds, self.seeds.start + (index % seeds) as u64);
        let scenario = &self.points[point].variant.scenario;
        // A run owns all it touches, so one that panics leaves nothing half done to the others.
        let report = catch_unwind(AssertUnwindSafe(|| crate::run(scenario, seed))).map_err(|panic| {
            let said = panic.downcast_ref::<String>().map(String::as_str);
            said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned()
        });
        Ended { point, seed, report }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(grids: &[&str], seeds: Range<u64>) -> Result<Plan, String> {
        let text = include_str!("../../scenarios/conformance/one-provider.toml");
        let document = Document::new("one-provider.toml".into(), text.into())?;
        let grids: Vec<Grid> = grids.iter().map(|grid| grid.parse().unwrap()).collect();
        Plan::new(&document, &["duration=9m".parse()?], &grids, seeds)
    }

    #[test]
    fn every_point_gets_the_same_seeds_and_comes_in_the_order_asked_for() {
        let plan =
            plan(&["fep.fees.fep_bps=0,500", "provider.0.portman.0.slots=2,4,8"], 5..7).expect("a plan");
        assert_eq!((plan.points.len(), plan.runs()), (6, 12));
        let mut ticks = 0;
        let ran = plan.run(
            NonZero::new(3).unwrap(),
            |ended| (ended.point, ended.seed, ended.report.map(|r| r.seed)),
            || ticks += 1,
        );
        let wanted: Vec<_> =
            (0..6).flat_map(|point| (5..7).map(move |seed| (point, seed, Ok(seed)))).collect();
        assert_eq!((ran, ticks), (wanted, 12));
        let places: Vec<String> = plan.points.iter().map(|point| point.values.join(" ")).collect();
        assert_eq!(places, ["0 2", "0 4", "0 8", "500 2", "500 4", "500 8"]);
        let last = &plan.points[5].variant.scenario;
        assert_eq!((last.fep.fees.fep_bps, last.providers[0].portmans[0].slots), (500, 8));
        assert_eq!(last.duration.as_millis(), 540_000);
    }

    #[test]
    fn a_mistake_at_any_point_shows_before_anything_runs() {
        let error = plan(&["fep.fees.fep_bps=0,lots"], 1..2).err().unwrap();
        assert!(error.contains("--set fep.fees.fep_bps=lots: "), "{error}");
        let twice = plan(&["one_by_one=true", "one_by_one=false"], 1..2).err().unwrap();
        assert_eq!(twice, "--grid one_by_one: named twice");
        let set = plan(&["duration=1m,2m"], 1..2).err().unwrap();
        assert!(set.starts_with("--grid duration: --set duration says"), "{set}");
        let many = plan(&["fep.fees.fep_bps=0,1"], 0..500_001).err().unwrap();
        assert!(many.contains("make 1000002 runs, at most 1000000"), "{many}");
    }
}
