//! See `labman-fep --help`.

use std::process::ExitCode;

use clap::Parser;
use labman_node::{commands, logging};

fn main() -> ExitCode {
    let cli = commands::fep::Cli::parse();
    logging::start(cli.log_default());
    commands::run(cli.run())
}
