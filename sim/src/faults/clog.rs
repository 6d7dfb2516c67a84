//! What one host sends to another is stuck, and then comes all at once.

use labman_proto_core::rng::Stream;
use labman_proto_core::time::Span;
use serde::{Deserialize, Serialize};

use super::{Kind, Site, Stage, pick};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clog {
    pub from: String,
    pub to: String,
}

impl Kind for Clog {
    const LASTS: Span = Span::from_secs(30);

    fn draw(stage: &Stage, draws: &mut Stream) -> Option<Self> {
        let networked = stage.networked();
        let (from, to) = (pick(draws, &networked)?, pick(draws, &networked)?);
        (from != to).then_some(Self { from, to })
    }

    fn hosts(&self) -> Vec<&str> {
        vec![&self.from, &self.to]
    }

    fn check(&self, _: &Stage) -> Result<(), String> {
        match self.from == self.to {
            true => Err(format!("to: {:?} is where it is from, and nothing crosses the network", self.to)),
            false => Ok(()),
        }
    }

    fn begin(&self, site: &mut Site<'_>) {
        if let (Some(from), Some(to)) = (site.host(&self.from), site.host(&self.to)) {
            site.world.block(from, to, site.until, "clog");
        }
    }

    /// A block has its own end.
    fn end(&self, _: &mut Site<'_>) {}
}
