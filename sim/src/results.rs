//! What a sweep leaves behind: a directory that stands alone, and can be read without this program.
//!
//! ```text
//! manifest.json       what was run: the scenario whole, what was varied, seeds, build, expectations
//! runs.csv, .parquet  a row a run: its figures, or why it has none
//! ticks.parquet       what went on over virtual time: point, run, at_s, series, value
//! providers.parquet   what each provider did and earned: point, run, provider, jobs, earned
//! waits.parquet       how long jobs waited: point, run, until, permille, us
//! ```
//!
//! The same plan and build give the same bytes, on any machine and for any number of threads. What is absent: times of day,
//! names of machines and folders, and anything about how long the runs took.

mod directory;
pub mod incomes;
mod journal;
mod kept;
pub mod manifest;
mod merge;
mod parquet;
mod ran;
pub mod sheet;
pub mod table;
pub mod ticks;
pub mod waits;

use std::collections::BTreeSet;
use std::path::Path;

pub use incomes::Income;
pub use journal::{Journal, Place};
pub use kept::Kept;
pub use manifest::{Manifest, PointOf};
pub use merge::merge;
pub use ran::Ran;
pub use sheet::{Row, Sheet};
pub use table::Table;
pub use ticks::Tick;
pub use waits::Wait;

/// A results directory, read whole.
#[derive(Clone, Debug)]
pub struct Study {
    pub manifest: Manifest,
    /// In the order of points, and of seeds within a point; so are the others.
    pub runs: Sheet,
    pub ticks: Vec<Tick>,
    pub incomes: Vec<Income>,
    pub waits: Vec<Wait>,
}

impl Study {
    /// # Errors
    /// If a file is missing or is none that `labman-sim sweep` wrote, or they tell of other runs than the manifest. The error names the file.
    pub fn read(dir: &Path) -> Result<Self, String> {
        let manifest = Manifest::read(dir)?;
        directory::check(dir)?;
        let runs = Sheet::open(dir)?;
        manifest.check(&runs)?;
        if let Some(shard) = manifest.shard.as_ref().filter(|_| runs.rows.is_empty()) {
            return Err(format!("{}: shard {shard} has no run: merge it with the others", dir.display()));
        }
        let ticks: Vec<Tick> = ticks::read(&dir.join(ticks::FILE))?.collect::<Result<_, String>>()?;
        let incomes: Vec<Income> = incomes::read(&dir.join(incomes::FILE))?.collect::<Result<_, String>>()?;
        let waits: Vec<Wait> = waits::read(&dir.join(waits::FILE))?.collect::<Result<_, String>>()?;
        let known: BTreeSet<(u32, u32)> = runs.rows.iter().map(|row| (row.point, row.run)).collect();
        let of_ticks = (ticks::FILE, ticks.iter().any(|tick| !known.contains(&(tick.point, tick.run))));
        let of_incomes = (incomes::FILE, incomes.iter().any(|one| !known.contains(&(one.point, one.run))));
        let of_waits = (waits::FILE, waits.iter().any(|wait| !known.contains(&(wait.point, wait.run))));
        if let Some((file, _)) = [of_ticks, of_incomes, of_waits].into_iter().find(|(_, strange)| *strange) {
            let path = dir.join(file);
            return Err(format!(
                "{}: has rows of runs that {} has not: {}",
                path.display(),
                table::CSV,
                manifest::AGAIN
            ));
        }
        Ok(Self { manifest, runs, ticks, incomes, waits })
    }
}
