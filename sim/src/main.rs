//! `labman-sim`: runs scenarios on a virtual clock.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use labman_sim::run::{Options, run_with};
use labman_sim::scenario::{BadScenario, Scenario, load};

#[derive(Parser)]
#[command(name = "labman-sim", version, about = "Runs labman meshes on a virtual clock")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run scenario files, and fail if a check or an expectation does
    Run {
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Everything random follows from it
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Print one JSON document a file, on a line of its own
        #[arg(long)]
        json: bool,
        /// Print what the machines log, to stderr
        #[arg(long)]
        log: bool,
    },
}

fn main() -> ExitCode {
    let Command::Run { files, seed, json, log } = Cli::parse().command;
    let scenarios: Result<Vec<Scenario>, BadScenario> = files.iter().map(|file| load(file)).collect();
    let scenarios = match scenarios {
        Ok(scenarios) => scenarios,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    let mut passed = true;
    for (file, scenario) in files.iter().zip(&scenarios) {
        let report = run_with(scenario, seed, Options { log });
        for line in &report.log {
            eprintln!("{line}");
        }
        let page = if json { report.to_json().to_string() } else { report.to_string() };
        // Whoever reads only the beginning has closed the pipe by then; the verdict is the exit code.
        let _ = writeln!(std::io::stdout(), "{page}");
        if !report.passed() {
            eprintln!("failed; again: labman-sim run {} --seed {seed} --log", file.display());
            passed = false;
        }
    }
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
