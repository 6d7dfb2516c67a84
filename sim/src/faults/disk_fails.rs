//! A store's write fails, once.

use labman_proto_core::rng::Stream;
use labman_proto_core::time::Span;
use serde::{Deserialize, Serialize};

use super::{Kind, Site, Stage, among, pick};
use crate::disk::Trouble;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskFails {
    pub host: String,
    /// So many writes succeed before it.
    pub after: u32,
}

impl Kind for DiskFails {
    const LASTS: Span = Span::from_secs(60);

    fn draw(stage: &Stage, draws: &mut Stream) -> Option<Self> {
        let host = pick(draws, &stage.stores())?;
        Some(Self { host, after: draws.below(20) as u32 })
    }

    fn hosts(&self) -> Vec<&str> {
        vec![&self.host]
    }

    fn check(&self, stage: &Stage) -> Result<(), String> {
        among(&self.host, &stage.stores(), "store")
    }

    fn begin(&self, site: &mut Site<'_>) {
        let trouble = Some(Trouble::FailsAfter(self.after));
        site.each(&self.hosts(), |world, host| world.set_disk_trouble(host, trouble));
    }

    fn end(&self, site: &mut Site<'_>) {
        site.each(&self.hosts(), |world, host| world.set_disk_trouble(host, None));
    }
}
