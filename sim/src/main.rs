//! `labman-sim`: runs scenarios on a virtual clock.

mod commands;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    commands::Cli::parse().execute()
}
