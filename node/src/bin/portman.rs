//! See `portman --help`.

use std::process::ExitCode;

use clap::Parser;
use labman_node::{commands, logging};

fn main() -> ExitCode {
    let cli = commands::portman::Cli::parse();
    logging::start("info");
    commands::run(cli.run())
}
