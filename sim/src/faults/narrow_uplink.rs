//! A host's uplink is narrow: what it sends leaves one after the other.

use labman_proto_core::rng::Stream;
use labman_proto_core::time::Span;
use serde::{Deserialize, Serialize};

use super::{Kind, Site, Stage, among, pick, within};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NarrowUplink {
    pub host: String,
    /// At least 1,000.
    pub bytes_per_second: u64,
}

impl Kind for NarrowUplink {
    const LASTS: Span = Span::from_secs(300);

    fn draw(stage: &Stage, draws: &mut Stream) -> Option<Self> {
        let host = pick(draws, &stage.networked())?;
        Some(Self { host, bytes_per_second: 2_000 + draws.below(200_000) })
    }

    fn hosts(&self) -> Vec<&str> {
        vec![&self.host]
    }

    fn check(&self, stage: &Stage) -> Result<(), String> {
        among(&self.host, &stage.networked(), "way across the network")?;
        within("bytes_per_second", self.bytes_per_second, 1_000..=1_000_000_000_000)
    }

    fn begin(&self, site: &mut Site<'_>) {
        let rate = Some(self.bytes_per_second);
        site.each(&self.hosts(), |world, host| world.conditions().set_uplink(host, rate));
    }

    fn end(&self, site: &mut Site<'_>) {
        site.each(&self.hosts(), |world, host| world.conditions().set_uplink(host, None));
    }
}
