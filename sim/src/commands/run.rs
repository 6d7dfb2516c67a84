use std::path::PathBuf;

use labman_sim::run::{Options, run_with};
use labman_sim::scenario::{BadScenario, Scenario, load};

use super::{Outcome, print, verdict};

#[derive(clap::Args)]
pub(super) struct Args {
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Everything random follows from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON document a file, on a line of its own
    #[arg(long)]
    json: bool,
    /// Print what the machines log, to stderr
    #[arg(long)]
    log: bool,
}

impl Args {
    pub(super) fn execute(self) -> Outcome {
        let Self { files, seed, json, log } = self;
        let scenarios: Result<Vec<Scenario>, BadScenario> = files.iter().map(|file| load(file)).collect();
        let scenarios = scenarios.map_err(|bad| bad.to_string())?;
        let mut passed = true;
        for (file, scenario) in files.iter().zip(&scenarios) {
            let report = run_with(scenario, seed, Options { log });
            for line in &report.log {
                eprintln!("{line}");
            }
            print(&if json { report.to_json().to_string() } else { report.to_string() });
            if !report.passed() {
                eprintln!("failed; again: labman-sim run {} --seed {seed} --log", file.display());
                passed = false;
            }
        }
        Ok(verdict(passed))
    }
}
