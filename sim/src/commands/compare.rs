use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use labman_sim::compare::Comparison;
use labman_sim::sweep::rows::Sheet;

use super::{Outcome, print};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The table of a sweep
    #[arg(value_name = "A.csv")]
    before: PathBuf,
    /// Another, with the same grid and seeds
    #[arg(value_name = "B.csv")]
    after: PathBuf,
    /// Print one JSON document, on one line
    #[arg(long)]
    json: bool,
    /// Show what is the same in every run, too
    #[arg(long)]
    all: bool,
}

impl Args {
    pub(super) fn execute(self) -> Outcome {
        let Self { before, after, json, all } = self;
        let comparison = Comparison::new(&read(&before)?, &read(&after)?)?;
        print(&if json { comparison.to_json().to_string() } else { comparison.to_table(all) });
        Ok(ExitCode::SUCCESS)
    }
}

fn read(path: &Path) -> Result<Sheet, String> {
    let file = path.display().to_string();
    let from = File::open(path).map_err(|error| format!("{file}: {error}"))?;
    Sheet::read(&file, from)
}
