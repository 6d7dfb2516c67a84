use std::path::PathBuf;

use labman_sim::scenario::problems::problems;
use labman_sim::scenario::set::Set;
use serde_json::json;

use super::{Outcome, print, verdict};

#[derive(clap::Args)]
pub(super) struct Args {
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
        for file in &files {
            let found = problems(file, &sets);
            good &= found.is_empty();
            let file = file.display().to_string();
            if json {
                print(&json!({ "file": file, "good": found.is_empty(), "problems": found }).to_string());
            } else if found.is_empty() {
                print(&format!("{file}: good"));
            } else {
                print(&found.join("\n"));
            }
        }
        Ok(verdict(good))
    }
}
