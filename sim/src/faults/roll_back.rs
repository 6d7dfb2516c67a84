//! A node's disk forgets what it had acknowledged: it lied, or a backup was restored. It returns to the state at the fault's
//! begin. Not for FEPs: whose ledger forgets, owes what it no longer knows.

use labman_proto_core::rng::Stream;
use labman_proto_core::time::Span;
use serde::{Deserialize, Serialize};

use super::{Kind, Site, Stage, among, pick};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollBack {
    pub host: String,
}

impl Kind for RollBack {
    const LASTS: Span = Span::from_secs(120);

    fn draw(stage: &Stage, draws: &mut Stream) -> Option<Self> {
        pick(draws, &stage.nodes()).map(|host| Self { host })
    }

    fn hosts(&self) -> Vec<&str> {
        vec![&self.host]
    }

    fn check(&self, stage: &Stage) -> Result<(), String> {
        among(&self.host, &stage.nodes(), "store that may forget")
    }

    fn begin(&self, site: &mut Site<'_>) {
        site.each(&self.hosts(), |world, host| world.mark_disk(host));
    }

    fn end(&self, site: &mut Site<'_>) {
        site.each(&self.hosts(), |world, host| {
            world.roll_back(host);
            world.restart(host);
            world.marks().fired("roll-back");
        });
    }
}
