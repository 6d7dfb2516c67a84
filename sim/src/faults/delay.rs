//! What a host sends takes longer, now more and now less.

use labman_proto_core::rng::Stream;
use labman_proto_core::time::Span;
use serde::{Deserialize, Serialize};

use super::{Kind, Site, Stage, among, pick, within};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delay {
    pub host: String,
    /// At most so much longer, in milliseconds.
    pub up_to_ms: u64,
}

impl Kind for Delay {
    const LASTS: Span = Span::from_secs(300);

    fn draw(stage: &Stage, draws: &mut Stream) -> Option<Self> {
        let host = pick(draws, &stage.networked())?;
        Some(Self { host, up_to_ms: 1 + draws.below(2_000) })
    }

    fn hosts(&self) -> Vec<&str> {
        vec![&self.host]
    }

    fn check(&self, stage: &Stage) -> Result<(), String> {
        among(&self.host, &stage.networked(), "way across the network")?;
        within("up_to_ms", self.up_to_ms, 1..=86_400_000)
    }

    fn begin(&self, site: &mut Site<'_>) {
        let up_to = Some(Span::from_millis(self.up_to_ms));
        site.each(&self.hosts(), |world, host| world.conditions().set_delay(host, up_to));
    }

    fn end(&self, site: &mut Site<'_>) {
        site.each(&self.hosts(), |world, host| world.conditions().set_delay(host, None));
    }
}
