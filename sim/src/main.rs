//! `labman-sim`: runs scenarios on a virtual clock.

mod commands;

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    commands::Cli::parse().execute()
}
