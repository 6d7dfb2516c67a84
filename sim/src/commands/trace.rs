use std::io::BufWriter;
use std::path::PathBuf;

use labman_proto_core::time::Span;
use labman_sim::story::{Wish, page};

use super::replay::span;
use super::{Outcome, verdict};

#[derive(clap::Args)]
pub(super) struct Args {
    /// As `run --trace` wrote it
    file: PathBuf,
    /// Only what this host says and hears; may be repeated
    #[arg(long = "node", value_name = "HOST")]
    nodes: Vec<String>,
    /// Only what belongs to this job, at every party: its name in the scenario, or a request id
    #[arg(long)]
    job: Option<String>,
    /// Only from this virtual time on, such as 12.5s or 800ms
    #[arg(long, value_name = "T", value_parser = span)]
    from: Option<Span>,
    /// Only up to this virtual time
    #[arg(long, value_name = "T", value_parser = span)]
    until: Option<Span>,
    /// Also every piece, credit, wake and end, and nothing shortened
    #[arg(long)]
    all: bool,
}

impl Args {
    pub(super) fn execute(self) -> Outcome {
        let Self { file, nodes, job, from, until, all } = self;
        if let (Some(from), Some(until)) = (from, until)
            && from > until
        {
            return Err("--from is after --until: nothing is between them".into());
        }
        let wish = Wish { nodes, job, from, until, all };
        page(&file, &wish, &mut BufWriter::new(std::io::stdout().lock()))?;
        Ok(verdict(true))
    }
}
