//! See `labmand --help`.

use std::process::ExitCode;

use clap::Parser;
use labman_node::{commands, logging};

fn main() -> ExitCode {
    let cli = commands::labmand::Cli::parse();
    logging::start(cli.log_default());
    commands::run(cli.run())
}
