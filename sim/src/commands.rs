//! The command line: one file a command.

mod compare;
mod fuzz;
#[cfg(labman_mutants)]
mod mutants;
#[cfg(not(labman_mutants))]
#[path = "commands/mutants/absent.rs"]
mod mutants;
mod replay;
mod report;
mod run;
mod shrink;
mod sweep;
mod trace;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use labman_sim::again::{again, quoted};

#[derive(Parser)]
#[command(name = "labman-sim", version, about = "Runs labman meshes on a virtual clock")]
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
    /// Run a scenario over many seeds and settings, into a table with a row a run
    Sweep(sweep::Args),
    /// Compare two tables of sweeps: differences within pairs, with intervals
    Compare(compare::Args),
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
            Command::Sweep(args) => args.execute(),
            Command::Compare(args) => args.execute(),
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

/// Prints to stdout. Whoever reads only the beginning has closed the pipe by then; the verdict is the exit code.
fn print(page: &str) {
    let _ = writeln!(std::io::stdout(), "{page}");
}
