use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use indicatif::{ProgressBar, ProgressStyle};
use labman_sim::results::{Ran, Table};
use labman_sim::scenario::set::{Document, Set};
use labman_sim::sweep::{Ended, Grid, Plan};

use super::{Outcome, again, verdict};

/// So many failed runs are told of; the table has them all.
const TOLD: usize = 20;

#[derive(clap::Args)]
pub(super) struct Args {
    file: PathBuf,
    /// How many seeds each point of the grid gets: the same for each
    #[arg(long)]
    seeds: NonZero<u32>,
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    /// Vary this; given more than once, every combination is run
    #[arg(long = "grid", value_name = "PATH=VALUE,VALUE...")]
    grids: Vec<Grid>,
    /// Change the scenario everywhere first
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<Set>,
    /// How many runs at a time [default: as many as there are cores]
    #[arg(short, long)]
    jobs: Option<NonZero<usize>>,
    /// Where the table goes; to stdout without it
    #[arg(long, value_name = "FILE.csv")]
    out: Option<PathBuf>,
}

impl Args {
    pub(super) fn execute(self) -> Outcome {
        let Self { file, seeds, first_seed, grids, sets, jobs, out } = self;
        let end = first_seed.checked_add(u64::from(seeds.get()));
        let end = end.ok_or_else(|| format!("--first-seed {first_seed}: seeds end at {}", u64::MAX))?;
        let plan = Plan::new(&Document::read(&file)?, &sets, &grids, first_seed..end)?;
        // Before the runs, which may take hours; what is in it stays until they are done.
        let out = out.map(open).transpose()?;
        let cores = || thread::available_parallelism().map_or(1, NonZero::get);
        let bar = progress(plan.runs());
        let mut rows: Vec<Option<Ran>> = vec![None; plan.runs()];
        let all: Vec<usize> = (0..plan.runs()).collect();
        plan.run(jobs.map_or_else(cores, NonZero::get), &all, keep, |(index, ran)| {
            rows[index] = Some(ran);
            bar.inc(1);
            Ok(())
        })?;
        bar.finish_and_clear();
        let rows: Vec<Ran> = rows.into_iter().flatten().collect();
        let manifest = plan.manifest();
        let table = Table::new(&manifest, &rows);
        match out {
            Some((path, file)) => file
                .set_len(0)
                .and_then(|()| table.write_csv(file))
                .map_err(|error| format!("{}: {error}", path.display()))?,
            // Whoever reads only the beginning has closed the pipe by then; the verdict is the exit code.
            None => drop(table.write_csv(io::stdout().lock())),
        }
        let wrong: Vec<&Ran> = rows.iter().filter(|ran| !ran.passed).collect();
        for ran in wrong.iter().take(TOLD) {
            let sets = &plan.points[ran.point as usize].sets;
            eprintln!("failed: {}\n    {}", ran.error, again(&file, ran.seed, sets));
        }
        if wrong.len() > TOLD {
            eprintln!("failed: {} more", wrong.len() - TOLD);
        }
        Ok(told(&wrong, plan.runs()))
    }
}

fn keep(ended: Ended) -> (usize, Ran) {
    let Ended { index, point, run, seed, report } = ended;
    (index, Ran::new(point, run, seed, &report))
}

fn told(wrong: &[&Ran], runs: usize) -> ExitCode {
    if !wrong.is_empty() {
        let _ = writeln!(io::stderr(), "{} of {runs} runs failed", wrong.len());
    }
    verdict(wrong.is_empty())
}

fn open(path: PathBuf) -> Result<(PathBuf, File), String> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(|error| format!("--out {}: {error}", path.display()))?;
    Ok((path, file))
}

/// Hidden where stderr is no terminal.
fn progress(runs: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} runs, {eta} left");
    ProgressBar::new(runs as u64).with_style(style.expect("a good template"))
}
