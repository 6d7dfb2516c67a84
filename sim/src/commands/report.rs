use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use labman_sim::page::{self, Choice};
use labman_sim::results::Study;

use super::{Outcome, print};

/// How files of results end.
const RESULTS: [&str; 4] = ["csv", "json", "jsonl", "parquet"];

#[derive(clap::Args)]
pub(super) struct Args {
    /// The results of a sweep: what its `--out` named
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// What the other points are compared with: a point's number, or its values [default: the first]
    #[arg(long, value_name = "N|PATH=VALUE,...")]
    baseline: Option<String>,
    /// What the page is about, such as `sojourn.mean_us`; said again, what it answers beside that [default: what theory or an expectation names]
    #[arg(long = "figure", value_name = "FIGURE")]
    figures: Vec<String>,
    /// Where the page goes [default: DIR/report.html]
    #[arg(long, value_name = "FILE.html")]
    out: Option<PathBuf>,
}

impl Args {
    pub(super) fn execute(self) -> Outcome {
        let Self { folder, baseline, figures, out } = self;
        if folder.is_file() {
            return Err(format!(
                "{}: is one file: a report is of the folder that sweep --out DIR makes",
                folder.display()
            ));
        }
        let is_of_results =
            |out: &&PathBuf| RESULTS.iter().any(|end| out.extension().is_some_and(|it| it == *end));
        if let Some(out) = out.as_ref().filter(is_of_results) {
            return Err(format!(
                "--out {}: would overwrite results: a page's name ends in .html",
                out.display()
            ));
        }
        let study = Study::read(&folder)?;
        let choice = Choice::new(&study, baseline.as_deref(), figures)?;
        let out = out.unwrap_or_else(|| folder.join("report.html"));
        let page = page::render_as(&study, &choice);
        fs::write(&out, page).map_err(|error| format!("--out {}: {error}", out.display()))?;
        print(&out.display().to_string());
        Ok(ExitCode::SUCCESS)
    }
}
