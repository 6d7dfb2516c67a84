//! A store refuses every write: its disk is full.

use labman_proto_core::rng::Stream;
use labman_proto_core::time::Span;
use serde::{Deserialize, Serialize};

use super::{Kind, Site, Stage, among, pick};
use crate::disk::Trouble;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskFull {
    pub host: String,
}

impl Kind for DiskFull {
    const LASTS: Span = Span::from_secs(60);

    fn draw(stage: &Stage, draws: &mut Stream) -> Option<Self> {
        pick(draws, &stage.stores()).map(|host| Self { host })
    }

    fn hosts(&self) -> Vec<&str> {
        vec![&self.host]
    }

    fn check(&self, stage: &Stage) -> Result<(), String> {
        among(&self.host, &stage.stores(), "store")
    }

    fn begin(&self, site: &mut Site<'_>) {
        site.each(&self.hosts(), |world, host| world.set_disk_trouble(host, Some(Trouble::Full)));
    }

    fn end(&self, site: &mut Site<'_>) {
        site.each(&self.hosts(), |world, host| world.set_disk_trouble(host, None));
    }
}
