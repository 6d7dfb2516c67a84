use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};
use labman_sim::fuzz::{Profile, plan};
use labman_sim::shrink::{Failing, Shrinker};

use super::mutants::Defect;
use super::{Outcome, print, verdict};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The seed that fails
    seed: u64,
    /// Labman nodes in its world, as in `fuzz`
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u16).range(2..=1000))]
    nodes: u16,
    /// Where to write the smallest scenario that still fails; default: failing-SEED.toml
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    defect: Defect,
}

impl Args {
    pub(super) fn execute(self) -> Outcome {
        let Self { seed, nodes, out, defect } = self;
        let defect = defect.select();
        let Some(failing) = Failing::of(plan(Profile::Everything, seed, usize::from(nodes)), seed) else {
            return Err(format!("seed {seed} with {nodes} nodes does not fail: nothing to shrink"));
        };
        eprintln!("it fails with: {}", failing.failure);
        let bar = ProgressBar::new_spinner();
        bar.set_style(
            ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        let show = |so_far: labman_sim::shrink::Progress| {
            bar.tick();
            bar.set_message(format!(
                "{} nodes, {} faults, {} jobs after {} runs",
                so_far.nodes, so_far.faults, so_far.jobs, so_far.runs
            ));
        };
        let smallest = Shrinker::new(&failing, &show).shrink(failing);
        bar.finish_and_clear();
        let file = out.unwrap_or_else(|| format!("failing-{seed}.toml").into());
        let text = smallest.scenario.to_toml()?;
        std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
        print(&format!(
            "{} nodes, {} faults, {} jobs: {}\nagain: labman-sim run {} --seed {}{defect} --log",
            smallest.nodes(),
            smallest.scenario.faults.len(),
            smallest.scenario.jobs.len(),
            smallest.failure,
            file.display(),
            smallest.seed,
        ));
        Ok(verdict(true))
    }
}
