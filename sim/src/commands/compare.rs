use std::path::PathBuf;
use std::process::ExitCode;

use labman_sim::compare::Comparison;

use super::{Outcome, print};

#[derive(clap::Args)]
pub(super) struct Args {
    /// What a sweep wrote: its directory, or a table
    #[arg(value_name = "A")]
    before: PathBuf,
    /// Another, with the same points and seeds
    #[arg(value_name = "B")]
    after: PathBuf,
    /// Print one JSON document, on one line
    #[arg(long)]
    json: bool,
    /// Show what is the same in every pair, and balances of users, too
    #[arg(long)]
    all: bool,
}

impl Args {
    pub(super) fn execute(self) -> Outcome {
        let Self { before, after, json, all } = self;
        let comparison = Comparison::read(&before, &after)?;
        print(&if json { comparison.to_json().to_string() } else { comparison.to_table(all) });
        Ok(ExitCode::SUCCESS)
    }
}
