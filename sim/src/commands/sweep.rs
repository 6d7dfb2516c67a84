use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Write as _};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use labman_sim::crew;
use labman_sim::results::{Kept, Manifest, Place, Ran, Table};
use labman_sim::scenario::doubts::doubts;
use labman_sim::scenario::set::{BASE, Document, Set, VARIANT};
use labman_sim::sweep::{Dimension, Ended, Grid, Plan, Shard, Zip, latin, list, zipped};

use super::progress::Progress;
use super::{Outcome, again, how_many, note, print, said, verdict};

/// So many failed runs are told of; the table has them all.
const TOLD: usize = 20;
/// So many points are looked at for what may be meant otherwise.
const LOOKED_AT: usize = 1_000;

#[derive(clap::Args)]
pub(super) struct Args {
    file: PathBuf,
    /// How many seeds each point gets: the same for each
    #[arg(long, value_parser = how_many)]
    seeds: NonZero<u32>,
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    #[command(flatten)]
    design: Design,
    /// Change the scenario everywhere first
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<Set>,
    /// Run a part only, the K-th of N; `merge` puts all parts together
    #[arg(long, value_name = "K/N")]
    shard: Option<Shard>,
    /// How many runs at a time [default: as many as there are cores]
    #[arg(short, long)]
    jobs: Option<NonZero<usize>>,
    /// Where results go: a folder, or only the table where it ends in .csv; without it, the table to stdout. A sweep that was
    /// ended goes on in its folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// What is varied. Every combination is run of all the grids, the list, the zipped values and the Latin hypercube
#[derive(clap::Args)]
struct Design {
    /// Vary this
    #[arg(long = "grid", value_name = "PATH=VALUE,VALUE...")]
    grids: Vec<Grid>,
    /// Points in a CSV file, with paths as its header
    #[arg(long, value_name = "FILE.csv")]
    list: Option<PathBuf>,
    /// Given more than once, the values are taken together: the n-th of each
    #[arg(long = "zip", value_name = "PATH=VALUE,VALUE...")]
    zips: Vec<Zip>,
    /// Draw values between bounds, evenly for each path
    #[arg(long = "latin", value_name = "PATH=LOW..HIGH", requires = "points")]
    ranges: Vec<latin::Range>,
    /// How many of the Latin hypercube
    #[arg(long, requires = "ranges")]
    points: Option<NonZero<u32>>,
    /// What they are drawn from
    #[arg(long, default_value_t = 1)]
    design_seed: u64,
}

impl Design {
    fn dimensions(&self) -> Result<Vec<Dimension>, String> {
        let grids = self.grids.iter().cloned().map(Dimension::from);
        let list = self.list.as_deref().map(list::read).transpose()?;
        let points = self.points.map_or(0, NonZero::get);
        let drawn = latin::hypercube(&self.ranges, points, self.design_seed)?;
        Ok(grids.chain(list).chain(zipped(&self.zips)?).chain(drawn).collect())
    }
}

impl Args {
    pub(super) fn execute(self) -> Outcome {
        let Self { file, seeds, first_seed, design, sets, shard, jobs, out } = self;
        let end = first_seed.checked_add(u64::from(seeds.get()));
        let end = end.ok_or_else(|| format!("--first-seed {first_seed}: seeds end at {}", u64::MAX))?;
        let document = Document::read(&file)?;
        let mut plan = Plan::new(&document, &sets, &design.dimensions()?, first_seed..end)?;
        plan.shard = shard;
        notes(&file, &plan);
        let sweep = Sweep { plan, file, threads: jobs.unwrap_or_else(crew::cores) };
        match out {
            Some(out) if !is_table(&out) => sweep.into_directory(&out),
            out => sweep.into_table(out),
        }
    }
}

/// What may be meant otherwise, before anything runs.
fn notes(file: &Path, plan: &Plan) {
    let mut told: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (number, point) in plan.points.iter().enumerate().take(LOOKED_AT) {
        for doubt in doubts(&point.variant.scenario) {
            told.entry(doubt).or_default().push(number);
        }
    }
    for (doubt, points) in told {
        match points.as_slice() {
            [one, rest @ ..] if rest.len() + 1 < plan.points.len() => {
                note(file, &format!("point {one}: {doubt}"))
            }
            _ => note(file, &doubt),
        }
    }
    if let Some((one, other)) = plan.same_points() {
        note(
            file,
            &format!(
                "points {one} and {other} are one setting, written in two ways: their runs are the same"
            ),
        );
    }
    let is_variant = |set: &Set| set.path() == VARIANT;
    let variants = &plan.points[0].variant.scenario.variants;
    if !variants.is_empty() && !plan.points[0].sets.iter().any(is_variant) {
        let names: String = variants.iter().map(|variant| format!(",{}", variant.name)).collect();
        note(file, &format!("runs {BASE} alone; --grid {VARIANT}={BASE}{names} runs its variants, too"));
    }
}

fn is_table(out: &Path) -> bool {
    out.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"))
}

struct Sweep {
    plan: Plan,
    /// The scenario's.
    file: PathBuf,
    threads: NonZero<usize>,
}

impl Sweep {
    /// Goes on where an earlier one ended.
    fn into_directory(self, dir: &Path) -> Outcome {
        let plan = &self.plan;
        let mut journal = match Place::open(dir, &plan.manifest())? {
            Place::Complete(found) => {
                let Manifest { runs, failed, .. } = found;
                print(&format!("{}: complete, {runs} runs, {failed} of them failed", dir.display()));
                return Ok(self.tell(&Ran::of_folder(dir)?));
            }
            Place::Running(journal) => journal,
        };
        let to_run: Vec<usize> = plan.own().filter(|index| !journal.has(*index)).collect();
        let progress = Progress::of_sweep(plan.own().count() as u64, journal.counts()?);
        if let Some(what) = if_ended(io::stderr().is_terminal(), to_run.len()) {
            note(dir, what);
        }
        let keep = |ended: Ended| Kept::new(&ended, &plan.points[ended.point as usize].variant.scenario);
        let ended = |kept: Kept| {
            journal.append(&kept)?;
            progress.step(kept.ran.passed);
            Ok::<(), String>(())
        };
        progress.watch(|| plan.run(self.threads, &to_run, &progress.passed, keep, ended))?;
        let (Manifest { runs, failed, .. }, rows) = journal.finish()?;
        print(&format!(
            "{dir}: {runs} runs, {failed} of them failed; labman-sim report {dir}",
            dir = dir.display()
        ));
        Ok(self.tell(&rows))
    }

    fn into_table(self, out: Option<PathBuf>) -> Outcome {
        let plan = &self.plan;
        // Before the runs, which may take hours; what is in it stays until they are done.
        let out = out.map(open).transpose()?;
        let own: Vec<usize> = plan.own().collect();
        let mut rows: Vec<Option<Ran>> = vec![None; plan.runs()];
        let progress = Progress::of_sweep(own.len() as u64, (0, 0));
        let keep = |Ended { index, point, run, seed, report }| (index, Ran::new(point, run, seed, &report));
        let ended = |(index, ran): (usize, Ran)| {
            progress.step(ran.passed);
            rows[index] = Some(ran);
            Ok::<(), String>(())
        };
        progress.watch(|| plan.run(self.threads, &own, &progress.passed, keep, ended))?;
        let rows: Vec<Ran> = rows.into_iter().flatten().collect();
        let manifest = plan.manifest();
        let table = Table::new(&manifest, &rows);
        match out {
            Some((path, file)) => file
                .set_len(0)
                .and_then(|()| table.write_csv(file))
                .map_err(|error| format!("{}: {error}", path.display()))?,
            // Whoever reads only the beginning has closed the pipe by then; the verdict is the exit code.
            None => said(table.write_csv(io::stdout().lock()).and_then(|()| io::stdout().flush()))?,
        }
        Ok(self.tell(&rows))
    }

    /// What failed, each with the line that runs it again.
    fn tell(&self, rows: &[Ran]) -> ExitCode {
        let wrong: Vec<&Ran> = rows.iter().filter(|ran| !ran.passed).collect();
        let mut out = io::stderr().lock();
        for ran in wrong.iter().take(TOLD) {
            let sets = &self.plan.points[ran.point as usize].sets;
            let _ = writeln!(out, "failed: {}\n    {}", ran.error, again(&self.file, ran.seed, sets));
        }
        if wrong.len() > TOLD {
            let _ = writeln!(out, "failed: {} more", wrong.len() - TOLD);
        }
        if !wrong.is_empty() {
            let _ = writeln!(out, "{} of {} runs failed", wrong.len(), rows.len());
        }
        verdict(wrong.is_empty())
    }
}

/// What whoever watches the runs that are left may want to do, and fear to: a process that is ended says nothing more.
fn if_ended(watched: bool, left: usize) -> Option<&'static str> {
    (watched && left > 0)
        .then_some("Ctrl-C ends it and keeps what is done; the same command goes on from there")
}

fn open(path: PathBuf) -> Result<(PathBuf, File), String> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(|error| format!("--out {}: {error}", path.display()))?;
    Ok((path, file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_watches_a_sweep_is_told_that_it_may_be_ended_and_nobody_else() {
        assert!(if_ended(true, 3).is_some_and(|what| what.contains("the same command goes on")));
        assert_eq!(if_ended(false, 3), None, "lines that are no JSON are what failed");
        assert_eq!(if_ended(true, 0), None, "nothing is left to be ended");
    }
}
