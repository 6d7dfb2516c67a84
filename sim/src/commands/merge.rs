use std::path::PathBuf;

use labman_sim::results::{Manifest, merge};

use super::{Outcome, print, verdict};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Where the whole goes
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// What `sweep --shard K/N --out` wrote: all of them, in any order
    #[arg(required = true, value_name = "SHARD_DIR")]
    shards: Vec<PathBuf>,
}

impl Args {
    pub(super) fn execute(self) -> Outcome {
        let (Manifest { runs, failed, .. }, _) = merge(&self.out, &self.shards)?;
        print(&format!("{}: {runs} runs, {failed} of them failed", self.out.display()));
        Ok(verdict(failed == 0))
    }
}
