//! What stands in for `mutants` in a build that holds none.

use super::Outcome;

#[derive(clap::Args)]
pub(super) struct Args {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _any: Vec<String>,
}

impl Args {
    pub(super) fn execute(self) -> Outcome {
        Err("this build holds no mutants; one that does: RUSTFLAGS='--cfg labman_mutants' cargo run --release \
             --target-dir target/mutants -p labman-sim -- mutants --json"
            .into())
    }
}

/// For commands that can run with a deliberate defect: this build has none.
#[derive(clap::Args)]
pub(super) struct Defect {}

impl Defect {
    pub(super) fn select(&self) -> String {
        String::new()
    }
}
