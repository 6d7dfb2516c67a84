use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;

use labman_sim::crew;
use labman_sim::scenario::set::{Document, Set};
use labman_sim::sweep::rows::{self, Ran};
use labman_sim::sweep::{Ended, Grid, Plan};

use super::{Outcome, again, progress, verdict};

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

/// A run's row, where it has one, and what was wrong with it, where something was.
struct Kept {
    row: Option<Ran>,
    wrong: Option<Wrong>,
}

struct Wrong {
    point: usize,
    seed: u64,
    what: String,
}

impl Args {
    pub(super) fn execute(self) -> Outcome {
        let Self { file, seeds, first_seed, grids, sets, jobs, out } = self;
        let end = first_seed.checked_add(u64::from(seeds.get()));
        let end = end.ok_or_else(|| format!("--first-seed {first_seed}: seeds end at {}", u64::MAX))?;
        let plan = Plan::new(&Document::read(&file)?, &sets, &grids, first_seed..end)?;
        // Before the runs, which may take hours; what is in it stays until they are done.
        let out = out.map(open).transpose()?;
        let bar = progress(plan.runs());
        let kept = plan.run(jobs.unwrap_or_else(crew::cores), keep, || bar.inc(1));
        bar.finish_and_clear();
        let rows = kept.iter().filter_map(|kept| kept.row.as_ref());
        match out {
            Some((path, file)) => file
                .set_len(0)
                .and_then(|()| rows::write(&plan, rows, file))
                .map_err(|error| format!("{}: {error}", path.display()))?,
            // Whoever reads only the beginning has closed the pipe by then; the verdict is the exit code.
            None => drop(rows::write(&plan, rows, io::stdout().lock())),
        }
        let wrong: Vec<&Wrong> = kept.iter().filter_map(|kept| kept.wrong.as_ref()).collect();
        for Wrong { point, seed, what } in wrong.iter().take(TOLD) {
            let sets = &plan.points[*point].sets;
            eprintln!("failed: {what}\n    {}", again(&file, *seed, sets));
        }
        if wrong.len() > TOLD {
            eprintln!("failed: {} more", wrong.len() - TOLD);
        }
        Ok(told(&wrong, plan.runs()))
    }
}

fn keep(ended: Ended) -> Kept {
    let Ended { point, seed, report } = ended;
    match report {
        Ok(report) => Kept {
            row: Some(Ran::new(point, &report)),
            wrong: report.failures.first().map(|first| Wrong { point, seed, what: first.clone() }),
        },
        Err(panic) => Kept { row: None, wrong: Some(Wrong { point, seed, what: format!("panic: {panic}") }) },
    }
}

fn told(wrong: &[&Wrong], runs: usize) -> ExitCode {
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
