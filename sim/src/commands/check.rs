use std::path::PathBuf;

use labman_sim::scenario::doubts::doubts;
use labman_sim::scenario::problems::problems;
use labman_sim::scenario::set::{Document, Set};
use serde_json::json;

use super::{Outcome, print, scenario_files, verdict};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Scenario files, or directories of them
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Change the scenarios first
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<Set>,
    /// Print one JSON document a file, on a line of its own
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn execute(self) -> Outcome {
        let Self { files, sets, json } = self;
        let mut good = true;
        for file in &scenario_files(&files)? {
            let found = problems(file, &sets);
            good &= found.is_empty();
            let doubts = match found.as_slice() {
                [] => doubts(&Document::read(file)?.with(&sets)?.scenario),
                _ => Vec::new(),
            };
            let file = file.display().to_string();
            if json {
                let found =
                    json!({ "file": file, "good": found.is_empty(), "problems": found, "doubts": doubts });
                print(&found.to_string());
            } else if found.is_empty() {
                print(&format!("{file}: good"));
                doubts.iter().for_each(|doubt| print(&format!("{file}: but: {doubt}")));
            } else {
                print(&found.join("\n"));
            }
        }
        Ok(verdict(good))
    }
}
