//! A store's disk is slow.

use labman_proto_core::rng::Stream;
use labman_proto_core::time::Span;
use serde::{Deserialize, Serialize};

use super::{Kind, Site, Stage, among, pick, within};

/// Beyond it a write takes longer than any scenario waits.
const SLOWEST: u64 = 10_000;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskSlow {
    pub host: String,
    /// How many times slower than it should be.
    pub times: u64,
}

impl Kind for DiskSlow {
    const LASTS: Span = Span::from_secs(300);

    fn draw(stage: &Stage, draws: &mut Stream) -> Option<Self> {
        let host = pick(draws, &stage.stores())?;
        Some(Self { host, times: 2 + draws.below(500) })
    }

    fn hosts(&self) -> Vec<&str> {
        vec![&self.host]
    }

    fn check(&self, stage: &Stage) -> Result<(), String> {
        among(&self.host, &stage.stores(), "store")?;
        within("times", self.times, 2..=SLOWEST)
    }

    fn begin(&self, site: &mut Site<'_>) {
        let times = self.times;
        site.each(&self.hosts(), |world, host| {
            world.set_disk_slowness(host, times);
            world.marks().fired("disk-slow");
        });
    }

    fn end(&self, site: &mut Site<'_>) {
        site.each(&self.hosts(), |world, host| world.set_disk_slowness(host, 1));
    }
}
