//! The command line: one file a command.

mod check;
mod compare;
mod explain;
mod fuzz;
mod merge;
#[cfg(labman_mutants)]
mod mutants;
#[cfg(not(labman_mutants))]
#[path = "commands/mutants/absent.rs"]
mod mutants;
mod oracles;
mod progress;
mod replay;
mod report;
mod run;
mod shrink;
mod sweep;
mod trace;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use labman_sim::again::{again, quoted};

#[derive(Parser)]
#[command(name = "labman-sim", version = labman_sim::BUILD, about = "Runs labman meshes on a virtual clock")]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Replay a daemon's journal, and fail if a machine says anything else than it did
    Replay(replay::Args),
    /// Run scenario files, and fail if a check or an expectation does
    Run(run::Args),
    /// Print what happened in a run, as `run --trace` wrote it: all, one host's part, or one job's way
    Trace(trace::Args),
    /// Run worlds drawn from seeds, with faults, and fail if a check does or a fault never bit
    Fuzz(fuzz::Args),
    /// Find the smallest scenario that still fails as a seed of `fuzz` does
    Shrink(shrink::Args),
    /// Say what is wrong with scenario files, as far as that shows without running them
    Check(check::Args),
    /// Run a scenario over many seeds and settings, into a folder of tables, or one with a row a run
    Sweep(sweep::Args),
    /// Put the shards of a sweep together
    Merge(merge::Args),
    /// Compare two sweeps: differences within pairs, with intervals
    Compare(compare::Args),
    /// Hold scenarios to theory: over many seeds, is each mean near enough to its formula, and known well enough?
    Oracles(oracles::Args),
    /// Say what a figure is, in what unit, where it is measured and what to mind
    Explain(explain::Args),
    /// Make one page of a sweep's results, to be read in a browser or printed
    Report(report::Args),
    /// Run seeds with deliberate defects of the core, and fail if the checkers miss one
    Mutants(mutants::Args),
}

/// What a command comes to. `Err`: it could not be carried out, and why.
type Outcome = Result<ExitCode, String>;

impl Cli {
    pub(crate) fn execute(self) -> ExitCode {
        let outcome = match self.command {
            Command::Replay(args) => args.execute(),
            Command::Run(args) => args.execute(),
            Command::Trace(args) => args.execute(),
            Command::Fuzz(args) => args.execute(),
            Command::Shrink(args) => args.execute(),
            Command::Check(args) => args.execute(),
            Command::Sweep(args) => args.execute(),
            Command::Merge(args) => args.execute(),
            Command::Compare(args) => args.execute(),
            Command::Oracles(args) => args.execute(),
            Command::Explain(args) => args.execute(),
            Command::Report(args) => args.execute(),
            Command::Mutants(args) => args.execute(),
        };
        outcome.unwrap_or_else(|why| {
            eprintln!("error: {why}");
            ExitCode::from(2)
        })
    }
}

fn verdict(passed: bool) -> ExitCode {
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// For people, of what fails nothing.
fn note(file: &Path, what: &str) {
    eprintln!("note: {}: {what}", file.display());
}

/// Prints to stdout. Whoever reads only the beginning has closed the pipe by then; the verdict is the exit code.
fn print(page: &str) {
    let mut out = std::io::stdout().lock();
    if let Err(why) = said(writeln!(out, "{page}").and_then(|()| out.flush())) {
        eprintln!("error: {why}");
        std::process::exit(2);
    }
}

fn said(written: std::io::Result<()>) -> Result<(), String> {
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(format!("stdout: {error}")),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A number of seeds. A range would say which, as `fuzz` takes one.
fn how_many(seeds: &str) -> Result<NonZero<u32>, String> {
    seeds
        .parse()
        .map_err(|_| "say how many, one at least, such as 30; --first-seed says from which on".into())
}

/// In the order of their names, where a directory is named.
fn scenario_files(named: &[PathBuf]) -> Result<BTreeSet<PathBuf>, String> {
    let mut files = BTreeSet::new();
    for path in named {
        if !path.is_dir() {
            files.insert(path.clone());
            continue;
        }
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        for entry in fs::read_dir(path).map_err(failed)? {
            let file = entry.map_err(failed)?.path();
            if file.extension() == Some("toml".as_ref()) {
                files.insert(file);
            }
        }
    }
    if files.is_empty() {
        return Err(format!("there is no scenario in {}", shown(named)));
    }
    Ok(files)
}

fn shown(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_stands_for_its_scenarios_and_what_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = scenario_files(&[dir.path().into()]).unwrap_err();
        assert!(error.starts_with("there is no scenario in "), "{error}");
        for name in ["b.toml", "a.toml", "notes.md"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let files = scenario_files(&[dir.path().into()]).unwrap();
        let names: Vec<&Path> = files.iter().map(|file| Path::new(file.file_name().unwrap())).collect();
        assert_eq!(names, [Path::new("a.toml"), Path::new("b.toml")]);
    }
}
