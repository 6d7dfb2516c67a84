//! `manifest.json`: what was run, so that the directory stands alone.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Sheet;
use super::journal::{Journal, NOT_OVER};
use crate::oracle::{Baseline, Oracle};
use crate::scenario::Expect;

pub const FILE: &str = "manifest.json";

/// What helps where files of a directory do not belong together.
pub(super) const AGAIN: &str = "remove the folder and sweep again";

/// Of the directory's files, raised when one of them changes its meaning.
pub const FORMAT: u32 = 1;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// Its name.
    pub scenario: String,
    /// What its file was called, without the folders that it lay in. Empty of results from before this was kept.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub file: String,
    /// The scenario's file as it was, its comments among it.
    pub text: String,
    /// What was changed everywhere, as on the command line: `path=value`.
    pub sets: Vec<String>,
    /// What was varied.
    pub paths: Vec<String>,
    pub points: Vec<PointOf>,
    pub first_seed: u64,
    /// Each point was run with so many seeds, one after the other from the first.
    pub seeds: u64,
    /// `2/8`: of all these runs the directory holds the second of every eight. `None`: it holds all.
    pub shard: Option<String>,
    /// Which program ran it: [`crate::BUILD`].
    pub build: String,
    /// The FEP's, that money is in.
    pub currency: String,
    /// Rows of the table; those of them that failed.
    pub runs: u64,
    pub failed: u64,
    /// Of the first point, where the points differ in them; so with the two below.
    pub expects: Vec<Expect>,
    pub oracles: Vec<Oracle>,
    #[serde(default)]
    pub baselines: Vec<Baseline>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointOf {
    /// One for each of the manifest's paths, as they were written.
    pub values: Vec<String>,
    /// The hash of the scenario with these values.
    pub variant: String,
}

impl Manifest {
    /// # Errors
    /// If there is none in that directory, or it is of another format.
    pub fn read(dir: &Path) -> Result<Self, String> {
        let path = dir.join(FILE);
        let file = path.display();
        let text = fs::read_to_string(&path).map_err(|error| match Journal::is_in(dir) {
            true => format!("{}: {NOT_OVER}", dir.display()),
            false => format!(
                "{file}: {error}; labman-sim sweep --out makes such a directory, and writes this last"
            ),
        })?;
        let manifest: Self = serde_json::from_str(&text).map_err(|error| format!("{file}: {error}"))?;
        let whole = |point: &PointOf| point.values.len() == manifest.paths.len();
        match manifest.format {
            FORMAT if manifest.points.is_empty() || !manifest.points.iter().all(whole) => {
                Err(format!("{file}: has no value for each path at each point: {AGAIN}"))
            }
            FORMAT => Ok(manifest),
            other => Err(format!(
                "{file}: format {other}, this program reads {FORMAT}; read it with build {}, or sweep again",
                manifest.build
            )),
        }
    }

    /// # Errors
    /// If a table is not of these runs. The error names the line.
    pub(super) fn check(&self, sheet: &Sheet) -> Result<(), String> {
        let file = &sheet.file;
        if sheet.grid != self.paths {
            return Err(format!("{file}:1: varies other paths than {FILE} says: {AGAIN}"));
        }
        let mut last = None;
        for row in &sheet.rows {
            let index = Some(self.index(row.point, row.run));
            let point = self.points.get(row.point as usize);
            let same = |point: &PointOf| (&point.values, &point.variant) == (&row.values, &row.variant);
            if !point.is_some_and(same) || !self.has(row.run, row.seed) || index <= last {
                return Err(format!("{file}:{}: is of no run that {FILE} tells of: {AGAIN}", row.line));
            }
            last = index;
        }
        match sheet.rows.len() as u64 == self.runs {
            true => Ok(()),
            false => Err(format!(
                "{file}: has {} of {} runs that {FILE} tells of: {AGAIN}",
                sheet.rows.len(),
                self.runs
            )),
        }
    }

    /// Is that seed's number within its point this?
    pub(super) fn has(&self, run: u32, seed: u64) -> bool {
        u64::from(run) < self.seeds && self.first_seed.checked_add(run.into()) == Some(seed)
    }

    /// In what another is not of the same runs, apart from what they came to. A file under another name is the same scenario.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<String> {
        let changed =
            |what: &str, here: &str, there: &str| format!("with {what} {here} where this has {there}");
        let shard = |of: &Self| of.shard.clone().unwrap_or_else(|| "all".into());
        let seeds = |of: &Self| format!("{} from {}", of.seeds, of.first_seed);
        Some(if self.build != other.build {
            changed("build", &self.build, &other.build)
        } else if self.scenario != other.scenario {
            changed("scenario", &self.scenario, &other.scenario)
        } else if self.text != other.text {
            "whose scenario's file said something else".into()
        } else if self.sets != other.sets {
            changed("--set", &self.sets.join(" "), &other.sets.join(" "))
        } else if (&self.paths, &self.points) != (&other.paths, &other.points) {
            "with other points".into()
        } else if seeds(self) != seeds(other) {
            changed("seeds", &seeds(self), &seeds(other))
        } else if self.shard != other.shard {
            changed("shard", &shard(self), &shard(other))
        } else {
            return None;
        })
    }

    /// A run's number in the plan's order.
    pub(super) fn index(&self, point: u32, run: u32) -> usize {
        let number = u64::from(point).saturating_mul(self.seeds).saturating_add(run.into());
        usize::try_from(number).unwrap_or(usize::MAX)
    }

    /// As it stands in the file.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).map_or_else(|error| error.to_string(), |text| text + "\n")
    }
}
