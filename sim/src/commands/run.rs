use std::path::{Path, PathBuf};

use labman_sim::oracle::baselines::Baselines;
use labman_sim::run::{Options, run_told, run_with};
use labman_sim::scenario::Scenario;
use labman_sim::scenario::doubts::doubts;
use labman_sim::scenario::set::{Document, Set};
use labman_sim::story::Story;

use super::mutants::Defect;
use super::progress::Progress;
use super::{Outcome, again, note, print, verdict};

#[derive(clap::Args)]
pub(super) struct Args {
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Everything random follows from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Change the scenario first: `fep.fees.fep_bps=50`, `provider.0.portman.0.slots=4`, `duration=5m`
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<Set>,
    /// Print one JSON document a file, on a line of its own
    #[arg(long)]
    json: bool,
    /// Print what the machines log, to stderr
    #[arg(long)]
    log: bool,
    /// Write all that happens into this file, a JSON line each, to be read with `trace`. Of one scenario only
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    #[command(flatten)]
    defect: Defect,
}

impl Args {
    pub(super) fn execute(self) -> Outcome {
        let Self { files, seed, sets, json, log, trace, defect } = self;
        let defect = defect.select();
        if trace.is_some() && files.len() > 1 {
            return Err("--trace is of one scenario: name one file".into());
        }
        let read = |file: &PathBuf| {
            let document = Document::read(file)?;
            let scenario = document.with(&sets)?.scenario;
            Ok((document, scenario))
        };
        let scenarios: Result<Vec<(Document, Scenario)>, String> = files.iter().map(read).collect();
        let scenarios = scenarios?;
        let mut passed = true;
        for (file, (document, scenario)) in files.iter().zip(&scenarios) {
            doubts(scenario).iter().for_each(|doubt| note(file, doubt));
            let baselines = Baselines::new(document, &sets, scenario)?;
            let story = trace.as_ref().map(|path| Story::to(path).map_err(failed(path))).transpose()?;
            let progress = Progress::of_run(scenario.duration);
            let part = progress.passed.begin();
            let options = Options { log, passed: Some(&part) };
            let report = progress.watch(|| match story {
                None => Ok(run_with(scenario, seed, options)),
                Some(story) => run_told(scenario, seed, options, story),
            });
            let mut report = report.map_err(failed(trace.as_deref().unwrap_or(file)))?;
            baselines.beside(seed, &mut report);
            for line in &report.log {
                eprintln!("{line}");
            }
            print(&if json { report.to_json().to_string() } else { report.to_string() });
            if !report.passed() {
                eprintln!("failed; again: {}{defect} --log", again(file, seed, &sets));
                passed = false;
            }
        }
        Ok(verdict(passed))
    }
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> String {
    move |error| format!("{}: {error}", path.display())
}
