//! A host's router restarts: all its mesh links break, and come back.

use labman_proto_core::rng::Stream;
use labman_proto_core::time::Span;
use serde::{Deserialize, Serialize};

use super::{Kind, Site, Stage, among, pick};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reconnect {
    pub host: String,
}

impl Kind for Reconnect {
    const LASTS: Span = Span::from_secs(1);

    fn draw(stage: &Stage, draws: &mut Stream) -> Option<Self> {
        pick(draws, &stage.stores()).map(|host| Self { host })
    }

    fn hosts(&self) -> Vec<&str> {
        vec![&self.host]
    }

    fn check(&self, stage: &Stage) -> Result<(), String> {
        among(&self.host, &stage.stores(), "links")
    }

    fn begin(&self, site: &mut Site<'_>) {
        site.each(&self.hosts(), |world, host| world.flap(host));
    }

    fn end(&self, site: &mut Site<'_>) {
        site.each(&self.hosts(), |world, host| world.flap(host));
    }
}
