use labman_proto_core::mutants::Mutant;
use labman_sim::crew;
use labman_sim::fuzz::mutants::{Caught, Hunt};
use serde_json::json;

use super::{Outcome, print, verdict};

/// Of what a checker said, in the table for people.
const SHOWN: usize = 90;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Seeds within which each mutant must be found, from 0
    #[arg(long, default_value_t = 500)]
    seeds: u64,
    /// Labman nodes in each world
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u16).range(2..=1000))]
    nodes: u16,
    /// Threads; default: all processors
    #[arg(short)]
    jobs: Option<usize>,
    /// Hunt only this one; may be repeated
    #[arg(long, value_parser = parse_mutant)]
    mutant: Vec<Mutant>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// For commands that can run with a deliberate defect.
#[derive(clap::Args)]
pub(super) struct Defect {
    /// Switch this deliberate defect of the core on
    #[arg(long, value_parser = parse_mutant)]
    mutant: Option<Mutant>,
}

impl Defect {
    /// Switches it on; the part of a command line that does it again.
    pub(super) fn select(&self) -> String {
        labman_proto_core::mutants::select(self.mutant);
        self.mutant.map(|mutant| format!(" --mutant {}", mutant.name())).unwrap_or_default()
    }
}

fn parse_mutant(name: &str) -> Result<Mutant, String> {
    let names = || Mutant::ALL.iter().map(|mutant| mutant.name()).collect::<Vec<_>>().join(", ");
    Mutant::named(name).ok_or_else(|| format!("the mutants are {}", names()))
}

impl Args {
    pub(super) fn execute(self) -> Outcome {
        let mut hunt =
            Hunt::new(self.seeds, usize::from(self.nodes), self.jobs.unwrap_or_else(|| crew::cores().get()));
        let mutants = if self.mutant.is_empty() { Mutant::ALL } else { &self.mutant };
        let mut caught = Vec::new();
        for mutant in mutants {
            let one = hunt.hunt(*mutant);
            eprintln!("{}: {}", mutant.name(), seeds(one.as_ref()));
            caught.push((*mutant, one));
        }
        print(&if self.json { document(&caught) } else { page(&caught) });
        for (seed, failure) in hunt.left_out() {
            eprintln!("left out: the honest core fails the world of seed {seed}, {failure}");
        }
        let escaped = caught.iter().filter(|(_, one)| one.is_none());
        for (mutant, _) in escaped.clone() {
            eprintln!("failed: no checker noticed {} in {} seeds", mutant.name(), self.seeds);
        }
        Ok(verdict(escaped.count() == 0))
    }
}

fn seeds(caught: Option<&Caught>) -> String {
    match caught {
        Some(Caught { seed: 0, .. }) => "1 seed".into(),
        Some(Caught { seed, .. }) => format!("{} seeds", seed + 1),
        None => "not found".into(),
    }
}

fn document(caught: &[(Mutant, Option<Caught>)]) -> String {
    let mutants: Vec<_> = caught
        .iter()
        .map(|(mutant, one)| {
            json!({
                "name": mutant.name(),
                "about": mutant.about(),
                "found": one.is_some(),
                "seeds": one.as_ref().map(|one| one.seed + 1),
                "failure": one.as_ref().and_then(|one| one.failures.first()),
            })
        })
        .collect();
    let found = caught.iter().filter(|(_, one)| one.is_some()).count();
    json!({ "mutants": mutants, "found": found, "total": caught.len() }).to_string()
}

fn page(caught: &[(Mutant, Option<Caught>)]) -> String {
    let mut lines = Vec::new();
    for (mutant, one) in caught {
        lines.push(format!("{:26} {:>10}  {}", mutant.name(), seeds(one.as_ref()), mutant.about()));
        if let Some(said) = one.as_ref().and_then(|one| one.failures.first()) {
            lines.push(format!("{:39}{}", "", said.chars().take(SHOWN).collect::<String>()));
        }
    }
    let found = caught.iter().filter(|(_, one)| one.is_some()).count();
    lines.push(format!("{found} of {} mutants found", caught.len()));
    lines.join("\n")
}
